//! Whose effective documents change when published heads move.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use confman_layout::{entry_key, is_tombstone};
use confman_model::{Key, Namespace};
use confman_object_store::tree::Leaf;
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::schema::{EffectiveDocument, KeyChange};

use super::Candidate;
use crate::chain::ChainLink;
use crate::error::Error;
use crate::names;
use crate::seen::Seen;

/// The old and the new side of what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// As it is.
    Old,
    /// As it will be.
    New,
}

/// Published heads that are to move, and what they reach.
pub(crate) struct Reach<'r> {
    seen: &'r Seen<'r>,
    objects: &'r dyn ReadObjects,
    candidates: BTreeMap<&'r Namespace, &'r Candidate>,
    /// Keys whose own value changes, by candidate.
    changed: BTreeMap<&'r Namespace, BTreeSet<Key>>,
    trees: RefCell<BTreeMap<Namespace, ObjectId>>,
}

/// A namespace whose effective document changes.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub namespace: Namespace,
    /// Its chain, itself first.
    pub links: Vec<ChainLink>,
    /// What changes, by key.
    pub changes: Vec<EffectiveChange>,
    /// Changes above that its own entry keeps from taking effect here.
    pub void: Vec<(Key, Namespace)>,
}

/// What becomes of the effective value of one key.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveChange {
    pub key: Key,
    /// The namespace that has it, and its leaf.
    pub old: Option<(Namespace, Leaf)>,
    pub new: Option<(Namespace, Leaf)>,
}

impl EffectiveChange {
    /// As the rules about changes see it.
    pub fn to_key_change(&self) -> KeyChange {
        KeyChange {
            key: self.key.clone(),
            had: self.old.is_some(),
            has: self.new.is_some(),
        }
    }
}

impl<'r> Reach<'r> {
    pub fn new(
        seen: &'r Seen<'r>,
        objects: &'r dyn ReadObjects,
        candidates: &'r [Candidate],
    ) -> Result<Self, Error> {
        let mut reach = Self {
            seen,
            objects,
            candidates: BTreeMap::new(),
            changed: BTreeMap::new(),
            trees: RefCell::default(),
        };
        for candidate in candidates {
            let mut keys = BTreeSet::new();
            let mut found = Vec::new();
            tree::diff_each(
                objects,
                &candidate.old_tree,
                &candidate.new_tree,
                &mut |change| {
                    if !same_value(change.old.as_ref(), change.new.as_ref()) {
                        found.push(change.key);
                    }
                    ControlFlow::Continue(())
                },
            )?;
            for key in &found {
                keys.insert(entry_key(key)?);
            }
            reach.changed.insert(&candidate.namespace, keys);
            reach.candidates.insert(&candidate.namespace, candidate);
        }
        Ok(reach)
    }

    /// Keys whose own value changes in a candidate.
    pub fn changed(&self, namespace: &Namespace) -> impl Iterator<Item = &Key> {
        self.changed.get(namespace).into_iter().flatten()
    }

    /// Whether a head of the namespace itself moves.
    pub fn is_candidate(&self, namespace: &Namespace) -> bool {
        self.candidates.contains_key(namespace)
    }

    /// Every namespace that may be reached: the candidates and what is below them.
    pub fn in_reach(&self, descendants: bool) -> BTreeSet<Namespace> {
        let mut found: BTreeSet<Namespace> =
            self.candidates.keys().map(|it| (*it).clone()).collect();
        if descendants {
            for candidate in self.candidates.keys() {
                found.extend(self.seen.descendants(candidate));
            }
        }
        found
    }

