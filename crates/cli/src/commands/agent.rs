use std::path::PathBuf;

use confman_agent::config::LISTEN_DEFAULT;
use confman_agent::{
    AgentError, AgentOptions, Config, ConfigError, Listen, NamespaceConfig, logging,
};
use confman_client::reading::Credentials;
use confman_model::Namespace;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::{self, Context};
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::place::name;
use crate::reading::{credentials, mirror_directory, secrets};
use crate::report::Report;
use crate::text::Text;

/// Run a local sidecar: namespaces served on this machine, with or without a server
///
/// Examples:
///   confman agent --namespace /teams/payments
///   confman agent --config /etc/confman/agent.toml
///   confman agent --namespace /teams/payments --listen unix:/run/confman/agent.sock
///   curl http://127.0.0.1:7430/v1/ns/teams/payments/-/config
///
/// Follows namespaces, keeps what it got, and answers `GET /v1/ns/…/-/config[/KEY]` as a server
/// does (ETag, 304, Prefer: wait) to programs on this machine. Starts and answers while
/// no server does. With a configuration file it also keeps files current, in any format,
/// and runs hooks after they changed; docs/guides/reading.md shows one. /readyz says how
/// each namespace is. References to secrets stay references, unless the file says
/// `resolve = true` and callers ask for `?resolve=true` over a unix socket.
///
/// It needs no token from its callers: it listens on loopback or a unix socket of its owner.
/// Logs go to stderr, chosen by CONFMAN_LOG and CONFMAN_LOG_FORMAT. Ctrl-C or SIGTERM ends it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Configuration file; what flags say wins
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A namespace to follow, beside those of the file; may be repeated
    #[arg(long, short, value_name = "NAMESPACE", value_parser = name::<Namespace>)]
    namespace: Vec<Namespace>,

    /// Loopback address and port, or unix:/PATH [default: 127.0.0.1:7430]
    #[arg(long, value_name = "WHERE", value_parser = name::<Listen>)]
    listen: Option<Listen>,

    /// Directory of what is kept [default: ~/.local/state/confman/mirror]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// What `--json` prints once the agent answers.
#[derive(Serialize)]
struct Answering {
    address: String,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let options = self.options(cx)?;
        logging::begin();
        let runtime = context::runtime()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())
                .map_err(|error| CliError::io("cannot listen for signals", &error))?;
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            };
            let ready = |ready: &confman_agent::Ready| {
                cx.ui.note(&ready.to_string());
                if cx.ui.json {
                    let address = ready.address.clone();
                    // Nobody reading stdout is no reason to stop.
                    let _ = cx
                        .ui
                        .print(Report::one(Answering { address }, |_| Text::new()));
                }
            };
            confman_agent::run(options, ready, stop)
                .await
                .map_err(CliError::from)
        })?;
        Ok(Report::nothing())
    }

    /// What the flags say, then the file, then what every command takes.
    fn options(self, cx: &Context) -> Result<AgentOptions, CliError> {
        let config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        let flags = cx.flags();
        let file_decides = flags.server.is_none() && flags.profile.is_none();
        let (servers, credentials) = match config.servers.is_empty() || !file_decides {
            true => {
                let settings = cx.settings()?;
                (vec![settings.server()?.to_owned()], credentials(&settings)?)
            }
            // The file's servers get the file's token, and no other that may be for another server.
            false => {
                let file = flags
                    .token_file
                    .clone()
                    .or_else(|| config.token_file.clone());
                let from_environment = std::env::var("CONFMAN_TOKEN")
                    .ok()
                    .filter(|token| !token.is_empty());
                let credentials = match (file, from_environment) {
                    (Some(path), _) => Credentials::File(path),
                    (None, Some(token)) => Credentials::Token(token),
                    (None, None) => Credentials::None,
                };
                (config.servers, credentials)
            }
        };
        let listen = match self.listen.or(config.listen) {
            Some(listen) => listen,
            None => name(LISTEN_DEFAULT).map_err(CliError::bug)?,
        };
        let state = self
            .state
            .or(config.state)
            .or_else(mirror_directory)
            .ok_or_else(|| {
                CliError::usage("there is no directory to keep anything in")
                    .next("name one: --state DIR")
            })?;
        let mut namespaces = config.namespaces;
        for namespace in self.namespace {
            if !namespaces.iter().any(|known| known.path == namespace) {
                namespaces.push(NamespaceConfig::of(namespace));
            }
        }
        Ok(AgentOptions {
            servers,
            credentials,
            client_id: config.client_id.or_else(context::client_id),
            listen,
            state,
            namespaces,
            secrets: secrets(),
        })
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let what = error.to_string();
        match error {
            ConfigError::Io { source, .. } => Self::io(what, &source),
            ConfigError::Invalid { .. } => Self::invalid(what),
            ConfigError::Impossible(_) => Self::new(Exit::Usage, what)
                .next("name what to follow: --namespace /teams/payments, or a file with --config"),
        }
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        let what = error.to_string();
        match error {
            AgentError::Config(error) => error.into(),
            AgentError::Servers(error) => Self::new(Exit::Usage, what).because(chain(&error)),
            AgentError::Listen { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    Self::new(Exit::Conflict, what).because(source.to_string())
                }
                _ => Self::io(what, &source),
            },
        }
    }
}
