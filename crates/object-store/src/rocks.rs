//! Objects in RocksDB.

use std::sync::Arc;
use crate::backend::{BackendError, ObjectBackend, Stored};
use crate::encoding::Encoded;
use crate::id::ObjectId;
use crate::object::Kind;

/// Keeps objects in column families of a database that others use too.
pub struct RocksBackend {
    db: Arc<rocksdb::DB>,
}

impl std::fmt::Debug for RocksBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksBackend").field("path", &self.db.path()).finish()
    }
}

impl RocksBackend {
    /// The column families it needs, with their options.
    #[must_use]
    pub fn column_families(_block_cache: &rocksdb::Cache) -> Vec<rocksdb::ColumnFamilyDescriptor> { todo!() }

    /// Uses a database opened with [`Self::column_families`].
    #[must_use]
    pub fn new(db: Arc<rocksdb::DB>) -> Self { Self { db } }

    /// Adds the objects to a batch that the caller writes with what depends on them.
    ///
    /// # Errors
    /// A column family is missing.
    pub fn put_into(&self, _batch: &mut rocksdb::WriteBatch, _objects: &[Encoded], _born: u64) -> Result<(), BackendError> { todo!() }
}

impl ObjectBackend for RocksBackend {
    fn get(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Stored>, BackendError> { todo!() }
    fn put(&self, _objects: &[Encoded], _born: u64) -> Result<(), BackendError> { todo!() }
    fn ids(&self, _kind: Kind, _first: &ObjectId, _limit: usize) -> Result<Vec<ObjectId>, BackendError> { todo!() }
}
