//! Bodies of requests: bounded in bytes and in time, and read as JSON or as a stream.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use confman_api::MEDIA_TYPE_MERGE_PATCH;
use confman_api::problem::ProblemItem;
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Code};

/// Most bytes of a JSON body with values in it. A value may have 1 MiB, six times as much escaped.
pub const VALUES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most bytes of any other JSON body.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of the body of a push.
pub const PUSH_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a body may be silent.
pub const SILENCE_SECONDS_MAX: u64 = 30;
/// How long a JSON body may take as a whole.
pub const JSON_SECONDS_MAX: u64 = 120;

/// Pieces of a body, each in time and all together within a limit.
pub(crate) struct Pieces {
    stream: BodyDataStream,
    left: usize,
    bytes_max: usize,
}

impl Pieces {
    /// Begins to read. A `Content-Length` above the limit is refused at once.
    pub(crate) fn new(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Self, ApiError> {
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        if length.is_some_and(|text| {
            text.parse()
                .is_ok_and(|bytes: u64| bytes > bytes_max as u64)
        }) {
            return Err(too_large(bytes_max));
        }
        Ok(Self {
            stream: body.into_data_stream(),
            left: bytes_max,
            bytes_max,
        })
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
        let piece = match tokio::time::timeout(silence, self.stream.next()).await {
            Err(_) => {
                let detail =
                    format!("the body of the request was silent for {SILENCE_SECONDS_MAX} s");
                return Err(ApiError::new(Code::RequestTimeout, detail));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                let detail = format!("the body of the request broke off: {error}");
                return Err(ApiError::new(Code::InvalidBody, detail));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        self.left = self
            .left
            .checked_sub(piece.len())
            .ok_or_else(|| too_large(self.bytes_max))?;
        Ok(Some(piece))
    }
}

/// Reads a body as one JSON document without unknown fields.
pub(crate) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, ApiError> {
    check_is_json(headers)?;
    let mut pieces = Pieces::new(headers, body, bytes_max)?;
    let read = async {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let limit = Duration::from_secs(JSON_SECONDS_MAX);
    let bytes = tokio::time::timeout(limit, read)
        .await
        .unwrap_or_else(|_| {
            let detail = format!("the body of the request took more than {JSON_SECONDS_MAX} s");
            Err(ApiError::new(Code::RequestTimeout, detail))
        })?;
    parse_json(&bytes)
}

/// Reads JSON text without unknown fields.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::new(
            Code::InvalidBody,
            "the request needs a JSON body and has none",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8 after byte {}", error.valid_up_to());
        ApiError::new(Code::InvalidBody, detail)
    })?;
    // Derived code takes an array for an object, field by field, which nobody means.
    if !text.trim_start().starts_with('{') {
        return Err(ApiError::new(
            Code::InvalidBody,
            "the body must be one JSON object",
        ));
    }
    serde_json::from_str(text).map_err(|error| {
        let place = u32::try_from(error.line())
            .ok()
            .zip(u32::try_from(error.column()).ok());
        // serde_json ends its text with the place, which has fields of its own here.
        let text = error.to_string();
        let detail = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let item = ProblemItem {
            detail,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            ..ProblemItem::default()
        };
        ApiError::listed(Code::InvalidBody, vec![item])
    })
}

fn check_is_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = given
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case(MEDIA_TYPE_MERGE_PATCH)
    {
        return Ok(());
    }
    let detail = "the body must be JSON: send `Content-Type: application/json`";
    Err(ApiError::new(Code::UnsupportedMediaType, detail))
}

fn too_large(bytes_max: usize) -> ApiError {
    let detail = format!(
        "the body of the request has more than {bytes_max} bytes, which is the most allowed here"
    );
    ApiError::new(Code::TooLarge, detail)
}
