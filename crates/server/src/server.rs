//! A running server: opened, bootstrapped, listening, watched, and closed in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use confman_repo::model::PrincipalKind;
use confman_repo::refs::cluster::{JOIN_WITHIN, JoinOptions, NotAdmitted, begin};
use confman_repo::refs::peer::{Nobody, PROTOCOL_MAX};
use confman_repo::refs::{Node, NodeOptions, PeerOptions, Transport, Tuning};
use confman_repo::{Error, Repo, RepoOptions, SystemClock, Token};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin_token;
use crate::app::App;
use crate::error::chain;
use crate::listener;
use crate::options::{
    BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, DataDirectory, Ready, ServeError, ServeOptions,
};
use crate::peer::Peers;
use crate::resolving::Resolving;
use crate::{scheduler, scrubber};

/// The node that begins a cluster.
const FIRST_NODE: u64 = 1;
/// How long a node may take to have what the others have, before it says whether it lets somebody in.
const ADMIT_WITHIN: Duration = Duration::from_secs(5);
/// How often the node is asked whether its disk still takes writes.
const LOOK_AT_DISK: Duration = Duration::from_millis(500);

/// A running server.
#[derive(Debug)]
pub struct Server {
    ready: Ready,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Opens the store, makes the first administrator where it is new, and begins to answer.
    ///
    /// # Errors
    /// See [`ServeError`]; nothing runs then.
    pub async fn start(options: &ServeOptions) -> Result<Self, ServeError> {
        let (data, throw_away) = match &options.data {
            DataDirectory::At(path) => (path.clone(), None),
            DataDirectory::ThrowAway => {
                let directory = temporary_directory()?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let resolving =
            Resolving::from_environment(&options.resolve_secrets, &|name| std::env::var(name).ok())
                .map_err(ServeError::Secrets)?;
        // First, so that a port in use costs nothing and changes nothing.
        let listener = listen(&options.listen).await?;
        let opening = OpenStore {
            directory: data.clone(),
            cache_bytes: options.cache_bytes,
            block_cache_bytes: options.block_cache_bytes,
            documents_bytes: options.documents_bytes,
            peers: None,
        };
        let (peer_options, join) = (options.peers.clone(), options.join.clone());
        let (repo, first_start, peers) = on_thread(move || {
            let mut opening = opening;
            let peers = match peer_options {
                Some(options) => Some(Peers::start(&options)?),
                None if join.is_some() => return Err(ServeError::JoinWithoutPeers),
                None => None,
            };
            opening.peers = peers.as_ref().map(|peers| StorePeers {
                address: peers.address().to_owned(),
                transport: peers.transport(),
                join,
            });
            let repo = opening.open()?;
            if let Some(peers) = &peers {
                peers.attach(repo.node());
            }
            let first_start = bootstrap(&repo, &opening.directory)?;
            Ok((repo, first_start, peers))
        })
        .await?;
        let address = listener
            .local_addr()
            .map_err(|source| listen_error(&options.listen, source))?;
        let ready = Ready {
            address,
            admin_token_file: admin_token::path(&data),
            data,
            first_start,
        };
        // On all addresses there is none that is right for everybody.
        if !address.ip().is_unspecified() {
            repo.node().served_at(ready.url());
        }
        tracing::info!(address = %address, "{ready}");
        let stop = CancellationToken::new();
        let app = App::new(
            Arc::clone(&repo),
            options.watchers_per_principal,
            resolving,
            stop.clone(),
        );
        let upkeep = tokio::spawn(scrubber::run(app.clone(), options.scrub_bytes_per_second));
        let serving = tokio::spawn(serve(
            app,
            listener,
            stop.clone(),
            peers,
            upkeep,
            throw_away,
        ));
        Ok(Self {
            ready,
            stop,
            serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// What whoever started it needs to know.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Tells the server to stop when this is cancelled.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops: no new connections, requests finish in bounded time, the store is closed.
    ///
    /// # Errors
    /// The disk had failed.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the server has ended: because it was told to, or because the disk failed.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn ended(self) -> Result<(), ServeError> {
        self.serving
            .await
            .unwrap_or_else(|error| Err(ServeError::Failed(format!("it panicked: {error}"))))
    }
}

async fn serve(
    app: App,
    listener: TcpListener,
    stop: CancellationToken,
    peers: Option<Peers>,
    upkeep: JoinHandle<()>,
    throw_away: Option<TempDir>,
) -> Result<(), ServeError> {
    let repo = Arc::clone(app.repo());
    let scheduling = tokio::spawn(scheduler::run(app.clone()));
    let handing_over = tokio::spawn(hand_over(Arc::clone(&repo), stop.clone()));
    let failed = tokio::select! {
        () = listener::run(listener, app, stop.clone()) => None,
        reason = disk_failure(&repo) => Some(reason),
    };
    // Waiting requests end, whatever the reason.
    stop.cancel();
    if let Err(error) = scheduling.await {
        tracing::error!("the scheduler panicked: {error}");
    }
    if let Err(error) = upkeep.await {
        tracing::error!("the scrubber panicked: {error}");
    }
    if let Err(error) = handing_over.await {
        tracing::error!("handing over panicked: {error}");
    }
    on_thread(move || {
        repo.node().close();
        drop((peers, throw_away));
        Ok(())
    })
    .await?;
    match failed {
        None => Ok(()),
        Some(reason) => {
            tracing::error!("the store takes no more writes: {reason}");
            Err(ServeError::Failed(reason))
        }
    }
}

/// Lets another node lead before this one ends, so that nobody has to wait for an election. Requests that
/// are under way go on by way of the new leader.
async fn hand_over(repo: Arc<Repo>, stop: CancellationToken) {
    stop.cancelled().await;
    let handed = on_thread(move || {
        repo.node().hand_over();
        Ok(())
    });
    if let Err(error) = handed.await {
        tracing::error!("{}", chain(&error));
    }
}

/// Ends when the node takes no more writes.
async fn disk_failure(repo: &Repo) -> String {
    let mut look = tokio::time::interval(LOOK_AT_DISK);
    loop {
        look.tick().await;
        if let Some(reason) = repo.node().status().failed {
            return reason;
        }
    }
}

async fn listen(address: &str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| listen_error(address, source))
}

fn listen_error(address: &str, source: std::io::Error) -> ServeError {
    ServeError::Listen {
        listen: address.to_owned(),
        source,
    }
}

fn temporary_directory() -> Result<TempDir, ServeError> {
    tempfile::Builder::new()
        .prefix("confman-")
        .tempdir()
        .map_err(|source| ServeError::System {
            action: "make a temporary directory",
            source,
        })
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServeError> + Send + 'static,
) -> Result<T, ServeError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ServeError::Failed(format!("it panicked: {error}"))))
}

