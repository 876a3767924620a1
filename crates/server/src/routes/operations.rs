//! The audit log: pages, all of it as lines, and as it goes on.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, header};
use bytes::Bytes;
use confman_api::operation::{Operation, SealedOperation};
use confman_api::{MEDIA_TYPE_EVENTS, MEDIA_TYPE_NDJSON};
use confman_repo::model::Namespace;
use confman_repo::{LoggedOperation, OperationBound, OperationFilter, Session};
use futures::stream;

use super::page;
use crate::app::App;
use crate::call::{Call, PAGE_ITEMS_MAX};
use crate::document::operation;
use crate::error::ApiError;
use crate::preference;
use crate::query::Query;
use crate::reply::Reply;
use crate::transfer::{self, BodyWriter};

const LIST: &str = "operations";
const SEALED: &str = "sealed-operations";
const LAST_EVENT_ID: &str = "last-event-id";
/// How long a stream of events is silent before a comment shows that it is alive.
pub const HEARTBEAT_SECONDS: u64 = 15;
/// Operations that are read for a stream of events at once.
const EVENTS_AT_ONCE: usize = 100;

/// `GET /v1/operations?namespace=&actor=&action=&request=&ref=&since=&until=&cursor=&limit=`: a
/// page; with `Accept: application/x-ndjson` all of them, one a line; with `Accept: text/event-stream`
/// those to come.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&[
        "namespace",
        "actor",
        "action",
        "request",
        "ref",
        "since",
        "until",
        "bytes",
        "cursor",
        "limit",
    ]);
    let filter = filter(&mut query);
    let media_type = preference::accepted(
        &call.headers,
        &["application/json", MEDIA_TYPE_NDJSON, MEDIA_TYPE_EVENTS],
    )?;
    let after: Option<u64> = page::after(&mut query, LIST);
    let limited = query.text("limit").is_some();
    let limit = page::limit(&mut query);
    query.finish()?;
    match media_type {
        MEDIA_TYPE_EVENTS => follow(call, filter).await,
        MEDIA_TYPE_NDJSON => {
            let most = if limited { limit } else { usize::MAX };
            lines(call, filter, after, most).await
        }
        _ => one_page(call, filter, after, limit).await,
    }
}

fn filter(query: &mut Query) -> OperationFilter {
    let namespace: Option<Namespace> = query.parsed("namespace");
    let text = |name: &str| query.text(name).map(str::to_owned);
    OperationFilter {
        namespace,
        actor: text("actor"),
        action: text("action"),
        request: text("request"),
        ref_name: text("ref"),
        since: query.text("since").map(OperationBound::from),
        until: query.text("until").map(OperationBound::from),
    }
}

async fn one_page(
    call: Call,
    filter: OperationFilter,
    after: Option<u64>,
    limit: usize,
) -> Result<Reply, ApiError> {
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.operations(&filter, after, limit)?;
        let items = found.operations.iter().map(operation::operation).collect();
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::page::<Operation>(items, next, &here)?;
        Ok(reply.filtered(found.filtered))
    })
    .await
}

/// `GET /v1/operations/sealed?cursor=&limit=`: canonical bytes, oldest first, for whoever makes the hashes
/// again.
pub(crate) async fn sealed(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let after: Option<u64> = page::after(&mut query, SEALED);
    let after = after.unwrap_or_default();
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.sealed_operations(after, limit)?;
        let last = found
            .last()
            .filter(|_| found.len() == limit)
            .map(|last| last.sequence);
        let next = page::next(SEALED, last.as_ref());
        Reply::page::<SealedOperation>(found.iter().map(operation::sealed).collect(), next, &here)
    })
    .await
}

