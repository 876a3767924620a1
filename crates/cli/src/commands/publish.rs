use confman_api::commit::PublishWrite;
use confman_model::{DraftName, Key};

use crate::context::Context;
use crate::draft;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::{Place, name};
use crate::render;
use crate::report::Report;
use crate::working_directory::{find, namespace_or_here};

/// Publish a draft, so that services read it
///
/// Examples:
///   confman diff /teams/payments@draft/raise-timeout      # look first
///   confman publish /teams/payments --draft raise-timeout
///   confman publish /teams/payments --key limits/daily -m "only the limit"
///
/// Publishes the draft as it is now (your own, or --draft NAME) in one step: services see
/// all of it or nothing. The draft is gone afterwards; with --key, what was not published
/// stays in it. If other keys were published meanwhile, both are kept; if the same keys
/// were, it is refused with exit code 5.
///
/// Undo: `confman rollback NAMESPACE --to published~1`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@draft/NAME]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// The draft; your own, or that of the working copy, if none is named
    #[arg(long, value_name = "NAME", value_parser = name::<DraftName>)]
    draft: Option<DraftName>,

    /// Publish only this key; repeat for more
    #[arg(long = "key", value_name = "KEY", value_parser = name::<Key>)]
    keys: Vec<Key>,

    /// Refuse if the draft's head is not this commit any more
    #[arg(long, value_name = "COMMIT")]
    expect: Option<String>,

    /// Why; that of the draft's newest commit if not given
    #[arg(long, short)]
    message: Option<String>,

    /// Go past review, freeze and guards for this reason; everybody will see it
    #[arg(long, value_name = "REASON")]
    emergency: Option<String>,
    /// Publish though a key that is set or changed is deprecated
    #[arg(long)]
    acknowledge_deprecated: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.unwrap_or_default();
        place.no_key("name keys with --key")?;
        let named = self.draft.or(place.draft()?);
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        // Inside a working copy, its draft is meant: that is where `push` went.
        let named = match (named, &place.namespace) {
            (None, None) => find()?.map(|here| here.copy.draft().clone()),
            (named, _) => named,
        };
        let connection = cx.connect()?;
        let draft = draft::choose(&connection, named)?;
        let expected_head = match self.expect {
            Some(expected) => expected,
            None => {
                let found = connection.wait(connection.client.draft(&namespace, &draft));
                found
                    .map_err(|error| hint_at_drafts(error, namespace.as_str()))?
                    .head
            }
        };
        let write = PublishWrite {
            draft: draft.to_string(),
            expected_head: Some(expected_head),
            keys: (!self.keys.is_empty())
                .then(|| self.keys.iter().map(ToString::to_string).collect()),
            message: self.message,
            emergency: self.emergency,
            acknowledge_deprecated: self.acknowledge_deprecated,
        };
        let published = connection.wait(connection.client.publish(&namespace, &write))?;
        published
            .warnings
            .iter()
            .for_each(|warning| cx.ui.warn(warning));
        Ok(Report::one(published, render::publication::published))
    }
}

fn hint_at_drafts(error: CliError, namespace: &str) -> CliError {
    match error.exit {
        Exit::NotFound => error.next(format!(
            "`confman draft list {namespace}` lists the drafts there are"
        )),
        _ => error,
    }
}
