//! How nodes come to a cluster, change and go, and what any of them promises to who asks it.

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

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{PATIENCE, eventually, tuning};
use confman_refs::cluster::{
    ChangeError, Force, JoinOptions, MemberChange, MemberRole, NotAdmitted, begin, recover,
};
use confman_refs::peer::PROTOCOL_MAX;
use confman_refs::testing::MemoryNetwork;
use confman_refs::{
    Begin, Expect, Node, NodeOptions, OpenError, PeerOptions, RequestId, TransactError, Tuning,
};
use harness::{empty, options, row, set, setting};

/// Whoever shows this is let in.
const TOKEN: &str = "let me in";

fn quick() -> Tuning {
    Tuning {
        promote_after: Duration::from_millis(200),
        ..tuning()
    }
}

/// Nodes that joined by asking, by the name of their address.
struct Members {
    network: MemoryNetwork,
    place: tempfile::TempDir,
    nodes: BTreeMap<&'static str, Arc<Node>>,
    requests: AtomicU64,
    /// The newest version of the protocol that nodes speak which are opened from now on.
    protocol_max: u16,
}

impl Members {
    /// A cluster of one node, `a`.
    fn new() -> Self {
        let mut members = Self {
            network: MemoryNetwork::default(),
            place: tempfile::tempdir().unwrap(),
            nodes: BTreeMap::new(),
            requests: AtomicU64::new(0),
            protocol_max: PROTOCOL_MAX,
        };
        members.open("a", Begin::Alone, false).unwrap();
        members
    }

    /// A cluster of these nodes, all of them voters.
    fn of(names: &[&'static str]) -> Self {
        let mut members = Self::new();
        for name in names.iter().filter(|name| **name != "a") {
            members.join(name).unwrap();
            members.wait_for_role(name, MemberRole::Voter);
        }
        members
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn open(&mut self, name: &'static str, begin: Begin, replica: bool) -> Result<(), OpenError> {
        let peers = PeerOptions {
            address: format!("{name}:7421"),
            transport: self.network.transport(&format!("{name}:7421")),
            begin,
            tuning: quick(),
            replica,
            protocol_max: self.protocol_max,
        };
        let node = Arc::new(Node::open(&NodeOptions {
            peers: Some(peers),
            ..options(&self.directory(name))
        })?);
        let admitting = Arc::downgrade(&node);
        node.admit_by(Arc::new(move |join| {
            if join.token != TOKEN {
                return Err(NotAdmitted::Refused("it shows no good token".to_owned()));
            }
            let later = |error: &dyn std::fmt::Display| NotAdmitted::Later(error.to_string());
            let node = admitting.upgrade().ok_or_else(|| later(&"it is gone"))?;
            let mut transaction = empty(0);
            transaction.request = RequestId(join.request);
            transaction.rows.push(row(9, "join", &join.address, ""));
            let committed = node.transact(transaction).map_err(|error| later(&error))?;
            Ok(committed.index)
        }));
        self.network.connect(&format!("{name}:7421"), &node);
        self.nodes.insert(name, node);
        Ok(())
    }

    /// Joins by asking everybody who is there.
    fn join(&mut self, name: &'static str) -> Result<u64, OpenError> {
        self.join_as(name, TOKEN, false)
    }

    fn join_as(
        &mut self,
        name: &'static str,
        token: &str,
        replica: bool,
    ) -> Result<u64, OpenError> {
        let join = JoinOptions {
            seeds: self
                .nodes
                .keys()
                .rev()
                .map(|seed| format!("{seed}:7421"))
                .collect(),
            token: token.to_owned(),
            replica,
        };
        let address = format!("{name}:7421");
        let transport = self.network.transport(&address);
        let begin = begin(
            &self.directory(name),
            Some(&join),
            &address,
            &transport,
            PATIENCE,
        )?;
        let node_id = match &begin {
            Begin::Joined { node_id, .. } => *node_id,
            Begin::Alone => 0,
        };
        self.open(name, begin, replica)?;
        Ok(node_id)
    }

    fn node(&self, name: &str) -> &Arc<Node> {
        &self.nodes[name]
    }

    fn id(&self, name: &str) -> u64 {
        self.node(name).status().node_id
    }

    fn stop(&mut self, name: &str) {
        self.network.disconnect(&format!("{name}:7421"));
        self.nodes.remove(name).unwrap().close();
    }

    fn restart(&mut self, name: &'static str) -> Result<(), OpenError> {
        self.open(name, Begin::Alone, false)
    }

    fn role(&self, name: &str) -> Option<MemberRole> {
        let id = self.id(name);
        let any = self.node(self.leader());
        let member = any.members().into_iter().find(|member| member.id == id);
        member.map(|member| member.role)
    }

    #[track_caller]
    fn wait_for_role(&self, name: &str, role: MemberRole) {
        eventually(&format!("{name} is a {role}"), || {
            self.role(name) == Some(role)
        });
    }

    /// The name of the node that leads.
    fn leader(&self) -> &'static str {
        let mut found = None;
        eventually("there is a leader", || {
            found = self
                .nodes
                .iter()
                .filter(|(_, node)| node.leads())
                .max_by_key(|(_, node)| node.status().term)
                .map(|(name, _)| *name);
            found.is_some()
        });
        found.unwrap()
    }

    /// Somebody who does not lead.
    fn follower(&self) -> &'static str {
        let leader = self.leader();
        self.nodes.keys().find(|name| **name != leader).unwrap()
    }

