use clap::Subcommand;
use confman_api::identity::{
    ExternalIdentity, IssuerName, PrincipalKind, PrincipalName, PrincipalPatch, PrincipalWrite,
};

use crate::context::Context;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::text::Text;

/// Create, list and disable principals: who can be granted roles and hold tokens
///
/// Examples:
///   confman principal create ann --display-name "Ann O." --email ann@company.com
///   confman principal create ci --service
///   confman principal list
///   confman principal show ann
///   confman principal disable ann
///
/// For admins of `/`. A principal is never removed, because history names it. A disabled one
/// can do nothing, on any node, from that moment on. Undo: `confman principal enable`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: PrincipalCommand,
}

#[derive(Debug, Subcommand)]
enum PrincipalCommand {
    /// Create a principal
    Create {
        /// Its name, for good: a-z, 0-9, `.`, `_` and `-`
        #[arg(value_parser = name::<PrincipalName>)]
        name: PrincipalName,
        /// It is a program, not a person
        #[arg(long)]
        service: bool,
        /// Its name for people
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Its mail address
        #[arg(
            long,
            value_name = "ADDRESS",
            default_value = "",
            hide_default_value = true
        )]
        email: String,
        /// The issuer by which it logs in
        #[arg(long, requires = "subject", value_parser = name::<IssuerName>)]
        issuer: Option<IssuerName>,
        /// What that issuer calls it: its `sub`
        #[arg(long, requires = "issuer", value_name = "SUB")]
        subject: Option<String>,
    },
    /// List the principals
    List,
    /// Show a principal with its groups; yourself if nobody is named
    Show {
        /// Its name
        #[arg(value_parser = name::<PrincipalName>)]
        name: Option<PrincipalName>,
    },
    /// Shut a principal out
    Disable {
        /// Its name
        #[arg(value_parser = name::<PrincipalName>)]
        name: PrincipalName,
    },
    /// Let a principal in again
    Enable {
        /// Its name
        #[arg(value_parser = name::<PrincipalName>)]
        name: PrincipalName,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let client = &connection.client;
        let disable = |disabled| PrincipalPatch {
            disabled: Some(disabled),
            ..PrincipalPatch::default()
        };
        let found = match self.command {
            PrincipalCommand::Create {
                name,
                service,
                display_name,
                email,
                issuer,
                subject,
            } => {
                let write = PrincipalWrite {
                    name,
                    kind: match service {
                        true => PrincipalKind::Service,
                        false => PrincipalKind::User,
                    },
                    display_name,
                    email,
                    identity: issuer
                        .zip(subject)
                        .map(|(issuer, subject)| ExternalIdentity { issuer, subject }),
                };
                connection.wait(client.create_principal(&write))?
            }
            PrincipalCommand::List => {
                let principals = connection.wait(client.principals())?;
                if cx.ui.json {
                    return Ok(Report::stream(
                        principals
                            .into_iter()
                            .map(|principal| Ok(output(principal, |_| Text::new()))),
                    ));
                }
                return Ok(
                    Report::one(principals, |all| render::identity::principals(all)).paged(),
                );
            }
            PrincipalCommand::Show { name: Some(name) } => {
                connection.wait(client.principal(&name))?
            }
            PrincipalCommand::Show { name: None } => {
                let me = connection.wait(client.whoami())?.principal;
                let me = name::<PrincipalName>(&me).map_err(CliError::usage)?;
                connection.wait(client.principal(&me))?
            }
            PrincipalCommand::Disable { name } => {
                connection.wait(client.change_principal(&name, &disable(true)))?
            }
            PrincipalCommand::Enable { name } => {
                connection.wait(client.change_principal(&name, &disable(false)))?
            }
        };
        Ok(Report::one(found, render::identity::principal))
    }
}
