//! What becomes of an entry that two sides changed since a common base.
//!
//! What one side changed and the other left alone is taken from the side that changed it: the
//! entry as a whole, else its value and each of its details, else each path of a JSON value, else
//! each line of a text. What both changed differently is a conflict, never a guess.
//!
//! INVARIANT: a merged value is valid for its type; a conflict is never written into it.

mod json;
mod lines;

use std::collections::BTreeSet;

use crate::entry::{Details, Entry, EntryValue};
use crate::entry_type::EntryType;
use crate::json::Pointer;
use crate::value::{Value, ValueLimits};

/// What a merge of one entry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Both sides' changes together; `None` where the entry is gone.
    Merged(Option<Entry>),
    /// The changes exclude each other.
    Conflict(Box<Conflict>),
}

/// Two changes of one entry that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The entry both started from.
    pub base: Option<Entry>,
    /// Our entry.
    pub ours: Option<Entry>,
    /// Their entry.
    pub theirs: Option<Entry>,
    /// Where in a JSON value they collide; empty where it is the entry as a whole.
    pub pointers: Vec<Pointer>,
}

/// Two changes collide, at these places if they are inside a JSON value.
struct Collision(Vec<Pointer>);

impl Collision {
    fn whole() -> Self {
        Self(Vec::new())
    }
}

/// Merges one entry three ways. A merged value beyond `limits` is a conflict.
#[must_use]
pub fn merge(
    base: Option<&Entry>,
    ours: Option<&Entry>,
    theirs: Option<&Entry>,
    limits: &ValueLimits,
) -> MergeOutcome {
    if let Some(taken) = pick(&base, &ours, &theirs) {
        return MergeOutcome::Merged(taken.cloned());
    }
    let merged = match (ours, theirs) {
        (Some(ours), Some(theirs)) => merge_parts(base, ours, theirs, limits),
        _ => Err(Collision::whole()),
    };
    match merged {
        Ok(entry) => MergeOutcome::Merged(Some(entry)),
        Err(Collision(pointers)) => MergeOutcome::Conflict(Box::new(Conflict {
            base: base.cloned(),
            ours: ours.cloned(),
            theirs: theirs.cloned(),
            pointers,
        })),
    }
}

/// The side to take where at most one of them changed something, or both did the same.
fn pick<'a, T: PartialEq>(base: &T, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    if ours == theirs || theirs == base {
        Some(ours)
    } else if ours == base {
        Some(theirs)
    } else {
        None
    }
}

fn merge_parts(
    base: Option<&Entry>,
    ours: &Entry,
    theirs: &Entry,
    limits: &ValueLimits,
) -> Result<Entry, Collision> {
    let value = merge_values(
        base.map(Entry::entry_value),
        ours.entry_value(),
        theirs.entry_value(),
        limits,
    )?;
    let nothing_said = Details::default();
    let said = base.map_or(&nothing_said, Entry::details);
    let details = merge_details(said, ours.details(), theirs.details())?;
    // Both sides' details together may exceed a limit, or not suit what became of the value.
    Entry::new(value, details).map_err(|_| Collision::whole())
}

fn merge_details(base: &Details, ours: &Details, theirs: &Details) -> Result<Details, Collision> {
    let description = pick(&base.description, &ours.description, &theirs.description);
    let media_type = pick(&base.media_type, &ours.media_type, &theirs.media_type);
    match (description, media_type) {
        (Some(description), Some(media_type)) => Ok(Details {
            description: description.clone(),
            tags: merge_tags(&base.tags, &ours.tags, &theirs.tags),
            media_type: media_type.clone(),
        }),
        _ => Err(Collision::whole()),
    }
}

/// Keeps the tags that both have, and those that either added.
fn merge_tags(
    base: &BTreeSet<String>,
    ours: &BTreeSet<String>,
    theirs: &BTreeSet<String>,
) -> BTreeSet<String> {
    let all = ours.union(theirs);
    let stays =
        |tag: &&String| (ours.contains(*tag) && theirs.contains(*tag)) || !base.contains(*tag);
    all.filter(stays).cloned().collect()
}

fn merge_values(
    base: Option<&EntryValue>,
    ours: &EntryValue,
    theirs: &EntryValue,
    limits: &ValueLimits,
) -> Result<EntryValue, Collision> {
    if let Some(taken) = pick(&base, &Some(ours), &Some(theirs)).copied().flatten() {
        return Ok(taken.clone());
    }
    let (EntryValue::Value(ours), EntryValue::Value(theirs)) = (ours, theirs) else {
        return Err(Collision::whole());
    };
    if ours.same_meaning(theirs) {
        return Ok(EntryValue::Value(ours.clone()));
    }
    let Some(EntryValue::Value(base)) = base else {
        return Err(Collision::whole());
    };
    merge_contents(base, ours, theirs, limits).map(EntryValue::Value)
}

/// Merges three values of which each means something else than both others, or is only written
/// differently than the base.
fn merge_contents(
    base: &Value,
    ours: &Value,
    theirs: &Value,
    limits: &ValueLimits,
) -> Result<Value, Collision> {
    let types = [base, ours, theirs].map(Value::entry_type);
    let (entry_type, text) = match types {
        [EntryType::Json, EntryType::Json, EntryType::Json] => {
            (EntryType::Json, json::merge(base, ours, theirs)?)
        }
        _ if ours.same_meaning(base) => return Ok(theirs.clone()),
        _ if theirs.same_meaning(base) => return Ok(ours.clone()),
        [EntryType::String, EntryType::String, EntryType::String] => {
            let texts = [base, ours, theirs].map(|value| value.as_str().unwrap_or_default());
            (
                EntryType::String,
                lines::merge(texts).ok_or_else(Collision::whole)?,
            )
        }
        _ => return Err(Collision::whole()),
    };
    // Two changes that fit the limits need not fit them together.
    Value::new(entry_type, text, limits).map_err(|_| Collision::whole())
}

#[cfg(test)]
mod tests;
