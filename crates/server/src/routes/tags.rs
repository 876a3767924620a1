//! Tags: lasting names for commits.

use axum::http::StatusCode;
use confman_api::Page;
use confman_api::commit::TagWrite;
use confman_repo::model::{Namespace, TagName};

use super::publish::named;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::commit;
use crate::error::ApiError;
use crate::reply::Reply;

/// `GET …/tags`
pub(crate) async fn list(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.tags(&namespace)?;
        Reply::json(&Page {
            items: found.iter().map(commit::tag).collect(),
            next: None,
        })
    })
    .await
}

/// `GET …/tags/{tag}`
pub(crate) async fn get(
    call: Call,
    namespace: Namespace,
    name: TagName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.tag(&namespace, &name)?;
        Ok(Reply::json(&commit::tag(&found))?
            .etag(&found.commit.to_string())
            .commit(Some(found.commit)))
    })
    .await
}

/// `PUT …/tags/{tag}`
pub(crate) async fn put(
    mut call: Call,
    namespace: Namespace,
    name: TagName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: TagWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let revision = named("the tag", "/revision", &write.revision)?;
    call.change(move |session| {
        let (tag, committed) = session.put_tag(&namespace, &name, &revision)?;
        let reply = Reply::json(&commit::tag(&tag))?.commit(Some(tag.commit));
        Ok(match committed {
            Some(committed) => reply.status(StatusCode::CREATED).index(committed.index),
            None => reply,
        })
    })
    .await
}

/// `DELETE …/tags/{tag}`
pub(crate) async fn remove(
    call: Call,
    namespace: Namespace,
    name: TagName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.change(move |session| {
        let committed = session.delete_tag(&namespace, &name)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}
