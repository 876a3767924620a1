//! Repairing the directory of a member in place, while no node runs on it: its log and its votes stay, and what the
//! log was applied to becomes what a majority of the voters agrees on.
//!
//! The node stays the member that it was. It must not lose its log for that: it may have acknowledged entries that
//! nobody else has but a majority that counts it.
//!
//! INVARIANT: nothing that is here is taken for whole: every object that the state leads to is read and hashed, and
//! fetched where that fails.
//! INVARIANT: until it is done, the directory does not start.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use openraft::EntryPayload;

use super::OpenError;
use super::open::{log_error, open_parts, stop_log};
use crate::data::Data;
use crate::data::applied::Applied;
use crate::data::apply::Applier;
use crate::data::operations::{self, Place};
use crate::data::snapshot::Handle;
use crate::directory::{Directory, Purpose, io_error};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::peer::{Lane, PROTOCOL_MAX, PeerAddress, PeerIdentity, Transport};
use crate::raft::log::Log;
use crate::raft::{Membership, StoredMembership, peers_of};
use crate::transfer::Fetched;
use crate::transfer::message::{Ask, Offer, Told};
use crate::transfer::receiving::Receiving;
use crate::verify;
use crate::view::View;

/// How long a majority is looked for that agrees on a state.
const AGREED_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two attempts at that.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the caller is told how far it has come.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// What the note says of a directory that was not known to differ.
const UNFINISHED: &str = "its healing did not end";
/// A batch of operations' places has about so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// What a healing found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The node.
    pub node_id: u64,
    /// Why it had taken itself out of service, if it had.
    pub differed: Option<String>,
    /// Number of the newest operation that it has now.
    pub sequence: u64,
    /// Objects that were read or fetched.
    pub checked: u64,
    /// Objects that were fetched, because they were missing or damaged.
    pub fetched: u64,
}

