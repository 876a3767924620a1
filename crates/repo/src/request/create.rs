//! Asking for a publish, and asking again for another one.

use std::collections::BTreeSet;

use confman_layout::entry_key;
use confman_model::{Key, Namespace};
use confman_policy::Permission;
use confman_policy::request::{Command, Stage, State, check_stages, decide, submit};

use super::facts::TargetNow;
use super::record::{Id, RequestRecord, StageRecord, Stated, TargetRecord};
use super::{
    DESCRIPTION_BYTES_MAX, EditRequest, NewRequest, NewTarget, RequestInfo, TARGETS_MAX,
    TITLE_BYTES_MAX,
};
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::publish::keys_part;
use crate::session::Session;

impl Session {
    /// Asks for drafts to be published together.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong, [`Error::NotFound`], [`Error::Denied`],
    /// [`Error::Stale`], [`Error::Unchanged`] for a draft that changes nothing.
    pub fn create_request(&self, new: &NewRequest) -> Result<RequestInfo, Error> {
        new.check()?;
        let mut digest = Digest::new("request.create")
            .with(&new.title)
            .with(&new.description);
        for target in &new.targets {
            digest = digest
                .with(target.namespace.as_str())
                .with(target.draft.as_str())
                .with(target.expected_head.part())
                .with(keys_part(target.keys.as_ref()));
        }
        if !new.stages.is_empty() {
            digest = digest.with(stages_part(&new.stages));
        }
        let namespaces: Vec<_> = new.targets.iter().map(|target| &target.namespace).collect();
        let intent = Intent {
            action: "request.create",
            about: names::request_counter()?,
            digest: digest.finish(),
            detail: serde_json::json!({
                "namespace": namespaces.first(),
                "namespaces": namespaces,
                "title": new.title,
            }),
            session: self,
        };
        let (outcome, _) = intent.carry_out(|evaluation| evaluation.create_request(new))?;
        let number = outcome
            .request
            .ok_or_else(|| Error::bug("a publish request was made without a number"))?;
        self.request(number)
    }

