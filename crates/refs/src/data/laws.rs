//! Laws of applying: the log alone decides, however its entries are grouped.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use confman_object_store::{Encoded, Kind, Object, ReadObjects};
use openraft::EntryPayload;
use proptest::prelude::*;

use super::Data;
use super::apply::Applier;
use super::sessions::SESSION_MS;
use crate::failure::Failure;
use crate::name::RefName;
use crate::operation::Operation;
use crate::proposal::{self, SessionId};
use crate::raft::{Answer, Entry, Payload, Refusal, record};
use crate::row::IndexRow;
use crate::transaction::{ENTRY_BYTES_MAX, Expect, RefEdit, RequestId, Target, Transaction};
use crate::view::View;

/// A state machine in a directory that goes away.
struct Machine {
    applier: Applier,
    next: u64,
    _directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = Data::open(
            directory.path(),
            1 << 20,
            1 << 20,
            Arc::new(Failure::default()),
        )
        .unwrap();
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let applier = Applier::load(Arc::new(data), view).unwrap();
        Self {
            applier,
            next: 0,
            _directory: directory,
        }
    }

    /// Applies the entries, so many at a time.
    fn apply(&mut self, proposals: &[Bytes], together: usize) -> Vec<Answer> {
        let entries: Vec<Entry> = proposals
            .iter()
            .enumerate()
            .map(|(at, proposal)| Entry {
                log_id: record::log_id(1, 1, self.next + at as u64),
                payload: EntryPayload::Normal(Payload(proposal.clone())),
            })
            .collect();
        self.next += entries.len() as u64;
        entries
            .chunks(together)
            .flat_map(|chunk| self.applier.apply(chunk).unwrap())
            .collect()
    }
}

fn blob(text: &[u8]) -> Object {
    Object::new(Kind::Blob, text.to_vec())
}

fn target(object: &Object) -> Target {
    Target {
        kind: object.kind(),
        id: object.id(),
    }
}

fn transaction(request: u8, ref_name: &str, expect: Expect, new: Option<Target>) -> Transaction {
    Transaction {
        request: RequestId([request; 16]),
        edits: vec![RefEdit {
            name: RefName::new(ref_name).unwrap(),
            expect,
            new,
        }],
        reads: Vec::new(),
        objects: Vec::new(),
        rows: Vec::new(),
        actor: "tester".to_owned(),
        action: "test".to_owned(),
        detail: String::new(),
        time_ms: 1000,
    }
}

const SESSION: SessionId = [9; 16];

/// A transaction of two pieces and an end.
fn staged(request: u8) -> (Transaction, Vec<Bytes>) {
    let mut bytes = vec![0; ENTRY_BYTES_MAX];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let object = blob(&bytes);
    let mut transaction = transaction(request, "large", Expect::Absent, Some(target(&object)));
    transaction.objects.push(Encoded::new(&object));
    let entries = proposal::encode(&transaction, SESSION);
    assert_eq!(entries.pieces.len(), 2);
    let mut all = entries.pieces;
    all.push(entries.last);
    (transaction, all)
}

fn at_time(transaction: &Transaction, time_ms: i64) -> Vec<Bytes> {
    let later = Transaction {
        time_ms,
        ..transaction.clone()
    };
    let entries = proposal::encode(&later, SESSION);
    entries.pieces.into_iter().chain([entries.last]).collect()
}

#[test]
fn staged_transaction_is_whole_or_refused() {
    let refused = |answers: &[Answer]| match answers.last() {
        Some(Answer::Refused(Refusal::Session(reason))) => reason.clone(),
        other => panic!("{other:?}"),
    };
    let (large, entries) = staged(1);
    let [objects, body, last] = entries.as_slice() else {
        panic!("two pieces and an end")
    };

    let mut machine = Machine::new();
    insta::assert_snapshot!(
        refused(&machine.apply(std::slice::from_ref(last), 1)),
        @"its session is not known; it may have expired"
    );
    insta::assert_snapshot!(
        refused(&machine.apply(&[objects.clone(), last.clone()], 2)),
        @"its session has 1 pieces of 2"
    );
    insta::assert_snapshot!(
        refused(&machine.apply(std::slice::from_ref(body), 1)),
        @"piece 1 of a staged transaction does not follow piece 0"
    );
    let late = at_time(&large, 1001 + SESSION_MS);
    insta::assert_snapshot!(
        refused(&machine.apply(&[objects.clone(), body.clone(), late[2].clone()], 3)),
        @"its session expired: more than 3600000 ms went by since its last piece"
    );
    assert!(machine.applier.view().is_empty());
    let answers = machine.apply(&entries, 3);
    assert!(
        matches!(answers.last(), Some(Answer::Committed(_))),
        "{answers:?}"
    );
    assert_eq!(machine.applier.view().len(), 1);
    assert_eq!(machine.applier.sessions.iter().count(), 0);
}

#[test]
fn session_that_nobody_ends_is_swept_by_a_later_one() {
    let (large, entries) = staged(1);
    let mut machine = Machine::new();
    machine.apply(&entries[..2], 2);
    let other = proposal::encode(
        &Transaction {
            time_ms: 2000 + SESSION_MS,
            ..large
        },
        [8; 16],
    );
    machine.apply(&other.pieces, 1);
    let open: Vec<SessionId> = machine.applier.sessions.iter().map(|(id, _)| *id).collect();
    assert_eq!(open, [[8; 16]]);
}

