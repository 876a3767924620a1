//! Deleting namespaces, and bringing them back.
//!
//! What was there is kept in a record for each namespace under `@deleted/`, named by the digits of the
//! deletion: all that were deleted together have the same.

use std::collections::BTreeMap;

use confman_model::namespace::NAMESPACES_MAX;
use confman_model::{Namespace, NamespaceDocument};
use confman_object_store::{Kind, ObjectId, Record};
use confman_policy::{Grants, GrantsAt, Permission, decide};
use confman_refs::{Committed, RefName, Target};
use serde::{Deserialize, Serialize};

use crate::draft::ExpectedHead;
use crate::error::{Error, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome, fill_random};
use crate::life::{LifeChange, LineName};
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most refs that one deletion or restoration moves: what fits into one operation.
pub const DELETED_REFS_MAX: usize = 6_000;
/// Refs in one record; the rest is in the records before it.
const REFS_PER_RECORD: usize = 2_000;
/// Digits that name a deletion.
const DELETION_BYTES: usize = 8;
/// Most children that a refusal lists.
pub const CHILDREN_SHOWN_MAX: usize = 100;

/// A namespace that was deleted.
#[derive(Clone, Debug)]
pub struct DeletedNamespace {
    /// Its path.
    pub namespace: Namespace,
    /// Names the deletion; all that were deleted together have the same.
    pub deletion: String,
    /// When, in milliseconds since 1970.
    pub deleted_ms: i64,
    /// By whom.
    pub deleted_by: String,
    /// Its last document.
    pub document: NamespaceDocument,
    /// The commit that has the document.
    pub policy: ObjectId,
    /// Its published head; `None` where nothing was published.
    pub published: Option<ObjectId>,
    pub(crate) life: ObjectId,
    refs: Vec<(RefName, Target)>,
}

/// What a deletion or a restoration came to.
#[derive(Clone, Debug)]
pub struct MovedNamespaces {
    /// Names the deletion.
    pub deletion: String,
    /// Which namespaces, in the order of their paths.
    pub namespaces: Vec<Namespace>,
    /// The operation.
    pub committed: Committed,
}

/// What the record of a deleted namespace says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeletedRecord {
    namespace: Namespace,
    deletion: String,
    refs: Vec<DeletedRef>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeletedRef {
    name: String,
    kind: u8,
    id: String,
}

const RECORD_TYPE: &str = "deleted-namespace";

impl Session {
    /// Deletes a namespace, and with `recursive` all below it, in one operation. What was there can be
    /// restored.
    ///
    /// # Errors
    /// [`Error::HasChildren`] without `recursive`, [`Error::Stale`] where its document is not the expected
    /// one, [`Error::Denied`] where the actor may not delete all of them.
    pub fn delete_namespace(
        &self,
        namespace: &Namespace,
        recursive: bool,
        expected: ExpectedHead,
    ) -> Result<MovedNamespaces, Error> {
        let mut bytes = [0; DELETION_BYTES];
        fill_random(&mut bytes)?;
        let deletion = data_encoding::HEXLOWER.encode(&bytes);
        let intent = Intent {
            action: "namespace.delete",
            about: names::policy(namespace)?,
            digest: Digest::new("namespace.delete")
                .with(namespace.as_str())
                .with([u8::from(recursive)])
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({
                "namespace": namespace,
                "recursive": recursive,
                "deletion": deletion,
            }),
            session: self,
        };
        let (outcome, committed) = intent.carry_out(|evaluation| {
            let doomed = evaluation.doomed(namespace, recursive, expected)?;
            let mut record = None;
            for namespace in &doomed {
                let made = evaluation.delete(namespace, &deletion)?;
                record.get_or_insert(made);
            }
            Ok(Outcome {
                record,
                ..Outcome::default()
            })
        })?;
        self.moved(&outcome, committed)
    }

