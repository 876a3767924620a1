use std::ops::RangeInclusive;

use super::*;
use crate::object::Object;

#[derive(Debug)]
struct TestDir {
    packs: PackDir,
    dir: tempfile::TempDir,
}

impl ObjectBackend for TestDir {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        self.packs.get(kind, id)
    }
    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
        self.packs.put(objects, born)?;
        // What one process has put, another finds.
        let again = PackDir::open(self.dir.path()).unwrap();
        for object in objects {
            assert_eq!(
                again.get(object.kind, &object.id)?,
                self.packs.get(object.kind, &object.id)?
            );
        }
        Ok(())
    }
    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        self.packs.ids(kind, range, limit)
    }
}

fn fresh() -> TestDir {
    let dir = tempfile::tempdir().unwrap();
    TestDir {
        packs: PackDir::open(dir.path()).unwrap(),
        dir,
    }
}

/// A directory with one pack of a few objects, and those.
fn one_pack() -> (tempfile::TempDir, PathBuf, Vec<Object>) {
    let dir = tempfile::tempdir().unwrap();
    let objects: Vec<Object> = [("a", 3), ("b", 300), ("c", 0)]
        .map(|(text, n)| Object::new(Kind::Blob, text.repeat(n)))
        .into();
    let packs = PackDir::open(dir.path()).unwrap();
    packs
        .put(&objects.iter().map(Encoded::new).collect::<Vec<_>>(), 10)
        .unwrap();
    let path = dir.path().join("00000001-a.pack");
    assert!(
        path.exists(),
        "{:?}",
        fs::read_dir(dir.path()).unwrap().collect::<Vec<_>>()
    );
    (dir, path, objects)
}

fn whole(packs: &PackDir, objects: &[Object]) -> bool {
    objects.iter().all(|object| {
        packs.get(object.kind(), &object.id()).is_ok_and(|stored| {
            stored.is_some_and(
                |Stored {
                     born,
                     encoding,
                     payload,
                 }| {
                    let encoded = Encoded {
                        kind: object.kind(),
                        id: object.id(),
                        encoding,
                        payload,
                    };
                    born == 10 && encoded.open(None).as_ref() == Ok(object)
                },
            )
        })
    })
}

#[test]
fn pack_directory_conforms() {
    crate::testing::conformance(fresh);
}

#[test]
fn a_pack_cut_at_any_byte_is_named_and_nothing_of_it_served() {
    let (dir, path, _) = one_pack();
    let bytes = fs::read(&path).unwrap();
    for with_index in [true, false] {
        for len in 0..bytes.len() {
            fs::write(&path, &bytes[..len]).unwrap();
            if !with_index {
                fs::remove_file(path.with_extension(INDEX)).ok();
            }
            match PackDir::open(dir.path()) {
                Err(PackDirError::Damaged { path: named, .. }) => assert_eq!(named, path),
                other => panic!("cut to {len} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn an_index_cut_or_flipped_at_any_byte_is_made_again() {
    let (dir, path, objects) = one_pack();
    let index = path.with_extension(INDEX);
    let bytes = fs::read(&index).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        for damaged in [&bytes[..at], &flipped] {
            fs::write(&index, damaged).unwrap();
            assert!(
                whole(&PackDir::open(dir.path()).unwrap(), &objects),
                "byte {at}"
            );
            assert_eq!(fs::read(&index).unwrap(), bytes);
        }
    }
    fs::remove_file(&index).unwrap();
    assert!(whole(&PackDir::open(dir.path()).unwrap(), &objects));
}

#[test]
fn a_flipped_byte_of_a_pack_never_gives_other_bytes() {
    let (dir, path, objects) = one_pack();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let Ok(packs) = PackDir::open(dir.path()) else {
            continue;
        };
        for object in &objects {
            if let Ok(Some(Stored {
                encoding, payload, ..
            })) = packs.get(object.kind(), &object.id())
            {
                let encoded = Encoded {
                    kind: object.kind(),
                    id: object.id(),
                    encoding,
                    payload,
                };
                assert!(encoded.open(None).map_or(true, |opened| opened == *object));
            }
        }
        fs::remove_file(path.with_extension(INDEX)).ok();
        assert!(
            PackDir::open(dir.path()).is_err(),
            "without its index all of the pack is read, byte {at}"
        );
        fs::write(&path, &bytes).unwrap();
        drop(PackDir::open(dir.path()).unwrap());
    }
}

#[test]
fn what_a_stopped_writer_left_behind_is_ignored_and_removed() {
    let (dir, _, objects) = one_pack();
    fs::write(dir.path().join("pack.tmp"), b"half a pa").unwrap();
    fs::write(dir.path().join("00000007-1.idx"), b"of no pack").unwrap();
    let packs = PackDir::open(dir.path()).unwrap();
    assert!(whole(&packs, &objects));
    let more = Object::new(Kind::Blob, "more");
    packs.put(&[Encoded::new(&more)], 11).unwrap();
    assert!(!dir.path().join("pack.tmp").exists());
    assert!(dir.path().join("00000002-b.pack").exists());
}

#[test]
fn two_writers_do_not_replace_each_others_packs() {
    let (dir, _, objects) = one_pack();
    let (one, two) = (
        PackDir::open(dir.path()).unwrap(),
        PackDir::open(dir.path()).unwrap(),
    );
    let [a, b] = ["one", "two"].map(|text| Object::new(Kind::Blob, text));
    one.put(&[Encoded::new(&a)], 10).unwrap();
    two.put(&[Encoded::new(&b)], 10).unwrap();
    assert!(whole(
        &PackDir::open(dir.path()).unwrap(),
        &[&objects[..], &[a, b]].concat()
    ));
}
