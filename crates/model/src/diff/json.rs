//! JSON values compared by path.
//!
//! Objects are compared by name. Arrays are compared by the field that identifies their items,
//! where there is one and the order of what stayed is the same; otherwise by the longest run of
//! items they share.

use std::collections::BTreeMap;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::JsonChange;
use crate::json::{Json, Pointer, semantic_bytes};

/// Fields that identify the items of an array, in the order in which they are tried.
const IDENTIFYING_FIELDS: [&str; 3] = ["id", "name", "key"];

/// The differences between two JSON values by path; none exactly where they mean the same.
#[must_use]
pub fn json_changes(old: &Json, new: &Json) -> Vec<JsonChange> {
    let mut changes = Vec::new();
    compare(&Pointer::root(), old, new, &mut changes);
    changes
}

fn compare(at: &Pointer, old: &Json, new: &Json, changes: &mut Vec<JsonChange>) {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => compare_objects(at, old, new, changes),
        (Json::Array(old), Json::Array(new)) => compare_arrays(at, old, new, changes),
        _ if old.same_meaning(new) => {}
        _ => changes.push(JsonChange {
            pointer: at.clone(),
            old: Some(old.clone()),
            new: Some(new.clone()),
        }),
    }
}

type Members = [(String, Json)];

fn compare_objects(at: &Pointer, old: &Members, new: &Members, changes: &mut Vec<JsonChange>) {
    let by_name = |members: &'_ Members| -> BTreeMap<String, usize> {
        members
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), index))
            .collect()
    };
    let (in_old, in_new) = (by_name(old), by_name(new));
    for (name, value) in old {
        let other = in_new.get(name).and_then(|index| new.get(*index));
        match other {
            Some((_, other)) => compare(&at.member(name), value, other, changes),
            None => changes.push(removed(at.member(name), value)),
        }
    }
    for (name, value) in new.iter().filter(|(name, _)| !in_old.contains_key(name)) {
        changes.push(added(at.member(name), value));
    }
}

fn compare_arrays(at: &Pointer, old: &[Json], new: &[Json], changes: &mut Vec<JsonChange>) {
    let identity = identities(&[old, new]);
    let keys = |items: &[Json]| -> Vec<Vec<u8>> {
        match identity {
            Some(field) => items.iter().map(|item| identity_of(item, field)).collect(),
            None => items.iter().map(semantic_bytes).collect(),
        }
    };
    let (old_keys, new_keys) = (keys(old), keys(new));
    for operation in capture_diff_slices(Algorithm::Myers, &old_keys, &new_keys) {
        let olds = operation
            .old_range()
            .filter_map(|index| Some((index, old.get(index)?)));
        let news = operation
            .new_range()
            .filter_map(|index| Some((index, new.get(index)?)));
        match operation.tag() {
            DiffTag::Equal => {
                for ((_, old), (index, new)) in olds.zip(news) {
                    compare(&at.item(index), old, new, changes);
                }
            }
            // Without identity, as many items for as many are most likely those items, changed.
            DiffTag::Replace
                if identity.is_none() && olds.clone().count() == news.clone().count() =>
            {
                for ((_, old), (index, new)) in olds.zip(news) {
                    compare(&at.item(index), old, new, changes);
                }
            }
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                changes.extend(olds.map(|(index, item)| removed(at.item(index), item)));
                changes.extend(news.map(|(index, item)| added(at.item(index), item)));
            }
        }
    }
}

/// The field by which the items of all `arrays` can be told apart, if they have one.
pub(crate) fn identities(arrays: &[&[Json]]) -> Option<&'static str> {
    let identifies = |field: &str| {
        arrays.iter().all(|items| {
            let mut found: Vec<Vec<u8>> =
                items.iter().map(|item| identity_of(item, field)).collect();
            found.sort();
            let complete = found.first().is_none_or(|first| !first.is_empty());
            complete && found.windows(2).all(|pair| pair.first() != pair.last())
        })
    };
    IDENTIFYING_FIELDS
        .into_iter()
        .find(|field| identifies(field))
}

/// What identifies an item by `field`; empty where it does not have one that can.
pub(crate) fn identity_of(item: &Json, field: &str) -> Vec<u8> {
    match item.get(field) {
        Some(value @ (Json::String(_) | Json::Number(_))) => semantic_bytes(value),
        _ => Vec::new(),
    }
}

fn removed(pointer: Pointer, old: &Json) -> JsonChange {
    JsonChange {
        pointer,
        old: Some(old.clone()),
        new: None,
    }
}

fn added(pointer: Pointer, new: &Json) -> JsonChange {
    JsonChange {
        pointer,
        old: None,
        new: Some(new.clone()),
    }
}
