use confman_api::entry::TreeEntry;
use confman_client::client::EntriesQuery;
use confman_client::reading::{ReadError, Source};
use confman_model::{EntryType, Key, Namespace, Revision};

use crate::comparison;
use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::Place;
use crate::reading::{ReadArgs, kept_warning};
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// Print the value of a key
///
/// Examples:
///   confman get /teams/payments:stripe/api-version
///   confman get /teams/payments:limits --at "2h ago"
///   confman get /teams/payments@draft/raise:limits --own
///   confman get /teams/payments:logo > logo.png
///   confman get :limits --origin                 # in a working copy: of its namespace
///
/// Prints the effective published value: that of the nearest namespace, from this one
/// up, that has the key. Files and pipes get exactly its bytes; a terminal gets them
/// with control characters escaped, and a line end. Where no server answers, what
/// `run`, `export` or `watch` kept of the namespace is used, with a warning that says
/// how old it is. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// As of a revision or a time, as in `published~3`, `2026-11-20T10:00Z`, `2h ago`
    #[arg(long, value_name = "REV", value_parser = crate::place::moment)]
    at: Option<Revision>,

    /// Only what the namespace itself has, not what it inherits
    #[arg(long)]
    own: bool,

    /// Also say where the value comes from, and what is said about it
    #[arg(long)]
    origin: bool,

    #[command(flatten)]
    read: ReadArgs,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let key = self
            .place
            .need_key("confman get /teams/payments:limits")?
            .clone();
        let revision = self.place.revision_at(self.at)?;
        let namespace = namespace_or_here(self.place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let entry = match self.own {
            true => own_entry(&connection, &namespace, &key, revision.as_ref())?,
            false => {
                let answer = connection.wait(connection.client.effective_entry(
                    &namespace,
                    &key,
                    revision.as_ref(),
                ));
                match answer {
                    Err(error)
                        if error.exit == Exit::Unreachable
                            && revision.is_none()
                            && self.read.may_fall_back() =>
                    {
                        kept_entry(cx, &self.read, &namespace, &key, error)?
                    }
                    answer => answer?,
                }
            }
        };
        if self.origin {
            return Ok(Report::one(entry, render::entry::origin));
        }
        if entry.unset {
            return Err(CliError::new(
                Exit::NotFound,
                format!("key `{key}` is unset in {namespace}"),
            )
            .next(format!(
                "`confman history {namespace}:{key}` shows what it was"
            )));
        }
        let value = comparison::value_of(&entry)?;
        let is_text = value.entry_type() != EntryType::Binary;
        Ok(Report::value(
            value.bytes().to_vec(),
            is_text,
            output(entry, render::entry::origin),
        ))
    }
}

/// The entry as it was kept when a server last answered.
fn kept_entry(
    cx: &Context,
    read: &ReadArgs,
    namespace: &Namespace,
    key: &Key,
    away: CliError,
) -> Result<TreeEntry, CliError> {
    let reader = read.reader(cx, namespace)?;
    let Some(kept) = reader.kept().map_err(|problem| ReadError::Mirror {
        away: Box::new(ReadError::Away { tried: Vec::new() }),
        problem,
    })?
    else {
        return Err(away);
    };
    if let Source::Kept { age, .. } = kept.source {
        cx.ui.warn(&kept_warning(&kept.document, age, &away.what));
    }
    match kept.document.entry(key.as_str()) {
        Ok(entry) => Ok(entry.clone()),
        Err(error) => Err(CliError::new(Exit::NotFound, error.to_string())),
    }
}

/// The entry that a namespace itself has. Of the keys that begin with `key`, `key` is the first.
fn own_entry(
    connection: &Connection,
    namespace: &Namespace,
    key: &Key,
    revision: Option<&Revision>,
) -> Result<TreeEntry, CliError> {
    let query = EntriesQuery {
        revision: revision.cloned(),
        prefix: Some(key.to_string()),
        without_values: false,
        limit: Some(1),
    };
    let page = connection.wait(connection.client.entries(namespace, &query, None))?;
    page.items
        .into_iter()
        .find(|entry| entry.key == key.as_str())
        .ok_or_else(|| {
            CliError::new(
                Exit::NotFound,
                format!("{namespace} itself has no key `{key}`"),
            )
            .next(format!(
                "`confman get {namespace}:{key} --origin` also looks at what it inherits"
            ))
        })
}
