//! The codec of structured objects other than pages: strictly ascending tag-length-value.
//!
//! `'C', kind, 1, 0`, then fields `u8 tag | u32 LE length | bytes`, tags strictly ascending, each at
//! most once, none empty: a value that is empty has no field. Even tags must be understood; odd tags
//! may be skipped and are preserved. `docs/FORMAT-objects.md` has every byte.
//!
//! INVARIANT: `decode(bytes)` succeeds only if encoding its result gives `bytes` again. The framing
//! here has one form per list of fields; each kind adds one form per field and compares in the end.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::{ID_BYTES, ObjectId};

/// Bytes before the first field.
pub const HEADER_BYTES: usize = 4;
/// Most fields of an object.
pub const FIELDS_MAX: usize = 64;
/// Longest name, address or other short text in a field, in bytes.
pub const SHORT_TEXT_BYTES_MAX: usize = 255;

/// First byte of every structured object.
const MAGIC: u8 = b'C';
/// Version of the framing.
const FORMAT: u8 = 1;
/// Bytes of a tag and a length.
const FIELD_HEADER_BYTES: usize = 5;

/// Why bytes are not an object of the kind they were said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical {kind} at byte {offset}: {reason}")]
pub struct DecodeError {
    /// What was being decoded.
    pub kind: &'static str,
    /// Offset of the first byte that is wrong.
    pub offset: usize,
    /// What is wrong there and what is allowed.
    pub reason: String,
}

/// Why a value has no canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} like this cannot be written: {reason}")]
pub struct EncodeError {
    /// What was being encoded.
    pub kind: &'static str,
    /// Tag of the field at fault, `None` for the whole.
    pub tag: Option<u8>,
    /// What is wrong and what is allowed.
    pub reason: String,
}

impl EncodeError {
    /// Blames a field.
    #[must_use]
    pub fn field(kind: &'static str, tag: u8, reason: impl Into<String>) -> Self {
        Self {
            kind,
            tag: Some(tag),
            reason: reason.into(),
        }
    }

    /// Blames the whole.
    #[must_use]
    pub fn whole(kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            kind,
            tag: None,
            reason: reason.into(),
        }
    }
}

/// Which control characters a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// None at all.
    One,
    /// Line feed and tab.
    Many,
}

/// Checks that a text is at most `bytes_max` long and has no control characters but those allowed.
///
/// # Errors
/// What is wrong, with the byte at which it is wrong.
pub fn check_text(text: &str, bytes_max: usize, lines: Lines) -> Result<(), (usize, String)> {
    if text.len() > bytes_max {
        return Err((
            bytes_max,
            format!(
                "text of {} bytes, at most {bytes_max} are allowed",
                text.len()
            ),
        ));
    }
    let allowed = |c: char| lines == Lines::Many && matches!(c, '\n' | '\t');
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() && !allowed(*c))
    {
        None => Ok(()),
        Some((at, c)) => {
            let but = if lines == Lines::Many {
                " other than line feed and tab"
            } else {
                ""
            };
            Err((
                at,
                format!(
                    "control character U+{:04X}; none{but} is allowed",
                    u32::from(c)
                ),
            ))
        }
    }
}

/// Writes a structured object. Fields may be given in any order; empty ones are left out.
#[derive(Debug)]
pub struct TlvWriter {
    kind: u8,
    fields: BTreeMap<u8, Vec<u8>>,
}

impl TlvWriter {
    /// Begins an object of this kind: a [`Kind`](crate::Kind), or a number above 31 for what is not an object.
    #[must_use]
    pub fn new(kind: impl Into<u8>) -> Self {
        Self {
            kind: kind.into(),
            fields: BTreeMap::new(),
        }
    }

    /// Sets a field, unless `bytes` is empty.
    #[must_use]
    pub fn field(mut self, tag: u8, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        if !bytes.is_empty() {
            self.fields.insert(tag, bytes.to_vec());
        }
        self
    }

    /// Sets a field where there is a value.
    #[must_use]
    pub fn optional(self, tag: u8, bytes: Option<impl AsRef<[u8]>>) -> Self {
        match bytes {
            Some(bytes) => self.field(tag, bytes),
            None => self,
        }
    }

    /// Sets a field to the concatenation of the ids.
    #[must_use]
    pub fn ids(self, tag: u8, ids: &[ObjectId]) -> Self {
        let mut bytes = Vec::with_capacity(ids.len() * ID_BYTES);
        for id in ids {
            bytes.extend_from_slice(id.as_bytes());
        }
        self.field(tag, bytes)
    }

