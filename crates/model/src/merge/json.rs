//! JSON values merged by path.
//!
//! Objects are merged by name. Arrays are merged by the field that identifies their items, as long
//! as neither side moved any; other arrays are merged as a whole.
//!
//! Collisions name members by their path, and items by their place in the base.
//!
//! The result is our text, into which theirs' changes are written: what only we changed, and what
//! nobody changed, keeps our spelling, spaces and order of members.

use std::collections::{BTreeMap, BTreeSet};

use super::Collision;
use crate::diff::{identities, identity_of};
use crate::json::parse::{Member, Node, NodeKind};
use crate::json::{Document, Json, Pointer};
use crate::value::Value;

/// Merges three values of type `json` and gives the text of the result.
pub(super) fn merge(base: &Value, ours: &Value, theirs: &Value) -> Result<String, Collision> {
    let read = |value| Document::parse(Value::bytes(value)).map_err(|_| Collision::whole());
    let (base, ours, theirs) = (read(base)?, read(ours)?, read(theirs)?);
    let mut merger = Merger {
        collisions: Vec::new(),
    };
    let three = Three {
        base: Part {
            text: base.text(),
            node: base.root(),
        },
        ours: Part {
            text: ours.text(),
            node: ours.root(),
        },
        theirs: Part {
            text: theirs.text(),
            node: theirs.root(),
        },
    };
    let merged = merger.merge(&Pointer::root(), three);
    if !merger.collisions.is_empty() {
        merger.collisions.sort();
        merger.collisions.dedup();
        return Err(Collision(merger.collisions));
    }
    let span = &ours.root().span;
    let before = ours.text().get(..span.start).unwrap_or_default();
    let after = ours.text().get(span.end..).unwrap_or_default();
    Ok(format!("{before}{merged}{after}"))
}

/// A part of a JSON value and the text it stands in.
#[derive(Clone, Copy)]
struct Part<'t> {
    text: &'t str,
    node: &'t Node,
}

impl<'t> Part<'t> {
    fn raw(self) -> &'t str {
        self.text.get(self.node.span.clone()).unwrap_or_default()
    }

    fn same_meaning(self, other: Self) -> bool {
        self.raw() == other.raw() || self.node.to_json().same_meaning(&other.node.to_json())
    }

    fn with(self, node: &'t Node) -> Self {
        Self { node, ..self }
    }
}

/// One part in its three states.
#[derive(Clone, Copy)]
struct Three<'t> {
    base: Part<'t>,
    ours: Part<'t>,
    theirs: Part<'t>,
}

/// An element of a merged object or array.
struct Chunk<'t> {
    /// The white space before it where it comes from, unless it is the first there.
    lead: Option<&'t str>,
    text: String,
}

struct Merger {
    collisions: Vec<Pointer>,
}

impl Merger {
    /// The text of the merged part; where changes collide, it is noted and the text is void.
    fn merge(&mut self, at: &Pointer, three: Three<'_>) -> String {
        let Three { base, ours, theirs } = three;
        if theirs.same_meaning(base) || theirs.same_meaning(ours) {
            return ours.raw().to_owned();
        }
        if ours.raw() == base.raw() {
            return theirs.raw().to_owned();
        }
        match (&base.node.kind, &ours.node.kind, &theirs.node.kind) {
            (NodeKind::Object(b), NodeKind::Object(o), NodeKind::Object(t)) => {
                self.merge_objects(at, three, b, o, t)
            }
            (NodeKind::Array(b), NodeKind::Array(o), NodeKind::Array(t)) => {
                self.merge_arrays(at, three, b, o, t)
            }
            _ => self.merge_whole(at, three),
        }
    }

    /// Merges a part without looking into it, where theirs means something else than ours.
    fn merge_whole(&mut self, at: &Pointer, three: Three<'_>) -> String {
        match three.ours.same_meaning(three.base) {
            true => three.theirs.raw().to_owned(),
            false => self.collide(at),
        }
    }

    fn collide(&mut self, at: &Pointer) -> String {
        self.collisions.push(at.clone());
        String::new()
    }

