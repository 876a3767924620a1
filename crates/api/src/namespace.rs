//! Namespace documents. The document itself is the model's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use confman_model::document::NamespaceDocument;

/// An item of `GET /namespaces?prefix=`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// Path.
    pub path: String,
    /// Name for people.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub display_name: String,
    /// Owner.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub owner: String,
    /// Published head; absent where nothing is published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published: Option<String>,
    /// Published keys.
    pub keys: u64,
}
