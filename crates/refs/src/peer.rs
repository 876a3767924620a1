//! The network between nodes, as far as it is not the network itself: what is asked of a peer and answered
//! ([`message`]), who asks, and how a request gets there ([`Transport`]).
//!
//! INVARIANT: nothing of openraft's is sent; every message has a codec of its own (`docs/FORMAT-peers.md`).
//! INVARIANT: every call ends within the time it was given, whatever the peer does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

pub(crate) mod answer;
pub(crate) mod message;
mod nobody;

pub use nobody::Nobody;

/// Oldest version of the messages that this software understands.
pub const PROTOCOL_MIN: u16 = 1;
/// Newest version of the messages that this software understands.
pub const PROTOCOL_MAX: u16 = 1;

/// Largest message between peers. A request for log entries holds one entry at least, whatever its size.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Longest address of a peer.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// The number of a node that belongs to no cluster yet: all it may ask is to join.
pub const STRANGER: u64 = 0;

/// Who speaks: exchanged before anything else, and held against what is expected on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster.
    pub cluster_id: [u8; 16],
    /// The node, [`STRANGER`] before it has joined.
    pub node_id: u64,
    /// How often the cluster was recovered from the loss of its quorum, plus one. Nodes of an earlier
    /// life of the cluster are other nodes.
    pub incarnation: u64,
    /// Oldest version of the messages it understands.
    pub protocol_min: u16,
    /// Newest version of the messages it understands.
    pub protocol_max: u16,
}

/// Why two nodes do not talk to one another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityMismatch {
    /// They belong to different clusters.
    #[error("it is of cluster {theirs}, this node is of cluster {ours}")]
    Cluster {
        /// As hex.
        ours: String,
        /// As hex.
        theirs: String,
    },
    /// The address leads to another node than the one that was meant.
    #[error("it is node {found}, not node {expected}")]
    Node {
        /// Who was meant.
        expected: u64,
        /// Who is there.
        found: u64,
    },
    /// It calls itself what this node is.
    #[error("it claims to be node {0}, which this node is")]
    Same(u64),
    /// One of them is from before the cluster was recovered.
    #[error(
        "it is of incarnation {theirs} of the cluster, this node is of {ours}: the cluster was recovered in between, and the older one has to join anew"
    )]
    Incarnation {
        /// This node's.
        ours: u64,
        /// Its.
        theirs: u64,
    },
    /// No version of the messages is understood by both.
    #[error(
        "it speaks versions {theirs_min} to {theirs_max} of the protocol, this node {ours_min} to {ours_max}"
    )]
    Protocol {
        /// This node's oldest.
        ours_min: u16,
        /// This node's newest.
        ours_max: u16,
        /// Its oldest.
        theirs_min: u16,
        /// Its newest.
        theirs_max: u16,
    },
}

impl PeerIdentity {
    /// The identity of a member.
    #[must_use]
    pub const fn member(cluster_id: [u8; 16], node_id: u64, incarnation: u64) -> Self {
        Self {
            cluster_id,
            node_id,
            incarnation,
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
        }
    }

    /// The identity of a node that belongs to no cluster yet.
    #[must_use]
    pub const fn stranger() -> Self {
        Self::member([0; 16], STRANGER, 0)
    }

    /// Whether it belongs to no cluster yet.
    #[must_use]
    pub const fn is_stranger(&self) -> bool {
        self.node_id == STRANGER
    }

    /// Whether this node talks to one of that identity; gives the version of the messages to use. A
    /// stranger is talked to: what it may ask is decided where it is answered.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, theirs: &Self) -> Result<u16, IdentityMismatch> {
        let version = self.protocol_max.min(theirs.protocol_max);
        if version < self.protocol_min || version < theirs.protocol_min {
            return Err(IdentityMismatch::Protocol {
                ours_min: self.protocol_min,
                ours_max: self.protocol_max,
                theirs_min: theirs.protocol_min,
                theirs_max: theirs.protocol_max,
            });
        }
        if self.is_stranger() || theirs.is_stranger() {
            return Ok(version);
        }
        if self.cluster_id != theirs.cluster_id {
            return Err(IdentityMismatch::Cluster {
                ours: hex(&self.cluster_id),
                theirs: hex(&theirs.cluster_id),
            });
        }
        if self.incarnation != theirs.incarnation {
            return Err(IdentityMismatch::Incarnation {
                ours: self.incarnation,
                theirs: theirs.incarnation,
            });
        }
        if self.node_id == theirs.node_id {
            return Err(IdentityMismatch::Same(self.node_id));
        }
        Ok(version)
    }

    /// The same, where one certain node was called.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_called(
        &self,
        expected: Option<u64>,
        theirs: &Self,
    ) -> Result<u16, IdentityMismatch> {
        let version = self.check(theirs)?;
        match expected {
            Some(expected) if expected != theirs.node_id => Err(IdentityMismatch::Node {
                expected,
                found: theirs.node_id,
            }),
            _ => Ok(version),
        }
    }

    /// The bytes that a handshake exchanges. Every version of the software reads them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        message::encode_identity(self)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are none of it.
    pub fn decode(bytes: &Bytes) -> Result<Self, confman_object_store::DecodeError> {
        message::decode_identity(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// Which node must answer there; `None` for whoever does, as when joining.
    pub node_id: Option<u64>,
    /// Host and port.
    pub address: Arc<str>,
}

/// What a call is for. Calls of one lane never wait for those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Heartbeats, votes and hand-overs: small, and nothing may delay them.
    Control,
    /// Log entries.
    Log,
    /// Snapshots and repairs: much, and nobody waits for it.
    Bulk,
    /// Requests of clients that another node answers.
    Request,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 4] = [Self::Control, Self::Log, Self::Bulk, Self::Request];
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There was no connection: the request was not delivered.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time: the request may have been delivered.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection was lost before the answer: the request may have been delivered.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// It is there and does not talk to this node.
    #[error("refused: {0}")]
    Refused(String),
}

