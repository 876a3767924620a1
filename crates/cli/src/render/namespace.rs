//! Namespaces: a list, a tree, and one document.

use confman_api::explain::EffectiveNamespace;
use confman_api::namespace::{
    DeletedNamespace, DocumentVersion, MovedNamespaces, NamespaceDocument, NamespaceSummary,
};

use crate::render::time;
use crate::text::{Role, Text, count, short};

/// One namespace a line.
pub(crate) fn list(namespaces: &[NamespaceSummary]) -> Text {
    let rows: Vec<_> = namespaces
        .iter()
        .map(|namespace| {
            vec![
                (Role::Heading, namespace.path.clone()),
                (Role::Plain, keys(namespace)),
                (Role::Faint, namespace.owner.clone()),
                (Role::Faint, namespace.display_name.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

/// Namespaces below one another.
pub(crate) fn tree(namespaces: &[NamespaceSummary]) -> Text {
    // By segments: as text, `/a-b` would stand between `/a` and `/a/b`.
    let mut namespaces = namespaces.to_vec();
    namespaces.sort_by(|one, other| one.path.split('/').cmp(other.path.split('/')));
    let namespaces = namespaces.as_slice();
    let mut text = Text::new();
    for (index, namespace) in namespaces.iter().enumerate() {
        let rest = namespaces.get(index + 1..).unwrap_or_default();
        let Some(above) =
            nearest_above(namespaces.get(..index).unwrap_or_default(), &namespace.path)
        else {
            text.push(Role::Heading, &namespace.path);
            text.plain("  ").faint(&keys(namespace)).end_line();
            continue;
        };
        text.faint(&branches(namespaces, index, rest));
        let name = namespace
            .path
            .strip_prefix(above)
            .unwrap_or(&namespace.path);
        text.push(Role::Heading, name.trim_start_matches('/'));
        text.plain("  ").faint(&keys(namespace)).end_line();
    }
    text
}

/// The lines that lead from the ancestors of a row to it.
fn branches(namespaces: &[NamespaceSummary], index: usize, rest: &[NamespaceSummary]) -> String {
    let Some(mut path) = namespaces
        .get(index)
        .map(|namespace| namespace.path.as_str())
    else {
        return String::new();
    };
    let before = namespaces.get(..index).unwrap_or_default();
    let mut lines = Vec::new();
    while let Some(above) = nearest_above(before, path) {
        let has_later_sibling = rest
            .iter()
            .take_while(|later| is_below(&later.path, above))
            .any(|later| !is_below(&later.path, path) && later.path != path);
        lines.push(match (lines.is_empty(), has_later_sibling) {
            (true, true) => "├─ ",
            (true, false) => "└─ ",
            (false, true) => "│  ",
            (false, false) => "   ",
        });
        path = above;
    }
    lines.reverse();
    lines.concat()
}

/// The deepest of `before` that `path` lies below.
fn nearest_above<'a>(before: &'a [NamespaceSummary], path: &str) -> Option<&'a str> {
    before
        .iter()
        .map(|namespace| namespace.path.as_str())
        .filter(|above| is_below(path, above))
        .max_by_key(|above| above.len())
}

fn is_below(path: &str, above: &str) -> bool {
    match above {
        "/" => path != "/",
        above => path
            .strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/')),
    }
}

fn keys(namespace: &NamespaceSummary) -> String {
    match namespace.published {
        None => "nothing published".to_owned(),
        Some(_) => count(usize::try_from(namespace.keys).unwrap_or(usize::MAX), "key"),
    }
}

/// The document of a namespace.
pub(crate) fn document(document: &NamespaceDocument) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, document.path.as_str()).end_line();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            text.plain("  ")
                .faint(&format!("{name:<13}"))
                .plain(value)
                .end_line();
        }
    };
    field("name", &document.display_name);
    field("description", &document.description);
    field("owner", &document.owner);
    field("inherits", if document.inherit { "yes" } else { "no" });
    if let Some(schema) = &document.schema {
        field("schema", &schema.path.to_string());
    }
    field("admin", &document.roles.admin.join(", "));
    field("publisher", &document.roles.publisher.join(", "));
    field("editor", &document.roles.editor.join(", "));
    field("viewer", &document.roles.viewer.join(", "));
    if let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(&document.settings) {
        for (name, value) in &settings {
            field("setting", &format!("{name} = {value}"));
        }
    }
    let made = |at: &str, by: &str| match by.is_empty() {
        true => time(at),
        false => format!("{} by {by}", time(at)),
    };
    field(
        "created",
        &made(&document.metadata.created, &document.metadata.created_by),
    );
    field(
        "updated",
        &made(&document.metadata.updated, &document.metadata.updated_by),
    );
    text
}

