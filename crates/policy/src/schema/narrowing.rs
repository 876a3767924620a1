//! Whether a change of a schema narrows or widens what it accepts.
//!
//! The validator's own algebra proves that one schema accepts all that another does; what it cannot
//! prove is said to be unknown, never guessed.
//!
//! INVARIANT: a change that is said to widen, or to change nothing, rejects nothing that was accepted.

use confman_model::SchemaPath;
use jsonschema::canonical::{self, CanonicalSchema, Containment};
use serde_json::Value;

use super::keyword;
use super::{SchemaDocument, pattern_options};

/// Most places that are compared one by one.
pub const PLACES_MAX: usize = 200;
/// Most subschemas of a schema that is compared as a whole; beyond, nothing is proved.
const COMPARED_SUBSCHEMAS_MAX: usize = 500;

/// What becomes of what is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The same is accepted.
    #[default]
    Same,
    /// All that was, and more.
    Widens,
    /// Less.
    Narrows,
    /// Something new is accepted and something old is not.
    Both,
    /// That is not known; take it for narrower.
    Unknown,
}

impl Direction {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Widens => "widens",
            Self::Narrows => "narrows",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }

    fn of(new_covers_old: Containment, old_covers_new: Containment) -> Self {
        match (new_covers_old, old_covers_new) {
            (Containment::Yes, Containment::Yes) => Self::Same,
            (Containment::Yes, Containment::No) => Self::Widens,
            // It may be the same: nothing is rejected that was accepted.
            (Containment::Yes, Containment::Unknown) => Self::Widens,
            (Containment::No, Containment::Yes) => Self::Narrows,
            (Containment::No, Containment::No) => Self::Both,
            _ => Self::Unknown,
        }
    }
}

/// How two schemas differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaChange {
    /// As a whole, other documents left as they are.
    pub whole: Direction,
    /// For each innermost place at which the documents differ.
    pub places: Vec<(String, Direction)>,
}

/// Compares two versions of a document.
#[must_use]
pub fn compare(path: &SchemaPath, old: &SchemaDocument, new: &SchemaDocument) -> SchemaChange {
    let (old_json, new_json) = (old.prepared(), new.prepared());
    if old_json == new_json {
        return SchemaChange::default();
    }
    let mut places = Vec::new();
    differing(old_json, new_json, String::new(), &mut places);
    places.truncate(PLACES_MAX);
    let places = places
        .into_iter()
        .map(|pointer| {
            let direction = match (old_json.pointer(&pointer), new_json.pointer(&pointer)) {
                (Some(old), Some(new)) => direction(path, old_json, old, new_json, new),
                // A place without a schema accepts anything.
                (None, Some(new)) => direction(path, old_json, &Value::Bool(true), new_json, new),
                (Some(old), None) => direction(path, old_json, old, new_json, &Value::Bool(true)),
                (None, None) => Direction::Same,
            };
            (pointer, direction)
        })
        .collect();
    SchemaChange {
        whole: direction(path, old_json, old_json, new_json, new_json),
        places,
    }
}

/// The innermost subschemas that differ.
fn differing(old: &Value, new: &Value, at: String, places: &mut Vec<String>) {
    let (Some(old_object), Some(new_object)) = (old.as_object(), new.as_object()) else {
        places.push(at);
        return;
    };
    let mut below = Vec::new();
    let mut here = false;
    let names = old_object.keys().chain(
        new_object
            .keys()
            .filter(|name| !old_object.contains_key(*name)),
    );
    for name in names {
        let (before, after) = (old_object.get(name), new_object.get(name));
        if before == after {
            continue;
        }
        if keyword::keyword(name).is_none() {
            here = true;
            continue;
        }
        let of = |value: Option<&'_ Value>| -> Vec<(String, Value)> {
            value.map_or_else(Vec::new, |value| {
                keyword::held(name, value)
                    .into_iter()
                    .map(|(rest, _, schema)| (rest, schema.clone()))
                    .collect()
            })
        };
        let (before, after) = (of(before), of(after));
        for (rest, schema) in &before {
            match after.iter().find(|(other, _)| other == rest) {
                Some((_, other)) if other == schema => {}
                Some((_, other)) => below.push((rest.clone(), schema.clone(), other.clone())),
                None => below.push((rest.clone(), schema.clone(), Value::Bool(true))),
            }
        }
        for (rest, schema) in after {
            if !before.iter().any(|(other, _)| *other == rest) {
                below.push((rest, Value::Bool(true), schema));
            }
        }
    }
    if here || below.is_empty() {
        places.push(at.clone());
    }
    for (rest, before, after) in below {
        differing(&before, &after, format!("{at}{rest}"), places);
    }
}

fn direction(
    path: &SchemaPath,
    old_root: &Value,
    old: &Value,
    new_root: &Value,
    new: &Value,
) -> Direction {
    let (Some(old), Some(new)) = (read(path, old_root, old), read(path, new_root, new)) else {
        return Direction::Unknown;
    };
    let covers =
        |a: &CanonicalSchema, b: &CanonicalSchema| a.covers(b).unwrap_or(Containment::Unknown);
    Direction::of(covers(&new, &old), covers(&old, &new))
}

/// A subschema with the definitions of its document, so that its references lead somewhere.
fn read(path: &SchemaPath, root: &Value, schema: &Value) -> Option<CanonicalSchema> {
    let mut schema = schema.clone();
    if let (Some(object), Some(definitions)) = (schema.as_object_mut(), root.get("$defs")) {
        object
            .entry("$defs".to_owned())
            .or_insert_with(|| definitions.clone());
    }
    let mut subschemas = 0;
    keyword::for_each_mut(&mut schema, &mut |_| subschemas += 1);
    if subschemas > COMPARED_SUBSCHEMAS_MAX {
        return None;
    }
    canonical::options()
        .offline()
        .with_base_uri(super::uri_of(path))
        .with_pattern_options(pattern_options())
        .canonicalize(&schema)
        .ok()
}
