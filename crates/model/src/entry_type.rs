//! The six types an entry can have.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::quoted::Quoted;

/// What the bytes of a value mean. The numbers are part of the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryType {
    /// UTF-8 text, byte for byte.
    String = 1,
    /// One JSON number, digit for digit.
    Number = 2,
    /// `true` or `false`.
    Boolean = 3,
    /// A JSON object or array, in its author's bytes.
    Json = 4,
    /// Any bytes.
    Binary = 5,
    /// The URI of a secret that is kept elsewhere.
    SecretRef = 6,
}

/// Why a name or number is not an entry type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryTypeError {
    /// No type has this name.
    #[error(
        "{} is not an entry type; allowed are string, number, boolean, json, binary and secret-ref",
        Quoted(text)
    )]
    Name {
        /// The text as given.
        text: String,
    },
    /// No type has this number.
    #[error("{number} is not the number of an entry type; allowed are 1 to 6")]
    Number {
        /// The number as given.
        number: u8,
    },
}

impl EntryType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::String,
        Self::Number,
        Self::Boolean,
        Self::Json,
        Self::Binary,
        Self::SecretRef,
    ];

    /// The name, as in documents and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::SecretRef => "secret-ref",
        }
    }

    /// The number, as in stored pages.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The type with this number.
    ///
    /// # Errors
    /// Fails where no type has it.
    pub fn from_number(number: u8) -> Result<Self, EntryTypeError> {
        Self::ALL
            .into_iter()
            .find(|entry_type| entry_type.number() == number)
            .ok_or(EntryTypeError::Number { number })
    }

    /// Whether values of this type are UTF-8 text.
    #[must_use]
    pub fn is_text(self) -> bool {
        self != Self::Binary
    }
}

impl FromStr for EntryType {
    type Err = EntryTypeError;

    fn from_str(text: &str) -> Result<Self, EntryTypeError> {
        Self::ALL
            .into_iter()
            .find(|entry_type| entry_type.name() == text)
            .ok_or_else(|| EntryTypeError::Name {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for EntryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

serde_as_text!(EntryType);
