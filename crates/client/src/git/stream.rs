//! Reads a `git fast-export` stream, command by command, never more than one in memory.
//!
//! What is not as `git fast-import` documents it is an error with its line and byte; nothing is
//! guessed. Lines inside of data count as lines.

use std::io::Read;

use bytes::Bytes;

/// Longest line.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of one blob or message.
const DATA_BYTES_MAX: u64 = 512 << 20;
/// Bytes asked of the input at once.
const READ_BYTES: usize = 1 << 20;
/// Most bytes that are reserved before they have arrived.
const RESERVE_BYTES_MAX: u64 = 4 << 20;
/// Most parents, file changes aside, that one commit may name.
const MERGES_MAX: usize = 1024;

/// What is wrong with a stream, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, byte {offset}: {reason}")]
pub struct StreamProblem {
    /// Line, from 1.
    pub line: u64,
    /// Byte, from 0.
    pub offset: u64,
    /// What is wrong and what is allowed.
    pub reason: String,
}

/// Why the next command cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It is malformed or ends too early.
    #[error(transparent)]
    Malformed(#[from] StreamProblem),
    /// The input fails.
    #[error("the stream cannot be read")]
    Io(#[from] std::io::Error),
}

/// An object that a command names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `:5`
    Mark(u64),
    /// 40 or 64 hex digits.
    Oid(String),
    /// A branch or another ref.
    Ref(String),
}

/// Somebody and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ident {
    /// As in the stream; perhaps not UTF-8.
    pub name: Vec<u8>,
    /// Without its brackets.
    pub email: Vec<u8>,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
}

/// Where the content of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In an earlier blob.
    Blob(Target),
    /// Here.
    Inline(Bytes),
}

/// What a commit does to its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// A file gets a content.
    Modify {
        /// `100644`, `100755`, `120000`, `160000` or `40000`.
        mode: u32,
        /// The content.
        content: Content,
        /// Its path.
        path: Vec<u8>,
    },
    /// A file, or all under a directory, goes.
    Delete(Vec<u8>),
    /// A file, or all under a directory, gets another path.
    Rename(Vec<u8>, Vec<u8>),
    /// A file, or all under a directory, is also at another path.
    Copy(Vec<u8>, Vec<u8>),
    /// Everything goes.
    DeleteAll,
    /// A note about a commit.
    Note(Target),
}

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitCommand {
    /// The branch.
    pub branch: String,
    /// Its mark.
    pub mark: Option<u64>,
    /// Its id in the source.
    pub original: Option<String>,
    /// The committer where absent.
    pub author: Option<Ident>,
    /// Who made the commit.
    pub committer: Ident,
    /// Of the message and the names; UTF-8 where absent.
    pub encoding: Option<String>,
    /// Why.
    pub message: Bytes,
    /// The first parent; where absent, the branch as it is.
    pub from: Option<Target>,
    /// The other parents.
    pub merges: Vec<Target>,
    /// In order.
    pub changes: Vec<FileChange>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A content.
    Blob {
        /// Its mark.
        mark: Option<u64>,
        /// Its id in the source.
        original: Option<String>,
        /// The bytes.
        data: Bytes,
    },
    /// A commit.
    Commit(Box<CommitCommand>),
    /// A branch is moved, or begun anew.
    Reset {
        /// The branch.
        branch: String,
        /// Where to.
        from: Option<Target>,
    },
    /// An annotated tag.
    Tag {
        /// Its name.
        name: String,
    },
    /// The stream ends here.
    Done,
}

/// Reads commands.
#[derive(Debug)]
pub struct StreamReader<R: Read> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
    offset: u64,
    line: u64,
    /// A line that was read and belongs to the next command: with its number and offset.
    peeked: Option<(Vec<u8>, u64, u64)>,
    /// Where the current line began.
    at: (u64, u64),
    needs_done: bool,
    done: bool,
}

