//! One segment of a namespace; the same alphabet names drafts.

use thiserror::Error;

use crate::quoted::Quoted;

/// Most characters in a segment.
pub const SEGMENT_CHARS_MAX: usize = 63;

/// Why a piece of text is not a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SegmentError {
    /// There is no character at all.
    #[error("it is empty")]
    Empty,
    /// The first character is not a lower-case letter or digit.
    #[error("{} must start with a-z or 0-9, not {}", Quoted(segment), Quoted(&found.to_string()))]
    Start {
        /// The segment as given.
        segment: String,
        /// Its first character.
        found: char,
    },
    /// A character is outside the alphabet.
    #[error(
        "{} has {} at character {at}; allowed are a-z, 0-9, `.`, `_` and `-`",
        Quoted(segment),
        Quoted(&found.to_string())
    )]
    Character {
        /// The segment as given.
        segment: String,
        /// The first character that is not allowed.
        found: char,
        /// Its place, counted from 1.
        at: usize,
    },
    /// There are more than [`SEGMENT_CHARS_MAX`] characters.
    #[error(
        "{} has {chars} characters, at most {SEGMENT_CHARS_MAX} are allowed",
        Quoted(segment)
    )]
    TooLong {
        /// The segment as given.
        segment: String,
        /// How many characters it has.
        chars: usize,
    },
}

/// Checks that `segment` is `[a-z0-9][a-z0-9._-]{0,62}`.
pub(crate) fn check(segment: &str) -> Result<(), SegmentError> {
    let Some(first) = segment.chars().next() else {
        return Err(SegmentError::Empty);
    };
    for (index, found) in segment.chars().enumerate() {
        if !matches!(found, 'a'..='z' | '0'..='9' | '.' | '_' | '-') {
            return Err(SegmentError::Character {
                segment: segment.to_owned(),
                found,
                at: index + 1,
            });
        }
    }
    if !first.is_ascii_alphanumeric() {
        return Err(SegmentError::Start {
            segment: segment.to_owned(),
            found: first,
        });
    }
    let chars = segment.len();
    if chars > SEGMENT_CHARS_MAX {
        return Err(SegmentError::TooLong {
            segment: segment.to_owned(),
            chars,
        });
    }
    Ok(())
}
