//! A node: the replicated refs and the object store of one server process.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use confman_object_store::{ObjectId, ReadError, Store};
use futures::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument;

use crate::budget::Budget;
use crate::data::Data;
use crate::directory::{Directory, Purpose};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::name::RefName;
use crate::operation::Operation;
use crate::peer::answer::{self, Answerer};
use crate::peer::{PeerIdentity, PeerOptions};
use crate::proposal;
use crate::raft::log::Log;
use crate::raft::writer::Counters;
use crate::raft::{Answer, Raft};
use crate::row::{IndexRow, RowRange, StoredRow};
use crate::transaction::{self, Committed, RequestId, Target, TransactError, Transaction};
use crate::verify::{self, OperationReport};
use crate::view::View;

use link::Link;

mod agree;
mod close;
pub(crate) mod heal;
pub(crate) mod link;
pub(crate) mod members;
mod open;
mod open_error;
mod past;
mod purge;
pub(crate) mod recover;
pub(crate) mod scrub;
mod status;
mod submitted;
mod tend;

#[cfg(test)]
pub(crate) use open::config;
pub(crate) use open::{open_log, stop_log};
pub use open_error::OpenError;
pub(crate) use past::view_at as view_of;
pub use status::{DatabaseStatus, LogCounters, Status};
pub use submitted::Submitted;
use submitted::{Waiting, refused};

/// Most bytes of transactions that wait at one time.
pub const WAITING_BYTES_MAX: usize = 64 << 20;
/// How long a transaction waits for others to make room before it is told that the node is busy.
pub(crate) const BUSY_AFTER: Duration = Duration::from_secs(2);
/// How long an answer is waited for before the outcome counts as unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How to open a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The data directory; made if it is not there. Holds `raft/`, `data/` and `LOCK`.
    pub directory: PathBuf,
    /// Memory for decoded pages and commits.
    pub cache_bytes: u64,
    /// Memory for RocksDB's block cache.
    pub block_cache_bytes: usize,
    /// How it takes part in a cluster; `None` for a node that is alone.
    pub peers: Option<PeerOptions>,
}

/// A node. Synchronous; its replication runs on a runtime and threads of its own.
pub struct Node {
    directory: Directory,
    identity: PeerIdentity,
    pub(crate) answerer: Arc<Answerer>,
    link: Link,
    pub(crate) data: Arc<Data>,
    view: Arc<ArcSwap<View>>,
    gate: Arc<Gate>,
    budget: Arc<Budget>,
    failure: Arc<Failure>,
    pub(crate) raft: Raft,
    snapshot_due: purge::SnapshotBytes,
    snapshot_bytes: u64,
    closing: AtomicBool,
    running: Mutex<Option<Running>>,
    runtime: tokio::runtime::Handle,
    counters: Arc<Counters>,
    scrubbing: Mutex<scrub::Scrubbing>,
}

/// What a close takes apart.
struct Running {
    runtime: tokio::runtime::Runtime,
    log: Log,
    writer: JoinHandle<()>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("directory", &self.directory.path())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Opens a data directory, recovers, and returns when the node can serve. An empty directory
    /// becomes a one-node cluster, unless its options say that it has joined one. A node that has peers
    /// returns without waiting for them: whether there is a leader, [`Self::status`] says.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed then.
    pub fn open(options: &NodeOptions) -> Result<Self, OpenError> {
        open::open(options, Purpose::Serve)
    }

