//! The log of a simulated node: what the process has written, and what of it would survive.
//!
//! Writes become durable in the order in which they were made, some time later, as the writer's groups do. When
//! a life is cut short, a part of what was not yet synced is there all the same, and the rest is gone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::{Notify, oneshot};

use super::chance::chance;
use super::world::{Bug, World};
use crate::raft::log::{COMMITTED, PURGED, VOTE, committed_on_disk, limits};
use crate::raft::writer::Flushed;
use crate::raft::{Entry, LogId, Types, Vote, record};

/// What is on the disk, in the bytes of the real log.
#[derive(Clone, Debug, Default)]
struct Image {
    vote: Option<Bytes>,
    committed: Option<Bytes>,
    purged: Option<Bytes>,
    entries: BTreeMap<u64, Bytes>,
}

#[derive(Debug)]
enum Write {
    Append(Vec<(u64, Bytes)>),
    Vote(Bytes),
    Truncate(u64),
    Purge(u64, Bytes),
}

impl Image {
    fn take(&mut self, write: &Write) {
        match write {
            Write::Append(entries) => self.entries.extend(entries.iter().cloned()),
            Write::Vote(vote) => self.vote = Some(vote.clone()),
            Write::Truncate(first) => {
                self.entries.split_off(first);
            }
            Write::Purge(upto, id) => {
                self.entries = self.entries.split_off(&(upto + 1));
                self.purged = Some(id.clone());
            }
        }
    }

    fn purged(&self) -> Option<LogId> {
        let record = self.purged.as_ref()?;
        record::decode_log_id(PURGED, record).expect("it was written here")
    }

    fn committed(&self) -> Option<LogId> {
        let record = self.committed.as_ref()?;
        record::decode_log_id(COMMITTED, record).expect("it was written here")
    }

    fn vote(&self) -> Option<Vote> {
        let record = self.vote.as_ref()?;
        Some(record::decode_vote(VOTE, record).expect("it was written here"))
    }

    fn entry(index: u64, record: &Bytes) -> Entry {
        record::decode_entry(index, record).expect("it was written here")
    }

    fn last(&self) -> Option<LogId> {
        match self.entries.last_key_value() {
            Some((index, record)) => Some(Self::entry(*index, record).log_id),
            None => self.purged(),
        }
    }
}

enum Done {
    Append(Flushed),
    Other(oneshot::Sender<io::Result<()>>),
    Nobody,
}

/// The disk of a node; it outlives its lives.
pub(crate) struct Disk {
    node: u64,
    world: Arc<World>,
    state: Mutex<State>,
}

impl Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// As the process sees it.
    written: Image,
    /// As it is after a power cut.
    durable: Image,
    waiting: VecDeque<(Write, Done)>,
    /// How many of those that wait are being synced.
    syncing: usize,
    /// How long a sync takes, at most.
    slow: Option<Duration>,
}

impl Disk {
    pub(crate) fn new(node: u64, world: Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            node,
            world,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes syncs slow, or as they were.
    pub(crate) fn slow(&self, longest: Option<Duration>) {
        self.lock().slow = longest;
    }

    /// What is left when the life is cut short.
    pub(crate) fn lose_unsynced(&self) -> usize {
        let mut state = self.lock();
        let waiting = state.waiting.len();
        let kept = chance(|chance| chance.between(0, waiting as u64 + 1)) as usize;
        let State {
            durable,
            waiting: writes,
            ..
        } = &mut *state;
        for (write, _) in writes.iter().take(kept) {
            durable.take(write);
        }
        let dropped: Vec<_> = state.waiting.drain(..).collect();
        state.syncing = 0;
        state.written = state.durable.clone();
        drop(state);
        drop(dropped);
        waiting - kept
    }

    pub(crate) fn purged(&self) -> Option<u64> {
        self.lock().written.purged().map(|id| id.index)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.lock().written.last().map(|id| id.index)
    }

    fn sync(&self) -> Option<Duration> {
        let mut state = self.lock();
        state.syncing = state.waiting.len();
        let slow = state.slow;
        let synced = state.syncing;
        drop(state);
        (synced > 0).then(|| {
            chance(|chance| match slow {
                Some(longest) => chance.micros(200, longest.as_micros() as u64),
                None => chance.micros(100, 4000),
            })
        })
    }

    fn synced(&self) -> Vec<Done> {
        let mut state = self.lock();
        let count = std::mem::take(&mut state.syncing);
        let State {
            durable, waiting, ..
        } = &mut *state;
        let mut done = Vec::new();
        for (write, waits) in waiting.drain(..count) {
            let forgotten =
                matches!(write, Write::Vote(_)) && self.world.bug == Some(Bug::VotesForgotten);
            if !forgotten {
                durable.take(&write);
            }
            done.push(waits);
        }
        let committed = committed_on_disk(
            state.written.committed(),
            state.durable.last(),
            state.durable.committed(),
        );
        state.durable.committed = Some(record::encode_log_id(COMMITTED, committed).into());
        done
    }
}

/// The log of one life of a node, over its disk.
#[derive(Clone)]
pub(crate) struct SimulatedLog {
    disk: Arc<Disk>,
    arrived: Arc<Notify>,
}

impl SimulatedLog {
    /// Starts the writer; called within a life.
    pub(crate) fn open(disk: Arc<Disk>) -> Self {
        let log = Self {
            disk,
            arrived: Arc::new(Notify::new()),
        };
        let writer = log.clone();
        // Its writer belongs to the life that opens it.
        <super::runtime::Runtime as openraft_rt::AsyncRuntime>::spawn(async move {
            writer.write().await
        });
        log
    }

