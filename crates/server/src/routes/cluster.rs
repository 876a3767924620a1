//! The members of the cluster, and join tokens.

use axum::http::{Method, StatusCode, header};
use confman_api::cluster::{JoinTokenWrite, MemberWrite, ReplaceWrite, TransferWrite};
use confman_repo::NewJoinToken;
use confman_repo::refs::cluster::{Force, MemberChange};
use serde_json::json;

use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::cluster;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::routes::tokens;
use crate::url::Cluster;

/// Every one of them.
pub(crate) async fn route(
    mut call: Call,
    resource: Cluster,
    method: &Method,
) -> Result<Reply, ApiError> {
    match (resource, method) {
        (Cluster::Whole, _) => whole(call).await,
        (Cluster::Promote(node), _) => {
            let write: MemberWrite = call.json(DOCUMENT_BYTES_MAX).await?;
            change(call, MemberChange::Promote { node }, write.force).await
        }
        (Cluster::Remove(node), _) => {
            let write: MemberWrite = call.json(DOCUMENT_BYTES_MAX).await?;
            change(call, MemberChange::Remove { node }, write.force).await
        }
        (Cluster::Replace(old), _) => {
            let write: ReplaceWrite = call.json(DOCUMENT_BYTES_MAX).await?;
            change(
                call,
                MemberChange::Replace { old, new: write.by },
                write.force,
            )
            .await
        }
        (Cluster::Transfer, _) => {
            let write: TransferWrite = call.json(DOCUMENT_BYTES_MAX).await?;
            change(call, MemberChange::Transfer { to: write.to }, false).await
        }
        (Cluster::JoinTokens, &Method::POST) => create_token(call).await,
        (Cluster::JoinTokens, _) => list_tokens(call).await,
        (Cluster::JoinToken(id), _) => revoke_token(call, id).await,
    }
}

/// `GET /v1/cluster`
async fn whole(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let app = call.app.clone();
    call.run(move |session| {
        session.permit_operator()?;
        let node = app.repo().node();
        let found = node.cluster();
        let reply = Reply::json(&cluster::whole(&found, node.scrub_status()))?.index(found.applied);
        Ok(reply.header(header::CACHE_CONTROL, "no-store"))
    })
    .await
}

/// `POST /v1/cluster/members/{node}/…` and `/v1/cluster/transfer`: answers the cluster as it is then.
async fn change(call: Call, change: MemberChange, force: bool) -> Result<Reply, ApiError> {
    call.no_query()?;
    let app = call.app.clone();
    call.change(move |session| {
        let (action, mut detail) = match change {
            MemberChange::Promote { node } => ("cluster.promote", json!({ "node": node })),
            MemberChange::Remove { node } => ("cluster.remove", json!({ "node": node })),
            MemberChange::Replace { old, new } => {
                ("cluster.replace", json!({ "node": old, "by": new }))
            }
            MemberChange::Transfer { to } => ("cluster.transfer", json!({ "to": to })),
        };
        if let (true, Some(fields)) = (force, detail.as_object_mut()) {
            fields.insert("force".to_owned(), true.into());
        }
        session.note_member_change(action, detail)?;
        let force = match force {
            true => Force::Yes,
            false => Force::No,
        };
        let node = app.repo().node();
        node.change_members(change, force)?;
        let found = node.cluster();
        Ok(Reply::json(&cluster::whole(&found, node.scrub_status()))?.index(found.applied))
    })
    .await
}

/// `GET /v1/cluster/join-tokens`
async fn list_tokens(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.join_tokens()?;
        let items = found.iter().map(cluster::join_token).collect();
        Reply::page(items, None, &here)
    })
    .await
}

/// `POST /v1/cluster/join-tokens`: the token itself is in this answer and in no other.
async fn create_token(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: JoinTokenWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let new = NewJoinToken {
            name: write.name,
            uses: write.uses,
            expires_ms: write.expires.as_deref().map(tokens::moment).transpose()?,
        };
        let (secret, info, committed) = session.create_join_token(&new)?;
        let reply = Reply::json(&cluster::join_token_made(&secret, &info))?;
        Ok(reply
            .status(StatusCode::CREATED)
            .header(header::CACHE_CONTROL, "no-store")
            .index(committed.index))
    })
    .await
}

/// `DELETE /v1/cluster/join-tokens/{id}`
async fn revoke_token(call: Call, id: String) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.change(move |session| {
        let committed = session.revoke_join_token(&id)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

#[cfg(test)]
mod tests;
