//! Commits, one and many, and what differs between two.

use confman_repo::LogQuery;
use confman_repo::model::{Key, Namespace, Revision};
use confman_repo::objects::ObjectId;

use super::page;
use crate::call::Call;
use crate::document::commit;
use crate::error::ApiError;
use crate::reply::Reply;

const LOG: &str = "log";
const COMPARE: &str = "compare";

/// `GET …/log?rev=&key=&cursor=&limit=`
pub(crate) async fn log(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["rev", "key", "cursor", "limit"]);
    let revision: Revision = query.parsed("rev").unwrap_or_default();
    let key: Option<Key> = query.parsed("key");
    let after: Option<ObjectId> = page::after(&mut query, LOG);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.log(&namespace, &revision, &LogQuery { after, limit, key })?;
        let items = found.commits.iter().map(commit::commit).collect();
        let next = page::next(LOG, found.next.as_ref());
        let reply = Reply::page::<confman_api::commit::Commit>(items, next, &here)?;
        let newest = found.commits.first().map(|newest| newest.id);
        Ok(reply.commit(newest))
    })
    .await
}

/// `GET …/commits/{rev}`
pub(crate) async fn get(
    call: Call,
    namespace: Namespace,
    revision: Revision,
) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let found = session.commit(&namespace, &revision)?;
        Ok(Reply::json(&commit::commit(&found))?.commit(Some(found.id)))
    })
    .await
}

/// `GET …/compare?from=&to=&fromNamespace=&cursor=&limit=`
pub(crate) async fn compare(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["from", "to", "fromNamespace", "cursor", "limit"]);
    let from: Option<Revision> = query.required("from");
    let to: Option<Revision> = query.required("to");
    let from_namespace: Option<Namespace> = query.parsed("fromNamespace");
    let cursor = page::pinned::<Key>(&mut query, COMPARE, 2);
    let limit = page::limit(&mut query);
    query.finish()?;
    let mut pinned = cursor.states.into_iter();
    let from = pinned.next().flatten().or(from).unwrap_or_default();
    let to = pinned.next().flatten().or(to).unwrap_or_default();
    let from_namespace = from_namespace.unwrap_or_else(|| namespace.clone());
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.compare(
            (&from_namespace, &from),
            (&namespace, &to),
            cursor.after.as_ref(),
            limit,
        )?;
        let next = page::next_pinned(COMPARE, &[&found.from, &found.to], found.next.as_ref());
        let reply = Reply::json(&commit::comparison(&found, next.clone())?)?;
        Ok(reply
            .index(found.to.index)
            .commit(found.to.commit)
            .next(&here, next.as_deref()))
    })
    .await
}
