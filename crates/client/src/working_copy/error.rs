//! Why a working copy cannot do what was asked.

use std::fmt;
use std::path::{Path, PathBuf};

use confman_model::{Key, Namespace};
use confman_object_store::{ObjectId, ReadError};

use super::scan;
use crate::client::ClientError;

/// One thing that is wrong in a file that people edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The file, relative to the root of the working copy.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub what: String,
    /// The text of the line, where it is known.
    pub excerpt: Option<String>,
}

impl FileProblem {
    /// Something about a byte of a file's text.
    pub(super) fn at(file: &Path, text: &str, offset: usize, what: impl Into<String>) -> Self {
        let (line, column) = scan::position(text, offset);
        Self {
            file: file.to_path_buf(),
            line,
            column,
            what: what.into(),
            excerpt: text.lines().nth(line - 1).map(str::to_owned),
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file.display(),
            self.line,
            self.column,
            self.what
        )
    }
}

/// Why a working copy cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorkingCopyError {
    /// Neither the directory nor one above it is a working copy.
    #[error("`{}` is not in a working copy; `confman clone NAMESPACE` makes one", .0.display())]
    NotFound(PathBuf),
    /// There is something where a clone should go.
    #[error("`{}` exists and is not an empty directory", .0.display())]
    TargetInUse(PathBuf),
    /// Another process changes the working copy at the moment.
    #[error("another process is changing the working copy `{}`; wait for it, then try again", .0.display())]
    Locked(PathBuf),
    /// The working copy was made by a newer version.
    #[error("the working copy has format {found}, this version knows {known}; use a newer confman")]
    NewerFormat {
        /// What it has.
        found: u32,
        /// What is known here.
        known: u32,
    },
    /// A private file is not what this program wrote.
    #[error("`{}` is damaged: {reason}; clone again and copy your files over", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The files that people edit are not valid.
    #[error("{} in the working copy:\n{}", count(problems.len()), lines(problems))]
    Invalid {
        /// Everything that is wrong; at least one.
        problems: Vec<FileProblem>,
    },
    /// The namespace is not in this working copy.
    #[error("`{0}` is not in this working copy")]
    NoSuchNamespace(Namespace),
    /// A path lies outside of the working copy.
    #[error("`{}` lies outside of the working copy", .0.display())]
    Outside(PathBuf),
    /// A key is neither in the files nor where it should come from.
    #[error("`{namespace}` has no key `{key}` here")]
    NoSuchKey {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: Key,
    },
    /// A revision is not among what was fetched.
    #[error(
        "revision `{revision}` of `{namespace}` was not fetched; ask the server, or `confman pull`"
    )]
    NotFetched {
        /// The namespace.
        namespace: Namespace,
        /// The revision as given.
        revision: String,
    },
    /// A prefix names several commits.
    #[error("`{prefix}` begins the ids of several commits: {}", .found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// The commits, some of them.
        found: Vec<ObjectId>,
    },
    /// Conflicts are left.
    #[error("conflicts are left in `{namespace}`: {}; edit them in entries.json, keeping one entry in place of each", .keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Conflicts {
        /// The namespace.
        namespace: Namespace,
        /// The keys.
        keys: Vec<Key>,
    },
    /// A key that should be resolved has no conflict.
    #[error("key `{key}` of `{namespace}` has no conflict")]
    NoConflict {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: Key,
    },
    /// The working copy was cloned from another cluster than the one that answers.
    #[error("the working copy belongs to cluster {expected}, the server is cluster {actual}")]
    OtherCluster {
        /// What the working copy came from.
        expected: String,
        /// What answered.
        actual: String,
    },
    /// What the server sent is not whole or not valid; nothing of it was taken.
    #[error("the server sent something that is not right: {0}")]
    Hostile(String),
    /// The draft moved since the files came from it.
    #[error("draft `{draft}` of `{namespace}` has moved; `confman pull` first")]
    Moved {
        /// The namespace.
        namespace: Namespace,
        /// The draft.
        draft: String,
    },
    /// Something about the request is not valid.
    #[error("{0}")]
    Request(String),
    /// The server could not be asked or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An object of the mirror cannot be read.
    #[error("an object of the local mirror cannot be read")]
    Mirror(#[from] ReadError),
    /// The mirror cannot be written.
    #[error("the local mirror cannot be written or read")]
    Backend(#[from] confman_object_store::BackendError),
    /// The mirror cannot be opened.
    #[error("the local mirror cannot be opened")]
    Packs(#[from] confman_object_store::pack_dir::PackDirError),
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl WorkingCopyError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

fn count(problems: usize) -> String {
    if problems == 1 {
        "1 problem".to_owned()
    } else {
        format!("{problems} problems")
    }
}

fn lines(problems: &[FileProblem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