    /// What changes in one namespace; `None` where nothing of the candidates' changes is inherited.
    pub fn reached(&self, namespace: &Namespace) -> Result<Option<Reached>, Error> {
        let links = self.seen.links(namespace, None)?;
        let mut keys: BTreeSet<&Key> = BTreeSet::new();
        for link in &links {
            keys.extend(self.changed.get(&link.namespace).into_iter().flatten());
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let mut reached = Reached {
            namespace: namespace.clone(),
            links,
            changes: Vec::new(),
            void: Vec::new(),
        };
        for key in keys {
            let old = self.winner(&reached.links, key, Side::Old)?;
            let new = self.winner(&reached.links, key, Side::New)?;
            let same = same_value(old.as_ref().map(|it| &it.1), new.as_ref().map(|it| &it.1));
            if same {
                // Only where its own entry stands in the way of a change further up.
                let own = new.as_ref().filter(|(from, _)| from == namespace);
                let changed_here = self.changed(namespace).any(|changed| changed == key);
                if let (Some((from, _)), false) = (own, changed_here) {
                    reached.void.push((key.clone(), from.clone()));
                }
                continue;
            }
            let value =
                |side: Option<(Namespace, Leaf)>| side.filter(|(_, leaf)| !is_tombstone(leaf));
            let (old, new) = (value(old), value(new));
            if old.is_some() || new.is_some() {
                reached.changes.push(EffectiveChange {
                    key: key.clone(),
                    old,
                    new,
                });
            }
        }
        Ok(Some(reached))
    }

    /// The nearest entry for a key, tombstones included.
    fn winner(
        &self,
        links: &[ChainLink],
        key: &Key,
        side: Side,
    ) -> Result<Option<(Namespace, Leaf)>, Error> {
        let key = confman_layout::tree_key(key)?;
        for link in links {
            let tree = self.tree(&link.namespace, side)?;
            if let Some(leaf) = tree::get(self.objects, &tree, key.as_bytes())? {
                return Ok(Some((link.namespace.clone(), leaf)));
            }
        }
        Ok(None)
    }

    /// What a namespace has published, or will have.
    fn tree(&self, namespace: &Namespace, side: Side) -> Result<ObjectId, Error> {
        if let Some(candidate) = self.candidates.get(namespace) {
            return Ok(match side {
                Side::Old => candidate.old_tree,
                Side::New => candidate.new_tree,
            });
        }
        if let Some(tree) = self.trees.borrow().get(namespace) {
            return Ok(*tree);
        }
        let head = self.seen.head(&names::published(namespace)?)?;
        let tree = head.map_or(self.seen.repo.empty_tree, |head| head.commit.tree);
        self.trees.borrow_mut().insert(namespace.clone(), tree);
        Ok(tree)
    }

    /// The effective document of a chain, as schemas see it.
    pub fn document(&self, links: &[ChainLink], side: Side) -> Result<EffectiveDocument, Error> {
        let mut layers = Vec::with_capacity(links.len());
        for link in links {
            let tree = self.tree(&link.namespace, side)?;
            let candidate = self.candidates.get(&link.namespace);
            let layers_kept = &self.seen.repo.layers;
            layers.push(match (candidate, side) {
                (Some(moves), Side::New) => {
                    layers_kept.changed(self.objects, &moves.old_tree, &moves.new_tree)?
                }
                _ => layers_kept.of(self.objects, &tree)?,
            });
        }
        Ok(super::resolve(&layers))
    }
}

impl Seen<'_> {
    /// The namespaces below one that exist, in the order of their paths.
    pub(crate) fn descendants(&self, namespace: &Namespace) -> Vec<Namespace> {
        let mut found: Vec<Namespace> = self
            .view
            .scan(namespace.as_str())
            .filter_map(|(name, _)| names::policy_of(name.as_str()))
            .filter(|found| found != namespace && namespace.contains(found))
            .collect();
        found.sort();
        found
    }
}

/// Whether two leaves have the same type and value, whatever is said beside it.
pub(crate) fn same_value(old: Option<&Leaf>, new: Option<&Leaf>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            old.entry_type == new.entry_type && old.flags == new.flags && old.value == new.value
        }
        _ => false,
    }
}
