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
///
/// Reads and hashes every object, follows the chain of operations, and compares every
/// index with what it was derived from. Lists all that is wrong and ends with exit code 6
/// then. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A data directory on this machine, instead of the server's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let report = match &self.data {
            Some(data) => check_directory(cx, data)?,
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
) -> Result<confman_api::system::FsckReport, CliError> {
    let progress = cx.ui.progress("checking");
    confman_server::fsck(data, &mut |checked| progress.at(checked, 0))
        .map_err(crate::commands::serve::error)
}

#[cfg(not(feature = "server"))]
fn check_directory(
    _cx: &Context,
    _data: &std::path::Path,
) -> Result<confman_api::system::FsckReport, CliError> {
    Err(
        CliError::usage("this confman is a client only and cannot open a data directory")
            .next("use a confman that has `serve`, or ask the server: confman fsck"),
    )
}
