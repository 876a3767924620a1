//! What any keys can do to a tree, however they are chosen.

use super::super::rule::FORMAT;
use super::keys::scatter;
use super::objects::{Contents, Edits, Objects, key, leaf, text};
use super::{PAGE_BYTES_MAX, Page, TreeKey, diff, prefix_tag};
use crate::id::ObjectId;
use crate::object::Kind;
use crate::store::ReadObjects;

struct Shape {
    pages: usize,
    bytes: usize,
    height: u16,
}

fn shape(objects: &Objects, root: &ObjectId) -> Shape {
    let pages = objects.pages_of(root);
    let bytes = pages.values().map(|page| page.len()).sum();
    assert!(pages.values().all(|page| page.len() <= PAGE_BYTES_MAX));
    Shape {
        pages: pages.len(),
        bytes,
        height: objects.page(root).unwrap().height(),
    }
}

/// Bytes of new pages and pages read when one key is set.
fn cost_of_one(objects: &Objects, root: &ObjectId, edited: TreeKey) -> (usize, usize) {
    objects.take_reads();
    let edits = Edits::from([(edited, Some(text("new")))]);
    let edited = objects.try_edit(root, &edits).unwrap();
    let bytes = edited
        .pages
        .iter()
        .map(|(page, _)| page.bytes().len())
        .sum();
    (bytes, objects.take_reads())
}

#[test]
fn an_edit_costs_a_few_pages() {
    let objects = Objects::of_format();
    let contents: Contents = (0..50_000_u32)
        .map(|number| {
            (
                key(format!(
                    "team-{}/service/{:06}/timeout",
                    number % 40,
                    number
                )),
                leaf(number.into()),
            )
        })
        .collect();
    let root = objects.build(&contents);
    let whole = shape(&objects, &root);
    assert!(whole.height <= 6, "{}", whole.height);
    for number in (0..50_000_u32).step_by(997) {
        let edited = key(format!(
            "team-{}/service/{:06}/timeout",
            number % 40,
            number
        ));
        let (bytes, reads) = cost_of_one(&objects, &root, edited);
        assert!(bytes <= 7 * PAGE_BYTES_MAX, "{bytes}");
        assert!(reads <= 20, "{reads}");
    }
}

/// Nearly every edit of one key leaves the pages above the one that has it as they are, but for the
/// reference; where it does not, everything on the way is packed again.
#[test]
fn an_edit_of_one_key_reads_the_way_down_once() {
    let objects = Objects::of_format();
    let name = |number: u32| key(format!("service/{:06}/timeout", number * 7));
    let contents: Contents = (0..20_000_u32)
        .map(|number| (name(number), leaf(number.into())))
        .collect();
    let root = objects.build(&contents);
    let pages_on_the_way = usize::from(objects.page(&root).unwrap().height()) + 1;
    let (mut exchanged, mut packed) = (0, 0);
    for number in (0..20_000_u32).step_by(61) {
        let (_, reads) = cost_of_one(&objects, &root, name(number));
        if reads <= pages_on_the_way {
            exchanged += 1;
        } else {
            packed += 1;
        }
    }
    assert!(exchanged > 20 * packed, "{exchanged} against {packed}");
}

#[test]
fn keys_ground_against_hashed_boundaries_make_a_usual_tree() {
    // Keys whose hashes have been chosen degenerate trees that cut where a hash says so.
    let ground = |group: u32| {
        (0..)
            .map(|nonce| format!("svc/attack/{group:06}-{nonce:02}"))
            .find(|key| {
                let first = ObjectId::of(Kind::Blob, key.as_bytes());
                first.as_bytes()[0] >= 0x30
            })
    };
    let objects = Objects::of_format();
    let contents: Contents = (0..20_000)
        .map(|group| (key(ground(group).unwrap()), leaf(group.into())))
        .collect();
    let root = objects.build(&contents);
    let shape = shape(&objects, &root);
    assert!(shape.height <= 4, "{}", shape.height);
    assert!(shape.bytes <= contents.len() * 60, "{}", shape.bytes);
    assert!(shape.pages <= contents.len() / 20, "{}", shape.pages);
    let (bytes, _) = cost_of_one(&objects, &root, key("svc/attack/0"));
    assert!(bytes <= 5 * PAGE_BYTES_MAX, "{bytes}");
}

