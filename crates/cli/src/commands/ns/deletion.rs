//! Deleting namespaces, and bringing them back.

use confman_model::Namespace;

use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::Report;
use crate::text::count;

/// Delete a namespace with its values, drafts, tags and grants
///
/// Examples:
///   confman ns delete /teams/payments
///   confman ns delete /teams --recursive --yes
///
/// Nothing is lost: `confman ns restore` brings everything back. A namespace that is made
/// again at the path begins with nothing of this one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Delete {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Those below it too
    #[arg(long)]
    recursive: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Bring back a namespace that was deleted, with what was deleted with it
///
/// `confman ns list --deleted` shows what can be restored.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Restore {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Which deletion is taken back, as `confman ns list --deleted` shows it; the last if none is named
    #[arg(long, value_name = "DIGITS")]
    deletion: Option<String>,
}

impl Delete {
    pub(super) fn run(self, cx: &Context, connection: &Connection) -> Result<Report, CliError> {
        let namespace = &self.namespace;
        let seen = connection.wait(connection.client.seen_namespace(namespace))?;
        let listed = connection.wait(connection.client.namespaces(Some(namespace)))?;
        let keys: u64 = listed.iter().map(|one| one.keys).sum();
        let below = listed.len().saturating_sub(1);
        let keys = count(usize::try_from(keys).unwrap_or(usize::MAX), "published key");
        let question = match (self.recursive, below) {
            (true, 1..) => format!(
                "delete {namespace} and {} below it, with {keys}?",
                count(below, "namespace")
            ),
            _ => format!("delete {namespace} with {keys}?"),
        };
        cx.ui.confirm(&question, self.yes)?;
        let deleted = connection.wait(connection.client.delete_namespace(
            namespace,
            self.recursive,
            Some(&seen.commit),
        ))?;
        cx.ui.note(&format!(
            "`confman ns restore {namespace} --deletion {}` brings it back",
            deleted.deletion
        ));
        Ok(Report::one(deleted, |deleted| {
            render::namespace::moved("deleted", deleted)
        }))
    }
}

impl Restore {
    pub(super) fn run(self, connection: &Connection) -> Result<Report, CliError> {
        let restored = connection.wait(
            connection
                .client
                .restore_namespace(&self.namespace, self.deletion.as_deref()),
        )?;
        Ok(Report::one(restored, |restored| {
            render::namespace::moved("restored", restored)
        }))
    }
}
