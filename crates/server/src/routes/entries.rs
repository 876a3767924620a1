//! The entries that a namespace itself has.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use confman_api::entry::{EntryWrite, TreeEntry};
use confman_repo::model::{DraftName, Key, Namespace, Revision};
use confman_repo::objects::ObjectId;
use confman_repo::{ChangeDraft, EntriesQuery, Session, Values};

use super::page;
use crate::body::VALUES_BYTES_MAX;
use crate::call::Call;
use crate::document::{draft, entry};
use crate::error::{ApiError, Code};
use crate::etag;
use crate::reply::Reply;

const LIST: &str = "entries";
const ACKNOWLEDGE: &str = "acknowledgeDeprecated";

/// `GET …/entries?rev=&prefix=&cursor=&limit=&values=`
pub(crate) async fn list(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["rev", "prefix", "cursor", "limit", "values"]);
    let revision: Revision = query.parsed("rev").unwrap_or_default();
    let prefix = query.text("prefix").unwrap_or_default().to_owned();
    let cursor = page::pinned::<Key>(&mut query, LIST, 1);
    let limit = page::limit(&mut query);
    let values = if query.flag("values", true) {
        Values::With
    } else {
        Values::Without
    };
    query.finish()?;
    let revision = cursor
        .states
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(revision);
    let wanted = EntriesQuery {
        prefix,
        after: cursor.after,
        limit,
        values,
    };
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.entries(&namespace, &revision, &wanted)?;
        let items = found
            .entries
            .iter()
            .map(entry::tree_entry)
            .collect::<Result<_, _>>()?;
        let next = page::next_pinned(LIST, &[&found.at], found.next.as_ref());
        let reply = Reply::page::<TreeEntry>(items, next, &here)?;
        Ok(reply.index(found.at.index).commit(found.at.commit))
    })
    .await
}

/// `GET …/entries/{key}?draft=`
pub(crate) async fn get(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let mut query = call.query(&["draft"]);
    let draft: Option<DraftName> = query.parsed("draft");
    query.finish()?;
    let headers = call.headers.clone();
    call.run(move |session| {
        let found = session.entry(&namespace, &key, draft.as_ref())?;
        let published = found.published.as_ref().map(|side| side.commit);
        let drafted = found.draft.as_ref().map(|side| side.commit);
        // Each side is determined by a commit: the one that gave the version, the draft's head.
        let side = |id: Option<ObjectId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let tag = format!("{}.{}", side(published), side(drafted));
        if etag::is_known(&headers, &tag)? {
            return Ok(Reply::empty(StatusCode::NOT_MODIFIED)
                .etag(&tag)
                .index(found.index));
        }
        let reply = Reply::json(&entry::config_entry(&found)?)?;
        Ok(reply
            .etag(&tag)
            .index(found.index)
            .commit(drafted.or(published)))
    })
    .await
}

/// `PUT …/entries/{key}?draft=&publish=&message=`
pub(crate) async fn put(mut call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let write: EntryWrite = call.json(VALUES_BYTES_MAX).await?;
    change(call, namespace, key, Some(write)).await
}

/// `DELETE …/entries/{key}?draft=&publish=&message=`
pub(crate) async fn remove(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    change(call, namespace, key, None).await
}

async fn change(
    call: Call,
    namespace: Namespace,
    key: Key,
    write: Option<EntryWrite>,
) -> Result<Reply, ApiError> {
    let mut query = call.query(&["draft", "publish", "message", ACKNOWLEDGE]);
    let draft: Option<DraftName> = query.parsed("draft");
    let publish = query.flag("publish", false);
    let message = query.text("message").map(str::to_owned);
    let acknowledge_deprecated = query.flag(ACKNOWLEDGE, false);
    query.finish()?;
    let expected_head = call.seen_head()?;
    call.change(move |session| {
        let written = BTreeMap::from([(key.to_string(), write)]);
        let changes = entry::edits(&written, &session.value_limits(&namespace)?)?;
        let draft = draft.unwrap_or_else(|| session.own_draft());
        let change = ChangeDraft {
            draft,
            changes,
            expected_head,
            message,
            acknowledge_deprecated,
        };
        apply(session, &namespace, &change, publish)
    })
    .await
}

/// Changes a draft, and publishes what was changed where that is wanted.
pub(super) fn apply(
    session: &Session,
    namespace: &Namespace,
    change: &ChangeDraft,
    publish: bool,
) -> Result<Reply, ApiError> {
    if change.changes.is_empty() {
        return Err(ApiError::new(
            Code::Invalid,
            "`changes` is empty; name at least one key",
        ));
    }
    if publish {
        let done = session.change_and_publish(namespace, change)?;
        let reply = Reply::json(&draft::published(&done))?;
        return Ok(reply.index(done.committed.index).commit(Some(done.commit)));
    }
    let done = session.change_draft(namespace, change)?;
    let reply = Reply::json(&draft::drafted(&done))?;
    Ok(reply.index(done.index).commit(Some(done.head)))
}
