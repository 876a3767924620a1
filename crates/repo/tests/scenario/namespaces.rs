use confman_repo::model::PrincipalKind;
use confman_repo::{Error, Namespace, NamespaceDocument, NewPrincipal, NewToken};

use crate::test_repo::{TestRepo, change, key, name, ns, rev, said};

fn granted(path: &str, role: &str, holder: &str) -> NamespaceDocument {
    let mut document = NamespaceDocument::new(ns(path));
    let holders = match role {
        "viewer" => &mut document.roles.viewer,
        "editor" => &mut document.roles.editor,
        "publisher" => &mut document.roles.publisher,
        _ => &mut document.roles.admin,
    };
    holders.push(holder.to_owned());
    document
}

fn paths(listed: &[confman_repo::NamespaceInfo]) -> Vec<Namespace> {
    listed
        .iter()
        .map(|info| info.document.path.clone())
        .collect()
}

#[test]
fn a_namespace_needs_its_parent_and_is_made_once() {
    let test = TestRepo::new();
    let (made, _) = test
        .admin
        .create_namespace(NamespaceDocument::new(ns("/a")))
        .unwrap();
    assert_eq!(made.document.metadata.created_by, "admin");
    insta::assert_snapshot!(made.document.metadata.created, @"2026-11-24T12:00:00Z");
    let again = |path| {
        said(
            test.admin
                .create_namespace(NamespaceDocument::new(ns(path))),
        )
    };
    insta::assert_snapshot!(again("/a"), @"namespace `/a` exists already");
    insta::assert_snapshot!(again("/"), @"namespace `/` exists already");
    insta::assert_snapshot!(again("/x/y"), @"there is no namespace `/x`");
    assert_eq!(test.admin.namespace(&ns("/a")).unwrap().keys, 0);
    test.set("/a", &["x=1", "y=2"]);
    assert_eq!(test.admin.namespace(&ns("/a")).unwrap().keys, 2);
}

#[test]
fn namespaces_are_listed_in_the_order_of_paths_below_a_prefix() {
    let test = TestRepo::with(&["/a", "/a.b", "/a/b", "/a/b/c", "/b"]);
    let all = test
        .admin
        .namespaces(&Namespace::root(), None, 100)
        .unwrap();
    assert_eq!(
        paths(&all.namespaces),
        [
            ns("/"),
            ns("/a"),
            ns("/a.b"),
            ns("/a/b"),
            ns("/a/b/c"),
            ns("/b")
        ]
    );
    let below = test.admin.namespaces(&ns("/a"), None, 2).unwrap();
    assert_eq!(
        (paths(&below.namespaces), below.next.clone()),
        (vec![ns("/a"), ns("/a/b")], Some(ns("/a/b")))
    );
    let rest = test
        .admin
        .namespaces(&ns("/a"), below.next.as_ref(), 2)
        .unwrap();
    assert_eq!(
        (paths(&rest.namespaces), rest.next),
        (vec![ns("/a/b/c")], None)
    );
}

#[test]
fn who_may_not_read_a_namespace_is_told_that_there_is_none() {
    let test = TestRepo::with(&["/secret"]);
    test.set("/secret", &["x=1"]);
    let ann = test.principal("ann");
    insta::assert_snapshot!(said(ann.entry(&ns("/secret"), &key("x"), None)), @"there is no namespace `/secret`");
    insta::assert_snapshot!(said(ann.change_draft(&ns("/secret"), &change("d", &["x=2"]))), @"there is no namespace `/secret`");
    insta::assert_snapshot!(said(ann.create_namespace(NamespaceDocument::new(ns("/secret/x")))), @"there is no namespace `/secret`");
    let listed = ann.namespaces(&Namespace::root(), None, 10).unwrap();
    assert!(listed.namespaces.is_empty() && listed.filtered);
    assert!(
        ann.operations(&Default::default(), None, 100)
            .unwrap()
            .operations
            .is_empty()
    );
}

#[test]
fn each_role_can_do_what_it_is_for_and_no_more() {
    let test = TestRepo::new();
    for role in ["viewer", "editor", "publisher"] {
        let path = format!("/{role}");
        test.admin
            .create_namespace(granted(&path, role, role))
            .unwrap();
        test.set(&path, &["x=1"]);
        test.set(&path, &["x=2"]);
        test.draft(&path, "theirs", &["x=3"]).unwrap();
        let session = test.principal(role);
        let at = ns(&path);
        let allowed = [
            session
                .entries(&at, &rev("published"), &crate::test_repo::all())
                .is_ok(),
            session
                .entries(&at, &rev("draft/theirs"), &crate::test_repo::all())
                .is_ok(),
            session.change_draft(&at, &change("mine", &["y=1"])).is_ok(),
            session
                .change_and_publish(&at, &change("direct", &["z=1"]))
                .is_ok(),
            session
                .create_namespace(NamespaceDocument::new(ns(&format!("{path}/child"))))
                .is_ok(),
        ];
        let expected = match role {
            "viewer" => [true, false, false, false, false],
            "editor" => [true, true, true, false, false],
            _ => [true, true, true, true, false],
        };
        assert_eq!(allowed, expected, "{role}");
        let entry = session.entry(&at, &key("x"), None).unwrap();
        assert_eq!(entry.draft.is_some(), role != "viewer");
    }
    let editor = test.with_token(&NewToken::unlimited("editor".parse().unwrap()));
    insta::assert_snapshot!(said(editor.change_and_publish(&ns("/editor"), &change("d", &["q=1"]))), @"not allowed in `/editor`: config:publish needs role publisher, the highest here is editor");
    insta::assert_snapshot!(said(editor.create_principal(&NewPrincipal::user("eve".parse().unwrap()))), @"there is no namespace `/`");
}

#[test]
fn a_viewer_does_not_find_the_commits_of_a_draft() {
    let test = TestRepo::new();
    test.admin
        .create_namespace(granted("/v", "viewer", "vic"))
        .unwrap();
    test.set("/v", &["x=1"]);
    let draft = test.draft("/v", "d", &["x=2"]).unwrap();
    let vic = test.principal("vic");
    assert!(
        test.admin
            .commit(&ns("/v"), &rev(&draft.head.to_string()))
            .is_ok()
    );
    assert!(matches!(
        vic.commit(&ns("/v"), &rev(&draft.head.to_string())),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        vic.draft(&ns("/v"), &name("d")),
        Err(Error::Denied { .. })
    ));
}

#[test]
fn tokens_are_nobodys_until_they_are_made() {
    let test = TestRepo::new();
    for wrong in [
        "",
        "cfm_pat_x",
        confman_repo::Token::generate(PrincipalKind::Service)
            .unwrap()
            .as_str(),
    ] {
        assert!(matches!(
            test.repo.authenticate(wrong),
            Err(Error::Unauthenticated)
        ));
    }
    assert!(test.repo.bootstrap().unwrap().is_none());
    let ann = test.principal("ann");
    let me = ann.whoami().unwrap();
    assert_eq!((me.principal.as_str(), me.draft.as_str()), ("ann", "ann"));
    assert!(
        ann.create_token(&NewToken::unlimited("ann".parse().unwrap()))
            .is_ok()
    );
    assert!(
        ann.create_token(&NewToken::unlimited("admin".parse().unwrap()))
            .is_err()
    );
    insta::assert_snapshot!(said(test.admin.create_principal(&NewPrincipal::user("ann".parse().unwrap()))), @"principal `ann` exists already");
}
