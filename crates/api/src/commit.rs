//! Commits, comparisons and roll backs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::TreeEntry;

/// A commit. `GET …/commits/{rev}`, items of `GET …/log`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// 64 hex digits.
    pub id: String,
    /// Root of its tree.
    pub tree: String,
    /// Parents; the first is the line that history follows.
    pub parents: Vec<String>,
    /// One more than the largest among the parents.
    pub generation: u64,
    /// Path of the namespace.
    pub namespace: String,
    /// Who made the change.
    pub author: Person,
    /// When, RFC 3339 with their offset.
    pub authored_at: String,
    /// Who made the commit.
    pub committer: Person,
    /// When, RFC 3339.
    pub committed_at: String,
    /// 32 hex digits.
    pub change_id: String,
    /// Why.
    pub message: String,
    /// The draft commit it came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// Publish request, `pr-456`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
    /// Identity of an imported commit in its source, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// How many keys its tree has; only where one commit is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<u64>,
}

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Principal of this store; empty for somebody it does not know.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub principal: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub name: String,
    /// Mail address.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub email: String,
}

/// What differs between two revisions. `GET …/compare?from=&to=` (`fromNamespace=` for another one).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The old side.
    pub from: ComparedSide,
    /// The new side.
    pub to: ComparedSide,
    /// Keys that differ, in order.
    pub changes: Vec<EntryChange>,
    /// Opaque; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// A side of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedSide {
    /// Path of the namespace.
    pub namespace: String,
    /// The commit; absent where nothing is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Root of its tree.
    pub tree: String,
}

/// A key that differs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryChange {
    /// Key.
    pub key: String,
    /// `added`, `removed`, `changed` or `format-only`.
    pub kind: String,
    /// What the old side has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<TreeEntry>,
    /// What the new side has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<TreeEntry>,
}

/// Publishes a draft. `POST …/publish`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishWrite {
    /// The draft.
    pub draft: String,
    /// Head of the draft that the caller has seen, 64 hex digits; 409 if it moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Only these keys; the rest stays in the draft.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<Vec<String>>,
    /// Message of the published commit; that of the draft's newest commit where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Why it goes past review, freeze and guards; it is an emergency then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub emergency: Option<String>,
    /// Set or change keys that a schema says are deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub acknowledge_deprecated: bool,
}

/// What a publish or roll back did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Path of the namespace.
    pub namespace: String,
    /// The published commit.
    pub commit: String,
    /// Root of its tree.
    pub tree: String,
    /// The published head before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<String>,
    /// The operation.
    pub operation: String,
    /// Log index.
    pub index: u64,
    /// Keys that changed.
    pub keys: Vec<String>,
    /// Whether other keys had moved since the draft began and were merged.
    pub merged: bool,
    /// Of an emergency: where it is kept until an admin has looked at it, `pr-456`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_request_id: Option<String>,
    /// What is allowed but worth knowing (numbers a double cannot hold, …).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// Publishes the content of an earlier revision again. `POST …/rollback`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackWrite {
    /// The revision whose content is wanted.
    pub to: String,
    /// Only these keys; all where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<Vec<String>>,
    /// The published head that the caller has seen; 409 if it moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Why it goes past freeze and guards; it is an emergency then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub emergency: Option<String>,
    /// Set or change keys that a schema says are deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub acknowledge_deprecated: bool,
}

/// A name for a commit. `PUT …/tags/{t}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagWrite {
    /// The revision it names.
    pub revision: String,
}

/// A tag. `GET …/tags[/{t}]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Name.
    pub name: String,
    /// Commit.
    pub commit: String,
}
