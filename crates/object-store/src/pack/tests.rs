use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::backend::MemoryBackend;
use crate::commit::{Moment, Person};
use crate::store::Store;
use crate::tree;

fn blob(text: impl Into<Bytes>) -> Object {
    Object::new(Kind::Blob, text)
}

fn commit(parents: &[&Object], generation: u64) -> Object {
    let commit = Commit {
        tree: tree::empty().id(),
        parents: parents.iter().map(|parent| parent.id()).collect(),
        generation,
        namespace: "/teams/payments".to_owned(),
        author: Person {
            name: "Ada".to_owned(),
            ..Person::default()
        },
        author_time: Moment {
            ms: 1,
            offset_minutes: 60,
        },
        committer: Person::default(),
        commit_time: Moment::default(),
        change_id: [7; 16],
        message: "why".to_owned(),
        origin: Some(blob("elsewhere").id()),
        request: None,
        policy: None,
        schemas: Vec::new(),
        source: None,
        unknown: Vec::new(),
    };
    commit.to_object().unwrap()
}

fn pack(objects: &[&Object]) -> Vec<u8> {
    pack_of(
        &objects
            .iter()
            .map(|object| Encoded::new(object))
            .collect::<Vec<_>>(),
    )
}

fn nowhere() -> Store {
    Store::new(Arc::new(MemoryBackend::default()), 1 << 20)
}

fn admit_here(bytes: &[u8], limits: &PackLimits) -> Result<Vec<Object>, String> {
    match admit(bytes, limits, &nowhere(), &|_, _| false) {
        Ok(admitted) => Ok(admitted.objects),
        Err(e) => {
            let source = std::error::Error::source(&e)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            Err(format!("{e}{source}"))
        }
    }
}

#[must_use]
fn refusal(bytes: &[u8]) -> String {
    admit_here(bytes, &PackLimits::default()).unwrap_err()
}

