use crate::args;
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
            reference::markdown(&mut args::whole()).into_bytes(),
        ))
    }
}
