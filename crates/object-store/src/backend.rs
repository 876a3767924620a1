//! Where encoded objects are kept.

use bytes::Bytes;
use crate::encoding::{Encoded, Encoding};
use crate::id::ObjectId;
use crate::object::Kind;

/// An object as a backend keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Log index at which it was last admitted.
    pub born: u64,
    /// How to read the payload.
    pub encoding: Encoding,
    /// The bytes as written.
    pub payload: Bytes,
}

/// Why a backend could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The disk or the database said no.
    #[error("the object database failed while it tried to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stored frame cannot be read at all.
    #[error("the stored frame of {kind} {id} is corrupt: {reason}")]
    Corrupt {
        /// Kind asked for.
        kind: Kind,
        /// Id asked for.
        id: ObjectId,
        /// What is wrong.
        reason: String,
    },
}

/// Keeps encoded objects. Passes `testing::conformance`.
pub trait ObjectBackend: Send + Sync + std::fmt::Debug {
    /// The object as it is kept.
    ///
    /// # Errors
    /// The disk fails, or what it holds is not a frame.
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError>;

    /// Keeps all of the objects or none. One that is there already is put again with the new birth.
    ///
    /// # Errors
    /// The disk fails.
    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError>;

    /// Up to `limit` ids of this kind, ascending, from `first` on.
    ///
    /// # Errors
    /// The disk fails.
    fn ids(&self, kind: Kind, first: &ObjectId, limit: usize) -> Result<Vec<ObjectId>, BackendError>;
}

/// Keeps objects in memory, for tests, stages and proofs.
#[derive(Debug, Default)]
pub struct MemoryBackend {}

impl ObjectBackend for MemoryBackend {
    fn get(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Stored>, BackendError> { todo!() }
    fn put(&self, _objects: &[Encoded], _born: u64) -> Result<(), BackendError> { todo!() }
    fn ids(&self, _kind: Kind, _first: &ObjectId, _limit: usize) -> Result<Vec<ObjectId>, BackendError> { todo!() }
}
