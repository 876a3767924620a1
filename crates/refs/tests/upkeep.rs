//! What a node does for its own disk: it keeps the log small, reads again what it has, and repairs what is
//! damaged or differs.

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

use std::sync::Arc;

use cluster::{Cluster, address, eventually, tuning};
use confman_object_store::{Kind, ObjectId, ReadObjects};
use confman_refs::cluster::{HealError, heal};
use confman_refs::testing::{damage_object, lead_astray, lose_place, snapshot_and_purge};
use confman_refs::{Node, OpenError, ScrubStep, Tuning};
use harness::{noise, open, set};

/// Reads everything again from where it is to the end.
fn scrub(node: &Node) -> ScrubStep {
    let mut all = ScrubStep::default();
    while !all.ended {
        let step = node.scrub(64 << 10).unwrap();
        all.bytes += step.bytes;
        all.found.extend(step.found);
        all.ended = step.ended;
    }
    all
}

fn target(node: &Node, ref_name: &str) -> (Kind, ObjectId) {
    let target = node.view().get(ref_name).unwrap();
    (target.kind, target.id)
}

#[test]
fn a_node_that_is_alone_finds_what_is_damaged_and_says_that_nobody_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    for number in 0..300 {
        set(
            &node,
            number + 1,
            &format!("ref-{number}"),
            &format!("text {number}"),
        )
        .unwrap();
    }
    assert_eq!(scrub(&node).found, []);
    let whole = node.scrub_status();
    assert_eq!((whole.passes, whole.damaged.len()), (1, 0));
    // Blobs, operations and pages of views.
    assert!(whole.objects > 600, "{whole:?}");

    let (kind, id) = target(&node, "ref-7");
    damage_object(&node, kind, &id).unwrap();
    let found = scrub(&node).found;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].damage.contains(&id.to_string()), "{found:?}");
    assert_eq!(
        found[0].repaired,
        Err("there is no other node that could have it whole".to_owned())
    );
    assert_eq!(node.scrub_status().damaged.len(), 1);
}

#[test]
fn a_step_reads_no_more_than_it_may_and_the_next_goes_on_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    for number in 0..100 {
        set(
            &node,
            number + 1,
            &format!("ref-{number}"),
            &format!("text {number}"),
        )
        .unwrap();
    }
    let step = node.scrub(10 * 4096).unwrap();
    assert_eq!((step.bytes, step.ended), (10 * 4096, false));
    assert_eq!(node.scrub_status().objects, 10);
    node.close();
    drop(node);
    let node = open(directory.path());
    scrub(&node);
    let rest = node.scrub_status().objects;
    scrub(&node);
    let all = node.scrub_status().objects - rest;
    assert_eq!(rest + 10, all);
}

#[test]
fn a_member_gets_what_is_damaged_from_the_others_and_has_it_whole_again() {
    let mut cluster = Cluster::of(3, tuning());
    let mut last = 0;
    for number in 0..50 {
        last = cluster
            .set(&format!("ref-{number}"), &noise(number, 200))
            .index;
    }
    cluster.settle(last);
    let harmed = cluster.follower();
    let node = cluster.node(harmed).clone();
    let others: Vec<u64> = cluster
        .nodes
        .keys()
        .copied()
        .filter(|id| *id != harmed)
        .collect();
    let (kind, id) = target(&node, "ref-20");
    damage_object(&node, kind, &id).unwrap();
    let operation = node.operation_id_at(5).unwrap().unwrap();
    damage_object(&node, Kind::Operation, &operation).unwrap();
    let found = scrub(&node).found;
    assert_eq!(found.len(), 2, "{found:?}");
    for found in &found {
        assert!(
            others.contains(found.repaired.as_ref().unwrap()),
            "{found:?}"
        );
    }
    assert!(node.store().try_read(kind, &id).unwrap().is_some());
    assert_eq!(scrub(&node).found, []);
    assert_eq!(node.verify_operations().unwrap().difference, None);
    let status = node.scrub_status();
    assert_eq!((status.repaired, status.damaged.len()), (2, 0));

    // Damaged everywhere: everybody is asked, and it is said what they have.
    for node in cluster.nodes.values() {
        damage_object(node, kind, &id).unwrap();
    }
    let found = scrub(&node).found;
    assert_eq!(found.len(), 1, "{found:?}");
    let reason = found[0].repaired.as_ref().unwrap_err();
    assert_eq!(reason.matches("has it neither").count(), 2, "{reason}");
}

