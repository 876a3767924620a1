//! The strict reader of JSON text (RFC 8259).
//!
//! It stops at the first place after which it could only guess. Until there it reports all it
//! finds: duplicate keys, bad numbers, bad escapes and the like are not a reason to stop.
//!
//! INVARIANT: it calls itself at most [`JSON_DEPTH_MAX`] deep, whatever the text.

use std::ops::Range;

use super::number::Number;
use super::{JSON_DEPTH_MAX, PROBLEMS_MAX, Pointer};
use crate::quoted::Quoted;
use crate::value::Problem;

/// A part of a JSON text and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The bytes of the text that hold it.
    pub(crate) span: Range<usize>,
    pub(crate) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where the quote before the name stands.
    pub(crate) start: usize,
    pub(crate) value: Node,
}

/// The rest of the text cannot be read; the problem is recorded.
struct Stop;

enum Step {
    Member(String),
    Item(usize),
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    path: Vec<Step>,
    problems: Vec<Problem>,
}

/// Reads the whole of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Result<(&str, Node), Vec<Problem>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(vec![not_utf8(bytes, error.valid_up_to())]),
    };
    let mut parser = Parser {
        text,
        at: 0,
        path: Vec::new(),
        problems: Vec::new(),
    };
    let read = parser.document();
    let mut problems = parser.problems;
    match read {
        Ok(node) if problems.is_empty() => Ok((text, node)),
        _ => {
            problems.sort_by_key(|problem| problem.offset);
            Err(problems)
        }
    }
}

/// The problem of bytes that stop being UTF-8 at `offset`.
pub(crate) fn not_utf8(bytes: &[u8], offset: usize) -> Problem {
    let valid = bytes.get(..offset).unwrap_or_default();
    let found = bytes.get(offset).copied().unwrap_or_default();
    Problem::at(
        &String::from_utf8_lossy(valid),
        offset,
        format!("byte 0x{found:02x} is not UTF-8"),
    )
}

