//! Attempts to publish what nobody approved, each refused.

use confman_repo::model::document::RoleName;
use confman_repo::model::{GroupDocument, Scope};
use confman_repo::policy::request::State;
use confman_repo::request::{EditRequest, RequestFilter};
use confman_repo::{Error, ExpectedHead, NewToken, PushEdit, PushRequest, PushTarget, Rollback};
use serde_json::json;

use crate::requests::{REVIEWED, Team, approve, approve_seen, document, emergency, new, publish};
use crate::test_repo::{MINUTE_MS, change, key, name, ns, rev, said};

#[test]
fn what_is_pushed_after_the_approval_is_not_approved() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    assert_eq!(team.state(number), State::Approved);
    team.draft("/a", "d", &["x=evil"]);
    assert_eq!(team.state(number), State::PendingReview);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    assert_eq!(team.test.show("/a", "published"), "");
}

#[test]
fn what_was_shown_and_moved_is_not_approved() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    let shown = team.bob.request(number).unwrap().proposal;
    let head = team.bob.request(number).unwrap().targets[0].head;
    team.draft("/a", "d", &["x=evil"]);
    insta::assert_snapshot!(said(approve_seen(&team.bob, number, shown)), @"publish request #1: it is not as it was shown to you; look at it again");
    insta::assert_snapshot!(said(approve_seen(&team.bob, number, head)), @"publish request #1: it is not as it was shown to you; look at it again");
    insta::assert_snapshot!(said(approve_seen(&team.bob, number, None)), @"review is not valid: an approval states the `proposal` of the request as it was shown at `/expectedHead`");
    // The head alone is enough where nothing else could have been shown.
    let head = team.bob.request(number).unwrap().targets[0].head;
    approve_seen(&team.bob, number, head).unwrap();
}

#[test]
fn other_keys_or_another_title_void_what_was_approved() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1", "y=evil"]);
    let mut only_x = new(&[("/a", "d")]);
    only_x.targets[0].keys = Some([key("x")].into());
    let number = team.ann.create_request(&only_x).unwrap().number;
    let head = team.bob.request(number).unwrap().targets[0].head;
    approve(&team.bob, number).unwrap();
    let all = EditRequest {
        keys: vec![(ns("/a"), None)],
        ..EditRequest::default()
    };
    team.ann.edit_request(number, &all).unwrap();
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    // The head is the same, so it does not tell what was shown.
    insta::assert_snapshot!(said(approve_seen(&team.bob, number, head)), @"publish request #1: it is not as it was shown to you; look at it again");
    approve(&team.bob, number).unwrap();
    let renamed = EditRequest {
        title: Some("harmless".to_owned()),
        ..EditRequest::default()
    };
    team.ann.edit_request(number, &renamed).unwrap();
    assert_eq!(team.state(number), State::PendingReview);
}

