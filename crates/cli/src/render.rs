//! Pure functions from the API's documents to styled text.

#[cfg(feature = "server")]
pub(crate) mod backup;
pub(crate) mod blame;
pub(crate) mod cluster;
pub(crate) mod commit;
pub(crate) mod diff;
pub(crate) mod draft;
pub(crate) mod entry;
pub(crate) mod explain;
pub(crate) mod fsck;
pub(crate) mod hint;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod impact;
mod mask;
pub(crate) mod namespace;
pub(crate) mod operation;
pub(crate) mod publication;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod value;

use crate::text::{Role, Text};

/// Rows whose cells line up; the last cell of a row is not padded.
pub(crate) fn columns(rows: &[Vec<(Role, String)>]) -> Text {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (index, (_, cell)) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut text = Text::new();
    for row in rows {
        let last = row.iter().rposition(|(_, cell)| !cell.is_empty());
        for (index, ((role, cell), width)) in row.iter().zip(&widths).enumerate() {
            text.push(*role, cell);
            if Some(index) >= last {
                break;
            }
            let padding = width.saturating_sub(cell.chars().count()) + 2;
            text.plain(&" ".repeat(padding));
        }
        text.end_line();
    }
    text
}

/// A time as people read it: RFC 3339 with a space between date and time, to the second.
pub(crate) fn time(rfc3339: &str) -> String {
    let text = rfc3339.replacen('T', " ", 1);
    match text.split_once('.') {
        None => text,
        Some((second, rest)) => format!(
            "{second}{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(time("2026-11-24T12:36:01.525Z"), "2026-11-24 12:36:01Z");
        assert_eq!(
            time("2026-11-24T12:36:01+01:00"),
            "2026-11-24 12:36:01+01:00"
        );
    }

    #[test]
    fn columns_line_up_and_leave_no_trailing_space() {
        let cell = |text: &str| (Role::Plain, text.to_owned());
        let rows = vec![
            vec![cell("/"), cell("2"), cell("root")],
            vec![cell("/teams"), cell("10"), cell("")],
        ];
        assert_eq!(columns(&rows).to_plain(), "/       2   root\n/teams  10\n");
    }
}
