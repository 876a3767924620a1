//! Reading effective configuration: beside a bare handler of axum with the same bytes and headers,
//! nginx with a file, and etcd's range over HTTP; watchers; and reading while the root is published.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confman_tests::Server;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::{self, Answered, Asked};
use crate::table::{Row, Table};
use crate::{Failure, Scale, peers};

/// How often each measurement is taken, in turn with its peers, of which the best counts.
const ROUNDS: usize = 3;
/// Publishes that watchers are told of.
const PUBLISHES: usize = 20;

/// Measures all of them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(documents(scale, table))?;
    runtime.block_on(watchers(scale, table))?;
    runtime.block_on(root_publish(scale, table))?;
    start(&runtime, scale, table)
}

/// A server and how to speak with it.
struct Speaking {
    server: Server,
    speaker: Speaker,
}

/// How to speak with a server.
#[derive(Clone)]
struct Speaker {
    url: String,
    client: reqwest::Client,
    token: String,
}

impl std::ops::Deref for Speaking {
    type Target = Speaker;

    fn deref(&self) -> &Speaker {
        &self.speaker
    }
}

impl Speaking {
    fn new() -> Self {
        Self::with(Server::start())
    }

    fn with(server: Server) -> Self {
        let speaker = Speaker {
            url: server.url().to_owned(),
            client: reqwest::Client::new(),
            token: server.admin_token(),
        };
        Self { server, speaker }
    }

    /// Memory of the process, in bytes.
    fn memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no memory")?.parse::<u64>()? * 1024)
    }
}

impl Speaker {
    fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.url.trim_start_matches("http://").parse()?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        let asking = self.client.post(url).bearer_auth(&self.token).json(body);
        let answer = asking.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    async fn namespace(&self, path: &str) -> Result<(), Failure> {
        self.post("/v1/namespaces", &json!({ "path": path }))
            .await
            .map(drop)
    }

    async fn publish(&self, namespace: &str, values: Value) -> Result<Value, Failure> {
        let values = values.as_object().ok_or("no object")?;
        let changes: serde_json::Map<String, Value> = values
            .iter()
            .map(|(key, value)| (key.clone(), json!({ "value": value })))
            .collect();
        let body = json!({ "changes": changes, "publish": true, "message": "as measured" });
        let namespace = namespace.trim_end_matches('/');
        self.post(&format!("/v1/ns{namespace}/-/drafts/setup/changes"), &body)
            .await
    }

    /// A request as it goes over the network.
    fn get(&self, path: &str, more: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{more}\r\n",
            self.token
        )
        .into_bytes()
    }
}

/// One answer, with its head, as it came.
async fn one(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    load::answer(&mut stream, &mut answer).await?;
    Ok(answer)
}

fn header(answer: &[u8], name: &str) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(answer);
    let value = text.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    value.ok_or_else(|| format!("no header {name}").into())
}

fn body(answer: &[u8]) -> &[u8] {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    head.and_then(|head| answer.get(head + 4..))
        .unwrap_or_default()
}

fn asked(address: SocketAddr, request: Vec<u8>, status: u16) -> Asked {
    Asked {
        address,
        requests: Arc::from([request]),
        status,
    }
}

/// The best of some rounds, in which the parties take turns.
async fn in_turn(scale: Scale, parties: &[Asked]) -> Result<Vec<Answered>, Failure> {
    let mut best: Vec<Option<Answered>> = vec![None; parties.len()];
    for _ in 0..ROUNDS {
        for (party, best) in parties.iter().zip(&mut best) {
            let found = load::ask(party, scale.reading).await?;
            if best.is_none_or(|best| found.per_second > best.per_second) {
                *best = Some(found);
            }
        }
    }
    Ok(best.into_iter().flatten().collect())
}

