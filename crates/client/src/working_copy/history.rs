//! What was fetched of the past: revisions, log, show, blame.

use std::collections::BTreeSet;
use std::sync::Arc;

use confman_model::{EntryDiff, Key, Namespace, Revision};
use confman_object_store::tree::{self, TreeKey};
use confman_object_store::{Commit, IdPrefix, Kind, ObjectId};

use super::error::WorkingCopyError;
use super::local::{known_key, layout_key};
use super::mirror::Mirror;
use super::{Blamed, Logged, WorkingCopy};

/// Most commits that are looked at to tell an abbreviated id.
const AMBIGUOUS_MAX: usize = 64;

impl Mirror {
    /// A commit, if it was fetched.
    pub(super) fn commit_if_fetched(
        &self,
        id: &ObjectId,
    ) -> Result<Option<Arc<Commit>>, WorkingCopyError> {
        if self.has(Kind::Commit, id)? {
            Ok(Some(self.objects().commit(id)?))
        } else {
            Ok(None)
        }
    }

    /// Whether `ancestor` is on the first-parent line of `head`, as far as that was fetched.
    pub(super) fn is_on_line(
        &self,
        ancestor: &ObjectId,
        head: &ObjectId,
    ) -> Result<bool, WorkingCopyError> {
        let Some(target) = self.commit_if_fetched(ancestor)? else {
            return Ok(false);
        };
        let mut at = *head;
        loop {
            if at == *ancestor {
                return Ok(true);
            }
            match self.commit_if_fetched(&at)? {
                // Generations only fall along parents.
                Some(commit) if commit.generation > target.generation => {
                    match commit.parents.first() {
                        Some(parent) => at = *parent,
                        None => return Ok(false),
                    }
                }
                _ => return Ok(false),
            }
        }
    }

    /// The newest commit that is on the first-parent lines of both.
    pub(super) fn common_line(
        &self,
        left: &ObjectId,
        right: &ObjectId,
    ) -> Result<Option<ObjectId>, WorkingCopyError> {
        let (mut left, mut right) = (*left, *right);
        loop {
            if left == right {
                return Ok(Some(left));
            }
            let (Some(left_commit), Some(right_commit)) = (
                self.commit_if_fetched(&left)?,
                self.commit_if_fetched(&right)?,
            ) else {
                return Ok(None);
            };
            let step_left = left_commit.generation >= right_commit.generation;
            let step_right = right_commit.generation >= left_commit.generation;
            if step_left {
                let Some(parent) = left_commit.parents.first() else {
                    return Ok(None);
                };
                left = *parent;
            }
            if step_right {
                let Some(parent) = right_commit.parents.first() else {
                    return Ok(None);
                };
                right = *parent;
            }
        }
    }
}

impl WorkingCopy {
    /// The commit of a revision, as far as it was fetched.
    ///
    /// # Errors
    /// It was not fetched, or is not one.
    pub fn resolve_revision(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<ObjectId, WorkingCopyError> {
        let state = self.state.namespace(namespace)?;
        let not_fetched = || WorkingCopyError::NotFetched {
            namespace: namespace.clone(),
            revision: revision.to_string(),
        };
        match revision {
            Revision::Published => state.published.ok_or_else(not_fetched),
            Revision::Back(back) => {
                let mut at = state.published.ok_or_else(not_fetched)?;
                for _ in 0..*back {
                    let commit = self
                        .mirror
                        .commit_if_fetched(&at)?
                        .ok_or_else(not_fetched)?;
                    at = *commit.parents.first().ok_or_else(not_fetched)?;
                }
                Ok(at)
            }
            Revision::Draft(name) if *name == self.state.draft && state.on_draft => {
                state.base.ok_or_else(not_fetched)
            }
            Revision::Commit(prefix) => self.commit_of(namespace, prefix)?.ok_or_else(not_fetched),
            Revision::Draft(_) | Revision::Tag(_) | Revision::Request(_) | Revision::Time(_) => {
                Err(not_fetched())
            }
        }
    }

    fn commit_of(
        &self,
        namespace: &Namespace,
        prefix: &str,
    ) -> Result<Option<ObjectId>, WorkingCopyError> {
        let parsed: IdPrefix = prefix
            .parse()
            .map_err(|error| WorkingCopyError::Request(format!("{error}")))?;
        let mut found = Vec::new();
        for id in self
            .mirror
            .store()
            .find(Kind::Commit, &parsed, AMBIGUOUS_MAX)?
        {
            if self.mirror.objects().commit(&id)?.namespace == namespace.as_str() {
                found.push(id);
            }
        }
        match found.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            _ => Err(WorkingCopyError::Ambiguous {
                prefix: prefix.to_owned(),
                found,
            }),
        }
    }

