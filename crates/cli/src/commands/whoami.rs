use crate::context::Context;
use crate::error::CliError;
use crate::render;
use crate::report::Report;

/// Show who you are to the server
///
/// Examples:
///   confman whoami
///   CONFMAN_TOKEN_FILE=data/admin.token confman whoami
///
/// With your groups, what your token leaves of your rights, and which draft is your own.
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let whoami = connection.wait(connection.client.whoami())?;
        let server = connection.client.server_url().to_owned();
        Ok(Report::one(whoami, move |whoami| {
            render::identity::whoami(whoami, &server)
        }))
    }
}
