//! Attestations: detached signatures over a commit that bind store, predicate, ref and position.

use bytes::Bytes;
use crate::codec::DecodeError;
use crate::id::ObjectId;

/// A statement about a commit, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The commit.
    pub subject: ObjectId,
    /// `author`, `approval`, `publish` or `checkpoint`.
    pub predicate: String,
    /// Id of the store it is meant for.
    pub store: [u8; 16],
    /// The ref it is meant for.
    pub ref_name: String,
    /// The position (generation) it is meant for.
    pub position: u64,
    /// Signature format, `sshsig` or `ed25519`.
    pub algorithm: String,
    /// Which key.
    pub key_id: String,
    /// The signature.
    pub signature: Bytes,
    /// Optional fields this version does not know, preserved.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Attestation {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> { todo!() }
    /// The bytes that are signed: everything but the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> { todo!() }
    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> { todo!() }
}
