//! The HTTP contract as functions: one for each route.
//!
//! A [`Client`] reads its own writes: every answer carries the log index it is not older than, and
//! the next request asks for at least that index, whichever node answers.

mod cluster;
mod effective;
mod error;
mod identity;
mod namespaces;
mod operations;
mod pack_body;
mod raw;
mod requests;
mod schemas;
mod search;
mod transport;
mod url;
pub mod watch;

pub use schemas::PutSchema;
pub use search::SearchQuery;

use bytes::Bytes;
use confman_api::Page;
use confman_api::commit::{
    Commit, Comparison, PublishWrite, Published, RollbackWrite, Tag, TagWrite,
};
use confman_api::draft::{Changes, Draft, Drafted};
use confman_api::entry::{
    Blame, ConfigEntry, EffectiveDocument, EffectiveEntry, EntryWrite, History, TreeEntry,
    Version as KeyVersion,
};
use confman_api::namespace::{NamespaceDocument, NamespaceSummary};
use confman_api::sync::{FetchWrite, ImportState, PushWrite, Pushed};
use confman_api::system::{FsckReport, Readiness, Version, Whoami};
use confman_model::{DraftName, Key, Namespace, Revision, TagName};
use futures::stream::{Stream, TryStreamExt, try_unfold};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use effective::ReceivedDocument;
pub use error::ClientError;
pub use identity::TokensOf;
pub use namespaces::SeenDocument;
pub use operations::{OperationStream, OperationsQuery};
pub use pack_body::FetchedPack;
pub use raw::{RawAnswer, RawRequest};
pub use requests::RequestsQuery;
pub use transport::ClientOptions;
pub(crate) use transport::chain;
pub use watch::{WatchEvent, WatchStream};

use transport::{Request, SLOW_TIMEOUT_FACTOR, Transport};

/// The version of the HTTP contract that this client speaks.
pub const API_VERSION: u32 = 1;

/// A server, as one principal. Clones share connections and the index they have seen.
#[derive(Clone, Debug)]
pub struct Client {
    transport: std::sync::Arc<Transport>,
}

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
        try_unfold((At::Start, page), |(at, page)| async move {
            let cursor = match at {
                At::Start => None,
                At::Cursor(cursor) => Some(cursor),
                At::End => return Ok::<_, ClientError>(None),
            };
            let found = page(cursor).await?;
            let next = found.next.map_or(At::End, At::Cursor);
            let items = futures::stream::iter(found.items.into_iter().map(Ok));
            Ok(Some((items, (next, page))))
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
