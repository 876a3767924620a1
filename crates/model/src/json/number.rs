//! JSON numbers, digit for digit, and their exact decimal meaning.

use std::fmt;

/// Most characters of a number.
pub const NUMBER_CHARS_MAX: usize = 1024;

/// A JSON number as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

/// The exact value of a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    digits: Box<str>,
    exponent: i64,
}

impl Number {
    /// Reads one number token without anything around it.
    ///
    /// # Errors
    /// Says what is wrong with it, in a clause.
    pub fn parse(token: &str) -> Result<Self, String> {
        todo!()
    }

    /// The token as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The exact value.
    #[must_use]
    pub fn decimal(&self) -> Decimal {
        todo!()
    }

    /// Whether a double-precision reader gets this value back.
    #[must_use]
    pub fn fits_double(&self) -> bool {
        todo!()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
