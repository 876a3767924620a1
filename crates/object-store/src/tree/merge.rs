//! Three-way merge of trees, key by key.
//!
//! Only what `theirs` changed since `base` is looked at, and looked up in `ours`, so the cost does
//! not depend on how far `ours` has moved.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::cursor::Cursor;
use super::diff::{Change, diff_each};
use super::page::Target;
use super::{Leaf, TreeKey};
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// A key that both sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub key: TreeKey,
    /// What both began with.
    pub base: Option<Leaf>,
    /// What ours has.
    pub ours: Option<Leaf>,
    /// What theirs has.
    pub theirs: Option<Leaf>,
}

/// What a three-way merge gives.
#[derive(Debug)]
pub struct Merged {
    /// What to do to `ours` to take in `theirs`; leaves out conflicting keys.
    pub edits: BTreeMap<TreeKey, Option<Leaf>>,
    /// Keys that both changed differently.
    pub conflicts: Vec<Conflict>,
}

/// Merges what `theirs` changed since `base` into `ours`, key by key.
///
/// # Errors
/// A page cannot be read.
pub fn merge(
    objects: &dyn ReadObjects,
    base: &ObjectId,
    ours: &ObjectId,
    theirs: &ObjectId,
) -> Result<Merged, ReadError> {
    let mut merged = Merged {
        edits: BTreeMap::new(),
        conflicts: Vec::new(),
    };
    if ours == theirs {
        return Ok(merged);
    }
    // Where ours has not moved there is nothing to look up.
    let mut own = if ours == base {
        None
    } else {
        Some(Cursor::open(objects, ours)?)
    };
    let mut failure = None;
    diff_each(objects, base, theirs, &mut |change| {
        let current = match own.as_mut().map(|own| leaf_at(own, &change.key)) {
            None => change.old.clone(),
            Some(Ok(current)) => current,
            Some(Err(error)) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        };
        merged.take(change, current);
        ControlFlow::Continue(())
    })?;
    match failure {
        Some(error) => Err(error),
        None => Ok(merged),
    }
}

impl Merged {
    fn take(&mut self, change: Change, ours: Option<Leaf>) {
        let Change {
            key,
            old: base,
            new: theirs,
        } = change;
        if ours == base {
            self.edits.insert(key, theirs);
        } else if ours != theirs {
            self.conflicts.push(Conflict {
                key,
                base,
                ours,
                theirs,
            });
        }
    }
}

/// The leaf of a key that is not before the last one asked for.
fn leaf_at(cursor: &mut Cursor<'_>, key: &TreeKey) -> Result<Option<Leaf>, ReadError> {
    cursor.seek(key.as_bytes())?;
    Ok(cursor
        .at()
        .filter(|at| at.key == key.as_bytes())
        .and_then(|at| match at.target {
            Target::Entry(entry) => Some(entry.leaf()),
            Target::Child(_) => None,
        }))
}
