//! Transactions: what is expected of the refs, and what they become.

use std::fmt;

use confman_object_store::codec::{Lines, check_text};
use confman_object_store::{Encoded, Kind, ObjectId};

use crate::name::RefName;
use crate::row::IndexRow;

/// Largest encoded transaction in one log entry. Larger ones are staged by several entries.
pub const ENTRY_BYTES_MAX: usize = 1536 * 1024;

/// Longest name of an actor.
pub const ACTOR_BYTES_MAX: usize = 255;
/// Longest name of an action.
pub const ACTION_BYTES_MAX: usize = 64;
/// Longest detail of a transaction.
pub const DETAIL_BYTES_MAX: usize = 256 * 1024;
/// Longest prefix and suffix of a row.
pub const ROW_KEY_BYTES_MAX: usize = 4096;
/// Longest value of a row.
pub const ROW_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Highest number of a table of rows.
pub const ROW_TABLE_MAX: u8 = 127;
/// Largest body of a transaction: everything but its objects.
pub const BODY_BYTES_MAX: usize = 512 << 20;

/// Bytes of an operation that are neither edits nor detail.
const OPERATION_OVERHEAD_BYTES_MAX: usize = 1024;
/// Bytes of an edit beside the name.
const EDIT_BYTES: usize = 67;

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

/// What [`check`] looks at.
pub(crate) struct Parts<'a> {
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) edits: &'a [RefEdit],
    pub(crate) reads: &'a [(RefName, Expect)],
    pub(crate) rows: &'a [IndexRow],
}

/// Checks every limit of a transaction that does not depend on a view.
pub(crate) fn check(parts: &Parts<'_>) -> Result<(), String> {
    if parts.edits.is_empty() && parts.rows.is_empty() {
        return Err("it moves no ref and writes no row".to_owned());
    }
    let one_line =
        |what: &str, text: &str, bytes_max: usize| match check_text(text, bytes_max, Lines::One) {
            Ok(()) if text.is_empty() => Err(format!("it has no {what}")),
            Ok(()) => Ok(()),
            Err((_, reason)) => Err(format!("{what}: {reason}")),
        };
    one_line("actor", parts.actor, ACTOR_BYTES_MAX)?;
    one_line("action", parts.action, ACTION_BYTES_MAX)?;
    check_text(parts.detail, DETAIL_BYTES_MAX, Lines::Many)
        .map_err(|(_, reason)| format!("detail: {reason}"))?;
    check_names(parts)?;
    check_rows(parts.rows)?;
    let operation_bytes_max = Kind::Operation.bytes_max() - OPERATION_OVERHEAD_BYTES_MAX;
    let edit_bytes: usize = parts
        .edits
        .iter()
        .map(|edit| edit.name.as_str().len() + EDIT_BYTES)
        .sum();
    if edit_bytes + parts.detail.len() > operation_bytes_max {
        return Err(format!(
            "its {} edits make an operation of {edit_bytes} bytes, at most {operation_bytes_max} are allowed",
            parts.edits.len()
        ));
    }
    Ok(())
}

fn check_names(parts: &Parts<'_>) -> Result<(), String> {
    let mut names: Vec<&RefName> = parts
        .edits
        .iter()
        .map(|edit| &edit.name)
        .chain(parts.reads.iter().map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    let twice = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b);
    twice.map_or(Ok(()), |(name, _)| {
        Err(format!("ref `{name}` is in it twice"))
    })
}

fn check_rows(rows: &[IndexRow]) -> Result<(), String> {
    for row in rows {
        if row.table > ROW_TABLE_MAX {
            return Err(format!(
                "a row of table {}; tables are 0 to {ROW_TABLE_MAX}",
                row.table
            ));
        }
        if row.prefix.len() > ROW_KEY_BYTES_MAX || row.suffix.len() > ROW_KEY_BYTES_MAX {
            return Err(format!(
                "a row of table {} has a key of more than {ROW_KEY_BYTES_MAX} bytes",
                row.table
            ));
        }
        if row.value.len() > ROW_VALUE_BYTES_MAX {
            return Err(format!(
                "a row of table {} has a value of {} bytes, at most {ROW_VALUE_BYTES_MAX} are allowed",
                row.table,
                row.value.len()
            ));
        }
    }
    let mut keys: Vec<(u8, &[u8], &[u8])> = rows
        .iter()
        .map(|row| (row.table, row.prefix.as_slice(), row.suffix.as_slice()))
        .collect();
    keys.sort_unstable();
    let twice = keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a == b);
    twice.map_or(Ok(()), |((table, ..), _)| {
        Err(format!("a row of table {table} is in it twice"))
    })
}

fn data_hex(id: &RequestId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
