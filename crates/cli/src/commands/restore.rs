use confman_client::working_copy::Side;
use confman_model::{Key, Revision};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::place::{moment, name};
use crate::report::Report;
use crate::text::{Text, count};
use crate::working_directory::need;

/// Undo changes in a working copy
///
/// Examples:
///   confman restore limits/daily stripe/api-version
///   confman restore --all
///   confman restore limits --from published~3
///
/// Gives keys in the files the entries of what the files came from, or of --from. Your
/// edits to these keys are lost; nothing changes on the server.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The keys
    #[arg(value_name = "KEY", value_parser = name::<Key>, required_unless_present = "all")]
    keys: Vec<Key>,

    /// Every key
    #[arg(long, conflicts_with = "keys")]
    all: bool,

    /// The revision to take entries from; what the files came from if not given
    #[arg(long, value_name = "REV", value_parser = moment)]
    from: Option<Revision>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Restored {
    namespace: String,
    keys: Vec<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let mut here = need()?;
        here.say_remarks(cx);
        let from = self.from.map_or(Side::Base, Side::Revision);
        if self.all {
            let lost = here.copy.diff(&here.namespace, &from, &Side::Files, &[])?;
            if !lost.is_empty() {
                let question = format!("undo {} in the files?", count(lost.len(), "changed key"));
                cx.ui.confirm(&question, self.yes)?;
            }
        }
        let keys = here.copy.restore(&here.namespace, &self.keys, &from)?;
        let restored = Restored {
            namespace: here.namespace.to_string(),
            keys: keys.iter().map(ToString::to_string).collect(),
        };
        Ok(Report::one(restored, |restored| {
            let mut text = Text::line(&format!("restored {}", count(restored.keys.len(), "key")));
            for key in &restored.keys {
                text.plain("  ").plain(key).end_line();
            }
            text
        }))
    }
}
