//! Namespaces that are changed, deleted, restored and made again.

use confman_repo::draft::ExpectedHead;
use confman_repo::{DocumentChange, Error, NamespaceDocument, Session};
use serde_json::json;

use crate::test_repo::{MINUTE_MS, TestRepo, all, change, key, name, ns, rev, said};

fn patch(session: &Session, namespace: &str, patch: serde_json::Value) -> String {
    let change = DocumentChange::Merge(patch);
    match session.update_namespace(&ns(namespace), &change, ExpectedHead::Any, false) {
        Ok(updated) => {
            let mut said = vec!["ok".to_owned()];
            said.extend(updated.warnings);
            said.join("; ")
        }
        Err(error) => error.to_string(),
    }
}

fn delete(session: &Session, namespace: &str, recursive: bool) -> Result<String, Error> {
    let deleted = session.delete_namespace(&ns(namespace), recursive, ExpectedHead::Any)?;
    Ok(deleted.deletion)
}

fn restore(session: &Session, namespace: &str) -> String {
    match session.restore_namespace(&ns(namespace), None) {
        Ok(restored) => restored
            .namespaces
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => error.to_string(),
    }
}

fn sound(test: &TestRepo) {
    let report = test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn a_document_is_changed_and_every_version_is_kept() {
    let test = TestRepo::with(&["/a"]);
    test.clock.advance(MINUTE_MS);
    let said = patch(
        &test.admin,
        "/a",
        json!({"owner": "team", "settings": {"minApprovers": 2}}),
    );
    insta::assert_snapshot!(said, @"ok");
    test.clock.advance(MINUTE_MS);
    insta::assert_snapshot!(patch(&test.admin, "/a", json!({"owner": null})), @"ok");
    insta::assert_snapshot!(patch(&test.admin, "/a", json!({"owner": null})), @"nothing to do in `/a`: the document says this already");
    insta::assert_snapshot!(patch(&test.admin, "/a", json!({"path": "/b", "owner": "x"})), @"document of `/a` is not valid: its `path` is `/b`; a namespace cannot move");
    insta::assert_snapshot!(patch(&test.admin, "/a", json!({"nope": 1})), @"document of `/a` is not valid: there is no field `nope` here; allowed are path, displayName, description, owner, inherit, schema, roles, settings, metadata at `/nope` (line 19, column 11)");
    let history = test.admin.document_history(&ns("/a"), None, 2).unwrap();
    let shown = |history: &confman_repo::DocumentHistory| {
        history
            .versions
            .iter()
            .map(|v| {
                format!(
                    "v{} {} by {}: {}\n",
                    v.version, v.document.owner, v.stamp.by, v.message
                )
            })
            .collect::<String>()
    };
    insta::assert_snapshot!(shown(&history), @"
    v3  by admin: update /a: owner
    v2 team by admin: update /a: settings.minApprovers, owner
    ");
    let rest = test
        .admin
        .document_history(&ns("/a"), history.next, 2)
        .unwrap();
    insta::assert_snapshot!(shown(&rest), @"v1  by admin: create /a");
    sound(&test);
}

#[test]
fn a_document_that_moved_since_it_was_seen_is_not_overwritten() {
    let test = TestRepo::with(&["/a"]);
    let seen = test.admin.namespace(&ns("/a")).unwrap();
    patch(&test.admin, "/a", json!({"owner": "other"}));
    let mut mine = seen.document.clone();
    mine.owner = "mine".to_owned();
    let replace = DocumentChange::Replace(Box::new(mine));
    let stale =
        test.admin
            .update_namespace(&ns("/a"), &replace, ExpectedHead::At(seen.policy), false);
    assert!(matches!(stale, Err(Error::Stale { .. })), "{stale:?}");
    let now = test.admin.namespace(&ns("/a")).unwrap();
    let updated = test
        .admin
        .update_namespace(&ns("/a"), &replace, ExpectedHead::At(now.policy), false)
        .unwrap();
    assert_eq!(updated.info.document.owner, "mine");
    assert_eq!(
        updated.info.document.metadata.created,
        seen.document.metadata.created
    );
}

#[test]
fn only_admins_change_documents_and_are_warned_of_what_they_lose() {
    let test = TestRepo::with(&["/a"]);
    let ann = test.principal("ann");
    let bob = test.principal("bob");
    insta::assert_snapshot!(patch(&ann, "/a", json!({"owner": "x"})), @"there is no namespace `/a`");
    patch(
        &test.admin,
        "/a",
        json!({"roles": {"admin": ["ann"], "publisher": ["bob"]}}),
    );
    insta::assert_snapshot!(patch(&bob, "/a", json!({"owner": "x"})), @"not allowed in `/a`: namespace:write needs role admin, the highest here is publisher");
    insta::assert_snapshot!(patch(&ann, "/a", json!({"roles": {"editor": ["nobody"]}})), @"ok; `nobody` is editor now, though nobody of that name exists");
    insta::assert_snapshot!(patch(&ann, "/a", json!({"roles": {"admin": []}})), @"ok; you are no admin of `/a` any more");
    insta::assert_snapshot!(patch(&ann, "/a", json!({"owner": "x"})), @"there is no namespace `/a`");
    insta::assert_snapshot!(patch(&test.admin, "/a", json!({"inherit": false})), @"ok");
}

#[test]
fn the_root_keeps_an_admin_who_exists() {
    let test = TestRepo::new();
    test.principal("ann");
    insta::assert_snapshot!(said(delete(&test.admin, "/", true)), @"deletion of `/` is not valid: the root always exists");
    let refused = "document of `/` is not valid: `roles.admin` must name somebody who exists, so that nothing is left without an admin";
    for admins in [json!([]), json!(["nobody"]), json!(["group:nobody"])] {
        assert_eq!(
            patch(&test.admin, "/", json!({"roles": {"admin": admins}})),
            refused
        );
    }
    insta::assert_snapshot!(patch(&test.admin, "/", json!({"roles": {"admin": ["ann", "nobody"]}})), @"ok; `nobody` is admin now, though nobody of that name exists; you are no admin of `/` any more");
}

#[test]
fn a_namespace_with_children_goes_only_with_them() {
    let test = TestRepo::with(&["/a", "/a/b", "/a/b/c", "/a.b", "/ab"]);
    test.set("/a/b", &["x=1"]);
    insta::assert_snapshot!(said(delete(&test.admin, "/a", false)), @"`/a` has namespaces below it: `/a/b`, `/a/b/c`");
    let seen = test.admin.namespace(&ns("/a")).unwrap().policy;
    patch(&test.admin, "/a", json!({"owner": "x"}));
    let stale = test
        .admin
        .delete_namespace(&ns("/a"), true, ExpectedHead::At(seen));
    assert!(matches!(stale, Err(Error::Stale { .. })));
    delete(&test.admin, "/a", true).unwrap();
    for gone in ["/a", "/a/b", "/a/b/c"] {
        assert_eq!(
            said(test.admin.namespace(&ns(gone))),
            format!("there is no namespace `{gone}`")
        );
    }
    assert!(test.admin.namespace(&ns("/ab")).is_ok() && test.admin.namespace(&ns("/a.b")).is_ok());
    insta::assert_snapshot!(restore(&test.admin, "/a/b"), @"there is no namespace `/a`");
    insta::assert_snapshot!(restore(&test.admin, "/a"), @"/a /a/b /a/b/c");
    insta::assert_snapshot!(test.show("/a/b", "published"), @"x=1");
    insta::assert_snapshot!(restore(&test.admin, "/a"), @"there is no deleted namespace `/a`");
    sound(&test);
}

#[test]
fn a_deletion_needs_the_right_to_delete_everything_below() {
    let test = TestRepo::with(&["/a", "/a/cut"]);
    let ann = test.principal("ann");
    patch(&test.admin, "/a", json!({"roles": {"admin": ["ann"]}}));
    patch(&test.admin, "/a/cut", json!({"inherit": false}));
    insta::assert_snapshot!(said(delete(&ann, "/a", false)), @"`/a` has namespaces below it: 1 that you may not see");
    insta::assert_snapshot!(said(delete(&ann, "/a", true)), @"not allowed in `/a`: something below it is not yours to delete");
    patch(&test.admin, "/a/cut", json!({"roles": {"viewer": ["ann"]}}));
    insta::assert_snapshot!(said(delete(&ann, "/a", true)), @"not allowed in `/a/cut`: namespace:delete needs role admin, the highest here is viewer");
    delete(&test.admin, "/a", true).unwrap();
    // Ann was admin of `/a`, not of the cut namespace below it, and is not admin of `/`.
    insta::assert_snapshot!(restore(&ann, "/a"), @"there is no deleted namespace `/a`");
    sound(&test);
}

#[test]
fn what_is_restored_goes_on_where_it_ended() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    test.set("/a", &["x=2"]);
    test.draft("/a", "d", &["x=3"]).unwrap();
    test.admin
        .put_tag(&ns("/a"), &"v1".parse().unwrap(), &rev("published~1"))
        .unwrap();
    let (history, tree) = (test.history("/a", "x"), test.tree("/a", "published"));
    let before = test.admin.namespace(&ns("/a")).unwrap();
    delete(&test.admin, "/a", false).unwrap();
    sound(&test);
    test.clock.advance(MINUTE_MS);
    insta::assert_snapshot!(restore(&test.admin, "/a"), @"/a");
    assert_eq!(test.history("/a", "x"), history);
    assert_eq!(test.tree("/a", "published"), tree);
    assert_eq!(
        test.admin.namespace(&ns("/a")).unwrap().policy,
        before.policy
    );
    insta::assert_snapshot!(test.show("/a", "draft/d"), @"x=3");
    insta::assert_snapshot!(test.show("/a", "v1"), @"x=1");
    test.publish("/a", "d").unwrap();
    insta::assert_snapshot!(test.history("/a", "x"), @"v3 @3 3, v2 @2 2, v1 @1 1");
    sound(&test);
}

#[test]
fn a_namespace_made_again_begins_with_nothing() {
    let test = TestRepo::with(&["/a"]);
    let ann = test.principal("ann");
    patch(&test.admin, "/a", json!({"roles": {"admin": ["ann"]}}));
    let old = test.set("/a", &["x=old", "y=old"]);
    test.set("/a", &["x=older"]);
    let drafted = test.draft("/a", "d", &["x=draft"]).unwrap();
    test.admin
        .put_tag(&ns("/a"), &"v1".parse().unwrap(), &rev("published"))
        .unwrap();
    let before_ms = test.clock_ms();
    test.clock.advance(MINUTE_MS);
    delete(&test.admin, "/a", false).unwrap();
    test.clock.advance(MINUTE_MS);
    test.admin
        .create_namespace(NamespaceDocument::new(ns("/a")))
        .unwrap();

    insta::assert_snapshot!(said(ann.namespace(&ns("/a"))), @"there is no namespace `/a`");
    insta::assert_snapshot!(test.show("/a", "published"), @"");
    insta::assert_snapshot!(test.show("/a", "published~1"), @"there is no revision `/a@published~1`");
    insta::assert_snapshot!(test.show("/a", "draft/d"), @"there is no draft `d`");
    insta::assert_snapshot!(test.show("/a", "v1"), @"there is no revision `/a@v1`");
    for commit in [old.commit, drafted.head] {
        let shown = test.show("/a", &commit.to_string());
        assert_eq!(shown, format!("there is no revision `/a@{commit}`"));
    }
    let time = format!("{{{}}}", confman_repo::time::rfc3339(before_ms));
    assert_eq!(
        test.show("/a", &time),
        format!("there is no revision `/a@{time}`")
    );
    insta::assert_snapshot!(test.history("/a", "x"), @"there is no entry `/a:x`");
    assert_eq!(
        test.admin
            .document_history(&ns("/a"), None, 10)
            .unwrap()
            .versions
            .len(),
        1
    );

    test.set("/a", &["x=new"]);
    insta::assert_snapshot!(test.history("/a", "x"), @"v1 @1 new");
    insta::assert_snapshot!(test.show("/a", "published~1"), @"there is no revision `/a@published~1`");
    let entry = test.admin.entry(&ns("/a"), &key("x"), None).unwrap();
    assert_eq!(entry.published.map(|side| side.version), Some(1));
    insta::assert_snapshot!(restore(&test.admin, "/a"), @"namespace `/a` exists already");
    sound(&test);

    // Both lives were deleted; the last one is restored unless the other is named, and each has its own past.
    let listed = test.admin.deleted_namespaces(&ns("/")).unwrap();
    let first = listed.first().unwrap().deletion.clone();
    test.clock.advance(MINUTE_MS);
    delete(&test.admin, "/a", false).unwrap();
    let listed = test.admin.deleted_namespaces(&ns("/")).unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|one| one.deletion == first)
            .collect::<Vec<_>>(),
        [false, true]
    );
    test.clock.advance(MINUTE_MS);
    test.admin
        .restore_namespace(&ns("/a"), Some(&first))
        .unwrap();
    insta::assert_snapshot!(test.history("/a", "x"), @"v2 @2 older, v1 @1 old");
    insta::assert_snapshot!(test.show("/a", "draft/d"), @"x=draft y=old");
    assert_eq!(test.show("/a", &drafted.head.to_string()), "x=draft y=old");
    assert!(ann.namespace(&ns("/a")).is_ok());
    sound(&test);
}

