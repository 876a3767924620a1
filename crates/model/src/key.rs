//! What an entry is called inside its namespace: `stripe/api-version`.
//!
//! The slashes are part of the key and no more: key `stripe/api-version` in `/teams/payments` and
//! key `api-version` in `/teams/payments/stripe` are different things.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::quoted::Quoted;

/// Most bytes in a key.
pub const KEY_BYTES_MAX: usize = 255;
/// Most characters in one segment of a key.
pub const KEY_SEGMENT_CHARS_MAX: usize = 128;
/// Most keys in one namespace.
pub const KEYS_PER_NAMESPACE_MAX: usize = 1_000_000;

/// Names an entry inside its namespace.
///
/// The order is that of the text's bytes, which is the order of trees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a piece of text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// There is no text.
    #[error("a key cannot be empty")]
    Empty,
    /// There are more than [`KEY_BYTES_MAX`] bytes.
    #[error(
        "key {} has {bytes} bytes, at most {KEY_BYTES_MAX} are allowed",
        Quoted(text)
    )]
    TooLong {
        /// The text as given.
        text: String,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A segment has no characters: a `/` at the start or end, or two in a row.
    #[error(
        "segment {index} of key {} is empty; a key is `segment/segment` without a `/` at either end",
        Quoted(text)
    )]
    EmptySegment {
        /// The text as given.
        text: String,
        /// Which segment, counted from 1.
        index: usize,
    },
    /// A segment is `.`, `..` or `-`, which mean something else in paths and URLs.
    #[error(
        "segment {index} of key {} is {}, which is reserved",
        Quoted(text),
        Quoted(segment)
    )]
    Reserved {
        /// The text as given.
        text: String,
        /// Which segment, counted from 1.
        index: usize,
        /// The segment.
        segment: String,
    },
    /// A character is outside the alphabet.
    #[error(
        "segment {index} of key {} has {}; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`",
        Quoted(text),
        Quoted(&found.to_string())
    )]
    Character {
        /// The text as given.
        text: String,
        /// Which segment, counted from 1.
        index: usize,
        /// The first character that is not allowed.
        found: char,
    },
    /// A segment has more than [`KEY_SEGMENT_CHARS_MAX`] characters.
    #[error(
        "segment {index} of key {} has {chars} characters, at most {KEY_SEGMENT_CHARS_MAX} are allowed",
        Quoted(text)
    )]
    SegmentTooLong {
        /// The text as given.
        text: String,
        /// Which segment, counted from 1.
        index: usize,
        /// How many characters it has.
        chars: usize,
    },
}

impl Key {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let owned = || text.to_owned();
        if text.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong {
                text: owned(),
                bytes: text.len(),
            });
        }
        for (index, segment) in text.split('/').enumerate() {
            let index = index + 1;
            let foreign = segment
                .chars()
                .find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
            if let Some(found) = foreign {
                return Err(KeyError::Character {
                    text: owned(),
                    index,
                    found,
                });
            }
            if segment.is_empty() {
                return Err(KeyError::EmptySegment {
                    text: owned(),
                    index,
                });
            }
            if matches!(segment, "." | ".." | "-") {
                let segment = segment.to_owned();
                return Err(KeyError::Reserved {
                    text: owned(),
                    index,
                    segment,
                });
            }
            let chars = segment.len();
            if chars > KEY_SEGMENT_CHARS_MAX {
                return Err(KeyError::SegmentTooLong {
                    text: owned(),
                    index,
                    chars,
                });
            }
        }
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

serde_as_text!(Key);
