//! What differs between two revisions.

use std::ops::ControlFlow;

use confman_layout::{entry_key, read_entry, tree_key};
use confman_model::{DiffKind, EntryDiff, Key, Namespace, Revision};
use confman_object_store::ReadObjects;
use confman_object_store::tree::{self, Change};

use crate::entry::{TreeEntry, Values};
use crate::error::Error;
use crate::revision::ResolvedRevision;
use crate::session::Session;

/// A key that differs.
#[derive(Clone, Debug)]
pub struct EntryChange {
    /// Which.
    pub key: Key,
    /// How.
    pub kind: DiffKind,
    /// What the old side has.
    pub old: Option<TreeEntry>,
    /// What the new side has.
    pub new: Option<TreeEntry>,
}

/// A page of what differs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The old side.
    pub from: ResolvedRevision,
    /// The new side.
    pub to: ResolvedRevision,
    /// Keys that differ, in order.
    pub changes: Vec<EntryChange>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

impl Session {
    /// The keys that differ between two revisions, of one namespace or of two. Skips what both share.
    ///
    /// # Errors
    /// As [`Session::resolve`], for either side.
    pub fn compare(
        &self,
        from: (&Namespace, &Revision),
        to: (&Namespace, &Revision),
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Comparison, Error> {
        let seen = self.look()?;
        let from = seen.resolve(from.0, from.1)?;
        let to = seen.resolve(to.0, to.1)?;
        let after = after.map(tree_key).transpose()?;
        let mut found: Vec<Change> = Vec::new();
        let mut more = false;
        tree::diff_each(seen.objects(), &from.tree, &to.tree, &mut |change| {
            if after.as_ref().is_some_and(|after| change.key <= *after) {
                return ControlFlow::Continue(());
            }
            if found.len() == limit {
                more = true;
                return ControlFlow::Break(());
            }
            found.push(change);
            ControlFlow::Continue(())
        })?;
        let changes = found
            .iter()
            .map(|change| read_change(seen.objects(), change))
            .collect::<Result<Vec<_>, Error>>()?;
        let next = if more {
            changes.last().map(|change| change.key.clone())
        } else {
            None
        };
        Ok(Comparison {
            from,
            to,
            changes,
            next,
        })
    }
}

fn read_change(objects: &dyn ReadObjects, change: &Change) -> Result<EntryChange, Error> {
    let key = entry_key(&change.key)?;
    let entry = |leaf: &Option<tree::Leaf>| {
        leaf.as_ref()
            .map(|leaf| read_entry(objects, leaf))
            .transpose()
    };
    let (old, new) = (entry(&change.old)?, entry(&change.new)?);
    let diff = EntryDiff::between(&key, old.as_ref(), new.as_ref());
    let kind = diff
        .map(|diff| diff.kind)
        .ok_or_else(|| Error::bug(format!("two leaves of `{key}` are one entry")))?;
    let side = |leaf: &Option<tree::Leaf>| {
        leaf.as_ref()
            .map(|leaf| TreeEntry::read(objects, key.clone(), leaf, Values::With))
            .transpose()
    };
    Ok(EntryChange {
        kind,
        old: side(&change.old)?,
        new: side(&change.new)?,
        key,
    })
}