#[test]
fn the_history_of_a_deleted_namespace_is_for_admins_of_its_parent() {
    let test = TestRepo::with(&["/p", "/p/a"]);
    let (ann, bob) = (test.principal("ann"), test.principal("bob"));
    patch(&test.admin, "/p", json!({"roles": {"admin": ["ann"]}}));
    patch(&test.admin, "/p/a", json!({"roles": {"admin": ["bob"]}}));
    test.set("/p/a", &["x=1"]);
    test.draft("/p/a", "d", &["x=2"]).unwrap();
    delete(&bob, "/p/a", false).unwrap();
    let entries = |session: &Session, revision: &str| {
        said(session.entries(&ns("/p/a"), &rev(revision), &all()))
    };
    insta::assert_snapshot!(entries(&bob, "published"), @"there is no namespace `/p/a`");
    insta::assert_snapshot!(entries(&ann, "published"), @"ok");
    insta::assert_snapshot!(said(ann.history(&ns("/p/a"), &key("x"), None, 10)), @"ok");
    insta::assert_snapshot!(said(ann.document_history(&ns("/p/a"), None, 10)), @"ok");
    // What was not published, and anything that writes, is not.
    insta::assert_snapshot!(entries(&ann, "draft/d"), @"there is no namespace `/p/a`");
    insta::assert_snapshot!(said(ann.change_draft(&ns("/p/a"), &change("d", &["x=3"]))), @"there is no namespace `/p/a`");
    insta::assert_snapshot!(said(ann.delete_draft(&ns("/p/a"), &name("d"), ExpectedHead::Any)), @"there is no namespace `/p/a`");
    insta::assert_snapshot!(patch(&ann, "/p/a", json!({"owner": "x"})), @"there is no namespace `/p/a`");
    insta::assert_snapshot!(said(ann.namespace(&ns("/p/a"))), @"there is no namespace `/p/a`");
    assert_eq!(bob.deleted_namespaces(&ns("/")).unwrap().len(), 0);
    assert_eq!(ann.deleted_namespaces(&ns("/")).unwrap().len(), 1);
    insta::assert_snapshot!(restore(&bob, "/p/a"), @"there is no deleted namespace `/p/a`");
    insta::assert_snapshot!(restore(&ann, "/p/a"), @"/p/a");
    assert!(bob.namespace(&ns("/p/a")).is_ok());
}

