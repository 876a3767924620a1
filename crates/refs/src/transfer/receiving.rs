//! The side that gets the state.
//!
//! It compares tables by digests and asks for the rows that differ; it descends from what the state refers
//! to, past nothing but what it knows to be whole, and asks for the objects that it lacks, of the node that
//! offered the state and of the others in turn. Objects are kept as they come: a transfer that is interrupted
//! begins again and finds them.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use confman_object_store::{Encoded, Kind, Object, ObjectBackend, ObjectId, ReadObjects, Stored};
use futures::FutureExt;
use futures::future::{AbortHandle, abortable};
use openraft::async_runtime::WatchReceiver;
use openraft::storage::Snapshot;
use rocksdb::{WriteBatch, WriteOptions};
use tokio::sync::watch;

use super::message::{Ask, Digest, Offer, Taken, Told};
use super::sending::OBJECTS_MAX;
use super::table::{Table, digest_here, each_here};
use super::{TransferId, birth, children, is_whole};
use crate::data::applied::Applied;
use crate::data::apply::Applier;
use crate::data::snapshot::Handle;
use crate::data::{Data, MEMBERSHIP};
use crate::name::RefName;
use crate::peer::message::{Reply, Request};
use crate::peer::{Lane, PeerAddress, Transport};
use crate::raft::{self, Raft, SnapshotMeta, StoredMembership, Vote, record};
use crate::transaction::Target;

/// How long one answer of a peer may take, which has about 4 MiB at most. One that was lost is asked for again after
/// so long, and nothing moves meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long an offer waits for its end before it says how far it has come.
const OFFER_WAITS: Duration = Duration::from_secs(2);
/// Attempts at one question, each at the next peer that may know.
const ATTEMPTS_MAX: usize = 6;
/// Pause after an attempt that failed.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);
/// Most digests whose rows are asked for together.
const RANGES_MAX: usize = 256;
/// About how many bytes are written in one batch.
const BATCH_BYTES: usize = 4 << 20;

type Wanted = (Kind, ObjectId);

/// Takes states that are offered, one at a time.
pub(crate) struct Receiving {
    pub(crate) node_id: u64,
    pub(crate) data: Arc<Data>,
    pub(crate) applier: Arc<Mutex<Applier>>,
    /// `None` where no node runs.
    pub(crate) raft: Option<Raft>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) under_way: Mutex<Option<UnderWay>>,
}

/// A transfer that is going on, or has ended.
#[derive(Clone)]
pub(crate) struct UnderWay {
    transfer: TransferId,
    /// Of the leader that offers it. What it is installed with, so that a later leader's offer is another one.
    vote: Vote,
    progress: Arc<AtomicU64>,
    ended: watch::Receiver<Option<Taken>>,
    task: AbortHandle,
}

impl UnderWay {
    fn is_of(&self, transfer: TransferId, vote: Vote) -> bool {
        self.transfer == transfer && self.vote == vote
    }
}

impl Receiving {
    /// Takes up an offer, or says what has become of it.
    pub(crate) async fn offered(self: &Arc<Self>, from: u64, offer: Offer) -> Taken {
        let Some(raft) = &self.raft else {
            return Taken::Failed("no node runs here".to_owned());
        };
        let vote = raft.metrics().borrow_watched().vote;
        let higher_here = offer
            .vote
            .partial_cmp(&vote)
            .is_none_or(std::cmp::Ordering::is_lt);
        if higher_here {
            return Taken::Outvoted(vote);
        }
        let mut under_way = self.take_up(from, offer);
        let ended = under_way.ended.wait_for(Option::is_some);
        let taken = match tokio::time::timeout(OFFER_WAITS, ended).await {
            Ok(Ok(taken)) => taken.clone(),
            Ok(Err(_)) => Some(Taken::Failed("the transfer was given up".to_owned())),
            Err(_) => None,
        };
        let progress = under_way.progress.load(Ordering::Relaxed);
        if matches!(taken, Some(Taken::Failed(_))) {
            // The next offer is an attempt of its own.
            self.forget(&under_way);
        }
        taken.unwrap_or(Taken::Fetching(progress))
    }

    fn forget(&self, ended: &UnderWay) {
        let mut place = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if place
            .as_ref()
            .is_some_and(|known| known.is_of(ended.transfer, ended.vote))
        {
            *place = None;
        }
    }

