//! The conformance suite that every backend passes unchanged, and the fuzz targets as functions.

mod conformance;
#[cfg(test)]
mod fixtures;
mod fuzz;
#[cfg(test)]
mod laws;

pub use conformance::conformance;
pub use fuzz::{
    TARGETS, Target, fuzz_attestation, fuzz_commit, fuzz_edits, fuzz_frame, fuzz_meta, fuzz_pack,
    fuzz_pack_index, fuzz_page, fuzz_proof, fuzz_record, fuzz_tlv, smoke,
};
