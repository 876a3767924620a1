//! A position in a tree, from the first item to the last, entering only the pages it is told to.

use std::sync::Arc;

use super::page::{Child, Item, Page, Target};
use crate::codec::DecodeError;
use crate::id::ObjectId;
use crate::object::Kind;
use crate::store::{ReadError, ReadObjects};

/// Reads a root.
pub(super) fn read_root(
    objects: &dyn ReadObjects,
    root: &ObjectId,
) -> Result<Arc<Page>, ReadError> {
    let page = objects.page(root)?;
    page.check_depth(0)
        .map_err(|source| not_a_page(root, source))?;
    Ok(page)
}

/// Reads the page that item `index` of `parent` refers to; `base` is the number of key bytes that
/// the page leaves out.
pub(super) fn read_child(
    objects: &dyn ReadObjects,
    parent: &Page,
    index: usize,
    child: &Child,
    base: usize,
) -> Result<Arc<Page>, ReadError> {
    let page = objects.page(&child.id)?;
    page.check_child(parent, index, child, base)
        .map_err(|source| not_a_page(&child.id, source))?;
    Ok(page)
}

pub(super) fn not_a_page(id: &ObjectId, source: DecodeError) -> ReadError {
    ReadError::Malformed {
        kind: Kind::Page,
        id: *id,
        source,
    }
}

/// A position in a tree.
pub(super) struct Cursor<'a> {
    objects: &'a dyn ReadObjects,
    frames: Vec<Frame>,
    /// The key of the item it is at, as far as the item has it.
    key: Vec<u8>,
}

struct Frame {
    id: ObjectId,
    page: Arc<Page>,
    index: usize,
    /// Key bytes that the page leaves out; they are the first of `Cursor::key`.
    base: usize,
}

/// The item that a cursor is at.
#[derive(Clone, Copy)]
pub(super) struct At<'c> {
    /// The key; of a reference, as much of its first key as is stored.
    pub key: &'c [u8],
    /// What it leads to.
    pub target: Target<'c>,
    /// Key bytes that the page of this item leaves out.
    base: usize,
}

impl At<'_> {
    /// The bytes that all keys below a reference begin with.
    pub fn prefix(&self, child: &Child) -> &[u8] {
        self.key
            .get(..self.base + usize::from(child.base))
            .unwrap_or(self.key)
    }
}

impl<'a> Cursor<'a> {
    /// At the first item of a root.
    pub fn open(objects: &'a dyn ReadObjects, root: &ObjectId) -> Result<Self, ReadError> {
        Ok(Self::open_below(
            objects,
            *root,
            read_root(objects, root)?,
            &[],
        ))
    }

    /// At the first item of a page that leaves out `prefix`. What is above the page is not seen.
    pub fn open_below(
        objects: &'a dyn ReadObjects,
        id: ObjectId,
        page: Arc<Page>,
        prefix: &[u8],
    ) -> Self {
        let frame = Frame {
            id,
            page,
            index: 0,
            base: prefix.len(),
        };
        let mut cursor = Self {
            objects,
            frames: vec![frame],
            key: prefix.to_vec(),
        };
        cursor.settle();
        cursor
    }

    /// The item it is at; `None` behind the last.
    pub fn at(&self) -> Option<At<'_>> {
        let frame = self.frames.last()?;
        let Item { target, .. } = frame.page.item(frame.index)?;
        Some(At {
            key: &self.key,
            target,
            base: frame.base,
        })
    }

    /// The page that the item is in.
    pub fn page_id(&self) -> Option<ObjectId> {
        self.frames.last().map(|frame| frame.id)
    }

    /// Number of pages above the item.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Goes to the next item, over all that a reference refers to.
    pub fn skip(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
        self.settle();
    }

    /// Goes from a reference to the first item of its page.
    pub fn enter(&mut self) -> Result<(), ReadError> {
        let Some(frame) = self.frames.last() else {
            return Ok(());
        };
        let Some(Item {
            target: Target::Child(child),
            ..
        }) = frame.page.item(frame.index)
        else {
            return Ok(());
        };
        let base = frame.base + usize::from(child.base);
        let page = read_child(self.objects, &frame.page, frame.index, &child, base)?;
        self.key.truncate(base);
        self.frames.push(Frame {
            id: child.id,
            page,
            index: 0,
            base,
        });
        self.settle();
        Ok(())
    }

    /// Goes forward to the first item that has no key below `key`. Never goes back.
    pub fn seek(&mut self, key: &[u8]) -> Result<(), ReadError> {
        while let Some(frame) = self.frames.last() {
            let prefix = self.key.get(..frame.base).unwrap_or(&[]);
            let Some(rest) = key.strip_prefix(prefix) else {
                if prefix > key {
                    break;
                }
                self.leave();
                continue;
            };
            let after = frame.page.position_after(frame.index, rest);
            let before = after.checked_sub(1).filter(|before| *before >= frame.index);
            let to = match before.map(|before| (before, frame.page.item(before))) {
                Some((
                    before,
                    Some(Item {
                        suffix,
                        target: Target::Entry(_),
                    }),
                )) if suffix == rest => before,
                Some((
                    before,
                    Some(Item {
                        target: Target::Child(_),
                        ..
                    }),
                )) => before,
                _ => after,
            };
            self.go_to(to);
            // Behind the end of a page, what follows it may still be before the key.
            match self.at() {
                Some(At {
                    target: Target::Child(_),
                    key: at,
                    ..
                }) if at <= key => self.enter()?,
                Some(At {
                    target: Target::Entry(_),
                    key: at,
                    ..
                }) if at < key => {}
                _ => break,
            }
        }
        Ok(())
    }

    fn go_to(&mut self, index: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.index = index;
        }
        self.settle();
    }

    /// Leaves the page and goes to what follows it.
    fn leave(&mut self) {
        self.frames.pop();
        self.skip();
    }

    /// Leaves pages that are finished and brings the key up to date.
    fn settle(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            if frame.index < frame.page.len() {
                self.key.truncate(frame.base);
                self.key.extend_from_slice(frame.page.suffix(frame.index));
                return;
            }
            self.frames.pop();
            if let Some(frame) = self.frames.last_mut() {
                frame.index += 1;
            }
        }
    }
}
