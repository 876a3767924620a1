//! Editing below one reference of each page on the way down, without packing those pages again.
//!
//! Where every edit leads through one reference, the rest of the page stays. The page above what changes
//! is the old one with that reference exchanged, if the rule seals the changed run as before, which is
//! what a reader of the new page checks. All pages above that one refer to pages of the same size,
//! height and number of items as before, so the rule decides nothing anew: ids and counts change.
//!
//! INVARIANT: the outcome is that of packing the whole way again, or none.

use std::sync::Arc;

use bytes::Bytes;

use super::cursor::{Cursor, read_child, read_root};
use super::edit::effective;
use super::fold::{Fold, KeyEdit, Run};
use super::page::{Child, Page, Target};
use super::rule::{Limits, shared_bits};
use super::{Edited, Leaf, TreeKey};
use crate::id::ObjectId;
use crate::object::{Kind, Object};
use crate::store::{ReadError, ReadObjects};

/// A way down from a root to the page below which all edits are.
pub(super) struct Way<'a> {
    objects: &'a dyn ReadObjects,
    /// The pages that are left through one reference each, the root first.
    above: Vec<Step>,
    /// Where the way ends.
    id: ObjectId,
    page: Arc<Page>,
    /// Key bytes that the last page leaves out.
    prefix: Vec<u8>,
}

struct Step {
    id: ObjectId,
    page: Arc<Page>,
    /// The reference that leads on.
    index: usize,
    child: Child,
    /// Key bytes that the page leaves out.
    base: usize,
}

impl<'a> Way<'a> {
    /// At the root.
    pub fn open(objects: &'a dyn ReadObjects, root: &ObjectId) -> Result<Self, ReadError> {
        Ok(Self {
            objects,
            above: Vec::new(),
            id: *root,
            page: read_root(objects, root)?,
            prefix: Vec::new(),
        })
    }

    /// The root, where the way has not left it.
    pub fn root(&self) -> &Arc<Page> {
        self.above.first().map_or(&self.page, |step| &step.page)
    }

    /// The edits that change something below the end of the way.
    pub fn effective<'e>(
        &self,
        edits: impl Iterator<Item = (&'e TreeKey, &'e Option<Leaf>)>,
    ) -> Result<Vec<KeyEdit<'e>>, ReadError> {
        let cursor =
            Cursor::open_below(self.objects, self.id, Arc::clone(&self.page), &self.prefix);
        effective(cursor, edits)
    }

    /// Goes down as long as all keys from `first` to `last` are below one reference.
    pub fn descend(&mut self, first: &[u8], last: &[u8]) -> Result<(), ReadError> {
        while first.starts_with(&self.prefix) && last.starts_with(&self.prefix) {
            let Some((index, child)) = self.reference_with(first, last) else {
                break;
            };
            let base = self.prefix.len();
            let below = base + usize::from(child.base);
            let page = read_child(self.objects, &self.page, index, &child, below)?;
            let Some(left_out) = self.page.suffix(index).get(..usize::from(child.base)) else {
                break;
            };
            self.prefix.extend_from_slice(left_out);
            let page = std::mem::replace(&mut self.page, page);
            let id = std::mem::replace(&mut self.id, child.id);
            self.above.push(Step {
                id,
                page,
                index,
                child,
                base,
            });
        }
        Ok(())
    }

    /// The one reference of the last page that all these keys belong to.
    fn reference_with(&self, first: &[u8], last: &[u8]) -> Option<(usize, Child)> {
        let (first, last) = (
            first.get(self.prefix.len()..)?,
            last.get(self.prefix.len()..)?,
        );
        let after = self.page.position_after(0, first);
        [after.checked_sub(1), Some(after)]
            .into_iter()
            .flatten()
            .find_map(|index| {
                let item = self.page.item(index)?;
                let Target::Child(child) = item.target else {
                    return None;
                };
                let split = self.page.split_of(index);
                let inside = |key| split.is_none_or(|split| shared_bits(key, item.suffix) > split);
                (inside(first) && inside(last)).then_some((index, child))
            })
    }

    /// The edited tree, or nothing where the pages above have to be packed again.
    pub fn exchange(
        &self,
        edits: &[KeyEdit<'_>],
        limits: &Limits,
    ) -> Result<Option<Edited>, ReadError> {
        let Some((parent, ancestors)) = self.above.split_last() else {
            return Ok(None);
        };
        let mut fold = Fold::new(self.objects, *limits);
        fold.push_page(&self.id, &self.page, &self.prefix, edits)?;
        let Some(mut run) = fold.finish_run(self.id)? else {
            return Ok(None);
        };
        let Some(new) = parent.child_of(&run) else {
            return Ok(None);
        };
        let Some(page) = parent.page.with_child(parent.index, &new) else {
            return Ok(None);
        };
        let page = Bytes::from(page);
        let Ok(decoded) = Page::decode_within(page.clone(), limits) else {
            return Ok(None);
        };
        let mut old = parent;
        let mut count = decoded.count();
        let mut object = Object::new(Kind::Page, page);
        for step in ancestors.iter().rev() {
            let exchanged = Child {
                id: object.id(),
                count: match u32::try_from(count) {
                    Ok(count) => count,
                    Err(_) => return Ok(None),
                },
                ..step.child
            };
            run.pages.push((object, Some(old.id)));
            let Some(page) = step.page.with_child(step.index, &exchanged) else {
                return Ok(None);
            };
            count += step.page.count() - u64::from(step.child.count);
            object = Object::new(Kind::Page, page);
            old = step;
        }
        if count > u64::from(u32::MAX) {
            return Ok(None);
        }
        let root = object.id();
        run.pages.push((object, Some(old.id)));
        Ok(Some(Edited {
            root,
            pages: run.pages,
        }))
    }
}

impl Step {
    /// The reference to a changed run, where it can take the place of the old one: with the key and the
    /// height that it had.
    fn child_of(&self, run: &Run) -> Option<Child> {
        let key_len = match self.page.split_of(self.index) {
            Some(split) => run.shape.cut_len(split + self.base * 8),
            None => run.shape.base,
        };
        let suffix = run.first_key.get(self.base..key_len)?;
        let same_key = suffix == self.page.suffix(self.index);
        let same_base = run.shape.base == self.base + usize::from(self.child.base);
        let same_height = run.child.height == self.child.height;
        (same_key && same_base && same_height).then_some(Child {
            base: self.child.base,
            ..run.child
        })
    }
}
