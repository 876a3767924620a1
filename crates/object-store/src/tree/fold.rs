//! Packs a sequence of entries and untouched pages into pages: what building and editing share.
//!
//! Leaves come in the order of their keys. A stack holds the runs that are packed so far, with the
//! bits that each shares with the one before it, ascending; a leaf that shares fewer bits with its
//! predecessor than the top of the stack does closes the runs above, each closed by one join. An
//! untouched page takes part as its [`Shape`] and is read only where a join decides that its items
//! belong into the page above.
//!
//! INVARIANT: the items of a run lie together on the item stack, below those of the runs after it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::{not_a_page, read_child};
use super::page::{
    Child, FLAG_META, Item, MAGIC, Page, TAG_BLOB, TAG_CHILD, TAG_INLINE, Target, malformed,
};
use super::rule::{CHILD_BYTES, HEADER_BYTES, Limits, Shape, seals, shared_bits};
use super::{Edited, HEIGHT_MAX, Leaf, LeafValue};
use crate::id::{ID_BYTES, ObjectId};
use crate::object::{Kind, Object};
use crate::store::{ReadError, ReadObjects};

/// Packs leaves into pages.
pub(super) struct Fold<'a> {
    objects: &'a dyn ReadObjects,
    limits: Limits,
    /// Whole keys of all items, one after the other.
    keys: Vec<u8>,
    items: Vec<FoldItem<'a>>,
    nodes: Vec<Node>,
    /// Nodes below this one wait for the page that is being folded.
    floor: usize,
    /// Pages whose entries are copied as they are.
    copied: Vec<Arc<Page>>,
    /// Ids of pages that exist: read from the old tree, or written before.
    known: HashSet<ObjectId>,
    /// The old page whose place is being filled.
    place: Option<ObjectId>,
    pages: Vec<(Object, Option<ObjectId>)>,
}

/// An edit of one key: set or removed.
pub(super) type KeyEdit<'a> = (&'a [u8], Option<&'a Leaf>);

/// A packed run as a page of its own.
pub(super) struct Run {
    /// The reference to it, but for the key bytes that it leaves out.
    pub child: Child,
    pub shape: Shape,
    /// Its first key, as far as it is known.
    pub first_key: Vec<u8>,
    /// New pages, children before parents, itself last.
    pub pages: Vec<(Object, Option<ObjectId>)>,
}

#[derive(Clone, Copy)]
struct FoldItem<'a> {
    key: Key,
    body: Body<'a>,
}

/// Where a key lies in `Fold::keys`.
#[derive(Clone, Copy)]
struct Key {
    start: usize,
    len: usize,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Leaf(&'a Leaf),
    /// An entry of `Fold::copied`.
    Copied {
        page: usize,
        index: usize,
    },
    /// A reference, with the key bytes that its page leaves out.
    Child {
        child: Child,
        base: usize,
    },
}

/// A packed run.
#[derive(Clone, Copy)]
struct Node {
    shape: Shape,
    /// Its first item on the item stack.
    start: usize,
    /// Bits shared with the node before.
    split: usize,
    /// Where its one item comes from, if that refers to a page that has not been read.
    unread: Option<Unread>,
    /// The old page with most of its items.
    origin: Option<ObjectId>,
}

/// An item of `Fold::copied`.
#[derive(Clone, Copy)]
struct Unread {
    page: usize,
    index: usize,
}

impl<'a> Fold<'a> {
    pub fn new(objects: &'a dyn ReadObjects, limits: Limits) -> Self {
        Self {
            objects,
            limits,
            keys: Vec::new(),
            items: Vec::new(),
            nodes: Vec::new(),
            floor: 0,
            copied: Vec::new(),
            known: HashSet::new(),
            place: None,
            pages: Vec::new(),
        }
    }

    /// Takes a new entry.
    pub fn push_leaf(&mut self, key: &[u8], leaf: &'a Leaf) -> Result<(), ReadError> {
        leaf.assert_valid();
        let key = self.add_key(0..0, key);
        self.push_entry(key, leaf_bytes(leaf), Body::Leaf(leaf))
    }