/// Carries requests to peers and brings their answers back. It knows nothing of what they mean.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Delivers a request and waits for the answer, not longer than `within`. Requests of one lane may
    /// overtake one another.
    fn call(
        &self,
        peer: &PeerAddress,
        lane: Lane,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>>;

    /// Is told who this node is, as soon as it knows: what it calls under from then on.
    fn introduce(&self, _identity: &PeerIdentity) {}

    /// Bytes of the requests that were answered, and of their answers.
    fn carried(&self, _lane: Lane) -> u64 {
        0
    }
}

/// What a node in an empty directory becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A cluster of one node.
    Alone,
    /// A member that has been admitted, and waits for the cluster to bring it the state.
    Joined {
        /// The cluster.
        cluster_id: [u8; 16],
        /// The number that the cluster gave to this node.
        node_id: u64,
        /// The cluster's incarnation.
        incarnation: u64,
    },
}

/// How a node is to take part in a cluster.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Where other nodes reach this one.
    pub address: String,
    /// How this node reaches others.
    pub transport: Arc<dyn Transport>,
    /// What becomes of an empty directory.
    pub begin: Begin,
    /// Times and sizes.
    pub tuning: Tuning,
    /// Of a node that joins: it stays a learner.
    pub replica: bool,
    /// The newest version of the protocol that it speaks: [`PROTOCOL_MAX`], but in tests of mixed versions.
    pub protocol_max: u16,
}

/// Time between two heartbeats of a leader.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
/// Shortest time after which a node stands for election, once its last leader has been silent for [`ELECTION_MAX`]:
/// so long it votes for nobody else.
pub const ELECTION_MIN: Duration = Duration::from_millis(800);
/// Longest time after which it does: a leader that dies is replaced within twice as long.
pub const ELECTION_MAX: Duration = Duration::from_millis(2000);
/// Entries after which a snapshot is made. It costs a sync.
pub const SNAPSHOT_ENTRIES: u64 = 4000;
/// Entries that a snapshot covers and that are kept all the same, for peers that are a little behind.
pub const KEPT_ENTRIES: u64 = 4000;

/// Bytes of log after which a snapshot is made, however few entries they are.
pub const SNAPSHOT_BYTES: u64 = 64 << 20;
/// Bytes of entries that a snapshot covers and that are kept all the same; fewer than [`KEPT_ENTRIES`], where these
/// are large.
pub const KEPT_BYTES: u64 = 256 << 20;

/// Times and sizes of replication. The defaults are for a local network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// See [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// See [`ELECTION_MIN`]. More than the heartbeat.
    pub election_min: Duration,
    /// See [`ELECTION_MAX`]. More than the shortest.
    pub election_max: Duration,
    /// See [`SNAPSHOT_ENTRIES`].
    pub snapshot_entries: u64,
    /// See [`KEPT_ENTRIES`].
    pub kept_entries: u64,
    /// See [`SNAPSHOT_BYTES`].
    pub snapshot_bytes: u64,
    /// See [`KEPT_BYTES`].
    pub kept_bytes: u64,
    /// See [`crate::cluster::PROMOTE_AFTER`].
    pub promote_after: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            election_min: ELECTION_MIN,
            election_max: ELECTION_MAX,
            snapshot_entries: SNAPSHOT_ENTRIES,
            kept_entries: KEPT_ENTRIES,
            snapshot_bytes: SNAPSHOT_BYTES,
            kept_bytes: KEPT_BYTES,
            promote_after: crate::cluster::PROMOTE_AFTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> PeerIdentity {
        PeerIdentity::member([1; 16], 1, 1)
    }

    #[track_caller]
    fn refused(theirs: &PeerIdentity) -> String {
        identity().check(theirs).unwrap_err().to_string()
    }

    #[test]
    fn peers_of_one_cluster_talk_in_the_newest_version_that_both_know() {
        let theirs = PeerIdentity {
            node_id: 2,
            protocol_max: 9,
            ..identity()
        };
        assert_eq!(identity().check(&theirs), Ok(PROTOCOL_MAX));
        assert_eq!(identity().check_called(Some(2), &theirs), Ok(PROTOCOL_MAX));
        assert_eq!(
            identity().check(&PeerIdentity::stranger()),
            Ok(PROTOCOL_MAX)
        );
    }

    #[test]
    fn peers_that_do_not_belong_together_say_why() {
        let two = PeerIdentity {
            node_id: 2,
            ..identity()
        };
        insta::assert_snapshot!(
            refused(&PeerIdentity { cluster_id: [2; 16], ..two.clone() }),
            @"it is of cluster 02020202020202020202020202020202, this node is of cluster 01010101010101010101010101010101"
        );
        insta::assert_snapshot!(
            refused(&PeerIdentity { incarnation: 2, ..two.clone() }),
            @"it is of incarnation 2 of the cluster, this node is of 1: the cluster was recovered in between, and the older one has to join anew"
        );
        insta::assert_snapshot!(
            refused(&PeerIdentity { protocol_min: 7, protocol_max: 9, ..two.clone() }),
            @"it speaks versions 7 to 9 of the protocol, this node 1 to 1"
        );
        insta::assert_snapshot!(refused(&identity()), @"it claims to be node 1, which this node is");
        insta::assert_snapshot!(
            identity().check_called(Some(3), &two).unwrap_err(),
            @"it is node 2, not node 3"
        );
    }
}
