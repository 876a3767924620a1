//! The log: entries, vote, and how far it is committed and purged, in a RocksDB of its own.
//!
//! Appends are handed to the writer's thread and are readable at once from the tail in memory.
//!
//! INVARIANT: entries are contiguous from the one after the last purged; opening checks it, and every
//! checksum.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Options,
    ReadOptions,
};
use tokio::sync::oneshot;

use super::extent::Extent;
use super::tail::{Tail, weight};
use super::writer::{self, Counters, Flushed, Job, Queue};
use super::{Entry, LogId, Types, Vote, record};
use crate::failure::Failure;

/// Keys of the column family `meta`.
pub(crate) const VOTE: &[u8] = b"vote";
pub(crate) const COMMITTED: &[u8] = b"committed";
pub(crate) const PURGED: &[u8] = b"purged";
/// What ties this database to its data database.
pub(crate) const PAIR: &[u8] = b"pair";
/// Which node of which cluster this is.
pub(crate) const IDENTITY: &[u8] = b"identity";

/// Most bytes of entries that one read for replication gives.
const READ_BYTES_MAX: usize = 2 << 20;
/// Memtable of the log.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Most bytes of write-ahead log before memtables are flushed.
const WAL_BYTES_MAX: u64 = 32 << 20;

/// The column families.
pub(crate) struct Families<'a> {
    pub(crate) log: &'a ColumnFamily,
    pub(crate) meta: &'a ColumnFamily,
}

impl<'a> Families<'a> {
    pub(crate) fn of(db: &'a DB) -> io::Result<Self> {
        let family = |name: &str| {
            db.cf_handle(name).ok_or_else(|| {
                io::Error::other(format!("column family `{name}` of the log is missing"))
            })
        };
        Ok(Self {
            log: family("log")?,
            meta: family("meta")?,
        })
    }
}

/// What the log, its readers and its writer share.
pub(crate) struct Shared {
    pub(crate) db: DB,
    pub(crate) queue: Queue,
    pub(crate) failure: Arc<Failure>,
    pub(crate) counters: Arc<Counters>,
    state: Mutex<State>,
}

/// The log as readers see it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    pub(crate) last: Option<LogId>,
    /// Index of the oldest entry, or of the one that comes next where there is none.
    first: u64,
    pub(crate) tail: Tail,
    pub(crate) extent: Extent,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the entries that the log has, whenever that has changed.
    fn count(&self, state: &State) {
        let kept = state
            .last
            .map_or(0, |last| (last.index + 1).saturating_sub(state.first));
        self.counters.kept.store(kept, Ordering::Relaxed);
        self.counters
            .kept_bytes
            .store(state.extent.bytes(), Ordering::Relaxed);
    }

    fn alive(&self) -> io::Result<()> {
        self.failure.error().map_or(Ok(()), Err)
    }
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    Database(#[from] rocksdb::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The log. Clones share it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) shared: Arc<Shared>,
}

impl Log {
    /// Opens the database, checks every entry, and starts the writer.
    pub(crate) fn open(
        path: &Path,
        failure: Arc<Failure>,
    ) -> Result<(Self, JoinHandle<()>), LogError> {
        let families =
            ["log", "meta"].map(|name| ColumnFamilyDescriptor::new(name, family_options()));
        let db = DB::open_cf_descriptors(&database_options(), path, families)?;
        let state = check(&db)?;
        let shared = Arc::new(Shared {
            db,
            queue: Queue::default(),
            failure,
            counters: Arc::default(),
            state: Mutex::new(state),
        });
        let (for_writer, last, committed) = {
            let state = shared.lock();
            (Arc::clone(&shared), state.last, state.committed)
        };
        let writer = std::thread::Builder::new()
            .name("confman-log".to_owned())
            .spawn(move || writer::run(&for_writer, last, committed))?;
        Ok((Self { shared }, writer))
    }

    /// The value that ties the log to its data database.
    pub(crate) fn pair(&self) -> Result<Option<Bytes>, LogError> {
        let families = Families::of(&self.shared.db)?;
        match self.shared.db.get_cf(families.meta, PAIR)? {
            None => Ok(None),
            Some(bytes) => record::decode_sealed("pair", PAIR, &bytes.into())
                .map(Some)
                .map_err(|error| LogError::Damaged(format!("raft/: {error}"))),
        }
    }

