//! What an entry holds: a type and bytes that are valid for it.
//!
//! INVARIANT: the bytes of a [`Value`] are exactly its author's, and valid for its type.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::entry_type::EntryType;
use crate::json::Pointer;

/// Most bytes of a value where no setting says otherwise.
pub const VALUE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
/// Most bytes of a value that a setting can allow.
pub const VALUE_BYTES_CEILING: usize = 16 * 1024 * 1024;
/// Most bytes of the URI of a secret.
pub const SECRET_REF_BYTES_MAX: usize = 2048;
/// Schemes of secret references that are always known.
pub const SECRET_SCHEMES_DEFAULT: [&str; 3] = ["keyvault", "vault", "env"];

/// A type and bytes that are valid for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value {
    entry_type: EntryType,
    bytes: Arc<[u8]>,
}

/// What a store accepts beyond what every value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueLimits {
    /// Most bytes of a value.
    pub value_bytes_max: usize,
    /// Schemes a secret reference may have, without `://`.
    pub secret_schemes: Vec<String>,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self {
            value_bytes_max: VALUE_BYTES_MAX_DEFAULT,
            secret_schemes: SECRET_SCHEMES_DEFAULT.map(str::to_owned).to_vec(),
        }
    }
}

/// One thing that is wrong with, or odd about, a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The part of the JSON value it concerns, where there is one.
    pub pointer: Option<Pointer>,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// The byte, counted from 0.
    pub offset: usize,
    /// What is wrong, in a clause without a full stop.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// Why bytes are not a value of a type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ValueError {
    /// The type that was asked for.
    pub entry_type: EntryType,
    /// Everything that is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Value {
    /// Checks bytes that come from outside.
    ///
    /// # Errors
    /// Reports everything that is wrong with them.
    pub fn new(
        entry_type: EntryType,
        bytes: impl Into<Vec<u8>>,
        limits: &ValueLimits,
    ) -> Result<Self, ValueError> {
        todo!()
    }

    /// Takes bytes that [`Value::new`] accepted once and whose hash was verified since: only what
    /// costs one pass (UTF-8) is checked again.
    ///
    /// # Errors
    /// Fails where a type of text is not UTF-8.
    pub fn from_stored(
        entry_type: EntryType,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Self, ValueError> {
        todo!()
    }

    /// Reads a value from its JSON form: a string for text, base64 for binary, the JSON itself for
    /// numbers, booleans and JSON, which keep `json_text` exactly.
    ///
    /// # Errors
    /// Reports everything that is wrong with it.
    pub fn from_json(
        entry_type: EntryType,
        json_text: &str,
        limits: &ValueLimits,
    ) -> Result<Self, ValueError> {
        todo!()
    }

    /// The type a JSON text most naturally has; `null` and what is no JSON fall to
    /// [`EntryType::Json`], which then refuses it with the reason.
    #[must_use]
    pub fn infer(json_text: &str) -> EntryType {
        todo!()
    }

    /// Writes the JSON form that [`Value::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        todo!()
    }

    /// The type.
    #[must_use]
    pub fn entry_type(&self) -> EntryType {
        self.entry_type
    }

    /// The author's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The author's bytes, shared.
    #[must_use]
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// The text of a value that is not binary.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        todo!()
    }

    /// What is accepted but worth knowing: numbers that a double does not hold exactly.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        todo!()
    }

    /// Whether both have one type and mean the same.
    #[must_use]
    pub fn same_meaning(&self, other: &Self) -> bool {
        todo!()
    }

    /// Bytes that are equal exactly where [`Value::same_meaning`] holds.
    #[must_use]
    pub fn semantic_bytes(&self) -> Vec<u8> {
        todo!()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
