//! The objects of an import or export while it runs: on this machine, in a temporary file.
//!
//! What an import makes is written once, as it goes into the pack of the batch, and kept here for the
//! trees and values that come later. What belongs to the current batch is also in memory: only that
//! can be the dictionary of another object, because a pack must not need anything but itself.

use std::collections::HashMap;
use std::fs::File;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use confman_object_store::backend::{BackendError, Stored};
use confman_object_store::pack::PackLimits;
use confman_object_store::tree::Page;
use confman_object_store::{
    Commit, Encoded, Encoding, Kind, Object, ObjectBackend, ObjectId, ReadError, ReadObjects, Store,
};

/// Decoded pages and commits that the store keeps in memory.
const CACHE_BYTES: u64 = 32 << 20;
/// Decoded pages of the current line that are kept in memory.
const PAGES_MAX: usize = 4096;
/// Raw bytes for each byte on the wire at which objects are no longer compressed: well below what a
/// reader of packs refuses.
const RATIO_MAX: u64 = 100;
/// Raw bytes to which the ratio does not apply.
const RATIO_FREE_BYTES: u64 = 512 << 10;

/// Where an object lies in the temporary file.
#[derive(Clone, Copy, Debug)]
struct Slot {
    offset: u64,
    len: usize,
    encoding: Encoding,
}

/// Encoded objects in a temporary file that nobody else sees.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_id: HashMap<(Kind, ObjectId), Slot>,
    end: u64,
}

impl Spill {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            slots: Mutex::default(),
        })
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Nothing panics while it holds the lock; what is in it is whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, kind: Kind, id: &ObjectId) -> bool {
        self.slots().by_id.contains_key(&(kind, *id))
    }

    /// How many dictionaries are behind an object that is kept.
    fn depth(&self, kind: Kind, id: &ObjectId) -> Option<u8> {
        self.slots()
            .by_id
            .get(&(kind, *id))
            .map(|slot| slot.encoding.depth())
    }

    /// Keeps an object that is not kept yet.
    pub(super) fn keep(&self, object: &Encoded) -> std::io::Result<()> {
        let mut slots = self.slots();
        let key = (object.kind, object.id);
        if slots.by_id.contains_key(&key) {
            return Ok(());
        }
        let offset = slots.end;
        self.file.write_all_at(&object.payload, offset)?;
        let len = object.payload.len();
        slots.by_id.insert(
            key,
            Slot {
                offset,
                len,
                encoding: object.encoding,
            },
        );
        slots.end = offset + len as u64;
        Ok(())
    }
}

fn failed(action: &'static str) -> impl Fn(std::io::Error) -> BackendError {
    move |source| BackendError::Io {
        action,
        source: Box::new(source),
    }
}

impl ObjectBackend for Spill {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        let Some(slot) = self.slots().by_id.get(&(kind, *id)).copied() else {
            return Ok(None);
        };
        let mut payload = vec![0; slot.len];
        self.file
            .read_exact_at(&mut payload, slot.offset)
            .map_err(failed("read a temporary file"))?;
        Ok(Some(Stored {
            born: 0,
            encoding: slot.encoding,
            payload: payload.into(),
        }))
    }

    fn put(&self, objects: &[Encoded], _born: u64) -> Result<(), BackendError> {
        objects
            .iter()
            .try_for_each(|object| self.keep(object))
            .map_err(failed("write a temporary file"))
    }

    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        let mut ids: Vec<ObjectId> = self
            .slots()
            .by_id
            .keys()
            .filter(|(of, id)| *of == kind && range.contains(id))
            .map(|(_, id)| *id)
            .collect();
        ids.sort();
        ids.truncate(limit);
        Ok(ids)
    }
}

/// An object of the current batch.
#[derive(Debug)]
struct InBatch {
    object: Object,
    depth: u8,
}

/// Objects in the making.
#[derive(Debug)]
pub(super) struct Workshop {
    spill: Arc<Spill>,
    store: Store,
    batch: HashMap<(Kind, ObjectId), InBatch>,
    frames: Vec<Encoded>,
    raw_bytes: u64,
    wire_bytes: u64,
    pages: Mutex<HashMap<ObjectId, Arc<Page>>>,
}

impl Workshop {
    pub(super) fn new() -> std::io::Result<Self> {
        let spill = Arc::new(Spill::new()?);
        let store = Store::new(Arc::clone(&spill) as Arc<dyn ObjectBackend>, CACHE_BYTES);
        Ok(Self {
            spill,
            store,
            batch: HashMap::new(),
            frames: Vec::new(),
            raw_bytes: 0,
            wire_bytes: 0,
            pages: Mutex::default(),
        })
    }

