//! Pages: the nodes of the tree as bytes.
//!
//! A page is read where it lies: a search looks at the offset table and the keys in the bytes
//! themselves, and nothing is copied before an entry is asked for.
//!
//! INVARIANT: a `Page` is canonical in itself: its keys ascend, its lengths are exact, its values are
//! inline exactly when they are short, and the rule seals exactly the runs that it refers to. What a
//! reference claims of another page is checked when that page is entered ([`Page::check_child`]).

use std::cmp::Ordering;

use bytes::Bytes;

use super::rule::{CHILD_BYTES, FORMAT, HEADER_BYTES, Limits, Shape, seals, shared_bits};
use super::{HEIGHT_MAX, INLINE_BYTES_MAX, KEY_BYTES_MAX, Leaf, LeafValue};
use crate::codec::DecodeError;
use crate::id::{ID_BYTES, ObjectId};
use crate::object::Kind;

pub(super) const MAGIC: [u8; 4] = [b'C', b'T', 1, 0];
pub(super) const TAG_INLINE: u8 = 0;
pub(super) const TAG_BLOB: u8 = 1;
pub(super) const TAG_CHILD: u8 = 2;
/// The bit of the flags byte that says that the id of a `meta` object follows.
pub(super) const FLAG_META: u8 = 0x80;
/// Key length and tag.
const ITEM_HEAD_BYTES: usize = 2;
/// What follows the key in a reference.
const CHILD_TAIL_BYTES: usize = CHILD_BYTES - 2 - ITEM_HEAD_BYTES;

/// A decoded page of a tree.
#[derive(Debug)]
pub struct Page {
    bytes: Bytes,
    suffix_len_max: usize,
}

/// A reference to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub id: ObjectId,
    /// Its length in bytes.
    pub page_bytes: u16,
    /// Its items.
    pub items: u16,
    /// Key bytes that it leaves out, beyond those that the referring page leaves out.
    pub base: u8,
    /// Pages on the longest way down from it.
    pub height: u16,
    /// Keys below it.
    pub count: u32,
}

/// An entry of a page, not yet copied out. Equal exactly when the leaves are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub(super) tag: u8,
    pub(super) tail: &'a [u8],
}

/// What an item of a page leads to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A leaf.
    Entry(Entry<'a>),
    /// Another page.
    Child(Child),
}

/// An item of a page.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key without the bytes that the page leaves out; of a reference, as much of its first key
    /// as is needed.
    pub suffix: &'a [u8],
    /// What it leads to.
    pub target: Target<'a>,
}

