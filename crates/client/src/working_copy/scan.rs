//! Reads the structure of a JSON text without reading its values: where members stand, not what
//! they mean. Comments and a comma after the last member are allowed around members, because people
//! write them; what is inside of a value is somebody else's to judge.

use std::ops::Range;

/// Deepest nesting that is skipped over.
const DEPTH_MAX: usize = 256;

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScanError {
    pub(super) offset: usize,
    pub(super) what: String,
}

/// A member of an object: its name, and where name and value stand in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) name_offset: usize,
    pub(super) value: Range<usize>,
}

/// Line and character of a byte, both from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// A cursor in a text.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

/// The members of the object that `range` of the text holds, with nothing else around it.
pub(super) fn members(text: &str, range: Range<usize>) -> Result<Vec<Member>, ScanError> {
    let mut scanner = Scanner {
        text: text.get(..range.end).unwrap_or_default(),
        at: range.start,
    };
    scanner.skip_space()?;
    scanner.expect(b'{', "an object in braces")?;
    let mut members = Vec::new();
    loop {
        scanner.skip_space()?;
        if scanner.take(b'}') {
            break;
        }
        let name_offset = scanner.at;
        if scanner.peek() != Some(b'"') {
            return scanner.fail("expected a name in double quotes, or `}`");
        }
        let quoted = scanner.string()?;
        let name =
            unquote(text.get(quoted.clone()).unwrap_or_default()).ok_or_else(|| ScanError {
                offset: name_offset,
                what: "the name is not valid as a JSON string".to_owned(),
            })?;
        scanner.skip_space()?;
        scanner.expect(b':', "`:` after the name")?;
        scanner.skip_space()?;
        let value = scanner.value()?;
        members.push(Member {
            name,
            name_offset,
            value,
        });
        scanner.skip_space()?;
        if scanner.take(b',') {
            continue;
        }
        scanner.skip_space()?;
        scanner.expect(b'}', "`,` or `}` after the value")?;
        break;
    }
    scanner.skip_space()?;
    if scanner.at < scanner.text.len() {
        return scanner.fail("expected nothing more after the object");
    }
    Ok(members)
}

/// The member that `range` of the text holds, with nothing but white space around it.
pub(super) fn member(text: &str, range: Range<usize>) -> Option<Member> {
    let mut scanner = Scanner {
        text: text.get(..range.end)?,
        at: range.start,
    };
    scanner.skip_space().ok()?;
    let name_offset = scanner.at;
    if scanner.peek() != Some(b'"') {
        return None;
    }
    let name = unquote(text.get(scanner.string().ok()?)?)?;
    scanner.skip_space().ok()?;
    scanner.expect(b':', "`:` after the name").ok()?;
    scanner.skip_space().ok()?;
    let value = scanner.value().ok()?;
    scanner.skip_space().ok()?;
    (scanner.at == scanner.text.len()).then_some(Member {
        name,
        name_offset,
        value,
    })
}

