#[cfg(feature = "server")]
mod ca;
#[cfg(feature = "server")]
mod heal;

use clap::Subcommand;
use confman_api::cluster::{JoinTokenWrite, MemberWrite, ReplaceWrite, TransferWrite};

use crate::commands::token::{check_id, end, listed};
use crate::context::Context;
use crate::error::CliError;
use crate::render;
use crate::report::{Report, output};
use crate::text::Text;

/// The nodes of a cluster: look at them, let them in, promote, replace and remove them
///
/// Examples:
///   confman cluster ca --out certificates a.example b.example c.example
///   confman cluster status
///   confman cluster join-token create > join.token
///   confman serve --data DIR --join a:7421 --join-token-file join.token …   # on the new machine
///   confman cluster replace 3 --by 57
///   confman cluster remove 3
///   confman cluster heal --data DIR --peer-ca …                             # of a node that differs
///
/// For admins of `/`. A node that joins becomes a learner, gets everything, and votes as soon
/// as it has caught up, unless it was started with --learner: then it is a read replica.
/// Whatever would leave fewer voters than a majority is refused, with the figures; --force
/// does it all the same, for nodes that are gone for good. A node that was removed stays
/// removed: to bring its machine back, empty its directory and let it join as a new node.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Make the certificates by which nodes know one another
    #[cfg(feature = "server")]
    Ca(ca::Args),
    /// Repair the directory of a node from the others, in place
    #[cfg(feature = "server")]
    Heal(heal::Args),
    /// Say whether the cluster is well, and what each node says of itself
    Status,
    /// List the nodes
    Members,
    /// Make a join token for one node, and say how to start the node
    Add {
        /// It stays a learner: a read replica
        #[arg(long)]
        learner: bool,
        /// When the token ends: a span as in 1h, or a time as in 2027-01-01T00:00:00Z; a day if not given
        #[arg(long, value_name = "WHEN", value_parser = end)]
        expires: Option<String>,
    },
    /// Make a voter of a learner
    Promote {
        /// The node, by its id
        node: u64,
        /// Though it is behind, or too few voters can be reached
        #[arg(long)]
        force: bool,
    },
    /// Remove a node for ever
    Remove {
        /// The node, by its id
        node: u64,
        /// Though too few voters could be reached then
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a voter of a learner, then remove the voter that it replaces for ever
    Replace {
        /// The node that leaves, by its id
        node: u64,
        /// The learner that takes its place
        #[arg(long, value_name = "NODE")]
        by: u64,
        /// Though too few voters could be reached then
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Let another voter lead
    Transfer {
        /// Which, by its id; the one that is least behind if none is named
        to: Option<u64>,
    },
    /// Make, list and revoke the tokens that let nodes in
    JoinToken {
        #[command(subcommand)]
        command: JoinTokenCommand,
    },
}

#[derive(Debug, Subcommand)]
enum JoinTokenCommand {
    /// Make a join token and print it, alone, on stdout
    Create {
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        name: String,
        /// How many nodes it lets in
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// When it ends: a span as in 1h, or a time as in 2027-01-01T00:00:00Z; a day if not given
        #[arg(long, value_name = "WHEN", value_parser = end)]
        expires: Option<String>,
    },
    /// List join tokens, without the tokens themselves
    List,
    /// Revoke a join token; nodes that it let in stay
    Revoke {
        /// Its id, as `list` shows it; never the token itself
        id: String,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        #[cfg(feature = "server")]
        let command = match self.command {
            // They need no server.
            ClusterCommand::Ca(args) => return args.run(),
            ClusterCommand::Heal(args) => return args.run(cx),
            command => command,
        };
        #[cfg(not(feature = "server"))]
        let command = self.command;
        let connection = cx.connect()?;
        let client = &connection.client;
        let changed = match command {
            // They were run above.
            #[cfg(feature = "server")]
            ClusterCommand::Ca(_) | ClusterCommand::Heal(_) => return Ok(Report::nothing()),
            ClusterCommand::Status => {
                let found = connection.wait(client.cluster())?;
                return Ok(Report::one(found, render::cluster::status));
            }
            ClusterCommand::Members => {
                let found = connection.wait(client.cluster())?;
                if cx.ui.json {
                    let members = found.members.into_iter();
                    return Ok(Report::stream(
                        members.map(|member| Ok(output(member, |_| Text::new()))),
                    ));
                }
                return Ok(Report::one(found, render::cluster::members));
            }
            ClusterCommand::Add { learner, expires } => return add(cx, learner, expires),
            ClusterCommand::JoinToken { command } => return join_token(cx, command),
            ClusterCommand::Promote { node, force } => {
                connection.wait(client.promote_member(node, &MemberWrite { force }))?
            }
            ClusterCommand::Remove { node, force, yes } => {
                let question = format!("remove node {node} for ever?");
                cx.ui.confirm(&question, yes)?;
                connection.wait(client.remove_member(node, &MemberWrite { force }))?
            }
            ClusterCommand::Replace {
                node,
                by,
                force,
                yes,
            } => {
                let question = format!("replace node {node} by {by} and remove it for ever?");
                cx.ui.confirm(&question, yes)?;
                let write = ReplaceWrite { by, force };
                connection.wait(client.replace_member(node, &write))?
            }
            ClusterCommand::Transfer { to } => {
                connection.wait(client.transfer_leadership(&TransferWrite { to }))?
            }
        };
        Ok(Report::one(changed, render::cluster::members))
    }
}

/// Makes a token for one node and says what to do with it.
fn add(cx: &Context, learner: bool, expires: Option<String>) -> Result<Report, CliError> {
    let connection = cx.connect()?;
    let found = connection.wait(connection.client.cluster())?;
    let seeds: Vec<String> = found
        .members
        .iter()
        .filter(|member| member.reachable && !member.address.is_empty())
        .map(|member| member.address.clone())
        .collect();
    if seeds.is_empty() {
        return Err(CliError::new(
            crate::exit::Exit::Conflict,
            "no node of this cluster listens for peers",
        )
        .next("start its nodes with --peer-listen and --peer-advertise (`confman help serve`)"));
    }
    let write = JoinTokenWrite {
        name: String::new(),
        uses: 1,
        expires,
    };
    let made = connection.wait(connection.client.create_join_token(&write))?;
    let learner = match learner {
        true => " --learner",
        false => "",
    };
    cx.ui.note(&format!(
        "put the token into a file on the new machine, and start the node there with: confman serve --data DIR \
         --join {}{learner} --join-token-file FILE --peer-listen … --peer-ca … --peer-cert … --peer-key …",
        seeds.join(",")
    ));
    Ok(Report::one(made, |made| Text::line(&made.secret)))
}

fn join_token(cx: &Context, command: JoinTokenCommand) -> Result<Report, CliError> {
    let connection = cx.connect()?;
    match command {
        JoinTokenCommand::Create {
            name,
            uses,
            expires,
        } => {
            let write = JoinTokenWrite {
                name,
                uses,
                expires,
            };
            let made = connection.wait(connection.client.create_join_token(&write))?;
            cx.ui.say(&render::cluster::join_token_made(&made.token));
            Ok(Report::one(made, |made| Text::line(&made.secret)))
        }
        JoinTokenCommand::List => {
            let tokens = connection.wait(connection.client.join_tokens())?;
            Ok(listed(cx, tokens, |tokens| {
                render::cluster::join_tokens(tokens)
            }))
        }
        JoinTokenCommand::Revoke { id } => {
            check_id(&id, "join token", "confman cluster join-token list")?;
            connection.wait(connection.client.revoke_join_token(&id))?;
            cx.ui.note(&format!("revoked join token {id}"));
            Ok(Report::nothing())
        }
    }
}
