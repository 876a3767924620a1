//! `kill -9` at any moment loses nothing that was acknowledged.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use confman_tests::{Person, Server};

const WRITERS: usize = 8;
/// Rounds where `CONFMAN_CRASH_ROUNDS` does not say (`make crash`: 100).
const ROUNDS: usize = 5;

/// What one writer was told is published: the number of its last acknowledged write.
type Acknowledged = Arc<Vec<AtomicUsize>>;

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed_while_clients_write() {
    let rounds = std::env::var("CONFMAN_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let acknowledged: Acknowledged = Arc::new((0..WRITERS).map(|_| AtomicUsize::new(0)).collect());
    let mut server = Server::start_on(&data);
    let admin = Person::admin(&server);
    for writer in 0..WRITERS {
        admin.does(&["ns", "create", &format!("/writer-{writer}")]);
    }
    for round in 0..rounds {
        // Killed after so many acknowledgements, so that every round dies at another depth.
        let enough = 20 + (round * 37) % 200;
        write_until_killed(&mut server, &acknowledged, enough);
        server = Server::start_on(&data);
        assert_everything_acknowledged_is_there(&server, &acknowledged, round);
    }
    drop(server);
    let fsck = admin.runs(&["fsck", "--data", data.to_str().unwrap()]);
    assert_eq!(fsck.code, 0, "{}{}", fsck.text(), fsck.stderr);
}

fn write_until_killed(server: &mut Server, acknowledged: &Acknowledged, enough: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (token, url) = (server.admin_token(), server.url().to_owned());
    let dead = Arc::new(AtomicBool::new(false));
    let acks = Arc::new(AtomicUsize::new(0));
    let http = reqwest::Client::new();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (http, token, url) = (http.clone(), token.clone(), url.clone());
            let (acknowledged, acks, dead) = (
                Arc::clone(acknowledged),
                Arc::clone(&acks),
                Arc::clone(&dead),
            );
            runtime.spawn(async move {
                while !dead.load(Ordering::Acquire) {
                    let number = acknowledged[writer].load(Ordering::Acquire) + 1;
                    let sent = http
                        .put(format!(
                            "{url}/v1/ns/writer-{writer}/-/entries/count?publish=true"
                        ))
                        .bearer_auth(&token)
                        .header("content-type", "application/json")
                        .body(format!("{{\"value\": {number}}}"))
                        .send()
                        .await;
                    let Ok(response) = sent else { return };
                    assert!(
                        response.status().is_success(),
                        "{}",
                        response.text().await.unwrap()
                    );
                    acknowledged[writer].store(number, Ordering::Release);
                    acks.fetch_add(1, Ordering::Release);
                }
            })
        })
        .collect();
    while acks.load(Ordering::Acquire) < enough {
        assert!(
            !writers.iter().all(tokio::task::JoinHandle::is_finished),
            "every writer gave up"
        );
        std::thread::yield_now();
    }
    server.kill();
    dead.store(true, Ordering::Release);
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

fn assert_everything_acknowledged_is_there(
    server: &Server,
    acknowledged: &Acknowledged,
    round: usize,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let http = reqwest::Client::new();
    for (writer, told) in acknowledged.iter().enumerate() {
        let value: usize = runtime.block_on(async {
            let response = http
                .get(format!(
                    "{}/v1/ns/writer-{writer}/-/config/count",
                    server.url()
                ))
                .bearer_auth(server.admin_token())
                .header("accept", "text/plain")
                .send()
                .await
                .unwrap();
            response.text().await.unwrap().parse().unwrap_or(0)
        });
        let told_number = told.load(Ordering::Acquire);
        // The one write that was under way may have taken effect without an answer.
        assert!(
            value == told_number || value == told_number + 1,
            "round {round}, writer {writer}: told {told_number}, found {value}"
        );
        told.store(value, Ordering::Release);
    }
}
