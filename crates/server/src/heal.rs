//! Healing the directory of a member that no server runs on, with the help of the others.

use std::path::Path;

use confman_repo::refs::cluster::{HealError, Healed};

use crate::options::ServeError;
use crate::peer::{PeerServeOptions, Peers};

/// Why nothing was healed.
#[derive(Debug, thiserror::Error)]
pub enum HealDirectoryError {
    /// The node cannot talk to the others.
    #[error("cannot talk to peers")]
    Peers(#[source] ServeError),
    /// The directory or the others did not allow it.
    #[error(transparent)]
    Heal(#[from] HealError),
}

/// Makes what the directory of a member has what its cluster agreed on. `progress` is told how many answers of the
/// others have come. Blocks.
///
/// # Errors
/// See [`HealDirectoryError`].
pub fn heal(
    data: &Path,
    options: &PeerServeOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Healed, HealDirectoryError> {
    let peers = Peers::start(options).map_err(HealDirectoryError::Peers)?;
    let healed = confman_repo::refs::cluster::heal(data, &peers.transport(), progress)?;
    Ok(healed)
}
