//! The one thread that writes the log. It takes everything that is waiting, writes it as one batch
//! with one sync, and only then tells who waits.
//!
//! INVARIANT: writes reach the disk in the order in which they were handed over.
//! INVARIANT: a completion is reported after the sync that covers it, or as an error; never forgotten.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use openraft::storage::IOFlushed;
use rocksdb::{DB, WriteBatch, WriteOptions};
use tokio::sync::{Notify, oneshot};

use super::log::{self, Shared};
use super::tail::weight;
use super::{Entry, LogId, Types, Vote, record};

/// Most bytes that wait to be written before the log makes its caller wait.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Most bytes of one group.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Most jobs of one group.
const GROUP_JOBS_MAX: usize = 4096;

/// A write to the log.
pub(crate) enum Job {
    Append {
        entries: Vec<Entry>,
        done: Flushed,
    },
    Vote {
        vote: Vote,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// Removes entries from `first` to `last`; the log ends with `keep` then.
    Truncate {
        first: u64,
        last: u64,
        keep: Option<LogId>,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// Removes entries from `first` to `upto`.
    Purge {
        first: u64,
        upto: LogId,
    },
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(weight).sum(),
            Self::Vote { .. } | Self::Truncate { .. } | Self::Purge { .. } => 0,
        }
    }

    const fn must_sync(&self) -> bool {
        !matches!(self, Self::Purge { .. })
    }

    fn finish(self, result: Result<(), &str>) {
        let result = || result.map_err(|reason| io::Error::other(reason.to_owned()));
        match self {
            Self::Append { done, .. } => done.complete(result()),
            Self::Vote { done, .. } | Self::Truncate { done, .. } => {
                let _ = done.send(result());
            }
            Self::Purge { .. } => {}
        }
    }
}

/// Reports to openraft that an append is on disk. Dropped unreported, it reports an error: a
/// completion that is forgotten would stall the node silently.
pub(crate) struct Flushed(Option<IOFlushed<Types>>);

impl Flushed {
    pub(crate) const fn new(callback: IOFlushed<Types>) -> Self {
        Self(Some(callback))
    }

    pub(crate) fn complete(mut self, result: io::Result<()>) {
        if let Some(callback) = self.0.take() {
            callback.io_completed(result);
        }
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        if let Some(callback) = self.0.take() {
            callback.io_completed(Err(io::Error::other(
                "the log's writer ended before the entries were written",
            )));
        }
    }
}

/// Jobs that wait for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    room: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over; waits while too much is waiting already.
    pub(crate) async fn push(&self, job: Job) {
        loop {
            // Registered before looking, so that room made in between is not missed.
            let room = self.room.notified();
            if self.lock().bytes < QUEUE_BYTES_MAX {
                break;
            }
            room.await;
        }
        self.push_now(job);
    }

    /// Hands a job over without waiting.
    pub(crate) fn push_now(&self, job: Job) {
        let mut waiting = self.lock();
        if waiting.closed {
            drop(waiting);
            return job.finish(Err("the log is closed"));
        }
        waiting.bytes += job.weight();
        waiting.jobs.push_back(job);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Lets the writer end once it has written what is waiting.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// The next group; empty when the queue is closed and nothing is left.
    fn group(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        while waiting.jobs.is_empty() && !waiting.closed {
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX
            && group.len() < GROUP_JOBS_MAX
            && let Some(job) = waiting.jobs.pop_front()
        {
            bytes += job.weight();
            group.push(job);
        }
        waiting.bytes -= bytes;
        drop(waiting);
        self.room.notify_one();
        group
    }
}

/// What the writer has done, for metrics and measurements.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) synced_writes: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Entries that are in the log now.
    pub(crate) kept: AtomicU64,
    /// Their bytes, to a piece.
    pub(crate) kept_bytes: AtomicU64,
}

/// Runs until the queue is closed and empty. The log on disk ends with `last` and is `committed` so far.
pub(crate) fn run(shared: &Arc<Shared>, last: Option<LogId>, committed: Option<LogId>) {
    let mut writer = Writer {
        db: &shared.db,
        record: Vec::new(),
        committed,
        last,
    };
    loop {
        let group = shared.queue.group();
        if group.is_empty() {
            break;
        }
        let result = match shared.failure.get() {
            Some(reason) => Err(reason.to_owned()),
            None => writer.write(shared, &group),
        };
        if let Err(reason) = &result {
            shared.failure.set(reason.clone());
        }
        // Before the completions, so that what they set off finds the entries' memory free to reuse.
        if result.is_ok() {
            note_flushed(shared, &group);
        }
        for job in group {
            job.finish(result.as_ref().copied().map_err(String::as_str));
        }
    }
    if shared.failure.get().is_none()
        && let Err(reason) = writer.write(shared, &[])
    {
        shared.failure.set(reason);
    }
}

