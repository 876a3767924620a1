//! Several nodes in one process, over a network in memory.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use confman_refs::testing::MemoryNetwork;
use confman_refs::{Begin, Committed, Node, NodeOptions, PeerOptions, TransactError, Tuning};

use super::harness::{options, set};

/// How long anything may take that needs an election or a transfer, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`, looking often.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Shorter than in earnest.
pub fn tuning() -> Tuning {
    Tuning {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(1000),
        ..Tuning::default()
    }
}

/// Nodes by their numbers, and what is between them.
pub struct Cluster {
    pub network: MemoryNetwork,
    pub nodes: BTreeMap<u64, Arc<Node>>,
    tuning: Tuning,
    directories: BTreeMap<u64, tempfile::TempDir>,
    requests: u64,
}

pub fn address(node_id: u64) -> String {
    format!("node-{node_id}:7421")
}

impl Cluster {
    /// A cluster of so many voters.
    pub fn of(count: u64, tuning: Tuning) -> Self {
        let mut cluster = Self {
            network: MemoryNetwork::default(),
            nodes: BTreeMap::new(),
            tuning,
            directories: BTreeMap::new(),
            requests: 0,
        };
        cluster.start(1, Begin::Alone);
        for node_id in 2..=count {
            cluster.join(node_id);
            cluster.promote(node_id);
        }
        cluster
    }

    fn options(&mut self, node_id: u64, begin: Begin) -> NodeOptions {
        let directory = self
            .directories
            .entry(node_id)
            .or_insert_with(|| tempfile::tempdir().unwrap());
        let mut options = options(directory.path());
        options.peers = Some(PeerOptions {
            address: address(node_id),
            transport: self.network.transport(&address(node_id)),
            begin,
            tuning: self.tuning,
            replica: false,
            protocol_max: confman_refs::peer::PROTOCOL_MAX,
        });
        options
    }

    /// Opens a node and connects it.
    pub fn start(&mut self, node_id: u64, begin: Begin) {
        let options = self.options(node_id, begin);
        let node = Arc::new(Node::open(&options).unwrap());
        self.network.connect(&address(node_id), &node);
        self.nodes.insert(node_id, node);
    }

    /// Opens a node again that was stopped.
    pub fn restart(&mut self, node_id: u64) {
        self.start(node_id, Begin::Alone);
    }

    /// Closes a node.
    pub fn stop(&mut self, node_id: u64) {
        self.network.disconnect(&address(node_id));
        let node = self.nodes.remove(&node_id).unwrap();
        node.close();
    }

    /// Opens an empty node as a learner of the cluster.
    pub fn join(&mut self, node_id: u64) {
        let leader = self.leader();
        let identity = leader.identity().clone();
        self.start(
            node_id,
            Begin::Joined {
                cluster_id: identity.cluster_id,
                node_id,
                incarnation: identity.incarnation,
            },
        );
        confman_refs::testing::add_learner(&leader, node_id, &address(node_id)).unwrap();
    }

    /// Makes a voter of a learner.
    pub fn promote(&mut self, node_id: u64) {
        confman_refs::testing::promote(&self.leader(), node_id).unwrap();
    }

    /// The node that leads, once one does that another one does not contradict in a later term.
    pub fn leader(&self) -> Arc<Node> {
        let mut found = None;
        eventually("there is a leader", || {
            found = self
                .nodes
                .values()
                .filter(|node| {
                    let status = node.status();
                    status.leader == Some(status.node_id)
                })
                .max_by_key(|node| node.status().term)
                .cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// Where a node keeps things.
    pub fn directory(&self, node_id: u64) -> &std::path::Path {
        self.directories[&node_id].path()
    }

    /// A node.
    pub fn node(&self, node_id: u64) -> &Arc<Node> {
        &self.nodes[&node_id]
    }

    /// Any node that does not lead.
    pub fn follower(&self) -> u64 {
        let leader = self.leader().status().node_id;
        *self.nodes.keys().find(|id| **id != leader).unwrap()
    }

    /// Sets a ref through the leader, trying again while there is none. A new leader may not have applied yet
    /// what the old one acknowledged, so what the ref is now is read linearizably.
    pub fn set(&mut self, ref_name: &str, text: &str) -> Committed {
        let mut committed = None;
        eventually("a transaction is taken", || {
            self.requests += 1;
            let leader = self.leader();
            if leader.linearize(Duration::from_secs(2)).is_err() {
                return false;
            }
            match set(&leader, self.requests, ref_name, text) {
                Ok(done) => committed = Some(done),
                Err(
                    TransactError::Unavailable(_)
                    | TransactError::UnknownOutcome(_)
                    | TransactError::Stale { .. },
                ) => {}
                Err(error) => panic!("{error}"),
            }
            committed.is_some()
        });
        committed.unwrap()
    }

    /// A follower that has applied what was never agreed on, and has found out.
    pub fn lead_a_follower_astray(&mut self) -> u64 {
        self.assert_equal();
        let astray = self.follower();
        confman_refs::testing::lead_astray(self.node(astray)).unwrap();
        self.set("ref-3", "agreed");
        self.set("new", "agreed");
        let node = Arc::clone(self.node(astray));
        eventually("it finds out", || node.status().failed.is_some());
        astray
    }

    /// Waits until every node has applied this index.
    #[track_caller]
    pub fn settle(&self, index: u64) {
        for (node_id, node) in &self.nodes {
            assert!(
                node.wait_for_index(index, PATIENCE),
                "node {node_id} has applied {} of {index}",
                node.status().applied
            );
        }
    }

    /// All nodes are at the same operation.
    #[track_caller]
    pub fn assert_equal(&self) {
        let index = self.leader().view().index();
        self.settle(index);
        let operations: Vec<_> = self
            .nodes
            .values()
            .map(|node| (node.view().sequence(), node.view().operation()))
            .collect();
        assert!(
            operations.windows(2).all(|pair| pair[0] == pair[1]),
            "{operations:?}"
        );
    }
}
