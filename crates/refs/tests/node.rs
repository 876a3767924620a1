//! What a node promises: transactions happen whole, once, in order, and stay.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/node_directory.rs"]
mod harness;

use std::time::Duration;

use confman_object_store::{Kind, ReadObjects};
use confman_refs::{Expect, Node, RefEdit, RowRange, Target, TransactError};
use harness::{blob, empty, name, open, row, set, setting};

fn rows(node: &Node, table: u8, prefix: &str) -> Vec<(u64, String)> {
    let range = RowRange {
        table,
        prefix: prefix.into(),
        after: None,
        index_max: u64::MAX,
        limit: 100,
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    node.rows(&range)
        .unwrap()
        .into_iter()
        .map(|row| (row.index, text(row.suffix) + "=" + &text(row.value)))
        .collect()
}

#[test]
fn transaction_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (mut transaction, target) = setting(1, "/a@published", Expect::Absent, "one");
    transaction.rows.push(row(3, "/a\0", "x", "v"));
    let committed = node.transact(transaction).unwrap();
    let check = |node: &Node| {
        assert_eq!(node.view().get("/a@published"), Some(target));
        assert_eq!(node.view().operation(), Some(committed.operation));
        assert_eq!(
            node.store().read(Kind::Blob, &target.id).unwrap().as_ref(),
            b"one"
        );
        let (id, operation) = node.operation_at(1).unwrap().unwrap();
        assert_eq!(
            (id, operation.index, operation.time_ms),
            (committed.operation, committed.index, committed.time_ms)
        );
        assert_eq!(rows(node, 3, "/a\0"), [(committed.index, "x=v".to_owned())]);
    };
    check(&node);
    let cluster = node.status().cluster_id;
    drop(node);
    for _ in 0..2 {
        let node = open(directory.path());
        check(&node);
        assert_eq!(node.status().cluster_id, cluster);
        assert!(node.status().failed.is_none());
    }
    let node = open(directory.path());
    set(&node, 2, "/a@published", "two").unwrap();
    assert_eq!(node.view().sequence(), 2);
}

#[test]
fn stale_transaction_has_no_effect_and_names_the_ref() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (transaction, first) = setting(1, "a", Expect::Absent, "one");
    node.transact(transaction).unwrap();
    let (mut transaction, _) = setting(2, "b", Expect::Absent, "two");
    transaction.reads.push((name("a"), Expect::Absent));
    let error = node.transact(transaction).unwrap_err();
    let TransactError::Stale {
        name,
        expected,
        actual,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (name.as_str(), expected, actual),
        ("a", Expect::Absent, Some(first))
    );
    assert_eq!(node.view().len(), 1);
    assert_eq!(node.view().sequence(), 1);
    let (transaction, _) = setting(3, "c", Expect::At(first), "three");
    assert!(matches!(
        node.transact(transaction),
        Err(TransactError::Stale { actual: None, .. })
    ));
}

#[test]
fn same_request_has_the_same_answer_and_another_body_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (mut transaction, target) = setting(1, "a", Expect::Absent, "one");
    let committed = node.transact(transaction.clone()).unwrap();
    transaction.time_ms += 5;
    let again = node.transact(transaction.clone()).unwrap();
    assert_eq!(again, committed);
    assert_eq!(node.view().sequence(), 1);
    drop(node);
    let node = open(directory.path());
    assert_eq!(node.transact(transaction.clone()).unwrap(), committed);
    assert_eq!(
        node.committed(transaction.request).unwrap(),
        Some(committed)
    );
    let (other, _) = setting(1, "a", Expect::At(target), "two");
    assert!(matches!(
        node.transact(other),
        Err(TransactError::RequestReused(_))
    ));
}

#[test]
fn refused_request_may_be_asked_again_with_another_body() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (_, other) = blob("other");
    let (stale, _) = setting(1, "a", Expect::At(other), "one");
    assert!(matches!(
        node.transact(stale),
        Err(TransactError::Stale { .. })
    ));
    let (fresh, target) = setting(1, "a", Expect::Absent, "one");
    node.transact(fresh).unwrap();
    assert_eq!(node.view().get("a"), Some(target));
}

#[test]
fn ref_to_an_object_that_is_nowhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (mut transaction, target) = setting(1, "a", Expect::Absent, "one");
    transaction.objects.clear();
    let error = node.transact(transaction).unwrap_err();
    assert!(matches!(error, TransactError::MissingObject(missing) if missing == target));
}

