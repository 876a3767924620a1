//! Closing a node: nothing is lost whether or not it is done; done, opening again is quick and the
//! directory is small.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;

use super::{Node, Running};
use crate::data::Data;
use crate::raft::Raft;

/// How long the last snapshot and the purge of the log may take.
const PURGE_WITHIN: Duration = Duration::from_secs(5);
/// How long raft may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long compaction may take; what is not done then, background compaction does another time.
const COMPACT_WITHIN: Duration = Duration::from_secs(20);
/// Fewest bytes of log since opening for which compaction is worth while.
const COMPACT_BYTES_MIN: u64 = 4 << 20;

/// See [`Node::close`].
pub(super) fn close(node: &Node) {
    node.closing.store(true, Ordering::Release);
    let Some(running) = node
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    else {
        return;
    };
    let raft = node.raft.clone();
    // Peers that are a little behind are to find in the log what they lack.
    let purges = node.raft.voter_ids().chain(node.raft.learner_ids()).count() <= 1;
    let data = Arc::clone(&node.data);
    let written = node.log_counters().bytes;
    let applied = match node.failure.get() {
        None => Some(node.view().index()),
        Some(_) => None,
    };
    // A runtime must not be taken down on a thread of another one; this may be called on one.
    let closing = std::thread::Builder::new()
        .name("confman-close".to_owned())
        .spawn(move || take_down(running, raft, data, applied, purges, written));
    match closing {
        Ok(closing) => {
            if closing.join().is_err() {
                tracing::error!("closing the store failed; what was acknowledged is safe");
            }
        }
        Err(error) => {
            tracing::error!(%error, "closing the store failed; what was acknowledged is safe")
        }
    }
}

/// `applied` is the last index that is applied, where the node has not failed.
fn take_down(
    running: Running,
    raft: Raft,
    data: Arc<Data>,
    applied: Option<u64>,
    purges: bool,
    written: u64,
) {
    let Running {
        runtime,
        log,
        writer,
    } = running;
    let (done, stopped) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        if let Some(applied) = applied.filter(|_| purges) {
            purge(&raft, applied).await;
        }
        let _ = raft.shutdown().await;
        drop(raft);
        let _ = done.try_send(());
    });
    if stopped.recv_timeout(PURGE_WITHIN + STOP_WITHIN).is_err() {
        tracing::warn!("raft did not stop in time");
    }
    runtime.shutdown_timeout(STOP_WITHIN);
    log.shared.queue.close();
    if writer.join().is_err() {
        tracing::error!("the log's writer ended in a panic");
    }
    if applied.is_none() {
        return;
    }
    if let Err(error) = log.flush() {
        tracing::warn!(%error, "the log was not flushed; it is read from its write-ahead log next time");
    }
    drop(log);
    if let Err(error) = data
        .sync()
        .map_err(|error| error.to_string())
        .and_then(|()| data.flush().map_err(|e| e.to_string()))
    {
        tracing::warn!(%error, "the data was not flushed; it is read from its write-ahead log next time");
        return;
    }
    if written >= COMPACT_BYTES_MIN.max(data.table_bytes() / 8) {
        compact(&data);
    }
}

/// Makes a snapshot and removes from the log what it covers.
async fn purge(raft: &Raft, applied: u64) {
    let covered = async {
        // What raft tells of itself may lag behind what it has applied.
        raft.wait(Some(PURGE_WITHIN))
            .applied_index_at_least(Some(applied), "all is applied")
            .await
            .ok()?;
        let last = raft.metrics().borrow_watched().last_applied?;
        raft.trigger().snapshot().await.ok()?;
        let snapshot = |metrics: &openraft::RaftMetrics<_>| metrics.snapshot >= Some(last);
        raft.wait(Some(PURGE_WITHIN))
            .metrics(snapshot, "a snapshot covers all")
            .await
            .ok()?;
        raft.trigger().purge_log(last.index).await.ok()?;
        let purged = |metrics: &openraft::RaftMetrics<_>| metrics.purged >= Some(last);
        raft.wait(Some(PURGE_WITHIN))
            .metrics(purged, "the log is purged")
            .await
            .ok()
    };
    if covered.await.is_none() {
        tracing::warn!("the log was not purged; it is longer than needed");
    }
}

/// Compacts for a while.
fn compact(data: &Arc<Data>) {
    let (done, compacted) = mpsc::sync_channel(1);
    let compacting = Arc::clone(data);
    let thread = std::thread::Builder::new()
        .name("confman-compact".to_owned())
        .spawn(move || {
            compacting.compact();
            let _ = done.try_send(());
        });
    let Ok(thread) = thread else { return };
    if compacted.recv_timeout(COMPACT_WITHIN).is_err() {
        data.db.cancel_all_background_work(false);
    }
    let _ = thread.join();
}