    /// The transfer of this offer, begun where it is not under way. Another one is given up: its leader leads
    /// no more, leads in a later term, or has a newer state. What has come of it is there.
    fn take_up(self: &Arc<Self>, from: u64, offer: Offer) -> UnderWay {
        let mut place = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = place.as_ref() {
            if known.is_of(offer.transfer, offer.vote) {
                return known.clone();
            }
            known.task.abort();
        }
        let (sender, ended) = watch::channel(None);
        let progress = Arc::new(AtomicU64::new(0));
        let (transfer, vote) = (offer.transfer, offer.vote);
        let fetching = Fetching {
            receiving: Arc::clone(self),
            from,
            transfer,
            born: birth(&transfer),
            progress: Arc::clone(&progress),
            peers: Vec::new(),
            turn: 0,
            trust: Trust::Whole,
        };
        let (task, abort) = abortable(async move {
            let taken = match fetching.run(offer).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!("the state that node {from} offers was not taken: {error}");
                    Taken::Failed(error.to_string())
                }
            };
            sender.send_replace(Some(taken));
        });
        // Whether it came to its end or was given up, who waits for it learns by its sender.
        raft::spawn(task.map(drop));
        let begun = UnderWay {
            transfer,
            vote,
            progress,
            ended,
            task: abort,
        };
        *place = Some(begun.clone());
        begun
    }

    /// Fetches a state without taking anything that is here for whole, and without installing it.
    pub(crate) async fn fetch_whole(
        self: &Arc<Self>,
        from: u64,
        offer: &Offer,
        progress: &Arc<AtomicU64>,
    ) -> io::Result<(Fetched, StoredMembership)> {
        let mut fetching = Fetching {
            receiving: Arc::clone(self),
            from,
            transfer: offer.transfer,
            born: birth(&offer.transfer),
            progress: Arc::clone(progress),
            peers: Vec::new(),
            turn: 0,
            trust: Trust::Nothing,
        };
        let applied = Applied::decode(&offer.applied).map_err(io::Error::other)?;
        let membership = record::decode_stored_membership(MEMBERSHIP, &offer.membership)
            .map_err(io::Error::other)?;
        fetching.find_peers(&membership)?;
        let fetched = fetching.state(applied, 0).await?;
        Ok((fetched, membership))
    }

    /// Asks a peer.
    pub(crate) async fn ask(&self, peer: &PeerAddress, lane: Lane, ask: &Ask) -> io::Result<Told> {
        let Some(transport) = &self.transport else {
            return Err(io::Error::other("this node has no address for peers"));
        };
        let request = Request::Bulk(ask.encode()).encode();
        let answer = transport
            .call(peer, lane, request, ANSWER_WITHIN)
            .await
            .map_err(io::Error::other)?;
        match Reply::decode(&answer).map_err(io::Error::other)? {
            Reply::Bulk(told) => Told::decode(&told).map_err(io::Error::other),
            Reply::Refused { reason, .. } => Err(io::Error::other(reason)),
            _ => Err(io::Error::other("it answered something else")),
        }
    }

    /// Runs on a thread that may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let receiving = Arc::clone(self);
        raft::blocking(move || work(&receiving)).await
    }

    /// Writes a batch while nothing is applied: objects have one writer at a time.
    fn write(&self, batch: WriteBatch) -> io::Result<()> {
        let _one_writer = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        self.data
            .db
            .write_opt(batch, &WriteOptions::default())
            .map_err(io::Error::other)
    }

    fn put_objects(&self, objects: &[Encoded], born: u64) -> io::Result<()> {
        let _one_writer = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = WriteBatch::default();
        self.data
            .backend
            .put_into(&mut batch, objects, born)
            .map_err(io::Error::other)?;
        self.data
            .db
            .write_opt(batch, &WriteOptions::default())
            .map_err(io::Error::other)
    }
}

/// What is taken for whole of what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Whatever did not come with a transfer that did not end.
    Whole,
    /// Nothing: everything is read, down to the leaves.
    Nothing,
}

/// A state that was fetched.
pub(crate) struct Fetched {
    pub(crate) handle: Handle,
    /// Objects that were looked at.
    pub(crate) checked: u64,
    /// Objects that were fetched.
    pub(crate) fetched: u64,
}

/// One transfer.
struct Fetching {
    receiving: Arc<Receiving>,
    from: u64,
    transfer: TransferId,
    born: u64,
    progress: Arc<AtomicU64>,
    /// Who may be asked for objects; first the one that offered.
    peers: Vec<PeerAddress>,
    turn: usize,
    trust: Trust,
}

