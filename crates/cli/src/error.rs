//! What went wrong, for a person: what, why, and what to do about it.

use confman_api::problem::{Problem, ProblemItem};
use confman_client::git::export::ExportError;
use confman_client::git::import::{ImportError, ImportIssue};
use confman_client::working_copy::FileProblem;
use confman_client::{ClientError, WorkingCopyError};

use crate::exit::Exit;
use crate::text::{Role, Text, escape};

/// Most characters of a line that is shown.
const EXCERPT_CHARS_MAX: usize = 100;
/// Most of them that come before the place.
const EXCERPT_CHARS_BEFORE: usize = 60;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    /// How the run ends.
    pub(crate) exit: Exit,
    /// What did not work.
    pub(crate) what: String,
    /// Why, if there is more to say.
    pub(crate) why: Option<String>,
    /// What to do about it.
    pub(crate) next: Option<String>,
    /// Everything that is wrong, where there are several things.
    pub(crate) items: Vec<ProblemItem>,
    /// For each of these the line of the file that it is about, where there is one.
    pub(crate) excerpts: Option<Box<Excerpts>>,
}

/// Lines of files, kept apart because an error is handed on often and shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpts(Vec<Option<String>>);

impl CliError {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            why: None,
            next: None,
            items: Vec::new(),
            excerpts: None,
        }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Input is not valid.
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, what)
    }

    /// This program did what it must not.
    pub(crate) fn bug(what: impl Into<String>) -> Self {
        Self::new(Exit::Bug, what).next("please report this, with the command that showed it")
    }

    /// A file or stream could not be read or written.
    pub(crate) fn io(what: impl Into<String>, source: &std::io::Error) -> Self {
        let exit = match source.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            std::io::ErrorKind::PermissionDenied => Exit::NotAllowed,
            _ => Exit::Failure,
        };
        Self::new(exit, what).because(source.to_string())
    }

    /// The server refused.
    pub(crate) fn problem(problem: Problem) -> Self {
        let exit = exit_of_problem(problem.status, &problem.code);
        let Problem {
            title,
            detail,
            errors,
            request_id,
            status,
            ..
        } = problem;
        // Where the detail is the only item's, the item says it with its place.
        let repeats = matches!(errors.as_slice(), [only] if only.detail == detail);
        let what = if detail.is_empty() || repeats {
            title
        } else {
            detail
        };
        let error = Self {
            items: errors,
            ..Self::new(exit, what)
        };
        match status {
            401 => error.next("`confman login`, or set CONFMAN_TOKEN"),
            403 => error.next(
                "`confman whoami` shows who you are; an admin of the namespace can grant more",
            ),
            500 if !request_id.is_empty() => error.next(format!(
                "the server's log says more about request {request_id}"
            )),
            _ => error,
        }
    }

    /// Says why.
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says what to do.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Shows these lines of files, one for each item.
    pub(crate) fn with_excerpts(mut self, excerpts: Vec<Option<String>>) -> Self {
        self.excerpts = Some(Box::new(Excerpts(excerpts)));
        self
    }

    /// The lines for stderr.
    pub(crate) fn to_text(&self) -> Text {
        let mut text = Text::new();
        text.push(Role::Error, "error: ")
            .plain(&self.what)
            .end_line();
        if let Some(why) = &self.why {
            text.faint("  why: ").plain(why).end_line();
        }
        let mut excerpts = self.excerpts.iter().flat_map(|excerpts| &excerpts.0);
        for item in &self.items {
            text.append(item_line(item));
            if let (Some(Some(line)), Some(number)) = (excerpts.next(), item.line) {
                text.append(excerpt(line, number, item.column));
            }
        }
        if let Some(next) = &self.next {
            text.faint("  try: ").plain(next).end_line();
        }
        text
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let why = std::error::Error::source(&error).map(chain);
        let what = error.to_string();
        let told = match error {
            ClientError::Problem(problem) => return Self::problem(*problem),
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, what)
                .next("check --server and CONFMAN_SERVER (`confman config show`), and that the server runs"),
            ClientError::Protocol { .. } => {
                Self::new(Exit::Unreachable, what).next("check the URL (`confman config show`)")
            }
            ClientError::Io { ref source, .. } => Self::io(what, source),
            ClientError::Invalid(_) => Self::new(Exit::Usage, what),
            ClientError::Pack(_) => Self::invalid(what)
                .next("try again; if it stays, `confman fsck` tells whether the server's data is damaged"),
        };
        Self { why, ..told }
    }
}

