//! How two states of an entry differ, by meaning. Pure data: rendering is elsewhere.

mod json;
pub(crate) mod text;

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::entry_type::EntryType;
use crate::json::{Json, Pointer};
use crate::key::Key;

pub use json::json_changes;
pub(crate) use json::{identities, identity_of};
pub use text::text_hunks;

/// How one key differs between two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDiff {
    /// Which key.
    pub key: Key,
    /// The entry before.
    pub old: Option<Entry>,
    /// The entry after.
    pub new: Option<Entry>,
    /// What sort of difference it is.
    pub kind: DiffKind,
    /// How the values differ.
    pub value: ValueDiff,
    /// How what is said about the entry differs.
    pub details: DetailsDiff,
}

/// What sort of difference there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiffKind {
    /// There was no entry before.
    Added,
    /// There is no entry after.
    Removed,
    /// Both exist and mean different things.
    Changed,
    /// Both mean the same and are written differently.
    FormatOnly,
}

/// How two values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueDiff {
    /// Not at all; also where the entry was added or removed as a whole.
    Same,
    /// In the way they are written, not in meaning.
    FormatOnly,
    /// As a whole: other type, tombstone, or a type without parts.
    Replaced,
    /// Two JSON values, by path.
    Json(Vec<JsonChange>),
    /// Two texts of several lines.
    Text(Vec<TextHunk>),
}

/// One difference inside a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonChange {
    /// Where: in the new value, or in the old one where the part was removed.
    pub pointer: Pointer,
    /// What was there.
    pub old: Option<Json>,
    /// What is there now.
    pub new: Option<Json>,
}

/// Neighbouring changed lines with some unchanged ones around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextHunk {
    /// The first line of it in the old text, counted from 1.
    pub old_start: usize,
    /// The first line of it in the new text, counted from 1.
    pub new_start: usize,
    /// The lines.
    pub lines: Vec<TextLine>,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextLine {
    /// Which side has it.
    pub side: Side,
    /// The line with its end, if it has one.
    pub text: String,
}

/// Which of two texts has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Both.
    Both,
    /// Only the old one.
    Old,
    /// Only the new one.
    New,
}

/// How what is said about an entry differs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DetailsDiff {
    /// The types before and after, where they differ and both sides have a value.
    pub entry_type: Option<(EntryType, EntryType)>,
    /// The descriptions before and after, where they differ.
    pub description: Option<(String, String)>,
    /// Tags that only the new entry has.
    pub tags_added: BTreeSet<String>,
    /// Tags that only the old entry has.
    pub tags_removed: BTreeSet<String>,
    /// The media types before and after, where they differ.
    pub media_type: Option<(Option<String>, Option<String>)>,
}

impl EntryDiff {
    /// Compares two states of the entry `key`; equal states have no difference.
    #[must_use]
    pub fn between(key: &Key, old: Option<&Entry>, new: Option<&Entry>) -> Option<Self> {
        let (kind, value, details) = match (old, new) {
            (None, None) => return None,
            (None, Some(_)) => (DiffKind::Added, ValueDiff::Same, DetailsDiff::default()),
            (Some(_), None) => (DiffKind::Removed, ValueDiff::Same, DetailsDiff::default()),
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) => {
                let value = ValueDiff::between(old, new);
                let details = DetailsDiff::between(old, new);
                let format_only = value == ValueDiff::FormatOnly && details.is_empty();
                let kind = if format_only {
                    DiffKind::FormatOnly
                } else {
                    DiffKind::Changed
                };
                (kind, value, details)
            }
        };
        Some(Self {
            key: key.clone(),
            old: old.cloned(),
            new: new.cloned(),
            kind,
            value,
            details,
        })
    }
}

impl ValueDiff {
    fn between(old: &Entry, new: &Entry) -> Self {
        let (old, new) = match (old.value(), new.value()) {
            (None, None) => return Self::Same,
            (Some(old), Some(new)) => (old, new),
            _ => return Self::Replaced,
        };
        if old == new {
            return Self::Same;
        }
        if old.same_meaning(new) {
            return Self::FormatOnly;
        }
        if let (Some(old), Some(new)) = (old.as_json(), new.as_json()) {
            return Self::Json(json_changes(&old, &new));
        }
        match (
            old.entry_type(),
            old.as_str(),
            new.entry_type(),
            new.as_str(),
        ) {
            (EntryType::String, Some(old), EntryType::String, Some(new))
                if old.contains('\n') || new.contains('\n') =>
            {
                Self::Text(text_hunks(old, new))
            }
            _ => Self::Replaced,
        }
    }
}

impl DetailsDiff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn between(old: &Entry, new: &Entry) -> Self {
        let entry_type = match (old.value(), new.value()) {
            (Some(old), Some(new)) => Some((old.entry_type(), new.entry_type())),
            _ => None,
        };
        let description = (old.description().to_owned(), new.description().to_owned());
        let media_type = (
            old.media_type().map(str::to_owned),
            new.media_type().map(str::to_owned),
        );
        Self {
            entry_type: entry_type.filter(|(old, new)| old != new),
            description: Some(description).filter(|(old, new)| old != new),
            tags_added: new.tags().difference(old.tags()).cloned().collect(),
            tags_removed: old.tags().difference(new.tags()).cloned().collect(),
            media_type: Some(media_type).filter(|(old, new)| old != new),
        }
    }
}

#[cfg(test)]
mod tests;
