//! What becomes of an entry that two sides changed since a common base.

use crate::entry::Entry;
use crate::json::Pointer;
use crate::value::ValueLimits;

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

/// Merges one entry three ways. A merged value beyond `limits` is a conflict.
#[must_use]
pub fn merge(
    base: Option<&Entry>,
    ours: Option<&Entry>,
    theirs: Option<&Entry>,
    limits: &ValueLimits,
) -> MergeOutcome {
    todo!()
}
