//! What every storage must do.

use super::*;
use crate::testing::{BucketServer, MemoryStorage};

fn names(storage: &dyn Storage, beginning: &str) -> Vec<String> {
    let files = storage.list(beginning).unwrap();
    files.into_iter().map(|file| file.name).collect()
}

fn conforms(storage: &dyn Storage) {
    assert_eq!(storage.list("").unwrap(), []);
    assert_eq!(storage.read("a/one", 10).unwrap(), None);
    storage.remove("a/one").unwrap();
    for (name, text) in [
        ("a/one", "1"),
        ("a/two", "22"),
        ("b/one", "333"),
        ("top", "4444"),
    ] {
        storage.write(name, &text.into()).unwrap();
    }
    // Enough for more than one answer of a storage that lists a few at a time.
    for number in 0..7 {
        storage
            .write(&format!("many/{number}"), &"x".into())
            .unwrap();
    }
    assert_eq!(names(storage, "a/"), ["a/one", "a/two"]);
    assert_eq!(names(storage, "a/t"), ["a/two"]);
    assert_eq!(names(storage, "many/").len(), 7);
    assert_eq!(storage.list("").unwrap().len(), 11);
    assert_eq!(storage.list("a/").unwrap()[1].bytes, 2);
    assert_eq!(storage.list("nothing/").unwrap(), []);
    assert_eq!(storage.read("b/one", 3).unwrap(), Some("333".into()));
    storage.write("b/one", &"other".into()).unwrap();
    assert_eq!(storage.read("b/one", 9).unwrap(), Some("other".into()));
    storage.write("empty", &Bytes::new()).unwrap();
    assert_eq!(storage.read("empty", 9).unwrap(), Some(Bytes::new()));
    storage.remove("a/one").unwrap();
    assert_eq!(names(storage, "a/"), ["a/two"]);
}

fn refuses_what_is_too_large(storage: &dyn Storage) {
    storage.write("a/one", &"12345".into()).unwrap();
    let error = storage.read("a/one", 4).unwrap_err();
    assert!(error.to_string().contains("a/one"), "{error}");
    assert_eq!(
        error.source.to_string(),
        "it has more than 4 bytes",
        "{error}"
    );
}

#[test]
fn a_directory_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::new(directory.path().join("made/when/needed"));
    conforms(&storage);
    refuses_what_is_too_large(&storage);
}

#[test]
fn a_bucket_conforms_with_and_without_a_prefix() {
    let server = BucketServer::start();
    conforms(&*server.storage("some/prefix"));
    refuses_what_is_too_large(&*server.storage("some/prefix"));
    let files = server.bucket.files.lock().unwrap();
    assert!(files.keys().all(|name| name.starts_with("some/prefix/")));
    drop(files);
    conforms(&*BucketServer::start().storage(""));
}

#[test]
fn memory_conforms() {
    conforms(&MemoryStorage::default());
}

#[test]
fn a_bucket_that_is_busy_is_asked_again() {
    let server = BucketServer::start();
    let storage = server.storage("p");
    server
        .bucket
        .refuses
        .store(2, std::sync::atomic::Ordering::Relaxed);
    storage.write("a", &"1".into()).unwrap();
    assert_eq!(storage.read("a", 9).unwrap(), Some("1".into()));
}

#[test]
fn a_file_is_private_and_what_was_not_finished_is_no_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("backup");
    let storage = DirectoryStorage::new(&root);
    storage.write("a/one", &"1".into()).unwrap();
    fs::write(root.join("a/.writing-x"), "half").unwrap();
    assert_eq!(names(&storage, ""), ["a/one"]);
    let mode = |path: &str| {
        let about = fs::metadata(root.join(path)).unwrap();
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode("a/one"), 0o600);
    assert_eq!(mode("a"), 0o700);
}
