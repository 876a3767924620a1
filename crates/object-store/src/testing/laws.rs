//! Laws of the codec for arbitrary values: what is written reads back as it was.

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::attestation::Attestation;
use crate::commit::{Commit, Moment, Person};
use crate::id::ObjectId;
use crate::meta::Meta;
use crate::object::Kind;
use crate::record::Record;

fn id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 32]>().prop_map(ObjectId::from_bytes)
}

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), len).prop_map(Bytes::from)
}

/// Text of one line.
fn line() -> &'static str {
    "[^\\p{Cc}]{0,20}"
}

fn words() -> &'static str {
    "[^\\p{Cc}]{1,20}"
}

fn lines() -> &'static str {
    "([^\\p{Cc}]|\n|\t){0,60}"
}

/// Odd tags that no kind has taken.
fn unknown() -> impl Strategy<Value = Vec<(u8, Bytes)>> {
    btree_set(50..=127_u8, 0..4).prop_flat_map(|tags| {
        let tags: Vec<u8> = tags.into_iter().map(|tag| tag * 2 + 1).collect();
        let len = tags.len();
        vec(bytes(1..20), len)
            .prop_map(move |values| tags.clone().into_iter().zip(values).collect())
    })
}

prop_compose! {
    fn person()(principal in line(), name in line(), email in line()) -> Person {
        Person { principal, name, email }
    }
}

prop_compose! {
    fn moment()(ms: i64, offset_minutes: i16) -> Moment {
        Moment { ms, offset_minutes }
    }
}

prop_compose! {
    fn commit()(
        (tree, parents, later_generation) in (id(), vec(id(), 0..=8), 2..u64::MAX),
        (namespace, message) in (line(), lines()),
        (author, committer) in (person(), person()),
        (author_time, commit_time) in (moment(), moment()),
        change_id: [u8; 16],
        (origin, policy, schemas) in (option::of(id()), option::of(id()), btree_set(id(), 0..4)),
        (request, source) in (option::of(any::<u64>()), option::of(bytes(1..64))),
        unknown in unknown(),
    ) -> Commit {
        Commit {
            tree,
            generation: if parents.is_empty() { 1 } else { later_generation },
            parents, namespace, author, author_time, committer, commit_time, change_id, message, origin, request,
            policy, schemas: schemas.into_iter().collect(), source, unknown,
        }
    }
}

prop_compose! {
    fn meta()(
        description in lines(),
        tags in btree_set(words(), 0..6),
        media_type in option::of(words()),
        unknown in unknown(),
    ) -> Meta {
        Meta { description, tags: tags.into_iter().filter(|tag| tag.len() <= 64).collect(), media_type, unknown }
    }
}

prop_compose! {
    fn record()(
        record_type in "[a-z0-9-]{1,64}",
        previous in option::of(id()),
        time_ms: i64,
        actor in line(),
        body in bytes(0..300),
        links in vec((prop::sample::select(Kind::ALL.to_vec()), id()), 0..5),
        unknown in unknown(),
    ) -> Record {
        Record { record_type, previous, time_ms, actor, body, links, unknown }
    }
}

prop_compose! {
    fn attestation()(
        subject in id(),
        (predicate, algorithm, key_id) in (words(), words(), words()),
        store: [u8; 16],
        ref_name in line(),
        position: u64,
        signature in bytes(1..300),
        unknown in unknown(),
    ) -> Attestation {
        Attestation { subject, predicate, store, ref_name, position, algorithm, key_id, signature, unknown }
    }
}

proptest! {
    #[test]
    fn commits_read_back_as_they_were(commit in commit()) {
        prop_assert_eq!(commit.check(), Ok(()));
        prop_assert_eq!(Commit::decode(&commit.encode()), Ok(commit));
    }

    #[test]
    fn metas_read_back_as_they_were(meta in meta()) {
        prop_assert_eq!(meta.check(), Ok(()));
        prop_assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
    }

    #[test]
    fn records_read_back_as_they_were(record in record()) {
        prop_assert_eq!(record.check(), Ok(()));
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn attestations_read_back_as_they_were(attestation in attestation()) {
        prop_assert_eq!(attestation.check(), Ok(()));
        prop_assert_eq!(Attestation::decode(&attestation.encode()), Ok(attestation));
    }

    #[test]
    fn what_is_checked_is_what_decodes(
        mut commit in commit(), message in "(\\PC|\r|\n){0,5}", generation in 0..3_u64, tag in 250..=255_u8,
    ) {
        commit.message = message;
        commit.generation = generation;
        commit.unknown.push((tag, Bytes::from_static(b"x")));
        let decoded = Commit::decode(&commit.encode());
        prop_assert_eq!(commit.check().is_ok(), decoded == Ok(commit.clone()));
    }

    #[test]
    fn arbitrary_bytes_keep_every_law(bytes in vec(any::<u8>(), 0..200)) {
        for (_, target) in super::TARGETS {
            target(&bytes);
        }
    }
}