/// 4,000 entries are kept by number, which may be gigabytes.
#[test]
fn the_log_stays_small_in_bytes_on_every_member_and_nothing_is_lost() {
    const KEPT: u64 = 4 << 20;
    let small = Tuning {
        snapshot_bytes: 1 << 20,
        kept_bytes: KEPT,
        ..tuning()
    };
    let mut cluster = Cluster::of(3, small);
    let mut last = 0;
    for number in 0..80 {
        last = cluster
            .set(&format!("ref-{number}"), &noise(number, 300_000))
            .index;
    }
    cluster.settle(last);
    let written = cluster.leader().log_counters().bytes;
    assert!(written > 3 * KEPT, "{written}");
    for node in cluster.nodes.values() {
        // What is beyond is of no snapshot yet, or in a piece that is not full.
        let most = KEPT + (2 << 20);
        eventually("its log is small", || {
            node.log_counters().kept_bytes <= most
        });
        assert!(node.log_counters().kept > 0);
    }
    let ids: Vec<u64> = cluster.nodes.keys().copied().collect();
    for id in ids {
        cluster.stop(id);
        cluster.restart(id);
    }
    cluster.set("after", "all is there");
    cluster.assert_equal();
    assert_eq!(
        cluster.leader().verify_operations().unwrap().difference,
        None
    );
}

/// A follower that has applied what was never agreed on, has found out, and was stopped.
fn astray(cluster: &mut Cluster) -> u64 {
    for number in 0..40 {
        cluster.set(&format!("ref-{number}"), &noise(number, 200));
    }
    let astray = cluster.lead_a_follower_astray();
    cluster.stop(astray);
    assert!(matches!(
        harness::try_open(cluster.directory(astray)),
        Err(OpenError::Differs { .. })
    ));
    astray
}

#[test]
fn a_node_that_differs_is_healed_in_place_and_stays_the_member_that_it_was() {
    let mut cluster = Cluster::of(3, tuning());
    let astray = astray(&mut cluster);
    for number in 0..10 {
        cluster.set(&format!("later-{number}"), "x");
    }
    let transport = cluster.network.transport(&address(astray));
    let healed = heal(cluster.directory(astray), &transport, &mut |_| {}).unwrap();
    assert_eq!(healed.node_id, astray);
    let differed = healed.differed.unwrap();
    assert!(differed.contains("operation 41 "), "{differed}");
    assert_eq!(healed.sequence, cluster.leader().view().sequence());
    // Most of it was there; the operations after the first that differs were not.
    assert!(
        healed.fetched >= 12 && healed.fetched < healed.checked / 2,
        "{} {}",
        healed.fetched,
        healed.checked
    );
    cluster.restart(astray);
    cluster.set("after", "y");
    cluster.assert_equal();
    let node = cluster.node(astray);
    assert_eq!(node.verify_operations().unwrap().difference, None);
    assert_eq!(scrub(node).found, []);
    // It votes: with one of the others away, two are a majority.
    let other = *cluster.nodes.keys().find(|id| **id != astray).unwrap();
    cluster.stop(other);
    cluster.set("with-two", "z");
}

#[test]
fn a_node_is_healed_also_where_the_others_have_purged_what_it_lacks() {
    let mut cluster = Cluster::of(3, tuning());
    let astray = astray(&mut cluster);
    for number in 0..10 {
        cluster.set(&format!("later-{number}"), "x");
    }
    for node in cluster.nodes.values() {
        snapshot_and_purge(node).unwrap();
    }
    let transport = cluster.network.transport(&address(astray));
    heal(cluster.directory(astray), &transport, &mut |_| {}).unwrap();
    cluster.restart(astray);
    cluster.set("after", "y");
    cluster.assert_equal();
}

#[test]
fn healing_brings_what_the_disk_has_damaged_and_may_be_done_at_any_time() {
    let mut cluster = Cluster::of(3, tuning());
    let mut last = 0;
    // More than one view, so that what is lost of the first is not needed to open the directory.
    for number in 0..70 {
        last = cluster
            .set(&format!("ref-{number}"), &noise(number, 200))
            .index;
    }
    cluster.settle(last);
    let harmed = cluster.follower();
    let (kind, id) = target(cluster.node(harmed), "ref-11");
    damage_object(cluster.node(harmed), kind, &id).unwrap();
    lose_place(cluster.node(harmed), 5).unwrap();
    cluster.stop(harmed);
    let transport = cluster.network.transport(&address(harmed));
    let healed = heal(cluster.directory(harmed), &transport, &mut |_| {}).unwrap();
    assert_eq!((healed.differed, healed.fetched), (None, 1));
    cluster.restart(harmed);
    let node = cluster.node(harmed);
    assert_eq!(scrub(node).found, []);
    assert_eq!(node.verify_operations().unwrap().difference, None);
}

/// Two that disagree are no majority of three: nobody knows who is right.
#[test]
fn without_a_majority_that_agrees_nothing_is_healed() {
    let mut cluster = Cluster::of(3, tuning());
    let astray = astray(&mut cluster);
    let other = cluster.follower();
    let was_at = cluster.node(other).view().operation();
    lead_astray(cluster.node(other)).unwrap();
    cluster.set("ref-4", "agreed by one");
    let node = Arc::clone(cluster.node(other));
    eventually("it has applied it", || node.view().operation() != was_at);
    drop(node);
    let transport = cluster.network.transport(&address(astray));
    let directory = cluster.directory(astray);
    let error = heal(directory, &transport, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HealError::NotAgreed(_)), "{error}");
    assert!(matches!(
        harness::try_open(directory),
        Err(OpenError::Differs { .. })
    ));
}
