//! Entries: own, effective, listed, and as they are written.

use std::collections::BTreeMap;

use confman_api::entry::{
    ConfigEntry, DraftValue, EffectiveDocument, EntryMetadata, EntryWrite, PublishedValue,
    TreeEntry,
};
use confman_repo::model::{Entry, EntryType, Key, Value, ValueLimits};
use confman_repo::{
    self as repo, CompiledDocument, CompiledEntry, EntryEdit, Error, Problem, ValueEdit,
};
use serde_json::value::RawValue;

use super::time;
use crate::error::ApiError;

/// State of an entry in a draft that no publish request has.
const STATE_DRAFT: &str = "draft";

/// The JSON form of a value.
pub(crate) fn json(value: &Value) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(value.to_json())
        .map_err(|error| ApiError::internal(format!("a stored value has no JSON form: {error}")))
}

fn json_of(entry: &Entry) -> Result<Option<Box<RawValue>>, ApiError> {
    entry.value().map(json).transpose()
}

/// An entry as its namespace has it.
pub(crate) fn config_entry(found: &repo::ConfigEntry) -> Result<ConfigEntry, ApiError> {
    let current = found.current();
    let published = match &found.published {
        None => None,
        Some(side) => Some(PublishedValue {
            value: json_of(&side.entry)?,
            unset: side.entry.is_unset(),
            version: side.version,
            published_at: time::utc(side.published.at_ms),
            published_by: side.published.by.clone(),
            publish_request_id: super::request_id(side.request),
        }),
    };
    let draft = match &found.draft {
        None => None,
        Some(side) => Some(DraftValue {
            value: side.entry.as_ref().map(json_of).transpose()?.flatten(),
            unset: side.entry.as_ref().is_some_and(Entry::is_unset),
            version: side.version,
            state: STATE_DRAFT.to_owned(),
            updated_at: time::utc(side.updated.at_ms),
            updated_by: side.updated.by.clone(),
            publish_request_id: None,
            name: side.name.to_string(),
        }),
    };
    Ok(ConfigEntry {
        namespace: found.namespace.to_string(),
        key: found.key.to_string(),
        entry_type: current.and_then(type_name),
        description: current
            .map(|entry| entry.description().to_owned())
            .unwrap_or_default(),
        media_type: current.and_then(Entry::media_type).map(str::to_owned),
        published,
        draft,
        metadata: EntryMetadata {
            created: time::utc(found.created.at_ms),
            created_by: found.created.by.clone(),
            tags: current
                .map(|entry| entry.tags().iter().cloned().collect())
                .unwrap_or_default(),
        },
    })
}

/// The name of an entry's type; a tombstone has none.
pub(crate) fn type_name(entry: &Entry) -> Option<String> {
    entry
        .value()
        .map(|value| value.entry_type().name().to_owned())
}

/// An entry of a tree.
pub(crate) fn tree_entry(entry: &repo::TreeEntry) -> Result<TreeEntry, ApiError> {
    Ok(TreeEntry {
        key: entry.key.to_string(),
        entry_type: entry
            .entry_type
            .map(|entry_type| entry_type.name().to_owned()),
        value: entry.value.as_ref().map(json).transpose()?,
        unset: entry.entry_type.is_none(),
        size: entry.size,
        description: entry.details.description.clone(),
        tags: entry.details.tags.iter().cloned().collect(),
        media_type: entry.details.media_type.clone(),
        namespace: None,
    })
}

/// An effective entry with where it comes from.
pub(crate) fn effective_entry(found: &repo::EffectiveEntry) -> Result<TreeEntry, ApiError> {
    let namespace = Some(found.from.namespace.to_string());
    Ok(TreeEntry {
        namespace,
        ..tree_entry(&found.entry)?
    })
}