#[test]
fn object_that_is_not_what_it_claims_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (mut transaction, target) = setting(1, "a", Expect::Absent, "one");
    transaction.objects[0].payload = bytes::Bytes::from_static(b"two");
    let error = node.transact(transaction).unwrap_err();
    assert!(
        matches!(&error, TransactError::WrongObject { target: wrong, .. } if *wrong == target),
        "{error}"
    );
    assert!(node.view().is_empty());
    assert_eq!(node.store().try_read(Kind::Blob, &target.id).unwrap(), None);
}

#[test]
fn malformed_transactions_are_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let before = node.log_counters().entries;
    let reason = |transaction| match node.transact(transaction) {
        Err(TransactError::Malformed(reason)) => reason,
        other => panic!("{other:?}"),
    };
    insta::assert_snapshot!(reason(empty(1)), @"it moves no ref and writes no row");
    let (mut twice, target) = setting(2, "a", Expect::Absent, "one");
    twice.reads.push((name("a"), Expect::At(target)));
    insta::assert_snapshot!(reason(twice), @"ref `a` is in it twice");
    let (mut nobody, _) = setting(3, "a", Expect::Absent, "one");
    nobody.actor.clear();
    insta::assert_snapshot!(reason(nobody), @"it has no actor");
    let (mut rows, _) = setting(4, "a", Expect::Absent, "one");
    rows.rows = vec![row(1, "p", "s", "v"), row(1, "p", "s", "w")];
    insta::assert_snapshot!(reason(rows), @"a row of table 1 is in it twice");
    let (mut table, _) = setting(5, "a", Expect::Absent, "one");
    table.rows = vec![row(128, "p", "s", "v")];
    insta::assert_snapshot!(reason(table), @"a row of table 128; tables are 0 to 127");
    assert_eq!(node.log_counters().entries, before);
}

#[test]
fn time_never_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let (mut late, _) = setting(1, "a", Expect::Absent, "one");
    late.time_ms = 5_000;
    assert_eq!(node.transact(late).unwrap().time_ms, 5_000);
    let (mut early, _) = setting(2, "b", Expect::Absent, "two");
    early.time_ms = 3_000;
    assert_eq!(node.transact(early).unwrap().time_ms, 5_000);
    let (mut later, _) = setting(3, "c", Expect::Absent, "three");
    later.time_ms = 7_000;
    node.transact(later).unwrap();
    let at = |time_ms| node.sequence_at_time(time_ms).unwrap();
    assert_eq!(
        [at(4_999), at(5_000), at(6_999), at(7_000), at(i64::MAX)],
        [0, 2, 2, 3, 3]
    );
}

#[test]
fn large_transaction_is_staged_and_happens_whole() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let mut transaction = empty(1);
    let mut targets = Vec::new();
    for number in 0..40_u32 {
        // Incompressible, so that several entries are needed.
        let mut bytes = vec![0; 200 * 1024];
        blake3::Hasher::new()
            .update(&number.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let (object, target) = blob(bytes);
        transaction.objects.push(object);
        transaction.edits.push(RefEdit {
            name: name(&format!("r{number}")),
            expect: Expect::Absent,
            new: Some(target),
        });
        targets.push(target);
    }
    for number in 0..30_000 {
        transaction
            .rows
            .push(row(1, &format!("p{number}\0"), "", &"v".repeat(100)));
    }
    let committed = node.transact(transaction.clone()).unwrap();
    let check = |node: &Node| {
        assert_eq!(node.view().sequence(), 1);
        for (number, target) in targets.iter().enumerate() {
            assert_eq!(node.view().get(&format!("r{number}")), Some(*target));
            assert_eq!(
                node.store().read(Kind::Blob, &target.id).unwrap().len(),
                200 * 1024
            );
        }
        assert_eq!(rows(node, 1, "p29999\0").len(), 1);
        assert_eq!(rows(node, 1, "p29999\0")[0].0, committed.index);
    };
    check(&node);
    assert_eq!(node.transact(transaction).unwrap(), committed);
    drop(node);
    check(&open(directory.path()));
}

#[test]
fn value_larger_than_an_entry_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let mut bytes = vec![0; 5 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let (object, target) = blob(bytes);
    let mut transaction = empty(1);
    transaction.objects.push(object);
    transaction.edits.push(RefEdit {
        name: name("big"),
        expect: Expect::Absent,
        new: Some(target),
    });
    node.transact(transaction).unwrap();
    assert_eq!(
        node.store().read(Kind::Blob, &target.id).unwrap().len(),
        5 << 20
    );
}

