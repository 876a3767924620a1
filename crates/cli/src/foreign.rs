//! Values of other tools as entries of a namespace: which type each gets, and what would change.
//!
//! Tools that know no types give texts. A key that has an entry keeps its type where the text is
//! valid for it; a new key becomes a string.

use std::collections::BTreeMap;
use std::path::Path;

use confman_api::draft::Changes;
use confman_api::entry::EntryWrite;
use confman_api::problem::ProblemItem;
use confman_client::client::EntriesQuery;
use confman_client::foreign::{ForeignEntry, ForeignProblem, ForeignValue};
use confman_model::json::quote;
use confman_model::{
    Details, DraftName, Entry, EntryDiff, EntryType, EntryValue, Json, Key, Namespace, Revision,
    Value, ValueError, ValueLimits,
};
use serde_json::value::RawValue;

use crate::comparison;
use crate::context::{Connection, Context};
use crate::error::{CliError, chain, item_line, problem_item};
use crate::exit::Exit;
use crate::input::Input;
use crate::text::count;

/// Where an import comes from: a name of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A JSON object of keys and values.
    Json,
    /// A file of another tool.
    Foreign(confman_client::foreign::Foreign),
    /// A directory of Spring's.
    Spring,
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let foreign = confman_client::foreign::Foreign::ALL;
        match (text, foreign.iter().find(|(name, _)| *name == text)) {
            ("json", _) => Ok(Self::Json),
            ("spring", _) => Ok(Self::Spring),
            (_, Some((_, foreign))) => Ok(Self::Foreign(*foreign)),
            _ => {
                let names: Vec<_> = foreign.iter().map(|(name, _)| *name).collect();
                Err(format!("it is json, {} or spring", names.join(", ")))
            }
        }
    }
}

impl Source {
    /// What a file most likely is, by its name.
    pub(crate) fn of(file: &Input) -> Self {
        use confman_client::foreign::Foreign;
        let Input::File(path) = file else {
            return Self::Json;
        };
        if path.is_dir() {
            return Self::Spring;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let ending = path.extension().and_then(|ending| ending.to_str());
        match (name, ending) {
            (_, Some("yaml" | "yml")) => Self::Foreign(Foreign::Yaml),
            (_, Some("toml")) => Self::Foreign(Foreign::Toml),
            (_, Some("properties")) => Self::Foreign(Foreign::Properties),
            (Some(".env"), _) | (_, Some("env")) => Self::Foreign(Foreign::Dotenv),
            _ => Self::Json,
        }
    }
}

/// The directory of an input, for Spring.
pub(crate) fn directory(file: &Input) -> Result<&Path, CliError> {
    match file {
        Input::File(path) => Ok(path),
        Input::Stdin => Err(CliError::usage("a Spring configuration is a directory")
            .next("name it: confman import /app DIR --format spring --app NAME")),
    }
}

/// What is wrong with a source, as an error.
pub(crate) fn refused(source: &Input, problems: Vec<ForeignProblem>) -> CliError {
    let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok());
    let items = problems.into_iter().map(|problem| ProblemItem {
        detail: problem.what,
        key: problem.key,
        line: number(problem.line),
        column: number(problem.column),
        ..ProblemItem::default()
    });
    CliError {
        items: items.collect(),
        ..CliError::invalid(format!("{source} cannot be imported"))
    }
}

/// What a draft has, or what the namespace itself has published where there is no such draft.
pub(crate) fn current(
    connection: &Connection,
    namespace: &Namespace,
    draft: &DraftName,
) -> Result<BTreeMap<Key, Entry>, CliError> {
    match own_entries(connection, namespace, Some(Revision::Draft(draft.clone()))) {
        Err(error) if error.exit == Exit::NotFound => own_entries(connection, namespace, None),
        found => found,
    }
}

fn own_entries(
    connection: &Connection,
    namespace: &Namespace,
    revision: Option<Revision>,
) -> Result<BTreeMap<Key, Entry>, CliError> {
    let query = EntriesQuery {
        revision,
        ..EntriesQuery::default()
    };
    let mut entries = BTreeMap::new();
    for entry in connection.entries(namespace, &query) {
        let entry = entry?;
        let key = entry
            .key
            .parse()
            .map_err(|error: confman_model::KeyError| CliError::invalid(chain(&error)))?;
        entries.insert(key, comparison::entry_of(&entry)?);
    }
    Ok(entries)
}

