//! What one commit does to the entries of a namespace.

use std::collections::BTreeMap;

use crate::entry::Entry;
use crate::key::Key;

/// What happens to one key. To unset a key is to set it to a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key has this entry from now on.
    Set(Entry),
    /// The namespace has no entry of its own for the key from now on.
    Remove,
}

/// Changes by key, in the order of keys.
pub type ChangeSet = BTreeMap<Key, Change>;

/// The changes that turn `old` into `new`.
#[must_use]
pub fn between(old: &BTreeMap<Key, Entry>, new: &BTreeMap<Key, Entry>) -> ChangeSet {
    todo!()
}

/// Carries out `changes` on `entries`.
pub fn apply(entries: &mut BTreeMap<Key, Entry>, changes: &ChangeSet) {
    todo!()
}
