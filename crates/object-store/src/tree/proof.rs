//! Proofs: the pages from a root to where a key is or would be.

use bytes::Bytes;

use super::Leaf;
use super::cursor::{read_child, read_root};
use super::lookup::{Step, step};
use super::page::{Page, malformed};
use super::rule::{FORMAT, Limits};
use crate::codec::DecodeError;
use crate::id::ObjectId;
use crate::object::Kind;
use crate::store::{ReadError, ReadObjects};

/// The pages from a root to where a key is or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Page bytes, root first.
    pub pages: Vec<Bytes>,
}

/// Proves what a key leads to, or that it leads nowhere.
///
/// # Errors
/// A page cannot be read.
pub fn prove(objects: &dyn ReadObjects, root: &ObjectId, key: &[u8]) -> Result<Proof, ReadError> {
    let mut page = read_root(objects, root)?;
    let mut pages = vec![page.bytes().clone()];
    let mut base = 0;
    while let Step::Child(index, child) = step(&page, key.get(base..).unwrap_or(&[])) {
        base += usize::from(child.base);
        page = read_child(objects, &page, index, &child, base)?;
        pages.push(page.bytes().clone());
    }
    Ok(Proof { pages })
}

impl Proof {
    /// Checks the proof and gives what the key leads to under that root.
    ///
    /// # Errors
    /// A page does not hash to what its parent says, is not canonical, or is missing or superfluous.
    pub fn verify(&self, root: &ObjectId, key: &[u8]) -> Result<Option<Leaf>, DecodeError> {
        self.verify_within(root, key, &FORMAT)
    }

    pub(super) fn verify_within(
        &self,
        root: &ObjectId,
        key: &[u8],
        limits: &Limits,
    ) -> Result<Option<Leaf>, DecodeError> {
        let mut pages = self.pages.iter();
        let mut page = next_page(pages.next(), root, limits)?;
        page.check_depth(0)?;
        let mut base = 0;
        loop {
            match step(&page, key.get(base..).unwrap_or(&[])) {
                Step::Leaf(_) if pages.next().is_some() => {
                    return Err(malformed(
                        0,
                        "the proof goes on behind the page that answers",
                    ));
                }
                Step::Leaf(leaf) => return Ok(leaf),
                Step::Child(index, child) => {
                    base += usize::from(child.base);
                    let below = next_page(pages.next(), &child.id, limits)?;
                    below.check_child(&page, index, &child, base)?;
                    page = below;
                }
            }
        }
    }
}

fn next_page(bytes: Option<&Bytes>, id: &ObjectId, limits: &Limits) -> Result<Page, DecodeError> {
    let Some(bytes) = bytes else {
        return Err(malformed(0, format!("the proof ends before page {id}")));
    };
    let actual = ObjectId::of(Kind::Page, bytes);
    if actual != *id {
        return Err(malformed(
            0,
            format!("the proof has page {actual} where {id} belongs"),
        ));
    }
    Page::decode_within(bytes.clone(), limits)
}
