//! The paths by which backups are made.

use axum::http::Method;

use super::{GET, POST, PathError, nothing_at};

/// What a path names that a backup is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backup {
    /// `/v1/backup`
    Head,
    /// `/v1/backup/operations`
    Operations,
    /// `/v1/backup/objects`
    Objects,
}

impl Backup {
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Head => "/v1/backup",
            Self::Operations => "/v1/backup/operations",
            Self::Objects => "/v1/backup/objects",
        }
    }

    pub(super) fn methods(self) -> &'static [Method] {
        match self {
            Self::Head | Self::Operations => GET,
            Self::Objects => POST,
        }
    }
}

/// Reads what follows `/v1/backup`.
pub(super) fn parse(segments: &[&str]) -> Result<Backup, PathError> {
    match segments {
        [] => Ok(Backup::Head),
        ["operations"] => Ok(Backup::Operations),
        ["objects"] => Ok(Backup::Objects),
        other => Err(nothing_at(other)),
    }
}
