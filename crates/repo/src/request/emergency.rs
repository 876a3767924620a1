//! What is published as an emergency without anybody having asked: it gets the record of a request all the
//! same, so that everybody sees it until an admin has looked at it.

use confman_model::{DraftName, Key, Namespace};
use confman_object_store::ObjectId;
use confman_policy::request::State;

use super::TITLE_BYTES_MAX;
use super::command::check_comment;
use super::record::{
    EmergencyRecord, Id, PublishedRecord, PublishedTarget, RequestRecord, Stated, TargetRecord,
};
use crate::error::Error;
use crate::evaluation::{Evaluation, Outcome};

/// An emergency that was published directly.
pub(crate) struct DirectEmergency<'e> {
    /// Its number among the publish requests, which the commit bears.
    pub number: u64,
    pub namespace: &'e Namespace,
    /// What it was published from: a draft, or what stands for one.
    pub draft: DraftName,
    /// The commit with the content that was wanted.
    pub head: ObjectId,
    /// Only these keys of it.
    pub keys: Option<Vec<Key>>,
    /// What the published commit says.
    pub message: &'e str,
    pub reason: &'e str,
}

impl Evaluation<'_> {
    /// Stages the record of an emergency whose commit is staged, and notes it in what it came to.
    pub(crate) fn record_emergency(
        &mut self,
        emergency: DirectEmergency<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        check_comment(emergency.reason)?;
        let commit = outcome
            .commit
            .ok_or_else(|| Error::bug("an emergency without a commit"))?;
        let by = self.actor.principal().to_owned();
        let previous = outcome.previous.map(Id);
        let record = RequestRecord {
            title: title(emergency.message),
            description: String::new(),
            state: Stated(State::Published),
            reason: None,
            submitted_by: by.clone(),
            submitted_ms: self.now_ms,
            edits: 0,
            edited_by: std::collections::BTreeSet::new(),
            keys_edited: false,
            targets: vec![TargetRecord {
                namespace: emergency.namespace.clone(),
                draft: emergency.draft,
                keys: emergency.keys,
                head: Id(emergency.head),
                base: previous,
            }],
            reviews: Vec::new(),
            comments: Vec::new(),
            schedule: None,
            stages: Vec::new(),
            rollout: None,
            emergency: Some(EmergencyRecord {
                by: by.clone(),
                at_ms: self.now_ms,
                reason: emergency.reason.to_owned(),
                acknowledged_by: None,
                acknowledged_ms: None,
            }),
            published: Some(PublishedRecord {
                by,
                at_ms: self.now_ms,
                targets: vec![PublishedTarget {
                    namespace: emergency.namespace.clone(),
                    commit: Id(commit),
                    previous,
                    approved_by: Vec::new(),
                    rule: None,
                }],
            }),
        };
        outcome.record = Some(self.put_request(emergency.number, None, &record)?);
        outcome.request = Some(emergency.number);
        Ok(())
    }
}

/// The first line of a message, as long as a title may be.
fn title(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut end = line.len().min(TITLE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let title: String = line
        .get(..end)
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match title.trim().is_empty() {
        true => "emergency".to_owned(),
        false => title,
    }
}
