//! One commit of a pack, checked against what it follows from.

use std::collections::HashSet;
use std::sync::Arc;

use confman_layout::{LayoutError, blob, check_entry, entry_key};
use confman_model::key::KEYS_PER_NAMESPACE_MAX;
use confman_model::{Key, Namespace, ValueLimits};
use confman_object_store::tree::{self, Change};
use confman_object_store::{Commit, Kind, ObjectId, Person, ReadError};

use super::quarantine::{Layered, Quarantine};
use super::verify::Problems;
use crate::error::{Error, Problem, chain};
use crate::publish::Warning;
use crate::stack::Stack;

/// Most problems that are told at once.
const PROBLEMS_MAX: usize = 32;

/// A commit of a pack that is being checked.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) id: ObjectId,
    pub(super) commit: &'a Commit,
    pub(super) namespace: &'a Namespace,
    pub(super) limits: &'a ValueLimits,
    pub(super) importing: bool,
    /// Whether it is on the namespace's published line already: then the server made it.
    pub(super) published: bool,
    pub(super) pack: &'a Quarantine,
}

impl Incoming<'_> {
    /// What the commit says of itself.
    pub(super) fn check_form(&self, parents: &[Arc<Commit>], principal: &str) -> Problems {
        let Self {
            id,
            commit,
            namespace,
            ..
        } = self;
        let mut problems = Problems::default();
        if commit.namespace != namespace.as_str() {
            problems.add(format!(
                "commit {id} is of `{}`, not of `{namespace}`",
                commit.namespace.escape_debug()
            ));
        }
        let generation = parents
            .iter()
            .map(|parent| parent.generation)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        if commit.generation != generation {
            problems.add(format!(
                "commit {id} has generation {}, {generation} is needed",
                commit.generation
            ));
        }
        let stranger =
            |person: &Person| !person.principal.is_empty() && person.principal != principal;
        if stranger(&commit.author) || stranger(&commit.committer) {
            problems.add(format!(
                "commit {id} names another principal than `{principal}` as its author or committer"
            ));
        }
        if !self.importing && commit.committer.principal.is_empty() {
            problems.add(format!(
                "commit {id} does not name `{principal}` as its committer"
            ));
        }
        let claims = commit.origin.is_some()
            || commit.request.is_some()
            || commit.policy.is_some()
            || !commit.schemas.is_empty();
        if (claims && !self.published) || !commit.unknown.is_empty() {
            problems.add(format!("commit {id} has an origin, request, policy, schema or field that only the server may give it"));
        }
        problems
    }

    /// The keys that it changed against its first parent.
    pub(super) fn changes(
        &self,
        below: &Stack<'_>,
        before: &ObjectId,
    ) -> Result<Vec<Change>, Error> {
        let tree = self.commit.tree;
        if tree == *before {
            return Ok(Vec::new());
        }
        let page_missing = |error: ReadError| match error {
            ReadError::Missing { kind, id } => Error::invalid(
                "push",
                format!(
                    "commit {}: {kind} {id} of its tree is not in the pack",
                    self.id
                ),
            ),
            other => other.into(),
        };
        let reader = Layered {
            pack: self.pack,
            below,
        };
        // The counts say how large a tree is before anybody walks it.
        let keys = tree::count(&reader, &tree).map_err(page_missing)?;
        if keys > KEYS_PER_NAMESPACE_MAX as u64 {
            let limit = KEYS_PER_NAMESPACE_MAX as u64;
            return Err(Error::LimitExceeded {
                what: "keys in the namespace",
                limit,
                actual: keys,
            });
        }
        tree::diff(&reader, before, &tree).map_err(page_missing)
    }

    /// Every page that the tree before does not have must be in the pack: to know a page's id is not to
    /// have it, and its values would be somebody else's.
    pub(super) fn check_pages(
        &self,
        below: &Stack<'_>,
        before: &ObjectId,
        edited: &tree::Edited,
    ) -> Result<(), Error> {
        let empty = tree::empty().id();
        let sent = |id: &ObjectId| self.pack.has(Kind::Page, id) || *id == empty;
        let missing: Vec<ObjectId> = edited
            .pages
            .iter()
            .map(|(page, _)| page.id())
            .filter(|id| !sent(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        // A page can be in the tree before, in another place.
        let own: HashSet<ObjectId> = tree::pages_missing(below, before, &[])?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let mut problems = Problems::default();
        for id in missing
            .iter()
            .filter(|id| !own.contains(id))
            .take(PROBLEMS_MAX)
        {
            problems.add(format!("commit {}: page {id} of its tree is neither in the pack nor in the tree of its first parent", self.id));
        }
        problems.check()
    }

    /// Every changed entry must be valid, and what it refers to be in the pack or be the sender's already.
    pub(super) fn check_values(
        &self,
        below: &Stack<'_>,
        changes: &[Change],
        parents: &[Arc<Commit>],
    ) -> Result<Vec<Warning>, Error> {
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let reader = Layered {
            pack: self.pack,
            below,
        };
        let own: HashSet<ObjectId> = changes
            .iter()
            .filter_map(|change| change.old.as_ref())
            .flat_map(|old| blob(old).into_iter().chain(old.meta))
            .collect();
        for change in changes {
            if problems.0.len() >= PROBLEMS_MAX {
                break;
            }
            let Some(leaf) = &change.new else {
                continue;
            };
            let key = match entry_key(&change.key) {
                Ok(key) => key,
                Err(error) => {
                    problems.add(format!("commit {}: {}", self.id, chain(&error)));
                    continue;
                }
            };
            let refers = blob(leaf)
                .map(|id| (Kind::Blob, id))
                .into_iter()
                .chain(leaf.meta.map(|id| (Kind::Meta, id)));
            let foreign: Vec<_> = refers
                .filter(|(kind, id)| !self.pack.has(*kind, id) && !own.contains(id))
                .collect();
            if let Some((kind, id)) = foreign.first() {
                // A merge takes over what another of its parents has.
                let mut merged = false;
                for parent in parents.iter().skip(1) {
                    merged |= tree::get(below, &parent.tree, change.key.as_bytes())?.as_ref()
                        == Some(leaf);
                }
                if !merged {
                    let detail = format!(
                        "commit {}: its {kind} {id} is neither in the pack nor in its parents",
                        self.id
                    );
                    problems.0.push(Problem::of_key(&key, detail));
                }
                continue;
            }
            match check_entry(&reader, leaf, self.limits) {
                Ok(entry) => {
                    let told = entry
                        .value()
                        .map(|value| value.warnings())
                        .unwrap_or_default();
                    warnings.extend(told.into_iter().map(|warning| Warning {
                        key: Some(key.clone()),
                        detail: warning.what,
                    }));
                }
                Err(error) => problems.0.extend(self.wrong(&key, error)?),
            }
        }
        problems.check()?;
        warnings.truncate(PROBLEMS_MAX);
        Ok(warnings)
    }

    fn wrong(&self, key: &Key, error: LayoutError) -> Result<Vec<Problem>, Error> {
        Ok(match error {
            LayoutError::Value(error) => Problem::of_value(key, &error),
            LayoutError::Details(error) => error
                .problems
                .iter()
                .map(|problem| Problem::of_key(key, problem))
                .collect(),
            LayoutError::Read(error) => return Err(error.into()),
            other => vec![Problem::of_key(
                key,
                format!("commit {}: {}", self.id, chain(&other)),
            )],
        })
    }
}