/// An entry of a compiled document with where it comes from.
pub(crate) fn compiled_entry(
    document: &CompiledDocument,
    entry: &CompiledEntry,
) -> Result<TreeEntry, ApiError> {
    let origin = document.origin(entry);
    let details = entry.details();
    Ok(TreeEntry {
        key: entry.key.to_string(),
        entry_type: Some(entry.value.entry_type().name().to_owned()),
        value: Some(json(&entry.value)?),
        unset: false,
        size: entry.value.bytes().len() as u64,
        description: details
            .map(|details| details.description.clone())
            .unwrap_or_default(),
        tags: details
            .map(|details| details.tags.iter().cloned().collect())
            .unwrap_or_default(),
        media_type: details.and_then(|details| details.media_type.clone()),
        namespace: origin.map(|link| link.namespace.to_string()),
    })
}

/// Some entries of a compiled document with where each comes from.
pub(crate) fn compiled_document(
    document: &CompiledDocument,
    entries: &[CompiledEntry],
) -> Result<EffectiveDocument, ApiError> {
    Ok(EffectiveDocument {
        namespace: document.namespace.to_string(),
        basis: document.basis.to_string(),
        entries: entries
            .iter()
            .map(|entry| compiled_entry(document, entry))
            .collect::<Result<_, _>>()?,
    })
}

/// Reads what keys become. Everything that is wrong with any of them is reported at once.
pub(crate) fn edits(
    changes: &BTreeMap<String, Option<EntryWrite>>,
    limits: &ValueLimits,
) -> Result<BTreeMap<Key, EntryEdit>, Error> {
    let mut edits = BTreeMap::new();
    let mut problems = Vec::new();
    for (text, write) in changes {
        let key: Key = match text.parse() {
            Ok(key) => key,
            Err(error) => {
                problems.push(Problem::new(crate::error::chain(&error)));
                continue;
            }
        };
        let edit = match write {
            None => Ok(EntryEdit::Remove),
            Some(write) => edit(&key, write, limits),
        };
        match edit {
            Ok(edit) => {
                edits.insert(key, edit);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() {
        return Ok(edits);
    }
    let what = if changes.len() == 1 {
        "the entry"
    } else {
        "the batch of changes"
    };
    Err(Error::Invalid {
        what: what.to_owned(),
        problems,
    })
}

fn edit(key: &Key, write: &EntryWrite, limits: &ValueLimits) -> Result<EntryEdit, Vec<Problem>> {
    let wrong = |detail: &str| vec![Problem::of_key(key, detail)];
    let entry_type: Option<EntryType> = match &write.entry_type {
        None => None,
        Some(name) => Some(
            name.parse()
                .map_err(|error| wrong(&crate::error::chain(&error)))?,
        ),
    };
    let value = match (&write.value, write.unset) {
        (Some(_), true) => return Err(wrong("`unset` and a value exclude each other")),
        (None, true) if entry_type.is_some() => {
            return Err(wrong("`unset` and a type exclude each other"));
        }
        (None, true) => ValueEdit::Unset,
        (None, false) if entry_type.is_some() => {
            return Err(wrong("a type needs a value; `null` is none"));
        }
        (None, false) => ValueEdit::Keep,
        (Some(raw), false) => {
            let entry_type = entry_type.unwrap_or_else(|| Value::infer(raw.get()));
            let value = Value::from_json(entry_type, raw.get(), limits)
                .map_err(|error| Problem::of_value(key, &error))?;
            ValueEdit::Set(value)
        }
    };
    let says_nothing = value == ValueEdit::Keep
        && write.description.is_none()
        && write.tags.is_none()
        && write.media_type.is_none();
    if says_nothing {
        return Err(wrong(
            "nothing is said about it: give a value, `unset`, or what is to be changed",
        ));
    }
    Ok(EntryEdit::Write {
        value,
        description: write.description.clone(),
        tags: write
            .tags
            .as_ref()
            .map(|tags| tags.iter().cloned().collect()),
        media_type: write.media_type.clone(),
    })
}
