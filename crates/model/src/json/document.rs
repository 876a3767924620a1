//! JSON text together with where each part of it stands.

use std::ops::Range;

use super::parse::{self, Node, NodeKind};
use super::{Json, Number, Pointer};
use crate::value::Problem;

/// A JSON text that was read strictly, and where its parts are.
#[derive(Debug, Clone)]
pub struct Document<'t> {
    text: &'t str,
    root: Node,
}

impl<'t> Document<'t> {
    /// Reads JSON text strictly.
    ///
    /// # Errors
    /// Reports every problem it can tell apart.
    pub fn parse(text: &'t [u8]) -> Result<Self, Vec<Problem>> {
        let (text, root) = parse::parse(text)?;
        Ok(Self { text, root })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The value without positions.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.root.to_json()
    }

    /// The value without positions.
    #[must_use]
    pub fn into_json(self) -> Json {
        self.root.into_json()
    }

    /// The bytes of the text that hold the part `pointer` names.
    #[must_use]
    pub fn locate(&self, pointer: &Pointer) -> Option<Range<usize>> {
        let mut node = &self.root;
        for step in pointer.steps() {
            node = match &node.kind {
                NodeKind::Object(members) => {
                    &members.iter().find(|member| member.name == step)?.value
                }
                NodeKind::Array(items) => items.get(super::pointer::index(&step)?)?,
                _ => return None,
            };
        }
        Some(node.span.clone())
    }

    /// All numbers with where they stand, in the order of the text.
    pub(crate) fn numbers(&self) -> Vec<(Pointer, usize, &Number)> {
        let mut found = Vec::new();
        collect_numbers(&self.root, &Pointer::root(), &mut found);
        found
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

fn collect_numbers<'n>(
    node: &'n Node,
    pointer: &Pointer,
    found: &mut Vec<(Pointer, usize, &'n Number)>,
) {
    match &node.kind {
        NodeKind::Number(number) => found.push((pointer.clone(), node.span.start, number)),
        NodeKind::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_numbers(item, &pointer.item(index), found);
            }
        }
        NodeKind::Object(members) => {
            for member in members {
                collect_numbers(&member.value, &pointer.member(&member.name), found);
            }
        }
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::String(_) => {}
    }
}

impl Node {
    pub(crate) fn to_json(&self) -> Json {
        match &self.kind {
            NodeKind::Null => Json::Null,
            NodeKind::Bool(value) => Json::Bool(*value),
            NodeKind::Number(number) => Json::Number(number.clone()),
            NodeKind::String(text) => Json::String(text.clone()),
            NodeKind::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            NodeKind::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|member| (member.name.clone(), member.value.to_json()))
                    .collect(),
            ),
        }
    }

    fn into_json(self) -> Json {
        match self.kind {
            NodeKind::Null => Json::Null,
            NodeKind::Bool(value) => Json::Bool(value),
            NodeKind::Number(number) => Json::Number(number),
            NodeKind::String(text) => Json::String(text),
            NodeKind::Array(items) => Json::Array(items.into_iter().map(Self::into_json).collect()),
            NodeKind::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|member| (member.name, member.value.into_json()))
                    .collect(),
            ),
        }
    }
}
