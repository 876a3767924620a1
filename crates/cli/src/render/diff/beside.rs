//! Both values of a key beside each other.

use confman_model::{Entry, EntryDiff, EntryType, Json};
use similar::{ChangeTag, TextDiff};

use super::words::without_end;
use super::{CONTEXT_LINES, details, headline, text_of};
use crate::text::{Role, Text, escape};

/// Columns that are no side's: before the left one and between the two.
const SIDES_GAP: usize = 5;

/// One key with both its values beside each other.
pub(super) fn side_by_side(diff: &EntryDiff, width: usize) -> Text {
    let side = |entry: &Option<Entry>| entry.as_ref().map(readable_text_of).unwrap_or_default();
    let (old, new) = (side(&diff.old), side(&diff.new));
    let lines = TextDiff::from_lines(&old, &new);
    let room = width.saturating_sub(SIDES_GAP) / 2;
    let mut text = headline(diff);
    for group in lines.grouped_ops(CONTEXT_LINES) {
        for operation in group {
            let mut left = Vec::new();
            let mut right = Vec::new();
            for change in lines.iter_changes(&operation) {
                let line = without_end(change.value()).to_owned();
                match change.tag() {
                    ChangeTag::Equal => {
                        left.push((Role::Plain, line.clone()));
                        right.push((Role::Plain, line));
                    }
                    ChangeTag::Delete => left.push((Role::Removed, line)),
                    ChangeTag::Insert => right.push((Role::Added, line)),
                }
            }
            for row in 0..left.len().max(right.len()) {
                text.append(beside(left.get(row), right.get(row), room));
            }
        }
    }
    text.append(details(&diff.details));
    text
}

/// A line of each side, cut to the room that it has.
fn beside(left: Option<&(Role, String)>, right: Option<&(Role, String)>, room: usize) -> Text {
    let cut = |line: &str| {
        let line = escape(line).replace('\t', "  ");
        match line.chars().count() > room {
            true => line
                .chars()
                .take(room.saturating_sub(1))
                .chain(['…'])
                .collect(),
            false => line,
        }
    };
    let mut text = Text::new();
    let (role, line) = match left {
        Some((role, line)) => (*role, cut(line)),
        None => (Role::Plain, String::new()),
    };
    let space = room.saturating_sub(line.chars().count());
    text.plain("  ")
        .push(role, &line)
        .plain(&" ".repeat(space))
        .faint(" │ ");
    if let Some((role, line)) = right {
        text.push(*role, &cut(line));
    }
    text.end_line();
    text
}

/// A value as text; JSON on several lines.
fn readable_text_of(entry: &Entry) -> String {
    let json = entry
        .value()
        .filter(|value| value.entry_type() == EntryType::Json)
        .and_then(|value| Json::parse(value.bytes()).ok());
    match json {
        Some(json) => format!("{}\n", json.to_pretty().trim_end()),
        None => text_of(entry),
    }
}