    fn request(&self) -> u64 {
        1 + self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Sets a ref by way of a node.
    fn set(&self, by: &str, ref_name: &str, text: &str) -> Result<u64, TransactError> {
        set(self.node(by), self.request(), ref_name, text).map(|committed| committed.index)
    }

    /// Waits until everybody has everything, and is at the same operation.
    #[track_caller]
    fn assert_equal(&self) {
        let leading = self.node(self.leader()).view();
        for (name, node) in &self.nodes {
            assert!(
                node.wait_for_index(leading.index(), PATIENCE),
                "{name} is behind"
            );
            eventually(&format!("{name} is at the operation of the leader"), || {
                node.view().operation() == leading.operation()
            });
        }
    }
}

fn change(members: &Members, by: &str, change: MemberChange) -> Result<(), ChangeError> {
    members.node(by).change_members(change, Force::No)
}

#[test]
fn one_node_grows_to_three_voters_by_joining() {
    let mut members = Members::new();
    members.set("a", "before", "x").unwrap();
    let b = members.join("b").unwrap();
    let c = members.join("c").unwrap();
    assert!(b > 1 && c > b, "{b} {c}");
    for name in ["b", "c"] {
        members.wait_for_role(name, MemberRole::Voter);
        assert!(members.node(name).view().get("before").is_some());
    }
    // Two of three are enough.
    members.stop("a");
    eventually("the others go on", || {
        members.set("b", "after", "y").is_ok()
    });
    members.restart("a").unwrap();
    members.assert_equal();
}

#[test]
fn without_a_good_token_nobody_is_let_in() {
    let mut members = Members::new();
    let error = members.join_as("b", "guess", false).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("has not joined: a:7421 does not let this node in: it shows no good token"),
        "{error}"
    );
    assert_eq!(members.node("a").members().len(), 1);
    // It is still about to join, and becomes no cluster of its own.
    let address = "b:7421".to_owned();
    let transport = members.network.transport(&address);
    let alone = begin(
        &members.directory("b"),
        None,
        &address,
        &transport,
        PATIENCE,
    );
    assert!(matches!(alone, Err(OpenError::Joining { .. })));
    members.join("b").unwrap();
}

