use std::path::PathBuf;

use confman_client::WorkingCopy;
use confman_client::working_copy::{CloneOptions, Placed};
use confman_model::{DraftName, Namespace};
use serde::Serialize;

use crate::context::Context;
use crate::draft;
use crate::error::CliError;
use crate::place::name;
use crate::report::Report;
use crate::text::{Role, Text, short};
use crate::transfer;

/// Copy a namespace into files
///
/// Examples:
///   confman clone /teams/payments
///   confman clone /teams -r config
///   confman clone /teams/payments --draft raise-timeout
///
/// Makes a directory with entries.json, and files/ for long values. Edit them, then
/// `confman status`, `diff` and `push`. Keeps what it fetched, so that everything but
/// pull and push works without the server.
///
/// Undo: remove the directory.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    pub(crate) namespace: Namespace,

    /// Where to; the last part of the namespace if not given
    directory: Option<PathBuf>,

    /// Also every namespace below, each in a directory of its own
    #[arg(long, short)]
    recursive: bool,

    /// The draft to push to, checked out if it exists; your own if none is named
    #[arg(long, value_name = "NAME", value_parser = name::<DraftName>)]
    draft: Option<DraftName>,

    /// Fetch the values of all of the history, not only its commits
    #[arg(long)]
    full_history: bool,
}

/// What `--json` prints of a working copy.
#[derive(Serialize)]
struct Cloned {
    directory: PathBuf,
    draft: String,
    namespaces: Vec<ClonedNamespace>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClonedNamespace {
    namespace: String,
    directory: PathBuf,
    base: Option<String>,
    on_draft: bool,
}

impl Args {
    /// A clone with a draft checked out.
    pub(crate) fn of_draft(
        namespace: &str,
        draft: &str,
        directory: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        let as_agreed = |what: &str| CliError::bug(format!("the server names {what}"));
        Ok(Self {
            namespace: namespace
                .parse()
                .map_err(|_| as_agreed("a namespace that is none"))?,
            directory,
            recursive: false,
            draft: Some(
                draft
                    .parse()
                    .map_err(|_| as_agreed("a draft that is none"))?,
            ),
            full_history: false,
        })
    }

    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let directory = match (self.directory, self.namespace.name()) {
            (Some(directory), _) => directory,
            (None, Some(name)) => PathBuf::from(name),
            (None, None) => {
                return Err(CliError::usage("the root has no name for a directory")
                    .next("confman clone / DIRECTORY"));
            }
        };
        let connection = cx.connect()?;
        let options = CloneOptions {
            recursive: self.recursive,
            draft: draft::choose(&connection, self.draft)?,
            full_history: self.full_history,
        };
        let progress = cx.ui.progress(&format!("cloning {}", self.namespace));
        let show = |at| transfer::show(&progress, at);
        let copy = connection.wait(WorkingCopy::clone(
            &connection.client,
            &self.namespace,
            &directory,
            &options,
            &show,
        ));
        drop(progress);
        let copy = copy?;
        let cloned = Cloned {
            directory,
            draft: options.draft.to_string(),
            namespaces: copy.namespaces().iter().map(cloned_namespace).collect(),
        };
        Ok(Report::one(cloned, render))
    }
}

fn cloned_namespace(placed: &Placed) -> ClonedNamespace {
    ClonedNamespace {
        namespace: placed.namespace.to_string(),
        directory: placed.directory.clone(),
        base: placed.base.as_ref().map(ToString::to_string),
        on_draft: placed.on_draft,
    }
}

fn render(cloned: &Cloned) -> Text {
    let mut text = Text::new();
    for namespace in &cloned.namespaces {
        let directory = cloned.directory.join(&namespace.directory);
        text.plain(&format!("cloned {} into ", namespace.namespace));
        text.push(Role::Heading, &directory.display().to_string());
        match &namespace.base {
            None => text.faint(" (nothing is published yet)"),
            Some(base) => {
                let from = if namespace.on_draft {
                    format!("draft/{}", cloned.draft)
                } else {
                    "published".to_owned()
                };
                text.faint(&format!(" from {from} at "))
                    .push(Role::Id, short(base))
            }
        };
        text.end_line();
    }
    text
}
