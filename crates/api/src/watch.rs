//! Watches: what is told to who wants to know when a namespace's effective configuration moves.
//!
//! `GET …/watch` is a stream of server-sent events. Each has the log index as its `id`, so that
//! `Last-Event-ID` goes on after it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Event `ready`: the stream begins here. Whoever has another basis fetches first.
pub const EVENT_READY: &str = "ready";
/// Event `change`: the effective document moved.
pub const EVENT_CHANGE: &str = "change";
/// Event `reset`: what was missed cannot be told; fetch again.
pub const EVENT_RESET: &str = "reset";
/// Event `end`: the last one of a stream, and why.
pub const EVENT_END: &str = "end";
/// The header of an event source that comes back.
pub const HEADER_LAST_EVENT_ID: &str = "last-event-id";

/// Data of `ready` and `reset`: where the namespace is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchState {
    /// Path of the namespace.
    pub namespace: String,
    /// Log index.
    pub index: u64,
    /// Basis of the effective document, which is its ETag.
    pub basis: String,
    /// Identity of the cluster, 32 hex digits: an index means something in its cluster only.
    pub cluster_id: String,
    /// For `reset`: why it is not known what was missed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Data of `change`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchChange {
    /// Path of the namespace.
    pub namespace: String,
    /// Log index of the operation that moved it.
    pub index: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The new basis; absent where the namespace is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub basis: Option<String>,
    /// The namespace's own published commit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Keys whose effective values may have changed; absent where any may have. Empty where only
    /// what is overridden changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<Vec<String>>,
}

/// Data of `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchEnd {
    /// `slow`, `not-allowed`, `gone`, `stopping` or `failed`.
    pub code: String,
    /// What happened, and what to do next.
    pub reason: String,
}

/// What was missed: `GET …/watch?after=` with `Accept: application/json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchChanges {
    /// The changes, in order.
    pub items: Vec<WatchChange>,
    /// Ask again with `after` this index.
    pub index: u64,
    /// What was missed cannot be told, for this reason; fetch again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reset: Option<String>,
}
