//! Peers over mutual TLS, on a port of their own: what carries the messages of `confman_repo::refs::peer`.
//!
//! Each lane of calls to a peer has a connection of its own, so that a snapshot never delays a heartbeat.
//! All of it runs on a runtime of its own, so that requests of clients do not either.
//!
//! INVARIANT: nothing is answered before both sides know who the other one is: a certificate of the cluster's
//! authority, and an identity that fits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use confman_repo::refs::Node;
use confman_repo::refs::peer::PeerIdentity;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::options::ServeError;

pub(crate) mod authority;
mod calling;
mod certificates;
mod frame;
mod listening;

pub use certificates::CertificateError;
use certificates::Certificates;

/// Threads that carry messages.
const PEER_THREADS: usize = 2;
/// How long a handshake may take, TLS included.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How a server takes part in a cluster.
#[derive(Clone, Debug)]
pub struct PeerServeOptions {
    /// Address and port to listen on for peers; port 0 takes any that is free.
    pub listen: String,
    /// Host and port where peers reach this node; where it listens, if nothing is said.
    pub address: Option<String>,
    /// The authority that the certificates of all nodes are from, PEM.
    pub ca: PathBuf,
    /// This node's certificate, PEM.
    pub certificate: PathBuf,
    /// This node's key, PEM.
    pub key: PathBuf,
}

/// What both directions share.
#[derive(Debug)]
struct Shared {
    certificates: Certificates,
    /// Who this node is; a stranger until it knows.
    identity: ArcSwapOption<PeerIdentity>,
    node: ArcSwapOption<Weak<Node>>,
}

impl Shared {
    fn identity(&self) -> PeerIdentity {
        self.identity
            .load()
            .as_deref()
            .cloned()
            .unwrap_or_else(PeerIdentity::stranger)
    }

    fn node(&self) -> Option<Arc<Node>> {
        self.node.load().as_deref().and_then(Weak::upgrade)
    }
}

/// The peers' side of a server. What it is told is all that it needs: a node without one can use it too.
#[derive(Debug)]
pub struct Peers {
    shared: Arc<Shared>,
    transport: Arc<calling::TlsTransport>,
    address: String,
    runtime: Option<Runtime>,
}

impl Peers {
    /// Reads the certificates, listens, and refuses whoever comes until a node is attached. Blocks.
    ///
    /// # Errors
    /// The certificates cannot be used or the address cannot be listened on.
    pub fn start(options: &PeerServeOptions) -> Result<Self, ServeError> {
        let certificates = Certificates::load(options).map_err(ServeError::Certificates)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(PEER_THREADS)
            .thread_name("confman-peer")
            .enable_all()
            .build()
            .map_err(|source| ServeError::System {
                action: "start the threads for peers",
                source,
            })?;
        let listen_error = |source| ServeError::Listen {
            listen: options.listen.clone(),
            source,
        };
        let (listener, bound) = bind(&runtime, options.listen.clone()).map_err(listen_error)?;
        let shared = Arc::new(Shared {
            certificates,
            identity: ArcSwapOption::empty(),
            node: ArcSwapOption::empty(),
        });
        runtime.spawn(listening::run(listener, Arc::clone(&shared)));
        let transport = calling::TlsTransport::new(Arc::clone(&shared), runtime.handle().clone());
        Ok(Self {
            shared,
            transport: Arc::new(transport),
            address: options.address.clone().unwrap_or_else(|| bound.to_string()),
            runtime: Some(runtime),
        })
    }

    /// How a node reaches others.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn confman_repo::refs::Transport> {
        Arc::<calling::TlsTransport>::clone(&self.transport)
    }

    /// Where others reach this node.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets peers reach the node, for as long as it is there.
    pub fn attach(&self, node: &Arc<Node>) {
        self.shared.node.store(Some(Arc::new(Arc::downgrade(node))));
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Peers find their connections closed; nothing that is under way here is waited for.
            runtime.shutdown_background();
        }
    }
}

/// Binds on the runtime that will accept, from any thread.
fn bind(runtime: &Runtime, address: String) -> std::io::Result<(TcpListener, SocketAddr)> {
    let (sender, bound) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move {
        let listener = TcpListener::bind(&address).await;
        let bound = listener.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        // The receiver waits below.
        let _ = sender.try_send(bound);
    });
    bound
        .recv()
        .map_err(|_| std::io::Error::other("the thread that listens ended"))?
}

#[cfg(test)]
mod tests;
