//! Watchers: how soon the last of many is told, and what each of them costs the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confman_tests::Server;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::speaking::{Speaker, Speaking};
use crate::table::{Row, Table};
use crate::{Failure, Scale, load};

/// Publishes that watchers are told of.
const PUBLISHES: usize = 100;
/// The same, where there are so many watchers that they are to be held rather than to be told soon.
const PUBLISHES_TO_HELD: usize = 10;
/// Watchers that share one connection of HTTP/2.
const STREAMS: usize = 250;
/// The namespace that is watched.
const WATCHED: &str = "/v1/ns/watched/-/watch";

/// Measures them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let runtime = load::runtime()?;
    runtime.block_on(told(scale, table))?;
    runtime.block_on(told_on_shared(scale, table))
}

/// How many watchers have seen the newest publish.
#[derive(Debug)]
struct Seen {
    watchers: usize,
    count: AtomicUsize,
    by_all: tokio::sync::Notify,
}

impl Seen {
    fn new(watchers: usize) -> Arc<Self> {
        Arc::new(Self {
            watchers,
            count: AtomicUsize::new(0),
            by_all: tokio::sync::Notify::new(),
        })
    }

    fn one_more(&self) {
        if self.count.fetch_add(1, Ordering::AcqRel) + 1 == self.watchers {
            self.by_all.notify_one();
        }
    }
}

/// Events as they arrive in pieces.
#[derive(Debug, Default)]
struct Events(String);

impl Events {
    /// Adds a piece. Says whether an event of this name is whole now, and forgets it then.
    fn has(&mut self, piece: &[u8], event: &str) -> Result<bool, Failure> {
        // Most pieces are one event.
        if self.0.is_empty() && (piece.ends_with(b"\n\n") || piece.ends_with(b"\n\n\r\n")) {
            return Ok(piece.windows(event.len()).any(|it| it == event.as_bytes()));
        }
        self.0 += std::str::from_utf8(piece)?;
        let Some(begins) = self.0.find(event) else {
            return Ok(false);
        };
        let is_whole = self.0.get(begins..).is_some_and(|it| it.contains("\n\n"));
        if is_whole {
            self.0.clear();
        }
        Ok(is_whole)
    }
}

/// A connection of HTTP/1.1 for each.
async fn told(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let count = scale.watchers;
    let confman = watched(count).await?;
    let before = confman.memory()?;
    let seen = Seen::new(count);
    let request = confman.get(WATCHED, "");
    let mut watching = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = ready(confman.address()?, &request).await?;
        watching.push(tokio::spawn(watcher(stream, Arc::clone(&seen))));
    }
    let memory = confman.memory()?.saturating_sub(before) / count as u64;
    let times = publishes(&confman, &seen, PUBLISHES).await?;
    end(watching);
    let how = format!("{count} watchers, each on a connection of HTTP/1.1");
    table.add(told_row(&how, &times));
    table.add(Row {
        what: format!("memory of the server for each of {how}"),
        confman: format!("{:.1} KiB", memory as f64 / 1024.0),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 20 KiB", memory as f64 / 20_480.0),
        bar: "≤ 20 KiB".to_owned(),
    });
    Ok(())
}

/// As many, which share connections of HTTP/2, and then many more than a process may have connections open
/// in most places.
async fn told_on_shared(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    for (count, published) in [
        (scale.watchers, PUBLISHES),
        (scale.watchers_held, PUBLISHES_TO_HELD),
    ] {
        let confman = watched(count).await?;
        let before = confman.memory()?;
        let seen = Seen::new(count);
        let watching = watch_on_shared(&confman, count, &seen).await?;
        let memory = confman.memory()?.saturating_sub(before) / count as u64;
        let times = publishes(&confman, &seen, published).await?;
        end(watching);
        let connections = count.div_ceil(STREAMS);
        let how = format!("{count} watchers on {connections} connections of HTTP/2");
        table.add(match count == scale.watchers {
            true => told_row(&how, &times),
            false => Row {
                what: format!("{how}, held at once"),
                confman: format!(
                    "{:.1} KiB each; {}",
                    memory as f64 / 1024.0,
                    told_text(&times)
                ),
                peer: "–".to_owned(),
                ratio: "–".to_owned(),
                bar: "held".to_owned(),
            },
        });
    }
    Ok(())
}

