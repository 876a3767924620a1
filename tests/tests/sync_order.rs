//! No acknowledgement precedes its sync, seen in the system calls of a real server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use confman_tests::Server;

const WRITES: usize = 40;

/// One line of the trace that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Bytes went to the log of `raft/`.
    LogWrite,
    /// The log of `raft/` was synced, successfully.
    LogSync,
    /// An answer to a write left.
    Answer,
}

#[test]
fn every_acknowledgement_follows_a_sync_of_the_log() {
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace");
    let data = place.path().join("data");
    let mut strace = Command::new("strace");
    strace
        .args([
            "--follow-forks",
            "--decode-fds=path",
            "--string-limit=64",
            "--output",
        ])
        .arg(&trace)
        .args([
            "--trace=write,writev,pwrite64,sendto,sendmsg,fdatasync,fsync,sync_file_range",
            "--seccomp-bpf",
        ])
        .arg(confman_tests::confman_bin());
    let server = Server::start_by(strace, &data);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let statuses = runtime.block_on(write(&server));
    assert!(
        statuses.iter().all(reqwest::StatusCode::is_success),
        "{statuses:?}"
    );
    // strace ends with the server that it follows.
    let traced = traced_pid(server.pid());
    assert!(
        Command::new("kill")
            .args(["-TERM", &traced])
            .status()
            .unwrap()
            .success()
    );
    let mut server = server;
    server.wait();

    let calls = calls(&fs::read_to_string(&trace).unwrap());
    let answers = calls.iter().filter(|call| **call == Call::Answer).count();
    assert!(
        answers >= WRITES,
        "the trace shows {answers} answers of {WRITES}"
    );
    let mut synced = false;
    for (place, call) in calls.iter().enumerate() {
        match call {
            Call::LogWrite => synced = false,
            Call::LogSync => synced = true,
            Call::Answer => {
                assert!(
                    synced,
                    "call {place} of {calls:?} answers before its log entry is synced"
                );
            }
        }
    }
}

/// One write after the other, so that each answer has its own sync before it.
async fn write(server: &Server) -> Vec<reqwest::StatusCode> {
    let http = reqwest::Client::new();
    let mut statuses = Vec::new();
    for number in 0..WRITES {
        let response = http
            .put(format!(
                "{}/v1/ns/-/entries/count?publish=true",
                server.url()
            ))
            .bearer_auth(server.admin_token())
            .header("content-type", "application/json")
            .body(format!("{{\"value\": {number}}}"))
            .send()
            .await
            .unwrap();
        statuses.push(response.status());
        response.bytes().await.unwrap();
    }
    statuses
}

fn traced_pid(strace: u32) -> String {
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    children.split_whitespace().next().unwrap().to_owned()
}

/// The calls in the order in which they had their effect: a sync when it returned, a write when it
/// began. A call that other threads interrupt is two lines, `<unfinished ...>` and `resumed`.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: BTreeMap<&str, Call> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if rest.starts_with("<...") {
            if let Some(Call::LogSync) = open.remove(pid)
                && rest.ends_with("= 0")
            {
                calls.push(Call::LogSync);
            }
            continue;
        }
        let is_log = rest.contains("/data/raft/") && rest.contains(".log>");
        let syncs = rest.starts_with("fdatasync(") || rest.starts_with("fsync(");
        let answers = rest.contains("HTTP/1.1 20");
        let unfinished = rest.contains("<unfinished");
        match (is_log, syncs) {
            (true, true) if unfinished => {
                open.insert(pid, Call::LogSync);
            }
            (true, true) if rest.ends_with("= 0") => calls.push(Call::LogSync),
            (true, false) => calls.push(Call::LogWrite),
            _ if answers => calls.push(Call::Answer),
            _ => {}
        }
    }
    calls
}
