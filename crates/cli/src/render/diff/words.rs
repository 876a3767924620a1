//! Which words of changed lines differ.

use similar::{ChangeTag, TextDiff};

use crate::text::{Role, Text};

/// Longest line in which single words are compared.
const WORDS_LINE_BYTES_MAX: usize = 2000;

/// A line without what ends it.
pub(super) fn without_end(line: &str) -> &str {
    line.strip_suffix('\n').unwrap_or(line)
}

/// Removed and added lines. Where as many came as went, each pair shows which of its words differ.
pub(super) fn changed_lines(indent: &str, old: &[String], new: &[String]) -> Text {
    let mut removed = Text::new();
    let mut added = Text::new();
    let paired = old.len() == new.len();
    for (index, line) in old.iter().enumerate() {
        let other = new.get(index).filter(|_| paired).map_or("", String::as_str);
        removed.append(changed_line(indent, ChangeTag::Delete, line, other));
    }
    for (index, line) in new.iter().enumerate() {
        let other = old.get(index).filter(|_| paired).map_or("", String::as_str);
        added.append(changed_line(indent, ChangeTag::Insert, other, line));
    }
    removed.append(added);
    removed
}

/// One side of a changed line; `side` tells which.
fn changed_line(indent: &str, side: ChangeTag, old: &str, new: &str) -> Text {
    let (sign, line_role) = match side {
        ChangeTag::Delete => ("- ", Role::Removed),
        ChangeTag::Insert | ChangeTag::Equal => ("+ ", Role::Added),
    };
    let mut text = Text::new();
    text.plain(indent)
        .push(line_role, sign)
        .append(words(side, old, new))
        .end_line();
    text
}

/// One side of a text that changed, with the words that differ; `side` tells which.
pub(super) fn words(side: ChangeTag, old: &str, new: &str) -> Text {
    let (line_role, word_role, line) = match side {
        ChangeTag::Delete => (Role::Removed, Role::RemovedWord, old),
        ChangeTag::Insert | ChangeTag::Equal => (Role::Added, Role::AddedWord, new),
    };
    let mut text = Text::new();
    let words_tell =
        !old.is_empty() && !new.is_empty() && old.len().max(new.len()) <= WORDS_LINE_BYTES_MAX;
    if !words_tell {
        text.push(line_role, line);
        return text;
    }
    let words = TextDiff::from_words(old, new);
    for change in words.iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => text.push(line_role, change.value()),
            tag if tag == side => text.push(word_role, change.value()),
            _ => &mut text,
        };
    }
    text
}