/// An id that came back without its log could vote twice in a term (openraft 898).
#[test]
fn a_node_that_was_wiped_comes_back_as_another_one() {
    let mut members = Members::of(&["a", "b", "c"]);
    let before = members.id("c");
    members.stop("c");
    std::fs::remove_dir_all(members.directory("c")).unwrap();
    let after = members.join("c").unwrap();
    assert!(after > before);
    members.wait_for_role("c", MemberRole::Voter);
    let replaced = MemberChange::Remove { node: before };
    change(&members, "b", replaced).unwrap();
    assert_eq!(members.node("a").members().len(), 3);
    members.set("c", "x", "y").unwrap();
    members.assert_equal();
}

#[test]
fn a_node_that_crashes_while_it_joins_gets_the_same_id() {
    let mut members = Members::new();
    let join = JoinOptions {
        seeds: vec!["a:7421".to_owned()],
        token: TOKEN.to_owned(),
        replica: false,
    };
    let transport = members.network.transport("b:7421");
    let directory = members.directory("b");
    let ask = || begin(&directory, Some(&join), "b:7421", &transport, PATIENCE).unwrap();
    let first = ask();
    // It was killed before it could open its directory.
    assert_eq!(ask(), first);
    members.open("b", first, false).unwrap();
    members.wait_for_role("b", MemberRole::Voter);
    // From now on the directory is a member's, whatever is said of joining.
    assert_eq!(ask(), Begin::Alone);
}

/// The answer of the member that let it in is lost: the next one is asked, and it gets the same id.
#[test]
fn a_node_that_hears_no_answer_asks_the_next_member() {
    let mut members = Members::of(&["a", "b"]);
    let joining = "c:7421";
    // It is asked first.
    members.network.hang("b:7421", joining);
    let began = Instant::now();
    members.join("c").unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
    members.wait_for_role("c", MemberRole::Voter);
    assert_eq!(members.node("a").members().len(), 3);
}

/// It would call unknown whom it has not heard of yet.
#[test]
fn a_node_that_has_joined_has_not_begun_before_it_has_what_was_there() {
    let mut members = Members::new();
    members.set("a", "before", "x").unwrap();
    assert!(members.node("a").has_begun());
    let join = JoinOptions {
        seeds: vec!["a:7421".to_owned()],
        token: TOKEN.to_owned(),
        replica: false,
    };
    let transport = members.network.transport("b:7421");
    let directory = members.directory("b");
    let begun = begin(&directory, Some(&join), "b:7421", &transport, PATIENCE).unwrap();
    members.network.isolate("b:7421");
    members.open("b", begun, false).unwrap();
    assert!(!members.node("b").has_begun());
    members.network.heal();
    eventually("it has what was there", || members.node("b").has_begun());
    assert!(members.node("b").view().get("before").is_some());
}

#[test]
fn a_read_replica_stays_a_learner_and_answers_reads() {
    let mut members = Members::new();
    members.join_as("r", TOKEN, true).unwrap();
    members.join("b").unwrap();
    // Who joined later votes by now; the replica does not.
    members.wait_for_role("b", MemberRole::Voter);
    assert_eq!(members.role("r"), Some(MemberRole::Learner));
    let index = members.set("r", "x", "y").unwrap();
    assert!(members.node("r").view().index() >= index);
    assert!(members.node("r").view().get("x").is_some());
    members.set("a", "x", "z").unwrap();
    let view = members.node("r").linearize(PATIENCE).unwrap();
    assert_eq!(view.get("x"), members.node("a").view().get("x"));
    members.stop("r");
    members.restart("r").unwrap();
    members.node("r").linearize(PATIENCE).unwrap();
    assert_eq!(members.role("r"), Some(MemberRole::Learner));
}

#[test]
fn a_write_on_a_follower_is_there_when_it_is_answered() {
    let members = Members::of(&["a", "b", "c"]);
    let follower = members.follower();
    for number in 0..20 {
        let index = members.set(follower, "x", &number.to_string()).unwrap();
        let view = members.node(follower).view();
        assert!(view.index() >= index);
        let linear = members.node(members.leader()).linearize(PATIENCE).unwrap();
        assert_eq!(view.get("x"), linear.get("x"));
    }
    members.assert_equal();
}

