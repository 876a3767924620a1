//! Who watches what, and how they are told.
//!
//! One task goes through the operation log. For each namespace that is watched there is one topic,
//! which is told what moved as one event, rendered once and shared by all its watchers. A watcher
//! holds a bounded place in the queue of its topic; who does not keep up loses the place and is told
//! so. Where nobody watches, nothing is done.
//!
//! INVARIANT: events of a topic are in the order of the operations, none is missing and none is twice.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use confman_api::watch::{EVENT_CHANGE, WatchChange};
use confman_repo::model::{Key, Namespace};
use confman_repo::refs::Operation;
use confman_repo::{Differences, Following, Moved, Repo, Session, names};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::document::time;
use crate::error::cause::later;
use crate::error::{ApiError, Code, chain};

/// Most watchers of one principal at once, where nothing else is said.
pub const WATCHERS_PER_PRINCIPAL_DEFAULT: usize = 10_000;
/// Events that wait for a watcher before it counts as too slow.
pub const EVENTS_WAITING_MAX: usize = 64;

/// So often, in operations, topics are looked for that everybody has left.
const LOOK_FOR_LEFT_EVERY: u64 = 64;

/// What watchers of a topic are told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The effective document moved.
    Moved(Arc<Change>),
    /// Rights may have changed: look whether you still may watch.
    Look,
    /// Nothing more comes: the log cannot be read.
    Failed,
    /// Nothing more comes: the server stops.
    Stopping,
}

/// A move of an effective document, rendered.
#[derive(Debug)]
pub(crate) struct Change {
    /// As JSON.
    pub(crate) document: WatchChange,
    /// As an event of a stream.
    pub(crate) frame: Bytes,
}

impl Change {
    /// Renders a move.
    pub(crate) fn new(namespace: &Namespace, moved: &Moved) -> Self {
        let keys = |keys: &Vec<Key>| keys.iter().map(ToString::to_string).collect();
        let document = WatchChange {
            namespace: namespace.to_string(),
            index: moved.index,
            at: time::utc(moved.at_ms),
            basis: moved.basis.map(|basis| basis.to_string()),
            commit: moved.commit.map(|commit| commit.to_string()),
            keys: moved.keys.as_ref().map(keys),
        };
        let frame = frame(EVENT_CHANGE, Some(moved.index), &document);
        Self { document, frame }
    }

    /// Whether the namespace is gone.
    pub(crate) fn is_end(&self) -> bool {
        self.document.basis.is_none()
    }
}

/// An event of a stream.
pub(crate) fn frame(event: &str, id: Option<u64>, data: &impl serde::Serialize) -> Bytes {
    // Documents of the contract always have a JSON form, in one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {event}\ndata: {data}\n\n"))
}

/// Everybody who watches.
#[derive(Debug)]
pub(crate) struct Watches {
    repo: Arc<Repo>,
    topics: Mutex<Topics>,
    places: Arc<Mutex<HashMap<String, usize>>>,
    per_principal_max: usize,
}

#[derive(Debug, Default)]
struct Topics {
    /// Number of the operation that all topics are at.
    sequence: u64,
    /// Log index that they are at.
    index: u64,
    topics: BTreeMap<Namespace, Topic>,
    /// Whether the server stops, so that nobody begins to watch any more.
    stopping: bool,
}

#[derive(Debug)]
struct Topic {
    following: Following,
    events: broadcast::Sender<Event>,
}

/// A place among the watchers of a principal, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    principal: String,
    places: Arc<Mutex<HashMap<String, usize>>>,
}