/// What holds in a namespace beside its values, and who says so.
pub(crate) fn effective(found: &EffectiveNamespace) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &found.namespace).end_line();
    let chain: Vec<&str> = found
        .chain
        .iter()
        .map(|part| part.namespace.as_str())
        .collect();
    text.plain("  ")
        .faint("chain  ")
        .plain(&chain.join(" → "))
        .end_line();
    for schema in &found.schemas {
        text.plain("  ")
            .faint("schema ")
            .plain(&schema.path)
            .faint(&format!("  of {}", schema.namespace))
            .end_line();
    }
    let rows: Vec<_> = found
        .settings
        .iter()
        .map(|setting| {
            let from = setting.from.as_deref().unwrap_or("the system's default");
            vec![
                (Role::Plain, format!("  {}", setting.name)),
                (Role::Plain, setting.value.to_string()),
                (Role::Faint, from.to_owned()),
            ]
        })
        .collect();
    text.append(super::columns(&rows));
    let rows: Vec<_> = found
        .grants
        .iter()
        .map(|grant| {
            vec![
                (Role::Plain, format!("  {}", grant.role)),
                (Role::Plain, grant.holder.clone()),
                (Role::Faint, grant.namespace.clone()),
            ]
        })
        .collect();
    text.append(super::columns(&rows));
    text
}

/// A version of a document.
pub(crate) fn version(version: &DocumentVersion) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("version {}", version.version))
        .plain("  ")
        .push(Role::Id, short(&version.commit))
        .plain("  ")
        .faint(&time(&version.at))
        .plain("  ")
        .plain(&version.by)
        .plain("  ")
        .plain(&version.message)
        .end_line();
    text
}

/// What was deleted or restored.
pub(crate) fn moved(verb: &str, moved: &MovedNamespaces) -> Text {
    let mut text = Text::new();
    for namespace in &moved.namespaces {
        text.faint(verb).plain(" ").plain(namespace).end_line();
    }
    text
}

/// Namespaces that were deleted, one a line.
pub(crate) fn deleted(deleted: &[DeletedNamespace]) -> Text {
    let rows: Vec<_> = deleted
        .iter()
        .map(|one| {
            vec![
                (Role::Heading, one.path.clone()),
                (Role::Id, one.deletion.clone()),
                (
                    Role::Faint,
                    format!("{} by {}", time(&one.deleted_at), one.deleted_by),
                ),
                (Role::Faint, one.owner.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(path: &str, keys: u64) -> NamespaceSummary {
        NamespaceSummary {
            path: path.to_owned(),
            display_name: String::new(),
            owner: "team".to_owned(),
            published: (keys > 0).then(|| "ab".repeat(32)),
            keys,
        }
    }

    fn some() -> Vec<NamespaceSummary> {
        ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e-f", "/e/g"]
            .into_iter()
            .zip([0, 1, 2, 3, 4, 5, 6, 7])
            .map(|(path, keys)| summary(path, keys))
            .collect()
    }

    #[test]
    fn a_list() {
        insta::assert_snapshot!(list(&some()).to_plain(), @"
        /       nothing published  team
        /a      1 key              team
        /a/b    2 keys             team
        /a/b/c  3 keys             team
        /a/d    4 keys             team
        /e      5 keys             team
        /e-f    6 keys             team
        /e/g    7 keys             team
        ");
    }

    #[test]
    fn a_tree() {
        insta::assert_snapshot!(tree(&some()).to_plain(), @"
        /  nothing published
        ├─ a  1 key
        │  ├─ b  2 keys
        │  │  └─ c  3 keys
        │  └─ d  4 keys
        ├─ e  5 keys
        │  └─ g  7 keys
        └─ e-f  6 keys
        ");
    }

    #[test]
    fn a_part_of_a_tree_begins_at_its_own_top() {
        let part = [summary("/a/b", 2), summary("/a/b/c", 3)];
        insta::assert_snapshot!(tree(&part).to_plain(), @"
        /a/b  2 keys
        └─ c  3 keys
        ");
    }
}
