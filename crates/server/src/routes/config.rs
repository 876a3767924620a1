//! Effective configuration: what services read.
//!
//! A read of what is published goes to the compiled document. [`at_hand`] answers the plain ones where
//! the document is compiled and the right is known, on the thread that the request came in on; the
//! rest are answered here after finding that out.

mod resolved;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use confman_api::HEADER_COMMIT;
use confman_repo::model::{EntryType, Format, Key, Namespace, Revision, Value};
use confman_repo::{CompiledDocument, EffectiveEntry, Error, Reader, Session, What};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::call::Call;
use crate::document::entry;
use crate::encoding::Encoding;
use crate::error::{ApiError, Code};
use crate::etag;
use crate::preference;
use crate::query::Query;
use crate::rendering::{self, Form};
use crate::reply::Reply;
use crate::watches::Event;

/// Least pause between two looks at a basis while waiting, however fast the store moves.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// A document of which more entries would have to be looked at is not compiled to read one key.
const ENTRIES_FOR_ONE_KEY_MAX: u64 = 20_000;
/// What `Vary` says of documents.
const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding, confman-client");
/// What `Vary` says of single values.
const VARY_VALUE: HeaderValue = HeaderValue::from_static("accept, confman-client");
/// The media types of documents where `format` is not given, each with its format.
const MEDIA_TYPES: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("application/yaml", Format::Yaml),
    ("application/toml", Format::Toml),
];
/// The media types of single values.
const VALUE_MEDIA_TYPES: [&str; 3] = ["application/json", "application/octet-stream", "text/plain"];

/// The answer to a plain read, where everything is at hand. Neither blocks nor touches the disk.
pub(crate) fn at_hand(reader: &Reader, key: Option<&Key>, headers: &HeaderMap) -> Option<Reply> {
    if headers.contains_key("prefer") {
        return None;
    }
    let client = preference::client(headers).ok()?;
    let document = reader.document_for(client)?;
    match key {
        None => {
            let format = accepted_format(headers).ok()?;
            let tag = rendering::tag(&document, format);
            if is_known(headers, &tag).ok()? {
                let reply = Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag);
                return Some(reply.value(header::VARY, VARY).index(reader.index()));
            }
            let form = rendering::ready(&document, format)?;
            let encoding = form.encoding(Encoding::accepted(headers));
            let body = form.ready(encoding)?.clone();
            Some(whole(form, format, encoding, body, reader.index()))
        }
        Some(key) => {
            let media_type = preference::accepted(headers, &VALUE_MEDIA_TYPES).ok()?;
            let tag = value_tag(&document.basis.to_string(), media_type);
            if is_known(headers, &tag).ok()? {
                let reply = Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag);
                return Some(reply.value(header::VARY, VARY_VALUE).index(reader.index()));
            }
            // A key that is not there is a problem, which is written elsewhere.
            document.get(key)?;
            let reply = one(&document, key, media_type).ok()?;
            Some(reply.etag(&tag).index(reader.index()))
        }
    }
}

