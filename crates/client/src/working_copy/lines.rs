//! Two texts of `entries.json` compared line by line, so that of a large file only what was edited is read
//! for its meaning.
//!
//! The old text is plain ([`is_plain`]): each entry on a line of its own, in order, with nothing else around.
//!
//! INVARIANT: what is told is what reading the whole of the new text would tell. Where the lines alone do
//! not tell, there is no answer, and the whole is to be read.

use std::ops::Range;

use confman_model::Key;

use super::comments::Comments;
use super::entries::{EntriesFile, Line, read_member, render_file};
use super::scan;

/// Bytes that are compared at once.
const BLOCK: usize = 256;
/// What an entry's line begins with.
const INDENT: &str = "  \"";
/// What stands between the key and what it leads to.
const BEFORE_VALUE: &str = "\": ";

/// What differs between two texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineEdits {
    /// Keys whose lines are no longer there, or say something else.
    pub(super) gone: Vec<Key>,
    /// What is there instead, and what is new: where its lines stand in the new text, without their commas.
    pub(super) lines: Vec<(Key, Range<usize>)>,
}

/// Whether the text is what this program would write of its entries, and no entry has a line break.
pub(super) fn is_plain(file: &EntriesFile) -> bool {
    let lines = file.lines.iter();
    let rendered = render_file(
        file.schema.as_deref(),
        lines.map(|(key, line)| (key, file.text_at(&line.at))),
        &Comments::default(),
    );
    let rows = file.lines.len() + usize::from(file.schema.is_some()) + 2;
    let is_short = file.lines.is_empty() && file.schema.is_none();
    file.extras.is_empty()
        && rendered == file.text
        && (is_short || rendered.bytes().filter(|byte| *byte == b'\n').count() == rows)
}

/// What differs between a plain text and another one; `None` where the lines alone do not tell.
pub(super) fn compare(old: &str, new: &str) -> Option<LineEdits> {
    let mut edits = LineEdits::default();
    let (mut at_old, mut at_new) = (0, 0);
    loop {
        let same = common_lines(old.get(at_old..)?, new.get(at_new..)?);
        at_old += same;
        at_new += same;
        if at_old == old.len() && at_new == new.len() {
            return Some(edits);
        }
        match (Row::at(old, at_old)?, Row::at(new, at_new)?) {
            (Row::End, Row::End) => return None,
            (Row::Entry(gone), Row::End) => {
                is_last(new, at_new)?;
                edits.gone.push(gone.key()?);
                at_old = gone.end;
            }
            (Row::End, Row::Entry(came)) => {
                came.fits(new, at_new)?;
                edits.lines.push((came.key()?, came.range));
                at_new = came.end;
            }
            (Row::Entry(gone), Row::Entry(came)) => match gone.name.cmp(came.name) {
                std::cmp::Ordering::Less => {
                    edits.gone.push(gone.key()?);
                    at_old = gone.end;
                }
                std::cmp::Ordering::Greater => {
                    came.fits(new, at_new)?;
                    edits.lines.push((came.key()?, came.range));
                    at_new = came.end;
                }
                std::cmp::Ordering::Equal => {
                    came.fits(new, at_new)?;
                    // It may have lost or got no more than its comma.
                    if old.get(gone.range.clone()) != new.get(came.range.clone()) {
                        edits.gone.push(gone.key()?);
                        edits.lines.push((came.key()?, came.range));
                    }
                    (at_old, at_new) = (gone.end, came.end);
                }
            },
        }
    }
}

/// Reads the entry on a line, where it stands there whole and there is nothing else.
pub(super) fn read_line(text: &str, range: Range<usize>) -> Option<(Key, Line)> {
    if !scan::extras(text.get(range.clone())?).is_empty() {
        return None;
    }
    let member = scan::member(text, range.clone())?;
    let value = range.start + INDENT.len() + member.name.len() + BEFORE_VALUE.len();
    match member.value == (value..range.end) {
        true => read_member(text, member),
        false => None,
    }
}

