//! What differs between two revisions.

use confman_model::{DiffKind, Key, Namespace, Revision};

use crate::entry::TreeEntry;
use crate::error::Error;
use crate::revision::ResolvedRevision;
use crate::session::Session;

/// A key that differs.
#[derive(Clone, Debug)]
pub struct EntryChange {
    /// Which.
    pub key: Key,
    /// How.
    pub kind: DiffKind,
    /// What the old side has.
    pub old: Option<TreeEntry>,
    /// What the new side has.
    pub new: Option<TreeEntry>,
}

/// A page of what differs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The old side.
    pub from: ResolvedRevision,
    /// The new side.
    pub to: ResolvedRevision,
    /// Keys that differ, in order.
    pub changes: Vec<EntryChange>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

impl Session {
    /// The keys that differ between two revisions, of one namespace or of two. Skips what both share.
    ///
    /// # Errors
    /// As [`Session::resolve`], for either side.
    pub fn compare(
        &self,
        _from: (&Namespace, &Revision),
        _to: (&Namespace, &Revision),
        _after: Option<&Key>,
        _limit: usize,
    ) -> Result<Comparison, Error> { todo!() }
}
