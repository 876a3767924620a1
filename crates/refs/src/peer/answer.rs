//! Answering peers. Who asks was made sure of by the transport; whether it may ask that, is decided here.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::TransferLeaderError;

use super::PeerIdentity;
use super::message::{RefusedBecause, Reply, Request, TransferOutcome};
use crate::cluster::message::Ask;
use crate::failure::Failure;
use crate::node::link::Link;
use crate::raft::{self, Raft};
use crate::transfer;
use crate::transfer::receiving::Receiving;
use crate::transfer::sending::Offered;

/// What answering takes.
pub(crate) struct Answerer {
    pub(crate) raft: Raft,
    pub(crate) failure: Arc<Failure>,
    pub(crate) link: Link,
    pub(crate) offered: Arc<Offered>,
    pub(crate) receiving: Arc<Receiving>,
}

impl Answerer {
    /// The answer to a request, as bytes. Never fails: what cannot be done is refused.
    pub(crate) async fn answer(&self, from: &PeerIdentity, request: &Bytes) -> Bytes {
        let reply = match Request::decode(request) {
            Ok(request) => self.reply(from, request).await,
            Err(error) => Reply::refused(RefusedBecause::Malformed, error.to_string()),
        };
        reply.encode()
    }

    async fn reply(&self, from: &PeerIdentity, request: Request) -> Reply {
        if let Some(reason) = self.failure.get() {
            return Reply::refused(RefusedBecause::Stopping, reason);
        }
        let speaks_as = match &request {
            Request::Append(append) => Some(append.vote.leader_id.node_id),
            Request::Vote(vote) | Request::PreVote(vote) => Some(vote.vote.leader_id.node_id),
            Request::Transfer(transfer) => Some(transfer.from_leader().leader_id.node_id),
            Request::Bulk(_) | Request::Member(_) => None,
        };
        if speaks_as.is_some_and(|node| node != from.node_id) {
            let reason = format!(
                "node {} speaks as node {}",
                from.node_id,
                speaks_as.unwrap_or_default()
            );
            return Reply::refused(RefusedBecause::Forbidden, reason);
        }
        if from.is_stranger() && !matches!(request, Request::Member(_)) {
            return Reply::refused(
                RefusedBecause::Forbidden,
                "a node that is no member may only ask to join",
            );
        }
        match request {
            Request::Append(append) => {
                self.link.hear();
                self.raft
                    .append_entries(append)
                    .await
                    .map_or_else(|error| stopping(&error), Reply::Append)
            }
            Request::Vote(vote) => self
                .raft
                .vote(vote)
                .await
                .map_or_else(|error| stopping(&error), Reply::Vote),
            Request::PreVote(vote) => self
                .raft
                .pre_vote(vote)
                .await
                .map_or_else(|error| stopping(&error), Reply::Vote),
            Request::Transfer(transfer) => match self.raft.handle_transfer_leader(transfer).await {
                Ok(outcome) => Reply::Transfer(transfer_outcome(outcome)),
                Err(error) => stopping(&error),
            },
            Request::Bulk(ask) => match transfer::message::Ask::decode(&ask) {
                Ok(ask) => self.transfer(from, ask).await,
                Err(error) => Reply::refused(RefusedBecause::Malformed, error.to_string()),
            },
            Request::Member(ask) => match Ask::decode(&ask) {
                Ok(ask) if from.is_stranger() && !matches!(ask, Ask::Join(_)) => Reply::refused(
                    RefusedBecause::Forbidden,
                    "a node that is no member may only ask to join",
                ),
                Ok(ask) if !self.link.listens_to(from.node_id, &ask) => Reply::refused(
                    RefusedBecause::Forbidden,
                    format!("node {} is no member of this cluster", from.node_id),
                ),
                Ok(ask) => Reply::Member(self.link.answer(ask).await.encode()),
                Err(error) => Reply::refused(RefusedBecause::Malformed, error.to_string()),
            },
        }
    }
}

impl Answerer {
    /// Answers about the transfer of a state.
    async fn transfer(&self, from: &PeerIdentity, ask: transfer::message::Ask) -> Reply {
        let told = match ask {
            transfer::message::Ask::Offer(offer)
                if offer.vote.leader_id.node_id != from.node_id =>
            {
                let reason = format!("node {} offers as another one", from.node_id);
                return Reply::refused(RefusedBecause::Forbidden, reason);
            }
            transfer::message::Ask::Offer(offer) => {
                let taken = self.receiving.offered(from.node_id, offer).await;
                transfer::message::Told::Offer(taken).encode()
            }
            // Whoever asks has a directory to heal.
            transfer::message::Ask::State => self.state().await,
            ask => {
                let (offered, data) = (Arc::clone(&self.offered), Arc::clone(&self.receiving.data));
                raft::blocking(move || offered.answer(&data, &ask)?.encode()).await
            }
        };
        match told {
            Ok(told) => Reply::Bulk(told),
            Err(error) => Reply::refused(RefusedBecause::Busy, error.to_string()),
        }
    }
}

impl Answerer {
    /// The state as it is now, kept for who is going to fetch it.
    async fn state(&self) -> std::io::Result<Bytes> {
        let vote = self.raft.metrics().borrow_watched().vote;
        let node_id = self.link.node_id;
        let (offered, receiving) = (Arc::clone(&self.offered), Arc::clone(&self.receiving));
        raft::blocking(move || {
            let (handle, membership) = {
                let applier = receiving
                    .applier
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                (applier.handle(), applier.membership.clone())
            };
            let meta = handle.meta(&membership);
            let offer = offered.offer(node_id, vote, &meta, handle);
            transfer::message::Told::State(offer).encode()
        })
        .await
    }
}

/// The answer of a node that can give none.
pub(crate) fn stopped(reason: &str) -> Bytes {
    Reply::refused(RefusedBecause::Stopping, reason).encode()
}

fn stopping(error: &dyn std::fmt::Display) -> Reply {
    Reply::refused(RefusedBecause::Stopping, error.to_string())
}

fn transfer_outcome(outcome: Result<(), TransferLeaderError<raft::Types>>) -> TransferOutcome {
    match outcome {
        Ok(()) => TransferOutcome::Taken,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            TransferOutcome::VoteChanged { expected, actual }
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            TransferOutcome::LogNotFlushed { expected, actual }
        }
    }
}
