//! Requests that publish themselves.

use std::sync::Arc;

use confman_repo::policy::request::State;
use confman_repo::refs::Node;
use confman_repo::request::{DueOutcome, EditRequest, RequestInfo};
use confman_repo::{Error, ManualClock, Repo, RepoOptions, Session};
use serde_json::json;

use crate::requests::{REVIEWED, Team, approve, publish, reject};
use crate::test_repo::{MINUTE_MS, NOON_MS, key, ns, options, said};

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// An approved request, scheduled by `bob` an hour after noon.
fn scheduled(settings: &str) -> (Team, u64) {
    let team = Team::new(settings);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.cat, number).unwrap();
    let info = schedule(&team.bob, number, NOON_MS + HOUR_MS).unwrap();
    assert_eq!(info.state, State::Scheduled);
    (team, number)
}

fn schedule(who: &Session, number: u64, at_ms: i64) -> Result<RequestInfo, Error> {
    who.schedule_request(number, Some(at_ms), None)
}

/// What becomes of the request when it is due, in one line.
fn due(team: &Team, number: u64) -> String {
    team.test.clock.set(NOON_MS + HOUR_MS);
    let ran = team.test.repo.run_due().unwrap();
    assert!(ran.iter().all(|ran| ran.number == number));
    let info = team.test.admin.request(number).unwrap();
    let outcomes: Vec<String> = ran
        .into_iter()
        .map(|ran| match ran.outcome {
            DueOutcome::Published => "published".to_owned(),
            DueOutcome::Advanced => "advanced".to_owned(),
            DueOutcome::Suspended(reason) => {
                assert_eq!(info.reason.as_ref(), Some(&reason));
                format!("suspended: {reason}")
            }
            DueOutcome::Later(reason) => format!("later: {reason}"),
        })
        .collect();
    format!("{} [{}]", info.state, outcomes.join(", "))
}

#[test]
fn what_is_due_is_published_once_with_the_rights_of_who_scheduled_it() {
    let (team, number) = scheduled(REVIEWED);
    let repo = &team.test.repo;
    assert_eq!(repo.next_due().unwrap(), Some(NOON_MS + HOUR_MS));
    team.test.clock.set(NOON_MS + HOUR_MS - 1);
    assert!(repo.run_due().unwrap().is_empty());
    assert_eq!(team.test.show("/a", "published"), "");
    assert_eq!(due(&team, number), "published [published]");
    assert_eq!(team.test.show("/a", "published"), "x=1");
    assert_eq!(
        (repo.run_due().unwrap(), repo.next_due().unwrap()),
        (vec![], None)
    );
    let operations = team
        .test
        .admin
        .operations(&Default::default(), None, 1)
        .unwrap();
    let newest = &operations.operations[0].operation;
    assert_eq!(
        (newest.action.as_str(), newest.actor.as_str()),
        ("request.publish-scheduled", "bob")
    );
}

#[test]
fn a_schedule_survives_a_restart_and_fires_when_it_is_overdue() {
    let (team, number) = scheduled(REVIEWED);
    let directory = team.test.directory;
    team.test.repo.node().close();
    drop((team.test.repo, team.test.admin));
    drop((team.ann, team.bob, team.cat, team.dan));
    let clock = Arc::new(ManualClock::new(NOON_MS + 5 * HOUR_MS));
    let node = Node::open(&options(directory.path())).unwrap();
    let repo = Repo::open(Arc::new(node), clock, RepoOptions::default());
    let ran = repo.run_due().unwrap();
    assert_eq!(ran.len(), 1);
    assert_eq!(
        (ran[0].number, &ran[0].outcome),
        (number, &DueOutcome::Published)
    );
    assert!(repo.run_due().unwrap().is_empty());
}