/// Gives foreign entries their types. What cannot be an entry is an error, or left out and listed.
pub(crate) fn values(
    cx: &Context,
    source: &Input,
    found: Vec<ForeignEntry>,
    current: &BTreeMap<Key, Entry>,
    skip_invalid: bool,
) -> Result<BTreeMap<Key, Value>, CliError> {
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for ForeignEntry { key, value } in found {
        let parsed: Result<Key, _> = key.parse();
        let typed = match parsed {
            Err(error) => Err(vec![ProblemItem {
                detail: chain(&error),
                key: Some(key.clone()),
                ..ProblemItem::default()
            }]),
            Ok(parsed) => {
                let now = current.get(&parsed).and_then(Entry::value);
                typed(value, now.map(Value::entry_type))
                    .map(|value| (parsed, value))
                    .map_err(|error| {
                        let items = error.problems.iter();
                        items.map(|problem| problem_item(&key, problem)).collect()
                    })
            }
        };
        match typed {
            Ok((key, value)) => {
                values.insert(key, value);
            }
            Err(items) => wrong.extend(items),
        }
    }
    kept(cx, source, values, wrong, skip_invalid)
}

/// What can be an entry, where all of it can or the rest may be left out and is listed.
pub(crate) fn kept(
    cx: &Context,
    source: &Input,
    values: BTreeMap<Key, Value>,
    wrong: Vec<ProblemItem>,
    skip_invalid: bool,
) -> Result<BTreeMap<Key, Value>, CliError> {
    if wrong.is_empty() {
        return Ok(values);
    }
    if !skip_invalid {
        let next = "correct them, or leave them out with --skip-invalid";
        return Err(CliError {
            items: wrong,
            ..CliError::invalid(format!("{source} cannot be imported"))
        }
        .next(next));
    }
    cx.ui
        .warn(&format!("{} left out:", count(wrong.len(), "entry")));
    wrong.iter().for_each(|item| cx.ui.say(&item_line(item)));
    Ok(values)
}

/// A value with the type that it has there, or that its key has here.
pub(crate) fn typed(value: ForeignValue, now: Option<EntryType>) -> Result<Value, ValueError> {
    let limits = |text: &str| {
        let mut limits = ValueLimits::default();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_owned());
        limits.secret_schemes.extend(scheme);
        limits
    };
    match value {
        ForeignValue::Bytes(bytes) => Value::new(EntryType::Binary, bytes, &ValueLimits::default()),
        ForeignValue::Reference(uri) => {
            Value::new(EntryType::SecretRef, uri.as_str(), &limits(&uri))
        }
        ForeignValue::Text(text) => {
            let kept = now.and_then(|entry_type| {
                let json = match entry_type {
                    EntryType::String | EntryType::SecretRef | EntryType::Binary => quote(&text),
                    EntryType::Number | EntryType::Boolean | EntryType::Json => text.clone(),
                };
                Value::from_json(entry_type, &json, &limits(&text)).ok()
            });
            match kept {
                Some(value) => Ok(value),
                None => Value::new(EntryType::String, text, &ValueLimits::default()),
            }
        }
        ForeignValue::Typed(Json::String(text)) => {
            // Formats with types write references and bytes as texts.
            let kept = now
                .filter(|now| matches!(now, EntryType::SecretRef | EntryType::Binary))
                .and_then(|now| Value::from_json(now, &quote(&text), &limits(&text)).ok());
            match kept {
                Some(value) => Ok(value),
                None => Value::new(EntryType::String, text, &ValueLimits::default()),
            }
        }
        ForeignValue::Typed(json) => {
            let text = json.to_compact();
            Value::from_json(Value::infer(&text), &text, &ValueLimits::default())
        }
    }
}

