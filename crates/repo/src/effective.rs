//! What holds in a namespace: its own entries and those it inherits, resolved against one view.

use confman_model::{Key, Namespace, Revision};
use confman_object_store::ObjectId;

use crate::entry::{TreeEntry, Values};
use crate::error::Error;
use crate::session::Session;

/// Where an effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The namespace that has it.
    pub namespace: Namespace,
    /// The commit that it was read from.
    pub commit: ObjectId,
}

/// An effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveEntry {
    /// The entry; never a tombstone.
    pub entry: TreeEntry,
    /// Where it comes from.
    pub from: Provenance,
}

/// An effective document.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Whose.
    pub namespace: Namespace,
    /// Hash of the ordered commits behind it: equal bases have equal documents.
    pub basis: ObjectId,
    /// The entries in the order of keys.
    pub entries: Vec<EffectiveEntry>,
    /// Log index that was read at.
    pub index: u64,
}

/// One effective value with all that led to it.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// Whose.
    pub namespace: Namespace,
    /// The basis of the whole document.
    pub basis: ObjectId,
    /// The value, and where it comes from.
    pub entry: EffectiveEntry,
    /// Version of the key in the namespace that has it; `None` where it comes from a draft.
    pub version: Option<u64>,
    /// What it overrides further up, nearest first; tombstones too.
    pub overrides: Vec<EffectiveEntry>,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Hash of the ordered commits behind an effective document, without making the document.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn basis(&self, _namespace: &Namespace, _revision: &Revision) -> Result<ObjectId, Error> { todo!() }

    /// All that holds in a namespace. For a revision other than `published` and drafts, the namespaces
    /// above are taken as of the time of that revision.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what [`Session::resolve`] says.
    pub fn effective(&self, _namespace: &Namespace, _revision: &Revision, _values: Values) -> Result<Effective, Error> { todo!() }

    /// One effective value.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or a tombstone hides it.
    pub fn effective_value(&self, _namespace: &Namespace, _revision: &Revision, _key: &Key) -> Result<EffectiveValue, Error> { todo!() }
}
