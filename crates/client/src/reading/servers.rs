//! Several endpoints of one store, asked as one.
//!
//! Requests stick to the endpoint that answered last; where it is away, the next one is asked at
//! once, and all of them before it counts as an outage. Where to begin is drawn, so that a fleet
//! spreads over the endpoints.
//!
//! INVARIANT: an endpoint is asked for configuration only after it said which store it is, again
//! after every failure. What another store says changes nothing here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use confman_model::Namespace;

use super::backoff::random;
use super::document::{Document, Identity};
use super::error::ReadError;
use crate::client::{Client, ClientError, ClientOptions, ReceivedDocument, WatchStream};

/// How long a server may take to answer, beyond what it was asked to wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most endpoints.
pub const ENDPOINTS_MAX: usize = 16;
/// Most bytes of a file with a token.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Who to be.
#[derive(Clone)]
pub enum Credentials {
    /// Nobody.
    None,
    /// Whoever has this token.
    Token(String),
    /// Whoever has the token in this file. It is read again when a server no longer takes it.
    File(PathBuf),
}

// A token must not end up in a log or a panic message.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Credentials {
    fn token(&self) -> Result<Option<String>, ClientError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Token(token) => return Ok(Some(token.clone())),
            Self::File(path) => path,
        };
        let what = || format!("read the token in {}", path.display());
        let found = std::fs::metadata(path).map_err(|error| ClientError::io(what(), error))?;
        if found.len() > TOKEN_BYTES_MAX {
            return Err(ClientError::Invalid(format!(
                "the token in {} has {} bytes, at most {TOKEN_BYTES_MAX} are allowed",
                path.display(),
                found.len()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| ClientError::io(what(), error))?;
        match text.trim() {
            "" => Err(ClientError::Invalid(format!(
                "the token in {} is empty",
                path.display()
            ))),
            token => Ok(Some(token.to_owned())),
        }
    }
}

/// The endpoints of one store.
#[derive(Debug)]
pub struct Servers {
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
    options: ClientOptions,
    /// The endpoint that answered last.
    preferred: AtomicUsize,
    /// The highest log index that was seen; no answer may be older.
    index: Arc<AtomicU64>,
    store: Mutex<Option<Store>>,
}

/// The store that is meant.
#[derive(Debug, Clone)]
struct Store {
    cluster_id: String,
    /// The kept copy that says so.
    file: Option<PathBuf>,
}

#[derive(Debug)]
struct Endpoint {
    url: String,
    state: Mutex<EndpointState>,
}

#[derive(Debug)]
struct EndpointState {
    client: Client,
    token: Option<String>,
    /// Which store it said it is; forgotten at every failure.
    cluster_id: Option<String>,
    /// Whether it refused a watch; forgotten at every failure.
    without_watches: bool,
}

/// What the servers say about a document.
#[derive(Debug)]
pub(super) enum Asked {
    /// It still is the one that the caller has.
    Unchanged {
        /// Who says so.
        url: String,
    },
    /// This is it.
    Changed(Document),
}

impl Servers {
    /// Prepares to talk to the endpoints of one store; nothing is sent yet. Each text is one URL or several,
    /// separated by commas.
    ///
    /// # Errors
    /// There are none or too many, a URL cannot be one, or the token cannot be read.
    pub fn new(
        urls: &[impl AsRef<str>],
        credentials: Credentials,
    ) -> Result<Arc<Self>, ClientError> {
        Self::known_as(urls, credentials, None)
    }

    /// As [`Servers::new`], as one of the readers where something is published gradually: see
    /// [`ClientOptions::client_id`].
    ///
    /// # Errors
    /// As [`Servers::new`]; or the id cannot be one.
    pub fn known_as(
        urls: &[impl AsRef<str>],
        credentials: Credentials,
        client_id: Option<String>,
    ) -> Result<Arc<Self>, ClientError> {
        let options = ClientOptions {
            timeout: ANSWER_TIMEOUT,
            // The next endpoint is the better second try.
            retries: 0,
            user_agent: concat!("confman-reader/", env!("CARGO_PKG_VERSION")).to_owned(),
            client_id,
        };
        let urls: Vec<&str> = urls
            .iter()
            .flat_map(|urls| urls.as_ref().split(','))
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .collect();
        if urls.is_empty() || urls.len() > ENDPOINTS_MAX {
            return Err(ClientError::Invalid(format!(
                "there are {} servers, 1 to {ENDPOINTS_MAX} are allowed",
                urls.len()
            )));
        }
        let token = credentials.token()?;
        let index = Arc::new(AtomicU64::new(0));
        let endpoints = urls
            .iter()
            .map(|url| {
                let client = Client::new(url, token.as_deref(), options.clone())?;
                let client = client.sharing(Arc::clone(&index));
                Ok(Endpoint {
                    url: client.server_url().to_owned(),
                    state: Mutex::new(EndpointState {
                        client,
                        token: token.clone(),
                        cluster_id: None,
                        without_watches: false,
                    }),
                })
            })
            .collect::<Result<Vec<_>, ClientError>>()?;
        let first = usize::from(random()) % endpoints.len();
        Ok(Arc::new(Self {
            endpoints,
            credentials,
            options,
            preferred: AtomicUsize::new(first),
            index,
            store: Mutex::new(None),
        }))
    }

    /// Their URLs, in the order given.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|endpoint| endpoint.url.as_str())
    }

    /// From now on only the store with this identity will do.
    pub(super) fn expect(&self, cluster_id: &str, file: &Path) {
        self.lock().get_or_insert_with(|| Store {
            cluster_id: cluster_id.to_owned(),
            file: Some(file.to_owned()),
        });
    }

    /// From now on nothing older than this will do.
    pub(super) fn saw_index(&self, index: u64) {
        self.index.fetch_max(index, Ordering::Relaxed);
    }

    /// As [`Self::saw_index`], of a store that may be another one than is meant.
    pub(super) fn saw_index_of(&self, cluster_id: &str, index: u64) {
        let is_meant = self
            .lock()
            .as_ref()
            .is_some_and(|store| store.cluster_id == cluster_id);
        if is_meant {
            self.saw_index(index);
        }
    }

    /// The effective document of a namespace, unless it still is the one that `etag` names.
    pub(super) async fn document(
        &self,
        namespace: &Namespace,
        etag: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Asked, ReadError> {
        let count = self.endpoints.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        let mut other_store = None;
        for at in (first..first + count).map(|at| at % count) {
            let Some(endpoint) = self.endpoints.get(at) else {
                continue;
            };
            match self.ask(endpoint, namespace, etag, wait).await {
                Ok(asked) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(asked);
                }
                Err(Failure::Passing(error)) => {
                    endpoint.forget();
                    tried.push(error);
                }
                Err(Failure::OtherStore(error)) => {
                    endpoint.forget();
                    other_store = Some(error);
                }
                Err(Failure::Lasting(error)) => return Err(error),
            }
        }
        // A wrong store is a mistake that somebody has to see, and no outage.
        Err(other_store.unwrap_or(ReadError::Away { tried }))
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        namespace: &Namespace,
        etag: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Asked, Failure> {
        let mut again = true;
        loop {
            let (client, known) = endpoint.client();
            let cluster_id = match known {
                Some(cluster_id) => cluster_id,
                None => self.identify(endpoint, &client).await?,
            };
            match client.effective_unless(namespace, etag, wait).await {
                Ok(None) => {
                    return Ok(Asked::Unchanged {
                        url: endpoint.url.clone(),
                    });
                }
                Ok(Some(received)) => {
                    return read(endpoint, namespace, cluster_id, received).map(Asked::Changed);
                }
                Err(error) if again && error.status() == Some(401) && self.renew(endpoint) => {
                    again = false;
                }
                Err(error) => return Err(Failure::of(error)),
            }
        }
    }

    /// Watches a namespace at the endpoint that answered last; `None` where it has no watches.
    pub(super) async fn watch(
        &self,
        namespace: &Namespace,
    ) -> Result<Option<WatchStream>, ClientError> {
        let at = self.preferred.load(Ordering::Relaxed);
        let Some(endpoint) = self.endpoints.get(at) else {
            return Ok(None);
        };
        match endpoint.client() {
            (client, Some(_)) if !endpoint.lock().without_watches => {
                match client.watch(namespace).await {
                    Ok(stream) => Ok(Some(stream)),
                    // An older server, an agent, or one that has enough watchers.
                    Err(error) if error.status().is_some() => {
                        endpoint.lock().without_watches = true;
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
            _ => Ok(None),
        }
    }

    /// Opens no more watches at the endpoint that answered last, until it fails.
    pub(super) fn do_without_watches(&self) {
        let at = self.preferred.load(Ordering::Relaxed);
        if let Some(endpoint) = self.endpoints.get(at) {
            endpoint.lock().without_watches = true;
        }
    }

    /// Asks an endpoint which store it is. Its log index is not taken over before that is known.
    async fn identify(&self, endpoint: &Endpoint, client: &Client) -> Result<String, Failure> {
        let version = client.apart().version().await.map_err(Failure::of)?;
        let expected = self
            .lock()
            .get_or_insert_with(|| Store {
                cluster_id: version.cluster_id.clone(),
                file: None,
            })
            .clone();
        if expected.cluster_id != version.cluster_id {
            return Err(Failure::OtherStore(ReadError::OtherStore {
                url: endpoint.url.clone(),
                expected: expected.cluster_id,
                actual: version.cluster_id,
                file: expected.file,
            }));
        }
        endpoint.lock().cluster_id = Some(version.cluster_id.clone());
        Ok(version.cluster_id)
    }

    /// Reads the token again; whether it is another one than the endpoint refused.
    fn renew(&self, endpoint: &Endpoint) -> bool {
        let Ok(token) = self.credentials.token() else {
            return false;
        };
        let mut state = endpoint.lock();
        if state.token == token {
            return false;
        }
        match Client::new(&endpoint.url, token.as_deref(), self.options.clone()) {
            Ok(client) => {
                state.client = client.sharing(Arc::clone(&self.index));
                state.token = token;
                true
            }
            Err(_) => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    fn client(&self) -> (Client, Option<String>) {
        let state = self.lock();
        (state.client.clone(), state.cluster_id.clone())
    }

    fn forget(&self) {
        let mut state = self.lock();
        state.cluster_id = None;
        state.without_watches = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why one endpoint did not give a document.
enum Failure {
    /// Another endpoint may do better, or this one later.
    Passing(ClientError),
    /// It is another store.
    OtherStore(ReadError),
    /// Asking elsewhere would not help.
    Lasting(ReadError),
}

impl Failure {
    fn of(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => match problem.status {
                408 | 429 | 500..=599 => Self::Passing(ClientError::Problem(problem)),
                _ => Self::Lasting(ReadError::Refused(problem)),
            },
            // Such as the error page of a proxy.
            ClientError::Unreachable { .. } | ClientError::Protocol { .. } => Self::Passing(error),
            other => Self::Lasting(ReadError::Invalid(crate::client::chain(&other))),
        }
    }
}

fn read(
    endpoint: &Endpoint,
    namespace: &Namespace,
    cluster_id: String,
    received: ReceivedDocument,
) -> Result<Document, Failure> {
    let identity = Identity {
        namespace: namespace.clone(),
        cluster_id,
        server: endpoint.url.clone(),
        etag: received.etag,
        index: received.index,
        filtered: received.filtered,
    };
    Document::read(identity, received.body).map_err(|reason| {
        Failure::Passing(ClientError::Protocol {
            url: endpoint.url.clone(),
            reason,
        })
    })
}