async fn documents(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let confman = Speaking::new();
    let address = confman.address()?;
    confman.namespace("/small").await?;
    confman
        .publish(
            "/small",
            json!({ "api/timeout-ms": 1500, "api/url": "https://payments.internal.company.com/v2",
                    "feature/checkout": true, "limits": { "daily": 100000, "tiers": [1, 2, 3] }, "region": "eu-west-1" }),
        )
        .await?;
    let small = confman.get("/v1/ns/small/-/config", "");
    let answer = one(address, &small).await?;
    let (bytes, tag) = (body(&answer).len(), header(&answer, "etag")?);
    let bare = peers::bare(&answer)?;
    let directory = tempfile::tempdir()?;
    let nginx = peers::nginx(directory.path(), body(&answer))?;
    let store = tempfile::tempdir()?;
    let etcd = peers::etcd(store.path())?;

    let mut parties = vec![
        asked(address, small.clone(), 200),
        asked(bare.address, small, 200),
    ];
    let file = |more: &str| {
        format!("GET /document HTTP/1.1\r\nhost: localhost\r\n{more}\r\n").into_bytes()
    };
    if let Some(nginx) = &nginx {
        parties.push(asked(nginx.address, file(""), 200));
    }
    if let Some(etcd) = &etcd {
        parties.push(asked(
            etcd.address,
            range(etcd.address, body(&answer)).await?,
            200,
        ));
    }
    let found = in_turn(scale, &parties).await?;
    let ours = *found.first().ok_or("nothing measured")?;
    let mut peers_found = vec![("bare axum, same bytes and headers", "≥ 0.8 ×", found.get(1))];
    let mut next = 2;
    if nginx.is_some() {
        peers_found.push(("nginx, a file", "≥ 1.3 ×", found.get(next)));
        next += 1;
    }
    if etcd.is_some() {
        peers_found.push(("etcd, range over HTTP", "≥ 6 ×", found.get(next)));
    }
    let what = format!("GET an effective document of {bytes} bytes, 64 connections");
    rows(table, &what, ours, &peers_found);

    let known = format!("if-none-match: {tag}\r\n");
    let again = confman.get("/v1/ns/small/-/config", &known);
    let mut parties = vec![
        asked(address, again.clone(), 304),
        asked(bare.address, again, 304),
    ];
    if let Some(nginx) = &nginx {
        let tag = header(&one(nginx.address, &file("")).await?, "etag")?;
        let known = format!("if-none-match: {tag}\r\n");
        parties.push(asked(nginx.address, file(&known), 304));
    }
    let found = in_turn(scale, &parties).await?;
    let ours = *found.first().ok_or("nothing measured")?;
    let mut peers_found = vec![("bare axum, same headers", "≥ 0.8 ×", found.get(1))];
    if nginx.is_some() {
        peers_found.push(("nginx, a file", "≥ 1.3 ×", found.get(2)));
    }
    rows(table, "the same, unchanged: 304", ours, &peers_found);
    drop((bare, nginx, etcd));

    inherited(&confman, scale, table).await
}

/// 100 keys over four levels.
async fn inherited(confman: &Speaking, scale: Scale, table: &mut Table) -> Result<(), Failure> {
    for (level, namespace) in ["/a", "/a/b", "/a/b/c"].iter().enumerate() {
        confman.namespace(namespace).await?;
        let values: serde_json::Map<String, Value> = (0..25)
            .map(|n| {
                (
                    format!("service-{level}/key-{n}"),
                    json!(format!("value {n} of level {level}")),
                )
            })
            .collect();
        confman.publish(namespace, Value::Object(values)).await?;
    }
    let values: serde_json::Map<String, Value> = (0..25)
        .map(|n| (format!("root/key-{n}"), json!(n)))
        .collect();
    confman.publish("/", Value::Object(values)).await?;
    let request = confman.get("/v1/ns/a/b/c/-/config", "");
    let answer = one(confman.address()?, &request).await?;
    let bare = peers::bare(&answer)?;
    let parties = [
        asked(confman.address()?, request.clone(), 200),
        asked(bare.address, request, 200),
    ];
    let found = in_turn(scale, &parties).await?;
    let ours = *found.first().ok_or("nothing measured")?;
    let what = format!(
        "GET an effective document of 100 keys over 4 levels, {} bytes, 64 connections",
        body(&answer).len()
    );
    rows(
        table,
        &what,
        ours,
        &[("bare axum, same bytes and headers", "≥ 0.7 ×", found.get(1))],
    );
    Ok(())
}

