use confman_repo::Error;

use crate::test_repo::{MINUTE_MS, NOON_MS, TestRepo, key, ns, rev, said};

fn at(test: &TestRepo, revision: &str) -> String {
    match test.admin.resolve(&ns("/a"), &rev(revision)) {
        Ok(at) => at.position.map_or_else(
            || "not published".to_owned(),
            |position| format!("@{position}"),
        ),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_revision_is_found_by_every_name_it_has() {
    let test = TestRepo::with(&["/a"]);
    insta::assert_snapshot!(at(&test, "published"), @"not published");
    let first = test.set("/a", &["x=1"]);
    test.clock.advance(60 * MINUTE_MS);
    let second = test.set("/a", &["x=2"]);
    test.clock.advance(60 * MINUTE_MS);
    test.set("/a", &["x=3"]);
    test.admin
        .put_tag(&ns("/a"), &"v1".parse().unwrap(), &rev("published~1"))
        .unwrap();
    test.draft("/a", "d", &["x=4"]).unwrap();

    assert_eq!(at(&test, "published"), "@3");
    assert_eq!(at(&test, "published~0"), "@3");
    assert_eq!(at(&test, "published~2"), "@1");
    assert_eq!(at(&test, "v1"), "@2");
    assert_eq!(at(&test, &first.commit.to_string()), "@1");
    assert_eq!(at(&test, &second.commit.to_string()[..12]), "@2");
    assert_eq!(at(&test, "draft/d"), "not published");
    let just_before_the_second = confman_repo::time::rfc3339(NOON_MS + 61 * MINUTE_MS);
    assert_eq!(at(&test, &format!("{{{just_before_the_second}}}")), "@1");
    assert_eq!(at(&test, "{1h ago}"), "@2");
    assert_eq!(at(&test, "{now}"), "@3");

    insta::assert_snapshot!(at(&test, "published~3"), @"there is no revision `/a@published~3`");
    insta::assert_snapshot!(at(&test, "{2020-01-01}"), @"there is no revision `/a@{2020-01-01}`");
    insta::assert_snapshot!(at(&test, "no-tag"), @"there is no revision `/a@no-tag`");
    insta::assert_snapshot!(at(&test, "#42"), @"there is no publish request `#42`");
    insta::assert_snapshot!(at(&test, "00000000"), @"there is no revision `/a@00000000`");
    insta::assert_snapshot!(at(&test, "{soon}"), @"time `soon` is not valid: allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`");
}

#[test]
fn a_commit_of_another_namespace_is_not_found_here() {
    let test = TestRepo::with(&["/a", "/b"]);
    test.set("/a", &["x=1"]);
    let other = test.set("/b", &["x=1"]);
    let shown = at(&test, &other.commit.to_string()).replace(&other.commit.to_string(), "ID");
    insta::assert_snapshot!(shown, @"there is no revision `/a@ID`");
    let policy = test.admin.namespace(&ns("/a")).unwrap().policy;
    let shown = at(&test, &policy.to_string()).replace(&policy.to_string(), "ID");
    insta::assert_snapshot!(shown, @"there is no revision `/a@ID`");
}

#[test]
fn a_time_that_goes_backwards_does_not_hide_what_was_published_later() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    test.clock.set(NOON_MS - 60 * MINUTE_MS);
    test.set("/a", &["x=2"]);
    let late = confman_repo::time::rfc3339(NOON_MS + 10 * MINUTE_MS);
    assert_eq!(at(&test, &format!("{{{late}}}")), "@2");
}

#[test]
fn tags_name_published_commits_and_stay() {
    let test = TestRepo::with(&["/a"]);
    let first = test.set("/a", &["x=1"]);
    test.set("/a", &["x=2"]);
    let tag = "v1".parse().unwrap();
    let put = |revision: &str| test.admin.put_tag(&ns("/a"), &tag, &rev(revision));
    assert!(put("published~1").unwrap().1.is_some());
    assert!(put("published~1").unwrap().1.is_none());
    insta::assert_snapshot!(said(put("published")), @"tag `v1` exists already");
    assert_eq!(
        test.admin.tag(&ns("/a"), &tag).unwrap().commit,
        first.commit
    );
    assert_eq!(test.admin.tags(&ns("/a")).unwrap().len(), 1);
    test.admin.delete_tag(&ns("/a"), &tag).unwrap();
    assert!(matches!(
        test.admin.tag(&ns("/a"), &tag),
        Err(Error::NotFound { .. })
    ));
    test.draft("/a", "d", &["x=3"]).unwrap();
    insta::assert_snapshot!(said(put("draft/d")), @"revision `draft/d` is not valid: it was never published; a tag names a published commit");
}

#[test]
fn comparisons_go_between_revisions_and_namespaces() {
    let test = TestRepo::with(&["/a", "/b"]);
    test.set("/a", &["same=1", "x=1", "gone=1"]);
    test.set("/a", &["x=2", "-gone", "new=1"]);
    test.set("/b", &["same=1", "x=9"]);
    let compare = |from: (&str, &str), to: (&str, &str)| {
        let (from, to) = ((ns(from.0), rev(from.1)), (ns(to.0), rev(to.1)));
        let found = test
            .admin
            .compare((&from.0, &from.1), (&to.0, &to.1), None, 10)
            .unwrap();
        found
            .changes
            .iter()
            .map(|change| format!("{:?} {}", change.kind, change.key))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(
        compare(("/a", "published~1"), ("/a", "published")),
        "Removed gone, Added new, Changed x"
    );
    assert_eq!(compare(("/a", "published"), ("/a", "published")), "");
    assert_eq!(
        compare(("/a", "published~1"), ("/b", "published")),
        "Removed gone, Changed x"
    );
    let page = test
        .admin
        .compare(
            (&ns("/a"), &rev("published~1")),
            (&ns("/a"), &rev("published")),
            Some(&key("gone")),
            1,
        )
        .unwrap();
    assert_eq!(
        (page.changes[0].key.as_str(), page.next),
        ("new", Some(key("new")))
    );
}