    /// Adds the fields that a reader did not know. They give way to fields that are set already.
    #[must_use]
    pub fn unknown(mut self, fields: &[(u8, Bytes)]) -> Self {
        for (tag, bytes) in fields {
            if !bytes.is_empty() {
                self.fields.entry(*tag).or_insert_with(|| bytes.to_vec());
            }
        }
        self
    }

    /// The bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let total = self
            .fields
            .values()
            .map(|bytes| FIELD_HEADER_BYTES + bytes.len())
            .sum::<usize>();
        let mut out = Vec::with_capacity(HEADER_BYTES + total);
        out.extend_from_slice(&[MAGIC, self.kind, FORMAT, 0]);
        for (tag, bytes) in self.fields {
            out.push(tag);
            // A field beyond 4 GiB exceeds the limit of every kind; its cut length fails the comparison there.
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
        out
    }
}

/// Checks the length of what is to be decoded, before anything else.
///
/// # Errors
/// More than `bytes_max`.
pub fn check_len(kind: &'static str, bytes: &[u8], bytes_max: usize) -> Result<(), DecodeError> {
    if bytes.len() <= bytes_max {
        return Ok(());
    }
    let reason = format!("{} bytes, at most {bytes_max} are allowed", bytes.len());
    Err(DecodeError {
        kind,
        offset: bytes_max,
        reason,
    })
}

/// Checks the form of what was encoded: its length, and the number of its fields.
///
/// # Errors
/// More than `bytes_max` bytes or [`FIELDS_MAX`] fields.
pub fn check_size(kind: &'static str, encoded: &[u8], bytes_max: usize) -> Result<(), EncodeError> {
    check_len(kind, encoded, bytes_max)
        .and_then(|()| {
            let number = encoded.get(1).copied().unwrap_or_default();
            TlvReader::new(kind, number, encoded).map(|_| ())
        })
        .map_err(|e| EncodeError::whole(kind, e.reason))
}

/// Checks the fields that a value preserves for others: odd, ascending, not empty, not known here.
///
/// # Errors
/// The first that is not.
pub fn check_unknown(
    kind: &'static str,
    known: &[u8],
    unknown: &[(u8, Bytes)],
) -> Result<(), EncodeError> {
    let mut last = None;
    for (tag, bytes) in unknown {
        let at_fault = if tag % 2 == 0 {
            "an unknown field has an odd tag"
        } else if known.contains(tag) {
            "an unknown field has a tag that is known"
        } else if last.is_some_and(|last| last >= *tag) {
            "unknown fields are in ascending order, each once"
        } else if bytes.is_empty() {
            "an unknown field is not empty"
        } else {
            last = Some(*tag);
            continue;
        };
        return Err(EncodeError::field(
            kind,
            *tag,
            format!("{at_fault}; tag {tag} breaks this"),
        ));
    }
    Ok(())
}

