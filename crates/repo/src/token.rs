//! Bearer tokens: `cfm_pat_`, 43 digits of 256 random bits, 6 digits of their CRC-32.

use std::fmt;

use crate::error::Error;

/// A token in the clear. Only its hash is ever stored, and it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new token from the system's random numbers.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate() -> Result<Self, Error> { todo!() }

    /// Takes the text of a token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it has not the form of one.
    pub fn parse(_text: &str) -> Result<Self, Error> { todo!() }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
