//! The nouns of configuration and what makes each valid.
//!
//! Names, values, entries and change sets; how two entries differ, how three merge, and how a
//! namespace inherits. Everything is a pure function of its arguments.
//!
//! INVARIANT: a value of these types is valid: text is parsed once, at the border, and refused
//! rather than repaired.
//!
//! Deliberately absent: input and output, clocks, runtimes and hashes. What must be hashed is
//! handed out as bytes ([`json::semantic_bytes`], [`Value::semantic_bytes`]).

/// Writes and reads a type in serde's formats as its text form (`Display` and `FromStr`).
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub mod address;
pub mod change;
pub mod diff;
pub mod document;
pub mod draft;
pub mod entry;
pub mod entry_type;
pub mod format;
pub mod identity;
pub mod json;
pub mod key;
pub mod merge;
#[cfg(test)]
mod names_tests;
pub mod namespace;
mod quoted;
pub mod resolver;
pub mod revision;
pub mod schema_path;
pub mod segment;
pub mod tag;
pub mod value;

pub use address::{Address, AddressError};
pub use change::{Change, ChangeSet};
pub use diff::{DiffKind, EntryDiff, JsonChange, ValueDiff};
pub use document::{NamespaceDocument, Settings};
pub use draft::{DraftName, DraftNameError};
pub use entry::{Details, Entry, EntryError, EntryValue};
pub use entry_type::{EntryType, EntryTypeError};
pub use format::Format;
pub use identity::{
    GroupDocument, GroupName, IssuerDocument, IssuerName, Member, PrincipalKind, PrincipalName,
    Scope,
};
pub use json::Json;
pub use key::{Key, KeyError};
pub use merge::{Conflict, MergeOutcome, merge};
pub use namespace::{Namespace, NamespaceError};
pub use resolver::{Effective, Layer, chain, effective};
pub use revision::{Revision, RevisionError};
pub use schema_path::{SchemaPath, SchemaPathError};
pub use tag::{TagName, TagNameError};
pub use value::{Problem, Value, ValueError, ValueLimits};