impl<'t> Parser<'t> {
    fn document(&mut self) -> Result<Node, Stop> {
        if self.rest().starts_with('\u{feff}') {
            self.report(
                0,
                "a byte order mark is not part of JSON; save the text without it",
            )?;
            self.at += '\u{feff}'.len_utf8();
        }
        self.space()?;
        if self.peek().is_none() {
            return self.stop(self.at, "there is no JSON value");
        }
        let node = self.value(0)?;
        self.space()?;
        match self.rest().is_empty() {
            true => Ok(node),
            false => self.stop(self.at, "there is text after the end of the JSON value"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Stop> {
        let start = self.at;
        let kind = match self.peek() {
            Some('{' | '[') if depth == JSON_DEPTH_MAX => {
                let what = format!("objects and arrays are nested more than {JSON_DEPTH_MAX} deep");
                return self.stop(start, &what);
            }
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => NodeKind::String(self.string()?),
            Some('0'..='9' | '-' | '+' | '.') => self.number()?,
            Some('\'') => return self.stop(start, "a string needs double quotes"),
            Some(c) if c.is_ascii_alphabetic() => self.word()?,
            Some(c) => {
                let what = format!("expected a value, found {}", Quoted(&c.to_string()));
                return self.stop(start, &what);
            }
            None => return self.stop(start, "expected a value, found the end of the text"),
        };
        Ok(Node {
            span: start..self.at,
            kind,
        })
    }

    fn object(&mut self, depth: usize) -> Result<NodeKind, Stop> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        self.space()?;
        if self.eat('}') {
            return Ok(NodeKind::Object(members));
        }
        loop {
            let start = self.at;
            if self.peek() != Some('"') {
                return self.stop(start, "expected a name in double quotes");
            }
            let name = self.string()?;
            self.space()?;
            if !self.eat(':') {
                let what = format!("expected `:` after the name {}", Quoted(&name));
                return self.stop(self.at, &what);
            }
            self.space()?;
            self.path.push(Step::Member(name));
            let value = self.value(depth + 1)?;
            if let Some(Step::Member(name)) = self.path.pop() {
                members.push(Member { name, start, value });
            }
            if self.ends('}')? {
                break;
            }
        }
        self.refuse_duplicates(&members)?;
        Ok(NodeKind::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<NodeKind, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        self.space()?;
        if self.eat(']') {
            return Ok(NodeKind::Array(items));
        }
        loop {
            self.path.push(Step::Item(items.len()));
            items.push(self.value(depth + 1)?);
            self.path.pop();
            if self.ends(']')? {
                return Ok(NodeKind::Array(items));
            }
        }
    }

    /// Reads what may follow a value inside brackets; true where it is the closing one.
    fn ends(&mut self, close: char) -> Result<bool, Stop> {
        self.space()?;
        let comma = self.at;
        if self.eat(close) {
            return Ok(true);
        }
        if !self.eat(',') {
            let found = match self.peek() {
                Some(c) => Quoted(&c.to_string()).to_string(),
                None => "the end of the text".to_owned(),
            };
            return self.stop(comma, &format!("expected `,` or `{close}`, found {found}"));
        }
        self.space()?;
        if self.eat(close) {
            self.report(
                comma,
                &format!("there is a comma before `{close}`; remove it"),
            )?;
            return Ok(true);
        }
        Ok(false)
    }

    fn refuse_duplicates(&mut self, members: &[Member]) -> Result<(), Stop> {
        let mut by_name: Vec<&Member> = members.iter().collect();
        by_name.sort_by_key(|member| (&member.name, member.start));
        for pair in by_name.windows(2) {
            if let [first, second] = pair
                && first.name == second.name
            {
                let (line, column) = place(self.text, first.start);
                let what = format!(
                    "key {} is there already, at line {line}, column {column}",
                    Quoted(&first.name)
                );
                self.path.push(Step::Member(second.name.clone()));
                self.report(second.start, &what)?;
                self.path.pop();
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<NodeKind, Stop> {
        let start = self.at;
        let token = self.token();
        match Number::parse(token) {
            Ok(number) => Ok(NodeKind::Number(number)),
            Err(what) => {
                self.report(start, &what)?;
                Ok(NodeKind::Null)
            }
        }
    }

    fn word(&mut self) -> Result<NodeKind, Stop> {
        let start = self.at;
        match self.token() {
            "null" => Ok(NodeKind::Null),
            "true" => Ok(NodeKind::Bool(true)),
            "false" => Ok(NodeKind::Bool(false)),
            word => {
                let what = format!(
                    "{} is not a JSON value; text needs double quotes, the only words are true, false and null",
                    Quoted(word)
                );
                self.report(start, &what)?;
                Ok(NodeKind::Null)
            }
        }
    }

    /// Takes all that could belong to a number or word.
    fn token(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn string(&mut self) -> Result<String, Stop> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest
                .find(|c: char| matches!(c, '"' | '\\') || c < ' ')
                .unwrap_or(rest.len());
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some('\n' | '\r') => {
                    let what =
                        "the line ends inside a string; close it, or write the line break as `\\n`";
                    return self.stop(self.at, what);
                }
                Some(control) => {
                    let code = u32::from(control);
                    let what =
                        format!("a control character inside a string is written `\\u{code:04x}`");
                    self.report(self.at, &what)?;
                    self.at += 1;
                }
                None => return self.stop(start, "the string that starts here is never closed"),
            }
        }
    }

    /// Reads an escape; what it cannot read it reports and replaces.
    fn escape(&mut self) -> Result<char, Stop> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else {
            return self.stop(start, "the text ends inside an escape");
        };
        self.at += kind.len_utf8();
        match kind {
            '"' | '\\' | '/' => Ok(kind),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.unicode_escape(start),
            other => {
                let what = format!(
                    "{} is not an escape JSON has",
                    Quoted(&format!("\\{other}"))
                );
                self.report(start, &what)?;
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Stop> {
        let Some(unit) = self.hex4() else {
            self.report(start, "`\\u` needs four hex digits")?;
            return Ok(char::REPLACEMENT_CHARACTER);
        };
        let after_first = self.at;
        let code = match unit {
            0xd800..=0xdbff => {
                let low = if self.eat('\\') && self.eat('u') {
                    self.hex4()
                } else {
                    None
                };
                match low {
                    Some(low @ 0xdc00..=0xdfff) => {
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => {
                        self.at = after_first;
                        unit
                    }
                }
            }
            _ => unit,
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => {
                let what =
                    format!("`\\u{unit:04x}` is half of a surrogate pair without the other half");
                self.report(start, &what)?;
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Skips white space, and comments after reporting them.
    fn space(&mut self) -> Result<(), Stop> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            let rest = self.rest();
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                return Ok(());
            };
            self.report(self.at, "comments are not part of JSON")?;
            self.at += comment;
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    /// Records a problem and goes on, unless there are too many already.
    fn report(&mut self, offset: usize, what: &str) -> Result<(), Stop> {
        let mut problem = Problem::at(self.text, offset, what);
        if !self.path.is_empty() {
            problem.pointer = Some(self.pointer());
        }
        self.problems.push(problem);
        match self.problems.len() < PROBLEMS_MAX {
            true => Ok(()),
            false => Err(Stop),
        }
    }

    /// Records a problem after which nothing can be read.
    fn stop<T>(&mut self, offset: usize, what: &str) -> Result<T, Stop> {
        self.report(offset, what)?;
        Err(Stop)
    }

    fn pointer(&self) -> Pointer {
        self.path
            .iter()
            .fold(Pointer::root(), |above, step| match step {
                Step::Member(name) => above.member(name),
                Step::Item(index) => above.item(*index),
            })
    }
}

/// The line and the character in it, both counted from 1, of a byte.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
