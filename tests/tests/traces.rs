//! Traces: what a collector that the test runs is told of requests, and that one that is away disturbs
//! nobody.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use confman_tests::{Cluster, Person, Server, confman_bin};

/// How long something that must happen may take.
const HAPPENS: Duration = Duration::from_secs(30);
/// Who calls, and below which of its spans.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A span as a collector reads it.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: BTreeMap<String, String>,
}

/// The fields of a protobuf message, each with its number: a number, or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        number
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (number, taken) = match key & 7 {
            0 => (varint(&mut bytes), 0),
            1 => (0, 8),
            2 => (0, usize::try_from(varint(&mut bytes)).unwrap()),
            5 => (0, 4),
            other => panic!("wire type {other}"),
        };
        let (inner, rest) = bytes.split_at(taken);
        found.push((key >> 3, number, inner));
        bytes = rest;
    }
    found
}

fn inner(bytes: &[u8], field: u64) -> Vec<&[u8]> {
    let all = fields(bytes).into_iter();
    all.filter(|(number, ..)| *number == field)
        .map(|(_, _, bytes)| bytes)
        .collect()
}

fn text(bytes: &[u8], field: u64) -> String {
    let found = inner(bytes, field);
    String::from_utf8(found.first().unwrap_or(&&b""[..]).to_vec()).unwrap()
}

fn hex(bytes: &[u8], field: u64) -> String {
    data_encoding::HEXLOWER.encode(inner(bytes, field).first().unwrap_or(&&b""[..]))
}

fn attributes(message: &[u8], field: u64) -> BTreeMap<String, String> {
    let all = inner(message, field).into_iter();
    all.map(|attribute| {
        let any = inner(attribute, 2)[0];
        let (field, number, bytes) = fields(any)[0];
        let value = match field {
            1 => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => number.to_string(),
        };
        (text(attribute, 1), value)
    })
    .collect()
}

/// What a collector was sent.
#[derive(Default)]
struct Taken {
    /// First line and headers of each request.
    heads: Vec<String>,
    bodies: Vec<Vec<u8>>,
    services: Vec<String>,
    spans: Vec<Span>,
}

impl Taken {
    fn take(&mut self, head: String, body: Vec<u8>) {
        for of_resource in inner(&body, 1) {
            let about = attributes(inner(of_resource, 1)[0], 1);
            self.services.push(about["service.name"].clone());
            for of_scope in inner(of_resource, 2) {
                for span in inner(of_scope, 2) {
                    let kind = fields(span).into_iter().find(|(field, ..)| *field == 6);
                    self.spans.push(Span {
                        trace: hex(span, 1),
                        id: hex(span, 2),
                        parent: hex(span, 4),
                        name: text(span, 5),
                        kind: kind.unwrap().1,
                        attributes: attributes(span, 9),
                    });
                }
            }
        }
        self.heads.push(head);
        self.bodies.push(body);
    }
}

/// A collector on a port of its own.
struct Collector {
    url: String,
    taken: Arc<(Mutex<Taken>, Condvar)>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new((Mutex::new(Taken::default()), Condvar::new()));
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                let head = head.to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |it| it.trim().parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                shared.0.lock().unwrap().take(head, body);
                shared.1.notify_all();
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                );
            }
        });
        Self { url, taken }
    }

    /// The first span like this.
    #[track_caller]
    fn sees(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        let until = Instant::now() + HAPPENS;
        let mut taken = self.taken.0.lock().unwrap();
        loop {
            if let Some(span) = taken.spans.iter().find(|span| is_it(span)) {
                return span.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} in {:#?}", taken.spans);
            taken = self.taken.1.wait_timeout(taken, left).unwrap().0;
        }
    }
}

fn serving(data: &Path, set: &[(&str, &str)]) -> Result<Server, String> {
    let mut command = Command::new(confman_bin());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.envs(set.iter().copied());
    Server::try_start_by(command, data)
}

/// Asks as a caller that traces, and gives the status.
fn ask(server: &Server, method: reqwest::Method, path: &str, span: &str, body: &str) -> u16 {
    ask_with(&server.admin_token(), server, method, path, span, body)
}

fn ask_with(
    token: &str,
    server: &Server,
    method: reqwest::Method,
    path: &str,
    span: &str,
    body: &str,
) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let asking = http
            .request(method, format!("{}/v1/ns{path}", server.url()))
            .bearer_auth(token)
            .header("traceparent", span)
            .header("content-type", "application/json")
            .body(body.to_owned());
        asking.send().await.unwrap().status().as_u16()
    })
}

