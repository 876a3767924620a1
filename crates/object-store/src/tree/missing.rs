//! Which pages of a tree others lack.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::cursor::Cursor;
use super::diff::Overlap;
use super::page::Target;
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// Pages of `root` that `have` (other roots) do not contain, children before parents, each with the
/// page of a `have` that stood in its place, for packs. Descends only where ids differ, so a page that
/// a `have` contains only in other places may be listed all the same.
///
/// # Errors
/// A page cannot be read.
pub fn pages_missing(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    have: &[ObjectId],
) -> Result<Vec<(ObjectId, Option<ObjectId>)>, ReadError> {
    if have.contains(root) {
        return Ok(Vec::new());
    }
    let mut pages = entered(objects, root, have.first(), None)?;
    for other in have.iter().skip(1) {
        let wanted: HashSet<ObjectId> = pages.iter().map(|page| page.id).collect();
        let again = entered(objects, root, Some(other), Some(&wanted))?;
        let still: HashSet<ObjectId> = again.iter().map(|page| page.id).collect();
        pages.retain(|page| still.contains(&page.id));
    }
    Ok(children_first(pages))
}

/// A page of the tree that was entered because the other may not have it.
struct Entered {
    id: ObjectId,
    /// Pages above it.
    depth: usize,
    replaces: Option<ObjectId>,
}

/// Walks both trees and gives the pages of `root` that `have` has not shown, parents first. Looks
/// only at pages in `wanted`, if given.
fn entered(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    have: Option<&ObjectId>,
    wanted: Option<&HashSet<ObjectId>>,
) -> Result<Vec<Entered>, ReadError> {
    let mut walk = Walk {
        entered: Vec::new(),
        seen: HashSet::from([*root]),
        known: HashSet::new(),
    };
    let mut new = Cursor::open(objects, root)?;
    let mut old = match have {
        Some(have) => Some(Cursor::open(objects, have)?),
        None => None,
    };
    walk.entered.push(Entered {
        id: *root,
        depth: 0,
        replaces: have.copied(),
    });
    walk.known.extend(have.copied());
    while let Some(at) = new.at() {
        match at.target {
            Target::Child(child)
                if !walk.seen.contains(&child.id)
                    && wanted.is_none_or(|wanted| wanted.contains(&child.id)) =>
            {
                walk.step(&mut new, old.as_mut())?;
            }
            _ => new.skip(),
        }
    }
    walk.entered.retain(|page| !walk.known.contains(&page.id));
    Ok(walk.entered)
}

struct Walk {
    entered: Vec<Entered>,
    /// Pages of the tree that have been entered, or that the other has in the same place.
    seen: HashSet<ObjectId>,
    /// Pages of the other tree that have been entered.
    known: HashSet<ObjectId>,
}

impl Walk {
    /// Brings the old tree to the page that the new one is at, or enters one of them.
    fn step(
        &mut self,
        new: &mut Cursor<'_>,
        old: Option<&mut Cursor<'_>>,
    ) -> Result<(), ReadError> {
        let Some(old) = old else {
            return self.enter(new, None);
        };
        let (Some(is), Some(was)) = (new.at(), old.at()) else {
            return self.enter(new, old.page_id());
        };
        let Target::Child(wanted) = is.target else {
            return Ok(());
        };
        let Target::Child(child) = was.target else {
            if was.key < is.key {
                old.skip();
                return Ok(());
            }
            return self.enter(new, old.page_id());
        };
        match Overlap::of(&was, &child, &is, &wanted) {
            Overlap::Same => {
                self.seen.insert(child.id);
                self.known.insert(child.id);
                old.skip();
                new.skip();
                Ok(())
            }
            Overlap::Before => {
                old.skip();
                Ok(())
            }
            Overlap::After => self.enter(new, old.page_id()),
            Overlap::Some => match child.height.cmp(&wanted.height) {
                Ordering::Less => self.enter(new, old.page_id()),
                Ordering::Equal => {
                    self.enter(new, Some(child.id))?;
                    self.enter_old(old, child.id)
                }
                Ordering::Greater => self.enter_old(old, child.id),
            },
        }
    }

    fn enter_old(&mut self, old: &mut Cursor<'_>, id: ObjectId) -> Result<(), ReadError> {
        self.known.insert(id);
        old.enter()
    }

    fn enter(&mut self, new: &mut Cursor<'_>, replaces: Option<ObjectId>) -> Result<(), ReadError> {
        let depth = new.depth();
        if let Some(Target::Child(child)) = new.at().map(|at| at.target) {
            self.seen.insert(child.id);
            self.entered.push(Entered {
                id: child.id,
                depth,
                replaces,
            });
        }
        new.enter()
    }
}

/// Turns parents-first into children-first order.
fn children_first(pages: Vec<Entered>) -> Vec<(ObjectId, Option<ObjectId>)> {
    let mut ordered = Vec::with_capacity(pages.len());
    let mut open: Vec<Entered> = Vec::new();
    for page in pages {
        while open.last().is_some_and(|last| last.depth >= page.depth) {
            ordered.extend(open.pop().map(|last| (last.id, last.replaces)));
        }
        open.push(page);
    }
    ordered.extend(open.into_iter().rev().map(|last| (last.id, last.replaces)));
    ordered
}
