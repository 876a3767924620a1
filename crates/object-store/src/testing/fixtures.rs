//! The golden files in `fixtures/objects`, for this and for other implementations.
//!
//! `CONFMAN_FIXTURES=write cargo test -p confman-object-store fixtures` writes them anew: do so only
//! for a new version of a format, beside the old files. Their layout is in `docs/FORMAT-objects.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;

use crate::attestation::Attestation;
use crate::backend::MemoryBackend;
use crate::codec::TlvWriter;
use crate::commit::{Commit, Moment, Person};
use crate::encoding::{Encoded, Encoding};
use crate::id::ObjectId;
use crate::meta::Meta;
use crate::object::{Kind, Object};
use crate::pack::{PackLimits, admit, links, pack_of};
use crate::record::Record;
use crate::store::Store;
use crate::testing::{TARGETS, fuzz_edits, smoke};
use crate::tree;

fn id(text: &str) -> ObjectId {
    ObjectId::of(Kind::Blob, text.as_bytes())
}

fn small_commit() -> Commit {
    Commit {
        tree: tree::empty().id(),
        parents: Vec::new(),
        generation: 1,
        namespace: "/".to_owned(),
        author: Person::default(),
        author_time: Moment::default(),
        committer: Person::default(),
        commit_time: Moment::default(),
        change_id: [0; 16],
        message: String::new(),
        origin: None,
        request: None,
        policy: None,
        schemas: Vec::new(),
        source: None,
        unknown: Vec::new(),
    }
}

fn full_commit() -> Commit {
    let mut schemas = vec![id("schema one"), id("schema two")];
    schemas.sort();
    Commit {
        parents: vec![
            small_commit().to_object().unwrap().id(),
            id("another parent"),
        ],
        generation: 42,
        namespace: "/teams/payments".to_owned(),
        author: Person {
            principal: "user/ada".to_owned(),
            name: "Ada Lovelace".to_owned(),
            email: "ada@example.com".to_owned(),
        },
        author_time: Moment {
            ms: 1_790_000_000_123,
            offset_minutes: -210,
        },
        committer: Person {
            principal: "server".to_owned(),
            ..Person::default()
        },
        commit_time: Moment {
            ms: -1,
            offset_minutes: 840,
        },
        change_id: *b"0123456789abcdef",
        message: "raise the timeout\n\n\tto 30 s, für alle ✓\n".to_owned(),
        origin: Some(id("draft")),
        request: Some(456),
        policy: Some(id("policy")),
        schemas,
        source: Some(Bytes::from_static(b"git 0123")),
        unknown: vec![
            (31, Bytes::from_static(b"from a later version")),
            (255, Bytes::from_static(&[0])),
        ],
        ..small_commit()
    }
}

fn full_meta() -> Meta {
    Meta {
        description: "How long a call may take.\nIn seconds.".to_owned(),
        tags: ["payments", "slo", "über"].map(str::to_owned).into(),
        media_type: Some("application/x-pem-file".to_owned()),
        unknown: vec![(1, Bytes::from_static(b"later"))],
    }
}

fn full_record() -> Record {
    Record {
        record_type: "request".to_owned(),
        previous: Some(id("version before")),
        time_ms: 1_790_000_000_123,
        actor: "user/ada".to_owned(),
        body: Bytes::from_static(b"{\"title\":\"raise the timeout\"}"),
        links: vec![
            (Kind::Commit, id("head")),
            (Kind::Blob, id("comment")),
            (Kind::Commit, id("head")),
        ],
        unknown: Vec::new(),
    }
}

fn full_attestation() -> Attestation {
    Attestation {
        subject: id("commit"),
        predicate: "approval".to_owned(),
        store: *b"store id 16 byte",
        ref_name: "/teams/payments@published".to_owned(),
        position: 43,
        algorithm: "sshsig".to_owned(),
        key_id: "SHA256:abc".to_owned(),
        signature: Bytes::from_static(b"-----BEGIN SSH SIGNATURE-----"),
        unknown: vec![(15, Bytes::from_static(b"x"))],
    }
}

fn valid() -> Vec<(&'static str, Object)> {
    let small_record = Record {
        previous: None,
        actor: String::new(),
        body: Bytes::new(),
        links: Vec::new(),
        ..full_record()
    };
    vec![
        ("blob-empty", Object::new(Kind::Blob, "")),
        ("blob-text", Object::new(Kind::Blob, "30")),
        ("page-empty", tree::empty()),
        ("meta-empty", Meta::default().to_object().unwrap()),
        ("meta-full", full_meta().to_object().unwrap()),
        ("commit-small", small_commit().to_object().unwrap()),
        ("commit-full", full_commit().to_object().unwrap()),
        ("record-small", small_record.to_object().unwrap()),
        ("record-full", full_record().to_object().unwrap()),
        ("attestation-full", full_attestation().to_object().unwrap()),
    ]
}

