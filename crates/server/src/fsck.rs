//! Checking a data directory that no server runs on.

use std::path::Path;

use confman_api::system::FsckReport;

use crate::admin_token;
use crate::error::chain;
use crate::options::ServeError;
use crate::routes::system;
use crate::server::OpenStore;

/// Checks everything that a data directory stores, while no server runs on it: of a node that is alone, or
/// of a member of a cluster, which reaches nobody meanwhile. Who may read the directory may do this.
/// `progress` is told how many things were checked so far.
///
/// # Errors
/// The directory is not there or cannot be opened. What is wrong with the data is in the report.
pub fn fsck(data: &Path, progress: &mut dyn FnMut(u64)) -> Result<FsckReport, ServeError> {
    let repo = OpenStore::to_look_at(data)?.open()?;
    let token = admin_token::read(data).map_err(|source| ServeError::AdminToken {
        path: admin_token::path(data),
        source,
    })?;
    // A node that joined a cluster has no token of its own.
    let actor = token.and_then(|token| repo.authenticate(&token).ok());
    let session = match actor {
        Some(actor) => repo.session(actor),
        None => repo.holder(),
    };
    let checked = session.fsck(&mut |checked| progress(checked.done));
    repo.node().close();
    checked
        .map(system::report)
        .map_err(|error| ServeError::Failed(chain(&error)))
}