impl Page {
    /// Reads the canonical bytes of a page.
    ///
    /// # Errors
    /// Anything that the rule would not have written.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::decode_within(bytes, &FORMAT)
    }

    pub(super) fn decode_within(bytes: Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        if bytes.len() > limits.page_bytes {
            let reason = format!(
                "a page has at most {} bytes, this has {}",
                limits.page_bytes,
                bytes.len()
            );
            return Err(malformed(limits.page_bytes, reason));
        }
        let mut page = Self {
            bytes,
            suffix_len_max: 0,
        };
        page.check_header()?;
        page.check_items(limits)?;
        Ok(page)
    }

    /// The canonical bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.u16_at(4))
    }

    /// Whether it has no items; only the root of an empty tree has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pages on the longest way down from it.
    #[must_use]
    pub fn height(&self) -> u16 {
        self.u16_at(6)
    }

    /// Keys in it and below it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bytes
            .get(8..16)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    }

    /// The item at an index below [`Page::len`].
    #[must_use]
    pub fn item(&self, index: usize) -> Option<Item<'_>> {
        Item::parse(self.raw_item(index)?)
    }

    /// The items in order.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        (0..self.len()).filter_map(|index| self.item(index))
    }

    /// Every object that the page names: child pages, blobs and metas, in the order of its keys.
    #[must_use]
    pub fn references(&self) -> Vec<(Kind, ObjectId)> {
        let mut ids = Vec::new();
        for item in self.items() {
            match item.target {
                Target::Child(child) => ids.push((Kind::Page, child.id)),
                Target::Entry(entry) => {
                    let leaf = entry.leaf();
                    if let LeafValue::Blob { id, .. } = leaf.value {
                        ids.push((Kind::Blob, id));
                    }
                    if let Some(id) = leaf.meta {
                        ids.push((Kind::Meta, id));
                    }
                }
            }
        }
        ids
    }

    /// The key of an item without the bytes that the page leaves out.
    pub(super) fn suffix(&self, index: usize) -> &[u8] {
        let Some(raw) = self.raw_item(index) else {
            return &[];
        };
        let len = raw.get(1).map_or(0, |len| usize::from(*len));
        raw.get(ITEM_HEAD_BYTES..ITEM_HEAD_BYTES + len)
            .unwrap_or(&[])
    }

    /// How many items, from `first` on counted from the beginning, have keys up to and including `key`.
    pub(super) fn position_after(&self, first: usize, key: &[u8]) -> usize {
        let (mut low, mut high) = (first, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.suffix(middle).cmp(key) == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Bits beyond what the page leaves out that the item shares with its nearest neighbour, where
    /// the rule split it off. `None` for a lone item.
    pub(super) fn split_of(&self, index: usize) -> Option<usize> {
        let suffix = self.suffix(index);
        let before = index
            .checked_sub(1)
            .map(|before| shared_bits(self.suffix(before), suffix));
        let after = (index + 1 < self.len()).then(|| shared_bits(suffix, self.suffix(index + 1)));
        before.max(after)
    }

    /// The bytes of this page where item `index`, a reference, is exchanged for another under the same
    /// key. `None` where it is no reference, or where the number of keys cannot be.
    pub(super) fn with_child(&self, index: usize, new: &Child) -> Option<Vec<u8>> {
        let item = self.item(index)?;
        let Target::Child(old) = item.target else {
            return None;
        };
        let end =
            HEADER_BYTES + 2 * self.len() + usize::from(self.u16_at(HEADER_BYTES + 2 * index));
        let start = end - CHILD_TAIL_BYTES;
        let count = self.count().checked_sub(old.count.into())? + u64::from(new.count);
        let mut bytes = self.bytes.to_vec();
        bytes.get_mut(8..16)?.copy_from_slice(&count.to_le_bytes());
        bytes.get_mut(start..end)?.copy_from_slice(&new.tail());
        Some(bytes)
    }

    /// Checks that this page is what `parent` says its item `index` is. `base` is the number of key
    /// bytes that this page leaves out.
    pub(super) fn check_child(
        &self,
        parent: &Self,
        index: usize,
        child: &Child,
        base: usize,
    ) -> Result<(), DecodeError> {
        let differs = |offset, name: &str, claimed: u64, actual: u64| {
            Err(malformed(
                offset,
                format!("its parent says {claimed} {name}, it has {actual}"),
            ))
        };
        if usize::from(child.page_bytes) != self.bytes.len() {
            return differs(0, "bytes", child.page_bytes.into(), self.bytes.len() as u64);
        }
        if child.height != self.height() {
            return differs(
                6,
                "levels below it",
                child.height.into(),
                self.height().into(),
            );
        }
        if usize::from(child.items) != self.len() {
            return differs(4, "items", child.items.into(), self.len() as u64);
        }
        if u64::from(child.count) != self.count() {
            return differs(8, "keys", child.count.into(), self.count());
        }
        let (first, last) = (self.suffix(0), self.suffix(self.len().saturating_sub(1)));
        let own_split = shared_bits(first, last);
        match (self.len(), self.item(0).map(|item| item.target)) {
            (0, _) => return Err(malformed(4, "only the root of an empty tree has no items")),
            (1, Some(Target::Child(_))) => {
                return Err(malformed(4, "only a root refers to a single page"));
            }
            (1, _) if first.is_empty() => {}
            (1, _) => {
                return Err(malformed(
                    HEADER_BYTES,
                    "its only key is left out by its parent, but it has it too",
                ));
            }
            _ if own_split >= 8 => {
                return Err(malformed(
                    HEADER_BYTES,
                    "its keys share a byte that is not left out",
                ));
            }
            _ => {}
        }
        let depth = usize::from(child.base);
        let claimed = parent.suffix(index);
        if let Some(split) = parent.split_of(index).filter(|split| split / 8 == depth) {
            // The referring key reaches into this page: it must be the beginning of the first key,
            // and all keys here must go beyond the bit that the parent split at.
            if claimed.get(depth) != first.first() {
                return Err(malformed(
                    HEADER_BYTES,
                    "its first key is not the one that its parent names",
                ));
            }
            if self.len() > 1 && own_split <= split - depth * 8 {
                return Err(malformed(
                    HEADER_BYTES,
                    "its keys differ before the bit that its parent split at",
                ));
            }
        }
        self.check_depth(base)
    }

    /// Checks that no key is too long or empty in a page that leaves out `base` key bytes.
    pub(super) fn check_depth(&self, base: usize) -> Result<(), DecodeError> {
        let longest = base + self.suffix_len_max;
        if longest > KEY_BYTES_MAX {
            let reason = format!("a key has at most {KEY_BYTES_MAX} bytes, one here has {longest}");
            return Err(malformed(HEADER_BYTES, reason));
        }
        let empty = base == 0
            && self.item(0).is_some_and(|item| {
                item.suffix.is_empty() && matches!(item.target, Target::Entry(_))
            });
        if empty {
            return Err(malformed(
                HEADER_BYTES,
                "a key has at least 1 byte, the first has none",
            ));
        }
        Ok(())
    }

    fn check_header(&self) -> Result<(), DecodeError> {
        let len = self.bytes.len();
        if len < HEADER_BYTES {
            return Err(malformed(
                len,
                format!("a page has at least {HEADER_BYTES} bytes"),
            ));
        }
        if !self.bytes.starts_with(&MAGIC) {
            return Err(malformed(0, "a page begins with `CT`, format 1 and 0"));
        }
        if self.height() > HEIGHT_MAX {
            return Err(malformed(
                6,
                format!("the height is at most {HEIGHT_MAX}, here {}", self.height()),
            ));
        }
        if self.count() > u64::from(u32::MAX) {
            return Err(malformed(
                8,
                format!("a tree has at most {} keys", u32::MAX),
            ));
        }
        if len < HEADER_BYTES + 2 * self.len() {
            return Err(malformed(
                len,
                format!(
                    "the page ends within the offsets of its {} items",
                    self.len()
                ),
            ));
        }
        Ok(())
    }

    fn check_items(&mut self, limits: &Limits) -> Result<(), DecodeError> {
        let items_start = HEADER_BYTES + 2 * self.len();
        let mut check = SealCheck {
            limits,
            nodes: Vec::new(),
        };
        let (mut end, mut count, mut height, mut longest) = (0, 0_u64, 0_u16, 0);
        for index in 0..self.len() {
            let start = end;
            end = usize::from(self.u16_at(HEADER_BYTES + 2 * index));
            let offset = items_start + start;
            let raw = self.bytes.get(offset..items_start + end).ok_or_else(|| {
                malformed(
                    HEADER_BYTES + 2 * index,
                    "offsets ascend and stay in the page",
                )
            })?;
            let item = Item::decode(raw, offset)?;
            let key_offset = offset + ITEM_HEAD_BYTES;
            let mut split = None;
            if index > 0 {
                let before = self.suffix(index - 1);
                if before >= item.suffix {
                    return Err(malformed(key_offset, "keys ascend strictly"));
                }
                split = Some(shared_bits(before, item.suffix));
            }
            check.push(&item, split, key_offset)?;
            longest = longest.max(item.suffix.len());
            match item.target {
                Target::Entry(_) => count += 1,
                Target::Child(child) => {
                    count += u64::from(child.count);
                    height = height.max(child.height.saturating_add(1));
                }
            }
        }
        if items_start + end != self.bytes.len() {
            return Err(malformed(
                items_start + end,
                "nothing follows the last item",
            ));
        }
        check.finish()?;
        if count != self.count() {
            return Err(malformed(
                8,
                format!(
                    "the page says {} keys, its items have {count}",
                    self.count()
                ),
            ));
        }
        if height != self.height() {
            return Err(malformed(
                6,
                format!(
                    "the page says height {}, its items make it {height}",
                    self.height()
                ),
            ));
        }
        self.suffix_len_max = longest;
        Ok(())
    }

    fn raw_item(&self, index: usize) -> Option<&[u8]> {
        let items_start = HEADER_BYTES + 2 * self.len();
        if index >= self.len() {
            return None;
        }
        let start = if index == 0 {
            0
        } else {
            usize::from(self.u16_at(HEADER_BYTES + 2 * index - 2))
        };
        let end = usize::from(self.u16_at(HEADER_BYTES + 2 * index));
        self.bytes.get(items_start + start..items_start + end)
    }

    fn u16_at(&self, at: usize) -> u16 {
        self.bytes
            .get(at..at + 2)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u16::from_le_bytes)
    }
}