impl<R: Read> StreamReader<R> {
    /// Begins to read.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            offset: 0,
            line: 1,
            peeked: None,
            at: (1, 0),
            needs_done: false,
            done: false,
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next command; `None` at the end.
    ///
    /// # Errors
    /// The stream is malformed, cut, or cannot be read.
    pub fn next_command(&mut self) -> Result<Option<Command>, StreamError> {
        loop {
            if self.done {
                return Ok(None);
            }
            let Some(line) = self.take_line()? else {
                if self.needs_done {
                    return Err(self
                        .wrong("the stream ends without the `done` that it announced")
                        .into());
                }
                return Ok(None);
            };
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (word, rest) = split_word(&line);
            match word {
                b"blob" if rest.is_empty() => return self.blob().map(Some),
                b"commit" => {
                    let branch = self.name(rest, "a branch")?;
                    return self.commit(branch).map(Some);
                }
                b"reset" => {
                    let branch = self.name(rest, "a branch")?;
                    let from = match self.take_field(b"from ")? {
                        Some(target) => Some(self.target(&target)?),
                        None => None,
                    };
                    return Ok(Some(Command::Reset { branch, from }));
                }
                b"tag" => {
                    let name = self.name(rest, "a tag")?;
                    return self.tag(name).map(Some);
                }
                b"alias" => {
                    self.take_field(b"mark ")?;
                    self.take_field(b"to ")?;
                }
                b"feature" => self.feature(rest)?,
                b"option" | b"progress" | b"checkpoint" => {}
                b"done" if rest.is_empty() => {
                    self.done = true;
                    return Ok(Some(Command::Done));
                }
                _ => {
                    let reason = format!(
                        "expected a command (blob, commit, tag, reset, feature, option, progress, done), not `{}`",
                        printable(&line)
                    );
                    return Err(self.wrong(reason).into());
                }
            }
        }
    }

    fn feature(&mut self, feature: &[u8]) -> Result<(), StreamError> {
        match feature {
            b"done" => self.needs_done = true,
            b"force" | b"relative-marks" | b"no-relative-marks" | b"notes" => {}
            other if other.starts_with(b"date-format=raw") => {}
            other => {
                let reason = format!(
                    "feature `{}` is not known here; allowed are done, notes and date-format=raw",
                    printable(other)
                );
                return Err(self.wrong(reason).into());
            }
        }
        Ok(())
    }

    fn blob(&mut self) -> Result<Command, StreamError> {
        let mark = self.mark()?;
        let original = self.original()?;
        let data = self.data()?;
        Ok(Command::Blob {
            mark,
            original,
            data,
        })
    }

    fn commit(&mut self, branch: String) -> Result<Command, StreamError> {
        let mark = self.mark()?;
        let original = self.original()?;
        let author = match self.take_field(b"author ")? {
            Some(text) => Some(self.ident(&text)?),
            None => None,
        };
        let Some(committer) = self.take_field(b"committer ")? else {
            return Err(self.unexpected("`committer NAME <EMAIL> SECONDS ZONE`"));
        };
        let committer = self.ident(&committer)?;
        while self.take_field(b"gpgsig ")?.is_some() {
            self.data()?;
        }
        let encoding = self
            .take_field(b"encoding ")?
            .map(|text| String::from_utf8_lossy(&text).into_owned());
        let message = self.data()?;
        let from = match self.take_field(b"from ")? {
            Some(text) => Some(self.target(&text)?),
            None => None,
        };
        let mut merges = Vec::new();
        while let Some(text) = self.take_field(b"merge ")? {
            if merges.len() == MERGES_MAX {
                return Err(self
                    .wrong(format!("a commit has more than {MERGES_MAX} parents"))
                    .into());
            }
            merges.push(self.target(&text)?);
        }
        let mut changes = Vec::new();
        while let Some(change) = self.change()? {
            changes.push(change);
        }
        let commit = CommitCommand {
            branch,
            mark,
            original,
            author,
            committer,
            encoding,
            message,
            from,
            merges,
            changes,
        };
        Ok(Command::Commit(Box::new(commit)))
    }

    fn tag(&mut self, name: String) -> Result<Command, StreamError> {
        self.mark()?;
        if self.take_field(b"from ")?.is_none() {
            return Err(self.unexpected("`from` and what the tag names"));
        }
        self.original()?;
        if let Some(tagger) = self.take_field(b"tagger ")? {
            self.ident(&tagger)?;
        }
        self.data()?;
        Ok(Command::Tag { name })
    }

