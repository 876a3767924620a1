//! Names of refs.

use std::fmt;

/// Longest name of a ref, so that it can be a key of a tree.
pub const REF_NAME_BYTES_MAX: usize = 255;

/// A name such as `/teams/payments@published`: 1 to 255 bytes of printable ASCII without space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(std::sync::Arc<str>);

/// Why a text is not the name of a ref.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the name of a ref: 1 to {REF_NAME_BYTES_MAX} printable ASCII characters without space"
)]
pub struct RefNameError(pub String);

impl RefName {
    /// Checks a name.
    ///
    /// # Errors
    /// Empty, too long, or a character that is not allowed.
    pub fn new(text: &str) -> Result<Self, RefNameError> {
        let allowed = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > REF_NAME_BYTES_MAX || !allowed {
            return Err(RefNameError(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RefName {
    fn borrow(&self) -> &str {
        &self.0
    }
}
