//! How a node that is behind, or empty, gets the state: only what it lacks, once, while the others serve.

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

use std::collections::HashSet;

use cluster::{Cluster, address, eventually, tuning};
use confman_object_store::{Kind, ObjectId, ReadObjects};
use confman_refs::peer::Lane;
use confman_refs::{Expect, Node, RowRange, Tuning};
use harness::{noise, row, setting};

/// Snapshots after a few entries, and hardly any entry kept: who is behind needs a snapshot.
fn forgetful() -> Tuning {
    Tuning {
        snapshot_entries: 40,
        kept_entries: 1,
        ..tuning()
    }
}

fn objects(node: &Node) -> HashSet<(Kind, ObjectId)> {
    let all = ObjectId::MIN..=ObjectId::MAX;
    Kind::ALL
        .into_iter()
        .flat_map(|kind| {
            let ids = node.store().backend().ids(kind, &all, usize::MAX).unwrap();
            ids.into_iter().map(move |id| (kind, id))
        })
        .collect()
}

/// Bytes of the objects that one node has and the other has not.
fn missing_bytes(has: &Node, lacks: &HashSet<(Kind, ObjectId)>) -> u64 {
    objects(has)
        .difference(lacks)
        .map(|(kind, id)| has.store().read(*kind, id).unwrap().len() as u64)
        .sum()
}

/// Writes with rows, so that every table has something.
fn write(cluster: &mut Cluster, numbers: std::ops::Range<u64>) -> u64 {
    let mut last = 0;
    for number in numbers {
        let leader = cluster.leader();
        let (mut transaction, _) = setting(
            10_000 + number,
            &format!("ref-{number:04}"),
            Expect::Absent,
            &noise(number, 3000),
        );
        transaction
            .rows
            .push(row(1, &format!("p{}\0", number % 7), "", "value"));
        last = leader.transact(transaction).unwrap().index;
    }
    last
}

/// Purges what a snapshot covers.
fn purge(cluster: &Cluster) {
    let leader = cluster.leader();
    confman_refs::testing::snapshot_and_purge(&leader).unwrap();
}

#[track_caller]
fn assert_whole(cluster: &Cluster, node_id: u64) {
    let (leader, node) = (cluster.leader(), cluster.node(node_id));
    let report = node.verify_operations().unwrap();
    assert_eq!(report.difference, None);
    for (kind, id) in objects(&leader) {
        assert!(
            node.store().try_read(kind, &id).unwrap().is_some(),
            "{} {id} is missing",
            kind.name()
        );
    }
    let rows = |node: &Node| {
        let range = RowRange {
            table: 1,
            prefix: b"p3\0".to_vec(),
            after: None,
            index_max: u64::MAX,
            limit: 1000,
        };
        node.rows(&range).unwrap()
    };
    assert_eq!(rows(&leader), rows(node));
    for request in [10_000, 10_003] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::to_le_bytes(request));
        let request = confman_refs::RequestId(id);
        assert_eq!(
            leader.committed(request).unwrap(),
            node.committed(request).unwrap()
        );
    }
}

#[test]
fn node_that_was_away_fetches_what_it_lacks_and_little_more() {
    let mut cluster = Cluster::of(3, forgetful());
    let index = write(&mut cluster, 0..150);
    cluster.settle(index);
    let away = cluster.follower();
    let had = objects(cluster.node(away));
    cluster.stop(away);
    let index = write(&mut cluster, 150..300);
    purge(&cluster);
    let carried = cluster.network.carried(Lane::Bulk);
    cluster.restart(away);
    cluster.settle(index);
    let moved = cluster.network.carried(Lane::Bulk) - carried;
    let missing = missing_bytes(&cluster.leader(), &had);
    assert!(
        moved > missing / 4,
        "it came by the log: {moved} of {missing}"
    );
    assert!(
        moved * 10 <= missing * 12,
        "{moved} bytes moved for {missing} that were missing"
    );
    assert_whole(&cluster, away);
    cluster.assert_equal();
}

#[test]
fn empty_node_gets_everything_while_the_cluster_serves() {
    let mut cluster = Cluster::of(1, forgetful());
    write(&mut cluster, 0..200);
    purge(&cluster);
    cluster.join(2);
    let index = write(&mut cluster, 200..220);
    cluster.settle(index);
    assert_whole(&cluster, 2);
    cluster.assert_equal();
    // Stopped and started, it still is what it was.
    cluster.stop(2);
    cluster.restart(2);
    let index = write(&mut cluster, 220..230);
    cluster.settle(index);
    assert_whole(&cluster, 2);
}

