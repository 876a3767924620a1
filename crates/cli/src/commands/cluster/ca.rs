use std::path::PathBuf;

use confman_server::{AuthorityError, CA_CERTIFICATE, CA_KEY, make_authority, make_node};
use serde::Serialize;

use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::report::Report;
use crate::text::Text;

/// Make the certificates by which nodes know one another
///
/// Examples:
///   confman cluster ca --out certificates a.example b.example c.example
///   confman cluster ca --out certificates 10.0.0.4,d.example     # another node, later
///
/// Makes an authority in the directory, unless there is one, and a certificate and key for each
/// NODE: the host names and addresses under which its peers reach it, separated by commas, of
/// which the first names its files. Give each node ca.pem and its own two files
/// (`confman serve --peer-ca --peer-cert --peer-key`). Keep ca.key somewhere else: who has it can
/// make nodes. Nothing that is there is written over.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Directory of the certificates; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Hosts of a node, separated by commas
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
}

/// What was made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    authority: PathBuf,
    /// The authority's key, where it was made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority_key: Option<PathBuf>,
    nodes: Vec<MadeNode>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeNode {
    hosts: Vec<String>,
    certificate: PathBuf,
    key: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> Result<Report, CliError> {
        let is_new = make_authority(&self.out).map_err(|error| failed(&error))?;
        let mut made = Made {
            authority: self.out.join(CA_CERTIFICATE),
            authority_key: is_new.then(|| self.out.join(CA_KEY)),
            nodes: Vec::new(),
        };
        for node in &self.nodes {
            let hosts: Vec<String> = node.split(',').map(str::to_owned).collect();
            let files = make_node(&self.out, &hosts).map_err(|error| failed(&error))?;
            made.nodes.push(MadeNode {
                hosts,
                certificate: files.certificate,
                key: files.key,
            });
        }
        Ok(Report::one(made, text))
    }
}

fn text(made: &Made) -> Text {
    let mut text = Text::new();
    let files = std::iter::once(&made.authority)
        .chain(&made.authority_key)
        .chain(
            made.nodes
                .iter()
                .flat_map(|node| [&node.certificate, &node.key]),
        );
    for file in files {
        text.append(Text::line(&file.display().to_string()));
    }
    text
}

fn failed(error: &AuthorityError) -> CliError {
    let exit = match error {
        AuthorityError::File { source, .. } => match source.kind() {
            std::io::ErrorKind::AlreadyExists => Exit::Conflict,
            std::io::ErrorKind::PermissionDenied => Exit::NotAllowed,
            _ => Exit::Failure,
        },
        AuthorityError::Certificate { .. } => Exit::Invalid,
    };
    CliError {
        why: std::error::Error::source(error).map(chain),
        ..CliError::new(exit, error.to_string())
    }
}
