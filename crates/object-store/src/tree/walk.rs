//! Walking the keys of a tree in order.

use std::ops::ControlFlow;

use super::cursor::Cursor;
use super::page::Target;
use super::{Leaf, TreeKey};
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// Calls `visit` for keys in order that begin with `prefix` and are greater than `after`.
///
/// # Errors
/// A page cannot be read.
pub fn walk(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    prefix: &[u8],
    after: Option<&[u8]>,
    visit: &mut dyn FnMut(TreeKey, Leaf) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut cursor = Cursor::open(objects, root)?;
    cursor.seek(after.unwrap_or(&[]).max(prefix))?;
    loop {
        match cursor.at() {
            Some(at) if !at.key.starts_with(prefix) && !prefix.starts_with(at.key) => return Ok(()),
            Some(at) => match at.target {
                Target::Child(_) => {
                    cursor.enter()?;
                    continue;
                }
                Target::Entry(entry) => {
                    let wanted =
                        at.key.starts_with(prefix) && after.is_none_or(|after| at.key > after);
                    if wanted && visit(TreeKey(at.key.into()), entry.leaf()).is_break() {
                        return Ok(());
                    }
                }
            },
            None => return Ok(()),
        }
        cursor.skip();
    }
}
