//! Backups of a real node: made again and again, killed, damaged, verified, restored.

use std::path::Path;

use bytes::Bytes;
use confman_repo::refs::{Node, OpenError, RESTORED_INDEX_GAP, RestoreError};

use crate::bundle::{BUNDLES, list_file, name_of};
use crate::testing::{BucketServer, MemoryStorage, TestStore, options};
use crate::{At, Backup, BackupError, DirectoryStorage, Made, ObjectId, PointName, Storage};

fn make(storage: &MemoryStorage, store: &TestStore) -> Result<Made, BackupError> {
    Backup::open_or_begin(storage.boxed())?.make(store, 1_764_000_000_000, &mut |_| {})
}

fn opened(storage: &MemoryStorage) -> Backup {
    Backup::open(storage.boxed()).unwrap()
}

/// Everything that is wrong with every point.
fn problems(storage: &MemoryStorage) -> Vec<String> {
    let backup = opened(storage);
    let names = backup.points().unwrap();
    backup.verify(&names, &mut |_| {}).unwrap().problems
}

fn restore(backup: &Backup, name: &PointName, at: &At, to: &Path) -> Result<Node, BackupError> {
    let (restored, point) = backup.restore(name, at, to, &mut |_| {})?;
    assert!(matches!(
        Node::open(&options(to)),
        Err(OpenError::Unfinished { .. })
    ));
    let node = Node::open_restored(&options(to)).unwrap();
    assert_eq!(node.view().operation(), Some(restored.operation));
    assert_ne!(node.status().cluster_id, point.head.cluster_id);
    assert!(node.status().applied > point.head.index + RESTORED_INDEX_GAP);
    assert_eq!(node.verify_operations().unwrap().difference, None);
    node.complete().unwrap();
    node.close();
    drop(node);
    Ok(Node::open(&options(to)).unwrap())
}

#[track_caller]
fn assert_same_refs(node: &Node, store: &TestStore, sequence: u64) {
    let then = store.node.view_at(sequence).unwrap();
    let now = node.view();
    assert_eq!(now.operation(), then.operation());
    assert!(now.scan("").eq(then.scan("")));
    for (_, target) in now.scan("") {
        let found = node
            .store()
            .read_from_backend(target.kind, &target.id)
            .unwrap();
        assert!(found.is_some());
    }
}

#[test]
fn each_backup_copies_only_what_the_place_lacks() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 100);
    let first = make(&storage, &store).unwrap();
    let given = store.given.get();
    assert_eq!(usize::try_from(first.objects).unwrap(), given);
    assert_eq!(first.point.objects(), first.objects);

    let again = make(&storage, &store).unwrap();
    assert!(again.was_there);
    assert_eq!((again.name, store.given.get()), (first.name.clone(), given));

    store.set("ref-001", "new");
    let second = make(&storage, &store).unwrap();
    // A blob, a record and an operation.
    assert_eq!((second.objects, store.given.get()), (3, given + 3));
    assert_eq!(second.point.bundles.len(), 2);
    assert_eq!(problems(&storage), [""; 0]);
    assert_eq!(storage.named(".point").len(), 2);
    assert_eq!(storage.named("running"), [""; 0]);
}

