use confman_repo::draft::ExpectedHead;
use confman_repo::{Error, NamespaceDocument, Rollback};

use crate::test_repo::{TestRepo, change, key, ns, rev, said};

#[test]
fn a_draft_is_invisible_until_it_is_published_and_gone_then() {
    let test = TestRepo::with(&["/a"]);
    test.draft("/a", "d", &["x=1", "y=2"]).unwrap();
    assert_eq!(test.show("/a", "published"), "");
    assert_eq!(test.show("/a", "draft/d"), "x=1 y=2");
    let published = test.publish("/a", "d").unwrap();
    assert_eq!(published.keys, [key("x"), key("y")]);
    assert!(!published.merged);
    assert_eq!(published.previous, None);
    assert_eq!(test.show("/a", "published"), "x=1 y=2");
    insta::assert_snapshot!(said(test.publish("/a", "d")), @"there is no draft `d`");
}

#[test]
fn other_keys_that_moved_are_merged() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "y=1", "z=1"]);
    test.draft("/a", "d", &["x=2", "-z"]).unwrap();
    test.set("/a", &["y=3", "new=1"]);
    let published = test.publish("/a", "d").unwrap();
    assert!(published.merged);
    assert_eq!(published.keys, [key("x"), key("z")]);
    assert_eq!(test.show("/a", "published"), "new=1 x=2 y=3");
}

#[test]
fn keys_that_changed_underneath_conflict_and_are_listed() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "y=1", "z=1", "same=1"]);
    test.draft("/a", "d", &["x=2", "y=2", "-z", "same=2"])
        .unwrap();
    test.set("/a", &["x=3", "z=3", "same=2"]);
    let Err(Error::Conflict { conflicts, .. }) = test.publish("/a", "d") else {
        panic!()
    };
    let shown: Vec<_> = conflicts
        .iter()
        .map(|conflict| {
            let side = |entry: &Option<_>| {
                entry
                    .as_ref()
                    .map_or_else(|| "removed".to_owned(), crate::test_repo::entry_text)
            };
            format!(
                "{}: {} | {} (was {})",
                conflict.key,
                side(&conflict.ours),
                side(&conflict.theirs),
                side(&conflict.base)
            )
        })
        .collect();
    assert_eq!(shown, ["x: 3 | 2 (was 1)", "z: 3 | removed (was 1)"]);
    assert_eq!(test.show("/a", "published"), "same=2 x=3 y=1 z=3");

    // What does not conflict can go alone, and the rest stays with its conflict.
    test.publish_keys("/a", "d", &["y"]).unwrap();
    assert_eq!(test.show("/a", "published"), "same=2 x=3 y=2 z=3");
    insta::assert_snapshot!(said(test.publish("/a", "d")), @"`x`, `z` changed in `/a` since the draft began");
}

#[test]
fn part_of_a_draft_is_published_and_the_rest_stays() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    test.draft("/a", "d", &["x=2", "y=2", "z=2"]).unwrap();
    test.publish_keys("/a", "d", &["y"]).unwrap();
    assert_eq!(test.show("/a", "published"), "x=1 y=2");
    let rest = test.admin.draft(&ns("/a"), &"d".parse().unwrap()).unwrap();
    assert_eq!(rest.keys, [key("x"), key("z")]);
    insta::assert_snapshot!(said(test.publish_keys("/a", "d", &["x", "nothing"])), @"list of keys to publish is not valid: `nothing`: the draft does not change it");
    test.publish_keys("/a", "d", &["x", "z"]).unwrap();
    assert!(test.admin.drafts(&ns("/a")).unwrap().is_empty());
    assert_eq!(test.show("/a", "published"), "x=2 y=2 z=2");
}

#[test]
fn changing_and_publishing_in_one_step_leaves_what_else_is_in_the_draft() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    test.draft("/a", "d", &["y=2"]).unwrap();
    test.admin
        .change_and_publish(&ns("/a"), &change("d", &["x=3"]))
        .unwrap();
    assert_eq!(test.show("/a", "published"), "x=3");
    assert_eq!(test.show("/a", "draft/d"), "x=3 y=2");
    let again = test
        .admin
        .change_and_publish(&ns("/a"), &change("other", &["x=3"]));
    insta::assert_snapshot!(said(again), @"nothing to do in `/a`: it is published so already");
}

#[test]
fn rolling_back_and_forward_gives_equal_trees() {
    let test = TestRepo::with(&["/a"]);
    let first = test.set("/a", &["x=1", "y=1"]);
    let second = test.set("/a", &["x=2", "-y", "z=2"]);
    let third = test.set("/a", &["x=3"]);
    let back = test.rollback("/a", "published~2").unwrap();
    assert_eq!(back.tree, first.tree);
    assert_eq!(back.keys, [key("x"), key("y"), key("z")]);
    assert_ne!(back.commit, first.commit);
    let forward = test.rollback("/a", &third.commit.to_string()).unwrap();
    assert_eq!(forward.tree, third.tree);
    let middle = test.rollback("/a", "published~3").unwrap();
    assert_eq!(middle.tree, second.tree);
    insta::assert_snapshot!(said(test.rollback("/a", "published~1").and(test.rollback("/a", "published"))), @"nothing to do in `/a`: the published content is that of published already");
    insta::assert_snapshot!(test.history("/a", "y"), @"v4 @5 removed, v3 @4 1, v2 @2 removed, v1 @1 1");
}

