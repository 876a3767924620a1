//! The HTTP contract as functions: one for each route.
//!
//! A [`Client`] reads its own writes: every answer carries the log index it is not older than, and
//! the next request asks for at least that index, whichever node answers.

mod backup;
mod cluster;
mod commits;
mod drafts;
mod effective;
mod entries;
mod error;
mod identity;
mod namespaces;
mod operations;
mod pack_body;
mod raw;
mod requests;
mod schemas;
mod search;
mod sync;
mod transport;
mod url;
pub mod watch;

pub use schemas::PutSchema;
pub use search::SearchQuery;

use confman_api::Page;
use confman_api::namespace::{NamespaceDocument, NamespaceSummary};
use confman_api::system::{FsckReport, Readiness, Version, Whoami};
use confman_model::Namespace;
use futures::stream::{Stream, TryStreamExt, try_unfold};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use commits::CompareQuery;
pub use effective::ReceivedDocument;
pub use entries::EntriesQuery;
pub use error::ClientError;
pub use identity::TokensOf;
pub use namespaces::SeenDocument;
pub use operations::{OperationStream, OperationsQuery};
pub use pack_body::FetchedPack;
pub(crate) use pack_body::PACK_BYTES_MAX;
pub use raw::{RawAnswer, RawRequest};
pub use requests::RequestsQuery;
pub use transport::ClientOptions;
pub(crate) use transport::chain;
pub use watch::{WatchEvent, WatchStream};

use transport::{Request, SLOW_TIMEOUT_FACTOR, Transport};

/// The version of the HTTP contract that this client speaks.
pub const API_VERSION: u32 = 1;

/// Most items of a list, which is more than any store has.
pub const LIST_ITEMS_MAX: usize = 4_000_000;

/// A server, as one principal. Clones share connections and the index they have seen.
#[derive(Clone, Debug)]
pub struct Client {
    transport: std::sync::Arc<Transport>,
}

impl Client {
    /// Prepares to talk to a server, or to several of one store, separated by commas; nothing is sent yet.
    ///
    /// # Errors
    /// The URL or the token cannot be one.
    pub fn new(
        server_url: &str,
        token: Option<&str>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let transport = Transport::new(server_url, token, options)?;
        Ok(Self {
            transport: std::sync::Arc::new(transport),
        })
    }

    /// The server's URL, without a slash at its end; several are separated by commas.
    #[must_use]
    pub fn server_url(&self) -> &str {
        self.transport.url()
    }

    /// The highest log index that any answer carried; 0 before the first.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.transport.index()
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        self.transport.json(&Request::get(path)).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: &impl Serialize,
        timeout_factor: u32,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::Invalid(format!("the request is no JSON: {error}")))?;
        let request = Request {
            timeout_factor,
            ..Request::write(method, path, Some(body))
        };
        self.transport.json(&request).await
    }

    async fn delete(&self, path: String) -> Result<(), ClientError> {
        let response = self
            .transport
            .send(&Request::write(Method::DELETE, path, None))
            .await?;
        self.transport.read(response).await?;
        Ok(())
    }

    /// Every item of a list, page by page.
    fn all<'c, T, F, R>(&'c self, page: F) -> impl Stream<Item = Result<T, ClientError>> + 'c
    where
        T: 'c,
        F: Fn(Option<String>) -> R + 'c,
        R: Future<Output = Result<Page<T>, ClientError>> + 'c,
    {
        /// Where in a list we are.
        enum At {
            Start,
            Cursor(String),
            End,
        }
        try_unfold((At::Start, page, 0), move |(at, page, given)| async move {
            let cursor = match at {
                At::Start => None,
                At::Cursor(cursor) => Some(cursor),
                At::End => return Ok::<_, ClientError>(None),
            };
            let found = page(cursor.clone()).await?;
            let given = given + found.items.len();
            let stands_still = found.next.is_some() && found.next == cursor;
            if given > LIST_ITEMS_MAX || stands_still {
                return Err(self.transport.protocol("a list has no end".to_owned()));
            }
            let next = found.next.map_or(At::End, At::Cursor);
            let items = futures::stream::iter(found.items.into_iter().map(Ok));
            Ok(Some((items, (next, page, given))))
        })
        .try_flatten()
    }

    /// What the server is. Refuses one that speaks another version of the contract.
    ///
    /// # Errors
    /// It cannot be reached, or is no Confman server of this contract.
    pub async fn version(&self) -> Result<Version, ClientError> {
        let version: Version = self.get("/version".to_owned()).await?;
        if version.api != API_VERSION {
            return Err(self.transport.protocol(format!(
                "it is Confman {} with version {} of the HTTP contract, this client speaks version {API_VERSION}",
                version.version, version.api
            )));
        }
        Ok(version)
    }

    /// Whether the server can serve requests, and if not, why.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn readiness(&self) -> Result<Readiness, ClientError> {
        let request = Request {
            unavailable_is_answer: true,
            ..Request::get("/readyz".to_owned())
        };
        self.transport.json(&request).await
    }

    /// Who we are to the server.
    ///
    /// # Errors
    /// The token is not valid, or as any request.
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.get("/v1/whoami".to_owned()).await
    }

    /// The namespaces that we may see, those under `prefix` where it is given.
    ///
    /// # Errors
    /// As any request.
    pub async fn namespaces(
        &self,
        prefix: Option<&Namespace>,
    ) -> Result<Vec<NamespaceSummary>, ClientError> {
        let prefix = prefix.map(ToString::to_string);
        self.all(|cursor| {
            let path = format!(
                "/v1/namespaces{}",
                url::query(&[("prefix", prefix.clone()), ("cursor", cursor)])
            );
            self.get::<Page<NamespaceSummary>>(path)
        })
        .try_collect()
        .await
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// It exists, its parent does not, or as any request.
    pub async fn create_namespace(
        &self,
        document: &NamespaceDocument,
    ) -> Result<NamespaceDocument, ClientError> {
        self.write(Method::POST, "/v1/namespaces".to_owned(), document, 1)
            .await
    }

    /// The document of a namespace.
    ///
    /// # Errors
    /// It does not exist, or as any request.
    pub async fn namespace(&self, namespace: &Namespace) -> Result<NamespaceDocument, ClientError> {
        self.get(url::in_namespace(namespace, &["namespace"])).await
    }

    /// Checks everything the server stores.
    ///
    /// # Errors
    /// We are no administrator, or as any request.
    pub async fn fsck(&self) -> Result<FsckReport, ClientError> {
        let path = "/v1/fsck".to_owned();
        let request = Request {
            timeout_factor: SLOW_TIMEOUT_FACTOR,
            ..Request::write(Method::POST, path, None)
        };
        self.transport.json(&request).await
    }
}
