//! What several nodes promise together, whatever happens between them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/node_directory.rs"]
mod harness;

use std::time::{Duration, Instant};

use cluster::{Cluster, address, eventually, tuning};
use confman_refs::TransactError;
use confman_refs::peer::Tuning;

#[test]
fn what_the_leader_writes_appears_on_all_and_outlives_it() {
    let mut cluster = Cluster::of(3, tuning());
    let committed = cluster.set("a", "one");
    cluster.settle(committed.index);
    for node in cluster.nodes.values() {
        assert!(node.view().get("a").is_some());
    }
    let before = cluster.leader().status();
    cluster.stop(before.node_id);
    let committed = cluster.set("a", "two");
    assert!(cluster.leader().status().term > before.term);
    cluster.restart(before.node_id);
    cluster.settle(committed.index);
    cluster.assert_equal();
}

#[test]
fn whole_cluster_that_was_stopped_goes_on() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    for node_id in 1..=3 {
        cluster.stop(node_id);
    }
    for node_id in 1..=3 {
        cluster.restart(node_id);
    }
    cluster.set("a", "two");
    assert_eq!(cluster.leader().view().sequence(), 2);
    cluster.assert_equal();
}

#[test]
fn leader_that_is_cut_off_acknowledges_nothing_that_the_others_do_not_have() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    let old = cluster.leader();
    let old_id = old.status().node_id;
    cluster.network.isolate(&address(old_id));
    let lost = old.submit(harness::setting(900, "lost", confman_refs::Expect::Absent, "x").0);
    cluster.nodes.remove(&old_id);
    let committed = cluster.set("a", "two");
    cluster.network.heal();
    cluster.nodes.insert(old_id, old.clone());
    cluster.settle(committed.index);
    assert!(old.view().get("lost").is_none());
    // Whoever waits for it has it sent to the new leader, or is told that nothing is known.
    let acknowledged = match lost.map(confman_refs::Submitted::wait) {
        Ok(Ok(committed)) => {
            cluster.settle(committed.index);
            true
        }
        Ok(Err(TransactError::UnknownOutcome(_) | TransactError::Unavailable(_)))
        | Err(TransactError::Unavailable(_)) => false,
        Ok(Err(error)) | Err(error) => panic!("{error}"),
    };
    cluster.assert_equal();
    for node in cluster.nodes.values() {
        assert!(!acknowledged || node.view().get("lost").is_some());
    }
}

/// A peer that never answers once kept raft's core waiting for it (openraft 1810).
#[test]
fn peer_that_hangs_delays_neither_writes_nor_elections() {
    let mut cluster = Cluster::of(3, tuning());
    let leader = cluster.leader().status().node_id;
    let hung = cluster.follower();
    for other in 1..=3 {
        cluster.network.hang(&address(other), &address(hung));
        cluster.network.hang(&address(hung), &address(other));
    }
    let began = Instant::now();
    for number in 0..20 {
        cluster.set("a", &number.to_string());
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    cluster.stop(leader);
    cluster.restart(leader);
    cluster.nodes.remove(&hung).unwrap();
    let committed = cluster.set("a", "after");
    cluster.settle(committed.index);
}

/// openraft's own `pre_vote` grants whatever is asked: a node that was cut off would then disturb the others
/// with the terms that it counted up alone.
#[test]
fn node_that_was_cut_off_does_not_disturb_when_it_comes_back() {
    let mut cluster = Cluster::of(3, tuning());
    let before = cluster.leader().status();
    let lone = cluster.follower();
    cluster.network.isolate(&address(lone));
    let calls = cluster.network.calls_of(&address(lone));
    eventually(
        "the lone node has asked both others for votes, twice",
        || cluster.network.calls_of(&address(lone)) >= calls + 4,
    );
    cluster.network.heal();
    let committed = cluster.set("a", "one");
    cluster.settle(committed.index);
    let after = cluster.leader().status();
    assert_eq!((after.term, after.node_id), (before.term, before.node_id));
}

/// A leader whose quorum is gone refuses writes, and its followers must elect another one all the same
/// (openraft 2080, 2083).
#[test]
fn one_way_cut_of_the_leader_does_not_stop_the_cluster() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    let leader = cluster.leader().status().node_id;
    for other in (1..=3).filter(|other| *other != leader) {
        // It hears the others, they do not hear it.
        cluster.network.cut(&address(leader), &address(other));
    }
    let old = cluster.nodes.remove(&leader).unwrap();
    cluster.set("a", "two");
    cluster.network.heal();
    cluster.nodes.insert(leader, old);
    let committed = cluster.set("a", "three");
    cluster.settle(committed.index);
    cluster.assert_equal();
}

