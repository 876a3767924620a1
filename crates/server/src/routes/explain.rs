//! Why things are as they are.

use confman_repo::model::{Key, Namespace, Revision};
use confman_repo::policy::Permission;

use crate::call::Call;
use crate::document::explain;
use crate::error::ApiError;
use crate::reply::Reply;

/// `GET …/explain/{key}?at=`
pub(crate) async fn key(call: Call, namespace: Namespace, key: Key) -> Result<Reply, ApiError> {
    let mut query = call.query(&["at"]);
    let revision: Revision = query.parsed("at").unwrap_or_default();
    query.finish()?;
    call.run(move |session| {
        let found = session.explain(&namespace, &revision, &key)?;
        let reply = Reply::json(&explain::explanation(&found)?)?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}

/// `GET …/permissions?principal=&permission=&at=`
pub(crate) async fn permissions(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["principal", "permission", "at"]);
    let principal = query.text("principal").map(str::to_owned);
    let permission: Option<Permission> = query.parsed("permission");
    let at = query.text("at").map(str::to_owned);
    query.finish()?;
    call.run(move |session| {
        let found =
            session.permissions(&namespace, principal.as_deref(), permission, at.as_deref())?;
        Ok(Reply::json(&explain::permissions(&found))?.index(found.index))
    })
    .await
}
