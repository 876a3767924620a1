//! A document as it is served: bodies made once, shared by all answers.

use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use confman_client::reading::Document;
use confman_model::json::quote;
use confman_model::{EntryType, Key, Value};

/// A document with its bodies.
#[derive(Debug)]
pub struct Served {
    /// The document.
    pub document: Arc<Document>,
    /// `GET …/config`.
    pub values: Bytes,
    /// The state, in quotes.
    pub etag: HeaderValue,
    /// The state, in quotes, for raw bytes of values.
    pub etag_raw: HeaderValue,
    /// The log index that it is not older than.
    pub index: HeaderValue,
}

/// A value in its author's bytes.
#[derive(Debug)]
pub struct RawValue {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are text.
    pub is_text: bool,
}

/// `GET …/config` of keys and values.
pub(crate) fn json_object(values: &[(Key, Value)]) -> String {
    let mut text = String::from("{");
    for (index, (key, value)) in values.iter().enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        text.push_str(&quote(key.as_str()));
        text.push(':');
        text.push_str(&value.to_json());
    }
    text.push('}');
    text
}

impl RawValue {
    pub(crate) fn of(value: &Value) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(value.bytes()),
            is_text: value.entry_type() != EntryType::Binary,
        }
    }
}

impl Served {
    /// Makes the bodies of a document.
    #[must_use]
    pub fn new(document: Arc<Document>) -> Self {
        let values = json_object(document.values());
        let basis = document.etag().trim_matches('"');
        let header = |text: String| {
            // What a server sent as a header is one; else there is none to compare.
            HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\""))
        };
        Self {
            values: Bytes::from(values),
            etag: header(format!("\"{basis}\"")),
            etag_raw: header(format!("\"{basis}.raw\"")),
            index: HeaderValue::from(document.index()),
            document,
        }
    }

    /// One entry with where it comes from, as JSON.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<Bytes> {
        let entry = self.document.entry(key).ok()?;
        serde_json::to_vec(entry).ok().map(Bytes::from)
    }

    /// One value in its author's bytes.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<RawValue> {
        self.document.get(key).ok().map(RawValue::of)
    }
}
