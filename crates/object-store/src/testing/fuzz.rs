//! What must hold for any bytes whatever, one function for each decoder.
//!
//! `fuzz/` calls these with bytes that a fuzzer finds; the tests here call them with fixtures that were
//! changed a little. Each returns, or panics where the law is broken.

#![expect(
    clippy::panic,
    reason = "a fuzz target says that a law is broken by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;

use crate::attestation::Attestation;
use crate::backend::MemoryBackend;
use crate::codec::{DecodeError, TlvReader, TlvWriter};
use crate::commit::Commit;
use crate::encoding::{Encoded, Encoding};
use crate::id::ObjectId;
use crate::meta::Meta;
use crate::object::Kind;
use crate::pack::{self, PackLimits};
use crate::record::Record;
use crate::store::Store;
use crate::tree::{Page, Proof};

/// A decoder's law, for any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("tlv", fuzz_tlv),
    ("commit", fuzz_commit),
    ("meta", fuzz_meta),
    ("record", fuzz_record),
    ("attestation", fuzz_attestation),
    ("page", fuzz_page),
    ("frame", fuzz_frame),
    ("pack", fuzz_pack),
    ("pack_index", fuzz_pack_index),
    ("proof", fuzz_proof),
    ("edits", fuzz_edits),
];

/// The short form of fuzzing: every seed, and `rounds` changed forms of each, for every target.
///
/// # Panics
/// A law is broken.
pub fn smoke(seeds: &[Vec<u8>], rounds: usize, targets: &[(&str, Target)]) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below.max(1)
    };
    for seed in seeds {
        for (_, target) in targets {
            target(seed);
        }
        for _ in 0..rounds {
            let mut bytes = seed.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match (random(5), bytes.get_mut(at)) {
                    (0, _) => bytes.truncate(at),
                    (1, _) => bytes.insert(at, random(256) as u8),
                    (2, Some(_)) => drop(bytes.remove(at)),
                    (3, Some(byte)) => *byte = random(4) as u8,
                    (_, Some(byte)) => *byte ^= 1 << random(8),
                    (_, None) => bytes.push(random(256) as u8),
                }
            }
            for (_, target) in targets {
                target(&bytes);
            }
        }
    }
}

/// One byte string for each value: what decodes, encodes to the same bytes.
fn one_form<T>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, DecodeError>,
    encode: fn(&T) -> Vec<u8>,
) {
    match decode(bytes) {
        Ok(value) => assert_eq!(encode(&value), bytes, "what decodes has another encoding"),
        Err(e) => assert!(e.offset <= bytes.len(), "the error is beyond the end: {e}"),
    }
}

/// A list of fields has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_tlv(bytes: &[u8]) {
    let Some(kind) = bytes.get(1) else { return };
    if let Ok(reader) = TlvReader::new("thing", *kind, bytes)
        && let Ok(fields) = reader.rest()
    {
        assert_eq!(TlvWriter::new(*kind).unknown(&fields).finish(), bytes);
    }
}

/// A commit has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_commit(bytes: &[u8]) {
    one_form(bytes, Commit::decode, Commit::encode);
}

/// A meta has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_meta(bytes: &[u8]) {
    one_form(bytes, Meta::decode, Meta::encode);
}

/// A record has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_record(bytes: &[u8]) {
    one_form(bytes, Record::decode, Record::encode);
}

/// An attestation has one form, and its signed bytes another.
///
/// # Panics
/// It has two, or they are the same.
pub fn fuzz_attestation(bytes: &[u8]) {
    one_form(bytes, Attestation::decode, Attestation::encode);
    if let Ok(attestation) = Attestation::decode(bytes) {
        assert_ne!(attestation.signed_bytes(), bytes);
    }
}

/// A page that decodes can be walked.
///
/// # Panics
/// It cannot.
pub fn fuzz_page(bytes: &[u8]) {
    if let Ok(page) = Page::decode(Bytes::copy_from_slice(bytes)) {
        assert_eq!(page.items().count(), page.len());
        assert!(page.references().len() <= 2 * page.len());
    }
}

/// A stored frame gives as many bytes as it declares, or an error.
///
/// # Panics
/// It gives another number.
pub fn fuzz_frame(bytes: &[u8]) {
    let Ok((encoding, payload)) = Encoding::read_header(bytes) else {
        return;
    };
    let mut header = Vec::new();
    encoding.write_header(&mut header);
    assert!(bytes.starts_with(&header), "a header has two forms");
    let payload = Bytes::copy_from_slice(payload);
    for kind in [Kind::Page, Kind::Commit] {
        let encoded = Encoded {
            kind,
            id: ObjectId::of(kind, b""),
            encoding,
            payload: payload.clone(),
        };
        if let Ok(out) = encoded.decompress(Some(b"a dictionary of some text, of some text")) {
            assert_eq!(
                out.len(),
                encoding
                    .declared_len()
                    .map_or(payload.len(), |len| len as usize)
            );
        }
    }
}

/// A pack that is admitted has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_pack(bytes: &[u8]) {
    let limits = PackLimits {
        objects_max: 1000,
        wire_bytes_max: 1 << 20,
        raw_bytes_max: 8 << 20,
        ..PackLimits::default()
    };
    let nowhere = Store::new(Arc::new(MemoryBackend::default()), 1 << 16);
    if let Ok(admitted) = pack::admit(bytes, &limits, &nowhere, &|_, _| true) {
        let again = pack::pack_of(&admitted.encoded);
        assert!(bytes.starts_with(&again), "a pack has two forms");
        if admitted.objects.len() != admitted.encoded.len() {
            panic!(
                "{} objects out of {} frames",
                admitted.objects.len(),
                admitted.encoded.len()
            );
        }
    }
}

/// An index of a pack is taken whole or not at all, and what is looked up in it is what it has.
///
/// # Panics
/// A look-up gives something else.
pub fn fuzz_pack_index(bytes: &[u8]) {
    crate::pack_dir::fuzz_index(bytes);
}

/// A proof proves of a key what its pages say, or nothing.
///
/// # Panics
/// It proves one thing of a key and, without its last page, still the same.
pub fn fuzz_proof(bytes: &[u8]) {
    let Some((&key_len, rest)) = bytes.split_first() else {
        return;
    };
    let (key, rest) = rest.split_at(usize::from(key_len).min(rest.len()));
    // Pages begin where the first one's first bytes come again.
    let mut pages: Vec<Bytes> = Vec::new();
    let mut start = 0;
    for at in 1..=rest.len() {
        let begins = rest
            .get(at..)
            .is_some_and(|tail| tail.starts_with(b"CT\x01\0"));
        if begins || at == rest.len() {
            let page = rest.get(start..at).unwrap_or_default();
            pages.push(Bytes::copy_from_slice(page));
            start = at;
        }
    }
    let Some(first) = pages.first() else { return };
    let root = ObjectId::of(Kind::Page, first);
    let mut proof = Proof { pages };
    if proof.verify(&root, key).is_ok() {
        proof.pages.pop();
        assert!(
            proof.verify(&root, key).is_err(),
            "a proof has a page too many"
        );
    }
}

/// Edits in any order and any batches give the tree that building gives.
///
/// # Panics
/// They give another.
pub fn fuzz_edits(bytes: &[u8]) {
    crate::tree::fuzz_edits(bytes);
}
