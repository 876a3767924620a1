//! Whether what a push brings may join the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use confman_layout::blob;
use confman_model::{Namespace, ValueLimits};
use confman_object_store::tree::{self, Change, Leaf, TreeKey};
use confman_object_store::{Commit, Kind, Object, ObjectId, ReadObjects};
use confman_policy::Permission;

use super::incoming::Incoming;
use super::quarantine::Quarantine;
use super::{PushRequest, PushTarget};
use crate::error::{Error, Problem, What};
use crate::evaluation::Evaluation;
use crate::publish::Warning;

/// Commits of a pack that were found right and staged.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) commits: HashMap<ObjectId, Arc<Commit>>,
    pub(super) changes: HashMap<ObjectId, Vec<Change>>,
    pub(super) warnings: Vec<Warning>,
}

/// Everything wrong with a push.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, detail: impl Into<String>) {
        self.0.push(Problem::new(detail));
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid {
                what: "push".to_owned(),
                problems: self.0,
            })
        }
    }
}

/// A commit that a ref or the mark of an import leads to, and as what it comes in.
#[derive(Clone)]
struct Head {
    namespace: Namespace,
    commit: ObjectId,
    /// Whether it comes with the history of another store, whose people this one does not know.
    importing: bool,
}

impl Evaluation<'_> {
    /// Checks rights, then every commit of the pack that a ref or the mark will lead to, and stages what
    /// they need. Everything else in the pack is left out.
    pub(super) fn verify(
        &mut self,
        base: &Namespace,
        request: &PushRequest,
        pack: &Quarantine,
    ) -> Result<Verified, Error> {
        let mut heads: Vec<Head> = Vec::new();
        for edit in &request.edits {
            self.permit_within(base, &edit.namespace)?;
            let importing = match edit.target {
                PushTarget::Draft(_) => {
                    self.permit(&edit.namespace, Permission::ConfigWriteDraft)?;
                    false
                }
                PushTarget::Published => {
                    // It goes past review, so it takes who could change the rules of review.
                    self.permit(&edit.namespace, Permission::NamespaceWrite)?;
                    true
                }
            };
            heads.push(Head {
                namespace: edit.namespace.clone(),
                commit: edit.new,
                importing,
            });
        }
        if let Some(mark) = &request.import {
            self.permit(base, Permission::NamespaceWrite)?;
            for (namespace, tip) in &mark.tips {
                self.permit_within(base, namespace)?;
                self.permit(namespace, Permission::NamespaceWrite)?;
                heads.push(Head {
                    namespace: namespace.clone(),
                    commit: *tip,
                    importing: true,
                });
            }
        }
        let wanted = self.wanted(&heads, pack)?;
        let mut limits: HashMap<Namespace, ValueLimits> = HashMap::new();
        let mut verified = Verified::default();
        // In the order of the pack, which has parents before children.
        let order: Vec<ObjectId> = pack
            .stage
            .objects()
            .filter(|object| object.kind() == Kind::Commit)
            .map(Object::id)
            .collect();
        for id in order {
            let Some(Head {
                namespace,
                importing,
                ..
            }) = wanted.get(&id)
            else {
                continue;
            };
            if !limits.contains_key(namespace) {
                limits.insert(namespace.clone(), self.value_limits(namespace)?);
            }
            let limits = limits
                .get(namespace)
                .ok_or_else(|| Error::bug("limits that were read are lost"))?;
            let commit = pack.stage.commit(&id)?;
            let incoming = Incoming {
                id,
                commit: &commit,
                namespace,
                limits,
                importing: *importing,
                published: self.line(namespace)?.place_of(&id)?.is_some(),
                pack,
            };
            self.take_in(&incoming, &mut verified)?;
        }
        for head in &heads {
            let commit = &head.commit;
            if !verified.commits.contains_key(commit) && !self.belongs(&head.namespace, commit)? {
                return Err(Error::not_found(What::Commit, commit));
            }
        }
        Ok(verified)
    }

    fn permit_within(&self, base: &Namespace, namespace: &Namespace) -> Result<(), Error> {
        if base.contains(namespace) {
            return Ok(());
        }
        Err(Error::invalid(
            "push",
            format!("`{namespace}` is not `{base}` or below it"),
        ))
    }

    /// The commits of the pack that the heads lead to, with the namespace they must be of.
    fn wanted(&self, heads: &[Head], pack: &Quarantine) -> Result<HashMap<ObjectId, Head>, Error> {
        let mut wanted: HashMap<ObjectId, Head> = HashMap::new();
        // The strictest first: what a draft leads to was not imported, whatever else leads to it.
        let mut waiting = heads.to_vec();
        waiting.sort_by_key(|head| !head.importing);
        while let Some(head) = waiting.pop() {
            let id = head.commit;
            if !pack.has(Kind::Commit, &id) || wanted.contains_key(&id) {
                continue;
            }
            let commit = pack.stage.commit(&id)?;
            waiting.extend(commit.parents.iter().map(|parent| Head {
                commit: *parent,
                ..head.clone()
            }));
            wanted.insert(id, head);
        }
        Ok(wanted)
    }

    /// Checks one commit, whose parents were checked, and stages it with what its tree has beyond that of
    /// its first parent.
    fn take_in(&mut self, incoming: &Incoming<'_>, verified: &mut Verified) -> Result<(), Error> {
        let Incoming {
            id,
            commit,
            namespace,
            pack,
            ..
        } = *incoming;
        let mut problems = Problems::default();
        let mut parents: Vec<Arc<Commit>> = Vec::new();
        for parent in &commit.parents {
            match verified.commits.get(parent) {
                Some(known) => parents.push(Arc::clone(known)),
                None if self.belongs(namespace, parent)? => {
                    parents.push(self.objects().commit(parent)?)
                }
                None => problems.add(format!(
                    "commit {id}: its parent {parent} is neither in the pack nor in `{namespace}`"
                )),
            }
        }
        problems.check()?;
        incoming
            .check_form(&parents, self.actor.principal())
            .check()?;

        let before = parents
            .first()
            .map_or(self.repo.empty_tree, |parent| parent.tree);
        let below = self.with_new();
        let changes = incoming.changes(&below, &before)?;
        let edits: BTreeMap<TreeKey, Option<Leaf>> = changes
            .iter()
            .map(|change| (change.key.clone(), change.new.clone()))
            .collect();
        let edited = match edits.is_empty() {
            true => tree::Edited {
                root: before,
                pages: Vec::new(),
            },
            false => tree::edit(&below, &before, &edits)?,
        };
        if edited.root != commit.tree {
            let detail = format!(
                "commit {id}: its tree {} is not canonical; {} is the one of these contents",
                commit.tree, edited.root
            );
            return Err(Error::invalid("push", detail));
        }
        incoming.check_pages(&below, &before, &edited)?;
        let warnings = incoming.check_values(&below, &changes, &parents)?;

        for (page, replaces) in edited.pages {
            self.stage.put(page, replaces);
        }
        for change in &changes {
            let (old, Some(new)) = (change.old.as_ref(), change.new.as_ref()) else {
                continue;
            };
            let refers = [
                blob(new).map(|id| (Kind::Blob, id, old.and_then(blob))),
                new.meta
                    .map(|id| (Kind::Meta, id, old.and_then(|old| old.meta))),
            ];
            for (kind, id, replaces) in refers.into_iter().flatten() {
                if let Some(object) = pack.object(kind, &id)? {
                    self.stage.put(object, replaces);
                }
            }
        }
        let object = pack
            .object(Kind::Commit, &id)?
            .ok_or_else(|| Error::bug("a commit of the pack is lost"))?;
        self.stage.put(object, None);
        verified.commits.insert(id, Arc::new(commit.clone()));
        verified.changes.insert(id, changes);
        verified.warnings.extend(warnings);
        Ok(())
    }
}