#[test]
fn an_approver_who_was_demoted_does_not_count() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    team.grant("/a", json!({"publisher": ["cat"], "viewer": ["bob"]}));
    insta::assert_snapshot!(said(publish(&team.cat, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` does not have publish-request:approve now");
    // Whoever published in the meantime may not either.
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"there is no publish request `#1`");
    team.grant("/a", json!({"publisher": ["bob", "cat"]}));
    publish(&team.cat, number).unwrap();
}

#[test]
fn authors_do_not_approve_their_own_work_with_any_token_or_through_others() {
    let team = Team::new(REVIEWED);
    // `bob` writes, `ann` asks.
    team.bob
        .change_draft(&ns("/a"), &change("d", &["x=1"]))
        .unwrap();
    let number = team.ask("/a", "d");
    insta::assert_snapshot!(said(approve(&team.bob, number)), @"publish request #1: an approval of `bob` would not count: in `/a` `bob` submitted or changed it; ask somebody else");
    let other_token = team
        .test
        .with_token(&NewToken::unlimited("bob".parse().unwrap()));
    insta::assert_snapshot!(said(approve(&other_token, number)), @"publish request #1: an approval of `bob` would not count: in `/a` `bob` submitted or changed it; ask somebody else");
    // Approved first and committed afterwards, in a draft that ends where it was.
    let number = {
        team.draft("/a", "e", &["y=1"]);
        team.ask("/a", "e")
    };
    approve(&team.bob, number).unwrap();
    team.bob
        .change_draft(&ns("/a"), &change("e", &["z=1"]))
        .unwrap();
    team.bob
        .change_draft(&ns("/a"), &change("e", &["-z"]))
        .unwrap();
    insta::assert_snapshot!(said(approve(&team.bob, number)), @"publish request #2: an approval of `bob` would not count: in `/a` `bob` submitted or changed it; ask somebody else");
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #2: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    team.set("/a", json!({"allowSelfApproval": true}));
    approve(&team.bob, number).unwrap();
    publish(&team.bob, number).unwrap();
}

#[test]
fn a_request_has_no_way_to_another_namespace() {
    let team = Team::of(&[("/a", "{}"), ("/b", REVIEWED)]);
    team.draft("/a", "d", &["x=1"]);
    team.draft("/b", "d", &["x=evil"]);
    let number = team.ask("/a", "d");
    let moved = EditRequest {
        keys: vec![(ns("/b"), None)],
        ..EditRequest::default()
    };
    insta::assert_snapshot!(said(team.ann.edit_request(number, &moved)), @"edit of the publish request is not valid: it is not about `/b`, and cannot be moved there; withdraw it and make another");
    publish(&team.bob, number).unwrap();
    assert_eq!(team.test.show("/b", "published"), "");
}

#[test]
fn a_draft_that_was_deleted_and_made_again_is_another() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    team.ann
        .delete_draft(&ns("/a"), &name("d"), ExpectedHead::Any)
        .unwrap();
    assert_eq!(team.state(number), State::PendingReview);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: a draft of it is gone; make the draft again, or withdraw the request");
    insta::assert_snapshot!(said(emergency(&team.bob, number, "fire")), @"publish request #1: a draft of it is gone; make the draft again, or withdraw the request");
    team.draft("/a", "d", &["x=evil"]);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    // The same content by another commit was not approved either.
    team.draft("/a", "d", &["x=1"]);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    assert_eq!(team.test.show("/a", "published"), "");
}

#[test]
fn a_roll_back_needs_its_permission_and_content_that_was_published() {
    let team = Team::new(REVIEWED);
    team.set_past_review("/a", &["x=1"]);
    team.set_past_review("/a", &["x=2"]);
    team.draft("/a", "d", &["x=evil"]);
    let back = |to: &str| Rollback {
        to: rev(to),
        keys: None,
        expected_head: ExpectedHead::Any,
        message: None,
        emergency: None,
        acknowledge_deprecated: false,
    };
    insta::assert_snapshot!(said(team.ann.rollback(&ns("/a"), &back("published~1"))), @"not allowed in `/a`: config:rollback needs role publisher, the highest here is editor");
    insta::assert_snapshot!(said(team.bob.rollback(&ns("/a"), &back("draft/d"))), @"revision `draft/d` is not valid: it was never published; publish a draft instead");
    let number = team.ask("/a", "d");
    insta::assert_snapshot!(said(team.bob.rollback(&ns("/a"), &back(&format!("#{number}")))), @"revision `#3` is not valid: it was never published; publish a draft instead");
    team.bob.rollback(&ns("/a"), &back("published~1")).unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=1");
}

#[test]
fn nothing_is_published_directly_where_review_is_asked_for() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    insta::assert_snapshot!(said(team.bob.change_and_publish(&ns("/a"), &change("e", &["x=1"]))), @"publishing in `/a` directly: `/a` needs 1 approval, it has 0");
    insta::assert_snapshot!(said(team.test.publish("/a", "d")), @"publishing in `/a` directly: `/a` needs 1 approval, it has 0");
    // Not even an admin pushes past it.
    let head = team.ann.draft(&ns("/a"), &name("d")).unwrap().head;
    let push = PushRequest {
        edits: vec![PushEdit {
            namespace: ns("/a"),
            target: PushTarget::Published,
            expect: None,
            new: head,
        }],
        import: None,
        message: None,
    };
    let empty = confman_repo::objects::pack::pack_of(&[]);
    let pushed = team.test.admin.push(&ns("/a"), &push, empty.as_slice());
    insta::assert_snapshot!(said(pushed), @"publishing in `/a` directly: `/a` needs 1 approval, it has 0");
    assert_eq!(team.test.show("/a", "published"), "");
}

#[test]
fn a_namespace_that_was_made_again_knows_nothing_of_what_was_approved() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    team.test
        .admin
        .delete_namespace(&ns("/a"), false, ExpectedHead::Any)
        .unwrap();
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"there is no publish request `#1`");
    // Not even its admin sees it, and the list goes on without it.
    insta::assert_snapshot!(said(team.test.admin.request(number)), @"there is no publish request `#1`");
    let all = team
        .test
        .admin
        .requests(&RequestFilter::default(), None, 10)
        .unwrap();
    assert!(all.requests.is_empty() && all.filtered);
    team.test.clock.advance(MINUTE_MS);
    team.test
        .admin
        .create_namespace(document("/a", REVIEWED))
        .unwrap();
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: a draft of it is gone; make the draft again, or withdraw the request");
    team.draft("/a", "d", &["x=1"]);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    assert_eq!(team.test.show("/a", "published"), "");
}