/// What was refused as stale is evaluated again on a view that shows why.
#[test]
fn a_refusal_on_a_follower_is_answered_after_what_it_conflicts_with_is_there() {
    let members = Members::of(&["a", "b", "c"]);
    let follower = members.follower();
    let node = members.node(follower);
    members.set(members.leader(), "x", "one").unwrap();
    let (transaction, _) = setting(900, "x", Expect::Absent, "two");
    assert!(matches!(
        node.transact(transaction),
        Err(TransactError::Stale { .. })
    ));
    assert!(node.view().get("x").is_some());
}

#[test]
fn a_request_that_is_sent_twice_to_two_nodes_happens_once() {
    let members = Members::of(&["a", "b", "c"]);
    let (transaction, _) = setting(900, "x", Expect::Absent, "once");
    let first = members.node("b").transact(transaction.clone()).unwrap();
    let again = members.node("c").transact(transaction).unwrap();
    assert_eq!(first, again);
}

/// The leader is lost with a transaction that came from another node: it is sent again, and is one.
#[test]
fn a_write_outlives_the_leader_that_had_it() {
    let mut members = Members::of(&["a", "b", "c"]);
    let (old, by) = (members.leader(), members.follower());
    // The leader gets it, and its answer never comes back.
    members
        .network
        .hang(&format!("{by}:7421"), &format!("{old}:7421"));
    let node = Arc::clone(members.node(by));
    let writing = std::thread::spawn(move || set(&node, 901, "x", "y"));
    members.stop(old);
    writing.join().unwrap().unwrap();
    members.network.heal();
    members.restart(old).unwrap();
    members.assert_equal();
    assert!(members.node(old).view().get("x").is_some());
}

/// Leadership moved, and who led before still has transactions that it cannot commit (openraft 1761, 1816:
/// their answers may never come).
#[test]
fn a_write_on_a_leader_that_is_cut_off_is_made_good_or_not_acknowledged() {
    let members = Members::of(&["a", "b", "c"]);
    let old = members.leader();
    members.network.isolate(&format!("{old}:7421"));
    let node = Arc::clone(members.node(old));
    let writing = std::thread::spawn(move || set(&node, 902, "x", "y"));
    eventually("another one leads", || {
        members
            .nodes
            .iter()
            .any(|(name, node)| *name != old && node.leads())
    });
    members.network.heal();
    let outcome = writing.join().unwrap();
    members.assert_equal();
    let there = members.node(members.leader()).view().get("x").is_some();
    match outcome {
        Ok(_) => assert!(there),
        Err(TransactError::Unavailable(_)) => assert!(!there),
        Err(TransactError::UnknownOutcome(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn without_a_leader_a_request_waits_as_long_as_an_election_and_is_refused_then() {
    let mut members = Members::of(&["a", "b", "c"]);
    let lone = members.follower();
    for other in ["a", "b", "c"] {
        if other != lone {
            members.stop(other);
        }
    }
    let begun = Instant::now();
    let written = members.set(lone, "x", "y");
    assert!(
        matches!(written, Err(TransactError::Unavailable(_))),
        "{written:?}"
    );
    let read = members.node(lone).linearize(quick().election_max);
    assert!(matches!(read, Err(TransactError::Unavailable(_))));
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert!(members.node(lone).view().get("x").is_none());
    eventually("it believes in no leader any more", || {
        members.node(lone).status().leader.is_none()
    });
}

/// A lease read would be answered by an old leader for as long as it believes in its lease.
#[test]
fn a_leader_that_is_cut_off_answers_no_linearizable_read() {
    let members = Members::of(&["a", "b", "c"]);
    let old = members.leader();
    members.network.isolate(&format!("{old}:7421"));
    let read = members.node(old).linearize(Duration::from_millis(300));
    assert!(
        matches!(read, Err(TransactError::Unavailable(_))),
        "{read:?}"
    );
    members.network.heal();
    members.node(old).linearize(PATIENCE).unwrap();
}

#[test]
fn a_linearizable_read_sees_every_acknowledged_write_on_every_node() {
    let members = Members::of(&["a", "b", "c"]);
    for number in 0..30 {
        let by = ["a", "b", "c"][number % 3];
        members.set(by, "x", &number.to_string()).unwrap();
        let written = members.node(by).view().get("x");
        for name in ["a", "b", "c"] {
            let view = members.node(name).linearize(PATIENCE).unwrap();
            assert_eq!(view.get("x"), written, "{name} {number}");
        }
    }
}

/// A transfer under way refuses reads and writes for a moment; nobody who asks notices (openraft 1747).
#[test]
fn leadership_moves_under_reads_and_writes_that_all_succeed() {
    let members = Members::of(&["a", "b", "c"]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (members, stop) = (&members, &stop);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) || number < 20 {
                    let ref_name = format!("of-{name}");
                    members.set(name, &ref_name, &number.to_string()).unwrap();
                    let written = members.node(name).view().get(&ref_name);
                    let read = members.node(name).linearize(PATIENCE).unwrap();
                    assert_eq!(read.get(&ref_name), written);
                    number += 1;
                }
            });
        }
        for _ in 0..4 {
            let before = members.leader();
            // It is refused where an election was faster.
            let _ = change(&members, before, MemberChange::Transfer { to: None });
        }
        stop.store(true, Ordering::Relaxed);
    });
    members.assert_equal();
}

