//! The commands, each in a file of its own: `Args`, whose doc comment is its help, and `run`.

#[cfg(unix)]
pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod audit;
#[cfg(feature = "server")]
pub(crate) mod backup;
pub(crate) mod blame;
pub(crate) mod clone;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod draft;
pub(crate) mod edit;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod get;
pub(crate) mod group;
pub(crate) mod help_markdown;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod issuer;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod ns;
pub(crate) mod principal;
pub(crate) mod publish;
pub(crate) mod pull;
pub(crate) mod push;
#[cfg(feature = "server")]
pub(crate) mod recover;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod restore;
pub(crate) mod rollback;
pub(crate) mod rotations;
#[cfg(unix)]
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod search;
#[cfg(feature = "server")]
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod tree;
pub(crate) mod unset;
pub(crate) mod version;
pub(crate) mod watch;
pub(crate) mod whoami;

use crate::args::Command;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;

impl Command {
    /// Does what the command says.
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        match self {
            Self::Clone(args) => args.run(cx),
            Self::Status(args) => args.run(cx),
            Self::Pull(args) => args.run(cx),
            Self::Push(args) => args.run(cx),
            Self::Diff(args) => args.run(cx),
            Self::Log(args) => args.run(cx),
            Self::Show(args) => args.run(cx),
            Self::Blame(args) => args.run(cx),
            Self::Restore(args) => args.run(cx),
            Self::Resolve(args) => args.run(cx),
            Self::Get(args) => args.run(cx),
            Self::Set(args) => args.run(cx),
            Self::Edit(args) => args.run(cx),
            Self::Unset(args) => args.run(cx),
            Self::Ls(args) => args.run(cx),
            Self::Tree(args) => args.run(cx),
            Self::Explain(args) => args.run(cx),
            Self::Search(args) => args.run(cx),
            Self::History(args) => args.run(cx),
            Self::Draft(args) => args.run(cx),
            Self::Publish(args) => args.run(cx),
            Self::Request(args) => args.run(cx),
            Self::Rollback(args) => args.run(cx),
            Self::Tag(args) => args.run(cx),
            Self::Import(args) => args.run(cx),
            Self::Export(args) => args.run(cx),
            #[cfg(unix)]
            Self::Run(args) => args.run(cx),
            Self::Watch(args) => args.run(cx),
            #[cfg(unix)]
            Self::Agent(args) => args.run(cx),
            Self::Ns(args) => args.run(cx),
            Self::Login(args) => args.run(cx),
            Self::Logout(args) => args.run(cx),
            Self::Whoami(args) => args.run(cx),
            Self::Token(args) => args.run(cx),
            Self::Principal(args) => args.run(cx),
            Self::Group(args) => args.run(cx),
            Self::Issuer(args) => args.run(cx),
            Self::Schema(args) => args.run(cx),
            Self::Rotations(args) => args.run(cx),
            Self::Audit(args) => args.run(cx),
            Self::Cluster(args) => args.run(cx),
            #[cfg(feature = "server")]
            Self::Backup(args) => args.run(cx),
            #[cfg(feature = "server")]
            Self::Recover(args) => args.run(cx),
            #[cfg(feature = "server")]
            Self::Serve(args) => args.run(cx),
            Self::Fsck(args) => args.run(cx),
            Self::Doctor(args) => args.run(cx),
            Self::Api(args) => args.run(cx),
            Self::Config(args) => args.run(cx),
            Self::Completions(args) => args.run(cx),
            Self::Man(args) => args.run(cx),
            Self::Version(args) => args.run(cx),
            Self::HelpMarkdown(args) => args.run(cx),
        }
    }
}
