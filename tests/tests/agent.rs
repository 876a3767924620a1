//! The local sidecar: a real agent process beside a real server that comes and goes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use confman_tests::{Person, Server, confman_bin};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::json;

/// How long something that must happen may take.
const HAPPENS: Duration = Duration::from_secs(30);
/// Pause between two looks at something that nobody announces.
const LOOK: Duration = Duration::from_millis(20);

fn set(person: &Person, key: &str, value: &str) {
    let address = format!("/app:{key}");
    person.does(&["set", &address, value, "--publish", "-m", "test"]);
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + HAPPENS;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(LOOK);
    }
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> String {
        let value = self.headers.get(name);
        value.map_or(String::new(), |it| it.to_str().unwrap().to_owned())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

fn sent(request: RequestBuilder) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    })
}

/// An agent process that ends with this value.
struct Agent {
    child: Child,
    address: String,
}

impl Agent {
    fn start(person: &Person, arguments: &[&str]) -> Self {
        let arguments = [&["agent", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = person.command("", &arguments);
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| Some(line.split_once("the agent answers at ")?.1.to_owned()))
            .unwrap();
        // The rest is read too, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Client::new().get(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sent(request)
    }

    fn value(&self, key: &str) -> String {
        let path = format!("/v1/ns/app/-/config/{key}");
        self.get(&path, &[("accept", "text/plain")]).text
    }

    fn state(&self) -> serde_json::Value {
        self.get("/readyz", &[]).json()["namespaces"][0].clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server with `/app`, on a directory that the caller keeps.
fn started(data: &Path) -> (Server, Person) {
    let server = Server::start_on(data);
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/app"]);
    set(&admin, "greeting", "hello");
    (server, admin)
}

fn again(server: &Server) -> Server {
    let address = server.url().trim_start_matches("http://");
    Server::start_at(Command::new(confman_bin()), server.data(), address)
}

#[test]
fn it_answers_as_a_server_does() {
    let folder = tempfile::tempdir().unwrap();
    let (server, admin) = started(&folder.path().join("data"));
    admin.does(&[
        "set",
        "/app:limits",
        "{\"b\": 1, \"a\": 0.10}",
        "-t",
        "json",
        "--publish",
        "-m",
        "x",
    ]);
    let agent = Agent::start(&admin, &["--namespace", "/app"]);
    until("it is current", || agent.state()["state"] == "current");
    let token = format!("Bearer {}", server.admin_token());
    let of_server = |path: &str, accept: &str| {
        let request = Client::new().get(format!("{}{path}", server.url()));
        sent(
            request
                .header("authorization", &token)
                .header("accept", accept),
        )
    };
    for (path, accept) in [
        ("/v1/ns/app/-/config", "*/*"),
        ("/v1/ns/app/-/config?origin=true", "*/*"),
        ("/v1/ns/app/-/config/limits", "*/*"),
        ("/v1/ns/app/-/config/limits", "text/plain"),
        ("/v1/ns/app/-/config/greeting", "application/octet-stream"),
        ("/v1/ns%2Fapp/-/config/greeting", "text/plain"),
    ] {
        let mine = agent.get(path, &[("accept", accept)]);
        let theirs = of_server(path, accept);
        assert_eq!(mine.status, theirs.status, "{path}");
        for name in ["etag", "content-type"] {
            assert_eq!(mine.header(name), theirs.header(name), "{path} {name}");
        }
        assert_eq!(mine.text, theirs.text, "{path} {accept}");
    }
    for (path, status, code) in [
        ("/v1/ns/other/-/config", 404, "not-found"),
        ("/v1/ns/app/-/config/none", 404, "not-found"),
        ("/v1/ns/app/-/entries", 404, "no-such-route"),
        ("/v1/ns/APP/-/config", 400, "invalid-path"),
        ("/v1/ns/app/-/config?at=published~1", 400, "invalid-query"),
    ] {
        let response = agent.get(path, &[]);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.json()["code"], code, "{path}");
    }
    let cluster = |answer: Answer| answer.json()["clusterId"].clone();
    assert_eq!(
        cluster(agent.get("/version", &[])),
        cluster(of_server("/version", "*/*"))
    );
}

#[test]
fn a_wait_ends_with_the_change_and_an_unchanged_state_is_304() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, admin) = started(&folder.path().join("data"));
    let agent = Agent::start(&admin, &["--namespace", "/app"]);
    until("it is current", || agent.state()["state"] == "current");
    let path = "/v1/ns/app/-/config";
    let etag = agent.get(path, &[]).header("etag");
    let same = agent.get(path, &[("if-none-match", &etag), ("prefer", "wait=0")]);
    assert_eq!(same.status, 304);
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| agent.get(path, &[("if-none-match", &etag), ("prefer", "wait=20")]));
        set(&admin, "greeting", "goodbye");
        let changed = waiting.join().unwrap();
        assert_eq!(changed.status, 200);
        assert_eq!(changed.text, r#"{"greeting":"goodbye"}"#);
    });
}

