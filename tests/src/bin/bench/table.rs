//! Tables of results.

use std::fmt::Write as _;

use crate::Failure;

/// One measurement beside its peer.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Confman's figure, with its unit.
    pub confman: String,
    /// The peer and its figure.
    pub peer: String,
    /// The ratio, as a text that says what it is of.
    pub ratio: String,
    /// What was hoped for.
    pub bar: String,
}

/// Ends the part of a document that is a benchmark's.
const END: &str = "<!-- bench end -->";

/// Everything that one benchmark measured.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table of this benchmark.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            rows: Vec::new(),
        }
    }

    /// Adds a row and prints it.
    #[expect(
        clippy::print_stdout,
        reason = "a program that prints what it measured"
    )]
    pub fn add(&mut self, row: Row) {
        println!(
            "{}: {} | {} | {} | bar {}",
            row.what, row.confman, row.peer, row.ratio, row.bar
        );
        self.rows.push(row);
    }

    /// The table as Markdown.
    fn markdown(&self) -> String {
        let mut text =
            String::from("| what | Confman | peer | ratio | bar |\n|---|---|---|---|---|\n");
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                row.what, row.confman, row.peer, row.ratio, row.bar
            );
        }
        text
    }

    /// A document with this table in the place that it has for it, between `<!-- bench NAME -->` and
    /// `<!-- bench end -->`. The rest stays as it is.
    pub fn put_into(&self, document: &str, machine: &str) -> Result<String, Failure> {
        let begin = format!("<!-- bench {} -->", self.name);
        let place = document.split_once(&begin);
        let place = place.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = place else {
            return Err(format!("the document has no place `{begin}` … `{END}`").into());
        };
        Ok(format!(
            "{before}{begin}\n{}\n{machine}\n{END}{after}",
            self.markdown()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before_and_nothing_else() {
        let mut table = Table::new("tree");
        table.add(Row {
            what: "all".to_owned(),
            confman: "1".to_owned(),
            peer: "2".to_owned(),
            ratio: "0.5".to_owned(),
            bar: "≤ 1".to_owned(),
        });
        let document = "# B\n\n<!-- bench tree -->\nold\n<!-- bench end -->\n\ntext\n";
        let written = table.put_into(document, "Measured here.").unwrap();
        assert_eq!(
            written,
            "# B\n\n<!-- bench tree -->\n| what | Confman | peer | ratio | bar |\n|---|---|---|---|---|\n\
             | all | 1 | 2 | 0.5 | ≤ 1 |\n\nMeasured here.\n<!-- bench end -->\n\ntext\n"
        );
        assert_eq!(table.put_into(&written, "Measured here.").unwrap(), written);
        assert!(table.put_into("# B\n", "").is_err());
    }
}
