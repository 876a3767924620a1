//! Tokens.

use axum::http::{StatusCode, header};
use confman_api::identity::TokenWrite;
use confman_repo::NewToken;
use confman_repo::identity::PrincipalName;

use super::page;
use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::identity;
use crate::error::{ApiError, Code, chain};
use crate::reply::Reply;

const LIST: &str = "tokens";

/// `GET /v1/tokens?principal=&all=&cursor=&limit=`: the caller's own, another's, or everybody's.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["principal", "all", "cursor", "limit"]);
    let principal: Option<PrincipalName> = query.parsed("principal");
    let all = query.flag("all", false);
    if all && principal.is_some() {
        query.refuse("the query parameters `all` and `principal` exclude each other");
    }
    let after: Option<String> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let whose = match (all, principal) {
            (true, _) => None,
            (false, Some(principal)) => Some(principal),
            (false, None) => Some(own_name(session)?),
        };
        let found = session.tokens(whose.as_ref(), after.as_deref(), limit)?;
        let next = page::next(LIST, found.next.as_ref());
        let items = found.items.iter().map(identity::token).collect();
        Reply::page(items, next, &here)
    })
    .await
}

/// `POST /v1/tokens`: the token itself is in this answer and in no other.
pub(crate) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: TokenWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let new = NewToken {
            principal: match write.principal {
                Some(principal) => principal,
                None => own_name(session)?,
            },
            name: write.name,
            scope: write.scope,
            expires_ms: write.expires.as_deref().map(moment).transpose()?,
        };
        let (secret, info, committed) = session.create_token(&new)?;
        let reply = Reply::json(&identity::token_made(&secret, &info))?.status(StatusCode::CREATED);
        Ok(reply
            .header(header::CACHE_CONTROL, "no-store")
            .index(committed.index))
    })
    .await
}

/// `DELETE /v1/tokens/{id}`
pub(crate) async fn revoke(call: Call, id: String) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.change(move |session| {
        let committed = session.revoke_token(&id)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

fn own_name(session: &confman_repo::Session) -> Result<PrincipalName, ApiError> {
    let name = session.actor().principal().parse();
    name.map_err(|error| ApiError::internal(format!("a principal is called oddly: {error}")))
}

/// Reads when something ends.
pub(crate) fn moment(text: &str) -> Result<i64, ApiError> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|error| {
            let detail = format!(
                "`expires` is not a time of RFC 3339, as in `2026-11-24T10:00:00Z`: {}",
                chain(&error)
            );
            ApiError::new(Code::Invalid, detail)
        })
}