#[test]
fn any_operation_is_restored_as_it_was() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 70);
    make(&storage, &store).unwrap();
    store.fill(70, 130);
    let index = store.set("last", "one");
    let made = make(&storage, &store).unwrap();
    let backup = opened(&storage);
    let newest = made.point.head;
    let place = tempfile::tempdir().unwrap();
    let of = |sequence: u64| store.node.operation_at(sequence).unwrap().unwrap();
    let prefix = of(64).0.to_string()[..12].parse().unwrap();
    let ats = [
        (At::Newest, 201),
        (At::Index(index - 1), 200),
        (At::Operation(prefix), 64),
        (At::Time(of(3).1.time_ms), 3),
        (At::Index(of(1).1.index), 1),
    ];
    for (at, sequence) in ats {
        let to = place.path().join(sequence.to_string());
        let node = restore(&backup, &made.name, &at, &to).unwrap();
        assert_same_refs(&node, &store, sequence);
        let objects = confman_object_store::Kind::ALL.into_iter().map(|kind| {
            let all = ObjectId::MIN..=ObjectId::MAX;
            let ids = node.store().backend().ids(kind, &all, usize::MAX);
            ids.unwrap().len()
        });
        let here: usize = objects.sum();
        // What only later operations refer to was left out.
        let later = sequence < 201;
        assert_eq!(later, here < usize::try_from(made.point.objects()).unwrap());
    }
    let nothing = At::Time(0);
    let error = restore(&backup, &made.name, &nothing, &place.path().join("none")).unwrap_err();
    assert!(matches!(error, BackupError::NotFound { .. }), "{error}");
    assert_eq!(newest.sequence, 201);
}

#[test]
fn what_was_restored_goes_on_as_a_cluster_of_its_own() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 10);
    let made = make(&storage, &store).unwrap();
    let place = tempfile::tempdir().unwrap();
    let node = restore(&opened(&storage), &made.name, &At::Newest, place.path()).unwrap();
    let before = node.view();
    let target = before.get("ref-003").unwrap();
    let transaction = confman_repo::refs::Transaction {
        request: confman_repo::refs::RequestId([9; 16]),
        edits: vec![confman_repo::refs::RefEdit {
            name: confman_repo::refs::RefName::new("new").unwrap(),
            expect: confman_repo::refs::Expect::Absent,
            new: Some(target),
        }],
        reads: Vec::new(),
        objects: Vec::new(),
        rows: Vec::new(),
        actor: "tester".to_owned(),
        action: "test".to_owned(),
        detail: String::new(),
        time_ms: 1,
    };
    let committed = node.transact(transaction).unwrap();
    assert!(committed.index > made.point.head.index + RESTORED_INDEX_GAP);
    node.close();
    drop(node);
    let node = Node::open(&options(place.path())).unwrap();
    assert_eq!(node.view().operation(), Some(committed.operation));
    assert_eq!(node.verify_operations().unwrap().difference, None);
}

/// Whatever was being written: the backup before stays whole, and the next one goes on.
#[test]
fn a_backup_that_is_killed_leaves_the_one_before_and_is_gone_on_with() {
    let store = TestStore::new();
    store.fill(0, 40);
    let first = MemoryStorage::default();
    make(&first, &store).unwrap();
    let kept = first.files.lock().unwrap().clone();
    store.fill(40, 40);
    let mut ways = 0;
    loop {
        let storage = MemoryStorage::default();
        storage.files.lock().unwrap().clone_from(&kept);
        storage.break_after(Some(ways));
        let made = make(&storage, &store);
        storage.break_after(None);
        assert_eq!(problems(&storage), [""; 0], "killed at change {ways}");
        for (name, bytes) in &kept {
            assert_eq!(storage.files.lock().unwrap().get(name), Some(bytes));
        }
        if made.is_ok() {
            break;
        }
        let again = make(&storage, &store).unwrap();
        assert_eq!(again.point.head.sequence, 80);
        assert_eq!(problems(&storage), [""; 0], "gone on after change {ways}");
        assert_eq!(storage.named("running"), [""; 0]);
        ways += 1;
    }
    assert!(ways >= 4, "{ways}");
}

#[test]
fn bundles_of_a_killed_backup_are_not_fetched_again() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 60);
    // The format, the note, the list and the bundle are written; the point is not.
    storage.break_after(Some(4));
    make(&storage, &store).unwrap_err();
    storage.break_after(None);
    assert_eq!(storage.named(".bundle").len(), 1);
    let given = store.given.replace(0);
    let made = make(&storage, &store).unwrap();
    assert_eq!((store.given.get(), made.objects), (0, 0));
    assert_eq!(usize::try_from(made.point.objects()).unwrap(), given);
    assert_eq!(problems(&storage), [""; 0]);
}

