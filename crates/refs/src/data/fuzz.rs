//! The rows of the tables, as functions of any bytes.

use bytes::Bytes;

use super::{APPLIED, applied, decode_target, encode_target, operations, requests, sessions};
use crate::raft::record;

/// What the tables hold has one form each.
///
/// # Panics
/// One has two.
pub(crate) fn fuzz_tables(bytes: &Bytes) {
    if let Ok(session) = sessions::decode(bytes) {
        assert_eq!(
            sessions::encode(&session).as_slice(),
            bytes,
            "two sessions in one"
        );
    }
    if let Ok(remembered) = requests::Remembered::decode(bytes) {
        assert_eq!(remembered.encode(), bytes.as_ref(), "two requests in one");
    }
    if let Ok(place) = operations::Place::decode(bytes) {
        assert_eq!(place.encode().as_slice(), bytes, "two places in one");
    }
    if let Ok(target) = decode_target(bytes) {
        assert_eq!(encode_target(target), bytes.as_ref(), "two targets in one");
    }
    let sealed = Bytes::from(record::encode_sealed(APPLIED, bytes));
    if let Ok(applied) = applied::Applied::decode(&sealed) {
        assert_eq!(applied.encode(), sealed, "two states in one");
    }
}

/// Rows of each table, for tests to change.
#[cfg(test)]
pub(crate) fn table_seeds() -> Vec<Vec<u8>> {
    let id = confman_object_store::ObjectId::from_bytes([5; 32]);
    let committed = crate::transaction::Committed {
        operation: id,
        index: 9,
        term: 2,
        time_ms: 1_795_000_000_123,
    };
    let remembered = requests::Remembered {
        order: 5,
        body: [6; 32],
        committed,
    };
    let session = sessions::Session {
        touched_ms: 7,
        parts: 2,
        bytes: 300,
        body_bytes: 100,
    };
    let place = operations::Place {
        id,
        index: 9,
        time_ms: 7,
    };
    let applied = applied::Applied {
        protocol: None,
        last: Some(record::log_id(3, 1, 7)),
        cluster: Some([1; 16]),
        operation: Some(id),
        sequence: 64,
        time_ms: 7,
        view: Some(id),
        requests: 64,
    };
    let sealed = applied.encode();
    vec![
        remembered.encode(),
        sessions::encode(&session).to_vec(),
        place.encode().to_vec(),
        encode_target(crate::transaction::Target {
            kind: confman_object_store::Kind::Commit,
            id,
        }),
        sealed.get(1..sealed.len() - 8).unwrap_or_default().to_vec(),
    ]
}
