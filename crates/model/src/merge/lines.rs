//! Texts merged by line.
//!
//! Lines that all three have cut the texts into pieces; in each piece at most one side may have
//! changed something. So changes of neighbouring lines collide, which is what a reader expects of
//! lines that belong together.

use similar::DiffOp;

use super::pick;
use crate::diff::text::{lines, operations};

/// Merges `[base, ours, theirs]`, or nothing where changes collide.
pub(super) fn merge(texts: [&str; 3]) -> Option<String> {
    let [base, ours, theirs] = texts.map(lines);
    let in_ours = places(&base, &operations(&base, &ours));
    let in_theirs = places(&base, &operations(&base, &theirs));
    let mut merged = String::new();
    let (mut base_at, mut ours_at, mut theirs_at) = (0, 0, 0);
    let stable = in_ours.iter().zip(&in_theirs).enumerate();
    let anchors = stable.filter_map(|(line, places)| match places {
        (Some(ours), Some(theirs)) => Some((line, *ours, *theirs)),
        _ => None,
    });
    for (base_next, ours_next, theirs_next) in anchors {
        let taken = pick(
            &base.get(base_at..base_next)?,
            &ours.get(ours_at..ours_next)?,
            &theirs.get(theirs_at..theirs_next)?,
        )?
        .concat();
        merged.push_str(&taken);
        merged.push_str(base.get(base_next)?);
        (base_at, ours_at, theirs_at) = (base_next + 1, ours_next + 1, theirs_next + 1);
    }
    let rest = pick(
        &base.get(base_at..)?,
        &ours.get(ours_at..)?,
        &theirs.get(theirs_at..)?,
    )?
    .concat();
    merged.push_str(&rest);
    Some(merged)
}

/// For each line of the base, the line of the other text it stayed.
fn places(base: &[&str], operations: &[DiffOp]) -> Vec<Option<usize>> {
    let mut places = vec![None; base.len()];
    for operation in operations {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = *operation
        {
            for (place, line) in places
                .iter_mut()
                .skip(old_index)
                .zip(new_index..new_index + len)
            {
                *place = Some(line);
            }
        }
    }
    places
}
