//! JSON as its author wrote it: read strictly, kept with positions, compared by meaning.

pub mod document;
pub mod number;
pub mod pointer;

pub use document::Document;
pub use number::{Decimal, Number};
pub use pointer::Pointer;

use crate::value::Problem;

/// Deepest nesting of objects and arrays.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most problems reported for one text.
pub const PROBLEMS_MAX: usize = 32;

/// A JSON value. Numbers keep their digits, objects the order of their members.
///
/// `==` compares what was written; [`Json::same_meaning`] compares what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, digit for digit.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; names are unique.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads JSON text strictly (RFC 8259 in UTF-8 without a byte order mark).
    ///
    /// # Errors
    /// Reports every problem it can tell apart, up to [`PROBLEMS_MAX`].
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Problem>> {
        todo!()
    }

    /// Whether both mean the same: exact decimals, order of members ignored.
    #[must_use]
    pub fn same_meaning(&self, other: &Self) -> bool {
        todo!()
    }

    /// The part that `pointer` names.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Option<&Self> {
        todo!()
    }

    /// The member of this object called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        todo!()
    }

    /// Writes JSON in one line without spaces, members in their order.
    #[must_use]
    pub fn to_compact(&self) -> String {
        todo!()
    }

    /// Writes JSON with two spaces of indentation, members in their order.
    #[must_use]
    pub fn to_pretty(&self) -> String {
        todo!()
    }
}

/// Bytes that are equal exactly where two values mean the same; their hash is the semantic
/// fingerprint.
#[must_use]
pub fn semantic_bytes(json: &Json) -> Vec<u8> {
    todo!()
}

/// Writes `text` as a JSON string with its quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    todo!()
}