/// `GET …/config?at=|rev=|ref=&prefix=&format=&origin=&resolve=`
pub(crate) async fn document(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at", "rev", "ref", "prefix", "format", "origin", "resolve"]);
    let revision = revision(&mut query);
    let prefix = query.text("prefix").map(str::to_owned);
    let format: Option<Format> = query.parsed("format");
    let origin = query.flag("origin", false);
    if origin && format.is_some_and(|format| format != Format::Json) {
        query.refuse("`origin=true` is for JSON; leave `format` out");
    }
    let resolve = resolve(&mut query, &revision);
    if origin && resolve {
        query.refuse("`origin` and `resolve` are two different documents");
    }
    query.finish()?;
    let format = match format {
        Some(format) => format,
        None if origin => {
            preference::accepted(&call.headers, &["application/json"]).map(|_| Format::Json)?
        }
        None => accepted_format(&call.headers)?,
    };
    if resolve {
        return resolved::document(&call, namespace, prefix, format).await;
    }
    let tag = |basis: &str| rendering::form_tag(basis, format);
    if let Some(unchanged) = unchanged(&call, &namespace, &revision, tag).await? {
        return Ok(unchanged.value(header::VARY, VARY));
    }
    let encoding = Encoding::accepted(&call.headers);
    let client = preference::client(&call.headers)?.map(str::to_owned);
    call.run(move |session| {
        let (index, document) = found(session, &namespace, &revision, client.as_deref())?;
        if prefix.is_none() && !origin {
            let form = rendering::form(&document, format)?;
            let encoding = form.encoding(encoding);
            let body = form.body(&document, encoding)?.clone();
            session.make_room();
            return Ok(whole(form, format, encoding, body, index));
        }
        let entries = document.with_prefix(prefix.as_deref().unwrap_or_default());
        let reply = if origin {
            Reply::json(&entry::compiled_document(&document, entries)?)?
        } else {
            let text = rendering::text(entries, format)?;
            Reply::with(
                Bytes::from(text),
                HeaderValue::from_static(format.media_type()),
            )
        };
        let reply = reply.etag(&rendering::tag(&document, format));
        Ok(reply
            .value(header::VARY, VARY)
            .commit(document.commit())
            .index(index))
    })
    .await
}

/// `GET …/config/{key}?at=|rev=|ref=&resolve=`: as JSON with where it comes from, or as raw bytes.
pub(crate) async fn value(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at", "rev", "ref", "resolve"]);
    let revision = revision(&mut query);
    let resolve = resolve(&mut query, &revision);
    query.finish()?;
    let media_type = preference::accepted(&call.headers, &VALUE_MEDIA_TYPES)?;
    if resolve {
        return resolved::value(&call, namespace, key, media_type).await;
    }
    let tag = move |basis: &str| value_tag(basis, media_type);
    if let Some(unchanged) = unchanged(&call, &namespace, &revision, tag).await? {
        return Ok(unchanged.value(header::VARY, VARY_VALUE));
    }
    let client = preference::client(&call.headers)?.map(str::to_owned);
    call.run(move |session| {
        let published = revision == Revision::Published;
        let divided = published && client.is_some() && session.is_divided(&namespace)?;
        let compiled =
            published && (divided || session.document_size(&namespace)? <= ENTRIES_FOR_ONE_KEY_MAX);
        if compiled {
            let (reader, document) = session.document_for(&namespace, client.as_deref())?;
            // What is not there is refused in one place, below; what this client does not get is not there.
            if document.get(&key).is_none() && divided {
                return Err(Error::not_found(What::Entry, format!("{namespace}:{key}")).into());
            }
            if document.get(&key).is_some() {
                let reply = one(&document, &key, media_type)?;
                return Ok(reply
                    .etag(&tag(&document.basis.to_string()))
                    .index(reader.index()));
            }
        }
        let found = session.effective_value(&namespace, &revision, &key)?;
        let reply = match media_type {
            "application/json" => Reply::json(&entry::effective_entry(&found.entry)?)?,
            raw => raw_value(value_of(&found.entry)?, raw)?,
        };
        Ok(reply
            .etag(&tag(&found.basis.to_string()))
            .value(header::VARY, VARY_VALUE)
            .index(found.index)
            .commit(Some(found.entry.from.commit)))
    })
    .await
}

/// The document of a revision, and the log index it was read at.
fn found(
    session: &Session,
    namespace: &Namespace,
    revision: &Revision,
    client: Option<&str>,
) -> Result<(u64, std::sync::Arc<CompiledDocument>), ApiError> {
    if *revision != Revision::Published {
        return Ok(session.compile(namespace, revision)?);
    }
    let (reader, document) = session.document_for(namespace, client)?;
    Ok((reader.index(), document))
}

