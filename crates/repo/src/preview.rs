//! What publishing would do to every namespace that it reaches, before anything is published.

use std::collections::BTreeMap;

use confman_model::{DraftName, Key, Namespace, Revision};
use confman_object_store::ReadObjects;
use confman_object_store::tree::Leaf;
use confman_policy::{Permission, Violation};

use crate::draft::EntryEdit;
use crate::entry::{TreeEntry, Values};
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::names;
use crate::publish::{Proposal, Warning};
use crate::seen::Seen;
use crate::session::Session;
use crate::validation::reach::{Reach, Reached};
use crate::validation::{Candidate, Judging};

/// What publishing would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// What changes, by namespace; those in which nothing does are left out.
    pub namespaces: Vec<NamespaceChanges>,
    /// Where an own entry keeps a change further up from taking effect.
    pub void: Vec<VoidChange>,
    /// Rules of schemas that would be broken and stand in the way.
    pub violations: Vec<Violation>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

/// What changes in one effective document.
#[derive(Clone, Debug)]
pub struct NamespaceChanges {
    /// Whose.
    pub namespace: Namespace,
    /// In the order of keys.
    pub changes: Vec<EffectiveKeyChange>,
}

/// What becomes of an effective value.
#[derive(Clone, Debug)]
pub struct EffectiveKeyChange {
    /// Which key.
    pub key: Key,
    /// What it is, and the namespace that has it; `None` where it has no value.
    pub old: Option<(TreeEntry, Namespace)>,
    /// What it becomes.
    pub new: Option<(TreeEntry, Namespace)>,
}

/// A change that has no effect in a namespace, because its own entry overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidChange {
    /// The namespace with the own entry.
    pub namespace: Namespace,
    /// Which key.
    pub key: Key,
}

/// What a dry run is about.
#[derive(Clone, Debug)]
pub enum Proposed {
    /// A draft.
    Draft(DraftName),
    /// Any revision of the namespace.
    Revision(Revision),
    /// Changes to what is published, which no draft has.
    Changes(BTreeMap<Key, EntryEdit>),
}

impl Seen<'_> {
    /// What it would do if all these heads moved together. `objects` reads the new trees.
    pub(crate) fn preview(
        &self,
        objects: &dyn ReadObjects,
        candidates: &[Candidate],
    ) -> Result<Preview, Error> {
        let reach = Reach::new(self, objects, candidates)?;
        let mut preview = Preview::default();
        for namespace in reach.in_reach(true) {
            if let Some(reached) = reach.reached(&namespace)? {
                preview.add(objects, &reached)?;
            }
        }
        let judging = Judging {
            acknowledge_deprecated: false,
            descendants: true,
        };
        let judged = self.judge(objects, candidates, judging)?;
        preview.violations = judged.violations;
        preview.warnings = judged.warnings;
        Ok(preview)
    }
}

impl Preview {
    fn add(&mut self, objects: &dyn ReadObjects, reached: &Reached) -> Result<(), Error> {
        let namespace = &reached.namespace;
        self.void
            .extend(reached.void.iter().map(|(key, _)| VoidChange {
                namespace: namespace.clone(),
                key: key.clone(),
            }));
        if reached.changes.is_empty() {
            return Ok(());
        }
        let mut changes = Vec::new();
        for change in &reached.changes {
            let read = |side: &Option<(Namespace, Leaf)>| -> Result<_, Error> {
                let Some((from, leaf)) = side else {
                    return Ok(None);
                };
                let entry = TreeEntry::read(objects, change.key.clone(), leaf, Values::With)?;
                Ok(Some((entry, from.clone())))
            };
            changes.push(EffectiveKeyChange {
                key: change.key.clone(),
                old: read(&change.old)?,
                new: read(&change.new)?,
            });
        }
        self.namespaces.push(NamespaceChanges {
            namespace: namespace.clone(),
            changes,
        });
        Ok(())
    }
}

impl Session {
    /// What publishing would do in the namespace and below it: nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for changes that are no entries.
    pub fn preview(&self, namespace: &Namespace, proposed: &Proposed) -> Result<Preview, Error> {
        self.dry_run(|evaluation| {
            let candidate = evaluation.proposed(namespace, proposed)?;
            evaluation.preview(&evaluation.with_new(), &[candidate])
        })
    }
}

impl Evaluation<'_> {
    /// The head that would move by what is proposed.
    fn proposed(&mut self, namespace: &Namespace, proposed: &Proposed) -> Result<Candidate, Error> {
        self.permit(namespace, Permission::ConfigReadPublished)?;
        let published = self.head(&names::published(namespace)?)?;
        let old_tree = published.map_or(self.repo.empty_tree, |head| head.commit.tree);
        let new_tree = match proposed {
            Proposed::Draft(draft) | Proposed::Revision(Revision::Draft(draft)) => {
                self.permit(namespace, Permission::ConfigReadDraft)?;
                let head = self.draft_head(namespace, draft)?;
                let tree = head.commit.tree;
                let proposal = Proposal {
                    draft,
                    head,
                    tree,
                    keys: None,
                    message: String::new(),
                };
                match self.merge_draft(namespace, &proposal) {
                    Ok(merged) => merged.new_tree,
                    Err(Error::Unchanged { .. }) => old_tree,
                    Err(error) => return Err(error),
                }
            }
            Proposed::Revision(revision) => self.resolve(namespace, revision)?.tree,
            Proposed::Changes(changes) => {
                self.permit(namespace, Permission::ConfigReadDraft)?;
                self.edit_entries(namespace, &old_tree, changes)?.0
            }
        };
        Ok(Candidate {
            namespace: namespace.clone(),
            old_tree,
            new_tree,
        })
    }
}
