//! Names of requests: unique among all processes, and made without asking the system each time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

/// Digits of a name.
const DIGITS: usize = 32;

/// The name of a request: 16 random digits of this process, then 16 that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId([u8; DIGITS]);

impl RequestId {
    /// A new name.
    pub(crate) fn next() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let process = *PROCESS.get_or_init(|| {
            let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
            // The time in one half, random bits in the other.
            high ^ low.rotate_left(32)
        });
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut digits = [0; DIGITS];
        let (first, second) = digits.split_at_mut(DIGITS / 2);
        hex(process, first);
        hex(count, second);
        Self(digits)
    }

    /// The digits.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The header's value.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.0).ok()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

fn hex(number: u64, out: &mut [u8]) {
    for (place, byte) in out.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        for (digit, nibble) in place.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'a' + nibble - 10,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_on_within_a_process() {
        let (first, second) = (RequestId::next(), RequestId::next());
        assert_ne!(first, second);
        assert_eq!(first.as_str()[..16], second.as_str()[..16]);
        assert!(first.as_str() < second.as_str());
        let mut digits = [0; 16];
        hex(0x0123_4567_89ab_cdef, &mut digits);
        assert_eq!(&digits, b"0123456789abcdef");
    }
}
