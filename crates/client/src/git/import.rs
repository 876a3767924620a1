//! Brings a `git fast-export` stream into a namespace.

use std::io::Read;
use std::path::Path;

use confman_model::Namespace;

use crate::client::{Client, ClientError};

/// What to import and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The namespace that gets the history.
    pub namespace: Namespace,
    /// How many leading directories become child namespaces.
    pub depth: usize,
    /// Leave out files that cannot be entries instead of refusing.
    pub skip_invalid: bool,
    /// The branch whose commits are published; found by itself where there is only one, or `main` or `master`.
    pub branch: Option<String>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Commits of the source that were read.
    pub commits: u64,
    /// Commits of the source that the server has.
    pub sent: u64,
    /// Bytes of the stream that were read.
    pub bytes: u64,
    /// Published commits so far, in the last phase.
    pub published: u64,
}

/// Something about the source that an import could not take as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportIssue {
    /// The commit, by its id in the source or its mark.
    pub commit: String,
    /// The path, where it is about one.
    pub path: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Commits of the source.
    pub commits: u64,
    /// Commits that were there already from an earlier run.
    pub resumed: u64,
    /// Published heads: namespace, commit, tree.
    pub heads: Vec<ImportedHead>,
    /// Files that were left out, at most [`ISSUES_MAX`].
    pub skipped: Vec<ImportIssue>,
    /// What was taken, but not as it is, at most [`ISSUES_MAX`].
    pub warnings: Vec<ImportIssue>,
    /// How many more there were of either.
    pub more: u64,
}

/// Most issues that are kept of a kind.
pub const ISSUES_MAX: usize = 1000;

/// A namespace after an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedHead {
    /// The namespace.
    pub namespace: Namespace,
    /// Its published head.
    pub commit: confman_object_store::ObjectId,
    /// Root of its tree.
    pub tree: confman_object_store::ObjectId,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Some files cannot be entries. Nothing was published.
    #[error("{} cannot be entries; rename them in the source or leave them out with --skip-invalid", count(issues.len(), *more))]
    Invalid {
        /// The first of them.
        issues: Vec<ImportIssue>,
        /// How many more there are.
        more: u64,
    },
    /// The stream cannot be read.
    #[error("the stream is wrong at line {line}, byte {offset}: {reason}")]
    Stream {
        /// Line, from 1; lines inside of data count.
        line: u64,
        /// Byte, from 0.
        offset: u64,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The import cannot go on from where the server is.
    #[error("{0}")]
    Refused(String),
    /// The server could not be asked or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something on this machine failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An object that this import made cannot be read back.
    #[error("an object of the import cannot be read back")]
    Read(#[from] confman_object_store::ReadError),
}

fn count(files: usize, more: u64) -> String {
    format!("{} files of the source", u64::try_from(files).unwrap_or(u64::MAX).saturating_add(more))
}

/// Imports a stream. Running it again with the same stream goes on where it stopped.
///
/// # Errors
/// Nothing is published then, or all that was published is whole commits of the stream.
pub async fn import<R: Read + Send + 'static>(
    _client: &Client,
    _stream: R,
    _options: &ImportOptions,
    _progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<ImportReport, ImportError> {
    todo!()
}

/// Imports the branch that is checked out in a Git repository, by running `git fast-export`.
///
/// # Errors
/// `git` cannot be run or fails, or as [`import`].
pub async fn import_repository(
    _client: &Client,
    _repository: &Path,
    _options: &ImportOptions,
    _progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<ImportReport, ImportError> {
    todo!()
}
