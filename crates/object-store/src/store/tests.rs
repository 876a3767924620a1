use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::*;
use crate::backend::MemoryBackend;
use crate::tree;

fn blob(text: impl Into<Bytes>) -> Object {
    Object::new(Kind::Blob, text)
}

/// A text that differs from that of every other number in one line.
fn version(number: usize) -> Object {
    let lines: Vec<String> = (0..60)
        .map(|line: usize| {
            let value = if line == number % 60 {
                1000 + number
            } else {
                line
            };
            blake3::hash(&value.to_le_bytes()).to_hex().to_string()
        })
        .collect();
    blob(lines.join("\n"))
}

fn store() -> Arc<Store> {
    Arc::new(Store::new(Arc::new(MemoryBackend::default()), 1 << 20))
}

fn commit_stage(stage: &Stage, born: u64) -> Vec<Encoded> {
    let encoded = stage.encode().unwrap();
    stage.store().backend().put(&encoded, born).unwrap();
    encoded
}

/// Gives back what it keeps with one payload changed.
#[derive(Debug)]
struct Flipped {
    inner: MemoryBackend,
    id: ObjectId,
    bit: usize,
}

impl ObjectBackend for Flipped {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        let mut stored = self.inner.get(kind, id)?;
        if let Some(stored) = &mut stored
            && *id == self.id
        {
            let mut payload = stored.payload.to_vec();
            payload[self.bit / 8] ^= 1 << (self.bit % 8);
            stored.payload = payload.into();
        }
        Ok(stored)
    }
    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
        self.inner.put(objects, born)
    }
    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        self.inner.ids(kind, range, limit)
    }
}

#[test]
fn a_flipped_bit_is_named_and_never_served() {
    let (a, b, page) = (version(1), version(2), tree::empty());
    let encoded = [
        Encoded::new(&a),
        Encoded::against(&b, &a, 0),
        Encoded::new(&page),
    ];
    for (object, encoded_object) in [&a, &b, &page].into_iter().zip(&encoded) {
        for bit in (0..encoded_object.payload.len() * 8).step_by(5) {
            let inner = MemoryBackend::default();
            inner.put(&encoded, 1).unwrap();
            let store = Store::new(
                Arc::new(Flipped {
                    inner,
                    id: object.id(),
                    bit,
                }),
                1 << 20,
            );
            match store.try_read(object.kind(), &object.id()) {
                // Some bits of a frame say nothing about its contents.
                Ok(Some(bytes)) => assert_eq!(bytes, object.bytes()),
                Err(ReadError::Corrupt { kind, id, .. }) => {
                    assert_eq!((kind, id), (object.kind(), object.id()))
                }
                other => panic!("bit {bit}: {other:?}"),
            }
            assert!(object.kind() != Kind::Page || store.page(&object.id()).is_err());
        }
    }
}

#[test]
fn a_corrupt_dictionary_is_named_by_what_needs_it() {
    let (a, b) = (version(1), version(2));
    let inner = MemoryBackend::default();
    inner
        .put(&[Encoded::new(&a), Encoded::against(&b, &a, 0)], 1)
        .unwrap();
    let store = Store::new(
        Arc::new(Flipped {
            inner,
            id: a.id(),
            bit: 4000,
        }),
        1 << 20,
    );
    let error = store.read(Kind::Blob, &b.id()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "blob {} is corrupt: its dictionary {} is corrupt: ",
            b.id(),
            a.id()
        )),
        "{error}"
    );
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let store = store();
    let id = blob("x").id();
    assert_eq!(
        store.read(Kind::Blob, &id).unwrap_err().to_string(),
        format!("blob {id} is not in the store")
    );
    let shapeless = Object::new(Kind::Commit, "x");
    store.backend().put(&[Encoded::new(&shapeless)], 1).unwrap();
    let id = shapeless.id();
    assert_eq!(
        store.commit(&id).unwrap_err().to_string(),
        format!("commit {id} is not well formed")
    );
}

#[test]
fn pages_are_decoded_once() {
    let store = store();
    let page = tree::empty();
    store.backend().put(&[Encoded::new(&page)], 1).unwrap();
    assert!(Arc::ptr_eq(
        &store.page(&page.id()).unwrap(),
        &store.page(&page.id()).unwrap()
    ));
    assert_eq!(
        store.read_from_backend(Kind::Page, &page.id()).unwrap(),
        Some(page)
    );
}

#[test]
fn ids_are_found_by_prefix() {
    let store = store();
    let objects: Vec<Object> = (0..50).map(version).collect();
    store
        .backend()
        .put(&objects.iter().map(Encoded::new).collect::<Vec<_>>(), 1)
        .unwrap();
    let prefix: IdPrefix = objects[7].id().to_string()[..8].parse().unwrap();
    assert_eq!(
        store.find(Kind::Blob, &prefix, 10).unwrap(),
        [objects[7].id()]
    );
    assert_eq!(store.find(Kind::Page, &prefix, 10).unwrap(), []);
}

