//! The network between simulated nodes, under the node's own [`Transport`]: messages are late, lost, overtaken, seen
//! twice, or come after their sender has gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use openraft::raft::AppendEntriesResponse;
use tokio::sync::oneshot;

use super::chance::chance;
use super::world::{Bug, Travel, World};
use crate::peer::message::{Reply, Request};
use crate::peer::{CallError, Lane, PeerAddress, PeerIdentity, STRANGER, Transport};

/// The cluster that every simulated node belongs to.
pub(crate) const CLUSTER: [u8; 16] = [7; 16];

/// One node's way into the network.
pub(crate) struct SimulatedTransport {
    pub(crate) node: u64,
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for SimulatedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedTransport")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Transport for SimulatedTransport {
    fn call(
        &self,
        peer: &PeerAddress,
        lane: Lane,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        // Who joins knows addresses alone, which are numbers here.
        let Some(to) = peer.node_id.or_else(|| peer.address.parse().ok()) else {
            return std::future::ready(Err(CallError::Unreachable("nobody is meant".to_owned())))
                .boxed();
        };
        let (send, answer) = oneshot::channel();
        let message = Message {
            world: Arc::clone(&self.world),
            from: self.node,
            to,
            lane,
            request,
            within,
        };
        async move {
            // A task of nobody's: what is on its way arrives, even if its sender is gone by then.
            tokio::spawn(message.carry(send));
            match tokio::time::timeout(within, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(CallError::Lost("the node is gone".to_owned())),
                Err(_) => Err(CallError::TimedOut(within)),
            }
        }
        .boxed()
    }
}

struct Message {
    world: Arc<World>,
    from: u64,
    to: u64,
    lane: Lane,
    request: Bytes,
    within: Duration,
}

impl Message {
    /// Takes the request there and the answer back.
    async fn carry(self, send: oneshot::Sender<Result<Bytes, CallError>>) {
        let refused = || Err(CallError::Unreachable("the link is cut".to_owned()));
        match self.world.travel(self.from, self.to) {
            Travel::Arrives(delay) => tokio::time::sleep(delay).await,
            // Whoever waits, waits in vain.
            Travel::Lost => return tokio::time::sleep(self.within * 2).await,
            Travel::Refused => return drop(send.send(refused())),
        }
        if self.is_forgotten() {
            let stored = Reply::Append(AppendEntriesResponse::Success);
            return drop(send.send(Ok(stored.encode())));
        }
        let Some(answer) = self.deliver("") else {
            return drop(send.send(refused()));
        };
        let back = self.world.travel(self.to, self.from);
        if let Ok(answer) = answer.await
            && let Travel::Arrives(delay) = back
        {
            tokio::time::sleep(delay).await;
            drop(send.send(Ok(answer)));
        } else {
            tokio::time::sleep(self.within).await;
            drop(send);
        }
        if let Some(later) = self.world.arrives_again() {
            tokio::time::sleep(later).await;
            // Nobody waits for its answer.
            drop(self.deliver(" once more"));
        }
    }

    /// Hands the request to the node that runs now, if one does.
    fn deliver(&self, again: &str) -> Option<tokio::task::JoinHandle<Bytes>> {
        let node = self.world.running(self.to)?;
        self.world
            .note(|| format!("{:?} {} -> {}{again}", self.lane, self.from, self.to));
        let caller = match self.from {
            STRANGER => PeerIdentity::stranger(),
            from => PeerIdentity::member(CLUSTER, from, 1),
        };
        let request = self.request.clone();
        let life = Arc::clone(&node.life);
        Some(life.spawn(async move { node.answerer.answer(&caller, &request).await }))
    }

    /// Whether the peer says that it stored entries and does not: a mistake put in on purpose.
    fn is_forgotten(&self) -> bool {
        self.world.bug == Some(Bug::AppendsForgotten)
            && matches!(Request::decode(&self.request), Ok(Request::Append(append)) if !append.entries.is_empty())
            && chance(|chance| chance.percent(20))
    }
}
