//! What holds in a namespace: effective documents and values. Who reads again and again gets only what
//! changed.

use std::time::Duration;

use bytes::Bytes;
use confman_api::entry::{EffectiveDocument, EffectiveEntry};
use confman_model::{Key, Namespace, Revision};
use reqwest::{Response, StatusCode, header};
use serde_json::value::RawValue;

use super::transport::{Request, Transport};
use super::{Client, ClientError, url};

/// An effective document as it came.
#[derive(Clone, Debug)]
pub struct ReceivedDocument {
    /// Names this state; given back, it gives `None` as long as nothing changed.
    pub etag: String,
    /// Log index that the document is not older than.
    pub index: u64,
    /// Whether something is left out that the caller may not see.
    pub filtered: bool,
    /// `GET …/config?origin=true`, byte for byte.
    pub body: Bytes,
}

impl Client {
    /// The effective values of a namespace with where each comes from.
    ///
    /// # Errors
    /// As any request.
    pub async fn effective_document(
        &self,
        namespace: &Namespace,
        revision: Option<&Revision>,
    ) -> Result<EffectiveDocument, ClientError> {
        let parameters = [
            ("origin", Some("true".to_owned())),
            ("at", revision.map(ToString::to_string)),
        ];
        self.get(url::in_namespace(namespace, &["config"]) + &url::query(&parameters))
            .await
    }

    /// The effective values of a namespace as one JSON object, byte for byte as the server wrote it.
    ///
    /// # Errors
    /// As any request.
    pub async fn effective_values(
        &self,
        namespace: &Namespace,
        revision: Option<&Revision>,
    ) -> Result<Box<RawValue>, ClientError> {
        let query = url::query(&[("at", revision.map(ToString::to_string))]);
        self.get(url::in_namespace(namespace, &["config"]) + &query)
            .await
    }

    /// One effective value with where it comes from.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn effective_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        revision: Option<&Revision>,
    ) -> Result<EffectiveEntry, ClientError> {
        let query = url::query(&[("at", revision.map(ToString::to_string))]);
        self.get(url::in_namespace(namespace, &["config", key.as_str()]) + &query)
            .await
    }

    /// One effective value in its author's bytes.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn effective_bytes(
        &self,
        namespace: &Namespace,
        key: &Key,
        revision: Option<&Revision>,
    ) -> Result<Bytes, ClientError> {
        let query = url::query(&[("at", revision.map(ToString::to_string))]);
        let path = url::in_namespace(namespace, &["config", key.as_str()]) + &query;
        let request = Request {
            accept: "application/octet-stream",
            ..Request::get(path)
        };
        let response = self.transport.send(&request).await?;
        self.transport.read(response).await
    }

    /// The effective document of a namespace, unless it still is the one that `etag` names. With
    /// `wait`, the server answers when it changes, or after that time at the latest.
    ///
    /// # Errors
    /// As any request.
    pub async fn effective_unless(
        &self,
        namespace: &Namespace,
        etag: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Option<ReceivedDocument>, ClientError> {
        let query = url::query(&[("origin", Some("true".to_owned()))]);
        let mut headers = Vec::new();
        if let Some(etag) = etag {
            headers.push((header::IF_NONE_MATCH, etag.to_owned()));
        }
        if let Some(wait) = wait {
            let prefer = header::HeaderName::from_static("prefer");
            headers.push((prefer, format!("wait={}", wait.as_secs())));
        }
        let request = Request {
            headers,
            patience: wait.unwrap_or_default(),
            ..Request::get(url::in_namespace(namespace, &["config"]) + &query)
        };
        let response = self.transport.send(&request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let etag = text(&response, &header::ETAG)
            .ok_or_else(|| self.transport.protocol("an answer has no ETag".to_owned()))?;
        let index = Transport::index_of(&response).unwrap_or_default();
        let filtered = response
            .headers()
            .contains_key(confman_api::HEADER_FILTERED);
        let body = self.transport.read(response).await?;
        Ok(Some(ReceivedDocument {
            etag,
            index,
            filtered,
            body,
        }))
    }

    /// The same server and identity, with an index of its own: what this one sees does not become
    /// what others wait for.
    #[must_use]
    pub(crate) fn apart(&self) -> Self {
        Self {
            transport: std::sync::Arc::new(self.transport.sharing(Default::default())),
        }
    }

    /// The same server and identity, with an index that is shared with others.
    #[must_use]
    pub(crate) fn sharing(&self, index: std::sync::Arc<std::sync::atomic::AtomicU64>) -> Self {
        Self {
            transport: std::sync::Arc::new(self.transport.sharing(index)),
        }
    }
}

fn text(response: &Response, name: &header::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    Some(value.to_owned())
}
