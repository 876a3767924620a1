//! Publishing what a request asks for: every namespace of it, in one transaction.

use confman_object_store::ObjectId;
use confman_policy::request::{Command, State, status};

use super::RequestInfo;
use super::command::check_comment;
use super::facts::Loaded;
use super::record::{EmergencyRecord, Id, PublishedRecord, PublishedTarget, RolloutTarget, Stated};
use crate::error::Error;
use crate::evaluation::{Digest, Evaluation, Outcome};
use crate::publish::{Merged, Proposal, Warning};
use crate::session::Session;
use crate::validation::Candidate;

/// How to publish a request.
#[derive(Clone, Debug, Default)]
pub struct PublishRequest {
    /// The proposal that the caller has seen.
    pub seen: Option<ObjectId>,
    /// Message of the published commits; title and description of the request where absent.
    pub message: Option<String>,
    /// Why it goes past review, freeze and guards, where it shall.
    pub emergency: Option<String>,
    /// Whether deprecated keys may be set or changed.
    pub acknowledge_deprecated: bool,
}

impl PublishRequest {
    fn digest(&self, number: u64) -> [u8; 32] {
        Digest::new("request.publish")
            .with(number.to_le_bytes())
            .with(self.seen.map_or_else(String::new, |seen| seen.to_string()))
            .with(self.message.as_deref().unwrap_or("\0"))
            .with(self.emergency.as_deref().unwrap_or("\0"))
            .with([u8::from(self.acknowledge_deprecated)])
            .finish()
    }
}

impl Session {
    /// Publishes a request, all of its namespaces or none; to a part of the readers, where it has stages.
    /// Where a published head moved since its draft began, the two are merged key by key.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that is in the way, [`Error::Conflict`], [`Error::Invalid`]
    /// with the violations of schemas, [`Error::Unchanged`], [`Error::NotFound`], [`Error::Denied`].
    pub fn publish_request(
        &self,
        number: u64,
        publish: &PublishRequest,
    ) -> Result<(RequestInfo, Vec<Warning>), Error> {
        check_comment(publish.emergency.as_deref().unwrap_or_default())?;
        let action = match publish.emergency {
            None => "request.publish",
            Some(_) => "request.publish-emergency",
        };
        let intent = self.request_intent(action, number, publish.digest(number))?;
        let mut warnings = Vec::new();
        intent.carry_out(|evaluation| {
            let loaded = evaluation.load_request(number, evaluation.now_ms)?;
            let command = Command::Publish {
                seen: publish.seen.map(|seen| loaded.seen(&seen)),
                emergency: publish.emergency.clone(),
            };
            let (outcome, found) = evaluation.publish_request(loaded, &command, publish)?;
            warnings = found;
            Ok(outcome)
        })?;
        Ok((self.request(number)?, warnings))
    }
}