/// What is known after a look at objects that are to be there.
#[derive(Default)]
struct Looked {
    missing: Vec<Wanted>,
    waiting: Vec<Wanted>,
    seen: HashSet<Wanted>,
    fetched: u64,
}

impl Fetching {
    async fn run(mut self, offer: Offer) -> io::Result<Taken> {
        let applied = Applied::decode(&offer.applied).map_err(io::Error::other)?;
        let membership = record::decode_stored_membership(MEMBERSHIP, &offer.membership)
            .map_err(io::Error::other)?;
        let receiving = Arc::clone(&self.receiving);
        let (ours, sequence) = receiving
            .blocking(|receiving| {
                let applier = receiving
                    .applier
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                Ok((applier.applied.last, applier.applied.sequence))
            })
            .await?;
        if ours >= applied.last {
            return Ok(Taken::Installed(offer.vote));
        }
        self.find_peers(&membership)?;
        tracing::info!(
            from = self.from,
            sequence = applied.sequence,
            "fetching the state up to operation {} that node {} offers",
            applied.sequence,
            self.from
        );
        let Fetched { handle, .. } = self.state(applied, sequence).await?;
        let snapshot = Snapshot {
            meta: SnapshotMeta {
                last_log_id: handle.applied.last,
                last_membership: membership,
            },
            snapshot: handle,
        };
        let Some(raft) = &receiving.raft else {
            return Err(io::Error::other("no node runs here"));
        };
        let installed = raft
            .install_full_snapshot(offer.vote, snapshot)
            .await
            .map_err(io::Error::other)?;
        // raft refuses what is of a leader that leads no more, and says only whom it follows now.
        Ok(match installed.vote == offer.vote {
            true => Taken::Installed(installed.vote),
            false => Taken::Outvoted(installed.vote),
        })
    }

    /// Fetches a state, of which operations up to a number are here, and makes it durable.
    async fn state(&mut self, applied: Applied, here: u64) -> io::Result<Fetched> {
        let refs = self.refs().await?;
        let sessions = self.all_rows(Table::Sessions).await?;
        for table in [Table::Requests, Table::Rows] {
            self.table(table).await?;
        }
        let mut wanted: Vec<Wanted> = refs
            .iter()
            .map(|(_, target)| (target.kind, target.id))
            .collect();
        wanted.extend(crate::data::sessions::staged_objects(&sessions)?);
        wanted.extend(applied.view.map(|id| (Kind::Page, id)));
        wanted.extend(applied.operation.map(|id| (Kind::Operation, id)));
        wanted.extend(self.operations(here, applied.sequence).await?);
        let (checked, fetched) = self.objects(wanted).await?;
        self.receiving
            .blocking(|receiving| receiving.data.sync())
            .await?;
        Ok(Fetched {
            handle: Handle::received(applied, refs.into_iter().collect(), sessions, self.born),
            checked,
            fetched,
        })
    }

    /// The operations between two numbers, so that they are fetched together: each alone would name the one before.
    async fn operations(&self, after: u64, upto: u64) -> io::Result<Vec<Wanted>> {
        let mut operations = Vec::new();
        loop {
            let place = after.saturating_add(operations.len() as u64);
            if place >= upto {
                return Ok(operations);
            }
            let Told::Operations(more) = self.ask_sender(&Ask::Operations(place)).await? else {
                return Err(astray());
            };
            if more.is_empty() {
                return Err(io::Error::other(format!(
                    "operation {} is not there",
                    place + 1
                )));
            }
            let left = usize::try_from(upto - place).unwrap_or(usize::MAX);
            let more = more.into_iter().take(left);
            operations.extend(more.map(|id| (Kind::Operation, id)));
        }
    }

    fn find_peers(&mut self, membership: &StoredMembership) -> io::Result<()> {
        let own = self.receiving.node_id;
        let mut peers = raft::peers_of(membership.membership(), own);
        peers.sort_by_key(|(id, _)| (*id != self.from, *id));
        if peers.first().is_none_or(|(id, _)| *id != self.from) {
            return Err(io::Error::other(format!(
                "node {} offers a state that it is no member of",
                self.from
            )));
        }
        self.peers = peers.into_iter().map(|(_, peer)| peer).collect();
        Ok(())
    }

