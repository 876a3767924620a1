//! What entries become by an edit.

use std::collections::{BTreeMap, BTreeSet};

use confman_layout::{blob, read_entry, tree_key, write_entry};
use confman_model::entry::EntryValue;
use confman_model::{Details, Entry, EntryType, Key, Namespace, Value, ValueLimits};
use confman_object_store::tree::{Leaf, TreeKey};
use confman_object_store::{Kind, ObjectId};

use super::{EntryEdit, ValueEdit};
use crate::error::{Error, Problem, What};
use crate::evaluation::Evaluation;
use crate::publish::Warning;

impl Evaluation<'_> {
    /// Stages what a tree becomes by these edits, and says everything that is wrong with them.
    pub(crate) fn edit_entries(
        &mut self,
        namespace: &Namespace,
        tree: &ObjectId,
        changes: &BTreeMap<Key, EntryEdit>,
    ) -> Result<(ObjectId, Vec<Warning>), Error> {
        let limits = self.value_limits(namespace)?;
        let mut edits: BTreeMap<TreeKey, Option<Leaf>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        for (key, edit) in changes {
            let old = self.leaf(tree, key)?;
            let EntryEdit::Write {
                value,
                description,
                tags,
                media_type,
            } = edit
            else {
                if old.is_none() {
                    return Err(Error::not_found(What::Entry, format!("{namespace}:{key}")));
                }
                edits.insert(tree_key(key)?, None);
                continue;
            };
            let old_entry = old
                .as_ref()
                .map(|leaf| read_entry(self.objects(), leaf))
                .transpose()?;
            let given = (description.as_ref(), tags.as_ref(), media_type.as_ref());
            let entry = match written(key, value, given, old_entry, &limits) {
                Ok(entry) => entry,
                Err(mut found) => {
                    problems.append(&mut found);
                    continue;
                }
            };
            if let Some(value) = entry.value() {
                warnings.extend(value.warnings().iter().map(|warning| Warning {
                    key: Some(key.clone()),
                    detail: warning.what.clone(),
                }));
            }
            let (leaf, objects) = match write_entry(&entry) {
                Ok(written) => written,
                Err(error) => {
                    problems.push(Problem::of_key(key, crate::error::chain(&error)));
                    continue;
                }
            };
            if old.as_ref() == Some(&leaf) {
                continue;
            }
            for object in objects {
                let replaces = old.as_ref().and_then(|old| {
                    if object.kind() == Kind::Meta {
                        old.meta
                    } else {
                        blob(old)
                    }
                });
                self.stage.put(object, replaces);
            }
            edits.insert(tree_key(key)?, Some(leaf));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid {
                what: format!("change to `{namespace}`"),
                problems,
            });
        }
        if edits.is_empty() {
            return Ok((*tree, warnings));
        }
        let tree = self.edit_tree(tree, &edits)?;
        self.check_keys(&tree)?;
        Ok((tree, warnings))
    }
}

/// The entry that an edit makes of an old one.
fn written(
    key: &Key,
    value: &ValueEdit,
    (description, tags, media_type): (Option<&String>, Option<&BTreeSet<String>>, Option<&String>),
    old: Option<Entry>,
    limits: &ValueLimits,
) -> Result<Entry, Vec<Problem>> {
    let old_type = old.as_ref().and_then(Entry::value).map(Value::entry_type);
    let (old_value, mut details) = match old {
        Some(old) => {
            let (value, details) = old.into_parts();
            (Some(value), details)
        }
        None => (None, Details::default()),
    };
    let value = match (value, old_value) {
        (ValueEdit::Unset, _) => EntryValue::Unset,
        (ValueEdit::Set(value), _) => {
            within(key, value, limits)?;
            EntryValue::Value(value.clone())
        }
        (ValueEdit::Keep, Some(old)) => old,
        (ValueEdit::Keep, None) => {
            return Err(vec![Problem::of_key(
                key,
                "there is no entry yet; give it a value",
            )]);
        }
    };
    let new_type = match &value {
        EntryValue::Value(value) => Some(value.entry_type()),
        EntryValue::Unset => None,
    };
    if new_type != old_type {
        details.media_type = None;
    }
    if let Some(description) = description {
        details.description.clone_from(description);
    }
    if let Some(tags) = tags {
        details.tags.clone_from(tags);
    }
    if let Some(media_type) = media_type {
        details.media_type = Some(media_type.clone()).filter(|text| !text.is_empty());
    }
    Entry::new(value, details).map_err(|error| {
        error
            .problems
            .iter()
            .map(|problem| Problem::of_key(key, problem))
            .collect()
    })
}

/// Refuses what the namespace does not accept, though it is a value.
fn within(key: &Key, value: &Value, limits: &ValueLimits) -> Result<(), Vec<Problem>> {
    let (bytes, limit) = (value.bytes().len(), limits.value_bytes_max);
    if bytes > limit {
        return Err(vec![Problem::of_key(
            key,
            format!("the value has {bytes} bytes, at most {limit} are allowed"),
        )]);
    }
    if value.entry_type() == EntryType::SecretRef {
        Value::new(EntryType::SecretRef, value.bytes(), limits)
            .map_err(|error| Problem::of_value(key, &error))?;
    }
    Ok(())
}