impl<'a> Item<'a> {
    /// Reads an item whose bytes have been checked.
    fn parse(raw: &'a [u8]) -> Option<Self> {
        let (&[tag, suffix_len], rest) = raw.split_first_chunk::<ITEM_HEAD_BYTES>()?;
        let (suffix, tail) = rest.split_at_checked(usize::from(suffix_len))?;
        let target = match tag {
            TAG_CHILD => Target::Child(Child::parse(tail)?),
            _ => Target::Entry(Entry { tag, tail }),
        };
        Some(Self { suffix, target })
    }

    fn decode(raw: &'a [u8], offset: usize) -> Result<Self, DecodeError> {
        let short = || malformed(offset + raw.len(), "the item ends too early");
        let (&[tag, suffix_len], rest) = raw
            .split_first_chunk::<ITEM_HEAD_BYTES>()
            .ok_or_else(short)?;
        let (suffix, tail) = rest
            .split_at_checked(usize::from(suffix_len))
            .ok_or_else(short)?;
        if let Some(at) = suffix.iter().position(|b| *b < 0x20 || *b == 0x7f) {
            return Err(malformed(
                offset + ITEM_HEAD_BYTES + at,
                "a key has no control characters",
            ));
        }
        let tail_offset = offset + ITEM_HEAD_BYTES + suffix.len();
        match tag {
            TAG_INLINE | TAG_BLOB => check_entry(tag, tail, tail_offset)?,
            TAG_CHILD => check_child(suffix, tail, tail_offset)?,
            _ => {
                return Err(malformed(
                    offset,
                    format!("an item's tag is 0, 1 or 2, here {tag}"),
                ));
            }
        }
        Self::parse(raw).ok_or_else(short)
    }

