//! The data database: objects, the current refs, operations, rows, remembered requests, and how far
//! the log is applied (`docs/FORMAT-refs.md`, "Data database").
//!
//! Its write-ahead log is on and not synced: what a power failure takes is applied again from the log,
//! which is never purged beyond what is durable here.
//!
//! INVARIANT: one batch holds all that an entry changes and the log id it was applied at.

pub(crate) mod applied;
pub(crate) mod apply;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod laws;
pub(crate) mod operations;
pub(crate) mod requests;
pub(crate) mod rows;
pub(crate) mod sessions;
pub(crate) mod snapshot;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use confman_object_store::rocks::RocksBackend;
use confman_object_store::{DecodeError, ObjectBackend, Store};
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor,
    CompactOptions, DB, DBCompressionType, Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::cursor::{Cursor, put_target};
use crate::failure::Failure;
use crate::name::RefName;
use crate::node::DatabaseStatus;
use crate::raft::{StoredMembership, record};
use crate::transaction::Target;

/// Keys of the column family `meta`.
pub(crate) const APPLIED: &[u8] = b"applied";
pub(crate) const MEMBERSHIP: &[u8] = b"membership";
pub(crate) const PAIR: &[u8] = b"pair";
pub(crate) const SNAPSHOT: &[u8] = b"snapshot";
pub(crate) const INSTALLED: &[u8] = b"installed";
pub(crate) const TRANSFERS: &[u8] = b"transfers";
pub(crate) const SCRUBBED: &[u8] = b"scrubbed";

/// Names of the column families that are not the object store's.
const NAMES: [&str; 6] = ["refs", "operations", "rows", "requests", "sessions", "meta"];
/// Memtable of each.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Most bytes of write-ahead log before memtables are flushed.
const WAL_BYTES_MAX: u64 = 128 << 20;
/// Bits of a filter for each key.
const FILTER_BITS: f64 = 10.0;

/// The column families that are not the object store's.
#[derive(Clone, Copy)]
pub(crate) struct Families<'a> {
    pub(crate) refs: &'a ColumnFamily,
    pub(crate) operations: &'a ColumnFamily,
    pub(crate) rows: &'a ColumnFamily,
    pub(crate) requests: &'a ColumnFamily,
    pub(crate) sessions: &'a ColumnFamily,
    pub(crate) meta: &'a ColumnFamily,
}

/// The database and the objects in it.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) db: Arc<DB>,
    pub(crate) backend: Arc<RocksBackend>,
    pub(crate) store: Arc<Store>,
    pub(crate) failure: Arc<Failure>,
}

/// Something on disk that should not be as it is.
pub(crate) fn corrupt(error: &DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("data/: {error}"))
}

impl Data {
    /// Opens the database.
    pub(crate) fn open(
        path: &Path,
        cache_bytes: u64,
        block_cache_bytes: usize,
        failure: Arc<Failure>,
    ) -> Result<Self, rocksdb::Error> {
        let cache = Cache::new_lru_cache(block_cache_bytes);
        let mut families = RocksBackend::column_families(&cache);
        families.extend(
            NAMES.map(|name| ColumnFamilyDescriptor::new(name, family_options(name, &cache))),
        );
        let db = Arc::new(DB::open_cf_descriptors(
            &database_options(),
            path,
            families,
        )?);
        let backend = Arc::new(RocksBackend::new(Arc::clone(&db)));
        let for_store: Arc<dyn ObjectBackend> = Arc::<RocksBackend>::clone(&backend);
        let store = Arc::new(Store::new(for_store, cache_bytes));
        Ok(Self {
            db,
            backend,
            store,
            failure,
        })
    }

