//! Three nodes beside three nodes of etcd, each three processes on loopback and on one disk: durable transactions,
//! linearizable reads, the time without a leader that was killed, and what a node fetches that was away.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use confman_client::{Client, ClientOptions};
use confman_object_store::{Kind, ObjectId, ReadObjects};
use confman_refs::peer::ELECTION_MAX;
use confman_refs::{Begin, Node};
use confman_tests::Cluster;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::etcd::Etcd;
use crate::load::{self, Answered, Asked};
use crate::member::{Member, OtherMember};
use crate::table::{Row, Table};
use crate::transactions::{CLIENTS, Rate, measure, transact, transact_rate};
use crate::{Failure, Scale, etcd, reading};

/// Nodes of each cluster.
const NODES: usize = 3;
/// How often each measurement is taken, in turn with its peer, of which the best counts.
const ROUNDS: usize = 3;
/// The key that is read.
const KEY: &str = "document";
const VALUE: &str = "a value of a configuration, of a usual length";
/// How long a client of etcd waits for one node before it asks the next one.
const ETCD_ATTEMPT: Duration = Duration::from_millis(100);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Measures all of them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let runtime = load::runtime()?;
    let place = tempfile::tempdir()?;
    let mut etcd = runtime.block_on(Etcd::start(place.path(), NODES))?;
    transactions_and_catch_up(&runtime, scale, etcd.as_ref(), table)?;
    let mut cluster = Cluster::of(&["b", "c"]);
    reads(&runtime, scale, &cluster, etcd.as_ref(), table)?;
    leader_killed(&runtime, scale, &mut cluster, etcd.as_mut(), table)
}

/// The replicated refs of this process, which leads, and of two others.
struct Members {
    leader: Member,
    others: Vec<OtherMember>,
    _place: tempfile::TempDir,
}

impl Members {
    fn start() -> Result<Self, Failure> {
        let place = tempfile::tempdir()?;
        let certificates = place.path().join("certificates");
        confman_server::make_authority(&certificates)?;
        confman_server::make_node(&certificates, &["127.0.0.1".to_owned()])?;
        let directory = |id: u64| place.path().join(id.to_string());
        let leader = Member::open(&directory(1), &certificates, "127.0.0.1:0", Begin::Alone)?;
        let cluster_id = leader.node().identity().cluster_id;
        let mut others = Vec::new();
        for id in 2..=NODES as u64 {
            let other = OtherMember::start(directory(id), &certificates, cluster_id, id)?;
            confman_refs::testing::add_learner(leader.node(), id, &other.address)?;
            confman_refs::testing::promote(leader.node(), id)?;
            others.push(other);
        }
        Ok(Self {
            leader,
            others,
            _place: place,
        })
    }

    fn node(&self) -> &Node {
        self.leader.node()
    }

    /// How fast all clients are, spread over so many nodes, the leader among them.
    fn transact_rate(&mut self, numbers: Range<usize>, nodes: usize) -> Result<Rate, Failure> {
        let count = numbers.len();
        let share = |of: &Range<usize>, part: usize| {
            let at = |part: usize| of.start + of.len() * part / nodes;
            at(part)..at(part + 1)
        };
        let clients = 0..CLIENTS;
        let begun = Instant::now();
        let mut times = Vec::with_capacity(count);
        let others = self.others.get_mut(..nodes - 1).ok_or("no such node")?;
        for (part, other) in (1..).zip(&mut *others) {
            other.begin_transacting(&share(&numbers, part), &share(&clients, part))?;
        }
        let leader = self.leader.node();
        times.extend(transact(leader, share(&numbers, 0), share(&clients, 0))?);
        for other in others {
            times.extend(other.end_transacting()?);
        }
        Rate::of(count, begun.elapsed(), times.into_iter())
    }

