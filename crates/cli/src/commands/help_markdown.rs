use clap::CommandFactory as _;

use crate::args::Cli;
use crate::context::Context;
use crate::error::CliError;
use crate::reference;
use crate::report::Report;

/// Print the reference of the command line as Markdown
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _cx: &Context) -> Result<Report, CliError> {
        Ok(Report::bytes(
            reference::markdown(&mut Cli::command()).into_bytes(),
        ))
    }
}
