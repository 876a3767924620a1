//! Names of objects.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

use crate::object::Kind;

/// Bytes of an id.
pub const ID_BYTES: usize = 32;
/// Fewest hex digits of an abbreviated id.
pub const ID_PREFIX_DIGITS_MIN: usize = 8;

/// The name of an object: BLAKE3 `derive_key("confman 2026 object v1 <kind>", bytes)`, 32 bytes,
/// written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId([u8; ID_BYTES]);

/// What the context of each kind comes to, so that it is not hashed anew for each object.
static CONTEXT_KEYS: LazyLock<Vec<(Kind, ContextKey)>> = LazyLock::new(|| {
    let keys = Kind::ALL.map(|kind| (kind, hash_derive_key_context(kind.context())));
    keys.to_vec()
});

impl ObjectId {
    /// The first in order.
    pub const MIN: Self = Self([0; ID_BYTES]);
    /// The last in order.
    pub const MAX: Self = Self([0xff; ID_BYTES]);

    /// Hashes the bytes of an object of this kind.
    #[must_use]
    pub fn of(kind: Kind, bytes: &[u8]) -> Self {
        let known = CONTEXT_KEYS.iter().find(|(of, _)| *of == kind);
        let mut hasher = match known {
            Some((_, key)) => blake3::Hasher::new_from_context_key(key),
            None => blake3::Hasher::new_derive_key(kind.context()),
        };
        hasher.update(bytes);
        Self(*hasher.finalize().as_bytes())
    }

    /// Takes 32 bytes that are known to be an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The next one in order; `None` after the last.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            match byte.checked_add(1) {
                Some(next) => {
                    *byte = next;
                    return Some(Self(bytes));
                }
                None => *byte = 0,
            }
        }
        None
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..8]))
    }
}

/// Why a text is not an id or a prefix of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Not 64 digits, or fewer than 8 for a prefix.
    #[error("an id has 64 hex digits, a prefix of one at least {ID_PREFIX_DIGITS_MIN}; `{0}` has {len}", len = .0.len())]
    Length(String),
    /// A character that is not `0-9a-f`.
    #[error("`{0}` has a character that is not one of 0-9a-f")]
    Digit(String),
}

impl FromStr for ObjectId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let prefix: IdPrefix = text.parse()?;
        match prefix.whole() {
            Some(id) => Ok(id),
            None => Err(ParseIdError::Length(text.to_owned())),
        }
    }
}

/// The first digits of an id: at least 8, at most 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPrefix {
    digits: String,
}

impl IdPrefix {
    /// Whether the id begins with these digits.
    #[must_use]
    pub fn matches(&self, id: &ObjectId) -> bool {
        id.to_string().starts_with(&self.digits)
    }

    /// The ids that have this prefix.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<ObjectId> {
        self.padded('0')..=self.padded('f')
    }

    fn padded(&self, digit: char) -> ObjectId {
        let mut padded = self.digits.clone();
        while padded.len() < ID_BYTES * 2 {
            padded.push(digit);
        }
        let mut bytes = [0; ID_BYTES];
        if let Ok(decoded) = data_encoding::HEXLOWER.decode(padded.as_bytes()) {
            bytes.copy_from_slice(&decoded);
        }
        ObjectId(bytes)
    }

    /// The id, if all 64 digits are given.
    #[must_use]
    pub fn whole(&self) -> Option<ObjectId> {
        (self.digits.len() == ID_BYTES * 2).then(|| self.padded('0'))
    }
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

impl FromStr for IdPrefix {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if !(ID_PREFIX_DIGITS_MIN..=ID_BYTES * 2).contains(&text.len()) {
            return Err(ParseIdError::Length(text.to_owned()));
        }
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ParseIdError::Digit(text.to_owned()));
        }
        Ok(Self {
            digits: text.to_owned(),
        })
    }
}