#[test]
fn it_starts_and_serves_without_a_server_and_follows_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, admin) = started(&folder.path().join("data"));
    let first = Agent::start(&admin, &["--namespace", "/app"]);
    until("it is current", || first.state()["state"] == "current");
    server.kill();
    until("it knows that the server is away", || {
        first.state()["state"] == "kept"
    });
    assert_eq!(first.value("greeting"), "hello");
    drop(first);

    let agent = Agent::start(&admin, &["--namespace", "/app"]);
    assert_eq!(agent.value("greeting"), "hello");
    until("it says why", || agent.state()["problem"].is_string());
    let answer = agent.get("/v1/ns/app/-/config", &[]);
    assert!(answer.header("warning").starts_with("110"), "{answer:?}");
    assert!(!answer.header("age").is_empty(), "{answer:?}");

    let _server = again(&server);
    set(&admin, "greeting", "welcome back");
    until("it has the update", || {
        agent.value("greeting") == "welcome back"
    });
    let answer = agent.get("/v1/ns/app/-/config", &[]);
    assert_eq!(answer.header("warning"), "");
}

#[test]
fn before_there_is_a_document_the_answer_is_503_and_never_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, admin) = started(&folder.path().join("data"));
    server.kill();
    let agent = Agent::start(&admin, &["--namespace", "/app"]);
    for path in [
        "/v1/ns/app/-/config",
        "/v1/ns/app/-/config/greeting",
        "/readyz",
    ] {
        assert_eq!(agent.get(path, &[]).status, 503, "{path}");
    }
    assert_eq!(agent.get("/healthz", &[]).status, 200);
}

#[test]
fn files_are_kept_current_and_hooks_run_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let (server, admin) = started(&folder.path().join("data"));
    admin.does(&[
        "set",
        "/app:db/password",
        "env://DB_SECRET",
        "-t",
        "secret-ref",
        "--publish",
        "-m",
        "x",
    ]);
    let home = admin.home().display();
    let config = format!(
        "servers = [\"http://127.0.0.1:1\", \"{}\"]\n\
         token_file = \"{}\"\n\
         state = \"{home}/state\"\n\
         [[namespace]]\npath = \"/app\"\n\
         [[namespace.file]]\npath = \"{home}/app.yaml\"\nformat = \"yaml\"\n\
         [[namespace.file]]\npath = \"{home}/app.env\"\nformat = \"env\"\nexcept = [\"db/\"]\n\
         [[namespace.hook]]\ncommand = [\"cp\", \"{home}/app.env\", \"{home}/seen\"]\n",
        server.url(),
        server.data().join("admin.token").display()
    );
    admin.write("agent.toml", config);
    let mut command = admin.command(
        "",
        &["agent", "--config", "agent.toml", "--listen", "127.0.0.1:0"],
    );
    command
        .env_remove("CONFMAN_SERVER")
        .env_remove("CONFMAN_TOKEN")
        .env("DB_SECRET", "canary");
    let agent = Agent::of(&mut command);
    let read = |name: &str| std::fs::read_to_string(admin.path(name)).unwrap_or_default();
    until("the hook ran", || read("seen") == "GREETING='hello'\n");
    assert_eq!(
        read("app.yaml"),
        "db/password: \"env://DB_SECRET\"\ngreeting: \"hello\"\n"
    );
    set(&admin, "greeting", "goodbye");
    until("the hook ran again", || {
        read("seen") == "GREETING='goodbye'\n"
    });
    assert_eq!(agent.state()["outputProblem"], json!(null));
}

