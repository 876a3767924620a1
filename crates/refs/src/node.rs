//! A node: the replicated refs and the object store of one server process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use confman_object_store::{ObjectId, Store};

use crate::operation::Operation;
use crate::row::{RowRange, StoredRow};
use crate::transaction::{Committed, Transaction, TransactError};
use crate::view::View;

/// How to open a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The data directory; made if it is not there. Holds `raft/`, `data/` and `LOCK`.
    pub directory: PathBuf,
    /// Memory for decoded pages and commits.
    pub cache_bytes: u64,
    /// Memory for RocksDB's block cache.
    pub block_cache_bytes: usize,
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory `{path}` is in use by process {owner}", path = .path.display())]
    InUse {
        /// Which.
        path: PathBuf,
        /// Process id as its lock file says, or `unknown`.
        owner: String,
    },
    /// It was written by a newer version.
    #[error("data directory `{path}` has format {found}; this version reads up to {supported}", path = .path.display())]
    NewerFormat {
        /// Which.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is understood here.
        supported: u32,
    },
    /// What is on disk contradicts itself.
    #[error("data directory `{path}` is damaged: {reason}", path = .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// The disk or the database said no.
    #[error("could not open data directory `{path}`: {action}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Status {
    /// Identity of the cluster, from its first log entry.
    pub cluster_id: [u8; 16],
    /// This node.
    pub node_id: u64,
    /// The leader, if one is known.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// Last log index that is applied.
    pub applied: u64,
    /// Newest operation.
    pub operation: Option<ObjectId>,
    /// The log takes no more writes: the disk failed. The process should end.
    pub failed: Option<String>,
}

/// A node. Synchronous; its replication runs on a runtime and threads of its own.
#[derive(Debug)]
pub struct Node {
    _private: (),
}

impl Node {
    /// Opens a data directory, recovers, and returns when the node can serve. An empty directory
    /// becomes a one-node cluster.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed then.
    pub fn open(_options: &NodeOptions) -> Result<Self, OpenError> { todo!() }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> { todo!() }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> { todo!() }

    /// Replicates a transaction and waits until it is durable and applied here.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn transact(&self, _transaction: Transaction) -> Result<Committed, TransactError> { todo!() }

    /// Waits until entries up to `index` are applied here. Returns whether they are.
    #[must_use]
    pub fn wait_for_index(&self, _index: u64, _timeout: Duration) -> bool { todo!() }

    /// Tells each new applied index, for watchers (`tokio::sync::watch`).
    #[must_use]
    pub fn applied(&self) -> tokio::sync::watch::Receiver<u64> { todo!() }

    /// Waits until this node has applied everything that was committed when it was called (ReadIndex).
    ///
    /// # Errors
    /// No leader within the timeout.
    pub fn linearize(&self, _timeout: Duration) -> Result<Arc<View>, TransactError> { todo!() }

    /// Rows of a derived index, newest operation first.
    ///
    /// # Errors
    /// The disk fails.
    pub fn rows(&self, _range: &RowRange) -> Result<Vec<StoredRow>, std::io::Error> { todo!() }

    /// The operation at this sequence number.
    ///
    /// # Errors
    /// The disk fails or the operation is corrupt.
    pub fn operation_at(&self, _sequence: u64) -> Result<Option<(ObjectId, Operation)>, confman_object_store::ReadError> { todo!() }

    /// Sequence number of the newest operation whose time is at most this; 0 if there is none.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sequence_at_time(&self, _time_ms: i64) -> Result<u64, confman_object_store::ReadError> { todo!() }

    /// The view right after the operation at this sequence number (0: the empty one).
    ///
    /// # Errors
    /// The disk fails or an operation is missing or corrupt.
    pub fn view_at(&self, _sequence: u64) -> Result<View, confman_object_store::ReadError> { todo!() }

    /// What this node says of itself.
    #[must_use]
    pub fn status(&self) -> Status { todo!() }

    /// Makes everything durable, compacts what a snapshot covers and stops. Called by `Drop` too.
    pub fn close(&self) { todo!() }
}
