//! Namespaces and their documents.

use axum::http::{StatusCode, header};
use confman_api::Page;
use confman_api::namespace::{NamespaceDocument, NamespaceSummary};
use confman_repo::NamespaceInfo;
use confman_repo::model::Namespace;

use super::page;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

const LIST: &str = "namespaces";

/// `GET /v1/namespaces?prefix=&cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["prefix", "cursor", "limit"]);
    let prefix: Option<Namespace> = query.parsed("prefix");
    let after: Option<Namespace> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let prefix = prefix.unwrap_or_else(Namespace::root);
        let found = session.namespaces(&prefix, after.as_ref(), limit)?;
        let items = found.namespaces.iter().map(summary).collect();
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::json(&Page::<NamespaceSummary> {
            items,
            next: next.clone(),
        })?;
        Ok(reply
            .index(found.index)
            .filtered(found.filtered)
            .next(&here, next.as_deref()))
    })
    .await
}

fn summary(info: &NamespaceInfo) -> NamespaceSummary {
    NamespaceSummary {
        path: info.document.path.to_string(),
        display_name: info.document.display_name.clone(),
        owner: info.document.owner.clone(),
        published: info.published.map(|id| id.to_string()),
        keys: info.keys,
    }
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
