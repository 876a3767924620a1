//! Schemas, what they say to what is published, and dry runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::entry::{EntryWrite, TreeEntry};
use crate::problem::ProblemItem;

/// A schema. `GET /v1/schemas/{path}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Path, as `/schemas/payments/base`.
    pub path: String,
    /// The document, in its author's bytes.
    pub document: Box<RawValue>,
    /// The commit that has it.
    pub commit: String,
    /// Which version it is, from 1.
    pub version: u64,
    /// RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub updated_by: String,
    /// Why.
    pub message: String,
    /// The namespace that governs it.
    pub governed_by: String,
    /// The namespaces that attach it, as far as you may read them.
    pub attached_by: Vec<String>,
}

/// A schema in a list. `GET /v1/schemas`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaSummary {
    /// Path.
    pub path: String,
    /// The commit that has it.
    pub commit: String,
    /// Which version it is.
    pub version: u64,
    /// RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub updated_by: String,
}

/// What writing a schema did. `PUT /v1/schemas/{path}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaWritten {
    /// As it is now.
    pub schema: Schema,
    /// Log index.
    pub index: u64,
    /// What is published and breaks it, where it was forced.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub broken: Vec<ProblemItem>,
}

/// A version of a schema. `GET /v1/schemas/{path}/-/history`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaVersion {
    /// From 1.
    pub version: u64,
    /// The commit that has it.
    pub commit: String,
    /// RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub updated_by: String,
    /// Why.
    pub message: String,
    /// The document.
    pub document: Box<RawValue>,
}

/// What writing a schema would come to. `POST /v1/schemas/{path}/-/check`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaCheck {
    /// Whether it could be written without force.
    pub valid: bool,
    /// What is wrong with the document.
    pub problems: Vec<ProblemItem>,
    /// What is published and would break it.
    pub violations: Vec<ProblemItem>,
    /// What becomes of what the schema accepts, where there is one already.
    pub change: SchemaChange,
}

/// What becomes of what a schema accepts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaChange {
    /// `same`, `widens`, `narrows`, `both`, or `unknown` where that cannot be told.
    pub direction: String,
    /// The same for each place at which the documents differ.
    pub places: Vec<SchemaPlace>,
}

/// A place at which two schemas differ.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaPlace {
    /// JSON Pointer to the subschema.
    pub pointer: String,
    /// As in the whole.
    pub direction: String,
}

/// What a dry run is about: one of the three. `POST …/preview`, `POST …/validate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proposal {
    /// A draft.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<String>,
    /// Any revision.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rev: Option<String>,
    /// Changes to what is published: key → what it becomes; `null` removes the entry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changes: Option<BTreeMap<String, Option<EntryWrite>>>,
}

/// What schemas say to what is proposed. `POST …/validate`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Whether schemas let it be published.
    pub valid: bool,
    /// Rules that would be broken and stand in the way.
    pub violations: Vec<ProblemItem>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<String>,
}

/// What publishing would do. `POST …/preview`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// What changes, by namespace; those in which nothing does are left out.
    pub namespaces: Vec<NamespaceChanges>,
    /// Where an own entry keeps a change further up from taking effect.
    pub void: Vec<VoidChange>,
    /// Rules that would be broken and stand in the way.
    pub violations: Vec<ProblemItem>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<String>,
}

/// What changes in one effective document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceChanges {
    /// Whose.
    pub namespace: String,
    /// In the order of keys.
    pub changes: Vec<EffectiveChange>,
}

/// What becomes of an effective value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveChange {
    /// Which key.
    pub key: String,
    /// What it is; absent where it has no value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<TreeEntry>,
    /// The namespace that has that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_from: Option<String>,
    /// What it becomes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<TreeEntry>,
    /// The namespace that has that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new_from: Option<String>,
}

/// A change without effect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoidChange {
    /// The namespace with the own entry.
    pub namespace: String,
    /// Which key.
    pub key: String,
}

/// A secret that is to be replaced. `GET /v1/rotations`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// The namespace that has it.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// RFC 3339.
    pub published_at: String,
    /// Whole days since then.
    pub days_published: u64,
    /// After how many days it is to be replaced.
    pub rotation_days: u32,
}
