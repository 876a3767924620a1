//! The only mutable state: names that point at objects, moved by transactions that are replicated.
//!
//! A transaction says which refs it read and moves, and the value each must still have. Applying it
//! is: do the expected values still hold? then store the objects, move the refs, append the
//! operation. Nothing else is ever decided here.
//!
//! INVARIANT: a ref only ever names an object that is in the store.
//! INVARIANT: an edit is in the view and in the operation log, or in neither.
//! INVARIANT: applying reads no clock, no random source and no map order.
//! INVARIANT: refs does not know what a commit contains, nor that configuration exists.

mod budget;
pub mod cluster;
mod cursor;
mod data;
mod directory;
mod failure;
mod gate;
#[cfg(test)]
mod golden;
mod joining;
pub mod name;
pub mod node;
pub mod operation;
pub mod peer;
mod proposal;
mod raft;
pub mod restoring;
pub mod row;
#[cfg(test)]
mod simulation;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transaction;
mod transfer;
pub mod verify;
pub mod view;

pub use data::requests::{REQUEST_REMEMBERED_MS, REQUESTS_REMEMBERED_MAX};
pub use data::sessions::{SESSION_BYTES_MAX, SESSION_MS, SESSIONS_MAX};
pub use directory::FORMAT;
pub use name::{RefName, RefNameError};
pub use node::scrub::{DAMAGED_MAX, DamagedObject, ScrubStatus, ScrubStep};
pub use node::{DatabaseStatus, LogCounters, Node, NodeOptions, OpenError, Status, Submitted};
pub use operation::{Operation, OperationEdit};
pub use peer::{Begin, PeerAddress, PeerIdentity, PeerOptions, Transport, Tuning};
pub use restoring::{RESTORED_INDEX_GAP, RestoreError, Restored, Restoring, discard};
pub use row::{IndexRow, RowRange};
pub use transaction::{Committed, Expect, RefEdit, RequestId, Target, TransactError, Transaction};
pub use transfer::children as links;
pub use verify::{OperationDifference, OperationReport};
pub use view::View;
