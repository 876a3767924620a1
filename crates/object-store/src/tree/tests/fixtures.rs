//! Trees and pages as files: what was written once is read for ever, and written again alike.
//!
//! `CONFMAN_WRITE_FIXTURES=1` writes the files anew; a change in them is a change of the format.

use std::fmt::Write;
use std::path::PathBuf;

use data_encoding::HEXLOWER;

use super::keys::Family;
use super::objects::{Contents, Objects, key, leaf, text};
use super::{Leaf, LeafValue, Page, TreeKey, build, get, prove};
use crate::id::ObjectId;
use crate::object::Kind;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/objects/tree")
}

/// The file, written first if that is asked for.
fn fixture(name: &str, write: impl FnOnce() -> String) -> String {
    let path = folder().join(name);
    if std::env::var_os("CONFMAN_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, write()).unwrap();
    }
    std::fs::read_to_string(path).unwrap()
}

fn trees() -> Vec<(&'static str, Contents)> {
    let of = |family: Family, numbers: std::ops::Range<u32>| -> Contents {
        numbers
            .map(|n| (family.key(n, 255), leaf(u64::from(n))))
            .collect()
    };
    let value = |len: usize| LeafValue::of(vec![b'v'; len]).0;
    let forms = [
        ("inline-0", 0),
        ("inline-64", 64),
        ("blob-65", 65),
        ("blob-70000", 70_000),
    ];
    let meta = Some(ObjectId::of(Kind::Meta, b"a description"));
    let forms = forms.into_iter().flat_map(|(name, len)| {
        let plain = Leaf {
            entry_type: 1,
            flags: 0,
            value: value(len),
            meta: None,
        };
        let full = Leaf {
            entry_type: 255,
            flags: 127,
            value: value(len),
            meta,
        };
        [(key(name), plain), (key(format!("{name}/with-meta")), full)]
    });
    let common = "a-prefix-that-all-keys-have/".repeat(7);
    vec![
        ("empty", Contents::new()),
        ("one-key", Contents::from([(key("timeout"), text("30s"))])),
        ("forms", forms.collect()),
        (
            "prefixes-of-keys",
            ["a", "aa", "aaa", "ab", "b", "b/", "b/c", "é", "\u{ffff}"]
                .map(|k| (key(k), text(k)))
                .into(),
        ),
        ("paths", of(Family::Paths, 0..250)),
        ("sequence", of(Family::Sequence, 0..700)),
        ("hex", of(Family::Hex, 0..700)),
        ("letters", of(Family::Letters, 0..700)),
        ("chain", of(Family::Chain, 0..255)),
        ("caterpillar", of(Family::Caterpillar, 0..240)),
        (
            "long-common-prefix",
            (0..60)
                .map(|n| (key(format!("{common}{n:04}")), leaf(n)))
                .collect(),
        ),
    ]
}

/// `entry KEY TYPE FLAGS META|- inline BYTES|-` or `… blob SIZE ID`, `root ID`, `page ID BYTES`; bytes
/// in hex.
fn write_tree(contents: &Contents) -> String {
    let mut out = String::new();
    for (key, leaf) in contents {
        let meta = leaf.meta.map_or("-".to_owned(), |id| id.to_string());
        write!(
            out,
            "entry {} {} {} {meta} ",
            HEXLOWER.encode(key.as_bytes()),
            leaf.entry_type,
            leaf.flags
        )
        .unwrap();
        match &leaf.value {
            LeafValue::Inline(value) if value.is_empty() => writeln!(out, "inline -").unwrap(),
            LeafValue::Inline(value) => writeln!(out, "inline {}", HEXLOWER.encode(value)).unwrap(),
            LeafValue::Blob { id, size } => writeln!(out, "blob {size} {id}").unwrap(),
        }
    }
    let built = build(contents);
    writeln!(out, "root {}", built.root).unwrap();
    for (page, _) in built.pages {
        writeln!(out, "page {} {}", page.id(), HEXLOWER.encode(page.bytes())).unwrap();
    }
    out
}

fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        Vec::new()
    } else {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }
}

fn read_entry(words: &[&str]) -> (TreeKey, Leaf) {
    let value = match words[4..] {
        ["inline", bytes] => LeafValue::Inline(unhex(bytes).into()),
        ["blob", size, id] => LeafValue::Blob {
            size: size.parse().unwrap(),
            id: id.parse().unwrap(),
        },
        _ => panic!("{words:?}"),
    };
    let meta = (words[3] != "-").then(|| words[3].parse().unwrap());
    let leaf = Leaf {
        entry_type: words[1].parse().unwrap(),
        flags: words[2].parse().unwrap(),
        value,
        meta,
    };
    (TreeKey::new(unhex(words[0])).unwrap(), leaf)
}

