//! The audit log. `GET /operations`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// 64 hex digits.
    pub id: String,
    /// The operation before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<String>,
    /// Raft log index.
    pub index: u64,
    /// Raft term.
    pub term: u64,
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// Namespace it was about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// How refs moved.
    pub refs: Vec<RefMove>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<Box<RawValue>>,
    /// Root of the view's tree, where the operation covers one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub view: Option<String>,
}

/// How a ref moved.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefMove {
    /// Name.
    pub name: String,
    /// From.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<String>,
    /// To.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<String>,
}

/// An operation in the bytes that its id is the hash of. `GET /operations/sealed`, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedOperation {
    /// 64 hex digits.
    pub id: String,
    /// The canonical bytes, base64.
    pub bytes: String,
}
