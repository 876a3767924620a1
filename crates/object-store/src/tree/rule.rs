//! The rule that decides what becomes a page of its own.
//!
//! A run of keys is split at the one place where neighbours share the fewest leading bits, its
//! sides are packed first, and a join of two sides that does not fit into a page seals one or both.
//! Every decision needs only a few numbers of each side ([`Shape`]), so it can be made, and checked,
//! without reading a sealed side. Nothing is hashed and nothing is random.

use std::cmp::Ordering;

use super::PAGE_BYTES_MAX;

/// Bytes before the offset table of a page.
pub(super) const HEADER_BYTES: usize = 16;
/// What a reference to a page takes besides its key: offset 2, tag, key length, id 32, page bytes 2,
/// items 2, base, height 2, count 4.
pub(super) const CHILD_BYTES: usize = 47;

/// The sizes the rule compares with. The format has exactly one ([`FORMAT`]); tests use smaller ones
/// to get tall trees from few keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Largest page.
    pub page_bytes: usize,
    /// A side that takes more than this beside the other is worth a page of its own.
    pub seal_bytes: usize,
}

/// The limits of the format.
pub(super) const FORMAT: Limits = Limits {
    page_bytes: PAGE_BYTES_MAX,
    seal_bytes: 512,
};

/// What the rule needs to know of a packed run that is not sealed (yet).
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Items it would have as a page.
    pub items: usize,
    /// Bytes of those items with whole keys and their offsets.
    pub sum: usize,
    /// Key bytes that all of its keys share and that its own page leaves out.
    pub base: usize,
    /// Pages on the longest way down from its own page.
    pub height: u16,
    /// Bytes known of its first key, at least as many as a reference to it would keep.
    pub first_len: usize,
}

impl Shape {
    /// Size as a page that leaves out the first `depth` bytes of every key.
    pub fn size_at(&self, depth: usize) -> usize {
        HEADER_BYTES + self.sum - self.items * depth
    }

    /// Bytes of the first key that a reference keeps: enough to have all that the page leaves out,
    /// and the bit in which it differs from its sibling.
    pub fn cut_len(&self, split: usize) -> usize {
        self.base.max(split / 8 + 1).min(self.first_len)
    }

    /// The shape of the single reference that is left when this is sealed.
    pub fn sealed(&self, split: usize) -> Self {
        let key_len = self.cut_len(split);
        Self {
            items: 1,
            sum: CHILD_BYTES + key_len,
            base: self.base,
            height: self.height.saturating_add(1),
            first_len: key_len,
        }
    }

    /// The shape of two runs side by side that share `split` bits.
    pub fn joined(&self, right: &Self, split: usize) -> Self {
        Self {
            items: self.items + right.items,
            sum: self.sum + right.sum,
            base: split / 8,
            height: self.height.max(right.height),
            first_len: self.first_len,
        }
    }
}

/// Which sides of a join become pages of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seals {
    pub left: bool,
    pub right: bool,
}

/// Decides a join of two runs that share `split` bits.
pub(super) fn seals(left: &Shape, right: &Shape, split: usize, limits: &Limits) -> Seals {
    let fits = |seals: Seals| {
        let left = if seals.left {
            left.sealed(split)
        } else {
            *left
        };
        let right = if seals.right {
            right.sealed(split)
        } else {
            *right
        };
        left.joined(&right, split).size_at(split / 8) <= limits.page_bytes
    };
    let mut seals = Seals {
        left: false,
        right: false,
    };
    if fits(seals) {
        return seals;
    }
    // What counts is what a side takes here, not as a page of its own: many keys with much in common
    // make a small page, but would crowd out everything else, join after join.
    let large = |side: &Shape| side.items > 1 && side.size_at(split / 8) > limits.seal_bytes;
    seals = match left.height.cmp(&right.height) {
        Ordering::Equal => Seals {
            left: large(left),
            right: large(right),
        },
        // The lower side first keeps the tree low; a tiny lower side is not worth a page.
        Ordering::Less => Seals {
            left: large(left),
            right: !large(left),
        },
        Ordering::Greater => Seals {
            left: !large(right),
            right: large(right),
        },
    };
    if !fits(seals) {
        seals.left = true;
    }
    if !fits(seals) {
        seals.right = true;
    }
    seals
}

/// How many leading bits two keys share, each followed by a NUL byte, which no key contains.
pub(super) fn shared_bits(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        if x != y {
            break;
        }
        at += 8;
    }
    loop {
        match (a.get(at), b.get(at)) {
            (None, None) => return at * 8 + 8,
            (x, y) => {
                let differing = x.copied().unwrap_or(0) ^ y.copied().unwrap_or(0);
                if differing != 0 {
                    return at * 8 + differing.leading_zeros() as usize;
                }
                at += 1;
            }
        }
    }
}
