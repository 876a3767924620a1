//! The decoders as functions of any bytes, for fuzzers and for short runs in tests. They are not among the
//! targets in `fuzz/`, which would have to build RocksDB for them.

use bytes::Bytes;
use openraft::EntryPayload;

use crate::operation::Operation;
use crate::proposal::{self, Proposal};
use crate::raft::record;

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

/// A proposal and its body are read or refused, whatever the bytes are.
///
/// # Panics
/// A decoder does.
pub fn fuzz_proposal(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = proposal::decode_body(&bytes);
    if let Ok(Proposal::Transact(transact)) = proposal::decode(&bytes) {
        let _ = proposal::decode_body(&transact.body);
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300),
            begin in 0_usize..4,
        ) {
            // Noise alone rarely gets past the first bytes.
            let heads: [&[u8]; 4] = [&[], &[1, 2], &[1, 3], &[b'C', 6, 1, 0]];
            bytes.splice(0..0, heads[begin].iter().copied());
            fuzz_operation(&bytes);
            fuzz_proposal(&bytes);
            fuzz_log_record(&bytes);
        }
    }
}