#[test]
fn rows_are_read_newest_first_and_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let mut indexes = Vec::new();
    for number in 0..5 {
        let mut transaction = empty(number);
        transaction.rows = vec![
            row(7, "k\0", "a", "1"),
            row(7, "k\0", "b", "2"),
            row(7, "kk\0", "a", "3"),
        ];
        indexes.push(node.transact(transaction).unwrap().index);
    }
    let mut range = RowRange {
        table: 7,
        prefix: b"k\0".to_vec(),
        after: None,
        index_max: indexes[3],
        limit: 3,
    };
    let mut seen = Vec::new();
    loop {
        let page = node.rows(&range).unwrap();
        let Some(last) = page.last() else { break };
        range.after = Some((last.index, last.suffix.clone()));
        seen.extend(page.into_iter().map(|row| (row.index, row.suffix)));
    }
    let expected: Vec<_> = indexes[..4]
        .iter()
        .rev()
        .flat_map(|index| [(*index, b"a".to_vec()), (*index, b"b".to_vec())])
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn waiting_for_an_index_and_reading_linearizably_see_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let watch = node.applied();
    let committed = set(&node, 1, "a", "one").unwrap();
    assert!(node.wait_for_index(committed.index, Duration::from_secs(5)));
    assert!(!node.wait_for_index(committed.index + 100, Duration::from_millis(10)));
    assert!(*watch.borrow() >= committed.index);
    let view = node.linearize(Duration::from_secs(5)).unwrap();
    assert!(view.get("a").is_some() && view.index() >= committed.index);
}

#[test]
fn many_threads_move_their_refs_at_once() {
    const THREADS: u64 = 16;
    const EACH: u64 = 50;
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let node = &node;
            scope.spawn(move || {
                for step in 0..EACH {
                    set(
                        node,
                        thread * EACH + step,
                        &format!("r{thread}"),
                        &format!("{thread} {step}"),
                    )
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(node.view().sequence(), THREADS * EACH);
    assert_eq!(node.verify_operations().unwrap().difference, None);
    assert!(node.log_counters().synced_writes < THREADS * EACH);
    drop(node);
    let node = open(directory.path());
    let report = node.verify_operations().unwrap();
    assert_eq!(
        (report.operations, report.views, report.difference),
        (THREADS * EACH, THREADS * EACH / 64, None)
    );
}

#[test]
fn compare_and_swap_of_one_ref_lets_one_of_many_win() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let won = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16_u64)
            .map(|number| {
                let node = &node;
                scope.spawn(move || {
                    node.transact(setting(number, "one", Expect::Absent, &number.to_string()).0)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(Result::is_ok)
            .count()
    });
    assert_eq!(won, 1);
}

#[test]
fn submitted_transactions_take_effect_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    let mut expect = Expect::Absent;
    let mut last: Option<Target> = None;
    let submitted: Vec<_> = (0..200)
        .map(|number| {
            let (transaction, target) = setting(number, "chain", expect, &number.to_string());
            expect = Expect::At(target);
            last = Some(target);
            node.submit(transaction).unwrap()
        })
        .collect();
    for one in submitted {
        one.wait().unwrap();
    }
    assert_eq!(node.view().get("chain"), last);
}

#[test]
fn closed_node_takes_nothing_and_still_reads() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    set(&node, 1, "a", "one").unwrap();
    node.close();
    node.close();
    assert!(matches!(
        set(&node, 2, "a", "two"),
        Err(TransactError::Unavailable(_))
    ));
    assert!(node.view().get("a").is_some());
    assert!(node.operation_at(1).unwrap().is_some());
}

/// Bytes of all files of a directory.
fn bytes_of(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn log_stays_small_while_much_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    for number in 0..250_u64 {
        let mut bytes = vec![0; 1 << 20];
        blake3::Hasher::new()
            .update(&number.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let (object, target) = blob(bytes);
        let mut transaction = empty(number);
        transaction.objects.push(object);
        let expect = Expect::from_seen(node.view().get("big"));
        transaction.edits.push(RefEdit {
            name: name("big"),
            expect,
            new: Some(target),
        });
        node.transact(transaction).unwrap();
    }
    // 250 entries of 1 MiB, and a snapshot for every 64 MiB.
    let kept = node.log_counters().kept;
    assert!(kept < 200, "{kept}");
    node.close();
    let log = bytes_of(&directory.path().join("raft"));
    assert!(log < 1 << 20, "{} KiB", log >> 10);
}
