//! Requests that are published to a part of their readers, and to more of them step by step.
//!
//! Drafts and published heads stay as they are meanwhile; each target has a commit that the part gets.
//! Promoting publishes as if nothing had been before: everything is merged, validated and weighed again.

use std::sync::Arc;

use confman_object_store::ObjectId;
use confman_policy::request::{Command, State, decide};

use super::RequestInfo;
use super::command::check_comment;
use super::facts::Loaded;
use super::publish::PublishRequest;
use super::record::{Id, RequestRecord, RolloutRecord, RolloutTarget, Stated};
use crate::actor::Actor;
use crate::error::Error;
use crate::evaluation::{Digest, Evaluation, Outcome};
use crate::publish::Warning;
use crate::repo::Repo;
use crate::rollout::Rollout;
use crate::session::Session;

impl Session {
    /// Publishes to all readers what a part of them has.
    ///
    /// # Errors
    /// As [`Session::publish_request`].
    pub fn promote_request(
        &self,
        number: u64,
        seen: Option<ObjectId>,
    ) -> Result<(RequestInfo, Vec<Warning>), Error> {
        let digest = Digest::new("request.promote")
            .with(number.to_le_bytes())
            .with(seen.map_or_else(String::new, |seen| seen.to_string()));
        let intent = self.request_intent("request.promote", number, digest.finish())?;
        let mut warnings = Vec::new();
        intent.carry_out(|evaluation| {
            let loaded = evaluation.load_request(number, evaluation.now_ms)?;
            let command = Command::Promote {
                seen: seen.map(|seen| loaded.seen(&seen)),
            };
            let publish = loaded.record.as_begun();
            let (outcome, found) = evaluation.publish_request(loaded, &command, &publish)?;
            warnings = found;
            Ok(outcome)
        })?;
        Ok((self.request(number)?, warnings))
    }

    /// Takes back from a part of the readers what it has; the request is suspended.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotFound`], [`Error::Denied`].
    pub fn abort_request(&self, number: u64, reason: &str) -> Result<RequestInfo, Error> {
        check_comment(reason)?;
        let digest = Digest::new("request.abort").with(reason);
        self.command(
            "request.abort",
            number,
            digest,
            |_| {
                Ok(Command::Abort {
                    reason: reason.to_owned(),
                })
            },
            |evaluation, loaded, _| {
                loaded.record.reason = Some(reason.to_owned());
                evaluation.end_rollouts(&mut loaded.record)
            },
        )
    }
}

impl Evaluation<'_> {
    /// Lets the part of the first stage have these commits.
    pub(super) fn begin_rollout(
        &mut self,
        loaded: &mut Loaded,
        publish: &PublishRequest,
        targets: Vec<RolloutTarget>,
    ) -> Result<Outcome, Error> {
        for target in &targets {
            self.check_settled(&target.namespace)?;
        }
        let outcome = Outcome {
            commit: targets.first().map(|target| target.commit.0),
            ..Outcome::default()
        };
        let rollout = RolloutRecord {
            by: self.actor.principal().to_owned(),
            begun_ms: self.now_ms,
            proposal: Id(loaded.proposal()?),
            stage: 0,
            since_ms: self.now_ms,
            message: publish.message.clone(),
            acknowledge_deprecated: publish.acknowledge_deprecated,
            targets,
        };
        loaded.record.rollout = Some(rollout);
        loaded.record.schedule = None;
        self.enter_stage(loaded, outcome)
    }

    /// Goes on to the next stage, or to all readers after the last.
    pub(super) fn advance(&mut self, mut loaded: Loaded) -> Result<Outcome, Error> {
        let decision = decide(&loaded.record.as_policy(), &Command::Advance, &loaded.facts)
            .map_err(|refusal| loaded.refused(self, refusal))?;
        if decision.state != State::RollingOut {
            let publish = loaded.record.as_begun();
            let (outcome, _) = self.publish_request(loaded, &Command::Advance, &publish)?;
            return Ok(outcome);
        }
        if let Some(rollout) = &mut loaded.record.rollout {
            rollout.stage += 1;
            rollout.since_ms = self.now_ms;
        }
        self.enter_stage(&mut loaded, Outcome::default())
    }

    /// Lets the part of the stage that the record is in have its commits, and writes the record.
    fn enter_stage(&mut self, loaded: &mut Loaded, outcome: Outcome) -> Result<Outcome, Error> {
        let record = &mut loaded.record;
        let Some(rollout) = &record.rollout else {
            return Err(Error::bug("a stage of a request that is in none"));
        };
        let percent = record
            .stages
            .get(rollout.stage)
            .map(|stage| stage.percent)
            .ok_or_else(|| Error::bug("a request is in a stage that it does not have"))?;
        for target in &rollout.targets {
            self.set_rollout(&Rollout {
                namespace: target.namespace.clone(),
                request: loaded.number,
                percent,
                commit: target.commit.0,
            })?;
        }
        self.note("percent", percent);
        record.state = Stated(State::RollingOut);
        record.reason = None;
        let id = self.put_request(loaded.number, Some(loaded.id), record)?;
        Ok(Outcome {
            record: Some(id),
            ..outcome
        })
    }

    /// Takes back what a part of the readers has of a request, if one has.
    pub(super) fn end_rollouts(&mut self, record: &mut RequestRecord) -> Result<(), Error> {
        let targets = record.rollout.take().map(|rollout| rollout.targets);
        for target in targets.into_iter().flatten() {
            self.end_rollout(&target.namespace)?;
        }
        Ok(())
    }
}

impl RequestRecord {
    /// How it was begun to be published.
    fn as_begun(&self) -> PublishRequest {
        let rollout = self.rollout.as_ref();
        PublishRequest {
            seen: None,
            message: rollout.and_then(|rollout| rollout.message.clone()),
            emergency: None,
            acknowledge_deprecated: rollout.is_some_and(|rollout| rollout.acknowledge_deprecated),
        }
    }
}

impl Repo {
    /// Goes on with a gradual publish with the rights that who began it has now.
    pub(super) fn advance_due(
        self: &Arc<Self>,
        waiting: &super::schedule::Waiting,
    ) -> Result<(), Error> {
        let session = self.session(Actor::program(&waiting.due.by, &waiting.due.by));
        let intent = waiting.intent("request.advance", &session)?;
        intent.carry_out(|evaluation| {
            if evaluation.subject_of(&waiting.due.by)?.is_none() {
                return Err(Error::Unauthenticated);
            }
            let loaded = evaluation.load_request(waiting.number, evaluation.now_ms)?;
            evaluation.advance(loaded)
        })?;
        Ok(())
    }
}