/// Three versions of a text, so that each can be written as a difference to another.
fn version(number: u8) -> Object {
    let mut text = Vec::new();
    for line in 0..60_u32 {
        text.extend_from_slice(blake3::hash(&line.to_le_bytes()).to_hex().as_bytes());
    }
    text.extend_from_slice(&[number; 40]);
    blob(&text)
}

#[test]
fn objects_that_are_differences_to_each_other_stay_readable() {
    for together in [1, 4] {
        let mut machine = Machine::new();
        let (a, b) = (version(1), version(2));
        let mut whole = transaction(1, "a", Expect::Absent, Some(target(&a)));
        whole.objects.push(Encoded::new(&a));
        let mut forth = transaction(2, "b", Expect::Absent, Some(target(&b)));
        forth.objects.push(Encoded::against(&b, &a, 0));
        // Going back to the old text: now the old one comes as a difference to the new one.
        let mut back = transaction(3, "b", Expect::At(target(&b)), Some(target(&a)));
        back.objects.push(Encoded::against(&a, &b, 1));
        assert!(
            back.objects[0].encoding.base().is_some() && forth.objects[0].encoding.base().is_some()
        );
        let entries: Vec<Bytes> = [whole, forth, back]
            .iter()
            .map(|one| proposal::encode(one, SESSION).last)
            .collect();
        let answers = machine.apply(&entries, together);
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Answer::Committed(_))),
            "{answers:?}"
        );
        let store = &machine.applier.data.store;
        for object in [&a, &b] {
            assert_eq!(
                store.read(Kind::Blob, &object.id()).unwrap(),
                object.bytes()
            );
        }
    }
}

#[derive(Debug, Clone)]
struct Try {
    request: u8,
    ref_name: u8,
    /// Whether to expect what an in-order model has, or nothing.
    expect_absent: bool,
    value: Option<u8>,
    with_object: bool,
    time_ms: i64,
}

fn attempt() -> impl Strategy<Value = Try> {
    (
        any::<u8>(),
        0_u8..4,
        prop::bool::weighted(0.2),
        prop::option::weighted(0.85, 0_u8..6),
        prop::bool::weighted(0.8),
        0_i64..50,
    )
        .prop_map(
            |(request, ref_name, expect_absent, value, with_object, time_ms)| Try {
                request,
                ref_name,
                expect_absent,
                value,
                with_object,
                time_ms,
            },
        )
}

fn entries_of(tries: &[Try]) -> Vec<Bytes> {
    let mut guess: [Option<Target>; 4] = [None; 4];
    let mut entries = Vec::new();
    for one in tries {
        let slot = usize::from(one.ref_name);
        let object = one.value.map(version);
        let new = object.as_ref().map(target);
        let expect = if one.expect_absent {
            Expect::Absent
        } else {
            Expect::from_seen(guess[slot])
        };
        let mut transaction = transaction(one.request, &format!("r{slot}"), expect, new);
        transaction.time_ms = one.time_ms;
        transaction.rows.push(IndexRow {
            table: 1,
            prefix: vec![one.ref_name],
            suffix: Vec::new(),
            value: vec![one.request],
        });
        if let Some(object) = object.filter(|_| one.with_object) {
            transaction.objects.push(Encoded::new(&object));
        }
        guess[slot] = new;
        entries.push(proposal::encode(&transaction, SESSION).last);
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn grouping_changes_neither_answers_nor_operations(
        tries in prop::collection::vec(attempt(), 1..150),
        together in 2_usize..200,
    ) {
        let entries = entries_of(&tries);
        let (mut alone, mut grouped) = (Machine::new(), Machine::new());
        let one = alone.apply(&entries, 1);
        let many = grouped.apply(&entries, together);
        prop_assert_eq!(format!("{one:?}"), format!("{many:?}"));
        prop_assert_eq!(&alone.applier.applied, &grouped.applier.applied);
        // What is in memory is what is on disk.
        let loaded = Applier::load(
            Arc::clone(&grouped.applier.data),
            Arc::new(ArcSwap::from_pointee(View::default())),
        ).unwrap();
        prop_assert_eq!(&loaded.applied, &grouped.applier.applied);
        prop_assert_eq!(&loaded.view().refs, &grouped.applier.view().refs);
    }

    #[test]
    fn operations_are_read_as_they_were_written(tries in prop::collection::vec(attempt(), 1..80)) {
        let mut machine = Machine::new();
        machine.apply(&entries_of(&tries), 16);
        for sequence in 1..=machine.applier.applied.sequence {
            let (id, operation) = machine.applier.data.operation(sequence).unwrap().unwrap();
            let bytes = operation.encode();
            prop_assert_eq!(Operation::decode(&bytes).unwrap(), operation);
            prop_assert_eq!(confman_object_store::ObjectId::of(Kind::Operation, &bytes), id);
        }
    }

    #[test]
    fn damaged_proposals_are_refused_not_misread(
        tries in prop::collection::vec(attempt(), 1..4),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for entry in entries_of(&tries) {
            let end = cut.index(entry.len());
            prop_assert!(proposal::decode(&entry.slice(..end)).is_err());
        }
        // Anything may come of noise but a panic.
        let noise = Bytes::from(noise);
        let _ = (proposal::decode(&noise), proposal::decode_body(&noise), Operation::decode(&noise));
    }
}
