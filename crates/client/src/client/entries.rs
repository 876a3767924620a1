//! The entries that a namespace itself has.

use confman_api::Page;
use confman_api::draft::Drafted;
use confman_api::entry::{ConfigEntry, EntryWrite, TreeEntry};
use confman_model::{DraftName, Key, Namespace, Revision};
use futures::stream::Stream;
use reqwest::Method;

use super::{Client, ClientError, url};

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct EntriesQuery {
    /// As of when; the published head where absent.
    pub revision: Option<Revision>,
    /// Only keys that begin with this.
    pub prefix: Option<String>,
    /// Leave the values out.
    pub without_values: bool,
    /// Most entries of a page; the server's default where absent.
    pub limit: Option<usize>,
}

impl Client {
    /// A page of the entries that a namespace itself has.
    ///
    /// # Errors
    /// As any request.
    pub async fn entries(
        &self,
        namespace: &Namespace,
        query: &EntriesQuery,
        cursor: Option<&str>,
    ) -> Result<Page<TreeEntry>, ClientError> {
        let parameters = [
            ("rev", query.revision.as_ref().map(ToString::to_string)),
            ("prefix", query.prefix.clone()),
            ("values", query.without_values.then(|| "false".to_owned())),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        self.get(url::in_namespace(namespace, &["entries"]) + &url::query(&parameters))
            .await
    }

    /// All of the entries that a namespace itself has, fetched page by page as they are taken.
    pub fn all_entries<'c>(
        &'c self,
        namespace: &'c Namespace,
        query: &'c EntriesQuery,
    ) -> impl Stream<Item = Result<TreeEntry, ClientError>> + 'c {
        self.all(
            move |cursor| async move { self.entries(namespace, query, cursor.as_deref()).await },
        )
    }

    /// One entry of a namespace itself: its published side, and its side in a draft.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        draft: Option<&DraftName>,
    ) -> Result<ConfigEntry, ClientError> {
        let query = url::query(&[("draft", draft.map(ToString::to_string))]);
        self.get(url::in_namespace(namespace, &["entries", key.as_str()]) + &query)
            .await
    }

    /// Writes one entry into a draft.
    ///
    /// # Errors
    /// It is not valid, the draft moved, or as any request.
    pub async fn put_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        draft: &DraftName,
        entry: &EntryWrite,
    ) -> Result<Drafted, ClientError> {
        let query = url::query(&[("draft", Some(draft.to_string()))]);
        let path = url::in_namespace(namespace, &["entries", key.as_str()]) + &query;
        self.write(Method::PUT, path, entry, 1).await
    }
}
