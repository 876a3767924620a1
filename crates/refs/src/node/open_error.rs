//! Why a data directory cannot be opened.

use std::path::PathBuf;

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory `{path}` is in use by process {owner}", path = .path.display())]
    InUse {
        /// Which.
        path: PathBuf,
        /// Process id as its lock file says, or `unknown`.
        owner: String,
    },
    /// It was written by a newer version.
    #[error("data directory `{path}` has format {found}; this version reads up to {supported}", path = .path.display())]
    NewerFormat {
        /// Which.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is understood here.
        supported: u32,
    },
    /// Its cluster has agreed on a version of the protocol that this software does not know.
    #[error("data directory `{path}` is of a cluster that speaks version {found} of the protocol; this version speaks up to {supported}", path = .path.display())]
    NewerProtocol {
        /// Which.
        path: PathBuf,
        /// What was agreed on.
        found: u16,
        /// What is understood here.
        supported: u16,
    },
    /// The node in it was removed from its cluster.
    #[error("data directory `{path}` must not start again: {reason}; empty it to let this machine join as a new node", path = .path.display())]
    Removed {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is in it is not what its cluster agreed on.
    #[error("data directory `{path}` must not start: {reason}", path = .path.display())]
    Differs {
        /// Which.
        path: PathBuf,
        /// In what.
        reason: String,
    },
    /// What was being made of it did not end.
    #[error("data directory `{path}` is not whole: {reason}; empty it and begin again", path = .path.display())]
    Unfinished {
        /// Which.
        path: PathBuf,
        /// What did not end.
        reason: String,
    },
    /// Something is in it already.
    #[error("data directory `{path}` is not empty; a restore needs one that is, or that is not there yet", path = .path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// It is the only voter of its cluster.
    #[error("the node in data directory `{path}` is the only voter already; there is nothing to recover", path = .path.display())]
    Alone {
        /// Which.
        path: PathBuf,
    },
    /// It was to join a cluster, and did not.
    #[error("data directory `{path}` has not joined: {reason}", path = .path.display())]
    Joining {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is on disk contradicts itself.
    #[error("data directory `{path}` is damaged: {reason}", path = .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// The disk or the database said no.
    #[error("could not open data directory `{path}`: {action}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