    /// Brings back a namespace that was deleted, with all below it that was deleted in the same operation.
    /// Without the digits of a deletion, the last one.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nothing was deleted there or the namespace above is not there,
    /// [`Error::Exists`] where something new is in its place.
    pub fn restore_namespace(
        &self,
        namespace: &Namespace,
        deletion: Option<&str>,
    ) -> Result<MovedNamespaces, Error> {
        let intent = Intent {
            action: "namespace.restore",
            about: names::policy(namespace)?,
            digest: Digest::new("namespace.restore")
                .with(namespace.as_str())
                .with(deletion.unwrap_or_default())
                .finish(),
            detail: serde_json::json!({ "namespace": namespace, "deletion": deletion }),
            session: self,
        };
        let (outcome, committed) = intent.carry_out(|evaluation| {
            let not_found = || Error::not_found(What::DeletedNamespace, namespace);
            let deleted = match deletion {
                Some(deletion) => evaluation.deleted(namespace, deletion)?,
                None => evaluation.newest_deletion(namespace)?,
            }
            .ok_or_else(not_found)?;
            let parent = namespace.parent().ok_or_else(not_found)?;
            if !evaluation.may_see_deleted(&deleted)? {
                return Err(not_found());
            }
            evaluation.permit(&parent, Permission::NamespaceWrite)?;
            let together = evaluation.deleted_with(&deleted)?;
            evaluation.check_count(together.len())?;
            let refs = together.iter().map(|one| one.refs.len() + 1).sum();
            check_refs(refs)?;
            let record = evaluation
                .get(&names::deleted(namespace, &deleted.deletion)?)
                .map(|target| target.id);
            for one in &together {
                evaluation.restore(one)?;
            }
            evaluation.note_rules()?;
            Ok(Outcome {
                record,
                ..Outcome::default()
            })
        })?;
        self.moved(&outcome, committed)
    }

    /// Namespaces at and below `prefix` that were deleted and that the actor may restore, in the order of
    /// their paths, the last deletion of a path first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn deleted_namespaces(&self, prefix: &Namespace) -> Result<Vec<DeletedNamespace>, Error> {
        let seen = self.look()?;
        let mut found = Vec::new();
        for (name, target) in seen.view.scan(prefix.as_str()) {
            let Some((namespace, _)) = names::deletion_of(name.as_str()) else {
                continue;
            };
            if !prefix.contains(&namespace) {
                continue;
            }
            let deleted = seen.read_deleted(target)?;
            if seen.may_see_deleted(&deleted)? {
                found.push(deleted);
            }
        }
        found.sort_by(|one, other| {
            (&one.namespace, -one.deleted_ms).cmp(&(&other.namespace, -other.deleted_ms))
        });
        Ok(found)
    }

    /// What the record of the namespace that was asked for, and those of the same operation, say.
    fn moved(&self, outcome: &Outcome, committed: Committed) -> Result<MovedNamespaces, Error> {
        let record = outcome
            .record
            .ok_or_else(|| Error::bug("a deletion without a record"))?;
        let target = Target {
            kind: Kind::Record,
            id: record,
        };
        let (_, record) = self.repo.read_record(target)?;
        let deletion = body(&record)?.deletion;
        let sequence = self.repo.node.sequence_at_index(committed.index)?;
        let operation = self.repo.node.operation_at(sequence)?;
        let (_, operation) = operation.ok_or_else(|| Error::bug("an operation is missing"))?;
        let mut namespaces: Vec<Namespace> = operation
            .edits
            .iter()
            .filter_map(|edit| names::policy_of(edit.name.as_str()))
            .collect();
        namespaces.sort();
        Ok(MovedNamespaces {
            deletion,
            namespaces,
            committed,
        })
    }
}

fn body(record: &Record) -> Result<DeletedRecord, Error> {
    if record.record_type != RECORD_TYPE {
        return Err(Error::bug(format!(
            "a record of type `{}` where a {RECORD_TYPE} must be",
            record.record_type
        )));
    }
    serde_json::from_slice(&record.body)
        .map_err(|error| Error::bug(format!("the record of a {RECORD_TYPE}: {error}")))
}

fn check_refs(refs: usize) -> Result<(), Error> {
    if refs > DELETED_REFS_MAX {
        return Err(Error::LimitExceeded {
            what: "heads, documents, drafts and tags in one operation",
            limit: DELETED_REFS_MAX as u64,
            actual: refs as u64,
        });
    }
    Ok(())
}

