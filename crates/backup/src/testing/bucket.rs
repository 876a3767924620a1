//! A server that speaks as much S3 as a backup takes. The tests of the whole program have it too.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    dead_code,
    reason = "a helper of tests, of which each takes its part"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// A server that speaks as much S3 as a backup takes, with one bucket, `bucket`.
pub(crate) struct BucketServer {
    endpoint: String,
    pub(crate) bucket: Bucket,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    /// Requests that are still answered by 503.
    pub(crate) refuses: Arc<AtomicUsize>,
}

/// Files in one answer to a listing, so that there is more than one.
const LISTED_AT_ONCE: usize = 3;

impl BucketServer {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bucket = Bucket::default();
        let router = Router::new().fallback(answer).with_state(bucket.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            endpoint,
            bucket,
            _runtime: runtime,
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

async fn answer(State(bucket): State<Bucket>, request: Request) -> Response {
    let refuses = bucket
        .refuses
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
    if refuses.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let signed = request
        .headers()
        .get(header::AUTHORIZATION)
        .is_some_and(|value| {
            value
                .as_bytes()
                .starts_with(b"AWS4-HMAC-SHA256 Credential=key/")
        });
    if !signed {
        return StatusCode::FORBIDDEN.into_response();
    }
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let key = path.strip_prefix("/bucket").unwrap_or_default();
    let key = key.strip_prefix('/').unwrap_or_default().to_owned();
    match *request.method() {
        Method::GET if key.is_empty() => list(&bucket, &query),
        Method::GET => match bucket.files.lock().unwrap().get(&key) {
            Some(bytes) => (
                [
                    (header::LAST_MODIFIED, "Wed, 25 Nov 2026 20:53:49 GMT"),
                    (header::ETAG, "\"x\""),
                ],
                bytes.clone(),
            )
                .into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::PUT => {
            let bytes = axum::body::to_bytes(request.into_body(), usize::MAX)
                .await
                .unwrap();
            bucket.files.lock().unwrap().insert(key, bytes);
            ([(header::ETAG, "\"x\"")], Body::empty()).into_response()
        }
        Method::DELETE => {
            bucket.files.lock().unwrap().remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn list(bucket: &Bucket, query: &str) -> Response {
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| {
            let value = pair.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.replace("%2F", "/"))
        })
    };
    let prefix = parameter("prefix").unwrap_or_default();
    let after = parameter("continuation-token").unwrap_or_default();
    let files = bucket.files.lock().unwrap();
    let matching: Vec<_> = files
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix) && **name > after)
        .collect();
    let more = matching.len() > LISTED_AT_ONCE;
    let shown = &matching[..matching.len().min(LISTED_AT_ONCE)];
    let contents: String = shown
        .iter()
        .map(|(name, bytes)| {
            format!(
                "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>2026-11-25T20:53:49.000Z</LastModified><ETag>x</ETag></Contents>",
                bytes.len()
            )
        })
        .collect();
    let next = match shown.last() {
        Some((name, _)) if more => format!("<NextContinuationToken>{name}</NextContinuationToken>"),
        _ => String::new(),
    };
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{contents}</ListBucketResult>"
    );
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