    /// Ties the log to its data database.
    pub(crate) fn set_pair(&self, pair: &[u8]) -> Result<(), LogError> {
        let families = Families::of(&self.shared.db)?;
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.shared.db.put_cf_opt(
            families.meta,
            PAIR,
            record::encode_sealed(PAIR, pair),
            &options,
        )?;
        Ok(())
    }

    /// Which node of which cluster this is. A directory from before there were peers does not say; it is the
    /// first node of its cluster.
    pub(crate) fn identity(&self) -> Result<Option<record::NodeIdentity>, LogError> {
        let families = Families::of(&self.shared.db)?;
        match self.shared.db.get_cf(families.meta, IDENTITY)? {
            None => Ok(None),
            Some(bytes) => record::decode_identity(IDENTITY, &bytes.into())
                .map(Some)
                .map_err(|error| LogError::Damaged(format!("raft/: {error}"))),
        }
    }

    /// Writes which node of which cluster this is.
    pub(crate) fn set_identity(&self, identity: &record::NodeIdentity) -> Result<(), LogError> {
        let families = Families::of(&self.shared.db)?;
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.shared.db.put_cf_opt(
            families.meta,
            IDENTITY,
            record::encode_identity(IDENTITY, identity),
            &options,
        )?;
        Ok(())
    }

    /// Everything that is in the log.
    pub(crate) fn read_all(&self) -> io::Result<Vec<Entry>> {
        self.read(0, u64::MAX, usize::MAX)
    }

    /// Appends an entry, replaces the vote and says which node this is, in one synced write. Only where no raft
    /// runs on the log.
    pub(crate) fn rewrite(
        &self,
        entry: &Entry,
        vote: &Vote,
        identity: &record::NodeIdentity,
    ) -> Result<(), LogError> {
        let families = Families::of(&self.shared.db)?;
        let mut encoded = Vec::new();
        record::encode_entry(entry, &mut encoded);
        let mut batch = rocksdb::WriteBatch::default();
        batch.put_cf(families.log, record::entry_key(entry.log_id.index), encoded);
        batch.put_cf(families.meta, VOTE, record::encode_vote(VOTE, vote));
        let identity = record::encode_identity(IDENTITY, identity);
        batch.put_cf(families.meta, IDENTITY, identity);
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.shared.db.write_opt(batch, &options)?;
        Ok(())
    }

    /// Makes a log that is empty the log of a node whose state covers everything up to `last`, in one synced write.
    /// Only where no raft runs on it.
    pub(crate) fn begin_after(
        &self,
        last: LogId,
        vote: &Vote,
        identity: &record::NodeIdentity,
        pair: &[u8],
    ) -> Result<(), LogError> {
        let families = Families::of(&self.shared.db)?;
        let mut batch = rocksdb::WriteBatch::default();
        for key in [PURGED, COMMITTED] {
            batch.put_cf(families.meta, key, record::encode_log_id(key, Some(last)));
        }
        batch.put_cf(families.meta, VOTE, record::encode_vote(VOTE, vote));
        batch.put_cf(
            families.meta,
            IDENTITY,
            record::encode_identity(IDENTITY, identity),
        );
        batch.put_cf(families.meta, PAIR, record::encode_sealed(PAIR, pair));
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.shared.db.write_opt(batch, &options)?;
        Ok(())
    }

