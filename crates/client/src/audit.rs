//! Verifies the audit log: the hash of every operation is made again from its bytes, and each must follow
//! from the one before.
//!
//! The bytes are read as `docs/FORMAT-refs.md` has them, without the crate that writes them: a verifier that
//! shares the writer's code shares its mistakes.

use confman_api::operation::SealedOperation;
use confman_object_store::codec::TlvReader;
use confman_object_store::{DecodeError, Kind, Object, ObjectId};
use data_encoding::BASE64;
use thiserror::Error;

const SEQUENCE: u8 = 0;
const PARENT: u8 = 2;
const INDEX: u8 = 4;
const TERM: u8 = 6;
const TIME: u8 = 8;
/// Actor, action, detail, request, edits and view: the hash covers them, and nothing here depends on them.
const OTHERS: [u8; 6] = [10, 12, 14, 16, 18, 20];

/// What of an operation the chain depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    id: ObjectId,
    sequence: u64,
    index: u64,
    term: u64,
    time_ms: i64,
}

/// Why the audit log cannot be what happened.
#[derive(Debug, Error)]
pub enum AuditError {
    /// It is not base64, or not an operation.
    #[error("operation {number} cannot be read: {reason}")]
    Malformed {
        /// Its place in the log.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// Its bytes do not have its id as their hash.
    #[error("operation {number} says that it is {said}, its bytes are {actual}")]
    Hash {
        /// Its place in the log.
        number: u64,
        /// The id that came with it.
        said: String,
        /// The hash of its bytes.
        actual: ObjectId,
    },
    /// It does not follow from the one before.
    #[error("operation {number} ({id}) does not follow from the one before: {reason}")]
    Link {
        /// Its place in the log.
        number: u64,
        /// Its id.
        id: ObjectId,
        /// What is wrong.
        reason: String,
    },
}

/// Takes operations one by one, oldest first.
#[derive(Clone, Debug, Default)]
pub struct AuditVerifier {
    last: Option<Link>,
}

impl AuditVerifier {
    /// How many operations were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.last.map_or(0, |last| last.sequence)
    }

    /// Id of the last one, which stands for all of them.
    #[must_use]
    pub fn head(&self) -> Option<ObjectId> {
        self.last.map(|last| last.id)
    }

    /// Log index of the last one.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.last.map_or(0, |last| last.index)
    }

    /// Takes the next operation.
    ///
    /// # Errors
    /// See [`AuditError`].
    pub fn take(&mut self, sealed: &SealedOperation) -> Result<(), AuditError> {
        let number = self.count() + 1;
        let malformed = |reason: String| AuditError::Malformed { number, reason };
        let bytes = BASE64
            .decode(sealed.bytes.as_bytes())
            .map_err(|error| malformed(error.to_string()))?;
        let id = Object::new(Kind::Operation, bytes.clone()).id();
        if id.to_string() != sealed.id {
            return Err(AuditError::Hash {
                number,
                said: sealed.id.chars().take(64).collect(),
                actual: id,
            });
        }
        let (link, parent) = read(id, &bytes).map_err(|error| malformed(error.to_string()))?;
        if let Some(reason) = wrong(self.last.as_ref(), &link, parent) {
            return Err(AuditError::Link { number, id, reason });
        }
        self.last = Some(link);
        Ok(())
    }
}

fn read(id: ObjectId, bytes: &[u8]) -> Result<(Link, Option<ObjectId>), DecodeError> {
    let mut fields = TlvReader::new("operation", Kind::Operation.into(), bytes)?;
    let link = Link {
        id,
        sequence: fields.require(SEQUENCE, "sequence number")?.u64()?,
        index: fields.require(INDEX, "log index")?.u64()?,
        term: fields.require(TERM, "term")?.u64()?,
        time_ms: fields.require(TIME, "time")?.i64()?,
    };
    let parent = fields.take(PARENT).map(|field| field.id()).transpose()?;
    for tag in OTHERS {
        fields.take(tag);
    }
    fields.rest()?;
    Ok((link, parent))
}

