//! Publishing to a part of the readers first.

use confman_repo::policy::request::{Stage, State, is_served};
use confman_repo::request::{DueOutcome, EditRequest, NewRequest, RequestInfo};
use confman_repo::{Error, ExpectedHead, Session};

use crate::requests::{REVIEWED, Team, approve, emergency, new, publish};
use crate::test_repo::{MINUTE_MS, ns, said};

const STAGES: [Stage; 2] = [
    Stage {
        percent: 10,
        for_ms: Some(10 * MINUTE_MS),
    },
    Stage {
        percent: 50,
        for_ms: Some(30 * MINUTE_MS),
    },
];

/// A namespace with a child; a request in two stages was approved and begun.
fn begun(stages: &[Stage]) -> (Team, u64) {
    let team = Team::of(&[("/a", REVIEWED), ("/a/b", "{}")]);
    team.set_past_review("/a", &["x=0"]);
    team.set_past_review("/a", &["x=1", "y=1"]);
    team.set_past_review("/a/b", &["own=1"]);
    team.draft("/a", "d", &["x=2", "-y", "z=2"]);
    let request = NewRequest {
        stages: stages.to_vec(),
        ..new(&[("/a", "d")])
    };
    let number = team.ann.create_request(&request).unwrap().number;
    approve(&team.cat, number).unwrap();
    let info = publish(&team.bob, number).unwrap();
    assert_eq!(info.state, State::RollingOut);
    (team, number)
}

/// A client that is served at this percentage, and not at the one below.
fn client(number: u64, percent: u8, not: u8) -> String {
    let all = (0..).map(|at| format!("pod-{at}"));
    let mut found =
        all.filter(|client| is_served(number, client, percent) && !is_served(number, client, not));
    found.next().unwrap()
}

/// What a client gets.
fn gets(team: &Team, namespace: &str, client: Option<&str>) -> String {
    let admin = &team.test.admin;
    let (reader, document) = admin.document_for(&ns(namespace), client).unwrap();
    if let Some(at_hand) = reader.document_for(client) {
        assert_eq!(at_hand.basis, document.basis);
    }
    let entries = document.entries.iter();
    let texts: Vec<String> = entries
        .map(|entry| format!("{}={}", entry.key, entry.value.as_str().unwrap()))
        .collect();
    texts.join(" ")
}

fn promote(who: &Session, number: u64) -> Result<RequestInfo, Error> {
    who.promote_request(number, None).map(|(info, _)| info)
}

/// When it was begun.
fn start(team: &Team, number: u64) -> i64 {
    let info = team.test.admin.request(number).unwrap();
    info.rollout.unwrap().begun.at_ms
}

fn run_at(team: &Team, at_ms: i64) -> Vec<DueOutcome> {
    team.test.clock.set(at_ms);
    let ran = team.test.repo.run_due().unwrap();
    ran.into_iter().map(|ran| ran.outcome).collect()
}

#[test]
fn a_part_of_the_readers_gets_it_then_more_then_all() {
    let (team, number) = begun(&STAGES);
    let first = client(number, 10, 0);
    let second = client(number, 50, 10);
    let last = client(number, 100, 50);
    let all = |team: &Team| {
        let of = |who: Option<&str>| gets(team, "/a", who);
        [
            of(None),
            of(Some(&first)),
            of(Some(&second)),
            of(Some(&last)),
        ]
    };
    let (old, new) = ("x=1 y=1".to_owned(), "x=2 z=2".to_owned());
    let table = |served: [bool; 4]| {
        served.map(|new_one| match new_one {
            true => new.clone(),
            false => old.clone(),
        })
    };
    assert_eq!(all(&team), table([false, true, false, false]));
    // What inherits it follows, for the same clients.
    assert_eq!(gets(&team, "/a/b", None), "own=1 x=1 y=1");
    assert_eq!(gets(&team, "/a/b", Some(&first)), "own=1 x=2 z=2");
    // Neither the published head nor the draft has moved.
    assert_eq!(team.test.show("/a", "published"), "x=1 y=1");
    assert_eq!(team.test.show("/a", "draft/d"), "x=2 z=2");

    let start = start(&team, number);
    let repo = &team.test.repo;
    assert_eq!(repo.next_due().unwrap(), Some(start + 10 * MINUTE_MS));
    assert_eq!(run_at(&team, start + 10 * MINUTE_MS - 1), []);
    assert_eq!(
        run_at(&team, start + 10 * MINUTE_MS),
        [DueOutcome::Advanced]
    );
    assert_eq!(all(&team), table([false, true, true, false]));
    let rollout = team.test.admin.request(number).unwrap().rollout.unwrap();
    assert_eq!(
        (rollout.stage, rollout.percent, rollout.next_ms),
        (1, 50, Some(start + 40 * MINUTE_MS))
    );

    assert_eq!(
        run_at(&team, start + 40 * MINUTE_MS),
        [DueOutcome::Advanced]
    );
    assert_eq!(all(&team), table([true, true, true, true]));
    assert_eq!(team.state(number), State::Published);
    assert_eq!(team.test.show("/a", "published"), "x=2 z=2");
    assert_eq!(run_at(&team, start + 90 * MINUTE_MS), []);
}

