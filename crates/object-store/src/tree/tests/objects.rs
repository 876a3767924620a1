//! A store for tests: pages in a map, every read counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::super::build::build_within;
use super::super::edit::edit_within;
use super::super::rule::{FORMAT, Limits};
use super::{Edited, Leaf, LeafValue, Page, TreeKey, walk};
use crate::commit::Commit;
use crate::encoding::Encoding;
use crate::id::ObjectId;
use crate::object::Kind;
use crate::store::{ReadError, ReadObjects};

pub type Contents = BTreeMap<TreeKey, Leaf>;
pub type Edits = BTreeMap<TreeKey, Option<Leaf>>;

/// Limits of the format's proportions with smaller pages.
pub fn pages_of(page_bytes: usize) -> Limits {
    Limits {
        page_bytes,
        seal_bytes: page_bytes / 8,
    }
}

/// A page's bytes, and the page once it has been read.
type Kept = (Bytes, Option<Arc<Page>>);

pub struct Objects {
    pub limits: Limits,
    pages: Mutex<HashMap<ObjectId, Kept>>,
    reads: AtomicUsize,
}

impl Objects {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pages: Mutex::default(),
            reads: AtomicUsize::new(0),
        }
    }

    pub fn of_format() -> Self {
        Self::new(FORMAT)
    }

    pub fn build(&self, contents: &Contents) -> ObjectId {
        self.keep(build_within(contents, &self.limits))
    }

    pub fn edit(&self, root: &ObjectId, edits: &Edits) -> ObjectId {
        self.keep(self.try_edit(root, edits).unwrap())
    }

    pub fn try_edit(&self, root: &ObjectId, edits: &Edits) -> Result<Edited, ReadError> {
        edit_within(self, root, edits, &self.limits)
    }

    pub fn keep(&self, edited: Edited) -> ObjectId {
        for (object, _) in edited.pages {
            self.put(object.bytes().clone());
        }
        edited.root
    }

    pub fn put(&self, bytes: Bytes) -> ObjectId {
        let id = ObjectId::of(Kind::Page, &bytes);
        self.pages
            .lock()
            .unwrap()
            .entry(id)
            .or_insert((bytes, None));
        id
    }

    pub fn remove(&self, id: &ObjectId) {
        self.pages.lock().unwrap().remove(id);
    }

    pub fn bytes(&self, id: &ObjectId) -> Bytes {
        self.pages.lock().unwrap()[id].0.clone()
    }

    pub fn contents(&self, root: &ObjectId) -> Contents {
        let mut contents = Contents::new();
        walk(self, root, b"", None, &mut |key, leaf| {
            assert!(
                contents.insert(key, leaf).is_none(),
                "walk visits a key twice"
            );
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        contents
    }

    /// Every page of a tree once.
    pub fn pages_of(&self, root: &ObjectId) -> HashMap<ObjectId, Bytes> {
        let mut pages = HashMap::new();
        let mut open = vec![*root];
        while let Some(id) = open.pop() {
            if pages.contains_key(&id) {
                continue;
            }
            let page = self.page(&id).unwrap();
            pages.insert(id, page.bytes().clone());
            open.extend(
                page.references()
                    .into_iter()
                    .filter(|(kind, _)| *kind == Kind::Page)
                    .map(|(_, id)| id),
            );
        }
        pages
    }

    /// Pages read since last asked.
    pub fn take_reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

impl ReadObjects for Objects {
    fn try_read(&self, _kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        Ok(self
            .pages
            .lock()
            .unwrap()
            .get(id)
            .map(|page| page.0.clone()))
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut pages = self.pages.lock().unwrap();
        let Some((bytes, decoded)) = pages.get_mut(id) else {
            return Err(ReadError::Missing {
                kind: Kind::Page,
                id: *id,
            });
        };
        if let Some(page) = decoded {
            return Ok(Arc::clone(page));
        }
        let page = Page::decode_within(bytes.clone(), &self.limits).map_err(|source| {
            ReadError::Malformed {
                kind: Kind::Page,
                id: *id,
                source,
            }
        })?;
        Ok(Arc::clone(decoded.insert(Arc::new(page))))
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

pub fn key(bytes: impl AsRef<[u8]>) -> TreeKey {
    TreeKey::new(bytes.as_ref()).unwrap()
}

pub fn text(value: &str) -> Leaf {
    Leaf {
        entry_type: 1,
        flags: 0,
        value: LeafValue::Inline(value.as_bytes().into()),
        meta: None,
    }
}

/// Leaves of every form, told apart by their number.
pub fn leaf(number: u64) -> Leaf {
    let meta = (number % 7 == 3).then(|| ObjectId::of(Kind::Meta, &number.to_le_bytes()));
    let value = match number % 5 {
        0 | 1 => LeafValue::Inline(number.to_string().as_bytes().into()),
        2 => LeafValue::Inline(vec![b'x'; (number % 65) as usize].into()),
        _ => LeafValue::Blob {
            id: ObjectId::of(Kind::Blob, &number.to_le_bytes()),
            size: 65 + (number % 1000) as u32,
        },
    };
    Leaf {
        entry_type: (number % 6) as u8,
        flags: (number % 128) as u8,
        value,
        meta,
    }
}
