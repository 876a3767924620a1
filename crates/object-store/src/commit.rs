//! Commits: a tree, its parents, and who made it why.

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::id::ObjectId;

/// Largest encoded commit.
pub const COMMIT_BYTES_MAX: usize = 128 * 1024;
/// Most parents of a commit.
pub const COMMIT_PARENTS_MAX: usize = 8;
/// Longest message, in bytes.
pub const COMMIT_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Somebody who wrote or made a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The principal of the store, empty for somebody it does not know (an imported author).
    pub principal: String,
    /// Name for people.
    pub name: String,
    /// Mail address, may be empty.
    pub email: String,
}

/// A moment with the offset of the clock that told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub ms: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
}

/// A commit. Raft term and index are not in it; they are in the operation that published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Root page of the tree.
    pub tree: ObjectId,
    /// Parents in order; the first is the line that history follows.
    pub parents: Vec<ObjectId>,
    /// One more than the largest generation among the parents, 1 without parents.
    pub generation: u64,
    /// Namespace (or schema path) it belongs to.
    pub namespace: String,
    /// Who made the change.
    pub author: Person,
    /// When they made it.
    pub author_time: Moment,
    /// Who made these bytes.
    pub committer: Person,
    /// When they were made.
    pub commit_time: Moment,
    /// Stable across rebases; not unique.
    pub change_id: [u8; 16],
    /// Why.
    pub message: String,
    /// The draft commit it was made from.
    pub origin: Option<ObjectId>,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// The policy commit it was validated against.
    pub policy: Option<ObjectId>,
    /// The schema commits it was validated against, ascending.
    pub schemas: Vec<ObjectId>,
    /// Identity of an imported commit in its source, ≤ 64 bytes.
    pub source: Option<Bytes>,
    /// Optional fields this version does not know, preserved.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Commit {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> { todo!() }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> { todo!() }
}