#[test]
fn a_stage_shows_its_objects_before_those_of_the_store() {
    let store = store();
    store
        .backend()
        .put(&[Encoded::new(&version(1))], 1)
        .unwrap();
    let mut stage = Stage::new(store.clone());
    stage.put(version(2), Some(version(1).id()));
    assert_eq!(
        stage.read(Kind::Blob, &version(1).id()).unwrap(),
        version(1).bytes()
    );
    assert_eq!(
        stage.read(Kind::Blob, &version(2).id()).unwrap(),
        version(2).bytes()
    );
    assert_eq!(store.try_read(Kind::Blob, &version(2).id()).unwrap(), None);
    assert_eq!(
        stage.objects().map(Object::id).collect::<Vec<_>>(),
        [version(2).id()]
    );
}

#[test]
fn a_stage_writes_against_what_an_object_replaces() {
    let store = store();
    for number in 0..40 {
        let mut stage = Stage::new(store.clone());
        let replaces = (number > 0).then(|| version(number - 1).id());
        stage.put(version(number), replaces);
        let encoded = commit_stage(&stage, number as u64);
        // A full text, sixteen against their predecessors, and again.
        assert_eq!(
            usize::from(encoded[0].encoding.depth()),
            number % (usize::from(DELTA_DEPTH_MAX) + 1)
        );
    }
    for number in 0..40 {
        assert_eq!(
            store.read(Kind::Blob, &version(number).id()).unwrap(),
            version(number).bytes()
        );
    }
}

#[test]
fn a_stage_puts_dictionaries_first_and_breaks_circles() {
    let stage_of = |replaces: &[(usize, usize)]| {
        let mut stage = Stage::new(store());
        for (number, older) in replaces {
            stage.put(version(*number), Some(version(*older).id()));
        }
        let encoded = commit_stage(&stage, 1);
        for (number, _) in replaces {
            assert_eq!(
                stage
                    .store()
                    .read(Kind::Blob, &version(*number).id())
                    .unwrap(),
                version(*number).bytes()
            );
        }
        encoded
            .iter()
            .map(|object| object.encoding.depth())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        stage_of(&[(3, 2), (2, 1), (1, 0)]),
        [0, 1, 2],
        "1 comes first, 0 is nowhere"
    );
    assert_eq!(
        stage_of(&[(1, 2), (2, 3), (3, 1)]),
        [0, 1, 2],
        "one of a circle is written alone"
    );
    assert_eq!(stage_of(&[(1, 1)]), [0]);
    let long: Vec<(usize, usize)> = (1..40).map(|number| (number, number - 1)).collect();
    assert_eq!(stage_of(&long).into_iter().max(), Some(DELTA_DEPTH_MAX));
}

proptest! {
    #[test]
    fn whatever_is_staged_can_be_read(steps in prop::collection::vec((0..8_usize, prop::option::of(0..8_usize), any::<bool>()), 1..40)) {
        let store = store();
        let mut stage = Stage::new(store.clone());
        let mut put = Vec::new();
        for (born, (number, replaces, commit)) in steps.into_iter().enumerate() {
            stage.put(version(number), replaces.map(|older| version(older).id()));
            put.push(number);
            if commit {
                commit_stage(&stage, born as u64);
                stage = Stage::new(store.clone());
            }
        }
        commit_stage(&stage, 100);
        for number in put {
            let read = store.read(Kind::Blob, &version(number).id()).unwrap();
            prop_assert_eq!(read, version(number).bytes().clone());
        }
    }
}

#[test]
fn one_changed_key_of_many_takes_few_bytes() {
    let leaf = |value: String| tree::Leaf {
        entry_type: 1,
        flags: 0,
        value: tree::LeafValue::Inline(value.into_bytes().into()),
        meta: None,
    };
    let key = |n: u32| tree::TreeKey::new(format!("service-{:02}/setting-{n:05}", n % 40)).unwrap();
    let old = tree::build(
        &(0..20_000)
            .map(|n| (key(n), leaf(format!("{n}"))))
            .collect(),
    );
    let store = store();
    let mut stage = Stage::new(store.clone());
    for (page, replaces) in old.pages {
        stage.put(page, replaces);
    }
    commit_stage(&stage, 1);
    for n in (0..20_000).step_by(997) {
        let edited = tree::edit(
            &*store,
            &old.root,
            &BTreeMap::from([(key(n), Some(leaf(format!("{}", n + 1))))]),
        )
        .unwrap();
        let mut stage = Stage::new(store.clone());
        for (page, replaces) in edited.pages {
            stage.put(page, replaces);
        }
        // Each page is written against the one in whose place it stands, which differs in a few bytes.
        let encoded = stage.encode().unwrap();
        assert!(
            encoded.iter().all(|page| page.encoding.base().is_some()),
            "{:?}",
            encoded.len()
        );
        let bytes: usize = encoded.iter().map(|page| page.payload.len()).sum();
        assert!(
            bytes <= 100 * encoded.len(),
            "{} pages, {bytes} bytes",
            encoded.len()
        );
    }
}

#[test]
fn what_was_put_just_now_is_read_from_memory() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::new(backend, 1 << 20);
    let page = tree::empty();
    store.keep(Kind::Page, page.id(), page.bytes());
    assert_eq!(store.page(&page.id()).unwrap().bytes(), page.bytes());
    assert_eq!(store.page(&page.id()).unwrap().bytes(), page.bytes());
    // What is not read again and again is left to the backend.
    let blob = Object::new(Kind::Blob, "text");
    store.keep(Kind::Blob, blob.id(), blob.bytes());
    assert_eq!(store.try_read(Kind::Blob, &blob.id()).unwrap(), None);
}