/// How a node reaches its peers, and they it.
#[derive(Clone, Debug)]
pub(crate) struct StorePeers {
    /// Where they reach it.
    pub(crate) address: String,
    /// How it reaches them.
    pub(crate) transport: Arc<dyn Transport>,
    /// Which cluster it joins, where its directory is new.
    pub(crate) join: Option<JoinOptions>,
}

impl StorePeers {
    /// Joins where that is to be done. Blocks meanwhile.
    fn options(&self, directory: &Path) -> Result<PeerOptions, ServeError> {
        let begin = begin(
            directory,
            self.join.as_ref(),
            &self.address,
            &self.transport,
            JOIN_WITHIN,
        )
        .map_err(ServeError::Open)?;
        Ok(PeerOptions {
            address: self.address.clone(),
            transport: Arc::clone(&self.transport),
            begin,
            tuning: Tuning::default(),
            protocol_max: PROTOCOL_MAX,
            replica: self.join.as_ref().is_some_and(|join| join.replica),
        })
    }
}

/// How a store is opened.
pub(crate) struct OpenStore {
    pub(crate) directory: PathBuf,
    pub(crate) cache_bytes: u64,
    pub(crate) block_cache_bytes: usize,
    pub(crate) documents_bytes: usize,
    pub(crate) peers: Option<StorePeers>,
}