/// Bytes that are nearly an object of the kind.
fn invalid() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let commit = |change: fn(&mut Commit)| {
        let mut commit = full_commit();
        change(&mut commit);
        commit.encode()
    };
    let meta = |change: fn(&mut Meta)| {
        let mut meta = full_meta();
        change(&mut meta);
        meta.encode()
    };
    let record = |change: fn(&mut Record)| {
        let mut record = full_record();
        change(&mut record);
        record.encode()
    };
    let attestation = |change: fn(&mut Attestation)| {
        let mut attestation = full_attestation();
        change(&mut attestation);
        attestation.encode()
    };
    let edited = |mut bytes: Vec<u8>, change: fn(&mut Vec<u8>)| {
        change(&mut bytes);
        bytes
    };
    vec![
        ("nothing", Kind::Commit, Vec::new()),
        ("another-kind", Kind::Commit, full_meta().encode()),
        (
            "later-format",
            Kind::Meta,
            edited(full_meta().encode(), |b| b[2] = 2),
        ),
        ("no-fields", Kind::Commit, b"C\x04\x01\x00".to_vec()),
        (
            "cut",
            Kind::Commit,
            edited(full_commit().encode(), |b| b.truncate(b.len() - 1)),
        ),
        (
            "trailing-byte",
            Kind::Commit,
            edited(full_commit().encode(), |b| b.push(0)),
        ),
        (
            "unknown-even-field",
            Kind::Meta,
            TlvWriter::new(Kind::Meta).field(6, b"x").finish(),
        ),
        (
            "empty-field",
            Kind::Meta,
            b"C\x03\x01\x00\x00\x00\x00\x00\x00".to_vec(),
        ),
        (
            "field-twice",
            Kind::Meta,
            b"C\x03\x01\x00\x00\x01\x00\x00\x00a\x00\x01\x00\x00\x00b".to_vec(),
        ),
        (
            "fields-descend",
            Kind::Meta,
            b"C\x03\x01\x00\x04\x01\x00\x00\x00a\x00\x01\x00\x00\x00b".to_vec(),
        ),
        (
            "description-not-utf8",
            Kind::Meta,
            b"C\x03\x01\x00\x00\x02\x00\x00\x00a\xff".to_vec(),
        ),
        (
            "description-with-bell",
            Kind::Meta,
            meta(|m| m.description = "ring\u{7}".to_owned()),
        ),
        (
            "description-too-long",
            Kind::Meta,
            meta(|m| m.description = "d".repeat(4097)),
        ),
        ("tags-not-sorted", Kind::Meta, meta(|m| m.tags.reverse())),
        (
            "tag-twice",
            Kind::Meta,
            meta(|m| m.tags = vec!["a".to_owned(); 2]),
        ),
        (
            "tag-empty",
            Kind::Meta,
            meta(|m| m.tags = vec![String::new()]),
        ),
        (
            "tag-too-long",
            Kind::Meta,
            meta(|m| m.tags = vec!["t".repeat(65)]),
        ),
        (
            "too-many-tags",
            Kind::Meta,
            meta(|m| m.tags = (0..33).map(|n| format!("{n:02}")).collect()),
        ),
        (
            "tag-cut",
            Kind::Meta,
            b"C\x03\x01\x00\x02\x02\x00\x00\x00\x05a".to_vec(),
        ),
        (
            "generation-zero",
            Kind::Commit,
            commit(|c| c.generation = 0),
        ),
        (
            "generation-one-with-parents",
            Kind::Commit,
            commit(|c| c.generation = 1),
        ),
        (
            "generation-two-without-parents",
            Kind::Commit,
            commit(|c| c.parents.clear()),
        ),
        (
            "too-many-parents",
            Kind::Commit,
            commit(|c| c.parents = vec![id("p"); 9]),
        ),
        (
            "message-with-return",
            Kind::Commit,
            commit(|c| c.message = "a\r\n".to_owned()),
        ),
        (
            "message-too-long",
            Kind::Commit,
            commit(|c| c.message = "m".repeat(65_537)),
        ),
        (
            "name-too-long",
            Kind::Commit,
            commit(|c| c.namespace = "n".repeat(256)),
        ),
        (
            "schemas-not-sorted",
            Kind::Commit,
            commit(|c| c.schemas.reverse()),
        ),
        (
            "source-too-long",
            Kind::Commit,
            commit(|c| c.source = Some(Bytes::from_static(&[1; 65]))),
        ),
        (
            "two-texts-for-a-person",
            Kind::Commit,
            edited(small_commit().encode(), |b| {
                let author = b
                    .windows(8)
                    .position(|w| w == [8, 3, 0, 0, 0, 0, 0, 0])
                    .unwrap();
                b[author + 1] = 2;
                b.remove(author + 5);
            }),
        ),
        (
            "record-type-upper-case",
            Kind::Record,
            record(|r| r.record_type = "Request".to_owned()),
        ),
        (
            "record-links-cut",
            Kind::Record,
            edited(full_record().encode(), |b| {
                let last = b.pop().unwrap();
                assert_ne!(last, 0);
                let at = b.len() - 98 - 4;
                b[at] -= 1;
            }),
        ),
        (
            "record-link-of-no-kind",
            Kind::Record,
            edited(full_record().encode(), |b| {
                let at = b.len() - 99;
                b[at] = 9;
            }),
        ),
        (
            "attestation-without-signature",
            Kind::Attestation,
            full_attestation().signed_bytes(),
        ),
        (
            "attestation-without-key",
            Kind::Attestation,
            attestation(|a| a.key_id.clear()),
        ),
        (
            "attestation-signature-too-long",
            Kind::Attestation,
            attestation(|a| a.signature = vec![1; 8193].into()),
        ),
    ]
}

