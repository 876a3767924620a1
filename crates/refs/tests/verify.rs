//! What fsck is told: the first thing that the chain of operations does not give.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/node_directory.rs"]
mod harness;

use std::path::Path;

use harness::{open, set};
use rocksdb::{DB, Options};

/// Changes the data database behind the node's back.
fn tamper(directory: &Path, change: impl FnOnce(&DB)) {
    let data = directory.join("data");
    let names = DB::list_cf(&Options::default(), &data).unwrap();
    let db = DB::open_cf(&Options::default(), &data, names).unwrap();
    change(&db);
}

fn filled(directory: &Path) {
    let node = open(directory);
    for number in 0..70 {
        set(
            &node,
            number,
            &format!("r{}", number % 3),
            &number.to_string(),
        )
        .unwrap();
    }
    let report = node.verify_operations().unwrap();
    assert_eq!(
        (
            report.operations,
            report.views,
            report.refs,
            report.difference
        ),
        (70, 1, 3, None)
    );
}

fn difference(directory: &Path) -> String {
    let difference = open(directory)
        .verify_operations()
        .unwrap()
        .difference
        .unwrap();
    format!("{}: {}", difference.sequence, difference.reason)
}

#[test]
fn ref_that_no_operation_moved_is_named() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    tamper(directory.path(), |db| {
        let refs = db.cf_handle("refs").unwrap();
        let value = db.get_cf(refs, "r0").unwrap().unwrap();
        db.put_cf(refs, "r1", value).unwrap();
    });
    insta::assert_snapshot!(
        difference(directory.path()),
        @"71: ref `r1` in memory is not what the operations give"
    );
}

#[test]
fn operation_that_was_put_in_anothers_place_is_named() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    tamper(directory.path(), |db| {
        let operations = db.cf_handle("operations").unwrap();
        let value = db
            .get_cf(operations, 12_u64.to_be_bytes())
            .unwrap()
            .unwrap();
        db.put_cf(operations, 13_u64.to_be_bytes(), value).unwrap();
    });
    insta::assert_snapshot!(difference(directory.path()), @"13: it says that it is number 12");
}

#[test]
fn operation_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    tamper(directory.path(), |db| {
        db.delete_cf(db.cf_handle("operations").unwrap(), 20_u64.to_be_bytes())
            .unwrap();
    });
    insta::assert_snapshot!(
        difference(directory.path()),
        @"20: it is missing from the table of operations"
    );
}
