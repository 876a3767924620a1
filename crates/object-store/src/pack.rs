//! Packs: a stream of encoded objects, children before parents, with a count and a hash at the end.
//!
//! What arrives is held in quarantine: every object is decompressed under limits, hashed, decoded
//! strictly, and everything it refers to must be in the pack or be vouched for by the caller.

use std::io::{Read, Write};

use crate::encoding::Encoded;
use crate::id::ObjectId;
use crate::object::{Kind, Object};
use crate::store::ReadObjects;

/// How much a pack may hold. Every field is checked before anything of that size is allocated.
#[derive(Clone, Debug)]
pub struct PackLimits {
    /// Most objects.
    pub objects_max: u64,
    /// Most bytes on the wire.
    pub wire_bytes_max: u64,
    /// Most bytes after decompression.
    pub raw_bytes_max: u64,
    /// Largest blob.
    pub blob_bytes_max: u32,
    /// Most raw bytes for each byte on the wire, beyond the first MiB.
    pub ratio_max: u64,
}

impl Default for PackLimits {
    fn default() -> Self {
        Self {
            objects_max: 4_000_000,
            wire_bytes_max: 256 << 20,
            raw_bytes_max: 1 << 30,
            blob_bytes_max: 16 << 20,
            ratio_max: 200,
        }
    }
}

/// Why a pack is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The stream ended early or the disk failed.
    #[error("the pack ends early or cannot be read, at byte {offset}")]
    Io {
        /// Bytes read so far.
        offset: u64,
        /// What was said.
        #[source]
        source: std::io::Error,
    },
    /// A byte is not what the format has there.
    #[error("not a pack at byte {offset}: {reason}")]
    Format {
        /// Offset in the stream.
        offset: u64,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A limit is exceeded.
    #[error("the pack has more than {limit} {what}")]
    Limit {
        /// `objects`, `bytes on the wire`, ….
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An object is not what it claims to be.
    #[error("{kind} {id} in the pack is wrong: {reason}")]
    Object {
        /// Claimed kind.
        kind: Kind,
        /// Claimed id.
        id: ObjectId,
        /// What is wrong.
        reason: String,
    },
    /// An object refers to one that is neither in the pack nor known here.
    #[error("{kind} {id} refers to {missing_kind} {missing}, which is neither in the pack nor known here")]
    MissingLink {
        /// Kind of the referring object.
        kind: Kind,
        /// Its id.
        id: ObjectId,
        /// Kind of the missing object.
        missing_kind: Kind,
        /// Its id.
        missing: ObjectId,
    },
}

/// Writes a pack.
#[derive(Debug)]
pub struct PackWriter<W: Write> {
    out: W,
}

impl<W: Write> PackWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The writer fails.
    pub fn new(out: W) -> std::io::Result<Self> { Ok(Self { out }) }
    /// Writes one object.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write(&mut self, _object: &Encoded) -> std::io::Result<()> { todo!() }
    /// Writes the trailer and gives the writer back.
    ///
    /// # Errors
    /// The writer fails.
    pub fn finish(self) -> std::io::Result<W> { todo!() }
}

/// Reads a pack's frames one by one, under limits, without decompressing them.
#[derive(Debug)]
pub struct PackReader<R: Read> {
    input: R,
}

impl<R: Read> PackReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not a pack of a version known here.
    pub fn new(input: R, _limits: &PackLimits) -> Result<Self, PackError> { Ok(Self { input }) }
    /// The next frame; `None` after a trailer that is right.
    ///
    /// # Errors
    /// The stream is cut, malformed or too large.
    pub fn next_frame(&mut self) -> Result<Option<Encoded>, PackError> { todo!() }
}

/// What came out of quarantine: verified, well formed, closed under links, in the order received.
#[derive(Debug)]
pub struct Admitted {
    /// The objects.
    pub objects: Vec<Object>,
}

/// Takes a whole pack into quarantine and verifies it. Dictionaries may be in the pack or in `bases`.
/// A link to an object outside of the pack is asked of `knows`.
///
/// # Errors
/// Anything about the pack that is not right; nothing is kept then.
pub fn admit<R: Read>(
    _input: R,
    _limits: &PackLimits,
    _bases: &dyn ReadObjects,
    _knows: &dyn Fn(Kind, &ObjectId) -> bool,
) -> Result<Admitted, PackError> { todo!() }

/// The objects that an object refers to, decoded strictly; empty for blobs, metas.
///
/// # Errors
/// The bytes are not an object of that kind.
pub fn links(_kind: Kind, _bytes: &[u8]) -> Result<Vec<(Kind, ObjectId)>, crate::codec::DecodeError> { todo!() }
