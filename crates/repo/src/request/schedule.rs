//! Requests that publish themselves at their time, and gradual publishes that go on by themselves.
//!
//! INVARIANT: what is due fires once: publishing moves its record from `scheduled` to `published` in
//! the transaction that moves the heads, whoever else tries at the same moment.

use std::sync::Arc;

use confman_policy::request::{Command, State, decide};

use super::publish::PublishRequest;
use super::record::{Due, RequestRecord, Stated};
use crate::actor::Actor;
use crate::error::{Error, What, chain};
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
use crate::repo::Repo;
use crate::session::Session;

/// Who notes that something due could not be published. No principal can have this name.
const SCHEDULER: &str = "confman:scheduler";

/// What became of a request that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its number.
    pub number: u64,
    /// What became of it.
    pub outcome: DueOutcome,
}

/// What became of a request that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueOutcome {
    /// It is published: to all readers, or to a part.
    Published,
    /// More readers have it than before.
    Advanced,
    /// It could not be published, for this reason.
    Suspended(String),
    /// The store could not do it now; it stays due.
    Later(String),
}

/// A request that waits for its time.
pub(super) struct Waiting {
    pub number: u64,
    pub due: Due,
    record: RequestRecord,
}

impl Repo {
    /// When the next scheduled request is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn next_due(&self) -> Result<Option<i64>, Error> {
        Ok(self.waiting()?.iter().map(|it| it.due.at_ms).min())
    }

    /// Publishes every request that is due now, in the order of their times, each with the rights that
    /// the one who scheduled it has now. What cannot be published is suspended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn run_due(self: &Arc<Self>) -> Result<Vec<Ran>, Error> {
        let now_ms = self.clock.now_ms();
        let mut due = self.waiting()?;
        due.retain(|waiting| waiting.due.at_ms <= now_ms);
        due.sort_by_key(|waiting| (waiting.due.at_ms, waiting.number));
        let mut ran = Vec::new();
        for waiting in due {
            if let Some(outcome) = self.fire(&waiting)? {
                let number = waiting.number;
                ran.push(Ran { number, outcome });
            }
        }
        Ok(ran)
    }

    fn waiting(&self) -> Result<Vec<Waiting>, Error> {
        let view = self.node.view();
        let mut found = Vec::new();
        for (name, target) in view.scan(names::SCHEDULED) {
            let digits = name.as_str().strip_prefix(names::SCHEDULED);
            let Some(number) = digits.and_then(|digits| digits.parse().ok()) else {
                continue;
            };
            let record = RequestRecord::read(&self.read_record(target)?.1)?;
            if let Some(due) = record.due() {
                found.push(Waiting {
                    number,
                    due,
                    record,
                });
            }
        }
        Ok(found)
    }

    /// Publishes what is due, or suspends it; `None` where somebody else was first.
    fn fire(self: &Arc<Self>, waiting: &Waiting) -> Result<Option<DueOutcome>, Error> {
        let (done, outcome) = match waiting.record.state.0 {
            State::RollingOut => (self.advance_due(waiting), DueOutcome::Advanced),
            _ => (self.publish_due(waiting), DueOutcome::Published),
        };
        let failed = match done {
            Ok(()) => return Ok(Some(outcome)),
            Err(
                error @ (Error::Busy
                | Error::Unavailable { .. }
                | Error::UnknownOutcome { .. }
                | Error::Contended { .. }),
            ) => return Ok(Some(DueOutcome::Later(chain(&error)))),
            Err(error) => error,
        };
        let reason = match &failed {
            Error::NotFound {
                what: What::Request | What::Namespace,
                ..
            }
            | Error::Unauthenticated => {
                let by = &waiting.due.by;
                match waiting.record.state.0 {
                    State::RollingOut => {
                        format!("`{by}`, who began it, may not publish it any more")
                    }
                    _ => format!("`{by}`, who scheduled it, may not publish it any more"),
                }
            }
            Error::Refused { refusal, .. } => refusal.to_string(),
            _ => chain(&failed),
        };
        match self.suspend(waiting, &reason) {
            Ok(true) => Ok(Some(DueOutcome::Suspended(reason))),
            Ok(false) => Ok(None),
            Err(error @ (Error::Bug { .. } | Error::Corrupt { .. })) => Err(error),
            Err(error) => Ok(Some(DueOutcome::Later(chain(&error)))),
        }
    }

    fn publish_due(self: &Arc<Self>, waiting: &Waiting) -> Result<(), Error> {
        let number = waiting.number;
        let by = &waiting.due.by;
        let session = self.session(Actor::program(by, by));
        let intent = waiting.intent("request.publish-scheduled", &session)?;
        intent.carry_out(|evaluation| {
            // It happens with the rights that the principal has now, if there is one.
            if evaluation.subject_of(by)?.is_none() {
                return Err(Error::Unauthenticated);
            }
            let loaded = evaluation.load_request(number, evaluation.now_ms)?;
            let publish = PublishRequest::default();
            let (outcome, _) = evaluation.publish_request(loaded, &Command::Due, &publish)?;
            Ok(outcome)
        })?;
        Ok(())
    }

    /// Suspends a request that is still as it was; `false` where it is not.
    fn suspend(self: &Arc<Self>, waiting: &Waiting, reason: &str) -> Result<bool, Error> {
        let number = waiting.number;
        let session = self.session(Actor::program(SCHEDULER, "Scheduler"));
        let intent = waiting.intent("request.suspend", &session)?;
        let mut moved = false;
        let result = intent.carry_out(|evaluation| {
            // The scheduler has no rights of its own, and needs none to note this.
            let name = names::request(number)?;
            let found = evaluation.record(&name)?;
            let (id, record) = found.ok_or_else(|| Error::bug("a scheduled request is gone"))?;
            let mut record = RequestRecord::read(&record)?;
            moved = record.due().as_ref() != Some(&waiting.due);
            if moved {
                return Err(Error::bug("the request does not go on by itself any more"));
            }
            let facts = confman_policy::request::Facts {
                actor: SCHEDULER.to_owned(),
                now_ms: evaluation.now_ms,
                proposal: None,
                targets: Vec::new(),
            };
            let decision =
                decide(&record.as_policy(), &Command::Suspend, &facts).map_err(|refusal| {
                    evaluation.refused(format!("publish request #{number}"), Some(number), refusal)
                })?;
            evaluation.end_rollouts(&mut record)?;
            record.state = Stated(decision.state);
            record.reason = Some(shortened(reason));
            let record = evaluation.put_request(number, Some(id), &record)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        });
        match result {
            Ok(_) => Ok(true),
            Err(Error::Bug { .. }) if moved => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Waiting {
    pub(super) fn intent<'s>(
        &self,
        action: &'static str,
        session: &'s Session,
    ) -> Result<Intent<'s>, Error> {
        let namespaces: Vec<_> = self.record.targets.iter().map(|it| &it.namespace).collect();
        Ok(Intent {
            action,
            about: names::request(self.number)?,
            digest: Digest::new(action).with(self.number.to_le_bytes()).finish(),
            detail: serde_json::json!({
                "namespace": namespaces.first(),
                "namespaces": namespaces,
                "request": self.number,
            }),
            session,
        })
    }
}

/// A reason that fits a record.
fn shortened(reason: &str) -> String {
    let mut text = reason.to_owned();
    if text.len() > super::COMMENT_BYTES_MAX {
        let end = (0..=super::COMMENT_BYTES_MAX - 3)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
