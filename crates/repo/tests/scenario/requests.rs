//! Publish requests from the first draft to what is published, and everything that is refused.

use confman_repo::namespace::DocumentChange;
use confman_repo::policy::request::{State, Verdict};
use confman_repo::request::{
    EditRequest, NewRequest, NewReview, NewTarget, PublishRequest, RequestFilter, RequestInfo,
};
use confman_repo::{Error, ExpectedHead, NamespaceDocument, NewToken, Publish, Rollback, Session};

use crate::test_repo::{MINUTE_MS, TestRepo, change, key, name, ns, rev, said};

/// A namespace that asks for review, an editor `ann`, publishers `bob`, `cat` and `dan`.
pub struct Team {
    pub test: TestRepo,
    pub ann: Session,
    pub bob: Session,
    pub cat: Session,
    pub dan: Session,
}

/// The document of a team's namespace; `settings` as JSON.
pub fn document(path: &str, settings: &str) -> NamespaceDocument {
    let text = format!(
        r#"{{"path": "{path}", "roles": {{"editor": ["ann"], "publisher": ["bob", "cat", "dan"]}}, "settings": {settings}}}"#
    );
    NamespaceDocument::from_text(&text).unwrap()
}

impl Team {
    pub fn new(settings: &str) -> Self {
        Self::of(&[("/a", settings)])
    }

    pub fn of(namespaces: &[(&str, &str)]) -> Self {
        let test = TestRepo::new();
        let [ann, bob, cat, dan] =
            ["ann", "bob", "cat", "dan"].map(|person| test.principal(person));
        for (path, settings) in namespaces {
            test.admin
                .create_namespace(document(path, settings))
                .unwrap();
        }
        Self {
            test,
            ann,
            bob,
            cat,
            dan,
        }
    }

    /// Changes a draft as `ann`.
    pub fn draft(&self, namespace: &str, draft: &str, changes: &[&str]) {
        self.test.clock.advance(MINUTE_MS);
        self.ann
            .change_draft(&ns(namespace), &change(draft, changes))
            .unwrap();
    }

    /// Asks for a draft to be published, as `ann`.
    pub fn ask(&self, namespace: &str, draft: &str) -> u64 {
        self.ann
            .create_request(&new(&[(namespace, draft)]))
            .unwrap()
            .number
    }

    /// Publishes at once, whatever the rules say.
    pub fn set_past_review(&self, namespace: &str, changes: &[&str]) {
        self.test.draft(namespace, "past", changes).unwrap();
        let publish = Publish {
            draft: name("past"),
            expected_head: ExpectedHead::Any,
            keys: None,
            message: None,
            emergency: Some("a test".to_owned()),
            acknowledge_deprecated: false,
        };
        self.test.admin.publish(&ns(namespace), &publish).unwrap();
    }

    /// Changes the settings of a namespace.
    pub fn set(&self, namespace: &str, settings: serde_json::Value) {
        self.patch(namespace, serde_json::json!({ "settings": settings }));
    }

    /// Changes who holds a role.
    pub fn grant(&self, namespace: &str, roles: serde_json::Value) {
        self.patch(namespace, serde_json::json!({ "roles": roles }));
    }

    fn patch(&self, namespace: &str, patch: serde_json::Value) {
        let change = DocumentChange::Merge(patch);
        self.test
            .admin
            .update_namespace(&ns(namespace), &change, ExpectedHead::Any, false)
            .unwrap();
    }

    pub fn state(&self, number: u64) -> State {
        self.test.admin.request(number).unwrap().state
    }
}

pub const REVIEWED: &str = r#"{"requireApproval": true}"#;

pub fn new(targets: &[(&str, &str)]) -> NewRequest {
    NewRequest {
        title: "raise the limit".to_owned(),
        description: String::new(),
        targets: targets
            .iter()
            .map(|(namespace, draft)| NewTarget {
                namespace: ns(namespace),
                draft: name(draft),
                expected_head: ExpectedHead::Any,
                keys: None,
            })
            .collect(),
        stages: Vec::new(),
    }
}

/// Approves what is there now.
pub fn approve(who: &Session, number: u64) -> Result<RequestInfo, Error> {
    let seen = who.request(number)?.proposal;
    approve_seen(who, number, seen)
}

