use std::io::{self, BufWriter, Write};

use confman_client::client::EntriesQuery;
use confman_client::git::export::{ExportError, ExportOptions, ExportReport, export};
use confman_model::{Namespace, Revision};

use crate::context::{Connection, Context, pages};
use crate::error::CliError;
use crate::place::{Place, moment};
use crate::report::Report;
use crate::working_directory::namespace_or_here;

/// The branch of an exported Git history.
const BRANCH_DEFAULT: &str = "main";

/// Write the values or the history of a namespace to stdout
///
/// Examples:
///   confman export /teams/payments > values.json
///   confman export /teams/payments --own --at "2h ago"
///   confman export /teams/payments --git | git -C repository fast-import
///
/// Writes one JSON object of keys and values: those a service would read, or with --own
/// those that the namespace itself has. Binary values are base64. With --git writes the
/// published history as a `git fast-import` stream. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    place: Option<Place>,

    /// As of a revision or a time
    #[arg(long, value_name = "REV", value_parser = moment, conflicts_with = "git")]
    at: Option<Revision>,

    /// Only what the namespace itself has, not what it inherits
    #[arg(long, conflicts_with = "git")]
    own: bool,

    /// Write the published history as a `git fast-import` stream
    #[arg(long)]
    git: bool,

    /// Write every commit with all of its parents, not only the published line
    #[arg(long, requires = "git", conflicts_with_all = ["at", "own"])]
    all_commits: bool,

    /// The branch that the stream writes
    #[arg(long, value_name = "NAME", default_value = BRANCH_DEFAULT, requires = "git")]
    branch: String,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.unwrap_or_default();
        place.no_key("`confman get` prints one value")?;
        let revision = place.revision_at(self.at)?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let connection = cx.connect()?;
        if self.git {
            place.no_revision("a history ends with what is published now")?;
            let options = ExportOptions {
                namespace,
                all_commits: self.all_commits,
                branch: self.branch,
            };
            return export_git(cx, &connection, &options);
        }
        let is_draft = matches!(revision, Some(Revision::Draft(_)));
        let mut document = match self.own || is_draft {
            true => own_values(cx, &connection, &namespace, revision)?,
            false => {
                let values = connection.wait(
                    connection
                        .client
                        .effective_values(&namespace, revision.as_ref()),
                )?;
                values.get().as_bytes().to_vec()
            }
        };
        document.push(b'\n');
        Ok(Report::bytes(document))
    }
}

/// The namespace's own values as one JSON object, one a line, in their authors' bytes.
fn own_values(
    cx: &Context,
    connection: &Connection,
    namespace: &Namespace,
    revision: Option<Revision>,
) -> Result<Vec<u8>, CliError> {
    let progress = cx.ui.progress(&format!("exporting {namespace}"));
    let query = EntriesQuery {
        revision,
        ..EntriesQuery::default()
    };
    let entries = pages(None, |cursor: Option<&str>| {
        let page = connection.wait(connection.client.entries(namespace, &query, cursor))?;
        Ok((page.items, page.next))
    });
    let mut document = b"{".to_vec();
    let mut done = 0;
    for entry in entries {
        let entry = entry?;
        let Some(value) = entry.value else { continue };
        document.extend_from_slice(if done == 0 { b"\n  " } else { b",\n  " });
        document.extend_from_slice(confman_model::json::quote(&entry.key).as_bytes());
        document.extend_from_slice(b": ");
        document.extend_from_slice(value.get().as_bytes());
        done += 1;
        progress.at(done, 0);
    }
    document.extend_from_slice(if done == 0 { b"}" } else { b"\n}" });
    Ok(document)
}

fn export_git(
    cx: &Context,
    connection: &Connection,
    options: &ExportOptions,
) -> Result<Report, CliError> {
    if cx.ui.is_terminal() {
        return Err(CliError::usage("a Git stream is not for a terminal")
            .next("redirect it, or pipe it: … | git fast-import"));
    }
    let progress = cx.ui.progress(&format!("exporting {}", options.namespace));
    let show = |at: ExportReport| progress.at(at.commits, 0);
    let mut out = BufWriter::new(io::stdout());
    let exported = connection.wait(async {
        match export(&connection.client, options, &mut out, &show).await {
            // Whoever read this has seen enough.
            Err(ExportError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            exported => exported.map(Some),
        }
    })?;
    drop(progress);
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(CliError::io("cannot write to stdout", &error));
        }
        _ => {}
    }
    if let Some(done) = exported {
        cx.ui.note(&format!(
            "exported {} commits, {} blobs, {} bytes",
            done.commits, done.blobs, done.bytes
        ));
    }
    Ok(Report::nothing())
}
