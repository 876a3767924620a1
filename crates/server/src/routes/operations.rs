//! The audit log.

use std::io::Write;

use confman_api::operation::Operation;
use confman_api::{MEDIA_TYPE_NDJSON, Page};
use confman_repo::model::Namespace;
use confman_repo::{OperationFilter, Session};

use super::page;
use crate::call::{Call, PAGE_ITEMS_MAX};
use crate::document::operation;
use crate::error::ApiError;
use crate::preference;
use crate::reply::Reply;
use crate::transfer::{self, BodyWriter};

const LIST: &str = "operations";

/// `GET /v1/operations?namespace=&actor=&action=&cursor=&limit=`: a page, or with
/// `Accept: application/x-ndjson` all of them, one a line.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["namespace", "actor", "action", "cursor", "limit"]);
    let namespace: Option<Namespace> = query.parsed("namespace");
    let filter = OperationFilter {
        namespace,
        actor: query.text("actor").map(str::to_owned),
        action: query.text("action").map(str::to_owned),
    };
    let after: Option<u64> = page::after(&mut query, LIST);
    let limited = query.text("limit").is_some();
    let limit = page::limit(&mut query);
    query.finish()?;
    let media_type = preference::accepted(&call.headers, &["application/json", MEDIA_TYPE_NDJSON])?;
    if media_type == MEDIA_TYPE_NDJSON {
        let most = if limited { limit } else { usize::MAX };
        return stream(call, filter, after, most).await;
    }
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.operations(&filter, after, limit)?;
        let items = found.operations.iter().map(operation::operation).collect();
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::json(&Page::<Operation> {
            items,
            next: next.clone(),
        })?;
        Ok(reply.filtered(found.filtered).next(&here, next.as_deref()))
    })
    .await
}

async fn stream(
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
