//! What was published: commits, versions of keys, comparisons, tags, and the way back.

use confman_api::Page;
use confman_api::commit::{Commit, Comparison, Published, RollbackWrite, Tag, TagWrite};
use confman_api::entry::{Blame, History, Version as KeyVersion};
use confman_model::{Key, Namespace, Revision, TagName};
use futures::stream::{Stream, TryStreamExt};
use reqwest::Method;

use super::transport::SLOW_TIMEOUT_FACTOR;
use super::{Client, ClientError, url};

/// What to compare.
#[derive(Clone, Debug)]
pub struct CompareQuery {
    /// The old side.
    pub from: Revision,
    /// The new side.
    pub to: Revision,
    /// Namespace of the old side, where it is another one.
    pub from_namespace: Option<Namespace>,
}

impl Client {
    /// Publishes the content of an earlier revision again.
    ///
    /// # Errors
    /// The head moved, it is not allowed, or as any request.
    pub async fn rollback(
        &self,
        namespace: &Namespace,
        write: &RollbackWrite,
    ) -> Result<Published, ClientError> {
        let path = url::in_namespace(namespace, &["rollback"]);
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// A page of the history of a key, newest first.
    ///
    /// # Errors
    /// The key never existed, or as any request.
    pub async fn history(
        &self,
        namespace: &Namespace,
        key: &Key,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<History, ClientError> {
        let parameters = [
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        self.get(
            url::in_namespace(namespace, &["history", key.as_str()]) + &url::query(&parameters),
        )
        .await
    }

    /// Every version of a key, newest first, fetched page by page as they are taken.
    pub fn all_versions<'c>(
        &'c self,
        namespace: &'c Namespace,
        key: &'c Key,
    ) -> impl Stream<Item = Result<KeyVersion, ClientError>> + 'c {
        self.all(move |cursor| async move {
            let history = self
                .history(namespace, key, None, cursor.as_deref())
                .await?;
            Ok(Page {
                items: history.versions,
                next: history.next,
            })
        })
    }

    /// A page of the commits of a namespace from `revision` back along first parents.
    ///
    /// # Errors
    /// As any request.
    pub async fn log(
        &self,
        namespace: &Namespace,
        revision: Option<&Revision>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page<Commit>, ClientError> {
        let parameters = [
            ("rev", revision.map(ToString::to_string)),
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        self.get(url::in_namespace(namespace, &["log"]) + &url::query(&parameters))
            .await
    }

    /// The commits of a namespace from `revision` back, fetched page by page as they are taken.
    pub fn all_commits<'c>(
        &'c self,
        namespace: &'c Namespace,
        revision: Option<&'c Revision>,
    ) -> impl Stream<Item = Result<Commit, ClientError>> + 'c {
        self.all(move |cursor| async move {
            self.log(namespace, revision, None, cursor.as_deref()).await
        })
    }

    /// Who last changed each published key, those that begin with `prefix`.
    ///
    /// # Errors
    /// As any request.
    pub async fn blame(
        &self,
        namespace: &Namespace,
        prefix: Option<&str>,
    ) -> Result<Vec<Blame>, ClientError> {
        let prefix = prefix.map(ToOwned::to_owned);
        self.all(|cursor| {
            let parameters = [("prefix", prefix.clone()), ("cursor", cursor)];
            self.get::<Page<Blame>>(
                url::in_namespace(namespace, &["blame"]) + &url::query(&parameters),
            )
        })
        .try_collect()
        .await
    }

    /// What differs between two revisions, all pages in one.
    ///
    /// # Errors
    /// As any request.
    pub async fn compare(
        &self,
        namespace: &Namespace,
        query: &CompareQuery,
    ) -> Result<Comparison, ClientError> {
        let mut whole: Option<Comparison> = None;
        let mut cursor = None;
        loop {
            let parameters = [
                ("from", Some(query.from.to_string())),
                ("to", Some(query.to.to_string())),
                (
                    "fromNamespace",
                    query.from_namespace.as_ref().map(ToString::to_string),
                ),
                ("cursor", cursor),
            ];
            let path = url::in_namespace(namespace, &["compare"]) + &url::query(&parameters);
            let mut page: Comparison = self.get(path).await?;
            cursor = page.next.take();
            let so_far = match whole.take() {
                None => page,
                Some(mut so_far) => {
                    so_far.changes.append(&mut page.changes);
                    so_far
                }
            };
            if cursor.is_none() {
                return Ok(so_far);
            }
            whole = Some(so_far);
        }
    }

    /// One commit.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn commit(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<Commit, ClientError> {
        self.get(url::in_namespace(
            namespace,
            &["commits", &revision.to_string()],
        ))
        .await
    }

    /// The tags of a namespace.
    ///
    /// # Errors
    /// As any request.
    pub async fn tags(&self, namespace: &Namespace) -> Result<Vec<Tag>, ClientError> {
        self.all(|cursor| {
            self.get::<Page<Tag>>(
                url::in_namespace(namespace, &["tags"]) + &url::query(&[("cursor", cursor)]),
            )
        })
        .try_collect()
        .await
    }

    /// One tag.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn tag(&self, namespace: &Namespace, tag: &TagName) -> Result<Tag, ClientError> {
        self.get(url::in_namespace(namespace, &["tags", tag.as_str()]))
            .await
    }

    /// Names a commit.
    ///
    /// # Errors
    /// The name is taken by another commit, or as any request.
    pub async fn set_tag(
        &self,
        namespace: &Namespace,
        tag: &TagName,
        write: &TagWrite,
    ) -> Result<Tag, ClientError> {
        self.write(
            Method::PUT,
            url::in_namespace(namespace, &["tags", tag.as_str()]),
            write,
            1,
        )
        .await
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn delete_tag(
        &self,
        namespace: &Namespace,
        tag: &TagName,
    ) -> Result<(), ClientError> {
        self.delete(url::in_namespace(namespace, &["tags", tag.as_str()]))
            .await
    }
}
