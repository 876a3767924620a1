//! A reference to a secret, taken apart.

use std::fmt;
use std::str::FromStr;

use confman_model::value::SECRET_REF_BYTES_MAX;

use super::ResolveError;

/// `SCHEME://REST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference {
    text: String,
    scheme_bytes: usize,
}

impl FromStr for SecretReference {
    type Err = ResolveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |what: &str| ResolveError::Malformed(what.to_owned());
        if text.len() > SECRET_REF_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(malformed("it looks like SCHEME://…"));
        };
        let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
        let is_name = scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !begins || !is_name {
            return Err(malformed(
                "its scheme has a-z, 0-9 and `-`, and a letter first",
            ));
        }
        if rest.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(malformed(
                "something follows `://`, without white space and control characters",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            scheme_bytes: scheme.len(),
        })
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SecretReference {
    /// What stands before `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme_bytes).unwrap_or_default()
    }

    /// What stands after it.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.text.get(self.scheme_bytes + 3..).unwrap_or_default()
    }
}

/// Whether a part of a path stands for itself, and can go into a URL as it is: it is neither empty nor `.` or `..`, and
/// has nothing in it that a URL would escape.
#[must_use]
pub fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_or_refused() {
        let reference: SecretReference = "vault://kv/a#b".parse().unwrap();
        assert_eq!((reference.scheme(), reference.rest()), ("vault", "kv/a#b"));
        for bad in [
            "x",
            "://a",
            "vault://",
            "VAULT://a",
            "../x://a",
            "a b://c",
            "v://a b",
            "v://a\n",
        ] {
            assert!(bad.parse::<SecretReference>().is_err(), "{bad}");
        }
    }
}
