//! Watches on real servers: across a kill, a start and a stop.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use confman_tests::{Person, Server};
use serde_json::Value;

/// How long a test waits for an event that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream of events.
struct Events(BufReader<TcpStream>);

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(server: &Server, path: &str, more: &str) -> Vec<u8> {
    let token = server.admin_token();
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}\r\n")
        .into_bytes()
}

impl Events {
    fn of(server: &Server, namespace: &str, more: &str) -> Self {
        let mut stream = connect(server);
        let path = format!("/v1/ns{namespace}/-/watch");
        stream.write_all(&request(server, &path, more)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next event: its name, id and data.
    fn next(&mut self) -> (String, String, Value) {
        let (mut event, mut id) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.trim().to_owned();
            } else if let Some(number) = line.strip_prefix("id: ") {
                id = number.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (event, id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

fn set(person: &Person, value: &str) {
    person.does(&[
        "set",
        "/a:k",
        value,
        "--publish",
        "-m",
        "as a test needs it",
    ]);
}

#[test]
fn nothing_is_missed_and_nothing_is_twice_across_a_kill_and_a_start() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let mut server = Server::start_on(&data);
    let mut admin = Person::admin(&server);
    admin.does(&["ns", "create", "/a"]);
    set(&admin, "one");
    let mut events = Events::of(&server, "/a", "");
    assert_eq!(events.next().0, "ready");
    set(&admin, "two");
    let (event, seen, first) = events.next();
    assert_eq!(event, "change");
    // These nobody sees: the watcher is gone, then the server too.
    drop(events);
    set(&admin, "three");
    server.kill();
    let server = Server::start_on(&data);
    admin.follow(&server);
    set(&admin, "two");
    let mut events = Events::of(&server, "/a", &format!("last-event-id: {seen}\r\n"));
    let (_, third, away) = events.next();
    let (_, fourth, back) = events.next();
    set(&admin, "five");
    let (_, fifth, live) = events.next();
    let ids: Vec<u64> = [&seen, &third, &fourth, &fifth]
        .map(|id| id.parse().unwrap())
        .to_vec();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    for change in [&first, &away, &back, &live] {
        assert_eq!(change["keys"], serde_json::json!(["k"]));
    }
}

#[test]
fn a_server_that_stops_says_so_to_its_watchers_and_does_not_wait_for_them() {
    let mut server = Server::start();
    let mut events = Events::of(&server, "", "");
    assert_eq!(events.next().0, "ready");
    assert!(server.stop().success());
    let (event, _, data) = events.next();
    assert_eq!((event.as_str(), &data["code"]), ("end", &"stopping".into()));
}