pub fn approve_seen(
    who: &Session,
    number: u64,
    seen: Option<confman_repo::objects::ObjectId>,
) -> Result<RequestInfo, Error> {
    let review = NewReview {
        verdict: Verdict::Approve,
        comment: String::new(),
        seen,
    };
    who.review_request(number, &review)
}

pub fn reject(who: &Session, number: u64, comment: &str) -> Result<RequestInfo, Error> {
    let review = NewReview {
        verdict: Verdict::Reject,
        comment: comment.to_owned(),
        seen: None,
    };
    who.review_request(number, &review)
}

pub fn publish(who: &Session, number: u64) -> Result<RequestInfo, Error> {
    let publish = PublishRequest::default();
    who.publish_request(number, &publish).map(|(info, _)| info)
}

pub fn emergency(who: &Session, number: u64, reason: &str) -> Result<RequestInfo, Error> {
    let publish = PublishRequest {
        emergency: Some(reason.to_owned()),
        ..PublishRequest::default()
    };
    who.publish_request(number, &publish).map(|(info, _)| info)
}

#[test]
fn a_request_is_submitted_approved_and_published() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1", "y=1"]);
    let number = team.ask("/a", "d");
    assert_eq!((number, team.state(number)), (1, State::PendingReview));
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0");
    assert_eq!(approve(&team.bob, number).unwrap().state, State::Approved);
    let done = publish(&team.cat, number).unwrap();
    assert_eq!(done.state, State::Published);
    assert_eq!(team.test.show("/a", "published"), "x=1 y=1");
    assert!(team.test.admin.drafts(&ns("/a")).unwrap().is_empty());

    let commit = team
        .test
        .admin
        .commit(&ns("/a"), &rev("published"))
        .unwrap();
    assert_eq!(commit.commit.request, Some(1));
    assert_eq!(commit.commit.author.principal, "ann");
    assert_eq!(commit.commit.committer.principal, "cat");
    assert_eq!(commit.commit.message, "raise the limit (#1)");
    let published = done.published.unwrap();
    assert_eq!(published.published.by, "cat");
    assert_eq!(published.approved_by, [(ns("/a"), vec!["bob".to_owned()])]);
    let changes: Vec<_> = done.targets[0]
        .changes
        .iter()
        .map(|change| {
            (
                change.key.to_string(),
                change.from_version,
                change.to_version,
            )
        })
        .collect();
    assert_eq!(changes, [("x".to_owned(), 0, 1), ("y".to_owned(), 0, 1)]);
    // What was published is the request's for good, whatever becomes of the namespace.
    team.draft("/a", "d", &["x=2"]);
    let again = team.test.admin.request(1).unwrap();
    assert_eq!(again.targets[0].changes.len(), 2);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: it is published; publish is not possible then, roll back or make a new one to change it");
}

