//! What publishing would do to everything that inherits.

use confman_api::entry::TreeEntry;
use confman_api::schema::{EffectiveChange, Preview};

use crate::error::item_line;
use crate::render::value;
use crate::text::{Role, Text, count};

/// Every effective value that changes, by namespace, and what stands in the way.
pub(crate) fn all(found: &Preview) -> Text {
    let mut text = Text::new();
    for namespace in &found.namespaces {
        text.push(Role::Heading, &namespace.namespace)
            .faint(&format!(
                "  {}",
                count(namespace.changes.len(), "effective value")
            ))
            .end_line();
        for change in &namespace.changes {
            text.append(line(change));
        }
    }
    for void in &found.void {
        text.faint("no effect  ")
            .plain(&format!("{}:{}", void.namespace, void.key))
            .faint("  is its own there")
            .end_line();
    }
    for violation in &found.violations {
        text.push(Role::Error, "breaks")
            .append(item_line(violation));
    }
    for warning in &found.warnings {
        text.faint("warning  ").plain(warning).end_line();
    }
    if found.namespaces.is_empty() && found.void.is_empty() && found.violations.is_empty() {
        text.plain("no effective value changes").end_line();
    }
    text
}

fn line(change: &EffectiveChange) -> Text {
    let mut text = Text::new();
    let (mark, role) = match (&change.old, &change.new) {
        (None, _) => ("  + ", Role::Added),
        (Some(_), None) => ("  - ", Role::Removed),
        (Some(_), Some(_)) => ("  ~ ", Role::Plain),
    };
    text.push(role, mark).plain(&change.key).plain("  ");
    let sides: Vec<String> = [&change.old, &change.new]
        .into_iter()
        .flatten()
        .map(shown)
        .collect();
    text.plain(&sides.join(" → "));
    if let Some(from) = change.new_from.as_ref().or(change.old_from.as_ref()) {
        text.faint(&format!("  of {from}"));
    }
    text.end_line();
    text
}

fn shown(entry: &TreeEntry) -> String {
    value::preview(
        &entry.key,
        entry.entry_type.as_deref(),
        entry.value.as_deref(),
        entry.size,
        entry.unset,
    )
}
