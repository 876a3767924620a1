//! The life of a cluster of real servers: it grows, loses nodes and changes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::time::{Duration, Instant};

use confman_tests::Cluster;
use confman_tests::cluster::{JoinAs, eventually};

#[test]
fn one_node_grows_to_three_and_goes_on_without_the_one_that_led() {
    let mut cluster = Cluster::of(&["b", "c"]);
    let (on_b, on_c) = (cluster.person_at("b"), cluster.person_at("c"));
    on_b.does(&["ns", "create", "/teams"]);
    // Written on one, read on another that has it by the index of the answer or a moment later.
    eventually("c knows the namespace", || {
        on_c.runs(&["ns", "show", "/teams"]).code == 0
    });
    on_c.does(&["set", "/teams:k", "one", "--publish", "-m", "why"]);
    for name in ["a", "b", "c"] {
        cluster.wait_for_value(name, "/teams:k", "one");
    }

    let leader = cluster.leader();
    cluster.take(&leader).kill();
    let killed = Instant::now();
    cluster
        .admin
        .does(&["set", "/teams:k", "two", "--publish", "-m", "why"]);
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(cluster.admin.does(&["get", "/teams:k"]), "two");

    cluster.restart(&leader).unwrap();
    cluster.wait_for_value(&leader, "/teams:k", "two");
    let status = cluster.admin.does(&["cluster", "status"]);
    assert!(status.contains("leads, all nodes answer"), "{status}");
    for name in ["a", "b", "c"] {
        assert!(cluster.take(name).stop().success());
        let data = cluster.data(name).display().to_string();
        let fsck = cluster.admin.runs(&["fsck", "--data", &data]);
        assert_eq!(fsck.code, 0, "{name}: {}{}", fsck.text(), fsck.stderr);
        assert!(fsck.text().contains("operation"), "{}", fsck.text());
    }
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over() {
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/teams"]);
    let leader = cluster.leader();
    let mut server = cluster.take(&leader);
    let begun = Instant::now();
    assert!(server.stop().success());
    let log = server.log().join("\n");
    assert!(log.contains("handed leadership over to node"), "{log}");
    cluster
        .admin
        .does(&["set", "/teams:k", "v", "--publish", "-m", "why"]);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_node_that_is_removed_ends_and_never_starts_again() {
    let mut cluster = Cluster::of(&["b", "c"]);
    let id = cluster.id("c");
    let members = cluster
        .admin
        .does(&["cluster", "remove", &id.to_string(), "--yes"]);
    assert_eq!(members.lines().count(), 2, "{members}");
    let mut removed = cluster.take("c");
    assert!(!removed.wait().success());
    let said = cluster.restart("c").unwrap_err();
    assert!(
        said.contains(&format!("node {id} was removed from its cluster")),
        "{said}"
    );
    assert!(said.contains("exit status: 5"), "{said}");
    cluster.admin.does(&["ns", "create", "/teams"]);
    // The machine comes back as another node.
    std::fs::remove_dir_all(cluster.data("c")).unwrap();
    cluster.join("c", JoinAs::Voter);
    assert!(cluster.id("c") > id);
    cluster.wait_for_role("c", "voter");
}

#[test]
fn a_voter_is_replaced_by_a_node_that_joined_as_a_replica() {
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/teams"]);
    cluster.join("d", JoinAs::Replica);
    let on_d = cluster.person_at("d");
    eventually("the replica has everything", || {
        on_d.runs(&["ns", "show", "/teams"]).code == 0
    });
    let (old, new) = (cluster.id("b").to_string(), cluster.id("d").to_string());
    assert!(
        cluster
            .admin
            .does(&["cluster", "members"])
            .contains("replica")
    );
    // One that is not let go answers what would be lost.
    let last = cluster.admin.runs(&["cluster", "promote", &old]);
    assert_eq!(last.code, 5, "{}", last.stderr);
    cluster
        .admin
        .does(&["cluster", "replace", &old, "--by", &new, "--yes"]);
    cluster.wait_for_role("d", "voter");
    let members = cluster.admin.does(&["cluster", "members"]);
    assert_eq!(members.lines().count(), 3, "{members}");
}

#[test]
fn what_would_cost_the_majority_is_refused_with_the_figures() {
    let mut cluster = Cluster::of(&["b", "c"]);
    let leader = cluster.leader();
    let others: Vec<String> = cluster
        .running()
        .into_iter()
        .filter(|name| *name != leader)
        .collect();
    let here = cluster.id(&others[1]).to_string();
    cluster.take(&others[0]).kill();
    let refused = cluster.admin.runs(&["cluster", "remove", &here, "--yes"]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let wanted = "of the 2 voters that there would be only 1 can be reached";
    assert!(refused.stderr.contains(wanted), "{}", refused.stderr);
}

#[test]
fn after_the_majority_is_lost_a_survivor_is_recovered_and_the_old_ones_are_refused() {
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/teams"]);
    cluster.publish("/teams:k", "kept");
    cluster.wait_for_value("b", "/teams:k", "kept");
    for name in ["a", "b", "c"] {
        cluster.take(name).kill();
    }
    let data = cluster.data("b").display().to_string();
    let without = cluster
        .admin
        .runs(&["recover", "--data", &data, "--as-single-voter"]);
    assert_eq!(without.code, 2, "{}", without.stderr);
    let recovered = cluster.admin.does(&[
        "recover",
        "--data",
        &data,
        "--as-single-voter",
        "--i-understand-data-loss",
    ]);
    assert!(
        recovered.contains("is the only voter of incarnation 2"),
        "{recovered}"
    );
    cluster.restart("b").unwrap();
    let on_b = cluster.person_at("b");
    assert_eq!(on_b.does(&["get", "/teams:k"]), "kept");
    on_b.does(&["set", "/teams:k", "after", "--publish", "-m", "why"]);
    // One of before comes back, and is not let in as it is.
    cluster.restart("a").unwrap();
    let on_a = cluster.person_at("a");
    let written = on_a.runs(&["set", "/teams:k", "from before", "--publish", "-m", "why"]);
    assert_ne!(written.code, 0);
    assert_eq!(on_b.does(&["get", "/teams:k"]), "after");
    assert_eq!(
        cluster.status("b").unwrap()["members"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_token_is_needed_to_join_and_a_used_one_is_none() {
    let mut cluster = Cluster::start();
    cluster.join("b", JoinAs::Voter);
    let listed = cluster.admin.does(&["cluster", "join-token", "list"]);
    assert!(listed.contains("1 of 1 used"), "{listed}");
    // Revoked before it is shown.
    let ids: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    cluster
        .admin
        .does(&["cluster", "join-token", "revoke", ids[0]]);
    assert!(
        cluster
            .admin
            .does(&["cluster", "join-token", "list"])
            .is_empty()
    );
    let said = cluster.try_join_with("c", "cfm_join_guessed").unwrap_err();
    assert!(
        said.contains("its join token is not known, used up, revoked or over"),
        "{said}"
    );
}
