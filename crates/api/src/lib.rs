//! The HTTP contract as types; the only JSON that crosses the network.
//!
//! Field names are camelCase. Documents are those of the data model; requests refuse unknown fields.
//! Values of entries are raw JSON, so that numbers and key order survive digit for digit.

pub mod backup;
pub mod cluster;
pub mod commit;
pub mod draft;
pub mod entry;
pub mod explain;
pub mod identity;
pub mod namespace;
pub mod ofrep;
pub mod operation;
pub mod problem;
pub mod request;
pub mod schema;
pub mod spring;
pub mod sync;
pub mod system;
pub mod watch;

/// Every answer carries the log index it is not older than.
pub const HEADER_INDEX: &str = "confman-index";
/// A request waits until the node has applied this index.
pub const HEADER_MIN_INDEX: &str = "confman-min-index";
/// The commit that an answer was read from.
pub const HEADER_COMMIT: &str = "confman-commit";
/// Who reads, for what is published gradually: an id that the client chooses and keeps.
pub const HEADER_CLIENT: &str = "confman-client";
/// An answer leaves out what the caller may not see.
pub const HEADER_FILTERED: &str = "confman-filtered";
/// Names a write, so that asking again gives the same answer. 1 to 128 printable ASCII characters.
pub const HEADER_IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Names a request in the answer and in the server's logs.
pub const HEADER_REQUEST_ID: &str = "confman-request-id";
/// Media type of packs.
pub const MEDIA_TYPE_PACK: &str = "application/x-confman-pack";
/// Media type of problems (RFC 9457).
pub const MEDIA_TYPE_PROBLEM: &str = "application/problem+json";
/// Media type of one JSON document a line.
pub const MEDIA_TYPE_NDJSON: &str = "application/x-ndjson";
/// Media type of a stream of events.
pub const MEDIA_TYPE_EVENTS: &str = "text/event-stream";
/// Media type of a merge patch (RFC 7396).
pub const MEDIA_TYPE_MERGE_PATCH: &str = "application/merge-patch+json";

/// A page of a list. Where `next` is given, ask again with `?cursor=` it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Opaque; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}
