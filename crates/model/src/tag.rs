//! What a tag is called: a lasting name for one commit of a namespace.
//!
//! INVARIANT: a tag never reads as another kind of revision, so `@NAME` has one meaning.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::quoted::Quoted;
use crate::revision::COMMIT_PREFIX_CHARS_MIN;

/// Most characters in the name of a tag.
pub const TAG_CHARS_MAX: usize = 63;

/// Names a commit for good, as in `v2.1` or `before-migration`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(Arc<str>);

/// Why a piece of text is not the name of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagNameError {
    /// There is no text.
    #[error("the name of a tag cannot be empty")]
    Empty,
    /// The first character is not a letter or digit.
    #[error("tag {} must start with A-Z, a-z or 0-9", Quoted(text))]
    Start {
        /// The text as given.
        text: String,
    },
    /// A character is outside the alphabet.
    #[error(
        "tag {} has {}; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`",
        Quoted(text),
        Quoted(&found.to_string())
    )]
    Character {
        /// The text as given.
        text: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// There are more than [`TAG_CHARS_MAX`] characters.
    #[error(
        "tag {} has {chars} characters, at most {TAG_CHARS_MAX} are allowed",
        Quoted(text)
    )]
    TooLong {
        /// The text as given.
        text: String,
        /// How many characters it has.
        chars: usize,
    },
    /// The text already means a head.
    #[error("tag {} is reserved, because it names a head", Quoted(text))]
    Reserved {
        /// The text as given.
        text: String,
    },
    /// The text would read as the start of a commit id.
    #[error(
        "tag {} would read as a commit id; add a letter after f, as in `v{text}`",
        Quoted(text)
    )]
    LikeCommit {
        /// The text as given.
        text: String,
    },
}

impl TagName {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TagName {
    type Err = TagNameError;

    fn from_str(text: &str) -> Result<Self, TagNameError> {
        let owned = || text.to_owned();
        let Some(first) = text.chars().next() else {
            return Err(TagNameError::Empty);
        };
        let foreign = text
            .chars()
            .find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
        if let Some(found) = foreign {
            return Err(TagNameError::Character {
                text: owned(),
                found,
            });
        }
        if !first.is_ascii_alphanumeric() {
            return Err(TagNameError::Start { text: owned() });
        }
        if text.len() > TAG_CHARS_MAX {
            return Err(TagNameError::TooLong {
                text: owned(),
                chars: text.len(),
            });
        }
        if matches!(text, "published" | "draft") {
            return Err(TagNameError::Reserved { text: owned() });
        }
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex && text.len() >= COMMIT_PREFIX_CHARS_MIN {
            return Err(TagNameError::LikeCommit { text: owned() });
        }
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(TagName);
