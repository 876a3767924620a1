//! Commits, one and many.

use std::sync::Arc;

use confman_layout::tree_key;
use confman_model::{Key, Namespace, Revision};
use confman_object_store::{Commit, ObjectId, ReadObjects, tree};

use crate::error::{Error, What};
use crate::line::Place;
use crate::revision::ResolvedRevision;
use crate::seen::Seen;
use crate::session::Session;

/// A commit.
#[derive(Clone, Debug)]
pub struct CommitInfo {
    /// Its id.
    pub id: ObjectId,
    /// What it says.
    pub commit: Arc<Commit>,
    /// Its place on the published line, from 1; `None` where it is not on it.
    pub position: Option<u64>,
    /// How many keys its tree has; only where one commit is asked for.
    pub keys: Option<u64>,
}

/// Which commits are wanted.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Only commits after this one, which an earlier page ended with.
    pub after: Option<ObjectId>,
    /// At most so many.
    pub limit: usize,
    /// Only commits that changed this key.
    pub key: Option<Key>,
}

/// A page of commits.
#[derive(Clone, Debug)]
pub struct Log {
    /// Newest first, along first parents.
    pub commits: Vec<CommitInfo>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<ObjectId>,
}

impl Session {
    /// The commits from a revision back along first parents, newest first.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn log(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        query: &LogQuery,
    ) -> Result<Log, Error> {
        let seen = self.look()?;
        let at = seen.resolve(namespace, revision)?;
        let mut commits = match &query.key {
            Some(key) => seen.commits_of_key(&at, key, query)?,
            None => seen.commits(&at, query)?,
        };
        let more = commits.len() > query.limit;
        commits.truncate(query.limit);
        let next = if more {
            commits.last().map(|info| info.id)
        } else {
            None
        };
        Ok(Log { commits, next })
    }

    /// One commit.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn commit(&self, namespace: &Namespace, revision: &Revision) -> Result<CommitInfo, Error> {
        let seen = self.look()?;
        let at = seen.resolve(namespace, revision)?;
        let id = at.must()?;
        let keys = tree::count(seen.objects(), &at.tree)?;
        Ok(CommitInfo {
            id,
            commit: seen.objects().commit(&id)?,
            position: at.position,
            keys: Some(keys),
        })
    }
}

impl Seen<'_> {
    /// One commit more than the page has, if there is one.
    fn commits(&self, at: &ResolvedRevision, query: &LogQuery) -> Result<Vec<CommitInfo>, Error> {
        let mut next = at.commit;
        // A page goes on where the one before ended, without walking up to there again.
        if let Some(after) = &query.after {
            let known = self.readable_commit(&at.namespace, after)?;
            known.ok_or_else(|| Error::not_found(What::Commit, after))?;
            next = self.objects().commit(after)?.parents.first().copied();
        }
        let line = self.line(&at.namespace)?;
        let mut commits = Vec::new();
        let mut position: Option<u64> = None;
        while let Some(id) = next
            && commits.len() <= query.limit
        {
            let commit = self.objects().commit(&id)?;
            // On the line, the first parent of one position is the position before.
            position = match position {
                Some(position) => Some(position - 1),
                None => line.position_of(&id)?,
            };
            next = commit.parents.first().copied();
            commits.push(CommitInfo {
                id,
                commit,
                position,
                keys: None,
            });
        }
        Ok(commits)
    }

    /// The same, of commits that changed a key: those of a draft one by one, the line's by its rows.
    fn commits_of_key(
        &self,
        at: &ResolvedRevision,
        key: &Key,
        query: &LogQuery,
    ) -> Result<Vec<CommitInfo>, Error> {
        let line = self.line(&at.namespace)?;
        let wanted = query.limit.saturating_add(1);
        let mut commits = Vec::new();
        let mut next = match &query.after {
            None => at.commit,
            Some(after) => {
                let known = self.readable_commit(&at.namespace, after)?;
                known.ok_or_else(|| Error::not_found(What::Commit, after))?;
                match line.place_of(after)? {
                    Some(place) => {
                        self.versions_below(
                            &at.namespace,
                            key,
                            &place,
                            false,
                            wanted,
                            &mut commits,
                        )?;
                        return Ok(commits);
                    }
                    None => self.objects().commit(after)?.parents.first().copied(),
                }
            }
        };
        while let Some(id) = next
            && commits.len() < wanted
        {
            if let Some(place) = line.place_of(&id)? {
                let missing = wanted - commits.len();
                self.versions_below(&at.namespace, key, &place, true, missing, &mut commits)?;
                break;
            }
            let commit = self.objects().commit(&id)?;
            next = commit.parents.first().copied();
            let before = self.leaf(&self.tree_of(next.as_ref())?, key)?;
            if before != self.leaf(&commit.tree, key)? {
                commits.push(CommitInfo {
                    id,
                    commit,
                    position: None,
                    keys: None,
                });
            }
        }
        Ok(commits)
    }

    /// Commits of the line that changed a key, from `place` back.
    fn versions_below(
        &self,
        namespace: &Namespace,
        key: &Key,
        place: &Place,
        inclusive: bool,
        limit: usize,
        commits: &mut Vec<CommitInfo>,
    ) -> Result<(), Error> {
        let line = self.line(namespace)?;
        let key = tree_key(key)?;
        let mut versions = Vec::new();
        if inclusive
            && let Some(version) = line.version_at(key.as_bytes(), place)?
            && version.row.position == place.position
        {
            versions.push(version);
        }
        versions.extend(line.versions(
            key.as_bytes(),
            Some(place),
            limit.saturating_sub(versions.len()),
        )?);
        for version in versions {
            let id = line.must(version.row.position)?.commit;
            let commit = self.objects().commit(&id)?;
            commits.push(CommitInfo {
                id,
                commit,
                position: Some(version.row.position),
                keys: None,
            });
        }
        Ok(())
    }
}
