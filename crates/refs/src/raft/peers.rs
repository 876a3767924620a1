//! How openraft reaches other nodes: over the node's [`Transport`], in messages of our own.
//!
//! A peer that cannot be reached is `Unreachable`, so that openraft waits before it asks again. Every call
//! is bounded here too, so that a transport that hangs cannot hold up raft.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{Backoff, RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use super::{Types, Vote};
use crate::data::snapshot::Handle;
use crate::peer::message::{RefusedBecause, Reply, Request, TransferOutcome};
use crate::peer::{CallError, Lane, PeerAddress, Transport};
use crate::transfer::message::{Ask, Taken, Told};
use crate::transfer::sending::Offered;

/// How long log entries may be on their way. Longer than a heartbeat, because they may be megabytes, and
/// never so long that they hold up the purging of the log.
const APPEND_WITHIN: Duration = Duration::from_secs(5);
/// How long an offer of a state waits for an answer; the other side answers sooner, done or not.
const OFFER_WITHIN: Duration = Duration::from_secs(10);
/// After how long without progress a transfer is given up.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// What a transport may take beyond the time it was given before it is given up.
const GRACE: Duration = Duration::from_millis(100);
/// First pause before a peer that could not be reached is tried again; it doubles.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Makes a [`Peer`] for each other node and lane.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) node_id: u64,
    /// `None` for a node that is alone.
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// States that others are fetching.
    pub(crate) offered: Arc<Offered>,
}

/// The way to one other node in one lane.
#[derive(Debug)]
pub(crate) struct Peer {
    node_id: u64,
    target: u64,
    address: PeerAddress,
    lane: Lane,
    transport: Option<Arc<dyn Transport>>,
    offered: Arc<Offered>,
}

