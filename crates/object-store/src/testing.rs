//! The conformance suite that every backend passes unchanged.

use crate::backend::ObjectBackend;

/// Runs every check on a fresh backend each time.
///
/// # Panics
/// Where the backend does not conform.
pub fn conformance<B: ObjectBackend>(_fresh: impl FnMut() -> B) { todo!() }
