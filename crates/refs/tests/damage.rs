//! What a node does about a directory that is not as it left it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/node_directory.rs"]
mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use confman_refs::{FORMAT, Node, OpenError};
use harness::{open, set, try_open};

/// Leaves the directory as a process that is killed leaves it: closing does not happen.
fn abandon(directory: &Path, transactions: u64) -> PathBuf {
    let node = open(directory);
    for number in 0..transactions {
        set(
            &node,
            number,
            &format!("r{}", number % 5),
            &number.to_string(),
        )
        .unwrap();
    }
    let copy = directory.with_extension("killed");
    copy_tree(directory, &copy);
    drop(node);
    copy
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The newest write-ahead log of a database.
fn write_ahead_log(database: &Path) -> PathBuf {
    let files = fs::read_dir(database)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    logs.sort();
    logs.pop().unwrap()
}

fn damage(path: &Path) -> String {
    match try_open(path) {
        Err(OpenError::Damaged { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn check_whole(node: &Node, transactions: u64) {
    assert_eq!(node.view().sequence(), transactions);
    let report = node.verify_operations().unwrap();
    assert_eq!((report.operations, report.difference), (transactions, None));
}

#[test]
fn killed_node_has_everything_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = abandon(&directory.path().join("node"), 150);
    check_whole(&open(&path), 150);
}

#[test]
fn killed_node_without_its_unsynced_data_applies_the_log_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = abandon(&directory.path().join("node"), 150);
    // A power failure takes what was not synced.
    let log = write_ahead_log(&path.join("data"));
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() / 3]).unwrap();
    check_whole(&open(&path), 150);
}

#[test]
fn torn_end_of_the_log_is_what_was_never_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = abandon(&directory.path().join("node"), 20);
    // What comes after the last sync: the beginning of a record whose rest was not written.
    let log = write_ahead_log(&path.join("raft"));
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(&[0x12, 0x34, 0x56, 0x78, 0xff, 0x20, 0x01, 1, 2, 3]);
    fs::write(&log, bytes).unwrap();
    check_whole(&open(&path), 20);
}

#[test]
fn flipped_bit_in_the_middle_of_the_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = abandon(&directory.path().join("node"), 50);
    let log = write_ahead_log(&path.join("raft"));
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let reason = damage(&path);
    assert!(reason.contains("open its log database"), "{reason}");
}

#[test]
fn log_that_is_not_the_datas_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let one = directory.path().join("one");
    let other = directory.path().join("other");
    for path in [&one, &other] {
        set(&open(path), 1, "a", "one").unwrap();
    }
    fs::remove_dir_all(one.join("raft")).unwrap();
    copy_tree(&other.join("raft"), &one.join("raft"));
    insta::assert_snapshot!(damage(&one), @"raft/ and data/ are not from the same node");
    fs::remove_dir_all(other.join("raft")).unwrap();
    insta::assert_snapshot!(damage(&other), @"raft/ and data/ are not from the same node");
}

#[test]
fn log_that_was_set_back_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node");
    let older = abandon(&path, 3);
    let node = open(&path);
    for number in 10..20 {
        set(&node, number, "a", &number.to_string()).unwrap();
    }
    drop(node);
    fs::remove_dir_all(path.join("raft")).unwrap();
    copy_tree(&older.join("raft"), &path.join("raft"));
    let reason = damage(&path);
    assert!(reason.starts_with("data/ has applied entry"), "{reason}");
}

#[test]
fn second_opening_of_a_directory_names_who_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    match try_open(directory.path()) {
        Err(OpenError::InUse { owner, .. }) => assert_eq!(owner, std::process::id().to_string()),
        other => panic!("{other:?}"),
    }
    set(&node, 1, "a", "one").unwrap();
    drop(node);
    open(directory.path());
}

#[test]
fn directory_of_a_newer_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join("FORMAT");
    insta::assert_snapshot!(fs::read_to_string(&file).unwrap(), @"confman data format 1");
    fs::write(&file, format!("confman data format {}\n", FORMAT + 1)).unwrap();
    match try_open(directory.path()) {
        Err(OpenError::NewerFormat {
            found, supported, ..
        }) => assert_eq!((found, supported), (FORMAT + 1, FORMAT)),
        other => panic!("{other:?}"),
    }
    fs::write(&file, "something else").unwrap();
    insta::assert_snapshot!(damage(directory.path()), @"FORMAT is not `confman data format ` and a number");
    fs::remove_file(&file).unwrap();
    insta::assert_snapshot!(damage(directory.path()), @"there is a store, but no file FORMAT");
}

#[test]
fn closed_node_leaves_little_behind() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    for number in 0..300 {
        set(&node, number, &format!("r{number}"), &number.to_string()).unwrap();
    }
    drop(node);
    let logs = ["raft", "data"].map(|name| {
        fs::metadata(write_ahead_log(&directory.path().join(name)))
            .unwrap()
            .len()
    });
    assert_eq!(logs, [0, 0]);
    check_whole(&open(directory.path()), 300);
}

#[test]
fn operation_that_cannot_be_read_is_named_at_opening() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path());
    set(&node, 1, "a", "one").unwrap();
    let operation = node.view().operation().unwrap();
    drop(node);
    let data = directory.path().join("data");
    let names = rocksdb::DB::list_cf(&rocksdb::Options::default(), &data).unwrap();
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &data, &names).unwrap();
    let mut removed = 0;
    for family in names.iter().map(|name| db.cf_handle(name).unwrap()) {
        let keys: Vec<_> = db
            .iterator_cf(family, rocksdb::IteratorMode::Start)
            .map(|row| row.unwrap().0)
            .collect();
        for key in keys
            .iter()
            .filter(|key| key.ends_with(operation.as_bytes()))
        {
            db.delete_cf(family, key).unwrap();
            removed += 1;
        }
    }
    assert_eq!(removed, 1);
    drop(db);
    let expected = format!("data/: operation {operation} is not in the store");
    assert_eq!(damage(directory.path()), expected);
    // Failing to open lets go of the directory.
    assert_eq!(damage(directory.path()), expected);
}
