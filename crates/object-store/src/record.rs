//! Records: typed documents with a pointer to their predecessor.

use bytes::Bytes;

use crate::codec::{
    self, DecodeError, EncodeError, Field, Lines, SHORT_TEXT_BYTES_MAX, TlvReader, TlvWriter,
    check_text,
};
use crate::id::{ID_BYTES, ObjectId};
use crate::object::{Kind, Object};

/// Largest encoded record.
pub const RECORD_BYTES_MAX: usize = RECORD_BODY_BYTES_MAX + 256 * 1024;
/// Largest document in a record.
pub const RECORD_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most objects that a record keeps.
pub const RECORD_LINKS_MAX: usize = 4096;
/// Longest name of a type of record.
pub const RECORD_TYPE_BYTES_MAX: usize = 64;

const NAME: &str = "record";

const TYPE: u8 = 0;
const PREVIOUS: u8 = 2;
const TIME: u8 = 4;
const ACTOR: u8 = 6;
const BODY: u8 = 8;
const LINKS: u8 = 10;

/// A kind and an id.
const LINK_BYTES: usize = 1 + ID_BYTES;

/// A version of a principal, token, publish request, import mark, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `principal`, `token`, `request`, `import`, …: 1 to 64 of `a-z`, `0-9`, `-`.
    pub record_type: String,
    /// The version before this one.
    pub previous: Option<ObjectId>,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Who wrote it, ≤ 255 bytes without control characters.
    pub actor: String,
    /// The document.
    pub body: Bytes,
    /// Objects that the document needs to stay, in order.
    pub links: Vec<(Kind, ObjectId)>,
    /// Optional fields this version does not know, preserved: odd tags, ascending.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Record {
    /// The canonical bytes. Only of a record that [`Self::check`] passes; what these bytes are otherwise,
    /// [`Self::decode`] refuses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut links = Vec::with_capacity(self.links.len() * LINK_BYTES);
        for (kind, id) in &self.links {
            links.push(u8::from(*kind));
            links.extend_from_slice(id.as_bytes());
        }
        TlvWriter::new(Kind::Record)
            .field(TYPE, &self.record_type)
            .optional(PREVIOUS, self.previous.as_ref().map(ObjectId::as_bytes))
            .field(TIME, self.time_ms.to_le_bytes())
            .field(ACTOR, &self.actor)
            .field(BODY, &self.body)
            .field(LINKS, links)
            .unknown(&self.unknown)
            .finish()
    }

    /// The object, if the record is within its limits.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_object(&self) -> Result<Object, EncodeError> {
        self.check()?;
        Ok(Object::new(Kind::Record, self.encode()))
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// The first field that is out of its limits.
    pub fn check(&self) -> Result<(), EncodeError> {
        let fail = |tag, reason: String| Err(EncodeError::field(NAME, tag, reason));
        let well_named = self
            .record_type
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !well_named || !(1..=RECORD_TYPE_BYTES_MAX).contains(&self.record_type.len()) {
            return fail(
                TYPE,
                format!("the type of a record is 1 to {RECORD_TYPE_BYTES_MAX} of a-z, 0-9 and -"),
            );
        }
        check_text(&self.actor, SHORT_TEXT_BYTES_MAX, Lines::One)
            .or_else(|(_, reason)| fail(ACTOR, reason))?;
        if self.body.len() > RECORD_BODY_BYTES_MAX {
            let reason = format!(
                "a document of {} bytes, at most {RECORD_BODY_BYTES_MAX} are allowed",
                self.body.len()
            );
            return fail(BODY, reason);
        }
        if self.links.len() > RECORD_LINKS_MAX {
            return fail(
                LINKS,
                format!(
                    "{} links, at most {RECORD_LINKS_MAX} are allowed",
                    self.links.len()
                ),
            );
        }
        codec::check_unknown(NAME, &[], &self.unknown)?;
        codec::check_size(NAME, &self.encode(), RECORD_BYTES_MAX)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written of a record within its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::check_len(NAME, bytes, RECORD_BYTES_MAX)?;
        let mut fields = TlvReader::new(NAME, Kind::Record.into(), bytes)?;
        let record = Self {
            record_type: fields
                .require(TYPE, "type")?
                .text(RECORD_TYPE_BYTES_MAX, Lines::One)?,
            previous: fields.take(PREVIOUS).map(|f| f.id()).transpose()?,
            time_ms: fields.require(TIME, "time")?.i64()?,
            actor: fields.take(ACTOR).map_or(Ok(String::new()), |f| {
                f.text(SHORT_TEXT_BYTES_MAX, Lines::One)
            })?,
            body: fields
                .take(BODY)
                .map_or_else(Bytes::new, |f| Bytes::copy_from_slice(f.bytes())),
            links: fields.take(LINKS).map_or(Ok(Vec::new()), decode_links)?,
            unknown: fields.rest()?,
        };
        record.check().map_err(|e| fields.blame(e))?;
        fields.same(&record.encode())?;
        Ok(record)
    }
}

fn decode_links(field: Field<'_>) -> Result<Vec<(Kind, ObjectId)>, DecodeError> {
    let items = field.items::<LINK_BYTES>(RECORD_LINKS_MAX)?;
    let mut links = Vec::with_capacity(items.len());
    for (at, [number, id @ ..]) in items.iter().enumerate() {
        let kind = Kind::from_number(*number).ok_or_else(|| {
            field.error(
                at * LINK_BYTES,
                format!("no kind of object has the number {number}"),
            )
        })?;
        links.push((kind, ObjectId::from_bytes(*id)));
    }
    Ok(links)
}