#[test]
fn deleting_and_restoring_once_is_once_however_often_it_is_asked_for() {
    let test = TestRepo::with(&["/a"]);
    let session = test.admin.idempotent("key-1");
    let first = delete(&session, "/a", false).unwrap();
    assert_eq!(delete(&session, "/a", false).unwrap(), first);
    let session = test.admin.idempotent("key-2");
    assert_eq!(restore(&session, "/a"), "/a");
    assert_eq!(restore(&session, "/a"), "/a");
}

#[test]
fn the_root_keeps_an_admin_when_principals_and_groups_go() {
    let test = TestRepo::new();
    let ann = test.principal("ann");
    let group = "admins".parse().unwrap();
    let put = |session: &Session, members: serde_json::Value| {
        let document = serde_json::from_value(json!({ "members": members })).unwrap();
        said(session.put_group(&group, &document, ExpectedHead::Any))
    };
    assert_eq!(put(&test.admin, json!(["ann"])), "ok");
    insta::assert_snapshot!(patch(&test.admin, "/", json!({"roles": {"admin": ["group:admins"]}})), @"ok; you are no admin of `/` any more");
    let refused = "document of `/` is not valid: `roles.admin` must name somebody who exists, so that nothing is left without an admin";
    assert_eq!(put(&ann, json!([])), refused);
    assert_eq!(said(ann.delete_group(&group, ExpectedHead::Any)), refused);
    assert_eq!(put(&ann, json!(["ann", "admin"])), "ok");
    assert_eq!(put(&ann, json!(["admin"])), "ok");
}

