//! What the server and the caller are, and whether everything is well.

use axum::body::Body;
use axum::http::{StatusCode, header};
use confman_api::system::{FsckReport, Readiness, Version};
use data_encoding::HEXLOWER;

use crate::app::App;
use crate::call::Call;
use crate::document::identity;
use crate::error::ApiError;
use crate::openapi;
use crate::reply::Reply;

/// The version of the HTTP contract.
pub const API_VERSION: u32 = 1;
/// A node that is further behind is not ready.
pub const READY_LAG_MAX: u64 = 1000;

/// What a node says that has joined and has not got yet what was there.
pub(crate) const NOT_BEGUN: &str = "it has joined and has not got yet what was there before";

/// The process answers.
pub(crate) fn health() -> Reply {
    Reply::body(Body::from("ok\n"), "text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
}

/// Whether requests can be served, and why not.
pub(crate) fn readiness(app: &App) -> Result<Reply, ApiError> {
    let node = app.repo().node();
    let (status, lag) = (node.status(), node.lag());
    let problem = match (&status.failed, status.leader) {
        (Some(reason), _) => Some(format!("the store takes no more writes: {reason}")),
        (None, None) => Some("no leader is known".to_owned()),
        (None, Some(_)) if !node.has_begun() => Some(NOT_BEGUN.to_owned()),
        (None, Some(_)) if lag > READY_LAG_MAX => Some(format!("it is {lag} entries behind")),
        (None, Some(_)) => None,
    };
    let ready = problem.is_none();
    let readiness = Readiness {
        ready,
        node: status.node_id,
        leader: status.leader,
        index: status.applied,
        operation: status.operation.map(|id| id.to_string()),
        problem,
    };
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let reply = Reply::json(&readiness)?.status(code).index(status.applied);
    Ok(reply.header(header::CACHE_CONTROL, "no-store"))
}

/// What the server is.
pub(crate) fn version(app: &App) -> Result<Reply, ApiError> {
    Reply::json(&Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: API_VERSION,
        cluster_id: HEXLOWER.encode(&app.repo().node().status().cluster_id),
    })
}

/// What the server has come to, for Prometheus.
pub(crate) fn metrics(app: &App) -> Result<Reply, ApiError> {
    let text = app.metrics().text()?;
    let reply = Reply::body(Body::from(text), crate::metrics::MEDIA_TYPE);
    Ok(reply.header(header::CACHE_CONTROL, "no-store"))
}

/// The contract, for programs.
pub(crate) fn openapi() -> Result<Reply, ApiError> {
    let reply = Reply::body(Body::from(openapi::text()?), "application/json");
    Ok(reply.header(header::CACHE_CONTROL, "no-cache"))
}

/// The contract, for people.
pub(crate) fn docs() -> Result<Reply, ApiError> {
    let reply = Reply::body(Body::from(openapi::page()?), "text/html; charset=utf-8");
    Ok(reply.header(header::CACHE_CONTROL, "no-cache").header(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'",
    ))
}

/// Who the caller is.
pub(crate) async fn whoami(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(|session| Reply::json(&identity::whoami(session.whoami()?)))
        .await
}

/// Checks everything that is stored.
pub(crate) async fn fsck(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let session = call.session.clone();
    call.app
        .transfer(move |_| Reply::json(&report(session.fsck(&mut |_| {})?)))
        .await
}

/// What a check found, as a document.
pub(crate) fn report(found: confman_repo::FsckReport) -> FsckReport {
    FsckReport {
        objects: found
            .objects
            .iter()
            .map(|(kind, count)| (kind.to_string(), *count))
            .collect(),
        operations: found.operations,
        rows: found.rows,
        // What was applied meanwhile is nothing to tell of.
        rows_ahead: 0,
        rows_mended: None,
        problems: found.problems,
    }
}
