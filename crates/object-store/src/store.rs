//! Reading objects: decoded, verified, and pages and commits kept decoded in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{BackendError, ObjectBackend};
use crate::codec::DecodeError;
use crate::commit::Commit;
use crate::encoding::{Encoded, Encoding};
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
        self.try_read(kind, id)?.ok_or(ReadError::Missing { kind, id: *id })
    }

    /// The decoded commit.
    ///
    /// # Errors
    /// It is missing, corrupt or not a commit.
    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError>;
}

/// A backend with verification and caches in front.
#[derive(Debug)]
pub struct Store {
    backend: Arc<dyn ObjectBackend>,
}

impl Store {
    /// Reads through to `backend`, keeping about `cache_bytes` of decoded pages and commits.
    #[must_use]
    pub fn new(backend: Arc<dyn ObjectBackend>, _cache_bytes: u64) -> Self { Self { backend } }

    /// What it reads from.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn ObjectBackend> { &self.backend }

    /// Ids of this kind that begin with the prefix, at most `limit`.
    ///
    /// # Errors
    /// The backend fails.
    pub fn find(&self, _kind: Kind, _prefix: &IdPrefix, _limit: usize) -> Result<Vec<ObjectId>, BackendError> { todo!() }
}

impl ReadObjects for Store {
    fn try_read(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Bytes>, ReadError> { todo!() }
    fn page(&self, _id: &ObjectId) -> Result<Arc<Page>, ReadError> { todo!() }
    fn encoding(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Encoding>, ReadError> { todo!() }
    fn commit(&self, _id: &ObjectId) -> Result<Arc<Commit>, ReadError> { todo!() }
}

/// New objects on top of a store, not yet in it. What a transaction takes along.
#[derive(Debug)]
pub struct Stage {
    store: Arc<Store>,
    objects: BTreeMap<(Kind, ObjectId), (Object, Option<ObjectId>)>,
}

impl Stage {
    /// An empty stage on top of a store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self { Self { store, objects: BTreeMap::new() } }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> { &self.store }

    /// Adds an object, to be written against `replaces` (an older object of its kind) if that pays.
    pub fn put(&mut self, _object: Object, _replaces: Option<ObjectId>) { todo!() }

    /// The new objects, encoded, each after what it is encoded against.
    ///
    /// # Errors
    /// A dictionary cannot be read.
    pub fn encode(&self) -> Result<Vec<Encoded>, ReadError> { todo!() }
}

impl ReadObjects for Stage {
    fn try_read(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Bytes>, ReadError> { todo!() }
    fn page(&self, _id: &ObjectId) -> Result<Arc<Page>, ReadError> { todo!() }
    fn encoding(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Encoding>, ReadError> { todo!() }
    fn commit(&self, _id: &ObjectId) -> Result<Arc<Commit>, ReadError> { todo!() }
}
