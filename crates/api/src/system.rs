//! What a server and a caller are.

use confman_model::identity::{PrincipalKind, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::ScopeFields;

/// `GET /v1/whoami`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// The principal.
    pub principal: String,
    /// Whether it is a person or a program.
    #[serde(default)]
    #[schemars(with = "String")]
    pub kind: PrincipalKind,
    /// Name for people.
    pub name: String,
    /// Mail address, where one is known.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub email: String,
    /// The groups it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The token in use; absent for whoever sends none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<WhoamiToken>,
    /// Default name of the caller's draft.
    pub draft: String,
}

/// The token in use.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoamiToken {
    /// What it is called where the token itself must not appear.
    pub id: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub name: String,
    /// What it leaves of the principal's rights; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<ScopeFields>")]
    pub scope: Option<Scope>,
    /// When it ends; absent: when it is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
}

/// `GET /version`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Of the server program.
    pub version: String,
    /// Of the HTTP contract.
    pub api: u32,
    /// Identity of the cluster, 32 hex digits.
    pub cluster_id: String,
}

/// `GET /readyz`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether requests can be served.
    pub ready: bool,
    /// This node.
    pub node: u64,
    /// The leader, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leader: Option<u64>,
    /// Last log index applied.
    pub index: u64,
    /// Newest operation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
}

/// `POST /v1/fsck`, by an administrator: everything wrong that was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsckReport {
    /// Objects read and hashed, by kind.
    pub objects: std::collections::BTreeMap<String, u64>,
    /// Operations of the chain that were checked.
    pub operations: u64,
    /// Rows of derived indexes that were compared.
    pub rows: u64,
    /// Of a directory: rows of operations that its node has not got yet, because it was stopped while it took a
    /// state from another member. They are no problem; started, it goes on where it was.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub rows_ahead: u64,
    /// Of a directory: rows that were made again or removed before this check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_mended: Option<u64>,
    /// What is wrong; empty when all is well.
    pub problems: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
