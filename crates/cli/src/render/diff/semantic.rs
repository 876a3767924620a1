//! One key by meaning: per JSON path, per word of a text.

use confman_model::diff::{JsonChange, Side, TextHunk, TextLine};
use confman_model::{DiffKind, Entry, EntryDiff, EntryType, Json, Value, ValueDiff};
use similar::ChangeTag;

use super::words::{changed_lines, without_end, words};
use super::{details, headline};
use crate::render::value::value_preview;
use crate::text::{Role, Text, count};

/// Lines of an added or removed value that a diff shows before it says how many more there are.
pub(super) const WHOLE_VALUE_LINES_MAX: usize = 20;

/// One key, by meaning.
pub(super) fn semantic(diff: &EntryDiff) -> Text {
    let mut text = headline(diff);
    match (diff.kind, &diff.value) {
        (DiffKind::Added, _) => {
            text.append(whole(Role::Added, "+", diff.new.as_ref()));
        }
        (DiffKind::Removed, _) => {
            text.append(whole(Role::Removed, "-", diff.old.as_ref()));
        }
        (_, ValueDiff::Json(changes)) => {
            for change in changes {
                text.append(json_change(change));
            }
        }
        (_, ValueDiff::Text(hunks)) => {
            for hunk in hunks {
                text.append(text_hunk(hunk));
            }
        }
        (_, ValueDiff::Replaced) => {
            text.append(replaced(diff.old.as_ref(), diff.new.as_ref()));
        }
        (_, ValueDiff::FormatOnly | ValueDiff::Same) => {}
    }
    text.append(details(&diff.details));
    text
}

/// A value that came or went as a whole.
fn whole(role: Role, sign: &str, entry: Option<&Entry>) -> Text {
    let mut text = Text::new();
    let Some(entry) = entry else { return text };
    let lines = lines_of(entry);
    for line in lines.iter().take(WHOLE_VALUE_LINES_MAX) {
        text.plain("  ")
            .push(role, &format!("{sign} {line}"))
            .end_line();
    }
    if let Some(more) = lines
        .len()
        .checked_sub(WHOLE_VALUE_LINES_MAX)
        .filter(|more| *more > 0)
    {
        text.plain("  ")
            .faint(&format!("… {} more", count(more, "line")))
            .end_line();
    }
    text
}

/// A value in lines: text as it is, everything else in one.
fn lines_of(entry: &Entry) -> Vec<String> {
    match entry.value() {
        None => vec!["(unset)".to_owned()],
        Some(value) if matches!(value.entry_type(), EntryType::String | EntryType::Json) => {
            let text = value.as_str().unwrap_or_default();
            match text.contains('\n') {
                true => text.lines().map(str::to_owned).collect(),
                false if value.entry_type() == EntryType::String => vec![value.to_json()],
                false => vec![text.to_owned()],
            }
        }
        Some(value) => vec![value_preview(value)],
    }
}

/// One value in place of another. Two short texts show which of their words differ.
fn replaced(old: Option<&Entry>, new: Option<&Entry>) -> Text {
    let one_line = |entry: Option<&Entry>| match entry.map(lines_of) {
        Some(lines) => match <[String; 1]>::try_from(lines) {
            Ok([line]) => Some(line),
            Err(_) => None,
        },
        None => None,
    };
    let same_type = |old: &Value, new: &Value| old.entry_type() == new.entry_type();
    let comparable = match (old.and_then(Entry::value), new.and_then(Entry::value)) {
        (Some(old), Some(new)) => same_type(old, new) && old.entry_type() == EntryType::String,
        _ => false,
    };
    let mut text = Text::new();
    match (one_line(old), one_line(new)) {
        (Some(old), Some(new)) if comparable => {
            text.append(changed_lines("  ", &[old], &[new]));
        }
        _ => {
            text.append(whole(Role::Removed, "-", old))
                .append(whole(Role::Added, "+", new));
        }
    }
    text
}

/// `  /limits/daily: 100 → 200`.
fn json_change(change: &JsonChange) -> Text {
    let mut text = Text::new();
    let pointer = match change.pointer.is_root() {
        true => "(all of it)",
        false => change.pointer.as_str(),
    };
    text.plain("  ").plain(pointer).plain(": ");
    match (&change.old, &change.new) {
        (Some(old @ Json::String(_)), Some(new @ Json::String(_))) => {
            let (old, new) = (old.to_compact(), new.to_compact());
            let side = |side| words(side, &old, &new);
            text.append(side(ChangeTag::Delete))
                .plain(" → ")
                .append(side(ChangeTag::Insert))
        }
        (Some(old), Some(new)) => text
            .push(Role::Removed, &old.to_compact())
            .plain(" → ")
            .push(Role::Added, &new.to_compact()),
        (None, Some(new)) => text.push(Role::Added, &format!("+ {}", new.to_compact())),
        (Some(old), None) => text.push(Role::Removed, &format!("- {}", old.to_compact())),
        (None, None) => &mut text,
    };
    text.end_line();
    text
}

/// Changed lines with their neighbours.
fn text_hunk(hunk: &TextHunk) -> Text {
    let mut text = Text::new();
    text.plain("  ")
        .faint(&format!("@@ -{} +{} @@", hunk.old_start, hunk.new_start))
        .end_line();
    let mut lines = hunk.lines.iter().peekable();
    while let Some(line) = lines.peek() {
        if line.side == Side::Both {
            text.plain("    ").plain(without_end(&line.text)).end_line();
            lines.next();
            continue;
        }
        let mut take = |side| {
            let mut taken = Vec::new();
            while let Some(line) = lines.next_if(|line: &&TextLine| line.side == side) {
                taken.push(without_end(&line.text).to_owned());
            }
            taken
        };
        let old = take(Side::Old);
        let new = take(Side::New);
        text.append(changed_lines("  ", &old, &new));
    }
    text
}
