use std::collections::BTreeSet;

use confman_model::document::{AutoApproveRule, ChangeKind, FreezeWindow, Guards, Settings};

use super::*;
use crate::permission::permits;

/// Two publishers, an editor who submits, an admin.
const ROLES: [(&str, Role); 5] = [
    ("ann", Role::Editor),
    ("bob", Role::Publisher),
    ("cat", Role::Publisher),
    ("dan", Role::Admin),
    ("eve", Role::Viewer),
];

fn settings() -> Settings {
    Settings {
        require_approval: Some(true),
        min_approvers: Some(1),
        ..Settings::default()
    }
}

fn change(key: &str, kind: ChangeKind) -> ChangeFacts {
    ChangeFacts {
        key: key.parse().unwrap(),
        kind,
        tags: BTreeSet::new(),
        growth_bytes: 0,
    }
}

fn facts(actor: &str, settings: Settings) -> Facts {
    let role = ROLES
        .iter()
        .find(|(name, _)| *name == actor)
        .map(|(_, role)| *role);
    let may = |permission: &Permission| role.is_some_and(|role| permits(role, *permission));
    let standings = ROLES.iter().map(|(name, role)| {
        let standing = Standing {
            role: Some(*role),
            groups: Vec::new(),
        };
        ((*name).to_owned(), standing)
    });
    Facts {
        actor: actor.to_owned(),
        now_ms: 1000,
        proposal: Some("p1".to_owned()),
        targets: vec![TargetFacts {
            namespace: "/a".parse().unwrap(),
            settings,
            actor_may: Permission::ALL.into_iter().filter(may).collect(),
            committers: BTreeSet::from(["ann".to_owned()]),
            changes: vec![change("x", ChangeKind::Change)],
            keys_before: 10,
            standings: standings.collect(),
        }],
    }
}

fn request(state: State, approved_by: &[&str]) -> Request {
    let reviews = approved_by.iter().map(|reviewer| Review {
        reviewer: (*reviewer).to_owned(),
        verdict: Verdict::Approve,
        proposal: "p1".to_owned(),
    });
    Request {
        state,
        submitted_by: "ann".to_owned(),
        edited_by: BTreeSet::new(),
        reviews: reviews.collect(),
        schedule: Some(Schedule {
            by: "bob".to_owned(),
            at_ms: 500,
            proposal: "p1".to_owned(),
        }),
        stages: Vec::new(),
        rollout: None,
        emergency_by: None,
    }
}

#[must_use]
fn check(request: &Request, command: &Command, facts: &Facts) -> String {
    match decide(request, command, facts) {
        Ok(decision) => decision.state.to_string(),
        Err(refusal) => refusal.to_string(),
    }
}

fn approve() -> Command {
    Command::Approve {
        seen: "p1".to_owned(),
    }
}

fn publish() -> Command {
    Command::Publish {
        seen: None,
        emergency: None,
    }
}

