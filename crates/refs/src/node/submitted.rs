//! A transaction that was handed over, until its outcome is known.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::ClientWriteError;
use tokio::time::Instant;

use super::{ANSWER_WITHIN, Node};
use crate::proposal;
use crate::raft::intake::ThreadAwaits;
use crate::raft::{Answer, Refusal};
use crate::transaction::{Committed, TransactError};

/// How often who waits for an answer looks whether this node still leads.
const LOOK_FOR_LEADER: Duration = Duration::from_millis(200);

/// A transaction that was handed over.
#[derive(Debug)]
#[must_use = "dropped, it may never take effect"]
pub struct Submitted<'a> {
    pub(super) node: &'a Node,
    pub(super) waiting: Waiting,
    /// Kept where it may have to go to another leader.
    pub(super) entry: Option<Bytes>,
    pub(super) until: Instant,
    pub(super) _taken: crate::budget::Taken,
}

/// Where the answer comes from.
#[derive(Debug)]
pub(super) enum Waiting {
    /// This node leads.
    Here(ThreadAwaits),
    /// Another one does.
    There(mpsc::Receiver<Result<Answer, TransactError>>),
}

impl Submitted<'_> {
    /// Waits until it is durable and applied here.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn wait(self) -> Result<Committed, TransactError> {
        match self.answer()? {
            Answer::Committed(committed) => Ok(committed),
            Answer::Refused(refusal) => Err(refused(refusal)),
            Answer::Nothing | Answer::Staged => Err(TransactError::UnknownOutcome(
                "the answer is that of another entry".to_owned(),
            )),
        }
    }

    pub(super) fn answer(self) -> Result<Answer, TransactError> {
        let stopped = || {
            let reason = self.node.failure.get().unwrap_or("the node stopped");
            TransactError::UnknownOutcome(reason.to_owned())
        };
        let answer = match &self.waiting {
            // It ends by itself.
            Waiting::There(answer) => return answer.recv().map_err(|_| stopped())?,
            Waiting::Here(awaited) => &awaited.answer,
        };
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let look = match self.entry {
                Some(_) => left.min(LOOK_FOR_LEADER),
                None => left,
            };
            match answer.recv_timeout(look) {
                Ok(Ok(response)) => return Ok(response.data),
                Ok(Err(ClientWriteError::ForwardToLeader(_))) => {
                    return self.elsewhere(None, "this node is not the leader");
                }
                Ok(Err(error)) => {
                    let reason = error.to_string();
                    return self.elsewhere(Some(reason.clone()), &reason);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(stopped()),
                Err(mpsc::RecvTimeoutError::Timeout) if left.is_zero() => {
                    let reason = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
                    return Err(TransactError::UnknownOutcome(reason));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.entry.is_some() && self.node.link.leads_no_more() {
                        let reason = "this node stopped leading meanwhile";
                        return self.elsewhere(Some(reason.to_owned()), reason);
                    }
                }
            }
        }
    }

    /// Sends it to whoever leads now. `doubt` says why it may have taken effect already.
    fn elsewhere(&self, doubt: Option<String>, reason: &str) -> Result<Answer, TransactError> {
        let Some(entry) = &self.entry else {
            return Err(match doubt {
                Some(doubt) => TransactError::UnknownOutcome(doubt),
                None => TransactError::Unavailable(reason.to_owned()),
            });
        };
        if let Some(doubt) = &doubt
            && !proposal::is_repeatable(entry)
        {
            return Err(TransactError::UnknownOutcome(doubt.clone()));
        }
        let (link, entry, until) = (self.node.link.clone(), entry.clone(), self.until);
        let sent = async move { link.propose(entry, until, doubt).await };
        self.node
            .on_runtime(sent)
            .unwrap_or_else(|| Err(TransactError::UnknownOutcome("the node stopped".to_owned())))
    }
}

pub(super) fn refused(refusal: Refusal) -> TransactError {
    match refusal {
        Refusal::Stale {
            name,
            expected,
            actual,
        } => TransactError::Stale {
            name,
            expected,
            actual,
        },
        Refusal::RequestReused(request) => TransactError::RequestReused(request),
        Refusal::MissingObject(target) => TransactError::MissingObject(target),
        Refusal::WrongObject { target, reason } => TransactError::WrongObject { target, reason },
        Refusal::Malformed(reason) => TransactError::Malformed(reason),
        Refusal::Session(reason) => {
            TransactError::Unavailable(format!("a staged transaction was lost: {reason}"))
        }
    }
}
