//! What every backend has to do, as one function that fails loudly.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite says that a check failed by panicking"
)]

use crate::backend::{BackendError, ObjectBackend, Stored};
use crate::encoding::{DELTA_DEPTH_MAX, Encoded, Encoding};
use crate::id::{IdPrefix, ObjectId};
use crate::object::{Kind, Object};

/// Runs every check on a fresh backend each time.
///
/// # Panics
/// Where the backend does not conform.
pub fn conformance<B: ObjectBackend>(mut fresh: impl FnMut() -> B) {
    what_is_put_is_there(&fresh());
    nothing_is_there_before(&fresh());
    kinds_are_kept_apart(&fresh());
    every_size_is_kept(&fresh());
    putting_again_refreshes_the_birth(&fresh());
    ids_are_listed_in_order(&fresh());
    one_bad_object_keeps_all_out(&fresh());
    values_that_go_back_and_forth_stay_readable(&fresh());
    chains_end(&fresh());
    readers_and_a_writer_do_not_disturb_each_other(&fresh());
}

fn blob(text: impl Into<Vec<u8>>) -> Object {
    Object::new(Kind::Blob, text.into())
}

/// A text of about 4 KiB that shares most of its lines with that of every other number.
fn version(number: usize) -> Object {
    let mut text = String::new();
    for line in 0..100 {
        let value = if line == number % 100 {
            number
        } else {
            line * 7919
        };
        text.push_str(&format!("setting-{line:04} = {value:032x}\n"));
    }
    blob(text)
}

fn get(backend: &dyn ObjectBackend, object: &Object) -> Option<Stored> {
    backend
        .get(object.kind(), &object.id())
        .expect("the backend reads")
}

fn put(backend: &dyn ObjectBackend, objects: &[Encoded], born: u64) {
    backend
        .put(objects, born)
        .expect("the backend keeps the objects");
}

/// Reads an object through its dictionaries.
fn open(backend: &dyn ObjectBackend, id: &ObjectId) -> Object {
    fn step(backend: &dyn ObjectBackend, id: &ObjectId, left: u8) -> Object {
        let stored = backend
            .get(Kind::Blob, id)
            .expect("the backend reads")
            .expect("the object is there");
        let base = stored.encoding.base().map(|base| {
            assert!(
                left > 0,
                "the chain of dictionaries is longer than {DELTA_DEPTH_MAX}"
            );
            step(backend, &base, left - 1)
        });
        let encoded = Encoded {
            kind: Kind::Blob,
            id: *id,
            encoding: stored.encoding,
            payload: stored.payload,
        };
        encoded
            .open(base.as_ref().map(|base| base.bytes().as_ref()))
            .expect("it is what was put")
    }
    step(backend, id, DELTA_DEPTH_MAX)
}

fn nothing_is_there_before(backend: &dyn ObjectBackend) {
    assert_eq!(get(backend, &blob("a")), None);
    assert_eq!(
        backend
            .ids(Kind::Blob, &(ObjectId::MIN..=ObjectId::MAX), 10)
            .expect("the backend lists"),
        []
    );
    put(backend, &[], 1);
}

fn what_is_put_is_there(backend: &dyn ObjectBackend) {
    let (a, b) = (version(1), version(2));
    let encoded = [Encoded::new(&a), Encoded::against(&b, &a, 0)];
    assert!(
        matches!(encoded[1].encoding, Encoding::Delta { depth: 1, .. }),
        "the second is written against the first"
    );
    put(backend, &encoded, 7);
    for (object, encoded) in [a, b].iter().zip(&encoded) {
        let Some(stored) = get(backend, object) else {
            panic!("{} is not there", object.id())
        };
        assert_eq!(
            (stored.born, stored.encoding, &stored.payload),
            (7, encoded.encoding, &encoded.payload)
        );
        assert_eq!(&open(backend, &object.id()), object);
    }
}

fn kinds_are_kept_apart(backend: &dyn ObjectBackend) {
    for kind in Kind::ALL {
        put(
            backend,
            &[Encoded::new(&Object::new(kind, "the same bytes"))],
            u64::from(u8::from(kind)),
        );
    }
    for kind in Kind::ALL {
        let object = Object::new(kind, "the same bytes");
        assert_eq!(
            get(backend, &object).map(|stored| stored.born),
            Some(u64::from(u8::from(kind)))
        );
        let ids = backend
            .ids(kind, &(ObjectId::MIN..=ObjectId::MAX), 10)
            .expect("the backend lists");
        assert_eq!(ids, [object.id()], "only objects of kind {kind} are listed");
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            assert_eq!(
                backend.get(other, &object.id()).expect("the backend reads"),
                None
            );
        }
    }
}

fn every_size_is_kept(backend: &dyn ObjectBackend) {
    let objects: Vec<Object> = [0, 1, 63, 4096, 16 * 1024, 70_000, 1 << 20]
        .into_iter()
        .map(|len| {
            blob(
                (0..len)
                    .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect::<Vec<u8>>(),
            )
        })
        .collect();
    put(
        backend,
        &objects.iter().map(Encoded::new).collect::<Vec<_>>(),
        u64::MAX,
    );
    for object in &objects {
        assert_eq!(&open(backend, &object.id()), object);
        assert_eq!(
            get(backend, object).map(|stored| stored.born),
            Some(u64::MAX)
        );
    }
    // The same object in another size class: raw bytes of what was compressed before.
    let large = blob(vec![b'a'; 300_000]);
    put(backend, &[Encoded::new(&large)], 1);
    let raw = Encoded {
        kind: Kind::Blob,
        id: large.id(),
        encoding: Encoding::Raw,
        payload: large.bytes().clone(),
    };
    for (encoded, born) in [(raw, 2), (Encoded::new(&large), 3)] {
        put(backend, &[encoded], born);
        assert_eq!(open(backend, &large.id()), large);
        assert_eq!(get(backend, &large).map(|stored| stored.born), Some(born));
        let ids = backend
            .ids(Kind::Blob, &(large.id()..=ObjectId::MAX), 1)
            .expect("the backend lists");
        assert_eq!(ids, [large.id()], "an object is listed once");
    }
}

