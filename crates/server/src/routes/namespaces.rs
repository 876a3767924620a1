//! Namespaces and their documents.

use axum::http::{StatusCode, header};
use confman_api::MEDIA_TYPE_MERGE_PATCH;
use confman_api::namespace::{
    DeletedNamespace, DocumentVersion, NamespaceDocument, NamespaceSummary,
};
use confman_repo::DocumentChange;
use confman_repo::model::Namespace;
use serde_json::value::RawValue;

use super::page;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::{explain, namespace};
use crate::error::{ApiError, Code};
use crate::reply::Reply;

const LIST: &str = "namespaces";
const DELETED: &str = "deleted-namespaces";
const HISTORY: &str = "namespace-history";

/// `GET /v1/namespaces?prefix=&cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["prefix", "cursor", "limit"]);
    let prefix: Option<Namespace> = query.parsed("prefix");
    let prefix = prefix.unwrap_or_else(Namespace::root);
    let after: Option<Namespace> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.namespaces(&prefix, after.as_ref(), limit)?;
        let items = found.namespaces.iter().map(namespace::summary).collect();
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::page::<NamespaceSummary>(items, next, &here)?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}

/// `GET /v1/namespaces/deleted?prefix=&cursor=&limit=`
pub(crate) async fn deleted(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["prefix", "cursor", "limit"]);
    let prefix: Option<Namespace> = query.parsed("prefix");
    let prefix = prefix.unwrap_or_else(Namespace::root);
    // One is named by its path and its deletion.
    let after: Option<String> = page::after(&mut query, DELETED);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.deleted_namespaces(&prefix)?;
        let name =
            |one: &confman_repo::DeletedNamespace| format!("{} {}", one.namespace, one.deletion);
        let first = match &after {
            None => 0,
            Some(after) => found
                .iter()
                .position(|one| name(one) == *after)
                .map_or(found.len(), |at| at + 1),
        };
        let rest = found.get(first..).unwrap_or_default();
        let shown = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let last = shown.last().filter(|_| rest.len() > limit).map(name);
        let next = page::next(DELETED, last.as_ref());
        let items = shown.iter().map(namespace::deleted).collect();
        Reply::page::<DeletedNamespace>(items, next, &here)
    })
    .await
}

/// `POST /v1/namespaces`
pub(crate) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let document: NamespaceDocument = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let (made, committed) = session.create_namespace(document)?;
        let path = made.document.path.to_string();
        let location = match path.as_str() {
            "/" => "/v1/ns/-/namespace".to_owned(),
            path => format!("/v1/ns{path}/-/namespace"),
        };
        let reply = Reply::json(&made.document)?.status(StatusCode::CREATED);
        let reply = reply
            .header(header::LOCATION, &location)
            .etag(&made.policy.to_string());
        Ok(reply.index(committed.index).commit(Some(made.policy)))
    })
    .await
}

/// `GET /v1/ns/{namespace}/-/namespace/effective?at=`
pub(crate) async fn effective(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at"]);
    let at = query.text("at").map(str::to_owned);
    query.finish()?;
    call.run(move |session| {
        let found = session.effective_namespace(&namespace, at.as_deref())?;
        let reply = Reply::json(&explain::effective_namespace(&found))?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}

/// `GET /v1/ns/{namespace}/-/namespace`
pub(crate) async fn document(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let headers = call.headers.clone();
    call.run(move |session| {
        let found = session.namespace(&namespace)?;
        let tag = found.policy.to_string();
        if crate::etag::is_known(&headers, &tag)? {
            return Ok(Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag));
        }
        Ok(Reply::json(&found.document)?
            .etag(&tag)
            .commit(Some(found.policy)))
    })
    .await
}

/// `PUT /v1/ns/{namespace}/-/namespace?force=`
pub(crate) async fn replace(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let given = call.headers.get(header::CONTENT_TYPE);
    if given.is_some_and(|given| {
        given
            .as_bytes()
            .starts_with(MEDIA_TYPE_MERGE_PATCH.as_bytes())
    }) {
        let detail = "a merge patch is sent with PATCH; PUT takes the whole document";
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    let text: Box<RawValue> = call.json(DOCUMENT_BYTES_MAX).await?;
    let document = confman_repo::namespace::read_document(&namespace, text.get())?;
    update(call, namespace, DocumentChange::Replace(Box::new(document))).await
}

/// `PATCH /v1/ns/{namespace}/-/namespace?force=`: a merge patch (RFC 7396).
pub(crate) async fn patch(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let patch: serde_json::Value = call.json(DOCUMENT_BYTES_MAX).await?;
    update(call, namespace, DocumentChange::Merge(patch)).await
}

async fn update(
    call: Call,
    namespace: Namespace,
    change: DocumentChange,
) -> Result<Reply, ApiError> {
    let mut query = call.query(&["force"]);
    let force = query.flag("force", false);
    query.finish()?;
    let expected = call.seen_head()?;
    call.change(move |session| {
        let found = session.update_namespace(&namespace, &change, expected, force)?;
        let (policy, index) = (found.info.policy, found.committed.index);
        let reply = Reply::json(&namespace::updated(found))?;
        Ok(reply
            .index(index)
            .etag(&policy.to_string())
            .commit(Some(policy)))
    })
    .await
}

/// `DELETE /v1/ns/{namespace}/-/namespace?recursive=`
pub(crate) async fn remove(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["recursive"]);
    let recursive = query.flag("recursive", false);
    query.finish()?;
    let expected = call.seen_head()?;
    call.change(move |session| {
        let found = session.delete_namespace(&namespace, recursive, expected)?;
        Ok(Reply::json(&namespace::moved(&found))?.index(found.committed.index))
    })
    .await
}

/// `POST /v1/ns/{namespace}/-/restore?deletion=`
pub(crate) async fn restore(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["deletion"]);
    let deletion = query.text("deletion").map(str::to_owned);
    query.finish()?;
    call.change(move |session| {
        let found = session.restore_namespace(&namespace, deletion.as_deref())?;
        Ok(Reply::json(&namespace::moved(&found))?.index(found.committed.index))
    })
    .await
}

/// `GET /v1/ns/{namespace}/-/namespace/history?cursor=&limit=`
pub(crate) async fn history(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let after: Option<u64> = page::after(&mut query, HISTORY);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.document_history(&namespace, after, limit)?;
        let next = page::next(HISTORY, found.next.as_ref());
        let items = found.versions.into_iter().map(namespace::version).collect();
        let reply = Reply::page::<DocumentVersion>(items, next, &here)?;
        Ok(reply.index(found.index))
    })
    .await
}
