use confman_api::system;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::Text;

/// Print the version of confman, and with --remote that of the server
///
/// Examples:
///   confman version
///   confman version --remote --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Ask the server for its version too
    #[arg(long)]
    remote: bool,
}

#[derive(Serialize)]
struct Versions {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<system::Version>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let server = match self.remote {
            false => None,
            true => {
                let connection = cx.connect()?;
                Some(connection.wait(connection.client.version())?)
            }
        };
        let versions = Versions {
            version: env!("CARGO_PKG_VERSION"),
            server,
        };
        Ok(Report::one(versions, |versions| {
            let mut text = Text::line(&format!("confman {}", versions.version));
            if let Some(server) = &versions.server {
                text.plain(&format!(
                    "server {}, HTTP contract v{}, cluster {}",
                    server.version, server.api, server.cluster_id
                ))
                .end_line();
            }
            text
        }))
    }
}