impl From<WorkingCopyError> for CliError {
    fn from(error: WorkingCopyError) -> Self {
        use WorkingCopyError as E;
        let exit = match &error {
            E::Client(_) => Exit::Failure,
            E::NotFound(_) | E::Outside(_) | E::Request(_) => Exit::Usage,
            E::NoSuchNamespace(_) | E::NoSuchKey { .. } | E::NotFetched { .. } => Exit::NotFound,
            E::TargetInUse(_)
            | E::Locked(_)
            | E::Ambiguous { .. }
            | E::Conflicts { .. }
            | E::NoConflict { .. }
            | E::OtherCluster { .. }
            | E::Moved { .. } => Exit::Conflict,
            E::NewerFormat { .. }
            | E::Damaged { .. }
            | E::Invalid { .. }
            | E::Hostile(_)
            | E::Mirror(_)
            | E::Packs(_) => Exit::Invalid,
            E::Backend(_) => Exit::Failure,
            E::Io { source, .. } => return Self::io(error.to_string(), source),
        };
        match error {
            E::Client(error) => error.into(),
            E::Invalid { problems } => {
                let (items, excerpts): (_, Vec<_>) = problems.into_iter().map(file_item).unzip();
                let what = "files of the working copy are not valid";
                Self {
                    items,
                    ..Self::new(exit, what)
                }
                .with_excerpts(excerpts)
                .next("correct them; a fresh `confman clone` elsewhere shows what they were")
            }
            error => {
                let why = std::error::Error::source(&error).map(chain);
                Self {
                    why,
                    ..Self::new(exit, error.to_string())
                }
            }
        }
    }
}

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        let what = error.to_string();
        let why = std::error::Error::source(&error).map(chain);
        match error {
            ImportError::Client(error) => error.into(),
            ImportError::Invalid { issues, .. } => Self {
                items: issues.iter().map(issue_item).collect(),
                ..Self::invalid(what)
            },
            ImportError::Stream { .. } => Self::invalid(what),
            ImportError::Refused(_) => Self::new(Exit::Conflict, what),
            ImportError::Io { source, .. } => Self::io(what, &source),
            ImportError::Read(_) => Self {
                why,
                ..Self::invalid(what)
            },
        }
    }
}

/// Something that is wrong with a value, for a list.
pub(crate) fn problem_item(key: &str, problem: &confman_model::Problem) -> ProblemItem {
    ProblemItem {
        detail: problem.what.clone(),
        key: Some(key.to_owned()),
        pointer: problem
            .pointer
            .as_ref()
            .map(|pointer| pointer.as_str().to_owned()),
        line: u32::try_from(problem.line).ok(),
        column: u32::try_from(problem.column).ok(),
        ..ProblemItem::default()
    }
}

/// Something about the source of an import, for a list.
pub(crate) fn issue_item(issue: &ImportIssue) -> ProblemItem {
    let place = match &issue.path {
        Some(path) => format!("{} {path}", issue.commit),
        None => issue.commit.clone(),
    };
    ProblemItem {
        detail: issue.what.clone(),
        key: Some(place),
        ..ProblemItem::default()
    }
}

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        let what = error.to_string();
        let why = std::error::Error::source(&error).map(chain);
        match error {
            ExportError::Client(error) => error.into(),
            ExportError::Nothing(_) => Self::new(Exit::NotFound, what),
            ExportError::Refused(_) => Self::invalid(what),
            ExportError::Read(_) => Self {
                why,
                ..Self::invalid(what)
            },
            ExportError::Io(source) => Self::io(what, &source),
        }
    }
}

/// Something about a file, with its line.
pub(crate) fn file_item(problem: FileProblem) -> (ProblemItem, Option<String>) {
    let item = ProblemItem {
        detail: problem.what,
        key: Some(problem.file.display().to_string()),
        line: u32::try_from(problem.line).ok(),
        column: u32::try_from(problem.column).ok(),
        ..ProblemItem::default()
    };
    (item, problem.excerpt)
}

