//! Reading objects: decoded, verified, and pages and commits kept decoded in memory.
//!
//! INVARIANT: bytes reach the cache and the caller only after they hashed to their id. A dictionary that
//! comes out of the cache is hashed again, so that an error always names the object that is wrong.
//! What a writer has just put joins the cache too, and is decoded by its first reader.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{BackendError, ObjectBackend, Stored};
use crate::chain::{self, ChainError};
use crate::codec::DecodeError;
use crate::commit::Commit;
use crate::encoding::{DELTA_DEPTH_MAX, Encoded, Encoding};
use crate::id::{IdPrefix, ObjectId};
use crate::object::{Kind, Object};
use crate::tree::Page;

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("{kind} {id} is not in the store")]
    Missing {
        /// Kind asked for.
        kind: Kind,
        /// Id asked for.
        id: ObjectId,
    },
    /// What is there does not hash to its id, or its frame cannot be decompressed.
    #[error("{kind} {id} is corrupt: {reason}")]
    Corrupt {
        /// Kind asked for.
        kind: Kind,
        /// Id asked for.
        id: ObjectId,
        /// What is wrong.
        reason: String,
    },
    /// It hashes to its id but is not an object of its kind.
    #[error("{kind} {id} is not well formed")]
    Malformed {
        /// Kind asked for.
        kind: Kind,
        /// Id asked for.
        id: ObjectId,
        /// Where and why.
        #[source]
        source: DecodeError,
    },
    /// The backend failed.
    #[error("could not read {kind} {id}")]
    Backend {
        /// Kind asked for.
        kind: Kind,
        /// Id asked for.
        id: ObjectId,
        /// What it said.
        #[source]
        source: BackendError,
    },
}

/// Reads verified objects. Object safe; tree functions take `&dyn ReadObjects`.
pub trait ReadObjects: Send + Sync {
    /// The verified bytes, or `None` where there is no such object.
    ///
    /// # Errors
    /// It is corrupt or the backend fails.
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError>;

    /// The decoded page.
    ///
    /// # Errors
    /// It is missing, corrupt or not a page.
    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError>;

    /// How the object is kept, `None` where it is not kept; tells whether it can serve as a dictionary.
    ///
    /// # Errors
    /// The backend fails.
    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError>;

    /// The verified bytes.
    ///
    /// # Errors
    /// As `try_read`, and [`ReadError::Missing`].
    fn read(&self, kind: Kind, id: &ObjectId) -> Result<Bytes, ReadError> {
        self.try_read(kind, id)?
            .ok_or(ReadError::Missing { kind, id: *id })
    }

    /// The decoded commit.
    ///
    /// # Errors
    /// It is missing, corrupt or not a commit.
    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError>;
}

/// An object in the cache: its bytes, and what they were decoded to if anybody asked for it.
#[derive(Clone)]
enum Cached {
    Page(Bytes, Arc<Page>),
    Commit(Bytes, Arc<Commit>),
    Bytes(Bytes),
}

impl Cached {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Page(bytes, _) | Self::Commit(bytes, _) | Self::Bytes(bytes) => bytes,
        }
    }
}

/// Weighs what is cached: its bytes, and about what decoding adds to them.
#[derive(Clone)]
struct ByBytes;

/// What an object in the cache takes besides its bytes.
const CACHE_OVERHEAD_BYTES: u64 = 256;
/// Bytes of an object for which the cache prepares.
const CACHE_OBJECT_BYTES_EXPECTED: u64 = 2048;

impl quick_cache::Weighter<(Kind, ObjectId), Cached> for ByBytes {
    fn weight(&self, _: &(Kind, ObjectId), cached: &Cached) -> u64 {
        CACHE_OVERHEAD_BYTES + 2 * cached.bytes().len() as u64
    }
}

/// A backend with verification and caches in front.
pub struct Store {
    backend: Arc<dyn ObjectBackend>,
    cache: quick_cache::sync::Cache<(Kind, ObjectId), Cached, ByBytes>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("backend", &self.backend)
            .field("cached", &self.cache.len())
            .finish()
    }
}

impl Store {
    /// Reads through to `backend`, keeping about `cache_bytes` of decoded pages and commits.
    #[must_use]
    pub fn new(backend: Arc<dyn ObjectBackend>, cache_bytes: u64) -> Self {
        let expected =
            usize::try_from(cache_bytes / CACHE_OBJECT_BYTES_EXPECTED).unwrap_or(usize::MAX);
        Self {
            backend,
            cache: quick_cache::sync::Cache::with_weighter(expected, cache_bytes, ByBytes),
        }
    }

