use std::collections::BTreeMap;

use confman_repo::draft::ExpectedHead;
use confman_repo::model::{EntryType, Value, ValueLimits};
use confman_repo::{ChangeDraft, EntriesQuery, EntryEdit, Values};

use crate::test_repo::{TestRepo, all, key, name, ns, rev};

fn value(entry_type: EntryType, bytes: &[u8]) -> Value {
    Value::new(entry_type, bytes, &ValueLimits::default()).unwrap()
}

#[test]
fn six_types_come_back_byte_for_byte() {
    let test = TestRepo::with(&["/a"]);
    let long_text = "ünïcode\r\n\t".repeat(5000);
    let long_json = format!(
        "{{ \"b\" : [1.0, 1e2, -0],\n  \"a\": \"{}\" }}",
        "x".repeat(100)
    );
    let values = BTreeMap::from([
        (key("string/short"), value(EntryType::String, "".as_bytes())),
        (
            key("string/long"),
            value(EntryType::String, long_text.as_bytes()),
        ),
        (
            key("number/big"),
            value(EntryType::Number, b"9007199254740993"),
        ),
        (key("number/one"), value(EntryType::Number, b"1.0")),
        (key("boolean"), value(EntryType::Boolean, b"true")),
        (key("json"), value(EntryType::Json, long_json.as_bytes())),
        (
            key("binary"),
            value(EntryType::Binary, &(0..=255).collect::<Vec<u8>>()),
        ),
        (
            key("secret"),
            value(EntryType::SecretRef, b"vault://kv/payments#key"),
        ),
    ]);
    let changes = values
        .iter()
        .map(|(key, value)| (key.clone(), EntryEdit::set(value.clone())))
        .collect();
    let change = ChangeDraft {
        draft: name("d"),
        changes,
        expected_head: ExpectedHead::Any,
        message: None,
        acknowledge_deprecated: false,
    };
    let published = test.admin.change_and_publish(&ns("/a"), &change).unwrap();
    assert_eq!(
        published.warnings.len(),
        1,
        "2^53 + 1 is more than a double holds exactly: {:?}",
        published.warnings
    );

    let entries = test
        .admin
        .entries(&ns("/a"), &rev("published"), &all())
        .unwrap();
    let read: BTreeMap<_, _> = entries
        .entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone().unwrap()))
        .collect();
    assert_eq!(read, values);
    for (key, value) in &values {
        let entry = test.admin.entry(&ns("/a"), key, None).unwrap();
        assert_eq!(entry.published.unwrap().entry.value(), Some(value));
        assert_eq!(
            test.admin
                .effective_value(&ns("/a"), &rev("published"), key)
                .unwrap()
                .entry
                .entry
                .value
                .as_ref(),
            Some(value)
        );
    }
}

#[test]
fn entries_are_listed_by_prefix_and_page_with_their_count() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["a=1", "p/a=1", "p/b=2", "p/c=3", "p0=1", "!p/d"]);
    let query = EntriesQuery {
        prefix: "p/".to_owned(),
        after: None,
        limit: 3,
        values: Values::Without,
    };
    let page = test
        .admin
        .entries(&ns("/a"), &rev("published"), &query)
        .unwrap();
    assert_eq!((page.total, page.next.clone()), (4, Some(key("p/c"))));
    assert!(
        page.entries
            .iter()
            .all(|entry| entry.value.is_none() && entry.size == 1)
    );
    let rest = EntriesQuery {
        after: page.next,
        ..query
    };
    let page = test
        .admin
        .entries(&ns("/a"), &rev("published"), &rest)
        .unwrap();
    assert_eq!((page.entries.len(), page.next), (1, None));
    assert_eq!(
        (page.entries[0].key.as_str(), page.entries[0].entry_type),
        ("p/d", None)
    );
}

#[test]
fn a_long_value_that_changes_a_little_adds_little() {
    let test = TestRepo::with(&["/a"]);
    let lines: Vec<String> = (0..2000)
        .map(|line| format!("{line}: {}", line * 7919 % 65537))
        .collect();
    test.set("/a", &[&format!("long={}", lines.join(";"))]);
    let mut changed = lines;
    changed[1000] = "changed".to_owned();
    let published = test.set("/a", &[&format!("long={}", changed.join(";"))]);
    let blob = {
        let objects = test.repo.node().store();
        let leaf = confman_repo::objects::tree::get(&**objects, &published.tree, b"long")
            .unwrap()
            .unwrap();
        confman_repo::layout::blob(&leaf).unwrap()
    };
    let stored = test
        .repo
        .node()
        .store()
        .backend()
        .get(confman_repo::objects::Kind::Blob, &blob)
        .unwrap()
        .unwrap();
    assert!(stored.payload.len() < 200, "{} bytes", stored.payload.len());
}
