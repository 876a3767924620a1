//! The record of a publish request: what is stored of it.

use std::collections::BTreeSet;

use confman_model::{DraftName, Key, Namespace};
use confman_object_store::record::RECORD_BODY_BYTES_MAX;
use confman_object_store::{Kind, ObjectId, Record};
use confman_policy::request::{Request, Review, Rollout, Schedule, Stage, State, Verdict};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::names;

/// The type of the records.
const RECORD_TYPE: &str = "publish-request";
/// The type of the record that counts them.
const COUNTER_TYPE: &str = "counter";

/// An id as documents have it: 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub ObjectId);

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The state of a request, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stated(pub State);

impl Serialize for Stated {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Stated {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What the record of a request says. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RequestRecord {
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub state: Stated,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub submitted_by: String,
    pub submitted_ms: i64,
    /// How often it was asked for again.
    pub edits: u64,
    /// Who did that.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub edited_by: BTreeSet<String>,
    /// Whether other keys were ever picked than at the beginning.
    pub keys_edited: bool,
    pub targets: Vec<TargetRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<ReviewRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<CommentRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedRecord>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TargetRecord {
    pub namespace: Namespace,
    pub draft: DraftName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<Key>>,
    /// Head and base when this version was written; what they are now says the draft.
    pub head: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Id>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReviewRecord {
    pub reviewer: String,
    pub approves: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    pub at_ms: i64,
    pub proposal: Id,
    pub commit: Id,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CommentRecord {
    pub by: String,
    pub at_ms: i64,
    pub text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScheduleRecord {
    pub by: String,
    pub at_ms: i64,
    pub proposal: Id,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StageRecord {
    pub percent: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<i64>,
}

/// That it is published to a part of its readers, and how it goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RolloutRecord {
    pub by: String,
    pub begun_ms: i64,
    pub proposal: Id,
    /// From 0.
    pub stage: usize,
    pub since_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub acknowledge_deprecated: bool,
    pub targets: Vec<RolloutTarget>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RolloutTarget {
    pub namespace: Namespace,
    pub commit: Id,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EmergencyRecord {
    pub by: String,
    pub at_ms: i64,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PublishedRecord {
    pub by: String,
    pub at_ms: i64,
    pub targets: Vec<PublishedTarget>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PublishedTarget {
    pub namespace: Namespace,
    pub commit: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Id>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Counter {
    count: u64,
}

/// When a request goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// With the rights that this principal has then.
    pub by: String,
}

impl RequestRecord {
    pub fn read(record: &Record) -> Result<Self, Error> {
        if record.record_type != RECORD_TYPE {
            return Err(Error::bug(format!(
                "a record of type `{}` where a publish request must be",
                record.record_type
            )));
        }
        serde_json::from_slice(&record.body)
            .map_err(|error| Error::bug(format!("the record of a publish request: {error}")))
    }

    /// The request, as the rules know it.
    pub fn as_policy(&self) -> Request {
        let emergency = self.emergency.as_ref();
        Request {
            state: self.state.0,
            submitted_by: self.submitted_by.clone(),
            edited_by: self.edited_by.clone(),
            reviews: self
                .reviews
                .iter()
                .map(|review| Review {
                    reviewer: review.reviewer.clone(),
                    verdict: match review.approves {
                        true => Verdict::Approve,
                        false => Verdict::Reject,
                    },
                    proposal: review.proposal.0.to_string(),
                })
                .collect(),
            schedule: self.schedule.as_ref().map(|schedule| Schedule {
                by: schedule.by.clone(),
                at_ms: schedule.at_ms,
                proposal: schedule.proposal.0.to_string(),
            }),
            stages: self.stages(),
            rollout: self.rollout.as_ref().map(|rollout| Rollout {
                by: rollout.by.clone(),
                proposal: rollout.proposal.0.to_string(),
                stage: rollout.stage,
                since_ms: rollout.since_ms,
            }),
            emergency_by: emergency
                .filter(|emergency| emergency.acknowledged_by.is_none())
                .map(|emergency| emergency.by.clone()),
        }
    }

    /// The stages in which it is published.
    pub fn stages(&self) -> Vec<Stage> {
        let stages = self.stages.iter().map(|stage| Stage {
            percent: stage.percent,
            for_ms: stage.for_ms,
        });
        stages.collect()
    }

    /// When it goes on by itself and by whose right: a schedule, or the next stage of a gradual publish.
    pub fn due(&self) -> Option<Due> {
        match (self.state.0, &self.schedule, &self.rollout) {
            (State::Scheduled, Some(schedule), _) => Some(Due {
                at_ms: schedule.at_ms,
                by: schedule.by.clone(),
            }),
            (State::RollingOut, _, Some(rollout)) => {
                let stage = self.stages.get(rollout.stage)?;
                Some(Due {
                    at_ms: rollout.since_ms.saturating_add(stage.for_ms?),
                    by: rollout.by.clone(),
                })
            }
            _ => None,
        }
    }

    /// Every commit that it names.
    fn links(&self) -> Vec<(Kind, ObjectId)> {
        let mut links = Vec::new();
        for target in &self.targets {
            links.push(target.head.0);
            links.extend(target.base.map(|base| base.0));
        }
        for target in self.rollout.iter().flat_map(|rollout| &rollout.targets) {
            links.push(target.commit.0);
        }
        for published in self.published.iter().flat_map(|it| &it.targets) {
            links.push(published.commit.0);
        }
        links.dedup();
        links.into_iter().map(|id| (Kind::Commit, id)).collect()
    }
}

impl Evaluation<'_> {
    /// The number of the next request, which is taken.
    pub(crate) fn next_request(&mut self) -> Result<u64, Error> {
        let name = names::request_counter()?;
        let count = match self.record(&name)? {
            None => 0,
            Some((_, record)) => {
                let counter: Counter = serde_json::from_slice(&record.body)
                    .map_err(|error| Error::bug(format!("the counter of requests: {error}")))?;
                counter.count
            }
        };
        let next = Counter { count: count + 1 };
        let record = Record {
            record_type: COUNTER_TYPE.to_owned(),
            // What it was before is in the log of operations.
            previous: None,
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: serde_json::to_vec(&next).map_err(Error::bug)?.into(),
            links: Vec::new(),
            unknown: Vec::new(),
        };
        self.set_record(name, &record)?;
        Ok(next.count)
    }

    /// Stages the next version of a request, and marks it where it goes on by itself.
    pub(super) fn put_request(
        &mut self,
        number: u64,
        previous: Option<ObjectId>,
        request: &RequestRecord,
    ) -> Result<ObjectId, Error> {
        let body = serde_json::to_vec(request).map_err(Error::bug)?;
        if body.len() > RECORD_BODY_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "bytes in a publish request with all that was said about it",
                limit: RECORD_BODY_BYTES_MAX as u64,
                actual: body.len() as u64,
            });
        }
        let name = names::request(number)?;
        self.get(&name);
        let record = Record {
            record_type: RECORD_TYPE.to_owned(),
            previous,
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: body.into(),
            links: request.links(),
            unknown: Vec::new(),
        };
        let id = self.set_record(name, &record)?;
        let mark = names::scheduled(number)?;
        let marked = self.get(&mark).is_some();
        match request.due() {
            Some(_) => {
                let kind = Kind::Record;
                self.set(mark, Some(confman_refs::Target { kind, id }));
            }
            None if marked => self.set(mark, None),
            None => {}
        }
        Ok(id)
    }
}

impl crate::seen::Seen<'_> {
    /// How many requests there have been.
    pub(super) fn request_count(&self) -> Result<u64, Error> {
        match self.record(&names::request_counter()?)? {
            None => Ok(0),
            Some((_, record)) => serde_json::from_slice::<Counter>(&record.body)
                .map(|counter| counter.count)
                .map_err(|error| Error::bug(format!("the counter of requests: {error}"))),
        }
    }
}
