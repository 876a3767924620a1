//! Data directories that no server runs on: looked into for a backup, and completed after a restore.

use std::path::Path;
use std::sync::Arc;

use confman_repo::model::PrincipalKind;
use confman_repo::refs::{Node, NodeOptions};
use confman_repo::{Repo, RepoOptions, Session, SystemClock, Token};
use data_encoding::HEXLOWER;

use crate::admin_token;
use crate::error::chain;
use crate::options::{BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, ServeError};
use crate::server::OpenStore;

/// What completing a restore came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Identity of the new cluster, 32 hex digits.
    pub cluster_id: String,
    /// Derived rows that were made.
    pub rows: u64,
    /// Whether a new token of the first administrator is in the directory; it is not where that principal was no
    /// admin of `/` any more.
    pub admin_token: bool,
}

/// Opens a data directory that no server runs on, as whoever holds it. What is open is closed when the session is
/// dropped.
///
/// # Errors
/// The directory is not there or cannot be opened.
pub fn hold(data: &Path) -> Result<Session, ServeError> {
    Ok(OpenStore::to_look_at(data)?.open()?.holder())
}

/// Completes a directory that was restored: the derived rows, a note in the audit log with `detail`, and a token of
/// the first administrator in its file. Nothing opens the directory before.
///
/// # Errors
/// What was restored contradicts itself, or the disk fails.
pub fn complete_restored(data: &Path, detail: serde_json::Value) -> Result<Completed, ServeError> {
    let node = Node::open_restored(&NodeOptions {
        directory: data.to_owned(),
        cache_bytes: CACHE_BYTES_DEFAULT,
        block_cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
        peers: None,
    })
    .map_err(ServeError::Open)?;
    let repo = Repo::open(
        Arc::new(node),
        Arc::new(SystemClock),
        RepoOptions {
            documents_bytes_max: 0,
            ..RepoOptions::default()
        },
    );
    let completed = complete(data, &repo, detail);
    repo.node().close();
    completed
}

fn complete(
    data: &Path,
    repo: &Arc<Repo>,
    detail: serde_json::Value,
) -> Result<Completed, ServeError> {
    let failed = |error: &dyn std::error::Error| ServeError::Failed(chain(error));
    let verified = repo
        .node()
        .verify_operations()
        .map_err(|error| failed(&error))?;
    if let Some(difference) = verified.difference {
        return Err(ServeError::Failed(format!(
            "operation {}: {}",
            difference.sequence, difference.reason
        )));
    }
    let rows = repo.rebuild_rows().map_err(|error| failed(&error))?;
    let token = Token::generate(PrincipalKind::User).map_err(|error| failed(&error))?;
    let token_failed = |source| ServeError::AdminToken {
        path: admin_token::path(data),
        source,
    };
    // In its file before the store knows it, as at the first start.
    admin_token::create(data, token.as_str()).map_err(token_failed)?;
    let (is_admin, _) = repo
        .note_restored(detail, &token)
        .map_err(|error| failed(&error))?;
    if !is_admin {
        std::fs::remove_file(admin_token::path(data)).map_err(token_failed)?;
    }
    repo.node().complete().map_err(|error| failed(&error))?;
    Ok(Completed {
        cluster_id: HEXLOWER.encode(&repo.node().status().cluster_id),
        rows,
        admin_token: is_admin,
    })
}