    /// The numbers by which the rule judges this item before it was sealed.
    fn shape(&self) -> Shape {
        let len = self.suffix.len();
        match self.target {
            Target::Entry(entry) => {
                let sum = len + entry.bytes();
                Shape {
                    items: 1,
                    sum,
                    base: len,
                    height: 0,
                    first_len: len,
                }
            }
            Target::Child(child) => child.shape(usize::from(child.base), len),
        }
    }
}

impl Child {
    /// The shape that the page had before it was sealed, where it leaves out `base` key bytes.
    pub(super) fn shape(&self, base: usize, first_len: usize) -> Shape {
        let items = usize::from(self.items);
        Shape {
            items,
            sum: usize::from(self.page_bytes) - HEADER_BYTES + items * base,
            base,
            height: self.height,
            first_len,
        }
    }

    /// What follows the key.
    pub(super) fn tail(&self) -> [u8; CHILD_TAIL_BYTES] {
        let bytes = (self.id.as_bytes().iter().copied())
            .chain(self.page_bytes.to_le_bytes())
            .chain(self.items.to_le_bytes())
            .chain([self.base])
            .chain(self.height.to_le_bytes())
            .chain(self.count.to_le_bytes());
        let mut tail = [0; CHILD_TAIL_BYTES];
        for (place, byte) in tail.iter_mut().zip(bytes) {
            *place = byte;
        }
        tail
    }

