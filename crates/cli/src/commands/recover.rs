use std::path::PathBuf;

use confman_server::{Recovered, ServeError};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{Role, Text};

/// Go on with one node after the majority of a cluster is lost for good
///
/// Examples:
///   confman recover --data DIR --as-single-voter --i-understand-data-loss
///
/// Only if fewer than a majority of the voters can ever come back: everything that the lost
/// nodes had acknowledged and this one never got is lost. Choose the survivor with the
/// highest index (`confman cluster status`), stop every node, and run this on it. It becomes
/// the only voter of a new incarnation of the cluster; what is in its log counts, also what
/// no majority had confirmed. Start it, then empty the directories of the other machines and
/// let them join as new nodes: as they are, they are refused.
///
/// There is no way back. Copy the directory first.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The data directory of the survivor, which no server runs on
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Make it the only voter
    #[arg(long, required = true)]
    as_single_voter: bool,

    /// Needed, because data may be lost
    #[arg(long, required = true)]
    i_understand_data_loss: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recovery {
    node: u64,
    incarnation: u64,
    committed: u64,
    kept: u64,
    left_out: Vec<u64>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let recovered = confman_server::recover(&self.data)
            .map_err(|error| super::serve::error(ServeError::Open(error)))?;
        let Recovered {
            node_id,
            incarnation,
            committed,
            kept,
            members,
        } = recovered;
        let left_out: Vec<u64> = members
            .iter()
            .map(|member| member.id)
            .filter(|id| *id != node_id)
            .collect();
        cx.ui
            .warn("what only the other nodes had is lost; start this node, then let new ones join");
        let recovery = Recovery {
            node: node_id,
            incarnation,
            committed,
            kept,
            left_out,
        };
        Ok(Report::one(recovery, render))
    }
}

fn render(recovery: &Recovery) -> Text {
    let mut text = Text::new();
    text.plain("node ")
        .push(Role::Id, &recovery.node.to_string())
        .plain(&format!(
            " is the only voter of incarnation {}",
            recovery.incarnation
        ))
        .end_line();
    let unconfirmed = recovery.kept.saturating_sub(recovery.committed);
    text.plain(&format!(
        "it keeps everything up to index {}, of which {unconfirmed} entries were not known to be confirmed",
        recovery.kept
    ))
    .end_line();
    let nodes: Vec<String> = recovery.left_out.iter().map(u64::to_string).collect();
    text.plain(&format!("members no more: {}", nodes.join(", ")))
        .end_line();
    text
}