async fn watch_on_shared(
    confman: &Speaker,
    count: usize,
    seen: &Arc<Seen>,
) -> Result<Vec<JoinHandle<Result<(), Failure>>>, Failure> {
    let mut watching = Vec::with_capacity(count);
    for first in (0..count).step_by(STREAMS) {
        let connection = reqwest::Client::builder().http2_prior_knowledge().build()?;
        for _ in first..count.min(first + STREAMS) {
            let stream = ready_on(&connection, confman).await?;
            watching.push(tokio::spawn(watcher_on(stream, Arc::clone(seen))));
        }
    }
    Ok(watching)
}

/// The time that a quantile of publishes took until all were told, in ms.
fn told_ms(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

fn told_text(times: &Histogram<u64>) -> String {
    format!(
        "p50 {:.0} ms, p99 {:.0} ms of {}",
        told_ms(times, 0.5),
        told_ms(times, 0.99),
        times.len()
    )
}

fn told_row(how: &str, times: &Histogram<u64>) -> Row {
    Row {
        what: format!("publish until the last has seen it of {how}"),
        confman: told_text(times),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 100 ms", told_ms(times, 0.99) / 100.0),
        bar: "p99 ≤ 100 ms".to_owned(),
    }
}

/// A server with a namespace that so many may watch.
async fn watched(watchers: usize) -> Result<Speaking, Failure> {
    let allow = ["--watchers-per-principal".to_owned(), watchers.to_string()];
    let confman = Speaking::with(Server::start_with(&allow));
    confman.namespace("/watched").await?;
    confman.publish("/watched", json!({ "k": 0 })).await?;
    Ok(confman)
}

/// Publishes again and again, each time when all have seen the one before, and gives the times until then in µs.
async fn publishes(
    confman: &Speaker,
    seen: &Seen,
    count: usize,
) -> Result<Histogram<u64>, Failure> {
    let mut times = Histogram::<u64>::new(3)?;
    for number in 1..=count {
        seen.count.store(0, Ordering::Release);
        let begun = Instant::now();
        confman.publish("/watched", json!({ "k": number })).await?;
        let all = tokio::time::timeout(Duration::from_secs(60), seen.by_all.notified());
        if all.await.is_err() {
            let count = seen.count.load(Ordering::Acquire);
            return Err(format!("{count} of {} watchers were told", seen.watchers).into());
        }
        times.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    Ok(times)
}

/// A connection on which the first event has come, which shows that it watches.
async fn ready(address: SocketAddr, request: &[u8]) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut events = Events::default();
    let mut buffer = vec![0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(format!("a watch ended: {events:?}").into());
        }
        if events.has(buffer.get(..count).unwrap_or_default(), "event: ready")? {
            return Ok(stream);
        }
    }
}

async fn ready_on(
    connection: &reqwest::Client,
    confman: &Speaker,
) -> Result<reqwest::Response, Failure> {
    let asking = connection
        .get(format!("{}{WATCHED}", confman.url()))
        .bearer_auth(confman.token());
    let mut stream = asking.send().await?.error_for_status()?;
    let mut events = Events::default();
    while let Some(piece) = stream.chunk().await? {
        if events.has(&piece, "event: ready")? {
            return Ok(stream);
        }
    }
    Err(format!("a watch ended: {events:?}").into())
}

async fn watcher(mut stream: TcpStream, seen: Arc<Seen>) -> Result<(), Failure> {
    let mut events = Events::default();
    let mut buffer = vec![0; 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if events.has(buffer.get(..count).unwrap_or_default(), "event: change")? {
            seen.one_more();
        }
    }
}

async fn watcher_on(mut stream: reqwest::Response, seen: Arc<Seen>) -> Result<(), Failure> {
    let mut events = Events::default();
    while let Some(piece) = stream.chunk().await? {
        if events.has(&piece, "event: change")? {
            seen.one_more();
        }
    }
    Ok(())
}

fn end(watching: Vec<JoinHandle<Result<(), Failure>>>) {
    for task in watching {
        task.abort();
    }
}