    /// Writes memtables out and drops what is purged.
    pub(crate) fn flush(&self) -> Result<(), LogError> {
        let families = Families::of(&self.shared.db)?;
        for family in [families.log, families.meta] {
            self.shared.db.flush_cf(family)?;
            self.shared
                .db
                .compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    /// Entries of `[from, end)` that are in the log, oldest first, at most about `bytes_max` but one at least.
    fn read(&self, from: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let (from, disk_end, newest) = {
            let state = self.shared.lock();
            let from = from.max(state.first);
            let end = end.min(state.last.map_or(0, |id| id.index + 1));
            if from >= end {
                return Ok(Vec::new());
            }
            let disk_end = state.tail.first().unwrap_or(end).clamp(from, end);
            (from, disk_end, state.tail.range(disk_end, end))
        };
        let mut entries = if from < disk_end {
            self.read_disk(from, disk_end, bytes_max)?
        } else {
            Vec::new()
        };
        let cut = u64::try_from(entries.len()).is_ok_and(|read| from + read < disk_end);
        if !cut {
            entries.extend(newest);
        }
        let mut bytes = 0;
        let fitting = entries
            .iter()
            .take_while(|entry| {
                let first = bytes == 0;
                bytes += weight(entry);
                first || bytes <= bytes_max
            })
            .count();
        entries.truncate(fitting);
        Ok(entries)
    }

    fn read_disk(&self, from: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let families = Families::of(&self.shared.db)?;
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(record::entry_key(from));
        options.set_iterate_upper_bound(record::entry_key(end));
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        for item in
            self.shared
                .db
                .iterator_cf_opt(families.log, options, rocksdb::IteratorMode::Start)
        {
            let (key, value) = item.map_err(io::Error::other)?;
            let index = index_of(&key).map_err(io::Error::other)?;
            // Purged since the range was chosen: absence at its beginning is allowed.
            if self
                .shared
                .lock()
                .purged
                .is_some_and(|purged| next <= purged.index && index == purged.index + 1)
            {
                next = index;
            }
            if index != next {
                return Err(io::Error::other(format!("log entry {next} is missing")));
            }
            let entry = record::decode_entry(index, &value.into())
                .map_err(|error| io::Error::other(format!("log entry {index}: {error}")))?;
            bytes += weight(&entry);
            entries.push(entry);
            next += 1;
            if bytes >= bytes_max {
                return Ok(entries);
            }
        }
        if next != end {
            return Err(io::Error::other(format!("log entry {next} is missing")));
        }
        Ok(entries)
    }

    /// Reads where it may block; what is in memory is given at once.
    async fn read_blocking(&self, from: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        self.shared.alive()?;
        let in_memory = self
            .shared
            .lock()
            .tail
            .first()
            .is_some_and(|first| first <= from);
        if in_memory {
            return self.read(from, end, bytes_max);
        }
        let log = self.clone();
        tokio::task::spawn_blocking(move || log.read(from, end, bytes_max))
            .await
            .map_err(io::Error::other)?
    }

    /// Hands over a job whose result is waited for.
    async fn written(
        &self,
        job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job,
    ) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.shared.queue.push(job(done)).await;
        wait.await
            .map_err(|_| io::Error::other("the log's writer has ended"))?
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A torn last record was never acknowledged. Anything else that does not read was, perhaps.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_recycle_log_file_num(0);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    #[cfg(test)]
    crate::simulation::host::keep_small(&mut options);
    options.set_keep_log_file_num(2);
    options.set_max_manifest_file_size(4 << 20);
    options
}

fn family_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(4);
    // Purged entries of the newest level go only when it is compacted.
    options.set_level_zero_file_num_compaction_trigger(4);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn index_of(key: &[u8]) -> Result<u64, String> {
    <[u8; 8]>::try_from(key)
        .map(u64::from_be_bytes)
        .map_err(|_| format!("the log has a key of {} bytes, keys have 8", key.len()))
}

/// Reads the state of the log from disk and checks every record of it.
fn check(db: &DB) -> Result<State, LogError> {
    let families = Families::of(db)?;
    let damaged = |what: &str, error: &dyn std::fmt::Display| {
        LogError::Damaged(format!("raft/: {what}: {error}"))
    };
    let meta = |key: &[u8]| {
        db.get_cf(families.meta, key)
            .map(|value| value.map(Bytes::from))
    };
    let log_id = |key: &'static [u8], what: &str| match meta(key)? {
        None => Ok(None),
        Some(bytes) => record::decode_log_id(key, &bytes).map_err(|error| damaged(what, &error)),
    };
    let vote = match meta(VOTE)? {
        None => None,
        Some(bytes) => {
            Some(record::decode_vote(VOTE, &bytes).map_err(|error| damaged("the vote", &error))?)
        }
    };
    let purged = log_id(PURGED, "the purged log id")?;
    let committed = log_id(COMMITTED, "the committed log id")?;
    let mut last = purged;
    let mut extent = Extent::default();
    let first = purged.map_or(0, |id| id.index + 1);
    let mut next = first;
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(record::entry_key(next));
    for item in db.iterator_cf_opt(families.log, options, rocksdb::IteratorMode::Start) {
        let (key, value) = item.map_err(|error| damaged(&format!("log entry {next}"), &error))?;
        let index = index_of(&key).map_err(LogError::Damaged)?;
        if index != next {
            return Err(damaged(
                &format!("log entry {next}"),
                &"it is missing, and later ones are there",
            ));
        }
        let entry = record::decode_entry(index, &value.into())
            .map_err(|error| damaged(&format!("log entry {index}"), &error))?;
        if last.is_some_and(|last| last.leader_id > entry.log_id.leader_id) {
            return Err(damaged(
                &format!("log entry {index}"),
                &"its term is before that of its predecessor",
            ));
        }
        extent.push(index, weight(&entry));
        last = Some(entry.log_id);
        next = index + 1;
    }
    Ok(State {
        vote,
        committed,
        purged,
        last,
        first,
        tail: Tail::default(),
        extent,
    })
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (from, end) = limits(&range);
        self.read_blocking(from, end, usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read_blocking(start, end, READ_BYTES_MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.lock().vote)
    }
}

/// How far the log on disk may be called committed, when it ends with `written` and said `before` so far.
///
/// A leader may know of a commit before its own disk has the entries. Were that written, a crash could leave a log
/// that ends before what it says is committed, and the node would not start, or count as committed what it is given
/// in their place.
pub(crate) fn committed_on_disk(
    committed: Option<LogId>,
    written: Option<LogId>,
    before: Option<LogId>,
) -> Option<LogId> {
    match (committed, written) {
        (Some(committed), Some(written)) if committed.index <= written.index => Some(committed),
        // The same leader wrote both, so one comes before the other in one log.
        (Some(committed), Some(written)) if committed.leader_id == written.leader_id => {
            Some(written).max(before)
        }
        _ => before,
    }
}

/// A range as `[from, end)`.
pub(crate) fn limits(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(from) => from.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (from, end)
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let state = self.shared.lock();
        Ok(LogState {
            last_purged_log_id: state.purged,
            last_log_id: state.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let vote = *vote;
        self.written(|done| Job::Vote { vote, done }).await?;
        self.shared.lock().vote = Some(vote);
        Ok(())
    }

    /// Written with the next group: an older value on disk only means more to apply again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.shared.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.shared.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = Flushed::new(callback);
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut state = self.shared.lock();
            for entry in &entries {
                if state
                    .last
                    .is_some_and(|last| entry.log_id.index != last.index + 1)
                {
                    return Err(io::Error::other(format!(
                        "log entry {} does not follow {:?}",
                        entry.log_id.index, state.last
                    )));
                }
                if state.last.is_none() {
                    state.first = entry.log_id.index;
                }
                state.last = Some(entry.log_id);
                state.extent.push(entry.log_id.index, weight(entry));
                state.tail.push(entry.clone());
            }
            self.shared.count(&state);
        }
        self.shared.queue.push(Job::Append { entries, done }).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let keep = last_log_id.map(|id| id.index);
        let removed = {
            let mut state = self.shared.lock();
            let first = keep
                .map_or(0, |index| index + 1)
                .max(state.purged.map_or(0, |id| id.index + 1));
            match state.last {
                Some(last) if last.index >= first => {
                    state.tail.truncate_after(keep);
                    state.extent.truncate_after(keep);
                    state.last = if first > 0 {
                        last_log_id
                            .filter(|id| id.index + 1 == first)
                            .or(state.purged)
                    } else {
                        None
                    };
                    Some((first, last.index, state.last))
                }
                _ => None,
            }
        };
        if let Some((first, last, kept)) = removed {
            self.written(|done| Job::Truncate {
                first,
                last,
                keep: kept,
                done,
            })
            .await?;
            self.shared.lock().tail.unflushed_after(keep);
        }
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let first = {
            let mut state = self.shared.lock();
            let first = state.purged.map_or(0, |id| id.index + 1);
            if first > log_id.index {
                return Ok(());
            }
            state.purged = Some(log_id);
            state.first = log_id.index + 1;
            if state.last.is_none_or(|last| last.index < log_id.index) {
                state.last = Some(log_id);
            }
            state.tail.purge(log_id.index);
            state.extent.purge(log_id.index);
            self.shared.count(&state);
            first
        };
        self.shared
            .queue
            .push(Job::Purge {
                first,
                upto: log_id,
            })
            .await;
        Ok(())
    }
}