fn rows(table: &mut Table, what: &str, ours: Answered, peers: &[(&str, &str, Option<&Answered>)]) {
    for (peer, bar, theirs) in peers {
        let Some(theirs) = theirs else { continue };
        table.add(Row {
            what: what.to_owned(),
            confman: ours.text(),
            peer: format!("{peer}: {}", theirs.text()),
            ratio: format!("{:.2} ×", ours.per_second / theirs.per_second),
            bar: (*bar).to_owned(),
        });
    }
}

/// Puts a value into etcd and gives the request that reads it.
pub async fn range(address: SocketAddr, value: &[u8]) -> Result<Vec<u8>, Failure> {
    let key = data_encoding::BASE64.encode(b"document");
    let put = json!({ "key": key, "value": data_encoding::BASE64.encode(value) });
    let client = reqwest::Client::new();
    let url = format!("http://{address}/v3/kv/put");
    client
        .post(url)
        .json(&put)
        .send()
        .await?
        .error_for_status()?;
    let body = json!({ "key": key }).to_string();
    let length = body.len();
    Ok(format!(
        "POST /v3/kv/range HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes())
}

/// What watchers have seen: how many of them have seen the newest index.
#[derive(Debug, Default)]
struct Seen {
    index: AtomicUsize,
    count: AtomicUsize,
    moved: tokio::sync::Notify,
}

async fn watchers(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let confman = Speaking::new();
    confman.namespace("/watched").await?;
    confman.publish("/watched", json!({ "k": 0 })).await?;
    let address = confman.address()?;
    let before = confman.memory()?;
    let seen = Arc::new(Seen::default());
    let request = Arc::new(confman.get("/v1/ns/watched/-/watch", ""));
    let mut watching = Vec::with_capacity(scale.watchers);
    for _ in 0..scale.watchers {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&request).await?;
        // The first event shows that it watches.
        let mut buffer = vec![0; 4096];
        let mut text = String::new();
        while !text.contains("event: ready") {
            let count = stream.read(&mut buffer).await?;
            text += std::str::from_utf8(buffer.get(..count).unwrap_or_default())?;
            if count == 0 {
                return Err(format!("a watch ended: {text}").into());
            }
        }
        watching.push(tokio::spawn(watcher(stream, Arc::clone(&seen))));
    }
    let memory = confman.memory()?.saturating_sub(before) / scale.watchers as u64;
    let mut times = Histogram::<u64>::new(3)?;
    for number in 1..=PUBLISHES {
        seen.count.store(0, Ordering::Release);
        let begun = Instant::now();
        let published = confman.publish("/watched", json!({ "k": number })).await?;
        let index = published
            .get("index")
            .and_then(Value::as_u64)
            .ok_or("no index")?;
        seen.index.store(usize::try_from(index)?, Ordering::Release);
        while seen.count.load(Ordering::Acquire) < scale.watchers {
            seen.moved.notified().await;
        }
        times.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    for task in watching {
        task.abort();
    }
    let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1000.0;
    table.add(Row {
        what: format!(
            "publish until the last of {} watchers has seen it",
            scale.watchers
        ),
        confman: format!(
            "p50 {:.0} ms, p99 {:.0} ms of {PUBLISHES}",
            ms(0.5),
            ms(0.99)
        ),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 100 ms", ms(0.99) / 100.0),
        bar: "p99 ≤ 100 ms".to_owned(),
    });
    table.add(Row {
        what: format!(
            "memory of the server for each of {} watchers",
            scale.watchers
        ),
        confman: format!("{:.1} KiB", memory as f64 / 1024.0),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 20 KiB", memory as f64 / 20_480.0),
        bar: "≤ 20 KiB".to_owned(),
    });
    Ok(())
}

/// Counts changes that arrive.
async fn watcher(mut stream: TcpStream, seen: Arc<Seen>) {
    let mut buffer = vec![0; 1024];
    let mut text = Vec::new();
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        text.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if text.ends_with(b"\n\n\r\n") || text.ends_with(b"\n\n") {
            let changes = text
                .windows(13)
                .filter(|part| part == b"event: change")
                .count();
            text.clear();
            if changes > 0 {
                seen.count.fetch_add(changes, Ordering::AcqRel);
                seen.moved.notify_one();
            }
        }
    }
}

async fn root_publish(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let confman = Speaking::new();
    let next = Arc::new(AtomicUsize::new(0));
    let makers: Vec<_> = (0..16)
        .map(|_| {
            let (confman, next) = (confman.speaker.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= scale.namespaces {
                        return Ok::<_, Failure>(());
                    }
                    let namespace = format!("/n{number}");
                    confman.namespace(&namespace).await?;
                    confman
                        .publish(&namespace, json!({ "own": number }))
                        .await?;
                }
            })
        })
        .collect();
    for maker in makers {
        maker.await??;
    }
    confman.publish("/", json!({ "shared": 0 })).await?;
    let requests: Vec<Vec<u8>> = (0..scale.namespaces)
        .map(|number| confman.get(&format!("/v1/ns/n{number}/-/config"), ""))
        .collect();
    let asked = Asked {
        address: confman.address()?,
        requests: Arc::from(requests),
        status: 200,
    };
    // Once around, so that the quiet run finds everything compiled.
    load::ask(&asked, scale.reading).await?;
    let quiet = load::ask(&asked, 2 * scale.reading).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let (confman, stop) = (confman.speaker.clone(), Arc::clone(&stop));
        async move {
            let mut published = 0_u64;
            while !stop.load(Ordering::Acquire) {
                published += 1;
                confman.publish("/", json!({ "shared": published })).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok::<_, Failure>(published)
        }
    });
    let busy = load::ask(&asked, 2 * scale.reading).await?;
    stop.store(true, Ordering::Release);
    let published = publishing.await??;
    table.add(Row {
        what: format!(
            "reads of {} namespaces while the root above them is published {published} times, 1 a second",
            scale.namespaces
        ),
        confman: busy.text(),
        peer: format!("quiet: {}", quiet.text()),
        ratio: format!("p99 {:.2} ×", busy.p99.as_secs_f64() / quiet.p99.as_secs_f64()),
        bar: "p99 ≤ 2 ×".to_owned(),
    });
    Ok(())
}

