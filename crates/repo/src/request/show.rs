//! A request as people read it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use confman_layout::{entry_key, read_entry};
use confman_model::{DiffKind, EntryDiff, Key, Namespace};
use confman_object_store::ObjectId;
use confman_object_store::tree::{self, Leaf, TreeKey};
use confman_policy::request::{Verdict, current_state, status};

use super::facts::{Loaded, TargetNow};
use super::record::{PublishedTarget, RequestRecord, TargetRecord};
use super::{
    CHANGES_SHOWN_MAX, RequestChange, RequestComment, RequestEmergency, RequestInfo,
    RequestPublished, RequestReview, RequestRollout, RequestSchedule, RequestTarget,
};
use crate::compare::EntryChange;
use crate::entry::{Stamp, TreeEntry, Values};
use crate::error::{Error, What};
use crate::line::Line;
use crate::names;
use crate::preview::Preview;
use crate::seen::Seen;
use crate::session::Session;
use crate::validation::Candidate;

/// What becomes of a key: what is there, and what will be.
pub(super) type Change = (TreeKey, Option<Leaf>, Option<Leaf>);

/// A page of what a request changes in one namespace.
#[derive(Clone, Debug)]
pub struct RequestDiff {
    /// Which namespace.
    pub namespace: Namespace,
    /// The published commit that it is compared with.
    pub from: Option<ObjectId>,
    /// The head of the draft, or what was published.
    pub to: Option<ObjectId>,
    /// In the order of keys.
    pub changes: Vec<EntryChange>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

impl Session {
    /// A request.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or the actor may not read it.
    pub fn request(&self, number: u64) -> Result<RequestInfo, Error> {
        let seen = self.look()?;
        let (id, record, updated_ms) = seen.request_record(number)?;
        seen.request_info(number, id, record, updated_ms, CHANGES_SHOWN_MAX)
    }

    /// What a request changes in one of its namespaces; where it has only one, that need not be named.
    ///
    /// # Errors
    /// As [`Session::request`]; [`Error::Invalid`] where a namespace must be named.
    pub fn request_diff(
        &self,
        number: u64,
        namespace: Option<&Namespace>,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<RequestDiff, Error> {
        let seen = self.look()?;
        let (_, record, _) = seen.request_record(number)?;
        let target = match (namespace, record.targets.as_slice()) {
            (None, [only]) => only,
            (None, many) => {
                let names: Vec<String> = many
                    .iter()
                    .map(|it| format!("`{}`", it.namespace))
                    .collect();
                return Err(Error::invalid(
                    format!("diff of request #{number}"),
                    format!("it is about {}; name one of them", names.join(", ")),
                ));
            }
            (Some(namespace), targets) => targets
                .iter()
                .find(|target| target.namespace == *namespace)
                .ok_or_else(|| Error::not_found(What::Namespace, namespace))?,
        };
        let shown = seen.shown(&record, target)?;
        let objects = seen.objects();
        let mut changes = Vec::new();
        let mut next = None;
        for (key, old, new) in shown.changes {
            let key = entry_key(&key)?;
            if after.is_some_and(|after| key <= *after) {
                continue;
            }
            if changes.len() == limit {
                next = changes
                    .last()
                    .map(|change: &EntryChange| change.key.clone());
                break;
            }
            let side = |leaf: Option<Leaf>| {
                leaf.map(|leaf| TreeEntry::read(objects, key.clone(), &leaf, Values::With))
                    .transpose()
            };
            changes.push(EntryChange {
                kind: seen.kind(&key, old.as_ref(), new.as_ref())?,
                old: side(old)?,
                new: side(new)?,
                key,
            });
        }
        Ok(RequestDiff {
            namespace: target.namespace.clone(),
            from: shown.from,
            to: shown.to,
            changes,
            next,
        })
    }
}

impl Session {
    /// What publishing a request would do to every effective document that it reaches; nothing once it
    /// is closed.
    ///
    /// # Errors
    /// As [`Session::request`].
    pub fn request_impact(&self, number: u64) -> Result<Preview, Error> {
        self.dry_run(|evaluation| {
            let (_, record, _) = evaluation.request_record(number)?;
            let mut candidates = Vec::new();
            for target in &record.targets {
                if record.state.0.is_final() {
                    break;
                }
                let now = evaluation.target_now(target)?;
                let published = now.published.as_ref().map(|(head, _)| head.id);
                let old_tree = evaluation.tree_of(published.as_ref())?;
                let edits: BTreeMap<TreeKey, Option<Leaf>> = now
                    .changes
                    .into_iter()
                    .map(|(key, (_, new))| (key, new))
                    .collect();
                if !edits.is_empty() {
                    candidates.push(Candidate {
                        namespace: target.namespace.clone(),
                        old_tree,
                        new_tree: evaluation.edit_tree(&old_tree, &edits)?,
                    });
                }
            }
            evaluation.preview(&evaluation.with_new(), &candidates)
        })
    }
}

/// What a request changes in a namespace, or has changed.
pub(super) struct Shown {
    from: Option<ObjectId>,
    to: Option<ObjectId>,
    pub changes: Vec<Change>,
}

impl Seen<'_> {
    /// The time that a decision would bear now.
    pub(super) fn now_ms(&self) -> i64 {
        self.repo.clock.now_ms().max(self.view.time_ms())
    }

