//! Drafts, and many changes to one at once.

use axum::http::StatusCode;
use confman_api::Page;
use confman_api::draft::Changes;
use confman_repo::ChangeDraft;
use confman_repo::model::{DraftName, Namespace};

use super::entries;
use crate::body::VALUES_BYTES_MAX;
use crate::call::Call;
use crate::document::{draft, entry};
use crate::error::ApiError;
use crate::etag;
use crate::reply::Reply;

/// `GET …/drafts`
pub(crate) async fn list(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.drafts(&namespace)?;
        Reply::json(&Page {
            items: found.iter().map(draft::draft).collect(),
            next: None,
        })
    })
    .await
}

/// `GET …/drafts/{draft}`
pub(crate) async fn get(
    call: Call,
    namespace: Namespace,
    name: DraftName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    let headers = call.headers.clone();
    call.run(move |session| {
        let found = session.draft(&namespace, &name)?;
        let tag = found.head.to_string();
        if etag::is_known(&headers, &tag)? {
            return Ok(Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag));
        }
        Ok(Reply::json(&draft::draft(&found))?
            .etag(&tag)
            .commit(Some(found.head)))
    })
    .await
}

/// `DELETE …/drafts/{draft}`
pub(crate) async fn remove(
    call: Call,
    namespace: Namespace,
    name: DraftName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected_head = call.seen_head()?;
    call.change(move |session| {
        let committed = session.delete_draft(&namespace, &name, expected_head)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

/// `POST …/drafts/{draft}/changes`
pub(crate) async fn change(
    mut call: Call,
    namespace: Namespace,
    name: DraftName,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    let written: Changes = call.json(VALUES_BYTES_MAX).await?;
    let expected_head = call.seen_head_or(written.expected_head.as_deref())?;
    call.change(move |session| {
        let changes = entry::edits(&written.changes, &session.value_limits(&namespace)?)?;
        let change = ChangeDraft {
            draft: name,
            changes,
            expected_head,
            message: written.message,
            acknowledge_deprecated: written.acknowledge_deprecated,
        };
        entries::apply(session, &namespace, &change, written.publish)
    })
    .await
}
