//! One entry: a value or a tombstone, and what is said about it.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::value::Value;

/// Most bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// Most tags of an entry.
pub const ENTRY_TAGS_MAX: usize = 32;
/// Most bytes of one tag of an entry.
pub const ENTRY_TAG_BYTES_MAX: usize = 64;
/// Most bytes of a media type.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// What an entry says its key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryValue {
    /// A value.
    Value(Value),
    /// A tombstone: the key has no value here, and hides an inherited one.
    Unset,
}

/// What is said about an entry beside its value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// What the entry is for; empty where nothing is said.
    pub description: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// What kind of bytes the value is, as in `image/png`.
    pub media_type: Option<String>,
}

/// A value or tombstone with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    value: EntryValue,
    details: Details,
}

/// Why details are not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", problems.join("; "))]
pub struct EntryError {
    /// Everything that is wrong, in clauses; at least one.
    pub problems: Vec<String>,
}

impl Entry {
    /// Checks the details and makes an entry.
    ///
    /// # Errors
    /// Reports everything that is wrong with the details.
    pub fn new(value: EntryValue, details: Details) -> Result<Self, EntryError> {
        todo!()
    }

    /// An entry of which nothing is said but its value.
    #[must_use]
    pub fn of(value: Value) -> Self {
        Self {
            value: EntryValue::Value(value),
            details: Details::default(),
        }
    }

    /// A tombstone.
    #[must_use]
    pub fn unset() -> Self {
        Self {
            value: EntryValue::Unset,
            details: Details::default(),
        }
    }

    /// The value or tombstone.
    #[must_use]
    pub fn entry_value(&self) -> &EntryValue {
        &self.value
    }

    /// The value, if this is no tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match &self.value {
            EntryValue::Value(value) => Some(value),
            EntryValue::Unset => None,
        }
    }

    /// Whether this is a tombstone.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        matches!(self.value, EntryValue::Unset)
    }

    /// What is said about it.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// What it is for; empty where nothing is said.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.details.description
    }

    /// Words to find it by.
    #[must_use]
    pub fn tags(&self) -> &BTreeSet<String> {
        &self.details.tags
    }

    /// What kind of bytes the value is.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.details.media_type.as_deref()
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> (EntryValue, Details) {
        (self.value, self.details)
    }
}
