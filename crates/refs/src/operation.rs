//! Operations: what happened to the refs, chained to what happened before. The id of the newest one
//! is the hash of the whole state.

use confman_object_store::ObjectId;

use crate::name::RefName;
use crate::transaction::{RequestId, Target};

/// A view tree is written, and covered by the operation, at every operation whose sequence number is
/// a multiple of this.
pub const VIEW_EVERY: u64 = 64;

/// How one ref moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationEdit {
    /// Which.
    pub name: RefName,
    /// From.
    pub old: Option<Target>,
    /// To.
    pub new: Option<Target>,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The one before, absent for the first.
    pub parent: Option<ObjectId>,
    /// 1 for the first, then one more each.
    pub sequence: u64,
    /// Raft log index that it was applied at.
    pub index: u64,
    /// Raft term of that entry.
    pub term: u64,
    /// Milliseconds since 1970; never earlier than the parent's.
    pub time_ms: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// More about it, JSON text.
    pub detail: String,
    /// The request.
    pub request: RequestId,
    /// How the refs moved, ascending by name.
    pub edits: Vec<OperationEdit>,
    /// Root of the view's tree after it, at every [`VIEW_EVERY`]th.
    pub view: Option<ObjectId>,
}

impl Operation {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> { todo!() }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(_bytes: &[u8]) -> Result<Self, confman_object_store::DecodeError> { todo!() }
}
