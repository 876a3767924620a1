//! A request together with what holds now.

use std::collections::{BTreeMap, BTreeSet};

use confman_layout::{entry_key, tree_key};
use confman_model::Key;
use confman_model::document::Settings;
use confman_object_store::tree::{Leaf, TreeKey};
use confman_object_store::{ObjectId, tree};
use confman_policy::Permission;
use confman_policy::request::{Facts, Refusal, TargetFacts};

use super::record::{RequestRecord, TargetRecord};
use crate::error::{Error, What};
use crate::line::Place;
use crate::names;
use crate::review::change_facts;
use crate::seen::{Found, Seen};

/// Context of the hash that names a proposal.
const PROPOSAL_CONTEXT: &str = "confman 2026 proposal v1";

/// A request and what holds now.
#[derive(Debug)]
pub(super) struct Loaded {
    pub number: u64,
    /// The version of its record.
    pub id: ObjectId,
    pub record: RequestRecord,
    pub updated_ms: i64,
    pub targets: Vec<TargetNow>,
    pub facts: Facts,
}

/// A namespace of a request as it is now.
#[derive(Debug)]
pub(super) struct TargetNow {
    /// The head of the draft; `None` where it is gone.
    pub head: Option<Found>,
    /// Where the draft began.
    pub base: Option<Place>,
    pub published: Option<(Found, Place)>,
    /// What publishing it would change: what is published, and what it becomes.
    pub changes: BTreeMap<TreeKey, (Option<Leaf>, Option<Leaf>)>,
    /// Those of them that changed underneath, too.
    pub conflicts: Vec<Key>,
}

impl Loaded {
    /// A refusal about this request.
    pub fn refused(&self, seen: &Seen<'_>, refusal: Refusal) -> Error {
        let what = format!("publish request #{}", self.number);
        seen.refused(what, Some(self.number), refusal)
    }

    /// The proposal that it is now.
    pub fn proposal(&self) -> Result<ObjectId, Error> {
        let text = self.facts.proposal.as_deref();
        text.ok_or_else(|| Error::Refused {
            what: format!("publish request #{}", self.number),
            request: Some(self.number),
            refusal: Refusal::DraftGone,
        })?
        .parse()
        .map_err(Error::bug)
    }

    /// What the caller has seen, as a proposal. The head commit stands for it where there is nothing
    /// else that could have been another.
    pub fn seen(&self, seen: &ObjectId) -> String {
        let heads = self.targets.iter().map(|target| target.head.as_ref());
        let plain = !self.record.keys_edited
            && matches!(self.record.targets.as_slice(), [only] if only.keys.is_none());
        let is_head = heads.flatten().any(|head| head.id == *seen);
        match (&self.facts.proposal, plain && is_head) {
            (Some(proposal), true) => proposal.clone(),
            _ => seen.to_string(),
        }
    }

    /// Notes in the record where the drafts are now.
    pub fn follow_drafts(&mut self) {
        for (target, now) in self.record.targets.iter_mut().zip(&self.targets) {
            if let Some(head) = &now.head {
                target.head = super::record::Id(head.id);
                target.base = now.base.map(|base| super::record::Id(base.commit));
            }
        }
    }
}

