//! Trees that are not what they say: always an error, never a panic or endless work.

use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::rule::FORMAT;
use super::keys::family;
use super::objects::{Contents, Edits, Objects, key, leaf, pages_of, text};
use super::{Page, count_prefix, diff, get, merge, pages_missing, prefix_tag, prove, walk};
use crate::id::ObjectId;
use crate::store::ReadError;

fn everything(
    objects: &Objects,
    root: &ObjectId,
    other: &ObjectId,
    probe: &super::TreeKey,
) -> Vec<Result<(), ReadError>> {
    let bytes = probe.as_bytes();
    let half = bytes.get(..bytes.len() / 2).unwrap_or(bytes);
    vec![
        get(objects, root, bytes).map(drop),
        count_prefix(objects, root, half).map(drop),
        prefix_tag(objects, root, half).map(drop),
        walk(objects, root, b"", None, &mut |_, _| {
            ControlFlow::Continue(())
        }),
        walk(objects, root, half, Some(bytes), &mut |_, _| {
            ControlFlow::Continue(())
        }),
        diff(objects, root, other).map(drop),
        diff(objects, other, root).map(drop),
        merge(objects, other, root, other).map(drop),
        merge(objects, other, other, root).map(drop),
        pages_missing(objects, root, &[*other]).map(drop),
        pages_missing(objects, other, &[*root]).map(drop),
        prove(objects, root, bytes).map(drop),
        objects
            .try_edit(root, &Edits::from([(probe.clone(), Some(text("x")))]))
            .map(drop),
        objects
            .try_edit(root, &Edits::from([(probe.clone(), None)]))
            .map(drop),
    ]
}

proptest! {
    #[test]
    fn a_changed_page_anywhere_is_survived(
        family in family(),
        numbers in vec(0..600_u32, 20..200),
        victim in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        // The changed page gets its own id, and every page above names that: all hashes are right.
        let objects = Objects::new(pages_of(256));
        let contents: Contents = numbers.iter().map(|n| (family.key(*n, 30), leaf(u64::from(*n)))).collect();
        let root = objects.build(&contents);
        let mut pages: Vec<ObjectId> = pages_missing(&objects, &root, &[]).unwrap().into_iter().map(|page| page.0).collect();
        let victim = victim.index(pages.len());
        let mut bytes = objects.bytes(&pages[victim]).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut renamed = vec![(pages[victim], objects.put(bytes.into()))];
        for id in pages.drain(..).skip(victim + 1) {
            let mut bytes = objects.bytes(&id).to_vec();
            for (from, to) in &renamed {
                while let Some(at) = bytes.windows(32).position(|window| window == from.as_bytes() && from != to) {
                    bytes[at..at + 32].copy_from_slice(to.as_bytes());
                }
            }
            renamed.push((id, objects.put(bytes.into())));
        }
        let hostile = if victim == renamed.len() { root } else { renamed.last().unwrap().1 };
        let probe = family.key(numbers[0], 30);
        for outcome in everything(&objects, &hostile, &root, &probe) {
            // Missing where the change hit an id.
            let survived = matches!(outcome, Ok(()) | Err(ReadError::Malformed { .. } | ReadError::Missing { .. }));
            prop_assert!(survived, "{outcome:?}");
        }
    }

    #[test]
    fn a_tampered_proof_proves_nothing(
        family in family(),
        numbers in vec(0..600_u32, 1..200),
        probe in 0..700_u32,
        page in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let objects = Objects::new(pages_of(256));
        let contents: Contents = numbers.iter().map(|n| (family.key(*n, 30), leaf(u64::from(*n)))).collect();
        let root = objects.build(&contents);
        let probe = family.key(probe, 30);
        let verify = |proof: &super::Proof, root: &ObjectId| proof.verify_within(root, probe.as_bytes(), &objects.limits);
        let proof = prove(&objects, &root, probe.as_bytes()).unwrap();
        prop_assert_eq!(verify(&proof, &root).unwrap(), contents.get(&probe).cloned());

        let page = page.index(proof.pages.len());
        let mut changed = proof.clone();
        let mut bytes = changed.pages[page].to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        changed.pages[page] = bytes.into();
        prop_assert!(verify(&changed, &root).is_err());

        let mut short = proof.clone();
        short.pages.remove(page);
        prop_assert!(verify(&short, &root).is_err());

        let mut long = proof.clone();
        long.pages.insert(page, proof.pages[page].clone());
        prop_assert!(verify(&long, &root).is_err());
        prop_assert!(verify(&proof, &super::empty().id()).is_err());
    }
}

/// A tree with two pages below its root, and the root's bytes.
fn tall(objects: &Objects) -> (ObjectId, Vec<u8>) {
    let contents: Contents = (0..160)
        .map(|n| (key(format!("k{n:04}")), text(&"v".repeat(30))))
        .collect();
    let root = objects.build(&contents);
    let bytes = objects.bytes(&root).to_vec();
    assert!(
        Page::decode_within(bytes.clone().into(), &FORMAT)
            .unwrap()
            .height()
            == 1
    );
    (root, bytes)
}

