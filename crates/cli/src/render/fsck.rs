//! What a check of the store found.

use confman_api::system::FsckReport;

use crate::text::{Role, Text};

/// What was checked, and everything that is wrong.
pub(crate) fn report(report: &FsckReport) -> Text {
    let mut text = Text::new();
    let objects: u64 = report.objects.values().sum();
    let kinds: Vec<_> = report
        .objects
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    text.plain(&format!("checked {objects} objects"));
    if !kinds.is_empty() {
        text.faint(&format!(" ({})", kinds.join(", ")));
    }
    text.plain(&format!(
        ", {} operations, {} rows of indexes",
        report.operations, report.rows
    ))
    .end_line();
    if let Some(mended) = report.rows_mended {
        text.plain(&format!("rebuilt {mended} rows of indexes"))
            .end_line();
    }
    if report.rows_ahead > 0 {
        text.push(Role::Warning, "unfinished: ")
            .plain(&format!(
                "the node was stopped while it took a state from another member: {} rows are of operations that it \
                 has not got yet; start it, and it goes on where it was",
                report.rows_ahead
            ))
            .end_line();
    }
    for problem in &report.problems {
        text.push(Role::Error, "wrong: ").plain(problem).end_line();
    }
    if report.problems.is_empty() {
        text.push(Role::Added, "nothing is wrong").end_line();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_all_listed() {
        let found = FsckReport {
            objects: [("blob".to_owned(), 3), ("commit".to_owned(), 2)].into(),
            operations: 4,
            rows: 7,
            rows_ahead: 0,
            rows_mended: None,
            problems: vec![
                "blob 01…: its bytes hash to 02…".to_owned(),
                "row x differs".to_owned(),
            ],
        };
        insta::assert_snapshot!(report(&found).to_plain(), @"
        checked 5 objects (3 blob, 2 commit), 4 operations, 7 rows of indexes
        wrong: blob 01…: its bytes hash to 02…
        wrong: row x differs
        ");
        let clean = FsckReport {
            rows_ahead: 3,
            rows_mended: Some(2),
            problems: Vec::new(),
            ..found
        };
        insta::assert_snapshot!(report(&clean).to_plain(), @"
        checked 5 objects (3 blob, 2 commit), 4 operations, 7 rows of indexes
        rebuilt 2 rows of indexes
        unfinished: the node was stopped while it took a state from another member: 3 rows are of operations that it has not got yet; start it, and it goes on where it was
        nothing is wrong
        ");
        assert!(report(&clean).to_plain().ends_with("nothing is wrong\n"));
    }
}
