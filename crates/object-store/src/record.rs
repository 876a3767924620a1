//! Records: typed documents with a pointer to their predecessor.

use bytes::Bytes;
use crate::codec::DecodeError;
use crate::id::ObjectId;
use crate::object::Kind;

/// A version of a principal, token, publish request, import mark, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `principal`, `token`, `request`, `import`, ….
    pub record_type: String,
    /// The version before this one.
    pub previous: Option<ObjectId>,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Who wrote it.
    pub actor: String,
    /// The document.
    pub body: Bytes,
    /// Objects that the document needs to stay, in order.
    pub links: Vec<(Kind, ObjectId)>,
    /// Optional fields this version does not know, preserved.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Record {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> { todo!() }
    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> { todo!() }
}
