//! Fetch and push: packs in both directions, and how far an import has come.

use std::io::{self, BufRead, BufReader, Read, Write};

use axum::http::header;
use confman_api::MEDIA_TYPE_PACK;
use confman_api::sync::{FetchWrite, Fetched, PushWrite};
use confman_repo::model::Namespace;
use confman_repo::{FetchPlan, Session};

use crate::body::{DOCUMENT_BYTES_MAX, PUSH_BYTES_MAX, Pieces, parse_json};
use crate::call::Call;
use crate::document::sync;
use crate::error::{ApiError, Code};
use crate::reply::Reply;
use crate::transfer::{self, BodyReader, BodyWriter};

/// Most bytes of the JSON line before the pack of a push.
pub const PUSH_HEAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of the body of a fetch: it may list many commits.
const FETCH_BYTES_MAX: usize = 16 * DOCUMENT_BYTES_MAX;

/// `POST …/fetch`: one line of JSON, then a pack.
pub(crate) async fn fetch(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: FetchWrite = call.json(FETCH_BYTES_MAX).await?;
    let request = sync::fetch_request(&write)?;
    let plan = call
        .run(move |session| Ok(session.fetch(&namespace, &request)?))
        .await?;
    let head = sync::fetched(&plan);
    let (writer, body) = transfer::writer();
    let index = plan.index;
    let write = move || {
        if let Err(error) = write_pack(&plan, &head, writer) {
            // The body breaks off, which tells the client; the pack's trailer is missing too.
            tracing::warn!("a fetch broke off: {error}");
        }
    };
    call.app.send(write).await?;
    let reply = Reply::body(body, MEDIA_TYPE_PACK).header(header::CACHE_CONTROL, "no-store");
    Ok(reply.index(index))
}

fn write_pack(
    plan: &FetchPlan,
    head: &Fetched,
    mut out: BodyWriter,
) -> Result<(), Box<dyn std::error::Error>> {
    serde_json::to_writer(&mut out, head)?;
    out.write_all(b"\n")?;
    Ok(plan.write_pack(out)?.finish()?)
}

/// `POST …/push`: one line of JSON, then a pack.
pub(crate) async fn push(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let given = call.headers.get(header::CONTENT_TYPE);
    if given.is_none_or(|given| given != MEDIA_TYPE_PACK) {
        let detail =
            format!("a push is a line of JSON and a pack: send `Content-Type: {MEDIA_TYPE_PACK}`");
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    let body = call.take_body();
    let pieces = Pieces::new(&call.headers, body, PUSH_BYTES_MAX)?;
    let (reader, delivered) = transfer::reader(pieces);
    let session = call.session.clone();
    let outcome = call
        .app
        .transfer(move |_| take_in(&session, &namespace, reader))
        .await;
    match delivered.await {
        // Whatever the store made of a body that broke off, that it broke off is the cause.
        Ok(Err(broken)) if outcome.is_err() => Err(broken),
        _ => outcome,
    }
}

fn take_in(
    session: &Session,
    namespace: &Namespace,
    reader: BodyReader,
) -> Result<Reply, ApiError> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let head = read_head(&mut reader)?;
    let write: PushWrite = parse_json(&head)?;
    let request = sync::push_request(&write)?;
    let done = session.push(namespace, &request, reader)?;
    Ok(Reply::json(&sync::pushed(&done))?.index(done.committed.index))
}

fn read_head(reader: &mut impl BufRead) -> Result<Vec<u8>, ApiError> {
    let mut head = Vec::new();
    let most = PUSH_HEAD_BYTES_MAX as u64;
    let read: io::Result<usize> = reader.by_ref().take(most).read_until(b'\n', &mut head);
    read.map_err(|error| ApiError::new(Code::InvalidBody, format!("the push broke off: {error}")))?;
    if head.pop() == Some(b'\n') {
        return Ok(head);
    }
    let detail =
        format!("a push begins with one line of JSON of at most {PUSH_HEAD_BYTES_MAX} bytes");
    Err(ApiError::new(Code::InvalidBody, detail))
}

/// `GET …/import`
pub(crate) async fn import_state(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.import_state(&namespace)?;
        Reply::json(&sync::import_state(&found))
    })
    .await
}
