use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use confman_api::entry::TreeEntry;
use confman_client::client::EntriesQuery;
use confman_client::git::export::{ExportError, ExportOptions, ExportReport, export};
use confman_client::reading::file::replace_shared;
use confman_model::{Format, Key, KeyError, Namespace, Revision, Value};

use crate::comparison;
use crate::context::{Connection, Context, Waiting};
use crate::error::{CliError, chain};
use crate::place::{Place, moment, name};
use crate::reading::{ReadArgs, SelectArgs, secrets, tell};
use crate::report::Report;
use crate::working_directory::namespace_or_here;

/// The branch of an exported Git history.
const BRANCH_DEFAULT: &str = "main";

/// Write the values or the history of a namespace to stdout or a file
///
/// Examples:
///   confman export /teams/payments > values.json
///   confman export /teams/payments --format yaml -o /etc/payments/config.yaml
///   confman export /teams/payments --format env --resolve --only 'db/*'
///   confman export /teams/payments --own --at "2h ago"
///   confman export /teams/payments --git | git -C repository fast-import
///
/// Writes what a service would read, or with --own what the namespace itself has. Formats:
/// json, yaml, toml, properties, env (for a shell), dotenv, and flat (a line for each
/// scalar). In env and dotenv, `stripe/api-version` becomes STRIPE_API_VERSION. Binary
/// values are base64. With --git writes the published history as a `git fast-import` stream.
///
/// References to secrets stay references unless --resolve is given; resolved values are
/// only ever printed. Where no server answers, what was kept of the last answer is used,
/// with a warning. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// As of a revision or a time
    #[arg(long, value_name = "REV", value_parser = moment, conflicts_with = "git")]
    at: Option<Revision>,

    /// Only what the namespace itself has, not what it inherits
    #[arg(long, conflicts_with = "git")]
    own: bool,

    /// How to write it
    #[arg(long, short, value_name = "FORMAT", default_value = "json", value_parser = name::<Format>, conflicts_with = "git")]
    format: Format,

    /// Replace references to secrets by the secrets
    #[arg(long, conflicts_with_all = ["git", "output"])]
    resolve: bool,

    /// Write to a file, which is replaced as a whole
    #[arg(long, short, value_name = "FILE", conflicts_with = "git")]
    output: Option<PathBuf>,

    #[command(flatten)]
    select: SelectArgs,

    #[command(flatten)]
    read: ReadArgs,

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
        let place = self.place.clone().unwrap_or_default();
        place.no_key("`confman get` prints one value")?;
        let revision = place.revision_at(self.at.clone())?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        if self.git {
            place.no_revision("a history ends with what is published now")?;
            let connection = cx.connect()?;
            let options = ExportOptions {
                namespace,
                all_commits: self.all_commits,
                branch: self.branch,
            };
            return export_git(cx, &connection, &options);
        }
        let values = self.values(cx, &namespace, revision)?;
        let mut values = self.select.selection().of(&values);
        if self.resolve {
            let secrets = secrets();
            values = Waiting::new()?.wait(secrets.resolve_all(&values))?;
        }
        let text = self.format.write(&values)?;
        match self.output {
            None => Ok(Report::bytes(text.into_bytes())),
            Some(path) => {
                replace_shared(&path, text.as_bytes()).map_err(|error| {
                    CliError::io(format!("cannot write {}", path.display()), &error)
                })?;
                cx.ui.note(&format!("wrote {}", path.display()));
                Ok(Report::nothing())
            }
        }
    }

    /// Keys and values in the order of the keys.
    fn values(
        &self,
        cx: &Context,
        namespace: &Namespace,
        revision: Option<Revision>,
    ) -> Result<Vec<(Key, Value)>, CliError> {
        let is_draft = matches!(revision, Some(Revision::Draft(_)));
        let entries = match (self.own || is_draft, revision) {
            (true, revision) => own_entries(cx, namespace, revision)?,
            (false, Some(revision)) => {
                let connection = cx.connect()?;
                let client = &connection.client;
                let document =
                    connection.wait(client.effective_document(namespace, Some(&revision)))?;
                document.entries
            }
            (false, None) => {
                let reader = self.read.reader(cx, namespace)?;
                let reading = Waiting::new()?.wait(reader.read())?;
                tell(cx, &reading);
                return Ok(reading.document.values().to_vec());
            }
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries.into_iter().filter(|entry| !entry.unset) {
            let key: Key = entry
                .key
                .parse()
                .map_err(|error: KeyError| CliError::invalid(chain(&error)))?;
            values.push((key, comparison::value_of(&entry)?));
        }
        values.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(values)
    }
}

/// The entries that the namespace itself has.
fn own_entries(
    cx: &Context,
    namespace: &Namespace,
    revision: Option<Revision>,
) -> Result<Vec<TreeEntry>, CliError> {
    let connection = cx.connect()?;
    let progress = cx.ui.progress(&format!("exporting {namespace}"));
    let query = EntriesQuery {
        revision,
        ..EntriesQuery::default()
    };
    let mut entries = Vec::new();
    for (done, entry) in (1..).zip(connection.entries(namespace, &query)) {
        entries.push(entry?);
        progress.at(done, 0);
    }
    Ok(entries)
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