    /// Changes what a request asks for, and asks again: every approval is void then.
    ///
    /// # Errors
    /// As [`Session::create_request`]; [`Error::Refused`] where its state does not allow it.
    pub fn edit_request(&self, number: u64, edit: &EditRequest) -> Result<RequestInfo, Error> {
        let mut digest = Digest::new("request.edit")
            .with(number.to_le_bytes())
            .with(edit.title.as_deref().unwrap_or("\0"))
            .with(edit.description.as_deref().unwrap_or("\0"))
            .with(edit.seen.map_or_else(String::new, |seen| seen.to_string()));
        for (namespace, keys) in &edit.keys {
            digest = digest
                .with(namespace.as_str())
                .with(keys_part(keys.as_ref()));
        }
        if let Some(stages) = &edit.stages {
            digest = digest.with("stages").with(stages_part(stages));
        }
        let intent = self.request_intent("request.edit", number, digest.finish())?;
        intent.carry_out(|evaluation| {
            let mut loaded = evaluation.load_request(number, evaluation.now_ms)?;
            if let Some(seen) = &edit.seen {
                let shown = loaded.seen(seen);
                if loaded.facts.proposal.as_ref() != Some(&shown) {
                    let refusal = confman_policy::request::Refusal::Stale {
                        seen: shown,
                        proposal: loaded.facts.proposal.clone().unwrap_or_default(),
                    };
                    return Err(loaded.refused(evaluation, refusal));
                }
            }
            // Whether it may be edited at all comes before whether the edit is good.
            decide(&loaded.record.as_policy(), &Command::Edit, &loaded.facts)
                .map_err(|refusal| loaded.refused(evaluation, refusal))?;
            edit.apply(&mut loaded.record)?;
            check_texts(
                &loaded.record.title,
                &loaded.record.description,
                &loaded.record.stages(),
            )?;
            let targets = loaded
                .record
                .targets
                .iter()
                .map(|target| evaluation.target_now(target))
                .collect::<Result<Vec<_>, Error>>()?;
            check_targets(&loaded.record.targets, &targets)?;
            loaded.targets = targets;
            loaded.record.edits += 1;
            let editor = evaluation.actor.principal().to_owned();
            loaded.record.edited_by.insert(editor);
            loaded.record.schedule = None;
            loaded.record.reason = None;
            loaded.record.state = Stated(State::PendingReview);
            loaded.facts =
                evaluation.request_facts(&loaded.record, &loaded.targets, evaluation.now_ms)?;
            let decision = decide(&loaded.record.as_policy(), &Command::Edit, &loaded.facts)
                .map_err(|refusal| loaded.refused(evaluation, refusal))?;
            loaded.record.state = Stated(decision.state);
            loaded.follow_drafts();
            let record = evaluation.put_request(number, Some(loaded.id), &loaded.record)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        self.request(number)
    }
}

impl NewRequest {
    /// Checks what can be checked without a view.
    fn check(&self) -> Result<(), Error> {
        check_texts(&self.title, &self.description, &self.stages)?;
        if self.targets.is_empty() {
            return Err(Error::invalid(
                "publish request",
                "it names no namespace; name at least one",
            ));
        }
        if self.targets.len() > TARGETS_MAX {
            return Err(Error::LimitExceeded {
                what: "namespaces in a publish request",
                limit: TARGETS_MAX as u64,
                actual: self.targets.len() as u64,
            });
        }
        let mut known = BTreeSet::new();
        for target in &self.targets {
            if !known.insert(&target.namespace) {
                return Err(Error::invalid(
                    "publish request",
                    format!(
                        "it names `{}` twice; a request publishes one draft of a namespace",
                        target.namespace
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl EditRequest {
    fn apply(&self, record: &mut RequestRecord) -> Result<(), Error> {
        if let Some(title) = &self.title {
            record.title.clone_from(title);
        }
        if let Some(description) = &self.description {
            record.description.clone_from(description);
        }
        if let Some(stages) = &self.stages {
            record.stages = stage_records(stages);
        }
        for (namespace, keys) in &self.keys {
            let target = record
                .targets
                .iter_mut()
                .find(|target| target.namespace == *namespace)
                .ok_or_else(|| elsewhere(namespace))?;
            target.keys = keys.as_ref().map(|keys| keys.iter().cloned().collect());
            record.keys_edited = true;
        }
        Ok(())
    }
}

/// A request stays in its namespaces: what was reviewed for one says nothing about another.
fn elsewhere(namespace: &Namespace) -> Error {
    Error::invalid(
        "edit of the publish request",
        format!(
            "it is not about `{namespace}`, and cannot be moved there; withdraw it and make another"
        ),
    )
}

/// Stages, as a part of the hash of what was asked for.
fn stages_part(stages: &[Stage]) -> String {
    let parts = stages
        .iter()
        .map(|stage| format!("{}:{:?};", stage.percent, stage.for_ms));
    parts.collect()
}

fn stage_records(stages: &[Stage]) -> Vec<StageRecord> {
    let records = stages.iter().map(|stage| StageRecord {
        percent: stage.percent,
        for_ms: stage.for_ms,
    });
    records.collect()
}

fn check_texts(title: &str, description: &str, stages: &[Stage]) -> Result<(), Error> {
    let mut problems = Vec::new();
    if title.trim().is_empty()
        || title.len() > TITLE_BYTES_MAX
        || title.chars().any(char::is_control)
    {
        problems.push(Problem {
            pointer: Some("/title".to_owned()),
            ..Problem::new(format!(
                "it has 1 to {TITLE_BYTES_MAX} bytes in one line, and says what the request is about"
            ))
        });
    }
    if description.len() > DESCRIPTION_BYTES_MAX {
        problems.push(Problem {
            pointer: Some("/description".to_owned()),
            ..Problem::new(format!(
                "it has {} bytes, at most {DESCRIPTION_BYTES_MAX} are allowed",
                description.len()
            ))
        });
    }
    problems.extend(check_stages(stages).into_iter().map(|problem| {
        let pointer = match problem.stage {
            Some(at) => format!("/stages/{at}"),
            None => "/stages".to_owned(),
        };
        Problem {
            pointer: Some(pointer),
            ..Problem::new(problem.detail)
        }
    }));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid {
            what: "publish request".to_owned(),
            problems,
        }),
    }
}

/// Refuses keys that are picked and not changed, and drafts that change nothing.
fn check_targets(targets: &[TargetRecord], now: &[TargetNow]) -> Result<(), Error> {
    let mut problems = Vec::new();
    for (target, now) in targets.iter().zip(now) {
        if now.head.is_none() {
            return Err(Error::not_found(What::Draft, &target.draft));
        }
        let changed = now
            .changes
            .keys()
            .map(entry_key)
            .collect::<Result<BTreeSet<Key>, _>>()?;
        for key in target.keys.iter().flatten() {
            if !changed.contains(key) {
                problems.push(Problem::of_key(key, "the draft does not change it"));
            }
        }
        if changed.is_empty() && problems.is_empty() {
            return Err(Error::Unchanged {
                namespace: target.namespace.clone(),
                reason: format!(
                    "draft `{}` has nothing that is not published already",
                    target.draft
                ),
            });
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid {
            what: "list of keys to publish".to_owned(),
            problems,
        }),
    }
}

impl Evaluation<'_> {
    fn create_request(&mut self, new: &NewRequest) -> Result<Outcome, Error> {
        let mut targets = Vec::new();
        for target in &new.targets {
            targets.push(self.new_target(target)?);
        }
        let now = targets
            .iter()
            .map(|target| self.target_now(target))
            .collect::<Result<Vec<_>, Error>>()?;
        check_targets(&targets, &now)?;
        let mut record = RequestRecord {
            title: new.title.clone(),
            description: new.description.clone(),
            state: Stated(State::PendingReview),
            reason: None,
            submitted_by: self.actor.principal().to_owned(),
            submitted_ms: self.now_ms,
            edits: 0,
            edited_by: BTreeSet::new(),
            keys_edited: false,
            targets,
            reviews: Vec::new(),
            comments: Vec::new(),
            schedule: None,
            stages: stage_records(&new.stages),
            rollout: None,
            emergency: None,
            published: None,
        };
        for (target, now) in record.targets.iter_mut().zip(&now) {
            target.base = now.base.map(|base| Id(base.commit));
        }
        let facts = self.request_facts(&record, &now, self.now_ms)?;
        let state = submit(&facts)
            .map_err(|refusal| self.refused("publish request".to_owned(), None, refusal))?;
        record.state = Stated(state);
        let number = self.next_request()?;
        let id = self.put_request(number, None, &record)?;
        Ok(Outcome {
            record: Some(id),
            request: Some(number),
            ..Outcome::default()
        })
    }

    fn new_target(&self, new: &NewTarget) -> Result<TargetRecord, Error> {
        self.permit(&new.namespace, Permission::RequestCreate)?;
        let head = self.draft_head(&new.namespace, &new.draft)?;
        new.expected_head
            .check(What::Draft, &new.draft, Some(head.id))?;
        if new.keys.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Error::invalid(
                "list of keys to publish",
                "it is empty; leave it out to publish all that the draft changes",
            ));
        }
        Ok(TargetRecord {
            namespace: new.namespace.clone(),
            draft: new.draft.clone(),
            keys: new.keys.as_ref().map(|keys| keys.iter().cloned().collect()),
            head: Id(head.id),
            base: None,
        })
    }
}