impl Peers {
    fn peer(&self, target: u64, node: &openraft::impls::BasicNode, lane: Lane) -> Peer {
        Peer {
            node_id: self.node_id,
            target,
            address: PeerAddress {
                node_id: Some(target),
                address: node.addr.as_str().into(),
            },
            lane,
            transport: self.transport.clone(),
            offered: Arc::clone(&self.offered),
        }
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &openraft::impls::BasicNode) -> Peer {
        self.peer(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(
        &mut self,
        target: u64,
        node: &openraft::impls::BasicNode,
    ) -> Peer {
        self.peer(target, node, Lane::Control)
    }

    async fn new_snapshot_client(
        &mut self,
        target: u64,
        node: &openraft::impls::BasicNode,
    ) -> Peer {
        self.peer(target, node, Lane::Bulk)
    }
}

impl Peer {
    fn unreachable(&self, reason: &str) -> Unreachable<Types> {
        Unreachable::from_string(format!(
            "node {} at `{}`: {reason}",
            self.target, self.address.address
        ))
    }

    /// Asks the peer something, within bounds.
    async fn call(
        &self,
        lane: Lane,
        action: RPCTypes,
        request: Bytes,
        within: Duration,
    ) -> Result<Reply, RPCError<Types>> {
        let Some(transport) = &self.transport else {
            return Err(self
                .unreachable("this node was started without an address for peers")
                .into());
        };
        let answer = transport.call(&self.address, lane, request, within);
        let answer = tokio::time::timeout(within + GRACE, answer)
            .await
            .unwrap_or(Err(CallError::TimedOut(within)));
        let bytes = answer.map_err(|error| self.failed(action, error))?;
        match Reply::decode(&bytes) {
            Ok(Reply::Refused { code, reason }) => Err(self.refused(code, &reason).into()),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.unreachable(&error.to_string()).into()),
        }
    }

    fn failed(&self, action: RPCTypes, error: CallError) -> RPCError<Types> {
        match error {
            CallError::TimedOut(timeout) => Timeout {
                action,
                id: self.node_id,
                target: self.target,
                timeout,
            }
            .into(),
            // A network error would be tried again at once; what is down is given time.
            CallError::Unreachable(_) | CallError::Lost(_) | CallError::Refused(_) => {
                self.unreachable(&error.to_string()).into()
            }
        }
    }

    fn refused(&self, code: RefusedBecause, reason: &str) -> Unreachable<Types> {
        self.unreachable(&format!("it refused ({code:?}): {reason}"))
    }

    /// The peer is given time, whatever it was.
    fn interrupted(&self, error: &RPCError<Types>) -> StreamingError<Types> {
        self.unreachable(&error.to_string()).into()
    }

    /// An answer to another question than the one asked.
    fn astray(&self) -> RPCError<Types> {
        self.unreachable("it answered something else than was asked")
            .into()
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Handle;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let within = match self.lane {
            Lane::Control => option.soft_ttl(),
            Lane::Log | Lane::Bulk | Lane::Request => APPEND_WITHIN,
        };
        let request = Request::Append(request).encode();
        match self
            .call(self.lane, RPCTypes::AppendEntries, request, within)
            .await?
        {
            Reply::Append(response) => Ok(response),
            _ => Err(self.astray()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let request = Request::Vote(request).encode();
        match self
            .call(Lane::Control, RPCTypes::Vote, request, option.soft_ttl())
            .await?
        {
            Reply::Vote(response) => Ok(response),
            _ => Err(self.astray()),
        }
    }

    /// The default would grant.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let request = Request::PreVote(request).encode();
        match self
            .call(Lane::Control, RPCTypes::Vote, request, option.soft_ttl())
            .await?
        {
            Reply::Vote(response) => Ok(response),
            _ => Err(self.astray()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let request = Request::Transfer(request).encode();
        match self
            .call(
                Lane::Control,
                RPCTypes::TransferLeader,
                request,
                option.soft_ttl(),
            )
            .await?
        {
            Reply::Transfer(TransferOutcome::Taken) => Ok(Ok(())),
            Reply::Transfer(TransferOutcome::VoteChanged { expected, actual }) => {
                Ok(Err(TransferLeaderError::VoteChanged { expected, actual }))
            }
            Reply::Transfer(TransferOutcome::LogNotFlushed { expected, actual }) => {
                Ok(Err(TransferLeaderError::LogNotFlushed { expected, actual }))
            }
            _ => Err(self.astray()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<Types, Handle>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let offer = self
            .offered
            .offer(self.node_id, vote, &snapshot.meta, snapshot.snapshot);
        let ask = Request::Bulk(Ask::Offer(offer).encode()).encode();
        let mut cancel = std::pin::pin!(cancel);
        let mut progress = None;
        let mut moved = tokio::time::Instant::now();
        // What has come is kept by the other side: to offer the same again goes on where it was.
        loop {
            let answer = self.call(
                Lane::Bulk,
                RPCTypes::InstallSnapshot,
                ask.clone(),
                OFFER_WITHIN,
            );
            let reply = tokio::select! {
                biased;
                closed = &mut cancel => return Err(closed.into()),
                reply = answer => reply.map_err(|error| self.interrupted(&error))?,
            };
            let Reply::Bulk(told) = reply else {
                return Err(self.unreachable("it answered something else").into());
            };
            match Told::decode(&told) {
                Ok(Told::Offer(Taken::Installed(installed))) => {
                    return Ok(SnapshotResponse::new(installed));
                }
                // openraft takes an answer for installed that has no higher vote than its own.
                Ok(Told::Offer(Taken::Outvoted(higher))) if higher > vote => {
                    return Ok(SnapshotResponse::new(higher));
                }
                Ok(Told::Offer(Taken::Outvoted(other))) => {
                    let reason = format!("it follows {other} and did not take the state");
                    return Err(self.unreachable(&reason).into());
                }
                Ok(Told::Offer(Taken::Fetching(now))) if progress != Some(now) => {
                    progress = Some(now);
                    moved = tokio::time::Instant::now();
                }
                Ok(Told::Offer(Taken::Fetching(_))) if moved.elapsed() < IDLE_MAX => {}
                Ok(Told::Offer(Taken::Fetching(_))) => {
                    return Err(self.unreachable("its transfer does not move").into());
                }
                Ok(Told::Offer(Taken::Failed(reason))) => {
                    return Err(self.unreachable(&reason).into());
                }
                Ok(_) => return Err(self.unreachable("it answered something else").into()),
                Err(error) => return Err(self.unreachable(&error.to_string()).into()),
            }
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let doubling = std::iter::successors(Some(BACKOFF_FIRST), |pause| {
            Some((*pause * 2).min(BACKOFF_MAX))
        });
        Some(Backoff::new(doubling.map(with_jitter)))
    }
}

/// Between half of a pause and the whole of it, so that nodes that lost the same peer do not all come back
/// to it at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut random = [0; 1];
    // Without randomness the pause is the whole one, which is right too.
    let part = match super::fill_random(&mut random) {
        Ok(()) => u32::from(u8::from_le_bytes(random)),
        Err(_) => 255,
    };
    pause / 2 + pause / 2 * part / 255
}
