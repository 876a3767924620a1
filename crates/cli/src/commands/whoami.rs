use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{Role, Text};

/// Show who you are to the server
///
/// Examples:
///   confman whoami
///   CONFMAN_TOKEN_FILE=data/admin.token confman whoami
///
/// And which draft is your own. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let whoami = connection.wait(connection.client.whoami())?;
        let server = connection.client.server_url().to_owned();
        Ok(Report::one(whoami, move |whoami| {
            let mut text = Text::new();
            text.push(Role::Heading, &whoami.principal);
            if !whoami.name.is_empty() && whoami.name != whoami.principal {
                text.plain(&format!(" ({})", whoami.name));
            }
            text.plain(&format!(" at {server}, draft/{}", whoami.draft))
                .end_line();
            text
        }))
    }
}