#[test]
fn a_store_that_goes_away_leaves_no_backup() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 60);
    store.answers.set(2);
    let error = make(&storage, &store).unwrap_err();
    assert!(matches!(error, BackupError::Source(_)), "{error}");
    assert_eq!(storage.named(".point"), [""; 0]);
}

#[test]
fn what_is_damaged_or_missing_is_named_and_fetched_again() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 30);
    make(&storage, &store).unwrap();
    store.fill(30, 30);
    let made = make(&storage, &store).unwrap();
    let place = tempfile::tempdir().unwrap();
    let good = storage.files.lock().unwrap().clone();
    let bundles = storage.named(".bundle");
    type Harm = fn(&mut Bytes);
    let harms: [(&str, Harm); 2] = [
        ("its bytes do not hash to its name", |bytes| {
            let mut other = bytes.to_vec();
            let middle = other.len() / 2;
            other[middle] ^= 1;
            *bytes = other.into();
        }),
        ("its bytes do not hash to its name", |bytes| {
            *bytes = bytes.slice(..bytes.len() - 1);
        }),
    ];
    let mut followed = false;
    for bundle in &bundles {
        for (said, harm) in harms {
            harm(storage.files.lock().unwrap().get_mut(bundle).unwrap());
            let found = problems(&storage);
            let named = format!("{bundle}: {said}");
            assert!(
                found.iter().any(|problem| problem.starts_with(&named)),
                "{found:#?}"
            );
            let to = place.path().join("restored");
            let error = restore(&opened(&storage), &made.name, &At::Newest, &to).unwrap_err();
            assert!(error.to_string().starts_with(&named), "{error}");
            // Nothing is left that would be in the way.
            assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);
            storage.files.lock().unwrap().clone_from(&good);
        }
        storage.files.lock().unwrap().remove(bundle);
        let found = problems(&storage);
        assert!(
            found.contains(&format!("{bundle}: it is missing")),
            "{found:#?}"
        );
        assert!(
            found
                .iter()
                .any(|problem| problem.contains("is in none of")),
            "{found:#?}"
        );
        let refers = |problem: &String| problem.contains(" refers to it");
        followed |= found.iter().any(refers);
        let again = make(&storage, &store).unwrap();
        assert_eq!(again.warnings.len(), 1, "{:?}", again.warnings);
        let newest = vec![again.name.clone()];
        let verified = opened(&storage).verify(&newest, &mut |_| {}).unwrap();
        assert_eq!(verified.problems, [""; 0]);
        storage.files.lock().unwrap().clone_from(&good);
    }
    // The older one is missed by what the newer one has.
    assert!(followed);
    let point = made.name.file();
    storage
        .files
        .lock()
        .unwrap()
        .insert(point.clone(), Bytes::from("x"));
    let found = problems(&storage);
    assert!(found[0].starts_with(&format!("{point}: ")), "{found:?}");
    assert_eq!(opened(&storage).list().unwrap().len(), 2);
    storage.files.lock().unwrap().clone_from(&good);
    let list = list_file(name_of(&bundles[0]).unwrap());
    storage.files.lock().unwrap().remove(&list);
    let found = problems(&storage);
    assert!(found[0].starts_with(&list), "{found:?}");
    store.set("one", "more");
    make(&storage, &store).unwrap();
    assert_eq!(problems(&storage), [""; 0]);
}

#[test]
fn many_small_bundles_become_one() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    for number in 0..40 {
        store.set("ref", &format!("value {number}"));
        make(&storage, &store).unwrap();
    }
    let backup = opened(&storage);
    let newest = backup.find(None).unwrap();
    let point = backup.point(&newest).unwrap();
    assert!(point.bundles.len() < 20, "{}", point.bundles.len());
    assert_eq!(problems(&storage), [""; 0]);
    assert_eq!(backup.points().unwrap().len(), 40);
    let place = tempfile::tempdir().unwrap();
    let node = restore(&backup, &newest, &At::Newest, place.path()).unwrap();
    assert_same_refs(&node, &store, 40);
}

