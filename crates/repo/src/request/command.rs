//! What people do to a request: talk, review, schedule, take back.

use confman_object_store::ObjectId;
use confman_policy::request::{Command, Decision, Verdict, decide};

use super::facts::Loaded;
use super::record::{CommentRecord, Id, ReviewRecord, ScheduleRecord, Stated};
use super::{COMMENT_BYTES_MAX, NewReview, RequestInfo};
use crate::error::{Error, Problem};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::session::Session;

impl Session {
    /// Says something about a request.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub fn comment_on_request(&self, number: u64, text: &str) -> Result<RequestInfo, Error> {
        check_comment(text)?;
        if text.trim().is_empty() {
            return Err(Error::invalid("comment", "it says nothing"));
        }
        let digest = Digest::new("request.comment").with(text);
        self.command(
            "request.comment",
            number,
            digest,
            |_| Ok(Command::Comment),
            |evaluation, loaded, _| {
                loaded.record.comments.push(CommentRecord {
                    by: evaluation.actor.principal().to_owned(),
                    at_ms: evaluation.now_ms,
                    text: text.to_owned(),
                });
                Ok(())
            },
        )
    }

    /// Approves or rejects a request as it was shown.
    ///
    /// # Errors
    /// [`Error::Refused`] where the review would not count or is about something else than what is,
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`].
    pub fn review_request(&self, number: u64, review: &NewReview) -> Result<RequestInfo, Error> {
        check_comment(&review.comment)?;
        let (action, approves) = match review.verdict {
            Verdict::Approve => ("request.approve", true),
            Verdict::Reject => ("request.reject", false),
        };
        if approves && review.seen.is_none() {
            let problem = Problem {
                pointer: Some("/expectedHead".to_owned()),
                ..Problem::new("an approval states the `proposal` of the request as it was shown")
            };
            return Err(Error::Invalid {
                what: "review".to_owned(),
                problems: vec![problem],
            });
        }
        let seen = review
            .seen
            .map_or_else(String::new, |seen| seen.to_string());
        let digest = Digest::new(action).with(&review.comment).with(&seen);
        self.command(
            action,
            number,
            digest,
            |loaded| {
                Ok(match review.verdict {
                    Verdict::Approve => Command::Approve {
                        seen: review
                            .seen
                            .map_or_else(String::new, |seen| loaded.seen(&seen)),
                    },
                    Verdict::Reject => Command::Reject {
                        reason: review.comment.clone(),
                    },
                })
            },
            |evaluation, loaded, _| {
                // A rejection is about what is there now; where a draft is gone, about what was.
                let proposal = match &loaded.facts.proposal {
                    Some(_) => loaded.proposal()?,
                    None => loaded.id,
                };
                loaded.follow_drafts();
                let commit = loaded.record.targets.first().map(|target| target.head);
                loaded.record.reviews.push(ReviewRecord {
                    reviewer: evaluation.actor.principal().to_owned(),
                    approves,
                    comment: review.comment.clone(),
                    at_ms: evaluation.now_ms,
                    proposal: Id(proposal),
                    commit: commit.unwrap_or(Id(loaded.id)),
                });
                if !approves {
                    loaded.record.reason = Some(review.comment.clone());
                    loaded.record.schedule = None;
                }
                Ok(())
            },
        )
    }

    /// Lets a request publish itself at a time, as it is now; `None` takes the schedule back.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotFound`], [`Error::Denied`].
    pub fn schedule_request(
        &self,
        number: u64,
        at_ms: Option<i64>,
        seen: Option<ObjectId>,
    ) -> Result<RequestInfo, Error> {
        let action = match at_ms {
            Some(_) => "request.schedule",
            None => "request.unschedule",
        };
        let digest = Digest::new(action)
            .with(at_ms.unwrap_or_default().to_le_bytes())
            .with(seen.map_or_else(String::new, |seen| seen.to_string()));
        self.command(
            action,
            number,
            digest,
            |loaded| {
                Ok(match at_ms {
                    None => Command::Unschedule,
                    Some(at_ms) => Command::Schedule {
                        seen: seen.map(|seen| loaded.seen(&seen)),
                        at_ms,
                    },
                })
            },
            |evaluation, loaded, _| {
                loaded.record.schedule = match at_ms {
                    None => None,
                    Some(at_ms) => Some(ScheduleRecord {
                        by: evaluation.actor.principal().to_owned(),
                        at_ms,
                        proposal: Id(loaded.proposal()?),
                    }),
                };
                loaded.follow_drafts();
                Ok(())
            },
        )
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotFound`], [`Error::Denied`].
    pub fn withdraw_request(&self, number: u64, reason: &str) -> Result<RequestInfo, Error> {
        check_comment(reason)?;
        let digest = Digest::new("request.withdraw").with(reason);
        self.command(
            "request.withdraw",
            number,
            digest,
            |_| Ok(Command::Withdraw),
            |_, loaded, _| {
                loaded.record.schedule = None;
                loaded.record.reason = Some(reason.to_owned()).filter(|text| !text.is_empty());
                Ok(())
            },
        )
    }

    /// Notes that an emergency was looked at.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotFound`], [`Error::Denied`].
    pub fn acknowledge_emergency(&self, number: u64) -> Result<RequestInfo, Error> {
        self.command(
            "request.acknowledge",
            number,
            Digest::new("request.acknowledge"),
            |_| Ok(Command::Acknowledge),
            |evaluation, loaded, _| {
                if let Some(emergency) = &mut loaded.record.emergency {
                    emergency.acknowledged_by = Some(evaluation.actor.principal().to_owned());
                    emergency.acknowledged_ms = Some(evaluation.now_ms);
                }
                Ok(())
            },
        )
    }

    /// Decides about a command and writes the next version of the request.
    pub(super) fn command(
        &self,
        action: &'static str,
        number: u64,
        digest: Digest,
        command: impl Fn(&Loaded) -> Result<Command, Error>,
        write: impl Fn(&mut Evaluation<'_>, &mut Loaded, &Decision) -> Result<(), Error>,
    ) -> Result<RequestInfo, Error> {
        let digest = digest.with(number.to_le_bytes()).finish();
        let intent = self.request_intent(action, number, digest)?;
        intent.carry_out(|evaluation| {
            let mut loaded = evaluation.load_request(number, evaluation.now_ms)?;
            let command = command(&loaded)?;
            let decision = decide(&loaded.record.as_policy(), &command, &loaded.facts)
                .map_err(|refusal| loaded.refused(evaluation, refusal))?;
            write(evaluation, &mut loaded, &decision)?;
            loaded.record.state = Stated(decision.state);
            let record = evaluation.put_request(number, Some(loaded.id), &loaded.record)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        self.request(number)
    }

    /// A change of a request, as the audit log has it.
    pub(super) fn request_intent(
        &self,
        action: &'static str,
        number: u64,
        digest: [u8; 32],
    ) -> Result<Intent<'_>, Error> {
        let (_, record, _) = self.look()?.request_record(number)?;
        let namespaces: Vec<_> = record.targets.iter().map(|it| &it.namespace).collect();
        Ok(Intent {
            action,
            about: names::request(number)?,
            digest,
            detail: serde_json::json!({
                "namespace": namespaces.first(),
                "namespaces": namespaces,
                "request": number,
            }),
            session: self,
        })
    }
}

pub(super) fn check_comment(text: &str) -> Result<(), Error> {
    if text.len() <= COMMENT_BYTES_MAX {
        return Ok(());
    }
    let detail = format!(
        "it has {} bytes, at most {COMMENT_BYTES_MAX} are allowed",
        text.len()
    );
    Err(Error::invalid("comment", detail))
}
