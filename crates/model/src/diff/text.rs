//! Texts compared by line.

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use super::{Side, TextHunk, TextLine};

/// Unchanged lines shown around changed ones.
const CONTEXT_LINES: usize = 3;

/// The lines of a text with their ends.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// How `old` becomes `new`. The search is bounded, so hostile texts cost no more than a coarser
/// answer.
pub(crate) fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    capture_diff_slices(Algorithm::Myers, old, new)
}

/// The differences between two texts by line; none exactly where the texts are equal.
#[must_use]
pub fn text_hunks(old: &str, new: &str) -> Vec<TextHunk> {
    let (old, new) = (lines(old), lines(new));
    let groups = group_diff_ops(operations(&old, &new), CONTEXT_LINES);
    groups
        .iter()
        .filter_map(|group| hunk(group, &old, &new))
        .collect()
}

fn hunk(operations: &[DiffOp], old: &[&str], new: &[&str]) -> Option<TextHunk> {
    let first = operations.first()?;
    let mut lines = Vec::new();
    let mut push = |side: Side, texts: Option<&[&str]>| {
        let texts = texts.unwrap_or_default().iter();
        lines.extend(texts.map(|text| TextLine {
            side,
            text: (*text).to_owned(),
        }));
    };
    for operation in operations {
        let (old, new) = (
            old.get(operation.old_range()),
            new.get(operation.new_range()),
        );
        match operation.tag() {
            DiffTag::Equal => push(Side::Both, old),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                push(Side::Old, old);
                push(Side::New, new);
            }
        }
    }
    let old_start = first.old_range().start + 1;
    let new_start = first.new_range().start + 1;
    Some(TextHunk {
        old_start,
        new_start,
        lines,
    })
}
