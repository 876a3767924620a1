//! Writing to a draft: which one, and what to say afterwards.

use std::collections::BTreeMap;
use std::rc::Rc;

use confman_api::draft::Changes;
use confman_api::entry::EntryWrite;
use confman_model::{DraftName, Key, Namespace};

use crate::context::{Connection, Context};
use crate::error::{CliError, chain};
use crate::place::{Place, name};
use crate::render;
use crate::report::Report;
use crate::working_directory::namespace_or_here;

/// Where a change of one key goes, and what is said of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
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

/// The key that is changed, and the draft in which it is.
pub(crate) struct Target {
    pub(crate) connection: Rc<Connection>,
    pub(crate) namespace: Namespace,
    pub(crate) draft: DraftName,
    pub(crate) key: Key,
}

impl Options {
    /// The key at a place, which must name one as `example` does.
    pub(crate) fn target(
        &self,
        cx: &Context,
        place: &Place,
        example: &str,
    ) -> Result<Target, CliError> {
        let key = place.need_key(example)?.clone();
        let draft_in_place = place.draft()?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let draft = choose(&connection, self.draft.clone().or(draft_in_place))?;
        Ok(Target {
            connection,
            namespace,
            draft,
            key,
        })
    }

    /// Writes the entry, or removes it, where the draft is still at `expected_head` if one is given.
    pub(crate) fn write(
        self,
        cx: &Context,
        target: &Target,
        entry: Option<EntryWrite>,
        expected_head: Option<String>,
    ) -> Result<Report, CliError> {
        let changes = Changes {
            changes: BTreeMap::from([(target.key.to_string(), entry)]),
            expected_head,
            message: self.message,
            publish: self.publish,
            acknowledge_deprecated: self.acknowledge_deprecated,
        };
        let Target {
            connection,
            namespace,
            draft,
            ..
        } = target;
        write(cx, connection, namespace, draft, &changes)
    }
}

/// The draft that is named, else the caller's own.
pub(crate) fn choose(
    connection: &Connection,
    named: Option<DraftName>,
) -> Result<DraftName, CliError> {
    match named {
        Some(draft) => Ok(draft),
        None => own(connection),
    }
}

/// The caller's own draft.
pub(crate) fn own(connection: &Connection) -> Result<DraftName, CliError> {
    let whoami = connection.wait(connection.client.whoami())?;
    whoami.draft.parse().map_err(|error| {
        CliError::invalid(format!(
            "the server names `{}` as your draft, which is none",
            whoami.draft
        ))
        .because(chain(&error))
        .next("name one with --draft")
    })
}

/// Writes changes to a draft, or publishes them at once.
pub(crate) fn write(
    cx: &Context,
    connection: &Connection,
    namespace: &Namespace,
    draft: &DraftName,
    changes: &Changes,
) -> Result<Report, CliError> {
    if changes.publish {
        let published = connection.wait(
            connection
                .client
                .change_and_publish(namespace, draft, changes),
        )?;
        published
            .warnings
            .iter()
            .for_each(|warning| cx.ui.warn(warning));
        return Ok(Report::one(published, render::publication::published));
    }
    let drafted = connection.wait(connection.client.change_draft(namespace, draft, changes))?;
    drafted
        .warnings
        .iter()
        .for_each(|warning| cx.ui.warn(warning));
    Ok(Report::one(drafted, render::draft::drafted))
}