#[test]
fn promote_and_abort_end_it_at_once() {
    let (team, number) = begun(&[Stage {
        percent: 10,
        for_ms: None,
    }]);
    let first = client(number, 10, 0);
    assert_eq!(team.test.repo.next_due().unwrap(), None);
    insta::assert_snapshot!(said(promote(&team.ann, number)), @"not allowed in `/a`: config:publish needs role publisher, the highest here is editor");
    let aborted = team.bob.abort_request(number, "errors").unwrap();
    assert_eq!(
        (aborted.state, aborted.reason.as_deref()),
        (State::Suspended, Some("errors"))
    );
    assert_eq!(gets(&team, "/a", Some(&first)), "x=1 y=1");
    insta::assert_snapshot!(said(promote(&team.bob, number)), @"publish request #4: it is suspended; promote is not possible then");

    team.ann
        .edit_request(number, &EditRequest::default())
        .unwrap();
    approve(&team.cat, number).unwrap();
    publish(&team.bob, number).unwrap();
    assert_eq!(gets(&team, "/a", Some(&first)), "x=2 z=2");
    let promoted = promote(&team.bob, number).unwrap();
    assert_eq!((promoted.state, promoted.rollout), (State::Published, None));
    assert_eq!(team.test.show("/a", "published"), "x=2 z=2");
    insta::assert_snapshot!(said(team.bob.abort_request(number, "late")), @"publish request #4: it is published; abort is not possible then, roll back or make a new one to change it");
}

#[test]
fn nothing_else_moves_the_head_meanwhile() {
    let (team, number) = begun(&STAGES);
    let refused =
        "publish request #4 is published to 10 % of the readers of `/a`; promote or abort it first";
    let directly = team
        .test
        .draft("/a", "other", &["w=1"])
        .and_then(|_| team.test.publish("/a", "other"));
    // Review stands before it, as always.
    assert!(said(directly).contains("needs 1 approval"));
    team.draft("/a", "e", &["v=1"]);
    let second = team.ask("/a", "e");
    approve(&team.cat, second).unwrap();
    assert_eq!(said(publish(&team.bob, second)), refused);
    assert_eq!(said(emergency(&team.bob, second, "fire")), refused);
    assert_eq!(said(team.test.rollback("/a", "published~1")), refused);
    let gone = team
        .test
        .admin
        .delete_namespace(&ns("/a"), true, ExpectedHead::Any);
    assert_eq!(said(gone), refused);
    // An emergency of the same request gives it to all.
    emergency(&team.bob, number, "fire").unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=2 z=2");
    publish(&team.bob, second).unwrap();
    assert_eq!(team.test.show("/a", "published"), "v=1 x=2 z=2");
}

#[test]
fn what_changed_meanwhile_is_not_promoted() {
    let (team, number) = begun(&STAGES);
    let start = start(&team, number);
    let first = client(number, 10, 0);
    team.draft("/a", "d", &["x=3"]);
    insta::assert_snapshot!(said(promote(&team.bob, number)), @"publish request #4: it changed since it was published to a part of its readers; abort, look at it again and publish it anew");
    // It does not go on by itself either: it is taken back, and the reason is said.
    let outcomes = run_at(&team, start + 10 * MINUTE_MS);
    assert!(matches!(outcomes.as_slice(), [DueOutcome::Suspended(_)]));
    assert_eq!(team.state(number), State::Suspended);
    assert_eq!(gets(&team, "/a", Some(&first)), "x=1 y=1");
}

#[test]
fn it_goes_on_with_the_rights_of_who_began_it() {
    let (team, number) = begun(&STAGES);
    let start = start(&team, number);
    team.grant(
        "/a",
        serde_json::json!({ "editor": ["ann", "bob"], "publisher": ["cat", "dan"] }),
    );
    let outcomes = run_at(&team, start + 10 * MINUTE_MS);
    let [DueOutcome::Suspended(reason)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert!(reason.contains("config:publish"), "{reason}");
    assert_eq!(team.state(number), State::Suspended);
}

#[test]
fn readers_are_told_at_every_step() {
    let (team, number) = begun(&STAGES);
    let start = start(&team, number);
    let mut following = team.test.admin.follow(&ns("/a/b")).unwrap();
    let before = following.basis();
    run_at(&team, start + 10 * MINUTE_MS);
    promote(&team.bob, number).unwrap();
    let until = team.test.repo.node().view().sequence();
    let moves = following.catch_up(until).unwrap();
    let told: Vec<_> = moves
        .iter()
        .map(|it| (it.basis == before, it.keys.is_none()))
        .collect();
    assert_eq!(told, [(true, true), (false, true)]);
}

#[test]
fn stages_that_cannot_be_are_refused_and_void_approvals_when_they_change() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let wrong = NewRequest {
        stages: vec![STAGES[1], STAGES[0]],
        ..new(&[("/a", "d")])
    };
    insta::assert_snapshot!(said(team.ann.create_request(&wrong)), @"publish request is not valid: a stage is for more readers than the one before, which is for 50 percent at `/stages/1`");
    let number = team.ask("/a", "d");
    approve(&team.cat, number).unwrap();
    let edit = EditRequest {
        stages: Some(STAGES.to_vec()),
        ..EditRequest::default()
    };
    let edited = team.ann.edit_request(number, &edit).unwrap();
    assert_eq!(
        (edited.state, edited.stages.len()),
        (State::PendingReview, 2)
    );
}