fn putting_again_refreshes_the_birth(backend: &dyn ObjectBackend) {
    let object = version(1);
    for born in [5, 9] {
        put(backend, &[Encoded::new(&object)], born);
        assert_eq!(get(backend, &object).map(|stored| stored.born), Some(born));
    }
}

fn ids_are_listed_in_order(backend: &dyn ObjectBackend) {
    let mut objects: Vec<Object> = (0..40)
        .map(|number| blob(format!("value {number}")))
        .collect();
    // Some of another size class, so that listing has to merge.
    objects.extend((0..5_u8).map(|number| {
        blob(
            (0..40_000_u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ number)
                .collect::<Vec<u8>>(),
        )
    }));
    for (born, chunk) in objects.chunks(7).enumerate() {
        put(
            backend,
            &chunk.iter().map(Encoded::new).collect::<Vec<_>>(),
            born as u64,
        );
    }
    objects.sort_by_key(Object::id);
    let want: Vec<ObjectId> = objects.iter().map(Object::id).collect();
    let list = |kind, first, last, limit| {
        backend
            .ids(kind, &(first..=last), limit)
            .expect("the backend lists")
    };
    let from = |first, limit| list(Kind::Blob, first, ObjectId::MAX, limit);
    assert_eq!(from(ObjectId::MIN, 1000), want);
    assert_eq!(from(ObjectId::MIN, 3), want[..3]);
    assert_eq!(from(want[10], 5), want[10..15], "the first is included");
    assert_eq!(from(ObjectId::MAX, 5), []);
    assert_eq!(from(ObjectId::MIN, 0), []);
    let among = list(Kind::Blob, want[10], want[14], 1000);
    assert_eq!(among, want[10..15], "the last is included");
    assert_eq!(list(Kind::Page, ObjectId::MIN, ObjectId::MAX, 5), []);
    for id in &want {
        for digits in [8, 12, 64] {
            let prefix: IdPrefix = id.to_string()[..digits].parse().expect("a prefix");
            let range = prefix.range();
            let found = list(Kind::Blob, *range.start(), *range.end(), 10);
            assert_eq!(found, [*id], "{digits} digits");
            assert_eq!(list(Kind::Page, *range.start(), *range.end(), 10), []);
        }
    }
}

fn one_bad_object_keeps_all_out(backend: &dyn ObjectBackend) {
    let (good, base, orphan) = (version(1), version(2), version(3));
    let objects = [Encoded::new(&good), Encoded::against(&orphan, &base, 0)];
    match backend.put(&objects, 1) {
        Err(BackendError::Corrupt { id, .. }) => {
            assert_eq!(id, orphan.id(), "the error names the object")
        }
        other => panic!("an object whose dictionary is nowhere is refused, this gave {other:?}"),
    }
    assert_eq!(get(backend, &good), None, "all or none");
    assert_eq!(get(backend, &orphan), None, "all or none");
    // In the other order it would be found, but one that reads the batch forward could not use it.
    let objects = [Encoded::against(&orphan, &base, 0), Encoded::new(&base)];
    assert!(
        backend.put(&objects, 1).is_err(),
        "a dictionary comes before what needs it"
    );
}

fn values_that_go_back_and_forth_stay_readable(backend: &dyn ObjectBackend) {
    let (a, b, c) = (version(1), version(2), version(3));
    put(backend, &[Encoded::new(&a)], 1);
    put(backend, &[Encoded::against(&b, &a, 0)], 2);
    put(backend, &[Encoded::against(&a, &b, 1)], 3);
    put(
        backend,
        &[
            Encoded::against(&c, &a, 0),
            Encoded::against(&b, &c, 1),
            Encoded::against(&a, &b, 2),
        ],
        4,
    );
    for object in [&a, &b, &c] {
        assert_eq!(&open(backend, &object.id()), object);
        assert_eq!(get(backend, object).map(|stored| stored.born), Some(4));
    }
}

fn chains_end(backend: &dyn ObjectBackend) {
    // The sender's chain is shorter than the one it meets here.
    let versions: Vec<Object> = (0..60).map(version).collect();
    put(backend, &[Encoded::new(&versions[0])], 1);
    for pair in versions.windows(2) {
        put(backend, &[Encoded::against(&pair[1], &pair[0], 0)], 2);
    }
    for object in &versions {
        assert_eq!(&open(backend, &object.id()), object);
    }
    let depths: Vec<u8> = versions
        .iter()
        .filter_map(|object| get(backend, object))
        .map(|stored| stored.encoding.depth())
        .collect();
    assert_eq!(depths.iter().max(), Some(&DELTA_DEPTH_MAX));
}

fn readers_and_a_writer_do_not_disturb_each_other(backend: &dyn ObjectBackend) {
    let versions: Vec<Object> = (0..64).map(version).collect();
    let encoded: Vec<Encoded> = versions.iter().map(Encoded::new).collect();
    put(backend, &encoded[..1], 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for object in versions.iter().cycle().take(256) {
                    if get(backend, object).is_some() {
                        assert_eq!(&open(backend, &object.id()), object);
                    }
                }
            });
        }
        for (born, one) in encoded.iter().enumerate() {
            put(backend, std::slice::from_ref(one), born as u64);
        }
    });
    for object in &versions {
        assert_eq!(&open(backend, &object.id()), object);
    }
}
