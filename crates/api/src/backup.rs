//! What a backup is made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/backup`: where a backup that is begun now ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupHead {
    /// Identity of the cluster, 32 hex digits.
    pub cluster_id: String,
    /// The newest operation.
    pub operation: String,
    /// Its number, from 1.
    pub sequence: u64,
    /// Its log index.
    pub index: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
}

/// `GET /v1/backup/operations`: some of the operations after a number, in order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupOperations {
    /// Their ids; none where nothing follows.
    pub operations: Vec<String>,
}

/// `POST /v1/backup/objects`: which objects are wanted. The answer is a pack with the first of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupObjectsWrite {
    /// Each as `KIND ID`, as in `blob 0123…`.
    #[serde(default)]
    pub objects: Vec<String>,
}
