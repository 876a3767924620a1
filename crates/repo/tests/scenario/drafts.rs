use std::collections::BTreeMap;

use confman_repo::draft::ExpectedHead;
use confman_repo::model::{EntryType, Value, ValueLimits};
use confman_repo::{ChangeDraft, EntryEdit, Error, ValueEdit};

use crate::test_repo::{TestRepo, change, key, name, ns, rev, said, text};

#[test]
fn a_draft_lists_what_differs_from_where_it_began() {
    let test = TestRepo::with(&["/a"]);
    let base = test.set("/a", &["x=1", "y=1", "z=1"]);
    test.draft("/a", "d", &["x=2", "-y", "new=1", "!z"])
        .unwrap();
    test.set("/a", &["elsewhere=1"]);
    test.draft("/a", "d", &["new=2"]).unwrap();
    let draft = test.admin.draft(&ns("/a"), &name("d")).unwrap();
    assert_eq!(draft.base, Some(base.commit));
    assert_eq!(draft.keys, [key("new"), key("x"), key("y"), key("z")]);
    assert_eq!(draft.updated.by, "admin");
    assert_eq!(draft.message, "change new");
    assert_eq!(test.admin.drafts(&ns("/a")).unwrap().len(), 1);
}

#[test]
fn a_draft_that_moved_is_stale() {
    let test = TestRepo::with(&["/a"]);
    let first = test.draft("/a", "d", &["x=1"]).unwrap();
    let second = test.draft("/a", "d", &["x=2"]).unwrap();
    let stale = ChangeDraft {
        expected_head: ExpectedHead::At(first.head),
        ..change("d", &["x=3"])
    };
    let Err(Error::Stale { actual, .. }) = test.admin.change_draft(&ns("/a"), &stale) else {
        panic!()
    };
    assert_eq!(actual, Some(second.head));
    let absent = ChangeDraft {
        expected_head: ExpectedHead::Absent,
        ..change("d", &["x=3"])
    };
    assert!(matches!(
        test.admin.change_draft(&ns("/a"), &absent),
        Err(Error::Stale { expected: None, .. })
    ));
    assert!(matches!(
        test.admin
            .delete_draft(&ns("/a"), &name("d"), ExpectedHead::At(first.head)),
        Err(Error::Stale { .. })
    ));
    test.admin
        .delete_draft(&ns("/a"), &name("d"), ExpectedHead::At(second.head))
        .unwrap();
    insta::assert_snapshot!(said(test.admin.draft(&ns("/a"), &name("d"))), @"there is no draft `d`");
}

#[test]
fn what_is_so_already_makes_no_commit() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1"]);
    let again = test.draft("/a", "d", &["x=1"]).unwrap();
    assert_eq!(again.committed, None);
    assert!(test.admin.drafts(&ns("/a")).unwrap().is_empty());
    let first = test.draft("/a", "d", &["x=2"]).unwrap();
    let second = test.draft("/a", "d", &["x=2"]).unwrap();
    assert_eq!((second.committed, second.head), (None, first.head));
}

