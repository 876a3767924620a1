//! Having an entry replicated, wherever the leader is.
//!
//! INVARIANT: an entry is sent again after an unknown outcome only if its request id makes that harmless.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{AGAIN_AFTER, Attempt, Link, attempted, refused_write};
use crate::cluster::message::{Ask, Told};
use crate::node::BUSY_AFTER;
use crate::proposal;
use crate::raft::{Answer, Refusal};
use crate::transaction::TransactError;

/// So many times as long as a leader may be missing, a leader that is known may refuse.
const REFUSED_FACTOR: u32 = 3;

impl Link {
    /// Has an entry replicated, wherever the leader is, and waits until it is applied here too.
    pub(crate) async fn propose(
        &self,
        entry: Bytes,
        until: Instant,
        doubt: Option<String>,
    ) -> Result<Answer, TransactError> {
        let repeatable = proposal::is_repeatable(&entry);
        let (mut doubt, mut busy_since, mut refused_since) = (doubt, None, None);
        let refused_max = self.leader_within.saturating_mul(REFUSED_FACTOR);
        let fail = |doubt: Option<String>, reason: String| match doubt {
            Some(doubt) => TransactError::UnknownOutcome(doubt),
            None => TransactError::Unavailable(reason),
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fail(doubt, "no leader took it in time".to_owned()));
            }
            if let Some(reason) = self.failure.get() {
                return Err(fail(doubt, reason.to_owned()));
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Err(fail(doubt, "there is no leader".to_owned()));
            };
            let attempt = tokio::select! {
                biased;
                attempt = self.propose_to(leader, &entry, until) => attempt,
                _ = self.next_leader(Some(leader)) => {
                    Attempt::Doubt(format!("node {leader} stopped leading meanwhile"))
                }
            };
            match attempt {
                Attempt::Done((index, answer)) => {
                    if !self.gate.reached(index, until).await {
                        let reason =
                            format!("it is entry {index}, which this node did not reach in time");
                        return Err(TransactError::UnknownOutcome(reason));
                    }
                    return match (&answer, doubt) {
                        // The session was used up by an attempt that may have taken effect.
                        (Answer::Refused(Refusal::Session(_)), Some(doubt)) => {
                            Err(TransactError::UnknownOutcome(doubt))
                        }
                        _ => Ok(answer),
                    };
                }
                Attempt::Again(reason) => {
                    tracing::debug!(leader, "node {leader} did not take a proposal: {reason}");
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= refused_max {
                        return Err(fail(doubt, format!("node {leader}: {reason}")));
                    }
                }
                Attempt::Doubt(reason) => {
                    if !repeatable {
                        return Err(TransactError::UnknownOutcome(reason));
                    }
                    doubt.get_or_insert(reason);
                }
                Attempt::Busy => {
                    let since = *busy_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= BUSY_AFTER {
                        return Err(match doubt {
                            Some(doubt) => TransactError::UnknownOutcome(doubt),
                            None => TransactError::Busy,
                        });
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn propose_to(
        &self,
        leader: u64,
        entry: &Bytes,
        until: Instant,
    ) -> Attempt<(u64, Answer)> {
        let left = until.saturating_duration_since(Instant::now());
        let told = if leader == self.node_id {
            Ok(self.propose_here(entry.clone(), left).await)
        } else {
            let ask = Ask::Propose {
                wait_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                entry: entry.clone(),
            };
            self.ask(leader, &ask, left).await
        };
        match attempted(told) {
            Attempt::Done(Told::Applied { index, answer }) => Attempt::Done((index, answer)),
            Attempt::Done(_) => Attempt::Doubt("the leader's answer makes no sense".to_owned()),
            Attempt::Again(reason) => Attempt::Again(reason),
            Attempt::Doubt(reason) => Attempt::Doubt(reason),
            Attempt::Busy => Attempt::Busy,
        }
    }

    /// Replicates an entry as the leader.
    pub(super) async fn propose_here(&self, entry: Bytes, within: Duration) -> Told {
        let awaited = self.intake.put_by_task(entry);
        match tokio::time::timeout(within, awaited.answer).await {
            Ok(Ok(Ok(response))) => Told::Applied {
                index: response.log_id.index,
                answer: response.data,
            },
            Ok(Ok(Err(error))) => refused_write(error),
            Ok(Err(_)) => Told::Unknown("the node stopped".to_owned()),
            Err(_) => Told::Unknown(format!("no answer within {} ms", within.as_millis())),
        }
    }
}
