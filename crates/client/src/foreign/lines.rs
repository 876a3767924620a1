//! Formats of lines: Java properties and `.env` files. Their values are texts.

use std::iter::Peekable;
use std::str::Chars;

use super::stores::done;
use super::{ForeignEntry, ForeignProblem, ForeignValue};

type Read = Result<Vec<ForeignEntry>, Vec<ForeignProblem>>;

fn entry(key: String, text: String) -> ForeignEntry {
    ForeignEntry {
        key,
        value: ForeignValue::Text(text),
    }
}

/// Java properties, as `java.util.Properties` reads them.
pub(super) fn properties(text: &str) -> Read {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut lines = text.lines().zip(1..);
    while let Some((first, number)) = lines.next() {
        let mut line = first.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while ends_open(&line) {
            line.pop();
            match lines.next() {
                Some((more, _)) => line.push_str(more.trim_start()),
                None => break,
            }
        }
        match property(&line) {
            Ok((key, value)) => entries.push(entry(key, value)),
            Err(what) => problems.push(ForeignProblem::at_line(number, what)),
        }
    }
    done(entries, problems)
}

/// Whether a line goes on: it ends with an odd number of backslashes.
fn ends_open(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn property(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let key = unescaped(&mut chars, |c| matches!(c, '=' | ':' | ' ' | '\t' | '\x0c'))?;
    let space = |c: &char| matches!(c, ' ' | '\t' | '\x0c');
    while chars.next_if(space).is_some() {}
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        while chars.next_if(space).is_some() {}
    }
    let value = unescaped(&mut chars, |_| false)?;
    Ok((key, value))
}

/// Characters up to one that ends, with escapes taken apart. Escapes are of UTF-16.
fn unescaped(chars: &mut Peekable<Chars<'_>>, ends: fn(char) -> bool) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::new();
    let mut unit = [0; 2];
    while let Some(c) = chars.next_if(|c| !ends(*c)) {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut unit));
            continue;
        }
        match chars.next() {
            None => {}
            Some('n') => units.push(0x0a),
            Some('r') => units.push(0x0d),
            Some('t') => units.push(0x09),
            Some('f') => units.push(0x0c),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let is_four = digits.len() == 4;
                let number = u16::from_str_radix(&digits, 16).ok();
                units.push(
                    number
                        .filter(|_| is_four)
                        .ok_or("`\\u` is followed by four hex digits")?,
                );
            }
            Some(other) => units.extend_from_slice(other.encode_utf16(&mut unit)),
        }
    }
    String::from_utf16(&units).map_err(|_| "an escape is half of a character".to_owned())
}

/// A `.env` file: `NAME=value`, `export` before it or not, quotes of both kinds.
pub(super) fn dotenv(text: &str) -> Read {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut rest = text;
    let mut number = 1;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = line.trim();
        let here = number;
        number += 1;
        let mut next = after;
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            match assignment(rest) {
                Ok((name, value, left)) => {
                    let used = rest.len() - left.len();
                    let lines = rest.get(..used).unwrap_or_default().matches('\n').count();
                    number = here + lines.max(1);
                    next = left;
                    entries.push(entry(name, value));
                }
                Err(what) => problems.push(ForeignProblem::at_line(here, what)),
            }
        }
        rest = next;
    }
    done(entries, problems)
}

/// A name, a value, and what comes after their lines.
fn assignment(text: &str) -> Result<(String, String, &str), String> {
    let wrong = || "it is no NAME=value".to_owned();
    let line_end = text.find('\n').unwrap_or(text.len());
    let equals = text
        .get(..line_end)
        .and_then(|line| line.find('='))
        .ok_or_else(wrong)?;
    let (name, value) = text.split_at_checked(equals).ok_or_else(wrong)?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !begins || !is_name {
        return Err(wrong());
    }
    let value = value.strip_prefix('=').unwrap_or(value);
    let value = value.trim_start_matches([' ', '\t']);
    let (value, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value, quote)?,
        _ => {
            let (line, rest) = value.split_once('\n').unwrap_or((value, ""));
            let line = line.split(" #").next().unwrap_or(line);
            (line.trim().to_owned(), rest)
        }
    };
    Ok((name.to_owned(), value, rest))
}

/// A value in quotes, and what comes after its last line. After a quote that closes, another may
/// open, as in a shell: `'it'\''s'`.
fn quoted(text: &str, first: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut quote = Some(first);
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '\n') => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            (None, '"' | '\'') => quote = Some(c),
            (None, '\\') => value.extend(chars.next().map(|(_, c)| c)),
            (None, '#') | (None, ' ' | '\t' | '\r') => {
                let rest = text.get(at..).unwrap_or_default();
                let after = rest.split_once('\n').map_or("", |(_, after)| after);
                let left = rest.split('\n').next().unwrap_or_default().trim();
                return match left.is_empty() || left.starts_with('#') {
                    true => Ok((value, after)),
                    false => Err("something follows the closing quote".to_owned()),
                };
            }
            (None, _) => return Err("something follows the closing quote".to_owned()),
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\\' | '$' | '`'))) => value.push(c),
                Some((_, c)) => {
                    value.push('\\');
                    value.push(c);
                }
                None => {}
            },
            (Some(_), c) => value.push(c),
        }
    }
    match quote {
        None => Ok((value, "")),
        Some(_) => Err("a quote is not closed".to_owned()),
    }
}
