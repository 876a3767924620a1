//! Durable transactions: one key each, 64 clients, one node; beside etcd's `put` on the same disk,
//! where `etcd` is installed, and beside the disk's own rate of synced writes.
//!
//! Twice: what the replicated refs do (one ref and one object a transaction, in process), and what a
//! whole publish over HTTP does (value checked, tree edited, commit, history, one transaction).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confman_object_store::{Encoded, Kind, Object};
use confman_refs::{
    Expect, Node, NodeOptions, PeerOptions, RefEdit, RefName, RequestId, Target, Transaction,
};
use confman_tests::Server;
use hdrhistogram::Histogram;

use crate::etcd::Etcd;
use crate::table::{Row, Table};
use crate::{Failure, Scale, confman, etcd, git, load, machine};

/// Clients at once.
pub const CLIENTS: usize = 64;

/// How fast something was done.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How often in a second.
    pub per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// Measures all of them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let refs = refs_rate(scale.transactions)?;
    let runtime = load::runtime()?;
    let ours = runtime.block_on(confman_rate(scale.transactions))?;
    let place = tempfile::tempdir()?;
    let sync = machine::sync_latency(place.path())?;
    let etcd = runtime.block_on(etcd_rate(scale.transactions))?;
    let peer = match &etcd {
        Some(theirs) => format!("etcd put over gRPC: {}", theirs.text()),
        None => format!(
            "no etcd here; fdatasync alone {:.0}/s",
            1.0 / sync.as_secs_f64()
        ),
    };
    let peer_rate = etcd.map_or(1.0 / sync.as_secs_f64(), |theirs| theirs.per_second);
    for (what, rate) in [
        (
            "durable transactions of one ref and one object each, in process",
            refs,
        ),
        ("durable publishes of one key each, over HTTP", ours),
    ] {
        table.add(Row {
            what: format!("{what}, {CLIENTS} clients, one node"),
            confman: rate.text(),
            peer: peer.clone(),
            ratio: format!("{:.2} ×", rate.per_second / peer_rate),
            bar: "≥ 1 ×".to_owned(),
        });
    }
    Ok(())
}

impl Rate {
    /// Of so many, that took so long each, and all together.
    pub fn of(
        transactions: usize,
        elapsed: Duration,
        times: impl Iterator<Item = Duration>,
    ) -> Result<Self, Failure> {
        let mut histogram = Histogram::<u64>::new(3)?;
        for time in times {
            histogram.record(u64::try_from(time.as_micros())?)?;
        }
        Ok(Self {
            per_second: transactions as f64 / elapsed.as_secs_f64(),
            p50: Duration::from_micros(histogram.value_at_quantile(0.5)),
            p99: Duration::from_micros(histogram.value_at_quantile(0.99)),
        })
    }

    /// For a table.
    pub fn text(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            self.per_second,
            self.p50.as_secs_f64() * 1000.0,
            self.p99.as_secs_f64() * 1000.0
        )
    }
}

fn refs_rate(transactions: usize) -> Result<Rate, Failure> {
    let directory = tempfile::tempdir()?;
    let node = Node::open(&options(directory.path(), None))?;
    transact_rate(&node, 0..transactions)
}

/// How a node is opened that is measured.
pub fn options(directory: &Path, peers: Option<PeerOptions>) -> NodeOptions {
    NodeOptions {
        directory: directory.join("node"),
        cache_bytes: 64 << 20,
        block_cache_bytes: 64 << 20,
        peers,
    }
}

/// How fast all clients are at one node.
pub fn transact_rate(node: &Node, numbers: Range<usize>) -> Result<Rate, Failure> {
    let transactions = numbers.len();
    let begun = Instant::now();
    let times = transact(node, numbers, 0..CLIENTS)?;
    Rate::of(transactions, begun.elapsed(), times.into_iter())
}

/// How long each transaction of these clients took, threads that each move a ref of their own to a new object, again
/// and again. No number may be given twice to the same cluster.
pub fn transact(
    node: &Node,
    numbers: Range<usize>,
    clients: Range<usize>,
) -> Result<Vec<Duration>, Failure> {
    let next = AtomicUsize::new(numbers.start);
    let times = std::thread::scope(|scope| {
        let clients: Vec<_> = clients
            .map(|client| {
                let next = &next;
                scope.spawn(move || move_ref(node, next, client, numbers.end))
            })
            .collect();
        clients
            .into_iter()
            .map(|client| {
                client
                    .join()
                    .map_err(|_| Failure::from("a client panicked"))?
            })
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    Ok(times.into_iter().flatten().collect())
}

fn move_ref(
    node: &Node,
    next: &AtomicUsize,
    client: usize,
    end: usize,
) -> Result<Vec<Duration>, Failure> {
    let name = RefName::new(&format!("/client-{client}@published"))?;
    let mut seen = node.view().get(name.as_str());
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return Ok(times);
        }
        let text = format!(
            "{} of client {client}, {}",
            git::value(number, 0),
            "x".repeat(256)
        );
        let object = Object::new(Kind::Blob, text.into_bytes());
        let target = Target {
            kind: Kind::Blob,
            id: object.id(),
        };
        let begun = Instant::now();
        node.transact(Transaction {
            request: RequestId((number as u128).to_le_bytes()),
            edits: vec![RefEdit {
                name: name.clone(),
                expect: Expect::from_seen(seen),
                new: Some(target),
            }],
            reads: Vec::new(),
            objects: vec![Encoded::new(&object)],
            rows: Vec::new(),
            actor: "bench".to_owned(),
            action: "move".to_owned(),
            detail: String::new(),
            time_ms: 1_700_000_000_000,
        })?;
        times.push(begun.elapsed());
        seen = Some(target);
    }
}

async fn confman_rate(transactions: usize) -> Result<Rate, Failure> {
    let server = Server::start();
    let home = tempfile::tempdir()?;
    for client in 0..CLIENTS {
        confman::timed(
            &server,
            home.path(),
            &["ns", "create", &format!("/client-{client}")],
        )?;
    }
    let token = server.admin_token();
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(CLIENTS)
        .build()?;
    let base = server.url().to_owned();
    measure(transactions, move |client, number| {
        let request = http
            .put(format!(
                "{base}/v1/ns/client-{client}/-/entries/{}?publish=true",
                git::key(number)
            ))
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(format!("{{\"value\": \"{}\"}}", git::value(number, 0)));
        async move {
            let response = request.send().await?;
            let status = response.status();
            let body = response.bytes().await?;
            if !status.is_success() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
            Ok(())
        }
    })
    .await
}

async fn etcd_rate(transactions: usize) -> Result<Option<Rate>, Failure> {
    let directory = tempfile::tempdir()?;
    let Some(etcd) = Etcd::start(directory.path(), 1).await? else {
        return Ok(None);
    };
    let rate = etcd::put_rate(&etcd.urls(), transactions).await?;
    drop(etcd);
    Ok(Some(rate))
}

/// Clients that each do the next of so many.
pub async fn measure<F, T>(transactions: usize, transact: F) -> Result<Rate, Failure>
where
    F: Fn(usize, usize) -> T + Clone + Send + 'static,
    T: Future<Output = Result<(), Failure>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (next, transact) = (Arc::clone(&next), transact.clone());
        clients.push(tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= transactions {
                    return Ok::<_, Failure>(times);
                }
                let begun = Instant::now();
                transact(client, number).await?;
                times.push(begun.elapsed());
            }
        }));
    }
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    Rate::of(transactions, begun.elapsed(), times.into_iter())
}