fn note_flushed(shared: &Shared, group: &[Job]) {
    let last = group.iter().rev().find_map(|job| match job {
        Job::Append { entries, .. } => entries.last().map(|entry| entry.log_id.index),
        Job::Vote { .. } | Job::Truncate { .. } | Job::Purge { .. } => None,
    });
    if let Some(last) = last {
        shared.lock().tail.flushed(last);
    }
}

struct Writer<'a> {
    db: &'a DB,
    /// The record being encoded; kept for its memory.
    record: Vec<u8>,
    /// What `meta` has as committed.
    committed: Option<LogId>,
    /// The last entry that is written.
    last: Option<LogId>,
}

impl Writer<'_> {
    /// Writes a group as one batch, with what is committed alongside.
    fn write(&mut self, shared: &Shared, group: &[Job]) -> Result<(), String> {
        let families = log::Families::of(self.db).map_err(|error| error.to_string())?;
        let mut batch = WriteBatch::default();
        let mut entries = 0_u64;
        let mut last = self.last;
        for job in group {
            match job {
                Job::Append {
                    entries: appended, ..
                } => {
                    for entry in appended {
                        record::encode_entry(entry, &mut self.record);
                        batch.put_cf(
                            families.log,
                            record::entry_key(entry.log_id.index),
                            &self.record,
                        );
                    }
                    entries += appended.len() as u64;
                    last = appended.last().map(|entry| entry.log_id).or(last);
                }
                Job::Vote { vote, .. } => {
                    batch.put_cf(
                        families.meta,
                        log::VOTE,
                        record::encode_vote(log::VOTE, vote),
                    );
                }
                Job::Truncate {
                    first,
                    last: removed,
                    keep,
                    ..
                } => {
                    for index in *first..=*removed {
                        batch.delete_cf(families.log, record::entry_key(index));
                    }
                    last = *keep;
                }
                Job::Purge { first, upto } => {
                    // A range that begins where the last one ended: ranges never overlap.
                    batch.delete_range_cf(
                        families.log,
                        record::entry_key(*first),
                        record::entry_key(upto.index.saturating_add(1)),
                    );
                    batch.put_cf(
                        families.meta,
                        log::PURGED,
                        record::encode_log_id(log::PURGED, Some(*upto)),
                    );
                    last = last.max(Some(*upto));
                }
            }
        }
        let committed = log::committed_on_disk(shared.lock().committed, last, self.committed);
        if committed != self.committed {
            batch.put_cf(
                families.meta,
                log::COMMITTED,
                record::encode_log_id(log::COMMITTED, committed),
            );
        }
        let bytes = batch.size_in_bytes() as u64;
        let sync = group.is_empty() || group.iter().any(Job::must_sync);
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db
            .write_opt(batch, &options)
            .map_err(|error| format!("writing the log failed: {error}"))?;
        self.committed = committed;
        self.last = last;
        self.drop_files(group, &families);
        if sync {
            shared
                .counters
                .synced_writes
                .fetch_add(1, Ordering::Relaxed);
        }
        shared
            .counters
            .entries
            .fetch_add(entries, Ordering::Relaxed);
        shared.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Removes whole files that a purge has emptied; what it leaves, compaction takes.
    fn drop_files(&self, group: &[Job], families: &log::Families<'_>) {
        for job in group {
            if let Job::Purge { upto, .. } = job
                && let Err(error) = self.db.delete_file_in_range_cf(
                    families.log,
                    record::entry_key(0),
                    record::entry_key(upto.index),
                )
            {
                tracing::warn!(%error, "purged log files could not be removed; compaction will do it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::RaftTypeConfig;
    use openraft::async_runtime::{AsyncRuntime, Oneshot};

    use super::*;

    type Oneshots = <<Types as RaftTypeConfig>::AsyncRuntime as AsyncRuntime>::Oneshot;

    /// openraft waits for ever for a completion that nobody reports.
    #[tokio::test]
    async fn completion_that_is_forgotten_is_an_error() {
        let (sender, reported) = <Oneshots as Oneshot>::channel();
        drop(Flushed::new(IOFlushed::signal(sender)));
        let error = reported.await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the log's writer ended before the entries were written"
        );
        let (sender, reported) = <Oneshots as Oneshot>::channel();
        Flushed::new(IOFlushed::signal(sender)).complete(Ok(()));
        assert!(reported.await.unwrap().is_ok());
    }
}
