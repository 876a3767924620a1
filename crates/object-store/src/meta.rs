//! Description, tags and media type of an entry.

use bytes::Bytes;
use crate::codec::DecodeError;

/// What is said about an entry beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Text for people.
    pub description: String,
    /// Sorted, each once.
    pub tags: Vec<String>,
    /// Media type of a binary value.
    pub media_type: Option<String>,
    /// Optional fields this version does not know, preserved.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Meta {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> { todo!() }
    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> { todo!() }
}
