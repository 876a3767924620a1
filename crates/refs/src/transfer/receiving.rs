//! The side that gets the state: takes up one offer at a time, and asks peers.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{AbortHandle, abortable};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;

use super::TransferId;
use super::fetching::{Fetched, Fetching};
use super::holdings::Trust;
use super::message::{Ask, Offer, Taken, Told};
use crate::data::Data;
use crate::data::apply::Applier;
use crate::peer::message::{Reply, Request};
use crate::peer::{Lane, PeerAddress, Transport};
use crate::raft::{self, Raft, StoredMembership, Vote};

/// How long one answer of a peer may take, which has about 4 MiB at most. One that was lost is asked for again after
/// so long, and nothing moves meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long an offer waits for its end before it says how far it has come.
const OFFER_WAITS: Duration = Duration::from_secs(2);

/// Takes states that are offered, one at a time.
pub(crate) struct Receiving {
    pub(crate) node_id: u64,
    pub(crate) data: Arc<Data>,
    pub(crate) applier: Arc<Mutex<Applier>>,
    /// `None` where no node runs.
    pub(crate) raft: Option<Raft>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) under_way: Mutex<Option<UnderWay>>,
}

/// A transfer that is going on, or has ended.
#[derive(Clone)]
pub(crate) struct UnderWay {
    transfer: TransferId,
    /// Of the leader that offers it. What it is installed with, so that a later leader's offer is another one.
    vote: Vote,
    progress: Arc<AtomicU64>,
    ended: watch::Receiver<Option<Taken>>,
    task: AbortHandle,
}

impl UnderWay {
    fn is_of(&self, transfer: TransferId, vote: Vote) -> bool {
        self.transfer == transfer && self.vote == vote
    }
}

impl Receiving {
    /// Takes up an offer, or says what has become of it.
    pub(crate) async fn offered(self: &Arc<Self>, from: u64, offer: Offer) -> Taken {
        let Some(raft) = &self.raft else {
            return Taken::Failed("no node runs here".to_owned());
        };
        let vote = raft.metrics().borrow_watched().vote;
        let higher_here = offer
            .vote
            .partial_cmp(&vote)
            .is_none_or(std::cmp::Ordering::is_lt);
        if higher_here {
            return Taken::Outvoted(vote);
        }
        let mut under_way = self.take_up(from, offer);
        let ended = under_way.ended.wait_for(Option::is_some);
        let taken = match tokio::time::timeout(OFFER_WAITS, ended).await {
            Ok(Ok(taken)) => taken.clone(),
            Ok(Err(_)) => Some(Taken::Failed("the transfer was given up".to_owned())),
            Err(_) => None,
        };
        let progress = under_way.progress.load(Ordering::Relaxed);
        if matches!(taken, Some(Taken::Failed(_))) {
            // The next offer is an attempt of its own.
            self.forget(&under_way);
        }
        taken.unwrap_or(Taken::Fetching(progress))
    }

    fn forget(&self, ended: &UnderWay) {
        let mut place = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if place
            .as_ref()
            .is_some_and(|known| known.is_of(ended.transfer, ended.vote))
        {
            *place = None;
        }
    }

    /// The transfer of this offer, begun where it is not under way. Another one is given up: its leader leads
    /// no more, leads in a later term, or has a newer state. What has come of it is there.
    fn take_up(self: &Arc<Self>, from: u64, offer: Offer) -> UnderWay {
        let mut place = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = place.as_ref() {
            if known.is_of(offer.transfer, offer.vote) {
                return known.clone();
            }
            known.task.abort();
        }
        let (sender, ended) = watch::channel(None);
        let progress = Arc::new(AtomicU64::new(0));
        let (transfer, vote) = (offer.transfer, offer.vote);
        let fetching = Fetching::new(self, from, transfer, &progress, Trust::Whole);
        let (task, abort) = abortable(async move {
            let taken = match fetching.run(offer).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!("the state that node {from} offers was not taken: {error}");
                    Taken::Failed(error.to_string())
                }
            };
            sender.send_replace(Some(taken));
        });
        // Whether it came to its end or was given up, who waits for it learns by its sender.
        raft::spawn(task.map(drop));
        let begun = UnderWay {
            transfer,
            vote,
            progress,
            ended,
            task: abort,
        };
        *place = Some(begun.clone());
        begun
    }

    /// Fetches a state without taking anything that is here for whole, and without installing it.
    pub(crate) async fn fetch_whole(
        self: &Arc<Self>,
        from: u64,
        offer: &Offer,
        progress: &Arc<AtomicU64>,
    ) -> io::Result<(Fetched, StoredMembership)> {
        Fetching::new(self, from, offer.transfer, progress, Trust::Nothing)
            .whole(offer)
            .await
    }

    /// Asks a peer.
    pub(crate) async fn ask(&self, peer: &PeerAddress, lane: Lane, ask: &Ask) -> io::Result<Told> {
        let Some(transport) = &self.transport else {
            return Err(io::Error::other("this node has no address for peers"));
        };
        let request = Request::Bulk(ask.encode()).encode();
        let answer = transport
            .call(peer, lane, request, ANSWER_WITHIN)
            .await
            .map_err(io::Error::other)?;
        match Reply::decode(&answer).map_err(io::Error::other)? {
            Reply::Bulk(told) => Told::decode(&told).map_err(io::Error::other),
            Reply::Refused { reason, .. } => Err(io::Error::other(reason)),
            _ => Err(io::Error::other("it answered something else")),
        }
    }

    /// Runs on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let receiving = Arc::clone(self);
        raft::blocking(move || work(&receiving)).await
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use bytes::Bytes;

    use super::*;
    use crate::failure::Failure;
    use crate::view::View;

    fn receiving(directory: &std::path::Path) -> Arc<Receiving> {
        let data = Data::open(directory, 1 << 20, 1 << 20, Arc::new(Failure::default())).unwrap();
        let data = Arc::new(data);
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let applier = Applier::load(Arc::clone(&data), view).unwrap();
        Arc::new(Receiving {
            node_id: 1,
            data,
            applier: Arc::new(Mutex::new(applier)),
            raft: None,
            transport: None,
            under_way: Mutex::default(),
        })
    }

    fn offer(transfer: u8, term: u64) -> Offer {
        Offer {
            transfer: [transfer; 16],
            vote: Vote::new_committed(term, 3),
            applied: Bytes::new(),
            membership: Bytes::new(),
        }
    }

    /// Otherwise the state is installed with the vote of before, which raft refuses, and the leader takes it for
    /// installed: it sends what comes after it, for ever (seed 12,193 of the simulation).
    #[tokio::test]
    async fn state_that_a_later_term_offers_again_is_taken_up_again() {
        let directory = tempfile::tempdir().unwrap();
        let receiving = receiving(directory.path());
        let first = receiving.take_up(3, offer(1, 4));
        let same = receiving.take_up(3, offer(1, 4));
        assert!(!first.task.is_aborted());
        assert!(same.ended.same_channel(&first.ended));
        let later = receiving.take_up(3, offer(1, 7));
        assert!(first.task.is_aborted());
        assert!(!later.ended.same_channel(&first.ended));
        let newer = receiving.take_up(3, offer(2, 7));
        assert!(later.task.is_aborted());
        assert!(!newer.task.is_aborted());
    }
}