#[test]
fn every_command_in_every_state() {
    let commands = [
        Command::Edit,
        Command::Comment,
        approve(),
        Command::Reject {
            reason: "no".to_owned(),
        },
        Command::Schedule {
            seen: None,
            at_ms: 2000,
        },
        Command::Unschedule,
        publish(),
        Command::Publish {
            seen: None,
            emergency: Some("fire".to_owned()),
        },
        Command::Due,
        Command::Advance,
        Command::Promote { seen: None },
        Command::Abort {
            reason: "errors".to_owned(),
        },
        Command::Suspend,
        Command::Withdraw,
    ];
    let mut table = format!("{:<12}", "");
    for state in State::ALL {
        table.push_str(&format!("{:<15}", state.name()));
    }
    for command in &commands {
        let name = match command {
            Command::Publish {
                emergency: Some(_), ..
            } => "emergency",
            Command::Due => "due",
            other => other.name(),
        };
        table = format!("{}\n{name:<12}", table.trim_end());
        for state in State::ALL {
            // Approved by one who can; `cat` acts.
            let mut request = request(
                state,
                if state == State::PendingReview {
                    &[]
                } else {
                    &["bob"]
                },
            );
            if state == State::RollingOut {
                request.stages = vec![Stage {
                    percent: 50,
                    for_ms: Some(1000),
                }];
                request.rollout = Some(Rollout {
                    by: "cat".to_owned(),
                    proposal: "p1".to_owned(),
                    stage: 0,
                    since_ms: 0,
                });
            }
            let cell = match decide(&request, command, &facts("cat", settings())) {
                Ok(decision) => decision.state.name(),
                Err(Refusal::Blocked(_)) => "blocked",
                Err(_) => "-",
            };
            table.push_str(&format!("{cell:<15}"));
        }
    }
    insta::assert_snapshot!(table.trim_end(), @"
                pending_review approved       rejected       scheduled      rolling_out    suspended      published      withdrawn
    edit        pending_review pending_review pending_review pending_review -              pending_review -              -
    comment     pending_review approved       rejected       scheduled      rolling_out    suspended      published      withdrawn
    approve     approved       approved       -              scheduled      -              -              -              -
    reject      rejected       rejected       -              rejected       -              rejected       -              -
    schedule    blocked        scheduled      -              scheduled      -              -              -              -
    unschedule  -              -              -              approved       -              -              -              -
    publish     blocked        published      -              published      -              -              -              -
    emergency   published      published      -              published      published      published      -              -
    due         -              -              -              published      -              -              -              -
    advance     -              -              -              -              published      -              -              -
    promote     -              -              -              -              published      -              -              -
    abort       -              -              -              -              suspended      -              -              -
    suspend     -              -              -              suspended      suspended      -              -              -
    withdraw    withdrawn      withdrawn      withdrawn      withdrawn      -              withdrawn      -              -
    ");
}

#[test]
fn authors_and_committers_do_not_approve_what_they_made() {
    let open = request(State::PendingReview, &[]);
    let mut by_bob = facts("bob", settings());
    by_bob.targets[0].committers.insert("bob".to_owned());
    insta::assert_snapshot!(check(&open, &approve(), &by_bob), @"an approval of `bob` would not count: in `/a` `bob` submitted or changed it; ask somebody else");
    insta::assert_snapshot!(check(&open, &approve(), &facts("ann", settings())), @"publish-request:approve is missing in `/a`");
    by_bob.targets[0].settings.allow_self_approval = Some(true);
    insta::assert_snapshot!(check(&open, &approve(), &by_bob), @"approved");
    // To be counted among the contributors later voids an approval, too.
    let approved = request(State::PendingReview, &["bob"]);
    by_bob.targets[0].settings.allow_self_approval = Some(false);
    insta::assert_snapshot!(check(&approved, &publish(), &by_bob), @"`/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` submitted or changed it");
}

#[test]
fn approvals_are_weighed_with_what_holds_now() {
    let approved = request(State::Approved, &["bob"]);
    let ok = facts("dan", settings());
    insta::assert_snapshot!(check(&approved, &publish(), &ok), @"published");

    let mut pushed = ok.clone();
    pushed.proposal = Some("p2".to_owned());
    insta::assert_snapshot!(check(&approved, &publish(), &pushed), @"`/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` approved what it was before");
    let mut demoted = ok.clone();
    demoted.targets[0]
        .standings
        .insert("bob".to_owned(), Standing::default());
    insta::assert_snapshot!(check(&approved, &publish(), &demoted), @"`/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` does not have publish-request:approve now");
    let mut gone = ok.clone();
    gone.targets[0].standings.remove("bob");
    insta::assert_snapshot!(check(&approved, &publish(), &gone), @"`/a` needs 1 approval, it has 0; that of `bob` does not count: `bob` does not exist any more");
    let mut stricter = ok.clone();
    stricter.targets[0].settings.min_approvers = Some(2);
    insta::assert_snapshot!(check(&approved, &publish(), &stricter), @"`/a` needs 2 approvals, it has 1");
    let mut group = ok.clone();
    group.targets[0].settings.approvers = Some("group:leads".to_owned());
    insta::assert_snapshot!(check(&approved, &publish(), &group), @"`/a` needs 1 approval, it has 0; approvers are the members of `group:leads`; that of `bob` does not count: `bob` is not in `leads`");
    let standing = Standing {
        role: Some(Role::Publisher),
        groups: vec!["leads".to_owned()],
    };
    group.targets[0]
        .standings
        .insert("bob".to_owned(), standing);
    insta::assert_snapshot!(check(&approved, &publish(), &group), @"published");
}

#[test]
fn one_principal_has_one_approval_and_the_newest_review_counts() {
    let mut two = settings();
    two.min_approvers = Some(2);
    let twice = request(State::PendingReview, &["bob", "bob"]);
    insta::assert_snapshot!(check(&twice, &publish(), &facts("dan", two.clone())), @"`/a` needs 2 approvals, it has 1");
    let mut changed_mind = request(State::PendingReview, &["bob", "cat"]);
    insta::assert_snapshot!(check(&changed_mind, &publish(), &facts("dan", two.clone())), @"published");
    changed_mind.reviews.push(Review {
        reviewer: "bob".to_owned(),
        verdict: Verdict::Reject,
        proposal: "p1".to_owned(),
    });
    insta::assert_snapshot!(check(&changed_mind, &publish(), &facts("dan", two)), @"`/a` needs 2 approvals, it has 1");
}

#[test]
fn what_was_shown_is_what_is_approved() {
    let open = request(State::PendingReview, &[]);
    let other = Command::Approve {
        seen: "p0".to_owned(),
    };
    insta::assert_snapshot!(check(&open, &other, &facts("bob", settings())), @"it is not as it was shown to you; look at it again");
    let mut gone = facts("bob", settings());
    gone.proposal = None;
    insta::assert_snapshot!(check(&open, &approve(), &gone), @"a draft of it is gone; make the draft again, or withdraw the request");
}

#[test]
fn every_namespace_needs_its_own_approvals() {
    let mut both = facts("dan", settings());
    let mut other = both.targets[0].clone();
    other.namespace = "/b".parse().unwrap();
    other
        .standings
        .insert("bob".to_owned(), Standing::default());
    both.targets.push(other);
    let open = request(State::PendingReview, &["bob"]);
    insta::assert_snapshot!(check(&open, &publish(), &both), @"`/b` needs 1 approval, it has 0; that of `bob` does not count: `bob` does not have publish-request:approve now");
    let open = request(State::PendingReview, &["bob", "cat"]);
    insta::assert_snapshot!(check(&open, &publish(), &both), @"published");
    // Who committed to one of the drafts approves none of them.
    both.targets[1].committers.insert("cat".to_owned());
    insta::assert_snapshot!(check(&open, &publish(), &both), @"`/b` needs 1 approval, it has 0; that of `bob` does not count: `bob` does not have publish-request:approve now; that of `cat` does not count: `cat` submitted or changed it");
    both.targets[1].actor_may.remove(&Permission::ConfigPublish);
    insta::assert_snapshot!(check(&open, &publish(), &both), @"config:publish is missing in `/b`");
}

#[test]
fn a_freeze_and_a_guard_are_told_together_with_missing_approvals() {
    let mut strict = settings();
    strict.freeze = Some(vec![FreezeWindow {
        from: "1970-01-01T00:00:00Z".to_owned(),
        until: "1970-01-02T00:00:00Z".to_owned(),
        reason: "holidays".to_owned(),
    }]);
    strict.guards = Some(Guards {
        keys_changed_max: Some(0),
        percent_changed_max: Some(9),
        approvers: Some(2),
        ..Guards::default()
    });
    let open = request(State::PendingReview, &[]);
    insta::assert_snapshot!(check(&open, &publish(), &facts("dan", strict.clone())), @"`/a` needs 1 approval, it has 0; `/a` is guarded: it changes or removes 1 keys, the guard allows 0, it changes or removes 1 of 10 keys, the guard allows 9 %; a request with 2 approvals goes beyond, it has 0; `/a` is frozen until 1970-01-02T00:00:00Z: holidays");
    let emergency = |reason: &str| Command::Publish {
        seen: None,
        emergency: Some(reason.to_owned()),
    };
    insta::assert_snapshot!(check(&open, &emergency("  "), &facts("dan", strict.clone())), @"an emergency needs a reason");
    insta::assert_snapshot!(check(&open, &emergency("fire"), &facts("dan", strict.clone())), @"published");
    let approved = request(State::PendingReview, &["bob", "cat"]);
    insta::assert_snapshot!(check(&approved, &publish(), &facts("dan", strict.clone())), @"`/a` is frozen until 1970-01-02T00:00:00Z: holidays");
    // After the freeze it can be scheduled, into it not.
    let at = |at_ms| Command::Schedule { seen: None, at_ms };
    insta::assert_snapshot!(check(&approved, &at(86_400_000), &facts("dan", strict.clone())), @"scheduled");
    insta::assert_snapshot!(check(&approved, &at(86_399_999), &facts("dan", strict.clone())), @"`/a` is frozen until 1970-01-02T00:00:00Z: holidays");
    insta::assert_snapshot!(check(&approved, &at(1000), &facts("dan", strict)), @"the time to publish must be in the future");
}

fn exceeded(guards: Guards, changes: &[(ChangeKind, i64)]) -> String {
    let mut target = facts("ann", settings()).targets.remove(0);
    target.changes = changes
        .iter()
        .map(|(kind, growth_bytes)| ChangeFacts {
            growth_bytes: *growth_bytes,
            ..change("x", *kind)
        })
        .collect();
    let exceeded = guard::exceeded(&guards, &Measure::of(&target));
    let said: Vec<String> = exceeded.iter().map(ToString::to_string).collect();
    said.join("; ")
}

#[test]
fn guards_hold_at_their_limit_and_not_beyond() {
    use ChangeKind::{Add, Change, Remove};
    let guards = Guards {
        keys_removed_max: Some(1),
        percent_removed_max: Some(10),
        keys_changed_max: Some(2),
        percent_changed_max: Some(20),
        growth_bytes_max: Some(100),
        approvers: None,
    };
    let small = [(Remove, -50), (Change, 150), (Add, 0)];
    insta::assert_snapshot!(exceeded(guards.clone(), &small), @"");
    let large = [(Remove, 1), (Remove, 0), (Change, 100)];
    insta::assert_snapshot!(exceeded(guards.clone(), &large), @"it removes 2 keys, the guard allows 1; it removes 2 of 10 keys, the guard allows 10 %; it changes or removes 3 keys, the guard allows 2; it changes or removes 3 of 10 keys, the guard allows 20 %; the values grow by 101 bytes, the guard allows 100");
    let shrinks = [(Change, -1000)];
    insta::assert_snapshot!(exceeded(guards, &shrinks), @"");
    insta::assert_snapshot!(exceeded(Guards::default(), &large), @"");
}

fn covered(rule: AutoApproveRule, change: ChangeFacts) -> bool {
    let mut auto = settings();
    auto.auto_approve = Some(vec![rule]);
    let mut facts = facts("dan", auto);
    facts.targets[0].changes = vec![change];
    decide(&request(State::PendingReview, &[]), &publish(), &facts).is_ok()
}

#[test]
fn a_rule_covers_what_fulfils_all_that_it_states() {
    let rule = |keys: &[&str], changes: &[ChangeKind], roles: &[Role], tags: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        AutoApproveRule {
            name: "r".to_owned(),
            keys: texts(keys),
            changes: changes.to_vec(),
            roles: roles.to_vec(),
            tags: texts(tags),
        }
    };
    let x = change("texts/de/hello", ChangeKind::Change);
    assert!(covered(rule(&["texts/**"], &[], &[], &[]), x.clone()));
    assert!(!covered(rule(&["texts/*"], &[], &[], &[]), x.clone()));
    assert!(!covered(rule(&["text"], &[], &[], &[]), x.clone()));
    assert!(covered(
        rule(&["other", "texts/**"], &[ChangeKind::Change], &[], &[]),
        x.clone()
    ));
    assert!(!covered(
        rule(&["texts/**"], &[ChangeKind::Add], &[], &[]),
        x.clone()
    ));
    assert!(covered(rule(&[], &[], &[Role::Editor], &[]), x.clone()));
    assert!(!covered(rule(&[], &[], &[Role::Publisher], &[]), x.clone()));
    assert!(!covered(rule(&[], &[], &[], &["flag"]), x.clone()));
    let tagged = ChangeFacts {
        tags: BTreeSet::from(["flag".to_owned()]),
        ..x.clone()
    };
    assert!(covered(rule(&[], &[], &[], &["flag"]), tagged));
    // A rule that states nothing, or what cannot be read, covers nothing.
    assert!(!covered(rule(&[], &[], &[], &[]), x.clone()));
    assert!(!covered(rule(&["{"], &[], &[], &[]), x));
}