    fn merge_objects<'t>(
        &mut self,
        at: &Pointer,
        three: Three<'t>,
        base: &'t [Member],
        ours: &'t [Member],
        theirs: &'t [Member],
    ) -> String {
        let (in_base, in_ours, in_theirs) = (by_name(base), by_name(ours), by_name(theirs));
        let our_spaces = Spaces::of(three.ours, ours.iter().map(Member::extent));
        let their_spaces = Spaces::of(three.theirs, theirs.iter().map(Member::extent));
        let mut kept: Vec<(&str, Chunk<'t>)> = Vec::new();
        for (member, lead) in ours.iter().zip(&our_spaces.leads) {
            let at = at.member(&member.name);
            let our_part = three.ours.with(&member.value);
            let base_part = in_base
                .get(&*member.name)
                .map(|found| three.base.with(&found.value));
            let their_part = in_theirs
                .get(&*member.name)
                .map(|found| three.theirs.with(&found.value));
            if let Some(value) = self.merge_present(&at, base_part, our_part, their_part) {
                let name = three.ours.text.get(member.start..member.value.span.start);
                let text = format!("{}{value}", name.unwrap_or_default());
                kept.push((&member.name, Chunk { lead: *lead, text }));
            }
        }
        let kept_names: BTreeSet<&str> = kept.iter().map(|(name, _)| *name).collect();
        // Their new members, by the member of the result that they follow.
        let mut new: BTreeMap<Option<&str>, Vec<Chunk<'t>>> = BTreeMap::new();
        let mut before = None;
        for (member, lead) in theirs.iter().zip(&their_spaces.leads) {
            if let Some(name) = kept_names.get(&*member.name) {
                before = Some(*name);
            }
            if in_ours.contains_key(&*member.name) {
                continue;
            }
            let their_part = three.theirs.with(&member.value);
            match in_base.get(&*member.name) {
                Some(found) if their_part.same_meaning(three.base.with(&found.value)) => {}
                Some(_) => {
                    self.collide(&at.member(&member.name));
                }
                None => {
                    let text = three.theirs.text.get(member.start..member.value.span.end);
                    let text = text.unwrap_or_default().to_owned();
                    let lead = our_spaces.usual().or(*lead);
                    new.entry(before).or_default().push(Chunk { lead, text });
                }
            }
        }
        let mut chunks: Vec<Chunk<'t>> = new.remove(&None).unwrap_or_default();
        for (name, chunk) in kept {
            chunks.push(chunk);
            chunks.extend(new.remove(&Some(name)).unwrap_or_default());
        }
        join(('{', '}'), &chunks, &our_spaces, &their_spaces)
    }

    /// Merges a part that we have; `None` where they removed it.
    fn merge_present(
        &mut self,
        at: &Pointer,
        base: Option<Part<'_>>,
        ours: Part<'_>,
        theirs: Option<Part<'_>>,
    ) -> Option<String> {
        match (base, theirs) {
            (Some(base), Some(theirs)) => Some(self.merge(at, Three { base, ours, theirs })),
            (None, Some(theirs)) if !ours.same_meaning(theirs) => Some(self.collide(at)),
            (None, _) => Some(ours.raw().to_owned()),
            (Some(base), None) if ours.same_meaning(base) => None,
            (Some(_), None) => Some(self.collide(at)),
        }
    }

    fn merge_arrays<'t>(
        &mut self,
        at: &Pointer,
        three: Three<'t>,
        base: &'t [Node],
        ours: &'t [Node],
        theirs: &'t [Node],
    ) -> String {
        let trees = [base, ours, theirs].map(|items| items.iter().map(Node::to_json).collect());
        let trees: [Vec<Json>; 3] = trees;
        let [in_base, in_ours, in_theirs] = &trees;
        let Some(field) = identities(&[in_base, in_ours, in_theirs]) else {
            return self.merge_whole(at, three);
        };
        let base = Items::new(three.base, base, in_base, field);
        let ours = Items::new(three.ours, ours, in_ours, field);
        let theirs = Items::new(three.theirs, theirs, in_theirs, field);
        let (Some(our_gaps), Some(their_gaps)) = (ours.gaps(&base), theirs.gaps(&base)) else {
            return self.merge_whole(at, three);
        };
        let mut chunks: Vec<Chunk<'t>> = Vec::new();
        for (gap, identity) in std::iter::once(None)
            .chain(base.order.iter().map(Some))
            .enumerate()
        {
            if let Some(identity) = identity {
                let at = at.item(base.place(identity).unwrap_or_default());
                match (
                    base.part(identity),
                    ours.part(identity),
                    theirs.part(identity),
                ) {
                    (base_part, Some(our_part), their_part) => {
                        if let Some(text) = self.merge_present(&at, base_part, our_part, their_part)
                        {
                            chunks.push(Chunk {
                                lead: ours.lead(identity),
                                text,
                            });
                        }
                    }
                    (Some(base_part), None, Some(their_part))
                        if !their_part.same_meaning(base_part) =>
                    {
                        self.collide(&at);
                    }
                    _ => {}
                }
            }
            let nothing = Vec::new();
            let (our_new, their_new) = (
                our_gaps.get(gap).unwrap_or(&nothing),
                their_gaps.get(gap).unwrap_or(&nothing),
            );
            let (side, new) = match (our_new.is_empty(), their_new.is_empty()) {
                (_, true) => (&ours, our_new),
                (true, false) => (&theirs, their_new),
                (false, false) if our_new == their_new => (&ours, our_new),
                (false, false) => {
                    self.collide(at);
                    continue;
                }
            };
            for identity in new {
                match (ours.part(identity), theirs.part(identity)) {
                    // The same new item on both sides must be the same, at the same place.
                    (Some(our_part), Some(their_part))
                        if our_new != their_new || !our_part.same_meaning(their_part) =>
                    {
                        self.collide(at);
                    }
                    _ => {}
                }
                if let Some(part) = side.part(identity) {
                    let lead = ours.spaces.usual().or(side.lead(identity));
                    chunks.push(Chunk {
                        lead,
                        text: part.raw().to_owned(),
                    });
                }
            }
        }
        join(('[', ']'), &chunks, &ours.spaces, &theirs.spaces)
    }
}

