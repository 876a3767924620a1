//! Edits made of any bytes, on pages so small that few keys make a tall tree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::build::{build_within, empty};
use super::edit::edit_within;
use super::rule::Limits;
use super::{Edited, Leaf, LeafValue, Page, TreeKey};
use crate::commit::Commit;
use crate::encoding::Encoding;
use crate::id::ObjectId;
use crate::object::Kind;
use crate::store::{ReadError, ReadObjects};

const LIMITS: Limits = Limits {
    page_bytes: 256,
    seal_bytes: 32,
};
/// Longest key of which a page of that size can always hold two references.
const KEY_BYTES_MAX: usize = 30;
/// Bytes that make one edit.
const EDIT_BYTES: usize = 4;

/// Edits a tree as the bytes say, and compares it with one that is built after each batch.
///
/// # Panics
/// They differ, or an edit fails.
#[expect(
    clippy::expect_used,
    reason = "a fuzz target panics where its law is broken"
)]
pub(crate) fn fuzz_edits(bytes: &[u8]) {
    let mut pages = Pages(HashMap::new());
    pages.0.insert(empty().id(), decode(empty().bytes()));
    let mut root = empty().id();
    let mut contents: BTreeMap<TreeKey, Leaf> = BTreeMap::new();
    let mut batch: BTreeMap<TreeKey, Option<Leaf>> = BTreeMap::new();
    let mut rest = bytes;
    while let Some((&[shape, low, value, what], tail)) = rest.split_first_chunk::<EDIT_BYTES>() {
        rest = tail;
        batch.insert(key(shape, low), (what % 4 != 0).then(|| leaf(value)));
        if what < 128 && !rest.is_empty() {
            continue;
        }
        for (key, leaf) in &batch {
            match leaf {
                Some(leaf) => contents.insert(key.clone(), leaf.clone()),
                None => contents.remove(key),
            };
        }
        let edits = std::mem::take(&mut batch);
        let edited = edit_within(&pages, &root, &edits, &LIMITS).expect("every page is there");
        root = pages.keep(edited);
        assert_eq!(
            root,
            build_within(&contents, &LIMITS).root,
            "editing and building differ"
        );
    }
}

/// Runs of one byte, so that keys share much, and two bytes that tell them apart.
fn key(shape: u8, low: u8) -> TreeKey {
    let run = usize::from(shape / 8).min(KEY_BYTES_MAX - 2);
    let mut key = vec![b'a' + shape % 8; run];
    key.extend([b'0' + low / 64, b'0' + low % 64]);
    TreeKey(key.into())
}

fn leaf(value: u8) -> Leaf {
    let (inline, meta) = (value % 64, value >= 64);
    Leaf {
        entry_type: 1,
        flags: 0,
        value: LeafValue::Inline(vec![value; inline.into()].into()),
        meta: meta.then(|| ObjectId::from_bytes([value; 32])),
    }
}

#[expect(
    clippy::expect_used,
    reason = "a fuzz target panics where its law is broken"
)]
fn decode(bytes: &Bytes) -> Arc<Page> {
    Arc::new(Page::decode_within(bytes.clone(), &LIMITS).expect("what is written can be read"))
}

/// Pages in memory.
struct Pages(HashMap<ObjectId, Arc<Page>>);

impl Pages {
    fn keep(&mut self, edited: Edited) -> ObjectId {
        for (page, _) in edited.pages {
            self.0.insert(page.id(), decode(page.bytes()));
        }
        edited.root
    }
}

impl ReadObjects for Pages {
    fn try_read(&self, _kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        Ok(self.0.get(id).map(|page| page.bytes().clone()))
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        self.0.get(id).cloned().ok_or(ReadError::Missing {
            kind: Kind::Page,
            id: *id,
        })
    }

    fn encoding(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        Ok(None)
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        Err(ReadError::Missing {
            kind: Kind::Commit,
            id: *id,
        })
    }
}