    /// Takes the items of an old page with edits between and in them. Edits outside of the run that
    /// the page holds take their place beside it.
    pub fn push_page(
        &mut self,
        id: &ObjectId,
        page: &Arc<Page>,
        prefix: &[u8],
        mut edits: &[KeyEdit<'a>],
    ) -> Result<(), ReadError> {
        self.known.insert(*id);
        let outer = (self.floor, self.place);
        self.floor = self.nodes.len();
        self.place = Some(*id);
        let prefix = self.add_key(0..0, prefix);
        let copied = self.copied.len();
        self.copied.push(Arc::clone(page));
        for (index, item) in page.items().enumerate() {
            let key = self.add_key(prefix.range(), item.suffix);
            match item.target {
                Target::Entry(entry) => {
                    edits = self.push_edits_while(edits, |edit, own| edit < own, key)?;
                    match edits.split_first() {
                        Some(((edited, leaf), rest)) if *edited == self.key(key) => {
                            edits = rest;
                            if let Some(leaf) = leaf {
                                self.push_leaf(edited, leaf)?;
                            }
                        }
                        _ => self.push_entry(
                            key,
                            entry.bytes(),
                            Body::Copied {
                                page: copied,
                                index,
                            },
                        )?,
                    }
                }
                Target::Child(child) => {
                    let base = prefix.len + usize::from(child.base);
                    let split = page.split_of(index).map(|split| split + prefix.len * 8);
                    let inside = |edit: &[u8], own: &[u8]| {
                        split.is_none_or(|split| shared_bits(edit, own) > split)
                    };
                    edits = self.push_edits_while(
                        edits,
                        |edit, own| edit < own && !inside(edit, own),
                        key,
                    )?;
                    let own = self.key(key);
                    let touching = edits
                        .iter()
                        .take_while(|(edit, _)| inside(edit, own))
                        .count();
                    let (touching, rest) = edits.split_at_checked(touching).unwrap_or((edits, &[]));
                    edits = rest;
                    self.push_child(
                        key,
                        Unread {
                            page: copied,
                            index,
                        },
                        child,
                        base,
                        touching,
                    )?;
                }
            }
        }
        self.push_edits_while(edits, |_, _| true, prefix)?;
        self.join_above(None)?;
        (self.floor, self.place) = outer;
        Ok(())
    }

    /// Takes items of a page that make up one run, as they are.
    pub fn push_run(
        &mut self,
        page: &Arc<Page>,
        prefix: &[u8],
        indices: Range<usize>,
    ) -> Result<(), ReadError> {
        let prefix = self.add_key(0..0, prefix);
        let start = self.items.len();
        if let (
            1,
            Some(Item {
                suffix,
                target: Target::Child(child),
            }),
        ) = (indices.len(), page.item(indices.start))
        {
            let from = Unread {
                page: self.copied.len(),
                index: indices.start,
            };
            self.copied.push(Arc::clone(page));
            let key = self.add_key(prefix.range(), suffix);
            return self.push_child(key, from, child, prefix.len + usize::from(child.base), &[]);
        }
        let shape = self.push_items(page, prefix, indices);
        self.nodes.push(Node {
            shape,
            start,
            split: 0,
            unread: None,
            origin: None,
        });
        Ok(())
    }

    /// Finishes with a root that leaves out `depth` key bytes, for which `old_root` gives way.
    pub fn finish(mut self, depth: usize, old_root: Option<ObjectId>) -> Result<Edited, ReadError> {
        self.floor = 0;
        self.place = old_root;
        self.join_above(None)?;
        let Some(node) = self.nodes.pop() else {
            let root = super::empty();
            let id = root.id();
            self.add_page(root, old_root);
            return Ok(Edited {
                root: id,
                pages: self.pages,
            });
        };
        let fits = node.shape.size_at(depth) <= self.limits.page_bytes;
        if fits && node.unread.is_some() {
            self.read(&node, self.items.len())?;
        } else if !fits {
            let whole = Range {
                start: node.start,
                end: self.items.len(),
            };
            if node.unread.is_none() {
                let child = self.write(whole, &node.shape, node.origin)?;
                self.items.truncate(node.start + 1);
                if let Some(item) = self.items.last_mut() {
                    item.body = Body::Child {
                        child,
                        base: node.shape.base,
                    };
                }
            }
            if let Some(item) = self.items.last_mut() {
                item.key.len = node.shape.base;
            }
        }
        let (object, _) = self.encode(node.start..self.items.len(), depth)?;
        let id = object.id();
        self.add_page(object, old_root);
        Ok(Edited {
            root: id,
            pages: self.pages,
        })
    }

    /// Finishes as a page that another refers to, written in the place of `old`. Nothing where no leaf is
    /// left, or where only a page is left that was there before.
    pub fn finish_run(mut self, old: ObjectId) -> Result<Option<Run>, ReadError> {
        let Some(node) = self.nodes.pop().filter(|node| node.unread.is_none()) else {
            return Ok(None);
        };
        let first_key = self
            .items
            .first()
            .map_or(Vec::new(), |item| self.key(item.key).to_vec());
        let items = node.start..self.items.len();
        let child = self.write(items, &node.shape, node.origin.or(Some(old)))?;
        Ok(Some(Run {
            child,
            shape: node.shape,
            first_key,
            pages: self.pages,
        }))
    }

    /// Takes edits from the front as long as they belong before the key `own`.
    fn push_edits_while<'e>(
        &mut self,
        mut edits: &'e [KeyEdit<'a>],
        before: impl Fn(&[u8], &[u8]) -> bool,
        own: Key,
    ) -> Result<&'e [KeyEdit<'a>], ReadError> {
        while let Some(((edit, leaf), rest)) = edits.split_first()
            && before(edit, self.key(own))
        {
            if let Some(leaf) = leaf {
                self.push_leaf(edit, leaf)?;
            }
            edits = rest;
        }
        Ok(edits)
    }

    fn push_entry(&mut self, key: Key, bytes: usize, body: Body<'a>) -> Result<(), ReadError> {
        let shape = Shape {
            items: 1,
            sum: bytes + key.len,
            base: key.len,
            height: 0,
            first_len: key.len,
        };
        let split = self.close(key)?;
        let start = self.items.len();
        self.items.push(FoldItem { key, body });
        self.nodes.push(Node {
            shape,
            start,
            split,
            unread: None,
            origin: None,
        });
        Ok(())
    }

    /// Takes a page that an old page refers to, whole or with the edits that touch it.
    fn push_child(
        &mut self,
        key: Key,
        from: Unread,
        child: Child,
        base: usize,
        edits: &[KeyEdit<'a>],
    ) -> Result<(), ReadError> {
        let split = self.close(key)?;
        if edits.is_empty() {
            let start = self.items.len();
            self.items.push(FoldItem {
                key,
                body: Body::Child { child, base },
            });
            let shape = child.shape(base, key.len);
            self.nodes.push(Node {
                shape,
                start,
                split,
                unread: Some(from),
                origin: Some(child.id),
            });
            return Ok(());
        }
        let Some(parent) = self.copied.get(from.page) else {
            return Ok(());
        };
        let page = read_child(self.objects, parent, from.index, &child, base)?;
        let prefix = self
            .key(Key {
                start: key.start,
                len: base,
            })
            .to_vec();
        let before = self.nodes.len();
        self.push_page(&child.id, &page, &prefix, edits)?;
        if self.nodes.len() > before
            && let Some(node) = self.nodes.last_mut()
        {
            node.split = split;
            node.origin = node.origin.or(Some(child.id));
        }
        Ok(())
    }

    /// Joins the runs that a leaf with this key closes; gives the bits that it shares with them.
    fn close(&mut self, key: Key) -> Result<usize, ReadError> {
        if self.nodes.len() <= self.floor {
            return Ok(0);
        }
        let before = self.items.last().map_or(key, |item| item.key);
        let split = shared_bits(self.key(before), self.key(key));
        self.join_above(Some(split))?;
        Ok(split)
    }

    /// Joins the nodes at the top of the stack that share more bits than `split`, or all.
    fn join_above(&mut self, split: Option<usize>) -> Result<(), ReadError> {
        while self.nodes.len() > self.floor + 1 {
            match self.nodes.as_slice() {
                [.., left, right] if split.is_none_or(|split| right.split > split) => {
                    let (left, right) = (*left, *right);
                    let joined = self.join(left, right)?;
                    self.nodes.truncate(self.nodes.len() - 2);
                    self.nodes.push(joined);
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn join(&mut self, left: Node, right: Node) -> Result<Node, ReadError> {
        let split = right.split;
        let seals = seals(&left.shape, &right.shape, split, &self.limits);
        let right_shape = self.settle(&right, self.items.len(), seals.right, split)?;
        let left_shape = self.settle(&left, right.start, seals.left, split)?;
        // A side that became one reference lies in the page that is being filled, not in its own.
        let left_origin = left.origin.filter(|_| !seals.left);
        let right_origin = right.origin.filter(|_| !seals.right);
        let larger = if left_shape.items >= right_shape.items {
            left_origin
        } else {
            right_origin
        };
        Ok(Node {
            shape: left_shape.joined(&right_shape, split),
            start: left.start,
            split: left.split,
            unread: None,
            origin: larger,
        })
    }

    /// Makes the items of a side of a join what the join decided.
    fn settle(
        &mut self,
        node: &Node,
        end: usize,
        seal: bool,
        split: usize,
    ) -> Result<Shape, ReadError> {
        match (seal, node.unread.is_some()) {
            (false, false) => return Ok(node.shape),
            (false, true) => return self.read(node, end),
            (true, true) => {}
            (true, false) => {
                let child = self.write(node.start..end, &node.shape, node.origin)?;
                if let Some(first) = self.items.get_mut(node.start) {
                    first.body = Body::Child {
                        child,
                        base: node.shape.base,
                    };
                }
                self.items.drain(node.start + 1..end);
            }
        }
        if let Some(first) = self.items.get_mut(node.start) {
            first.key.len = node.shape.cut_len(split);
        }
        Ok(node.shape.sealed(split))
    }

    /// Replaces the reference of an unread node by the items of its page.
    fn read(&mut self, node: &Node, end: usize) -> Result<Shape, ReadError> {
        let (
            Some(FoldItem {
                key,
                body: Body::Child { child, base },
            }),
            Some(unread),
        ) = (self.items.get(node.start).copied(), node.unread)
        else {
            return Ok(node.shape);
        };
        let Some(parent) = self.copied.get(unread.page) else {
            return Ok(node.shape);
        };
        let page = read_child(self.objects, parent, unread.index, &child, base)?;
        self.known.insert(child.id);
        let after = self.items.split_off(end);
        self.items.truncate(node.start);
        let shape = self.push_items(
            &page,
            Key {
                start: key.start,
                len: base,
            },
            0..page.len(),
        );
        self.items.extend(after);
        Ok(shape)
    }

    /// Puts items of an old page on the item stack; gives their shape as one run.
    fn push_items(&mut self, page: &Arc<Page>, prefix: Key, indices: Range<usize>) -> Shape {
        let copied = self.copied.len();
        self.copied.push(Arc::clone(page));
        let (start, mut sum, mut height) = (self.items.len(), 0, 0);
        for index in indices {
            let Some(item) = page.item(index) else {
                continue;
            };
            let key = self.add_key(prefix.range(), item.suffix);
            let body = match item.target {
                Target::Entry(entry) => {
                    sum += entry.bytes() + key.len;
                    Body::Copied {
                        page: copied,
                        index,
                    }
                }
                Target::Child(child) => {
                    sum += CHILD_BYTES + key.len;
                    height = height.max(child.height + 1);
                    Body::Child {
                        child,
                        base: prefix.len + usize::from(child.base),
                    }
                }
            };
            self.items.push(FoldItem { key, body });
        }
        let run = self.items.get(start..).unwrap_or(&[]);
        let first = run.first().map_or(prefix, |item| item.key);
        let last = run.last().map_or(prefix, |item| item.key);
        let base = if run.len() == 1 {
            first.len
        } else {
            shared_bits(self.key(first), self.key(last)) / 8
        };
        Shape {
            items: run.len(),
            sum,
            base,
            height,
            first_len: first.len,
        }
    }

    /// Writes a run as a page of its own.
    fn write(
        &mut self,
        items: Range<usize>,
        shape: &Shape,
        origin: Option<ObjectId>,
    ) -> Result<Child, ReadError> {
        let (object, count) = self.encode(items.clone(), shape.base)?;
        let child = Child {
            id: object.id(),
            page_bytes: u16::try_from(object.bytes().len()).unwrap_or(u16::MAX),
            items: u16::try_from(items.len()).unwrap_or(u16::MAX),
            base: 0,
            height: shape.height,
            count,
        };
        self.add_page(object, origin.or(self.place));
        Ok(child)
    }

    fn add_page(&mut self, object: Object, replaces: Option<ObjectId>) {
        if self.known.insert(object.id()) {
            self.pages.push((object, replaces));
        }
    }

    /// The page of these items that leaves out `depth` key bytes, and its number of keys.
    fn encode(&self, items: Range<usize>, depth: usize) -> Result<(Object, u32), ReadError> {
        let items = self.items.get(items).unwrap_or(&[]);
        let (mut count, mut height) = (0_u64, 0_u16);
        let mut ends: Vec<u8> = Vec::with_capacity(items.len() * 2);
        let mut body: Vec<u8> = Vec::with_capacity(self.limits.page_bytes);
        for item in items {
            let suffix = self.key(item.key).get(depth..).unwrap_or(&[]);
            match item.body {
                Body::Leaf(leaf) => {
                    body.extend([leaf_tag(leaf), byte(suffix.len())]);
                    body.extend_from_slice(suffix);
                    encode_leaf(leaf, &mut body);
                }
                Body::Copied { page, index } => {
                    let copied = self.copied.get(page).and_then(|page| page.item(index));
                    if let Some(Item {
                        target: Target::Entry(entry),
                        ..
                    }) = copied
                    {
                        body.extend([entry.tag, byte(suffix.len())]);
                        body.extend_from_slice(suffix);
                        body.extend_from_slice(entry.tail);
                    }
                }
                Body::Child { child, base } => {
                    body.extend([TAG_CHILD, byte(suffix.len())]);
                    body.extend_from_slice(suffix);
                    let base = byte(base - depth);
                    body.extend_from_slice(&Child { base, ..child }.tail());
                }
            }
            if let Body::Child { child, .. } = item.body {
                count += u64::from(child.count);
                height = height.max(child.height.saturating_add(1));
            } else {
                count += 1;
            }
            ends.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + ends.len() + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&u16::try_from(items.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&height.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&ends);
        bytes.extend_from_slice(&body);
        let object = Object::new(Kind::Page, bytes);
        // Only pages that claim more than they can have lead here: the rule alone stays far below.
        let count = u32::try_from(count).map_err(|_| {
            not_a_page(
                &object.id(),
                malformed(8, format!("a tree has at most {} keys", u32::MAX)),
            )
        })?;
        if height > HEIGHT_MAX {
            return Err(not_a_page(
                &object.id(),
                malformed(
                    6,
                    format!("the height is at most {HEIGHT_MAX}, here {height}"),
                ),
            ));
        }
        Ok((object, count))
    }

    fn add_key(&mut self, prefix: Range<usize>, suffix: &[u8]) -> Key {
        let start = self.keys.len();
        let len = prefix.len() + suffix.len();
        self.keys.extend_from_within(prefix);
        self.keys.extend_from_slice(suffix);
        Key { start, len }
    }

    fn key(&self, key: Key) -> &[u8] {
        self.keys.get(key.range()).unwrap_or(&[])
    }
}

impl Key {
    fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

fn leaf_tag(leaf: &Leaf) -> u8 {
    match leaf.value {
        LeafValue::Inline(_) => TAG_INLINE,
        LeafValue::Blob { .. } => TAG_BLOB,
    }
}

fn encode_leaf(leaf: &Leaf, out: &mut Vec<u8>) {
    let meta_flag = if leaf.meta.is_some() { FLAG_META } else { 0 };
    out.extend([leaf.entry_type, leaf.flags | meta_flag]);
    if let Some(meta) = &leaf.meta {
        out.extend_from_slice(meta.as_bytes());
    }
    match &leaf.value {
        LeafValue::Inline(bytes) => {
            out.push(byte(bytes.len()));
            out.extend_from_slice(bytes);
        }
        LeafValue::Blob { id, size } => {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(id.as_bytes());
        }
    }
}

/// What a leaf takes besides its key: offset 2, tag, key length, type, flags, value.
fn leaf_bytes(leaf: &Leaf) -> usize {
    let meta = if leaf.meta.is_some() { ID_BYTES } else { 0 };
    let value = match &leaf.value {
        LeafValue::Inline(bytes) => 1 + bytes.len(),
        LeafValue::Blob { .. } => 4 + ID_BYTES,
    };
    6 + meta + value
}

/// A length that the limits of keys and values keep below 256.
fn byte(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}
