//! Differences between the API's documents and the model's types, both ways.
//!
//! What a server says is shown even where this version would not accept it as input: limits and
//! schemes of secrets are the server's business.

use confman_api::commit::{Comparison, EntryChange};
use confman_api::entry::TreeEntry;
use confman_model::value::VALUE_BYTES_CEILING;
use confman_model::{
    Details, DiffKind, Entry, EntryDiff, EntryType, EntryValue, Key, Value, ValueLimits,
};
use serde_json::value::RawValue;

use crate::error::{CliError, chain};

/// The differences of a comparison, by meaning.
pub(crate) fn diffs(comparison: &Comparison) -> Result<Vec<EntryDiff>, CliError> {
    diffs_of(&comparison.changes)
}

/// The differences of keys that differ, by meaning.
pub(crate) fn diffs_of(changes: &[EntryChange]) -> Result<Vec<EntryDiff>, CliError> {
    let mut diffs = Vec::with_capacity(changes.len());
    for change in changes {
        let key: Key = change
            .key
            .parse()
            .map_err(|error| not_as_agreed(&change.key, &error))?;
        let side = |entry: &Option<TreeEntry>| entry.as_ref().map(entry_of).transpose();
        let (old, new) = (side(&change.old)?, side(&change.new)?);
        diffs.extend(EntryDiff::between(&key, old.as_ref(), new.as_ref()));
    }
    Ok(diffs)
}

/// A difference as the API writes it.
pub(crate) fn change_of(diff: &EntryDiff) -> Result<EntryChange, CliError> {
    let side = |entry: &Option<Entry>| {
        entry
            .as_ref()
            .map(|entry| tree_entry_of(&diff.key, entry))
            .transpose()
    };
    Ok(EntryChange {
        key: diff.key.to_string(),
        kind: kind_name(diff.kind).to_owned(),
        old: side(&diff.old)?,
        new: side(&diff.new)?,
    })
}

/// The name of a kind in the API.
fn kind_name(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Added => "added",
        DiffKind::Removed => "removed",
        DiffKind::Changed => "changed",
        DiffKind::FormatOnly => "format-only",
    }
}

/// The entry that a document of the API describes.
pub(crate) fn entry_of(entry: &TreeEntry) -> Result<Entry, CliError> {
    let value = match entry.unset {
        true => EntryValue::Unset,
        false => EntryValue::Value(value_of(entry)?),
    };
    let details = Details {
        description: entry.description.clone(),
        tags: entry.tags.iter().cloned().collect(),
        media_type: entry.media_type.clone(),
    };
    Entry::new(value, details).map_err(|error| not_as_agreed(&entry.key, &error))
}

/// The value of an entry that has one.
pub(crate) fn value_of(entry: &TreeEntry) -> Result<Value, CliError> {
    let (Some(entry_type), Some(json)) = (&entry.entry_type, &entry.value) else {
        return Err(CliError::bug(format!(
            "the server sent no value for key `{}`",
            entry.key
        )));
    };
    value_from(&entry.key, entry_type, json)
}

/// The value of a key that the API writes like this.
pub(crate) fn value_from(key: &str, entry_type: &str, json: &RawValue) -> Result<Value, CliError> {
    let entry_type: EntryType = entry_type
        .parse()
        .map_err(|error| not_as_agreed(key, &error))?;
    match entry_type {
        EntryType::String | EntryType::SecretRef => {
            let text: String =
                serde_json::from_str(json.get()).map_err(|error| not_as_agreed(key, &error))?;
            Value::from_stored(entry_type, text.into_bytes())
        }
        EntryType::Number | EntryType::Boolean | EntryType::Json => {
            Value::from_stored(entry_type, json.get().as_bytes().to_vec())
        }
        EntryType::Binary => {
            let limits = ValueLimits {
                value_bytes_max: VALUE_BYTES_CEILING,
                ..ValueLimits::default()
            };
            Value::from_json(entry_type, json.get(), &limits)
        }
    }
    .map_err(|error| not_as_agreed(key, &error))
}

/// An entry as the API writes it.
pub(crate) fn tree_entry_of(key: &Key, entry: &Entry) -> Result<TreeEntry, CliError> {
    let value = entry.value();
    let json = value
        .map(|value| RawValue::from_string(value.to_json()))
        .transpose();
    Ok(TreeEntry {
        key: key.to_string(),
        entry_type: value.map(|value| value.entry_type().name().to_owned()),
        value: json.map_err(|error| {
            CliError::bug(format!("the value of key `{key}` is no JSON: {error}"))
        })?,
        unset: entry.is_unset(),
        size: u64::try_from(value.map_or(0, |value| value.bytes().len())).unwrap_or(u64::MAX),
        description: entry.description().to_owned(),
        tags: entry.tags().iter().cloned().collect(),
        media_type: entry.media_type().map(str::to_owned),
        namespace: None,
    })
}

fn not_as_agreed(key: &str, error: &dyn std::error::Error) -> CliError {
    CliError::invalid(format!(
        "the server sent something for key `{key}` that this version does not understand"
    ))
    .because(chain(error))
    .next("`confman version --remote` shows both versions")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_entry(json: &str) -> TreeEntry {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn entries_survive_both_ways() {
        for json in [
            r#"{"key":"a","type":"string","value":"é\n","size":3}"#,
            r#"{"key":"a","type":"number","value":1.00,"size":4}"#,
            r#"{"key":"a","type":"boolean","value":true,"size":4}"#,
            r#"{"key":"a","type":"json","value":{"b": [1, 2.0]},"size":15}"#,
            r#"{"key":"a","type":"binary","value":"AAEC","size":3,"mediaType":"image/png"}"#,
            r#"{"key":"a","type":"secret-ref","value":"aws://x","size":7,"description":"d","tags":["x","y"]}"#,
            r#"{"key":"a","unset":true,"size":0}"#,
        ] {
            let entry = entry_of(&tree_entry(json)).unwrap();
            let back = tree_entry_of(&"a".parse().unwrap(), &entry).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), json);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = entry_of(&tree_entry(
            r#"{"key":"a","type":"date","value":"x","size":1}"#,
        ))
        .unwrap_err();
        assert!(error.what.contains("`a`"), "{}", error.what);
    }
}
