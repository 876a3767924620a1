//! Membership, straight to raft: for tests of what is below the commands that check it.

use std::collections::BTreeSet;
use std::time::Duration;

use confman_object_store::{Kind, ObjectId};
use openraft::ChangeMembers;
use openraft::impls::BasicNode;

use crate::node::Node;
use crate::proposal;
use crate::transaction::{Committed, TransactError, Transaction};

/// How long a change may take.
const WITHIN: Duration = Duration::from_secs(60);

/// Makes a learner of a node. Only at the leader.
///
/// # Errors
/// What raft says.
pub fn add_learner(leader: &Node, node_id: u64, address: &str) -> Result<(), String> {
    let node = BasicNode {
        addr: address.to_owned(),
    };
    let raft = leader.raft.clone();
    leader.on_raft(WITHIN, async move {
        // Right after a cluster begins, its first membership is still being committed.
        raft.wait(Some(WITHIN))
            .applied_index_at_least(Some(1), "the first membership is applied")
            .await
            .map_err(|error| error.to_string())?;
        raft.add_learner(node_id, node, true)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

/// Makes a voter of a learner. Only at the leader.
///
/// # Errors
/// What raft says.
pub fn promote(leader: &Node, node_id: u64) -> Result<(), String> {
    let raft = leader.raft.clone();
    leader.on_raft(WITHIN, async move {
        let change = ChangeMembers::AddVoterIds(BTreeSet::from([node_id]));
        raft.change_membership(change, true)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

/// Makes a snapshot and purges from the log all that it covers.
///
/// # Errors
/// What raft says.
pub fn snapshot_and_purge(node: &Node) -> Result<(), String> {
    let raft = node.raft.clone();
    let applied = node.view().index();
    node.on_raft(WITHIN, async move {
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        raft.trigger().snapshot().await.map_err(|e| failed(&e))?;
        raft.wait(Some(WITHIN))
            .metrics(
                |metrics| metrics.snapshot.is_some_and(|last| last.index >= applied),
                "a snapshot covers all",
            )
            .await
            .map_err(|e| failed(&e))?;
        raft.trigger()
            .purge_log(applied)
            .await
            .map_err(|e| failed(&e))?;
        raft.wait(Some(WITHIN))
            .metrics(
                |metrics| metrics.purged.is_some_and(|last| last.index >= applied),
                "the log is purged",
            )
            .await
            .map(drop)
            .map_err(|e| failed(&e))
    })
}

/// Makes a node that applies what was never agreed on: its next operation will be another one than that of the
/// others.
///
/// # Errors
/// It could not be done.
pub fn lead_astray(node: &Node) -> Result<(), String> {
    node.answerer
        .receiving
        .applier
        .lock()
        .map(|mut applier| applier.applied.time_ms += 1_000_000)
        .map_err(|error| error.to_string())
}

/// Changes a byte of an object on the disk of a node.
///
/// # Errors
/// It is not there, or the disk fails.
pub fn damage_object(node: &Node, kind: Kind, id: &ObjectId) -> Result<(), String> {
    node.data
        .damage(kind, id)
        .map_err(|error| error.to_string())
}

/// Takes an operation out of the table that says where operations are.
///
/// # Errors
/// The disk fails.
pub fn lose_place(node: &Node, sequence: u64) -> Result<(), String> {
    let families = node.data.families().map_err(|error| error.to_string())?;
    let key = crate::data::operations::key(sequence);
    node.data
        .db
        .delete_cf(families.operations, key)
        .map_err(|error| error.to_string())
}

/// Stages all of a transaction but its end, which it returns.
///
/// # Errors
/// A piece was not taken.
pub fn stage(node: &Node, transaction: &Transaction) -> Result<bytes::Bytes, TransactError> {
    let entries = proposal::staged(transaction, [7; 16]);
    for piece in entries.pieces {
        node.stage(piece)?;
    }
    Ok(entries.last)
}

/// Ends a transaction that was staged.
///
/// # Errors
/// See [`TransactError`].
pub fn finish(node: &Node, last: bytes::Bytes) -> Result<Committed, TransactError> {
    node.propose(last)?.wait()
}

/// Hands leadership to another voter. Only at the leader.
///
/// # Errors
/// What raft says.
pub fn hand_over(leader: &Node, to: u64) -> Result<(), String> {
    let raft = leader.raft.clone();
    leader.on_raft(WITHIN, async move {
        raft.trigger()
            .transfer_leader(to)
            .await
            .map_err(|error| error.to_string())?;
        raft.wait(Some(WITHIN))
            .metrics(
                |metrics| metrics.current_leader != Some(metrics.id),
                "leadership is given up",
            )
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    })
}
