//! Styled text, made before anybody knows where it goes.
//!
//! Renderers say what a piece of text *is* ([`Role`]); whether and how that is coloured is decided
//! where it is printed.
//!
//! INVARIANT: no control character of pushed text reaches the output: each is written as an escape,
//! so a value can neither move the cursor nor reorder a line. Lines end only by [`Text::end_line`].

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Ordinary text.
    Plain,
    /// What a block is about.
    Heading,
    /// The id of a commit, operation or tree.
    Id,
    /// Something only the new side has.
    Added,
    /// The words of an added line that differ.
    AddedWord,
    /// Something only the old side has.
    Removed,
    /// The words of a removed line that differ.
    RemovedWord,
    /// Worth less attention than the rest.
    Faint,
    /// Worth more attention than the rest.
    Warning,
    /// What went wrong.
    Error,
}

impl Role {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Id => AnsiColor::Yellow.on_default(),
            Self::Added => AnsiColor::Green.on_default(),
            Self::AddedWord => AnsiColor::Green.on_default().bold().underline(),
            Self::Removed => AnsiColor::Red.on_default(),
            Self::RemovedWord => AnsiColor::Red.on_default().bold().underline(),
            Self::Faint => Style::new().dimmed(),
            Self::Warning => AnsiColor::Yellow.on_default().bold(),
            Self::Error => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// Pieces of text, each with its role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    spans: Vec<(Role, String)>,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One line of ordinary text.
    pub(crate) fn line(text: &str) -> Self {
        let mut line = Self::new();
        line.plain(text).end_line();
        line
    }

    /// Adds `text` with control characters escaped.
    pub(crate) fn push(&mut self, role: Role, text: &str) -> &mut Self {
        let escaped = escape(text);
        match self.spans.last_mut() {
            Some((last, span)) if *last == role => span.push_str(&escaped),
            _ => self.spans.push((role, escaped)),
        }
        self
    }

    /// Adds ordinary text.
    pub(crate) fn plain(&mut self, text: &str) -> &mut Self {
        self.push(Role::Plain, text)
    }

    /// Adds text that is worth less attention.
    pub(crate) fn faint(&mut self, text: &str) -> &mut Self {
        self.push(Role::Faint, text)
    }

    /// Ends the line.
    pub(crate) fn end_line(&mut self) -> &mut Self {
        match self.spans.last_mut() {
            Some((Role::Plain, span)) => span.push('\n'),
            _ => self.spans.push((Role::Plain, "\n".to_owned())),
        }
        self
    }

    /// Adds `text` line by line, each after `indent`.
    pub(crate) fn block(&mut self, role: Role, indent: &str, text: &str) -> &mut Self {
        for line in text.lines() {
            if !line.is_empty() {
                self.plain(indent).push(role, line);
            }
            self.end_line();
        }
        self
    }

    /// Adds all of `other`.
    pub(crate) fn append(&mut self, other: Self) -> &mut Self {
        let mut spans = other.spans.into_iter();
        match (self.spans.last_mut(), spans.next()) {
            (Some((last, span)), Some((role, text))) if *last == role => span.push_str(&text),
            (_, first) => self.spans.extend(first),
        }
        self.spans.extend(spans);
        self
    }

    /// The text without colours.
    pub(crate) fn to_plain(&self) -> String {
        self.spans.iter().map(|(_, span)| span.as_str()).collect()
    }

    /// The text with the escape sequences of a terminal.
    pub(crate) fn to_ansi(&self) -> String {
        let mut ansi = String::new();
        for (role, span) in &self.spans {
            let style = role.style();
            // Writing to a string cannot fail.
            let _ = write!(ansi, "{style}{span}{style:#}");
        }
        ansi
    }

    /// The text with roles in brackets, for tests: `[Added:+ 1]`.
    #[cfg(test)]
    pub(crate) fn to_marked(&self) -> String {
        self.spans
            .iter()
            .map(|(role, span)| match role {
                Role::Plain => span.clone(),
                role => format!("[{role:?}:{span}]"),
            })
            .collect()
    }
}

/// Escapes what could steer a terminal: C0 and C1 controls, DEL, and the characters that reorder or
/// hide what follows them. A tab stays.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => escaped.push(c),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c if c.is_control() || steers(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes like [`escape`] but keeps line ends, for a whole value on a terminal.
pub(crate) fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Characters that are no controls and still change how their neighbours are shown: marks of
/// direction, isolates and overrides, invisible joiners, line and paragraph separators.
fn steers(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// `1 key`, `2 keys`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => match noun.strip_suffix("ry") {
            Some(stem) => format!("{number} {stem}ries"),
            None => format!("{number} {noun}s"),
        },
    }
}

/// The first `chars` of an id, as people are shown it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT_ID_CHARS).unwrap_or(id)
}

/// Digits of an id that people are shown; any eight or more are accepted back.
const SHORT_ID_CHARS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_output() {
        let mut text = Text::new();
        text.plain("a\x1b[2Jb\u{202e}c\u{9b}d\re\nf\tg\u{7f}")
            .end_line();
        let plain = text.to_plain();
        assert_eq!(plain, "a\\u{1b}[2Jb\\u{202e}c\\u{9b}d\\re\\nf\tg\\u{7f}\n");
        let controls = plain
            .trim_end()
            .chars()
            .filter(|c| c.is_control() && *c != '\t')
            .count();
        assert_eq!(controls, 0);
    }

    #[test]
    fn emoji_and_accents_stay_as_they_are() {
        assert_eq!(escape("Zürich → 東京 🚀"), "Zürich → 東京 🚀");
    }

    #[test]
    fn colours_begin_and_end_with_their_piece() {
        let mut text = Text::new();
        text.push(Role::Added, "+ 1").end_line();
        assert_eq!(text.to_ansi(), "\x1b[32m+ 1\x1b[0m\n");
    }

    #[test]
    fn nouns_are_counted() {
        assert_eq!(count(1, "key"), "1 key");
        assert_eq!(count(0, "key"), "0 keys");
        assert_eq!(count(3, "entry"), "3 entries");
    }
}