#[test]
fn it_is_scheduled_only_where_it_could_be_published_then() {
    let team = Team::new(
        r#"{"requireApproval": true, "freeze": [{"from": "2026-11-24T14:00:00Z", "until": "2026-11-24T15:00:00Z"}]}"#,
    );
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    insta::assert_snapshot!(said(schedule(&team.bob, number, NOON_MS + HOUR_MS)), @"publish request #1: `/a` needs 1 approval, it has 0");
    approve(&team.cat, number).unwrap();
    insta::assert_snapshot!(said(schedule(&team.ann, number, NOON_MS + HOUR_MS)), @"not allowed in `/a`: config:publish needs role publisher, the highest here is editor");
    insta::assert_snapshot!(said(schedule(&team.bob, number, NOON_MS)), @"publish request #1: the time to publish must be in the future");
    insta::assert_snapshot!(said(schedule(&team.bob, number, NOON_MS + 2 * HOUR_MS)), @"publish request #1: `/a` is frozen until 2026-11-24T15:00:00Z");
    schedule(&team.bob, number, NOON_MS + HOUR_MS).unwrap();
    // It can be put off, and taken back by whoever submitted it.
    schedule(&team.dan, number, NOON_MS + 4 * HOUR_MS).unwrap();
    assert_eq!(
        team.test.repo.next_due().unwrap(),
        Some(NOON_MS + 4 * HOUR_MS)
    );
    let open = team.ann.schedule_request(number, None, None).unwrap();
    assert_eq!((open.state, open.schedule), (State::Approved, None));
    assert_eq!(team.test.repo.next_due().unwrap(), None);
}

#[test]
fn what_is_pushed_after_the_schedule_is_not_published() {
    let (team, number) = scheduled(REVIEWED);
    team.draft("/a", "d", &["x=evil"]);
    // Not even if it is approved: what was scheduled is what is published.
    approve(&team.cat, number).unwrap();
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: it changed since it was scheduled; look at it again and schedule it anew]");
    assert_eq!(team.test.show("/a", "published"), "");
}

#[test]
fn an_edit_drops_the_schedule_with_the_approvals() {
    let (team, number) = scheduled(REVIEWED);
    team.draft("/a", "e", &["y=1"]);
    let edit = EditRequest {
        title: Some("other".to_owned()),
        ..EditRequest::default()
    };
    let info = team.ann.edit_request(number, &edit).unwrap();
    assert_eq!((info.state, info.schedule), (State::PendingReview, None));
    assert_eq!(due(&team, number), "pending_review []");
}

#[test]
fn what_does_not_hold_any_more_suspends_it() {
    let (team, number) = scheduled(REVIEWED);
    team.grant("/a", json!({"publisher": ["cat", "dan"]}));
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: `bob`, who scheduled it, may not publish it any more]");

    let (team, number) = scheduled(REVIEWED);
    team.grant("/a", json!({"publisher": ["bob", "dan"]}));
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: `/a` needs 1 approval, it has 0; that of `cat` does not count: `cat` does not have publish-request:approve now]");

    let (team, number) = scheduled(REVIEWED);
    let freeze = json!([{"from": "2026-11-24T12:30:00Z", "until": "2026-11-25T00:00:00Z"}]);
    team.set("/a", json!({ "freeze": freeze }));
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: `/a` is frozen until 2026-11-25T00:00:00Z]");

    let (team, number) = scheduled(REVIEWED);
    team.set_past_review("/a", &["x=9"]);
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: `x` changed in `/a` since the draft began]");

    let (team, number) = scheduled(REVIEWED);
    team.set("/a", json!({"minApprovers": 2}));
    insta::assert_snapshot!(due(&team, number), @"suspended [suspended: `/a` needs 2 approvals, it has 1]");
    // Asked for again, it starts anew.
    let info = team
        .ann
        .edit_request(number, &EditRequest::default())
        .unwrap();
    assert_eq!(info.state, State::PendingReview);
    approve(&team.cat, number).unwrap();
    approve(&team.dan, number).unwrap();
    publish(&team.bob, number).unwrap();
}

#[test]
fn what_is_rejected_or_withdrawn_does_not_fire() {
    let (team, number) = scheduled(REVIEWED);
    reject(&team.dan, number, "wait").unwrap();
    assert_eq!(due(&team, number), "rejected []");
    let (team, number) = scheduled(REVIEWED);
    team.ann.withdraw_request(number, "").unwrap();
    assert_eq!(due(&team, number), "withdrawn []");
    let (team, number) = scheduled(REVIEWED);
    publish(&team.dan, number).unwrap();
    assert_eq!(due(&team, number), "published []");
    assert_eq!(team.test.history("/a", "x"), "v1 @1 1");
    let _ = (key("x"), ns("/a"));
}

#[test]
fn two_schedulers_at_once_fire_once() {
    let (team, number) = scheduled(REVIEWED);
    team.test.clock.set(NOON_MS + HOUR_MS);
    let ran: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| team.test.repo.run_due().unwrap()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let published = ran
        .iter()
        .filter(|ran| ran.outcome == DueOutcome::Published)
        .count();
    assert_eq!((published, ran.len()), (1, 1), "{ran:?}");
    assert_eq!(team.state(number), State::Published);
}
