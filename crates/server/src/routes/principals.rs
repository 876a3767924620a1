//! Principals.

use axum::http::{StatusCode, header};
use confman_api::identity::{PrincipalPatch, PrincipalWrite};
use confman_repo::identity::PrincipalName;
use confman_repo::{NewPrincipal, PrincipalChange, PrincipalInfo};

use super::page;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::identity;
use crate::error::ApiError;
use crate::reply::Reply;

const LIST: &str = "principals";

/// `GET /v1/principals?cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let after: Option<String> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.principals(after.as_deref(), limit)?;
        let next = page::next(LIST, found.next.as_ref());
        let items = found.items.iter().map(identity::principal).collect();
        Reply::page(items, next, &here)
    })
    .await
}

/// `POST /v1/principals`
pub(crate) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: PrincipalWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let new = NewPrincipal {
        display_name: write.display_name.unwrap_or_else(|| write.name.to_string()),
        name: write.name,
        kind: write.kind,
        email: write.email,
        identity: write.identity,
    };
    call.change(move |session| {
        let (made, committed) = session.create_principal(&new)?;
        let location = format!("/v1/principals/{}", made.name);
        let reply = one(&made)?.status(StatusCode::CREATED);
        Ok(reply
            .header(header::LOCATION, &location)
            .index(committed.index))
    })
    .await
}

/// `GET /v1/principals/{name}`
pub(crate) async fn get(call: Call, name: PrincipalName) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| one(&session.principal(&name)?))
        .await
}

/// `PATCH /v1/principals/{name}`
pub(crate) async fn change(mut call: Call, name: PrincipalName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected = call.seen_head()?;
    let patch: PrincipalPatch = call.json(DOCUMENT_BYTES_MAX).await?;
    let change = PrincipalChange {
        display_name: patch.display_name,
        email: patch.email,
        disabled: patch.disabled,
    };
    call.change(move |session| {
        let (changed, committed) = session.change_principal(&name, &change, expected)?;
        Ok(one(&changed)?.index(committed.index))
    })
    .await
}

fn one(info: &PrincipalInfo) -> Result<Reply, ApiError> {
    Ok(Reply::json(&identity::principal(info))?.etag(&info.record.to_string()))
}
