use std::path::PathBuf;

use confman_server::{HealDirectoryError, HealError, Healed, PeerServeOptions, ServeError};
use serde::Serialize;

use crate::commands::serve;
use crate::context::Context;
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::report::Report;
use crate::text::{Role, Text};

/// Where it listens where nothing is said: nobody has to reach it.
const LISTEN_DEFAULT: &str = "127.0.0.1:0";

/// Repair the directory of a node from the others, in place
///
/// Examples:
///   confman cluster heal --data DIR --peer-ca ca.pem --peer-cert c.example.pem --peer-key c.example.key
///
/// For a node that took itself out of service because it differs from its cluster, or whose
/// disk has damaged what it stored; run it while no server runs on the directory. It asks the
/// other members which state a majority of the voters agrees on, reads and hashes everything
/// that is here, fetches what differs, is damaged or missing, and proves the result. The node
/// stays the member that it was, with its log and its votes: start it again as before.
/// Stopped on the way, it goes on when it is run again; until it has ended, the node does not
/// start. Changes nothing where no majority agrees.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The data directory, which no server runs on
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Certificate of the authority of all nodes, PEM
    #[arg(long, value_name = "FILE")]
    peer_ca: PathBuf,

    /// This node's certificate, PEM
    #[arg(long, value_name = "FILE")]
    peer_cert: PathBuf,

    /// This node's key, PEM
    #[arg(long, value_name = "FILE")]
    peer_key: PathBuf,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealedNode {
    node: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    differed: Option<String>,
    sequence: u64,
    checked: u64,
    fetched: u64,
}

impl Args {
    pub(super) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let options = PeerServeOptions {
            listen: LISTEN_DEFAULT.to_owned(),
            address: None,
            ca: self.peer_ca,
            certificate: self.peer_cert,
            key: self.peer_key,
        };
        let progress = cx.ui.progress("fetching from the others");
        let healed = confman_server::heal(&self.data, &options, &mut |answers| {
            progress.at(answers, 0);
        });
        drop(progress);
        let Healed {
            node_id,
            differed,
            sequence,
            checked,
            fetched,
        } = healed.map_err(failed)?;
        let healed = HealedNode {
            node: node_id,
            differed,
            sequence,
            checked,
            fetched,
        };
        Ok(Report::one(healed, render))
    }
}

fn failed(error: HealDirectoryError) -> CliError {
    match error {
        HealDirectoryError::Peers(error) => serve::error(error),
        HealDirectoryError::Heal(HealError::Open(error)) => serve::error(ServeError::Open(error)),
        HealDirectoryError::Heal(error) => {
            let why = std::error::Error::source(&error).map(chain);
            let exit = match &error {
                HealError::NotAgreed(_) => Exit::Conflict,
                _ => Exit::Unreachable,
            };
            let told = CliError {
                why,
                ..CliError::new(exit, error.to_string())
            };
            told.next("see that the other nodes run and can be reached (`confman cluster status`), then run it again")
        }
    }
}

fn render(healed: &HealedNode) -> Text {
    let mut text = Text::new();
    text.plain("node ")
        .push(Role::Id, &healed.node.to_string())
        .plain(&format!(
            " is what its cluster agreed on, up to operation {}: {} objects checked, {} fetched",
            healed.sequence, healed.checked, healed.fetched
        ))
        .end_line();
    if let Some(differed) = &healed.differed {
        text.faint("before: ").plain(differed).end_line();
    }
    text.plain("start it again as before").end_line();
    text
}
