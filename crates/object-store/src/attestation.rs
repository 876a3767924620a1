//! Attestations: detached signatures over a commit that bind store, predicate, ref and position.

use bytes::Bytes;

use crate::codec::{
    self, DecodeError, EncodeError, Field, Lines, SHORT_TEXT_BYTES_MAX, TlvReader, TlvWriter,
    check_text,
};
use crate::id::ObjectId;
use crate::object::{Kind, Object};

/// Largest encoded attestation.
pub const ATTESTATION_BYTES_MAX: usize = 16 * 1024;
/// Longest signature, in bytes.
pub const SIGNATURE_BYTES_MAX: usize = 8 * 1024;
/// The predicate whose subject is an operation; that of every other is a commit.
pub const CHECKPOINT: &str = "checkpoint";

const NAME: &str = "attestation";

const SUBJECT: u8 = 0;
const PREDICATE: u8 = 2;
const STORE: u8 = 4;
const REF_NAME: u8 = 6;
const POSITION: u8 = 8;
const ALGORITHM: u8 = 10;
const KEY_ID: u8 = 12;
const SIGNATURE: u8 = 14;

/// A statement about a commit, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The commit; the operation where the predicate is [`CHECKPOINT`].
    pub subject: ObjectId,
    /// `author`, `approval`, `publish` or `checkpoint`; not empty.
    pub predicate: String,
    /// Id of the store it is meant for.
    pub store: [u8; 16],
    /// The ref it is meant for, may be empty.
    pub ref_name: String,
    /// The position (generation) it is meant for.
    pub position: u64,
    /// Signature format, `sshsig` or `ed25519`; not empty.
    pub algorithm: String,
    /// Which key; not empty.
    pub key_id: String,
    /// The signature, 1 to 8,192 bytes.
    pub signature: Bytes,
    /// Optional fields this version does not know, preserved: odd tags, ascending.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Attestation {
    /// The canonical bytes. Only of an attestation that [`Self::check`] passes; what these bytes are
    /// otherwise, [`Self::decode`] refuses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.statement().field(SIGNATURE, &self.signature).finish()
    }

    /// The bytes that are signed: everything but the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.statement().finish()
    }

    fn statement(&self) -> TlvWriter {
        TlvWriter::new(Kind::Attestation)
            .field(SUBJECT, self.subject.as_bytes())
            .field(PREDICATE, &self.predicate)
            .field(STORE, self.store)
            .field(REF_NAME, &self.ref_name)
            .field(POSITION, self.position.to_le_bytes())
            .field(ALGORITHM, &self.algorithm)
            .field(KEY_ID, &self.key_id)
            .unknown(&self.unknown)
    }

    /// The object, if the attestation is within its limits.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_object(&self) -> Result<Object, EncodeError> {
        self.check()?;
        Ok(Object::new(Kind::Attestation, self.encode()))
    }

    /// What the subject is.
    #[must_use]
    pub fn subject_kind(&self) -> Kind {
        if self.predicate == CHECKPOINT {
            Kind::Operation
        } else {
            Kind::Commit
        }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// The first field that is out of its limits.
    pub fn check(&self) -> Result<(), EncodeError> {
        let fail = |tag, reason: String| Err(EncodeError::field(NAME, tag, reason));
        for (tag, text, what) in [
            (PREDICATE, &self.predicate, "predicate"),
            (ALGORITHM, &self.algorithm, "algorithm"),
            (KEY_ID, &self.key_id, "key id"),
        ] {
            if text.is_empty() {
                return fail(
                    tag,
                    format!("the {what} is empty, 1 to {SHORT_TEXT_BYTES_MAX} bytes are allowed"),
                );
            }
            check_text(text, SHORT_TEXT_BYTES_MAX, Lines::One)
                .or_else(|(_, reason)| fail(tag, reason))?;
        }
        check_text(&self.ref_name, SHORT_TEXT_BYTES_MAX, Lines::One)
            .or_else(|(_, reason)| fail(REF_NAME, reason))?;
        if !(1..=SIGNATURE_BYTES_MAX).contains(&self.signature.len()) {
            let len = self.signature.len();
            return fail(
                SIGNATURE,
                format!("a signature of {len} bytes, 1 to {SIGNATURE_BYTES_MAX} are allowed"),
            );
        }
        codec::check_unknown(NAME, &[], &self.unknown)?;
        codec::check_size(NAME, &self.encode(), ATTESTATION_BYTES_MAX)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written of an attestation within its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::check_len(NAME, bytes, ATTESTATION_BYTES_MAX)?;
        let mut fields = TlvReader::new(NAME, Kind::Attestation.into(), bytes)?;
        let text = |field: Field<'_>| field.text(SHORT_TEXT_BYTES_MAX, Lines::One);
        let attestation = Self {
            subject: fields.require(SUBJECT, "subject")?.id()?,
            predicate: text(fields.require(PREDICATE, "predicate")?)?,
            store: fields.require(STORE, "store")?.array()?,
            ref_name: fields.take(REF_NAME).map_or(Ok(String::new()), text)?,
            position: fields.require(POSITION, "position")?.u64()?,
            algorithm: text(fields.require(ALGORITHM, "algorithm")?)?,
            key_id: text(fields.require(KEY_ID, "key id")?)?,
            signature: Bytes::copy_from_slice(fields.require(SIGNATURE, "signature")?.bytes()),
            unknown: fields.rest()?,
        };
        attestation.check().map_err(|e| fields.blame(e))?;
        fields.same(&attestation.encode())?;
        Ok(attestation)
    }
}
