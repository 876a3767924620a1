//! Entries as a namespace has them.

use confman_model::{Details, DraftName, Entry, EntryType, Key, Namespace, Revision, Value};
use confman_object_store::ObjectId;

use crate::error::Error;
use crate::revision::ResolvedRevision;
use crate::session::Session;

/// When and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// A principal, or `Name <mail>` of somebody the store does not know.
    pub by: String,
}

/// Whether values are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Yes.
    With,
    /// No: only what is said about them.
    Without,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its key.
    pub key: Key,
    /// Type of the value; `None` for a tombstone.
    pub entry_type: Option<EntryType>,
    /// The value; `None` for a tombstone, and where values are not wanted.
    pub value: Option<Value>,
    /// Bytes of the value.
    pub size: u64,
    /// What is said about it.
    pub details: Details,
}

/// Which entries are wanted.
#[derive(Clone, Debug)]
pub struct EntriesQuery {
    /// Only keys that begin with this; empty for all.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// At most so many.
    pub limit: usize,
    /// Whether values are wanted.
    pub values: Values,
}

/// A page of entries.
#[derive(Clone, Debug)]
pub struct Entries {
    /// What was read.
    pub at: ResolvedRevision,
    /// How many keys have the prefix in all.
    pub total: u64,
    /// In the order of keys.
    pub entries: Vec<TreeEntry>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

/// An entry, published and drafted.
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    /// Where.
    pub namespace: Namespace,
    /// Which.
    pub key: Key,
    /// What is published; `None` where nothing is.
    pub published: Option<PublishedSide>,
    /// What a draft makes of it; `None` where none touches it.
    pub draft: Option<DraftSide>,
    /// When the key was first published, or drafted where it never was.
    pub created: Stamp,
    /// Log index that was read at.
    pub index: u64,
}

impl ConfigEntry {
    /// The entry as drafted, or as published where no draft has it.
    #[must_use]
    pub fn current(&self) -> Option<&Entry> {
        let drafted = self.draft.as_ref().and_then(|side| side.entry.as_ref());
        drafted.or(self.published.as_ref().map(|side| &side.entry))
    }
}

/// A published entry.
#[derive(Clone, Debug)]
pub struct PublishedSide {
    /// The entry.
    pub entry: Entry,
    /// Counts the published versions of the key, from 1.
    pub version: u64,
    /// When and by whom it was published.
    pub published: Stamp,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// The commit that gave it this version.
    pub commit: ObjectId,
}

/// An entry in a draft.
#[derive(Clone, Debug)]
pub struct DraftSide {
    /// Name of the draft.
    pub name: DraftName,
    /// The entry; `None` where the draft removes it.
    pub entry: Option<Entry>,
    /// The version it would become.
    pub version: u64,
    /// When and by whom the draft was changed last.
    pub updated: Stamp,
    /// Head of the draft.
    pub commit: ObjectId,
}

impl Session {
    /// A page of the entries that a revision has.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what [`Session::resolve`] says.
    pub fn entries(&self, _namespace: &Namespace, _revision: &Revision, _query: &EntriesQuery) -> Result<Entries, Error> { todo!() }

    /// One entry, published and as drafted in `draft`, or where none is named in the most recently
    /// changed draft that touches it. Who may not read drafts sees the published side alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] where neither side has it.
    pub fn entry(&self, _namespace: &Namespace, _key: &Key, _draft: Option<&DraftName>) -> Result<ConfigEntry, Error> { todo!() }
}
