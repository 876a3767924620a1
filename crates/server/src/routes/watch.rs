//! Watches: a stream of events, or what was missed as one document.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::Bytes;
use confman_api::watch::{
    EVENT_END, EVENT_READY, EVENT_RESET, HEADER_LAST_EVENT_ID, WatchChange, WatchChanges, WatchEnd,
    WatchState,
};
use confman_repo::model::Namespace;
use confman_repo::{Following, Missed, Reader};
use data_encoding::HEXLOWER;
use futures::stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Sleep};

use crate::app::App;
use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::preference;
use crate::reply::Reply;
use crate::watches::{Change, EVENTS_WAITING_MAX, Event, Place, Subscription, frame};

/// Media type of a stream of events.
const EVENT_STREAM: &str = "text/event-stream";
/// After how much silence a sign of life is sent, and rights are looked at again.
pub const HEARTBEAT_SECONDS: u64 = 15;
const HEARTBEAT_AFTER: Duration = Duration::from_secs(HEARTBEAT_SECONDS);
/// A comment, which event sources skip.
const HEARTBEAT: Bytes = Bytes::from_static(b": \n\n");
/// Clients come back after this many milliseconds, and up to four times as many.
const RETRY_MS_MIN: u64 = 1000;
/// Most keys that a watcher can name.
const KEYS_MAX: usize = 100;

/// `GET …/watch?after=&prefix=&keys=`
pub(crate) async fn watch(call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    let mut query = call.query(&["after", "prefix", "keys"]);
    let after: Option<u64> = query.parsed("after");
    let filter = Filter {
        prefix: query.text("prefix").map(str::to_owned),
        keys: query
            .text("keys")
            .map(|keys| keys.split(',').map(str::to_owned).collect()),
    };
    if filter
        .keys
        .as_ref()
        .is_some_and(|keys| keys.len() > KEYS_MAX)
    {
        query.refuse(format!(
            "the query parameter `keys` names at most {KEYS_MAX} keys; use `prefix`"
        ));
    }
    query.finish()?;
    let after = match last_event_id(&call.headers)? {
        Some(index) => Some(index),
        None => after,
    };
    let place = call.app.watches().place(call.session.actor().principal())?;
    match preference::accepted(&call.headers, &[EVENT_STREAM, "application/json"])? {
        EVENT_STREAM => stream_events(call, namespace, after, filter, place).await,
        _ => changes(call, namespace, after, filter).await,
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(HEADER_LAST_EVENT_ID) else {
        return Ok(None);
    };
    let index = value.to_str().ok().and_then(|text| text.parse().ok());
    index.map(Some).ok_or_else(|| {
        ApiError::header(HEADER_LAST_EVENT_ID, "it is the `id` of an event, a number")
    })
}

/// Which changes a watcher wants to be told of.
struct Filter {
    prefix: Option<String>,
    keys: Option<Vec<String>>,
}

impl Filter {
    fn wants(&self, change: &WatchChange) -> bool {
        let Some(changed) = &change.keys else {
            return true;
        };
        match (&self.prefix, &self.keys) {
            (None, None) => true,
            (prefix, keys) => changed.iter().any(|key| {
                prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
                    && keys.as_ref().is_none_or(|keys| keys.contains(key))
            }),
        }
    }
}

/// What begins: the place in the queue, and what was missed.
struct Begun {
    subscription: Subscription,
    missed: Option<Missed>,
}

async fn begin(call: &Call, namespace: &Namespace, after: Option<u64>) -> Result<Begun, ApiError> {
    let (watches, namespace) = (Arc::clone(call.app.watches()), namespace.clone());
    call.run(move |session| {
        let subscription = watches.subscribe(session, &namespace)?;
        let missed = match after {
            None => None,
            Some(index) => Some(session.follow_after(&namespace, index)?),
        };
        Ok(Begun {
            subscription,
            missed,
        })
    })
    .await
}

async fn stream_events(
    call: Call,
    namespace: Namespace,
    after: Option<u64>,
    filter: Filter,
    place: Place,
) -> Result<Reply, ApiError> {
    let begun = begin(&call, &namespace, after).await?;
    let index = begun.subscription.index;
    let mut frames = VecDeque::from([retry()]);
    let state = |reason: Option<&str>| WatchState {
        namespace: namespace.to_string(),
        index,
        basis: begun
            .subscription
            .basis
            .map(|basis| basis.to_string())
            .unwrap_or_default(),
        cluster_id: HEXLOWER.encode(&call.app.repo().node().status().cluster_id),
        reason: reason.map(str::to_owned),
    };
    let missed = match begun.missed {
        None => {
            frames.push_back(frame(EVENT_READY, Some(index), &state(None)));
            None
        }
        Some(Missed::Lost(reason)) => {
            frames.push_back(frame(EVENT_RESET, Some(index), &state(Some(reason))));
            None
        }
        Some(Missed::From(following)) => Some(following),
    };
    let watcher = Box::new(Watcher {
        until: begun.subscription.sequence,
        events: begun.subscription.events,
        app: call.app.clone(),
        token: Arc::clone(&call.token),
        reader: None,
        namespace,
        filter,
        missed,
        frames,
        ended: false,
        sent: Instant::now(),
        beat: Box::pin(tokio::time::sleep(HEARTBEAT_AFTER)),
        _place: place,
    });
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let frame = watcher.next().await?;
        Some((Ok::<_, Infallible>(frame), watcher))
    });
    Ok(Reply::body(Body::from_stream(frames), EVENT_STREAM)
        .header(header::CACHE_CONTROL, "no-store")
        // A proxy that gathers a stream before it sends it on would keep it for ever.
        .header(HeaderName::from_static("x-accel-buffering"), "no")
        .index(index))
}

