//! Reading as a service does: one effective document that follows the server and is there when the
//! server is away.
//!
//! [`Servers`] are the endpoints of one store: requests stick to the one that answered last, and go
//! to the next where one is away. A [`Reader`] reads one namespace; what the server gave it last is
//! kept in a [`Mirror`] on the disk, and used with its age where no server answers. A [`Watcher`]
//! gives every new document, and says when the server goes away and comes back.
//!
//! INVARIANT: there is a whole document of one moment, or an error; never an empty answer.
//! INVARIANT: no document is older than one that was given before, across endpoints and restarts.
//! INVARIANT: what is given comes from one store. A server with another identity, and a kept file
//! that is damaged or of something else, are refused.
//!
//! Refused tokens, missing rights and missing namespaces are errors and never replaced by what was
//! kept: what was taken away must not come back by pulling a cable.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use confman_client::reading::{Credentials, Fallback, Reader, Servers};
//!
//! let servers = Servers::new(&["http://127.0.0.1:7420"], Credentials::None)?;
//! let reader = Reader::new(servers, "/teams/payments".parse()?, None, Fallback::Refused);
//! let reading = reader.read().await?;
//! let version = reading.document.string("stripe/api-version")?;
//! let limit: i64 = reading.document.parsed("limits/daily")?;
//! # Ok(()) }
//! ```

mod backoff;
pub mod document;
pub mod error;
pub mod file;
pub mod mirror;
pub mod selection;
pub mod servers;
pub mod watcher;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use confman_model::Namespace;

pub use document::{Document, GetError};
pub use error::ReadError;
pub use mirror::{Mirror, MirrorError};
pub use selection::{KeyPattern, Selection};
pub use servers::{Credentials, Servers};
pub use watcher::{Event, Watcher};

use crate::client::{WatchEvent, WatchStream};
use servers::Asked;

/// Whether what was kept may be used where no server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It may, and the answer says so.
    Allowed,
    /// No server is an error.
    Refused,
}

/// Where a document comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A server gave it, or said that it still holds.
    Server,
    /// It was kept, and no server answers.
    Kept {
        /// How long ago a server last said that it holds; `None` where the clock is behind that.
        age: Option<Duration>,
        /// Why no server gave a newer one.
        why: Arc<ReadError>,
    },
}

/// A document and how much it can be trusted to be the newest.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The document.
    pub document: Arc<Document>,
    /// Where it comes from.
    pub source: Source,
    /// What is wrong with the kept copy, where that did not keep the document from being given.
    pub mirror_problem: Option<Arc<MirrorError>>,
}

/// What a watch says.
enum Sign {
    /// The document that is known still holds.
    Holds(Arc<Document>),
    /// It may have moved.
    Moved,
    /// Nothing: the server has no watches.
    None,
}

/// Reads one namespace.
#[derive(Debug)]
pub struct Reader {
    servers: Arc<Servers>,
    namespace: Namespace,
    mirror: Option<Mirror>,
    fallback: Fallback,
    state: Mutex<State>,
    /// The watch that is open, where one is.
    stream: tokio::sync::Mutex<Option<WatchStream>>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<Document>>,
    /// When a server last said that it holds.
    confirmed: Option<SystemTime>,
    /// Whether the kept copy was looked at.
    looked: bool,
    mirror_problem: Option<Arc<MirrorError>>,
}

