//! What breaks a schema, and where.

use std::fmt;

use confman_model::{Key, Namespace, SchemaPath};

/// One rule of a schema that an effective document breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Violation {
    /// Whose effective document.
    pub namespace: Namespace,
    /// The key it is about; `None` where it is about the document as a whole.
    pub key: Option<Key>,
    /// JSON Pointer into the effective document, whose members are the keys.
    pub pointer: String,
    /// The keyword that is not satisfied, as `maxLength` or `x-confman-immutable`.
    pub keyword: String,
    /// The schema document that has the rule.
    pub schema: SchemaPath,
    /// JSON Pointer to the rule in that document.
    pub schema_pointer: String,
    /// The namespace of the chain whose document attaches the schema.
    pub attached_by: Namespace,
    /// What is wrong, in a clause. It never has the value in it.
    pub detail: String,
}

impl Violation {
    /// The rule with its document, as `/schemas/payments/base#/properties/timeout/maximum`.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("{}#{}", self.schema, self.schema_pointer)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}", self.namespace)?;
        if let Some(key) = &self.key {
            write!(f, ":{key}")?;
        }
        write!(f, "` {}", self.detail)?;
        let below = match &self.key {
            Some(_) => self.pointer.splitn(3, '/').nth(2),
            None => None,
        };
        if let Some(below) = below {
            write!(f, " at `/{below}`")?;
        }
        write!(f, " ({}, attached by `{}`)", self.rule(), self.attached_by)
    }
}
