//! The tree: one sorted map of keys, split at the unique smallest common bit prefix, packed
//! bottom-up into pages of at most 4,096 bytes by a deterministic rule (`docs/FORMAT.md`).
//!
//! INVARIANT: the root is a function of the contents alone: not of the order of edits, nor of how they
//! were batched, nor of what was there before.
//! INVARIANT: the height is bounded by the length of keys, never by their number or choice.
//!
//! Everything that reads checks what a page says of the pages below it, so a hostile tree gives an
//! error, never a panic or unbounded work.

mod build;
mod cursor;
mod diff;
mod edit;
mod exchange;
mod fold;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
mod lookup;
mod merge;
mod missing;
mod page;
mod proof;
mod rule;
#[cfg(test)]
mod tests;
mod walk;

use bytes::Bytes;

pub use build::{build, empty};
pub use diff::{Change, diff, diff_each};
pub use edit::edit;
#[cfg(any(test, feature = "testing"))]
pub(crate) use fuzz::fuzz_edits;
pub use lookup::{count, count_prefix, get, prefix_tag};
pub use merge::{Conflict, Merged, merge};
pub use missing::pages_missing;
pub use page::{Child, Entry, Item, Page, Target};
pub use proof::{Proof, prove};
pub use walk::walk;

use crate::id::ObjectId;
use crate::object::{Kind, Object};

/// Largest encoded page.
pub const PAGE_BYTES_MAX: usize = 4096;
/// Values up to this length are inline, longer ones are blobs. A rule, not a setting.
pub const INLINE_BYTES_MAX: usize = 64;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 255;
/// Largest flags of a caller; the bit above says that a leaf has a `meta`.
pub const FLAGS_MAX: u8 = 0x7f;
/// Most pages below a page on one way down. The length of keys keeps every tree below, the worst that
/// keys can be chosen for included: they have 2,040 bits to differ in, and it takes at least six
/// differences to fill a page.
pub const HEIGHT_MAX: u16 = 512;

/// A key of a tree: 1 to 255 bytes, none below 0x20, none 0x7f.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeKey(Box<[u8]>);

/// Why bytes are not a key of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree's key has 1 to {KEY_BYTES_MAX} bytes and no control characters: {0}")]
pub struct TreeKeyError(pub String);

impl TreeKey {
    /// Checks the bytes.
    ///
    /// # Errors
    /// Too long, empty, or a control character.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, TreeKeyError> {
        let bytes: Vec<u8> = bytes.into();
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
            return Err(TreeKeyError(format!("this has {} bytes", bytes.len())));
        }
        if let Some(at) = bytes.iter().position(|b| *b < 0x20 || *b == 0x7f) {
            return Err(TreeKeyError(format!("this has one at byte {at}")));
        }
        Ok(Self(bytes.into_boxed_slice()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a key leads to. `entry_type` and `flags` are the caller's. INVARIANT: the flags are at most
/// [`FLAGS_MAX`]; building and editing panic where they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The caller's type number.
    pub entry_type: u8,
    /// The caller's flags (0–127).
    pub flags: u8,
    /// The value.
    pub value: LeafValue,
    /// Id of the entry's `meta` object.
    pub meta: Option<ObjectId>,
}

/// A value in a page. INVARIANT: inline exactly when its length is at most [`INLINE_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafValue {
    /// At most 64 bytes, in the page.
    Inline(Box<[u8]>),
    /// More than 64 bytes, an object of its own.
    Blob {
        /// Its id.
        id: ObjectId,
        /// Its length in bytes.
        size: u32,
    },
}

impl LeafValue {
    /// The value of these bytes by the rule of their length, and the blob that it needs, if any.
    ///
    /// # Panics
    /// The bytes are 4 GiB or more.
    #[must_use]
    pub fn of(bytes: impl Into<Bytes>) -> (Self, Option<Object>) {
        let bytes = bytes.into();
        if bytes.len() <= INLINE_BYTES_MAX {
            return (Self::Inline(bytes.as_ref().into()), None);
        }
        assert!(
            u32::try_from(bytes.len()).is_ok(),
            "a value has less than 4 GiB"
        );
        let size = bytes.len() as u32;
        let blob = Object::new(Kind::Blob, bytes);
        (
            Self::Blob {
                id: blob.id(),
                size,
            },
            Some(blob),
        )
    }
}

impl Leaf {
    /// Stops a leaf that no page can hold before it gets into one.
    fn assert_valid(&self) {
        assert!(
            self.flags <= FLAGS_MAX,
            "the flags of a leaf are at most {FLAGS_MAX}"
        );
        match &self.value {
            LeafValue::Inline(bytes) => {
                assert!(
                    bytes.len() <= INLINE_BYTES_MAX,
                    "a value of more than {INLINE_BYTES_MAX} bytes is a blob"
                );
            }
            LeafValue::Blob { size, .. } => {
                assert!(
                    *size as usize > INLINE_BYTES_MAX,
                    "a value of at most {INLINE_BYTES_MAX} bytes is inline"
                );
            }
        }
    }
}

/// A new tree: its root, and the pages that its predecessor does not have.
#[derive(Debug)]
pub struct Edited {
    /// Root page.
    pub root: ObjectId,
    /// New pages, children before parents, each with the page it stands in the place of.
    pub pages: Vec<(Object, Option<ObjectId>)>,
}
