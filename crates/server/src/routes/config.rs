//! Effective configuration: what services read.

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use confman_repo::model::{EntryType, Key, Namespace, Revision, Value};
use confman_repo::{EffectiveValue, Values};
use tokio::time::Instant;

use crate::call::Call;
use crate::document::entry::{self, EffectiveValues};
use crate::error::{ApiError, Code};
use crate::etag;
use crate::preference;
use crate::query::Query;
use crate::reply::Reply;

/// Least pause between two looks at a basis while waiting, however fast the store moves.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// `GET …/config?at=|rev=&origin=`
pub(crate) async fn document(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at", "rev", "origin"]);
    let revision = revision(&mut query);
    let origin = query.flag("origin", false);
    query.finish()?;
    preference::accepted(&call.headers, &["application/json"])?;
    if let Some(unchanged) = unchanged(&call, &namespace, &revision, |basis| basis).await? {
        return Ok(unchanged);
    }
    call.run(move |session| {
        let found = session.effective(&namespace, &revision, Values::With)?;
        let reply = match origin {
            true => Reply::json(&entry::effective_document(&found)?)?,
            false => Reply::json(&EffectiveValues::new(&found)?)?,
        };
        Ok(reply.etag(&found.basis.to_string()).index(found.index))
    })
    .await
}

/// `GET …/config/{key}?at=|rev=`: as JSON with where it comes from, or as raw bytes.
pub(crate) async fn value(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at", "rev"]);
    let revision = revision(&mut query);
    query.finish()?;
    let media_type = preference::accepted(
        &call.headers,
        &["application/json", "application/octet-stream", "text/plain"],
    )?;
    // The two forms are different bytes, so they have different strong tags.
    let tag = move |basis: String| match media_type {
        "application/json" => basis,
        _ => format!("{basis}.raw"),
    };
    if let Some(unchanged) = unchanged(&call, &namespace, &revision, tag).await? {
        return Ok(unchanged.header(header::VARY, "accept"));
    }
    call.run(move |session| {
        let found = session.effective_value(&namespace, &revision, &key)?;
        let reply = match media_type {
            "application/json" => Reply::json(&entry::effective_entry(&found.entry)?)?,
            raw => raw_value(&found, raw)?,
        };
        let reply = reply
            .etag(&tag(found.basis.to_string()))
            .header(header::VARY, "accept");
        Ok(reply
            .index(found.index)
            .commit(Some(found.entry.from.commit)))
    })
    .await
}

/// The author's bytes. Binary values are no text, whatever is accepted.
fn raw_value(found: &EffectiveValue, media_type: &'static str) -> Result<Reply, ApiError> {
    let Some(value) = &found.entry.entry.value else {
        return Err(ApiError::internal("an effective value has no value"));
    };
    if media_type == "text/plain" && value.entry_type() == EntryType::Binary {
        let detail =
            "the value is binary; ask for `application/octet-stream` or `application/json`";
        return Err(ApiError::new(Code::NotAcceptable, detail));
    }
    let media_type = match media_type {
        "text/plain" => "text/plain; charset=utf-8",
        other => other,
    };
    Ok(Reply::body(
        Body::from(Value::bytes(value).to_vec()),
        media_type,
    ))
}

/// The revision that is wanted, by either of its two names.
fn revision(query: &mut Query) -> Revision {
    if query.text("at").is_some() && query.text("rev").is_some() {
        query.refuse("the query parameters `at` and `rev` mean the same; give one");
    }
    let at = query.parsed("at");
    at.or_else(|| query.parsed("rev")).unwrap_or_default()
}

/// The answer 304 where the caller has this state already, after waiting for another one if it asked
/// for that. Bodies are not made for it.
async fn unchanged(
    call: &Call,
    namespace: &Namespace,
    revision: &Revision,
    tag: impl Fn(String) -> String,
) -> Result<Option<Reply>, ApiError> {
    if !call.headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(None);
    }
    let wait = preference::wait(&call.headers)?
        .map(jittered)
        .unwrap_or_default();
    let deadline = Instant::now() + wait;
    let mut applied = call.app.repo().node().applied();
    loop {
        // Taken before the look, so that a change during it is not slept over.
        let index = *applied.borrow_and_update();
        let (namespace, revision) = (namespace.clone(), revision.clone());
        let basis = call
            .run(move |session| Ok(session.basis(&namespace, &revision)?))
            .await?;
        let tag = tag(basis.to_string());
        if !etag::is_known(&call.headers, &tag)? {
            return Ok(None);
        }
        let moved = tokio::select! {
            moved = applied.changed() => moved.is_ok(),
            () = tokio::time::sleep_until(deadline) => false,
            () = call.app.stopping() => false,
        };
        if !moved {
            return Ok(Some(
                Reply::empty(StatusCode::NOT_MODIFIED)
                    .etag(&tag)
                    .index(index),
            ));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// A wait up to a tenth shorter, so that callers who began together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let [.., random] = uuid::Uuid::now_v7().into_bytes();
    wait - wait.mul_f64(f64::from(random) / 2560.0)
}
