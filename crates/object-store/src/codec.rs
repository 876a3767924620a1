//! The codec of structured objects other than pages: strictly ascending tag-length-value.
//!
//! `'C', kind, 1, 0`, then fields `u8 tag | u32 LE length | bytes`, tags strictly ascending, each at
//! most once. Even tags must be understood; odd tags may be skipped and are preserved.
//!
//! INVARIANT: `decode(bytes)` succeeds only if encoding its result gives `bytes` again.

/// Why bytes are not an object of the kind they were said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical {kind} at byte {offset}: {reason}")]
pub struct DecodeError {
    /// What was being decoded.
    pub kind: &'static str,
    /// Offset of the first byte that is wrong.
    pub offset: usize,
    /// What is wrong there and what is allowed.
    pub reason: String,
}