#[test]
fn what_was_left_behind_by_something_under_way_does_not_come_back_with_a_new_namespace() {
    let test = TestRepo::with(&["/a"]);
    test.draft("/a", "d", &["x=1"]).unwrap();
    let draft = test.repo.node().view().get("/a@draft/d").unwrap();
    test.admin
        .delete_namespace(&ns("/a"), false, ExpectedHead::Any)
        .unwrap();
    // A draft that was being written while the namespace went.
    let name = confman_repo::refs::RefName::new("/a@draft/late").unwrap();
    test.put_ref(name.clone(), draft);
    test.admin
        .create_namespace(NamespaceDocument::new(ns("/a")))
        .unwrap();
    assert_eq!(test.repo.node().view().get(name.as_str()), None);
    test.clock.advance(MINUTE_MS);
    test.admin
        .delete_namespace(&ns("/a"), false, ExpectedHead::Any)
        .unwrap();
    test.put_ref(name.clone(), draft);
    let deletion = &test.admin.deleted_namespaces(&ns("/a")).unwrap()[1].deletion;
    test.admin
        .restore_namespace(&ns("/a"), Some(deletion))
        .unwrap();
    let view = test.repo.node().view();
    assert_eq!(view.get("/a@draft/d"), Some(draft));
    assert_eq!(view.get(name.as_str()), Some(draft));
}