#[test]
fn a_place_is_one_store_s() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 3);
    make(&storage, &store).unwrap();
    let other = TestStore::new();
    other.fill(0, 5);
    let error = make(&storage, &other).unwrap_err();
    assert!(matches!(error, BackupError::OtherCluster { .. }), "{error}");

    let strange = MemoryStorage::default();
    strange.write("photo.jpg", &"x".into()).unwrap();
    let error = make(&strange, &store).unwrap_err();
    assert!(matches!(error, BackupError::NoBackup { .. }), "{error}");
    let error = Backup::open(strange.boxed()).unwrap_err();
    assert!(matches!(error, BackupError::Nothing { .. }), "{error}");

    let newer = MemoryStorage::default();
    newer
        .write("confman-backup", &"confman backup format 2\n".into())
        .unwrap();
    let error = Backup::open(newer.boxed()).unwrap_err();
    assert!(
        matches!(error, BackupError::NewerFormat { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_directory_in_which_something_is_is_not_restored_to() {
    let storage = MemoryStorage::default();
    let store = TestStore::new();
    store.fill(0, 3);
    let made = make(&storage, &store).unwrap();
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "x").unwrap();
    let error = restore(&opened(&storage), &made.name, &At::Newest, place.path()).unwrap_err();
    assert!(matches!(
        error,
        BackupError::Restore(RestoreError::Open(OpenError::NotEmpty { .. }))
    ));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_and_a_bucket_hold_the_same() {
    let store = TestStore::new();
    store.fill(0, 80);
    let place = tempfile::tempdir().unwrap();
    let server = BucketServer::start();
    let directory = place.path().join("backup");
    let storages: [Box<dyn Fn() -> Box<dyn Storage>>; 2] = [
        Box::new(|| Box::new(DirectoryStorage::new(&directory))),
        Box::new(|| server.storage("confman")),
    ];
    for (number, storage) in storages.iter().enumerate() {
        let backup = Backup::open_or_begin(storage()).unwrap();
        let made = backup.make(&store, 1, &mut |_| {}).unwrap();
        assert!(!storage().list(BUNDLES).unwrap().is_empty());
        let names = backup.points().unwrap();
        let verified = backup.verify(&names, &mut |_| {}).unwrap();
        assert_eq!(verified.problems, [""; 0]);
        let to = place.path().join(format!("restored-{number}"));
        let node = restore(&backup, &made.name, &At::Newest, &to).unwrap();
        assert_same_refs(&node, &store, 80);
    }
}

/// A backup that was made by the first version that made backups can be read for ever.
#[test]
fn the_golden_backup_is_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/backup");
    let is_there = golden.join("confman-backup").exists();
    if std::env::var_os("UPDATE").is_some() && !is_there {
        let store = TestStore::new();
        store.fill(0, 70);
        let backup = Backup::open_or_begin(Box::new(DirectoryStorage::new(&golden))).unwrap();
        backup.make(&store, 1_764_000_000_000, &mut |_| {}).unwrap();
        store.fill(70, 3);
        backup.make(&store, 1_764_000_060_000, &mut |_| {}).unwrap();
    }
    let backup = Backup::open(Box::new(DirectoryStorage::new(&golden))).unwrap();
    let names = backup.points().unwrap();
    let verified = backup.verify(&names, &mut |_| {}).unwrap();
    insta::assert_snapshot!(format!("{verified:?}"), @"Verified { points: 2, bundles: 2, objects: 220, bytes: 10097, problems: [] }");
    let place = tempfile::tempdir().unwrap();
    let newest = names.last().unwrap();
    let node = restore(&backup, newest, &At::Newest, place.path()).unwrap();
    let target = node.view().get("ref-022").unwrap();
    insta::assert_snapshot!(
        format!("{} {:?}", newest.file(), target.id),
        @"points/000000000073-6979c308c8f80433.point ec9dfa624bb71dd5"
    );
}