/// Why an operation does not follow from the one before.
fn wrong(last: Option<&Link>, link: &Link, parent: Option<ObjectId>) -> Option<String> {
    let number = last.map_or(0, |last| last.sequence) + 1;
    if link.sequence != number {
        return Some(format!("it is number {}, not {number}", link.sequence));
    }
    if parent != last.map(|last| last.id) {
        let shown =
            |id: Option<ObjectId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        return Some(format!(
            "its parent is {}, the one before is {}",
            shown(parent),
            shown(last.map(|last| last.id))
        ));
    }
    let last = last?;
    if link.index <= last.index {
        return Some(format!(
            "its log index {} is not above {}",
            link.index, last.index
        ));
    }
    if link.term < last.term {
        return Some(format!("its term {} is below {}", link.term, last.term));
    }
    if link.time_ms < last.time_ms {
        return Some(format!(
            "its time {} ms is before {} ms",
            link.time_ms, last.time_ms
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use confman_object_store::codec::TlvWriter;

    use super::*;

    struct Made {
        sequence: u64,
        parent: Option<ObjectId>,
        index: u64,
        term: u64,
        time_ms: i64,
        actor: &'static str,
    }

    fn sealed(made: &Made) -> (SealedOperation, ObjectId) {
        let bytes = TlvWriter::new(Kind::Operation)
            .field(SEQUENCE, made.sequence.to_le_bytes())
            .optional(PARENT, made.parent.as_ref().map(ObjectId::as_bytes))
            .field(INDEX, made.index.to_le_bytes())
            .field(TERM, made.term.to_le_bytes())
            .field(TIME, made.time_ms.to_le_bytes())
            .field(10, made.actor)
            .field(12, "publish")
            .field(16, [1; 16])
            .finish();
        let id = Object::new(Kind::Operation, bytes.clone()).id();
        let sealed = SealedOperation {
            id: id.to_string(),
            bytes: BASE64.encode(&bytes),
        };
        (sealed, id)
    }

    fn first() -> Made {
        Made {
            sequence: 1,
            parent: None,
            index: 4,
            term: 2,
            time_ms: 1000,
            actor: "ann",
        }
    }

    /// What is said about a second operation after the first.
    #[must_use]
    fn said(second: impl FnOnce(&mut Made)) -> String {
        let mut verifier = AuditVerifier::default();
        let (one, id) = sealed(&first());
        verifier.take(&one).unwrap();
        let mut made = Made {
            sequence: 2,
            parent: Some(id),
            index: 5,
            time_ms: 1000,
            ..first()
        };
        second(&mut made);
        match verifier.take(&sealed(&made).0) {
            Ok(()) => format!("{} ok", verifier.count()),
            Err(error) => {
                let text = error.to_string();
                // Ids are not what this is about.
                let is_id = |word: &&str| word.trim_matches(['(', ')', ':', ',']).len() == 64;
                let id = text.split(' ').find(is_id).map(str::to_owned);
                id.map_or(text.clone(), |id| text.replace(&id, "[id]"))
            }
        }
    }

    #[test]
    fn each_must_follow_from_the_one_before() {
        insta::assert_snapshot!(said(|_| {}), @"2 ok");
        insta::assert_snapshot!(said(|made| made.sequence = 3), @"operation 2 [id] does not follow from the one before: it is number 3, not 2");
        insta::assert_snapshot!(said(|made| made.index = 4), @"operation 2 [id] does not follow from the one before: its log index 4 is not above 4");
        insta::assert_snapshot!(said(|made| made.term = 1), @"operation 2 [id] does not follow from the one before: its term 1 is below 2");
        insta::assert_snapshot!(said(|made| made.time_ms = 999), @"operation 2 [id] does not follow from the one before: its time 999 ms is before 1000 ms");
        let orphan = said(|made| made.parent = None);
        assert!(
            orphan.contains("its parent is none, the one before is "),
            "{orphan}"
        );
    }

    #[test]
    fn a_byte_that_was_changed_is_found() {
        let (mut one, id) = sealed(&first());
        let (forged, _) = sealed(&Made {
            actor: "bob",
            ..first()
        });
        one.bytes = forged.bytes;
        let error = AuditVerifier::default().take(&one).unwrap_err();
        assert!(
            matches!(error, AuditError::Hash { number: 1, ref said, .. } if *said == id.to_string())
        );
        one.bytes = "not base64".to_owned();
        let error = AuditVerifier::default().take(&one).unwrap_err();
        assert!(matches!(error, AuditError::Malformed { number: 1, .. }));
    }
}
