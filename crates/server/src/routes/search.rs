//! Entries of every namespace that the caller may read, by tag, key and value.

use confman_api::entry::TreeEntry;
use confman_repo::SearchQuery;
use confman_repo::model::{Address, Namespace, Revision};

use super::page;
use crate::call::Call;
use crate::document::entry;
use crate::error::ApiError;
use crate::reply::Reply;

const LIST: &str = "search";

/// `GET /v1/search?tag=&key=&value=&prefix=&cursor=&limit=`
pub(crate) async fn find(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["tag", "key", "value", "prefix", "cursor", "limit"]);
    let text = |name: &str| {
        let text = query.text(name).filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let (tag, key, value) = (text("tag"), text("key"), text("value"));
    if tag.is_none() && key.is_none() && value.is_none() {
        query.refuse("say what to look for: `tag`, `key` or `value`".to_owned());
    }
    let prefix: Option<Namespace> = query.parsed("prefix");
    let after: Option<Address> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let wanted = SearchQuery {
        prefix: prefix.unwrap_or_else(Namespace::root),
        tag,
        key,
        value,
        after: after.and_then(|address| Some((address.namespace, address.key?))),
        limit,
    };
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.search(&wanted)?;
        let items = found.entries.iter().map(|(namespace, found)| {
            Ok(TreeEntry {
                namespace: Some(namespace.to_string()),
                ..entry::tree_entry(found)?
            })
        });
        let next = found.next.map(|(namespace, key)| Address {
            namespace,
            revision: Revision::default(),
            key: Some(key),
        });
        let items = items.collect::<Result<_, ApiError>>()?;
        let reply = Reply::page::<TreeEntry>(items, page::next(LIST, next.as_ref()), &here)?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}
