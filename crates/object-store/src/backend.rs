//! Where encoded objects are kept.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use crate::chain;
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

    /// Keeps all of the objects or none, each after what it is encoded against. One that is there already is
    /// put again with the new birth; how it is written may stay as it was.
    ///
    /// # Errors
    /// The disk fails, or an object is encoded against one that is neither kept nor before it.
    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError>;

    /// Up to `limit` ids of this kind that lie in the range, ascending.
    ///
    /// # Errors
    /// The disk fails.
    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError>;
}

/// Keeps objects in memory, for tests, stages and proofs.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    objects: RwLock<BTreeMap<(Kind, ObjectId), Stored>>,
}

impl MemoryBackend {
    fn lock_failed<T>(_: PoisonError<T>) -> BackendError {
        BackendError::Io {
            action: "lock its memory",
            source: "a writer panicked".into(),
        }
    }
}

impl ObjectBackend for MemoryBackend {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        let objects = self.objects.read().map_err(Self::lock_failed)?;
        Ok(objects.get(&(kind, *id)).cloned())
    }

    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
        let mut kept = self.objects.write().map_err(Self::lock_failed)?;
        let settled = chain::settle(
            &|kind, id| Ok(kept.get(&(kind, *id)).cloned()),
            objects,
            born,
        )?;
        for Encoded {
            kind,
            id,
            encoding,
            payload,
        } in settled
        {
            kept.insert(
                (kind, id),
                Stored {
                    born,
                    encoding,
                    payload,
                },
            );
        }
        Ok(())
    }

    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        let objects = self.objects.read().map_err(Self::lock_failed)?;
        let of_kind = objects.range((kind, *range.start())..=(kind, *range.end()));
        Ok(of_kind.map(|((_, id), _)| *id).take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_conforms() {
        crate::testing::conformance(MemoryBackend::default);
    }
}