/// It has a term in which it was elected, and nobody who follows it: it must not call itself ready for ever.
#[test]
fn leader_that_is_cut_off_says_that_nobody_leads() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    let leader = cluster.leader();
    let id = leader.status().node_id;
    assert_eq!(leader.status().leader, Some(id));
    cluster.network.isolate(&address(id));
    eventually("it knows no leader", || leader.status().leader.is_none());
    cluster.network.heal();
    eventually("it knows one again", || leader.status().leader.is_some());
}

#[test]
fn five_nodes_commit_with_three_and_not_with_two() {
    let mut cluster = Cluster::of(5, tuning());
    cluster.set("a", "one");
    let leader = cluster.leader().status().node_id;
    let others: Vec<u64> = (1..=5).filter(|id| *id != leader).collect();
    for id in &others[..2] {
        cluster.stop(*id);
    }
    cluster.set("a", "two");
    cluster.stop(others[2]);
    let node = cluster.node(leader).clone();
    let stuck = node.submit(harness::setting(900, "b", confman_refs::Expect::Absent, "x").0);
    assert!(node.linearize(Duration::from_secs(1)).is_err());
    assert!(node.view().get("b").is_none());
    for id in &others[..3] {
        cluster.restart(*id);
    }
    drop(stuck);
    let committed = cluster.set("a", "three");
    cluster.settle(committed.index);
    cluster.assert_equal();
}

#[test]
fn entries_of_megabytes_reach_followers_in_capped_batches() {
    let mut cluster = Cluster::of(3, tuning());
    let behind = cluster.follower();
    cluster.stop(behind);
    let mut last = None;
    for number in 0..12_u8 {
        let mut bytes = vec![0; 1 << 20];
        blake3::Hasher::new()
            .update(&[number])
            .finalize_xof()
            .fill(&mut bytes);
        let text: String = bytes
            .iter()
            .map(|byte| char::from(byte % 64 + 48))
            .collect();
        last = Some(cluster.set(&format!("r{number}"), &text));
    }
    cluster.restart(behind);
    cluster.settle(last.unwrap().index);
    cluster.assert_equal();
}

#[test]
fn leadership_is_handed_over_on_request() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    let heir = cluster.follower();
    confman_refs::testing::hand_over(&cluster.leader(), heir).unwrap();
    eventually("the heir leads", || {
        cluster.node(heir).status().leader == Some(heir)
    });
    cluster.set("a", "two");
    cluster.assert_equal();
}

#[test]
fn node_without_peers_refuses_to_open_as_one_of_several_voters() {
    let mut cluster = Cluster::of(2, tuning());
    let directory = cluster.directory(1).to_owned();
    cluster.stop(1);
    let error = harness::try_open(&directory).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    insta::assert_snapshot!(source, @"it is one of 2 voters of a cluster, and was given no address for peers");
}

#[test]
fn tuning_of_a_cluster_is_the_documented_one() {
    let tuning = Tuning::default();
    assert!(tuning.election_min > tuning.heartbeat * 3);
    assert!(tuning.election_max > tuning.election_min);
}
