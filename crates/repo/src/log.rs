//! Commits, one and many.

use std::sync::Arc;

use confman_model::{Key, Namespace, Revision};
use confman_object_store::{Commit, ObjectId};

use crate::error::Error;
use crate::session::Session;

/// A commit.
#[derive(Clone, Debug)]
pub struct CommitInfo {
    /// Its id.
    pub id: ObjectId,
    /// What it says.
    pub commit: Arc<Commit>,
    /// Its place on the published line, from 1; `None` where it is not on it.
    pub position: Option<u64>,
    /// How many keys its tree has; only where one commit is asked for.
    pub keys: Option<u64>,
}

/// Which commits are wanted.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Only commits after this one, which an earlier page ended with.
    pub after: Option<ObjectId>,
    /// At most so many.
    pub limit: usize,
    /// Only commits that changed this key.
    pub key: Option<Key>,
}

/// A page of commits.
#[derive(Clone, Debug)]
pub struct Log {
    /// Newest first, along first parents.
    pub commits: Vec<CommitInfo>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<ObjectId>,
}

impl Session {
    /// The commits from a revision back along first parents, newest first.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn log(&self, _namespace: &Namespace, _revision: &Revision, _query: &LogQuery) -> Result<Log, Error> { todo!() }

    /// One commit.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn commit(&self, _namespace: &Namespace, _revision: &Revision) -> Result<CommitInfo, Error> { todo!() }
}
