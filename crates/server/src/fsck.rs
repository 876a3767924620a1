//! Checking a data directory that no server runs on.

use std::path::Path;
use std::sync::Arc;

use confman_api::system::FsckReport;
use confman_repo::Repo;

use crate::admin_token;
use crate::error::chain;
use crate::options::ServeError;
use crate::routes::system;
use crate::server::OpenStore;

/// What is done about derived rows that are missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongRows {
    /// They are told of.
    Tell,
    /// They are made again from the operations first.
    Mend,
}

/// Checks everything that a data directory stores, while no server runs on it: of a node that is alone, or
/// of a member of a cluster, which reaches nobody meanwhile. Who may read the directory may do this.
/// `progress` is told how many things were checked so far.
///
/// # Errors
/// The directory is not there or cannot be opened, or its rows cannot be mended. What is wrong with the data is in
/// the report.
pub fn fsck(
    data: &Path,
    wrong_rows: WrongRows,
    progress: &mut dyn FnMut(u64),
) -> Result<FsckReport, ServeError> {
    let repo = OpenStore::to_look_at(data)?.open()?;
    let checked = check(&repo, data, wrong_rows, progress);
    repo.node().close();
    checked
}

fn check(
    repo: &Arc<Repo>,
    data: &Path,
    wrong_rows: WrongRows,
    progress: &mut dyn FnMut(u64),
) -> Result<FsckReport, ServeError> {
    let failed = |error: confman_repo::Error| ServeError::Failed(chain(&error));
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
    let mended = match wrong_rows {
        WrongRows::Tell => None,
        WrongRows::Mend => Some(repo.mend_rows().map_err(failed)?),
    };
    let found = session
        .fsck(&mut |checked| progress(checked.done))
        .map_err(failed)?;
    let ahead = found.rows_ahead;
    let mut report = system::report(found);
    report.rows_mended = mended;
    match is_alone(repo) {
        // Nobody can have brought them.
        true if ahead > 0 => report.problems.push(format!(
            "{ahead} rows are of operations that there are none of"
        )),
        _ => report.rows_ahead = ahead,
    }
    Ok(report)
}

/// Whether the node never gets anything from another one.
fn is_alone(repo: &Repo) -> bool {
    let own = repo.node().identity().node_id;
    let members = repo.node().members();
    !members.is_empty() && members.iter().all(|member| member.id == own)
}