/// Comments, and commas after a last member or item: what people write and JSON does not have.
pub(super) fn extras(text: &str) -> Vec<Range<usize>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut found = Vec::new();
    let mut comma: Option<usize> = None;
    while let Some(byte) = scanner.peek() {
        let start = scanner.at;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => scanner.at += 1,
            b'/' if scanner.comment().is_ok_and(|is_one| is_one) => {
                let comment = text.get(start..scanner.at).unwrap_or_default();
                found.push(start..start + comment.trim_end().len());
            }
            b',' => {
                comma = Some(start);
                scanner.at += 1;
            }
            b'}' | b']' => {
                found.extend(comma.take().map(|comma| comma..comma + 1));
                scanner.at += 1;
            }
            b'"' if scanner.string().is_ok() => comma = None,
            _ => {
                comma = None;
                scanner.at += 1;
            }
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

/// The text of a JSON string, `None` where its escapes are wrong.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

impl Scanner<'_> {
    fn fail<T>(&self, what: &str) -> Result<T, ScanError> {
        Err(ScanError {
            offset: self.at,
            what: what.to_owned(),
        })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), ScanError> {
        if self.take(byte) {
            Ok(())
        } else {
            self.fail(&format!("expected {what}"))
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<(), ScanError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.comment()? => {}
                _ => return Ok(()),
            }
        }
    }

    /// Skips a comment, if one begins here.
    fn comment(&mut self) -> Result<bool, ScanError> {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.at = rest.find('\n').map_or(self.text.len(), |end| self.at + end);
            return Ok(true);
        }
        if !rest.starts_with("/*") {
            return Ok(false);
        }
        // The star that begins it does not end it.
        match rest.get(2..).and_then(|rest| rest.find("*/")) {
            Some(end) => {
                self.at += end + 4;
                Ok(true)
            }
            None => self.fail("the comment has no end `*/`"),
        }
    }

    /// Skips a string with its quotes.
    fn string(&mut self) -> Result<Range<usize>, ScanError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    return Err(ScanError {
                        offset: start,
                        what: "the string has no end".to_owned(),
                    });
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                Some(b'\\') => self.at += 2,
                Some(b'\n') => {
                    return self.fail(
                        "a string ends on the line it begins on; write \\n for a line break",
                    );
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Skips any value. Only brackets and strings are understood.
    fn value(&mut self) -> Result<Range<usize>, ScanError> {
        let start = self.at;
        let mut open = Vec::new();
        loop {
            match self.peek() {
                None => {
                    let what = if open.is_empty() {
                        "expected a value"
                    } else {
                        "the value has no end"
                    };
                    return Err(ScanError {
                        offset: start,
                        what: what.to_owned(),
                    });
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(byte @ (b'{' | b'[')) => {
                    if open.len() >= DEPTH_MAX {
                        return self.fail("the value is nested too deeply");
                    }
                    open.push(if byte == b'{' { b'}' } else { b']' });
                    self.at += 1;
                }
                Some(byte @ (b'}' | b']')) => {
                    if open.pop() != Some(byte) {
                        return self.fail("a bracket closes here that was not opened");
                    }
                    self.at += 1;
                }
                Some(b'/') if self.rest().starts_with("//") || self.rest().starts_with("/*") => {
                    self.skip_space()?
                }
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') if !open.is_empty() => {
                    self.at += 1;
                    continue;
                }
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') => {
                    return self.fail("expected a value");
                }
                Some(_) => self.word(),
            }
            if open.is_empty() {
                return Ok(start..self.at);
            }
        }
    }

    /// Skips a number, `true`, `false`, `null`, or what stands in the place of one.
    fn word(&mut self) {
        while let Some(byte) = self.peek() {
            if matches!(
                byte,
                b' ' | b'\t'
                    | b'\n'
                    | b'\r'
                    | b','
                    | b':'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b'"'
                    | b'/'
            ) {
                break;
            }
            self.at += 1;
        }
        // A `/` that begins no comment belongs to the word, so that every word has an end.
        if self.peek() == Some(b'/')
            && !self.rest().starts_with("//")
            && !self.rest().starts_with("/*")
        {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scanned(text: &str) -> String {
        match members(text, 0..text.len()) {
            Ok(found) => found
                .iter()
                .map(|member| format!("{}={}", member.name, &text[member.value.clone()]))
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) => {
                let (line, column) = position(text, error.offset);
                format!("{line}:{column}: {}", error.what)
            }
        }
    }

    #[test]
    fn members_are_found_with_comments_and_commas_around_them() {
        let text = "// mine\n{ \"a\" : {\"value\": [1, \"}\"]}, /* two */ \"b\\u0041\": 1.50,\n}\n";
        insta::assert_snapshot!(scanned(text), @r#"a={"value": [1, "}"]}; bA=1.50"#);
        insta::assert_snapshot!(scanned("{}"), @"");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        insta::assert_snapshot!(scanned(""), @"1:1: expected an object in braces");
        insta::assert_snapshot!(scanned("{\n  a: 1}"), @"2:3: expected a name in double quotes, or `}`");
        insta::assert_snapshot!(scanned("{\"a\" 1}"), @"1:6: expected `:` after the name");
        insta::assert_snapshot!(scanned("{\"a\": }"), @"1:7: a bracket closes here that was not opened");
        insta::assert_snapshot!(scanned("{\"a\": [1}"), @"1:9: a bracket closes here that was not opened");
        insta::assert_snapshot!(scanned("{\"a\": 1 \"b\": 2}"), @"1:9: expected `,` or `}` after the value");
        insta::assert_snapshot!(scanned("{\"a\": \"x\n\"}"), @"1:9: a string ends on the line it begins on; write \\n for a line break");
        insta::assert_snapshot!(scanned("{} x"), @"1:4: expected nothing more after the object");
        insta::assert_snapshot!(scanned("{\"é\": 1 /* "), @"1:9: the comment has no end `*/`");
    }

    #[test]
    fn what_json_does_not_have_is_found() {
        let found = |text: &str| {
            let found = extras(text).into_iter();
            found
                .map(|range| text[range].to_owned())
                .collect::<Vec<_>>()
                .join("|")
        };
        insta::assert_snapshot!(found("// é\n{\"a, }\": [1, /* two\n */ 2,\n], \"b\": {} /**/ ,\n}\n"), @"// é|/* two\n */|,|/**/|,");
        insta::assert_snapshot!(found("{\"a\": \"// no\", \"b\": 1}"), @"");
        insta::assert_snapshot!(found("{/*/ one */ // two\n// three\n}"), @"/*/ one */|// two|// three");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"([{}\[\]",:/*\\\n a1é]|"a")*"#) {
            for extra in extras(&text) {
                prop_assert!(text.get(extra).is_some());
            }
            if let Ok(found) = members(&text, 0..text.len()) {
                for member in found {
                    prop_assert!(text.get(member.value).is_some());
                }
            }
        }
    }
}
