//! Editing a tree: reads and writes only the pages on the way to what changes.

use std::collections::BTreeMap;

use super::cursor::{Cursor, read_root};
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
    let effective = effective(objects, root, edits)?;
    if effective.is_empty() {
        return Ok(Edited {
            root: *root,
            pages: Vec::new(),
        });
    }
    let page = read_root(objects, root)?;
    let mut fold = Fold::new(objects, *limits);
    fold.push_page(root, &page, &[], &effective)?;
    fold.finish(0, Some(*root))
}

/// The edits that change something. With the others left out, every page that an edit leads to is
/// certain to change.
fn effective<'a>(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    edits: &'a BTreeMap<TreeKey, Option<Leaf>>,
) -> Result<Vec<KeyEdit<'a>>, ReadError> {
    let mut cursor = Cursor::open(objects, root)?;
    let mut effective = Vec::with_capacity(edits.len());
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