/// A whole document.
fn whole(form: &Form, format: Format, encoding: Encoding, body: Bytes, index: u64) -> Reply {
    let media_type = HeaderValue::from_static(format.media_type());
    let reply = Reply::with(body, media_type)
        .tagged(form.etag(encoding))
        .value(header::VARY, VARY)
        .value_of(HeaderName::from_static(HEADER_COMMIT), form.commit.as_ref())
        .deprecated(&form.warnings)
        .index(index);
    match encoding.name() {
        Some(name) => reply.value(header::CONTENT_ENCODING, HeaderValue::from_static(name)),
        None => reply,
    }
}

/// One entry of a document, without its tag.
fn one(
    document: &CompiledDocument,
    key: &Key,
    media_type: &'static str,
) -> Result<Reply, ApiError> {
    let entry = document
        .get(key)
        .ok_or_else(|| ApiError::internal("a key that was there is not"))?;
    let reply = match media_type {
        "application/json" => Reply::json(&entry::compiled_entry(document, entry)?)?,
        raw => raw_value(&entry.value, raw)?,
    };
    let commit = document.origin(entry).and_then(|link| link.commit);
    let instead = document.deprecated.get(key);
    let warning = instead.and_then(|instead| rendering::deprecation(key, instead.as_deref()));
    Ok(reply
        .value(header::VARY, VARY_VALUE)
        .deprecated(warning.as_slice())
        .commit(commit))
}

fn value_of(found: &EffectiveEntry) -> Result<&Value, ApiError> {
    let value = found.entry.value.as_ref();
    value.ok_or_else(|| ApiError::internal("an effective value has no value"))
}

/// The author's bytes. Binary values are no text, whatever is accepted.
fn raw_value(value: &Value, media_type: &'static str) -> Result<Reply, ApiError> {
    if media_type == "text/plain" && value.entry_type() == EntryType::Binary {
        let detail =
            "the value is binary; ask for `application/octet-stream` or `application/json`";
        return Err(ApiError::new(Code::NotAcceptable, detail));
    }
    let media_type = match media_type {
        "text/plain" => "text/plain; charset=utf-8",
        other => other,
    };
    let bytes = Bytes::copy_from_slice(value.bytes());
    Ok(Reply::with(bytes, HeaderValue::from_static(media_type)))
}

/// The two forms of a value are different bytes, so they have different strong tags.
fn value_tag(basis: &str, media_type: &str) -> String {
    match media_type {
        "application/json" => basis.to_owned(),
        _ => format!("{basis}.raw"),
    }
}

fn is_known(headers: &HeaderMap, tag: &str) -> Result<bool, ApiError> {
    match headers.contains_key(header::IF_NONE_MATCH) {
        true => etag::is_known(headers, tag),
        false => Ok(false),
    }
}

/// The format that `Accept` asks for.
fn accepted_format(headers: &HeaderMap) -> Result<Format, ApiError> {
    let offered = MEDIA_TYPES.map(|(media_type, _)| media_type);
    let accepted = preference::accepted(headers, &offered)?;
    let found = MEDIA_TYPES
        .iter()
        .find(|(media_type, _)| *media_type == accepted);
    Ok(found.map_or(Format::Json, |(_, format)| *format))
}

/// The revision that is wanted, by one of its names.
fn revision(query: &mut Query) -> Revision {
    let names = ["at", "rev", "ref"];
    let given = names.iter().filter(|name| query.text(name).is_some());
    if given.count() > 1 {
        query.refuse("the query parameters `at`, `rev` and `ref` mean the same; give one");
    }
    let found = names.iter().find_map(|name| query.parsed(name));
    found.unwrap_or_default()
}

/// Whether references are to be resolved, which is done for what is published and for nothing else: what
/// nobody has published is nobody's to have resolved.
fn resolve(query: &mut Query, revision: &Revision) -> bool {
    let resolve = query.flag("resolve", false);
    if resolve && *revision != Revision::Published {
        query.refuse("`resolve=true` is for what is published; leave the revision out");
    }
    resolve
}