    /// The next file change of a commit, if there is one.
    fn change(&mut self) -> Result<Option<FileChange>, StreamError> {
        let Some(line) = self.peek_line()? else {
            return Ok(None);
        };
        let (word, _) = split_word(line);
        if !matches!(
            word,
            b"M" | b"D" | b"R" | b"C" | b"N" | b"deleteall" | b"ls" | b"cat-blob" | b"get-mark"
        ) {
            return Ok(None);
        }
        let line = self.take_line()?.unwrap_or_default();
        let (word, rest) = split_word(&line);
        let change = match word {
            b"M" => self.modify(rest)?,
            b"D" => FileChange::Delete(self.last_path(rest)?),
            b"R" | b"C" => {
                let (from, rest) = self.first_path(rest)?;
                let to = self.last_path(rest)?;
                if word == b"R" {
                    FileChange::Rename(from, to)
                } else {
                    FileChange::Copy(from, to)
                }
            }
            b"deleteall" if rest.is_empty() => FileChange::DeleteAll,
            b"N" => {
                let (note, about) = split_word(rest);
                if note == b"inline" {
                    self.data()?;
                }
                FileChange::Note(self.target(about)?)
            }
            _ => {
                let reason = format!(
                    "`{}` asks a question; a stream from a file cannot have an answer",
                    printable(&line)
                );
                return Err(self.wrong(reason).into());
            }
        };
        Ok(Some(change))
    }

    fn modify(&mut self, rest: &[u8]) -> Result<FileChange, StreamError> {
        let (mode, rest) = split_word(rest);
        let mode = match mode {
            b"100644" | b"644" => 0o100_644,
            b"100755" | b"755" => 0o100_755,
            b"120000" => 0o120_000,
            b"160000" => 0o160_000,
            b"040000" | b"40000" => 0o40_000,
            other => {
                let reason = format!(
                    "`{}` is not a mode; allowed are 100644, 100755, 120000, 160000 and 040000",
                    printable(other)
                );
                return Err(self.wrong(reason).into());
            }
        };
        let (what, rest) = split_word(rest);
        let target = if what == b"inline" {
            None
        } else {
            Some(self.target(what)?)
        };
        let path = self.last_path(rest)?;
        let content = match target {
            Some(target) => Content::Blob(target),
            None => Content::Inline(self.data()?),
        };
        Ok(FileChange::Modify {
            mode,
            content,
            path,
        })
    }

    fn mark(&mut self) -> Result<Option<u64>, StreamError> {
        let Some(text) = self.take_field(b"mark ")? else {
            return Ok(None);
        };
        match self.target(&text)? {
            Target::Mark(mark) => Ok(Some(mark)),
            Target::Oid(_) | Target::Ref(_) => Err(self.wrong("a mark is `:` and a number").into()),
        }
    }

    fn original(&mut self) -> Result<Option<String>, StreamError> {
        let Some(text) = self.take_field(b"original-oid ")? else {
            return Ok(None);
        };
        match oid(&text) {
            Some(oid) => Ok(Some(oid)),
            None => Err(self.wrong("an original id has 40 or 64 hex digits").into()),
        }
    }

    fn target(&self, text: &[u8]) -> Result<Target, StreamError> {
        if let Some(digits) = text.strip_prefix(b":") {
            return match number(digits) {
                Some(mark) if mark > 0 => Ok(Target::Mark(mark)),
                _ => Err(self
                    .wrong(format!(
                        "`{}` is not a mark; it is `:` and a number",
                        printable(text)
                    ))
                    .into()),
            };
        }
        if let Some(oid) = oid(text) {
            return Ok(Target::Oid(oid));
        }
        let name = text.strip_suffix(b"^0").unwrap_or(text);
        Ok(Target::Ref(self.name(name, "a ref")?))
    }

