//! Checking a data directory that no server runs on.

use std::path::Path;

use confman_api::system::FsckReport;

use crate::admin_token;
use crate::error::chain;
use crate::options::{BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, ServeError};
use crate::routes::system;
use crate::server::OpenStore;

/// Checks everything that a data directory stores, while no server runs on it. Who may read the
/// directory may do this: it takes the administrator's token from it. `progress` is told how many
/// things were checked so far.
///
/// # Errors
/// The directory is not there, cannot be opened, or its token is gone. What is wrong with the data is
/// in the report.
pub fn fsck(data: &Path, progress: &mut dyn FnMut(u64)) -> Result<FsckReport, ServeError> {
    if !data.is_dir() {
        let reason = format!("`{}` is not a directory", data.display());
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, reason);
        return Err(ServeError::System {
            action: "check the data",
            source,
        });
    }
    let open = OpenStore {
        directory: data.to_owned(),
        cache_bytes: CACHE_BYTES_DEFAULT,
        block_cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
        // Nothing is served.
        documents_bytes: 0,
        peers: None,
    };
    let repo = open.open()?;
    let token_error = |source| ServeError::AdminToken {
        path: admin_token::path(data),
        source,
    };
    let token = admin_token::read(data).map_err(token_error)?.ok_or_else(|| {
        token_error(std::io::Error::other(
            "it is gone; check a running server with `confman fsck` as an administrator instead",
        ))
    })?;
    let actor = repo
        .authenticate(&token)
        .map_err(|error| token_error(std::io::Error::other(chain(&error))))?;
    let checked = repo
        .session(actor)
        .fsck(&mut |checked| progress(checked.done));
    repo.node().close();
    checked
        .map(system::report)
        .map_err(|error| ServeError::Failed(chain(&error)))
}
