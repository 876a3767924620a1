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

/// A document that was changed. `PUT` and `PATCH …/namespace`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdatedNamespace {
    /// The document as it is now.
    #[schemars(with = "serde_json::Value")]
    pub document: NamespaceDocument,
    /// The commit that has it.
    pub commit: String,
    /// What is allowed but worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// A version of a document. `GET …/namespace/history`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentVersion {
    /// From 1.
    pub version: u64,
    /// The commit that has it.
    pub commit: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub by: String,
    /// What was changed.
    pub message: String,
    /// The document.
    #[schemars(with = "serde_json::Value")]
    pub document: NamespaceDocument,
}

/// What was deleted or restored. `DELETE …/namespace` and `POST …/restore`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovedNamespaces {
    /// Names the deletion; all that were deleted together have the same.
    pub deletion: String,
    /// Which namespaces, in the order of their paths.
    pub namespaces: Vec<String>,
    /// Log index of the operation.
    pub index: u64,
}

/// An item of `GET /namespaces/deleted`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedNamespace {
    /// Path.
    pub path: String,
    /// Names the deletion; all that were deleted together have the same.
    pub deletion: String,
    /// When, RFC 3339.
    pub deleted_at: String,
    /// By whom.
    pub deleted_by: String,
    /// Owner.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub owner: String,
    /// Published head that it had; absent where nothing was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published: Option<String>,
}
