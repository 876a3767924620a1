//! Connections that are many, silent, slow, half open or too large, and both versions of HTTP.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use confman_tests::Server;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(90);
/// Connections that say nothing.
const SILENT: usize = 10_000;
/// Connections that are made before the next look at whether they were taken.
const AT_ONCE: usize = 100;
/// A route that needs the token.
const CONFIG: &str = "/v1/ns/-/config";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(server: &Server, path: &str, more: &str) -> String {
    let token = server.admin_token();
    format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{more}\r\n"
    )
}

/// What comes until the server ends the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // A server that refuses what it has not read whole ends the connection so.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server left the connection open: {error}"),
    }
    String::from_utf8(answer).unwrap()
}

/// The answer to what is sent at once.
fn answer(server: &Server, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    rest(stream)
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[test]
fn silent_connections_keep_nobody_from_reading_and_are_ended() {
    let server = Server::start();
    let mut silent = Vec::with_capacity(SILENT);
    while silent.len() < SILENT {
        silent.extend((0..AT_ONCE).map(|_| connect(&server)));
        // So many fit into the system's queue; who comes when it is full is let in a minute later.
        let taken = answer(&server, &request(&server, "/healthz", ""));
        assert_eq!(status(&taken), "200");
    }
    // Half of a head, which never becomes whole.
    for mut stream in silent.iter().take(SILENT / 2) {
        let half = format!("GET {CONFIG} HTTP/1.1\r\nhost: x\r\n");
        stream.write_all(half.as_bytes()).unwrap();
    }
    assert_eq!(
        status(&answer(&server, &request(&server, CONFIG, ""))),
        "200"
    );
    for stream in silent {
        let said = rest(stream);
        assert!(matches!(status(&said), "" | "408"), "{said}");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_answered() {
    let server = Server::start();
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    for byte in request(&server, CONFIG, "").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(status(&rest(stream)), "200");
}

#[test]
fn who_says_that_nothing_more_comes_is_answered_or_left_but_not_waited_for() {
    let server = Server::start();
    let mut stream = connect(&server);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let said = rest(stream);
    assert!(matches!(status(&said), "" | "400"), "{said}");
}

#[test]
fn floods_are_refused_and_the_next_request_is_answered() {
    let server = Server::start();
    let long = format!("x-flood: {}\r\n", "a".repeat(256 * 1024));
    let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    let path = format!("/{}", "a".repeat(70 * 1024));
    let deep = format!("/v1/ns/{}/-/config", "a/".repeat(2_000));
    for (what, request, expected) in [
        (
            "a long header",
            request(&server, CONFIG, &long),
            ["431", "431"],
        ),
        (
            "many headers",
            request(&server, CONFIG, &many),
            ["431", "431"],
        ),
        ("a long path", request(&server, &path, ""), ["414", "431"]),
        ("a deep path", request(&server, &deep, ""), ["400", "400"]),
    ] {
        let answer = answer(&server, &request);
        assert!(expected.contains(&status(&answer)), "{what}: {answer}");
    }
    assert_eq!(
        status(&answer(&server, &request(&server, CONFIG, ""))),
        "200"
    );
}

#[tokio::test]
async fn the_second_version_of_http_is_spoken_too_and_by_many_on_one_connection() {
    let server = Server::start();
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let asking = (0..500).map(|_| {
        let url = format!("{}{CONFIG}", server.url());
        let (client, token) = (client.clone(), server.admin_token());
        tokio::spawn(async move { client.get(url).bearer_auth(token).send().await.unwrap() })
    });
    for answer in asking.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.version(), answer.status().as_u16()),
            (reqwest::Version::HTTP_2, 200)
        );
    }
}