#[test]
fn single_keys_roll_back() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "y=1"]);
    test.set("/a", &["x=2", "y=2", "z=2"]);
    let keys = Some([key("x"), key("z")].into());
    let rollback = Rollback {
        to: rev("published~1"),
        keys,
        expected_head: ExpectedHead::Any,
        message: None,
        emergency: None,
        acknowledge_deprecated: false,
    };
    test.admin.rollback(&ns("/a"), &rollback).unwrap();
    assert_eq!(test.show("/a", "published"), "x=1 y=2");
    let missing = Rollback {
        keys: Some([key("nothing")].into()),
        ..rollback
    };
    insta::assert_snapshot!(said(test.admin.rollback(&ns("/a"), &missing)), @"there is no entry `nothing`");
}

#[test]
fn what_was_never_published_is_not_rolled_back_to() {
    let test = TestRepo::with(&["/a", "/empty"]);
    test.set("/a", &["x=1"]);
    test.draft("/a", "d", &["x=2"]).unwrap();
    insta::assert_snapshot!(said(test.rollback("/a", "draft/d")), @"revision `draft/d` is not valid: it was never published; publish a draft instead");
    insta::assert_snapshot!(said(test.rollback("/a", "published~9")), @"there is no revision `/a@published~9`");
    insta::assert_snapshot!(said(test.rollback("/empty", "published")), @"there is no published head of `/empty`");
}

#[test]
fn a_head_that_moved_is_stale() {
    let test = TestRepo::with(&["/a"]);
    let first = test.set("/a", &["x=1"]);
    let second = test.set("/a", &["x=2"]);
    let expected_head = ExpectedHead::At(first.commit);
    let rollback = Rollback {
        to: rev("published~1"),
        keys: None,
        expected_head,
        message: None,
        emergency: None,
        acknowledge_deprecated: false,
    };
    let Err(Error::Stale {
        expected, actual, ..
    }) = test.admin.rollback(&ns("/a"), &rollback)
    else {
        panic!()
    };
    assert_eq!(
        (expected, actual),
        (Some(first.commit), Some(second.commit))
    );
}

#[test]
fn a_request_with_an_idempotency_key_is_done_once() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    let once = test.admin.idempotent("k1");
    let first = once
        .change_and_publish(&ns("/a"), &change("d", &["x=2"]))
        .unwrap();
    test.set("/a", &["x=3"]);
    let again = once
        .change_and_publish(&ns("/a"), &change("d", &["x=2"]))
        .unwrap();
    assert_eq!(
        (first.commit, first.committed, &first.keys),
        (again.commit, again.committed, &again.keys)
    );
    assert_eq!(test.show("/a", "published"), "x=3");
    let other = once.change_and_publish(&ns("/a"), &change("d", &["x=4"]));
    insta::assert_snapshot!(said(other), @"the idempotency key was used for another request");
    let somebody_else = test.principal("ann").idempotent("k1");
    assert!(matches!(
        somebody_else.change_and_publish(&ns("/a"), &change("d", &["x=4"])),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn writers_to_one_namespace_at_once_all_succeed() {
    let test = TestRepo::with(&["/a"]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let admin = test.admin.clone();
            scope.spawn(move || {
                for round in 0..5 {
                    let change = change(&format!("d{thread}"), &[&format!("k{thread}={round}")]);
                    admin.change_and_publish(&ns("/a"), &change).unwrap();
                }
            });
        }
    });
    assert_eq!(
        test.admin
            .resolve(&ns("/a"), &rev("published"))
            .unwrap()
            .position,
        Some(40)
    );
    assert_eq!(
        test.show("/a", "published"),
        "k0=4 k1=4 k2=4 k3=4 k4=4 k5=4 k6=4 k7=4"
    );
}

#[test]
fn namespaces_made_at_once_do_not_get_in_the_way_of_each_other() {
    let test = TestRepo::with(&["/a"]);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let admin = test.admin.clone();
            scope.spawn(move || {
                for round in 0..6 {
                    let path = format!("/a/n{thread}-{round}");
                    admin
                        .create_namespace(NamespaceDocument::new(ns(&path)))
                        .unwrap();
                }
            });
        }
    });
    let made = test.admin.namespaces(&ns("/a"), None, 1000).unwrap();
    assert_eq!(made.namespaces.len(), 1 + 16 * 6);
}
