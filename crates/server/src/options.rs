//! What `confman serve` is told, and what it says when it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;

use confman_repo::DOCUMENTS_BYTES_MAX_DEFAULT;
use confman_repo::refs::cluster::JoinOptions;

use crate::logging::LogFormat;
use crate::peer::PeerServeOptions;
use crate::resolving::ResolveRule;
use crate::watches::WATCHERS_PER_PRINCIPAL_DEFAULT;

/// Memory for decoded pages and commits where nothing else is said.
pub const CACHE_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Memory for the database's blocks where nothing else is said.
pub const BLOCK_CACHE_BYTES_DEFAULT: usize = 128 * 1024 * 1024;
/// Bytes of what is stored that are read again each second where nothing else is said.
pub const SCRUB_BYTES_PER_SECOND_DEFAULT: u64 = 1024 * 1024;
/// Where the server listens where nothing else is said.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7420";

/// How to run a server.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where the data is.
    pub data: DataDirectory,
    /// Address and port to listen on, as in [`LISTEN_DEFAULT`]; port 0 takes any that is free.
    pub listen: String,
    /// Memory for decoded pages and commits.
    pub cache_bytes: u64,
    /// Memory for the database's blocks.
    pub block_cache_bytes: usize,
    /// Memory for effective documents that are ready to be served.
    pub documents_bytes: usize,
    /// Most watches and waiting requests of one principal at once.
    pub watchers_per_principal: usize,
    /// How it takes part in a cluster; `None` for a node that is alone.
    pub peers: Option<PeerServeOptions>,
    /// Which cluster the node joins, where its directory is new.
    pub join: Option<JoinOptions>,
    /// Bytes of what is stored that are read again each second; 0 for none.
    pub scrub_bytes_per_second: u64,
    /// The references to secrets that it resolves for those whom a namespace names; none by default.
    pub resolve_secrets: Vec<ResolveRule>,
    /// How the log is written.
    pub log_format: LogFormat,
}

/// Where a server keeps its data.
#[derive(Clone, Debug)]
pub enum DataDirectory {
    /// In this directory, which is made if it is not there.
    At(PathBuf),
    /// In a temporary directory that is removed when the server ends (`--dev`).
    ThrowAway,
}

impl ServeOptions {
    /// A server on this data with the default settings.
    #[must_use]
    pub fn new(data: DataDirectory) -> Self {
        Self {
            data,
            listen: LISTEN_DEFAULT.to_owned(),
            cache_bytes: CACHE_BYTES_DEFAULT,
            block_cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
            documents_bytes: DOCUMENTS_BYTES_MAX_DEFAULT,
            watchers_per_principal: WATCHERS_PER_PRINCIPAL_DEFAULT,
            peers: None,
            join: None,
            scrub_bytes_per_second: SCRUB_BYTES_PER_SECOND_DEFAULT,
            resolve_secrets: Vec::new(),
            log_format: LogFormat::Text,
        }
    }
}

/// A server that answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where it listens.
    pub address: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// The file with the administrator's token.
    pub admin_token_file: PathBuf,
    /// Whether the file was written by this start, which is the first one of the store.
    pub first_start: bool,
}

impl Ready {
    /// The URL that clients use. A server on all addresses is reached by the loopback one.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }
}

impl std::fmt::Display for Ready {
    /// One line for whoever started the server.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "serving {} at {}", self.data.display(), self.url())?;
        if self.first_start {
            write!(
                f,
                "; the administrator's token is in {}",
                self.admin_token_file.display()
            )?;
        }
        Ok(())
    }
}

/// Why a server could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{listen}`")]
    Listen {
        /// As given.
        listen: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The data directory cannot be opened: in use, damaged, of a newer format, ….
    #[error("cannot open the store")]
    Open(#[source] confman_repo::refs::OpenError),
    /// The administrator's token cannot be kept.
    #[error("cannot keep the administrator's token in `{}`", path.display())]
    AdminToken {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificates for peers cannot be used.
    #[error("cannot use the certificates for peers")]
    Certificates(#[source] crate::peer::CertificateError),
    /// It is to join a cluster and was not told how to talk to peers.
    #[error("a node that joins a cluster needs to know how to talk to its peers")]
    JoinWithoutPeers,
    /// It is to resolve references to secrets and is not set up for that.
    #[error("cannot resolve secrets: {0}")]
    Secrets(String),
    /// The variables for traces say something that cannot be done.
    #[error("cannot send traces: {0}")]
    Traces(String),
    /// The store did not accept the administrator's token.
    #[error("cannot make the first administrator: {0}")]
    Bootstrap(String),
    /// The system refused a thread, a signal or a temporary directory.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk failed: nothing more can be written, so the process must end. Nothing that was
    /// acknowledged is lost.
    #[error("the store takes no more writes: {0}")]
    Failed(String),
}
