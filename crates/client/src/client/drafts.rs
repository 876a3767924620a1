//! Drafts: changed, listed, deleted, published.

use confman_api::Page;
use confman_api::commit::{PublishWrite, Published};
use confman_api::draft::{Changes, Draft, Drafted};
use confman_model::{DraftName, Namespace};
use futures::stream::TryStreamExt;
use reqwest::Method;

use super::transport::SLOW_TIMEOUT_FACTOR;
use super::{Client, ClientError, url};

impl Client {
    /// Changes several keys of a draft at once.
    ///
    /// # Errors
    /// Something is not valid, the draft moved, or as any request.
    pub async fn change_draft(
        &self,
        namespace: &Namespace,
        draft: &DraftName,
        changes: &Changes,
    ) -> Result<Drafted, ClientError> {
        let path = url::in_namespace(namespace, &["drafts", draft.as_str(), "changes"]);
        self.write(Method::POST, path, changes, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Changes several keys and publishes them in one step, leaving no draft.
    ///
    /// # Errors
    /// Something is not valid, rights or settings do not allow it, or as any request.
    pub async fn change_and_publish(
        &self,
        namespace: &Namespace,
        draft: &DraftName,
        changes: &Changes,
    ) -> Result<Published, ClientError> {
        let changes = Changes {
            publish: true,
            ..changes.clone()
        };
        let path = url::in_namespace(namespace, &["drafts", draft.as_str(), "changes"]);
        self.write(Method::POST, path, &changes, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// The drafts of a namespace.
    ///
    /// # Errors
    /// As any request.
    pub async fn drafts(&self, namespace: &Namespace) -> Result<Vec<Draft>, ClientError> {
        self.all(|cursor| {
            self.get::<Page<Draft>>(
                url::in_namespace(namespace, &["drafts"]) + &url::query(&[("cursor", cursor)]),
            )
        })
        .try_collect()
        .await
    }

    /// One draft.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn draft(
        &self,
        namespace: &Namespace,
        draft: &DraftName,
    ) -> Result<Draft, ClientError> {
        self.get(url::in_namespace(namespace, &["drafts", draft.as_str()]))
            .await
    }

    /// Removes a draft; its commits stay readable where they were published.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn delete_draft(
        &self,
        namespace: &Namespace,
        draft: &DraftName,
    ) -> Result<(), ClientError> {
        self.delete(url::in_namespace(namespace, &["drafts", draft.as_str()]))
            .await
    }

    /// Publishes a draft.
    ///
    /// # Errors
    /// It moved, conflicts with what was published, is not allowed, or as any request.
    pub async fn publish(
        &self,
        namespace: &Namespace,
        write: &PublishWrite,
    ) -> Result<Published, ClientError> {
        let path = url::in_namespace(namespace, &["publish"]);
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }
}
