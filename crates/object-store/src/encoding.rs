//! How an object's bytes are written in packs, log entries and at rest: as they are, compressed,
//! or compressed with another object of the same kind as the dictionary.

use bytes::Bytes;
use crate::id::ObjectId;
use crate::object::{Kind, Object};

/// Longest chain of dictionaries behind an object.
pub const DELTA_DEPTH_MAX: u8 = 16;

/// How a payload gives the bytes of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The bytes themselves.
    Raw,
    /// A zstd frame of `len` bytes.
    Zstd {
        /// Bytes of the object.
        len: u32,
    },
    /// A zstd frame whose dictionary is the object `base`, of the same kind.
    Delta {
        /// Bytes of the object.
        len: u32,
        /// The dictionary.
        base: ObjectId,
        /// One more than the depth of `base`; at most [`DELTA_DEPTH_MAX`].
        depth: u8,
    },
}

/// An object as it travels and rests. Not verified until decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What it claims to be.
    pub kind: Kind,
    /// Its claimed name.
    pub id: ObjectId,
    /// How to read the payload.
    pub encoding: Encoding,
    /// The bytes as written.
    pub payload: Bytes,
}

impl Encoded {
    /// Writes the object in the smallest of the encodings that do not need another object.
    #[must_use]
    pub fn new(_object: &Object) -> Self { todo!() }

    /// Writes the object against `base` (its bytes and its own depth) where that is worth it,
    /// else as [`Encoded::new`] does.
    #[must_use]
    pub fn against(_object: &Object, _base: &Object, _base_depth: u8) -> Self { todo!() }
}
