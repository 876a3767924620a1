//! The definition of the tree, written down once more as literally as possible: recursive, slow, and
//! sharing nothing with the code under test.

use super::objects::Contents;
use super::{Leaf, LeafValue};
use crate::id::ObjectId;
use crate::object::Kind;

#[derive(Clone)]
enum Item {
    Entry(Vec<u8>, Leaf),
    Ref {
        key: Vec<u8>,
        id: ObjectId,
        len: usize,
        items: usize,
        base: usize,
        height: usize,
        count: usize,
    },
}

#[derive(Clone)]
struct Packed {
    items: Vec<Item>,
    base: usize,
}

impl Item {
    fn key(&self) -> &[u8] {
        match self {
            Self::Entry(key, _) | Self::Ref { key, .. } => key,
        }
    }

    /// The bytes of the item in a page at this depth.
    fn bytes(&self, depth: usize) -> Vec<u8> {
        let suffix = &self.key()[depth..];
        let tag = match self {
            Self::Entry(
                _,
                Leaf {
                    value: LeafValue::Inline(_),
                    ..
                },
            ) => 0,
            Self::Entry(..) => 1,
            Self::Ref { .. } => 2,
        };
        let mut out = vec![tag, suffix.len() as u8];
        out.extend(suffix);
        match self {
            Self::Entry(_, leaf) => {
                out.push(leaf.entry_type);
                match leaf.meta {
                    Some(meta) => {
                        out.push(leaf.flags + 128);
                        out.extend(meta.as_bytes());
                    }
                    None => out.push(leaf.flags),
                }
                match &leaf.value {
                    LeafValue::Inline(value) => {
                        out.push(value.len() as u8);
                        out.extend(value.iter());
                    }
                    LeafValue::Blob { id, size } => {
                        out.extend(size.to_le_bytes());
                        out.extend(id.as_bytes());
                    }
                }
            }
            Self::Ref {
                id,
                len,
                items,
                base,
                height,
                count,
                ..
            } => {
                out.extend(id.as_bytes());
                out.extend((*len as u16).to_le_bytes());
                out.extend((*items as u16).to_le_bytes());
                out.push((base - depth) as u8);
                out.extend((*height as u16).to_le_bytes());
                out.extend((*count as u32).to_le_bytes());
            }
        }
        out
    }
}

impl Packed {
    fn page(&self, depth: usize) -> Vec<u8> {
        let mut ends = Vec::new();
        let mut body = Vec::new();
        let mut count = 0_u64;
        for item in &self.items {
            body.extend(item.bytes(depth));
            ends.extend((body.len() as u16).to_le_bytes());
            count += match item {
                Item::Entry(..) => 1,
                Item::Ref { count, .. } => *count as u64,
            };
        }
        let mut out = vec![b'C', b'T', 1, 0];
        out.extend((self.items.len() as u16).to_le_bytes());
        out.extend((self.height() as u16).to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(ends);
        out.extend(body);
        out
    }

    fn size(&self, depth: usize) -> usize {
        self.page(depth).len()
    }

    fn height(&self) -> usize {
        let below = self.items.iter().map(|item| match item {
            Item::Entry(..) => 0,
            Item::Ref { height, .. } => height + 1,
        });
        below.max().unwrap_or(0)
    }

    fn is_ref(&self) -> bool {
        matches!(self.items.as_slice(), [Item::Ref { .. }])
    }

    fn seal(&self, key_len: usize, pages: &mut Vec<Vec<u8>>) -> Self {
        if self.is_ref() {
            return self.clone();
        }
        let page = self.page(self.base);
        let first = self.items[0].key();
        let count = u64::from_le_bytes(page[8..16].try_into().unwrap());
        let item = Item::Ref {
            key: first[..key_len.min(first.len())].to_vec(),
            id: ObjectId::of(Kind::Page, &page),
            len: page.len(),
            items: self.items.len(),
            base: self.base,
            height: self.height(),
            count: count as usize,
        };
        pages.push(page);
        Self {
            items: vec![item],
            base: self.base,
        }
    }
}

/// Leading bits that two keys share, each followed by a zero byte.
fn bit_lcp(a: &[u8], b: &[u8]) -> usize {
    let bit = |key: &[u8], at: usize| key.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (0..).find(|at| bit(a, *at) != bit(b, *at)).unwrap()
}

fn pack(
    run: &[(Vec<u8>, Leaf)],
    page_max: usize,
    seal_min: usize,
    pages: &mut Vec<Vec<u8>>,
) -> Packed {
    if let [(key, leaf)] = run {
        return Packed {
            items: vec![Item::Entry(key.clone(), leaf.clone())],
            base: key.len(),
        };
    }
    let lcps: Vec<usize> = run
        .windows(2)
        .map(|pair| bit_lcp(&pair[0].0, &pair[1].0))
        .collect();
    let split = *lcps.iter().min().unwrap();
    assert_eq!(
        lcps.iter().filter(|lcp| **lcp == split).count(),
        1,
        "the smallest common prefix is unique"
    );
    let at = lcps.iter().position(|lcp| *lcp == split).unwrap() + 1;
    let depth = split / 8;
    let mut a = pack(&run[..at], page_max, seal_min, pages);
    let mut b = pack(&run[at..], page_max, seal_min, pages);
    let together = |a: &Packed, b: &Packed| Packed {
        items: [a.items.clone(), b.items.clone()].concat(),
        base: depth,
    };
    if together(&a, &b).size(depth) <= page_max {
        return together(&a, &b);
    }
    let large = |side: &Packed| side.items.len() > 1 && side.size(depth) > seal_min;
    let (seal_a, seal_b) = if a.height() == b.height() {
        (large(&a), large(&b))
    } else if a.height() < b.height() {
        (large(&a), !large(&a))
    } else {
        (!large(&b), large(&b))
    };
    let seal = |side: &Packed, pages: &mut Vec<Vec<u8>>| side.seal(side.base.max(depth + 1), pages);
    if seal_a {
        a = seal(&a, pages);
    }
    if seal_b {
        b = seal(&b, pages);
    }
    if together(&a, &b).size(depth) > page_max {
        a = seal(&a, pages);
    }
    if together(&a, &b).size(depth) > page_max {
        b = seal(&b, pages);
    }
    together(&a, &b)
}

/// The pages of the tree of these contents, the root last.
pub fn tree(contents: &Contents, page_max: usize, seal_min: usize) -> Vec<Vec<u8>> {
    let run: Vec<(Vec<u8>, Leaf)> = contents
        .iter()
        .map(|(key, leaf)| (key.as_bytes().to_vec(), leaf.clone()))
        .collect();
    let mut pages = Vec::new();
    let mut root = Packed {
        items: Vec::new(),
        base: 0,
    };
    if !run.is_empty() {
        root = pack(&run, page_max, seal_min, &mut pages);
        if root.size(0) > page_max {
            let base = root.base;
            root = root.seal(base, &mut pages);
        }
    }
    pages.push(root.page(0));
    pages
}
