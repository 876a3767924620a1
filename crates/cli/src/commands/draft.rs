use clap::Subcommand;
use confman_model::{DraftName, Namespace};

use crate::context::Context;
use crate::draft;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::text::count;
use crate::working_directory::namespace_or_here;

/// List, show and delete drafts
///
/// Examples:
///   confman draft list /teams/payments
///   confman draft show /teams/payments raise-timeout
///   confman diff /teams/payments@draft/raise-timeout      # what it would change
///   confman draft delete /teams/payments raise-timeout
///
/// A draft begins with the first `confman set`, `unset` or `push` to it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: DraftCommand,
}

#[derive(Debug, Subcommand)]
enum DraftCommand {
    /// List the drafts of a namespace
    List {
        /// The namespace; in a working copy, its own if none is named
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
    },
    /// Show a draft: its head, where it began, and the keys it changes
    Show {
        /// The namespace
        #[arg(value_parser = name::<Namespace>)]
        namespace: Namespace,
        /// The draft; your own if none is named
        #[arg(value_parser = name::<DraftName>)]
        draft: Option<DraftName>,
    },
    /// Delete a draft with the changes in it; published values stay as they are
    Delete {
        /// The namespace
        #[arg(value_parser = name::<Namespace>)]
        namespace: Namespace,
        /// The draft
        #[arg(value_parser = name::<DraftName>)]
        draft: DraftName,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        match self.command {
            DraftCommand::List { namespace } => {
                let namespace = namespace_or_here(namespace.as_ref())?;
                let drafts = connection.wait(connection.client.drafts(&namespace))?;
                if cx.ui.json {
                    return Ok(Report::stream(
                        drafts
                            .into_iter()
                            .map(|draft| Ok(output(draft, render::draft::one))),
                    ));
                }
                Ok(Report::one(drafts, |drafts| render::draft::list(drafts)))
            }
            DraftCommand::Show { namespace, draft } => {
                let draft = draft::choose(&connection, draft)?;
                let found = connection.wait(connection.client.draft(&namespace, &draft))?;
                Ok(Report::one(found, render::draft::one))
            }
            DraftCommand::Delete {
                namespace,
                draft,
                yes,
            } => {
                let found = connection.wait(connection.client.draft(&namespace, &draft))?;
                let changes = count(found.keys.len(), "changed key");
                cx.ui.confirm(
                    &format!("delete draft `{draft}` of {namespace} with {changes}?"),
                    yes,
                )?;
                connection.wait(connection.client.delete_draft(&namespace, &draft))?;
                cx.ui.note(&format!(
                    "deleted draft `{draft}` of {namespace}; its head was {}",
                    found.head
                ));
                Ok(Report::nothing())
            }
        }
    }
}
