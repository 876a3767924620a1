//! What a member of a cluster of real servers does about what its disk has damaged.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use confman_refs::peer::{Lane, Nobody, PROTOCOL_MAX};
use confman_refs::testing::{MemoryNetwork, add_learner, damage_object, snapshot_and_purge};
use confman_refs::{Begin, Node, NodeOptions, PeerOptions, Transport, Tuning};
use confman_repo::{NamespaceDocument, Repo, RepoOptions, SystemClock};
use confman_tests::cluster::eventually;
use confman_tests::{Cluster, Person, Server};

/// Opens the directory of a member in this process.
fn open(directory: &Path, address: &str, transport: Arc<dyn Transport>, begin: Begin) -> Arc<Node> {
    let options = NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        peers: Some(PeerOptions {
            address: address.to_owned(),
            transport,
            begin,
            tuning: Tuning {
                kept_entries: 1,
                ..Tuning::default()
            },
            replica: true,
            protocol_max: PROTOCOL_MAX,
        }),
    };
    Arc::new(Node::open(&options).unwrap())
}

/// Changes bytes on the disk of a node that does not run: of the commit that this ref points at.
fn damage(directory: &Path, ref_name: &str) {
    let node = open(directory, "", Arc::new(Nobody), Begin::Alone);
    let target = node.view().get(ref_name).unwrap();
    damage_object(&node, target.kind, &target.id).unwrap();
    node.close();
}

/// Three members that all have what was written, and the directory of one that was stopped.
fn three_of_which_one_is_stopped() -> Cluster {
    let mut cluster = Cluster::of(&["b", "c"]);
    cluster.admin.does(&["ns", "create", "/teams"]);
    cluster.publish("/teams:k", "one");
    cluster.wait_for_value("c", "/teams:k", "one");
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
    // Whoever is asked knows it of all.
    let status = cluster.person_at("a").does(&["cluster", "status"]);
    let wanted = format!("on the disk of node {} came whole", cluster.id("c"));
    assert!(status.contains(&wanted), "{status}");
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
    cluster.publish("/teams:k", "two");
    cluster.wait_for_value("c", "/teams:k", "two");
    // A directory that a server runs on is left alone.
    let refused = cluster.admin.runs(&heal);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
}

/// A member whose log is purged, and a replica that gets its state from it, over a network that fails when it is
/// told to.
struct Replicated {
    place: tempfile::TempDir,
    network: MemoryNetwork,
    repo: Arc<Repo>,
    begin: Begin,
}

const MEMBER: &str = "member:7421";
const REPLICA: &str = "replica:7421";

impl Replicated {
    /// The replica has all that there is so far, and is stopped.
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let network = MemoryNetwork::default();
        let transport = network.transport(MEMBER);
        let member = open(
            &place.path().join("member"),
            MEMBER,
            transport,
            Begin::Alone,
        );
        network.connect(MEMBER, &member);
        let repo = Repo::open(
            Arc::clone(&member),
            Arc::new(SystemClock),
            RepoOptions::default(),
        );
        repo.bootstrap().unwrap();
        let identity = member.identity();
        let begin = Begin::Joined {
            cluster_id: identity.cluster_id,
            node_id: 2,
            incarnation: identity.incarnation,
        };
        let replicated = Self {
            place,
            network,
            repo,
            begin,
        };
        replicated.write(0..5);
        let replica = replicated.open_replica();
        add_learner(&member, 2, REPLICA).unwrap();
        replicated.wait_for(&replica);
        replica.close();
        replicated
    }

    fn open_replica(&self) -> Arc<Node> {
        let transport = self.network.transport(REPLICA);
        let replica = open(&self.directory(), REPLICA, transport, self.begin.clone());
        self.network.connect(REPLICA, &replica);
        replica
    }

    fn wait_for(&self, replica: &Node) {
        let index = self.repo.node().view().index();
        eventually("the replica has all", || replica.view().index() >= index);
    }

    /// The directory of the replica.
    fn directory(&self) -> std::path::PathBuf {
        self.place.path().join("replica")
    }

    fn write(&self, numbers: Range<u32>) {
        for number in numbers {
            let namespace = format!("/n{number}").parse().unwrap();
            self.repo
                .holder()
                .create_namespace(NamespaceDocument::new(namespace))
                .unwrap();
        }
    }

    /// Starts the replica, and stops it when so many answers of its transfer have come.
    fn stop_after(&self, calls: u64) {
        let lost = self.network.lost(Lane::Bulk);
        self.network.fail_after(Lane::Bulk, calls);
        let replica = self.open_replica();
        eventually("the transfer is interrupted", || {
            self.network.lost(Lane::Bulk) > lost
        });
        self.network.disconnect(REPLICA);
        replica.close();
        self.network.heal();
    }
}

/// `confman fsck` called the rows of what the node had not got yet wrong.
#[test]
fn a_directory_that_was_stopped_while_it_took_a_state_is_told_from_a_damaged_one() {
    let replicated = Replicated::new();
    replicated.write(5..60);
    snapshot_and_purge(replicated.repo.node()).unwrap();
    // Somebody with a command line; the server is none of theirs.
    let person = Person::admin(&Server::start());
    let data = replicated.directory().display().to_string();
    let mut calls = 4;
    let unfinished = loop {
        replicated.stop_after(calls);
        let fsck = person.runs(&["fsck", "--data", &data, "--json"]);
        assert_eq!(fsck.code, 0, "{}{}", fsck.text(), fsck.stderr);
        if fsck.json()["rowsAhead"].as_u64() > Some(0) {
            break fsck.json();
        }
        calls += 1;
        assert!(
            calls < 20,
            "it is never stopped between rows and operations"
        );
    };
    assert_eq!(
        unfinished["problems"],
        serde_json::json!([]),
        "{unfinished}"
    );
    let said = person.does(&["fsck", "--data", &data, "--rebuild"]);
    assert!(
        said.contains("unfinished: the node was stopped while it took a state from another member"),
        "{said}"
    );
    assert!(
        said.contains("start it, and it goes on where it was"),
        "{said}"
    );
    assert!(said.contains("rebuilt 0 rows"), "{said}");

    // What is damaged besides is told of.
    damage(&replicated.directory(), "/n3@policy");
    let fsck = person.runs(&["fsck", "--data", &data]);
    assert_eq!(fsck.code, 6, "{}", fsck.text());
    assert!(fsck.text().contains("unfinished: "), "{}", fsck.text());
    assert!(fsck.text().contains("wrong: "), "{}", fsck.text());
    let refused = person.runs(&["fsck", "--data", &data, "--rebuild"]);
    assert_ne!(refused.code, 0, "{}", refused.text());

    // Started, it goes on where it was; what is damaged, healing or the scrubber brings.
    let replica = replicated.open_replica();
    replicated.wait_for(&replica);
    while !replica.scrub(1 << 20).unwrap().ended {}
    replica.close();
    drop(replica);
    let said = person.does(&["fsck", "--data", &data]);
    assert!(said.ends_with("nothing is wrong"), "{said}");
    assert!(!said.contains("unfinished"), "{said}");
}