/// The answer 304 where the caller has this state already, after waiting for another one if it asked
/// for that. Bodies are not made for it.
async fn unchanged(
    call: &Call,
    namespace: &Namespace,
    revision: &Revision,
    tag: impl Fn(&str) -> String,
) -> Result<Option<Reply>, ApiError> {
    if !call.headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(None);
    }
    let wait = preference::wait(&call.headers)?
        .map(jittered)
        .unwrap_or_default();
    let deadline = Instant::now() + wait;
    let mut waiting = Waiting::begin(call, namespace, revision, wait).await?;
    loop {
        let index = call.app.index();
        let tag = tag(&basis(call, namespace, revision).await?);
        if !etag::is_known(&call.headers, &tag)? {
            return Ok(None);
        }
        let moved = tokio::select! {
            moved = waiting.moved() => moved,
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
    }
}

/// The basis of a revision, from the compiled document where there is one.
async fn basis(
    call: &Call,
    namespace: &Namespace,
    revision: &Revision,
) -> Result<String, ApiError> {
    let client = preference::client(&call.headers)?.map(str::to_owned);
    if *revision == Revision::Published
        && let Some(document) = call
            .session
            .reader(namespace)
            .and_then(|reader| reader.document_for(client.as_deref()))
    {
        return Ok(document.basis.to_string());
    }
    let (namespace, revision) = (namespace.clone(), revision.clone());
    let basis = call
        .run(move |session| {
            // Whoever asks again and again whether something moved is answered at hand the next time.
            let published = revision == Revision::Published;
            let divided = published && client.is_some() && session.is_divided(&namespace)?;
            let compiled = published
                && (divided || session.document_size(&namespace)? <= ENTRIES_FOR_ONE_KEY_MAX);
            match compiled {
                true => Ok(session.document_for(&namespace, client.as_deref())?.1.basis),
                false => Ok(session.basis(&namespace, &revision)?),
            }
        })
        .await?;
    Ok(basis.to_string())
}

/// How a caller waits for a document to move.
enum Waiting {
    /// Not at all.
    Not,
    /// What is published in a namespace is watched.
    Watching(
        crate::watches::Subscription,
        #[expect(dead_code, reason = "held, not read")] crate::watches::Place,
    ),
    /// For everything else, any operation may move it.
    Looking(tokio::sync::watch::Receiver<u64>),
}

impl Waiting {
    async fn begin(
        call: &Call,
        namespace: &Namespace,
        revision: &Revision,
        wait: Duration,
    ) -> Result<Self, ApiError> {
        if wait.is_zero() {
            return Ok(Self::Not);
        }
        if *revision != Revision::Published {
            let mut applied = call.app.repo().node().applied();
            applied.borrow_and_update();
            return Ok(Self::Looking(applied));
        }
        let place = call.app.watches().place(call.session.actor().principal())?;
        let (watches, namespace) = (call.app.watches().clone(), namespace.clone());
        let subscription = call
            .run(move |session| watches.subscribe(session, &namespace))
            .await?;
        Ok(Self::Watching(subscription, place))
    }

    /// Ends when it is worth to look again; `false` where nothing more comes.
    async fn moved(&mut self) -> bool {
        match self {
            Self::Not => false,
            Self::Looking(applied) => {
                let moved = applied.changed().await.is_ok();
                tokio::time::sleep(LOOK_PAUSE).await;
                moved
            }
            Self::Watching(subscription, _) => match subscription.events.recv().await {
                Ok(Event::Moved(_) | Event::Look) | Err(RecvError::Lagged(_)) => true,
                Ok(Event::Failed | Event::Stopping) | Err(RecvError::Closed) => false,
            },
        }
    }
}

/// A wait up to a tenth shorter, so that callers who began together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let [.., random] = uuid::Uuid::now_v7().into_bytes();
    wait - wait.mul_f64(f64::from(random) / 2560.0)
}

#[cfg(test)]
mod tests;
