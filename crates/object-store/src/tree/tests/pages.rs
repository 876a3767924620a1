//! Pages as bytes: one form each, and nothing else accepted.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::rule::shared_bits;
use super::keys::{FAMILIES, family};
use super::objects::{Contents, Objects, key, leaf, pages_of, text};
use super::{Leaf, LeafValue, Page, Target, build, empty, get};
use crate::id::ObjectId;
use crate::object::Kind;

/// Writes a page from what its accessors say.
fn encode(page: &Page) -> Vec<u8> {
    let mut ends = Vec::new();
    let mut body = Vec::new();
    for item in page.items() {
        let (tag, tail) = match item.target {
            Target::Entry(entry) => {
                let leaf = entry.leaf();
                let mut tail = vec![
                    leaf.entry_type,
                    leaf.flags | if leaf.meta.is_some() { 0x80 } else { 0 },
                ];
                tail.extend(leaf.meta.iter().flat_map(ObjectId::as_bytes));
                match leaf.value {
                    LeafValue::Inline(value) => {
                        tail.push(value.len() as u8);
                        tail.extend(value);
                        (0, tail)
                    }
                    LeafValue::Blob { id, size } => {
                        tail.extend(size.to_le_bytes());
                        tail.extend(id.as_bytes());
                        (1, tail)
                    }
                }
            }
            Target::Child(child) => {
                let mut tail = child.id.as_bytes().to_vec();
                tail.extend(child.page_bytes.to_le_bytes());
                tail.extend(child.items.to_le_bytes());
                tail.push(child.base);
                tail.extend(child.height.to_le_bytes());
                tail.extend(child.count.to_le_bytes());
                (2, tail)
            }
        };
        body.extend([tag, item.suffix.len() as u8]);
        body.extend(item.suffix);
        body.extend(tail);
        ends.extend((body.len() as u16).to_le_bytes());
    }
    let mut out = vec![b'C', b'T', 1, 0];
    out.extend((page.len() as u16).to_le_bytes());
    out.extend(page.height().to_le_bytes());
    out.extend(page.count().to_le_bytes());
    out.extend(ends);
    out.extend(body);
    out
}

/// Decodes bytes that may be anything; what is accepted has no other form.
fn accepts(bytes: &[u8], page_bytes: usize) -> bool {
    match Page::decode_within(Bytes::copy_from_slice(bytes), &pages_of(page_bytes)) {
        Ok(page) => {
            assert_eq!(encode(&page), bytes);
            true
        }
        Err(error) => {
            assert_eq!(error.kind, "page");
            assert!(error.offset <= bytes.len(), "{error}");
            false
        }
    }
}

fn a_tree(family: super::keys::Family, numbers: &[u32], page_bytes: usize) -> Vec<Bytes> {
    let objects = Objects::new(pages_of(page_bytes));
    let len_max = if page_bytes < 1024 { 30 } else { 255 };
    let contents: Contents = numbers
        .iter()
        .map(|number| (family.key(*number, len_max), leaf(u64::from(*number))))
        .collect();
    let root = objects.build(&contents);
    objects.pages_of(&root).into_values().collect()
}

proptest! {
    #[test]
    fn a_page_has_one_form(family in family(), numbers in vec(0..2000_u32, 0..200), page_bytes in proptest::sample::select(vec![256_usize, 1024, 4096])) {
        for page in a_tree(family, &numbers, page_bytes) {
            prop_assert!(accepts(&page, page_bytes));
        }
    }

    #[test]
    fn a_damaged_page_is_refused_or_a_page_of_its_own(
        family in family(),
        numbers in vec(0..2000_u32, 1..80),
        damages in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 50),
        cut in any::<prop::sample::Index>(),
    ) {
        let pages = a_tree(family, &numbers, 256);
        for (page, at, byte) in damages {
            let mut bytes = page.get(&pages).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            accepts(&bytes, 256);
            bytes.insert(at, byte);
            accepts(&bytes, 256);
        }
        for page in &pages {
            prop_assert!(!accepts(&page[..cut.index(page.len())], 256), "a page that is cut off is none");
            prop_assert!(!accepts(&[&page[..], &[0]].concat(), 256), "nothing follows a page");
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_harm(bytes in vec(any::<u8>(), 0..300), items in 0..4_u8) {
        accepts(&bytes, 4096);
        let mut page = vec![b'C', b'T', 1, 0, items, 0, 0, 0, items, 0, 0, 0, 0, 0, 0, 0];
        page.extend(bytes);
        accepts(&page, 4096);
    }

    #[test]
    fn shared_bits_are_those_before_the_first_that_differs(a in vec(0x20..=0xff_u8, 0..20), b in vec(0x20..=0xff_u8, 0..20)) {
        prop_assume!(a != b);
        let bit = |key: &[u8], at: usize| key.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        let expected = (0..).find(|at| bit(&a, *at) != bit(&b, *at)).unwrap();
        prop_assert_eq!(shared_bits(&a, &b), expected);
        prop_assert_eq!(shared_bits(&b, &a), expected);
    }
}

#[test]
fn every_family_makes_trees_of_many_pages() {
    for family in FAMILIES {
        let numbers: Vec<u32> = (0..400).collect();
        assert!(a_tree(family, &numbers, 256).len() > 5, "{family:?}");
    }
}

#[test]
fn a_value_is_inline_up_to_64_bytes() {
    for (len, inline) in [(0, true), (64, true), (65, false)] {
        let (value, blob) = LeafValue::of(vec![b'v'; len]);
        assert_eq!(matches!(value, LeafValue::Inline(_)), inline, "{len}");
        assert_eq!(blob.is_none(), inline, "{len}");
        let leaf = Leaf {
            entry_type: 0,
            flags: 127,
            value,
            meta: blob.map(|blob| blob.id()),
        };
        let objects = Objects::of_format();
        let root = objects.build(&Contents::from([(key("k"), leaf.clone())]));
        assert_eq!(get(&objects, &root, b"k").unwrap(), Some(leaf));
    }
}

#[test]
#[should_panic(expected = "a value of more than 64 bytes is a blob")]
fn a_long_value_does_not_get_into_a_page() {
    let value = LeafValue::Inline(vec![b'v'; 65].into());
    let leaf = Leaf { value, ..text("") };
    let _ = build(&Contents::from([(key("k"), leaf)]));
}

#[test]
fn the_longest_keys_have_room() {
    let objects = Objects::of_format();
    let contents: Contents = (0..200_u64)
        .map(|number| {
            let mut bytes = vec![b'k'; 250];
            bytes.extend(format!("{number:05}").into_bytes());
            (key(bytes), leaf(number))
        })
        .collect();
    let root = objects.build(&contents);
    assert_eq!(objects.contents(&root), contents);
    assert!(super::TreeKey::new(vec![b'k'; 256]).is_err());
}

#[test]
fn the_empty_tree_is_a_header() {
    let page = Page::decode(empty().bytes().clone()).unwrap();
    assert!(page.is_empty());
    assert_eq!(page.bytes().len(), 16);
    assert_eq!(build(&Contents::new()).root, empty().id());
    assert_eq!(ObjectId::of(Kind::Page, page.bytes()), empty().id());
}
