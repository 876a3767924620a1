use std::path::PathBuf;

use confman_server::{
    BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, DOCUMENTS_BYTES_DEFAULT, DataDirectory,
    JoinOptions, LISTEN_DEFAULT, LOG_FORMAT_VARIABLE, LOG_VARIABLE, LogFormat, OpenError,
    PeerServeOptions, Ready, ResolveRule, SCRUB_BYTES_PER_SECOND_DEFAULT, ServeError, ServeOptions,
    WATCHERS_PER_PRINCIPAL_DEFAULT,
};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::profile::{Profile, Profiles};
use crate::report::Report;
use crate::text::Text;

/// Name of the profile that `--dev` makes.
const PROFILE_DEV: &str = "dev";
/// Where the join token may be.
const JOIN_TOKEN_VARIABLE: &str = "CONFMAN_JOIN_TOKEN";
/// Where the references that are resolved may be named.
const RESOLVE_SECRETS_VARIABLE: &str = "CONFMAN_RESOLVE_SECRETS";
/// Most bytes of a file with a join token.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;
/// Bytes of a mebibyte.
const MIB: u64 = 1024 * 1024;

/// Run a server
///
/// Examples:
///   confman serve --dev                                   # to try things out
///   confman serve --data /var/lib/confman
///   confman serve --data /var/lib/confman --listen 0.0.0.0:7420
///   confman serve --data DIR --peer-listen 10.0.0.1:7421 --peer-ca ca.pem --peer-cert a.pem --peer-key a.key
///   confman serve --data DIR --join a:7421,b:7421 --join-token-file FILE --peer-listen …
///
/// An empty data directory becomes a store of its own; the administrator's token is
/// written to DIR/admin.token at the first start. With --dev the data is thrown away at
/// the end, and a profile for this server is active as long as it runs, so that every
/// confman of yours talks to it. Ctrl-C or SIGTERM ends the server; nothing that was
/// acknowledged is lost, even by a kill -9.
///
/// Logs go to stderr: CONFMAN_LOG says what (`warn`, `confman_server=debug`).
/// Prometheus finds figures at /metrics. Traces go to a collector that
/// OTEL_EXPORTER_OTLP_ENDPOINT names, by OTLP over HTTP.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where the data is; made if it is not there
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "dev",
        conflicts_with = "dev"
    )]
    data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = LISTEN_DEFAULT)]
    listen: String,

    /// Throw-away data and an active profile
    #[arg(long)]
    dev: bool,

    /// Memory for decoded pages and commits, in MiB
    #[arg(long, value_name = "MIB", default_value_t = CACHE_BYTES_DEFAULT / MIB)]
    cache: u64,

    /// Memory for blocks of the database, in MiB
    #[arg(long, value_name = "MIB", default_value_t = mib(BLOCK_CACHE_BYTES_DEFAULT))]
    block_cache: u64,

    /// Memory for effective documents that are ready to be served, in MiB
    #[arg(long, value_name = "MIB", default_value_t = mib(DOCUMENTS_BYTES_DEFAULT))]
    document_cache: u64,

    /// How much of what is stored is read again each second, to find what a disk has damaged, in MiB; 0 for nothing
    #[arg(long, value_name = "MIB", default_value_t = SCRUB_BYTES_PER_SECOND_DEFAULT / MIB)]
    scrub_rate: u64,

    /// Most watches and waiting requests of one principal at once
    #[arg(long, value_name = "N", default_value_t = WATCHERS_PER_PRINCIPAL_DEFAULT)]
    watchers_per_principal: usize,

    /// References to secrets that the server resolves for those whom a namespace names: `vault://MOUNT/PATH`,
    /// `keyvault://VAULT`, or `SCHEME://` for a helper program, after `NAMESPACE=` where only there and below;
    /// separated by commas, or given again
    #[arg(
        long,
        value_name = "[NAMESPACE=]REFERENCES",
        env = RESOLVE_SECRETS_VARIABLE,
        value_delimiter = ','
    )]
    resolve_secrets: Vec<ResolveRule>,

    /// Addresses of peers of the cluster to join, separated by commas; without effect where the data is a node's already
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        value_delimiter = ',',
        requires_all = ["data", "peer_listen"]
    )]
    join: Vec<String>,

    /// File that holds the join token [env: the token itself in CONFMAN_JOIN_TOKEN]
    #[arg(long, value_name = "FILE", requires = "join")]
    join_token_file: Option<PathBuf>,

    /// Stay a learner after joining: a read replica
    #[arg(long, requires = "join")]
    learner: bool,

    /// Address and port to listen on for peers: makes the node one that others can join
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        requires_all = ["peer_ca", "peer_cert", "peer_key"]
    )]
    peer_listen: Option<String>,

    /// Where peers reach this node; its certificate must name the host [default: where it listens]
    #[arg(long, value_name = "HOST:PORT", requires = "peer_listen")]
    peer_address: Option<String>,

    /// Certificate of the authority of all nodes, PEM, as `confman cluster ca` makes it
    #[arg(long, value_name = "FILE", requires = "peer_listen")]
    peer_ca: Option<PathBuf>,

    /// This node's certificate, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "peer_listen")]
    peer_cert: Option<PathBuf>,

    /// This node's key, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "peer_listen")]
    peer_key: Option<PathBuf>,

    /// How the log is written
    #[arg(long, value_name = "FORMAT", env = LOG_FORMAT_VARIABLE, default_value = "text")]
    log_format: LogFormatName,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormatName {
    /// Lines for people
    Text,
    /// A JSON document a line
    Json,
}