/// A field as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    kind: &'static str,
    tag: u8,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Field<'a> {
    /// The bytes, at least one.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Blames the byte `at` of this field.
    #[must_use]
    pub fn error(&self, at: usize, reason: impl Into<String>) -> DecodeError {
        let reason = format!("field {}: {}", self.tag, reason.into());
        DecodeError {
            kind: self.kind,
            offset: self.offset + at,
            reason,
        }
    }

    /// Exactly `N` bytes.
    ///
    /// # Errors
    /// Another length.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], DecodeError> {
        <[u8; N]>::try_from(self.bytes).map_err(|_| {
            self.error(
                0,
                format!("{} bytes, exactly {N} are needed", self.bytes.len()),
            )
        })
    }

    /// An unsigned number, 8 bytes, little-endian.
    ///
    /// # Errors
    /// Another length.
    pub fn u64(&self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A signed number, 8 bytes, little-endian.
    ///
    /// # Errors
    /// Another length.
    pub fn i64(&self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    /// An id.
    ///
    /// # Errors
    /// Another length.
    pub fn id(&self) -> Result<ObjectId, DecodeError> {
        self.array().map(ObjectId::from_bytes)
    }

    /// Ids, one after the other, at most `count_max`.
    ///
    /// # Errors
    /// A length that is not a multiple of an id's, or too many.
    pub fn ids(&self, count_max: usize) -> Result<Vec<ObjectId>, DecodeError> {
        let items = self.items::<ID_BYTES>(count_max)?;
        Ok(items
            .iter()
            .map(|bytes| ObjectId::from_bytes(*bytes))
            .collect())
    }

    /// Items of a fixed width, one after the other, at most `count_max`.
    ///
    /// # Errors
    /// A length that is not a multiple of the width, or too many.
    pub fn items<const N: usize>(&self, count_max: usize) -> Result<&'a [[u8; N]], DecodeError> {
        let (items, rest) = self.bytes.as_chunks::<N>();
        if !rest.is_empty() {
            let reason = format!("{} bytes, a multiple of {N} is needed", self.bytes.len());
            return Err(self.error(self.bytes.len() - rest.len(), reason));
        }
        if items.len() > count_max {
            let reason = format!("{} items, at most {count_max} are allowed", items.len());
            return Err(self.error(count_max * N, reason));
        }
        Ok(items)
    }

    /// UTF-8 text under the rules of [`check_text`].
    ///
    /// # Errors
    /// It is too long, not UTF-8, or has a control character that is not allowed.
    pub fn text(&self, bytes_max: usize, lines: Lines) -> Result<String, DecodeError> {
        self.text_of(self.bytes, 0, bytes_max, lines)
    }

    /// Texts, each `u8 length | bytes`, one line each, at most `count_max` of at most `bytes_max`.
    ///
    /// # Errors
    /// As [`Self::text`], and too many or cut short.
    pub fn texts(&self, count_max: usize, bytes_max: usize) -> Result<Vec<String>, DecodeError> {
        let mut texts = Vec::new();
        let mut at = 0;
        while let Some((len, rest)) = self.bytes.get(at..).and_then(<[u8]>::split_first) {
            if texts.len() == count_max {
                return Err(self.error(at, format!("more texts than the {count_max} allowed")));
            }
            let len = usize::from(*len);
            let Some(bytes) = rest.get(..len) else {
                return Err(self.error(
                    at,
                    format!("text of {len} bytes, only {} are left", rest.len()),
                ));
            };
            texts.push(self.text_of(bytes, at + 1, bytes_max, Lines::One)?);
            at += 1 + len;
        }
        Ok(texts)
    }

    fn text_of(
        &self,
        bytes: &[u8],
        at: usize,
        bytes_max: usize,
        lines: Lines,
    ) -> Result<String, DecodeError> {
        if bytes.len() > bytes_max {
            let reason = format!(
                "text of {} bytes, at most {bytes_max} are allowed",
                bytes.len()
            );
            return Err(self.error(at + bytes_max, reason));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| self.error(at + e.valid_up_to(), "not UTF-8"))?;
        check_text(text, bytes_max, lines)
            .map_err(|(within, reason)| self.error(at + within, reason))?;
        Ok(text.to_owned())
    }
}

/// Writes texts as [`Field::texts`] reads them. A text beyond 255 bytes is cut; checks come before.
#[must_use]
pub fn join_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        out.push(len);
        out.extend(text.bytes().take(usize::from(len)));
    }
    out
}

/// Reads a structured object, field by field.
#[derive(Debug)]
pub struct TlvReader<'a> {
    kind: &'static str,
    bytes: &'a [u8],
    fields: Vec<Field<'a>>,
    taken: [bool; FIELDS_MAX],
}