#[test]
fn trees_are_written_as_they_were() {
    for (name, contents) in trees() {
        let file = fixture(&format!("{name}.txt"), || write_tree(&contents));
        let objects = Objects::of_format();
        let mut read = Contents::new();
        let mut root = None;
        for line in file.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["entry", ..] => read.extend([read_entry(&words[1..])]),
                ["root", id] => root = Some(id.parse::<ObjectId>().unwrap()),
                ["page", id, bytes] => assert_eq!(objects.put(unhex(bytes).into()).to_string(), id),
                _ => panic!("{line}"),
            }
        }
        assert_eq!(objects.contents(&root.unwrap()), read, "{name}");
        assert_eq!(write_tree(&read), file, "{name}");
        for (key, leaf) in &read {
            let root = root.unwrap();
            assert_eq!(
                get(&objects, &root, key.as_bytes()).unwrap().as_ref(),
                Some(leaf)
            );
            let proof = prove(&objects, &root, key.as_bytes()).unwrap();
            assert_eq!(
                proof.verify(&root, key.as_bytes()).unwrap().as_ref(),
                Some(leaf)
            );
        }
    }
}

#[test]
fn every_file_is_read() {
    let mut expected: Vec<String> = trees()
        .iter()
        .map(|(name, _)| format!("{name}.txt"))
        .collect();
    expected.push("invalid-pages.txt".to_owned());
    expected.sort();
    let names = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, expected);
}

fn page(height: u16, count: u64, items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'C', b'T', 1, 0];
    out.extend((items.len() as u16).to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend(count.to_le_bytes());
    let mut end = 0;
    for item in items {
        end += item.len();
        out.extend((end as u16).to_le_bytes());
    }
    out.extend(items.concat());
    out
}

fn item(tag: u8, suffix: &str, tail: &[&[u8]]) -> Vec<u8> {
    [
        &[tag, suffix.len() as u8],
        suffix.as_bytes(),
        &tail.concat(),
    ]
    .concat()
}

fn inline(suffix: &str, value: &str) -> Vec<u8> {
    item(0, suffix, &[&[1, 0, value.len() as u8], value.as_bytes()])
}

fn reference(suffix: &str, bytes: u16, items: u16, base: u8, height: u16, count: u32) -> Vec<u8> {
    let numbers = [
        &bytes.to_le_bytes()[..],
        &items.to_le_bytes(),
        &[base],
        &height.to_le_bytes(),
        &count.to_le_bytes(),
    ];
    item(2, suffix, &[&[7; 32], &numbers.concat()])
}