impl Evaluation<'_> {
    /// The namespaces that a deletion takes, if the actor may delete all of them.
    fn doomed(
        &self,
        namespace: &Namespace,
        recursive: bool,
        expected: ExpectedHead,
    ) -> Result<Vec<Namespace>, Error> {
        self.permit(namespace, Permission::NamespaceDelete)?;
        if namespace.parent().is_none() {
            return Err(Error::invalid("deletion of `/`", "the root always exists"));
        }
        let policy = self.get(&names::policy(namespace)?);
        expected.check(What::Namespace, namespace, policy.map(|target| target.id))?;
        // One that comes to be below meanwhile must be seen too.
        self.get(&names::namespaces()?);
        let below = self.descendants(namespace);
        let mut shown = Vec::new();
        let mut forbidden = None;
        for child in &below {
            if self.may(child, Permission::NamespaceRead)? {
                shown.push(child.clone());
            }
            if forbidden.is_none() && !self.may(child, Permission::NamespaceDelete)? {
                forbidden = Some(child.clone());
            }
        }
        if !below.is_empty() && !recursive {
            let hidden = below.len() - shown.len();
            return Err(Error::HasChildren {
                namespace: namespace.clone(),
                children: shown,
                hidden,
            });
        }
        if let Some(child) = forbidden {
            if shown.contains(&child) {
                self.permit(&child, Permission::NamespaceDelete)?;
            }
            return Err(Error::Denied {
                namespace: namespace.clone(),
                permission: Permission::NamespaceDelete,
                because: "something below it is not yours to delete".to_owned(),
            });
        }
        let mut doomed = vec![namespace.clone()];
        doomed.extend(below);
        for namespace in &doomed {
            self.check_settled(namespace)?;
        }
        let refs = doomed
            .iter()
            .map(|namespace| self.refs_of(namespace).len() + 1)
            .sum();
        check_refs(refs)?;
        Ok(doomed)
    }

    /// Takes a namespace out of the view and keeps what was there in a record.
    fn delete(&mut self, namespace: &Namespace, deletion: &str) -> Result<ObjectId, Error> {
        let life = self.life(namespace)?;
        let refs = self.refs_of(namespace);
        let mut previous = None;
        let mut last = None;
        let name = names::deleted(namespace, deletion)?;
        self.get(&name);
        let mut chunks = refs.chunks(REFS_PER_RECORD).peekable();
        while let Some(chunk) = chunks.next() {
            let document = DeletedRecord {
                namespace: namespace.clone(),
                deletion: deletion.to_owned(),
                refs: chunk
                    .iter()
                    .map(|(name, target)| DeletedRef {
                        name: name.to_string(),
                        kind: u8::from(target.kind),
                        id: target.id.to_string(),
                    })
                    .collect(),
            };
            let record = Record {
                record_type: RECORD_TYPE.to_owned(),
                previous,
                time_ms: self.now_ms,
                actor: self.actor.principal().to_owned(),
                body: serde_json::to_vec(&document).map_err(Error::bug)?.into(),
                links: chunk
                    .iter()
                    .map(|(_, target)| (target.kind, target.id))
                    .collect(),
                unknown: Vec::new(),
            };
            let id = self.set_record(name.clone(), &record)?;
            if chunks.peek().is_some() {
                previous = Some(id);
            }
            last = Some(id);
        }
        // Where nothing is published, a publish that is under way must fail too.
        self.get(&names::published(namespace)?);
        for (name, _) in refs {
            self.get(&name);
            self.set(name, None);
        }
        let ref_name = names::policy(namespace)?;
        let mut row = vec![LifeChange::Ended.to_row(&LineName { ref_name, life })];
        self.add_rows(&mut row);
        last.ok_or_else(|| Error::bug(format!("`{namespace}` has no ref")))
    }

    /// Puts everything back.
    fn restore(&mut self, deleted: &DeletedNamespace) -> Result<(), Error> {
        let ref_name = names::policy(&deleted.namespace)?;
        if self.get(&ref_name).is_some() {
            return Err(Error::Exists {
                what: What::Namespace,
                name: deleted.namespace.to_string(),
            });
        }
        for (name, target) in &deleted.refs {
            // What a draft or a publish that was under way left here meanwhile is newer.
            if self.get(name).is_none() {
                self.set(name.clone(), Some(*target));
            }
        }
        let name = names::deleted(&deleted.namespace, &deleted.deletion)?;
        self.get(&name);
        self.set(name, None);
        let life = deleted.life;
        let mut row = vec![LifeChange::Began.to_row(&LineName { ref_name, life })];
        self.add_rows(&mut row);
        Ok(())
    }

    /// Takes away what something that was under way when a namespace was deleted left at its path: one that
    /// is made there begins with nothing.
    pub(crate) fn sweep(&mut self, namespace: &Namespace) {
        for (name, _) in self.refs_of(namespace) {
            self.get(&name);
            self.set(name, None);
        }
    }

    /// Everything that was deleted in the same operation, at and below this one.
    fn deleted_with(&self, deleted: &DeletedNamespace) -> Result<Vec<DeletedNamespace>, Error> {
        let mut together = Vec::new();
        let names: Vec<RefName> = self
            .view
            .scan(deleted.namespace.as_str())
            .filter(|(name, _)| {
                names::deletion_of(name.as_str()).is_some_and(|(namespace, deletion)| {
                    deletion == deleted.deletion && deleted.namespace.contains(&namespace)
                })
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            if let Some(target) = self.get(&name) {
                together.push(self.read_deleted(target)?);
            }
        }
        together.sort_by(|one, other| one.namespace.cmp(&other.namespace));
        Ok(together)
    }

    /// Refuses more namespaces than there may be.
    pub(crate) fn check_count(&self, more: usize) -> Result<(), Error> {
        // Counting them takes a walk over all refs, so it is done where there can be too many at all.
        let existing = match self.view.len() + more <= NAMESPACES_MAX {
            true => 0,
            false => self
                .view
                .scan("/")
                .filter(|(name, _)| names::policy_of(name.as_str()).is_some())
                .count(),
        };
        if existing + more > NAMESPACES_MAX {
            return Err(Error::LimitExceeded {
                what: "namespaces",
                limit: NAMESPACES_MAX as u64,
                actual: (existing + more) as u64,
            });
        }
        Ok(())
    }
}