    async fn write(self) {
        loop {
            let Some(takes) = self.disk.sync() else {
                self.arrived.notified().await;
                continue;
            };
            tokio::time::sleep(takes).await;
            let done = self.disk.synced();
            self.disk
                .world
                .note(|| format!("node {} synced {} writes", self.disk.node, done.len()));
            for waits in done {
                match waits {
                    Done::Append(flushed) => flushed.complete(Ok(())),
                    Done::Other(sender) => drop(sender.send(Ok(()))),
                    Done::Nobody => {}
                }
            }
        }
    }

    fn hand_over(&self, write: Write, done: Done) {
        let mut state = self.disk.lock();
        state.written.take(&write);
        state.waiting.push_back((write, done));
        drop(state);
        self.arrived.notify_one();
    }

    async fn written(&self, write: Write) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.hand_over(write, Done::Other(done));
        wait.await
            .map_err(|_| io::Error::other("the life is over"))?
    }

    fn read(&self, range: (u64, u64), entries_max: usize) -> Vec<Entry> {
        let state = self.disk.lock();
        if range.0 >= range.1 {
            return Vec::new();
        }
        state
            .written
            .entries
            .range(range.0..range.1)
            .take(entries_max)
            .map(|(index, record)| Image::entry(*index, record))
            .collect()
    }
}

impl RaftLogReader<Types> for SimulatedLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read(limits(&range), usize::MAX))
    }

    /// As many as fit into a message, which is for chance to say.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        let entries_max = chance(|chance| chance.between(1, 40)) as usize;
        Ok(self.read((start, end), entries_max))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.disk.lock().written.vote())
    }
}

impl RaftLogStorage<Types> for SimulatedLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let state = self.disk.lock();
        Ok(LogState {
            last_purged_log_id: state.written.purged(),
            last_log_id: state.written.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.written(Write::Vote(record::encode_vote(VOTE, vote).into()))
            .await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let entries = {
            let mut state = self.disk.lock();
            let from = state.written.committed().map_or(0, |id| id.index);
            state.written.committed = Some(record::encode_log_id(COMMITTED, committed).into());
            let end = committed.map_or(0, |id| id.index + 1);
            match from < end {
                true => state
                    .written
                    .entries
                    .range(from..end)
                    .map(|(index, record)| (*index, record.clone()))
                    .collect(),
                false => Vec::new(),
            }
        };
        self.disk.world.committed(self.disk.node, entries);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.disk.lock().written.committed())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = Flushed::new(callback);
        let mut records = Vec::new();
        for entry in entries {
            let mut bytes = Vec::new();
            record::encode_entry(&entry, &mut bytes);
            records.push((entry.log_id.index, Bytes::from(bytes)));
        }
        let next = self
            .disk
            .lock()
            .written
            .last()
            .map_or(0, |last| last.index + 1);
        if let Some((first, _)) = records.first()
            && *first != next
            && next != 0
        {
            return Err(io::Error::other(format!("entry {first} follows {next}")));
        }
        if self.disk.world.bug == Some(Bug::AcknowledgedBeforeSync) {
            self.hand_over(Write::Append(records), Done::Nobody);
            done.complete(Ok(()));
        } else {
            self.hand_over(Write::Append(records), Done::Append(done));
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let first = last_log_id.map_or(0, |id| id.index + 1);
        self.written(Write::Truncate(first)).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        if self.disk.lock().written.purged() >= Some(log_id) {
            return Ok(());
        }
        let record = record::encode_log_id(PURGED, Some(log_id)).into();
        self.hand_over(Write::Purge(log_id.index, record), Done::Nobody);
        Ok(())
    }
}