fn by_name(members: &[Member]) -> BTreeMap<&str, &Member> {
    members
        .iter()
        .map(|member| (&*member.name, member))
        .collect()
}

impl Member {
    /// Where it starts and ends.
    fn extent(&self) -> (usize, usize) {
        (self.start, self.value.span.end)
    }
}

/// The items of an array whose items have an identity.
struct Items<'t> {
    order: Vec<Vec<u8>>,
    by_identity: BTreeMap<Vec<u8>, (usize, Part<'t>)>,
    spaces: Spaces<'t>,
}

impl<'t> Items<'t> {
    fn new(array: Part<'t>, nodes: &'t [Node], trees: &[Json], field: &str) -> Self {
        let order: Vec<Vec<u8>> = trees.iter().map(|item| identity_of(item, field)).collect();
        let parts = nodes.iter().map(|node| array.with(node)).enumerate();
        Self {
            by_identity: order.iter().cloned().zip(parts).collect(),
            spaces: Spaces::of(
                array,
                nodes.iter().map(|node| (node.span.start, node.span.end)),
            ),
            order,
        }
    }

    fn place(&self, identity: &[u8]) -> Option<usize> {
        self.by_identity.get(identity).map(|(place, _)| *place)
    }

    fn part(&self, identity: &[u8]) -> Option<Part<'t>> {
        self.by_identity.get(identity).map(|(_, part)| *part)
    }

    fn lead(&self, identity: &[u8]) -> Option<&'t str> {
        self.spaces
            .leads
            .get(self.place(identity)?)
            .copied()
            .flatten()
    }

    /// The new items before the first item of the base, after its first, and so on; `None` where
    /// items of the base changed places.
    fn gaps(&self, base: &Self) -> Option<Vec<Vec<&Vec<u8>>>> {
        let mut gaps: Vec<Vec<&Vec<u8>>> = vec![Vec::new(); base.order.len() + 1];
        let mut gap = 0;
        for identity in &self.order {
            match base.place(identity) {
                Some(place) if place >= gap => gap = place + 1,
                Some(_) => return None,
                None => gaps.get_mut(gap)?.push(identity),
            }
        }
        Some(gaps)
    }
}

/// The white space between the elements of an object or array.
struct Spaces<'t> {
    /// Before the first element.
    first: Option<&'t str>,
    /// Before each element; `None` for the first.
    leads: Vec<Option<&'t str>>,
    /// After the last element.
    last: Option<&'t str>,
}

impl<'t> Spaces<'t> {
    fn of(container: Part<'t>, extents: impl Iterator<Item = (usize, usize)>) -> Self {
        let between = |start: usize, end: usize| container.text.get(start..end).unwrap_or_default();
        let mut spaces = Self {
            first: None,
            leads: Vec::new(),
            last: None,
        };
        let mut end_before = None;
        for (start, end) in extents {
            match end_before {
                None => {
                    spaces.first = Some(between(container.node.span.start + 1, start));
                    spaces.leads.push(None);
                }
                Some(before) => {
                    let separator = between(before, start);
                    spaces
                        .leads
                        .push(separator.split_once(',').map(|(_, lead)| lead));
                }
            }
            end_before = Some(end);
        }
        spaces.last = end_before.map(|end| between(end, container.node.span.end.saturating_sub(1)));
        spaces
    }

    /// What stands before an element that is not the first: on lines of their own, the same as
    /// before the first.
    fn usual(&self) -> Option<&'t str> {
        let on_lines = self.first.filter(|first| first.contains('\n'));
        on_lines.or_else(|| self.leads.get(1).copied().flatten())
    }
}

/// Writes elements between brackets, spaced as ours are.
fn join(
    (open, close): (char, char),
    chunks: &[Chunk<'_>],
    ours: &Spaces<'_>,
    theirs: &Spaces<'_>,
) -> String {
    if chunks.is_empty() {
        return format!("{open}{close}");
    }
    let mut out = String::from(open);
    for (index, chunk) in chunks.iter().enumerate() {
        if index > 0 {
            out.push(',');
            let usual = chunk.lead.or(ours.usual()).or(theirs.usual());
            out.push_str(usual.unwrap_or(" "));
        } else {
            out.push_str(ours.first.or(theirs.first).unwrap_or_default());
        }
        out.push_str(&chunk.text);
    }
    out.push_str(ours.last.or(theirs.last).unwrap_or_default());
    out.push(close);
    out
}