    /// Waits until all of them have applied what the leader has.
    fn settle(&mut self) -> Result<(), Failure> {
        let index = self.node().view().index();
        for other in &mut self.others {
            let until = Instant::now() + PATIENCE;
            while other.ask()?.applied < index {
                if Instant::now() > until {
                    return Err(format!("node {} does not reach entry {index}", other.id).into());
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }
}

fn transactions_and_catch_up(
    runtime: &Runtime,
    scale: Scale,
    etcd: Option<&Etcd>,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut members = Members::start()?;
    let count = scale.transactions / ROUNDS;
    let mut first = 0;
    for (place, nodes, bar) in [
        ("where the leader is", 1, "≥ 1.2 ×"),
        ("to all nodes", NODES, "≥ 1 ×"),
    ] {
        let (mut ours, mut theirs): (Option<Rate>, Option<Rate>) = (None, None);
        for _ in 0..ROUNDS {
            // A client begins with what its node has.
            members.settle()?;
            let rate = members.transact_rate(first..first + count, nodes)?;
            first += count;
            if !members.node().leads() {
                return Err("another node leads now: the machine is too busy to measure".into());
            }
            keep_best(&mut ours, rate);
            if let Some(etcd) = etcd {
                let rate = runtime.block_on(async {
                    let urls = leader_first(etcd).await?;
                    etcd::put_rate(urls.get(..nodes).unwrap_or(&urls), count).await
                })?;
                keep_best(&mut theirs, rate);
            }
        }
        let ours = ours.ok_or("nothing measured")?;
        table.add(Row {
            what: format!(
                "durable transactions of one ref and one object each, submitted {place}, {CLIENTS} clients, three nodes"
            ),
            confman: ours.text(),
            peer: peer_text("put over gRPC, three nodes", theirs.map(|rate| rate.text())),
            ratio: ratio(ours.per_second, theirs.map(|rate| rate.per_second)),
            bar: bar.to_owned(),
        });
    }
    catch_up(&mut members, first..first + count, table)
}

/// Where the nodes of etcd answer, the leader first.
async fn leader_first(etcd: &Etcd) -> Result<Vec<String>, Failure> {
    let leader = etcd.leader().await?;
    let mut urls = etcd.urls();
    urls.swap(0, leader);
    Ok(urls)
}

fn keep_best(best: &mut Option<Rate>, found: Rate) {
    if best.is_none_or(|best| found.per_second > best.per_second) {
        *best = Some(found);
    }
}

fn peer_text(what: &str, figures: Option<String>) -> String {
    match figures {
        Some(figures) => format!("etcd, {what}: {figures}"),
        None => "no etcd here".to_owned(),
    }
}

fn ratio(ours: f64, theirs: Option<f64>) -> String {
    theirs.map_or("–".to_owned(), |theirs| format!("{:.2} ×", ours / theirs))
}

/// A node is away while much is written, and the log that it would need is purged.
fn catch_up(
    members: &mut Members,
    numbers: Range<usize>,
    table: &mut Table,
) -> Result<(), Failure> {
    members.settle()?;
    let had = objects(members.node())?;
    let away = members.others.last_mut().ok_or("no other node")?;
    away.kill();
    let count = numbers.len();
    transact_rate(members.node(), numbers)?;
    confman_refs::testing::snapshot_and_purge(members.node())?;
    let missing = missing_bytes(members.node(), &had)?;
    let begun = Instant::now();
    let away = members.others.last_mut().ok_or("no other node")?;
    away.restart()?;
    members.settle()?;
    let took = begun.elapsed();
    let away = members.others.last_mut().ok_or("no other node")?;
    let moved = away.ask()?.bulk;
    if moved < missing / 4 {
        return Err(format!("it came by the log: {moved} bytes moved of {missing}").into());
    }
    table.add(Row {
        what: format!(
            "bytes moved to a node that was away for {count} transactions whose log is purged"
        ),
        confman: format!("{moved} bytes, {:.1} s", took.as_secs_f64()),
        peer: format!("the objects that it lacked: {missing} bytes"),
        ratio: format!("{:.2} ×", moved as f64 / missing as f64),
        bar: "≤ 1.2 ×".to_owned(),
    });
    Ok(())
}

fn objects(node: &Node) -> Result<HashSet<(Kind, ObjectId)>, Failure> {
    let all = ObjectId::MIN..=ObjectId::MAX;
    let mut objects = HashSet::new();
    for kind in Kind::ALL {
        let ids = node.store().backend().ids(kind, &all, usize::MAX)?;
        objects.extend(ids.into_iter().map(|id| (kind, id)));
    }
    Ok(objects)
}

/// Bytes of the objects that a node has and that are not among these.
fn missing_bytes(node: &Node, had: &HashSet<(Kind, ObjectId)>) -> Result<u64, Failure> {
    let mut bytes = 0;
    for (kind, id) in objects(node)?.difference(had) {
        bytes += node.store().read(*kind, id)?.len() as u64;
    }
    Ok(bytes)
}

fn reads(
    runtime: &Runtime,
    scale: Scale,
    cluster: &Cluster,
    etcd: Option<&Etcd>,
    table: &mut Table,
) -> Result<(), Failure> {
    cluster.admin.does(&["ns", "create", "/read"]);
    cluster.publish(&format!("/read:{KEY}"), VALUE);
    let leader = cluster.leader();
    // The leader first.
    let mut names = cluster.running();
    names.sort_by_key(|name| *name != leader);
    let urls: Vec<String> = names
        .iter()
        .map(|name| cluster.server(name).url().to_owned())
        .collect();
    runtime.block_on(async {
        let ours = confman_asked(&urls, cluster.admin.token())?;
        let theirs = match etcd {
            Some(etcd) => etcd_asked(etcd).await?,
            None => Vec::new(),
        };
        for (who, count) in [("of the leader", 1), ("spread over all nodes", NODES)] {
            let (mut best, mut best_peer): (Option<Answered>, Option<Answered>) = (None, None);
            for _ in 0..ROUNDS {
                keep_best_answered(&mut best, &ours, count, scale).await?;
                keep_best_answered(&mut best_peer, &theirs, count, scale).await?;
            }
            let ours = best.ok_or("nothing measured")?;
            table.add(Row {
                what: format!(
                    "linearizable GET of a key's effective value {who}, {} connections, three nodes",
                    load::CONNECTIONS
                ),
                confman: ours.text(),
                peer: peer_text(
                    "linearizable range over HTTP",
                    best_peer.map(|peer| peer.text()),
                ),
                ratio: ratio(ours.per_second, best_peer.map(|peer| peer.per_second)),
                bar: "≥ 1 ×".to_owned(),
            });
        }
        reads_by_library(scale, &urls, cluster.admin.token(), etcd, table).await
    })
}

async fn keep_best_answered(
    best: &mut Option<Answered>,
    asked: &[Asked],
    count: usize,
    scale: Scale,
) -> Result<(), Failure> {
    let Some(asked) = asked.get(..count) else {
        return Ok(());
    };
    let found = load::ask_all(asked, scale.reading).await?;
    if best.is_none_or(|best| found.per_second > best.per_second) {
        *best = Some(found);
    }
    Ok(())
}

const PATH: &str = "/v1/ns/read/-/config/document?consistency=linearizable";

fn confman_asked(urls: &[String], token: &str) -> Result<Vec<Asked>, Failure> {
    let request =
        format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    urls.iter()
        .map(|url| {
            Ok(Asked {
                address: url.trim_start_matches("http://").parse()?,
                requests: Arc::from([request.clone().into_bytes()]),
                status: 200,
            })
        })
        .collect()
}

/// The leader first.
async fn etcd_asked(etcd: &Etcd) -> Result<Vec<Asked>, Failure> {
    let leader = etcd.leader().await?;
    let mut addresses = etcd.addresses();
    addresses.swap(0, leader);
    let first: SocketAddr = *addresses.first().ok_or("no node")?;
    let request = reading::range(first, VALUE.as_bytes()).await?;
    let asked = addresses.into_iter().map(|address| Asked {
        address,
        requests: Arc::from([request.clone()]),
        status: 200,
    });
    Ok(asked.collect())
}

/// The same by one library of HTTP, which speaks gRPC with etcd. It costs more than what is measured above, and the
/// same for both.
async fn reads_by_library(
    scale: Scale,
    urls: &[String],
    token: &str,
    etcd: Option<&Etcd>,
    table: &mut Table,
) -> Result<(), Failure> {
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(CLIENTS)
        .build()?;
    let theirs: Vec<String> = match etcd {
        Some(etcd) => leader_first(etcd).await?,
        None => Vec::new(),
    };
    for (who, count) in [("of the leader", 1), ("spread over all nodes", NODES)] {
        let (mut best, mut best_peer): (Option<Rate>, Option<Rate>) = (None, None);
        for _ in 0..ROUNDS {
            let urls = urls.get(..count).ok_or("too few nodes")?.to_vec();
            let (http, token) = (http.clone(), token.to_owned());
            let rate = measure(scale.transactions / ROUNDS, move |client, _| {
                let url = urls.get(client % count).cloned().unwrap_or_default();
                let request = http.get(format!("{url}{PATH}")).bearer_auth(&token);
                async move {
                    let answer = request.send().await?.error_for_status()?;
                    answer.bytes().await?;
                    Ok(())
                }
            });
            keep_best(&mut best, rate.await?);
            if let Some(urls) = theirs.get(..count) {
                let (urls, grpc) = (urls.to_vec(), etcd::grpc()?);
                let rate = measure(scale.transactions / ROUNDS, move |client, _| {
                    let url = urls.get(client % count).cloned().unwrap_or_default();
                    let grpc = grpc.clone();
                    async move { etcd::range(&grpc, &url, KEY).await }
                });
                keep_best(&mut best_peer, rate.await?);
            }
        }
        let ours = best.ok_or("nothing measured")?;
        table.add(Row {
            what: format!(
                "the same {who} by a library of HTTP that both are asked by, {CLIENTS} clients"
            ),
            confman: ours.text(),
            peer: peer_text(
                "linearizable range over gRPC",
                best_peer.map(|peer| peer.text()),
            ),
            ratio: ratio(ours.per_second, best_peer.map(|peer| peer.per_second)),
            bar: "≥ 1 ×".to_owned(),
        });
    }
    Ok(())
}

/// What a client that writes all the time was told: when a write was begun, and when it was acknowledged.
type Acknowledged = Arc<std::sync::Mutex<Vec<(Instant, Instant)>>>;

fn leader_killed(
    runtime: &Runtime,
    scale: Scale,
    cluster: &mut Cluster,
    etcd: Option<&mut Etcd>,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut times = Vec::new();
    for _ in 0..scale.kills {
        times.push(confman_without_leader(runtime, cluster)?);
    }
    let theirs = match etcd {
        Some(etcd) => {
            let mut times = Vec::new();
            for _ in 0..scale.kills {
                times.push(etcd_without_leader(runtime, etcd)?);
            }
            Some(outage_text(&mut times))
        }
        None => None,
    };
    let text = outage_text(&mut times);
    let longest = times.last().copied().unwrap_or_default();
    table.add(Row {
        what: format!(
            "leader killed (kill -9) under a client that publishes all the time, until the next publish was acknowledged, {} times",
            scale.kills
        ),
        confman: text,
        peer: peer_text("put, with its defaults", theirs),
        ratio: format!(
            "at most {:.2} of the longest election timeout, {} s",
            longest.as_secs_f64() / ELECTION_MAX.as_secs_f64(),
            ELECTION_MAX.as_secs_f64()
        ),
        bar: "≤ 2 ×".to_owned(),
    });
    Ok(())
}

fn outage_text(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    format!(
        "median {:.2} s, at most {:.2} s",
        median.as_secs_f64(),
        longest.as_secs_f64()
    )
}

/// From the kill until a write was acknowledged that was begun after it.
fn outage(acknowledged: &Acknowledged, killed: Instant) -> Option<Duration> {
    let writes = acknowledged.lock().ok()?;
    let (_, acknowledged) = writes.iter().find(|(begun, _)| *begun > killed)?;
    Some(acknowledged.duration_since(killed))
}

/// Waits until writes are acknowledged, kills, and waits until they are again.
async fn measure_outage(
    acknowledged: &Acknowledged,
    kill: impl FnOnce() -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    while outage(acknowledged, begun).is_none() {
        within_patience(begun)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let killed = Instant::now();
    kill()?;
    loop {
        if let Some(outage) = outage(acknowledged, killed) {
            return Ok(outage);
        }
        within_patience(killed)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn within_patience(begun: Instant) -> Result<(), Failure> {
    match begun.elapsed() > PATIENCE {
        true => Err(format!("no write was acknowledged within {PATIENCE:?}").into()),
        false => Ok(()),
    }
}

fn confman_without_leader(runtime: &Runtime, cluster: &mut Cluster) -> Result<Duration, Failure> {
    let leader = cluster.leader();
    let mut names = cluster.running();
    // The client speaks with the one that will be gone.
    names.sort_by_key(|name| *name != leader);
    let urls: Vec<&str> = names
        .iter()
        .map(|name| cluster.server(name).url())
        .collect();
    let options = ClientOptions {
        timeout: PATIENCE,
        retries: 3,
        user_agent: "bench".to_owned(),
        client_id: None,
    };
    let client = Client::new(&urls.join(","), Some(cluster.admin.token()), options)?;
    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let writing = runtime.spawn(write_confman(
        client,
        Arc::clone(&acknowledged),
        Arc::clone(&stop),
    ));
    let killed = runtime.block_on(measure_outage(&acknowledged, || {
        cluster.take(&leader).kill();
        Ok(())
    }));
    stop.store(true, Ordering::Release);
    runtime.block_on(writing)??;
    cluster.restart(&leader)?;
    cluster.wait_until_ready(&leader);
    killed
}

async fn write_confman(
    client: Client,
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let (namespace, draft) = ("/read".parse()?, "written".parse()?);
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let unique = data_encoding::HEXLOWER.encode(&unique());
        let changes = serde_json::from_value(json!({
            "changes": { "written": { "value": unique } },
            "publish": true,
            "message": "as measured",
        }))?;
        client
            .change_and_publish(&namespace, &draft, &changes)
            .await?;
        let mut writes = acknowledged.lock().map_err(|_| "a client panicked")?;
        writes.push((begun, Instant::now()));
    }
    Ok(())
}

/// Never the same twice, so that there is always something to publish.
fn unique() -> [u8; 16] {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    u128::from(number).to_be_bytes()
}

fn etcd_without_leader(runtime: &Runtime, etcd: &mut Etcd) -> Result<Duration, Failure> {
    runtime.block_on(async {
        let leader = etcd.leader().await?;
        let urls = leader_first(etcd).await?;
        let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
        let writing = tokio::spawn(write_etcd(
            urls,
            Arc::clone(&acknowledged),
            Arc::clone(&stop),
        ));
        let killed = measure_outage(&acknowledged, || etcd.kill(leader)).await;
        stop.store(true, Ordering::Release);
        writing.await??;
        etcd.restart(leader).await?;
        killed
    })
}

/// Asks the node that answered last, and the next one where it does not answer: one that waits for a leader answers
/// only seconds after there is one.
async fn write_etcd(
    urls: Vec<String>,
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let http = etcd::grpc()?;
    let mut at = 0;
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let value = data_encoding::HEXLOWER.encode(&unique());
        loop {
            let url = urls.get(at % urls.len()).ok_or("no node")?;
            let put = etcd::put(&http, url, "written", &value);
            match tokio::time::timeout(ETCD_ATTEMPT, put).await {
                Ok(Ok(())) => break,
                _ if stop.load(Ordering::Acquire) => return Ok(()),
                // Refused at once, as by a node that is gone, it would spin.
                Ok(Err(_)) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => {}
            }
            at += 1;
        }
        let mut writes = acknowledged.lock().map_err(|_| "a client panicked")?;
        writes.push((begun, Instant::now()));
    }
    Ok(())
}
