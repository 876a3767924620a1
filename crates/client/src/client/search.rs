//! Entries of every namespace, by tag, key and value.

use confman_api::Page;
use confman_api::entry::TreeEntry;
use confman_model::Namespace;

use super::{Client, ClientError, url};

/// What to look for; all that is stated must hold, and something must be.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Only at and below this namespace.
    pub prefix: Option<Namespace>,
    /// A tag of the entry.
    pub tag: Option<String>,
    /// A part of the key.
    pub key: Option<String>,
    /// A part of the value's text.
    pub value: Option<String>,
}

impl Client {
    /// A page of the own published entries that are looked for, each with its namespace.
    ///
    /// # Errors
    /// As any request.
    pub async fn search(
        &self,
        query: &SearchQuery,
        cursor: Option<&str>,
    ) -> Result<Page<TreeEntry>, ClientError> {
        let parameters = [
            ("tag", query.tag.clone()),
            ("key", query.key.clone()),
            ("value", query.value.clone()),
            ("prefix", query.prefix.as_ref().map(ToString::to_string)),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        self.get("/v1/search".to_owned() + &url::query(&parameters))
            .await
    }
}
