//! The simulations that `make test` runs, and the proof that they find what they look for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::run::{Outcome, Plan, SLOW, run};
use super::world::Bug;

/// Seeds that are tried where `CONFMAN_SIMULATE_SEEDS` says nothing.
const SEEDS: u64 = 200;
/// Seeds in which a mistake that was put in must be found.
const FOUND_WITHIN: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn how_to_replay(outcome: &Outcome) -> String {
    format!(
        "seed {}: {}\n{}\nreplay: make simulate SEED={}",
        outcome.seed,
        outcome.violations.join("\n  "),
        outcome.trace_end.join("\n"),
        outcome.seed
    )
}

#[test]
fn cluster_keeps_its_promises_under_every_seed() {
    if let Some(seed) = number("CONFMAN_SIMULATE_SEED") {
        let outcome = run(Plan {
            seed,
            bug: None,
            loud: true,
        });
        println!("{outcome:?}");
        assert!(outcome.violations.is_empty(), "{}", how_to_replay(&outcome));
        return;
    }
    let seeds = number("CONFMAN_SIMULATE_SEEDS").unwrap_or(SEEDS);
    let first = number("CONFMAN_SIMULATE_FIRST").unwrap_or(1);
    let outcomes = run_seeds(first..first + seeds);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in &outcomes {
        for (name, count) in &outcome.faults {
            *faults.entry(name).or_default() += count;
        }
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let failed: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| !outcome.violations.is_empty())
        .collect();
    let slowest = outcomes
        .iter()
        .max_by_key(|outcome| outcome.served_after_ms);
    println!(
        "{seeds} seeds from {first}: {} failed; {} calls, {} writes, {} events; served again after {:?} ms at most; faults: {faults:?}",
        failed.len(),
        sum(|outcome| outcome.calls as u64),
        sum(|outcome| outcome.writes as u64),
        sum(|outcome| outcome.events),
        slowest.map(|outcome| (outcome.served_after_ms, outcome.seed)),
    );
    for outcome in &failed {
        println!(
            "seed {} failed: {}",
            outcome.seed,
            outcome.violations.join("\n  ")
        );
    }
    if let Some(outcome) = failed.first() {
        panic!("{}", how_to_replay(outcome));
    }
    assert!(
        sum(|outcome| outcome.writes as u64) > seeds,
        "clients hardly wrote anything"
    );
}

/// Each seed on one thread, as many at once as there are processors.
fn run_seeds(seeds: std::ops::Range<u64>) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(Plan {
                        seed,
                        bug: None,
                        loud: false,
                    });
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_unstable_by_key(|outcome| outcome.seed);
    outcomes
}

#[test]
fn same_seed_is_the_same_simulation() {
    for seed in 1..4 {
        let [first, second] = [(); 2].map(|()| {
            run(Plan {
                seed,
                bug: None,
                loud: false,
            })
        });
        let differs = first
            .trace_end
            .iter()
            .zip(&second.trace_end)
            .find(|(a, b)| a != b);
        assert_eq!(
            first.trace_hash, second.trace_hash,
            "seed {seed}: {differs:?}"
        );
    }
    let other = run(Plan {
        seed: 4,
        bug: None,
        loud: false,
    });
    assert_ne!(
        run(Plan {
            seed: 5,
            bug: None,
            loud: false
        })
        .trace_hash,
        other.trace_hash
    );
}

/// The first seed in which the mistake is found, and how.
#[track_caller]
fn found(bug: Bug) -> (u64, String) {
    for seed in 1..=FOUND_WITHIN {
        let outcome = run(Plan {
            seed,
            bug: Some(bug),
            loud: false,
        });
        // That the cluster is slow proves nothing of the mistake.
        let mut violations = outcome.violations.iter();
        if let Some(violation) = violations.find(|violation| !violation.starts_with(SLOW)) {
            println!(
                "{bug:?} is found by seed {seed}: {}",
                outcome.violations.join("\n")
            );
            return (seed, violation.clone());
        }
    }
    panic!("{FOUND_WITHIN} seeds did not find {bug:?}");
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    found(Bug::AcknowledgedBeforeSync);
}

#[test]
fn acknowledging_what_was_not_stored_is_found() {
    found(Bug::AppendsForgotten);
}

#[test]
fn voting_twice_in_a_term_is_found() {
    found(Bug::VotesForgotten);
}

#[test]
fn reading_by_the_leader_s_lease_is_found() {
    found(Bug::LeaseReads);
}

/// Followers acknowledge an entry before the leader's own disk has it, so a leader that comes back in its term may
/// write another one in its place. openraft does that unless it is told not to.
#[test]
fn leader_that_leads_on_after_a_restart_is_found() {
    found(Bug::LeaderRestored);
}