/// Some frames with a trailer that is right for them.
fn framed(frames: &[u8], count: u64) -> Vec<u8> {
    let mut bytes = [&HEADER[..], frames, &[TRAILER], &count.to_le_bytes()].concat();
    let hash = blake3::derive_key(HASH_CONTEXT, &bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

#[test]
fn what_is_packed_is_admitted_in_order() {
    let (tree, first) = (tree::empty(), commit(&[], 1));
    let second = commit(&[&first], 2);
    let objects = [&blob(""), &blob("v".repeat(5000)), &tree, &first, &second];
    let admitted = admit_here(&pack(&objects), &PackLimits::default()).unwrap();
    assert!(admitted.iter().eq(objects));
    assert_eq!(
        admit_here(&pack(&[]), &PackLimits::default()),
        Ok(Vec::new())
    );
}

#[test]
fn a_link_comes_earlier_or_is_vouched_for() {
    let (tree, first) = (tree::empty(), commit(&[], 1));
    assert_eq!(
        refusal(&pack(&[&first, &tree])),
        format!(
            "commit {} refers to page {}, which is neither earlier in the pack nor known here",
            first.id(),
            tree.id()
        ),
    );
    let knows = |kind: Kind, id: &ObjectId| (kind, *id) == (Kind::Page, tree.id());
    assert!(
        admit(
            &pack(&[&first])[..],
            &PackLimits::default(),
            &nowhere(),
            &knows
        )
        .is_ok()
    );
}

#[test]
fn an_object_that_is_not_what_it_claims_is_refused() {
    let text = blob("text");
    let lie = Encoded {
        id: blob("other").id(),
        ..Encoded::new(&text)
    };
    assert_eq!(
        refusal(&pack_of([&lie])),
        format!(
            "blob {} in the pack is wrong: its bytes hash to {}",
            lie.id,
            text.id()
        )
    );
    let shapeless = Object::new(Kind::Commit, "text");
    assert_eq!(
        refusal(&pack(&[&shapeless])),
        format!(
            "commit {} in the pack is wrong: not a canonical commit at byte 0: the first byte is 0x74, 0x43 is needed",
            shapeless.id()
        ),
    );
    assert_eq!(
        refusal(&pack(&[&text, &text])),
        format!(
            "blob {} in the pack is wrong: it is in the pack twice",
            text.id()
        )
    );
}

#[test]
fn generations_are_exact_where_parents_can_be_read() {
    let (tree, first) = (tree::empty(), commit(&[], 1));
    let third = commit(&[&first], 3);
    let wrong = "it has generation 3, one more than 1, the largest of its parents, is needed";
    assert_eq!(
        refusal(&pack(&[&tree, &first, &third])),
        format!("commit {} in the pack is wrong: {wrong}", third.id())
    );

    let store = nowhere();
    store
        .backend()
        .put(&[Encoded::new(&tree), Encoded::new(&first)], 1)
        .unwrap();
    let knows = |_: Kind, _: &ObjectId| true;
    let error = admit(&pack(&[&third])[..], &PackLimits::default(), &store, &knows).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("commit {} in the pack is wrong: {wrong}", third.id())
    );
    // A parent that is known to be there but cannot be read here proves nothing.
    assert!(
        admit(
            &pack(&[&third])[..],
            &PackLimits::default(),
            &nowhere(),
            &knows
        )
        .is_ok()
    );
}

#[test]
fn dictionaries_are_earlier_in_the_pack_or_vouched_for() {
    let (old, new) = (
        blob("a line of text\n".repeat(20) + "old"),
        blob("a line of text\n".repeat(20) + "new"),
    );
    let noise: String = (0..500_u32)
        .map(|i| char::from(b'!' + (i.wrapping_mul(2_654_435_761) >> 26) as u8))
        .collect();
    let (old, new) = (
        blob([old.bytes(), noise.as_bytes()].concat()),
        blob([new.bytes(), noise.as_bytes()].concat()),
    );
    let delta = Encoded::against(&new, &old, 0);
    assert!(delta.encoding.base().is_some());
    let both = [Encoded::new(&old), delta.clone()];
    assert_eq!(
        admit_here(&pack_of(&both), &PackLimits::default()).unwrap(),
        [old.clone(), new.clone()]
    );

    let unknown = format!(
        "blob {} in the pack is wrong: its dictionary {} is neither earlier in the pack nor known here",
        new.id(),
        old.id()
    );
    assert_eq!(refusal(&pack_of([&delta])), unknown);
    // A sender that knows an id, but may not read the object, cannot make its bytes their own by this.
    let store = nowhere();
    store.backend().put(&both[..1], 1).unwrap();
    let refused = admit(
        &pack_of([&delta])[..],
        &PackLimits::default(),
        &store,
        &|_, _| false,
    )
    .unwrap_err();
    assert_eq!(refused.to_string(), unknown);
    let admitted = admit(
        &pack_of([&delta])[..],
        &PackLimits::default(),
        &store,
        &|_, id| *id == old.id(),
    )
    .unwrap();
    assert_eq!(
        (admitted.objects, admitted.encoded),
        (vec![new.clone()], vec![delta.clone()])
    );

    let flat = Encoded {
        encoding: Encoding::Delta {
            len: new.bytes().len() as u32,
            base: old.id(),
            depth: 1,
        },
        ..delta
    };
    let deeper = Encoded::against(&blob([new.bytes(), &b"!"[..]].concat()), &new, 0);
    assert!(
        refusal(&pack_of(&[both[0].clone(), flat, deeper]))
            .contains("it states depth 1, its dictionary")
    );
}

#[test]
fn limits_hold_at_the_limit_and_not_beyond() {
    let objects: Vec<Object> = (0..10).map(|n| blob(vec![b'a' + n; 1000])).collect();
    let bytes = pack(&objects.iter().collect::<Vec<_>>());
    let with = |change: &dyn Fn(&mut PackLimits)| {
        let mut limits = PackLimits::default();
        change(&mut limits);
        admit_here(&bytes, &limits).map(|objects| objects.len())
    };
    assert_eq!(with(&|limits| limits.objects_max = 10), Ok(10));
    insta::assert_snapshot!(with(&|limits| limits.objects_max = 9).unwrap_err(), @"the pack has more than 9 objects");
    assert_eq!(
        with(&|limits| limits.wire_bytes_max = bytes.len() as u64),
        Ok(10)
    );
    assert!(
        with(&|limits| limits.wire_bytes_max = bytes.len() as u64 - 1)
            .unwrap_err()
            .ends_with("bytes on the wire")
    );
    assert_eq!(with(&|limits| limits.raw_bytes_max = 10_000), Ok(10));
    insta::assert_snapshot!(with(&|limits| limits.raw_bytes_max = 9_999).unwrap_err(), @"the pack has more than 9999 bytes after decompression");
    assert_eq!(with(&|limits| limits.blob_bytes_max = 1000), Ok(10));
    insta::assert_snapshot!(with(&|limits| limits.blob_bytes_max = 999).unwrap_err(), @"not a pack at byte 44: a blob of 1000 bytes, at most 999 are allowed");
}

#[test]
fn a_bomb_is_refused_by_its_ratio_before_it_goes_off() {
    let bombs: Vec<Object> = (0..4).map(|n| blob(vec![n; 1 << 20])).collect();
    let error = refusal(&pack(&bombs.iter().collect::<Vec<_>>()));
    assert_eq!(
        error,
        "the pack has more than 200 bytes after decompression for each byte on the wire"
    );
}

#[test]
fn sizes_are_refused_before_they_are_asked_for() {
    let frame = |kind: Kind, encoding: Encoding, payload_len: u32| {
        let mut bytes = vec![u8::from(kind)];
        bytes.extend_from_slice(&[9; ID_BYTES]);
        encoding.write_header(&mut bytes);
        bytes.extend_from_slice(&payload_len.to_le_bytes());
        refusal(&framed(&bytes, 1))
    };
    insta::assert_snapshot!(frame(Kind::Page, Encoding::Raw, 4097), @"not a pack at byte 42: a page of 4097 bytes, at most 4096 are allowed");
    insta::assert_snapshot!(frame(Kind::Commit, Encoding::Zstd { len: 131_073 }, 1), @"not a pack at byte 45: a commit of 131073 bytes, at most 131072 are allowed");
    insta::assert_snapshot!(frame(Kind::Blob, Encoding::Raw, u32::MAX), @"not a pack at byte 42: a blob of 4294967295 bytes, at most 16777216 are allowed");
    insta::assert_snapshot!(frame(Kind::Blob, Encoding::Zstd { len: 10 }, 11), @"not a pack at byte 43: a frame of 11 bytes for 10 bytes; raw is shorter");
}

#[test]
fn what_is_not_a_pack_is_refused_at_its_byte() {
    insta::assert_snapshot!(refusal(b"PACK\0\0\0\x02"), @"not a pack at byte 0: a pack begins with CFPK");
    insta::assert_snapshot!(refusal(b"CFPK\x02\0\0\0"), @"not a pack at byte 4: version 1 is the only one known here");
    insta::assert_snapshot!(refusal(&framed(&[8], 0)), @"not a pack at byte 8: 8 is no kind of object, and no trailer, which is 255");
    insta::assert_snapshot!(refusal(&framed(&[], 1)), @"not a pack at byte 9: the trailer counts 1 objects, there were 0");
    insta::assert_snapshot!(refusal(&framed(&[[1; 33].as_slice(), &[3]].concat(), 1)), @"not a pack at byte 41: 0x03 is no encoding: raw, zstd or delta is needed");
}

#[test]
fn a_pack_cut_or_flipped_at_any_byte_is_refused() {
    let (tree, first) = (tree::empty(), commit(&[], 1));
    let bytes = pack(&[&blob("some text"), &tree, &first]);
    for at in 0..bytes.len() {
        match admit(&bytes[..at], &PackLimits::default(), &nowhere(), &|_, _| {
            false
        }) {
            Err(PackError::Io { offset, .. }) => assert!(offset <= at as u64),
            other => panic!("cut to {at} bytes: {other:?}"),
        }
        for bit in [1, 128] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            assert!(
                admit_here(&flipped, &PackLimits::default()).is_err(),
                "byte {at}"
            );
        }
    }
}

proptest! {
    #[test]
    fn packs_round_trip(texts in prop::collection::btree_set("\\PC{0,300}", 0..20)) {
        let objects: Vec<Object> = texts.into_iter().map(blob).collect();
        let bytes = pack(&objects.iter().collect::<Vec<_>>());
        prop_assert_eq!(admit_here(&bytes, &PackLimits::default()), Ok(objects));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(admit_here(&framed(&bytes, 1), &PackLimits::default()).is_err());
    }
}