/// What would change: values that differ in meaning, and with `prune` keys that the import lacks.
pub(crate) fn differences(
    current: &BTreeMap<Key, Entry>,
    values: &BTreeMap<Key, Value>,
    prune: bool,
) -> Result<Vec<EntryDiff>, CliError> {
    let mut diffs = Vec::new();
    for (key, value) in values {
        let now = current.get(key);
        if now
            .and_then(Entry::value)
            .is_some_and(|now| now.same_meaning(value))
        {
            continue;
        }
        let details = match now {
            Some(now) => Details {
                description: now.description().to_owned(),
                tags: now.tags().clone(),
                media_type: None,
            },
            None => Details::default(),
        };
        let entry = Entry::new(EntryValue::Value(value.clone()), details)
            .map_err(|error| CliError::invalid(chain(&error)))?;
        diffs.extend(EntryDiff::between(key, now, Some(&entry)));
    }
    if prune {
        let gone = current.iter().filter(|(key, _)| !values.contains_key(*key));
        diffs.extend(gone.filter_map(|(key, now)| EntryDiff::between(key, Some(now), None)));
    }
    diffs.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(diffs)
}

/// Differences as changes of a draft. Descriptions and tags stay as they are.
pub(crate) fn changes(
    diffs: &[EntryDiff],
) -> Result<BTreeMap<String, Option<EntryWrite>>, CliError> {
    let mut writes = BTreeMap::new();
    for diff in diffs {
        let write = match diff.new.as_ref().and_then(Entry::value) {
            None => None,
            Some(value) => Some(EntryWrite {
                entry_type: Some(value.entry_type().name().to_owned()),
                value: Some(RawValue::from_string(value.to_json()).map_err(|error| {
                    CliError::bug(format!(
                        "the value of key `{}` is no JSON: {error}",
                        diff.key
                    ))
                })?),
                unset: false,
                description: None,
                tags: None,
                media_type: None,
            }),
        };
        writes.insert(diff.key.to_string(), write);
    }
    Ok(writes)
}

/// Changes with a message, for a draft.
pub(crate) fn as_changes(
    diffs: &[EntryDiff],
    message: Option<String>,
    publish: bool,
) -> Result<Changes, CliError> {
    let changes = changes(diffs)?;
    let message = message.unwrap_or_else(|| format!("import {}", count(changes.len(), "key")));
    Ok(Changes {
        changes,
        expected_head: None,
        message: Some(message),
        publish,
        acknowledge_deprecated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: ForeignValue, now: Option<EntryType>) -> String {
        match typed(value, now) {
            Ok(value) => format!("{} {}", value.entry_type(), value.to_json()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_text_takes_the_type_of_its_key_where_it_is_valid_for_it() {
        let text = |text: &str| ForeignValue::Text(text.to_owned());
        let typed = |text: &str| ForeignValue::Typed(Json::String(text.to_owned()));
        let table = [
            shown(text("80"), None),
            shown(text("80"), Some(EntryType::Number)),
            shown(text("eighty"), Some(EntryType::Number)),
            shown(text("true"), Some(EntryType::Boolean)),
            shown(text("[1]"), Some(EntryType::Json)),
            shown(text("corp://a"), Some(EntryType::SecretRef)),
            shown(typed("corp://a"), Some(EntryType::SecretRef)),
            shown(typed("AAEC"), Some(EntryType::Binary)),
            shown(typed("80"), Some(EntryType::Number)),
            shown(ForeignValue::Reference("vault://kv/a#b".to_owned()), None),
            shown(ForeignValue::Bytes(vec![0]), None),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        string "80"
        number 80
        string "eighty"
        boolean true
        json [1]
        secret-ref "corp://a"
        secret-ref "corp://a"
        binary "AAEC"
        string "80"
        secret-ref "vault://kv/a#b"
        binary "AA=="
        "#);
    }

    #[test]
    fn sources_are_told_by_their_names() {
        use confman_client::foreign::Foreign;
        let of = |path: &str| Source::of(&Input::File(path.into()));
        assert_eq!(of("a.yml"), Source::Foreign(Foreign::Yaml));
        assert_eq!(of(".env"), Source::Foreign(Foreign::Dotenv));
        assert_eq!(of("x.json"), Source::Json);
        assert_eq!("consul".parse(), Ok(Source::Foreign(Foreign::Consul)));
        assert!("ini".parse::<Source>().is_err());
    }
}
