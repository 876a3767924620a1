//! One transfer: the state that was offered, fetched.
//!
//! It compares tables by digests and asks for the rows that differ; it descends from what the state refers
//! to, past nothing but what it knows to be whole, and asks for the objects that it lacks, of the node that
//! offered the state and of the others in turn. Objects are kept as they come: a transfer that is interrupted
//! begins again and finds them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use confman_object_store::{Kind, Object};
use openraft::storage::Snapshot;

use super::holdings::{Looked, Trust};
use super::message::{Ask, Offer, Taken, Told};
use super::receiving::Receiving;
use super::table::{Table, digest_here, each_here};
use super::{TransferId, Wanted, birth};
use crate::data::MEMBERSHIP;
use crate::data::applied::Applied;
use crate::data::snapshot::Handle;
use crate::name::RefName;
use crate::peer::{Lane, PeerAddress};
use crate::raft::{self, SnapshotMeta, StoredMembership, record};
use crate::transaction::Target;

/// Attempts at one question, each at the next peer that may know.
const ATTEMPTS_MAX: usize = 6;
/// Pause after an attempt that failed.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);

/// A state that was fetched.
pub(crate) struct Fetched {
    pub(crate) handle: Handle,
    /// Objects that were looked at.
    pub(crate) checked: u64,
    /// Objects that were fetched.
    pub(crate) fetched: u64,
}

/// One transfer.
pub(super) struct Fetching {
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

impl Fetching {
    pub(super) fn new(
        receiving: &Arc<Receiving>,
        from: u64,
        transfer: TransferId,
        progress: &Arc<AtomicU64>,
        trust: Trust,
    ) -> Self {
        Self {
            receiving: Arc::clone(receiving),
            from,
            transfer,
            born: birth(&transfer),
            progress: Arc::clone(progress),
            peers: Vec::new(),
            turn: 0,
            trust,
        }
    }

    /// Fetches a state and installs it, where it is ahead of what is here.
    pub(super) async fn run(mut self, offer: Offer) -> io::Result<Taken> {
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

    /// Fetches a state without installing it.
    pub(super) async fn whole(mut self, offer: &Offer) -> io::Result<(Fetched, StoredMembership)> {
        let applied = Applied::decode(&offer.applied).map_err(io::Error::other)?;
        let membership = record::decode_stored_membership(MEMBERSHIP, &offer.membership)
            .map_err(io::Error::other)?;
        self.find_peers(&membership)?;
        let fetched = self.state(applied, 0).await?;
        Ok((fetched, membership))
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
