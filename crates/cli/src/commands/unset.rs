use confman_api::entry::EntryWrite;

use crate::context::Context;
use crate::draft;
use crate::error::CliError;
use crate::place::Place;
use crate::report::Report;

/// Take the value of a key away, in a draft
///
/// Examples:
///   confman unset /teams/payments:limits/daily -m "no limit"
///   confman unset /teams/payments:limits/daily --remove
///
/// Writes a tombstone: the key has no value here, and one it would inherit from a
/// namespace above is hidden. With --remove the namespace's own entry goes, so that an
/// inherited value, if there is one, shows again.
///
/// Changes a draft: your own, or --draft NAME; --publish publishes at once.
/// Undo: before publishing, `confman draft delete`; after it, `confman rollback`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// Remove the entry instead of hiding what is inherited
    #[arg(long)]
    remove: bool,

    #[command(flatten)]
    options: draft::Options,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let target =
            self.options
                .target(cx, &self.place, "confman unset /teams/payments:limits")?;
        let tombstone = EntryWrite {
            entry_type: None,
            value: None,
            unset: true,
            description: None,
            tags: None,
            media_type: None,
        };
        let entry = (!self.remove).then_some(tombstone);
        self.options.write(cx, &target, entry, None)
    }
}