#[test]
fn a_rule_is_named_and_takes_no_guards_place() {
    let mut auto = settings();
    auto.auto_approve = Some(vec![AutoApproveRule {
        name: "changes".to_owned(),
        changes: vec![ChangeKind::Change],
        ..AutoApproveRule::default()
    }]);
    let open = request(State::PendingReview, &[]);
    let decision = decide(&open, &publish(), &facts("dan", auto.clone())).unwrap();
    assert_eq!(
        decision.auto_approved,
        [("/a".parse().unwrap(), "changes".to_owned())]
    );
    auto.guards = Some(Guards {
        keys_changed_max: Some(0),
        approvers: Some(1),
        ..Guards::default()
    });
    insta::assert_snapshot!(check(&open, &publish(), &facts("dan", auto)), @"`/a` is guarded: it changes or removes 1 keys, the guard allows 0; a request with 1 approval goes beyond, it has 0");
}

#[test]
fn globs_that_cannot_be_read_are_named() {
    let mut settings = settings();
    settings.auto_approve = Some(vec![AutoApproveRule {
        keys: vec!["ok/*".to_owned(), "{a".to_owned(), "[z-a]".to_owned()],
        ..AutoApproveRule::default()
    }]);
    let problems = check_rules(&settings);
    let said: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}/{}: {}", problem.rule, problem.glob, problem.detail))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    0/1: it is no glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
    0/2: it is no glob: invalid range; 'z' > 'a'
    ");
}

