//! The local mirror: every object that was fetched, verified before it joined.
//!
//! INVARIANT: what a pack brings joins whole or not at all, each object hashed and decoded strictly,
//! and the pages of a tree only together with everything they lead to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use confman_object_store::pack::{PackError, PackLimits, PackReader, links};
use confman_object_store::pack_dir::PackDir;
use confman_object_store::{Encoded, Kind, ObjectBackend, ObjectId, ReadObjects, Store};

use super::error::WorkingCopyError;

/// Name of the directory in `.confman/`.
pub(super) const OBJECTS_DIRECTORY: &str = "objects";
/// Decoded pages and commits that are kept in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// Bytes of objects of the same pack that are kept as dictionaries of those to come.
const DICTIONARY_BYTES_MAX: usize = 64 << 20;
/// Most of what one fetch may bring.
const LIMITS: PackLimits = PackLimits {
    objects_max: 16_000_000,
    wire_bytes_max: crate::client::PACK_BYTES_MAX,
    raw_bytes_max: 256 << 30,
    blob_bytes_max: 16 << 20,
    ratio_max: 2000,
};

/// The objects of a working copy.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    store: Arc<Store>,
}

impl Mirror {
    /// Opens the mirror in a private directory, or begins one.
    pub(super) fn open(private: &Path) -> Result<Self, WorkingCopyError> {
        let backend = PackDir::open(private.join(OBJECTS_DIRECTORY))?;
        Ok(Self::over(Arc::new(backend)))
    }

    pub(super) fn over(backend: Arc<dyn ObjectBackend>) -> Self {
        Self {
            store: Arc::new(Store::new(backend, CACHE_BYTES)),
        }
    }

    pub(super) fn objects(&self) -> &dyn ReadObjects {
        &*self.store
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(super) fn has(&self, kind: Kind, id: &ObjectId) -> Result<bool, WorkingCopyError> {
        Ok(self.store.encoding(kind, id)?.is_some())
    }

    /// Takes a pack in. `progress` is told how many objects were read.
    pub(super) fn receive<R: Read>(
        &self,
        pack: R,
        progress: &dyn Fn(u64),
    ) -> Result<(), WorkingCopyError> {
        let objects = self.verified(pack, progress)?;
        if !objects.is_empty() {
            self.store.backend().put(&objects, 0)?;
        }
        Ok(())
    }

    /// Reads a whole pack and verifies everything in it.
    fn verified<R: Read>(
        &self,
        pack: R,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<Encoded>, WorkingCopyError> {
        let refuse =
            |error: PackError| WorkingCopyError::Client(crate::client::ClientError::Pack(error));
        let mut reader = PackReader::new(pack, &LIMITS).map_err(refuse)?;
        let mut dictionaries = Dictionaries::default();
        let mut arrived: HashSet<(Kind, ObjectId)> = HashSet::new();
        let mut objects = Vec::new();
        while let Some(frame) = reader.next_frame().map_err(refuse)? {
            let wrong = |reason: String| {
                refuse(PackError::Object {
                    kind: frame.kind,
                    id: frame.id,
                    reason,
                })
            };
            let base = match frame.encoding.base() {
                None => None,
                Some(id) => match dictionaries.get(frame.kind, &id) {
                    Some(bytes) => Some(bytes),
                    None => self.dictionary(&objects, &arrived, frame.kind, &id)?,
                },
            };
            let object = frame.open(base.as_deref()).map_err(wrong)?;
            for (kind, id) in
                links(frame.kind, object.bytes()).map_err(|error| wrong(error.to_string()))?
            {
                // A commit may lead to what was not asked for: older commits, and their trees.
                let may_be_absent = frame.kind == Kind::Commit;
                if !may_be_absent && !arrived.contains(&(kind, id)) && !self.has(kind, &id)? {
                    let missing = PackError::MissingLink {
                        kind: frame.kind,
                        id: frame.id,
                        missing_kind: kind,
                        missing: id,
                    };
                    return Err(refuse(missing));
                }
            }
            dictionaries.put(frame.kind, frame.id, object.bytes().clone());
            arrived.insert((frame.kind, frame.id));
            objects.push(frame);
            progress(u64::try_from(objects.len()).unwrap_or(u64::MAX));
        }
        Ok(objects)
    }

    /// A dictionary that is no longer at hand: in the mirror, or opened again from the frames.
    fn dictionary(
        &self,
        frames: &[Encoded],
        arrived: &HashSet<(Kind, ObjectId)>,
        kind: Kind,
        id: &ObjectId,
    ) -> Result<Option<Bytes>, WorkingCopyError> {
        if !arrived.contains(&(kind, *id)) {
            return Ok(self.store.try_read(kind, id)?);
        }
        // The chain ends: each frame was opened once already, with a dictionary before it.
        let mut chain = Vec::new();
        let mut next = Some(*id);
        let mut bytes = None;
        while let Some(id) = next {
            match frames
                .iter()
                .rev()
                .find(|frame| frame.kind == kind && frame.id == id)
            {
                Some(frame) => {
                    chain.push(frame);
                    next = frame.encoding.base();
                }
                None => {
                    bytes = self.store.try_read(kind, &id)?;
                    next = None;
                }
            }
        }
        for frame in chain.into_iter().rev() {
            let opened = frame.open(bytes.as_deref());
            bytes = opened.ok().map(|object| object.bytes().clone());
        }
        Ok(bytes)
    }
}

/// The newest objects of a pack, for the next to be read against.
#[derive(Default)]
struct Dictionaries {
    bytes: HashMap<(Kind, ObjectId), Bytes>,
    order: VecDeque<(Kind, ObjectId)>,
    total: usize,
}

impl Dictionaries {
    fn get(&self, kind: Kind, id: &ObjectId) -> Option<Bytes> {
        self.bytes.get(&(kind, *id)).cloned()
    }

    fn put(&mut self, kind: Kind, id: ObjectId, bytes: Bytes) {
        self.total += bytes.len();
        if let Some(before) = self.bytes.insert((kind, id), bytes) {
            self.total -= before.len();
        } else {
            self.order.push_back((kind, id));
        }
        while self.total > DICTIONARY_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(gone) = self.bytes.remove(&oldest) {
                self.total -= gone.len();
            }
        }
    }
}
