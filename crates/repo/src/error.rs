//! Why something could not be done: causes that a caller can act on.

use std::fmt;

use confman_layout::LayoutError;
use confman_model::{Entry, Key, Namespace, SchemaPath, ValueError};
use confman_object_store::pack::PackError;
use confman_object_store::{BackendError, Kind, ObjectId, ReadError};
use confman_policy::request::Refusal;
use confman_policy::{Permission, Violation};

/// A sort of thing that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A namespace.
    Namespace,
    /// A namespace that was deleted.
    DeletedNamespace,
    /// An entry.
    Entry,
    /// A draft.
    Draft,
    /// A revision of a namespace.
    Revision,
    /// A commit.
    Commit,
    /// A tag.
    Tag,
    /// The mark of an import.
    Import,
    /// A principal.
    Principal,
    /// A group.
    Group,
    /// A token that was issued.
    Token,
    /// A token that lets nodes in.
    JoinToken,
    /// An issuer of identities.
    Issuer,
    /// The published head.
    Published,
    /// A publish request.
    Request,
    /// A schema.
    Schema,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "namespace",
            Self::DeletedNamespace => "deleted namespace",
            Self::Entry => "entry",
            Self::Draft => "draft",
            Self::Revision => "revision",
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Import => "import of",
            Self::Principal => "principal",
            Self::Group => "group",
            Self::Token => "token",
            Self::JoinToken => "join token",
            Self::Issuer => "issuer",
            Self::Published => "published head of",
            Self::Request => "publish request",
            Self::Schema => "schema",
        })
    }
}

/// One thing that is wrong with what was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// What, and what is allowed.
    pub detail: String,
    /// The key it is about.
    pub key: Option<Key>,
    /// JSON Pointer into the value or document.
    pub pointer: Option<String>,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Character in the line, from 1.
    pub column: Option<usize>,
}

impl Problem {
    /// A problem that is not about a key.
    #[must_use]
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// A problem about a key as a whole.
    #[must_use]
    pub fn of_key(key: &Key, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            key: Some(key.clone()),
            ..Self::default()
        }
    }

    /// What the model found.
    #[must_use]
    pub fn of_model(key: Option<&Key>, problem: &confman_model::Problem) -> Self {
        Self {
            detail: problem.what.clone(),
            key: key.cloned(),
            pointer: problem.pointer.as_ref().map(ToString::to_string),
            line: Some(problem.line),
            column: Some(problem.column),
        }
    }

    /// Everything that is wrong with a value.
    #[must_use]
    pub fn of_value(key: &Key, error: &ValueError) -> Vec<Self> {
        error
            .problems
            .iter()
            .map(|problem| Self::of_model(Some(key), problem))
            .collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.detail)?;
        if let Some(pointer) = self.pointer.as_ref().filter(|pointer| !pointer.is_empty()) {
            write!(f, " at `{pointer}`")?;
        }
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})"),
            _ => Ok(()),
        }
    }
}