/// What a node knew of the members before it got a snapshot must not come back (openraft 1808).
#[test]
fn members_that_came_with_a_snapshot_are_known_after_a_restart_too() {
    let mut cluster = Cluster::of(3, forgetful());
    write(&mut cluster, 0..5);
    let away = cluster.follower();
    cluster.stop(away);
    // The entries that say so are purged.
    cluster.join(4);
    cluster.promote(4);
    write(&mut cluster, 5..60);
    purge(&cluster);
    cluster.restart(away);
    let last = write(&mut cluster, 60..61);
    cluster.settle(last);
    let members = |node: &Node| node.members();
    let wanted = members(&cluster.leader());
    assert_eq!(wanted.len(), 4);
    assert_eq!(members(cluster.node(away)), wanted);
    cluster.stop(away);
    cluster.restart(away);
    assert_eq!(members(cluster.node(away)), wanted);
    // With four voters, two are no majority.
    let others: Vec<u64> = (1..=4).filter(|id| *id != away).collect();
    cluster.stop(others[0]);
    cluster.stop(others[1]);
    let left = cluster.node(away).clone();
    assert!(left.linearize(std::time::Duration::from_secs(3)).is_err());
}

#[test]
fn transfer_that_was_interrupted_goes_on_where_it_was() {
    let mut cluster = Cluster::of(3, forgetful());
    let index = write(&mut cluster, 0..10);
    cluster.settle(index);
    let away = cluster.follower();
    let had = objects(cluster.node(away));
    cluster.stop(away);
    let index = write(&mut cluster, 10..2500);
    purge(&cluster);
    let carried = cluster.network.carried(Lane::Bulk);
    // Enough for the tables, the list of operations, and some of the objects.
    cluster.network.fail_after(Lane::Bulk, 10);
    cluster.restart(away);
    let node = cluster.node(away).clone();
    eventually("a part of the objects has come", || {
        objects(&node).len() > had.len() + 100
    });
    drop(node);
    eventually("the transfer is interrupted", || {
        cluster.network.lost(Lane::Bulk) > 0
    });
    cluster.stop(away);
    cluster.network.heal();
    cluster.restart(away);
    cluster.settle(index);
    let moved = cluster.network.carried(Lane::Bulk) - carried;
    let missing = missing_bytes(&cluster.leader(), &had);
    assert!(
        moved * 10 <= missing * 12,
        "{moved} bytes moved for {missing} that were missing"
    );
    assert_whole(&cluster, away);
    cluster.assert_equal();
}

/// Objects of a staged transaction are in no ref before it ends: a snapshot in between must bring them too.
#[test]
fn snapshot_in_the_middle_of_a_staged_transaction_brings_its_objects() {
    let mut cluster = Cluster::of(3, forgetful());
    let index = write(&mut cluster, 0..5);
    cluster.settle(index);
    let away = cluster.follower();
    cluster.stop(away);
    let leader = cluster.leader();
    let mut transaction = harness::empty(77);
    for number in 0..400_u64 {
        let (object, target) = harness::blob(noise(1_000_000 + number, 3000).repeat(3));
        transaction.objects.push(object);
        transaction.edits.push(confman_refs::RefEdit {
            name: harness::name(&format!("staged-{number}")),
            expect: Expect::Absent,
            new: Some(target),
        });
    }
    let last = confman_refs::testing::stage(&leader, &transaction).unwrap();
    purge(&cluster);
    cluster.restart(away);
    cluster.settle(leader.view().index());
    let committed = confman_refs::testing::finish(&leader, last).unwrap();
    cluster.settle(committed.index);
    assert!(cluster.node(away).view().get("staged-7").is_some());
    cluster.assert_equal();
}

/// What a snapshot's tables have learned since it was made must not make the node skip the entries that
/// brought it.
#[test]
fn writes_during_a_transfer_are_applied_after_it() {
    let mut cluster = Cluster::of(3, forgetful());
    let index = write(&mut cluster, 0..5);
    cluster.settle(index);
    let away = cluster.follower();
    cluster.stop(away);
    write(&mut cluster, 5..300);
    purge(&cluster);
    let leader = cluster.leader().status().node_id;
    cluster.network.delay(
        &address(away),
        &address(leader),
        std::time::Duration::from_millis(50),
    );
    cluster.restart(away);
    let index = write(&mut cluster, 300..420);
    cluster.network.heal();
    cluster.settle(index);
    cluster.assert_equal();
    assert_whole(&cluster, away);
}
