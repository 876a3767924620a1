//! One place in configuration, at one moment, as people write it: `NAMESPACE[@REV][:KEY]`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::key::{Key, KeyError};
use crate::namespace::{Namespace, NamespaceError};
use crate::quoted::Quoted;
use crate::revision::{Revision, RevisionError};

/// A namespace, a state of it, and perhaps one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Where.
    pub namespace: Namespace,
    /// As of when; the published head where the text names none.
    pub revision: Revision,
    /// Which entry, or the whole namespace.
    pub key: Option<Key>,
}

/// Why a piece of text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The part before `@` and `:` is not a namespace.
    #[error("address {} has no valid namespace", Quoted(text))]
    Namespace {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: NamespaceError,
    },
    /// The part after `@` is not a revision.
    #[error("address {} has no valid revision after `@`", Quoted(text))]
    Revision {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: RevisionError,
    },
    /// The part after `:` is not a key.
    #[error("address {} has no valid key after `:`", Quoted(text))]
    Key {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: KeyError,
    },
}

impl Address {
    /// The whole of a namespace as published.
    #[must_use]
    pub fn published(namespace: Namespace) -> Self {
        Self {
            namespace,
            revision: Revision::Published,
            key: None,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let namespace_end = text.find(['@', ':']).unwrap_or(text.len());
        let (namespace, rest) = text.split_at(namespace_end);
        let namespace = namespace
            .parse()
            .map_err(|reason| AddressError::Namespace {
                text: text.to_owned(),
                reason,
            })?;
        let (revision, rest) = match rest.strip_prefix('@') {
            None => (None, rest),
            Some(rest) => {
                let (revision, rest) = rest.split_at(revision_end(rest));
                (Some(revision), rest)
            }
        };
        let revision = match revision {
            None => Revision::Published,
            Some(revision) => revision.parse().map_err(|reason| AddressError::Revision {
                text: text.to_owned(),
                reason,
            })?,
        };
        let key = match rest.strip_prefix(':') {
            None => None,
            Some(key) => Some(key.parse().map_err(|reason| AddressError::Key {
                text: text.to_owned(),
                reason,
            })?),
        };
        Ok(Self {
            namespace,
            revision,
            key,
        })
    }
}

/// Where a revision ends: at the first `:` that is not inside the braces of a time.
fn revision_end(text: &str) -> usize {
    let braces = if text.starts_with('{') {
        text.find('}').unwrap_or(text.len())
    } else {
        0
    };
    let after = text.get(braces..).unwrap_or_default();
    after.find(':').map_or(text.len(), |colon| braces + colon)
}

impl fmt::Display for Address {
    /// Writes the shortest form: the published head is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.namespace.fmt(f)?;
        if self.revision != Revision::Published {
            write!(f, "@{}", self.revision)?;
        }
        if let Some(key) = &self.key {
            write!(f, ":{key}")?;
        }
        Ok(())
    }
}

serde_as_text!(Address);