    /// A request with what holds now. What is closed is shown as it was.
    pub(super) fn request_info(
        &self,
        number: u64,
        id: ObjectId,
        record: RequestRecord,
        updated_ms: i64,
        changes_max: usize,
    ) -> Result<RequestInfo, Error> {
        if record.state.0.is_final() {
            return self.closed(number, id, record, updated_ms, changes_max);
        }
        let loaded = self.load(number, id, record, updated_ms, self.now_ms())?;
        self.open_info(&loaded, changes_max)
    }

    pub(super) fn open_info(
        &self,
        loaded: &Loaded,
        changes_max: usize,
    ) -> Result<RequestInfo, Error> {
        let request = loaded.record.as_policy();
        let mut info = info(loaded.number, loaded.id, &loaded.record, loaded.updated_ms);
        info.index = self.index();
        info.state = current_state(&request, &loaded.facts);
        info.status = status(&request, &loaded.facts);
        info.proposal = match &loaded.facts.proposal {
            Some(_) => Some(loaded.proposal()?),
            None => None,
        };
        for (target, now) in loaded.record.targets.iter().zip(&loaded.targets) {
            let changes = now.as_changes();
            info.targets.push(RequestTarget {
                namespace: target.namespace.clone(),
                draft: target.draft.clone(),
                keys: target.keys.clone(),
                base: now.base.map(|base| base.commit),
                head: now.head.as_ref().map(|head| head.id),
                changes: self.changes_to_come(&target.namespace, &changes, changes_max)?,
                changes_total: changes.len(),
                conflicts: now.conflicts.clone(),
                commit: None,
            });
        }
        Ok(info)
    }

    fn closed(
        &self,
        number: u64,
        id: ObjectId,
        record: RequestRecord,
        updated_ms: i64,
        changes_max: usize,
    ) -> Result<RequestInfo, Error> {
        let mut info = info(number, id, &record, updated_ms);
        info.index = self.index();
        for target in &record.targets {
            let shown = self.shown(&record, target)?;
            let done = published_target(&record, target);
            let changes = match done {
                Some(done) => self.changes_done(done, &shown.changes, changes_max)?,
                None => self.changes_to_come(&target.namespace, &shown.changes, changes_max)?,
            };
            info.targets.push(RequestTarget {
                namespace: target.namespace.clone(),
                draft: target.draft.clone(),
                keys: target.keys.clone(),
                base: target.base.map(|base| base.0),
                head: Some(target.head.0),
                changes,
                changes_total: shown.changes.len(),
                conflicts: Vec::new(),
                commit: done.map(|done| done.commit.0),
            });
        }
        Ok(info)
    }

