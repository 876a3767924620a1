//! Issuers of identities.

use axum::http::StatusCode;
use confman_api::Page;
use confman_repo::IssuerInfo;
use confman_repo::identity::{IssuerDocument, IssuerName};

use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::identity;
use crate::error::ApiError;
use crate::reply::Reply;

/// `GET /v1/issuers`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.issuers()?;
        Reply::json(&Page {
            items: found.items.iter().map(identity::issuer).collect(),
            next: None,
        })
    })
    .await
}

/// `GET /v1/issuers/{name}`
pub(crate) async fn get(call: Call, name: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| one(&session.issuer(&name)?)).await
}

/// `PUT /v1/issuers/{name}`
pub(crate) async fn put(mut call: Call, name: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected = call.seen_head()?;
    let document: IssuerDocument = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let (issuer, is_new, committed) = session.put_issuer(&name, &document, expected)?;
        let status = match is_new {
            true => StatusCode::CREATED,
            false => StatusCode::OK,
        };
        Ok(one(&issuer)?.status(status).index(committed.index))
    })
    .await
}

/// `DELETE /v1/issuers/{name}`
pub(crate) async fn remove(call: Call, name: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected = call.seen_head()?;
    call.change(move |session| {
        let committed = session.delete_issuer(&name, expected)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

fn one(info: &IssuerInfo) -> Result<Reply, ApiError> {
    Ok(Reply::json(&identity::issuer(info))?.etag(&info.record.to_string()))
}
