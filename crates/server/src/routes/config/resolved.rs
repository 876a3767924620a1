//! Effective configuration with secrets in place of references. What is answered here is kept by nobody:
//! it has no tag and goes into no cache.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use bytes::Bytes;
use confman_repo::model::{Format, Key, Namespace, Value};
use confman_repo::{CompiledDocument, CompiledEntry, Error, What};

use super::raw_value;
use crate::call::Call;
use crate::document::entry;
use crate::error::{ApiError, Code};
use crate::preference;
use crate::rendering;
use crate::reply::Reply;
use crate::resolving::{self, References, Resolving};

/// A published document that somebody may have resolved.
struct Found {
    index: u64,
    document: Arc<CompiledDocument>,
}

/// The published document, or what of it begins with a prefix.
pub(super) async fn document(
    call: &Call,
    namespace: Namespace,
    prefix: Option<String>,
    format: Format,
) -> Result<Reply, ApiError> {
    let resolving = resolving(call)?;
    let found = found(call, &namespace).await?;
    let prefix = prefix.unwrap_or_default();
    let entries = found.document.with_prefix(&prefix).to_vec();
    let entries = resolved(call, resolving, &namespace, entries).await?;
    let text = rendering::text(&entries, format)?;
    let media_type = HeaderValue::from_static(format.media_type());
    Ok(kept_by_nobody(
        Reply::with(Bytes::from(text), media_type),
        &found,
    ))
}

/// One value of it.
pub(super) async fn value(
    call: &Call,
    namespace: Namespace,
    key: Key,
    media_type: &'static str,
) -> Result<Reply, ApiError> {
    let resolving = resolving(call)?;
    let found = found(call, &namespace).await?;
    let Some(entry) = found.document.get(&key) else {
        return Err(Error::not_found(What::Entry, format!("{namespace}:{key}")).into());
    };
    let entries = resolved(call, resolving, &namespace, vec![entry.clone()]).await?;
    let reply = match (entries.first(), media_type) {
        (None, _) => return Err(ApiError::internal("a key that was there is not")),
        (Some(entry), "application/json") => {
            Reply::json(&entry::compiled_entry(&found.document, entry)?)?
        }
        (Some(entry), raw) => raw_value(&entry.value, raw)?,
    };
    Ok(kept_by_nobody(reply, &found))
}

/// What resolves references here, if anything does.
fn resolving(call: &Call) -> Result<&Resolving, ApiError> {
    call.app.resolving().ok_or_else(|| {
        let detail = "this server resolves no references to secrets; its operator turns that on with `confman serve --resolve-secrets`, and clients resolve them without it";
        ApiError::new(Code::Forbidden, detail)
    })
}

/// The document, for a caller who has the right.
async fn found(call: &Call, namespace: &Namespace) -> Result<Found, ApiError> {
    let client = preference::client(&call.headers)?.map(str::to_owned);
    let namespace = namespace.clone();
    call.run(move |session| {
        session.may_resolve(&namespace)?;
        let (reader, document) = session.document_for(&namespace, client.as_deref())?;
        Ok(Found {
            index: reader.index(),
            document,
        })
    })
    .await
}

/// Entries with secrets in place of references.
async fn resolved(
    call: &Call,
    resolving: &Resolving,
    namespace: &Namespace,
    mut entries: Vec<CompiledEntry>,
) -> Result<Vec<CompiledEntry>, ApiError> {
    let references: References = entries
        .iter()
        .filter(|entry| resolving::reference(&entry.value).is_some())
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    if references.is_empty() {
        return Ok(entries);
    }
    let values = values(call, resolving, namespace, &references).await;
    let ended = values.as_ref().err().map(|error| error.code.as_str());
    call.app
        .metrics()
        .resolution_ended(ended.unwrap_or("resolved"));
    let mut values = values?.into_iter();
    for entry in &mut entries {
        if resolving::reference(&entry.value).is_some() {
            let value = values.next();
            entry.value = value.ok_or_else(|| ApiError::internal("a reference has no value"))?;
        }
    }
    Ok(entries)
}

/// The secrets behind references, which are checked and recorded first.
async fn values(
    call: &Call,
    resolving: &Resolving,
    namespace: &Namespace,
    references: &References,
) -> Result<Vec<Value>, ApiError> {
    resolving.check(namespace, references)?;
    let recorded: Vec<(Key, String)> = references
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), resolving::reference(value)?.to_owned())))
        .collect();
    let about = namespace.clone();
    call.run(move |session| Ok(session.record_resolution(&about, &recorded)?))
        .await?;
    resolving.values(references).await
}

fn kept_by_nobody(reply: Reply, found: &Found) -> Reply {
    reply
        .value(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .commit(found.document.commit())
        .index(found.index)
}

#[cfg(test)]
mod tests;