    /// Asks one peer.
    async fn ask(&self, peer: &PeerAddress, ask: &Ask) -> io::Result<Told> {
        let told = self.receiving.ask(peer, Lane::Bulk, ask).await?;
        if told == Told::Gone {
            return Err(io::Error::other(
                "the state that was offered is not kept there any more",
            ));
        }
        self.progress.fetch_add(1, Ordering::Relaxed);
        Ok(told)
    }

    /// Asks the node that offered the state, and again when it cannot be reached.
    async fn ask_sender(&self, ask: &Ask) -> io::Result<Told> {
        let Some(sender) = self.peers.first() else {
            return Err(io::Error::other("nobody offers it"));
        };
        let mut attempt = 0;
        loop {
            match self.ask(sender, ask).await {
                Ok(told) => return Ok(told),
                Err(error) if attempt + 1 >= ATTEMPTS_MAX => return Err(error),
                Err(_) => tokio::time::sleep(ATTEMPT_PAUSE).await,
            }
            attempt += 1;
        }
    }

    async fn rows(
        &self,
        table: Table,
        after: &Bytes,
        upto: &Bytes,
    ) -> io::Result<Vec<(Bytes, Bytes)>> {
        let mut after = after.clone();
        let mut all = Vec::new();
        loop {
            let ask = Ask::Rows {
                transfer: self.transfer,
                table,
                after: after.clone(),
                upto: upto.clone(),
            };
            let Told::Rows { rows, ended } = self.ask_sender(&ask).await? else {
                return Err(astray());
            };
            let last = rows.last().map(|(key, _)| key.clone());
            all.extend(rows);
            match last {
                Some(last) if !ended => after = last,
                _ => return Ok(all),
            }
        }
    }

    async fn all_rows(&self, table: Table) -> io::Result<Vec<(Bytes, Bytes)>> {
        self.rows(table, &Bytes::new(), &Bytes::new()).await
    }

    /// All refs of the state: those here, with what differs.
    async fn refs(&self) -> io::Result<Vec<(RefName, Target)>> {
        let mut refs = self
            .receiving
            .blocking(|receiving| {
                let mut refs = std::collections::BTreeMap::new();
                each_here(
                    &receiving.data,
                    Table::Refs,
                    &[],
                    &[],
                    &mut |(key, value)| {
                        refs.insert(key, value);
                        true
                    },
                )?;
                Ok(refs)
            })
            .await?;
        for (range, rows) in self.differences(Table::Refs).await? {
            for key in range {
                refs.remove(&key);
            }
            refs.extend(rows);
        }
        refs.into_iter()
            .map(|(key, value)| {
                let name = std::str::from_utf8(&key)
                    .ok()
                    .and_then(|text| RefName::new(text).ok())
                    .ok_or_else(|| io::Error::other("a ref has a name that is none"))?;
                let target = crate::data::decode_target(&value).map_err(io::Error::other)?;
                Ok((name, target))
            })
            .collect()
    }

    /// Makes a table here what it is in the state.
    async fn table(&self, table: Table) -> io::Result<()> {
        for (range, rows) in self.differences(table).await? {
            self.receiving
                .blocking(move |receiving| receiving.replace(table, range, rows))
                .await?;
        }
        Ok(())
    }

    /// Ranges of a table that differ: the keys here, and the rows of the state.
    async fn differences(
        &self,
        table: Table,
    ) -> io::Result<Vec<(Vec<Bytes>, Vec<(Bytes, Bytes)>)>> {
        let mut found = Vec::new();
        let mut after = Bytes::new();
        loop {
            let ask = Ask::Digests {
                transfer: self.transfer,
                table,
                after: after.clone(),
            };
            let Told::Digests { digests, ended } = self.ask_sender(&ask).await? else {
                return Err(astray());
            };
            let from = after.clone();
            let last = digests.last().map(|digest| digest.last.clone());
            let ranges = self
                .receiving
                .blocking(move |receiving| receiving.compare(table, from, digests))
                .await?;
            for (range, upto, keys) in ranges {
                found.push((keys, self.rows(table, &range, &upto).await?));
            }
            match last {
                Some(last) if !ended => after = last,
                last => {
                    let after = last.unwrap_or(after);
                    let beyond = self
                        .receiving
                        .blocking(move |receiving| {
                            digest_here(&receiving.data, table, &after, &[]).map(|(_, keys)| keys)
                        })
                        .await?;
                    found.push((beyond, Vec::new()));
                    return Ok(found);
                }
            }
        }
    }

