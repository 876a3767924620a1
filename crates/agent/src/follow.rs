//! Following one namespace: what is served of it, and how that is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use confman_client::reading::{Event, Fallback, Mirror, Reader, Reading, Servers, Source, Watcher};
use serde::Serialize;
use tokio::sync::watch;

use crate::config::NamespaceConfig;
use crate::output;
use crate::served::Served;

/// How long to wait before files and hooks that failed are tried again.
const OUTPUT_AGAIN: Duration = Duration::from_secs(30);

/// A namespace that is followed.
#[derive(Debug)]
pub struct Followed {
    /// What was told about it.
    pub config: NamespaceConfig,
    reader: Arc<Reader>,
    state: watch::Sender<State>,
}

/// What is served, and how that is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The newest document; none before the first.
    pub served: Option<Arc<Served>>,
    /// Whether a server stands behind it.
    pub current: bool,
    /// Why not, or why there is none.
    pub problem: Option<String>,
    /// What is wrong with files and hooks.
    pub output_problem: Option<String>,
}

/// How a namespace is, for `/readyz`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    namespace: String,
    /// `current`, `kept` or `missing`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    /// Seconds since a server last said that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_problem: Option<String>,
}

impl Followed {
    /// Prepares to follow a namespace.
    #[must_use]
    pub fn new(config: NamespaceConfig, servers: &Arc<Servers>, state: &Path) -> Arc<Self> {
        let urls: Vec<&str> = servers.urls().collect();
        let mirror = Mirror::in_directory(state, &urls, &config.path);
        let reader = Reader::new(
            Arc::clone(servers),
            config.path.clone(),
            Some(mirror),
            Fallback::Allowed,
        );
        Arc::new(Self {
            config,
            reader: Arc::new(reader),
            state: watch::Sender::new(State::default()),
        })
    }

    /// What is served now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// What is served now and from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// How long ago a server last said that what is served holds.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        SystemTime::now()
            .duration_since(self.reader.confirmed()?)
            .ok()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state();
        let document = state.served.as_ref().map(|served| &served.document);
        Status {
            namespace: self.config.path.to_string(),
            state: match (&document, state.current) {
                (None, _) => "missing",
                (Some(_), true) => "current",
                (Some(_), false) => "kept",
            },
            basis: document.map(|document| document.basis().to_owned()),
            index: document.map(|document| document.index()),
            age_seconds: document.and(self.age()).map(|age| age.as_secs()),
            problem: state.problem,
            output_problem: state.output_problem,
        }
    }

    fn publish(&self, reading: &Reading) {
        let served = Arc::new(Served::new(Arc::clone(&reading.document)));
        let problem = match &reading.source {
            Source::Server => None,
            Source::Kept { why, .. } => Some(why.to_string()),
        };
        self.state.send_modify(|state| {
            state.served = Some(served);
            state.current = problem.is_none();
            state.problem = problem;
        });
    }
}

/// Follows a namespace for ever.
pub async fn follow(followed: Arc<Followed>) {
    let namespace = followed.config.path.clone();
    let mut watcher = Watcher::new(Arc::clone(&followed.reader));
    match watcher.first_kept() {
        Ok(None) => {}
        Ok(Some(reading)) => {
            tracing::info!(%namespace, "{namespace} is served as it was kept until a server answers");
            followed.publish(&reading);
        }
        Err(problem) => {
            tracing::warn!(%namespace, "{problem}");
            followed
                .state
                .send_modify(|state| state.problem = Some(problem.to_string()));
        }
    }
    let mut out_of_date = followed.state().served.is_some();
    loop {
        if out_of_date {
            out_of_date = !write(&followed).await;
        }
        let event = tokio::select! {
            event = watcher.next() => event,
            () = tokio::time::sleep(OUTPUT_AGAIN), if out_of_date => continue,
        };
        match event {
            Event::Document(reading) => {
                let (basis, index) = (reading.document.basis(), reading.document.index());
                tracing::info!(%namespace, basis, index, "{namespace} is at {basis}");
                if let Some(problem) = &reading.mirror_problem {
                    tracing::warn!(%namespace, "{problem}");
                }
                followed.publish(&reading);
                out_of_date = true;
            }
            Event::Away(error) => {
                tracing::warn!(%namespace, "nothing new of {namespace} can be had: {error}");
                followed.state.send_modify(|state| {
                    state.current = false;
                    state.problem = Some(error.to_string());
                });
            }
            Event::Back => {
                tracing::info!(%namespace, "{namespace} is current");
                followed.state.send_modify(|state| {
                    state.current = true;
                    state.problem = None;
                });
            }
        }
    }
}

/// Writes files and runs hooks; whether all of it worked.
async fn write(followed: &Arc<Followed>) -> bool {
    let Some(served) = followed.state().served else {
        return true;
    };
    let config = followed.config.clone();
    let document = Arc::clone(&served.document);
    let done = tokio::task::spawn_blocking(move || output::apply(&config, &document)).await;
    let problem = match done {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(problem),
        Err(error) => Some(error.to_string()),
    };
    if let Some(problem) = &problem {
        let namespace = &followed.config.path;
        tracing::warn!(%namespace, "{problem}");
    }
    let worked = problem.is_none();
    followed.state.send_if_modified(|state| {
        let changed = state.output_problem != problem;
        state.output_problem = problem;
        changed
    });
    worked
}
