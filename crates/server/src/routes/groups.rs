//! Groups.

use axum::http::StatusCode;
use confman_repo::GroupInfo;
use confman_repo::identity::{GroupDocument, GroupName};

use super::page;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::identity;
use crate::error::ApiError;
use crate::reply::Reply;

const LIST: &str = "groups";

/// `GET /v1/groups?cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let after: Option<String> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.groups(after.as_deref(), limit)?;
        let next = page::next(LIST, found.next.as_ref());
        let items = found.items.iter().map(identity::group).collect();
        Reply::page(items, next, &here)
    })
    .await
}

/// `GET /v1/groups/{name}`
pub(crate) async fn get(call: Call, name: GroupName) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| one(&session.group(&name)?)).await
}

/// `PUT /v1/groups/{name}`
pub(crate) async fn put(mut call: Call, name: GroupName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected = call.seen_head()?;
    let document: GroupDocument = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let (group, is_new, committed) = session.put_group(&name, &document, expected)?;
        let status = match is_new {
            true => StatusCode::CREATED,
            false => StatusCode::OK,
        };
        Ok(one(&group)?.status(status).index(committed.index))
    })
    .await
}

/// `DELETE /v1/groups/{name}`
pub(crate) async fn remove(call: Call, name: GroupName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected = call.seen_head()?;
    call.change(move |session| {
        let committed = session.delete_group(&name, expected)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

fn one(info: &GroupInfo) -> Result<Reply, ApiError> {
    Ok(Reply::json(&identity::group(info))?.etag(&info.record.to_string()))
}