fn mib(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX) / MIB
}

/// What `--json` prints once the server answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Serving {
    url: String,
    data: PathBuf,
    admin_token_file: PathBuf,
    first_start: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let join = match self.join.is_empty() {
            true => None,
            false => Some(JoinOptions {
                token: join_token(self.join_token_file.as_deref())?,
                seeds: self.join,
                replica: self.learner,
            }),
        };
        let peers = match (
            self.peer_listen,
            self.peer_ca,
            self.peer_cert,
            self.peer_key,
        ) {
            (Some(listen), Some(ca), Some(certificate), Some(key)) => Some(PeerServeOptions {
                listen,
                address: self.peer_address,
                ca,
                certificate,
                key,
            }),
            _ => None,
        };
        let data = match self.data {
            Some(data) => DataDirectory::At(data),
            None => DataDirectory::ThrowAway,
        };
        let block_cache_bytes =
            usize::try_from(self.block_cache.saturating_mul(MIB)).unwrap_or(usize::MAX);
        let options = ServeOptions {
            listen: self.listen,
            cache_bytes: self.cache.saturating_mul(MIB),
            block_cache_bytes,
            documents_bytes: usize::try_from(self.document_cache.saturating_mul(MIB))
                .unwrap_or(usize::MAX),
            watchers_per_principal: self.watchers_per_principal,
            resolve_secrets: self.resolve_secrets,
            scrub_bytes_per_second: self.scrub_rate.saturating_mul(MIB),
            log_format: match self.log_format {
                LogFormatName::Text => LogFormat::Text,
                LogFormatName::Json => LogFormat::Json,
            },
            peers,
            join,
            ..ServeOptions::new(data)
        };
        let mut profile = None;
        let served = confman_server::serve(&options, |ready| {
            tell(cx, ready);
            if self.dev {
                match DevProfile::activate(ready) {
                    Ok(active) => {
                        cx.ui.note("profile `dev` is active until the server ends; try `confman tree` in another terminal");
                        profile = Some(active);
                    }
                    Err(error) => cx.ui.error(&error),
                }
            }
        });
        if let Some(profile) = profile {
            profile.restore()?;
        }
        served.map_err(error)?;
        Ok(Report::nothing())
    }
}

/// The join token: in a file, or in the environment, never in an argument.
fn join_token(file: Option<&std::path::Path>) -> Result<String, CliError> {
    let token = match file {
        Some(path) => {
            let what = || format!("cannot read the join token in {}", path.display());
            let found = std::fs::metadata(path).map_err(|error| CliError::io(what(), &error))?;
            if found.len() > TOKEN_FILE_BYTES_MAX {
                return Err(CliError::usage(format!(
                    "{} has {} bytes; a file with a join token has at most {TOKEN_FILE_BYTES_MAX}",
                    path.display(),
                    found.len()
                )));
            }
            std::fs::read_to_string(path).map_err(|error| CliError::io(what(), &error))?
        }
        None => std::env::var(JOIN_TOKEN_VARIABLE).unwrap_or_default(),
    };
    match token.trim() {
        // A directory that is a node's already needs none.
        "" if file.is_none() => Ok(String::new()),
        "" => Err(CliError::usage("the file with the join token is empty")),
        token => Ok(token.to_owned()),
    }
}