async fn lines(
    call: Call,
    filter: OperationFilter,
    after: Option<u64>,
    most: usize,
) -> Result<Reply, ApiError> {
    let (writer, body) = transfer::writer();
    let session = call.session.clone();
    let write = move || {
        if let Err(error) = write_lines(&session, &filter, after, most, writer) {
            // The body breaks off, which tells the client.
            tracing::warn!("the stream of operations broke off: {error}");
        }
    };
    call.app.send(write).await?;
    Ok(Reply::body(body, MEDIA_TYPE_NDJSON))
}

fn write_lines(
    session: &Session,
    filter: &OperationFilter,
    mut after: Option<u64>,
    mut left: usize,
    mut out: BodyWriter,
) -> Result<(), Box<dyn std::error::Error>> {
    while left > 0 {
        let found = session.operations(filter, after, left.min(PAGE_ITEMS_MAX))?;
        left = left.saturating_sub(found.operations.len());
        for logged in &found.operations {
            serde_json::to_writer(&mut out, &operation::operation(logged))?;
            out.write_all(b"\n")?;
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    Ok(out.finish()?)
}

/// A stream of events that is being read: nothing is prepared before the client takes it.
struct Follower {
    app: App,
    session: Session,
    filter: OperationFilter,
    /// Sequence number of the last operation that was looked at.
    after: u64,
    applied: tokio::sync::watch::Receiver<u64>,
}

/// Operations to come, each an event whose id is its log index: after `Last-Event-ID`, or from `since` on,
/// or from now on.
async fn follow(call: Call, mut filter: OperationFilter) -> Result<Reply, ApiError> {
    let last_seen = match call.headers.get(LAST_EVENT_ID) {
        None => None,
        Some(value) => {
            let index = value.to_str().ok().and_then(|text| text.parse().ok());
            let index: u64 = index.ok_or_else(|| {
                ApiError::header(LAST_EVENT_ID, "it is the log index of an event")
            })?;
            Some(OperationBound::Index(index))
        }
    };
    let applied = call.app.repo().node().applied();
    let from_start = filter.since.is_some() && last_seen.is_none();
    if last_seen.is_some() {
        filter.since = None;
    }
    let bound = last_seen.clone();
    let after = match from_start {
        // The filter's own bound says where it begins.
        true => 0,
        false => {
            call.run(move |session| Ok(session.operation_number(bound.as_ref())?))
                .await?
        }
    };
    let follower = Follower {
        app: call.app.clone(),
        session: call.session.clone(),
        filter,
        after,
        applied,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    let reply = Reply::body(Body::from_stream(events), MEDIA_TYPE_EVENTS);
    Ok(reply
        .header(header::CACHE_CONTROL, "no-store")
        .header(HeaderName::from_static("x-accel-buffering"), "no"))
}

impl Follower {
    /// The next events, or a comment where nothing happens; `None` at the end: the server stops, the token
    /// is not valid any more, or the log cannot be read.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Taken before the look, so that an operation during it is not slept over.
            self.applied.borrow_and_update();
            let (session, filter, after) = (self.session.clone(), self.filter.clone(), self.after);
            let found = self
                .app
                .blocking(move |_| Ok(session.operations_after(&filter, after, EVENTS_AT_ONCE)?))
                .await;
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    tracing::info!("a stream of operations ends: {}", error.detail);
                    return None;
                }
            };
            self.after = found.through;
            if !found.operations.is_empty() {
                return Some(
                    found
                        .operations
                        .iter()
                        .map(event)
                        .collect::<String>()
                        .into(),
                );
            }
            if found.next.is_some() {
                continue;
            }
            tokio::select! {
                moved = self.applied.changed() => if moved.is_err() { return None },
                () = tokio::time::sleep(Duration::from_secs(HEARTBEAT_SECONDS)) => {
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                () = self.app.stopping() => return None,
            }
        }
    }
}

fn event(logged: &LoggedOperation) -> String {
    let document = serde_json::to_string(&operation::operation(logged)).unwrap_or_default();
    format!(
        "id: {}\nevent: operation\ndata: {document}\n\n",
        logged.operation.index
    )
}
