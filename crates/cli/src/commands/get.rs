use confman_api::entry::TreeEntry;
use confman_client::client::EntriesQuery;
use confman_model::{EntryType, Key, Namespace, Revision};

use crate::comparison;
use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::Place;
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
/// with control characters escaped, and a line end. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]:KEY
    #[arg(value_name = "ADDRESS")]
    place: Place,

    /// As of a revision or a time, as in `published~3`, `2026-11-20T10:00Z`, `2h ago`
    #[arg(long, value_name = "REV", value_parser = crate::place::moment)]
    at: Option<Revision>,

    /// Only what the namespace itself has, not what it inherits
    #[arg(long)]
    own: bool,

    /// Also say where the value comes from, and what is said about it
    #[arg(long)]
    origin: bool,
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
            false => connection.wait(connection.client.effective_entry(
                &namespace,
                &key,
                revision.as_ref(),
            ))?,
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
