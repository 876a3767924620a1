use std::path::{Path, PathBuf};

use confman_api::entry::EntryWrite;
use confman_model::value::VALUE_BYTES_CEILING;
use confman_model::{DraftName, EntryType, Key, Namespace, Value};
use serde_json::value::RawValue;

use crate::context::{Connection, Context};
use crate::draft::{self, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::input::Input;
use crate::place::{Place, name};
use crate::report::Report;
use crate::value::read_value;

/// Write a value into a draft
///
/// Examples:
///   confman set /teams/payments:stripe/api-version 2025-01-01 -m "new API"
///   confman set /teams/payments:limits/daily 100 --type number
///   confman set /teams/payments:limits - --type json --publish -m "raise" < limits.json
///   confman set /teams/payments:logo @logo.png --type binary --media-type image/png
///   confman set /teams/payments:db/password vault://kv/payments#db --type secret-ref
///
/// Changes a draft: your own, or --draft NAME. Services go on reading what is published
/// until `confman publish`; --publish does both in one step, where rights and settings
/// allow.
///
/// Undo: before publishing, `confman draft delete`; after it, `confman rollback`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// The value; `-` reads it from stdin, and a binary one comes from stdin or @FILE
    #[arg(allow_hyphen_values = true)]
    value: String,

    /// Type: string, number, boolean, json, binary or secret-ref. Without it, the type the
    /// key has, and string for a new key
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = name::<EntryType>)]
    entry_type: Option<EntryType>,

    #[command(flatten)]
    options: draft::Options,

    /// What the entry is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// A word to find it by; repeat for more. They replace those it has
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Media type of a binary value, as in image/png
    #[arg(long, value_name = "TYPE/SUBTYPE")]
    media_type: Option<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let target =
            self.options
                .target(cx, &self.place, "confman set /teams/payments:limits 100")?;
        let Target {
            connection,
            namespace,
            draft,
            key,
        } = &target;
        let entry_type = match self.entry_type {
            Some(entry_type) => entry_type,
            None => known_type(connection, namespace, key, draft)?.unwrap_or_else(|| {
                hint_at_type(cx, &self.value);
                EntryType::String
            }),
        };
        let bytes = Source::of(&self.value, entry_type).read()?;
        if entry_type == EntryType::String && self.value == "-" && bytes.ends_with(b"\n") {
            cx.ui
                .detail("the value ends with a line end, which is part of it");
        }
        let value = to_json(entry_type, bytes, key)?;
        let write = EntryWrite {
            entry_type: Some(entry_type.name().to_owned()),
            value: Some(value),
            unset: false,
            description: self.description,
            tags: (!self.tags.is_empty()).then_some(self.tags),
            media_type: self.media_type,
        };
        self.options.write(cx, &target, Some(write), None)
    }
}

/// Where the bytes of a value come from.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    /// The argument itself.
    Argument(&'a str),
    /// Standard input.
    Stdin,
    /// A file; only of binary values, because text may well begin with `@`.
    File(&'a Path),
}

impl<'a> Source<'a> {
    fn of(value: &'a str, entry_type: EntryType) -> Self {
        match (value, value.strip_prefix('@')) {
            ("-", _) => Self::Stdin,
            (_, Some(path)) if entry_type == EntryType::Binary => Self::File(Path::new(path)),
            _ => Self::Argument(value),
        }
    }

    fn read(&self) -> Result<Vec<u8>, CliError> {
        match self {
            Self::Argument(value) => Ok(value.as_bytes().to_vec()),
            Self::Stdin => Input::Stdin.read_all(VALUE_BYTES_CEILING),
            Self::File(path) => Input::File(PathBuf::from(path)).read_all(VALUE_BYTES_CEILING),
        }
    }
}

/// The type the key has now: in the draft, as published, or as inherited.
fn known_type(
    connection: &Connection,
    namespace: &Namespace,
    key: &Key,
    draft: &DraftName,
) -> Result<Option<EntryType>, CliError> {
    let own = match connection.wait(connection.client.entry(namespace, key, Some(draft))) {
        Ok(entry) => entry.entry_type,
        Err(error) if error.exit == Exit::NotFound => None,
        Err(error) => return Err(error),
    };
    let entry_type = match own {
        Some(own) => Some(own),
        None => match connection.wait(connection.client.effective_entry(namespace, key, None)) {
            Ok(entry) => entry.entry_type,
            Err(error) if error.exit == Exit::NotFound => None,
            Err(error) => return Err(error),
        },
    };
    Ok(entry_type.and_then(|entry_type| entry_type.parse().ok()))
}

/// A new key gets a string where no type is named; says so where that may surprise.
fn hint_at_type(cx: &Context, value: &str) {
    let inferred = Value::infer(value);
    let is_json = serde_json::from_str::<&RawValue>(value).is_ok();
    if is_json && inferred != EntryType::String {
        cx.ui.warn(&format!(
            "`{value}` is stored as a string; --type {inferred} makes it a {inferred}"
        ));
    }
}

/// The value in JSON, as the API takes it, with everything that is wrong with it. The server knows the limits
/// and schemes that hold here; this checks what holds everywhere.
fn to_json(entry_type: EntryType, bytes: Vec<u8>, key: &Key) -> Result<Box<RawValue>, CliError> {
    let value = read_value(key, entry_type, &bytes)?;
    RawValue::from_string(value.to_json())
        .map_err(|error| CliError::bug(format!("cannot write the value as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_they_say() {
        assert_eq!(Source::of("-", EntryType::String), Source::Stdin);
        assert_eq!(Source::of("-5", EntryType::Number), Source::Argument("-5"));
        assert_eq!(
            Source::of("@team", EntryType::String),
            Source::Argument("@team")
        );
        assert_eq!(
            Source::of("@a.png", EntryType::Binary),
            Source::File(Path::new("a.png"))
        );
    }

    fn json(entry_type: EntryType, bytes: &str) -> String {
        match to_json(entry_type, bytes.as_bytes().to_vec(), &"k".parse().unwrap()) {
            Ok(json) => json.get().to_owned(),
            Err(error) => error.to_text().to_plain(),
        }
    }

    #[test]
    fn values_become_json_digit_for_digit() {
        assert_eq!(json(EntryType::String, "a \"b\"\n"), r#""a \"b\"\n""#);
        assert_eq!(json(EntryType::Number, " 1.00\n"), "1.00");
        assert_eq!(json(EntryType::Boolean, "true\n"), "true");
        assert_eq!(
            json(EntryType::Json, "{ \"b\": 1,\n \"a\": 2.0 }\n"),
            "{ \"b\": 1,\n \"a\": 2.0 }"
        );
        assert_eq!(json(EntryType::Binary, "\0"), r#""AA==""#);
        assert_eq!(json(EntryType::SecretRef, "aws://x\n"), r#""aws://x""#);
    }

    #[test]
    fn what_is_wrong_with_a_value_says_where() {
        insta::assert_snapshot!(json(EntryType::Json, "{\"a\": 1,\n \"a\": 2}"), @"
        error: the value is no valid json
          k 2:2 /a: key `a` is there already, at line 1, column 2
        ");
        insta::assert_snapshot!(json(EntryType::Number, "NaN"), @"
        error: the value is no valid number
          k 1:1: `NaN` is not a JSON number
        ");
    }
}
