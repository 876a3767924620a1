//! The side that has the state.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use confman_object_store::{Kind, ObjectId, ReadError, ReadObjects};

use super::TransferId;
use super::message::{Ask, Offer, Told};
use super::table::{Digesting, Table, each_offered};
use crate::data::snapshot::Handle;
use crate::data::{Data, MEMBERSHIP};
use crate::raft::{SnapshotMeta, Vote, record};

/// How long a state that is offered is kept after it was last asked about.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Most states that are kept.
const OFFERED_MAX: usize = 8;
/// Most digests in one answer.
const DIGESTS_MAX: usize = 4096;
/// About how many bytes of rows and objects are in one answer.
const ANSWER_BYTES: usize = 4 << 20;
/// Most operations that are listed at once.
const OPERATIONS_MAX: u64 = 8192;
/// Most objects that are asked for at once.
pub(super) const OBJECTS_MAX: usize = 1024;

/// States that are offered to peers.
#[derive(Debug, Default)]
pub(crate) struct Offered(Mutex<BTreeMap<TransferId, (Handle, Instant)>>);

impl Offered {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TransferId, (Handle, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a state for who is going to fetch it. The same state has the same name.
    pub(crate) fn offer(
        &self,
        node_id: u64,
        vote: Vote,
        meta: &SnapshotMeta,
        handle: Handle,
    ) -> Offer {
        let applied = Bytes::from(handle.applied.encode());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&node_id.to_le_bytes()).update(&applied);
        let mut transfer = TransferId::default();
        hasher.finalize_xof().fill(&mut transfer);
        let mut offered = self.lock();
        offered.retain(|_, (_, touched)| touched.elapsed() < KEPT_FOR);
        while offered.len() >= OFFERED_MAX {
            let oldest = offered.iter().min_by_key(|(_, (_, touched))| *touched);
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                break;
            };
            offered.remove(&oldest);
        }
        offered
            .entry(transfer)
            .or_insert_with(|| (handle, Instant::now()))
            .1 = Instant::now();
        let membership = record::encode_stored_membership(MEMBERSHIP, &meta.last_membership);
        Offer {
            transfer,
            vote,
            applied,
            membership: membership.into(),
        }
    }

    fn get(&self, transfer: &TransferId) -> Option<Handle> {
        let mut offered = self.lock();
        let (handle, touched) = offered.get_mut(transfer)?;
        *touched = Instant::now();
        Some(handle.clone())
    }

    /// Answers what is asked of a state, of objects, or of operations. Blocks.
    pub(crate) fn answer(&self, data: &Data, ask: &Ask) -> io::Result<Told> {
        match ask {
            Ask::Offer(_) | Ask::State => {
                Err(io::Error::other("that is no question about a state"))
            }
            Ask::Digests {
                transfer,
                table,
                after,
            } => match self.get(transfer) {
                Some(handle) => digests(&handle, *table, after),
                None => Ok(Told::Gone),
            },
            Ask::Rows {
                transfer,
                table,
                after,
                upto,
            } => match self.get(transfer) {
                Some(handle) => rows(&handle, *table, after, upto),
                None => Ok(Told::Gone),
            },
            Ask::Objects(wanted) => objects(data, wanted),
            Ask::Operations(after) => operations(data, *after),
            Ask::Place(sequence) => {
                let place = data.place(*sequence)?;
                Ok(Told::Place(place.map(|place| (place.index, place.id))))
            }
        }
    }
}

fn digests(handle: &Handle, table: Table, after: &[u8]) -> io::Result<Told> {
    let mut digesting = Digesting::default();
    let mut ended = true;
    each_offered(handle, table, after, &[], &mut |row| {
        if digesting.digests.len() >= DIGESTS_MAX {
            ended = false;
            return false;
        }
        digesting.add(&row);
        true
    })?;
    digesting.finish();
    Ok(Told::Digests {
        digests: digesting.digests,
        ended,
    })
}

fn rows(handle: &Handle, table: Table, after: &[u8], upto: &[u8]) -> io::Result<Told> {
    let mut rows = Vec::new();
    let (mut bytes, mut ended) = (0, true);
    each_offered(handle, table, after, upto, &mut |(key, value)| {
        if bytes >= ANSWER_BYTES {
            ended = false;
            return false;
        }
        bytes += key.len() + value.len();
        rows.push((key, value));
        true
    })?;
    Ok(Told::Rows { rows, ended })
}

fn operations(data: &Data, after: u64) -> io::Result<Told> {
    let mut operations = Vec::new();
    for sequence in after.saturating_add(1)..=after.saturating_add(OPERATIONS_MAX) {
        match data.place(sequence)? {
            Some(place) => operations.push(place.id),
            None => break,
        }
    }
    Ok(Told::Operations(operations))
}

fn objects(data: &Data, wanted: &[(Kind, ObjectId)]) -> io::Result<Told> {
    let mut objects = Vec::new();
    let mut bytes = 0;
    for (kind, id) in wanted.iter().take(OBJECTS_MAX) {
        if bytes >= ANSWER_BYTES {
            break;
        }
        let object = match data.store.try_read(*kind, id) {
            Ok(object) => object,
            // Another peer may have it whole.
            Err(ReadError::Corrupt { .. } | ReadError::Missing { .. }) => None,
            Err(error) => return Err(io::Error::other(error)),
        };
        bytes += object.as_ref().map_or(0, Bytes::len);
        objects.push(object);
    }
    Ok(Told::Objects(objects))
}