    /// What a target changes: while it is open, what publishing it would; then what it did.
    pub(super) fn shown(
        &self,
        record: &RequestRecord,
        target: &TargetRecord,
    ) -> Result<Shown, Error> {
        let (from, to) = match (record.state.0.is_final(), published_target(record, target)) {
            (false, _) => {
                let now = self.target_now(target)?;
                return Ok(Shown {
                    from: now.published.as_ref().map(|(head, _)| head.id),
                    to: now.head.as_ref().map(|head| head.id),
                    changes: now.as_changes(),
                });
            }
            (true, Some(done)) => (done.previous.map(|id| id.0), Some(done.commit.0)),
            // Published without this namespace, which had nothing left to publish.
            (true, None) if record.published.is_some() => (None, None),
            (true, None) => (target.base.map(|base| base.0), Some(target.head.0)),
        };
        let mut changes = Vec::new();
        let (old, new) = (self.tree_of(from.as_ref())?, self.tree_of(to.as_ref())?);
        tree::diff_each(self.objects(), &old, &new, &mut |change| {
            changes.push((change.key, change.old, change.new));
            ControlFlow::Continue(())
        })?;
        if record.published.is_none()
            && let Some(picked) = &target.keys
        {
            changes.retain(|(key, ..)| entry_key(key).is_ok_and(|key| picked.contains(&key)));
        }
        Ok(Shown { from, to, changes })
    }

    /// Changes that are not published yet, with the version that each would be.
    fn changes_to_come(
        &self,
        namespace: &Namespace,
        changes: &[Change],
        changes_max: usize,
    ) -> Result<Vec<RequestChange>, Error> {
        let line = self.line(namespace)?;
        self.read_changes(changes, changes_max, |key| {
            let newest = line.newest(key.as_bytes())?;
            Ok(newest.map_or(0, |newest| newest.row.version) + 1)
        })
    }

    /// Changes that were published.
    fn changes_done(
        &self,
        done: &PublishedTarget,
        changes: &[Change],
        changes_max: usize,
    ) -> Result<Vec<RequestChange>, Error> {
        let line: Line<'_> = self.line(&done.namespace)?;
        let Some(place) = line.place_of(&done.commit.0)? else {
            // The namespace was made anew since; its line is another one.
            return self.read_changes(changes, changes_max, |_| Ok(1));
        };
        self.read_changes(changes, changes_max, |key| {
            let version = line.version_at(key.as_bytes(), &place)?;
            Ok(version.map_or(1, |version| version.row.version))
        })
    }

    fn read_changes(
        &self,
        changes: &[Change],
        changes_max: usize,
        version: impl Fn(&TreeKey) -> Result<u64, Error>,
    ) -> Result<Vec<RequestChange>, Error> {
        let objects = self.objects();
        changes
            .iter()
            .take(changes_max)
            .map(|(tree_key, old, new)| {
                let key = entry_key(tree_key)?;
                let to_version = version(tree_key)?;
                let side = |leaf: &Option<Leaf>| {
                    leaf.as_ref()
                        .map(|leaf| TreeEntry::read(objects, key.clone(), leaf, Values::With))
                        .transpose()
                };
                Ok(RequestChange {
                    kind: self.kind(&key, old.as_ref(), new.as_ref())?,
                    from_version: to_version.saturating_sub(1),
                    to_version,
                    old: side(old)?,
                    new: side(new)?,
                    key,
                })
            })
            .collect()
    }

    fn kind(&self, key: &Key, old: Option<&Leaf>, new: Option<&Leaf>) -> Result<DiffKind, Error> {
        let entry = |leaf: Option<&Leaf>| {
            leaf.map(|leaf| read_entry(self.objects(), leaf))
                .transpose()
        };
        let (old, new) = (entry(old)?, entry(new)?);
        // Both sides of a conflict can have become the same.
        let diff = EntryDiff::between(key, old.as_ref(), new.as_ref());
        Ok(diff.map_or(DiffKind::Changed, |diff| diff.kind))
    }

    /// Whose approvals let a request be published in a namespace, or the rules that did, in words.
    pub(crate) fn approvers_of(
        &self,
        number: u64,
        namespace: &Namespace,
    ) -> Result<Vec<String>, Error> {
        let Some((_, record)) = self.record(&names::request(number)?)? else {
            return Ok(Vec::new());
        };
        let record = RequestRecord::read(&record)?;
        let done = record.published.as_ref().and_then(|published| {
            published
                .targets
                .iter()
                .find(|target| target.namespace == *namespace)
        });
        Ok(done
            .map(|done| done.approved_by.clone())
            .unwrap_or_default())
    }

