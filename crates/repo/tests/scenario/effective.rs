use confman_repo::{NamespaceDocument, Values};

use crate::test_repo::{MINUTE_MS, TestRepo, key, ns, rev, said};

fn effective(test: &TestRepo, namespace: &str, revision: &str) -> String {
    let document = test
        .admin
        .effective(&ns(namespace), &rev(revision), Values::With)
        .unwrap();
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

#[test]
fn the_nearest_wins_and_a_tombstone_hides() {
    let test = TestRepo::with(&["/a", "/a/b"]);
    test.set("/", &["x=root", "y=root", "z=root"]);
    test.set("/a", &["y=a", "!z"]);
    test.set("/a/b", &["own=b"]);
    assert_eq!(
        effective(&test, "/a/b", "published"),
        "own=b (/a/b), x=root (/), y=a (/a)"
    );
    let value = test
        .admin
        .effective_value(&ns("/a/b"), &rev("published"), &key("y"))
        .unwrap();
    assert_eq!(value.version, Some(1));
    assert_eq!(value.overrides.len(), 1);
    assert_eq!(value.overrides[0].from.namespace, ns("/"));
    insta::assert_snapshot!(said(test.admin.effective_value(&ns("/a/b"), &rev("published"), &key("z"))), @"there is no entry `/a/b:z`");
}

#[test]
fn a_chain_is_cut_where_a_namespace_does_not_inherit() {
    let test = TestRepo::new();
    test.set("/", &["x=root"]);
    let cut = NamespaceDocument {
        inherit: false,
        ..NamespaceDocument::new(ns("/cut"))
    };
    test.admin.create_namespace(cut).unwrap();
    test.admin
        .create_namespace(NamespaceDocument::new(ns("/cut/below")))
        .unwrap();
    test.set("/cut", &["y=cut"]);
    assert_eq!(effective(&test, "/cut/below", "published"), "y=cut (/cut)");
}

#[test]
fn the_basis_moves_with_any_namespace_of_the_chain_and_only_with_those() {
    let test = TestRepo::with(&["/a", "/a/b", "/c"]);
    test.set("/a/b", &["x=1"]);
    let basis = || test.admin.basis(&ns("/a/b"), &rev("published")).unwrap();
    let before = basis();
    test.set("/c", &["x=1"]);
    test.draft("/a", "d", &["x=1"]).unwrap();
    assert_eq!(basis(), before);
    test.set("/", &["x=1"]);
    assert_ne!(basis(), before);
    assert_eq!(
        basis(),
        test.admin
            .effective(&ns("/a/b"), &rev("published"), Values::Without)
            .unwrap()
            .basis
    );
}

#[test]
fn what_is_above_is_taken_as_of_the_revisions_time() {
    let test = TestRepo::with(&["/a"]);
    test.set("/", &["above=1"]);
    test.set("/a", &["own=1"]);
    test.set("/", &["above=2"]);
    test.clock.advance(60 * MINUTE_MS);
    test.set("/a", &["own=2"]);
    test.set("/", &["above=3"]);
    assert_eq!(
        effective(&test, "/a", "published"),
        "above=3 (/), own=2 (/a)"
    );
    assert_eq!(
        effective(&test, "/a", "published~1"),
        "above=1 (/), own=1 (/a)"
    );
    assert_eq!(
        effective(&test, "/a", "{30m ago}"),
        "above=2 (/), own=1 (/a)"
    );
    test.draft("/a", "d", &["own=3"]).unwrap();
    assert_eq!(effective(&test, "/a", "draft/d"), "above=3 (/), own=3 (/a)");
}
