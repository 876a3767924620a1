//! Reading effective configuration: beside a bare handler of axum with the same bytes and headers,
//! nginx with a file, and etcd's range over HTTP; the agent; and reading while the root is published.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confman_tests::Server;
use serde_json::{Value, json};

use crate::load::{self, Answered, Asked};
use crate::speaking::{Speaker, Speaking, body, header, one};
use crate::table::{Row, Table};
use crate::{Failure, Scale, confman, peers};

/// How often each measurement is taken, in turn with its peers, of which the best counts.
const ROUNDS: usize = 3;

/// Measures reading of what does not move.
pub fn quiet(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let runtime = load::runtime()?;
    runtime.block_on(documents(scale, table))?;
    runtime.block_on(agent(scale, table))
}

/// Measures reading while what everybody inherits moves.
pub fn under_publishes(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    load::runtime()?.block_on(root_publish(scale, table))
}

/// Measures the time until the first read.
pub fn first(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    start(&load::runtime()?, scale, table)
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
            better(best, load::ask(party, scale.reading).await?);
        }
    }
    Ok(best.into_iter().flatten().collect())
}

/// Keeps what was faster.
fn better(best: &mut Option<Answered>, found: Answered) {
    if best.is_none_or(|best| found.per_second > best.per_second) {
        *best = Some(found);
    }
}

async fn documents(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let confman = Speaking::new();
    let address = confman.address()?;
    confman.namespace("/small").await?;
    confman.publish("/small", small()).await?;
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

/// What a small service reads.
fn small() -> Value {
    json!({
        "api/timeout-ms": 1500,
        "api/url": "https://payments.internal.company.com/v2",
        "feature/checkout": true,
        "limits": { "daily": 100000, "tiers": [1, 2, 3] },
        "region": "eu-west-1",
    })
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

/// The agent beside a bare handler, each asked on this machine.
async fn agent(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let confman = Speaking::new();
    confman.namespace("/small").await?;
    confman.publish("/small", small()).await?;
    let home = tempfile::tempdir()?;
    let arguments = ["agent", "--listen", "127.0.0.1:0", "--namespace", "/small"];
    let agent = Agent::start(&mut confman::command(
        &confman.server,
        home.path(),
        &arguments,
    ))?;
    let request = confman.get("/v1/ns/small/-/config", "");
    let answer = agent.current(&request).await?;
    let bare = peers::bare(&answer)?;
    let parties = [
        asked(agent.address, request.clone(), 200),
        asked(bare.address, request, 200),
    ];
    let found = in_turn(scale, &parties).await?;
    let ours = *found.first().ok_or("nothing measured")?;
    rows(
        table,
        "GET the same of the agent, 64 connections",
        ours,
        &[("bare axum, same bytes and headers", "≥ 0.8 ×", found.get(1))],
    );
    Ok(())
}

/// An agent process that ends with this value.
struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let says = child.stderr.take().ok_or("it says nothing")?;
        let mut agent = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut lines = BufReader::new(says).lines();
        let said = lines.find_map(|line| {
            let line = line.ok()?;
            Some(line.split_once("answers at http://")?.1.to_owned())
        });
        agent.address = said.ok_or("the agent did not start")?.trim().parse()?;
        // The rest is read too, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(agent)
    }

    /// Its answer, once it has what the server has.
    async fn current(&self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = one(self.address, request).await?;
            if answer.starts_with(b"HTTP/1.1 200") && header(&answer, "warning").is_err() {
                return Ok(answer);
            }
            if Instant::now() > until {
                return Err(String::from_utf8_lossy(&answer).into_owned().into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
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
    let (mut quiet, mut busy, mut published) = (None, None, 0);
    for _ in 0..ROUNDS {
        better(&mut quiet, load::ask(&asked, scale.reading).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let publishing = tokio::spawn(publish_root(
            confman.speaker.clone(),
            published,
            Arc::clone(&stop),
        ));
        better(&mut busy, load::ask(&asked, scale.reading).await?);
        stop.store(true, Ordering::Release);
        published = publishing.await??;
    }
    let (Some(quiet), Some(busy)) = (quiet, busy) else {
        return Err("nothing measured".into());
    };
    table.add(Row {
        what: format!(
            "reads of {} namespaces while the root above them is published, once a second",
            scale.namespaces
        ),
        confman: busy.text(),
        peer: format!("quiet: {}", quiet.text()),
        ratio: format!(
            "p99 {:.2} ×",
            busy.p99.as_secs_f64() / quiet.p99.as_secs_f64()
        ),
        bar: "p99 ≤ 2 ×".to_owned(),
    });
    Ok(())
}

/// Publishes the root once a second until it is told to stop, and gives the number of the last publish.
async fn publish_root(
    confman: Speaker,
    mut published: u64,
    stop: Arc<AtomicBool>,
) -> Result<u64, Failure> {
    while !stop.load(Ordering::Acquire) {
        published += 1;
        confman.publish("/", json!({ "shared": published })).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(published)
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