#[test]
fn a_leader_that_stops_hands_over_first() {
    let members = Members::of(&["a", "b", "c"]);
    let old = members.leader();
    let term = members.node(old).status().term;
    let begun = Instant::now();
    members.node(old).hand_over();
    let took = begun.elapsed();
    assert_ne!(members.leader(), old);
    assert_eq!(members.node(members.leader()).status().term, term + 1);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_node_that_is_removed_stays_removed() {
    let mut members = Members::of(&["a", "b", "c"]);
    let id = members.id("c");
    change(&members, "c", MemberChange::Remove { node: id }).unwrap();
    eventually("it knows", || members.node("c").status().failed.is_some());
    let reason = members.node("c").status().failed.unwrap();
    assert_eq!(reason, format!("node {id} was removed from its cluster"));
    assert_eq!(members.node("a").members().len(), 2);
    members.stop("c");
    let again = members.restart("c").unwrap_err();
    assert!(matches!(again, OpenError::Removed { .. }), "{again}");
    members.set("b", "x", "y").unwrap();
}

/// Until it knows, it could go on writing by way of the leader.
#[test]
fn a_node_that_was_removed_writes_nothing_more() {
    let members = Members::of(&["a", "b", "c"]);
    let id = members.id("c");
    change(&members, "a", MemberChange::Remove { node: id }).unwrap();
    assert!(members.set("c", "x", "y").is_err());
    assert!(
        members
            .node("c")
            .linearize(Duration::from_millis(500))
            .is_err()
    );
    assert!(
        members
            .node("a")
            .linearize(PATIENCE)
            .unwrap()
            .get("x")
            .is_none()
    );
}

/// It was away when it was removed: nobody sends it the log any more, so it has to ask.
#[test]
fn a_node_that_was_away_when_it_was_removed_finds_out() {
    let mut members = Members::of(&["a", "b", "c"]);
    let id = members.id("c");
    members.stop("c");
    eventually("it is removed", || {
        change(&members, "a", MemberChange::Remove { node: id }).is_ok()
    });
    members.restart("c").unwrap();
    eventually("it is told", || members.node("c").status().failed.is_some());
    members.stop("c");
    assert!(matches!(
        members.restart("c"),
        Err(OpenError::Removed { .. })
    ));
}

#[test]
fn a_leader_that_is_removed_hands_over_and_leaves() {
    let members = Members::of(&["a", "b", "c"]);
    let leader = members.leader();
    let id = members.id(leader);
    change(&members, leader, MemberChange::Remove { node: id }).unwrap();
    assert_ne!(members.leader(), leader);
    let rest = members.node(members.leader()).members();
    assert!(rest.iter().all(|member| member.id != id));
    members.set(members.leader(), "x", "y").unwrap();
}

#[test]
fn a_change_that_would_cost_the_majority_is_refused_and_can_be_forced() {
    let mut members = Members::of(&["a", "b", "c"]);
    let leader = members.leader();
    let others: Vec<&str> = ["a", "b", "c"]
        .into_iter()
        .filter(|name| *name != leader)
        .collect();
    let (away, here) = (members.id(others[0]), members.id(others[1]));
    members.stop(others[0]);
    let node = Arc::clone(members.node(leader));
    eventually("it counts as not reachable", || {
        let refused = node.change_members(MemberChange::Remove { node: here }, Force::No);
        match refused {
            Err(ChangeError::LosesQuorum {
                voters: 2,
                reachable: 1,
                needed: 2,
            }) => true,
            Ok(()) => panic!("it was removed"),
            Err(_) => false,
        }
    });
    // Who is away can go.
    node.change_members(MemberChange::Remove { node: away }, Force::No)
        .unwrap();
    assert_eq!(node.members().len(), 2);
}

#[test]
fn a_voter_is_replaced_by_a_learner_one_after_the_other() {
    let mut members = Members::of(&["a", "b", "c"]);
    members.join_as("d", TOKEN, true).unwrap();
    let (old, new) = (members.id("c"), members.id("d"));
    members.node("d").linearize(PATIENCE).unwrap();
    eventually("it is replaced", || {
        match change(&members, "b", MemberChange::Replace { old, new }) {
            Ok(()) => true,
            // It has not caught up yet.
            Err(ChangeError::Behind { .. } | ChangeError::InProgress) => false,
            Err(error) => panic!("{error}"),
        }
    });
    let voters: Vec<u64> = members
        .node("a")
        .cluster()
        .members
        .into_iter()
        .filter(|state| state.member.role == MemberRole::Voter)
        .map(|state| state.member.id)
        .collect();
    assert!(
        voters.contains(&new) && !voters.contains(&old),
        "{voters:?}"
    );
}

#[test]
fn every_node_says_how_all_of_them_are() {
    let mut members = Members::of(&["a", "b", "c"]);
    members.node("b").served_at("http://b:7420".to_owned());
    let status = members.node("c").cluster();
    assert!(status.has_quorum());
    let of_b = members.id("b");
    let report = status
        .members
        .iter()
        .find(|state| state.member.id == of_b)
        .unwrap();
    assert_eq!(report.report.as_ref().unwrap().url, "http://b:7420");
    assert_eq!(report.member.address, "b:7421");
    members.stop("a");
    members.stop("b");
    let status = members.node("c").cluster();
    assert!(!status.has_quorum());
    assert_eq!(
        status
            .members
            .iter()
            .filter(|state| state.report.is_some())
            .count(),
        1
    );
}

/// The majority is gone for good: the survivor goes on alone, and whoever is of before is refused.
#[test]
fn a_survivor_goes_on_alone_after_the_majority_is_lost() {
    let mut members = Members::of(&["a", "b", "c"]);
    members.set("a", "x", "kept").unwrap();
    members.assert_equal();
    let survivor = members.follower();
    let others: Vec<&'static str> = ["a", "b", "c"]
        .into_iter()
        .filter(|name| *name != survivor)
        .collect();
    let id = members.id(survivor);
    for name in ["a", "b", "c"] {
        members.stop(name);
    }
    let recovered = recover(&members.directory(survivor)).unwrap();
    assert_eq!((recovered.node_id, recovered.incarnation), (id, 2));
    assert_eq!(recovered.members.len(), 3);
    members.restart(survivor).unwrap();
    assert!(members.node(survivor).leads());
    assert!(members.node(survivor).view().get("x").is_some());
    members.set(survivor, "y", "after").unwrap();
    // Two of the old incarnation are a majority of it, and must not be of this one.
    members.restart(others[0]).unwrap();
    let left = members.node(survivor).cluster();
    assert_eq!((left.members.len(), left.incarnation), (1, 2));
    assert!(members.node(others[0]).view().get("y").is_none());
    assert!(matches!(
        members
            .node(others[0])
            .linearize(Duration::from_millis(500)),
        Err(TransactError::Unavailable(_))
    ));
    // It can come back as a new node.
    members.stop(others[0]);
    std::fs::remove_dir_all(members.directory(others[0])).unwrap();
    let name = others[0];
    let fresh = members.join(name).unwrap();
    assert!(fresh > id);
    members.wait_for_role(name, MemberRole::Voter);
    assert!(members.node(name).view().get("y").is_some());
}

#[test]
fn a_node_that_is_alone_has_nothing_to_recover() {
    let mut members = Members::new();
    members.stop("a");
    let refused = recover(&members.directory("a"));
    assert!(matches!(refused, Err(OpenError::Alone { .. })));
    members.restart("a").unwrap();
    members.set("a", "x", "y").unwrap();
}

/// Were something written that only the newer ones understand, the older ones would have to stop (databend
/// 19794).
#[test]
fn the_protocol_is_raised_when_the_last_member_speaks_it_and_no_older_one_joins_then() {
    const NEWER: u16 = PROTOCOL_MAX + 1;
    let mut members = Members::of(&["a", "b", "c"]);
    let agreed = |members: &Members| members.node("c").cluster().protocol;
    // Upgraded one after the other.
    members.protocol_max = NEWER;
    for name in ["a", "b"] {
        members.stop(name);
        members.restart(name).unwrap();
    }
    members.set("c", "x", "one").unwrap();
    let newer = members.node("a").cluster().members;
    let speak = newer.iter().filter(|state| {
        state
            .report
            .as_ref()
            .is_some_and(|report| report.protocol.1 == NEWER)
    });
    assert_eq!(speak.count(), 2);
    assert_eq!(agreed(&members), PROTOCOL_MAX);
    members.stop("c");
    members.restart("c").unwrap();
    eventually("the protocol is raised", || agreed(&members) == NEWER);
    members.set("a", "x", "two").unwrap();
    members.assert_equal();
    // It survives a restart of all, and who is too old is not let in.
    for name in ["a", "b", "c"] {
        members.stop(name);
    }
    for name in ["a", "b", "c"] {
        members.restart(name).unwrap();
    }
    members.set("b", "x", "three").unwrap();
    assert_eq!(agreed(&members), NEWER);
    let refused = members.join("d").unwrap_err().to_string();
    let wanted = format!(
        "it speaks versions 1 to {PROTOCOL_MAX} of the protocol, this cluster {NEWER} to {NEWER}"
    );
    assert!(refused.contains(&wanted), "{refused}");
}

/// A node that was left at the old version stops at what it does not understand, and says so.
#[test]
fn a_node_that_is_too_old_for_the_log_stops_and_says_why() {
    let mut members = Members::new();
    members.protocol_max = PROTOCOL_MAX + 1;
    members.stop("a");
    members.restart("a").unwrap();
    eventually("the protocol is raised", || {
        members.node("a").cluster().protocol == PROTOCOL_MAX + 1
    });
    members.stop("a");
    members.protocol_max = PROTOCOL_MAX;
    let older = members.restart("a");
    let said = match older {
        Err(error) => format!("{error} {:?}", std::error::Error::source(&error)),
        Ok(()) => members.node("a").status().failed.unwrap_or_default(),
    };
    assert!(said.contains("speaks version"), "{said}");
}
