//! Keys of many shapes: usual ones, and those that are hard on a tree.

use proptest::prelude::*;

use super::TreeKey;
use super::objects::key;

/// A family of keys; each family maps a number to a key.
#[derive(Clone, Copy, Debug)]
pub enum Family {
    /// Two letters, few bytes: dense, with keys that are prefixes of keys.
    Letters,
    /// `aaaa…`: every key is a prefix of the next.
    Chain,
    /// Long keys, each of which leaves the common trunk one byte later.
    Caterpillar,
    /// Counting numbers of equal length.
    Sequence,
    /// Hex digits of scattered numbers.
    Hex,
    /// Paths as people write them.
    Paths,
    /// Every byte that a key may have.
    Bytes,
}

pub const FAMILIES: [Family; 7] = [
    Family::Letters,
    Family::Chain,
    Family::Caterpillar,
    Family::Sequence,
    Family::Hex,
    Family::Paths,
    Family::Bytes,
];

impl Family {
    /// The key of a number, at most `len_max` bytes; different numbers may have the same key.
    pub fn key(self, number: u32, len_max: usize) -> TreeKey {
        let scattered = scatter(number);
        let mut bytes: Vec<u8> = match self {
            Self::Letters => {
                let len = 1 + (scattered % 9) as usize;
                (0..len)
                    .map(|at| {
                        if (scattered >> (8 + at)) & 1 == 0 {
                            b'a'
                        } else {
                            b'b'
                        }
                    })
                    .collect()
            }
            Self::Chain => vec![b'a'; 1 + number as usize % len_max],
            Self::Caterpillar => {
                let trunk = number as usize % len_max;
                let mut key = vec![b'm'; trunk];
                key.push(if number.is_multiple_of(3) { b'z' } else { b'n' });
                key.resize(len_max, b'k');
                key
            }
            Self::Sequence => format!("key/{:08}", number % 4096).into_bytes(),
            Self::Hex => format!("{:016x}", scattered).into_bytes(),
            Self::Paths => {
                let service = ["payments", "payments-api", "checkout", "search", "auth"]
                    [(scattered % 5) as usize];
                let part = ["db", "http", "limits", "features", "features/beta"]
                    [(scattered >> 8) as usize % 5];
                let name = ["timeout", "retries", "pool-size", "enabled", "url"]
                    [(scattered >> 16) as usize % 5];
                format!("{service}/{part}/{name}-{}", (scattered >> 24) % 40).into_bytes()
            }
            Self::Bytes => {
                let len = 1 + (scattered % 4) as usize;
                (0..len)
                    .map(|at| (scattered >> (8 + 8 * at)) as u8)
                    .map(legal)
                    .collect()
            }
        };
        bytes.truncate(len_max);
        key(bytes)
    }
}

fn legal(byte: u8) -> u8 {
    if byte < 0x20 || byte == 0x7f {
        byte | 0x80
    } else {
        byte
    }
}

/// Spreads numbers, always in the same way.
pub fn scatter(number: u32) -> u64 {
    let mut x = u64::from(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(FAMILIES.to_vec())
}