#[test]
fn the_worst_keys_hurt_only_their_own_prefix() {
    // A caterpillar: at every byte of one long key, others leave it at every bit. Nothing is deeper.
    let objects = Objects::of_format();
    let mut contents = Contents::new();
    for trunk in 0..250_usize {
        for side in [0x21, 0x24, 0x28, 0x30, 0x60, 0xa0] {
            let mut bytes = b"evil/".to_vec();
            bytes.extend(std::iter::repeat_n(0x20, trunk.min(249)));
            bytes.push(side);
            bytes.resize(255, b'~');
            contents.insert(key(bytes), leaf(2));
        }
    }
    for number in 0..5_000_u32 {
        contents.insert(
            key(format!("good/{:012x}", scatter(number))),
            leaf(number.into()),
        );
    }
    let root = objects.build(&contents);
    let shape = shape(&objects, &root);
    assert!(shape.height <= 70, "{}", shape.height);
    assert!(shape.bytes <= 1_000_000, "{}", shape.bytes);
    let deepest = contents.keys().next().unwrap().clone();
    let (bytes, _) = cost_of_one(&objects, &root, deepest);
    assert!(bytes <= 660_000, "{bytes}");
    let (bytes, reads) = cost_of_one(&objects, &root, key("good/5"));
    assert!(bytes <= 6 * PAGE_BYTES_MAX, "{bytes}");
    assert!(reads <= 16, "{reads}");
}

#[test]
fn a_difference_reads_what_differs() {
    let objects = Objects::of_format();
    let contents: Contents = (0..100_000_u32)
        .map(|number| {
            (
                key(format!("{:012x}", scatter(number))),
                leaf(number.into()),
            )
        })
        .collect();
    let old = objects.build(&contents);
    let edits: Edits = contents
        .keys()
        .step_by(10_000)
        .map(|key| (key.clone(), Some(text("changed"))))
        .collect();
    let new = objects.edit(&old, &edits);
    objects.take_reads();
    assert_eq!(diff(&objects, &old, &new).unwrap().len(), edits.len());
    let reads = objects.take_reads();
    assert!(reads <= edits.len() * 2 * 7, "{reads}");
}

#[test]
fn equal_contents_under_two_prefixes_share_their_pages() {
    let objects = Objects::of_format();
    let under = |prefix: &str| -> Contents {
        (0..5_000_u32)
            .map(|number| {
                (
                    key(format!("{prefix}{:08x}/url", scatter(number))),
                    leaf(number.into()),
                )
            })
            .collect()
    };
    let one = under("prod/");
    let mut both = one.clone();
    both.extend(under("a/much/longer/prefix/"));
    let (one, both) = (objects.build(&one), objects.build(&both));
    let (alone, shared) = (shape(&objects, &one).pages, shape(&objects, &both).pages);
    assert!(shared <= alone + 5, "{alone} {shared}");
    let tag = |root, prefix: &[u8]| {
        objects.take_reads();
        let tag = prefix_tag(&objects, root, prefix).unwrap();
        assert!(objects.take_reads() <= 6);
        tag
    };
    assert_eq!(tag(&both, b"prod/"), tag(&both, b"a/much/longer/prefix/"));
    assert_eq!(tag(&one, b"prod/"), tag(&both, b"prod/"));
    let edited = objects.edit(&both, &Edits::from([(key("prod/x"), Some(text("1")))]));
    assert_ne!(tag(&edited, b"prod/"), tag(&both, b"prod/"));
    assert_eq!(tag(&edited, b"a/much/"), tag(&both, b"a/much/"));
    assert_eq!(tag(&edited, b"none/"), super::empty().id());
}

#[test]
fn pages_are_half_full_at_least_on_average() {
    let objects = Objects::of_format();
    let contents: Contents = (0..50_000_u32)
        .map(|number| {
            (
                key(format!("{:016x}", scatter(number))),
                leaf(number.into()),
            )
        })
        .collect();
    let root = objects.build(&contents);
    let shape = shape(&objects, &root);
    assert!(
        shape.bytes / shape.pages >= FORMAT.page_bytes / 2,
        "{}",
        shape.bytes / shape.pages
    );
}

#[test]
fn an_empty_page_below_a_root_is_refused() {
    let page = Page::decode(super::empty().bytes().clone()).unwrap();
    assert_eq!(page.count(), 0);
    assert!(page.item(0).is_none());
}

#[test]
fn sides_that_look_small_do_not_pile_up_pages() {
    // At every bit of one long key a bundle of keys leaves it that share almost all of the rest, so
    // that the bundle is small by itself but large beside the trunk. Judged by its own size it made
    // every join seal the trunk: a page for each bit of the key.
    let objects = Objects::of_format();
    let mut contents = Contents::new();
    for trunk in 0..225_usize {
        for side in [0x21_u8, 0xc0, 0x80, 0xb0, 0xa8, 0xa4, 0xa2, 0xa1] {
            for last in 0..40_u8 {
                let mut bytes = vec![0xa0; trunk];
                bytes.push(side);
                bytes.resize(250, 0x30);
                bytes.push(b'0' + last);
                contents.insert(key(bytes), text(""));
            }
        }
    }
    let root = objects.build(&contents);
    let height = objects.page(&root).unwrap().height();
    assert!(height <= 300, "{height}");
    let trunk = |key: &TreeKey| {
        key.as_bytes()
            .iter()
            .take_while(|byte| **byte == 0xa0)
            .count()
    };
    let deepest = contents
        .keys()
        .max_by_key(|key| trunk(key))
        .unwrap()
        .clone();
    let (bytes, _) = cost_of_one(&objects, &root, deepest);
    assert!(bytes <= 1_000_000, "{bytes}");
}