#[test]
fn what_is_not_said_about_an_entry_stays() {
    let test = TestRepo::with(&["/a"]);
    let write = |value: ValueEdit,
                 description: Option<&str>,
                 tags: Option<&[&str]>,
                 media_type: Option<&str>| {
        let edit = EntryEdit::Write {
            value,
            description: description.map(str::to_owned),
            tags: tags.map(|tags| tags.iter().map(|tag| (*tag).to_owned()).collect()),
            media_type: media_type.map(str::to_owned),
        };
        ChangeDraft {
            draft: name("d"),
            changes: BTreeMap::from([(key("k"), edit)]),
            expected_head: ExpectedHead::Any,
            message: None,
            acknowledge_deprecated: false,
        }
    };
    let binary = Value::new(EntryType::Binary, vec![0, 255], &ValueLimits::default()).unwrap();
    let show = || {
        let entry = test
            .admin
            .entry(&ns("/a"), &key("k"), Some(&name("d")))
            .unwrap();
        let entry = entry.current().unwrap().clone();
        format!(
            "{:?} {:?} {:?}",
            entry.description(),
            entry.tags(),
            entry.media_type()
        )
    };
    let change = |change| test.admin.change_draft(&ns("/a"), &change).map(|_| ());
    change(write(
        ValueEdit::Set(binary),
        Some("what"),
        Some(&["b", "a"]),
        Some("image/png"),
    ))
    .unwrap();
    insta::assert_snapshot!(show(), @r#""what" {"a", "b"} Some("image/png")"#);
    change(write(ValueEdit::Keep, Some("new"), None, None)).unwrap();
    insta::assert_snapshot!(show(), @r#""new" {"a", "b"} Some("image/png")"#);
    change(write(
        ValueEdit::Set(text("now text")),
        None,
        Some(&[]),
        None,
    ))
    .unwrap();
    insta::assert_snapshot!(show(), @r#""new" {} None"#);
    change(write(ValueEdit::Unset, Some(""), None, None)).unwrap();
    insta::assert_snapshot!(show(), @r#""" {} None"#);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let test = TestRepo::with(&["/a"]);
    let long = EntryEdit::Write {
        value: ValueEdit::Set(text("x")),
        description: Some("d".repeat(5000)),
        tags: None,
        media_type: None,
    };
    let keep = EntryEdit::Write {
        value: ValueEdit::Keep,
        description: None,
        tags: None,
        media_type: None,
    };
    let scheme = ValueLimits {
        secret_schemes: vec!["other".to_owned()],
        ..ValueLimits::default()
    };
    let secret = Value::new(EntryType::SecretRef, "other://x", &scheme).unwrap();
    let changes = [
        (key("a"), long),
        (key("b"), keep),
        (key("c"), EntryEdit::set(secret)),
    ]
    .into();
    let change = ChangeDraft {
        changes,
        ..change("d", &[])
    };
    let Err(Error::Invalid { problems, .. }) = test.admin.change_draft(&ns("/a"), &change) else {
        panic!()
    };
    let keys: Vec<_> = problems
        .iter()
        .map(|problem| problem.key.clone().unwrap().to_string())
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);
    insta::assert_snapshot!(problems[1], @"`b`: there is no entry yet; give it a value");
    assert!(test.admin.drafts(&ns("/a")).unwrap().is_empty());
}

#[test]
fn removing_what_is_not_there_and_changing_nothing_are_refused() {
    let test = TestRepo::with(&["/a"]);
    insta::assert_snapshot!(said(test.draft("/a", "d", &["-x"])), @"there is no entry `/a:x`");
    insta::assert_snapshot!(said(test.draft("/a", "d", &[])), @"change is not valid: it changes no key; name at least one");
    insta::assert_snapshot!(said(test.draft("/nowhere", "d", &["x=1"])), @"there is no namespace `/nowhere`");
}

#[test]
fn the_newest_draft_that_touches_a_key_is_shown_beside_what_is_published() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "y=1"]);
    test.set("/a", &["x=2"]);
    test.draft("/a", "older", &["x=3"]).unwrap();
    test.draft("/a", "newer", &["x=4"]).unwrap();
    test.draft("/a", "newest", &["y=9"]).unwrap();
    let entry = test.admin.entry(&ns("/a"), &key("x"), None).unwrap();
    let published = entry.published.as_ref().unwrap();
    assert_eq!(
        (published.version, published.published.by.as_str()),
        (2, "admin")
    );
    let draft = entry.draft.as_ref().unwrap();
    assert_eq!((draft.name.as_str(), draft.version), ("newer", 3));
    assert_eq!(entry.created.at_ms + 60_000, published.published.at_ms);
    let older = test
        .admin
        .entry(&ns("/a"), &key("x"), Some(&name("older")))
        .unwrap();
    assert_eq!(older.draft.unwrap().name, name("older"));
    assert!(
        test.admin
            .resolve(&ns("/a"), &rev("draft/older"))
            .unwrap()
            .position
            .is_none()
    );
    insta::assert_snapshot!(said(test.admin.entry(&ns("/a"), &key("none"), None)), @"there is no entry `/a:none`");
}
