//! One key as text, line by line, in the form of a unified diff.

use confman_model::{Entry, EntryDiff};
use similar::{ChangeTag, TextDiff};

use super::words::without_end;
use super::{CONTEXT_LINES, details, text_of};
use crate::text::{Role, Text};

/// One key as text, line by line, in the form of a unified diff.
pub(super) fn as_text(diff: &EntryDiff) -> Text {
    let side = |entry: &Option<Entry>| entry.as_ref().map(text_of).unwrap_or_default();
    let (old, new) = (side(&diff.old), side(&diff.new));
    let mut text = Text::new();
    let name = |entry: &Option<Entry>, letter: &str| match entry {
        None => "/dev/null".to_owned(),
        Some(_) => format!("{letter}/{}", diff.key),
    };
    text.push(Role::Heading, &format!("--- {}", name(&diff.old, "a")))
        .end_line();
    text.push(Role::Heading, &format!("+++ {}", name(&diff.new, "b")))
        .end_line();
    let lines = TextDiff::from_lines(&old, &new);
    for hunk in lines
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .iter_hunks()
    {
        text.faint(&hunk.header().to_string()).end_line();
        let changes = hunk.ops().iter();
        for change in changes.flat_map(|op| lines.iter_inline_changes(op)) {
            let (role, word_role, sign) = match change.tag() {
                ChangeTag::Equal => (Role::Plain, Role::Plain, " "),
                ChangeTag::Delete => (Role::Removed, Role::RemovedWord, "-"),
                ChangeTag::Insert => (Role::Added, Role::AddedWord, "+"),
            };
            text.push(role, sign);
            for (differs, part) in change.iter_strings_lossy() {
                let role = if differs { word_role } else { role };
                text.push(role, without_end(&part));
            }
            text.end_line();
            if change.missing_newline() {
                text.faint("\\ no line end at the end of the value")
                    .end_line();
            }
        }
    }
    if let Some((old, new)) = diff.details.entry_type {
        text.plain("  ").faint("type: ");
        text.push(Role::Removed, old.name())
            .plain(" → ")
            .push(Role::Added, new.name())
            .end_line();
    }
    text.append(details(&diff.details));
    text
}
