//! The versions of a key, and who last changed what.

use confman_model::{Entry, Key, Namespace, Revision};
use confman_object_store::{ObjectId, Person};

use crate::entry::Stamp;
use crate::error::Error;
use crate::session::Session;

/// A published version of a key.
#[derive(Clone, Debug)]
pub struct Version {
    /// From 1.
    pub version: u64,
    /// The entry; `None` for a removal.
    pub entry: Option<Entry>,
    /// When and by whom it was published.
    pub published: Stamp,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// The commit.
    pub commit: ObjectId,
    /// Place of the commit on the line.
    pub position: u64,
    /// First line of its message.
    pub message: String,
    /// Raft term of the operation.
    pub term: u64,
    /// Raft index of the operation.
    pub index: u64,
}

/// A page of versions, newest first.
#[derive(Clone, Debug)]
pub struct History {
    /// Where.
    pub namespace: Namespace,
    /// Which key.
    pub key: Key,
    /// Newest first.
    pub versions: Vec<Version>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
}

/// Who gave a key the value it has.
#[derive(Clone, Debug)]
pub struct BlameLine {
    /// Which key.
    pub key: Key,
    /// The version it has.
    pub version: u64,
    /// The commit that gave it this value.
    pub commit: ObjectId,
    /// Author of that commit.
    pub author: Person,
    /// When it was published, milliseconds since 1970.
    pub at_ms: i64,
    /// First line of its message.
    pub message: String,
}

/// A page of blame.
#[derive(Clone, Debug)]
pub struct Blame {
    /// In the order of keys.
    pub lines: Vec<BlameLine>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

impl Session {
    /// The published versions of a key, newest first. Work proportional to what is returned.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the key was never published.
    pub fn history(&self, _namespace: &Namespace, _key: &Key, _after: Option<u64>, _limit: usize) -> Result<History, Error> { todo!() }

    /// For each key of a published revision, the commit that gave it its value.
    ///
    /// # Errors
    /// As [`Session::resolve`]; [`Error::Invalid`] where the revision was never published.
    pub fn blame(&self, _namespace: &Namespace, _revision: &Revision, _prefix: &str, _after: Option<&Key>, _limit: usize) -> Result<Blame, Error> { todo!() }
}