    /// What it reads from.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn ObjectBackend> {
        &self.backend
    }

    /// Keeps a page or commit in memory that was put just now. The bytes must have hashed to `id`.
    pub fn keep(&self, kind: Kind, id: ObjectId, bytes: &[u8]) {
        if matches!(kind, Kind::Page | Kind::Commit) && self.cache.get(&(kind, id)).is_none() {
            // A copy: the bytes may be a small part of the message that they came with.
            let bytes = Bytes::copy_from_slice(bytes);
            self.cache.insert((kind, id), Cached::Bytes(bytes));
        }
    }

    /// Ids of this kind that begin with the prefix, at most `limit`.
    ///
    /// # Errors
    /// The backend fails.
    pub fn find(
        &self,
        kind: Kind,
        prefix: &IdPrefix,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        self.backend.ids(kind, &prefix.range(), limit)
    }

    /// Reads past the caches, for `fsck`: what the backend has now, verified.
    ///
    /// # Errors
    /// It is corrupt or the backend fails.
    pub fn read_from_backend(
        &self,
        kind: Kind,
        id: &ObjectId,
    ) -> Result<Option<Object>, ReadError> {
        chain::open(&|kind, id| self.backend.get(kind, id), kind, id)
            .map_err(|e| read_error(kind, id, e))
    }

    /// The bytes, of an object whose dictionaries may be in the cache.
    fn read_object(&self, kind: Kind, id: &ObjectId) -> Result<Option<Object>, ReadError> {
        let get = |kind: Kind, at: &ObjectId| match self.cached_bytes(kind, at) {
            // A decoded dictionary spares the rest of the chain. It is verified like everything.
            Some(payload) => Ok(Some(Stored {
                born: 0,
                encoding: Encoding::Raw,
                payload,
            })),
            None => self.backend.get(kind, at),
        };
        chain::open(&get, kind, id).map_err(|e| read_error(kind, id, e))
    }

    fn cached_bytes(&self, kind: Kind, id: &ObjectId) -> Option<Bytes> {
        match kind {
            Kind::Page | Kind::Commit => self
                .cache
                .get(&(kind, *id))
                .map(|cached| cached.bytes().clone()),
            _ => None,
        }
    }
}

fn read_error(kind: Kind, id: &ObjectId, error: ChainError) -> ReadError {
    let id = *id;
    match error {
        ChainError::Missing => ReadError::Missing { kind, id },
        ChainError::Corrupt { id: at, reason } if at == id => {
            ReadError::Corrupt { kind, id, reason }
        }
        ChainError::Corrupt { id: at, reason } => ReadError::Corrupt {
            kind,
            id,
            reason: format!("its dictionary {at} is corrupt: {reason}"),
        },
        ChainError::Backend(BackendError::Corrupt { kind, id, reason }) => {
            ReadError::Corrupt { kind, id, reason }
        }
        ChainError::Backend(source) => ReadError::Backend { kind, id, source },
    }
}

impl ReadObjects for Store {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        match self.cached_bytes(kind, id) {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self
                .read_object(kind, id)?
                .map(|object| object.bytes().clone())),
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        let kind = Kind::Page;
        let bytes = match self.cache.get(&(kind, *id)) {
            Some(Cached::Page(_, page)) => return Ok(page),
            Some(cached) => cached.bytes().clone(),
            None => self.read(kind, id)?,
        };
        let page = decode_page(id, bytes.clone())?;
        self.cache
            .insert((kind, *id), Cached::Page(bytes, page.clone()));
        Ok(page)
    }

    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        let stored = self
            .backend
            .get(kind, id)
            .map_err(|e| read_error(kind, id, ChainError::Backend(e)))?;
        Ok(stored.map(|stored| stored.encoding))
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        let kind = Kind::Commit;
        let bytes = match self.cache.get(&(kind, *id)) {
            Some(Cached::Commit(_, commit)) => return Ok(commit),
            Some(cached) => cached.bytes().clone(),
            None => self.read(kind, id)?,
        };
        let commit = decode_commit(id, &bytes)?;
        self.cache
            .insert((kind, *id), Cached::Commit(bytes, commit.clone()));
        Ok(commit)
    }
}

fn decode_page(id: &ObjectId, bytes: Bytes) -> Result<Arc<Page>, ReadError> {
    let malformed = |source| ReadError::Malformed {
        kind: Kind::Page,
        id: *id,
        source,
    };
    Page::decode(bytes).map(Arc::new).map_err(malformed)
}

