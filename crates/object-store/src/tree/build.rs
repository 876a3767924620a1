//! Building a tree from nothing: the reference that every edit is checked against.

use std::collections::BTreeMap;

use super::fold::Fold;
use super::page::{MAGIC, Page};
use super::rule::{FORMAT, HEADER_BYTES, Limits};
use super::{Edited, Leaf, TreeKey};
use crate::encoding::Encoding;
use crate::id::ObjectId;
use crate::object::{Kind, Object};
use crate::store::{ReadError, ReadObjects};

/// The root page of the tree without keys.
#[must_use]
pub fn empty() -> Object {
    let mut bytes = MAGIC.to_vec();
    bytes.resize(HEADER_BYTES, 0);
    Object::new(Kind::Page, bytes)
}

/// Builds the tree of these entries: the reference that every edit is checked against.
///
/// # Panics
/// A leaf is not valid, see [`Leaf`].
#[must_use]
pub fn build(entries: &BTreeMap<TreeKey, Leaf>) -> Edited {
    build_within(entries, &FORMAT)
}

#[expect(
    clippy::expect_used,
    reason = "reads nothing, and the length of keys bounds the height far below the limit"
)]
pub(super) fn build_within(entries: &BTreeMap<TreeKey, Leaf>, limits: &Limits) -> Edited {
    pack(entries, limits).expect("a tree of entries has no page to read")
}

fn pack(entries: &BTreeMap<TreeKey, Leaf>, limits: &Limits) -> Result<Edited, ReadError> {
    let mut fold = Fold::new(&NoObjects, *limits);
    for (key, leaf) in entries {
        fold.push_leaf(key.as_bytes(), leaf)?;
    }
    fold.finish(0, None)
}

/// A store without objects.
struct NoObjects;

impl ReadObjects for NoObjects {
    fn try_read(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<bytes::Bytes>, ReadError> {
        Ok(None)
    }

    fn page(&self, id: &ObjectId) -> Result<std::sync::Arc<Page>, ReadError> {
        Err(ReadError::Missing {
            kind: Kind::Page,
            id: *id,
        })
    }

    fn encoding(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        Ok(None)
    }

    fn commit(&self, id: &ObjectId) -> Result<std::sync::Arc<crate::commit::Commit>, ReadError> {
        Err(ReadError::Missing {
            kind: Kind::Commit,
            id: *id,
        })
    }
}