    fn parse(tail: &[u8]) -> Option<Self> {
        let (id, tail) = tail.split_first_chunk::<ID_BYTES>()?;
        let (page_bytes, tail) = tail.split_first_chunk()?;
        let (items, tail) = tail.split_first_chunk()?;
        let (&[base], tail) = tail.split_first_chunk::<1>()?;
        let (height, tail) = tail.split_first_chunk()?;
        let count = tail.try_into().ok()?;
        Some(Self {
            id: ObjectId::from_bytes(*id),
            page_bytes: u16::from_le_bytes(*page_bytes),
            items: u16::from_le_bytes(*items),
            base,
            height: u16::from_le_bytes(*height),
            count: u32::from_le_bytes(count),
        })
    }
}

impl Entry<'_> {
    /// What it takes in a page besides its key.
    pub(super) fn bytes(&self) -> usize {
        2 + ITEM_HEAD_BYTES + self.tail.len()
    }

    /// Copies the leaf out.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        self.parse().unwrap_or(Leaf {
            entry_type: 0,
            flags: 0,
            value: LeafValue::Inline(Box::default()),
            meta: None,
        })
    }

    fn parse(&self) -> Option<Leaf> {
        let (&[entry_type, flags], mut tail) = self.tail.split_first_chunk::<2>()?;
        let mut meta = None;
        if flags & FLAG_META != 0 {
            let (id, rest) = tail.split_first_chunk::<ID_BYTES>()?;
            meta = Some(ObjectId::from_bytes(*id));
            tail = rest;
        }
        let value = if self.tag == TAG_INLINE {
            LeafValue::Inline(tail.get(1..)?.into())
        } else {
            let (size, id) = tail.split_first_chunk()?;
            LeafValue::Blob {
                id: ObjectId::from_bytes(id.try_into().ok()?),
                size: u32::from_le_bytes(*size),
            }
        };
        Some(Leaf {
            entry_type,
            flags: flags & !FLAG_META,
            value,
            meta,
        })
    }
}

fn check_entry(tag: u8, tail: &[u8], offset: usize) -> Result<(), DecodeError> {
    let short = || malformed(offset + tail.len(), "the entry ends too early");
    let (&[_, flags], rest) = tail.split_first_chunk::<2>().ok_or_else(short)?;
    let meta_len = if flags & FLAG_META == 0 { 0 } else { ID_BYTES };
    let value = rest.get(meta_len..).ok_or_else(short)?;
    let value_offset = offset + 2 + meta_len;
    let expected_len = if tag == TAG_INLINE {
        let len = usize::from(*value.first().ok_or_else(short)?);
        if len > INLINE_BYTES_MAX {
            let reason =
                format!("a value of more than {INLINE_BYTES_MAX} bytes is a blob, this has {len}");
            return Err(malformed(value_offset, reason));
        }
        1 + len
    } else {
        let (size, _) = value.split_first_chunk().ok_or_else(short)?;
        let size = u32::from_le_bytes(*size);
        if size as usize <= INLINE_BYTES_MAX {
            let reason =
                format!("a value of at most {INLINE_BYTES_MAX} bytes is inline, this has {size}");
            return Err(malformed(value_offset, reason));
        }
        4 + ID_BYTES
    };
    if value.len() != expected_len {
        let reason = format!(
            "the value takes {expected_len} bytes of the item, not {}",
            value.len()
        );
        return Err(malformed(value_offset, reason));
    }
    Ok(())
}

fn check_child(suffix: &[u8], tail: &[u8], offset: usize) -> Result<(), DecodeError> {
    let expected_len = CHILD_TAIL_BYTES;
    let child = Child::parse(tail).ok_or_else(|| {
        malformed(
            offset,
            format!("a reference takes {expected_len} bytes, not {}", tail.len()),
        )
    })?;
    if usize::from(child.page_bytes) <= HEADER_BYTES {
        return Err(malformed(
            offset + 32,
            "no page that is referred to is that short",
        ));
    }
    if child.items == 0 || child.count < u32::from(child.items) {
        return Err(malformed(
            offset + 34,
            "a page that is referred to has items, and a key for each at least",
        ));
    }
    if child.height >= HEIGHT_MAX {
        return Err(malformed(
            offset + 37,
            format!("the height of a child is below {HEIGHT_MAX}"),
        ));
    }
    if suffix.len() < usize::from(child.base) {
        return Err(malformed(
            offset + 36,
            "a reference has all key bytes that its page leaves out",
        ));
    }
    Ok(())
}

