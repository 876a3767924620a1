//! Snapshots between nodes: what is offered is a handle; who gets it fetches only what it lacks, from whoever
//! has it, and installs it last.
//!
//! INVARIANT: an object that came with a transfer vouches for what it refers to only once that transfer is
//! complete; until then it is looked into again, and not fetched again.
//! INVARIANT: nothing is installed before everything it refers to is on disk.

mod fetching;
mod holdings;
pub(crate) mod message;
pub(crate) mod receiving;
pub(crate) mod sending;
pub(crate) mod table;

pub(crate) use fetching::Fetched;

use confman_object_store::pack::links;
use confman_object_store::{DecodeError, Kind, ObjectId};

use crate::operation::Operation;
use crate::transaction::Target;

/// Names a transfer: the same for as long as the same state is offered by the same node.
pub(crate) type TransferId = [u8; 16];

/// An object that is to be there.
type Wanted = (Kind, ObjectId);

/// What the birth of an object has where it came with a transfer; the rest of it is the transfer's.
const TRANSFERRED: u64 = 1 << 63;

/// What objects of a transfer are born as.
pub(crate) fn birth(transfer: &TransferId) -> u64 {
    let (first, _) = transfer.split_at(8);
    let number = <[u8; 8]>::try_from(first).map_or(0, u64::from_le_bytes);
    number | TRANSFERRED
}

/// Whether an object of this birth vouches for what it refers to.
pub(crate) fn is_whole(born: u64, complete: &[u64]) -> bool {
    born & TRANSFERRED == 0 || complete.contains(&born)
}

/// What an object refers to. Of an operation that is its parent, what its edits put in place, and its view.
///
/// # Errors
/// The bytes are not an object of that kind.
pub fn children(kind: Kind, bytes: &[u8]) -> Result<Vec<(Kind, ObjectId)>, DecodeError> {
    if kind != Kind::Operation {
        return links(kind, bytes);
    }
    let operation = Operation::decode(bytes)?;
    let parent = operation.parent.map(|id| (Kind::Operation, id));
    let view = operation.view.map(|id| (Kind::Page, id));
    let placed = operation.edits.iter().filter_map(|edit| edit.new);
    Ok(placed
        .map(|Target { kind, id }| (kind, id))
        .chain(view)
        .chain(parent)
        .collect())
}