impl Evaluation<'_> {
    /// Decides whether a request may be published, and publishes it.
    pub(super) fn publish_request(
        &mut self,
        mut loaded: Loaded,
        command: &Command,
        publish: &PublishRequest,
    ) -> Result<(Outcome, Vec<Warning>), Error> {
        let request = loaded.record.as_policy();
        let decision = confman_policy::request::decide(&request, command, &loaded.facts)
            .map_err(|refusal| loaded.refused(self, refusal))?;
        let status = status(&request, &loaded.facts);
        loaded.follow_drafts();
        if decision.state == State::Published {
            self.end_rollouts(&mut loaded.record)?;
        }
        let message = match &publish.message {
            Some(message) => message.clone(),
            None => loaded.message(),
        };

        let mut prepared = Vec::new();
        let mut nothing = None;
        for (target, now) in loaded.record.targets.iter().zip(&loaded.targets) {
            let Some(head) = now.head.clone() else {
                return Err(Error::bug("a request without a draft was let through"));
            };
            let keys = target
                .keys
                .as_ref()
                .map(|keys| keys.iter().cloned().collect());
            match self.merge_target(target, head, keys.as_ref(), &message) {
                Ok((tree, head, merged)) => prepared.push((target, head, tree, keys, merged)),
                // The others may have something that is not published yet.
                Err(error @ Error::Unchanged { .. }) => nothing = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let (true, Some(error)) = (prepared.is_empty(), nothing) {
            return Err(error);
        }
        let candidates: Vec<Candidate> = prepared
            .iter()
            .map(|(target, _, _, _, merged)| Candidate {
                namespace: target.namespace.clone(),
                old_tree: merged.old_tree,
                new_tree: merged.new_tree,
            })
            .collect();
        let validated = self.validate(&candidates, publish.acknowledge_deprecated)?;
        if decision.state == State::RollingOut {
            let mut targets = Vec::new();
            for (target, head, tree, keys, merged) in &prepared {
                let proposal = Proposal {
                    draft: &target.draft,
                    head: head.clone(),
                    tree: *tree,
                    keys: keys.as_ref(),
                    message: message.clone(),
                };
                let commit = self.commit_merged(
                    &target.namespace,
                    &proposal,
                    merged,
                    &validated,
                    Some(loaded.number),
                )?;
                targets.push(RolloutTarget {
                    namespace: target.namespace.clone(),
                    commit: Id(commit.id),
                });
            }
            let outcome = self.begin_rollout(&mut loaded, publish, targets)?;
            return Ok((outcome, validated.warnings));
        }
        let mut published = Vec::new();
        let mut outcome = Outcome::default();
        for (target, head, tree, keys, merged) in prepared {
            let proposal = Proposal {
                draft: &target.draft,
                head,
                tree,
                keys: keys.as_ref(),
                message: message.clone(),
            };
            let number = Some(loaded.number);
            let commit =
                self.publish_merged(&target.namespace, proposal, &merged, &validated, number)?;
            let previous = merged.published.as_ref().map(|(head, _)| head.id);
            let stands = status.iter().find(|it| it.namespace == target.namespace);
            let rule = decision
                .auto_approved
                .iter()
                .find(|(namespace, _)| *namespace == target.namespace);
            published.push(PublishedTarget {
                namespace: target.namespace.clone(),
                commit: Id(commit),
                previous: previous.map(Id),
                approved_by: stands.map(|it| it.approved_by.clone()).unwrap_or_default(),
                rule: rule.map(|(_, name)| name.clone()),
            });
            outcome.commit.get_or_insert(commit);
            outcome.previous = outcome.previous.or(previous);
            outcome.merged |= merged.moved;
        }
        loaded.record.published = Some(PublishedRecord {
            by: self.actor.principal().to_owned(),
            at_ms: self.now_ms,
            targets: published,
        });
        loaded.record.emergency = publish.emergency.as_ref().map(|reason| EmergencyRecord {
            by: self.actor.principal().to_owned(),
            at_ms: self.now_ms,
            reason: reason.clone(),
            acknowledged_by: None,
            acknowledged_ms: None,
        });
        loaded.record.reason = None;
        loaded.record.state = Stated(decision.state);
        outcome.record = Some(self.put_request(loaded.number, Some(loaded.id), &loaded.record)?);
        Ok((outcome, validated.warnings))
    }

    fn merge_target(
        &mut self,
        target: &super::record::TargetRecord,
        head: crate::seen::Found,
        keys: Option<&std::collections::BTreeSet<confman_model::Key>>,
        message: &str,
    ) -> Result<(ObjectId, crate::seen::Found, Merged), Error> {
        let tree = head.commit.tree;
        let proposal = Proposal {
            draft: &target.draft,
            head: head.clone(),
            tree,
            keys,
            message: message.to_owned(),
        };
        let merged = self.merge_draft(&target.namespace, &proposal)?;
        Ok((tree, head, merged))
    }
}

impl Loaded {
    /// What the published commits say.
    fn message(&self) -> String {
        let title = format!("{} (#{})", self.record.title, self.number);
        match self.record.description.is_empty() {
            true => title,
            false => format!("{title}\n\n{}", self.record.description),
        }
    }
}