    fn name(&self, text: &[u8], what: &str) -> Result<String, StreamError> {
        match std::str::from_utf8(text) {
            Ok(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(name.to_owned()),
            _ => Err(self
                .wrong(format!("`{}` is not the name of {what}", printable(text)))
                .into()),
        }
    }

    fn ident(&self, text: &[u8]) -> Result<Ident, StreamError> {
        let wrong = || {
            let reason = format!(
                "expected `NAME <EMAIL> SECONDS ZONE`, not `{}`",
                printable(text)
            );
            StreamError::from(self.wrong(reason))
        };
        let close = text
            .iter()
            .rposition(|byte| *byte == b'>')
            .ok_or_else(wrong)?;
        let open = text
            .iter()
            .position(|byte| *byte == b'<')
            .filter(|open| *open < close)
            .ok_or_else(wrong)?;
        let name = text
            .get(..open)
            .unwrap_or_default()
            .trim_ascii_end()
            .to_vec();
        let email = text.get(open + 1..close).unwrap_or_default().to_vec();
        let when =
            std::str::from_utf8(text.get(close + 1..).unwrap_or_default()).map_err(|_| wrong())?;
        let mut words = when.split_ascii_whitespace();
        let (Some(seconds), Some(zone), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
        let offset_minutes = zone_minutes(zone).ok_or_else(wrong)?;
        // A moment is kept in milliseconds.
        seconds.checked_mul(1000).ok_or_else(wrong)?;
        Ok(Ident {
            name,
            email,
            seconds,
            offset_minutes,
        })
    }

    /// A path that is the rest of its line.
    fn last_path(&self, text: &[u8]) -> Result<Vec<u8>, StreamError> {
        if !text.starts_with(b"\"") {
            return Ok(text.to_vec());
        }
        match unquote(text) {
            Some((path, [])) => Ok(path),
            _ => Err(self
                .wrong(format!("`{}` is not a quoted path", printable(text)))
                .into()),
        }
    }

    /// A path that another one follows.
    fn first_path<'l>(&self, text: &'l [u8]) -> Result<(Vec<u8>, &'l [u8]), StreamError> {
        let found = if text.starts_with(b"\"") {
            unquote(text).and_then(|(path, rest)| Some((path, rest.strip_prefix(b" ")?)))
        } else {
            text.iter().position(|byte| *byte == b' ').map(|space| {
                let (path, rest) = text.split_at(space);
                (path.to_vec(), rest.get(1..).unwrap_or_default())
            })
        };
        found.ok_or_else(|| {
            self.wrong(format!("expected two paths, not `{}`", printable(text)))
                .into()
        })
    }

    /// `data N` and N bytes, or `data <<WORD` and lines up to that word.
    fn data(&mut self) -> Result<Bytes, StreamError> {
        let Some(header) = self.take_field(b"data ")? else {
            return Err(self.unexpected("`data`"));
        };
        if let Some(delimiter) = header.strip_prefix(b"<<") {
            return self.delimited(delimiter.to_vec());
        }
        let Some(count) = number(&header) else {
            return Err(self
                .wrong(format!("`{}` is not a number of bytes", printable(&header)))
                .into());
        };
        if count > DATA_BYTES_MAX {
            let reason = format!("data of {count} bytes, at most {DATA_BYTES_MAX} are read");
            return Err(self.wrong(reason).into());
        }
        let data = self.bytes(count)?;
        // One line feed after the data belongs to it.
        if self.buffered()?.first() == Some(&b'\n') {
            self.consume(1);
            self.line += 1;
        }
        Ok(data)
    }

    fn delimited(&mut self, delimiter: Vec<u8>) -> Result<Bytes, StreamError> {
        let mut data = Vec::new();
        loop {
            let Some(line) = self.read_line()? else {
                let reason = format!(
                    "the stream ends inside of data, before its `{}`",
                    printable(&delimiter)
                );
                return Err(self.wrong(reason).into());
            };
            if line == delimiter {
                return Ok(data.into());
            }
            data.extend_from_slice(&line);
            data.push(b'\n');
            if data.len() as u64 > DATA_BYTES_MAX {
                return Err(self
                    .wrong(format!("data of more than {DATA_BYTES_MAX} bytes"))
                    .into());
            }
        }
    }

    fn bytes(&mut self, count: u64) -> Result<Bytes, StreamError> {
        let capacity = usize::try_from(count.min(RESERVE_BYTES_MAX)).unwrap_or(0);
        let mut data = Vec::with_capacity(capacity);
        let mut missing = usize::try_from(count).unwrap_or(usize::MAX);
        while missing > 0 {
            let available = self.buffered()?;
            if available.is_empty() {
                let reason = format!(
                    "the stream ends inside of data; {missing} of {count} bytes are missing"
                );
                return Err(self.here(reason).into());
            }
            let take = available.len().min(missing);
            let piece = available.get(..take).unwrap_or_default();
            let lines = piece.iter().filter(|byte| **byte == b'\n').count();
            data.extend_from_slice(piece);
            self.line += lines as u64;
            self.consume(take);
            missing -= take;
        }
        Ok(data.into())
    }

    /// What follows `prefix`, if the next line begins with it.
    fn take_field(&mut self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StreamError> {
        let found = self
            .peek_line()?
            .is_some_and(|line| line.starts_with(prefix));
        if !found {
            return Ok(None);
        }
        let mut line = self.take_line()?.unwrap_or_default();
        line.drain(..prefix.len().min(line.len()));
        Ok(Some(line))
    }

    fn peek_line(&mut self) -> Result<Option<&[u8]>, StreamError> {
        if self.peeked.is_none() {
            let (line, offset) = (self.line, self.offset);
            if let Some(text) = self.read_line()? {
                self.peeked = Some((text, line, offset));
            }
        }
        Ok(self.peeked.as_ref().map(|(text, ..)| text.as_slice()))
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        if let Some((text, line, offset)) = self.peeked.take() {
            self.at = (line, offset);
            return Ok(Some(text));
        }
        self.at = (self.line, self.offset);
        self.read_line()
    }

    /// Reads a line without its end; `None` at the end of the stream.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let mut line = Vec::new();
        loop {
            let available = self.buffered()?;
            if available.is_empty() {
                if line.is_empty() {
                    return Ok(None);
                }
                return Err(self.here("the stream ends in the middle of a line").into());
            }
            match available.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend_from_slice(available.get(..end).unwrap_or_default());
                    self.consume(end + 1);
                    if line.len() > LINE_BYTES_MAX {
                        return Err(self
                            .here(format!(
                                "a line of {} bytes, at most {LINE_BYTES_MAX} are read",
                                line.len()
                            ))
                            .into());
                    }
                    self.line += 1;
                    return Ok(Some(line));
                }
                None => {
                    line.extend_from_slice(available);
                    let count = available.len();
                    self.consume(count);
                    if line.len() > LINE_BYTES_MAX {
                        return Err(self
                            .here(format!("a line of more than {LINE_BYTES_MAX} bytes"))
                            .into());
                    }
                }
            }
        }
    }

    /// Bytes that have arrived and were not read; none at the end.
    fn buffered(&mut self) -> Result<&[u8], StreamError> {
        if self.start == self.buffer.len() && !self.ended {
            self.buffer.resize(READ_BYTES, 0);
            self.start = 0;
            let count = loop {
                match self.input.read(&mut self.buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            match count {
                Ok(count) => {
                    self.buffer.truncate(count);
                    self.ended = count == 0;
                }
                Err(error) => {
                    self.buffer.clear();
                    return Err(error.into());
                }
            }
        }
        Ok(self.buffer.get(self.start..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    /// A problem with the line that was taken last.
    fn wrong(&self, reason: impl Into<String>) -> StreamProblem {
        StreamProblem {
            line: self.at.0,
            offset: self.at.1,
            reason: reason.into(),
        }
    }

    /// A problem where the reader is.
    fn here(&self, reason: impl Into<String>) -> StreamProblem {
        StreamProblem {
            line: self.line,
            offset: self.offset,
            reason: reason.into(),
        }
    }

    /// A problem with the line that comes next.
    fn unexpected(&self, expected: &str) -> StreamError {
        match &self.peeked {
            Some((text, line, offset)) => {
                let reason = format!("expected {expected}, not `{}`", printable(text));
                StreamProblem {
                    line: *line,
                    offset: *offset,
                    reason,
                }
                .into()
            }
            None => self
                .here(format!("the stream ends where {expected} is expected"))
                .into(),
        }
    }
}

/// The first word of a line and what follows the space after it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (
            line.get(..space).unwrap_or_default(),
            line.get(space + 1..).unwrap_or_default(),
        ),
        None => (line, &[]),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

fn oid(text: &[u8]) -> Option<String> {
    let hex = matches!(text.len(), 40 | 64)
        && text
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex.then(|| String::from_utf8_lossy(text).into_owned())
}

/// `+0130` in minutes. Old histories have impossible zones; they say nothing and count as UTC.
fn zone_minutes(zone: &str) -> Option<i16> {
    let (sign, digits) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (None, Some(digits)) => (-1, digits),
        (None, None) => return None,
    };
    let value = i64::try_from(number(digits.as_bytes())?).ok()?;
    let (hours, minutes) = (value / 100, value % 100);
    if digits.len() != 4 || hours > 24 || minutes > 59 {
        return Some(0);
    }
    i16::try_from(sign * (hours * 60 + minutes)).ok()
}

/// A C-style quoted text and what follows it.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut out = Vec::new();
    loop {
        let (&first, tail) = rest.split_first()?;
        rest = tail;
        match first {
            b'"' => return Some((out, rest)),
            b'\\' => {
                let (&escape, tail) = rest.split_first()?;
                rest = tail;
                out.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => escape,
                    b'0'..=b'3' => {
                        let (digits, tail) = rest.split_at_checked(2)?;
                        rest = tail;
                        let octal = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| byte - b'0');
                        let [high, low] = digits else { return None };
                        ((escape - b'0') << 6) | (octal(*high)? << 3) | octal(*low)?
                    }
                    _ => return None,
                });
            }
            other => out.push(other),
        }
    }
}

/// Input that is repeated in a message: short, and on one line.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes));
    text.chars().flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
