//! Copies of a store elsewhere: in a directory or in an S3-compatible storage, made while the store serves,
//! each time only with what the place lacks, verified, and restored as a cluster of its own.
//!
//! A place holds *bundles*, objects that were compressed together, and *points*, each of which says as of which
//! operation a restore is possible and which bundles it takes (`docs/FORMAT-backup.md`). Everything that can be
//! asked of a store follows from its objects, so nothing else is kept: the refs are in the operations, the derived
//! rows follow from both.
//!
//! INVARIANT: what is in a place is never changed. A point is written last, in one piece, so a backup that is
//! killed leaves those before it as they are.
//! INVARIANT: every object of a point's bundles refers only to objects of these bundles.
//!
//! Deliberately absent: what an object means, and how a server is asked ([`Source`]).

mod bundle;
mod location;
mod making;
mod place;
mod point;
mod restoring;
mod source;
mod storage;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verifying;

pub use bundle::{BUNDLE_BYTES, BUNDLE_FILE_BYTES_MAX};
pub use location::{Location, LocationError};
pub use making::{Made, Progress};
pub use place::{Backup, Listed};
pub use point::{BundleLine, Point, PointName};
pub use restoring::At;
pub use source::{Head, Source, SourceError};
pub use storage::{DirectoryStorage, S3Storage, Storage, StorageError};
pub use verifying::Verified;

// What the signatures here are made of.
pub use confman_object_store::{Kind, Object, ObjectId};
pub use confman_repo::refs::{RestoreError, Restored};

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place cannot be reached or refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is there is no backup.
    #[error("{place} is not empty, and no backup; choose another place, or one that is empty")]
    NoBackup {
        /// Where.
        place: String,
    },
    /// There is nothing there.
    #[error("there is no backup in {place}")]
    Nothing {
        /// Where.
        place: String,
    },
    /// It was written by a newer version.
    #[error("the backup in {place} has format {found}; this version reads up to {supported}")]
    NewerFormat {
        /// Where.
        place: String,
        /// What it says.
        found: u32,
        /// What is understood here.
        supported: u32,
    },
    /// It is of another store.
    #[error(
        "{place} has backups of cluster {theirs}, this is cluster {ours}; each has a place of its own"
    )]
    OtherCluster {
        /// Where.
        place: String,
        /// Whose backups are there.
        theirs: String,
        /// Whose store this is.
        ours: String,
    },
    /// It has something that this store has not.
    #[error(
        "{place} has a backup as of operation {sequence}, which this store does not have: it is behind, or has gone another way"
    )]
    Ahead {
        /// Where.
        place: String,
        /// Number of that operation.
        sequence: u64,
    },
    /// A file of the backup is missing, damaged, or not what it should be.
    #[error("{file}: {reason}")]
    Damaged {
        /// Which.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No point, or none that was asked for.
    #[error("no backup in {place} {what}")]
    NotFound {
        /// Where.
        place: String,
        /// What was asked for.
        what: String,
    },
    /// The store did not give what was asked of it.
    #[error("the store did not give what a backup takes")]
    Source(#[from] SourceError),
    /// The directory cannot be made of it.
    #[error("nothing was restored")]
    Restore(#[from] RestoreError),
    /// Compressing failed.
    #[error("{action} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}