    /// Objects that were added are sent with the next batch.
    pub(super) fn add(
        &mut self,
        object: Object,
        replaces: Option<ObjectId>,
    ) -> std::io::Result<()> {
        let key = (object.kind(), object.id());
        if self.batch.contains_key(&key) {
            return Ok(());
        }
        let base = replaces.and_then(|id| self.batch.get(&(object.kind(), id)));
        let mut encoded = match base {
            Some(base) => Encoded::against(&object, &base.object, base.depth),
            None => Encoded::new(&object),
        };
        let raw = self.raw_bytes + object.bytes().len() as u64;
        if raw > RATIO_FREE_BYTES + (self.wire_bytes + encoded.payload.len() as u64) * RATIO_MAX {
            encoded = Encoded {
                encoding: Encoding::Raw,
                payload: object.bytes().clone(),
                ..encoded
            };
        }
        self.raw_bytes = raw;
        self.wire_bytes += encoded.payload.len() as u64;
        // A dictionary that came with an earlier batch too is kept as it was then, perhaps with a longer
        // chain behind it than in this batch.
        let same_chain = encoded.encoding.base().is_none_or(|base| {
            self.spill
                .depth(object.kind(), &base)
                .is_some_and(|depth| depth + 1 == encoded.encoding.depth())
        });
        if same_chain {
            self.spill.keep(&encoded)?;
        } else {
            self.keep(&object)?;
        }
        self.batch.insert(
            key,
            InBatch {
                object,
                depth: encoded.encoding.depth(),
            },
        );
        self.frames.push(encoded);
        Ok(())
    }

    /// Keeps an object here that may be needed later, without sending it.
    pub(super) fn keep(&self, object: &Object) -> std::io::Result<()> {
        if self.spill.has(object.kind(), &object.id()) {
            return Ok(());
        }
        self.spill.keep(&Encoded::new(object))
    }

    /// Bytes of the current batch, compressed and not.
    pub(super) fn batch_bytes(&self) -> (u64, u64) {
        (self.wire_bytes, self.raw_bytes)
    }

    /// The objects of the current batch, in the order they were added; the next one begins.
    pub(super) fn take_batch(&mut self) -> Vec<Encoded> {
        self.batch.clear();
        self.raw_bytes = 0;
        self.wire_bytes = 0;
        std::mem::take(&mut self.frames)
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<ObjectId, Arc<Page>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadObjects for Workshop {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        match self.batch.get(&(kind, *id)) {
            Some(here) => Ok(Some(here.object.bytes().clone())),
            None => self.store.try_read(kind, id),
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        if let Some(page) = self.pages().get(id) {
            return Ok(Arc::clone(page));
        }
        let page = match self.batch.get(&(Kind::Page, *id)) {
            Some(here) => {
                Arc::new(Page::decode(here.object.bytes().clone()).map_err(|source| {
                    ReadError::Malformed {
                        kind: Kind::Page,
                        id: *id,
                        source,
                    }
                })?)
            }
            None => self.store.page(id)?,
        };
        let mut pages = self.pages();
        if pages.len() >= PAGES_MAX {
            pages.clear();
        }
        pages.insert(*id, Arc::clone(&page));
        Ok(page)
    }

    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        self.store.encoding(kind, id)
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        match self.batch.get(&(Kind::Commit, *id)) {
            Some(here) => Commit::decode(here.object.bytes())
                .map(Arc::new)
                .map_err(|source| ReadError::Malformed {
                    kind: Kind::Commit,
                    id: *id,
                    source,
                }),
            None => self.store.commit(id),
        }
    }
}

/// The limits of packs that an export receives: more than any server holds in one history.
pub(super) const EXPORT_LIMITS: PackLimits = PackLimits {
    objects_max: 64_000_000,
    wire_bytes_max: 64 << 30,
    raw_bytes_max: 4 << 40,
    blob_bytes_max: 16 << 20,
    ratio_max: 2000,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_needs_nothing_but_itself_and_all_stays_readable() {
        let mut workshop = Workshop::new().unwrap();
        // Numbers that hardly compress by themselves, and well against each other.
        let numbers: String = (0..400_u64)
            .map(|n| (n * 2_654_435_761 % 999_983).to_string())
            .collect();
        let text = |n: u32| format!("{numbers}{n}");
        let objects: Vec<Object> = (0..40).map(|n| Object::new(Kind::Blob, text(n))).collect();
        for pair in objects.windows(2) {
            workshop.add(pair[1].clone(), Some(pair[0].id())).unwrap();
        }
        let first = workshop.take_batch();
        assert_eq!(first.len(), 39);
        let again = Object::new(Kind::Blob, text(100));
        workshop.add(again.clone(), Some(objects[39].id())).unwrap();
        let second = workshop.take_batch();
        assert_eq!(second[0].encoding.base(), None);
        let mut earlier = std::collections::HashSet::new();
        for frame in &first {
            assert!(
                frame
                    .encoding
                    .base()
                    .is_none_or(|base| earlier.contains(&base))
            );
            earlier.insert(frame.id);
        }
        assert!(first.iter().any(|frame| frame.encoding.base().is_some()));
        for object in objects.iter().skip(1).chain([&again]) {
            assert_eq!(
                workshop.read(Kind::Blob, &object.id()).unwrap(),
                *object.bytes()
            );
        }
    }

    #[test]
    fn what_compresses_too_well_is_sent_as_it_is() {
        let mut workshop = Workshop::new().unwrap();
        for n in 0..20_u8 {
            workshop
                .add(Object::new(Kind::Blob, vec![n; 1 << 20]), None)
                .unwrap();
        }
        let (wire, raw) = workshop.batch_bytes();
        assert!(
            raw <= (512 << 10) + wire * 100 + (1 << 20),
            "{raw} raw, {wire} on the wire"
        );
    }
}
