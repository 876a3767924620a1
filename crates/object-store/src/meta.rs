//! Description, tags and media type of an entry.

use bytes::Bytes;

use crate::codec::{
    self, DecodeError, EncodeError, Lines, SHORT_TEXT_BYTES_MAX, TlvReader, TlvWriter, check_text,
};
use crate::object::{Kind, Object};

/// Largest encoded meta.
pub const META_BYTES_MAX: usize = 16 * 1024;
/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4 * 1024;
/// Most tags of an entry.
pub const TAGS_MAX: usize = 32;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 64;

const NAME: &str = "meta";

const DESCRIPTION: u8 = 0;
const TAGS: u8 = 2;
const MEDIA_TYPE: u8 = 4;

/// What is said about an entry beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Text for people. Line feeds and tabs are the only control characters allowed.
    pub description: String,
    /// Sorted, each once, 1 to 64 bytes without control characters.
    pub tags: Vec<String>,
    /// Media type of a binary value, 1 to 255 bytes.
    pub media_type: Option<String>,
    /// Optional fields this version does not know, preserved: odd tags, ascending.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Meta {
    /// The canonical bytes. Only of a meta that [`Self::check`] passes; what these bytes are otherwise,
    /// [`Self::decode`] refuses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        TlvWriter::new(Kind::Meta)
            .field(DESCRIPTION, &self.description)
            .field(
                TAGS,
                codec::join_texts(self.tags.iter().map(String::as_str)),
            )
            .optional(MEDIA_TYPE, self.media_type.as_ref())
            .unknown(&self.unknown)
            .finish()
    }

    /// The object, if the meta is within its limits.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_object(&self) -> Result<Object, EncodeError> {
        self.check()?;
        Ok(Object::new(Kind::Meta, self.encode()))
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// The first field that is out of its limits.
    pub fn check(&self) -> Result<(), EncodeError> {
        let fail = |tag, reason: String| Err(EncodeError::field(NAME, tag, reason));
        check_text(&self.description, DESCRIPTION_BYTES_MAX, Lines::Many)
            .or_else(|(_, reason)| fail(DESCRIPTION, reason))?;
        if self.tags.len() > TAGS_MAX {
            return fail(
                TAGS,
                format!("{} tags, at most {TAGS_MAX} are allowed", self.tags.len()),
            );
        }
        for tag in &self.tags {
            if tag.is_empty() {
                return fail(
                    TAGS,
                    format!("an empty tag, 1 to {TAG_BYTES_MAX} bytes are allowed"),
                );
            }
            check_text(tag, TAG_BYTES_MAX, Lines::One).or_else(|(_, reason)| fail(TAGS, reason))?;
        }
        if !self.tags.is_sorted_by(|a, b| a < b) {
            return fail(
                TAGS,
                "tags are in ascending order of their bytes, each once".to_owned(),
            );
        }
        if let Some(media_type) = &self.media_type {
            if media_type.is_empty() {
                return fail(
                    MEDIA_TYPE,
                    format!("an empty media type, 1 to {SHORT_TEXT_BYTES_MAX} bytes are allowed"),
                );
            }
            check_text(media_type, SHORT_TEXT_BYTES_MAX, Lines::One)
                .or_else(|(_, reason)| fail(MEDIA_TYPE, reason))?;
        }
        codec::check_unknown(NAME, &[], &self.unknown)?;
        codec::check_size(NAME, &self.encode(), META_BYTES_MAX)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written of a meta within its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::check_len(NAME, bytes, META_BYTES_MAX)?;
        let mut fields = TlvReader::new(NAME, Kind::Meta.into(), bytes)?;
        let meta = Self {
            description: fields.take(DESCRIPTION).map_or(Ok(String::new()), |f| {
                f.text(DESCRIPTION_BYTES_MAX, Lines::Many)
            })?,
            tags: fields
                .take(TAGS)
                .map_or(Ok(Vec::new()), |f| f.texts(TAGS_MAX, TAG_BYTES_MAX))?,
            media_type: fields
                .take(MEDIA_TYPE)
                .map(|f| f.text(SHORT_TEXT_BYTES_MAX, Lines::One))
                .transpose()?,
            unknown: fields.rest()?,
        };
        meta.check().map_err(|e| fields.blame(e))?;
        fields.same(&meta.encode())?;
        Ok(meta)
    }
}