/// Says where the server is: a line on stderr, and with `--json` a document on stdout.
fn tell(cx: &Context, ready: &Ready) {
    // The log says it too, unless it was told to say less.
    if std::env::var_os(LOG_VARIABLE).is_some() {
        cx.ui.note(&ready.to_string());
    }
    if cx.ui.json {
        let serving = Serving {
            url: ready.url(),
            data: ready.data.clone(),
            admin_token_file: ready.admin_token_file.clone(),
            first_start: ready.first_start,
        };
        // Nobody reading stdout is no reason to stop serving.
        let _ = cx.ui.print(Report::one(serving, |_| Text::new()));
    }
}

/// The profile of a throw-away server, and the one that was active before.
struct DevProfile {
    path: PathBuf,
    before: Option<String>,
    server: String,
}

impl DevProfile {
    fn activate(ready: &Ready) -> Result<Self, CliError> {
        let what = || {
            format!(
                "cannot read the token in {}",
                ready.admin_token_file.display()
            )
        };
        // The directory goes with the server, and the token with it: the profile holds it itself.
        let token = std::fs::read_to_string(&ready.admin_token_file)
            .map_err(|error| CliError::io(what(), &error))?;
        let path = Profiles::path()?;
        let mut profiles = Profiles::load(&path)?;
        let before = profiles
            .active
            .replace(PROFILE_DEV.to_owned())
            .filter(|active| active != PROFILE_DEV);
        let server = ready.url();
        let profile = Profile {
            server: server.clone(),
            token: Some(token.trim().to_owned()),
            token_file: None,
            in_keyring: false,
        };
        profiles.profiles.insert(PROFILE_DEV.to_owned(), profile);
        profiles.save(&path)?;
        Ok(Self {
            path,
            before,
            server,
        })
    }

    /// Removes the profile, unless another server has taken its name meanwhile.
    fn restore(self) -> Result<(), CliError> {
        let mut profiles = Profiles::load(&self.path)?;
        let is_ours = profiles
            .profiles
            .get(PROFILE_DEV)
            .is_some_and(|profile| profile.server == self.server);
        if !is_ours {
            return Ok(());
        }
        profiles.profiles.remove(PROFILE_DEV);
        if profiles.active.as_deref() == Some(PROFILE_DEV) {
            profiles.active = self
                .before
                .filter(|before| profiles.profiles.contains_key(before));
        }
        profiles.save(&self.path)
    }
}

/// Why the server did not start, or ended.
pub(super) fn error(error: ServeError) -> CliError {
    let exit = match &error {
        ServeError::Open(
            OpenError::InUse { .. }
            | OpenError::Removed { .. }
            | OpenError::Differs { .. }
            | OpenError::Alone { .. }
            | OpenError::NotEmpty { .. },
        ) => Exit::Conflict,
        ServeError::Open(OpenError::Joining { .. }) => Exit::NotAllowed,
        ServeError::Open(
            OpenError::NewerFormat { .. }
            | OpenError::NewerProtocol { .. }
            | OpenError::Unfinished { .. }
            | OpenError::Damaged { .. },
        ) => Exit::Invalid,
        ServeError::Open(OpenError::Io { .. }) => Exit::Failure,
        ServeError::Listen { source, .. }
        | ServeError::AdminToken { source, .. }
        | ServeError::System { source, .. } => match source.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NotAllowed,
            std::io::ErrorKind::AddrInUse => Exit::Conflict,
            std::io::ErrorKind::InvalidInput => Exit::Usage,
            _ => Exit::Failure,
        },
        ServeError::Certificates(_) => Exit::Invalid,
        ServeError::JoinWithoutPeers | ServeError::Secrets(_) | ServeError::Traces(_) => {
            Exit::Usage
        }
        ServeError::Bootstrap(_) | ServeError::Failed(_) => Exit::Failure,
    };
    let why = std::error::Error::source(&error).map(chain);
    let told = CliError {
        why,
        ..CliError::new(exit, error.to_string())
    };
    match &error {
        ServeError::Open(OpenError::Differs { .. }) => told.next(
            "`confman cluster heal --data DIR …` repairs it from the others; or empty it and let the machine join anew",
        ),
        _ => told,
    }
}