fn encodings() -> Vec<Encoded> {
    let text = |line: &str| {
        (0..40)
            .map(|n| format!("{n:02} {line} {}\n", n * n))
            .collect::<String>()
    };
    let old = Object::new(Kind::Blob, text("old"));
    let new = Object::new(Kind::Blob, text("old") + "and a new line\n");
    vec![
        Encoded::new(&Object::new(Kind::Blob, "short")),
        Encoded::new(&old),
        Encoded::against(&new, &old, 0),
    ]
}

fn packs() -> Vec<(&'static str, Vec<u8>)> {
    let (page, first) = (tree::empty(), small_commit().to_object().unwrap());
    let second = Commit {
        parents: vec![first.id()],
        generation: 2,
        ..small_commit()
    }
    .to_object()
    .unwrap();
    let third = Commit {
        parents: vec![first.id()],
        generation: 3,
        ..small_commit()
    }
    .to_object()
    .unwrap();
    let pack =
        |objects: &[&Object]| pack_of(&objects.iter().map(|o| Encoded::new(o)).collect::<Vec<_>>());
    let edited = |mut bytes: Vec<u8>, change: fn(&mut Vec<u8>)| {
        change(&mut bytes);
        bytes
    };
    let good = pack(&[&page, &first, &second]);
    vec![
        ("empty", pack(&[])),
        ("two-commits", good.clone()),
        ("with-dictionary", pack_of(&encodings())),
        ("later-version", edited(good.clone(), |b| b[4] = 2)),
        ("cut", edited(good.clone(), |b| b.truncate(100))),
        (
            "flipped-at-the-end",
            edited(good, |b| *b.last_mut().unwrap() ^= 1),
        ),
        ("parent-after-child", pack(&[&page, &second, &first])),
        ("generation-wrong", pack(&[&page, &first, &third])),
        ("dictionary-nowhere", pack_of(&encodings()[2..])),
        ("object-twice", pack(&[&page, &page])),
        (
            "not-its-id",
            pack_of([&Encoded {
                id: id("another"),
                ..Encoded::new(&page)
            }]),
        ),
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/objects")
        .join(name)
}

/// The file, after writing it if that was asked for.
#[must_use]
fn golden(name: &str, fresh: impl FnOnce() -> String) -> String {
    if std::env::var("CONFMAN_FIXTURES").as_deref() == Ok("write") {
        std::fs::write(path(name), fresh()).unwrap();
    }
    std::fs::read_to_string(path(name)).unwrap()
}

/// The words of each line that is not a comment.
fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
        .collect()
}

fn kind(name: &str) -> Kind {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .unwrap()
}

fn nowhere() -> Store {
    Store::new(Arc::new(MemoryBackend::default()), 1 << 16)
}

fn admitted(pack: &[u8]) -> String {
    match admit(pack, &PackLimits::default(), &nowhere(), &|_, _| false) {
        Ok(admitted) => {
            let ids: Vec<String> = admitted
                .objects
                .iter()
                .map(|object| object.id().to_string())
                .collect();
            format!("ok {}", ids.join(","))
        }
        Err(e) => format!("error {e}"),
    }
}

