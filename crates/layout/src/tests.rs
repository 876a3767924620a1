use std::collections::BTreeSet;
use std::sync::Arc;

use confman_object_store::{MemoryBackend, Stage, Store};
use proptest::prelude::*;

use super::*;

fn stage() -> Stage {
    Stage::new(Arc::new(Store::new(Arc::new(MemoryBackend::default()), 0)))
}

fn staged(objects: Vec<Object>) -> Stage {
    let mut stage = stage();
    for object in objects {
        stage.put(object, None);
    }
    stage
}

fn value() -> impl Strategy<Value = Value> {
    let valid = |entry_type: EntryType| {
        move |bytes: Vec<u8>| Value::new(entry_type, bytes, &ValueLimits::default()).unwrap()
    };
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(valid(EntryType::Binary)),
        "\\PC{0,100}"
            .prop_map(String::into_bytes)
            .prop_map(valid(EntryType::String)),
        any::<i64>()
            .prop_map(|number| number.to_string().into_bytes())
            .prop_map(valid(EntryType::Number)),
        any::<bool>()
            .prop_map(|truth| truth.to_string().into_bytes())
            .prop_map(valid(EntryType::Boolean)),
        prop::collection::vec(any::<u32>(), 0..40)
            .prop_map(|list| format!("{list:?}").into_bytes())
            .prop_map(valid(EntryType::Json)),
        "[a-z]{1,90}"
            .prop_map(|path| format!("vault://{path}/x#y").into_bytes())
            .prop_map(valid(EntryType::SecretRef)),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let tags = prop::collection::btree_set("[a-z]{1,8}", 0..4);
    (
        prop::option::weighted(0.9, value()),
        "[ -~\n]{0,40}",
        tags,
        any::<bool>(),
    )
        .prop_map(|(value, description, tags, typed)| {
            let binary = value
                .as_ref()
                .is_some_and(|value| value.entry_type() == EntryType::Binary);
            let media_type = (typed && binary).then(|| "image/png".to_owned());
            let details = Details {
                description,
                tags,
                media_type,
            };
            Entry::new(value.map_or(EntryValue::Unset, EntryValue::Value), details).unwrap()
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(entry in entry()) {
        let (leaf, objects) = write_entry(&entry).unwrap();
        let stage = staged(objects);
        prop_assert_eq!(&read_entry(&stage, &leaf).unwrap(), &entry);
        prop_assert_eq!(&check_entry(&stage, &leaf, &ValueLimits::default()).unwrap(), &entry);
        prop_assert_eq!(value_bytes(&leaf), entry.value().map_or(0, |value| value.bytes().len()) as u64);
        prop_assert_eq!(is_tombstone(&leaf), entry.is_unset());
    }

    #[test]
    fn an_entry_has_one_form(one in entry(), other in entry()) {
        let (one_leaf, other_leaf) = (write_entry(&one).unwrap().0, write_entry(&other).unwrap().0);
        prop_assert_eq!(one == other, one_leaf == other_leaf);
    }

    #[test]
    fn a_leaf_that_is_accepted_is_one_that_is_written(entry_type in 0..9u8, flags in 0..4u8, bytes in prop::collection::vec(any::<u8>(), 0..70)) {
        let leaf = Leaf { entry_type, flags, value: LeafValue::Inline(bytes.into()), meta: None };
        if let Ok(entry) = check_entry(&stage(), &leaf, &ValueLimits::default()) {
            prop_assert_eq!(write_entry(&entry).unwrap().0, leaf);
        }
    }
}

/// What is said of an entry with this leaf.
fn check(leaf: &Leaf, objects: Vec<Object>) -> String {
    let stage = staged(objects);
    match check_entry(
        &stage,
        leaf,
        &ValueLimits {
            value_bytes_max: 100,
            ..ValueLimits::default()
        },
    ) {
        Ok(_) => "valid".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn leaves_that_nobody_writes_are_refused() {
    let inline = |bytes: &[u8]| LeafValue::Inline(bytes.into());
    let leaf = |value: LeafValue| Leaf {
        entry_type: 5,
        flags: 0,
        value,
        meta: None,
    };
    let blob = Object::new(Kind::Blob, vec![7; 80]);
    let as_blob = |size: u32| LeafValue::Blob {
        id: blob.id(),
        size,
    };
    assert_eq!(check(&leaf(as_blob(80)), vec![blob.clone()]), "valid");
    insta::assert_snapshot!(check(&leaf(inline(&[7; 65])), vec![]), @"the leaf is malformed: its value is too long for a page");
    insta::assert_snapshot!(check(&leaf(as_blob(64)), vec![]), @"the leaf is malformed: its value is a blob though it fits the page");
    insta::assert_snapshot!(check(&leaf(as_blob(101)), vec![]), @"a value has 101 bytes, at most 100 are allowed");
    insta::assert_snapshot!(check(&leaf(as_blob(81)), vec![blob.clone()]).replace(&blob.id().to_string(), "ID"), @"blob ID has 80 bytes, its leaf says 81");
    insta::assert_snapshot!(check(&leaf(as_blob(80)), vec![]), @"an object of the entry cannot be read");
}

#[test]
fn a_meta_that_says_nothing_or_too_much_is_refused() {
    let with = |meta: &Meta| {
        let object = Object::new(Kind::Meta, meta.encode());
        let leaf = Leaf {
            entry_type: 1,
            flags: 0,
            value: LeafValue::Inline((*b"x").into()),
            meta: Some(object.id()),
        };
        check(&leaf, vec![object.clone()]).replace(&object.id().to_string(), "ID")
    };
    assert_eq!(
        with(&Meta {
            description: "d".to_owned(),
            ..Meta::default()
        }),
        "valid"
    );
    insta::assert_snapshot!(with(&Meta::default()), @"meta ID is not one that this version writes: it says nothing");
    let later = Meta {
        description: "d".to_owned(),
        unknown: vec![(7, vec![1].into())],
        ..Meta::default()
    };
    insta::assert_snapshot!(with(&later), @"meta ID is not one that this version writes: it has fields of a later version");
}

#[test]
fn keys_keep_their_order() {
    let keys: BTreeSet<Key> = ["a", "a/b", "a.b", "A", "z-1", "a/b/c"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let tree_keys: Vec<TreeKey> = keys.iter().map(|key| tree_key(key).unwrap()).collect();
    assert!(tree_keys.is_sorted());
    assert!(tree_keys.iter().map(|key| entry_key(key).unwrap()).eq(keys));
    assert!(entry_key(&TreeKey::new("a//b").unwrap()).is_err());
    assert!(entry_key(&TreeKey::new(vec![0xff]).unwrap()).is_err());
}
