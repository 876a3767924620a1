//! Replication with openraft. None of its types leaves this crate, none of its serialisation is
//! written to disk or sent.
//!
//! A log entry holds an encoded [`Proposal`](crate::proposal::Proposal); its answer is what
//! [`transact`](crate::Node::transact) returns.

pub(crate) mod extent;
pub(crate) mod intake;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod peers;
pub(crate) mod record;
#[cfg(test)]
mod suite;
pub(crate) mod tail;
pub(crate) mod writer;

use std::{fmt, io};

use bytes::Bytes;
use openraft::RaftTypeConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::RefName;
use crate::peer::PeerAddress;
use crate::transaction::{Committed, Expect, RequestId, Target};

/// Which types openraft is used with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Payload;
    type R = Answer;
    type NodeId = u64;
    type Node = openraft::impls::BasicNode;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::impls::EntryPayload<Payload, u64, Self::Node>;
    type Entry = openraft::impls::Entry<Self::LeaderId, Self::Payload>;
    #[cfg(not(test))]
    type AsyncRuntime = openraft_rt_tokio::TokioRuntime;
    #[cfg(test)]
    type AsyncRuntime = crate::simulation::runtime::Runtime;
    type Responder<T>
        = Reply<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, openraft::impls::BasicNode>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Raft = openraft::Raft<Types, machine::Machine>;

/// Runs work that may wait for the disk on a thread that may. A simulation has one thread, and must not depend on
/// others: there it is done at once.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    #[cfg(test)]
    if crate::simulation::chance::simulated() {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// Starts a task of this node's: on the runtime that it is called on, in the life of the node that a simulation runs.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    // Nobody waits for it.
    drop(<<Types as RaftTypeConfig>::AsyncRuntime as openraft_rt::AsyncRuntime>::spawn(task));
}

/// The members other than this one that can be reached, and where, in the order of their ids.
pub(crate) fn peers_of(membership: &Membership, own: u64) -> Vec<(u64, PeerAddress)> {
    membership
        .nodes()
        .filter(|(id, node)| **id != own && !node.addr.is_empty())
        .map(|(id, node)| {
            let peer = PeerAddress {
                node_id: Some(*id),
                address: node.addr.as_str().into(),
            };
            (*id, peer)
        })
        .collect()
}

/// Random bytes; in a simulation, those of its seed.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    #[cfg(test)]
    if crate::simulation::chance::simulated() {
        crate::simulation::chance::fill(bytes);
        return Ok(());
    }
    getrandom::fill(bytes)
}

/// The bytes of a proposal.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proposal of {} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Blank and membership entries.
    Nothing,
    /// A piece of a staged transaction was taken.
    Staged,
    Committed(Committed),
    Refused(Refusal),
}

/// Why an entry had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Stale {
        name: RefName,
        expected: Expect,
        actual: Option<Target>,
    },
    RequestReused(RequestId),
    MissingObject(Target),
    WrongObject {
        target: Target,
        reason: String,
    },
    Malformed(String),
    Session(String),
}

/// Answers an entry of the intake.
pub(crate) struct Reply<T> {
    pub(crate) answer: intake::Answering<T>,
    pub(crate) _on_its_way: intake::OnItsWay,
}

impl<T: openraft::OptionalSend + 'static> openraft::raft::responder::Responder<Types, T>
    for Reply<T>
{
    fn on_complete(self, result: T) {
        self.answer.tell(result);
    }
}

/// openraft's `serde` feature asks for these; nothing here is ever written with it.
macro_rules! never_serialized {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("confman's log has a codec of its own"))
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom("confman's log has a codec of its own"))
            }
        }
    )*};
}

never_serialized!(Payload, Answer);
