//! Writing to a draft: which one, and what to say afterwards.

use confman_api::draft::Changes;
use confman_model::{DraftName, Namespace};

use crate::context::{Connection, Context};
use crate::error::{CliError, chain};
use crate::render;
use crate::report::Report;

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
