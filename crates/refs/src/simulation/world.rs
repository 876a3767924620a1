//! What all nodes and clients of a simulation share: links, the trace, and what must agree everywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use confman_object_store::ObjectId;
use tokio::time::Instant;

use super::chance::chance;
use super::runtime::Life;
use crate::peer::answer::Answerer;
use crate::raft::Raft;
use crate::view::View;

/// Lines of the trace that are kept for a report.
const TRACE_LINES: usize = 400;

/// A mistake that is put in on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Appends are reported as durable before they are.
    AcknowledgedBeforeSync,
    /// Followers acknowledge some entries that they never stored: commits without a quorum.
    AppendsForgotten,
    /// Votes are never written, so a node that restarts votes again in the same term.
    VotesForgotten,
    /// Reads trust the leader's lease.
    LeaseReads,
    /// A leader that restarts leads on in its term, whatever its disk lost.
    LeaderRestored,
}

/// A node that runs.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) life: Arc<Life>,
    pub(crate) raft: Raft,
    /// The node as its peers see it, and how it works with them.
    pub(crate) answerer: Arc<Answerer>,
    pub(crate) view: Arc<ArcSwap<View>>,
}

/// How messages travel.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
    pub(crate) lost_percent: u64,
    pub(crate) twice_percent: u64,
    /// Longest delay.
    pub(crate) slow: Duration,
}

impl Links {
    fn good() -> Self {
        Self {
            cut: BTreeSet::new(),
            lost_percent: 0,
            twice_percent: 0,
            slow: Duration::from_millis(3),
        }
    }

    pub(crate) fn cut(&mut self, from: u64, to: u64) {
        self.cut.insert((from, to));
    }

    pub(crate) fn mend(&mut self) {
        *self = Self::good();
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Travel {
    Arrives(Duration),
    /// Nobody ever hears of it.
    Lost,
    /// The sender is told at once.
    Refused,
}

struct Trace {
    hasher: blake3::Hasher,
    lines: VecDeque<String>,
    events: u64,
}

/// See the module.
pub(crate) struct World {
    pub(crate) bug: Option<Bug>,
    began: Instant,
    loud: bool,
    moment: AtomicU64,
    links: Mutex<Links>,
    running: Mutex<BTreeMap<u64, Running>>,
    trace: Mutex<Trace>,
    violations: Mutex<Vec<String>>,
    committed: Mutex<BTreeMap<u64, Bytes>>,
    operations: Mutex<BTreeMap<u64, Option<ObjectId>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(bug: Option<Bug>, loud: bool) -> Arc<Self> {
        Arc::new(Self {
            bug,
            began: Instant::now(),
            loud,
            moment: AtomicU64::new(0),
            links: Mutex::new(Links::good()),
            running: Mutex::default(),
            trace: Mutex::new(Trace {
                hasher: blake3::Hasher::new(),
                lines: VecDeque::new(),
                events: 0,
            }),
            violations: Mutex::default(),
            committed: Mutex::default(),
            operations: Mutex::default(),
        })
    }

    /// Simulated milliseconds since the beginning.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// A moment that comes after every other one so far.
    pub(crate) fn moment(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn links(&self) -> MutexGuard<'_, Links> {
        lock(&self.links)
    }

    pub(crate) fn running(&self, node: u64) -> Option<Running> {
        lock(&self.running).get(&node).cloned()
    }

    pub(crate) fn everyone(&self) -> Vec<u64> {
        lock(&self.running).keys().copied().collect()
    }

    pub(crate) fn started(&self, node: u64, running: Running) {
        lock(&self.running).insert(node, running);
    }

    pub(crate) fn ended(&self, node: u64) {
        lock(&self.running).remove(&node);
    }

    /// Sends a message on its way.
    pub(crate) fn travel(&self, from: u64, to: u64) -> Travel {
        let links = lock(&self.links);
        if links.cut.contains(&(from, to)) {
            return match chance(|chance| chance.percent(30)) {
                true => Travel::Refused,
                false => Travel::Lost,
            };
        }
        let (lost, slow) = (links.lost_percent, links.slow);
        drop(links);
        chance(|chance| match chance.percent(lost) {
            true => Travel::Lost,
            false => Travel::Arrives(chance.micros(100, slow.as_micros() as u64)),
        })
    }

    /// How much later the message arrives once more, if it does.
    pub(crate) fn arrives_again(&self) -> Option<Duration> {
        let percent = lock(&self.links).twice_percent;
        chance(|chance| chance.percent(percent).then(|| chance.millis(1, 1500)))
    }

    /// Adds what happened to the trace.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        let line = format!("{:>7} {}", self.now_ms(), what());
        let mut trace = lock(&self.trace);
        trace.hasher.update(line.as_bytes()).update(b"\n");
        trace.events += 1;
        if self.loud {
            println!("{line}");
        }
        if trace.lines.len() == TRACE_LINES {
            trace.lines.pop_front();
        }
        trace.lines.push_back(line);
    }

    /// Notes something that must never happen.
    pub(crate) fn violated(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        lock(&self.violations).push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// The hash of everything that happened, how much that was, and the end of it.
    pub(crate) fn trace(&self) -> (String, u64, Vec<String>) {
        let trace = lock(&self.trace);
        let hash = trace.hasher.finalize().to_hex().to_string();
        (hash, trace.events, trace.lines.iter().cloned().collect())
    }

    /// A node holds these entries to be committed: everybody has the same ones.
    pub(crate) fn committed(&self, node: u64, entries: Vec<(u64, Bytes)>) {
        for (index, record) in entries {
            let differs = match lock(&self.committed).entry(index) {
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(record);
                    false
                }
                std::collections::btree_map::Entry::Occupied(occupied) => *occupied.get() != record,
            };
            if differs {
                self.violated(format!("node {node} has another committed entry {index}"));
            }
        }
    }

    /// A node has applied the log up to this index: everybody has the same newest operation there.
    pub(crate) fn applied(&self, node: u64, index: u64, operation: Option<ObjectId>) {
        let before = *lock(&self.operations).entry(index).or_insert(operation);
        if before != operation {
            self.violated(format!(
                "node {node} has operation {operation:?} at {index}, another has {before:?}"
            ));
        }
    }
}