#[test]
fn a_unix_socket_is_for_its_owner_and_one_that_was_left_behind_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, admin) = started(&folder.path().join("data"));
    let socket = admin.path("agent.sock");
    let listen = format!("unix:{}", socket.display());
    let arguments = ["agent", "--listen", &listen, "--namespace", "/app"];
    let mut first = Agent::of(&mut admin.command("", &arguments));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let in_use = admin.runs(&arguments);
    assert_eq!(in_use.code, 5, "{}", in_use.stderr);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(socket.exists());
    let _second = Agent::of(&mut admin.command("", &arguments));
    let answer = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .write_all(b"GET /v1/ns/app/-/config HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    until("it answers", || {
        answer().ends_with(r#"{"greeting":"hello"}"#)
    });
}

#[test]
fn secrets_are_given_over_a_unix_socket_where_the_namespace_allows_it() {
    const CANARY: &str = "canary-90c2";
    let folder = tempfile::tempdir().unwrap();
    let (server, admin) = started(&folder.path().join("data"));
    admin.does(&[
        "set",
        "/app:db/password",
        "env://DB_SECRET",
        "-t",
        "secret-ref",
        "--publish",
        "-m",
        "x",
    ]);
    let socket = admin.path("agent.sock");
    let config = |resolve: bool| format!("[[namespace]]\npath = \"/app\"\nresolve = {resolve}\n");
    let listen = format!("unix:{}", socket.display());
    let ask = |resolve: bool, path: &str| {
        admin.write("agent.toml", config(resolve));
        let arguments = ["agent", "--config", "agent.toml", "--listen", &listen];
        let mut command = admin.command("", &arguments);
        let _agent = Agent::of(command.env("DB_SECRET", CANARY));
        let get = |path: &str| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/plain, */*\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        until("it is current", || get("/readyz").contains("\"current\""));
        get(path)
    };
    let whole = ask(true, "/v1/ns/app/-/config?resolve=true");
    assert!(
        whole.ends_with(&format!(
            "{{\"db/password\":\"{CANARY}\",\"greeting\":\"hello\"}}"
        )),
        "{whole}"
    );
    assert!(!whole.to_ascii_lowercase().contains("etag"), "{whole}");
    let one = ask(true, "/v1/ns/app/-/config/db/password?resolve=true");
    assert!(one.ends_with(&format!("\r\n\r\n{CANARY}")), "{one}");
    let plain = ask(true, "/v1/ns/app/-/config/db/password");
    assert!(plain.ends_with("env://DB_SECRET"), "{plain}");
    let refused = ask(false, "/v1/ns/app/-/config?resolve=true");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");

    admin.write("agent.toml", config(true));
    let over_network = admin.runs(&["agent", "--config", "agent.toml", "--listen", "127.0.0.1:0"]);
    assert_eq!(over_network.code, 2, "{}", over_network.stderr);
    assert!(
        over_network.stderr.contains("needs a unix socket"),
        "{}",
        over_network.stderr
    );
    for path in files_below(admin.home())
        .iter()
        .chain(&files_below(server.data()))
    {
        let Ok(bytes) = std::fs::read(path) else {
            continue;
        };
        let found = bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_browser_that_was_tricked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, admin) = started(&folder.path().join("data"));
    let agent = Agent::start(&admin, &["--namespace", "/app"]);
    until("it is current", || agent.state()["state"] == "current");
    let host = [("host", "evil.example:7430")];
    let refused = agent.get("/v1/ns/app/-/config", &host);
    assert_eq!(refused.status, 403);
    let written = sent(Client::new().post(format!("{}/v1/ns/app/-/config", agent.address)));
    assert_eq!(written.status, 405);
}

#[test]
fn what_cannot_be_done_is_said_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, admin) = started(&folder.path().join("data"));
    let nothing = admin.runs(&["agent"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    admin.write("agent.toml", "[[namespace]]\npath = \"/app\"\nfiles = 1\n");
    let invalid = admin.runs(&["agent", "--config", "agent.toml"]);
    assert_eq!(invalid.code, 6, "{}", invalid.stderr);
    assert!(
        invalid.stderr.contains("unknown field `files`"),
        "{}",
        invalid.stderr
    );
}