    /// Opens a directory that [`crate::Restoring`] has made, for whoever completes it. Until [`Self::complete`]
    /// was called, it opens in no other way.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_restored(options: &NodeOptions) -> Result<Self, OpenError> {
        open::open(options, Purpose::Complete)
    }

    /// Makes a restored directory one that opens as any other.
    ///
    /// # Errors
    /// The disk fails.
    pub fn complete(&self) -> Result<(), io::Error> {
        self.data.flush().map_err(io::Error::other)?;
        self.data.sync()?;
        Directory::note_finished(self.directory.path())
    }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.data.store
    }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Replicates a transaction and waits until it is durable and applied here.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn transact(&self, transaction: Transaction) -> Result<Committed, TransactError> {
        self.submit(transaction)?.wait()
    }

    /// Hands a transaction over to be replicated, without waiting for it. Transactions that one thread
    /// submits take effect in that order where this node leads all the time. One that is too large for a log entry has been staged, and
    /// waited for, all but the end. One whose [`Submitted`] is dropped may never take effect.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn submit(&self, transaction: Transaction) -> Result<Submitted<'_>, TransactError> {
        transaction::check(&transaction::Parts {
            actor: &transaction.actor,
            action: &transaction.action,
            detail: &transaction.detail,
            edits: &transaction.edits,
            reads: &transaction.reads,
            rows: &transaction.rows,
        })
        .map_err(TransactError::Malformed)?;
        if proposal::body_bytes(&transaction) > transaction::BODY_BYTES_MAX {
            let reason = format!(
                "it has more than {} bytes beside its objects",
                transaction::BODY_BYTES_MAX
            );
            return Err(TransactError::Malformed(reason));
        }
        let session = random_id().map_err(|error| TransactError::Unavailable(error.to_string()))?;
        let entries = proposal::encode(&transaction, session);
        for piece in entries.pieces {
            self.stage(piece)?;
        }
        self.propose(entries.last)
    }

    /// Waits for a piece of a staged transaction. Without its end it has no effect.
    pub(crate) fn stage(&self, piece: Bytes) -> Result<(), TransactError> {
        match self.propose(piece)?.answer() {
            Ok(Answer::Refused(refusal)) => Err(refused(refusal)),
            Ok(_) => Ok(()),
            Err(TransactError::UnknownOutcome(reason)) => Err(TransactError::Unavailable(reason)),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn propose(&self, entry: Bytes) -> Result<Submitted<'_>, TransactError> {
        self.available()?;
        self.link
            .may_be_written(&entry)
            .map_err(TransactError::Unavailable)?;
        let taken = self
            .budget
            .take(entry.len(), BUSY_AFTER)
            .ok_or(TransactError::Busy)?;
        let until = Instant::now() + ANSWER_WITHIN;
        let kept = self.link.has_peers().then(|| entry.clone());
        let waiting = if kept.is_none() || self.link.leads() {
            Waiting::Here(self.link.intake.put(entry))
        } else {
            let (sender, answer) = mpsc::sync_channel(1);
            let link = self.link.clone();
            let proposing = async move {
                // The caller may have given up; the outcome is then in the log all the same.
                let _ = sender.try_send(link.propose(entry, until, None).await);
            };
            let span = tracing::debug_span!("forward", otel.kind = "client");
            self.runtime.spawn(proposing.instrument(span));
            Waiting::There(answer)
        };
        self.snapshot_when_due();
        Ok(Submitted {
            node: self,
            waiting,
            entry: kept,
            until,
            _taken: taken,
        })
    }

    fn available(&self) -> Result<(), TransactError> {
        if let Some(reason) = self.failure.get() {
            return Err(TransactError::Unavailable(reason.to_owned()));
        }
        if self.closing.load(Ordering::Acquire) {
            return Err(TransactError::Unavailable("the node is closing".to_owned()));
        }
        Ok(())
    }

    /// openraft counts entries; a log of few large ones is to be purged too.
    fn snapshot_when_due(&self) {
        if self
            .snapshot_due
            .due(self.log_counters().bytes, self.snapshot_bytes)
        {
            let raft = self.raft.clone();
            self.runtime.spawn(async move {
                // It fails only when the node stops, and is then of no use.
                let _ = raft.trigger().snapshot().await;
            });
        }
    }

    /// Waits until entries up to `index` are applied here. Returns whether they are.
    #[must_use]
    pub fn wait_for_index(&self, index: u64, timeout: Duration) -> bool {
        self.gate.wait_for(index, timeout)
    }

    /// Tells each new applied index, for watchers (`tokio::sync::watch`).
    #[must_use]
    pub fn applied(&self) -> tokio::sync::watch::Receiver<u64> {
        self.gate.subscribe()
    }

    /// Waits until this node has applied everything that was committed when it was called (ReadIndex).
    ///
    /// # Errors
    /// No leader within the timeout.
    pub fn linearize(&self, timeout: Duration) -> Result<Arc<View>, TransactError> {
        self.available()?;
        let until = Instant::now() + timeout;
        let link = self.link.clone();
        let index = self
            .on_runtime(link.read_index(timeout))
            .unwrap_or_else(|| Err(TransactError::Unavailable("the node is closing".to_owned())))?;
        let left = until.saturating_duration_since(Instant::now());
        match self.gate.wait_for(index, left) {
            true => Ok(self.view()),
            false => Err(behind(index, timeout)),
        }
    }

    /// As [`Self::linearize`], for a task: [`Self::view`] is what it waited for.
    ///
    /// # Errors
    /// No leader within the timeout.
    pub async fn linearized(&self, timeout: Duration) -> Result<(), TransactError> {
        self.available()?;
        let until = Instant::now() + timeout;
        let (answer, rounds) = self.link.ask_index();
        if let Some(rounds) = rounds {
            self.runtime.spawn(rounds);
        }
        let index = link::index_of(answer, timeout).await?;
        match self.gate.reached(index, until).await {
            true => Ok(()),
            false => Err(behind(index, timeout)),
        }
    }

    /// Who this node is to its peers.
    #[must_use]
    pub const fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Answers a request that a transport brought from a peer, whose identity the transport made sure of.
    /// What cannot be answered is refused, in the answer.
    #[must_use]
    pub fn answer_peer(&self, from: &PeerIdentity, request: Bytes) -> BoxFuture<'static, Bytes> {
        let answerer = Arc::clone(&self.answerer);
        let from = from.clone();
        // On raft's own runtime, wherever the transport lives.
        let answer = self
            .runtime
            .spawn(async move { answerer.answer(&from, &request).await });
        Box::pin(async move {
            answer
                .await
                .unwrap_or_else(|_| answer::stopped("the node stopped"))
        })
    }

    /// Runs on raft's runtime and waits for it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn on_raft<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, String> {
        let (sender, done) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The caller may have given up.
            let _ = sender.try_send(work.await);
        });
        done.recv_timeout(within)
            .map_err(|_| format!("not done within {} s", within.as_secs()))?
    }

    /// Rows of a derived index, newest operation first.
    ///
    /// # Errors
    /// The disk fails.
    pub fn rows(&self, range: &RowRange) -> Result<Vec<StoredRow>, io::Error> {
        self.data.rows(range)
    }

    /// Every row of a table, in order, given to `visit` as `(prefix and suffix with the index between, value)`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn each_row(
        &self,
        table: u8,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), io::Error> {
        self.data.each_row(table, visit)
    }

    /// Removes every row of a table, so that it can be made again. Only where nobody reads them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn clear_rows(&self, table: u8) -> Result<(), io::Error> {
        self.data.clear_rows(table)
    }

    /// Writes rows of the operation at a log index again, as its transaction did or would have done. Rows are
    /// derived from operations: who writes what the operations give changes nothing that was agreed on.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put_rows(&self, index: u64, rows: &[IndexRow]) -> Result<(), io::Error> {
        self.data.put_rows(index, rows)
    }

    /// Removes a row that no operation gives, by its place as [`Self::each_row`] shows it. Only where nobody reads
    /// them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove_row(&self, table: u8, place: &[u8]) -> Result<(), io::Error> {
        self.data.remove_row(table, place)
    }

    /// Every ref as it is on disk, in order. [`Self::view`] is the same, unless something is wrong.
    ///
    /// # Errors
    /// The disk fails, or a ref cannot be read.
    pub fn each_ref(&self, visit: &mut dyn FnMut(RefName, Target)) -> Result<(), io::Error> {
        self.data.each_ref(visit)
    }

    /// The answer that a request got, if it took effect and is still remembered.
    ///
    /// # Errors
    /// The disk fails.
    pub fn committed(&self, request: RequestId) -> Result<Option<Committed>, io::Error> {
        Ok(self
            .data
            .remembered(request)?
            .map(|remembered| remembered.committed))
    }

    /// The operation at this sequence number.
    ///
    /// # Errors
    /// The disk fails or the operation is corrupt.
    pub fn operation_at(&self, sequence: u64) -> Result<Option<(ObjectId, Operation)>, ReadError> {
        self.data.operation(sequence)
    }

    /// The id of the operation at this sequence number. Reads no object.
    ///
    /// # Errors
    /// The disk fails.
    pub fn operation_id_at(&self, sequence: u64) -> Result<Option<ObjectId>, io::Error> {
        Ok(self.data.place(sequence)?.map(|place| place.id))
    }

    /// Sequence number of the newest operation whose time is at most this; 0 if there is none.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sequence_at_time(&self, time_ms: i64) -> Result<u64, ReadError> {
        self.data
            .last_that(self.view().sequence(), |place| place.time_ms <= time_ms)
    }

    /// Sequence number of the newest operation whose log index is at most this; 0 if there is none.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sequence_at_index(&self, index: u64) -> Result<u64, ReadError> {
        self.data
            .last_that(self.view().sequence(), |place| place.index <= index)
    }

    /// The view right after the operation at this sequence number (0: the empty one).
    ///
    /// # Errors
    /// The disk fails or an operation is missing or corrupt.
    pub fn view_at(&self, sequence: u64) -> Result<View, ReadError> {
        past::view_at(&self.data, &self.view(), sequence)
    }

    /// Recomputes the chain of operations from the first to the newest: ids, edits and view roots.
    ///
    /// # Errors
    /// The disk fails. What is wrong with the chain is in the report.
    pub fn verify_operations(&self) -> Result<OperationReport, io::Error> {
        verify::operations(&self.data, &self.view())
    }

    /// Makes everything durable, compacts what a snapshot covers and stops. Called by `Drop` too.
    pub fn close(&self) {
        close::close(self);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
    }
}

fn behind(index: u64, timeout: Duration) -> TransactError {
    TransactError::Unavailable(format!(
        "this node did not reach index {index} within {} ms",
        timeout.as_millis()
    ))
}

/// 16 random bytes.
fn random_id() -> Result<[u8; 16], getrandom::Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    Ok(id)
}