    /// Fetches what is missing below these objects. Gives how many were looked at, and fetched.
    async fn objects(&mut self, wanted: Vec<Wanted>) -> io::Result<(u64, u64)> {
        let mut looked = Looked {
            waiting: wanted,
            ..Looked::default()
        };
        loop {
            let (born, trust) = (self.born, self.trust);
            looked = self
                .receiving
                .blocking(move |receiving| receiving.look(looked, born, trust))
                .await?;
            if looked.missing.is_empty() {
                return Ok((looked.seen.len() as u64, looked.fetched));
            }
            let missing = std::mem::take(&mut looked.missing);
            let found = self.fetch(missing).await?;
            looked.fetched += found.len() as u64;
            let receiving = Arc::clone(&self.receiving);
            looked.waiting.extend(
                receiving
                    .blocking(move |receiving| receiving.keep(found, born))
                    .await?,
            );
        }
    }

    /// Brings objects from peers in turn; what one does not have, the one that offered is asked for.
    async fn fetch(&mut self, mut missing: Vec<Wanted>) -> io::Result<Vec<Object>> {
        let mut found = Vec::with_capacity(missing.len());
        let mut failures = 0;
        while !missing.is_empty() {
            let place = match failures {
                0 => self.turn % self.peers.len().max(1),
                _ => 0,
            };
            self.turn = self.turn.wrapping_add(1);
            let Some(peer) = self.peers.get(place) else {
                return Err(io::Error::other("nobody offers it"));
            };
            let answered = self.ask(peer, &Ask::Objects(missing.clone())).await;
            let before = found.len();
            let problem = match answered {
                Ok(Told::Objects(objects)) => take_objects(&mut missing, objects, &mut found).err(),
                Ok(_) => Some(astray()),
                Err(error) => Some(error),
            };
            if found.len() > before {
                failures = 0;
                continue;
            }
            failures += 1;
            if failures >= ATTEMPTS_MAX {
                return Err(problem.unwrap_or_else(|| {
                    let (kind, id) = missing.first().copied().unzip();
                    io::Error::other(format!(
                        "nobody has {} {}",
                        kind.map_or("", Kind::name),
                        id.map(|id| id.to_string()).unwrap_or_default()
                    ))
                }));
            }
            if problem.is_some() {
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
        }
        Ok(found)
    }
}

fn astray() -> io::Error {
    io::Error::other("it answered something else than was asked")
}

/// Takes what was answered out of what is missing. What does not hash to its id counts as not answered.
fn take_objects(
    missing: &mut Vec<Wanted>,
    objects: Vec<Option<Bytes>>,
    found: &mut Vec<Object>,
) -> io::Result<()> {
    let mut answers = objects.into_iter();
    let mut wrong = None;
    missing.retain(|(kind, id)| match answers.next() {
        Some(Some(bytes)) => {
            let object = Object::new(*kind, bytes);
            if object.id() == *id {
                found.push(object);
                return false;
            }
            wrong = Some(format!("what came as {} {id} is not that", kind.name()));
            true
        }
        Some(None) | None => true,
    });
    wrong.map_or(Ok(()), |wrong| Err(io::Error::other(wrong)))
}

impl Receiving {
    /// Looks at objects until enough are missing to ask for, or all was looked at. What is here and whole
    /// ends the descent; what is here and came with a transfer that did not end is descended into.
    fn look(&self, mut looked: Looked, born: u64, trust: Trust) -> io::Result<Looked> {
        let complete = self.data.complete_transfers()?;
        let mut again = Vec::new();
        while looked.missing.len() < OBJECTS_MAX {
            let Some((kind, id)) = looked.waiting.pop() else {
                break;
            };
            if !looked.seen.insert((kind, id)) {
                continue;
            }
            let stored = match self.data.backend.get(kind, &id) {
                Ok(stored) => stored,
                Err(confman_object_store::BackendError::Corrupt { .. }) => None,
                Err(error) => return Err(io::Error::other(error)),
            };
            let whole = |stored: &Stored| is_whole(stored.born, &complete);
            if trust == Trust::Whole && stored.as_ref().is_some_and(whole) {
                continue;
            }
            // What cannot be read is fetched like what is not there.
            let bytes = match &stored {
                Some(_) => match trust {
                    Trust::Whole => self.data.store.try_read(kind, &id).ok().flatten(),
                    Trust::Nothing => {
                        let read = self.data.store.read_from_backend(kind, &id);
                        read.ok().flatten().map(|object| object.bytes().clone())
                    }
                },
                None => None,
            };
            let (Some(stored), Some(bytes)) = (stored, bytes) else {
                looked.missing.push((kind, id));
                continue;
            };
            looked
                .waiting
                .extend(children(kind, &bytes).map_err(io::Error::other)?);
            if trust == Trust::Whole && stored.born != born {
                again.push(Encoded::new(&Object::new(kind, bytes)));
            }
        }
        // An object of a transfer that was given up is of this one from now on.
        self.put_objects(&again, born)?;
        Ok(looked)
    }

