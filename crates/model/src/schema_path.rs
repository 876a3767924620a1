//! Where a schema document lives: `/schemas/payments/base`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::namespace::{Namespace, NamespaceError};
use crate::quoted::Quoted;

/// The first segment of every schema path.
pub const SCHEMAS_SEGMENT: &str = "schemas";

/// Names a schema document: `/schemas/` and then one segment or more.
///
/// The part after `/schemas` has the form of a namespace, because the deepest namespace that is a
/// prefix of it governs the schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaPath(Namespace);

/// Why a piece of text is not the path of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaPathError {
    /// The text has not the form of a path at all.
    #[error("schema path {} is not valid", Quoted(text))]
    Path {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: NamespaceError,
    },
    /// The path is not below `/schemas`.
    #[error(
        "schema path {} must be `/schemas/` and a name, as in `/schemas/payments/base`",
        Quoted(text)
    )]
    Outside {
        /// The text as given.
        text: String,
    },
}

impl SchemaPath {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The path without `/schemas`; the deepest existing namespace that contains it governs.
    #[must_use]
    pub fn governed_path(&self) -> Namespace {
        let rest = self.as_str().strip_prefix("/schemas").unwrap_or_default();
        rest.parse().unwrap_or_else(|_| Namespace::root())
    }
}

impl FromStr for SchemaPath {
    type Err = SchemaPathError;

    fn from_str(text: &str) -> Result<Self, SchemaPathError> {
        let path: Namespace = text.parse().map_err(|reason| SchemaPathError::Path {
            text: text.to_owned(),
            reason,
        })?;
        let below_schemas = path.depth() >= 2 && path.segments().next() == Some(SCHEMAS_SEGMENT);
        if !below_schemas {
            return Err(SchemaPathError::Outside {
                text: text.to_owned(),
            });
        }
        Ok(Self(path))
    }
}

impl fmt::Display for SchemaPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(SchemaPath);
