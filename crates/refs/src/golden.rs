//! The bytes of `docs/FORMAT-refs.md`, held to files that another implementation can read too.
//!
//! `CONFMAN_WRITE_FIXTURES=1 cargo test -p confman-refs` writes the files anew. A format that was released
//! never changes; a new one gets a version and lines of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use confman_object_store::{Encoded, Encoding, Kind, Object, ObjectId};
use openraft::EntryPayload;
use openraft::impls::BasicNode;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use crate::name::RefName;
use crate::operation::{Operation, OperationEdit};
use crate::peer::PeerIdentity;
use crate::peer::message::{RefusedBecause, Reply, Request, TransferOutcome};
use crate::proposal;
use crate::raft::{Entry, Membership, Payload, Vote, record};
use crate::row::IndexRow;
use crate::transaction::{Expect, RefEdit, RequestId, Target, Transaction};
use crate::transfer::message::{Ask, Digest, Offer, Taken, Told};
use crate::transfer::table::Table;

/// Compares lines of `name id-or-dash hex` with a file of `fixtures/refs`.
fn check(file: &str, heading: &str, lines: &[(&str, String, Vec<u8>)]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/refs")
        .join(file);
    let mut text = format!("# {heading}\n");
    for (name, id, bytes) in lines {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("{name} {id} {hex}\n"));
    }
    if std::env::var_os("CONFMAN_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

fn object(text: &str) -> Object {
    Object::new(Kind::Blob, text.as_bytes().to_vec())
}

fn target(object: &Object) -> Target {
    Target {
        kind: object.kind(),
        id: object.id(),
    }
}

fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}

fn transaction() -> Transaction {
    let (one, two) = (object("one"), object("two"));
    Transaction {
        request: RequestId([0x11; 16]),
        edits: vec![
            RefEdit {
                name: name("/teams/payments@published"),
                expect: Expect::At(target(&one)),
                new: Some(target(&two)),
            },
            RefEdit {
                name: name("/teams/payments@draft/x"),
                expect: Expect::At(target(&one)),
                new: None,
            },
        ],
        reads: vec![(name("/teams@policy"), Expect::Absent)],
        objects: vec![
            Encoded {
                kind: two.kind(),
                id: two.id(),
                encoding: Encoding::Raw,
                payload: two.bytes().clone(),
            },
            Encoded {
                kind: Kind::Blob,
                id: one.id(),
                encoding: Encoding::Delta {
                    len: 3,
                    base: two.id(),
                    depth: 1,
                },
                payload: Bytes::from_static(b"frame"),
            },
        ],
        rows: vec![IndexRow {
            table: 1,
            prefix: b"k\0".to_vec(),
            suffix: b"s".to_vec(),
            value: b"v".to_vec(),
        }],
        actor: "user/ada".to_owned(),
        action: "publish".to_owned(),
        detail: r#"{"keys":1}"#.to_owned(),
        time_ms: 1_795_000_000_123,
    }
}