    /// The commit that `#number` means in a namespace: the head of its draft, or what it was at the end.
    pub(crate) fn request_head(
        &self,
        number: u64,
        namespace: &Namespace,
    ) -> Result<Option<ObjectId>, Error> {
        let (_, record, _) = self.request_record(number)?;
        let target = record
            .targets
            .iter()
            .find(|target| target.namespace == *namespace);
        let Some(target) = target else {
            return Ok(None);
        };
        if record.state.0.is_final() {
            return Ok(Some(target.head.0));
        }
        let head = self.head(&names::draft(namespace, &target.draft)?)?;
        Ok(head.map(|head| head.id))
    }
}

impl TargetNow {
    fn as_changes(&self) -> Vec<Change> {
        self.changes
            .iter()
            .map(|(key, (old, new))| (key.clone(), old.clone(), new.clone()))
            .collect()
    }
}

fn published_target<'r>(
    record: &'r RequestRecord,
    target: &TargetRecord,
) -> Option<&'r PublishedTarget> {
    let published = record.published.as_ref()?;
    published
        .targets
        .iter()
        .find(|done| done.namespace == target.namespace)
}

/// What the record itself says.
fn info(number: u64, id: ObjectId, record: &RequestRecord, updated_ms: i64) -> RequestInfo {
    RequestInfo {
        number,
        title: record.title.clone(),
        description: record.description.clone(),
        state: record.state.0,
        reason: record.reason.clone(),
        submitted: Stamp {
            at_ms: record.submitted_ms,
            by: record.submitted_by.clone(),
        },
        targets: Vec::new(),
        reviews: record
            .reviews
            .iter()
            .map(|review| RequestReview {
                reviewer: review.reviewer.clone(),
                verdict: match review.approves {
                    true => Verdict::Approve,
                    false => Verdict::Reject,
                },
                comment: review.comment.clone(),
                at_ms: review.at_ms,
                proposal: review.proposal.0,
                commit: review.commit.0,
            })
            .collect(),
        comments: record
            .comments
            .iter()
            .map(|comment| RequestComment {
                said: Stamp {
                    at_ms: comment.at_ms,
                    by: comment.by.clone(),
                },
                text: comment.text.clone(),
            })
            .collect(),
        stages: record.stages(),
        rollout: record.rollout.as_ref().map(|rollout| RequestRollout {
            begun: Stamp {
                by: rollout.by.clone(),
                at_ms: rollout.begun_ms,
            },
            stage: rollout.stage,
            percent: record
                .stages
                .get(rollout.stage)
                .map_or(0, |stage| stage.percent),
            since_ms: rollout.since_ms,
            next_ms: record.due().map(|due| due.at_ms),
        }),
        schedule: record.schedule.as_ref().map(|schedule| RequestSchedule {
            by: schedule.by.clone(),
            at_ms: schedule.at_ms,
            proposal: schedule.proposal.0,
        }),
        emergency: record.emergency.as_ref().map(|emergency| {
            let acknowledged = emergency.acknowledged_by.as_ref();
            RequestEmergency {
                declared: Stamp {
                    at_ms: emergency.at_ms,
                    by: emergency.by.clone(),
                },
                reason: emergency.reason.clone(),
                acknowledged: acknowledged.map(|by| Stamp {
                    at_ms: emergency.acknowledged_ms.unwrap_or_default(),
                    by: by.clone(),
                }),
            }
        }),
        published: record.published.as_ref().map(|published| RequestPublished {
            published: Stamp {
                at_ms: published.at_ms,
                by: published.by.clone(),
            },
            rules: published
                .targets
                .iter()
                .filter_map(|done| Some((done.namespace.clone(), done.rule.clone()?)))
                .collect(),
            approved_by: published
                .targets
                .iter()
                .map(|done| (done.namespace.clone(), done.approved_by.clone()))
                .collect(),
        }),
        proposal: None,
        status: Vec::new(),
        record: id,
        updated_ms,
        index: 0,
    }
}