#[test]
fn what_moves_between_the_look_and_the_effect_is_looked_at_again() {
    // Two publishers, a pusher and somebody who changes the grants, all at once: whatever was published
    // in the end had been approved as it is.
    for round in 0..8 {
        let team = Team::new(REVIEWED);
        team.draft("/a", "d", &["x=good"]);
        let number = team.ask("/a", "d");
        approve(&team.bob, number).unwrap();
        let outcomes = std::thread::scope(|scope| {
            let publishers: Vec<_> = [&team.cat, &team.dan]
                .into_iter()
                .map(|who| scope.spawn(move || publish(who, number).map(|_| ())))
                .collect();
            let ann = &team.ann;
            let pusher = scope.spawn(move || {
                ann.change_draft(&ns("/a"), &change("d", &[&format!("x=evil{round}")]))
                    .map(|_| ())
            });
            let outcomes: Vec<Result<(), Error>> = publishers
                .into_iter()
                .map(|it| it.join().unwrap())
                .collect();
            pusher.join().unwrap().unwrap();
            outcomes
        });
        let published = team.test.show("/a", "published");
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        match done {
            0 => assert_eq!(published, ""),
            1 => assert_eq!(published, "x=good"),
            _ => panic!("published twice"),
        }
    }
}

fn group(team: &Team, group: &str, members: &[&str]) -> String {
    let document = GroupDocument {
        members: members
            .iter()
            .map(|member| member.parse().unwrap())
            .collect(),
        description: String::new(),
    };
    said(
        team.test
            .admin
            .put_group(&group.parse().unwrap(), &document, ExpectedHead::Any),
    )
}

#[test]
fn approvers_are_the_members_that_the_group_has_when_it_is_published() {
    let team = Team::new(r#"{"requireApproval": true, "approvers": "group:leads"}"#);
    assert_eq!(group(&team, "leads", &["bob"]), "ok");
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    insta::assert_snapshot!(said(approve(&team.cat, number)), @"publish request #1: an approval of `cat` would not count: in `/a` `cat` is not in `leads`; ask somebody else");
    approve(&team.bob, number).unwrap();
    assert_eq!(group(&team, "leads", &["cat"]), "ok");
    insta::assert_snapshot!(said(publish(&team.dan, number)), @"publish request #1: `/a` needs 1 approval, it has 0; approvers are the members of `group:leads`; that of `bob` does not count: `bob` is not in `leads`");
    // A group that contains itself, or one that contains it, makes nobody a member.
    insta::assert_snapshot!(group(&team, "leads", &["group:leads", "cat"]), @"group `leads` is not valid: it would contain itself: leads → leads at `/members`");
    assert_eq!(group(&team, "others", &["group:leads"]), "ok");
    insta::assert_snapshot!(group(&team, "leads", &["group:others"]), @"group `leads` is not valid: it would contain itself: leads → others → leads at `/members`");
    approve(&team.cat, number).unwrap();
    publish(&team.dan, number).unwrap();
}

#[test]
fn a_token_of_less_approves_and_publishes_no_more_than_it_leaves() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    let scoped = |who: &str| {
        let scope = Scope {
            namespace: ns("/a"),
            role: RoleName::Editor,
        };
        team.test.with_token(&NewToken {
            scope: Some(scope),
            ..NewToken::unlimited(who.parse().unwrap())
        })
    };
    insta::assert_snapshot!(said(approve(&scoped("bob"), number)), @"not allowed in `/a`: publish-request:approve needs role publisher, the token is only for editor in /a");
    approve(&team.bob, number).unwrap();
    insta::assert_snapshot!(said(publish(&scoped("cat"), number)), @"not allowed in `/a`: config:publish needs role publisher, the token is only for editor in /a");
    insta::assert_snapshot!(said(emergency(&scoped("cat"), number, "fire")), @"not allowed in `/a`: config:publish needs role publisher, the token is only for editor in /a");
    publish(&team.cat, number).unwrap();
}

#[test]
fn who_edits_a_request_does_not_approve_it() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1", "y=1"]);
    let number = team.ask("/a", "d");
    let only_x = EditRequest {
        keys: vec![(ns("/a"), Some([key("x")].into()))],
        ..EditRequest::default()
    };
    team.bob.edit_request(number, &only_x).unwrap();
    insta::assert_snapshot!(said(approve(&team.bob, number)), @"publish request #1: an approval of `bob` would not count: in `/a` `bob` submitted or changed it; ask somebody else");
    approve(&team.cat, number).unwrap();
}

#[test]
fn taking_a_value_away_by_a_tombstone_is_a_removal() {
    let team = Team::new(
        r#"{"requireApproval": true, "autoApprove": [{"name": "additions", "changes": ["add", "change"]}]}"#,
    );
    team.draft("/a", "d", &["x=1"]);
    publish(&team.ann, team.ask("/a", "d")).unwrap_err();
    publish(&team.bob, 1).unwrap();
    team.draft("/a", "e", &["!x"]);
    let number = team.ask("/a", "e");
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #2: `/a` needs 1 approval, it has 0");
}
