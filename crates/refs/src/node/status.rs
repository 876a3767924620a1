//! What a node says of itself.

use std::sync::atomic::Ordering;

use confman_object_store::ObjectId;
use openraft::async_runtime::WatchReceiver;

use super::Node;
use crate::raft::writer::Counters;

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
    /// Last log index that is written here.
    pub logged: u64,
    /// Newest operation.
    pub operation: Option<ObjectId>,
    /// The log takes no more writes: the disk failed. The process should end.
    pub failed: Option<String>,
}

/// What the log has written since the node was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCounters {
    /// Writes that were synced; each may hold many entries.
    pub synced_writes: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
    /// Entries that are in the log now; the others are purged.
    pub kept: u64,
    /// About how many bytes these have.
    pub kept_bytes: u64,
}

/// What the database of applied state takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// Bytes of its tables.
    pub table_bytes: u64,
    /// Memory of its memtables.
    pub memtable_bytes: u64,
    /// Memory of its block cache.
    pub block_cache_bytes: u64,
    /// Bytes that it still has to compact.
    pub compaction_pending_bytes: u64,
}

impl Node {
    /// What this node says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let view = self.view.load();
        let stopped = || {
            metrics
                .running_state
                .as_ref()
                .err()
                .map(ToString::to_string)
        };
        let failed = self.failure.get().map(str::to_owned);
        Status {
            cluster_id: self.identity.cluster_id,
            node_id: self.identity.node_id,
            leader: self.link.leader(&metrics),
            term: metrics.current_term,
            applied: view.index(),
            logged: metrics.last_log_index.unwrap_or_default().max(view.index()),
            operation: view.operation(),
            failed: failed.or_else(|| {
                if self.closing.load(Ordering::Acquire) {
                    None
                } else {
                    stopped()
                }
            }),
        }
    }

    /// What the log has written since the node was opened.
    #[must_use]
    pub fn log_counters(&self) -> LogCounters {
        let Counters {
            synced_writes,
            entries,
            bytes,
            kept,
            kept_bytes,
        } = self.counters.as_ref();
        LogCounters {
            synced_writes: synced_writes.load(Ordering::Relaxed),
            entries: entries.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
            kept: kept.load(Ordering::Relaxed),
            kept_bytes: kept_bytes.load(Ordering::Relaxed),
        }
    }

    /// What the database of applied state takes.
    #[must_use]
    pub fn database_status(&self) -> DatabaseStatus {
        self.data.status()
    }
}
