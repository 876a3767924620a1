//! Fetch: what a caller lacks of some revisions, as a pack.

use std::io::Write;

use confman_model::{Namespace, Revision};
use confman_object_store::ObjectId;

use crate::error::Error;
use crate::session::Session;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Revisions wanted.
    pub want: Vec<Revision>,
    /// Commits the caller has whole: their trees and values.
    pub have: Vec<ObjectId>,
    /// `Some(n)`: n commits along first parents; `None`: all of the history as commits.
    pub depth: Option<u64>,
    /// Trees and values of every commit, not only of those wanted.
    pub all_trees: bool,
}

/// A wanted revision.
#[derive(Clone, Debug)]
pub struct FetchedRef {
    /// As asked.
    pub want: Revision,
    /// The commit; `None` where nothing is there yet.
    pub commit: Option<ObjectId>,
    /// Root of its tree.
    pub tree: Option<ObjectId>,
}

/// What will be sent. Nothing of it can go away: objects are immutable.
#[derive(Debug)]
pub struct FetchPlan {
    /// What each wanted revision is.
    pub refs: Vec<FetchedRef>,
    /// Log index that was read at.
    pub index: u64,
}

impl FetchPlan {
    /// How many objects will be sent.
    #[must_use]
    pub fn objects(&self) -> u64 { todo!() }

    /// Writes the pack, reading each object when its turn comes.
    ///
    /// # Errors
    /// An object cannot be read, or the writer fails ([`Error::Unavailable`]).
    pub fn write_pack<W: Write>(&self, _out: W) -> Result<W, Error> { todo!() }
}

impl Session {
    /// Finds what the caller lacks.
    ///
    /// # Errors
    /// As [`Session::resolve`], for each wanted revision.
    pub fn fetch(&self, _namespace: &Namespace, _request: &FetchRequest) -> Result<FetchPlan, Error> { todo!() }
}