    /// Commits from a revision (the base where absent) back along first parents, newest first; ends
    /// where the fetched history ends.
    ///
    /// # Errors
    /// The revision was not fetched.
    pub fn log(
        &self,
        namespace: &Namespace,
        revision: Option<&Revision>,
        limit: usize,
    ) -> Result<Vec<Logged>, WorkingCopyError> {
        let mut next = match revision {
            Some(revision) => Some(self.resolve_revision(namespace, revision)?),
            None => self.state.namespace(namespace)?.base,
        };
        let mut log = Vec::new();
        while let Some(id) = next.filter(|_| log.len() < limit) {
            let Some(commit) = self.mirror.commit_if_fetched(&id)? else {
                break;
            };
            next = commit.parents.first().copied();
            log.push(Logged { id, commit });
        }
        Ok(log)
    }

    /// A commit and what it changed against its first parent.
    ///
    /// # Errors
    /// It, its parent, or their trees were not fetched.
    pub fn show(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<(Logged, Vec<EntryDiff>), WorkingCopyError> {
        let not_fetched = || WorkingCopyError::NotFetched {
            namespace: namespace.clone(),
            revision: revision.to_string(),
        };
        let id = self.resolve_revision(namespace, revision)?;
        let commit = self
            .mirror
            .commit_if_fetched(&id)?
            .ok_or_else(not_fetched)?;
        let before = match commit.parents.first() {
            None => self.empty_tree()?,
            Some(parent) => {
                self.mirror
                    .commit_if_fetched(parent)?
                    .ok_or_else(not_fetched)?
                    .tree
            }
        };
        if !self.mirror.has(Kind::Page, &before)? || !self.mirror.has(Kind::Page, &commit.tree)? {
            return Err(not_fetched());
        }
        let mut diffs = Vec::new();
        for change in tree::diff(self.mirror.objects(), &before, &commit.tree)? {
            let key = known_key(&change.key)?;
            let old = change
                .old
                .as_ref()
                .map(|leaf| self.stored_entry(leaf))
                .transpose()?;
            let new = change
                .new
                .as_ref()
                .map(|leaf| self.stored_entry(leaf))
                .transpose()?;
            diffs.extend(EntryDiff::between(&key, old.as_ref(), new.as_ref()));
        }
        Ok((Logged { id, commit }, diffs))
    }

    /// The tree without keys, put into the mirror so that it can be compared with.
    fn empty_tree(&self) -> Result<ObjectId, WorkingCopyError> {
        let empty = tree::empty();
        if !self.mirror.has(Kind::Page, &empty.id())? {
            self.mirror
                .store()
                .backend()
                .put(&[confman_object_store::Encoded::new(&empty)], 0)?;
        }
        Ok(empty.id())
    }

    /// Who last changed each key of the base, or those given.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub fn blame(
        &self,
        namespace: &Namespace,
        keys: &[Key],
    ) -> Result<Vec<Blamed>, WorkingCopyError> {
        let base = self.state.namespace(namespace)?.base;
        let mut pending: BTreeSet<TreeKey> = self.leaves_of(base)?.into_keys().collect();
        for key in keys {
            if !pending.contains(&layout_key(key)?) {
                return Err(WorkingCopyError::NoSuchKey {
                    namespace: namespace.clone(),
                    key: key.clone(),
                });
            }
        }
        if !keys.is_empty() {
            pending.retain(|name| {
                keys.iter()
                    .any(|key| key.as_str().as_bytes() == name.as_bytes())
            });
        }
        let mut blamed = Vec::new();
        let mut next = base;
        while let Some(id) = next.filter(|_| !pending.is_empty()) {
            let Some(commit) = self.mirror.commit_if_fetched(&id)? else {
                break;
            };
            let changed: Vec<TreeKey> = match commit.parents.first() {
                None => pending.iter().cloned().collect(),
                Some(parent) => {
                    let Some(before) = self.mirror.commit_if_fetched(parent)? else {
                        break;
                    };
                    if !self.mirror.has(Kind::Page, &before.tree)? {
                        break;
                    }
                    let changes = tree::diff(self.mirror.objects(), &before.tree, &commit.tree)?;
                    changes.into_iter().map(|change| change.key).collect()
                }
            };
            for name in changed {
                if pending.remove(&name) {
                    let by = Some(Logged {
                        id,
                        commit: Arc::clone(&commit),
                    });
                    blamed.push(Blamed {
                        key: known_key(&name)?,
                        by,
                    });
                }
            }
            next = commit.parents.first().copied();
        }
        for name in pending {
            blamed.push(Blamed {
                key: known_key(&name)?,
                by: None,
            });
        }
        blamed.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(blamed)
    }
}
