//! Which fields a namespace document has at each place, so that all unknown ones can be named at
//! once; reading alone would stop at the first.

use crate::json::{Json, Pointer};
use crate::quoted::Quoted;
use crate::value::Problem;

/// What may stand at one place of a document.
pub(super) enum Shape {
    /// Something without fields of its own.
    Leaf,
    /// A list of one shape.
    List(&'static Shape),
    /// An object with these fields and no others.
    Object(&'static [(&'static str, Shape)]),
}

use Shape::{Leaf, List, Object};

pub(super) const DOCUMENT: Shape = Object(&[
    ("path", Leaf),
    ("displayName", Leaf),
    ("description", Leaf),
    ("owner", Leaf),
    ("inherit", Leaf),
    ("schema", Object(&[("$ref", Leaf)])),
    (
        "roles",
        Object(&[
            ("admin", Leaf),
            ("publisher", Leaf),
            ("editor", Leaf),
            ("viewer", Leaf),
        ]),
    ),
    ("settings", SETTINGS),
    (
        "metadata",
        Object(&[
            ("created", Leaf),
            ("createdBy", Leaf),
            ("updated", Leaf),
            ("updatedBy", Leaf),
        ]),
    ),
]);

const SETTINGS: Shape = Object(&[
    ("schemaEnforcement", Leaf),
    ("requireApproval", Leaf),
    ("minApprovers", Leaf),
    ("approvers", Leaf),
    ("allowSelfApproval", Leaf),
    ("environment", Leaf),
    ("autoApprove", List(&AUTO_APPROVE_RULE)),
    ("freeze", List(&FREEZE_WINDOW)),
    ("guards", GUARDS),
    ("valueBytesMax", Leaf),
    ("secretSchemes", Leaf),
    ("secretResolvers", Leaf),
]);

const AUTO_APPROVE_RULE: Shape = Object(&[
    ("name", Leaf),
    ("keys", Leaf),
    ("changes", Leaf),
    ("roles", Leaf),
    ("tags", Leaf),
]);

const FREEZE_WINDOW: Shape = Object(&[("from", Leaf), ("until", Leaf), ("reason", Leaf)]);

const GUARDS: Shape = Object(&[
    ("keysRemovedMax", Leaf),
    ("percentRemovedMax", Leaf),
    ("keysChangedMax", Leaf),
    ("percentChangedMax", Leaf),
    ("growthBytesMax", Leaf),
    ("approvers", Leaf),
]);

/// A problem for each field that a document does not have, and each part that is no object or list
/// where one belongs.
pub(super) fn problems(document: &Json) -> Vec<Problem> {
    let mut problems = Vec::new();
    collect(document, &DOCUMENT, &Pointer::root(), &mut problems);
    problems
}

fn wrong(pointer: &Pointer, what: impl Into<String>) -> Problem {
    let pointer = Some(pointer.clone()).filter(|pointer| !pointer.is_root());
    Problem {
        pointer,
        ..Problem::whole(what)
    }
}

fn collect(json: &Json, shape: &Shape, pointer: &Pointer, problems: &mut Vec<Problem>) {
    match (json, shape) {
        (Json::Array(items), List(of)) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, of, &pointer.item(index), problems);
            }
        }
        (Json::Object(members), Object(fields)) => {
            for (name, value) in members {
                let pointer = pointer.member(name);
                match fields.iter().find(|(field, _)| field == name) {
                    Some((_, shape)) => collect(value, shape, &pointer, problems),
                    None => {
                        let allowed: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
                        let what = format!(
                            "there is no field {} here; allowed are {}",
                            Quoted(name),
                            allowed.join(", ")
                        );
                        problems.push(wrong(&pointer, what));
                    }
                }
            }
        }
        // Other wrong types are reported where the document is read; but that would take a list
        // for an object, field by field.
        (Json::Null, _) | (_, Leaf) => {}
        (_, List(_)) => problems.push(wrong(pointer, "it must be a list")),
        (_, Object(_)) => problems.push(wrong(pointer, "it must be an object")),
    }
}
