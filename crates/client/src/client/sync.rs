//! Packs, both ways.

use bytes::Bytes;
use confman_api::sync::{FetchWrite, ImportState, PushWrite, Pushed};
use confman_model::Namespace;
use reqwest::Method;

use super::transport::{Request, SLOW_TIMEOUT_FACTOR};
use super::{Client, ClientError, FetchedPack, pack_body, url};

impl Client {
    /// How far an import into a namespace has come; `None` where none was begun.
    ///
    /// # Errors
    /// As any request.
    pub async fn import_state(
        &self,
        namespace: &Namespace,
    ) -> Result<Option<ImportState>, ClientError> {
        match self.get(url::in_namespace(namespace, &["import"])).await {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.code() == Some("not-found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a pack and keeps it in a temporary file, not yet verified.
    ///
    /// # Errors
    /// The transfer breaks off, or as any request.
    pub async fn fetch(
        &self,
        namespace: &Namespace,
        want: &FetchWrite,
    ) -> Result<FetchedPack, ClientError> {
        let body = serde_json::to_vec(want)
            .map_err(|error| ClientError::Invalid(format!("the request is no JSON: {error}")))?;
        let request = Request {
            accept: confman_api::MEDIA_TYPE_PACK,
            write: false,
            stream: true,
            timeout_factor: SLOW_TIMEOUT_FACTOR,
            ..Request::write(
                Method::POST,
                url::in_namespace(namespace, &["fetch"]),
                Some(body),
            )
        };
        let response = self.transport.send(&request).await?;
        pack_body::receive(&self.transport, response).await
    }

    /// Sends a pack and moves refs, together or not at all.
    ///
    /// # Errors
    /// A ref moved, an object is refused, or as any request.
    pub async fn push(
        &self,
        namespace: &Namespace,
        write: &PushWrite,
        pack: &[u8],
    ) -> Result<Pushed, ClientError> {
        let mut body = serde_json::to_vec(write)
            .map_err(|error| ClientError::Invalid(format!("the request is no JSON: {error}")))?;
        body.reserve(pack.len() + 1);
        body.push(b'\n');
        body.extend_from_slice(pack);
        let request = Request {
            body: Some((confman_api::MEDIA_TYPE_PACK, Bytes::from(body))),
            timeout_factor: SLOW_TIMEOUT_FACTOR,
            ..Request::write(Method::POST, url::in_namespace(namespace, &["push"]), None)
        };
        self.transport.json(&request).await
    }
}
