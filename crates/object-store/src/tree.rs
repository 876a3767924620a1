//! The tree: one sorted map of keys, split at the unique smallest common bit prefix, packed
//! bottom-up into pages of at most 4,096 bytes by a deterministic rule (`docs/FORMAT.md`).
//!
//! INVARIANT: the root is a function of the contents alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::id::ObjectId;
use crate::object::Object;
use crate::store::{ReadError, ReadObjects};

/// Largest encoded page.
pub const PAGE_BYTES_MAX: usize = 4096;
/// Values up to this length are inline, longer ones are blobs. A rule, not a setting.
pub const INLINE_BYTES_MAX: usize = 64;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 255;

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
    pub fn as_bytes(&self) -> &[u8] { &self.0 }
}

/// What a key leads to. `entry_type` and `flags` are the caller's; the lowest flag bits are free
/// for it, see `docs/FORMAT.md`.
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

/// A decoded page.
#[derive(Debug)]
pub struct Page {}

/// A new tree: its root, and the pages that its predecessor does not have.
#[derive(Debug)]
pub struct Edited {
    /// Root page.
    pub root: ObjectId,
    /// New pages, children before parents, each with the page it stands in the place of.
    pub pages: Vec<(Object, Option<ObjectId>)>,
}

/// The root of the tree without keys, and its page.
#[must_use]
pub fn empty() -> Object { todo!() }

/// Builds the tree of these entries: the reference that every edit is checked against.
#[must_use]
pub fn build(_entries: &BTreeMap<TreeKey, Leaf>) -> Edited { todo!() }

/// Sets (`Some`) and removes (`None`) keys. Equal to `build` of the resulting contents.
///
/// # Errors
/// A page cannot be read.
pub fn edit(_objects: &dyn ReadObjects, _root: &ObjectId, _edits: &BTreeMap<TreeKey, Option<Leaf>>) -> Result<Edited, ReadError> { todo!() }

/// The leaf of a key.
///
/// # Errors
/// A page cannot be read.
pub fn get(_objects: &dyn ReadObjects, _root: &ObjectId, _key: &[u8]) -> Result<Option<Leaf>, ReadError> { todo!() }

/// How many keys the tree has.
///
/// # Errors
/// The root cannot be read.
pub fn count(_objects: &dyn ReadObjects, _root: &ObjectId) -> Result<u64, ReadError> { todo!() }

/// How many keys have the prefix, reading only pages on its edges.
///
/// # Errors
/// A page cannot be read.
pub fn count_prefix(_objects: &dyn ReadObjects, _root: &ObjectId, _prefix: &[u8]) -> Result<u64, ReadError> { todo!() }

/// Calls `visit` for keys in order that begin with `prefix` and are greater than `after`.
///
/// # Errors
/// A page cannot be read.
pub fn walk(
    _objects: &dyn ReadObjects,
    _root: &ObjectId,
    _prefix: &[u8],
    _after: Option<&[u8]>,
    _visit: &mut dyn FnMut(TreeKey, Leaf) -> ControlFlow<()>,
) -> Result<(), ReadError> { todo!() }

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
pub fn diff(_objects: &dyn ReadObjects, _old: &ObjectId, _new: &ObjectId) -> Result<Vec<Change>, ReadError> { todo!() }

/// As [`diff`], but gives each change to `visit`, which may stop it.
///
/// # Errors
/// A page cannot be read.
pub fn diff_each(
    _objects: &dyn ReadObjects,
    _old: &ObjectId,
    _new: &ObjectId,
    _visit: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<(), ReadError> { todo!() }

/// A key that both sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub key: TreeKey,
    /// What both began with.
    pub base: Option<Leaf>,
    /// What ours has.
    pub ours: Option<Leaf>,
    /// What theirs has.
    pub theirs: Option<Leaf>,
}

/// What a three-way merge gives.
#[derive(Debug)]
pub struct Merged {
    /// What to do to `ours` to take in `theirs`; leaves out conflicting keys.
    pub edits: BTreeMap<TreeKey, Option<Leaf>>,
    /// Keys that both changed differently.
    pub conflicts: Vec<Conflict>,
}

/// Merges what `theirs` changed since `base` into `ours`, key by key.
///
/// # Errors
/// A page cannot be read.
pub fn merge(_objects: &dyn ReadObjects, _base: &ObjectId, _ours: &ObjectId, _theirs: &ObjectId) -> Result<Merged, ReadError> { todo!() }

/// Pages of `root` that `have` (other roots) do not contain, children before parents, each with the
/// page of a `have` that stood in its place, for packs. Descends only where ids differ.
///
/// # Errors
/// A page cannot be read.
pub fn pages_missing(_objects: &dyn ReadObjects, _root: &ObjectId, _have: &[ObjectId]) -> Result<Vec<(ObjectId, Option<ObjectId>)>, ReadError> { todo!() }

/// The pages from a root to where a key is or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Page bytes, root first.
    pub pages: Vec<bytes::Bytes>,
}

/// Proves what a key leads to, or that it leads nowhere.
///
/// # Errors
/// A page cannot be read.
pub fn prove(_objects: &dyn ReadObjects, _root: &ObjectId, _key: &[u8]) -> Result<Proof, ReadError> { todo!() }

impl Proof {
    /// Checks the proof and gives what the key leads to under that root.
    ///
    /// # Errors
    /// A page does not hash to what its parent says, is not canonical, or is missing or superfluous.
    pub fn verify(&self, _root: &ObjectId, _key: &[u8]) -> Result<Option<Leaf>, crate::codec::DecodeError> { todo!() }
}
