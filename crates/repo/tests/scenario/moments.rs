//! Everything of a chain as of one moment: values, documents, settings and grants.

use confman_repo::draft::ExpectedHead;
use confman_repo::policy::Permission;
use confman_repo::{DocumentChange, NamespaceDocument, Values};
use serde_json::json;

use crate::test_repo::{MINUTE_MS, TestRepo, key, ns, rev, said};

fn patch(test: &TestRepo, namespace: &str, patch: serde_json::Value) {
    test.clock.advance(MINUTE_MS);
    let change = DocumentChange::Merge(patch);
    test.admin
        .update_namespace(&ns(namespace), &change, ExpectedHead::Any, false)
        .unwrap();
}

/// Now, and then a minute passes, so that nothing later has this time.
fn now(test: &TestRepo) -> String {
    let text = confman_repo::time::rfc3339(test.clock_ms());
    test.clock.advance(MINUTE_MS);
    text
}

fn effective(test: &TestRepo, namespace: &str, at: &str) -> String {
    let revision = rev(&format!("{{{at}}}"));
    match test
        .admin
        .effective(&ns(namespace), &revision, Values::With)
    {
        Err(error) => error.to_string(),
        Ok(document) => {
            let shown = document.entries.iter().map(|found| {
                let value = found.entry.value.as_ref().unwrap();
                format!(
                    "{}={} ({})",
                    found.entry.key,
                    value.as_str().unwrap(),
                    found.from.namespace
                )
            });
            shown.collect::<Vec<_>>().join(", ")
        }
    }
}

/// What `environment` is and who states it, with the chain.
fn environment(test: &TestRepo, namespace: &str, at: Option<&str>) -> String {
    match test.admin.effective_namespace(&ns(namespace), at) {
        Err(error) => error.to_string(),
        Ok(found) => {
            let chain: Vec<String> = found
                .chain
                .iter()
                .map(|part| part.namespace.to_string())
                .collect();
            let setting = found
                .settings
                .iter()
                .find(|setting| setting.name == "environment");
            let setting = setting.map_or("no environment".to_owned(), |setting| {
                let from = setting.from.as_ref().map_or("-", |from| from.as_str());
                format!("{} of {from}", setting.value)
            });
            format!("{}: {setting}", chain.join(" "))
        }
    }
}

#[test]
fn values_documents_and_settings_are_those_of_one_moment() {
    let test = TestRepo::with(&["/a", "/a/b"]);
    test.set("/", &["x=root"]);
    test.set("/a/b", &["own=1"]);
    let first = now(&test);
    patch(&test, "/a", json!({"settings": {"environment": "test"}}));
    test.set("/a", &["x=a"]);
    let second = now(&test);
    patch(&test, "/a/b", json!({"inherit": false}));
    let third = now(&test);
    patch(
        &test,
        "/a",
        json!({"settings": {"environment": "production"}}),
    );
    patch(&test, "/a/b", json!({"inherit": true}));
    test.set("/a", &["x=aa"]);

    assert_eq!(effective(&test, "/a/b", &first), "own=1 (/a/b), x=root (/)");
    assert_eq!(effective(&test, "/a/b", &second), "own=1 (/a/b), x=a (/a)");
    assert_eq!(effective(&test, "/a/b", &third), "own=1 (/a/b)");
    assert_eq!(effective(&test, "/a/b", "now"), "own=1 (/a/b), x=aa (/a)");
    assert_eq!(
        environment(&test, "/a/b", Some(&first)),
        "/a/b /a /: no environment"
    );
    assert_eq!(
        environment(&test, "/a/b", Some(&second)),
        "/a/b /a /: \"test\" of /a"
    );
    assert_eq!(
        environment(&test, "/a/b", Some(&third)),
        "/a/b: no environment"
    );
    assert_eq!(
        environment(&test, "/a/b", None),
        "/a/b /a /: \"production\" of /a"
    );
}

#[test]
fn a_commit_or_tag_stands_on_what_was_there_when_it_was_published() {
    let test = TestRepo::with(&["/a"]);
    test.set("/", &["x=1"]);
    let old = test.set("/a", &["own=1"]);
    test.set("/", &["x=2"]);
    test.set("/a", &["own=2"]);
    for revision in ["published~1".to_owned(), old.commit.to_string()] {
        let document = test
            .admin
            .effective(&ns("/a"), &rev(&revision), Values::With)
            .unwrap();
        let x = document
            .entries
            .iter()
            .find(|found| found.entry.key == key("x"));
        let value = x.unwrap().entry.value.as_ref().unwrap();
        assert_eq!(value.as_str(), Some("1"), "{revision}");
    }
}

