//! `entries.json`: every entry of a namespace, sorted, one a line.
//!
//! Reading keeps where each entry stands in the text, so that what a command does not change is
//! written again exactly as its author wrote it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use confman_model::{Details, Entry, EntryType, EntryValue, Key, Value, ValueLimits, json};

use super::comments::{Comments, Placed, Subject};
use super::error::FileProblem;
use super::place::{file_path_problem, type_of_file};
use super::scan::{self, Member, ScanError};

/// Most problems that are reported for one file.
const PROBLEMS_MAX: usize = 100;
/// Strings up to this length, and without a line break, stand in `entries.json`; others in files.
pub const STRING_INLINE_BYTES_MAX: usize = 256;
/// JSON values up to this length, and on one line, stand in `entries.json`; others in files.
pub const JSON_INLINE_BYTES_MAX: usize = 512;
/// Binary values up to this length stand in `entries.json`, as base64; others in files.
pub const BINARY_INLINE_BYTES_MAX: usize = 48;
/// Name of the member that tells editors how the file is made up; not an entry.
const SCHEMA_MEMBER: &str = "$schema";

/// Where the value of an entry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In place, as this JSON.
    Value(Range<usize>),
    /// In a file of its own, by its path below the namespace's directory.
    File(String),
    /// Nowhere: the key is unset.
    Unset,
}

/// An entry as it is written, its value not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) source: Source,
    /// Stated or told by the value or the name of its file; `None` where unset.
    pub(super) entry_type: Option<EntryType>,
    pub(super) details: Details,
    /// Where the entry stands in the text.
    pub(super) at: Range<usize>,
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Entry(Form),
    /// A conflict that a pull left.
    Conflict(Box<Sides>),
}

/// The sides of a conflict; an absent one has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) base: Option<Form>,
    pub(super) ours: Option<Form>,
    pub(super) theirs: Option<Form>,
}

impl Written {
    /// The forms in it.
    pub(super) fn forms(&self) -> impl Iterator<Item = &Form> {
        let (entry, sides) = match self {
            Self::Entry(form) => (Some(form), [None, None, None]),
            Self::Conflict(sides) => (
                None,
                [
                    sides.base.as_ref(),
                    sides.ours.as_ref(),
                    sides.theirs.as_ref(),
                ],
            ),
        };
        entry.into_iter().chain(sides.into_iter().flatten())
    }
}

/// A key's place and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What stands right of the colon.
    pub(super) at: Range<usize>,
    pub(super) written: Written,
}

/// A whole `entries.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EntriesFile {
    pub(super) text: String,
    /// The value of `$schema`, as written.
    pub(super) schema: Option<String>,
    pub(super) lines: BTreeMap<Key, Line>,
    /// Where there are comments, and commas after a last member or item.
    pub(super) extras: Vec<Range<usize>>,
    /// The comments between entries.
    pub(super) comments: Comments,
}

/// A piece of the file as JSON.
pub(super) struct Strict<'t> {
    pub(super) text: Cow<'t, str>,
    /// What was left out, by its place in the file.
    left_out: Vec<Range<usize>>,
    start: usize,
}

impl Strict<'_> {
    /// Where a byte of the piece stands in the file.
    pub(super) fn offset(&self, offset: usize) -> usize {
        self.left_out
            .iter()
            .fold(self.start + offset, |at, range| match range.start <= at {
                true => at + range.len(),
                false => at,
            })
    }
}

/// What was said to be the limits by the server is checked there; here only what any server refuses.
pub(crate) fn lenient_limits(value_text: &str) -> ValueLimits {
    let mut limits = ValueLimits {
        value_bytes_max: confman_model::value::VALUE_BYTES_CEILING,
        ..ValueLimits::default()
    };
    if let Some((scheme, _)) = value_text.trim_start_matches('"').split_once("://") {
        let plain = !scheme.is_empty()
            && scheme.bytes().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'+' | b'-' | b'.')
            });
        if plain {
            limits.secret_schemes.push(scheme.to_owned());
        }
    }
    limits
}

/// Collects what is wrong with one file.
pub(super) struct Problems<'t> {
    file: &'t Path,
    text: &'t str,
    pub(super) found: Vec<FileProblem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, offset: usize, what: impl Into<String>) {
        if self.found.len() < PROBLEMS_MAX {
            self.found
                .push(FileProblem::at(self.file, self.text, offset, what));
        }
    }

    fn scan(&mut self, error: ScanError) {
        self.push(error.offset, error.what);
    }
}