fn operations() -> [(&'static str, Operation); 2] {
    let first = Operation {
        parent: None,
        sequence: 1,
        index: 3,
        term: 1,
        time_ms: 1_795_000_000_123,
        actor: "user/ada".to_owned(),
        action: "namespace.create".to_owned(),
        detail: String::new(),
        request: RequestId([0x11; 16]),
        edits: vec![OperationEdit {
            name: name("/@policy"),
            old: None,
            new: Some(target(&object("one"))),
        }],
        view: None,
        unknown: Vec::new(),
    };
    let parent = ObjectId::of(Kind::Operation, &first.encode());
    let view = ObjectId::of(Kind::Page, b"");
    let sixty_fourth = Operation {
        parent: Some(parent),
        sequence: 64,
        index: 80,
        term: 2,
        detail: r#"{"keys":2}"#.to_owned(),
        edits: vec![
            OperationEdit {
                name: name("a"),
                old: Some(target(&object("one"))),
                new: None,
            },
            OperationEdit {
                name: name("b"),
                old: Some(target(&object("one"))),
                new: Some(target(&object("two"))),
            },
        ],
        view: Some(view),
        unknown: vec![(21, Bytes::from_static(b"from a later version"))],
        ..first.clone()
    };
    [("first", first), ("with-view", sixty_fourth)]
}

#[test]
fn operations_have_the_bytes_of_the_fixture() {
    let lines = operations().map(|(name, operation)| {
        let bytes = operation.encode();
        assert_eq!(Operation::decode(&bytes).unwrap(), operation);
        (
            name,
            ObjectId::of(Kind::Operation, &bytes).to_string(),
            bytes,
        )
    });
    check("operations.txt", "name id bytes", &lines);
}

#[test]
fn operation_that_is_cut_or_changed_is_another_or_none() {
    for (_, operation) in operations() {
        let bytes = operation.encode();
        // A cut between two fields may leave an operation; it is another one then.
        for end in 0..bytes.len() {
            if let Ok(other) = Operation::decode(&bytes[..end]) {
                assert_ne!(other, operation);
                assert_eq!(other.encode(), bytes[..end]);
            }
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            if let Ok(other) = Operation::decode(&changed) {
                assert_ne!(other, operation);
                assert_eq!(other.encode(), changed);
            }
        }
    }
}

#[test]
fn proposals_have_the_bytes_of_the_fixture() {
    let transaction = transaction();
    let whole = proposal::encode(&transaction, [0x22; 16]).last;
    let staged = proposal::staged(&transaction, [0x22; 16]);
    let [objects, body] = staged.pieces.as_slice() else {
        panic!("two pieces")
    };
    let lines = [
        (
            "cluster",
            proposal::encode_cluster([0x33; 16], 1_795_000_000_000),
        ),
        ("transaction", whole),
        ("staged-objects", objects.clone()),
        ("staged-body", body.clone()),
        ("staged-end", staged.last),
    ]
    .map(|(name, bytes)| {
        proposal::decode(&bytes).unwrap();
        (name, "-".to_owned(), bytes.to_vec())
    });
    check("proposals.txt", "name - bytes", &lines);
}

#[test]
fn log_records_have_the_bytes_of_the_fixture() {
    let nodes = BTreeMap::from([
        (
            1,
            BasicNode {
                addr: "a:7421".to_owned(),
            },
        ),
        (2, BasicNode::default()),
    ]);
    let membership = Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
    let payloads = [
        ("blank", EntryPayload::Blank),
        (
            "normal",
            EntryPayload::Normal(Payload(proposal::encode_cluster([0x33; 16], 1))),
        ),
        ("membership", EntryPayload::Membership(membership)),
    ];
    let mut lines: Vec<_> = payloads
        .into_iter()
        .map(|(name, payload)| {
            let entry = Entry {
                log_id: record::log_id(3, 1, 7),
                payload,
            };
            let mut bytes = Vec::new();
            record::encode_entry(&entry, &mut bytes);
            assert_eq!(
                record::decode_entry(7, &bytes.clone().into()).unwrap(),
                entry
            );
            (name, "7".to_owned(), bytes)
        })
        .collect();
    let vote = record::encode_vote(b"vote", &Vote::new_committed(3, 1));
    lines.push(("vote", "-".to_owned(), vote));
    lines.push((
        "committed",
        "-".to_owned(),
        record::encode_log_id(b"committed", Some(record::log_id(3, 1, 7))),
    ));
    let identity = record::NodeIdentity {
        node_id: 2,
        incarnation: 1,
        cluster: Some([0x33; 16]),
    };
    let bytes = record::encode_identity(b"identity", &identity);
    let read = record::decode_identity(b"identity", &bytes.clone().into());
    assert_eq!(read.unwrap(), identity);
    lines.push(("identity", "-".to_owned(), bytes));
    check("log.txt", "name index bytes", &lines);
}

fn vote(term: u64, node: u64) -> Vote {
    Vote::new_committed(term, node)
}

fn transfer_asks() -> [(&'static str, Ask); 7] {
    let offer = Offer {
        transfer: [0x44; 16],
        vote: vote(3, 1),
        applied: Bytes::from_static(b"applied"),
        membership: Bytes::from_static(b"membership"),
    };
    let (after, upto) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
    [
        ("transfer-offer", Ask::Offer(offer)),
        (
            "transfer-digests",
            Ask::Digests {
                transfer: [0x44; 16],
                table: Table::Requests,
                after: after.clone(),
            },
        ),
        (
            "transfer-rows",
            Ask::Rows {
                transfer: [0x44; 16],
                table: Table::Rows,
                after,
                upto,
            },
        ),
        (
            "transfer-objects",
            Ask::Objects(vec![(Kind::Blob, object("one").id())]),
        ),
        ("transfer-place", Ask::Place(64)),
        ("transfer-state", Ask::State),
        ("transfer-operations", Ask::Operations(64)),
    ]
}

fn transfer_told() -> [(&'static str, Told); 11] {
    let offer = Offer {
        transfer: [0x44; 16],
        vote: vote(3, 1),
        applied: Bytes::from_static(b"applied"),
        membership: Bytes::from_static(b"membership"),
    };
    let digest = Digest {
        last: Bytes::from_static(b"last"),
        hash: [0x55; 16],
    };
    [
        ("transfer-gone", Told::Gone),
        ("transfer-fetching", Told::Offer(Taken::Fetching(7))),
        (
            "transfer-installed",
            Told::Offer(Taken::Installed(vote(3, 1))),
        ),
        (
            "transfer-outvoted",
            Told::Offer(Taken::Outvoted(vote(4, 2))),
        ),
        (
            "transfer-failed",
            Told::Offer(Taken::Failed("why".to_owned())),
        ),
        (
            "transfer-digests",
            Told::Digests {
                digests: vec![digest],
                ended: true,
            },
        ),
        ("transfer-place", Told::Place(Some((9, object("one").id())))),
        ("transfer-state", Told::State(offer)),
        (
            "transfer-operations",
            Told::Operations(vec![object("one").id(), object("two").id()]),
        ),
        (
            "transfer-rows",
            Told::Rows {
                rows: vec![(Bytes::from_static(b"k"), Bytes::from_static(b"v"))],
                ended: false,
            },
        ),
        (
            "transfer-objects",
            Told::Objects(vec![Some(Bytes::from_static(b"one")), None]),
        ),
    ]
}

#[test]
fn messages_about_transfers_have_the_bytes_of_the_fixture() {
    let mut lines = Vec::new();
    for (name, ask) in transfer_asks() {
        let bytes = ask.encode();
        assert_eq!(Ask::decode(&bytes).unwrap(), ask);
        for end in 0..bytes.len() {
            assert!(Ask::decode(&bytes.slice(..end)).is_err(), "{name} {end}");
        }
        lines.push((name, "request".to_owned(), bytes.to_vec()));
    }
    for (name, told) in transfer_told() {
        let bytes = told.encode().unwrap();
        assert_eq!(Told::decode(&bytes).unwrap(), told);
        for end in 0..bytes.len() {
            assert!(Told::decode(&bytes.slice(..end)).is_err(), "{name} {end}");
        }
        // How zstd packs may change with its version; what it unpacks to may not.
        if !matches!(told, Told::Rows { .. } | Told::Objects(_)) {
            lines.push((name, "answer".to_owned(), bytes.to_vec()));
        }
    }
    check("transfers.txt", "name direction bytes", &lines);
}

fn peer_requests() -> Vec<(&'static str, Request)> {
    let last = Some(record::log_id(3, 1, 7));
    let entry = Entry {
        log_id: record::log_id(3, 1, 8),
        payload: EntryPayload::Normal(Payload(proposal::encode_cluster([0x33; 16], 1))),
    };
    let vote_request = VoteRequest {
        vote: Vote::new(4, 2),
        last_log_id: last,
        leadership_transfer: true,
    };
    vec![
        (
            "append",
            Request::Append(AppendEntriesRequest {
                vote: vote(3, 1),
                prev_log_id: last,
                entries: vec![entry],
                leader_commit: last,
            }),
        ),
        ("vote", Request::Vote(vote_request.clone())),
        ("pre-vote", Request::PreVote(vote_request)),
        (
            "transfer",
            Request::Transfer(TransferLeaderRequest::new(vote(3, 1), 2, last)),
        ),
        ("member", Request::Member(Bytes::from_static(b"question"))),
        ("bulk", Request::Bulk(Bytes::from_static(b"ask"))),
    ]
}

fn peer_replies() -> Vec<(&'static str, Reply)> {
    let last = Some(record::log_id(3, 1, 7));
    vec![
        (
            "refused",
            Reply::refused(RefusedBecause::NotLeader, "node 2 leads"),
        ),
        ("appended", Reply::Append(AppendEntriesResponse::Success)),
        (
            "appended-some",
            Reply::Append(AppendEntriesResponse::PartialSuccess(last)),
        ),
        (
            "append-conflict",
            Reply::Append(AppendEntriesResponse::Conflict),
        ),
        (
            "append-higher-vote",
            Reply::Append(AppendEntriesResponse::HigherVote(vote(4, 2))),
        ),
        (
            "voted",
            Reply::Vote(VoteResponse::new(vote(4, 2), last, true)),
        ),
        ("bulk", Reply::Bulk(Bytes::from_static(b"told"))),
        ("transfer-taken", Reply::Transfer(TransferOutcome::Taken)),
        (
            "transfer-vote-changed",
            Reply::Transfer(TransferOutcome::VoteChanged {
                expected: vote(3, 1),
                actual: vote(4, 2),
            }),
        ),
        (
            "transfer-log-not-flushed",
            Reply::Transfer(TransferOutcome::LogNotFlushed {
                expected: last,
                actual: None,
            }),
        ),
        ("member", Reply::Member(Bytes::from_static(b"answer"))),
    ]
}

#[test]
fn peer_messages_have_the_bytes_of_the_fixture() {
    let identity = PeerIdentity::member([0x33; 16], 2, 1);
    assert_eq!(PeerIdentity::decode(&identity.encode()).unwrap(), identity);
    let mut lines = vec![("identity", "-".to_owned(), identity.encode().to_vec())];
    for (name, request) in peer_requests() {
        let bytes = request.encode();
        let read = Request::decode(&bytes).unwrap();
        assert_eq!(read.encode(), bytes);
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
        lines.push((name, "request".to_owned(), bytes.to_vec()));
    }
    for (name, reply) in peer_replies() {
        let bytes = reply.encode();
        assert_eq!(Reply::decode(&bytes).unwrap(), reply);
        lines.push((name, "answer".to_owned(), bytes.to_vec()));
    }
    check("peers.txt", "name direction bytes", &lines);
}

#[test]
fn peer_message_that_is_cut_is_none() {
    for (_, request) in peer_requests() {
        let bytes = request.encode();
        for end in 0..bytes.len() {
            assert!(Request::decode(&bytes.slice(..end)).is_err());
        }
    }
    for (_, reply) in peer_replies() {
        let bytes = reply.encode();
        for end in 0..bytes.len() {
            assert!(Reply::decode(&bytes.slice(..end)).is_err());
        }
    }
}
