//! JSON as its author wrote it: read strictly, kept with positions, compared by meaning.
//!
//! Two texts mean the same when their numbers are equal as exact decimals and their objects have
//! the same members in any order. [`semantic_bytes`] turns that into equality of bytes:
//!
//! ```text
//! null   'n'            false  'f'            true  't'
//! number 'd' u32 length, decimal normal form (-125e-1)
//! string 's' u32 length, UTF-8
//! array  'a' u32 count, items
//! object 'o' u32 count, members by name bytewise: u32 length, name, value
//! ```
//! Integers are little-endian.

pub mod document;
pub mod number;
pub(crate) mod parse;
pub mod pointer;
mod write;

pub use document::Document;
pub use number::{Decimal, Number};
pub use pointer::{Pointer, PointerError};
pub use write::quote;

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
        Document::parse(text).map(Document::into_json)
    }

    /// Whether both mean the same: exact decimals, order of members ignored.
    #[must_use]
    pub fn same_meaning(&self, other: &Self) -> bool {
        semantic_bytes(self) == semantic_bytes(other)
    }

    /// The part that `pointer` names.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Option<&Self> {
        let mut json = self;
        for step in pointer.steps() {
            json = match json {
                Self::Object(_) => json.get(&step)?,
                Self::Array(items) => items.get(pointer::index(&step)?)?,
                _ => return None,
            };
        }
        Some(json)
    }

    /// The member of this object called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Bytes that are equal exactly where two values mean the same; their hash is the semantic
/// fingerprint.
#[must_use]
pub fn semantic_bytes(json: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    write_semantic(json, &mut out);
    out
}

fn write_semantic(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => out.push(b'n'),
        Json::Bool(false) => out.push(b'f'),
        Json::Bool(true) => out.push(b't'),
        Json::Number(number) => {
            out.push(b'd');
            write_counted(&number.decimal().to_string(), out);
        }
        Json::String(text) => {
            out.push(b's');
            write_counted(text, out);
        }
        Json::Array(items) => {
            out.push(b'a');
            write_count(items.len(), out);
            for item in items {
                write_semantic(item, out);
            }
        }
        Json::Object(members) => {
            out.push(b'o');
            write_count(members.len(), out);
            let mut sorted: Vec<&(String, Json)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| name);
            for (name, value) in sorted {
                write_counted(name, out);
                write_semantic(value, out);
            }
        }
    }
}

fn write_counted(text: &str, out: &mut Vec<u8>) {
    write_count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    // Values are far below 4 GiB (`VALUE_BYTES_CEILING`), so this never saturates.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;