/// How long to wait before coming back, different for each watcher, so that not all come at once.
fn retry() -> Bytes {
    let [.., high, low] = uuid::Uuid::now_v7().into_bytes();
    let random = u64::from(u16::from_be_bytes([high, low]));
    let ms = RETRY_MS_MIN + random * 3 * RETRY_MS_MIN / u64::from(u16::MAX);
    Bytes::from(format!("retry: {ms}\n\n"))
}

/// One stream.
struct Watcher {
    app: App,
    token: Arc<str>,
    /// The caller as it was allowed to read last.
    reader: Option<Reader>,
    namespace: Namespace,
    filter: Filter,
    events: tokio::sync::broadcast::Receiver<Event>,
    /// What was missed is told up to this operation; then `events` go on.
    until: u64,
    missed: Option<Box<Following>>,
    frames: VecDeque<Bytes>,
    ended: bool,
    /// When something was sent last.
    sent: Instant,
    /// Comes at the earliest when the next sign of life is due. It is not put off with each event, since all watchers
    /// share the clock's lock.
    beat: Pin<Box<Sleep>>,
    _place: Place,
}

impl Watcher {
    /// The next bytes of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            if let Some(following) = self.missed.take() {
                // On the heap, so that the many who missed nothing do not keep room for it.
                Box::pin(self.catch_up(following)).await;
                continue;
            }
            tokio::select! {
                event = self.events.recv() => {
                    self.take(event).await;
                    if !self.frames.is_empty() {
                        self.sent = Instant::now();
                    }
                }
                () = &mut self.beat => {
                    let due = self.sent + HEARTBEAT_AFTER;
                    if due <= Instant::now() {
                        if self.may_still().await {
                            self.frames.push_back(HEARTBEAT);
                        }
                        self.sent = Instant::now();
                    }
                    self.beat.as_mut().reset(self.sent + HEARTBEAT_AFTER);
                }
            }
        }
    }

    /// Tells a piece of what was missed.
    async fn catch_up(&mut self, mut following: Box<Following>) {
        let until = self.until;
        let told = self.app.blocking(move |_| {
            let moves = following.catch_up(until)?;
            Ok((moves, following))
        });
        match told.await {
            Ok((moves, following)) => {
                for moved in &moves {
                    self.tell(&Change::new(&self.namespace.clone(), moved));
                }
                if following.sequence() < until && !self.ended {
                    self.missed = Some(following);
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    async fn take(&mut self, event: Result<Event, RecvError>) {
        match event {
            Ok(Event::Moved(change)) => {
                if self.filter.wants(&change.document) && self.may_still().await {
                    self.tell(&change);
                }
            }
            Ok(Event::Look) => {
                self.may_still().await;
            }
            Ok(Event::Stopping) => {
                self.end(
                    "stopping",
                    "the server is stopping; come back and go on after the last event",
                );
            }
            Ok(Event::Failed) | Err(RecvError::Closed) => {
                self.end("failed", "the server cannot read its log; come back later");
            }
            Err(RecvError::Lagged(_)) => {
                let reason = format!(
                    "more than {EVENTS_WAITING_MAX} events were waiting; come back and go on after the last event"
                );
                self.end("slow", &reason);
            }
        }
    }

    fn tell(&mut self, change: &Change) {
        if self.filter.wants(&change.document) {
            self.frames.push_back(change.frame.clone());
        }
        if change.is_end() {
            self.end("gone", "the namespace was deleted");
        }
    }

    /// Whether the caller may still read the namespace; ends the stream where not.
    async fn may_still(&mut self) -> bool {
        // What is known of the caller stands in most views, which is found out without hashing its token again.
        let again = self.reader.as_ref().and_then(Reader::again);
        self.reader = again.or_else(|| self.app.repo().reader(&self.token, &self.namespace));
        if self.reader.is_some() {
            return true;
        }
        match Box::pin(self.decide()).await {
            Ok(()) => true,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    async fn decide(&self) -> Result<(), ApiError> {
        let (token, namespace) = (Arc::clone(&self.token), self.namespace.clone());
        self.app
            .blocking(move |repo| {
                let actor = match token.is_empty() {
                    true => repo.anyone(&namespace)?,
                    false => repo.authenticate(&token)?,
                };
                Ok(repo.session(actor).shown(&token).may_read(&namespace)?)
            })
            .await
    }

    fn fail(&mut self, error: &ApiError) {
        match error.code {
            Code::Unauthenticated | Code::Forbidden | Code::NotFound => {
                self.end("not-allowed", "you may not read the namespace any more");
            }
            _ => self.end("failed", &error.detail),
        }
    }

    fn end(&mut self, code: &'static str, reason: &str) {
        self.app.metrics().watch_ended(code);
        let end = WatchEnd {
            code: code.to_owned(),
            reason: reason.to_owned(),
        };
        self.frames.push_back(frame(EVENT_END, None, &end));
        self.ended = true;
    }
}

/// What was missed since `after`, as one document; with `Prefer: wait=N` it waits for the first change.
async fn changes(
    call: Call,
    namespace: Namespace,
    after: Option<u64>,
    filter: Filter,
) -> Result<Reply, ApiError> {
    let Some(after) = after else {
        let detail = "changes as a document need `after`, the `Confman-Index` of what you have";
        return Err(ApiError::new(Code::InvalidQuery, detail));
    };
    let wait = preference::wait(&call.headers)?.unwrap_or_default();
    let deadline = Instant::now() + wait;
    let Begun {
        mut subscription,
        missed,
    } = begin(&call, &namespace, Some(after)).await?;
    let mut found = WatchChanges {
        items: Vec::new(),
        index: subscription.index,
        reset: None,
    };
    match missed {
        Some(Missed::From(following)) => {
            let until = subscription.sequence;
            let (moves, at) = call.run(move |_| catch_up(*following, until)).await?;
            found.index = at.max(after);
            let changes = moves
                .iter()
                .map(|moved| Change::new(&namespace, moved).document);
            found.items = changes.filter(|change| filter.wants(change)).collect();
        }
        Some(Missed::Lost(reason)) => found.reset = Some(reason.to_owned()),
        None => {}
    }
    while found.items.is_empty() && found.reset.is_none() {
        let event = tokio::select! {
            event = subscription.events.recv() => event,
            () = tokio::time::sleep_until(deadline) => break,
        };
        match event {
            Ok(Event::Moved(change)) => {
                found.index = change.document.index;
                if filter.wants(&change.document) {
                    found.items.push(change.document.clone());
                }
            }
            Ok(Event::Look) => {
                let namespace = namespace.clone();
                call.run(move |session| Ok(session.may_read(&namespace)?))
                    .await?;
            }
            // The next request finds what was missed in the log.
            Ok(Event::Failed | Event::Stopping) | Err(_) => break,
        }
    }
    let index = found.index;
    let reply = Reply::json(&found)?.header(header::CACHE_CONTROL, "no-store");
    Ok(reply.index(index))
}

/// Moves up to an operation, and the index up to which they are told.
fn catch_up(
    mut following: Following,
    until: u64,
) -> Result<(Vec<confman_repo::Moved>, u64), ApiError> {
    let moves = following.catch_up(until)?;
    Ok((moves, following.index()))
}

#[cfg(test)]
mod tests;