#[test]
fn what_a_request_changes_is_shown_with_versions() {
    let team = Team::new("{}");
    team.test.set("/a", &["x=1", "y=1", "z=1"]);
    team.test.set("/a", &["x=2"]);
    team.draft("/a", "d", &["x=3", "-y", "new=1"]);
    let number = team.ask("/a", "d");
    let info = team.ann.request(number).unwrap();
    let shown: Vec<String> = info.targets[0]
        .changes
        .iter()
        .map(|change| {
            let value = |side: &Option<confman_repo::TreeEntry>| match side {
                Some(entry) => entry.value.as_ref().unwrap().as_str().unwrap().to_owned(),
                None => "-".to_owned(),
            };
            format!(
                "{} v{}→v{} {} → {}",
                change.key,
                change.from_version,
                change.to_version,
                value(&change.old),
                value(&change.new)
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    new v0→v1 - → 1
    x v2→v3 2 → 3
    y v1→v2 1 → -
    ");
    let diff = team.ann.request_diff(number, None, None, 2).unwrap();
    assert_eq!(diff.changes.len(), 2);
    let rest = team
        .ann
        .request_diff(number, Some(&ns("/a")), diff.next.as_ref(), 2)
        .unwrap();
    assert_eq!((rest.changes.len(), rest.next), (1, None));
    // Without a review that is asked for, it can be published at once.
    assert_eq!(info.state, State::Approved);
    let resolved = team.ann.resolve(&ns("/a"), &rev("#1")).unwrap();
    assert_eq!(resolved.commit, info.targets[0].head);
    insta::assert_snapshot!(said(team.ann.resolve(&ns("/"), &rev("#1"))), @"there is no namespace `/`");
    insta::assert_snapshot!(said(team.ann.resolve(&ns("/a"), &rev("#2"))), @"there is no publish request `#2`");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let team = Team::new(REVIEWED);
    team.set_past_review("/a", &["x=1"]);
    team.draft("/a", "d", &["x=2"]);
    let ask = |new: NewRequest| said(team.ann.create_request(&new));
    insta::assert_snapshot!(ask(new(&[])), @"publish request is not valid: it names no namespace; name at least one");
    insta::assert_snapshot!(ask(new(&[("/a", "d"), ("/a", "e")])), @"publish request is not valid: it names `/a` twice; a request publishes one draft of a namespace");
    insta::assert_snapshot!(ask(new(&[("/a", "nothing")])), @"there is no draft `nothing`");
    insta::assert_snapshot!(ask(new(&[("/hidden", "d")])), @"there is no namespace `/hidden`");
    let mut untitled = new(&[("/a", "d")]);
    untitled.title = " ".to_owned();
    insta::assert_snapshot!(ask(untitled), @"publish request is not valid: it has 1 to 256 bytes in one line, and says what the request is about at `/title`");
    let mut picked = new(&[("/a", "d")]);
    picked.targets[0].keys = Some([key("y")].into());
    insta::assert_snapshot!(ask(picked), @"list of keys to publish is not valid: `y`: the draft does not change it");
    let mut none = new(&[("/a", "d")]);
    none.targets[0].keys = Some([].into());
    insta::assert_snapshot!(ask(none), @"list of keys to publish is not valid: it is empty; leave it out to publish all that the draft changes");
    // Nothing of it took a number; the emergency before has the first.
    assert_eq!(team.ask("/a", "d"), 2);
    // Who may not read the drafts of a namespace does not learn of its requests.
    let eve = team.test.principal("eve");
    insta::assert_snapshot!(said(eve.request(1)), @"there is no publish request `#1`");
    insta::assert_snapshot!(said(approve(&eve, 1)), @"there is no publish request `#1`");
    assert!(
        eve.requests(&RequestFilter::default(), None, 10)
            .unwrap()
            .filtered
    );
}

#[test]
fn two_approvals_take_two_people() {
    let team = Team::new(r#"{"requireApproval": true, "minApprovers": 2}"#);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    approve(&team.bob, number).unwrap();
    // Another token of the same principal is the same principal.
    let bob_again = team
        .test
        .with_token(&NewToken::unlimited("bob".parse().unwrap()));
    assert_eq!(
        approve(&bob_again, number).unwrap().state,
        State::PendingReview
    );
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 2 approvals, it has 1");
    assert_eq!(approve(&team.cat, number).unwrap().state, State::Approved);
    publish(&team.bob, number).unwrap();
}

#[test]
fn a_rejected_request_is_asked_for_again_with_nothing_approved() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    insta::assert_snapshot!(said(reject(&team.cat, number, "")), @"publish request #1: a rejection needs a reason");
    let rejected = reject(&team.cat, number, "too high").unwrap();
    assert_eq!(
        (rejected.state, rejected.reason.as_deref()),
        (State::Rejected, Some("too high"))
    );
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: it is rejected; publish is not possible then, edit it to ask again");
    insta::assert_snapshot!(said(approve(&team.bob, number)), @"publish request #1: it is rejected; approve is not possible then, edit it to ask again");
    let again = team
        .ann
        .edit_request(number, &EditRequest::default())
        .unwrap();
    assert_eq!((again.state, again.reason), (State::PendingReview, None));
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    approve(&team.bob, number).unwrap();
    publish(&team.bob, number).unwrap();
}

#[test]
fn a_request_is_withdrawn_by_its_author_or_a_reviewer() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    team.ann.comment_on_request(number, "never mind").unwrap();
    let gone = team.ann.withdraw_request(number, "not needed").unwrap();
    assert_eq!(gone.state, State::Withdrawn);
    assert_eq!(gone.comments[0].text, "never mind");
    insta::assert_snapshot!(said(team.ann.edit_request(number, &EditRequest::default())), @"publish request #1: it is withdrawn; edit is not possible then, make a new one");
    insta::assert_snapshot!(said(emergency(&team.bob, number, "fire")), @"publish request #1: it is withdrawn; publish is not possible then, make a new one");
    // The draft is left as it is.
    assert_eq!(team.test.show("/a", "draft/d"), "x=1");
}

#[test]
fn keys_that_moved_underneath_conflict_and_others_are_merged() {
    let team = Team::new(REVIEWED);
    team.set_past_review("/a", &["x=1", "y=1"]);
    team.draft("/a", "d", &["x=2"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    team.set_past_review("/a", &["y=3"]);
    // Somebody else published other keys: the approval stands.
    assert_eq!(team.state(number), State::Approved);
    team.set_past_review("/a", &["x=9"]);
    let info = team.test.admin.request(number).unwrap();
    assert_eq!(info.targets[0].conflicts, [key("x")]);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"`x` changed in `/a` since the draft began");
    team.set_past_review("/a", &["x=1"]);
    publish(&team.bob, number).unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=2 y=3");
}

#[test]
fn some_keys_of_a_draft_are_published_and_the_rest_stays_its_makers() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    // `bob` adds a key of his own on top.
    team.bob
        .change_draft(&ns("/a"), &change("d", &["y=1"]))
        .unwrap();
    let mut only_y = new(&[("/a", "d")]);
    only_y.targets[0].keys = Some([key("y")].into());
    let number = team.bob.create_request(&only_y).unwrap().number;
    approve(&team.cat, number).unwrap();
    publish(&team.cat, number).unwrap();
    assert_eq!(team.test.show("/a", "published"), "y=1");
    assert_eq!(team.test.show("/a", "draft/d"), "x=1 y=1");
    // What stays was made by `ann`, even though the commit of the rest is another.
    let rest = team.bob.create_request(&new(&[("/a", "d")])).unwrap();
    assert_eq!(rest.targets[0].changes_total, 1);
    team.grant(
        "/a",
        serde_json::json!({"publisher": ["ann", "bob", "cat", "dan"]}),
    );
    insta::assert_snapshot!(said(approve(&team.ann, rest.number)), @"publish request #2: an approval of `ann` would not count: in `/a` `ann` submitted or changed it; ask somebody else");
    approve(&team.dan, rest.number).unwrap();
    publish(&team.dan, rest.number).unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=1 y=1");
}

#[test]
fn several_namespaces_are_published_together_or_not_at_all() {
    let team = Team::of(&[("/a", REVIEWED), ("/b", "{}")]);
    team.draft("/a", "d", &["x=1"]);
    team.draft("/b", "d", &["y=1"]);
    let number = team
        .ann
        .create_request(&new(&[("/a", "d"), ("/b", "d")]))
        .unwrap()
        .number;
    let before = team.test.repo.node().view().sequence();
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` needs 1 approval, it has 0");
    assert_eq!(team.test.repo.node().view().sequence(), before);
    approve(&team.cat, number).unwrap();
    let done = publish(&team.bob, number).unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=1");
    assert_eq!(team.test.show("/b", "published"), "y=1");
    assert!(done.targets.iter().all(|target| target.commit.is_some()));
    // One operation moved both.
    let after = team.test.repo.node().view().sequence();
    assert_eq!(after, before + 2, "an approval and a publish");
}

#[test]
fn an_emergency_that_nobody_asked_for_waits_to_be_acknowledged_too() {
    let team = Team::new(REVIEWED);
    team.set_past_review("/a", &["x=1"]);
    team.set_past_review("/a", &["x=2"]);
    let rollback = Rollback {
        to: rev("published~1"),
        keys: None,
        expected_head: ExpectedHead::Any,
        message: Some("x as before\n\nand more".to_owned()),
        emergency: Some("x was wrong".to_owned()),
        acknowledge_deprecated: false,
    };
    let back = team.bob.rollback(&ns("/a"), &rollback).unwrap();
    let open = RequestFilter {
        unacknowledged: true,
        ..RequestFilter::default()
    };
    let waiting = || team.test.admin.requests(&open, None, 10).unwrap().requests;
    let told: Vec<_> = waiting()
        .iter()
        .map(|it| format!("#{} {} by {}", it.number, it.title, it.submitted.by))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    #3 x as before by bob
    #2 change x by admin
    #1 change x by admin
    ");
    let number = back.request.unwrap();
    let shown = team.test.admin.request(number).unwrap();
    assert_eq!(shown.state, State::Published);
    assert_eq!(shown.emergency.as_ref().unwrap().reason, "x was wrong");
    assert_eq!(shown.targets[0].commit, Some(back.commit));
    assert_eq!(shown.targets[0].changes_total, 1);
    insta::assert_snapshot!(said(team.bob.acknowledge_emergency(number)), @"not allowed in `/a`: namespace:write needs role admin, the highest here is publisher");
    team.test.admin.acknowledge_emergency(number).unwrap();
    assert_eq!(waiting().len(), 2);
    let report = team.test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn an_emergency_goes_past_review_and_is_acknowledged_by_an_admin() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let number = team.ask("/a", "d");
    insta::assert_snapshot!(said(emergency(&team.bob, number, " ")), @"publish request #1: an emergency needs a reason");
    insta::assert_snapshot!(said(emergency(&team.ann, number, "fire")), @"not allowed in `/a`: config:publish needs role publisher, the highest here is editor");
    emergency(&team.bob, number, "fire").unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=1");
    let operations = team
        .test
        .admin
        .operations(&Default::default(), None, 1)
        .unwrap();
    assert_eq!(
        operations.operations[0].operation.action,
        "request.publish-emergency"
    );
    let open = RequestFilter {
        unacknowledged: true,
        ..RequestFilter::default()
    };
    let waiting = |who: &Session| who.requests(&open, None, 10).unwrap().requests.len();
    assert_eq!(waiting(&team.test.admin), 1);
    insta::assert_snapshot!(said(team.bob.acknowledge_emergency(number)), @"not allowed in `/a`: namespace:write needs role admin, the highest here is publisher");
    let seen = team.test.admin.acknowledge_emergency(number).unwrap();
    assert_eq!(seen.emergency.unwrap().acknowledged.unwrap().by, "admin");
    assert_eq!(waiting(&team.test.admin), 0);
    insta::assert_snapshot!(said(team.test.admin.acknowledge_emergency(number)), @"publish request #1: there is no emergency that waits to be acknowledged");
}

#[test]
fn rules_approve_what_they_cover_and_the_record_names_them() {
    let team = Team::new(
        r#"{"requireApproval": true, "autoApprove": [{"name": "texts", "keys": ["texts/**"]}]}"#,
    );
    team.draft("/a", "d", &["texts/hello=hi"]);
    let number = team.ask("/a", "d");
    assert_eq!(team.state(number), State::Approved);
    team.draft("/a", "d", &["limit=9"]);
    assert_eq!(team.state(number), State::PendingReview);
    team.draft("/a", "d", &["-limit"]);
    let done = publish(&team.bob, number).unwrap();
    assert_eq!(
        done.published.unwrap().rules,
        [(ns("/a"), "texts".to_owned())]
    );
    // The same rule lets it through directly.
    team.bob
        .change_and_publish(&ns("/a"), &change("e", &["texts/hello=hello"]))
        .unwrap();
    insta::assert_snapshot!(said(team.bob.change_and_publish(&ns("/a"), &change("e", &["limit=1"]))), @"publishing in `/a` directly: `/a` needs 1 approval, it has 0");
}

#[test]
fn a_rule_that_cannot_be_read_is_refused_with_the_document() {
    let test = TestRepo::new();
    let settings = r#"{"autoApprove": [{"name": "r", "keys": ["ok", "{"]}]}"#;
    insta::assert_snapshot!(said(test.admin.create_namespace(document("/a", settings))), @"document of `/a` is not valid: it is no glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?) at `/settings/autoApprove/0/keys/1`");
}

#[test]
fn a_guard_takes_more_approvals() {
    let team = Team::new(r#"{"guards": {"keysRemovedMax": 1, "approvers": 2}}"#);
    team.test.set("/a", &["a=1", "b=1", "c=1"]);
    insta::assert_snapshot!(said(team.bob.change_and_publish(&ns("/a"), &change("x", &["-a", "-b"]))), @"publishing in `/a` directly: `/a` is guarded: it removes 2 keys, the guard allows 1; a request with 2 approvals goes beyond, it has 0");
    team.bob
        .change_and_publish(&ns("/a"), &change("x", &["-a"]))
        .unwrap();
    team.draft("/a", "d", &["-b", "-c"]);
    let number = team.ask("/a", "d");
    approve(&team.bob, number).unwrap();
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` is guarded: it removes 2 keys, the guard allows 1; a request with 2 approvals goes beyond, it has 1");
    approve(&team.cat, number).unwrap();
    publish(&team.bob, number).unwrap();
    assert_eq!(team.test.show("/a", "published"), "");
    // Going back is a change like any other: it adds two keys, which no guard minds.
    team.test.rollback("/a", "published~1").unwrap();
    insta::assert_snapshot!(said(team.test.rollback("/a", "published~1")), @"publishing in `/a` directly: `/a` is guarded: it removes 2 keys, the guard allows 1; a request with 2 approvals goes beyond, it has 0");
}

#[test]
fn a_freeze_refuses_everything_but_emergencies() {
    let team = Team::new(
        r#"{"freeze": [{"from": "2026-11-24T13:00:00Z", "until": "2026-11-24T14:00:00Z", "reason": "sale"}]}"#,
    );
    team.test.set("/a", &["x=1"]);
    team.test.set("/a", &["x=2"]);
    team.draft("/a", "d", &["x=3"]);
    let number = team.ask("/a", "d");
    team.test.clock.advance(60 * MINUTE_MS);
    insta::assert_snapshot!(said(publish(&team.bob, number)), @"publish request #1: `/a` is frozen until 2026-11-24T14:00:00Z: sale");
    insta::assert_snapshot!(said(team.test.publish("/a", "d")), @"publishing in `/a` directly: `/a` is frozen until 2026-11-24T14:00:00Z: sale");
    insta::assert_snapshot!(said(team.test.rollback("/a", "published~1")), @"publishing in `/a` directly: `/a` is frozen until 2026-11-24T14:00:00Z: sale");
    emergency(&team.bob, number, "outage").unwrap();
    assert_eq!(team.test.show("/a", "published"), "x=3");
    team.test.clock.advance(60 * MINUTE_MS);
    team.test.rollback("/a", "published~1").unwrap();
}

#[test]
fn requests_are_listed_newest_first_and_filtered() {
    let team = Team::of(&[("/a", REVIEWED), ("/b", "{}")]);
    team.draft("/a", "d", &["x=1"]);
    team.draft("/b", "d", &["x=1"]);
    let first = team.ask("/a", "d");
    let second = team.ask("/b", "d");
    let third = team
        .bob
        .create_request(&new(&[("/a", "d")]))
        .unwrap()
        .number;
    team.bob.withdraw_request(third, "").unwrap();
    let numbers = |who: &Session, filter: &RequestFilter, after: Option<u64>, limit: usize| {
        let page = who.requests(filter, after, limit).unwrap();
        let found: Vec<u64> = page.requests.iter().map(|info| info.number).collect();
        (found, page.next)
    };
    let all = RequestFilter::default();
    assert_eq!(
        numbers(&team.ann, &all, None, 10),
        (vec![third, second, first], None)
    );
    assert_eq!(
        numbers(&team.ann, &all, None, 2),
        (vec![third, second], Some(second))
    );
    assert_eq!(
        numbers(&team.ann, &all, Some(second), 2),
        (vec![first], None)
    );
    let states = |states: &[State]| RequestFilter {
        states: states.to_vec(),
        ..RequestFilter::default()
    };
    assert_eq!(
        numbers(&team.ann, &states(&[State::Approved]), None, 10).0,
        [second]
    );
    assert_eq!(
        numbers(&team.ann, &states(&[State::Withdrawn]), None, 10).0,
        [third]
    );
    let in_b = RequestFilter {
        namespace: Some(ns("/b")),
        ..RequestFilter::default()
    };
    assert_eq!(numbers(&team.ann, &in_b, None, 10).0, [second]);
    let by_bob = RequestFilter {
        author: Some("bob".to_owned()),
        ..RequestFilter::default()
    };
    assert_eq!(numbers(&team.ann, &by_bob, None, 10).0, [third]);
    let mine = RequestFilter {
        waiting_for_me: true,
        ..RequestFilter::default()
    };
    assert_eq!(numbers(&team.bob, &mine, None, 10).0, [first]);
    assert!(numbers(&team.ann, &mine, None, 10).0.is_empty());
    approve(&team.bob, first).unwrap();
    assert!(numbers(&team.bob, &mine, None, 10).0.is_empty());
}

#[test]
fn a_request_is_made_once_with_an_idempotency_key() {
    let team = Team::new(REVIEWED);
    team.draft("/a", "d", &["x=1"]);
    let once = team.ann.idempotent("k");
    let first = once.create_request(&new(&[("/a", "d")])).unwrap().number;
    let again = once.create_request(&new(&[("/a", "d")])).unwrap().number;
    assert_eq!((first, again), (1, 1));
}
