//! Finding the index that must be applied to see everything that was acknowledged by now.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use openraft::ReadPolicy;
use openraft::errors::RaftError;
use tokio::time::Instant;

use super::{AGAIN_AFTER, Attempt, Link, ROUND_WITHIN, attempted};
use crate::cluster::message::{Ask, Told};
use crate::raft;
use crate::transaction::TransactError;

impl Link {
    /// The index that must be applied to see everything that was acknowledged by now. Shares rounds.
    pub(crate) async fn read_index(self, within: Duration) -> Result<u64, TransactError> {
        let (answer, rounds) = self.ask_index();
        if let Some(rounds) = rounds {
            raft::spawn(rounds);
        }
        index_of(answer, within).await
    }

    /// Asks for that index. Where rounds come with the answer, they are to be run on raft's runtime.
    pub(crate) fn ask_index(
        &self,
    ) -> (IndexAnswer, Option<impl Future<Output = ()> + Send + use<>>) {
        let (answer, begins) = self.reads.ask();
        let rounds = begins.then(|| {
            let link = self.clone();
            Arc::clone(&self.reads).run(move || link.clone().find_index())
        });
        (answer, rounds)
    }

    async fn find_index(self) -> Result<u64, String> {
        let until = Instant::now() + ROUND_WITHIN;
        let mut reason = "there is no leader".to_owned();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(reason);
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Err("there is no leader".to_owned());
            };
            let asked = async {
                if leader == self.node_id {
                    return Ok(self.read_index_here(left).await);
                }
                let ask = Ask::ReadIndex {
                    wait_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                };
                self.ask(leader, &ask, left).await
            };
            let told = tokio::select! {
                biased;
                told = asked => told,
                next = self.next_leader(Some(leader)) => match next {
                    Some(_) => continue,
                    // Asking on would never wait: what raft said last names a leader for ever.
                    None => return Err("the node stopped".to_owned()),
                },
            };
            match attempted(told) {
                Attempt::Done(Told::Index(index)) => return Ok(index),
                Attempt::Done(_) => reason = "the leader's answer makes no sense".to_owned(),
                Attempt::Again(said) | Attempt::Doubt(said) => reason = said,
                Attempt::Busy => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// As the leader: never by a lease, which a stopped clock or a restarted voter makes a lie.
    pub(super) async fn read_index_here(&self, within: Duration) -> Told {
        let asked = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(linearizer)) => Told::Index(linearizer.read_log_id().index()),
            Ok(Err(RaftError::APIError(error))) => match error {
                openraft::errors::LinearizableReadError::ForwardToLeader(forward) => {
                    Told::NotLeader(forward.leader_id)
                }
                other => Told::Unavailable(other.to_string()),
            },
            Ok(Err(error)) => Told::Unavailable(error.to_string()),
            Err(_) => Told::Unavailable("no majority confirmed the leader".to_owned()),
        }
    }
}

/// What a round answers.
pub(crate) type IndexAnswer = oneshot::Receiver<Result<u64, String>>;

/// Waits for what a round answers.
pub(crate) async fn index_of(answer: IndexAnswer, within: Duration) -> Result<u64, TransactError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(Ok(index))) => Ok(index),
        Ok(Ok(Err(reason))) => Err(TransactError::Unavailable(reason)),
        Ok(Err(_)) => Err(TransactError::Unavailable("the node stopped".to_owned())),
        Err(_) => Err(TransactError::Unavailable(format!(
            "no leader confirmed itself within {} ms",
            within.as_millis()
        ))),
    }
}
