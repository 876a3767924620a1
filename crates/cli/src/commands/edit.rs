use confman_api::entry::EntryWrite;
use confman_model::{DraftName, EntryType, Key, Namespace, Value};
use serde_json::value::RawValue;

use crate::comparison;
use crate::context::{Connection, Context};
use crate::draft::{self, Target};
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::{Place, name};
use crate::report::Report;
use crate::value::read_value;

/// Change a value in your editor
///
/// Examples:
///   confman edit /teams/payments:limits
///   confman edit /teams/payments:motd -m "new opening hours"
///   confman edit /teams/payments:limits --publish -m "raise"
///
/// Opens what the draft has under the key, else what is published, in $VISUAL or $EDITOR.
/// What you save goes into the draft (your own, or --draft NAME) when the editor ends;
/// what is not valid is opened again. Nothing is written where nothing changed, or where
/// the draft moved meanwhile. Undo: before publishing, `confman draft delete`; after it,
/// `confman rollback`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// Type of a new key, string if not given; or another type for one that there is
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = name::<EntryType>)]
    entry_type: Option<EntryType>,

    #[command(flatten)]
    options: draft::Options,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let target = self
            .options
            .target(cx, &self.place, "confman edit /teams/payments:limits")?;
        let Target {
            connection,
            namespace,
            draft,
            key,
        } = &target;
        let seen = Seen::of(connection, namespace, key, draft)?;
        let entry_type = self
            .entry_type
            .or(seen.entry_type)
            .unwrap_or(EntryType::String);
        if entry_type == EntryType::Binary {
            return Err(CliError::usage("a binary value is not for an editor")
                .next(format!("`confman set {namespace}:{key} @FILE`")));
        }
        let value = edited(cx, key, entry_type, &seen.bytes)?;
        if seen.entry_type == Some(entry_type) && value.bytes() == seen.bytes.as_slice() {
            cx.ui.note("nothing changed");
            return Ok(Report::nothing());
        }
        let json = RawValue::from_string(value.to_json())
            .map_err(|error| CliError::bug(format!("cannot write the value as JSON: {error}")))?;
        let write = EntryWrite {
            entry_type: Some(entry_type.name().to_owned()),
            value: Some(json),
            unset: false,
            description: None,
            tags: None,
            media_type: None,
        };
        // What was opened is what this is a change of.
        self.options
            .write(cx, &target, Some(write), Some(seen.head))
    }
}

/// What the key has now, and the head of the draft, empty where there is none.
struct Seen {
    entry_type: Option<EntryType>,
    bytes: Vec<u8>,
    head: String,
}

impl Seen {
    fn of(
        connection: &Connection,
        namespace: &Namespace,
        key: &Key,
        draft: &DraftName,
    ) -> Result<Self, CliError> {
        let head = absent(connection.wait(connection.client.draft(namespace, draft)))?
            .map(|draft| draft.head)
            .unwrap_or_default();
        let entry = absent(connection.wait(connection.client.entry(namespace, key, Some(draft))))?;
        let own = entry.and_then(|entry| {
            let drafted = entry.draft.and_then(|side| side.value);
            let value = drafted.or_else(|| entry.published.and_then(|side| side.value))?;
            Some((entry.entry_type?, value))
        });
        let found = match own {
            Some(own) => Some(own),
            None => {
                absent(connection.wait(connection.client.effective_entry(namespace, key, None)))?
                    .and_then(|entry| Some((entry.entry_type?, entry.value?)))
            }
        };
        let Some((entry_type, value)) = found else {
            return Ok(Self {
                entry_type: None,
                bytes: Vec::new(),
                head,
            });
        };
        let value = comparison::value_from(key.as_str(), &entry_type, &value)?;
        Ok(Self {
            entry_type: Some(value.entry_type()),
            bytes: value.bytes().to_vec(),
            head,
        })
    }
}

/// Nothing, where there is nothing.
fn absent<T>(answer: Result<T, CliError>) -> Result<Option<T>, CliError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.exit == Exit::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens the value until what is saved is one.
fn edited(cx: &Context, key: &Key, entry_type: EntryType, bytes: &[u8]) -> Result<Value, CliError> {
    let mut text = bytes.to_vec();
    loop {
        let saved = editor::edit(cx, entry_type, &text)?;
        match read_value(key, entry_type, &saved) {
            Ok(value) => return Ok(value),
            Err(error) if saved == text => return Err(error),
            Err(error) => {
                cx.ui.error(&error);
                cx.ui.confirm("edit it again?", false)?;
                text = saved;
            }
        }
    }
}
