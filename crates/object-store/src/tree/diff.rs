//! The difference of two trees.
//!
//! Both are walked side by side in the order of their keys; pages that both have in the same place
//! are passed over. Where the trees are cut into pages differently, the higher page is entered, so
//! that equal pages meet.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::cursor::{At, Cursor};
use super::page::{Child, Entry, Target};
use super::{Leaf, TreeKey};
use crate::id::ObjectId;
use crate::store::{ReadError, ReadObjects};

/// A key that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: TreeKey,
    /// What the old tree has.
    pub old: Option<Leaf>,
    /// What the new tree has; differs from `old`.
    pub new: Option<Leaf>,
}

/// The keys that differ, in order. Skips what two trees share.
///
/// # Errors
/// A page cannot be read.
pub fn diff(
    objects: &dyn ReadObjects,
    old: &ObjectId,
    new: &ObjectId,
) -> Result<Vec<Change>, ReadError> {
    let mut changes = Vec::new();
    diff_each(objects, old, new, &mut |change| {
        changes.push(change);
        ControlFlow::Continue(())
    })?;
    Ok(changes)
}

/// As [`diff`], but gives each change to `visit`, which may stop it.
///
/// # Errors
/// A page cannot be read.
pub fn diff_each(
    objects: &dyn ReadObjects,
    old: &ObjectId,
    new: &ObjectId,
    visit: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    if old == new {
        return Ok(());
    }
    let mut old = Cursor::open(objects, old)?;
    let mut new = Cursor::open(objects, new)?;
    loop {
        let (step, change) = match (old.at(), new.at()) {
            (None, None) => return Ok(()),
            (Some(at), None) => alone(at, Step::Old),
            (None, Some(at)) => alone(at, Step::New),
            (Some(was), Some(is)) => compare(was, is),
        };
        if let Some((key, was, is)) = change {
            let leaf = |entry: Option<Entry<'_>>| entry.map(|entry| entry.leaf());
            if visit(Change {
                key: TreeKey(key.into()),
                old: leaf(was),
                new: leaf(is),
            })
            .is_break()
            {
                return Ok(());
            }
        }
        match step {
            Step::Old => old.skip(),
            Step::New => new.skip(),
            Step::Both => {
                old.skip();
                new.skip();
            }
            Step::EnterOld => old.enter()?,
            Step::EnterNew => new.enter()?,
            Step::EnterBoth => {
                old.enter()?;
                new.enter()?;
            }
        }
    }
}

enum Step {
    Old,
    New,
    Both,
    EnterOld,
    EnterNew,
    EnterBoth,
}

type KeyChange<'c> = (&'c [u8], Option<Entry<'c>>, Option<Entry<'c>>);

/// An item that has nothing on the other side.
fn alone(at: At<'_>, side: Step) -> (Step, Option<KeyChange<'_>>) {
    match (side, at.target) {
        (Step::Old, Target::Entry(entry)) => (Step::Old, Some((at.key, Some(entry), None))),
        (Step::Old, Target::Child(_)) => (Step::EnterOld, None),
        (_, Target::Entry(entry)) => (Step::New, Some((at.key, None, Some(entry)))),
        (_, Target::Child(_)) => (Step::EnterNew, None),
    }
}

fn compare<'c>(was: At<'c>, is: At<'c>) -> (Step, Option<KeyChange<'c>>) {
    match (was.target, is.target) {
        (Target::Entry(old), Target::Entry(new)) => match was.key.cmp(is.key) {
            Ordering::Less => alone(was, Step::Old),
            Ordering::Greater => alone(is, Step::New),
            Ordering::Equal if old == new => (Step::Both, None),
            Ordering::Equal => (Step::Both, Some((was.key, Some(old), Some(new)))),
        },
        (Target::Entry(_), Target::Child(_)) if was.key < is.key => alone(was, Step::Old),
        (Target::Entry(_), Target::Child(_)) => (Step::EnterNew, None),
        (Target::Child(_), Target::Entry(_)) if is.key < was.key => alone(is, Step::New),
        (Target::Child(_), Target::Entry(_)) => (Step::EnterOld, None),
        (Target::Child(old), Target::Child(new)) => {
            let step = match Overlap::of(&was, &old, &is, &new) {
                Overlap::Same => Step::Both,
                Overlap::Before => Step::EnterOld,
                Overlap::After => Step::EnterNew,
                Overlap::Some => match old.height.cmp(&new.height) {
                    Ordering::Greater => Step::EnterOld,
                    Ordering::Less => Step::EnterNew,
                    Ordering::Equal => Step::EnterBoth,
                },
            };
            (step, None)
        }
    }
}

/// How the keys below one reference lie to those below another.
pub(super) enum Overlap {
    /// The same page in the same place.
    Same,
    /// All before.
    Before,
    /// All after.
    After,
    /// Cannot be told from the references.
    Some,
}

impl Overlap {
    pub fn of(a: &At<'_>, a_child: &Child, b: &At<'_>, b_child: &Child) -> Self {
        let (a_prefix, b_prefix) = (a.prefix(a_child), b.prefix(b_child));
        if a_prefix == b_prefix && a_child.id == b_child.id {
            Self::Same
        } else if a_prefix.starts_with(b_prefix) || b_prefix.starts_with(a_prefix) {
            Self::Some
        } else if a_prefix < b_prefix {
            Self::Before
        } else {
            Self::After
        }
    }
}
