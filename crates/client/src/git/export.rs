//! Writes the history of a namespace as a `git fast-import` stream.

use std::io::Write;

use confman_model::Namespace;

use crate::client::{Client, ClientError};

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The namespace.
    pub namespace: Namespace,
    /// Every commit with all of its parents, not only the published line.
    pub all_commits: bool,
    /// The branch to write.
    pub branch: String,
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Commits.
    pub commits: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of the stream.
    pub bytes: u64,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is nothing to export.
    #[error("nothing was published in `{0}`")]
    Nothing(Namespace),
    /// Something cannot be written as Git has it.
    #[error("{0}")]
    Refused(String),
    /// The server could not be asked or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An object that was fetched is missing or wrong.
    #[error("an object that was fetched is missing or wrong")]
    Read(#[from] confman_object_store::ReadError),
    /// The stream cannot be written.
    #[error("cannot write the stream")]
    Io(#[from] std::io::Error),
}

/// Writes the stream.
///
/// # Errors
/// What was written so far is not a whole stream then; it lacks its `done`.
pub async fn export<W: Write>(
    _client: &Client,
    _options: &ExportOptions,
    _out: W,
    _progress: &(dyn Fn(ExportReport) + Send + Sync),
) -> Result<ExportReport, ExportError> {
    todo!()
}