#[test]
fn publishing_directly_takes_what_a_request_without_approvals_would() {
    let said = |facts: &Facts, way, emergency| match publish_directly(facts, way, emergency) {
        Ok(rules) => format!("ok {rules:?}"),
        Err(refusal) => refusal.to_string(),
    };
    let facts_of = |settings| facts("dan", settings);
    let free = Settings::default();
    insta::assert_snapshot!(said(&facts_of(free), Direct::Publish, None), @"ok []");
    insta::assert_snapshot!(said(&facts_of(settings()), Direct::Publish, None), @"`/a` needs 1 approval, it has 0");
    insta::assert_snapshot!(said(&facts_of(settings()), Direct::Rollback, None), @"ok []");
    insta::assert_snapshot!(said(&facts_of(settings()), Direct::Publish, Some("")), @"an emergency needs a reason");
    insta::assert_snapshot!(said(&facts_of(settings()), Direct::Publish, Some("fire")), @"ok []");
    let mut guarded = settings();
    guarded.guards = Some(Guards {
        keys_changed_max: Some(0),
        ..Guards::default()
    });
    insta::assert_snapshot!(said(&facts_of(guarded), Direct::Rollback, None), @"`/a` is guarded: it changes or removes 1 keys, the guard allows 0; only an emergency goes beyond");
}

