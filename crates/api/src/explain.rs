//! Why things are as they are: effective settings, a key's value, a principal's rights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::{TreeEntry, Version};

/// What holds in a namespace beside its values. `GET …/namespace/effective`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveNamespace {
    /// Path.
    pub namespace: String,
    /// What it inherits from, itself first.
    pub chain: Vec<ChainPart>,
    /// Every setting that has a value.
    pub settings: Vec<EffectiveSetting>,
    /// The schemas that apply.
    pub schemas: Vec<AttachedSchema>,
    /// Every grant that counts, as far as you may know of it.
    pub grants: Vec<Grant>,
}

/// A namespace of a chain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainPart {
    /// Path.
    pub namespace: String,
    /// Whether it inherits from the next.
    pub inherit: bool,
    /// The commit that has its document.
    pub policy: String,
    /// What it has published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published: Option<String>,
}

/// What a setting is, and who states it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveSetting {
    /// Name, as in documents.
    pub name: String,
    /// Value.
    pub value: Value,
    /// The namespace that states it; absent for the system's default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
}

/// A schema that applies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedSchema {
    /// Who attaches it.
    pub namespace: String,
    /// Its path.
    #[serde(rename = "$ref")]
    pub path: String,
}

/// A grant of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Whose document grants it.
    pub namespace: String,
    /// `viewer`, `editor`, `publisher` or `admin`; `resolver` for whom secrets are resolved.
    pub role: String,
    /// To whom: a principal, or `group:NAME`.
    pub holder: String,
}

/// Why a key is what it is. `GET …/explain/{key}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Path.
    pub namespace: String,
    /// Key.
    pub key: String,
    /// What decides: `value`, `unset` (a tombstone) or `nothing`.
    pub outcome: String,
    /// The namespace whose entry decides.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// What each namespace has, the asked one first. What stands after the one that decides is overridden.
    pub chain: Vec<ExplainedLink>,
    /// The last change of the key where it is decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_change: Option<LastChange>,
    /// What the schemas of the chain say of the key, nearest namespace first; of now only.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub schemas: Vec<ExplainedSchema>,
    /// The open requests that would change the key in a namespace of the chain, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requests: Vec<OpenRequest>,
    /// Who may write a draft of the key in this namespace, or publish it.
    pub may_change: Vec<Grant>,
}

/// What an attached schema says of a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedSchema {
    /// Who attaches it.
    pub namespace: String,
    /// Its path.
    #[serde(rename = "$ref")]
    pub path: String,
    /// What stands under `properties` for the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub property: Option<Value>,
    /// The rules of Confman's own that count for the key.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rules: Vec<ExplainedRule>,
}

/// A rule for a key beyond JSON Schema.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedRule {
    /// `x-confman-immutable`, ….
    pub keyword: String,
    /// The document that has it.
    pub schema: String,
    /// JSON Pointer to it in that document.
    pub schema_pointer: String,
}

/// What a namespace of a chain has for a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedLink {
    /// Path.
    pub namespace: String,
    /// Whether it inherits from the next.
    pub inherit: bool,
    /// The commit that was read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Its entry; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entry: Option<TreeEntry>,
    /// Version of the key there; absent in a draft.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
}

/// An open request that would change a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenRequest {
    /// `pr-456`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its state: `pending_review`, `scheduled`, ….
    pub state: String,
    /// The namespace in which it would change the key.
    pub namespace: String,
}

/// The last change of a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastChange {
    /// Where.
    pub namespace: String,
    /// The version that it made. Not flattened: a value keeps its digits only in a field of its own.
    pub version: Version,
}

/// Why somebody may or may not do things. `GET …/permissions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionReport {
    /// Path.
    pub namespace: String,
    /// Who.
    pub principal: String,
    /// The groups it belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<String>,
    /// Its highest role here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// Each permission that was asked for.
    pub permissions: Vec<PermissionDecision>,
}

/// Why somebody has a permission or not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionDecision {
    /// Which, as `config:publish`.
    pub permission: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The grants that allow it; where it is not allowed, every grant there is.
    pub because: Vec<Grant>,
    /// The same in one sentence.
    pub text: String,
}