/// A key that changed on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConflict {
    /// Which.
    pub key: Key,
    /// What both began with.
    pub base: Option<Entry>,
    /// What is published now.
    pub ours: Option<Entry>,
    /// What the draft has.
    pub theirs: Option<Entry>,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the actor may not know of it.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What sort of thing.
        what: What,
        /// Its name.
        name: String,
    },
    /// The token is not valid, or is not valid any more.
    #[error("the token is not valid")]
    Unauthenticated,
    /// An issuer vouches for somebody, who may not come in all the same.
    #[error("`{issuer}` does not let this identity in: {reason}")]
    NotAdmitted {
        /// The issuer.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// The actor may not do this here.
    #[error("not allowed in `{namespace}`: {because}")]
    Denied {
        /// Where.
        namespace: Namespace,
        /// What it takes.
        permission: Permission,
        /// What the actor has.
        because: String,
    },
    /// What was given is wrong; everything that is wrong with it.
    #[error("{what} is not valid: {}", list(problems))]
    Invalid {
        /// What was given.
        what: String,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// What would hold breaks a schema; every rule that is broken, in every namespace.
    #[error("{what} breaks a schema: {}", broken(violations, *hidden))]
    Schema {
        /// What was asked for.
        what: String,
        /// Those in namespaces that the actor may read.
        violations: Vec<Violation>,
        /// How many there are in others.
        hidden: usize,
    },
    /// A schema is still used, so it cannot go.
    #[error("schema `{schema}` is used by {}", users.join(", "))]
    SchemaInUse {
        /// Which.
        schema: SchemaPath,
        /// The namespaces and schemas that use it.
        users: Vec<String>,
    },
    /// It is there already.
    #[error("{what} `{name}` exists already")]
    Exists {
        /// What sort of thing.
        what: What,
        /// Its name.
        name: String,
    },
    /// It is not what the caller has seen. Look again.
    #[error("{what} `{name}` is at {}, not at {}", at(actual), at(expected))]
    Stale {
        /// What sort of thing.
        what: What,
        /// Its name.
        name: String,
        /// What the caller has seen; `None`: that it is not there.
        expected: Option<ObjectId>,
        /// What it is.
        actual: Option<ObjectId>,
    },
    /// Keys changed in the draft and, differently, underneath it.
    #[error("{} changed in `{namespace}` since the draft began", keys(conflicts))]
    Conflict {
        /// Where.
        namespace: Namespace,
        /// Which keys, and how.
        conflicts: Vec<KeyConflict>,
    },
    /// Namespaces are below it.
    #[error("`{namespace}` has namespaces below it: {}", children_of(children, *hidden))]
    HasChildren {
        /// What was to be deleted.
        namespace: Namespace,
        /// Those that the actor may know of, in the order of their paths.
        children: Vec<Namespace>,
        /// How many more there are.
        hidden: usize,
    },
    /// The rules of publishing do not allow it.
    #[error("{what}: {refusal}")]
    Refused {
        /// What was to be done, as in `publish request #42`.
        what: String,
        /// The request that it is about, where it is about one.
        request: Option<u64>,
        /// Why not.
        refusal: Refusal,
    },
    /// It would change nothing.
    #[error("nothing to do in `{namespace}`: {reason}")]
    Unchanged {
        /// Where.
        namespace: Namespace,
        /// Why there is nothing to do.
        reason: String,
    },
    /// Several commits begin with these digits.
    #[error("{} commits of the namespace begin with `{prefix}`; give more digits", candidates.len())]
    AmbiguousPrefix {
        /// The digits.
        prefix: String,
        /// The commits, or the first of them.
        candidates: Vec<ObjectId>,
    },
    /// A limit is exceeded.
    #[error("{actual} {what}, at most {limit} are allowed")]
    LimitExceeded {
        /// What is counted.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was given.
        actual: u64,
    },
    /// The pack is not acceptable.
    #[error("the pack is refused")]
    Pack(#[source] PackError),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    RequestReused,
    /// Others moved the same refs again and again. Try again.
    #[error("`{name}` is changed by others all the time; try again")]
    Contended {
        /// The ref.
        name: String,
    },
    /// The namespace is published gradually, and nothing else may be published meanwhile.
    #[error(
        "publish request #{request} is published to {percent} % of the readers of `{namespace}`; promote or abort it first"
    )]
    RollingOut {
        /// Which.
        namespace: Namespace,
        /// The request.
        request: u64,
        /// How large the part is that has it.
        percent: u8,
    },
    /// An object that must be there is missing or damaged.
    #[error("{kind} {id} of this store cannot be read")]
    Corrupt {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: ObjectId,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Too much is waiting; try again later.
    #[error("too many transactions are waiting; try again later")]
    Busy,
    /// The store cannot answer now; try again later.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It may or may not have taken effect. Ask again with the same idempotency key.
    #[error("it is not known whether this took effect: {reason}")]
    UnknownOutcome {
        /// Why.
        reason: String,
    },
    /// Something that cannot happen happened.
    #[error("a bug: {reason}")]
    Bug {
        /// What.
        reason: String,
    },
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn broken(violations: &[Violation], hidden: usize) -> String {
    const SHOWN_MAX: usize = 5;
    let mut text = violations
        .iter()
        .take(SHOWN_MAX)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if violations.len() > SHOWN_MAX {
        text.push_str(&format!("; and {} more", violations.len() - SHOWN_MAX));
    }
    if hidden > 0 {
        let separator = if text.is_empty() { "" } else { "; and " };
        text.push_str(&format!(
            "{separator}{hidden} in namespaces that you may not read"
        ));
    }
    text
}

fn at(id: &Option<ObjectId>) -> String {
    id.map_or_else(|| "nothing".to_owned(), |id| format!("{id:?}"))
}

fn keys(conflicts: &[KeyConflict]) -> String {
    const SHOWN_MAX: usize = 5;
    let mut text = conflicts
        .iter()
        .take(SHOWN_MAX)
        .map(|c| format!("`{}`", c.key))
        .collect::<Vec<_>>()
        .join(", ");
    if conflicts.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more keys", conflicts.len() - SHOWN_MAX));
    }
    text
}

fn children_of(children: &[Namespace], hidden: usize) -> String {
    const SHOWN_MAX: usize = 5;
    let mut shown: Vec<String> = children
        .iter()
        .take(SHOWN_MAX)
        .map(|child| format!("`{child}`"))
        .collect();
    let more = children.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    if hidden > 0 {
        shown.push(format!("{hidden} that you may not see"));
    }
    shown.join(", ")
}

impl Error {
    /// Something that is not there.
    #[must_use]
    pub fn not_found(what: What, name: impl fmt::Display) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }

    /// One thing that is wrong with what was given.
    #[must_use]
    pub fn invalid(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            problems: vec![Problem::new(detail)],
        }
    }

    /// A bug of this crate or one below it.
    #[must_use]
    pub fn bug(reason: impl fmt::Display) -> Self {
        Self::Bug {
            reason: reason.to_string(),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Backend { kind, id, .. } => {
                let reason = chain(&error);
                // The database checks its own blocks before anybody sees a byte, and says so in words.
                let damaged = reason.contains("Corruption:") || reason.contains("corrupt");
                if damaged {
                    Self::Corrupt {
                        kind,
                        id,
                        source: Box::new(error),
                    }
                } else {
                    Self::Unavailable { reason }
                }
            }
            ReadError::Missing { kind, id }
            | ReadError::Corrupt { kind, id, .. }
            | ReadError::Malformed { kind, id, .. } => Self::Corrupt {
                kind,
                id,
                source: Box::new(error),
            },
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Corrupt { kind, id, .. } => Self::Corrupt {
                kind,
                id,
                source: Box::new(error),
            },
            BackendError::Io { .. } => Self::Unavailable {
                reason: chain(&error),
            },
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable {
            reason: chain(&error),
        }
    }
}

impl From<LayoutError> for Error {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Read(error) => Self::from(error),
            other => Self::bug(format!(
                "an entry of this store is not well formed: {}",
                chain(&other)
            )),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