#[test]
fn an_emergency_is_acknowledged_by_another_admin() {
    let mut done = request(State::Published, &[]);
    insta::assert_snapshot!(check(&done, &Command::Acknowledge, &facts("dan", settings())), @"there is no emergency that waits to be acknowledged");
    done.emergency_by = Some("dan".to_owned());
    insta::assert_snapshot!(check(&done, &Command::Acknowledge, &facts("dan", settings())), @"an emergency is acknowledged by another admin than the one who published it");
    insta::assert_snapshot!(check(&done, &Command::Acknowledge, &facts("bob", settings())), @"namespace:write is missing in `/a`");
    done.emergency_by = Some("bob".to_owned());
    insta::assert_snapshot!(check(&done, &Command::Acknowledge, &facts("dan", settings())), @"published");
}

#[test]
fn the_author_takes_back_and_others_need_to_reject() {
    let open = request(State::Scheduled, &["bob"]);
    for (who, expected) in [("ann", true), ("bob", true), ("eve", false)] {
        let facts = facts(who, settings());
        assert_eq!(
            decide(&open, &Command::Withdraw, &facts).is_ok(),
            expected,
            "{who}"
        );
        assert_eq!(
            decide(&open, &Command::Unschedule, &facts).is_ok(),
            expected,
            "{who}"
        );
    }
}

#[test]
fn names_of_states_are_read_as_they_are_written() {
    for state in State::ALL {
        assert_eq!(state.name().parse(), Ok(state));
    }
    insta::assert_snapshot!("pending".parse::<State>().unwrap_err(), @"`pending` is no state; there are pending_review, approved, rejected, scheduled, rolling_out, suspended, published and withdrawn");
}
