//! How two states of an entry differ, by meaning. Pure data: rendering is elsewhere.

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::entry_type::EntryType;
use crate::json::{Json, Pointer};
use crate::key::Key;

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
        todo!()
    }
}

/// The differences between two JSON values by path; none exactly where they mean the same.
#[must_use]
pub fn json_changes(old: &Json, new: &Json) -> Vec<JsonChange> {
    todo!()
}

/// The differences between two texts by line.
#[must_use]
pub fn text_hunks(old: &str, new: &str) -> Vec<TextHunk> {
    todo!()
}