#[test]
fn a_namespace_is_not_found_where_it_was_not_there() {
    let test = TestRepo::new();
    let before = now(&test);
    test.admin
        .create_namespace(NamespaceDocument::new(ns("/a")))
        .unwrap();
    test.set("/a", &["x=1"]);
    let there = now(&test);
    test.admin
        .delete_namespace(&ns("/a"), false, ExpectedHead::Any)
        .unwrap();
    let gone = now(&test);
    test.admin.restore_namespace(&ns("/a"), None).unwrap();
    let back = now(&test);
    let not_found = |at: &str| format!("there is no revision `/a@{{{at}}}`");
    assert_eq!(effective(&test, "/a", &before), not_found(&before));
    assert_eq!(effective(&test, "/a", &there), "x=1 (/a)");
    assert_eq!(effective(&test, "/a", &gone), not_found(&gone));
    assert_eq!(effective(&test, "/a", &back), "x=1 (/a)");
    assert_eq!(environment(&test, "/a", Some(&before)), not_found(&before));
    assert_eq!(environment(&test, "/a", Some(&gone)), not_found(&gone));
    assert_eq!(
        environment(&test, "/a", Some(&back)),
        "/a /: no environment"
    );
}

#[test]
fn rights_of_a_moment_are_shown_and_open_nothing() {
    let test = TestRepo::with(&["/a"]);
    let ann = test.principal("ann");
    patch(&test, "/a", json!({"roles": {"publisher": ["ann"]}}));
    test.set("/a", &["x=1"]);
    let granted = now(&test);
    patch(
        &test,
        "/a",
        json!({"roles": {"publisher": [], "viewer": ["ann"]}}),
    );
    let decided = |at: Option<&str>| {
        let permission = Some(Permission::ConfigPublish);
        let report = test
            .admin
            .permissions(&ns("/a"), Some("ann"), permission, at)
            .unwrap();
        report.decisions[0].to_string()
    };
    insta::assert_snapshot!(decided(Some(&granted)), @"config:publish is allowed by publisher of ann on /a");
    insta::assert_snapshot!(decided(None), @"config:publish needs role publisher, the highest here is viewer");
    // Anybody may ask about itself, and only admins about others.
    assert!(ann.permissions(&ns("/a"), None, None, None).is_ok());
    insta::assert_snapshot!(said(ann.permissions(&ns("/a"), Some("admin"), None, None)), @"not allowed in `/a`: roles:manage needs role admin, the highest here is viewer");
    insta::assert_snapshot!(said(test.admin.permissions(&ns("/a"), Some("nobody"), None, None)), @"there is no principal `nobody`");
    patch(&test, "/a", json!({"roles": {"viewer": []}}));
    let then = rev(&format!("{{{granted}}}"));
    insta::assert_snapshot!(said(ann.effective(&ns("/a"), &then, Values::With)), @"there is no namespace `/a`");
    insta::assert_snapshot!(said(ann.permissions(&ns("/a"), None, None, Some(&granted))), @"there is no namespace `/a`");
}

#[test]
fn what_the_actor_may_not_know_of_is_left_out_of_an_explanation() {
    let test = TestRepo::with(&["/a", "/a/b"]);
    let ann = test.principal("ann");
    patch(&test, "/a", json!({"roles": {"editor": ["bob"]}}));
    patch(&test, "/a/b", json!({"roles": {"viewer": ["ann"]}}));
    test.set("/a", &["x=1"]);
    test.set("/a/b", &["x=2"]);
    let holders = |session: &confman_repo::Session| {
        let found = session
            .explain(&ns("/a/b"), &rev("published"), &key("x"))
            .unwrap();
        let holders: Vec<String> = found
            .may_change
            .iter()
            .map(|grant| format!("{} of {}", grant.holder, grant.namespace))
            .collect();
        (holders.join(", "), found.filtered)
    };
    assert_eq!(
        holders(&test.admin),
        ("bob of /a, admin of /".to_owned(), false)
    );
    assert_eq!(holders(&ann), (String::new(), true));
}
