use clap::Subcommand;
use confman_api::identity::{IssuerDocument, IssuerName};

use crate::context::Context;
use crate::error::CliError;
use crate::input::Input;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::text::Text;

/// Most bytes of the document of an issuer.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Trust issuers (OpenID Connect) to say who somebody is
///
/// Examples:
///   confman issuer set corp --url https://id.company.com --client-id confman
///   confman issuer set ci --url https://token.ci.company.com --audience confman
///   confman issuer set corp --file corp.json
///   confman issuer list
///   confman issuer delete corp --yes
///
/// For admins of `/`. What the document of an issuer can say, such as which of its groups are
/// which here and whom it lets in, is in docs/IDENTITY.md. Tokens that were given for what it
/// said stay valid until they end.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: IssuerCommand,
}

#[derive(Debug, Subcommand)]
enum IssuerCommand {
    /// Trust an issuer, or change what is said about it
    Set {
        /// Its name: a-z, 0-9, `.`, `_` and `-`
        #[arg(value_parser = name::<IssuerName>)]
        name: IssuerName,
        /// Its URL, exactly as its tokens have it in `iss`
        #[arg(long, required_unless_present = "file")]
        url: Option<String>,
        /// What Confman is called there, so that people can log in
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
        /// The audience of tokens that programs exchange
        #[arg(long)]
        audience: Option<String>,
        /// The whole document as JSON; `-` for stdin
        #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "client_id", "audience"])]
        file: Option<Input>,
    },
    /// List the issuers
    List,
    /// Show an issuer
    Show {
        /// Its name
        #[arg(value_parser = name::<IssuerName>)]
        name: IssuerName,
    },
    /// Trust an issuer no more
    Delete {
        /// Its name
        #[arg(value_parser = name::<IssuerName>)]
        name: IssuerName,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let client = &connection.client;
        let found = match self.command {
            IssuerCommand::Set {
                name,
                url,
                client_id,
                audience,
                file,
            } => {
                let document = match file {
                    Some(file) => read(&file)?,
                    None => {
                        // What is not said stays as it is.
                        let known = match connection.wait(client.issuer(&name)) {
                            Ok(issuer) => Some(issuer.document),
                            Err(error) if error.exit == crate::exit::Exit::NotFound => None,
                            Err(error) => return Err(error),
                        };
                        let mut document =
                            known.unwrap_or_else(|| IssuerDocument::new(String::new()));
                        document.url = url.unwrap_or(document.url);
                        document.client_id = client_id.or(document.client_id);
                        document.audience = audience.or(document.audience);
                        document
                    }
                };
                connection.wait(client.put_issuer(&name, &document))?
            }
            IssuerCommand::List => {
                let issuers = connection.wait(client.issuers())?;
                if cx.ui.json {
                    return Ok(Report::stream(
                        issuers
                            .into_iter()
                            .map(|issuer| Ok(output(issuer, |_| Text::new()))),
                    ));
                }
                return Ok(Report::one(issuers, |all| render::identity::issuers(all)));
            }
            IssuerCommand::Show { name } => connection.wait(client.issuer(&name))?,
            IssuerCommand::Delete { name, yes } => {
                cx.ui
                    .confirm(&format!("trust issuer `{name}` no more?"), yes)?;
                connection.wait(client.delete_issuer(&name))?;
                cx.ui.note(&format!("issuer `{name}` is trusted no more"));
                return Ok(Report::nothing());
            }
        };
        Ok(Report::one(found, render::identity::issuer))
    }
}

fn read(file: &Input) -> Result<IssuerDocument, CliError> {
    let bytes = file.read_all(DOCUMENT_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::invalid(format!("{file} is not the document of an issuer"))
            .because(error.to_string())
    })
}
