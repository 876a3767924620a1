//! Going on alone after the majority is lost, on a directory that no process has open.
//!
//! INVARIANT: nothing of the directory is changed before everything about it was found to be in order, and
//! what is changed is one synced write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::impls::BasicNode;

use super::OpenError;
use super::open::{REPLICA, log_error, open_parts, stop_log};
use crate::cluster::{Member, MemberRole};
use crate::directory::{Directory, io_error};
use crate::failure::Failure;
use crate::raft::log::Log;
use crate::raft::record::NodeIdentity;
use crate::raft::{Entry, Membership, Vote, record};

/// What a recovery found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The node, now the only voter.
    pub node_id: u64,
    /// How often the cluster was recovered, with this time, plus one.
    pub incarnation: u64,
    /// Last entry that was known to be agreed on.
    pub committed: u64,
    /// Last entry of the node's log: everything up to it counts from now on.
    pub kept: u64,
    /// The members before.
    pub members: Vec<Member>,
}

/// Makes the node in this directory the only voter of a new incarnation of its cluster. What other nodes had
/// and this one has not is lost.
///
/// # Errors
/// The directory is in use, damaged, removed from its cluster, or of a node that is alone already.
pub fn recover(path: &Path) -> Result<Recovered, OpenError> {
    let directory = Directory::open(path)?;
    let failure = Arc::new(Failure::default());
    let (log, writer) = Log::open(&directory.raft(), Arc::clone(&failure))
        .map_err(|error| log_error(&directory, error))?;
    let recovered = rewrite(&directory, &log, &failure);
    stop_log(&log, writer);
    recovered
}

fn rewrite(
    directory: &Directory,
    log: &Log,
    failure: &Arc<Failure>,
) -> Result<Recovered, OpenError> {
    let path = directory.path();
    let damaged = |reason: &str| OpenError::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    // Opening both proves that they belong together and that all of the log can be read.
    let applier = open_parts(directory, log, failure)?;
    let identity = log
        .identity()
        .map_err(|error| log_error(directory, error))?
        .ok_or_else(|| damaged("it does not say which node it is"))?;
    let (last, vote, committed) = {
        let state = log.shared.lock();
        (state.last, state.vote, state.committed)
    };
    let last =
        last.ok_or_else(|| damaged("its log is empty: it never had anything of its cluster"))?;
    let entries = log
        .read_all()
        .map_err(|error| io_error(path, "read its log", error))?;
    let newest = entries.iter().rev().find_map(|entry| match &entry.payload {
        EntryPayload::Membership(membership) => Some(membership.clone()),
        _ => None,
    });
    let before = newest.unwrap_or_else(|| applier.membership.membership().clone());
    let voters: BTreeSet<u64> = before.voter_ids().collect();
    if voters == BTreeSet::from([identity.node_id]) && before.get_joint_config().len() == 1 {
        return Err(OpenError::Alone {
            path: path.to_owned(),
        });
    }
    let own = before
        .get_node(&identity.node_id)
        .cloned()
        .unwrap_or_default();
    let alone = Membership::new(
        vec![BTreeSet::from([identity.node_id])],
        BTreeMap::<u64, BasicNode>::from([(identity.node_id, own)]),
    )
    .map_err(|error| damaged(&error.to_string()))?;
    let term = last
        .leader_id
        .term
        .max(vote.map_or(0, |vote| vote.leader_id.term))
        + 1;
    let entry = Entry {
        log_id: record::log_id(term, identity.node_id, last.index + 1),
        payload: EntryPayload::Membership(alone),
    };
    let next = NodeIdentity {
        incarnation: identity.incarnation + 1,
        cluster: identity.cluster.or(applier.applied.cluster),
        ..identity
    };
    log.rewrite(&entry, &Vote::new(term, identity.node_id), &next)
        .map_err(|error| log_error(directory, error))?;
    // It votes now, whatever it was.
    match std::fs::remove_file(path.join(REPLICA)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io_error(path, "remove its note", error));
        }
        _ => {}
    }
    Ok(Recovered {
        node_id: identity.node_id,
        incarnation: next.incarnation,
        committed: committed
            .map_or(0, |id| id.index)
            .max(applier.applied.last.map_or(0, |id| id.index)),
        kept: last.index,
        members: before
            .nodes()
            .map(|(id, node)| Member {
                id: *id,
                address: node.addr.clone(),
                role: match voters.contains(id) {
                    true => MemberRole::Voter,
                    false => MemberRole::Learner,
                },
            })
            .collect(),
    })
}
