use confman_repo::LogQuery;

use crate::test_repo::{TestRepo, key, ns, rev, said};

#[test]
fn versions_count_removals_and_tombstones() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "other=1"]);
    test.set("/a", &["-x"]);
    test.set("/a", &["other=2"]);
    test.set("/a", &["x=2"]);
    test.set("/a", &["!x"]);
    insta::assert_snapshot!(test.history("/a", "x"), @"v4 @5 unset, v3 @4 2, v2 @2 removed, v1 @1 1");
    insta::assert_snapshot!(test.history("/a", "never"), @"there is no entry `/a:never`");
    let history = test.admin.history(&ns("/a"), &key("x"), None, 10).unwrap();
    assert!(
        history
            .versions
            .iter()
            .all(|version| version.term > 0 && version.published.by == "admin")
    );
    assert!(
        history
            .versions
            .is_sorted_by(|newer, older| newer.index > older.index)
    );
    assert_eq!(history.versions[1].message, "change x");
}

#[test]
fn a_history_is_read_page_by_page() {
    let test = TestRepo::with(&["/a"]);
    for value in 0..7 {
        test.set("/a", &[&format!("x={value}"), &format!("noise={value}")]);
    }
    let mut after = None;
    let mut versions = Vec::new();
    loop {
        let page = test.admin.history(&ns("/a"), &key("x"), after, 3).unwrap();
        assert!(page.versions.len() <= 3);
        versions.extend(page.versions.iter().map(|version| version.version));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(versions, [7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn blame_names_the_commit_of_each_key_as_of_a_revision() {
    let test = TestRepo::with(&["/a"]);
    let first = test.set("/a", &["a/x=1", "a/y=1", "b=1"]);
    let second = test.set("/a", &["a/y=2"]);
    test.set("/a", &["a/x=3", "b=3"]);
    let blame = |revision: &str| {
        let blame = test
            .admin
            .blame(&ns("/a"), &rev(revision), "a/", None, 10)
            .unwrap();
        blame
            .lines
            .iter()
            .map(|line| (line.key.to_string(), line.version, line.commit))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        blame("published~1"),
        [
            ("a/x".to_owned(), 1, first.commit),
            ("a/y".to_owned(), 2, second.commit)
        ]
    );
    assert_eq!(blame("published")[0].1, 2);
    test.draft("/a", "d", &["b=4"]).unwrap();
    insta::assert_snapshot!(said(test.admin.blame(&ns("/a"), &rev("draft/d"), "", None, 10)), @"revision `draft/d` is not valid: it was never published, so nobody published its values");
    let page = test
        .admin
        .blame(&ns("/a"), &rev("published"), "", Some(&key("a/x")), 1)
        .unwrap();
    assert_eq!(
        (
            page.lines[0].key.as_str(),
            page.next.as_ref().unwrap().as_str()
        ),
        ("a/y", "a/y")
    );
}

#[test]
fn a_log_follows_first_parents_through_a_draft_and_can_be_of_one_key() {
    let test = TestRepo::with(&["/a"]);
    for value in 0..4 {
        test.set("/a", &[&format!("k{}={value}", value % 2)]);
    }
    test.draft("/a", "d", &["k0=d1"]).unwrap();
    test.draft("/a", "d", &["k1=d2"]).unwrap();
    let log = |revision: &str, key: Option<&str>, limit: usize| {
        let key = key.map(crate::test_repo::key);
        let mut after = None;
        let mut shown = Vec::new();
        loop {
            let query = LogQuery {
                after,
                limit,
                key: key.clone(),
            };
            let page = test.admin.log(&ns("/a"), &rev(revision), &query).unwrap();
            shown.extend(page.commits.iter().map(|info| {
                let place = info
                    .position
                    .map_or_else(|| "draft".to_owned(), |position| position.to_string());
                format!("{place} {}", info.commit.message)
            }));
            after = page.next;
            if after.is_none() {
                return shown.join(", ");
            }
        }
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            log("draft/d", None, limit),
            "draft change k1, draft change k0, 4 change k1, 3 change k0, 2 change k1, 1 change k0"
        );
        assert_eq!(
            log("draft/d", Some("k0"), limit),
            "draft change k0, 3 change k0, 1 change k0"
        );
        assert_eq!(log("published~1", Some("k1"), limit), "2 change k1");
        assert_eq!(log("published~2", None, limit), "2 change k1, 1 change k0");
    }
}