fn decode_commit(id: &ObjectId, bytes: &[u8]) -> Result<Arc<Commit>, ReadError> {
    let malformed = |source| ReadError::Malformed {
        kind: Kind::Commit,
        id: *id,
        source,
    };
    Commit::decode(bytes).map(Arc::new).map_err(malformed)
}

/// New objects on top of a store, not yet in it. What a transaction takes along.
#[derive(Debug)]
pub struct Stage {
    store: Arc<Store>,
    objects: BTreeMap<(Kind, ObjectId), Staged>,
    /// In which they were put: children before parents, if the caller does so.
    order: Vec<(Kind, ObjectId)>,
}

#[derive(Debug)]
struct Staged {
    object: Object,
    replaces: Option<ObjectId>,
}

impl Stage {
    /// An empty stage on top of a store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            objects: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How many objects are staged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is staged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The staged objects, in the order in which they were put.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.order
            .iter()
            .filter_map(|key| self.objects.get(key))
            .map(|staged| &staged.object)
    }

    /// Adds an object, to be written against `replaces` (an older object of its kind) if that pays.
    /// An object that is staged already keeps its place and what it replaces.
    pub fn put(&mut self, object: Object, replaces: Option<ObjectId>) {
        let key = (object.kind(), object.id());
        let replaces = replaces.filter(|older| *older != object.id());
        if let std::collections::btree_map::Entry::Vacant(place) = self.objects.entry(key) {
            place.insert(Staged { object, replaces });
            self.order.push(key);
        }
    }

    /// The new objects, encoded, each after what it is encoded against. Apart from that, they keep the
    /// order in which they were put.
    ///
    /// # Errors
    /// A dictionary cannot be read.
    pub fn encode(&self) -> Result<Vec<Encoded>, ReadError> {
        let mut encoded = Vec::with_capacity(self.order.len());
        let mut depths: HashMap<(Kind, ObjectId), u8> = HashMap::new();
        for key in &self.order {
            // What is to be written before `key`, nearest last. A circle ends where it began.
            let mut waiting = vec![*key];
            while let Some(older) = waiting.last().and_then(|last| self.staged_base(last)) {
                if depths.contains_key(&older) || waiting.contains(&older) {
                    break;
                }
                waiting.push(older);
            }
            while let Some(key) = waiting.pop() {
                if depths.contains_key(&key) {
                    continue;
                }
                let Some(staged) = self.objects.get(&key) else {
                    continue;
                };
                let object = self.encode_one(staged, &depths)?;
                depths.insert(key, object.encoding.depth());
                encoded.push(object);
            }
        }
        Ok(encoded)
    }

    fn staged_base(&self, key: &(Kind, ObjectId)) -> Option<(Kind, ObjectId)> {
        let base = (key.0, self.objects.get(key)?.replaces?);
        self.objects.contains_key(&base).then_some(base)
    }

    fn encode_one(
        &self,
        staged: &Staged,
        depths: &HashMap<(Kind, ObjectId), u8>,
    ) -> Result<Encoded, ReadError> {
        let object = &staged.object;
        let Some(base_id) = staged.replaces else {
            return Ok(Encoded::new(object));
        };
        let base_key = (object.kind(), base_id);
        if let Some(base) = self.objects.get(&base_key) {
            return Ok(match depths.get(&base_key) {
                Some(depth) => Encoded::against(object, &base.object, *depth),
                None => Encoded::new(object),
            });
        }
        let Some(encoding) = self.store.encoding(object.kind(), &base_id)? else {
            return Ok(Encoded::new(object));
        };
        if encoding.depth() >= DELTA_DEPTH_MAX {
            return Ok(Encoded::new(object));
        }
        let bytes = self.store.read(object.kind(), &base_id)?;
        Ok(Encoded::against(
            object,
            &Object::new(object.kind(), bytes),
            encoding.depth(),
        ))
    }
}

impl ReadObjects for Stage {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        match self.objects.get(&(kind, *id)) {
            Some(staged) => Ok(Some(staged.object.bytes().clone())),
            None => self.store.try_read(kind, id),
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        match self.objects.get(&(Kind::Page, *id)) {
            Some(staged) => decode_page(id, staged.object.bytes().clone()),
            None => self.store.page(id),
        }
    }

    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        match self.objects.contains_key(&(kind, *id)) {
            // It is not written yet; as a dictionary it counts as not written against another.
            true => Ok(Some(Encoding::Raw)),
            false => self.store.encoding(kind, id),
        }
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        match self.objects.get(&(Kind::Commit, *id)) {
            Some(staged) => decode_commit(id, staged.object.bytes()),
            None => self.store.commit(id),
        }
    }
}

#[cfg(test)]
mod tests;