/// Folds the items of a page once more, to see that the rule seals what the page refers to and
/// nothing else.
struct SealCheck<'a> {
    limits: &'a Limits,
    nodes: Vec<CheckNode>,
}

struct CheckNode {
    shape: Shape,
    /// Bits shared with the node before.
    split: usize,
    is_child: bool,
    offset: usize,
}

impl SealCheck<'_> {
    fn push(
        &mut self,
        item: &Item<'_>,
        split: Option<usize>,
        offset: usize,
    ) -> Result<(), DecodeError> {
        let split = split.unwrap_or(0);
        self.join_above(split)?;
        let is_child = matches!(item.target, Target::Child(_));
        self.nodes.push(CheckNode {
            shape: item.shape(),
            split,
            is_child,
            offset,
        });
        Ok(())
    }

    fn join_above(&mut self, split: usize) -> Result<(), DecodeError> {
        while let [.., left, right] = self.nodes.as_slice()
            && right.split > split
        {
            let joined = self.join(left, right)?;
            self.nodes.truncate(self.nodes.len() - 2);
            self.nodes.push(joined);
        }
        Ok(())
    }

    fn join(&self, left: &CheckNode, right: &CheckNode) -> Result<CheckNode, DecodeError> {
        let split = right.split;
        for side in [left, right] {
            if side.shape.base < split / 8 {
                return Err(malformed(
                    side.offset,
                    "the page that is referred to leaves out less than its keys share",
                ));
            }
        }
        let seals = seals(&left.shape, &right.shape, split, self.limits);
        let left_shape = left.after(seals.left, split)?;
        let right_shape = right.after(seals.right, split)?;
        Ok(CheckNode {
            shape: left_shape.joined(&right_shape, split),
            split: left.split,
            is_child: false,
            offset: left.offset,
        })
    }

    fn finish(mut self) -> Result<(), DecodeError> {
        while let [.., left, right] = self.nodes.as_slice() {
            let joined = self.join(left, right)?;
            self.nodes.truncate(self.nodes.len() - 2);
            self.nodes.push(joined);
        }
        match self.nodes.as_slice() {
            [lone] if lone.is_child && lone.shape.size_at(0) <= self.limits.page_bytes => {
                Err(malformed(
                    lone.offset,
                    "a root that fits into one page does not refer to another",
                ))
            }
            [lone] if lone.is_child && lone.shape.first_len != lone.shape.base => Err(malformed(
                lone.offset,
                "a lone reference has the key bytes that its page leaves out and no more",
            )),
            _ => Ok(()),
        }
    }
}

impl CheckNode {
    /// The shape after the join's decision, which must be what the page has.
    fn after(&self, seal: bool, split: usize) -> Result<Shape, DecodeError> {
        match (self.is_child, seal) {
            (false, false) => Ok(self.shape),
            (false, true) => Err(malformed(
                self.offset,
                "the rule puts these items into a page of their own",
            )),
            (true, false) => Err(malformed(
                self.offset,
                "the rule puts the items of this child into this page",
            )),
            (true, true) => {
                let Shape {
                    base, first_len, ..
                } = self.shape;
                let wanted = base.max(split / 8 + 1);
                // One byte less where the first key ends there; seen when the child is entered.
                if first_len != wanted && !(first_len == base && wanted == base + 1) {
                    let reason =
                        format!("the key of this reference has {wanted} bytes, not {first_len}");
                    return Err(malformed(self.offset, reason));
                }
                Ok(self.shape.sealed(split))
            }
        }
    }
}

pub(super) fn malformed(offset: usize, reason: impl Into<String>) -> DecodeError {
    DecodeError {
        kind: "page",
        offset,
        reason: reason.into(),
    }
}
