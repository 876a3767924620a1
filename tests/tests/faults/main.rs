//! Real nodes, each on a machine of its own as far as it can tell, under faults of processes, disks, clocks, links and
//! members; clients that write down what they asked and were told; and a checker that decides whether that can have
//! happened. `make faults MINUTES=30` is the long run.
//!
//! Each test runs in namespaces of its own for network, processes and mounts, so that whatever happens to it, nothing
//! of it is left.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]
#![cfg(target_os = "linux")]

mod chance;
mod client;
mod cluster;
mod fault;
mod history;
mod host;
mod machine;
mod network;
mod run;

use std::process::Command;
use std::time::Duration;

use client::Reads;
use fault::Fault;
use run::{Plan, Report};

/// Set where a test is in namespaces of its own.
const INSIDE: &str = "CONFMAN_FAULTS_INSIDE";
/// How many minutes of faults; without it, each of the short run's faults comes once.
const MINUTES: &str = "CONFMAN_FAULTS_MINUTES";
const SEED: &str = "CONFMAN_FAULTS_SEED";
/// How many nodes, where it is not to be three for half of the time and five for the other half.
const NODES: &str = "CONFMAN_FAULTS_NODES";
/// What makes the namespaces: whoever ends this ends everything inside.
const NAMESPACES: [&str; 8] = [
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--",
];
/// The faults of the short run.
const SHORT: [Fault; 7] = [
    Fault::KillOfLeader,
    Fault::PowerCutOfAll,
    Fault::CutOffLeader,
    Fault::OneWayCut,
    Fault::PauseOfLeader,
    Fault::FullDisk,
    Fault::ClockJump,
];

/// Whether this is the inside, where the test goes on; outside, the test is run inside.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let tried = Command::new("unshare")
        .args(NAMESPACES)
        .args([
            "sh",
            "-c",
            "ip link add zz type veth && command -v nsenter cc",
        ])
        .output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        eprintln!(
            "SKIPPED {test}: this system does not let tests have networks of their own: {tried:?}"
        );
        return false;
    }
    let ran = Command::new("unshare")
        .args(NAMESPACES)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(ran.success(), "{test}: {ran}");
    false
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Runs a plan; what it leaves is kept where something is wrong.
fn ran(plan: &Plan) -> Report {
    let place = tempfile::tempdir().unwrap();
    let report = run::run(plan, place.path());
    eprintln!("{report}");
    if !report.wrong.is_empty() {
        eprintln!("  everything is kept in {}", place.keep().display());
    }
    report
}

#[test]
fn cluster_keeps_its_promises_under_faults() {
    if !inside("cluster_keeps_its_promises_under_faults") {
        return;
    }
    let seed = number(SEED).unwrap_or(1);
    let plans = match number(MINUTES) {
        // Half of the time with three nodes, half with five.
        Some(minutes) => {
            let sizes = number(NODES).map_or(vec![3, 5], |size| vec![size as u8]);
            let time = Duration::from_secs(minutes * 60) / sizes.len() as u32;
            let plan = |size: &u8| Plan::new(seed, *size, &Fault::ALL, time);
            sizes.iter().map(plan).collect()
        }
        None => vec![Plan {
            hold_ms: (800, 1500),
            ..Plan::new(seed, 3, &SHORT, Duration::ZERO)
        }],
    };
    for plan in plans {
        let report = ran(&plan);
        assert!(report.wrong.is_empty(), "{} are wrong", report.wrong.len());
    }
}

/// What one node has is not what was acknowledged anywhere.
#[test]
fn reading_what_one_node_has_is_found_to_be_stale() {
    if !inside("reading_what_one_node_has_is_found_to_be_stale") {
        return;
    }
    let report = ran(&Plan {
        reads: Reads::Local,
        ..Plan::new(1, 3, &[Fault::CutOffLeader], Duration::ZERO)
    });
    assert!(
        report
            .wrong
            .iter()
            .any(|wrong| wrong.contains("have no order"))
    );
}

/// Disks that call synced what is not, and a power cut: acknowledged writes are gone, and it is said.
#[test]
fn acknowledging_before_the_sync_is_found() {
    if !inside("acknowledging_before_the_sync_is_found") {
        return;
    }
    let report = ran(&Plan {
        disks_lie: true,
        patience: Duration::from_secs(10),
        ..Plan::new(1, 3, &[Fault::PowerCutOfAll], Duration::ZERO)
    });
    assert!(!report.wrong.is_empty(), "it is not found");
}
