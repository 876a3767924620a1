//! Questions that are answered on one way from the root down.

use std::sync::Arc;

use super::cursor::{read_child, read_root};
use super::fold::Fold;
use super::page::{Item, Page, Target};
use super::rule::{FORMAT, Limits};
use super::{Leaf, empty};
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// The leaf of a key.
///
/// # Errors
/// A page cannot be read.
pub fn get(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    key: &[u8],
) -> Result<Option<Leaf>, ReadError> {
    let mut page = read_root(objects, root)?;
    let mut base = 0;
    loop {
        match step(&page, key.get(base..).unwrap_or(&[])) {
            Step::Leaf(leaf) => return Ok(leaf),
            Step::Child(index, child) => {
                base += usize::from(child.base);
                page = read_child(objects, &page, index, &child, base)?;
            }
        }
    }
}

/// Where a page leads on the way to a key.
pub(super) enum Step {
    Leaf(Option<Leaf>),
    Child(usize, super::page::Child),
}

/// Looks up a key, without the bytes that the page leaves out, in one page.
pub(super) fn step(page: &Page, key: &[u8]) -> Step {
    let item = page
        .position_after(0, key)
        .checked_sub(1)
        .and_then(|index| Some((index, page.item(index)?)));
    match item {
        Some((
            _,
            Item {
                suffix,
                target: Target::Entry(entry),
            },
        )) if suffix == key => Step::Leaf(Some(entry.leaf())),
        Some((
            index,
            Item {
                suffix,
                target: Target::Child(child),
            },
        )) if suffix
            .get(..usize::from(child.base))
            .is_some_and(|prefix| key.starts_with(prefix)) =>
        {
            Step::Child(index, child)
        }
        _ => Step::Leaf(None),
    }
}

/// How many keys the tree has.
///
/// # Errors
/// The root cannot be read.
pub fn count(objects: &dyn ReadObjects, root: &ObjectId) -> Result<u64, ReadError> {
    Ok(read_root(objects, root)?.count())
}

/// How many keys have the prefix, reading only pages on its edges.
///
/// # Errors
/// A page cannot be read.
pub fn count_prefix(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    prefix: &[u8],
) -> Result<u64, ReadError> {
    let run = run(objects, root, prefix)?;
    Ok(run
        .indices
        .filter_map(|index| run.page.item(index))
        .map(|item| match item.target {
            Target::Entry(_) => 1,
            Target::Child(child) => u64::from(child.count),
        })
        .sum())
}

/// A name for what a tree has under a prefix: the root of the tree that has the keys under the prefix
/// with the prefix cut off, and their leaves. Two prefixes, of one tree or of two, have equal tags
/// exactly when they have equal keys and leaves below them. Without keys under the prefix it is the id
/// of [`empty`]. (A key that is the prefix itself takes part with an empty rest, which no key of
/// a tree proper can have.)
///
/// Reads one way down; the page it names need not be in the store.
///
/// # Errors
/// A page cannot be read.
pub fn prefix_tag(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    prefix: &[u8],
) -> Result<ObjectId, ReadError> {
    prefix_tag_within(objects, root, prefix, &FORMAT)
}

pub(super) fn prefix_tag_within(
    objects: &dyn ReadObjects,
    root: &ObjectId,
    prefix: &[u8],
    limits: &Limits,
) -> Result<ObjectId, ReadError> {
    let run = run(objects, root, prefix)?;
    if run.indices.is_empty() {
        return Ok(empty().id());
    }
    let mut fold = Fold::new(objects, *limits);
    fold.push_run(
        &run.page,
        prefix.get(..run.base).unwrap_or(prefix),
        run.indices,
    )?;
    Ok(fold.finish(prefix.len(), None)?.root)
}

/// The items of one page that together have exactly the keys with some prefix.
struct Run {
    page: Arc<Page>,
    /// Key bytes that the page leaves out.
    base: usize,
    indices: std::ops::Range<usize>,
}

fn run(objects: &dyn ReadObjects, root: &ObjectId, prefix: &[u8]) -> Result<Run, ReadError> {
    let mut page = read_root(objects, root)?;
    let mut base = 0;
    loop {
        let rest = prefix.get(base..).unwrap_or(&[]);
        let mut first = page.position_after(0, rest);
        let goes_on = first < page.len() && page.suffix(first).starts_with(rest);
        if let Some((before, item)) = first
            .checked_sub(1)
            .and_then(|before| Some((before, page.item(before)?)))
        {
            match item.target {
                // Only the last item that does not come after the prefix can have keys with it among
                // others, and it has all of them or none.
                Target::Child(child) if usize::from(child.base) < rest.len() => {
                    let own = item.suffix.get(..usize::from(child.base));
                    if !goes_on && own.is_some_and(|own| rest.starts_with(own)) {
                        base += usize::from(child.base);
                        page = read_child(objects, &page, before, &child, base)?;
                        continue;
                    }
                }
                _ if item.suffix == rest => first = before,
                _ => {}
            }
        }
        let last = (first..page.len())
            .find(|index| !page.suffix(*index).starts_with(rest))
            .unwrap_or(page.len());
        return Ok(Run {
            page,
            base,
            indices: first..last,
        });
    }
}