impl<'a> TlvReader<'a> {
    /// Checks the header and the framing of every field.
    ///
    /// # Errors
    /// Another kind or version, a field that is cut, empty or out of order, too many fields.
    pub fn new(kind: &'static str, kind_number: u8, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let fail = |offset: usize, reason: String| DecodeError {
            kind,
            offset,
            reason,
        };
        for (at, (want, what)) in [
            (MAGIC, "the first byte"),
            (kind_number, "the kind"),
            (FORMAT, "the format"),
            (0, "the fourth byte"),
        ]
        .into_iter()
        .enumerate()
        {
            match bytes.get(at) {
                None => {
                    return Err(fail(
                        at,
                        format!("ends inside of the {HEADER_BYTES} header bytes"),
                    ));
                }
                Some(have) if *have != want => {
                    return Err(fail(
                        at,
                        format!("{what} is {have:#04x}, {want:#04x} is needed"),
                    ));
                }
                Some(_) => {}
            }
        }
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut at = HEADER_BYTES;
        while at < bytes.len() {
            let Some((head, rest)) = bytes
                .get(at..)
                .and_then(|left| left.split_first_chunk::<FIELD_HEADER_BYTES>())
            else {
                return Err(fail(at, "ends inside of a tag and length".to_owned()));
            };
            let [tag, len @ ..] = *head;
            if let Some(last) = fields.last()
                && last.tag >= tag
            {
                let reason = format!(
                    "tag {tag} after tag {}; tags ascend, each at most once",
                    last.tag
                );
                return Err(fail(at, reason));
            }
            if fields.len() == FIELDS_MAX {
                return Err(fail(
                    at,
                    format!("more fields than the {FIELDS_MAX} allowed"),
                ));
            }
            let len = u32::from_le_bytes(len);
            if len == 0 {
                return Err(fail(
                    at + 1,
                    format!("field {tag} is empty; an empty value has no field"),
                ));
            }
            let Some(value) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
                return Err(fail(
                    at + 1,
                    format!("field {tag} has {len} bytes, only {} are left", rest.len()),
                ));
            };
            fields.push(Field {
                kind,
                tag,
                offset: at + FIELD_HEADER_BYTES,
                bytes: value,
            });
            at += FIELD_HEADER_BYTES + value.len();
        }
        Ok(Self {
            kind,
            bytes,
            fields,
            taken: [false; FIELDS_MAX],
        })
    }

    /// The field with this tag, if it is there.
    pub fn take(&mut self, tag: u8) -> Option<Field<'a>> {
        let at = self.fields.iter().position(|field| field.tag == tag)?;
        if let Some(taken) = self.taken.get_mut(at) {
            *taken = true;
        }
        self.fields.get(at).copied()
    }

    /// The field with this tag.
    ///
    /// # Errors
    /// It is not there; `what` says what is missing.
    pub fn require(&mut self, tag: u8, what: &str) -> Result<Field<'a>, DecodeError> {
        let end = self.bytes.len();
        self.take(tag).ok_or_else(|| DecodeError {
            kind: self.kind,
            offset: self
                .fields
                .iter()
                .find(|f| f.tag > tag)
                .map_or(end, |f| f.offset - FIELD_HEADER_BYTES),
            reason: format!("field {tag} ({what}) is missing"),
        })
    }

    /// The fields that were not taken, to be preserved.
    ///
    /// # Errors
    /// One of them has an even tag: it must be understood and is not.
    pub fn rest(&self) -> Result<Vec<(u8, Bytes)>, DecodeError> {
        let mut unknown = Vec::new();
        for (field, taken) in self.fields.iter().zip(self.taken) {
            if taken {
                continue;
            }
            if field.tag % 2 == 0 {
                return Err(DecodeError {
                    kind: self.kind,
                    offset: field.offset - FIELD_HEADER_BYTES,
                    reason: format!(
                        "field {} is unknown and even: it must be understood",
                        field.tag
                    ),
                });
            }
            unknown.push((field.tag, Bytes::copy_from_slice(field.bytes)));
        }
        Ok(unknown)
    }

    /// Blames the field that a value's own check blames.
    #[must_use]
    pub fn blame(&self, error: EncodeError) -> DecodeError {
        let field = error
            .tag
            .and_then(|tag| self.fields.iter().find(|field| field.tag == tag));
        match field {
            Some(field) => field.error(0, error.reason),
            None => DecodeError {
                kind: self.kind,
                offset: 0,
                reason: error.reason,
            },
        }
    }

    /// Holds what was read to its canonical form: `encoded` is what writing it again gives.
    ///
    /// # Errors
    /// The bytes differ.
    pub fn same(&self, encoded: &[u8]) -> Result<(), DecodeError> {
        if encoded == self.bytes {
            return Ok(());
        }
        let offset = self
            .bytes
            .iter()
            .zip(encoded)
            .take_while(|(a, b)| a == b)
            .count();
        Err(DecodeError {
            kind: self.kind,
            offset,
            reason: "not what encoding it again gives".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: u8 = 40;

    fn check(bytes: &[u8]) -> String {
        match TlvReader::new("thing", KIND, bytes) {
            Ok(reader) => format!(
                "{:?}",
                reader
                    .fields
                    .iter()
                    .map(|f| (f.tag, f.bytes))
                    .collect::<Vec<_>>()
            ),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn fields_are_sorted_and_empty_ones_left_out() {
        let bytes = TlvWriter::new(KIND)
            .field(9, b"z")
            .field(2, b"")
            .unknown(&[(3, Bytes::from_static(b"u"))])
            .finish();
        assert_eq!(bytes, b"C\x28\x01\x00\x03\x01\0\0\0u\x09\x01\0\0\0z");
        assert_eq!(check(&bytes), "[(3, [117]), (9, [122])]");
    }

    #[test]
    fn framing_errors_name_the_offset() {
        insta::assert_snapshot!(check(b""), @"not a canonical thing at byte 0: ends inside of the 4 header bytes");
        insta::assert_snapshot!(check(b"D\x28\x01\x00"), @"not a canonical thing at byte 0: the first byte is 0x44, 0x43 is needed");
        insta::assert_snapshot!(check(b"C\x29\x01\x00"), @"not a canonical thing at byte 1: the kind is 0x29, 0x28 is needed");
        insta::assert_snapshot!(check(b"C\x28\x02\x00"), @"not a canonical thing at byte 2: the format is 0x02, 0x01 is needed");
        insta::assert_snapshot!(check(b"C\x28\x01\x01"), @"not a canonical thing at byte 3: the fourth byte is 0x01, 0x00 is needed");
        insta::assert_snapshot!(check(b"C\x28\x01\x00\x02"), @"not a canonical thing at byte 4: ends inside of a tag and length");
        insta::assert_snapshot!(check(b"C\x28\x01\x00\x02\0\0\0\0"), @"not a canonical thing at byte 5: field 2 is empty; an empty value has no field");
        insta::assert_snapshot!(check(b"C\x28\x01\x00\x02\xff\xff\xff\xffab"), @"not a canonical thing at byte 5: field 2 has 4294967295 bytes, only 2 are left");
        insta::assert_snapshot!(check(b"C\x28\x01\x00\x02\x01\0\0\0a\x02\x01\0\0\0b"), @"not a canonical thing at byte 10: tag 2 after tag 2; tags ascend, each at most once");
    }

    #[test]
    fn one_field_too_many_is_refused() {
        let mut writer = TlvWriter::new(KIND);
        for tag in 0..FIELDS_MAX as u8 {
            writer = writer.field(tag, [tag]);
        }
        assert!(TlvReader::new("thing", KIND, &writer.finish()).is_ok());
        let mut writer = TlvWriter::new(KIND);
        for tag in 0..=FIELDS_MAX as u8 {
            writer = writer.field(tag, [tag]);
        }
        insta::assert_snapshot!(check(&writer.finish()), @"not a canonical thing at byte 388: more fields than the 64 allowed");
    }

    #[test]
    fn unknown_even_fields_are_refused_and_odd_ones_kept() {
        let bytes = TlvWriter::new(KIND)
            .field(1, b"a")
            .field(2, b"b")
            .field(4, b"c")
            .finish();
        let mut reader = TlvReader::new("thing", KIND, &bytes).unwrap();
        assert_eq!(reader.take(2).unwrap().bytes(), b"b");
        insta::assert_snapshot!(reader.rest().unwrap_err(), @"not a canonical thing at byte 16: field 4 is unknown and even: it must be understood");
        assert!(reader.take(4).is_some());
        assert_eq!(reader.rest().unwrap(), [(1, Bytes::from_static(b"a"))]);
        insta::assert_snapshot!(reader.require(3, "the third").unwrap_err(), @"not a canonical thing at byte 16: field 3 (the third) is missing");
    }

    #[test]
    fn text_is_utf8_of_a_length_without_control_characters() {
        let text = |bytes: &[u8], lines| {
            let bytes = TlvWriter::new(KIND).field(2, bytes).finish();
            let mut reader = TlvReader::new("thing", KIND, &bytes).unwrap();
            reader
                .take(2)
                .unwrap()
                .text(5, lines)
                .map_err(|e| e.to_string())
        };
        assert_eq!(text(b"a\n\tb", Lines::Many), Ok("a\n\tb".to_owned()));
        insta::assert_snapshot!(text(b"a\nb", Lines::One).unwrap_err(), @"not a canonical thing at byte 10: field 2: control character U+000A; none is allowed");
        insta::assert_snapshot!(text(b"a\rb", Lines::Many).unwrap_err(), @"not a canonical thing at byte 10: field 2: control character U+000D; none other than line feed and tab is allowed");
        insta::assert_snapshot!(text(b"ab\xffc", Lines::Many).unwrap_err(), @"not a canonical thing at byte 11: field 2: not UTF-8");
        insta::assert_snapshot!(text(b"abcdef", Lines::Many).unwrap_err(), @"not a canonical thing at byte 14: field 2: text of 6 bytes, at most 5 are allowed");
    }
}
