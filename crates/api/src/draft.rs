//! Drafts and changes to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::EntryWrite;

/// A draft. `GET …/drafts[/{d}]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// Path of the namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Newest commit.
    pub head: String,
    /// Root of its tree.
    pub tree: String,
    /// The published commit it began from; absent where nothing was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// Keys that differ from the base.
    pub keys: Vec<String>,
    /// RFC 3339.
    pub updated_at: String,
    /// Who changed it last.
    pub updated_by: String,
}

/// Several changes at once. `POST …/drafts/{d}/changes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes {
    /// Key → what it becomes; `null` removes the entry.
    pub changes: BTreeMap<String, Option<EntryWrite>>,
    /// Head of the draft that the caller has seen (`""`: the draft does not exist yet); 409 if it moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Publish at once and leave no draft, where rights and settings allow.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub publish: bool,
}

/// What a change to a draft did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drafted {
    /// Path of the namespace.
    pub namespace: String,
    /// Name of the draft.
    pub draft: String,
    /// Its head now.
    pub commit: String,
    /// Root of its tree.
    pub tree: String,
    /// Log index.
    pub index: u64,
    /// What is allowed but worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}