impl OpenStore {
    /// How one is opened that no server runs on, and that nothing is served of: of a node that is alone, or of a
    /// member of a cluster, which reaches nobody meanwhile.
    pub(crate) fn to_look_at(data: &Path) -> Result<Self, ServeError> {
        if !data.is_dir() {
            let reason = format!("`{}` is not a directory", data.display());
            return Err(ServeError::System {
                action: "look into the data",
                source: std::io::Error::new(std::io::ErrorKind::NotFound, reason),
            });
        }
        Ok(Self {
            directory: data.to_owned(),
            cache_bytes: CACHE_BYTES_DEFAULT,
            block_cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
            documents_bytes: 0,
            peers: Some(StorePeers {
                address: String::new(),
                transport: Arc::new(Nobody),
                join: None,
            }),
        })
    }

    /// Opens it. Blocks while it recovers.
    pub(crate) fn open(&self) -> Result<Arc<Repo>, ServeError> {
        let peers = match &self.peers {
            Some(peers) => Some(peers.options(&self.directory)?),
            None => None,
        };
        let node = Node::open(&NodeOptions {
            directory: self.directory.clone(),
            cache_bytes: self.cache_bytes,
            block_cache_bytes: self.block_cache_bytes,
            peers,
        })
        .map_err(ServeError::Open)?;
        let repo = Repo::open(
            Arc::new(node),
            Arc::new(SystemClock),
            RepoOptions {
                documents_bytes_max: self.documents_bytes,
                ..RepoOptions::default()
            },
        );
        let admitting = Arc::downgrade(&repo);
        repo.node().admit_by(Arc::new(move |join| {
            let later = |error: &dyn std::error::Error| NotAdmitted::Later(chain(error));
            let Some(repo) = admitting.upgrade() else {
                return Err(NotAdmitted::Later("the node is closing".to_owned()));
            };
            // A token that was made elsewhere may not be known here yet.
            repo.node()
                .linearize(ADMIT_WITHIN)
                .map_err(|error| later(&error))?;
            repo.admit(&join.request, &join.token, &join.address)
                .map_err(|error| match error {
                    Error::Unauthenticated => NotAdmitted::Refused(
                        "its join token is not known, used up, revoked or over".to_owned(),
                    ),
                    Error::Unavailable { .. }
                    | Error::UnknownOutcome { .. }
                    | Error::Busy
                    | Error::Contended { .. } => later(&error),
                    error => NotAdmitted::Refused(chain(&error)),
                })
        }));
        Ok(repo)
    }
}

/// Makes the first administrator of a new store, whose token is durable in its file before. Returns
/// whether the store was new.
pub(crate) fn bootstrap(repo: &Arc<Repo>, data: &Path) -> Result<bool, ServeError> {
    let node = repo.node();
    // A node that joined gets everything from its cluster.
    if node.status().operation.is_some() || node.identity().node_id != FIRST_NODE {
        return Ok(false);
    }
    let file_error = |source| ServeError::AdminToken {
        path: admin_token::path(data),
        source,
    };
    let token = match admin_token::read(data).map_err(file_error)? {
        Some(text) => Token::parse(&text).map_err(|_| {
            file_error(std::io::Error::other(
                "it holds no token; remove it and start again",
            ))
        })?,
        None => {
            let token = Token::generate(PrincipalKind::User)
                .map_err(|error| ServeError::Bootstrap(chain(&error)))?;
            admin_token::create(data, token.as_str()).map_err(file_error)?;
            token
        }
    };
    repo.bootstrap_with(&token)
        .map_err(|error| ServeError::Bootstrap(chain(&error)))
}

#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod tests;
