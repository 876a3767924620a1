//! Entries and their histories.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An entry as its namespace has it. `GET …/entries/{key}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigEntry {
    /// Path of the namespace.
    pub namespace: String,
    /// Key.
    pub key: String,
    /// `string`, `number`, `boolean`, `json`, `binary` or `secret-ref`; absent for a tombstone only.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub entry_type: Option<String>,
    /// Text for people.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// Media type of a binary value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The published side; absent where nothing is published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published: Option<PublishedValue>,
    /// The draft side; absent where no draft touches the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<DraftValue>,
    /// Creation and tags.
    pub metadata: EntryMetadata,
}

/// A published value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedValue {
    /// The value; absent where `unset`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Box<RawValue>>,
    /// The key is unset here: what it would inherit is hidden.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unset: bool,
    /// Counts the published versions of the key, from 1.
    pub version: u64,
    /// When, RFC 3339.
    pub published_at: String,
    /// By whom.
    pub published_by: String,
    /// Through which publish request, `pr-456`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
}

/// A value in a draft.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DraftValue {
    /// The value; absent where `unset` or removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Box<RawValue>>,
    /// The key is unset here.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unset: bool,
    /// The version it would become.
    pub version: u64,
    /// `draft`, `pending_review`, ….
    pub state: String,
    /// When it changed last, RFC 3339.
    pub updated_at: String,
    /// Who changed it.
    pub updated_by: String,
    /// The publish request that has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
    /// Name of the draft.
    pub name: String,
}

/// Creation and tags of an entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryMetadata {
    /// When the key was first published (or drafted), RFC 3339.
    pub created: String,
    /// By whom.
    pub created_by: String,
    /// Sorted.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What a key becomes. `PUT …/entries/{key}` and the values of [`crate::draft::Changes`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryWrite {
    /// The type; inferred from the JSON of the value where absent (a string becomes `string`).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub entry_type: Option<String>,
    /// The value; required unless `unset`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Box<RawValue>>,
    /// Write a tombstone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unset: bool,
    /// Text for people; unchanged where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Tags; unchanged where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<String>>,
    /// Media type of a binary value; unchanged where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
}

/// An entry of a tree, as lists, diffs and exports give it. `GET …/entries`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TreeEntry {
    /// Key.
    pub key: String,
    /// Type; absent for a tombstone only.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub entry_type: Option<String>,
    /// The value; absent for a tombstone, and where `?values=false` was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Box<RawValue>>,
    /// A tombstone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unset: bool,
    /// Bytes of the value.
    pub size: u64,
    /// Text for people.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// Sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    /// Media type of a binary value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// Where an effective value comes from; only in effective documents.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
}

/// One effective value with where it comes from. `GET …/config/{key}`.
pub type EffectiveEntry = TreeEntry;

/// The effective document. `GET …/config` gives `values` alone unless `?origin=true`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveDocument {
    /// Path of the namespace.
    pub namespace: String,
    /// Hash of the ordered commits behind it; the ETag.
    pub basis: String,
    /// The entries, by key.
    pub entries: Vec<EffectiveEntry>,
}

/// The history of a key, newest first. `GET …/history/{key}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Path of the namespace.
    pub namespace: String,
    /// Key.
    pub key: String,
    /// Versions, newest first.
    pub versions: Vec<Version>,
    /// Opaque; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// One published version of a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// From 1.
    pub version: u64,
    /// Type; absent for a removal or a tombstone.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub entry_type: Option<String>,
    /// The value; absent for a removal or a tombstone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Box<RawValue>>,
    /// The key was unset.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unset: bool,
    /// The entry was removed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub removed: bool,
    /// When, RFC 3339.
    pub published_at: String,
    /// By whom.
    pub published_by: String,
    /// Through which publish request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
    /// Whose approvals let it be published.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approved_by: Vec<String>,
    /// The commit, 64 hex digits.
    pub commit: String,
    /// First line of its message.
    pub message: String,
    /// Raft term of the operation.
    pub raft_term: u64,
    /// Raft index of the operation.
    pub raft_index: u64,
}

/// Who last changed a key. `GET …/blame`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blame {
    /// Key.
    pub key: String,
    /// Version it has.
    pub version: u64,
    /// The commit that gave it this value.
    pub commit: String,
    /// Author of that commit.
    pub author: String,
    /// When, RFC 3339.
    pub at: String,
    /// First line of its message.
    pub message: String,
    /// Through which publish request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
    /// Whose approvals let it be published.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approved_by: Vec<String>,
}