#[test]
fn a_request_is_a_span_of_its_caller_s_trace_with_what_it_did_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let mut server = serving(
        &folder.path().join("data"),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector=who%20we%20are"),
            ("OTEL_SERVICE_NAME", "confman-eu"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    )
    .unwrap();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/app"]);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let put = reqwest::Method::PUT;
    let body = r#"{"value": "canary-value"}"#;
    let entry = "/app/-/entries/canary-key?publish=true&message=canary-message";
    assert_eq!(ask(&server, put, entry, &parent, body), 200);

    let named = |name: &'static str| move |span: &Span| span.trace == TRACE && span.name == name;
    let request = collector.sees("write", named("PUT /v1/ns/{namespace}/-/entries/{key}"));
    assert_eq!((request.parent.as_str(), request.kind), (SPAN, 2));
    let said = |span: &Span, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(said(&request, "http.request.method"), "PUT");
    assert_eq!(
        said(&request, "http.route"),
        "/v1/ns/{namespace}/-/entries/{key}"
    );
    assert_eq!(said(&request, "http.response.status_code"), "200");
    assert_eq!(said(&request, "confman.namespace"), "/app");
    let transact = collector.sees("transaction", named("transact"));
    assert_eq!((transact.parent, transact.kind), (request.id, 1));

    // A read that is at hand is one too; the first makes it so.
    let get = || ask(&server, reqwest::Method::GET, "/app/-/config", &parent, "");
    assert_eq!((get(), get(), get()), (200, 200, 200));
    let reads = named("GET /v1/ns/{namespace}/-/config");
    collector.sees("read", reads);
    let none = ask(&server, reqwest::Method::GET, "/none/-/config", &parent, "");
    assert_eq!(none, 404);
    let refused = collector.sees("refused read", |span| {
        said(span, "confman.namespace") == "/none"
    });
    assert_eq!(said(&refused, "http.response.status_code"), "404");
    // Whoever says that its trace is not recorded is left out, and so is nobody who says nothing.
    let unrecorded = "00-11111111111111111111111111111111-b7ad6b7169203331-00";
    ask(
        &server,
        reqwest::Method::GET,
        "/app/-/drafts",
        unrecorded,
        "",
    );
    ask(
        &server,
        reqwest::Method::GET,
        "/app/-/tags",
        "no traceparent",
        "",
    );
    let own = collector.sees("trace of its own", |span| span.name.ends_with("/tags"));
    assert_ne!(own.trace, TRACE);
    assert_eq!(own.parent, "");

    // What is left is sent at the end.
    assert!(server.stop().success());
    let taken = collector.taken.0.lock().unwrap();
    let of_app = |span: &&Span| reads(span) && said(span, "confman.namespace") == "/app";
    let all_reads = taken.spans.iter().filter(of_app).count();
    assert_eq!(all_reads, 3);
    assert!(
        !taken
            .spans
            .iter()
            .any(|span| span.trace.starts_with("1111"))
    );
    assert!(taken.services.iter().all(|service| service == "confman-eu"));
    for head in &taken.heads {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        assert!(head.contains("x-collector: who we are"), "{head}");
    }
    let token = server.admin_token();
    for secret in ["canary", token.as_str()] {
        let has = |body: &Vec<u8>| {
            body.windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        assert!(!taken.bodies.iter().any(has), "a span has {secret}");
    }
}

#[test]
fn that_the_leader_was_asked_is_a_span_below_the_transaction() {
    let collector = Collector::start();
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/app"]);
    let leader = cluster.leader();
    let follower = ["b", "c"].into_iter().find(|name| *name != leader).unwrap();
    assert!(cluster.take(follower).stop().success());
    let tracing = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    cluster.restart_with(follower, &tracing).unwrap();
    cluster.wait_until_ready(follower);
    let token = cluster.server("a").admin_token();
    let server = cluster.server(follower);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let put = reqwest::Method::PUT;
    let entry = "/app/-/entries/key?publish=true";
    let body = r#"{"value": 1}"#;
    assert_eq!(ask_with(&token, server, put, entry, &parent, body), 200);

    let named = |name: &'static str| move |span: &Span| span.trace == TRACE && span.name == name;
    let request = collector.sees("write", named("PUT /v1/ns/{namespace}/-/entries/{key}"));
    let transact = collector.sees("transaction", named("transact"));
    let forward = collector.sees("question to the leader", named("forward"));
    assert_eq!((request.parent.as_str(), request.kind), (SPAN, 2));
    assert_eq!((transact.parent, transact.kind), (request.id, 1));
    assert_eq!((forward.parent, forward.kind), (transact.id, 3));
}

#[test]
fn the_last_spans_are_sent_when_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let endpoint = format!("{}/elsewhere", collector.url);
    let mut server = serving(
        &folder.path().join("data"),
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ],
    )
    .unwrap();
    let parent = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(
        ask(&server, reqwest::Method::GET, "/-/drafts", &parent, ""),
        200
    );
    assert!(collector.taken.0.lock().unwrap().spans.is_empty());
    assert!(server.stop().success());
    let taken = collector.taken.0.lock().unwrap();
    assert!(taken.spans.iter().any(|span| span.trace == TRACE));
    assert!(
        taken.heads[0].starts_with("post /elsewhere "),
        "{}",
        taken.heads[0]
    );
    assert_eq!(taken.services[0], "confman");
}

#[test]
fn a_collector_that_is_away_disturbs_nobody_and_the_log_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let mut server = serving(
        &folder.path().join("data"),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ],
    )
    .unwrap();
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let mut log = Vec::new();
    let until = Instant::now() + HAPPENS;
    let away = "the collector of traces takes no spans";
    while !log.iter().any(|line: &String| line.contains(away)) {
        assert!(Instant::now() < until, "{log:?}");
        assert_eq!(
            ask(&server, reqwest::Method::GET, "/-/config", &parent, ""),
            200
        );
        log.extend(server.log());
    }
    for _ in 0..20 {
        assert_eq!(
            ask(&server, reqwest::Method::GET, "/-/config", &parent, ""),
            200
        );
    }
    assert!(server.stop().success());
    log.extend(server.log());
    let said = log.iter().filter(|line| line.contains(away)).count();
    assert_eq!(said, 1, "{log:?}");
}

#[test]
fn settings_that_cannot_be_followed_keep_it_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let grpc = [endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let said = match serving(&folder.path().join("data"), &grpc) {
        Ok(_) => panic!("it serves"),
        Err(said) => said,
    };
    assert!(said.contains("exit status: 2"), "{said}");
    assert!(
        said.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"),
        "{said}"
    );
}