fn invalid_pages() -> Vec<(&'static str, Vec<u8>)> {
    let good = || page(0, 2, &[inline("a", "1"), inline("b", "2")]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good();
        bytes[at] = byte;
        bytes
    };
    let id = [9; 32];
    let (long, blob_of) = ("v".repeat(65), |size: u32| {
        item(1, "a", &[&[1, 0], &size.to_le_bytes(), &id])
    });
    let big: Vec<Vec<u8>> = (0..60)
        .map(|n| inline(&format!("{n:02}"), &"v".repeat(64)))
        .collect();
    let some: Vec<Vec<u8>> = (0..10)
        .map(|n| inline(&format!("b{n:02}"), &"v".repeat(64)))
        .collect();
    vec![
        ("nothing at all", Vec::new()),
        ("a header cut off", good()[..15].to_vec()),
        ("other letters", with(1, b'X')),
        ("a format to come", with(2, 2)),
        ("a height without pages below", with(6, 1)),
        ("a height beyond the limit", with(7, 3)),
        ("fewer items than it has", with(4, 1)),
        ("more items than it has", with(4, 3)),
        ("offsets cut off", good()[..18].to_vec()),
        ("a reserved byte", with(3, 1)),
        ("keys that it does not have", with(8, 3)),
        ("more keys than a tree has", with(13, 1)),
        ("an offset beyond the page", with(18, 200)),
        ("an offset that goes back", with(18, 1)),
        ("a byte behind the last item", [good(), vec![0]].concat()),
        ("the last byte cut off", good()[..good().len() - 1].to_vec()),
        ("an empty page with keys", page(0, 1, &[])),
        (
            "keys that descend",
            page(0, 2, &[inline("b", "1"), inline("a", "2")]),
        ),
        (
            "a key twice",
            page(0, 2, &[inline("a", "1"), inline("a", "2")]),
        ),
        (
            "a key with a control character",
            page(0, 1, &[inline("a\u{1f}", "1")]),
        ),
        (
            "a key with a delete character",
            page(0, 1, &[inline("\u{7f}", "1")]),
        ),
        ("a tag to come", page(0, 1, &[item(3, "a", &[&[1, 0, 0]])])),
        ("an item of one byte", page(0, 1, &[vec![0]])),
        (
            "a key longer than its item",
            page(0, 1, &[vec![0, 9, b'a']]),
        ),
        (
            "an entry without flags",
            page(0, 1, &[item(0, "a", &[&[1]])]),
        ),
        (
            "an entry without a value",
            page(0, 1, &[item(0, "a", &[&[1, 0]])]),
        ),
        (
            "an entry without the meta that it announces",
            page(0, 1, &[item(0, "a", &[&[1, 0x80, 0]])]),
        ),
        ("a long value inline", page(0, 1, &[inline("a", &long)])),
        ("a short value as a blob", page(0, 1, &[blob_of(64)])),
        (
            "a value with a byte too many",
            page(0, 1, &[item(0, "a", &[&[1, 0, 1], b"12"])]),
        ),
        (
            "a blob's id cut off",
            page(
                0,
                1,
                &[item(1, "a", &[&[1, 0], &70_u32.to_le_bytes(), &id[..31]])],
            ),
        ),
        ("more than 4096 bytes", page(0, 60, &big)),
        (
            "a reference cut off",
            page(
                1,
                100,
                &[reference("ab", 4000, 100, 2, 0, 100)[..40].to_vec()],
            ),
        ),
        (
            "a reference to an empty page",
            page(1, 0, &[reference("ab", 4000, 0, 2, 0, 0)]),
        ),
        (
            "a reference to less than a header",
            page(1, 1, &[reference("ab", 16, 1, 2, 0, 1)]),
        ),
        (
            "a reference to fewer keys than items",
            page(1, 99, &[reference("ab", 4000, 100, 2, 0, 99)]),
        ),
        (
            "a reference beyond the height",
            page(512, 100, &[reference("ab", 4000, 100, 2, 512, 100)]),
        ),
        (
            "a reference without the bytes left out",
            page(1, 100, &[reference("ab", 4000, 100, 3, 0, 100)]),
        ),
        (
            "a lone reference that would fit",
            page(1, 10, &[reference("ab", 400, 10, 2, 0, 10)]),
        ),
        (
            "a lone reference with a longer key",
            page(1, 100, &[reference("abc", 4000, 100, 2, 0, 100)]),
        ),
        (
            "a page below that would fit",
            page(
                1,
                11,
                &[reference("a", 400, 10, 1, 0, 10), inline("b", "1")],
            ),
        ),
        (
            "a page above that should be below",
            page(
                1,
                110,
                &[vec![reference("a", 4000, 100, 1, 0, 100)], some].concat(),
            ),
        ),
        (
            "a reference with a longer key than needed",
            page(
                1,
                200,
                &[
                    reference("aaa", 4000, 100, 2, 0, 100),
                    reference("b", 4000, 100, 1, 0, 100),
                ],
            ),
        ),
        (
            "a page that leaves out too little",
            page(
                1,
                200,
                &[
                    reference("aab", 4000, 100, 1, 0, 100),
                    reference("aac", 4000, 100, 1, 0, 100),
                ],
            ),
        ),
    ]
}

#[test]
fn invalid_pages_are_refused_for_their_reason() {
    let file = fixture("invalid-pages.txt", || {
        let mut out = String::new();
        for (name, bytes) in invalid_pages() {
            let error = Page::decode(bytes.clone().into()).unwrap_err();
            let bytes = if bytes.is_empty() {
                "-".to_owned()
            } else {
                HEXLOWER.encode(&bytes)
            };
            writeln!(
                out,
                "case {name}\nbytes {bytes}\noffset {}\nreason {}\n",
                error.offset, error.reason
            )
            .unwrap();
        }
        out
    });
    let cases: Vec<&str> = file.split_terminator("\n\n").collect();
    assert_eq!(cases.len(), invalid_pages().len());
    for case in cases {
        let lines: Vec<&str> = case
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        let error = Page::decode(unhex(lines[1]).into()).unwrap_err();
        assert_eq!(
            [&error.offset.to_string(), &error.reason],
            [lines[2], lines[3]],
            "{}",
            lines[0]
        );
    }
}