    pub(crate) fn families(&self) -> io::Result<Families<'_>> {
        let family = |name: &str| {
            self.db
                .cf_handle(name)
                .ok_or_else(|| io::Error::other(format!("column family `{name}` is missing")))
        };
        Ok(Families {
            refs: family("refs")?,
            operations: family("operations")?,
            rows: family("rows")?,
            requests: family("requests")?,
            sessions: family("sessions")?,
            meta: family("meta")?,
        })
    }

    /// A record of `meta`.
    pub(crate) fn meta(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        let families = self.families()?;
        Ok(self
            .db
            .get_cf(families.meta, key)
            .map_err(io::Error::other)?
            .map(Bytes::from))
    }

    /// The value that ties this database to its log.
    pub(crate) fn pair(&self) -> io::Result<Option<Bytes>> {
        let Some(bytes) = self.meta(PAIR)? else {
            return Ok(None);
        };
        record::decode_sealed("pair", PAIR, &bytes)
            .map(Some)
            .map_err(|error| corrupt(&error))
    }

    /// Ties this database to its log.
    pub(crate) fn set_pair(&self, pair: &[u8]) -> io::Result<()> {
        let families = self.families()?;
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db
            .put_cf_opt(
                families.meta,
                PAIR,
                record::encode_sealed(PAIR, pair),
                &options,
            )
            .map_err(io::Error::other)
    }

    pub(crate) fn membership(&self) -> io::Result<StoredMembership> {
        let Some(bytes) = self.meta(MEMBERSHIP)? else {
            return Ok(StoredMembership::default());
        };
        record::decode_stored_membership(MEMBERSHIP, &bytes).map_err(|error| corrupt(&error))
    }

    /// Calls `visit` with every ref on disk, in order.
    pub(crate) fn each_ref(&self, visit: &mut dyn FnMut(RefName, Target)) -> io::Result<()> {
        let families = self.families()?;
        for item in
            self.db
                .iterator_cf_opt(families.refs, scan_options(), rocksdb::IteratorMode::Start)
        {
            let (key, value) = item.map_err(io::Error::other)?;
            let name = std::str::from_utf8(&key)
                .ok()
                .and_then(|text| RefName::new(text).ok())
                .ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        "data/: a ref has a name that is none",
                    )
                })?;
            let target = decode_target(&value.into()).map_err(|error| corrupt(&error))?;
            visit(name, target);
        }
        Ok(())
    }

    /// Writes a batch of much that is of use only once all of it is there, and that is flushed then: it goes
    /// past the write-ahead log.
    pub(crate) fn write_in_bulk(&self, batch: WriteBatch) -> io::Result<()> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(io::Error::other)
    }

    /// Changes a byte of an object.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn damage(
        &self,
        kind: confman_object_store::Kind,
        id: &confman_object_store::ObjectId,
    ) -> io::Result<()> {
        let stored = self
            .backend
            .get(kind, id)
            .map_err(io::Error::other)?
            .ok_or_else(|| io::Error::other("it is not there"))?;
        let mut payload = stored.payload.to_vec();
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
        }
        let damaged = confman_object_store::Encoded {
            kind,
            id: *id,
            encoding: stored.encoding,
            payload: payload.into(),
        };
        let mut batch = WriteBatch::default();
        self.backend
            .put_as_it_is(&mut batch, &damaged, stored.born)
            .map_err(io::Error::other)?;
        self.db.write(batch).map_err(io::Error::other)
    }

    /// Makes everything that was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.db.flush_wal(true).map_err(|error| {
            self.failure
                .set(format!("syncing the data failed: {error}"));
            io::Error::other(error)
        })?;
        #[cfg(test)]
        crate::simulation::host::data_synced(self.db.path());
        Ok(())
    }

    /// Writes memtables out, so that opening again has nothing to replay.
    pub(crate) fn flush(&self) -> Result<(), rocksdb::Error> {
        for family in self.every_family() {
            self.db.flush_cf(family)?;
        }
        Ok(())
    }

    /// Compacts everything to the lowest level, where compression is best.
    pub(crate) fn compact(&self) {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Skip);
        options.set_exclusive_manual_compaction(false);
        for family in self.every_family() {
            self.db
                .compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        }
    }

    /// Bytes of all tables on disk.
    pub(crate) fn table_bytes(&self) -> u64 {
        self.sum("rocksdb.total-sst-files-size")
    }

    /// What the database takes.
    pub(crate) fn status(&self) -> DatabaseStatus {
        // All families share one block cache.
        let one = |name: &str| {
            let family = self.db.cf_handle(NAMES.first()?)?;
            self.db.property_int_value_cf(family, name).ok().flatten()
        };
        DatabaseStatus {
            table_bytes: self.table_bytes(),
            memtable_bytes: self.sum("rocksdb.cur-size-all-mem-tables"),
            block_cache_bytes: one("rocksdb.block-cache-usage").unwrap_or_default(),
            compaction_pending_bytes: self.sum("rocksdb.estimate-pending-compaction-bytes"),
        }
    }

    /// A figure of the database, over all families.
    fn sum(&self, property: &str) -> u64 {
        let figure = |family: &ColumnFamily| self.db.property_int_value_cf(family, property);
        self.every_family()
            .into_iter()
            .filter_map(|family| figure(family).ok().flatten())
            .sum()
    }

    fn every_family(&self) -> Vec<&ColumnFamily> {
        let cache = Cache::new_lru_cache(0);
        let objects = RocksBackend::column_families(&cache);
        objects
            .iter()
            .map(ColumnFamilyDescriptor::name)
            .chain(NAMES)
            .filter_map(|name| self.db.cf_handle(name))
            .collect()
    }
}

/// For scans over much that is not read again soon.
pub(crate) fn scan_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options
}

pub(crate) fn encode_target(target: Target) -> Vec<u8> {
    let mut out = Vec::with_capacity(33);
    put_target(&mut out, Some(target));
    out
}

pub(crate) fn decode_target(bytes: &Bytes) -> Result<Target, DecodeError> {
    let mut cursor = Cursor::new(bytes, "ref");
    let target = cursor.target()?;
    cursor.end()?;
    target.ok_or_else(|| cursor.wrong("a ref that is there has a target"))
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    RocksBackend::configure(&mut options);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    #[cfg(test)]
    crate::simulation::host::keep_small(&mut options);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_manifest_file_size(8 << 20);
    options
}

fn family_options(name: &str, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(FILTER_BITS, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    if name == "requests" {
        // Almost every look-up is for a request that is new: answered without touching a table.
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.05);
    }
    options
}