#[test]
fn valid_objects_have_these_bytes_and_ids() {
    let mut text = "# name kind id bytes\n".to_owned();
    for (name, object) in valid() {
        writeln!(
            text,
            "{name} {} {} {}",
            object.kind(),
            object.id(),
            HEXLOWER.encode(object.bytes())
        )
        .unwrap();
        links(object.kind(), object.bytes()).unwrap();
    }
    assert_eq!(golden("valid.txt", || text.clone()), text);
}

#[test]
fn invalid_objects_are_refused_for_these_reasons() {
    let mut text = "# name kind bytes reason\n".to_owned();
    for (name, kind, bytes) in invalid() {
        let reason = links(kind, &bytes).expect_err(name);
        // Of long texts the head is enough to see what it is; they are made again from the test.
        let hex = if bytes.len() > 1000 {
            "-".to_owned()
        } else {
            format!("x{}", HEXLOWER.encode(&bytes))
        };
        writeln!(text, "{name} {kind} {hex} {reason}").unwrap();
    }
    assert_eq!(golden("invalid.txt", || text.clone()), text);
}

#[test]
fn encodings_of_these_files_are_read() {
    // Another version of zstd may write other frames; it must read these.
    let text = golden("encodings.txt", || {
        let mut text = "# kind id header payload\n".to_owned();
        for Encoded {
            kind,
            id,
            encoding,
            payload,
        } in encodings()
        {
            let mut header = Vec::new();
            encoding.write_header(&mut header);
            writeln!(
                text,
                "{kind} {id} {} {}",
                HEXLOWER.encode(&header),
                HEXLOWER.encode(&payload)
            )
            .unwrap();
        }
        text
    });
    let mut opened: Vec<Object> = Vec::new();
    for line in lines(&text) {
        let header = HEXLOWER.decode(line[2].as_bytes()).unwrap();
        let (encoding, rest) = Encoding::read_header(&header).unwrap();
        assert_eq!(rest, b"");
        let payload = HEXLOWER.decode(line[3].as_bytes()).unwrap().into();
        let base = encoding.base().map(|base| {
            opened
                .iter()
                .find(|object| object.id() == base)
                .unwrap()
                .bytes()
                .clone()
        });
        let encoded = Encoded {
            kind: kind(line[0]),
            id: line[1].parse().unwrap(),
            encoding,
            payload,
        };
        opened.push(encoded.open(base.as_deref()).unwrap());
    }
    let depths: Vec<u8> = encodings()
        .iter()
        .map(|encoded| encoded.encoding.depth())
        .collect();
    assert_eq!((opened.len(), depths), (3, vec![0, 0, 1]));
}

#[test]
fn packs_of_these_files_are_admitted_or_refused_for_these_reasons() {
    let text = golden("packs.txt", || {
        let mut text = "# name bytes verdict\n".to_owned();
        for (name, pack) in packs() {
            writeln!(
                text,
                "{name} {} {}",
                HEXLOWER.encode(&pack),
                admitted(&pack)
            )
            .unwrap();
        }
        text
    });
    let read = lines(&text);
    for line in &read {
        let pack = HEXLOWER.decode(line[1].as_bytes()).unwrap();
        assert_eq!(admitted(&pack), line[2..].join(" "), "{}", line[0]);
    }
    assert_eq!(read.len(), packs().len());
}

/// The short form of fuzzing: fixtures, changed a little, for every decoder.
#[test]
fn no_decoder_breaks_its_law_on_changed_fixtures() {
    const ROUNDS: usize = 300;
    let mut seeds: Vec<Vec<u8>> = valid()
        .into_iter()
        .map(|(_, object)| object.bytes().to_vec())
        .collect();
    seeds.extend(packs().into_iter().map(|(_, pack)| pack));
    seeds.extend(encodings().into_iter().map(
        |Encoded {
             encoding, payload, ..
         }| {
            let mut bytes = Vec::new();
            encoding.write_header(&mut bytes);
            bytes.extend_from_slice(&payload);
            bytes
        },
    ));
    // Bytes that are no object's are taken for edits below.
    let decoders: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| *name != "edits")
        .collect();
    smoke(&seeds, ROUNDS, &decoders);
}

#[test]
fn edits_made_of_any_bytes_give_the_tree_that_building_gives() {
    smoke(&[edits()], 60, &[("edits", fuzz_edits)]);
}

/// Keys with much in common, set and removed in batches, as `fuzz_edits` reads them.
fn edits() -> Vec<u8> {
    (0..200_u8)
        .flat_map(|number| [number % 7, number / 7, number.wrapping_mul(31), number % 3])
        .collect()
}