/// The line of a key in a plain text, without its comma.
pub(super) fn find(text: &str, key: &Key) -> Option<Range<usize>> {
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let start = line_start(text, low + (high - low) / 2);
        match Row::at(text, start) {
            Some(Row::Entry(row)) => match row.name.cmp(key.as_str()) {
                std::cmp::Ordering::Equal => return Some(row.range),
                std::cmp::Ordering::Less => low = row.end,
                std::cmp::Ordering::Greater => high = start,
            },
            Some(Row::End) => high = start,
            // What stands before the entries.
            None => low = line_end(text, start),
        }
    }
    None
}

/// How many bytes of whole lines two texts begin with alike.
fn common_lines(old: &str, new: &str) -> usize {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let blocks = old.chunks_exact(BLOCK).zip(new.chunks_exact(BLOCK));
    let start = blocks.take_while(|(old, new)| old == new).count() * BLOCK;
    let (old, rest) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    let more = old.iter().zip(rest).take_while(|(old, new)| old == new);
    let end = start + more.count();
    let common = new.get(..end).unwrap_or_default();
    common
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

fn line_start(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let line = rest.iter().position(|byte| *byte == b'\n');
    line.map_or(text.len(), |length| at + length + 1)
}

/// A line of a text.
enum Row<'t> {
    Entry(EntryRow<'t>),
    /// The bracket that ends the file.
    End,
}

/// A line that begins as an entry's does.
struct EntryRow<'t> {
    name: &'t str,
    /// Without what is around it.
    range: Range<usize>,
    has_comma: bool,
    /// Where the next line begins.
    end: usize,
}

impl<'t> Row<'t> {
    /// The line that begins at a byte; `None` where it is neither.
    fn at(text: &'t str, start: usize) -> Option<Self> {
        let end = line_end(text, start);
        let line = text.get(start..end)?.strip_suffix('\n')?;
        if line == "}" {
            return (end == text.len()).then_some(Self::End);
        }
        let (name, _) = line.strip_prefix(INDENT)?.split_once('"')?;
        if name.starts_with('$') {
            return None;
        }
        let entry = line.strip_suffix(',').unwrap_or(line);
        Some(Self::Entry(EntryRow {
            name,
            range: start..start + entry.len(),
            has_comma: entry.len() < line.len(),
            end,
        }))
    }
}

impl EntryRow<'_> {
    fn key(&self) -> Option<Key> {
        self.name.parse().ok()
    }

    /// Whether the line, which begins at `start`, goes with those around it: in order, and with commas
    /// between them alone.
    fn fits(&self, text: &str, start: usize) -> Option<()> {
        let before = text.get(line_start(text, start.checked_sub(1)?)..start)?;
        if before != "{\n" && !before.ends_with(",\n") {
            return None;
        }
        let (name, _) = before
            .strip_prefix(INDENT)
            .unwrap_or("")
            .split_once('"')
            .unwrap_or_default();
        let fits = name < self.name
            && match Row::at(text, self.end)? {
                Row::End => !self.has_comma,
                Row::Entry(next) => self.has_comma && self.name < next.name,
            };
        fits.then_some(())
    }
}