/// What reading the whole tree says once `change` has been done to the root.
fn reading(change: impl FnOnce(&mut Vec<u8>)) -> String {
    reading_with(&Objects::of_format(), change)
}

fn reading_with(objects: &Objects, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (_, mut bytes) = tall(objects);
    change(&mut bytes);
    let root = objects.put(bytes.into());
    match walk(objects, &root, b"", None, &mut |_, _| {
        ControlFlow::Continue(())
    }) {
        Err(ReadError::Malformed { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Where the first reference of that root begins, behind its key.
fn first_reference(bytes: &[u8]) -> usize {
    let items = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    let start = 16 + 2 * items;
    assert_eq!(bytes[start], 2);
    start + 2 + usize::from(bytes[start + 1])
}

#[test]
fn a_reference_that_claims_too_much_is_refused() {
    insta::assert_snapshot!(reading(|bytes| {
        let at = first_reference(bytes) + 39;
        bytes[at] += 1;
        bytes[8] += 1;
    }), @"not a canonical page at byte 8: its parent says 101 keys, it has 100");
    insta::assert_snapshot!(reading(|bytes| {
        let at = first_reference(bytes) + 37;
        bytes[at] += 1;
        bytes[6] += 1;
    }), @"not a canonical page at byte 22: the rule puts the items of this child into this page");
    insta::assert_snapshot!(reading(|bytes| {
        let at = first_reference(bytes) + 34;
        bytes[at] -= 1;
    }), @"not a canonical page at byte 4: its parent says 99 items, it has 100");
    insta::assert_snapshot!(reading(|bytes| {
        let at = first_reference(bytes) + 32;
        bytes[at] += 1;
    }), @"not a canonical page at byte 0: its parent says 3917 bytes, it has 3916");
}

#[test]
fn a_page_that_stands_elsewhere_is_refused() {
    // Both pages are fine, and so is the root, but they are not where the root says.
    let objects = Objects::of_format();
    let small = objects.build(&Contents::from([(key("k"), text("v"))]));
    insta::assert_snapshot!(reading_with(&objects, |bytes| {
        let at = first_reference(bytes);
        bytes[at..at + 32].copy_from_slice(small.as_bytes());
    }), @"not a canonical page at byte 0: its parent says 3916 bytes, it has 25");
}

#[test]
fn a_page_that_is_missing_is_named() {
    let objects = Objects::of_format();
    let (root, bytes) = tall(&objects);
    let at = first_reference(&bytes);
    let child = ObjectId::from_bytes(bytes[at..at + 32].try_into().unwrap());
    objects.remove(&child);
    let missing = get(&objects, &root, b"k0001");
    assert!(
        matches!(missing, Err(ReadError::Missing { id, .. }) if id == child),
        "{missing:?}"
    );
    assert!(
        get(&objects, &root, b"k0159").unwrap().is_some(),
        "other pages are read all the same"
    );
    assert_eq!(super::count(&objects, &root).unwrap(), 160);
}

#[test]
fn a_key_that_grows_too_long_below_is_refused() {
    // Each page is canonical; only their depths add up to a key of more than 255 bytes.
    let objects = Objects::of_format();
    let long: Contents = (0..200_u32)
        .map(|n| {
            (
                key([
                    &vec![b'p'; 200][..],
                    format!("{n:05}{}", "x".repeat(50)).as_bytes(),
                ]
                .concat()),
                leaf(2),
            )
        })
        .collect();
    let root = objects.build(&long);
    let page = Page::decode(objects.bytes(&root)).unwrap();
    let mut bytes = objects.bytes(&root).to_vec();
    assert_eq!(
        page.len(),
        1,
        "the root refers to one page that leaves out 200 bytes and more"
    );
    let key_len = usize::from(bytes[19]);
    let at = 20 + key_len;
    // Lengthen what is left out by 50 bytes: the key, its length, the base, and where the item ends.
    bytes.splice(at..at, vec![b'p'; 50]);
    bytes[19] += 50;
    let end = u16::from_le_bytes([bytes[16], bytes[17]]) + 50;
    bytes[16..18].copy_from_slice(&end.to_le_bytes());
    bytes[at + 50 + 36] += 50;
    let hostile = objects.put(bytes.into());
    match walk(&objects, &hostile, b"", None, &mut |_, _| {
        ControlFlow::Continue(())
    }) {
        Err(ReadError::Malformed { source, .. }) => {
            insta::assert_snapshot!(source.to_string(), @"not a canonical page at byte 16: a key has at most 255 bytes, one here has 305");
        }
        other => panic!("{other:?}"),
    }
}
