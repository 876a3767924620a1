//! Keeping the log small by its bytes, beside openraft, which counts entries: a few thousand of them may be
//! gigabytes.
//!
//! INVARIANT: nothing is purged that no snapshot covers, and a snapshot exists only once what it covers is durable
//! in the data (`data/snapshot.rs`). openraft holds to the first, whatever it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;

use crate::raft::Raft;
use crate::raft::log::Log;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Bytes after which something is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    /// Written, since the last snapshot, after which another is made.
    pub(super) snapshot: u64,
    /// Of entries that a snapshot covers and that are kept all the same.
    pub(super) kept: u64,
}

/// Decides when bytes ask for a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct SnapshotBytes(Arc<AtomicU64>);

impl SnapshotBytes {
    /// Whether so much was written since the last snapshot that another is due. Says so once.
    pub(super) fn due(&self, written: u64, after: u64) -> bool {
        let before = self.0.load(Ordering::Relaxed);
        written.saturating_sub(before) >= after
            && self
                .0
                .compare_exchange(before, written, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Runs as long as raft does.
pub(super) async fn run(raft: Raft, log: Log, due: SnapshotBytes, bytes: Bytes) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut asked = None;
    loop {
        tick.tick().await;
        let metrics = raft.metrics().borrow_watched().clone();
        if metrics.running_state.is_err() {
            return;
        }
        let written = log.shared.counters.bytes.load(Ordering::Relaxed);
        if due.due(written, bytes.snapshot) {
            // It fails only when the node stops, and is then of no use.
            let _ = raft.trigger().snapshot().await;
        }
        let beyond = log.shared.lock().extent.beyond(bytes.kept);
        let covered = metrics.snapshot.map(|last| last.index);
        let upto = beyond.min(covered).filter(|_| beyond.is_some());
        if let Some(upto) = upto.filter(|upto| asked < Some(*upto)) {
            asked = Some(upto);
            let _ = raft.trigger().purge_log(upto).await;
        }
    }
}
