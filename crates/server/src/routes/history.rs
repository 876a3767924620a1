//! The versions of a key, and who gave keys the values they have.

use confman_api::entry::Blame;
use confman_repo::model::{Key, Namespace, Revision};

use super::page;
use crate::call::Call;
use crate::document::history;
use crate::error::ApiError;
use crate::reply::Reply;

const HISTORY: &str = "history";
const BLAME: &str = "blame";

/// `GET …/history/{key}?cursor=&limit=`
pub(crate) async fn of_key(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let mut query = call.query(&["cursor", "limit"]);
    let after: Option<u64> = page::after(&mut query, HISTORY);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.history(&namespace, &key, after, limit)?;
        let next = page::next(HISTORY, found.next.as_ref());
        let reply = Reply::json(&history::history(&found, next.clone())?)?;
        let newest = found.versions.first().map(|version| version.commit);
        Ok(reply.commit(newest).next(&here, next.as_deref()))
    })
    .await
}

/// `GET …/blame?rev=&prefix=&cursor=&limit=`
pub(crate) async fn blame(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["rev", "prefix", "cursor", "limit"]);
    let revision: Revision = query.parsed("rev").unwrap_or_default();
    let prefix = query.text("prefix").unwrap_or_default().to_owned();
    let cursor = page::pinned::<Key>(&mut query, BLAME, 1);
    let limit = page::limit(&mut query);
    query.finish()?;
    let revision = cursor
        .states
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(revision);
    let here = call.here.clone();
    call.run(move |session| {
        let at = session.resolve(&namespace, &revision)?;
        let exact = match (at.commit, at.position) {
            (Some(commit), Some(_)) => Revision::Commit(commit.to_string()),
            _ => revision,
        };
        let found = session.blame(&namespace, &exact, &prefix, cursor.after.as_ref(), limit)?;
        let items = found.lines.iter().map(history::blame).collect();
        let next = page::next_pinned(BLAME, &[&at], found.next.as_ref());
        let reply = Reply::page::<Blame>(items, next, &here)?;
        Ok(reply.index(at.index).commit(at.commit))
    })
    .await
}