/// A watcher's end of a topic.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// What comes after.
    pub(crate) events: broadcast::Receiver<Event>,
    /// Number of the operation that it begins after.
    pub(crate) sequence: u64,
    /// Log index of that operation.
    pub(crate) index: u64,
    /// The basis there.
    pub(crate) basis: Option<confman_repo::objects::ObjectId>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    pub(crate) fn new(repo: Arc<Repo>, per_principal_max: usize) -> Self {
        Self {
            repo,
            topics: Mutex::default(),
            places: Arc::default(),
            per_principal_max,
        }
    }

    /// How many watch now.
    pub(crate) fn watchers(&self) -> usize {
        lock(&self.places).values().sum()
    }

    /// How many namespaces are watched now.
    pub(crate) fn topics(&self) -> usize {
        lock(&self.topics).topics.len()
    }

    /// Number of the operation up to which watchers were told.
    #[cfg(test)]
    pub(crate) fn told(&self) -> u64 {
        lock(&self.topics).sequence
    }

    /// A place for one more watcher.
    pub(crate) fn place(&self, principal: &str) -> Result<Place, ApiError> {
        let mut places = lock(&self.places);
        let taken = places.entry(principal.to_owned()).or_default();
        if *taken >= self.per_principal_max {
            let detail = format!(
                "`{principal}` has {taken} watches and waiting requests open, which is the most allowed; \
                 end some, or let the operator allow more with `--watchers-per-principal`"
            );
            let error = ApiError::new(Code::TooManyWatchers, detail);
            return Err(error.with(
                axum::http::header::RETRY_AFTER,
                axum::http::HeaderValue::from_static("10"),
            ));
        }
        *taken += 1;
        Ok(Place {
            principal: principal.to_owned(),
            places: Arc::clone(&self.places),
        })
    }

    /// Begins to watch a namespace, if the caller may read it. Blocks.
    pub(crate) fn subscribe(
        &self,
        session: &Session,
        namespace: &Namespace,
    ) -> Result<Subscription, ApiError> {
        // Whether it may is asked each time; that others watch it already says nothing.
        let mut following = session.follow(namespace)?;
        let mut topics = lock(&self.topics);
        if topics.stopping {
            let detail = "the server is stopping; come back, or ask another one";
            return Err(later(ApiError::new(Code::Unavailable, detail)));
        }
        if topics.topics.is_empty() {
            topics.sequence = following.sequence();
            topics.index = following.index();
        }
        // Whichever of the two is behind goes on to where the other is.
        topics.advance(&self.repo, following.sequence())?;
        while following.sequence() < topics.sequence {
            following.catch_up(topics.sequence)?;
        }
        let (sequence, index) = (topics.sequence, topics.index);
        let topic = topics
            .topics
            .entry(namespace.clone())
            .or_insert_with(|| Topic {
                following,
                events: broadcast::Sender::new(EVENTS_WAITING_MAX),
            });
        Ok(Subscription {
            events: topic.events.subscribe(),
            sequence,
            index,
            basis: topic.following.basis(),
        })
    }

    /// Tells all topics what has happened up to now. Blocks.
    fn go_on(&self) {
        let mut topics = lock(&self.topics);
        if topics.topics.is_empty() {
            return;
        }
        let newest = self.repo.node().view().sequence();
        if let Err(error) = topics.advance(&self.repo, newest) {
            tracing::error!("watches end, as the log cannot be read: {}", error.detail);
            topics.tell_all(&Event::Failed);
            topics.topics.clear();
        }
    }

    /// Ends all watches, and lets none begin.
    fn stop(&self) {
        let mut topics = lock(&self.topics);
        topics.stopping = true;
        topics.tell_all(&Event::Stopping);
        topics.topics.clear();
    }
}

/// Tells watchers what happens, until `stopping`, which they are told of too: that each of them waited for it itself
/// would cost each of them a place in the queue of one lock, again and again.
pub(crate) async fn run(watches: Arc<Watches>, stopping: CancellationToken) {
    let mut applied = watches.repo.node().applied();
    loop {
        let moved = tokio::select! {
            moved = applied.changed() => moved.is_ok(),
            () = stopping.cancelled() => false,
        };
        if !moved {
            return watches.stop();
        }
        applied.borrow_and_update();
        let watches = Arc::clone(&watches);
        let told = tokio::task::spawn_blocking(move || watches.go_on()).await;
        if let Err(error) = told {
            tracing::error!("telling watchers failed: {}", chain(&error));
        }
    }
}

impl Topics {
    /// Leads all topics to an operation.
    fn advance(&mut self, repo: &Repo, until: u64) -> Result<(), ApiError> {
        while self.sequence < until {
            if self.topics.is_empty() {
                self.sequence = until;
                return Ok(());
            }
            let operation = repo.operation(self.sequence + 1)?;
            self.tell(&operation)?;
            self.sequence += 1;
            self.index = operation.index;
            if self.sequence.is_multiple_of(LOOK_FOR_LEFT_EVERY) {
                self.topics
                    .retain(|_, topic| topic.events.receiver_count() > 0);
            }
        }
        Ok(())
    }

    fn tell(&mut self, operation: &Operation) -> Result<(), ApiError> {
        let mut differences = Differences::new();
        for edit in &operation.edits {
            let name = edit.name.as_str();
            if names::is_published(name) {
                if let Some(moved) = names::namespace_of(name) {
                    self.tell_below(&moved, operation, &mut differences, false)?;
                }
            } else if let Some(moved) = names::rollout_of(name) {
                self.tell_below(&moved, operation, &mut differences, false)?;
            } else if let Some(moved) = names::policy_of(name) {
                self.tell_below(&moved, operation, &mut differences, true)?;
            } else if names::decides_rights(name) && edit.old.is_some() {
                self.tell_all(&Event::Look);
            }
        }
        Ok(())
    }

    /// Tells the topics of a namespace and of those below it.
    fn tell_below(
        &mut self,
        moved: &Namespace,
        operation: &Operation,
        differences: &mut Differences,
        rights_too: bool,
    ) -> Result<(), ApiError> {
        let from = (Bound::Included(moved.clone()), Bound::Unbounded);
        let near = self
            .topics
            .range_mut(from)
            .take_while(|(namespace, _)| namespace.as_str().starts_with(moved.as_str()));
        for (namespace, topic) in near.filter(|(namespace, _)| moved.contains(namespace)) {
            // A topic that an earlier edit of this operation led here has told all of it.
            if topic.following.sequence() < operation.sequence
                && let Some(moved) = topic.following.next(operation, differences)?
            {
                let change = Arc::new(Change::new(namespace, &moved));
                let _ = topic.events.send(Event::Moved(change));
            }
            if rights_too {
                let _ = topic.events.send(Event::Look);
            }
        }
        Ok(())
    }

    fn tell_all(&self, event: &Event) {
        for topic in self.topics.values() {
            let _ = topic.events.send(event.clone());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = lock(&self.places);
        if let Some(taken) = places.get_mut(&self.principal) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                places.remove(&self.principal);
            }
        }
    }
}
