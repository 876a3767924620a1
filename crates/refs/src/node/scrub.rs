//! Reading again what is stored, a little at a time: disks change bytes that nobody reads, and a damaged object is
//! best found while another node still has it whole.
//!
//! A step goes on where the last one ended, across restarts too. What does not hash to its id any more is fetched
//! from the other members and put in place again; a node that is alone can only say so.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use confman_object_store::{BackendError, Kind, Object, ObjectBackend, ObjectId, ReadError};
use openraft::async_runtime::WatchReceiver;

use super::Node;
use crate::cursor::Cursor;
use crate::data::{Data, SCRUBBED};
use crate::peer::Lane;
use crate::raft::{peers_of, record};
use crate::transfer::message::{Ask, Told};
use crate::verify::chain_of;

/// What reading an object counts for at least, so that many small ones are not read without a pause.
const OBJECT_BYTES_MIN: u64 = 4096;
/// Ids that are listed at once. Each listing costs a sorting of what is not flushed.
const IDS_AT_ONCE: usize = 4096;
/// Most damaged objects that are named.
pub const DAMAGED_MAX: usize = 1000;
/// How long the other members may take to give an object.
const REPAIR_WITHIN: Duration = Duration::from_secs(30);

/// Where the next step begins: after this kind and id.
type Place = (Kind, ObjectId);

/// What has come of reading everything again, since the node was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often everything was read to the end.
    pub passes: u64,
    /// Objects that were damaged, and that another member gave.
    pub repaired: u64,
    /// What is damaged still, each with what is wrong; at most a thousand of them.
    pub damaged: Vec<String>,
}

/// What one step has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStep {
    /// What was read counts for so many bytes.
    pub bytes: u64,
    /// Whether everything has been read; the next step begins anew.
    pub ended: bool,
    /// What was found damaged, and what became of it.
    pub found: Vec<DamagedObject>,
}

/// A damaged object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedObject {
    /// Which, and what is wrong with it.
    pub damage: String,
    /// The member that gave it, or why none did.
    pub repaired: Result<u64, String>,
}

/// What is remembered from one step to the next.
#[derive(Debug, Default)]
pub(crate) struct Scrubbing {
    place: Option<Place>,
    /// Objects after it that were listed already.
    ahead: VecDeque<Place>,
    /// Whether the place was read from the disk.
    loaded: bool,
    objects: u64,
    bytes: u64,
    passes: u64,
    repaired: u64,
    damaged: BTreeMap<Place, String>,
}

impl Scrubbing {
    fn status(&self) -> ScrubStatus {
        ScrubStatus {
            objects: self.objects,
            bytes: self.bytes,
            passes: self.passes,
            repaired: self.repaired,
            damaged: self.damaged.values().cloned().collect(),
        }
    }
}

impl Node {
    /// Reads again what is stored, until that counts for so many bytes, and repairs what is damaged. Blocks.
    ///
    /// # Errors
    /// The disk fails in another way than by giving other bytes.
    pub fn scrub(&self, bytes_max: u64) -> Result<ScrubStep, io::Error> {
        let mut scrubbing = lock(&self.scrubbing);
        if !scrubbing.loaded {
            scrubbing.place = self.data.scrubbed()?;
            scrubbing.loaded = true;
        }
        let mut step = ScrubStep::default();
        while step.bytes < bytes_max && !step.ended {
            if scrubbing.ahead.is_empty() {
                match self.next_objects(scrubbing.place) {
                    Ok(listed) => scrubbing.ahead = listed,
                    Err((kind, error)) => {
                        step.found.push(DamagedObject {
                            damage: format!("the list of {kind}s cannot be read: {error}"),
                            repaired: Err("it is no object of its own".to_owned()),
                        });
                        scrubbing.place = Some((kind, ObjectId::from_bytes([0xff; 32])));
                        continue;
                    }
                }
                step.ended = scrubbing.ahead.is_empty();
            }
            while step.bytes < bytes_max
                && let Some(place) = scrubbing.ahead.front().copied()
            {
                self.scrub_object(place, &mut scrubbing, &mut step)?;
                scrubbing.place = Some(place);
                scrubbing.ahead.pop_front();
            }
        }
        if step.ended {
            scrubbing.passes += 1;
            scrubbing.place = None;
        }
        self.link.scrubbed.store(Arc::new(scrubbing.status()));
        self.data.set_scrubbed(scrubbing.place)?;
        Ok(step)
    }

    /// What has come of it.
    #[must_use]
    pub fn scrub_status(&self) -> ScrubStatus {
        ScrubStatus::clone(&self.link.scrubbed.load())
    }

    /// The objects after a place, of one kind.
    fn next_objects(&self, after: Option<Place>) -> Result<VecDeque<Place>, (Kind, BackendError)> {
        for kind in Kind::ALL {
            let first = match after {
                Some((at, _)) if kind < at => continue,
                Some((at, id)) if kind == at => match id.next() {
                    Some(next) => next,
                    None => continue,
                },
                _ => ObjectId::MIN,
            };
            let ids = self
                .data
                .backend
                .ids(kind, &(first..=ObjectId::MAX), IDS_AT_ONCE)
                .map_err(|error| (kind, error))?;
            if !ids.is_empty() {
                return Ok(ids.into_iter().map(|id| (kind, id)).collect());
            }
        }
        Ok(VecDeque::new())
    }

