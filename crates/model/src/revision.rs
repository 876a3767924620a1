//! Which state of a namespace is meant: the part of an address after `@`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::draft::{DraftName, DraftNameError};
use crate::quoted::Quoted;
use crate::tag::{TagName, TagNameError};

/// Fewest digits of a commit id that are accepted in its place.
pub const COMMIT_PREFIX_CHARS_MIN: usize = 8;
/// Digits of a whole commit id.
pub const COMMIT_CHARS: usize = 64;
/// Most bytes of a time between the braces.
pub const TIME_BYTES_MAX: usize = 64;

/// One state of a namespace.
///
/// The constructor of [`Revision::Commit`] and [`Revision::Time`] is `FromStr`; whoever builds
/// them by hand keeps to the form it accepts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Revision {
    /// The published head: `published`.
    #[default]
    Published,
    /// So many publications before the published head: `published~3`.
    Back(u64),
    /// The head of a draft: `draft/raise-timeout`.
    Draft(DraftName),
    /// The commit whose id starts with these lower-case hex digits.
    Commit(String),
    /// The commit that a tag names.
    Tag(TagName),
    /// The head of a publish request: `#42`.
    Request(u64),
    /// The published head as of a time: `{2026-11-20T10:00Z}`. The text is not interpreted here,
    /// because this crate has no clock.
    Time(String),
}

/// Why a piece of text is not a revision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RevisionError {
    /// There is no text.
    #[error(
        "a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{{TIME}}`"
    )]
    Empty,
    /// The number after `published~` or `#` is not one.
    #[error(
        "revision {} needs a whole number below 2^64, without sign or leading zeros, after `{after}`",
        Quoted(text)
    )]
    Number {
        /// The text as given.
        text: String,
        /// What stands before the number.
        after: &'static str,
    },
    /// Requests are counted from 1.
    #[error("revision `#0` names no publish request; they are counted from 1")]
    RequestZero,
    /// The name after `draft/` is not valid.
    #[error("revision {} is not valid", Quoted(text))]
    Draft {
        /// The text as given.
        text: String,
        /// What is wrong with the name.
        #[source]
        reason: DraftNameError,
    },
    /// The time is not `{…}`, is empty, or has braces or control characters inside.
    #[error(
        "revision {} must be one time between braces, as in `{{2026-11-20T10:00Z}}` or `{{2h ago}}`, of at most {TIME_BYTES_MAX} bytes",
        Quoted(text)
    )]
    Time {
        /// The text as given.
        text: String,
    },
    /// The text has more hex digits than a commit id.
    #[error(
        "revision {} has {chars} hex digits, a commit id has {COMMIT_CHARS}",
        Quoted(text)
    )]
    CommitTooLong {
        /// The text as given.
        text: String,
        /// How many digits it has.
        chars: usize,
    },
    /// The text is none of the other forms and no tag either.
    #[error(
        "revision {} is none of `published`, `published~N`, `draft/NAME`, a commit id of at least {COMMIT_PREFIX_CHARS_MIN} digits 0-9 and a-f, a tag, `#N` and `{{TIME}}`",
        Quoted(text)
    )]
    Unknown {
        /// The text as given.
        text: String,
        /// Why it is no tag.
        #[source]
        reason: TagNameError,
    },
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let owned = || text.to_owned();
        if text.is_empty() {
            return Err(RevisionError::Empty);
        }
        if text == "published" {
            return Ok(Self::Published);
        }
        if let Some(digits) = text.strip_prefix("published~") {
            return match number(digits) {
                Some(back) => Ok(Self::Back(back)),
                None => Err(RevisionError::Number {
                    text: owned(),
                    after: "published~",
                }),
            };
        }
        if let Some(digits) = text.strip_prefix('#') {
            return match number(digits) {
                Some(0) => Err(RevisionError::RequestZero),
                Some(request) => Ok(Self::Request(request)),
                None => Err(RevisionError::Number {
                    text: owned(),
                    after: "#",
                }),
            };
        }
        if let Some(name) = text.strip_prefix("draft/") {
            return match name.parse() {
                Ok(name) => Ok(Self::Draft(name)),
                Err(reason) => Err(RevisionError::Draft {
                    text: owned(),
                    reason,
                }),
            };
        }
        if text.starts_with('{') {
            return match time(text) {
                Some(time) => Ok(Self::Time(time.to_owned())),
                None => Err(RevisionError::Time { text: owned() }),
            };
        }
        let hex = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && text.len() > COMMIT_CHARS {
            return Err(RevisionError::CommitTooLong {
                text: owned(),
                chars: text.len(),
            });
        }
        if hex && text.len() >= COMMIT_PREFIX_CHARS_MIN {
            return Ok(Self::Commit(owned()));
        }
        match text.parse() {
            Ok(tag) => Ok(Self::Tag(tag)),
            Err(reason) => Err(RevisionError::Unknown {
                text: owned(),
                reason,
            }),
        }
    }
}

/// Reads a decimal number in its only normal form.
fn number(digits: &str) -> Option<u64> {
    let normal = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| normal)
}

/// The text between the braces, if it is acceptable as a time.
fn time(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let plain = !inside.contains(|c: char| c.is_control() || matches!(c, '{' | '}'));
    let trimmed = inside.trim() == inside && !inside.is_empty();
    (plain && trimmed && inside.len() <= TIME_BYTES_MAX).then_some(inside)
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => f.write_str("published"),
            Self::Back(back) => write!(f, "published~{back}"),
            Self::Draft(name) => write!(f, "draft/{name}"),
            Self::Commit(prefix) => f.write_str(prefix),
            Self::Tag(tag) => tag.fmt(f),
            Self::Request(request) => write!(f, "#{request}"),
            Self::Time(time) => write!(f, "{{{time}}}"),
        }
    }
}

serde_as_text!(Revision);
