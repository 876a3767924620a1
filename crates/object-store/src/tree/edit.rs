//! Editing a tree: reads and writes only the pages on the way to what changes.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::exchange::Way;
use super::fold::{Fold, KeyEdit};
use super::page::Target;
use super::rule::{FORMAT, Limits};
use super::{Edited, Leaf, TreeKey};
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// Sets (`Some`) and removes (`None`) keys. Equal to [`build`](super::build) of the resulting contents.
///
/// # Errors
/// A page cannot be read.
///
/// # Panics
/// A leaf is not valid, see [`Leaf`].
pub fn edit(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    edits: &BTreeMap<TreeKey, Option<Leaf>>,
) -> Result<Edited, ReadError> {
    edit_within(objects, root, edits, &FORMAT)
}

pub(super) fn edit_within(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    edits: &BTreeMap<TreeKey, Option<Leaf>>,
    limits: &Limits,
) -> Result<Edited, ReadError> {
    let mut way = Way::open(objects, root)?;
    if let (Some((first, _)), Some((last, _))) = (edits.first_key_value(), edits.last_key_value()) {
        way.descend(first.as_bytes(), last.as_bytes())?;
    }
    let effective = way.effective(edits.iter())?;
    let (Some((first, _)), Some((last, _))) = (effective.first(), effective.last()) else {
        return Ok(Edited {
            root: *root,
            pages: Vec::new(),
        });
    };
    way.descend(first, last)?;
    if let Some(edited) = way.exchange(&effective, limits)? {
        return Ok(edited);
    }
    let mut fold = Fold::new(objects, *limits);
    fold.push_page(root, way.root(), &[], &effective)?;
    fold.finish(0, Some(*root))
}

/// The edits that change something. With the others left out, every page that an edit leads to is
/// certain to change.
pub(super) fn effective<'a>(
    mut cursor: Cursor<'_>,
    edits: impl Iterator<Item = (&'a TreeKey, &'a Option<Leaf>)>,
) -> Result<Vec<KeyEdit<'a>>, ReadError> {
    let mut effective = Vec::with_capacity(edits.size_hint().0);
    for (key, leaf) in edits {
        let key = key.as_bytes();
        cursor.seek(key)?;
        let current = cursor
            .at()
            .filter(|at| at.key == key)
            .and_then(|at| match at.target {
                Target::Entry(entry) => Some(entry.leaf()),
                Target::Child(_) => None,
            });
        if current != *leaf {
            effective.push((key, leaf.as_ref()));
        }
    }
    Ok(effective)
}
