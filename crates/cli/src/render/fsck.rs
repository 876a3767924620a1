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
            problems: Vec::new(),
            ..found
        };
        assert!(report(&clean).to_plain().ends_with("nothing is wrong\n"));
    }
}
