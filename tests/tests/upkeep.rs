//! What a member of a cluster of real servers does about what its disk has damaged.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::path::Path;
use std::sync::Arc;

use confman_refs::peer::{Nobody, PROTOCOL_MAX};
use confman_refs::testing::damage_object;
use confman_refs::{Begin, Node, NodeOptions, PeerOptions, Tuning};
use confman_tests::Cluster;
use confman_tests::cluster::eventually;

/// Changes bytes on the disk of a node that does not run: of the commit that this ref points at.
fn damage(directory: &Path, ref_name: &str) {
    let node = Node::open(&NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        peers: Some(PeerOptions {
            address: String::new(),
            transport: Arc::new(Nobody),
            begin: Begin::Alone,
            tuning: Tuning::default(),
            replica: false,
            protocol_max: PROTOCOL_MAX,
        }),
    })
    .unwrap();
    let target = node.view().get(ref_name).unwrap();
    damage_object(&node, target.kind, &target.id).unwrap();
    node.close();
}

/// Three members that all have what was written, and the directory of one that was stopped.
fn three_of_which_one_is_stopped() -> Cluster {
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/teams"]);
    cluster
        .admin
        .does(&["set", "/teams:k", "one", "--publish", "-m", "why"]);
    let on_c = cluster.person_at("c");
    eventually("c has it", || {
        on_c.runs(&["get", "/teams:k"]).text() == "one"
    });
    assert!(cluster.take("c").stop().success());
    cluster
}

#[test]
fn what_a_disk_has_damaged_is_found_and_comes_whole_from_another_node() {
    let mut cluster = three_of_which_one_is_stopped();
    damage(&cluster.data("c"), "/teams@published");
    cluster.restart("c").unwrap();
    let mut said = serde_json::Value::Null;
    eventually("it is repaired", || {
        let status = cluster.status("c");
        said = status.map_or(serde_json::Value::Null, |status| status["scrub"].clone());
        said["repaired"] == 1
    });
    assert_eq!(said["damaged"], serde_json::json!([]), "{said}");
    let on_c = cluster.person_at("c");
    assert_eq!(on_c.does(&["get", "/teams:k"]), "one");
    let doctor = on_c.runs(&["doctor"]);
    assert!(
        doctor.text().contains("repaired from other nodes"),
        "{}",
        doctor.text()
    );
    let mut server = cluster.take("c");
    assert!(server.stop().success());
    let log = server.log().join("\n");
    assert!(log.contains("is whole again from node"), "{log}");
    let data = cluster.data("c").display().to_string();
    let fsck = cluster.admin.runs(&["fsck", "--data", &data]);
    assert_eq!(fsck.code, 0, "{}", fsck.text());
}

#[test]
fn a_directory_is_healed_by_the_other_members_over_their_certificates() {
    let mut cluster = three_of_which_one_is_stopped();
    let data = cluster.data("c");
    damage(&data, "/teams@published");
    let shown = data.display().to_string();
    let fsck = cluster.admin.runs(&["fsck", "--data", &shown]);
    assert_eq!(fsck.code, 6, "{}", fsck.text());
    let certificates = data.parent().unwrap().join("certificates");
    let file = |name: &str| certificates.join(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("c.test.pem"), file("c.test.key"));
    let heal = [
        "cluster",
        "heal",
        "--data",
        &shown,
        "--peer-ca",
        &ca,
        "--peer-cert",
        &certificate,
        "--peer-key",
        &key,
    ];
    let healed = cluster.admin.runs(&[&heal[..], &["--json"]].concat());
    assert_eq!(healed.code, 0, "{}", healed.stderr);
    assert_eq!(healed.json()["fetched"], 1, "{}", healed.text());
    let fsck = cluster.admin.runs(&["fsck", "--data", &shown]);
    assert_eq!(fsck.code, 0, "{}", fsck.text());
    cluster.restart("c").unwrap();
    let on_c = cluster.person_at("c");
    cluster
        .admin
        .does(&["set", "/teams:k", "two", "--publish", "-m", "why"]);
    eventually("it goes on", || {
        on_c.runs(&["get", "/teams:k"]).text() == "two"
    });
    // A directory that a server runs on is left alone.
    let refused = cluster.admin.runs(&heal);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
}