impl Seen<'_> {
    /// The record of a request that the actor may read, which takes reading drafts in each of its
    /// namespaces.
    pub(super) fn request_record(
        &self,
        number: u64,
    ) -> Result<(ObjectId, RequestRecord, i64), Error> {
        let not_found = || Error::not_found(What::Request, format!("#{number}"));
        let (id, record) = self
            .record(&names::request(number)?)?
            .ok_or_else(not_found)?;
        let request = RequestRecord::read(&record)?;
        for target in &request.targets {
            // While a namespace is deleted, its requests are with it.
            if self.get(&names::policy(&target.namespace)?).is_none() {
                return Err(not_found());
            }
            match self.permit(&target.namespace, Permission::ConfigReadDraft) {
                Ok(()) => {}
                Err(Error::NotFound { .. } | Error::Denied { .. }) => return Err(not_found()),
                Err(error) => return Err(error),
            }
        }
        Ok((id, request, record.time_ms))
    }

    /// A request and everything that a decision about it needs.
    pub(super) fn load_request(&self, number: u64, now_ms: i64) -> Result<Loaded, Error> {
        let (id, record, updated_ms) = self.request_record(number)?;
        self.load(number, id, record, updated_ms, now_ms)
    }

    pub(super) fn load(
        &self,
        number: u64,
        id: ObjectId,
        record: RequestRecord,
        updated_ms: i64,
        now_ms: i64,
    ) -> Result<Loaded, Error> {
        let targets = record
            .targets
            .iter()
            .map(|target| self.target_now(target))
            .collect::<Result<Vec<_>, Error>>()?;
        let facts = self.request_facts(&record, &targets, now_ms)?;
        Ok(Loaded {
            number,
            id,
            record,
            updated_ms,
            targets,
            facts,
        })
    }

    /// The facts about a request whose namespaces are as given.
    pub(super) fn request_facts(
        &self,
        record: &RequestRecord,
        targets: &[TargetNow],
        now_ms: i64,
    ) -> Result<Facts, Error> {
        let mut committers: Vec<BTreeSet<String>> = Vec::new();
        for (target, now) in record.targets.iter().zip(targets) {
            committers.push(match &now.head {
                Some(head) => self.committers(self.objects(), &target.namespace, head.id)?,
                None => BTreeSet::new(),
            });
        }
        let mut people: BTreeSet<String> = committers.iter().flatten().cloned().collect();
        people.insert(self.actor.principal().to_owned());
        people.insert(record.submitted_by.clone());
        people.extend(record.edited_by.iter().cloned());
        people.extend(record.reviews.iter().map(|review| review.reviewer.clone()));
        let mut facts = Vec::new();
        for ((target, now), committers) in record.targets.iter().zip(targets).zip(committers) {
            let settings = self.settings(&target.namespace)?;
            facts.push(self.target_facts(target, now, settings, committers, &people)?);
        }
        Ok(Facts {
            actor: self.actor.principal().to_owned(),
            now_ms,
            proposal: self.proposal_of(record, targets)?,
            targets: facts,
        })
    }

    fn target_facts(
        &self,
        target: &TargetRecord,
        now: &TargetNow,
        settings: Settings,
        committers: BTreeSet<String>,
        people: &BTreeSet<String>,
    ) -> Result<TargetFacts, Error> {
        let namespace = &target.namespace;
        let objects = self.objects();
        let changes = now
            .changes
            .iter()
            .map(|(key, (old, new))| change_facts(objects, key, old.as_ref(), new.as_ref()))
            .collect::<Result<_, Error>>()?;
        let keys_before = match &now.published {
            Some((head, _)) => tree::count(objects, &head.commit.tree)?,
            None => 0,
        };
        Ok(TargetFacts {
            namespace: namespace.clone(),
            settings,
            actor_may: self.actor_may(namespace)?,
            committers,
            changes,
            keys_before,
            standings: self.standings(namespace, people)?,
        })
    }

    /// A namespace of a request as it is now.
    pub(super) fn target_now(&self, target: &TargetRecord) -> Result<TargetNow, Error> {
        let namespace = &target.namespace;
        let head = self.head(&names::draft(namespace, &target.draft)?)?;
        let published = self.published(namespace)?;
        let mut now = TargetNow {
            head,
            base: None,
            published,
            changes: BTreeMap::new(),
            conflicts: Vec::new(),
        };
        let Some(head) = &now.head else {
            return Ok(now);
        };
        now.base = self.base_of(namespace, head)?;
        let base_tree = self.tree_of(now.base.map(|base| base.commit).as_ref())?;
        let ours = now
            .published
            .as_ref()
            .map_or(self.repo.empty_tree, |(head, _)| head.commit.tree);
        let picked = picked(target.keys.as_deref())?;
        let is_picked = |key: &TreeKey| picked.as_ref().is_none_or(|keys| keys.contains(key));
        let merged = tree::merge(self.objects(), &base_tree, &ours, &head.commit.tree)?;
        for (key, new) in merged.edits {
            if is_picked(&key) {
                let old = tree::get(self.objects(), &ours, key.as_bytes())?;
                now.changes.insert(key, (old, new));
            }
        }
        for conflict in merged.conflicts {
            if is_picked(&conflict.key) {
                now.conflicts.push(entry_key(&conflict.key)?);
                now.changes
                    .insert(conflict.key, (conflict.ours, conflict.theirs));
            }
        }
        Ok(now)
    }

    /// What a review binds to: everything that is asked for, down to the commits.
    fn proposal_of(
        &self,
        record: &RequestRecord,
        targets: &[TargetNow],
    ) -> Result<Option<String>, Error> {
        let mut hasher = blake3::Hasher::new_derive_key(PROPOSAL_CONTEXT);
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(record.title.as_bytes());
        part(record.description.as_bytes());
        part(&record.edits.to_le_bytes());
        for stage in &record.stages {
            part(b"stage");
            part(&[stage.percent]);
            part(&stage.for_ms.unwrap_or_default().to_le_bytes());
        }
        for (target, now) in record.targets.iter().zip(targets) {
            let Some(head) = &now.head else {
                return Ok(None);
            };
            part(target.namespace.as_str().as_bytes());
            // Made again after it was deleted, it is another namespace.
            part(self.life(&target.namespace)?.as_bytes());
            part(target.draft.as_str().as_bytes());
            part(head.id.as_bytes());
            match &target.keys {
                None => part(b"all"),
                Some(keys) => {
                    part(&(keys.len() as u64).to_le_bytes());
                    for key in keys {
                        part(key.as_str().as_bytes());
                    }
                }
            }
        }
        let hash = *hasher.finalize().as_bytes();
        Ok(Some(ObjectId::from_bytes(hash).to_string()))
    }
}

/// Keys of a tree that are picked; `None`: all.
fn picked(keys: Option<&[Key]>) -> Result<Option<BTreeSet<TreeKey>>, Error> {
    let Some(keys) = keys else { return Ok(None) };
    let keys = keys.iter().map(tree_key).collect::<Result<_, _>>()?;
    Ok(Some(keys))
}
