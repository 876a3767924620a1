//! A local sidecar: it follows namespaces, keeps what it got, and gives it to programs on the same
//! machine, whether or not a server answers just now.
//!
//! Each namespace has a task of its own that follows the servers ([`follow`]). Its newest document
//! is published as an immutable [`served::Served`], which the HTTP side ([`http`]) answers from
//! memory; files and hooks ([`output`]) are made from the same.
//!
//! INVARIANT: what is served is a whole document that a server gave, with the state it names; before
//! there is one, the answer is 503 and never empty.
//! INVARIANT: only this machine is answered: the agent listens on loopback or a unix socket, and
//! refuses requests that a browser was tricked into sending.
//! INVARIANT: references to secrets stay references, in files always, and in answers unless the
//! namespace allows their resolution and the caller asks for it, over a unix socket of its owner.
//! Resolved values are in memory only, and for [`resolved::RESOLVED_FOR`] at most.
//!
//! Deliberately absent: revisions, drafts and writes. Those are the server's.

pub mod config;
pub mod follow;
pub mod http;
pub mod logging;
pub mod output;
pub mod resolved;
pub mod served;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use confman_client::ClientError;
use confman_client::reading::{Credentials, Servers};
use confman_client::secret::Secrets;

pub use config::{Config, ConfigError, Listen, NamespaceConfig};
pub use follow::Followed;

/// Everything that an agent needs to know.
#[derive(Debug)]
pub struct AgentOptions {
    /// The endpoints of one store.
    pub servers: Vec<String>,
    /// Who to be there.
    pub credentials: Credentials,
    /// Which of the readers to be, where something is published gradually.
    pub client_id: Option<String>,
    /// Where to answer.
    pub listen: Listen,
    /// The directory in which documents are kept.
    pub state: PathBuf,
    /// What to follow.
    pub namespaces: Vec<NamespaceConfig>,
    /// Who resolves references to secrets, for namespaces that allow it.
    pub secrets: Secrets,
}

/// Where an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// `http://127.0.0.1:7430`, or `unix:/run/confman/agent.sock`.
    pub address: String,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the agent answers at {}", self.address)
    }
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// What it was told is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The servers cannot be asked as it was told.
    #[error("the servers cannot be asked")]
    Servers(#[source] ClientError),
    /// It cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Runs an agent until `stop` completes.
///
/// # Errors
/// It cannot begin. That no server answers is no reason.
pub async fn run(
    options: AgentOptions,
    ready: impl FnOnce(&Ready),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AgentError> {
    config::check_namespaces(&options.namespaces, &options.listen)?;
    let servers = Servers::known_as(&options.servers, options.credentials, options.client_id)
        .map_err(AgentError::Servers)?;
    let followed: Vec<Arc<Followed>> = options
        .namespaces
        .into_iter()
        .map(|namespace| Followed::new(namespace, &servers, &options.state))
        .collect();
    let tasks: Vec<_> = followed
        .iter()
        .map(|followed| tokio::spawn(follow::follow(Arc::clone(followed))))
        .collect();
    let served = http::serve(&options.listen, followed, options.secrets, ready, stop).await;
    for task in tasks {
        task.abort();
    }
    served.map_err(|source| AgentError::Listen {
        address: options.listen.to_string(),
        source,
    })
}
