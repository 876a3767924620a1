//! The line of a published ref: its first parents, counted from 1 at the oldest.
//!
//! Rows of derived indexes say which commit is at a position, at which position a commit is, and which
//! versions a key had. All are written by the transaction that moves the ref, from the commits alone,
//! so that they can be made again and compared.

use std::collections::HashMap;

use confman_object_store::tree::{Change, TreeKey};
use confman_object_store::{Commit, ObjectId, ReadObjects, tree};
use confman_refs::{IndexRow, Node, RowRange};

use crate::error::Error;
use crate::life::LineName;
use crate::row::{self, HistoryRow, PositionRow};

/// Most versions of a key read from the index at once.
const ROWS_AT_ONCE: usize = 512;

/// The rows about a line, as of one log index.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    pub node: &'a Node,
    pub name: LineName,
    pub index_max: u64,
}

/// A commit of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub position: u64,
    pub commit: ObjectId,
    /// Latest commit time up to here.
    pub effective_ms: i64,
    /// Log index of the operation that published it.
    pub index: u64,
}

/// A version of a key and the log index that published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyVersion {
    pub row: HistoryRow,
    pub index: u64,
}

impl Line<'_> {
    fn first(&self, table: u8, prefix: Vec<u8>) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let range = RowRange {
            table,
            prefix,
            after: None,
            index_max: self.index_max,
            limit: 1,
        };
        Ok(self
            .node
            .rows(&range)?
            .into_iter()
            .next()
            .map(|row| (row.index, row.value)))
    }

    /// Where the commit is on the line; `None` where it is not on it.
    pub fn position_of(&self, commit: &ObjectId) -> Result<Option<u64>, Error> {
        let row = self.first(row::COMMIT, row::commit_prefix(&self.name, commit))?;
        row.map(|(_, value)| row::read_commit_row(&value))
            .transpose()
    }

    /// The commit at a position.
    pub fn at(&self, position: u64) -> Result<Option<Place>, Error> {
        let Some((index, value)) =
            self.first(row::POSITION, row::position_prefix(&self.name, position))?
        else {
            return Ok(None);
        };
        let PositionRow {
            commit,
            effective_ms,
        } = PositionRow::read(&value)?;
        Ok(Some(Place {
            position,
            commit,
            effective_ms,
            index,
        }))
    }

    /// The commit at a position that must have one.
    pub fn must(&self, position: u64) -> Result<Place, Error> {
        self.at(position)?.ok_or_else(|| {
            Error::bug(format!(
                "`{}` has no row for position {position}",
                self.name.ref_name
            ))
        })
    }

    /// Where a commit is that must be on the line.
    pub fn place_of(&self, commit: &ObjectId) -> Result<Option<Place>, Error> {
        self.position_of(commit)?
            .map(|position| self.must(position))
            .transpose()
    }

    /// The last commit whose effective time is at most this, on a line of `length` commits.
    pub fn at_time(&self, length: u64, time_ms: i64) -> Result<Option<Place>, Error> {
        self.last(length, |place| place.effective_ms <= time_ms)
    }

    /// The last commit of which this holds, where it holds of none after the first of which it does not.
    fn last(&self, length: u64, holds: impl Fn(&Place) -> bool) -> Result<Option<Place>, Error> {
        let mut found = None;
        let (mut low, mut high) = (1, length);
        while low <= high {
            let middle = low + (high - low) / 2;
            let place = self.must(middle)?;
            if holds(&place) {
                found = Some(place);
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        Ok(found)
    }

    /// The last commit that was there at a log index, on a line of `length` commits.
    pub fn at_index(&self, length: u64, index: u64) -> Result<Option<Place>, Error> {
        self.last(length, |place| place.index <= index)
    }

    /// The newest version of a key.
    pub fn newest(&self, key: &[u8]) -> Result<Option<KeyVersion>, Error> {
        Ok(self.versions_after(key, None, 1)?.into_iter().next())
    }

    /// The version that a key had when `place` was the head.
    pub fn version_at(&self, key: &[u8], place: &Place) -> Result<Option<KeyVersion>, Error> {
        // The place right before that of a version made by this very commit.
        let before = (
            place.index,
            row::history_suffix(place.position.saturating_add(1)),
        );
        Ok(self
            .versions_after(key, Some(before), 1)?
            .into_iter()
            .next())
    }

    /// Versions of a key older than the one at `after`, newest first.
    pub fn versions(
        &self,
        key: &[u8],
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<KeyVersion>, Error> {
        let after = after.map(|place| (place.index, row::history_suffix(place.position)));
        self.versions_after(key, after, limit)
    }

    fn versions_after(
        &self,
        key: &[u8],
        after: Option<(u64, Vec<u8>)>,
        limit: usize,
    ) -> Result<Vec<KeyVersion>, Error> {
        let prefix = row::history_prefix(&self.name, key);
        let mut versions = Vec::new();
        let mut after = after;
        while versions.len() < limit {
            let at_once = (limit - versions.len()).min(ROWS_AT_ONCE);
            let range = RowRange {
                table: row::HISTORY,
                prefix: prefix.clone(),
                after: after.take(),
                index_max: self.index_max,
                limit: at_once,
            };
            let rows = self.node.rows(&range)?;
            let last_page = rows.len() < at_once;
            after = rows.last().map(|row| (row.index, row.suffix.clone()));
            for stored in rows {
                let row = HistoryRow::read(&stored.suffix, &stored.value)?;
                versions.push(KeyVersion {
                    row,
                    index: stored.index,
                });
            }
            if last_page {
                break;
            }
        }
        Ok(versions)
    }
}

/// What a key's newest version is, as far as the next one needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub version: u64,
    pub created: u64,
}

/// Makes the rows for commits that are added to a line.
#[derive(Debug)]
pub(crate) struct LineRows {
    name: LineName,
    position: u64,
    effective_ms: i64,
    newest: HashMap<TreeKey, Newest>,
    rows: Vec<IndexRow>,
}

impl LineRows {
    /// Goes on after `head`.
    pub fn after(name: LineName, head: Option<&Place>) -> Self {
        Self {
            name,
            position: head.map_or(0, |place| place.position),
            effective_ms: head.map_or(i64::MIN, |place| place.effective_ms),
            newest: HashMap::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a commit that changed these keys. `before` tells the newest version of a key that no commit
    /// added here has touched.
    pub fn push(
        &mut self,
        id: ObjectId,
        commit: &Commit,
        changes: &[Change],
        before: &dyn Fn(&TreeKey) -> Result<Option<Newest>, Error>,
    ) -> Result<(), Error> {
        self.position += 1;
        self.effective_ms = self.effective_ms.max(commit.commit_time.ms);
        let position = PositionRow {
            commit: id,
            effective_ms: self.effective_ms,
        };
        self.rows.push(position.to_row(&self.name, self.position));
        self.rows
            .push(row::commit_row(&self.name, &id, self.position));
        for change in changes {
            let newest = match self.newest.get(&change.key) {
                Some(newest) => Some(*newest),
                None => before(&change.key)?,
            };
            let next = match newest {
                Some(newest) => Newest {
                    version: newest.version + 1,
                    created: newest.created,
                },
                None => Newest {
                    version: 1,
                    created: self.position,
                },
            };
            self.newest.insert(change.key.clone(), next);
            let row = HistoryRow {
                position: self.position,
                version: next.version,
                created: next.created,
                leaf: change.new.clone(),
            };
            self.rows
                .push(row.to_row(&self.name, change.key.as_bytes()));
        }
        Ok(())
    }

    /// The newest versions of the keys that a commit added here changed.
    pub fn newest_of<'a>(
        &'a self,
        changes: &'a [Change],
    ) -> impl Iterator<Item = (TreeKey, Newest)> + 'a {
        changes
            .iter()
            .filter_map(|change| Some((change.key.clone(), *self.newest.get(&change.key)?)))
    }

    /// The place of the commit that was added last, at a log index that is not known here.
    pub const fn head(&self, commit: ObjectId) -> Place {
        Place {
            position: self.position,
            commit,
            effective_ms: self.effective_ms,
            index: 0,
        }
    }

    /// Takes the rows made since it was asked last.
    pub fn take(&mut self) -> Vec<IndexRow> {
        std::mem::take(&mut self.rows)
    }
}

/// The keys that a commit changed against its first parent.
pub(crate) fn changes_of(objects: &dyn ReadObjects, commit: &Commit) -> Result<Vec<Change>, Error> {
    let before = match commit.parents.first() {
        Some(parent) => objects.commit(parent)?.tree,
        None => tree::empty().id(),
    };
    if before == commit.tree {
        return Ok(Vec::new());
    }
    Ok(tree::diff(objects, &before, &commit.tree)?)
}

/// The commits from `new` back along first parents to just after `old`, oldest first; `None` where
/// `old` is not among them within `limit` commits.
pub(crate) fn first_parents(
    objects: &dyn ReadObjects,
    old: Option<ObjectId>,
    new: ObjectId,
    limit: usize,
) -> Result<Option<Vec<ObjectId>>, Error> {
    let mut found = Vec::new();
    let mut next = Some(new);
    while next != old {
        let Some(id) = next else {
            return Ok(None);
        };
        if found.len() == limit {
            return Ok(None);
        }
        found.push(id);
        next = objects.commit(&id)?.parents.first().copied();
    }
    found.reverse();
    Ok(Some(found))
}