/// The line that something is about, with a mark below the place:
///
/// ```text
///      3 │   "timeout": {"value": 1O},
///        │                        ^
/// ```
fn excerpt(line: &str, number: u32, column: Option<u32>) -> Text {
    let column = usize::try_from(column.unwrap_or(1)).unwrap_or(1);
    let skipped = column.saturating_sub(EXCERPT_CHARS_BEFORE);
    let cut = |from: usize, chars: usize| line.chars().skip(from).take(chars).collect::<String>();
    let shown = cut(skipped, EXCERPT_CHARS_MAX);
    let before = escape(&cut(skipped, column.saturating_sub(skipped + 1)));
    // A tab takes as much room below as above.
    let room = before.chars().map(|c| if c == '\t' { c } else { ' ' });
    let mut text = Text::new();
    text.faint(&format!("  {number:>6} │ "))
        .plain(&shown)
        .end_line();
    text.faint("         │ ")
        .plain(&room.collect::<String>())
        .push(Role::Error, "^")
        .end_line();
    text
}

/// One thing that is wrong, in a line: `  limits 3:14 /a/b: duplicate name`.
pub(crate) fn item_line(item: &ProblemItem) -> Text {
    let mut places = Vec::new();
    // Where a namespace is named, the pointer leads through its effective document, whose members are keys.
    let (address, pointer) = match (&item.namespace, &item.key) {
        (Some(namespace), Some(key)) => (
            Some(format!("{namespace}:{key}")),
            item.pointer.as_deref().and_then(within_value),
        ),
        (Some(namespace), None) => (Some(namespace.clone()), item.pointer.as_deref()),
        (None, key) => (key.clone(), item.pointer.as_deref()),
    };
    places.extend(address);
    match (item.line, item.column) {
        (Some(line), Some(column)) => places.push(format!("{line}:{column}")),
        (Some(line), None) => places.push(format!("line {line}")),
        (None, _) => {}
    }
    places.extend(
        pointer
            .filter(|pointer| !pointer.is_empty())
            .map(str::to_owned),
    );
    let mut line = Text::new();
    line.plain("  ");
    if !places.is_empty() {
        line.push(Role::Heading, &places.join(" ")).plain(": ");
    }
    line.plain(&item.detail).end_line();
    line
}

/// What a pointer into an effective document leads to within the value of its key.
fn within_value(pointer: &str) -> Option<&str> {
    let at = pointer.strip_prefix('/')?.find('/')? + 1;
    pointer.get(at..)
}

/// The code of a problem that says that stored data is damaged.
const CODE_CORRUPT: &str = "corrupt";

/// Codes with which the rules of publishing refuse: nothing moved, and asking again changes nothing.
const CODES_OF_RULES: [&str; 4] = ["needs-review", "not-reviewer", "frozen", "guarded"];

/// How a run ends that met a problem with this HTTP status and code.
pub(crate) fn exit_of_problem(status: u16, code: &str) -> Exit {
    match status {
        500 if code == CODE_CORRUPT => Exit::Invalid,
        404 | 410 => Exit::NotFound,
        401 | 403 => Exit::NotAllowed,
        409 if CODES_OF_RULES.contains(&code) => Exit::NotAllowed,
        409 | 412 => Exit::Conflict,
        400 | 405 | 406 | 411 | 413 | 414 | 415 | 422 | 431 => Exit::Invalid,
        428 => Exit::Confirmation,
        408 | 429 | 502 | 503 | 504 => Exit::Unreachable,
        _ => Exit::Failure,
    }
}

