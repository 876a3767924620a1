//! Schemas, dry runs and secrets that are due.

use axum::http::{StatusCode, header};
use confman_api::Page;
use confman_api::schema::{Proposal, Rotation, SchemaSummary, SchemaVersion};
use confman_repo::PutSchema;
use confman_repo::model::{Namespace, SchemaPath};
use serde_json::value::RawValue;

use super::page;
use crate::body::{DOCUMENT_BYTES_MAX, VALUES_BYTES_MAX};
use crate::call::Call;
use crate::document::schema;
use crate::error::ApiError;
use crate::reply::Reply;

const LIST: &str = "schemas";
const HISTORY: &str = "schema-history";

/// `GET /v1/schemas?prefix=&cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["prefix", "cursor", "limit"]);
    let prefix: Option<Namespace> = query.parsed("prefix");
    let after: Option<SchemaPath> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let prefix = prefix.unwrap_or_else(Namespace::root);
        let found = session.schemas(&prefix, after.as_ref(), limit)?;
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::page::<SchemaSummary>(
            found.schemas.iter().map(schema::summary).collect(),
            next,
            &here,
        )?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}

/// `GET /v1/schemas/{path}`
pub(crate) async fn get(call: Call, path: SchemaPath) -> Result<Reply, ApiError> {
    call.no_query()?;
    let headers = call.headers.clone();
    call.run(move |session| {
        let found = session.schema(&path)?;
        let tag = found.commit.to_string();
        if crate::etag::is_known(&headers, &tag)? {
            return Ok(Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag));
        }
        Ok(Reply::json(&schema::schema(&found)?)?
            .etag(&tag)
            .commit(Some(found.commit)))
    })
    .await
}

/// `PUT /v1/schemas/{path}?force=&message=`
pub(crate) async fn put(mut call: Call, path: SchemaPath) -> Result<Reply, ApiError> {
    let mut query = call.query(&["force", "message"]);
    let force = query.flag("force", false);
    let message = query.text("message").map(str::to_owned);
    query.finish()?;
    let document: Box<RawValue> = call.json(DOCUMENT_BYTES_MAX).await?;
    let put = PutSchema {
        text: document.get().to_owned(),
        expected_head: call.seen_head()?,
        message,
        force,
    };
    call.change(move |session| {
        let done = session.put_schema(&path, &put)?;
        let status = match done.info.version {
            1 => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let reply = Reply::json(&schema::written(&done)?)?.status(status);
        let reply = reply
            .header(header::LOCATION, &format!("/v1{path}"))
            .etag(&done.info.commit.to_string());
        Ok(reply
            .index(done.committed.index)
            .commit(Some(done.info.commit)))
    })
    .await
}

/// `DELETE /v1/schemas/{path}`
pub(crate) async fn remove(call: Call, path: SchemaPath) -> Result<Reply, ApiError> {
    call.no_query()?;
    let expected_head = call.seen_head()?;
    call.change(move |session| {
        let committed = session.delete_schema(&path, expected_head)?;
        Ok(Reply::empty(StatusCode::NO_CONTENT).index(committed.index))
    })
    .await
}

/// `GET /v1/schemas/{path}/-/history?cursor=&limit=`
pub(crate) async fn history(call: Call, path: SchemaPath) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let before: Option<u64> = page::after(&mut query, HISTORY);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.schema_history(&path, before, limit)?;
        let items = found
            .versions
            .iter()
            .map(schema::version)
            .collect::<Result<_, _>>()?;
        let next = page::next(HISTORY, found.next.as_ref());
        let reply = Reply::page::<SchemaVersion>(items, next, &here)?;
        Ok(reply.index(found.index))
    })
    .await
}

/// `POST /v1/schemas/{path}/-/check`
pub(crate) async fn check(mut call: Call, path: SchemaPath) -> Result<Reply, ApiError> {
    call.no_query()?;
    let document: Box<RawValue> = call.json(DOCUMENT_BYTES_MAX).await?;
    call.run(move |session| {
        let found = session.check_schema(&path, document.get())?;
        Reply::json(&schema::check(&found))
    })
    .await
}

/// `POST …/validate`
pub(crate) async fn validate(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let written: Proposal = call.json(VALUES_BYTES_MAX).await?;
    call.run(move |session| {
        let proposed = schema::proposed(written, &session.value_limits(&namespace)?)?;
        let found = session.preview(&namespace, &proposed)?;
        Reply::json(&schema::validation(&found))
    })
    .await
}

/// `POST …/preview`
pub(crate) async fn preview(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let written: Proposal = call.json(VALUES_BYTES_MAX).await?;
    call.run(move |session| {
        let proposed = schema::proposed(written, &session.value_limits(&namespace)?)?;
        let found = session.preview(&namespace, &proposed)?;
        Reply::json(&schema::preview(&found)?)
    })
    .await
}

/// `GET …/editor.schema.json`
pub(crate) async fn editor(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| Reply::json(&session.editor_schema(&namespace)?))
        .await
}

/// `GET …/inferred.schema.json`
pub(crate) async fn infer(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| Reply::json(&session.infer_schema(&namespace)?))
        .await
}

/// `GET /v1/rotations?prefix=`
pub(crate) async fn rotations(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["prefix"]);
    let prefix: Option<Namespace> = query.parsed("prefix");
    query.finish()?;
    call.run(move |session| {
        let found = session.rotations(&prefix.unwrap_or_else(Namespace::root))?;
        let reply = Reply::json(&Page::<Rotation> {
            items: found.rotations.iter().map(schema::rotation).collect(),
            next: None,
        })?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}