/// Whether what stands before the end of the file, which is at `start`, ends without a comma.
fn is_last(text: &str, start: usize) -> Option<()> {
    let before = text.get(..start)?;
    (!before.ends_with(",\n")).then_some(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "{\n  \"$schema\": \"s\",\n  \"a\": {\"value\": 1},\n  \"b\": {\"value\": \"x, y\"},\n  \"c/d\": {\"unset\": true}\n}\n";

    fn parsed(text: &str) -> Option<EntriesFile> {
        EntriesFile::parse(Path::new("entries.json"), text.to_owned()).ok()
    }

    fn told(new: &str) -> String {
        let Some(edits) = compare(OLD, new) else {
            return "read the whole".to_owned();
        };
        let gone = edits.gone.iter().map(|key| format!("-{key}"));
        let came = edits
            .lines
            .iter()
            .map(|(_, range)| format!("+{}", &new[range.clone()]));
        gone.chain(came).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_was_edited_is_told_by_its_lines() {
        assert!(is_plain(&parsed(OLD).unwrap()));
        insta::assert_snapshot!(told(OLD), @"");
        insta::assert_snapshot!(told(&OLD.replace("1}", "2}")), @r#"-a +  "a": {"value": 2}"#);
        insta::assert_snapshot!(told(&OLD.replace("  \"b\": {\"value\": \"x, y\"},\n", "")), @"-b");
        insta::assert_snapshot!(told(&OLD.replace("  \"b\"", "  \"aa\": {\"value\": 3},\n  \"b\"")), @r#"+  "aa": {"value": 3}"#);
        insta::assert_snapshot!(told(&OLD.replace("true}\n", "true},\n  \"e\": {\"value\": 3}\n")), @r#"+  "e": {"value": 3}"#);
        insta::assert_snapshot!(told(&OLD.replace(",\n  \"c/d\": {\"unset\": true}", "")), @"-c/d");
    }

    #[test]
    fn what_lines_alone_do_not_tell_is_read_whole() {
        for new in [
            "{\"a\": {\"value\": 1}}".to_owned(),
            OLD.replace('\n', "\r\n"),
            OLD.replace("  \"$schema\": \"s\",\n", ""),
            OLD.replace("  \"b\"", "  // mine\n  \"b\""),
            // Out of order, and twice.
            OLD.replace("\"b\"", "\"zz\""),
            OLD.replace("  \"b\"", "  \"a\": {\"value\": 3},\n  \"b\""),
            // Commas where none are to be, and none where one is.
            OLD.replace("true}\n", "true},\n"),
            OLD.replace("1},\n", "1}\n"),
            OLD.replace("true}\n", "true}\n  \"e\": {\"value\": 3}\n"),
            OLD.trim_end().to_owned(),
            format!("{OLD} "),
        ] {
            assert_eq!(told(&new), "read the whole", "{new}");
        }
        let unfinished = OLD.replace("{\"value\": 1},", "{\"value\": [1,");
        let edits = compare(OLD, &unfinished);
        let reads = edits.is_some_and(|edits| {
            let mut lines = edits.lines.into_iter();
            lines.all(|(_, range)| read_line(&unfinished, range).is_some())
        });
        assert!(!reads, "the line is no whole entry");
    }

    #[test]
    fn a_key_is_found_by_halving() {
        for (key, line) in [
            ("a", Some("  \"a\": {\"value\": 1}")),
            ("b", Some("  \"b\": {\"value\": \"x, y\"}")),
            ("c/d", Some("  \"c/d\": {\"unset\": true}")),
            ("c", None),
            ("zz", None),
        ] {
            let found = find(OLD, &key.parse().unwrap());
            assert_eq!(found.map(|range| &OLD[range]), line, "{key}");
        }
    }

    fn texts() -> impl Strategy<Value = Vec<(String, u8)>> {
        proptest::collection::btree_map("[ab]{1,2}", 0_u8..4, 0..6)
            .prop_map(|entries| entries.into_iter().collect())
    }

    fn text_of(entries: &[(String, u8)]) -> String {
        let lines: Vec<(Key, String)> = entries
            .iter()
            .map(|(key, value)| (key.parse().unwrap(), format!("{{\"value\": {value}}}")))
            .collect();
        render_file(
            None,
            lines.iter().map(|(key, line)| (key, line.as_str())),
            &Comments::default(),
        )
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_reading_the_whole_tells(
            before in texts(),
            after in texts(),
            noise in proptest::option::of((0_usize..200, "[{}\",/*\\n a1]{0,3}")),
        ) {
            let old = text_of(&before);
            let mut new = text_of(&after);
            if let Some((at, text)) = noise {
                new.insert_str(at % (new.len() + 1), &text);
            }
            prop_assert!(is_plain(&parsed(&old).unwrap()));
            let whole = parsed(&new);
            let Some(edits) = compare(&old, &new) else { return Ok(()) };
            let mut lines = parsed(&old).unwrap().lines.into_iter().map(|(key, line)| (key, old[line.at].to_owned())).collect::<std::collections::BTreeMap<_, _>>();
            for key in edits.gone {
                lines.remove(&key);
            }
            for (key, range) in edits.lines {
                let Some((read, line)) = read_line(&new, range) else { return Ok(()) };
                prop_assert_eq!(&read, &key);
                lines.insert(key, new[line.at].to_owned());
            }
            let whole = whole.expect("the whole is read where the lines tell");
            let expected = whole.lines.iter().map(|(key, line)| (key.clone(), new[line.at.clone()].to_owned())).collect::<std::collections::BTreeMap<_, _>>();
            prop_assert_eq!(lines, expected);
            prop_assert!(whole.lines.is_empty() || is_plain(&whole), "{}", new);
        }
    }
}
