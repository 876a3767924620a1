//! What all requests share, and the one bridge from asynchronous requests to `repo`, which blocks.

use std::sync::Arc;
use std::time::Duration;

use confman_repo::{Actor, Repo};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::error::cause::later;
use crate::error::{ApiError, Code};
use crate::metrics::Metrics;
use crate::oidc::Oidc;
use crate::resolving::Resolving;
use crate::watches::{self, Watches};

/// Most calls of `repo` at once. Writes spend most of their time waiting for the disk, together.
pub const CALLS_MAX: usize = 256;
/// Most fetches and pushes at once: each holds a thread as long as its network is slow.
pub const TRANSFERS_MAX: usize = 32;
/// How long a request waits for its turn.
pub const TURN_SECONDS_MAX: u64 = 10;
/// How long a request waits until the node has applied an index, or for a majority to agree.
pub const FRESHNESS_SECONDS_MAX: u64 = 10;

/// What all requests share. Cheap to clone: each request and each watcher has one.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    repo: Arc<Repo>,
    calls: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    stopping: CancellationToken,
    watches: Arc<Watches>,
    metrics: Arc<Metrics>,
    oidc: Oidc,
    resolving: Option<Resolving>,
}

impl App {
    /// An app on an open store, whose waits end when `stopping` is cancelled. Begins to tell watchers
    /// what happens. `resolving` resolves references to secrets, where an operator has turned that on.
    pub(crate) fn new(
        repo: Arc<Repo>,
        watchers_per_principal_max: usize,
        resolving: Option<Resolving>,
        stopping: CancellationToken,
    ) -> Self {
        let watches = Arc::new(Watches::new(Arc::clone(&repo), watchers_per_principal_max));
        tokio::spawn(watches::run(Arc::clone(&watches), stopping.clone()));
        let metrics = Metrics::new(Arc::clone(&repo), Arc::clone(&watches));
        Self(Arc::new(Shared {
            watches,
            metrics: Arc::new(metrics),
            repo,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
            stopping,
            oidc: Oidc::default(),
            resolving,
        }))
    }

    /// What resolves references to secrets, where an operator has turned that on.
    pub(crate) fn resolving(&self) -> Option<&Resolving> {
        self.0.resolving.as_ref()
    }

    /// The store.
    pub(crate) fn repo(&self) -> &Arc<Repo> {
        &self.0.repo
    }

    /// Everybody who watches.
    pub(crate) fn watches(&self) -> &Arc<Watches> {
        &self.0.watches
    }

    /// Its figures.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// The issuers of identities.
    pub(crate) fn oidc(&self) -> &Oidc {
        &self.0.oidc
    }

    /// Ends when the server is told to stop.
    pub(crate) async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// The log index that an answer read from now on is not older than.
    pub(crate) fn index(&self) -> u64 {
        self.0.repo.node().view().index()
    }

    /// Calls `repo` on a thread that may block.
    pub(crate) async fn blocking<T, F>(&self, call: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Repo>) -> Result<T, ApiError> + Send + 'static,
    {
        let turn = turn(&self.0.calls).await?;
        self.on_thread(turn, call).await
    }

    /// As [`Self::blocking`], for what takes as long as a network wants.
    pub(crate) async fn transfer<T, F>(&self, call: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Repo>) -> Result<T, ApiError> + Send + 'static,
    {
        let turn = turn(&self.0.transfers).await?;
        self.on_thread(turn, call).await
    }

    /// Starts what writes an answer's body while it is being sent.
    pub(crate) async fn send<F>(&self, call: F) -> Result<(), ApiError>
    where
        F: FnOnce() + Send + 'static,
    {
        let turn = turn(&self.0.transfers).await?;
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            span.in_scope(call);
            drop(turn);
        });
        Ok(())
    }

    async fn on_thread<T, F>(&self, turn: OwnedSemaphorePermit, call: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Repo>) -> Result<T, ApiError> + Send + 'static,
    {
        let repo = Arc::clone(&self.0.repo);
        let span = tracing::Span::current();
        // The permit goes with the call: a client that leaves does not make room for another while
        // its call still runs.
        let running = tokio::task::spawn_blocking(move || {
            let outcome = span.in_scope(|| call(&repo));
            drop(turn);
            outcome
        });
        running
            .await
            .unwrap_or_else(|error| Err(ApiError::internal(format!("a call panicked: {error}"))))
    }

    /// Whose token this is.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Actor, ApiError> {
        if let Some(actor) = self.0.repo.recognize(token) {
            return Ok(actor);
        }
        let token = token.to_owned();
        self.blocking(move |repo| Ok(repo.authenticate(&token)?))
            .await
    }

    /// Waits until this node has applied `index`.
    pub(crate) async fn wait_for_index(&self, index: u64) -> Result<(), ApiError> {
        if self.index() >= index {
            return Ok(());
        }
        let mut applied = self.0.repo.node().applied();
        let reached = tokio::select! {
            waited = applied.wait_for(|applied| *applied >= index) => waited.is_ok(),
            () = tokio::time::sleep(Duration::from_secs(FRESHNESS_SECONDS_MAX)) => false,
            () = self.stopping() => false,
        };
        if reached {
            return Ok(());
        }
        let detail = format!(
            "this node has applied index {} and did not reach {index} in {FRESHNESS_SECONDS_MAX} s",
            self.index()
        );
        Err(later(ApiError::new(Code::Behind, detail)))
    }

    /// Waits until this node has applied everything that was acknowledged anywhere before.
    pub(crate) async fn linearize(&self) -> Result<(), ApiError> {
        let limit = Duration::from_secs(FRESHNESS_SECONDS_MAX);
        let confirmed = self.0.repo.node().linearized(limit).await;
        confirmed.map_err(|error| {
            later(ApiError::new(
                Code::Unavailable,
                format!("no majority confirmed what is newest: {error}"),
            ))
        })
    }
}

/// Waits for a turn.
pub(crate) async fn turn(gate: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    let limit = Duration::from_secs(TURN_SECONDS_MAX);
    match tokio::time::timeout(limit, Arc::clone(gate).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => {
            let detail = format!(
                "the server was busy with other requests for {TURN_SECONDS_MAX} s; try again later"
            );
            Err(later(ApiError::new(Code::Busy, detail)))
        }
    }
}
