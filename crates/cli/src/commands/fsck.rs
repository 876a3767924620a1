use std::path::PathBuf;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;
use crate::report::Report;

/// Check everything that is stored
///
/// Examples:
///   confman fsck --data /var/lib/confman         # while no server runs on it
///   confman fsck                                 # the server's own data, as an administrator
///   confman fsck --data DIR --rebuild            # and make indexes again that are wrong
///
/// Reads and hashes every object, follows the chain of operations, and compares every
/// index with what it was derived from. Lists all that is wrong and ends with exit code 6
/// then. Changes nothing, unless it is told to rebuild indexes.
///
/// A member of a cluster that was stopped while it took a state from another one has rows of
/// what it has not got yet. That is said, and nothing is wrong with it: start it, and it goes
/// on where it was. What is wrong besides indexes, `confman cluster heal` brings from the
/// other members, and a node that is alone has in its backups.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A data directory on this machine, instead of the server's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Make rows of indexes again that are missing or wrong, from the operations that they follow
    /// from; then check
    #[arg(long, requires = "data")]
    rebuild: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let report = match &self.data {
            Some(data) => check_directory(cx, data, self.rebuild)?,
            None => {
                let connection = cx.connect()?;
                let _progress = cx.ui.progress("checking");
                connection.wait(connection.client.fsck())?
            }
        };
        let exit = if report.problems.is_empty() {
            Exit::Ok
        } else {
            Exit::Invalid
        };
        Ok(Report::one(report, render::fsck::report).exiting(exit))
    }
}

#[cfg(feature = "server")]
fn check_directory(
    cx: &Context,
    data: &std::path::Path,
    rebuild: bool,
) -> Result<confman_api::system::FsckReport, CliError> {
    let progress = cx.ui.progress("checking");
    let wrong_rows = match rebuild {
        true => confman_server::WrongRows::Mend,
        false => confman_server::WrongRows::Tell,
    };
    confman_server::fsck(data, wrong_rows, &mut |checked| progress.at(checked, 0))
        .map_err(crate::commands::serve::error)
}

#[cfg(not(feature = "server"))]
fn check_directory(
    _cx: &Context,
    _data: &std::path::Path,
    _rebuild: bool,
) -> Result<confman_api::system::FsckReport, CliError> {
    Err(
        CliError::usage("this confman is a client only and cannot open a data directory")
            .next("use a confman that has `serve`, or ask the server: confman fsck"),
    )
}
