//! What must hold for any bytes whatever, one function for each group of decoders. `fuzz/` calls these with
//! bytes that a fuzzer finds; the tests here call them with fixtures that were changed a little.

pub mod history;
mod membership;
mod network;

pub use membership::{
    add_learner, damage_object, finish, hand_over, lead_astray, lose_place, promote,
    snapshot_and_purge, stage,
};
pub use network::MemoryNetwork;

use std::collections::BTreeMap;

use bytes::Bytes;
use openraft::EntryPayload;

use crate::cursor::{Cursor, put_name};
use crate::data::fuzz;
use crate::name::RefName;
use crate::operation::Operation;
use crate::peer::PeerIdentity;
use crate::peer::message::{Reply, Request};
use crate::proposal::{self, Body, Proposal, Transact};
use crate::raft::record;
use crate::transaction::{ENTRY_BYTES_MAX, Transaction};
use crate::transfer;

/// A decoder's law, for any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("operation", fuzz_operation),
    ("proposal", fuzz_proposal),
    ("log_record", fuzz_log_record),
    ("state", fuzz_state),
    ("ref_name", fuzz_ref_name),
    ("peer_message", fuzz_peer_message),
];

/// An operation has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_operation(bytes: &[u8]) {
    if let Ok(operation) = Operation::decode(bytes) {
        assert_eq!(
            operation.encode(),
            bytes,
            "what decodes has another encoding"
        );
    }
}

/// A proposal is read or refused; a whole transaction has one form.
///
/// # Panics
/// It has two, or a decoder panics.
pub fn fuzz_proposal(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = proposal::decode_body(&bytes);
    let Ok(Proposal::Transact(transact)) = proposal::decode(&bytes) else {
        return;
    };
    if let Ok(body) = proposal::decode_body(&transact.body)
        && transact.session.is_none()
        && bytes.len() < ENTRY_BYTES_MAX / 2
    {
        let again = proposal::encode(&transaction(transact, body), [0; 16]);
        assert!(again.pieces.is_empty(), "it fits into one entry");
        assert_eq!(again.last, bytes, "what decodes has another encoding");
    }
}

fn transaction(transact: Transact, body: Body) -> Transaction {
    Transaction {
        request: transact.request,
        edits: body.edits,
        reads: body.reads,
        objects: transact.objects,
        rows: body.rows,
        actor: body.actor,
        action: body.action,
        detail: body.detail,
        time_ms: transact.time_ms,
    }
}

/// A log record that passes its checksum is read or refused; it has one form.
///
/// # Panics
/// It has two, or the decoder does.
pub fn fuzz_log_record(bytes: &[u8]) {
    const INDEX: u64 = 7;
    let record = record::encode_sealed(&record::entry_key(INDEX), bytes);
    if let Ok(entry) = record::decode_entry(INDEX, &record.clone().into()) {
        let mut again = Vec::new();
        record::encode_entry(&entry, &mut again);
        // Sets of nodes may be written in another order, or with repetition, by hand alone.
        if !matches!(entry.payload, EntryPayload::Membership(_)) {
            assert_eq!(again, record, "what decodes has another encoding");
        }
    }
    const KEY: &[u8] = b"key";
    let sealed = Bytes::from(record::encode_sealed(KEY, bytes));
    if let Ok(id) = record::decode_log_id(KEY, &sealed) {
        assert_eq!(record::encode_log_id(KEY, id), sealed, "two log ids in one");
    }
    if let Ok(vote) = record::decode_vote(KEY, &sealed) {
        assert_eq!(record::encode_vote(KEY, &vote), sealed, "two votes in one");
    }
    if let Ok(stored) = record::decode_stored_membership(KEY, &sealed) {
        let again = record::encode_stored_membership(KEY, &stored);
        let nodes: BTreeMap<_, _> = stored.membership().nodes().collect();
        assert!(again.len() >= nodes.len(), "a node takes a byte at least");
    }
}

/// A message of a peer is read or refused; it has one form.
///
/// # Panics
/// It has two, or a decoder panics.
pub fn fuzz_peer_message(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(request) = Request::decode(&bytes)
        && !with_membership(&request)
    {
        assert_eq!(request.encode(), bytes, "two requests in one");
    }
    if let Ok(reply) = Reply::decode(&bytes) {
        assert_eq!(reply.encode(), bytes, "two answers in one");
    }
    if let Ok(ask) = transfer::message::Ask::decode(&bytes) {
        assert_eq!(ask.encode(), bytes, "two requests about a transfer in one");
    }
    if let Ok(told) = transfer::message::Told::decode(&bytes) {
        // A frame can be packed in many ways; what it unpacks to is the same.
        let again = told.encode().and_then(|again| {
            transfer::message::Told::decode(&again).map_err(std::io::Error::other)
        });
        assert_eq!(
            again.ok(),
            Some(told),
            "two answers about a transfer in one"
        );
    }
    if let Ok(identity) = PeerIdentity::decode(&bytes) {
        assert_eq!(identity.encode(), bytes, "two identities in one");
    }
}

/// Sets of nodes may be written in another order by hand.
fn with_membership(request: &Request) -> bool {
    match request {
        Request::Append(append) => append
            .entries
            .iter()
            .any(|entry| matches!(entry.payload, EntryPayload::Membership(_))),
        _ => false,
    }
}

/// What the tables of the state machine hold has one form each.
///
/// # Panics
/// One has two.
pub fn fuzz_state(bytes: &[u8]) {
    fuzz::fuzz_tables(&Bytes::copy_from_slice(bytes));
}

/// A name of a ref comes back as it was.
///
/// # Panics
/// It does not.
pub fn fuzz_ref_name(bytes: &[u8]) {
    let Some(name) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| RefName::new(text).ok())
    else {
        return;
    };
    assert_eq!(name.as_str().as_bytes(), bytes);
    let mut out = Vec::new();
    put_name(&mut out, &name);
    let out = Bytes::from(out);
    assert_eq!(Cursor::new(&out, "name").name().ok(), Some(name));
}

#[cfg(test)]
mod tests {
    use confman_object_store::testing::smoke;
    use proptest::prelude::*;

    use super::*;

    /// The bytes of every line of a file in `fixtures/refs`.
    fn fixture(file: &str) -> Vec<Vec<u8>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures/refs")
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let hex = line.rsplit(' ').next().unwrap();
                (0..hex.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn no_decoder_breaks_its_law_on_changed_fixtures() {
        let mut seeds = fixture("operations.txt");
        seeds.extend(fixture("proposals.txt"));
        // Without version and checksum, which the target puts around them.
        seeds.extend(
            fixture("log.txt")
                .into_iter()
                .map(|record| record[1..record.len() - 8].to_vec()),
        );
        seeds.extend(fixture("peers.txt"));
        seeds.extend(fixture("transfers.txt"));
        seeds.extend(fuzz::table_seeds());
        assert!(seeds.len() > 12, "{} seeds", seeds.len());
        smoke(&seeds, 2000, &TARGETS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300),
            begin in 0_usize..4,
        ) {
            // Noise alone rarely gets past the first bytes.
            let heads: [&[u8]; 4] = [&[], &[1, 2], &[1, 3], &[b'C', 6, 1, 0]];
            bytes.splice(0..0, heads[begin].iter().copied());
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }
    }
}