impl EntriesFile {
    /// Reads the text of the file at `path`, which is only used to say where something is wrong.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Vec<FileProblem>> {
        let mut problems = Problems::new(path, &text);
        let mut schema = None;
        let mut lines = BTreeMap::new();
        let extras = scan::extras(&text);
        let mut placed = Vec::new();
        match scan::members(&text, 0..text.len()) {
            Err(error) => problems.scan(error),
            Ok(members) => {
                for member in members {
                    if member.name == SCHEMA_MEMBER {
                        placed.push(Placed {
                            subject: Subject::Schema,
                            name: member.name_offset,
                            value: member.value.clone(),
                        });
                        schema = text.get(member.value).map(ToOwned::to_owned);
                        continue;
                    }
                    let key: Key = match member.name.parse() {
                        Ok(key) => key,
                        Err(error) => {
                            problems.push(member.name_offset, crate::client::chain(&error));
                            continue;
                        }
                    };
                    let Some(written) = read_written(&text, &member, &mut problems) else {
                        continue;
                    };
                    // Only where somebody wrote comments does it matter where things stand.
                    if !extras.is_empty() {
                        placed.push(Placed {
                            subject: Subject::Entry(key.clone()),
                            name: member.name_offset,
                            value: member.value.clone(),
                        });
                    }
                    if lines
                        .insert(
                            key,
                            Line {
                                at: member.value,
                                written,
                            },
                        )
                        .is_some()
                    {
                        problems.push(
                            member.name_offset,
                            format!("key `{}` is there twice", member.name),
                        );
                    }
                }
            }
        }
        check_files(&lines, &mut problems);
        if problems.found.is_empty() {
            let comments = match extras.is_empty() {
                true => Comments::default(),
                false => Comments::read(&text, &extras, &placed),
            };
            Ok(Self {
                schema,
                lines,
                extras,
                comments,
                text,
            })
        } else {
            Err(problems.found)
        }
    }

    /// The text at a place as JSON, without what people wrote around it.
    pub(super) fn strict_at(&self, range: &Range<usize>) -> Strict<'_> {
        let first = self
            .extras
            .partition_point(|extra| extra.start < range.start);
        let left_out: Vec<Range<usize>> = self
            .extras
            .iter()
            .skip(first)
            .take_while(|extra| extra.end <= range.end)
            .cloned()
            .collect();
        let whole = self.text_at(range);
        let text = match left_out.is_empty() {
            true => Cow::Borrowed(whole),
            false => {
                let mut kept = String::with_capacity(whole.len());
                let mut at = range.start;
                for extra in &left_out {
                    kept.push_str(self.text_at(&(at..extra.start)));
                    at = extra.end;
                }
                kept.push_str(self.text_at(&(at..range.end)));
                Cow::Owned(kept)
            }
        };
        Strict {
            text,
            left_out,
            start: range.start,
        }
    }

    /// Says of the first comment or comma too many that it is no part of any entry.
    pub(super) fn remark(&self, path: &Path) -> Option<FileProblem> {
        let first = self.extras.first()?;
        let mut remarks = Problems::new(path, &self.text);
        let what = match self.text_at(first) {
            "," => "a comma after the last member is read over",
            _ => {
                "comments are no part of the configuration: they stay in this file and are not pushed"
            }
        };
        remarks.push(first.start, what);
        remarks.found.pop()
    }

    /// The text at a place.
    pub(super) fn text_at(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// Two entries with one file would change together; nobody means that.
fn check_files(lines: &BTreeMap<Key, Line>, problems: &mut Problems<'_>) {
    let mut seen = BTreeSet::new();
    for form in lines.values().flat_map(|line| line.written.forms()) {
        if let Source::File(path) = &form.source
            && !seen.insert(path.to_lowercase())
        {
            problems.push(
                form.at.start,
                format!("file `{path}` is used by another entry too"),
            );
        }
    }
}

/// What stands under the key of a member, where nothing is wrong with it.
pub(super) fn read_member(text: &str, member: Member) -> Option<(Key, Line)> {
    let mut problems = Problems::new(Path::new(""), text);
    let key = member.name.parse().ok()?;
    let written = read_written(text, &member, &mut problems)?;
    let at = member.value;
    problems
        .found
        .is_empty()
        .then_some((key, Line { at, written }))
}

fn read_written(text: &str, member: &Member, problems: &mut Problems<'_>) -> Option<Written> {
    let members = match scan::members(text, member.value.clone()) {
        Ok(members) => members,
        Err(error) => {
            problems.push(
                error.offset,
                format!("key `{}`: {}", member.name, error.what),
            );
            return None;
        }
    };
    if let [only] = members.as_slice()
        && only.name == "conflict"
    {
        return read_conflict(text, only, problems);
    }
    read_form(text, member.value.clone(), &members, problems).map(Written::Entry)
}

fn read_conflict(text: &str, member: &Member, problems: &mut Problems<'_>) -> Option<Written> {
    let sides = match scan::members(text, member.value.clone()) {
        Ok(sides) => sides,
        Err(error) => {
            problems.scan(error);
            return None;
        }
    };
    let mut found = Sides::default();
    for side in sides {
        let place = match side.name.as_str() {
            "base" => &mut found.base,
            "ours" => &mut found.ours,
            "theirs" => &mut found.theirs,
            other => {
                problems.push(
                    side.name_offset,
                    format!("a conflict has `base`, `ours` and `theirs`, not `{other}`"),
                );
                return None;
            }
        };
        if text.get(side.value.clone()) == Some("null") {
            continue;
        }
        match scan::members(text, side.value.clone()) {
            Ok(members) => *place = Some(read_form(text, side.value, &members, problems)?),
            Err(error) => {
                problems.scan(error);
                return None;
            }
        }
    }
    Some(Written::Conflict(Box::new(found)))
}

/// Reads the members of one entry.
fn read_form(
    text: &str,
    at: Range<usize>,
    members: &[Member],
    problems: &mut Problems<'_>,
) -> Option<Form> {
    let before = problems.found.len();
    let mut source = None;
    let mut stated_type = None;
    let mut details = Details::default();
    let mut seen = BTreeSet::new();
    for member in members {
        if !seen.insert(member.name.as_str()) {
            problems.push(
                member.name_offset,
                format!("`{}` is there twice", member.name),
            );
        }
        let start = member.value.start;
        let raw = text.get(member.value.clone()).unwrap_or_default();
        let found = match member.name.as_str() {
            "value" => Some(Source::Value(member.value.clone())),
            "file" => match text_of(raw) {
                None => {
                    problems.push(start, "`file` is a path in double quotes");
                    None
                }
                Some(path) => match file_path_problem(&path) {
                    Some(what) => {
                        problems.push(start, what);
                        None
                    }
                    None => Some(Source::File(path)),
                },
            },
            "unset" => {
                if raw != "true" {
                    problems.push(start, "`unset` is `true` or not there at all");
                }
                Some(Source::Unset)
            }
            "type" => {
                match text_of(raw).map(|name| name.parse::<EntryType>()) {
                    Some(Ok(entry_type)) => stated_type = Some(entry_type),
                    Some(Err(error)) => problems.push(start, error.to_string()),
                    None => problems.push(start, "`type` is a name in double quotes"),
                }
                continue;
            }
            "description" => {
                match text_of(raw) {
                    Some(description) => details.description = description,
                    None => problems.push(start, "`description` is a text in double quotes"),
                }
                continue;
            }
            "tags" => {
                match serde_json::from_str::<Vec<String>>(raw) {
                    Ok(tags) => details.tags = tags.into_iter().collect(),
                    Err(_) => {
                        problems.push(start, "`tags` is a list of texts, as in [\"a\", \"b\"]")
                    }
                }
                continue;
            }
            "mediaType" => {
                match text_of(raw) {
                    Some(media_type) => details.media_type = Some(media_type),
                    None => problems.push(start, "`mediaType` is a text in double quotes"),
                }
                continue;
            }
            "conflict" => {
                problems.push(
                    member.name_offset,
                    "a conflict stands alone; keep one of its sides in place of it",
                );
                continue;
            }
            other => {
                problems.push(
                    member.name_offset,
                    format!("an entry has no `{other}`; there are value, file, unset, type, description, tags and mediaType"),
                );
                continue;
            }
        };
        if found.is_some() && source.is_some() {
            problems.push(
                member.name_offset,
                "an entry has one of `value`, `file` and `unset`, not several",
            );
        }
        source = found.or(source);
    }
    let Some(source) = source else {
        if problems.found.len() == before {
            problems.push(at.start, "an entry has `value`, `file` or `unset`");
        }
        return None;
    };
    let entry_type = match &source {
        Source::Unset => {
            if stated_type.is_some() {
                problems.push(at.start, "an entry that is unset has no `type`");
            }
            None
        }
        Source::Value(range) => {
            stated_type.or_else(|| Some(Value::infer(text.get(range.clone()).unwrap_or_default())))
        }
        Source::File(path) => stated_type.or_else(|| Some(type_of_file(path))),
    };
    (problems.found.len() == before).then_some(Form {
        source,
        entry_type,
        details,
        at,
    })
}

fn text_of(raw: &str) -> Option<String> {
    raw.starts_with('"').then(|| scan::unquote(raw)).flatten()
}

/// How a value is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement<'p> {
    /// In `entries.json`, if the rule allows.
    Line,
    /// In the file of this path.
    File(&'p str),
}

/// Whether the rule lets a value stand in `entries.json`: it survives there byte for byte, and is
/// short and on one line.
pub(super) fn fits_line(value: &Value) -> bool {
    let bytes = value.bytes();
    let one_line = !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    match value.entry_type() {
        EntryType::Number | EntryType::Boolean | EntryType::SecretRef => true,
        EntryType::String => bytes.len() <= STRING_INLINE_BYTES_MAX && one_line,
        // White space around the value would not be seen as part of it.
        EntryType::Json => {
            bytes.len() <= JSON_INLINE_BYTES_MAX
                && one_line
                && matches!(bytes.first(), Some(b'{' | b'['))
                && matches!(bytes.last(), Some(b'}' | b']'))
        }
        EntryType::Binary => bytes.len() <= BINARY_INLINE_BYTES_MAX,
    }
}

/// Writes an entry in one line. A value that does not fit needs a file.
pub(super) fn render(entry: &Entry, placement: &Placement<'_>) -> String {
    let mut members: Vec<String> = Vec::new();
    let told_type = match (entry.entry_value(), placement) {
        (EntryValue::Unset, _) => {
            members.push("\"unset\": true".to_owned());
            None
        }
        (EntryValue::Value(value), Placement::File(path)) => {
            members.push(format!("\"file\": {}", json::quote(path)));
            (type_of_file(path) != value.entry_type()).then(|| value.entry_type())
        }
        (EntryValue::Value(value), Placement::Line) => {
            let text = value.to_json();
            let told = Value::infer(&text);
            members.push(format!("\"value\": {text}"));
            (told != value.entry_type()).then(|| value.entry_type())
        }
    };
    if let Some(entry_type) = told_type {
        members.push(format!("\"type\": {}", json::quote(entry_type.name())));
    }
    if !entry.description().is_empty() {
        members.push(format!(
            "\"description\": {}",
            json::quote(entry.description())
        ));
    }
    if !entry.tags().is_empty() {
        let tags: Vec<String> = entry.tags().iter().map(|tag| json::quote(tag)).collect();
        members.push(format!("\"tags\": [{}]", tags.join(", ")));
    }
    if let Some(media_type) = entry.media_type() {
        members.push(format!("\"mediaType\": {}", json::quote(media_type)));
    }
    format!("{{{}}}", members.join(", "))
}

/// Writes a conflict in one line; each side is a rendered entry.
pub(super) fn render_conflict(
    base: Option<&str>,
    ours: Option<&str>,
    theirs: Option<&str>,
) -> String {
    format!(
        "{{\"conflict\": {{\"base\": {}, \"ours\": {}, \"theirs\": {}}}}}",
        base.unwrap_or("null"),
        ours.unwrap_or("null"),
        theirs.unwrap_or("null")
    )
}

/// Writes the whole file from the text right of each key's colon.
pub(super) fn render_file<'l>(
    schema: Option<&str>,
    lines: impl IntoIterator<Item = (&'l Key, &'l str)>,
    comments: &Comments,
) -> String {
    let schema = schema.map(|schema| (Subject::Schema, SCHEMA_MEMBER, schema));
    let entries = lines.into_iter();
    let entries = entries.map(|(key, line)| (Subject::Entry(key.clone()), key.as_str(), line));
    let mut members = schema.into_iter().chain(entries).peekable();
    let is_empty = members.peek().is_none() && comments.above(&Subject::End).is_empty();
    let mut text = String::new();
    for comment in comments.above(&Subject::File) {
        text.push_str(comment);
        text.push('\n');
    }
    text.push_str(if is_empty { "{" } else { "{\n" });
    let above = |text: &mut String, subject: &Subject| {
        for comment in comments.above(subject) {
            text.push_str("  ");
            text.push_str(comment);
            text.push('\n');
        }
    };
    while let Some((subject, name, line)) = members.next() {
        above(&mut text, &subject);
        text.push_str("  ");
        text.push_str(&json::quote(name));
        text.push_str(": ");
        text.push_str(line);
        if members.peek().is_some() {
            text.push(',');
        }
        for comment in comments.beside(&subject) {
            text.push(' ');
            text.push_str(comment);
            // What ends with its line must.
            if comment.starts_with("//") {
                text.push('\n');
            }
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    above(&mut text, &Subject::End);
    text.push_str("}\n");
    for comment in comments.beside(&Subject::End) {
        text.push_str(comment);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        match EntriesFile::parse(Path::new("entries.json"), text.to_owned()) {
            Ok(file) => format!("{} entries", file.lines.len()),
            Err(problems) => problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_places() {
        insta::assert_snapshot!(problems(r#"{
  "$schema": "x.json",
  "ok": {"value": 1},
  "a//b": {"value": 1},
  "type": {"value": 1, "type": "float"},
  "both": {"value": 1, "unset": true},
  "none": {"description": "nothing"},
  "away": {"file": "../secret"},
  "tags": {"value": "x", "tags": "one"},
  "what": {"valeu": 1},
  "ok": {"value": 2},
  "one": {"file": "files/x"},
  "two": {"file": "files/X"},
}"#), @r#"
        entries.json:4:3: segment 2 of key `a//b` is empty; a key is `segment/segment` without a `/` at either end
        entries.json:5:32: `float` is not an entry type; allowed are string, number, boolean, json, binary and secret-ref
        entries.json:6:24: an entry has one of `value`, `file` and `unset`, not several
        entries.json:7:11: an entry has `value`, `file` or `unset`
        entries.json:8:20: `../secret` must begin with `files/`
        entries.json:9:34: `tags` is a list of texts, as in ["a", "b"]
        entries.json:10:12: an entry has no `valeu`; there are value, file, unset, type, description, tags and mediaType
        entries.json:11:3: key `ok` is there twice
        entries.json:13:10: file `files/X` is used by another entry too
        "#);
    }

    #[test]
    fn entries_are_one_a_line_and_say_no_more_than_is_needed() {
        let limits = ValueLimits::default();
        let value = |entry_type, bytes: &str| Value::new(entry_type, bytes, &limits).unwrap();
        let entries = [
            ("a", Entry::of(value(EntryType::Number, "1.50"))),
            ("b", Entry::of(value(EntryType::String, "x \"y\""))),
            ("c", Entry::of(value(EntryType::SecretRef, "env://TOKEN"))),
            (
                "d",
                Entry::of(value(EntryType::Json, r#"{"b": 1e0,"a": []}"#)),
            ),
            ("e", Entry::of(value(EntryType::Binary, "\u{1}"))),
            ("f", Entry::unset()),
        ];
        let rendered: Vec<(Key, String)> = entries
            .iter()
            .map(|(key, entry)| (key.parse().unwrap(), render(entry, &Placement::Line)))
            .collect();
        let text = render_file(
            None,
            rendered.iter().map(|(key, line)| (key, line.as_str())),
            &Comments::default(),
        );
        insta::assert_snapshot!(text, @r#"
        {
          "a": {"value": 1.50},
          "b": {"value": "x \"y\""},
          "c": {"value": "env://TOKEN", "type": "secret-ref"},
          "d": {"value": {"b": 1e0,"a": []}},
          "e": {"value": "AQ==", "type": "binary"},
          "f": {"unset": true}
        }
        "#);
        assert_eq!(render_file(None, [], &Comments::default()), "{}\n");
    }
}
