//! Why somebody may or may not do things in a namespace.

use confman_model::Namespace;

use crate::context::Connection;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::Report;

/// Show why a principal may or may not do things in a namespace, and by which grant
///
/// Examples:
///   confman ns explain /teams/payments                       # you
///   confman ns explain /teams/payments --principal alice
///   confman ns explain /teams/payments --principal alice --permission config:publish
///   confman ns explain /teams/payments --principal alice --at "2h ago"
///
/// Anybody may ask about themselves, admins about everybody. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Explain {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Who; you if nobody is named
    #[arg(long, value_name = "WHO")]
    principal: Option<String>,
    /// Only this permission, as in config:publish
    #[arg(long, value_name = "PERMISSION")]
    permission: Option<String>,
    /// By the grants of a time, as in `2h ago`
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Explain {
    pub(super) fn run(self, connection: &Connection) -> Result<Report, CliError> {
        let report = connection.wait(connection.client.permissions(
            &self.namespace,
            self.principal.as_deref(),
            self.permission.as_deref(),
            self.at.as_deref(),
        ))?;
        Ok(Report::one(report, render::explain::permissions))
    }
}