impl Seen<'_> {
    /// The refs that go and come with a namespace.
    fn refs_of(&self, namespace: &Namespace) -> Vec<(RefName, Target)> {
        self.view
            .scan(&format!("{namespace}@"))
            .filter(|(name, _)| names::lives_with(namespace, name.as_str()))
            .map(|(name, target)| (name.clone(), target))
            .collect()
    }

    /// What was deleted at this path in this deletion.
    fn deleted(
        &self,
        namespace: &Namespace,
        deletion: &str,
    ) -> Result<Option<DeletedNamespace>, Error> {
        let well_formed = deletion.len() == 2 * DELETION_BYTES
            && deletion
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(Error::invalid(
                "deletion",
                format!("it has {} hex digits", 2 * DELETION_BYTES),
            ));
        }
        self.get(&names::deleted(namespace, deletion)?)
            .map(|target| self.read_deleted(target))
            .transpose()
    }

    /// What was deleted at this path last.
    pub(crate) fn newest_deletion(
        &self,
        namespace: &Namespace,
    ) -> Result<Option<DeletedNamespace>, Error> {
        let mut newest: Option<(i64, RefName)> = None;
        for (name, target) in self.view.scan(&names::deletions(namespace)) {
            let (_, record) = self.repo.read_record(target)?;
            if newest
                .as_ref()
                .is_none_or(|(time_ms, _)| *time_ms <= record.time_ms)
            {
                newest = Some((record.time_ms, name.clone()));
            }
        }
        match newest.and_then(|(_, name)| self.get(&name)) {
            Some(target) => self.read_deleted(target).map(Some),
            None => Ok(None),
        }
    }

    fn read_deleted(&self, target: Target) -> Result<DeletedNamespace, Error> {
        let (_, record) = self.repo.read_record(target)?;
        let newest = body(&record)?;
        let mut entries = newest.refs;
        let mut previous = record.previous;
        while let Some(id) = previous {
            let kind = Kind::Record;
            let (_, record) = self.repo.read_record(Target { kind, id })?;
            entries.extend(body(&record)?.refs);
            previous = record.previous;
        }
        let mut refs = BTreeMap::new();
        for entry in entries {
            let kind = Kind::from_number(entry.kind)
                .ok_or_else(|| Error::bug("a deleted ref of no kind"))?;
            let id = entry.id.parse().map_err(Error::bug)?;
            refs.insert(
                RefName::new(&entry.name).map_err(Error::bug)?,
                Target { kind, id },
            );
        }
        let namespace = newest.namespace;
        let policy = refs
            .get(&names::policy(&namespace)?)
            .ok_or_else(|| Error::bug(format!("`{namespace}` was deleted without a document")))?;
        let document = self.found(policy.id)?;
        Ok(DeletedNamespace {
            deletion: newest.deletion,
            deleted_ms: record.time_ms,
            deleted_by: record.actor,
            document: (*self.repo.document(&policy.id)?).clone(),
            policy: policy.id,
            published: refs
                .get(&names::published(&namespace)?)
                .map(|target| target.id),
            life: crate::life::life_of(&document),
            refs: refs.into_iter().collect(),
            namespace,
        })
    }

    /// The published head that a deleted namespace had; `None` where it is there, or never was.
    pub(crate) fn last_published(&self, namespace: &Namespace) -> Result<Option<ObjectId>, Error> {
        if self.get(&names::policy(namespace)?).is_some() {
            return Ok(None);
        }
        let deleted = self.newest_deletion(namespace)?;
        Ok(deleted.and_then(|deleted| deleted.published))
    }

    /// Refuses what cannot be done with a namespace that is not there. Who could restore it may read what
    /// was published in it.
    pub(crate) fn permit_deleted(
        &self,
        namespace: &Namespace,
        permission: Permission,
    ) -> Result<(), Error> {
        let reads = matches!(
            permission,
            Permission::NamespaceRead | Permission::ConfigReadPublished
        );
        if reads
            && let Some(deleted) = self.newest_deletion(namespace)?
            && self.may_see_deleted(&deleted)?
        {
            return Ok(());
        }
        Err(Error::not_found(What::Namespace, namespace))
    }

    /// Whether the actor may see and restore what was deleted: an admin of the nearest namespace above that
    /// is there. Where something that was deleted did not inherit, its own documents must allow it too.
    pub(crate) fn may_see_deleted(&self, deleted: &DeletedNamespace) -> Result<bool, Error> {
        let mut chain = vec![GrantsAt {
            namespace: deleted.namespace.clone(),
            roles: deleted.document.roles.clone(),
            secret_resolvers: None,
        }];
        let mut is_cut = !deleted.document.inherit;
        for above in deleted.namespace.ancestors().skip(1) {
            if self.get(&names::policy(&above)?).is_some() {
                let allowed_above = self.may(&above, Permission::NamespaceWrite)?;
                if !is_cut || !allowed_above {
                    return Ok(allowed_above);
                }
                let root = self.document(&Namespace::root())?;
                let root = root.map(|root| root.roles.clone()).unwrap_or_default();
                let grants = Grants { chain, root };
                let decision = decide(&grants, &self.subject, Permission::NamespaceWrite);
                return Ok(decision.allowed);
            }
            let gone = match self.get(&names::deleted(&above, &deleted.deletion)?) {
                Some(target) => Some(self.read_deleted(target)?),
                None => self.newest_deletion(&above)?,
            };
            if let Some(gone) = gone
                && !is_cut
            {
                chain.push(GrantsAt {
                    namespace: above,
                    roles: gone.document.roles.clone(),
                    secret_resolvers: None,
                });
                is_cut = !gone.document.inherit;
            }
        }
        Ok(false)
    }
}