impl Reader {
    /// Prepares to read a namespace; nothing is sent or opened yet.
    #[must_use]
    pub fn new(
        servers: Arc<Servers>,
        namespace: Namespace,
        mirror: Option<Mirror>,
        fallback: Fallback,
    ) -> Self {
        Self {
            servers,
            namespace,
            mirror,
            fallback,
            state: Mutex::default(),
            stream: tokio::sync::Mutex::default(),
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The document as it is now. Where it did not change since the last time, no body crosses the
    /// network.
    ///
    /// # Errors
    /// The server refuses; or no server answers and nothing usable was kept.
    pub async fn read(&self) -> Result<Reading, ReadError> {
        self.ask(None).await
    }

    /// As [`Self::read`], but where the document still is the one last given, the answer waits for a
    /// change, or up to `wait`: by a watch where the server has them, else by a request that waits.
    pub(crate) async fn wait(&self, wait: Duration) -> Result<Reading, ReadError> {
        match self.watched().await {
            Sign::Holds(document) => Ok(self.confirm(document)),
            Sign::Moved => self.ask(None).await,
            Sign::None => self.ask(Some(wait)).await,
        }
    }

    /// Waits for a sign of the watch, which is opened where there is none.
    async fn watched(&self) -> Sign {
        let known = self.lock().known.clone();
        let Some(known) = known else {
            return Sign::Moved;
        };
        let mut place = self.stream.lock().await;
        if place.is_none() {
            match self.servers.watch(&self.namespace).await {
                Ok(Some(stream)) => *place = Some(stream),
                // Where that is an outage, the request that waits says so.
                Ok(None) | Err(_) => return Sign::None,
            }
        }
        while let Some(stream) = place.as_mut() {
            match stream.next().await {
                Ok(Some(WatchEvent::Ready(state) | WatchEvent::Reset(state))) => {
                    if state.basis == known.basis() && state.cluster_id == known.cluster_id() {
                        return Sign::Holds(known);
                    }
                    self.servers.saw_index_of(&state.cluster_id, state.index);
                    return Sign::Moved;
                }
                Ok(Some(WatchEvent::Change(change))) => {
                    self.servers.saw_index(change.index);
                    return Sign::Moved;
                }
                Ok(Some(WatchEvent::Alive)) => return Sign::Holds(known),
                // What is behind it shows when the document is asked for.
                Ok(Some(WatchEvent::End(_)) | None) | Err(_) => {
                    if !stream.was_heard() {
                        // Something on the way does not let streams through.
                        self.servers.do_without_watches();
                    }
                    *place = None;
                }
            }
        }
        Sign::Moved
    }

    /// What was kept on the disk, whatever the servers say.
    ///
    /// # Errors
    /// There is nothing, or it is damaged or of something else.
    pub fn kept(&self) -> Result<Option<Reading>, MirrorError> {
        self.look();
        let state = self.lock();
        if let Some(problem) = &state.mirror_problem {
            return Err((**problem).clone());
        }
        Ok(state.known.as_ref().map(|document| Reading {
            document: Arc::clone(document),
            source: Source::Kept {
                age: age(state.confirmed),
                why: Arc::new(ReadError::NotAsked),
            },
            mirror_problem: None,
        }))
    }

    /// When a server last said that the document that is known holds.
    #[must_use]
    pub fn confirmed(&self) -> Option<SystemTime> {
        self.lock().confirmed
    }

    async fn ask(&self, wait: Option<Duration>) -> Result<Reading, ReadError> {
        self.look();
        let known = self.lock().known.clone();
        let etag = known.as_ref().map(|known| known.etag());
        match self.servers.document(&self.namespace, etag, wait).await {
            Ok(Asked::Unchanged { url }) => match known {
                Some(document) => Ok(self.confirm(document)),
                None => Err(ReadError::Protocol {
                    url,
                    reason: "it says that nothing changed, but was asked for everything".to_owned(),
                }),
            },
            Ok(Asked::Changed(document)) => Ok(self.keep(Arc::new(document)).await),
            Err(error) => self.fall_back(error),
        }
    }

    /// Reads the kept copy, once.
    fn look(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.looked, true) {
            return;
        }
        let Some(mirror) = &self.mirror else { return };
        match mirror.load(&self.namespace) {
            Ok(None) => {}
            Ok(Some(kept)) => {
                // From here on only this store will do, and nothing older than what was kept.
                self.servers
                    .expect(kept.document.cluster_id(), mirror.path());
                self.servers.saw_index(kept.document.index());
                state.known = Some(Arc::new(kept.document));
                state.confirmed = Some(kept.confirmed);
            }
            Err(problem) => state.mirror_problem = Some(Arc::new(problem)),
        }
    }

    /// The server says that what is known still holds.
    fn confirm(&self, document: Arc<Document>) -> Reading {
        let now = SystemTime::now();
        let mut state = self.lock();
        let before = state.confirmed.replace(now);
        if let Some(mirror) = &self.mirror {
            mirror.confirm(before, now);
        }
        Reading {
            document,
            source: Source::Server,
            mirror_problem: state.mirror_problem.clone(),
        }
    }

    /// The server gave a new document.
    async fn keep(&self, document: Arc<Document>) -> Reading {
        let now = SystemTime::now();
        let problem = match self.mirror.clone() {
            None => None,
            Some(mirror) => {
                let document = Arc::clone(&document);
                let kept = tokio::task::spawn_blocking(move || mirror.keep(&document, now)).await;
                kept.ok().and_then(Result::err).map(Arc::new)
            }
        };
        let mut state = self.lock();
        // What was wrong with the copy is said once; then the new one has replaced it.
        let before = std::mem::replace(&mut state.mirror_problem, problem.clone());
        state.known = Some(Arc::clone(&document));
        state.confirmed = Some(now);
        Reading {
            document,
            source: Source::Server,
            mirror_problem: problem.or(before),
        }
    }

    /// Uses what is known where the servers are away, and for no other reason.
    fn fall_back(&self, error: ReadError) -> Result<Reading, ReadError> {
        let state = self.lock();
        if !error.is_away() || self.fallback == Fallback::Refused {
            return Err(error);
        }
        match (&state.known, &state.mirror_problem) {
            (Some(document), _) => Ok(Reading {
                document: Arc::clone(document),
                source: Source::Kept {
                    age: age(state.confirmed),
                    why: Arc::new(error),
                },
                mirror_problem: None,
            }),
            (None, Some(problem)) => Err(ReadError::Mirror {
                away: Box::new(error),
                problem: (**problem).clone(),
            }),
            (None, None) => Err(error),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long ago that was; `None` where it lies ahead of the clock.
fn age(since: Option<SystemTime>) -> Option<Duration> {
    SystemTime::now().duration_since(since?).ok()
}