/// From the start of the process to the first answer, with many keys in many namespaces.
fn start(
    runtime: &tokio::runtime::Runtime,
    scale: Scale,
    table: &mut Table,
) -> Result<(), Failure> {
    let place = tempfile::tempdir()?;
    let data = place.path().join("data");
    let mut confman = Speaking::with(Server::start_on(&data));
    let per_namespace = scale.keys / scale.stored_namespaces;
    runtime.block_on(async {
        for number in 0..scale.stored_namespaces {
            let namespace = format!("/s{number}");
            confman.namespace(&namespace).await?;
            let values: serde_json::Map<String, Value> = (0..per_namespace)
                .map(|n| {
                    (
                        format!("service/key-{n}"),
                        json!(format!("value {n} of namespace {number}")),
                    )
                })
                .collect();
            confman.publish(&namespace, Value::Object(values)).await?;
        }
        Ok::<_, Failure>(())
    })?;
    if !confman.server.stop().success() {
        return Err("the server did not stop well".into());
    }
    let begun = Instant::now();
    let confman = Speaking::with(Server::start_on(&data));
    let request = confman.get("/v1/ns/s0/-/config", "");
    let answer = runtime.block_on(one(confman.address()?, &request))?;
    let took = begun.elapsed();
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    let memory = confman.memory()? as f64 / f64::from(1 << 20);
    table.add(Row {
        what: format!(
            "start with {} keys in {} namespaces until the first read, and memory then",
            scale.keys, scale.stored_namespaces
        ),
        confman: format!("{:.2} s, {memory:.0} MiB", took.as_secs_f64()),
        peer: "–".to_owned(),
        ratio: format!(
            "{:.2} of 2 s, {:.2} of 400 MiB",
            took.as_secs_f64() / 2.0,
            memory / 400.0
        ),
        bar: "≤ 2 s, ≤ 400 MiB".to_owned(),
    });
    Ok(())
}
