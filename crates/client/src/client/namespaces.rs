//! Namespaces: changed, deleted, restored, explained.

use confman_api::Page;
use confman_api::explain::{EffectiveNamespace, Explanation, PermissionReport};
use confman_api::namespace::{
    DeletedNamespace, DocumentVersion, MovedNamespaces, NamespaceDocument, UpdatedNamespace,
};
use confman_model::{Key, Namespace, Revision};
use futures::stream::TryStreamExt;
use reqwest::Method;
use reqwest::header::{HeaderName, IF_MATCH};
use serde_json::Value;

use super::transport::Request;
use super::{Client, ClientError, url};

/// A document, and the commit that has it: what a change says it has seen.
#[derive(Clone, Debug)]
pub struct SeenDocument {
    /// The document.
    pub document: NamespaceDocument,
    /// The commit, 64 hex digits.
    pub commit: String,
}

/// The header that states which commit was seen.
fn if_match(seen: Option<&str>) -> Vec<(HeaderName, String)> {
    seen.iter()
        .map(|commit| (IF_MATCH, format!("\"{commit}\"")))
        .collect()
}

impl Client {
    /// The document of a namespace with the commit that has it.
    ///
    /// # Errors
    /// It does not exist, or as any request.
    pub async fn seen_namespace(&self, namespace: &Namespace) -> Result<SeenDocument, ClientError> {
        let path = url::in_namespace(namespace, &["namespace"]);
        let response = self.transport.send(&Request::get(path)).await?;
        let commit = response
            .headers()
            .get(confman_api::HEADER_COMMIT)
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned);
        let commit = commit.ok_or_else(|| {
            self.transport
                .protocol("a document came without its commit".to_owned())
        })?;
        let body = self.transport.read(response).await?;
        let document = serde_json::from_slice(&body).map_err(|error| {
            self.transport
                .protocol(format!("a namespace's document is not as agreed: {error}"))
        })?;
        Ok(SeenDocument { document, commit })
    }

    /// Lays a merge patch over the document of a namespace, if it is still the one that was seen; by force
    /// also where what is published breaks the rules that hold then.
    ///
    /// # Errors
    /// It is not valid, what is published breaks the rules, the document moved, or as any request.
    pub async fn patch_namespace(
        &self,
        namespace: &Namespace,
        patch: &Value,
        seen: Option<&str>,
        force: bool,
    ) -> Result<UpdatedNamespace, ClientError> {
        self.write_namespace(Method::PATCH, namespace, patch.to_string(), seen, force)
            .await
    }

    /// Replaces the document of a namespace by a text, if it is still the one that was seen; by force also
    /// where what is published breaks the rules that hold then.
    ///
    /// # Errors
    /// As [`patch_namespace`](Self::patch_namespace).
    pub async fn replace_namespace(
        &self,
        namespace: &Namespace,
        text: String,
        seen: Option<&str>,
        force: bool,
    ) -> Result<UpdatedNamespace, ClientError> {
        self.write_namespace(Method::PUT, namespace, text, seen, force)
            .await
    }

    async fn write_namespace(
        &self,
        method: Method,
        namespace: &Namespace,
        text: String,
        seen: Option<&str>,
        force: bool,
    ) -> Result<UpdatedNamespace, ClientError> {
        let query = url::query(&[("force", force.then(|| "true".to_owned()))]);
        let path = url::in_namespace(namespace, &["namespace"]) + &query;
        let request = Request {
            headers: if_match(seen),
            ..Request::write(method, path, Some(text.into_bytes()))
        };
        self.transport.json(&request).await
    }

    /// Deletes a namespace, if its document is still the one that was seen.
    ///
    /// # Errors
    /// Namespaces are below it and `recursive` is not set, the document moved, or as any request.
    pub async fn delete_namespace(
        &self,
        namespace: &Namespace,
        recursive: bool,
        seen: Option<&str>,
    ) -> Result<MovedNamespaces, ClientError> {
        let query = url::query(&[("recursive", recursive.then(|| "true".to_owned()))]);
        let path = url::in_namespace(namespace, &["namespace"]) + &query;
        let request = Request {
            headers: if_match(seen),
            ..Request::write(Method::DELETE, path, None)
        };
        self.transport.json(&request).await
    }

    /// Brings back what was deleted: in the last deletion, or in the one that is named.
    ///
    /// # Errors
    /// Nothing was deleted, something new is there, or as any request.
    pub async fn restore_namespace(
        &self,
        namespace: &Namespace,
        deletion: Option<&str>,
    ) -> Result<MovedNamespaces, ClientError> {
        let query = url::query(&[("deletion", deletion.map(ToOwned::to_owned))]);
        let path = url::in_namespace(namespace, &["restore"]) + &query;
        self.transport
            .json(&Request::write(Method::POST, path, None))
            .await
    }

    /// Namespaces that were deleted and that we may restore.
    ///
    /// # Errors
    /// As any request.
    pub async fn deleted_namespaces(
        &self,
        prefix: Option<&Namespace>,
    ) -> Result<Vec<DeletedNamespace>, ClientError> {
        let prefix = prefix.map(ToString::to_string);
        self.all(|cursor| {
            let query = url::query(&[("prefix", prefix.clone()), ("cursor", cursor)]);
            self.get::<Page<DeletedNamespace>>(format!("/v1/namespaces/deleted{query}"))
        })
        .try_collect()
        .await
    }

    /// A page of the versions of a namespace's document, newest first.
    ///
    /// # Errors
    /// As any request.
    pub async fn document_history(
        &self,
        namespace: &Namespace,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page<DocumentVersion>, ClientError> {
        let query = url::query(&[
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ]);
        self.get(url::in_namespace(namespace, &["namespace", "history"]) + &query)
            .await
    }

    /// What holds in a namespace beside its values, now or at a time.
    ///
    /// # Errors
    /// As any request.
    pub async fn effective_namespace(
        &self,
        namespace: &Namespace,
        at: Option<&str>,
    ) -> Result<EffectiveNamespace, ClientError> {
        let query = url::query(&[("at", at.map(ToOwned::to_owned))]);
        self.get(url::in_namespace(namespace, &["namespace", "effective"]) + &query)
            .await
    }

    /// Why a key is what it is.
    ///
    /// # Errors
    /// As any request.
    pub async fn explain(
        &self,
        namespace: &Namespace,
        key: &Key,
        revision: Option<&Revision>,
    ) -> Result<Explanation, ClientError> {
        let query = url::query(&[("at", revision.map(ToString::to_string))]);
        self.get(url::in_namespace(namespace, &["explain", key.as_str()]) + &query)
            .await
    }

    /// Why somebody may or may not do things in a namespace.
    ///
    /// # Errors
    /// As any request.
    pub async fn permissions(
        &self,
        namespace: &Namespace,
        principal: Option<&str>,
        permission: Option<&str>,
        at: Option<&str>,
    ) -> Result<PermissionReport, ClientError> {
        let query = url::query(&[
            ("principal", principal.map(ToOwned::to_owned)),
            ("permission", permission.map(ToOwned::to_owned)),
            ("at", at.map(ToOwned::to_owned)),
        ]);
        self.get(url::in_namespace(namespace, &["permissions"]) + &query)
            .await
    }
}
