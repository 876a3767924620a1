use std::collections::BTreeMap;

use confman_api::draft::Changes;
use confman_api::entry::EntryWrite;
use confman_model::DraftName;

use crate::context::Context;
use crate::draft;
use crate::error::CliError;
use crate::place::{Place, name};
use crate::report::Report;
use crate::working_directory::namespace_or_here;

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
    place: Place,

    /// Remove the entry instead of hiding what is inherited
    #[arg(long)]
    remove: bool,

    /// The draft to write; your own if none is named
    #[arg(long, value_name = "NAME", value_parser = name::<DraftName>)]
    draft: Option<DraftName>,

    /// Publish at once and leave no draft
    #[arg(long)]
    publish: bool,

    /// Publish though a key that is set or changed is deprecated
    #[arg(long, requires = "publish")]
    acknowledge_deprecated: bool,

    /// Why, for whoever reads the history
    #[arg(long, short)]
    message: Option<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let key = self
            .place
            .need_key("confman unset /teams/payments:limits")?
            .clone();
        let draft_in_place = self.place.draft()?;
        let namespace = namespace_or_here(self.place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let draft = draft::choose(&connection, self.draft.or(draft_in_place))?;
        let tombstone = EntryWrite {
            entry_type: None,
            value: None,
            unset: true,
            description: None,
            tags: None,
            media_type: None,
        };
        let changes = Changes {
            changes: BTreeMap::from([(key.to_string(), (!self.remove).then_some(tombstone))]),
            expected_head: None,
            message: self.message,
            publish: self.publish,
            acknowledge_deprecated: self.acknowledge_deprecated,
        };
        draft::write(cx, &connection, &namespace, &draft, &changes)
    }
}