    fn scrub_object(
        &self,
        (kind, id): Place,
        scrubbing: &mut Scrubbing,
        step: &mut ScrubStep,
    ) -> io::Result<()> {
        scrubbing.objects += 1;
        let damage = match self.data.store.read_from_backend(kind, &id) {
            Ok(read) => {
                let bytes = read.map_or(0, |object| object.bytes().len() as u64);
                scrubbing.bytes += bytes;
                step.bytes += bytes.max(OBJECT_BYTES_MIN);
                // It may have been put again meanwhile.
                scrubbing.damaged.remove(&(kind, id));
                return Ok(());
            }
            Err(error @ ReadError::Backend { .. }) if !is_damage(&error) => {
                return Err(io::Error::other(error));
            }
            Err(error) => chain_of(&error),
        };
        step.bytes += OBJECT_BYTES_MIN;
        let repaired = self.repair(kind, id);
        match &repaired {
            Ok(_) => {
                scrubbing.repaired += 1;
                scrubbing.damaged.remove(&(kind, id));
            }
            Err(_) if scrubbing.damaged.len() < DAMAGED_MAX => {
                scrubbing.damaged.insert((kind, id), damage.clone());
            }
            Err(_) => {}
        }
        step.found.push(DamagedObject { damage, repaired });
        Ok(())
    }

    /// Asks the other members for an object and puts it in place. Gives the member that had it.
    fn repair(&self, kind: Kind, id: ObjectId) -> Result<u64, String> {
        let membership = self
            .raft
            .metrics()
            .borrow_watched()
            .membership_config
            .membership()
            .clone();
        let peers = peers_of(&membership, self.identity.node_id);
        if peers.is_empty() {
            return Err("there is no other node that could have it whole".to_owned());
        }
        let receiving = Arc::clone(&self.answerer.receiving);
        let asking = async move {
            let mut reasons = Vec::new();
            for (node, peer) in peers {
                let asked = receiving
                    .ask(&peer, Lane::Bulk, &Ask::Objects(vec![(kind, id)]))
                    .await;
                match asked {
                    Ok(Told::Objects(objects)) => match objects.into_iter().next().flatten() {
                        Some(bytes) if ObjectId::of(kind, &bytes) == id => {
                            return Ok((node, bytes));
                        }
                        _ => reasons.push(format!("node {node} has it neither")),
                    },
                    Ok(_) => reasons.push(format!("node {node} answered something else")),
                    Err(error) => reasons.push(format!("node {node}: {error}")),
                }
            }
            Err(reasons.join(", "))
        };
        let (node, bytes): (u64, Bytes) = self
            .on_runtime(async move {
                tokio::time::timeout(REPAIR_WITHIN, asking)
                    .await
                    .unwrap_or_else(|_| Err("the others did not answer in time".to_owned()))
            })
            .unwrap_or_else(|| Err("the node is closing".to_owned()))?;
        self.answerer
            .receiving
            .put_again(&Object::new(kind, bytes))
            .map_err(|error| error.to_string())?;
        Ok(node)
    }
}

fn lock(scrubbing: &Mutex<Scrubbing>) -> std::sync::MutexGuard<'_, Scrubbing> {
    scrubbing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what the database says is that bytes on the disk are others than it wrote.
fn is_damage(error: &ReadError) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<rocksdb::Error>() {
            return cause.kind() == rocksdb::ErrorKind::Corruption;
        }
        next = cause.source();
    }
    false
}

impl Data {
    /// Where reading everything again has come to.
    fn scrubbed(&self) -> io::Result<Option<Place>> {
        let Some(bytes) = self.meta(SCRUBBED)? else {
            return Ok(None);
        };
        let read = || {
            let body = record::decode_sealed("place", SCRUBBED, &bytes)?;
            let mut cursor = Cursor::new(&body, "place");
            let number = cursor.u8()?;
            if number == 0 {
                cursor.end()?;
                return Ok(None);
            }
            let kind = Kind::from_number(number)
                .ok_or_else(|| cursor.wrong(format!("{number} is not the number of a kind")))?;
            let id = cursor.id()?;
            cursor.end()?;
            Ok(Some((kind, id)))
        };
        // Where it cannot be read, everything is read from the beginning: no harm is done.
        let read: Result<_, confman_object_store::DecodeError> = read();
        Ok(read.unwrap_or_default())
    }

    fn set_scrubbed(&self, place: Option<Place>) -> io::Result<()> {
        let mut body = Vec::new();
        match place {
            None => body.push(0),
            Some((kind, id)) => {
                body.push(kind.into());
                body.extend_from_slice(id.as_bytes());
            }
        }
        let families = self.families()?;
        let record = record::encode_sealed(SCRUBBED, &body);
        self.db
            .put_cf(families.meta, SCRUBBED, record)
            .map_err(io::Error::other)
    }
}