/// An error and everything behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !line.ends_with(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, detail: &str, errors: Vec<ProblemItem>) -> Problem {
        Problem {
            problem_type: "urn:confman:problem:test".to_owned(),
            title: "Title".to_owned(),
            status,
            detail: detail.to_owned(),
            code: "test".to_owned(),
            request_id: "r-1".to_owned(),
            errors,
        }
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = CliError::new(Exit::Conflict, "draft `x` moved")
            .because("somebody else pushed to it")
            .next("`confman pull`, then push again");
        insta::assert_snapshot!(error.to_text().to_plain(), @r"
        error: draft `x` moved
          why: somebody else pushed to it
          try: `confman pull`, then push again
        ");
    }

    #[test]
    fn all_problems_of_a_document_are_listed() {
        let errors = vec![
            ProblemItem {
                detail: "duplicate name `a`".to_owned(),
                key: Some("limits".to_owned()),
                pointer: Some("/a".to_owned()),
                line: Some(3),
                column: Some(14),
                ..ProblemItem::default()
            },
            ProblemItem {
                detail: "too deep".to_owned(),
                ..ProblemItem::default()
            },
        ];
        let error = CliError::problem(problem(422, "2 values are not valid", errors));
        assert_eq!(error.exit, Exit::Invalid);
        insta::assert_snapshot!(error.to_text().to_marked(), @r"
        [Error:error: ]2 values are not valid
          [Heading:limits 3:14 /a]: duplicate name `a`
          too deep
        ");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_shown_with_its_line() {
        let problem = |line: &str, column: usize| FileProblem {
            file: "entries.json".into(),
            line: 3,
            column,
            what: "no number".to_owned(),
            excerpt: Some(line.to_owned()),
        };
        let long = format!("{}X{}", "a".repeat(200), "b".repeat(200));
        let error = CliError::from(WorkingCopyError::Invalid {
            problems: vec![problem("\té {\"value\": 1O}", 15), problem(&long, 201)],
        });
        insta::assert_snapshot!(error.to_text().to_plain(), @r#"
        error: files of the working copy are not valid
          entries.json 3:15: no number
               3 │ 	é {"value": 1O}
                 │ 	             ^
          entries.json 3:201: no number
               3 │ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
                 │                                                            ^
          try: correct them; a fresh `confman clone` elsewhere shows what they were
        "#);
    }

    #[test]
    fn a_violation_names_the_namespace_and_what_is_wrong_in_the_value() {
        let item = |pointer: &str| ProblemItem {
            detail: "too large".to_owned(),
            key: Some("a/b".to_owned()),
            pointer: Some(pointer.to_owned()),
            namespace: Some("/teams".to_owned()),
            ..ProblemItem::default()
        };
        insta::assert_snapshot!(item_line(&item("/a~1b")).to_plain(), @"  /teams:a/b: too large");
        insta::assert_snapshot!(item_line(&item("/a~1b/x/0")).to_plain(), @"  /teams:a/b /x/0: too large");
    }

    #[test]
    fn without_a_detail_the_title_speaks() {
        assert_eq!(
            CliError::problem(problem(404, "", Vec::new())).what,
            "Title"
        );
    }

    #[test]
    fn an_internal_error_names_the_request() {
        let error = CliError::problem(problem(500, "x", Vec::new()));
        assert_eq!(
            error.next.as_deref(),
            Some("the server's log says more about request r-1")
        );
    }

    #[test]
    fn every_status_has_its_exit() {
        let table = [
            (400, Exit::Invalid),
            (401, Exit::NotAllowed),
            (403, Exit::NotAllowed),
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (410, Exit::NotFound),
            (412, Exit::Conflict),
            (413, Exit::Invalid),
            (415, Exit::Invalid),
            (422, Exit::Invalid),
            (428, Exit::Confirmation),
            (429, Exit::Unreachable),
            (500, Exit::Failure),
            (501, Exit::Failure),
            (502, Exit::Unreachable),
            (503, Exit::Unreachable),
            (504, Exit::Unreachable),
            (507, Exit::Failure),
        ];
        for (status, exit) in table {
            assert_eq!(exit_of_problem(status, "any"), exit, "{status}");
        }
        assert_eq!(exit_of_problem(500, "corrupt"), Exit::Invalid);
    }

    #[test]
    fn a_chain_of_causes_does_not_repeat_itself() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("middle: inner")]
        struct Middle(#[source] std::io::Error);
        let error = Outer(Middle(std::io::Error::other("inner")));
        assert_eq!(chain(&error), "outer: middle: inner");
    }
}
