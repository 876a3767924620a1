//! Transactions: what is expected of the refs, and what they become.

use std::fmt;

use confman_object_store::{Encoded, Kind, ObjectId};

use crate::name::RefName;
use crate::row::IndexRow;

/// Largest encoded transaction in one log entry. Larger ones are staged by several entries.
pub const ENTRY_BYTES_MAX: usize = 1536 * 1024;

/// What a ref points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Kind of the object.
    pub kind: Kind,
    /// Its id.
    pub id: ObjectId,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The value that a ref must still have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No such ref.
    Absent,
    /// This target.
    At(Target),
}

impl Expect {
    /// What a view that gives this answer would have to give again.
    #[must_use]
    pub fn from_seen(seen: Option<Target>) -> Self {
        seen.map_or(Self::Absent, Self::At)
    }

    /// Whether a ref with this value satisfies it.
    #[must_use]
    pub fn holds(self, actual: Option<Target>) -> bool {
        Self::from_seen(actual) == self
    }
}

/// A ref that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefEdit {
    /// Which.
    pub name: RefName,
    /// What it must be.
    pub expect: Expect,
    /// What it becomes; `None` removes it.
    pub new: Option<Target>,
}

/// Names a request for ever: asking again with the same id gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; 16]);

/// A change of refs that happens whole or not at all.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Names the request. Two transactions with one id and different contents: the second is refused.
    pub request: RequestId,
    /// Refs that move. No name twice, none that is in `reads` too.
    pub edits: Vec<RefEdit>,
    /// Refs that were read to decide, and what they were.
    pub reads: Vec<(RefName, Expect)>,
    /// New objects, each after those it refers to and is encoded against.
    pub objects: Vec<Encoded>,
    /// Rows for derived indexes.
    pub rows: Vec<IndexRow>,
    /// Who.
    pub actor: String,
    /// What, as `publish` or `namespace.create`.
    pub action: String,
    /// More about it, JSON text; no secrets.
    pub detail: String,
    /// The proposer's clock, milliseconds since 1970. The operation's time is never earlier than
    /// that of the operation before it.
    pub time_ms: i64,
}

/// A transaction that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The operation it became.
    pub operation: ObjectId,
    /// Log index.
    pub index: u64,
    /// Raft term.
    pub term: u64,
    /// Time of the operation, milliseconds since 1970.
    pub time_ms: i64,
}

/// Why a transaction did not take effect, or is not known to have.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// A ref is not what was expected. Evaluate again on the new view.
    #[error("ref `{name}` is not what it was expected to be")]
    Stale {
        /// Which.
        name: RefName,
        /// What was expected.
        expected: Expect,
        /// What it is.
        actual: Option<Target>,
    },
    /// The request id was used for something else.
    #[error("request id {} was used for another request", data_hex(.0))]
    RequestReused(RequestId),
    /// A ref would name an object that is neither in the transaction nor in the store.
    #[error("{0} is neither in the transaction nor in the store")]
    MissingObject(Target),
    /// An object of the transaction is not what it claims to be.
    #[error("{target} in the transaction is wrong: {reason}")]
    WrongObject {
        /// Which.
        target: Target,
        /// What is wrong.
        reason: String,
    },
    /// Malformed: a name twice, nothing to do, too large a field.
    #[error("the transaction is malformed: {0}")]
    Malformed(String),
    /// Too much is waiting; try again later.
    #[error("too many transactions are waiting; try again later")]
    Busy,
    /// No leader, shutting down, or the disk failed before anything was appended.
    #[error("the store cannot take transactions now: {0}")]
    Unavailable(String),
    /// It may or may not have taken effect; ask again with the same request id.
    #[error("it is not known whether the transaction took effect: {0}")]
    UnknownOutcome(String),
}

fn data_hex(id: &RequestId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
