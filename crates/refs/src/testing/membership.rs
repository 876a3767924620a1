//! Membership, straight to raft: for tests of what is below the commands that check it.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::impls::BasicNode;

use crate::node::Node;

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