/// Why nothing was healed.
#[derive(Debug, thiserror::Error)]
pub enum HealError {
    /// The directory cannot be opened for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The others do not agree, or cannot be asked.
    #[error("no majority of the voters agrees on a state that can be fetched: {0}")]
    NotAgreed(String),
    /// A peer or the disk failed on the way; what has come stays, and the next attempt goes on.
    #[error("the node is not healed; run it again")]
    Broken(#[source] io::Error),
}

/// Makes what a directory has what its cluster agreed on. Blocks. `progress` is told how many answers have come.
///
/// # Errors
/// The directory is in use, of a node that was removed or that never joined; the others do not agree; or they or the
/// disk failed.
pub fn heal(
    path: &Path,
    transport: &Arc<dyn Transport>,
    progress: &mut dyn FnMut(u64),
) -> Result<Healed, HealError> {
    let directory = Directory::open_as(path, Purpose::Heal)?;
    let failure = Arc::new(Failure::default());
    let (log, writer) = Log::open(&directory.raft(), Arc::clone(&failure))
        .map_err(|error| log_error(&directory, error))?;
    let healed = heal_opened(&directory, &log, &failure, transport, progress);
    stop_log(&log, writer);
    healed
}

fn heal_opened(
    directory: &Directory,
    log: &Log,
    failure: &Arc<Failure>,
    transport: &Arc<dyn Transport>,
    progress: &mut dyn FnMut(u64),
) -> Result<Healed, HealError> {
    let path = directory.path();
    let applier = open_parts(directory, log, failure)?;
    let identity = log
        .identity()
        .map_err(|error| log_error(directory, error))?;
    let cluster_id = identity.and_then(|identity| identity.cluster.or(applier.applied.cluster));
    let (Some(identity), Some(cluster_id)) = (identity, cluster_id) else {
        return Err(HealError::NotAgreed(
            "this directory is of no member of a cluster".to_owned(),
        ));
    };
    transport.introduce(&PeerIdentity {
        protocol_max: PROTOCOL_MAX,
        ..PeerIdentity::member(cluster_id, identity.node_id, identity.incarnation)
    });
    let needed = log.shared.lock().purged.map_or(0, |purged| purged.index);
    let membership =
        newest_membership(log, &applier).map_err(|error| io_error(path, "read its log", error))?;
    let differed =
        Directory::differs(path).map_err(|error| io_error(path, "read its note", error))?;
    if differed.is_none() {
        Directory::note_differs(path, UNFINISHED)
            .map_err(|error| io_error(path, "note that it is being healed", error))?;
    }
    let data = Arc::clone(&applier.data);
    let receiving = Arc::new(Receiving {
        node_id: identity.node_id,
        data: Arc::clone(&data),
        applier: Arc::new(Mutex::new(applier)),
        raft: None,
        transport: Some(Arc::clone(transport)),
        under_way: Mutex::default(),
    });
    let healing = Healing {
        receiving,
        voters: membership.voter_ids().collect(),
        peers: peers_of(&membership, identity.node_id),
        needed,
        answers: Arc::default(),
    };
    let (fetched, membership) = healing.fetch(path, progress)?;
    install(&data, &fetched.handle, &membership).map_err(HealError::Broken)?;
    Directory::note_healed(path).map_err(|error| io_error(path, "remove its note", error))?;
    Ok(Healed {
        node_id: identity.node_id,
        differed: differed.filter(|differed| differed != UNFINISHED),
        sequence: fetched.handle.applied.sequence,
        checked: fetched.checked,
        fetched: fetched.fetched,
    })
}

/// The members by the newest entry about them: the state here may be wrong.
fn newest_membership(log: &Log, applier: &Applier) -> io::Result<Membership> {
    let newest = log
        .read_all()?
        .into_iter()
        .rev()
        .find_map(|entry| match entry.payload {
            EntryPayload::Membership(membership) => Some(membership),
            _ => None,
        });
    Ok(newest.unwrap_or_else(|| applier.membership.membership().clone()))
}

struct Healing {
    receiving: Arc<Receiving>,
    voters: BTreeSet<u64>,
    /// Who can be asked.
    peers: Vec<(u64, PeerAddress)>,
    /// The log begins after this index: the state must reach it.
    needed: u64,
    answers: Arc<AtomicU64>,
}

impl Healing {
    /// Fetches what a majority agrees on, on threads of its own.
    fn fetch(
        self,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Fetched, StoredMembership), HealError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| io_error(path, "start threads", error))?;
        let answers = Arc::clone(&self.answers);
        let fetching = runtime.spawn(async move {
            let (from, offer) = self.agreed().await?;
            self.receiving
                .fetch_whole(from, &offer, &self.answers)
                .await
                .map_err(HealError::Broken)
        });
        runtime.block_on(async {
            let mut fetching = std::pin::pin!(fetching);
            loop {
                match tokio::time::timeout(TELL_EVERY, &mut fetching).await {
                    Ok(ended) => {
                        return ended.unwrap_or_else(|error| {
                            Err(HealError::Broken(io::Error::other(error)))
                        });
                    }
                    Err(_) => progress(answers.load(Ordering::Relaxed)),
                }
            }
        })
    }

    /// A state that a peer has and a majority of the voters agrees on.
    async fn agreed(&self) -> Result<(u64, Offer), HealError> {
        let until = tokio::time::Instant::now() + AGREED_WITHIN;
        let mut reasons;
        loop {
            reasons = Vec::new();
            for (id, peer) in &self.peers {
                match self.agreed_with(*id, peer).await {
                    Ok(offer) => return Ok((*id, offer)),
                    Err(reason) => reasons.push(format!("node {id}: {reason}")),
                }
            }
            if reasons.is_empty() {
                return Err(HealError::NotAgreed(
                    "it is the only member of its cluster".to_owned(),
                ));
            }
            if tokio::time::Instant::now() >= until {
                return Err(HealError::NotAgreed(reasons.join("; ")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn agreed_with(&self, id: u64, peer: &PeerAddress) -> Result<Offer, String> {
        let asked = self.receiving.ask(peer, Lane::Bulk, &Ask::State).await;
        let offer = match asked {
            Ok(Told::State(offer)) => offer,
            Ok(_) => return Err("it answered something else".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let applied = Applied::decode(&offer.applied).map_err(|error| error.to_string())?;
        let reached = applied.last.map_or(0, |last| last.index);
        if reached < self.needed {
            return Err(format!(
                "it has applied entry {reached}, {} is needed",
                self.needed
            ));
        }
        let mut agree = usize::from(self.voters.contains(&id));
        for (other, address) in &self.peers {
            if *other == id || !self.voters.contains(other) {
                continue;
            }
            let asked = self
                .receiving
                .ask(address, Lane::Request, &Ask::Place(applied.sequence))
                .await;
            if let Ok(Told::Place(Some((_, operation)))) = asked
                && Some(operation) == applied.operation
            {
                agree += 1;
            }
        }
        match agree * 2 > self.voters.len() {
            true => Ok(offer),
            false => Err(format!(
                "{agree} of {} voters are at its operation {}",
                self.voters.len(),
                applied.sequence
            )),
        }
    }
}

/// Puts the state in place and proves it.
fn install(data: &Arc<Data>, handle: &Handle, membership: &StoredMembership) -> io::Result<()> {
    handle.install(data, membership)?;
    repair_operations(data, &handle.applied)?;
    data.flush().map_err(io::Error::other)?;
    data.sync()?;
    let published = Arc::new(ArcSwap::from_pointee(View::default()));
    let applier = Applier::load(Arc::clone(data), Arc::clone(&published))?;
    let report = verify::operations(data, &applier.view())?;
    match report.difference {
        None => Ok(()),
        Some(difference) => Err(io::Error::other(format!(
            "operation {}: {}",
            difference.sequence, difference.reason
        ))),
    }
}

/// Makes the table of operations that of the chain, all of it, and no longer.
fn repair_operations(data: &Data, applied: &Applied) -> io::Result<()> {
    let families = data.families()?;
    let mut batch = rocksdb::WriteBatch::default();
    let beyond = operations::key(applied.sequence.saturating_add(1));
    let mode = rocksdb::IteratorMode::From(&beyond, rocksdb::Direction::Forward);
    for item in data.db.iterator_cf(families.operations, mode) {
        let (key, _) = item.map_err(io::Error::other)?;
        batch.delete_cf(families.operations, key);
    }
    let mut next = applied.operation;
    while let Some(id) = next {
        let operation: Operation = data.operation_by_id(&id).map_err(io::Error::other)?;
        let place = Place {
            id,
            index: operation.index,
            time_ms: operation.time_ms,
        };
        // One that cannot be read is another one.
        if data.place(operation.sequence).ok().flatten() != Some(place) {
            let key = operations::key(operation.sequence);
            batch.put_cf(families.operations, key, place.encode());
        }
        if batch.size_in_bytes() >= BATCH_BYTES {
            data.db
                .write(std::mem::take(&mut batch))
                .map_err(io::Error::other)?;
        }
        next = operation.parent;
    }
    data.db.write(batch).map_err(io::Error::other)
}
