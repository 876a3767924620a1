//! The conformance suite that every backend passes unchanged, and the fuzz targets as functions.

mod conformance;

pub use conformance::conformance;
