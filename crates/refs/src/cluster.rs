//! The members of a cluster: who they are, what each says of itself, and what may be changed about them
//! (`docs/CLUSTER.md`).
//!
//! INVARIANT: the id of a member is the log index of the entry that let it in, so no id is ever used twice.

pub(crate) mod message;
mod plan;
pub(crate) mod rounds;

use std::fmt;
use std::time::Duration;

use confman_object_store::ObjectId;

use crate::node::scrub::ScrubStatus;

pub use crate::joining::{JOIN_WITHIN, begin};
pub use crate::node::heal::{HealError, Healed, heal};
pub use crate::node::members::JoinError;
pub(crate) use crate::node::members::join as ask_to_join;
pub use crate::node::recover::{Recovered, recover};
pub use crate::peer::ADDRESS_BYTES_MAX;
pub(crate) use plan::{Standing, Step, plan, successor};

/// A learner that is at most so many entries behind can become a voter.
pub const PROMOTE_LAG_MAX: u64 = 64;
/// For so long a learner must not have been further behind before it asks to become a voter.
pub const PROMOTE_AFTER: Duration = Duration::from_millis(500);
/// A member that has not answered its leader for so long counts as not reachable.
pub const REACHABLE_WITHIN: Duration = Duration::from_secs(3);
/// How long handing over leadership may take.
pub const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Where its peers reach it; empty for a node that never had any.
    pub address: String,
    /// Whether it votes.
    pub role: MemberRole,
}

/// Whether a member votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// It counts for a majority and can lead.
    Voter,
    /// It gets everything and counts for nothing: not caught up yet, or a read replica.
    Learner,
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
        })
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// Of the program.
    pub version: String,
    /// The range of protocol versions that it understands.
    pub protocol: (u16, u16),
    /// Where clients reach it, as it was told; empty where it was not.
    pub url: String,
    /// Whether it stays a learner.
    pub replica: bool,
    /// Raft term.
    pub term: u64,
    /// Its leader, if it knows one.
    pub leader: Option<u64>,
    /// Last log index that it has applied.
    pub applied: u64,
    /// Last log index that is written there.
    pub logged: u64,
    /// Its newest operation.
    pub operation: Option<ObjectId>,
    /// Its disk failed.
    pub failed: Option<String>,
}

/// A member, with what it says of itself where it answered.
#[derive(Clone, Debug)]
pub struct MemberState {
    /// Which.
    pub member: Member,
    /// What it says; `None`: it did not answer.
    pub report: Option<MemberReport>,
    /// What has come of reading again what it stores; `None`: it did not answer, or is too old to say.
    pub scrub: Option<ScrubStatus>,
}

/// The cluster as one of its members sees it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Identity of the cluster, from its first log entry.
    pub cluster_id: [u8; 16],
    /// How often it was recovered after it had lost its majority.
    pub incarnation: u64,
    /// The member that sees it so.
    pub node: u64,
    /// The leader, if it knows one.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// Last log index that it has applied.
    pub applied: u64,
    /// The version of the protocol that all members are known to understand.
    pub protocol: u16,
    /// The members, in the order of their ids.
    pub members: Vec<MemberState>,
}

impl ClusterStatus {
    /// Whether a majority of the voters answers.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        let voters = self
            .members
            .iter()
            .filter(|state| state.member.role == MemberRole::Voter);
        let (mut all, mut answering) = (0_usize, 0_usize);
        for voter in voters {
            all += 1;
            answering += usize::from(voter.report.is_some());
        }
        answering > all / 2
    }
}

/// What is to be changed about the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A learner becomes a voter.
    Promote {
        /// Which.
        node: u64,
    },
    /// A member leaves for ever.
    Remove {
        /// Which.
        node: u64,
    },
    /// A learner becomes a voter, then a voter leaves for ever.
    Replace {
        /// Who leaves.
        old: u64,
        /// Who takes its place.
        new: u64,
    },
    /// Another voter leads.
    Transfer {
        /// Which; `None`: the one that is least behind.
        to: Option<u64>,
    },
}

/// Whether a change is made though it could stop the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Only if it is safe.
    No,
    /// Though fewer than a majority of the voters that would be left can be reached, or a learner is far behind.
    Yes,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such member.
    #[error("node {0} is no member of this cluster")]
    NoSuchMember(u64),
    /// Only a learner can become a voter.
    #[error("node {0} is a voter already")]
    NoLearner(u64),
    /// Only a voter can lead or be replaced.
    #[error("node {0} is no voter")]
    NoVoter(u64),
    /// Nobody would be left.
    #[error("node {0} is the only voter; without it there would be no cluster")]
    LastVoter(u64),
    /// The learner has not caught up.
    #[error(
        "node {node} is {lag} entries behind, at most {PROMOTE_LAG_MAX} are allowed; wait, or force it"
    )]
    Behind {
        /// Which.
        node: u64,
        /// How far.
        lag: u64,
    },
    /// Too few voters would be reachable.
    #[error(
        "of the {voters} voters that there would be only {reachable} can be reached, and {needed} are needed to \
         agree on anything; bring the others back first, or force it if they are gone for good"
    )]
    LosesQuorum {
        /// How many there would be.
        voters: u64,
        /// How many of them answer.
        reachable: u64,
        /// How many must.
        needed: u64,
    },
    /// One after the other.
    #[error("another change of the members is under way; try again when it is done")]
    InProgress,
    /// Not now.
    #[error("the members cannot be changed now: {0}")]
    Unavailable(String),
    /// It may have happened.
    #[error("it is not known whether the change took effect: {0}; look at the members")]
    UnknownOutcome(String),
}

/// How a new node gets into a cluster.
#[derive(Clone)]
pub struct JoinOptions {
    /// Addresses of members; any will do.
    pub seeds: Vec<String>,
    /// The join token.
    pub token: String,
    /// It stays a learner: a read replica.
    pub replica: bool,
}

impl fmt::Debug for JoinOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinOptions")
            .field("seeds", &self.seeds)
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

/// A node that asks to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Names the request: asked again, it gets the same answer.
    pub request: [u8; 16],
    /// The join token.
    pub token: String,
    /// Where peers will reach it.
    pub address: String,
    /// The range of protocol versions that it understands.
    pub protocol: (u16, u16),
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why a node is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Asking again does not help.
    Refused(String),
    /// It may be let in later, or here or there.
    Later(String),
}

/// Decides whether a node is let in, and gives the log index of the entry that says so. Blocks.
pub type Admit = dyn Fn(&JoinRequest) -> Result<u64, NotAdmitted> + Send + Sync;