    /// Keeps objects and tells what they refer to.
    fn keep(&self, objects: Vec<Object>, born: u64) -> io::Result<Vec<Wanted>> {
        let mut refers = Vec::new();
        let mut encoded = Vec::with_capacity(objects.len());
        for object in &objects {
            refers.extend(children(object.kind(), object.bytes()).map_err(io::Error::other)?);
            encoded.push(Encoded::new(object));
        }
        self.put_objects(&encoded, born)?;
        Ok(refers)
    }

    /// The ranges in which a table here differs from digests, neighbours together: after which key, up to
    /// which, and the keys here.
    fn compare(
        &self,
        table: Table,
        mut after: Bytes,
        digests: Vec<Digest>,
    ) -> io::Result<Vec<(Bytes, Bytes, Vec<Bytes>)>> {
        let mut ranges: Vec<(Bytes, Bytes, Vec<Bytes>)> = Vec::new();
        let mut together = 0;
        for digest in digests {
            let (hash, keys) = digest_here(&self.data, table, &after, &digest.last)?;
            let from = std::mem::replace(&mut after, digest.last.clone());
            if hash == digest.hash {
                continue;
            }
            together += 1;
            match ranges.last_mut() {
                Some((_, upto, known)) if *upto == from && together < RANGES_MAX => {
                    *upto = digest.last;
                    known.extend(keys);
                }
                _ => {
                    together = 0;
                    ranges.push((from, digest.last, keys));
                }
            }
        }
        Ok(ranges)
    }

    /// Replaces rows here by those of the state.
    fn replace(&self, table: Table, keys: Vec<Bytes>, rows: Vec<(Bytes, Bytes)>) -> io::Result<()> {
        let families = self.data.families()?;
        let family = match table {
            Table::Requests => families.requests,
            Table::Rows => families.rows,
            Table::Refs | Table::Sessions => {
                return Err(io::Error::other("refs and sessions are installed last"));
            }
        };
        let kept: HashSet<&Bytes> = rows.iter().map(|(key, _)| key).collect();
        let mut batch = WriteBatch::default();
        for key in keys.iter().filter(|key| !kept.contains(key)) {
            batch.delete_cf(family, key);
        }
        for (key, value) in &rows {
            batch.put_cf(family, key, value);
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.write(std::mem::take(&mut batch))?;
            }
        }
        self.write(batch)
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;
    use crate::failure::Failure;
    use crate::view::View;

    fn receiving(directory: &std::path::Path) -> Arc<Receiving> {
        let data = Data::open(directory, 1 << 20, 1 << 20, Arc::new(Failure::default())).unwrap();
        let data = Arc::new(data);
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let applier = Applier::load(Arc::clone(&data), view).unwrap();
        Arc::new(Receiving {
            node_id: 1,
            data,
            applier: Arc::new(Mutex::new(applier)),
            raft: None,
            transport: None,
            under_way: Mutex::default(),
        })
    }

    fn offer(transfer: u8, term: u64) -> Offer {
        Offer {
            transfer: [transfer; 16],
            vote: Vote::new_committed(term, 3),
            applied: Bytes::new(),
            membership: Bytes::new(),
        }
    }

    /// Otherwise the state is installed with the vote of before, which raft refuses, and the leader takes it for
    /// installed: it sends what comes after it, for ever (seed 12,193 of the simulation).
    #[tokio::test]
    async fn state_that_a_later_term_offers_again_is_taken_up_again() {
        let directory = tempfile::tempdir().unwrap();
        let receiving = receiving(directory.path());
        let first = receiving.take_up(3, offer(1, 4));
        let same = receiving.take_up(3, offer(1, 4));
        assert!(!first.task.is_aborted());
        assert!(same.ended.same_channel(&first.ended));
        let later = receiving.take_up(3, offer(1, 7));
        assert!(first.task.is_aborted());
        assert!(!later.ended.same_channel(&first.ended));
        let newer = receiving.take_up(3, offer(2, 7));
        assert!(later.task.is_aborted());
        assert!(!newer.task.is_aborted());
    }
}
