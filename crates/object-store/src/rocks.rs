//! Objects in RocksDB.
//!
//! Three column families by size and use: `object-page` (at most 4 KiB, most reads), `object-blob` (up to
//! 16 MiB; from 32 KiB on in blob files, so that compaction does not copy them), and `object-node` (commits,
//! metas, records, operations, attestations: small and alike). A key is `kind u8 | id`, a value
//! `born u64 LE | encoding header | payload`; `docs/FORMAT-objects.md` has both.
//!
//! Objects are written once and read by exact key, so compaction is universal (there is next to no garbage
//! to collect level by level) and every file has a filter. Keys are hashes, so what is not flushed yet is in
//! a hash table: in a skip list each insert walks through memory that no cache holds. Each listing of ids
//! begins by sorting that table.
//!
//! Blocks are compressed with LZ4 and, at the bottom, with zstd and a dictionary: payloads of pages and
//! blobs are compressed already and RocksDB stores such blocks as they are, but small objects are left raw
//! for this (`encoding.rs`).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ChecksumType, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompactionStyle, DBCompressionType, DataBlockIndexType, Direction, IteratorMode,
    MemtableFactory, Options, ReadOptions, SliceTransform, UniversalCompactOptions, WriteBatch,
};

use crate::backend::{BackendError, ObjectBackend, Stored};
use crate::chain;
use crate::encoding::{ENCODING_HEADER_BYTES_MAX, Encoded, Encoding};
use crate::id::{ID_BYTES, ObjectId};
use crate::object::Kind;

/// Column family of pages.
pub const PAGES: &str = "object-page";
/// Column family of blobs.
pub const BLOBS: &str = "object-blob";
/// Column family of everything else.
pub const NODES: &str = "object-node";

/// Blobs from this length on are in files of their own.
const BLOB_FILE_BYTES_MIN: u64 = 32 * 1024;
/// The least that keeps blocks of a few objects; a read takes one.
const BLOCK_BYTES: usize = 8 * 1024;
/// Bounds what sampling for a dictionary holds in memory.
const FILE_BYTES: u64 = 64 << 20;
const WRITE_BUFFER_BYTES: usize = 16 << 20;
const DICTIONARY_BYTES: i32 = 16 * 1024;
const DICTIONARY_TRAIN_BYTES: i32 = 1600 * 1024;
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW_BITS: i32 = -14;
/// One false positive in about 120.
const FILTER_BITS: f64 = 10.0;
/// Freshest files get the filter that is faster to build, the rest the smaller one.
const FILTER_BLOOM_BEFORE_LEVEL: i32 = 1;

const KEY_BYTES: usize = 1 + ID_BYTES;
/// Bytes of a key by which it is hashed, in memory and in filters: the kind, and enough of the id that among the
/// objects of a file hardly two are alike in it.
const HASHED_BYTES: usize = 6;
/// Lists of the hash table of objects that are not flushed; a memtable of small objects has about as many.
const BUCKETS: usize = 65_536;
const BORN_BYTES: usize = 8;

/// Keeps objects in column families of a database that others use too.
pub struct RocksBackend {
    db: Arc<DB>,
}

impl fmt::Debug for RocksBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksBackend")
            .field("path", &self.db.path())
            .finish()
    }
}

impl RocksBackend {
    /// The column families it needs, with their options.
    #[must_use]
    pub fn column_families(block_cache: &Cache) -> Vec<ColumnFamilyDescriptor> {
        [PAGES, BLOBS, NODES]
            .map(|name| ColumnFamilyDescriptor::new(name, options(name, block_cache)))
            .into()
    }

    /// Sets what the database as a whole needs for them.
    pub fn configure(options: &mut Options) {
        // A hash table takes one writer at a time.
        options.set_allow_concurrent_memtable_write(false);
    }

    /// Uses a database opened with [`Self::column_families`] and [`Self::configure`].
    #[must_use]
    pub fn new(db: Arc<DB>) -> Self {
        Self { db }
    }

    /// Adds the objects to a batch that the caller writes with what depends on them. No other writer of
    /// objects may be at work until the batch is written, and no object may be in two batches at once.
    ///
    /// # Errors
    /// A column family is missing, or an object is encoded against one that is neither kept nor before it.
    pub fn put_into(
        &self,
        batch: &mut WriteBatch,
        objects: &[Encoded],
        born: u64,
    ) -> Result<(), BackendError> {
        for object in chain::settle(&|kind, id| self.get(kind, id), objects, born)? {
            self.put_as_it_is(batch, &object, born)?;
        }
        Ok(())
    }

    /// Adds one object to a batch as it is encoded, whatever it is encoded against. Of use to [`Self::put_into`],
    /// and to tests that put something wrong in its place.
    ///
    /// # Errors
    /// A column family is missing.
    pub fn put_as_it_is(
        &self,
        batch: &mut WriteBatch,
        object: &Encoded,
        born: u64,
    ) -> Result<(), BackendError> {
        let room = BORN_BYTES + ENCODING_HEADER_BYTES_MAX + object.payload.len();
        let mut value = Vec::with_capacity(room);
        value.extend_from_slice(&born.to_le_bytes());
        object.encoding.write_header(&mut value);
        value.extend_from_slice(&object.payload);
        batch.put_cf(
            self.family(object.kind)?,
            key(object.kind, &object.id),
            &value,
        );
        Ok(())
    }

    /// Adds the removal of objects to a batch, for a collector that has made sure that nothing needs them:
    /// neither a link nor an encoding.
    ///
    /// # Errors
    /// A column family is missing.
    pub fn remove_into(
        &self,
        batch: &mut WriteBatch,
        objects: &[(Kind, ObjectId)],
    ) -> Result<(), BackendError> {
        for (kind, id) in objects {
            batch.delete_cf(self.family(*kind)?, key(*kind, id));
        }
        Ok(())
    }

    fn family(&self, kind: Kind) -> Result<&ColumnFamily, BackendError> {
        let name = match kind {
            Kind::Page => PAGES,
            Kind::Blob => BLOBS,
            _ => NODES,
        };
        self.db.cf_handle(name).ok_or_else(|| BackendError::Io {
            action: "find its column family",
            source: format!("the database has no column family `{name}`").into(),
        })
    }
}

impl ObjectBackend for RocksBackend {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        let found = self
            .db
            .get_cf(self.family(kind)?, key(kind, id))
            .map_err(failed("read an object"))?;
        found.map(|value| decode_value(kind, id, value)).transpose()
    }

    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
        let mut batch = WriteBatch::default();
        self.put_into(&mut batch, objects, born)?;
        self.db.write(batch).map_err(failed("write objects"))
    }

    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        let mut options = ReadOptions::default();
        let (from, last) = (key(kind, range.start()), key(kind, range.end()));
        match from.first_chunk::<HASHED_BYTES>() == last.first_chunk() {
            // All of them lie in one list.
            true => options.set_prefix_same_as_start(true),
            // Otherwise only what hashes as the first key does would be found. It costs a sorting of what is not
            // flushed, some ten milliseconds.
            false => options.set_total_order_seek(true),
        }
        let mode = IteratorMode::From(&from, Direction::Forward);
        let mut ids = Vec::new();
        for row in self
            .db
            .iterator_cf_opt(self.family(kind)?, options, mode)
            .take(limit)
        {
            let (key, _) = row.map_err(failed("list objects"))?;
            match <[u8; KEY_BYTES]>::try_from(&*key) {
                Ok(key @ [_, id @ ..]) if key <= last => ids.push(ObjectId::from_bytes(id)),
                _ => break,
            }
        }
        Ok(ids)
    }
}

fn key(kind: Kind, id: &ObjectId) -> [u8; KEY_BYTES] {
    let mut key = [kind.into(); KEY_BYTES];
    for (to, from) in key.iter_mut().skip(1).zip(id.as_bytes()) {
        *to = *from;
    }
    key
}

fn decode_value(kind: Kind, id: &ObjectId, value: Vec<u8>) -> Result<Stored, BackendError> {
    let value = Bytes::from(value);
    let corrupt = |reason: String| BackendError::Corrupt {
        kind,
        id: *id,
        reason,
    };
    let (born, rest) = value.split_first_chunk::<BORN_BYTES>().ok_or_else(|| {
        corrupt(format!(
            "{} bytes, the birth alone has {BORN_BYTES}",
            value.len()
        ))
    })?;
    let (encoding, payload) = Encoding::read_header(rest).map_err(corrupt)?;
    Ok(Stored {
        born: u64::from_le_bytes(*born),
        encoding,
        payload: value.slice_ref(payload),
    })
}

fn failed(action: &'static str) -> impl FnOnce(rocksdb::Error) -> BackendError {
    move |source| BackendError::Io {
        action,
        source: source.into(),
    }
}

fn options(name: &str, block_cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(block_cache);
    table.set_block_size(BLOCK_BYTES);
    table.set_format_version(6);
    table.set_checksum_type(ChecksumType::XXH3);
    table.set_hybrid_ribbon_filter(FILTER_BITS, FILTER_BLOOM_BEFORE_LEVEL);
    table.set_whole_key_filtering(false);
    table.set_optimize_filters_for_memory(true);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);

    let mut universal = UniversalCompactOptions::default();
    universal.set_max_size_amplification_percent(100);

    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_universal_compaction_options(&universal);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_target_file_size_base(FILE_BYTES);
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(HASHED_BYTES));
    options.set_memtable_factory(MemtableFactory::HashLinkList {
        bucket_count: BUCKETS,
    });
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_bottommost_compression_options(
        ZSTD_WINDOW_BITS,
        ZSTD_LEVEL,
        0,
        DICTIONARY_BYTES,
        true,
    );
    options.set_bottommost_zstd_max_train_bytes(DICTIONARY_TRAIN_BYTES, true);
    if name == BLOBS {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_FILE_BYTES_MIN);
        // Payloads are compressed already.
        options.set_blob_compression_type(DBCompressionType::None);
        options.set_enable_blob_gc(true);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IdPrefix;
    use crate::object::Object;

    struct TestDb {
        backend: RocksBackend,
        _dir: tempfile::TempDir,
    }

    impl fmt::Debug for TestDb {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.backend.fmt(f)
        }
    }

    fn open(dir: &std::path::Path) -> RocksBackend {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        RocksBackend::configure(&mut options);
        let families = RocksBackend::column_families(&Cache::new_lru_cache(8 << 20));
        RocksBackend::new(Arc::new(
            DB::open_cf_descriptors(&options, dir, families).unwrap(),
        ))
    }

    fn fresh() -> TestDb {
        let dir = tempfile::tempdir().unwrap();
        TestDb {
            backend: open(dir.path()),
            _dir: dir,
        }
    }

    impl ObjectBackend for TestDb {
        fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
            self.backend.get(kind, id)
        }
        fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
            self.backend.put(objects, born)
        }
        fn ids(
            &self,
            kind: Kind,
            range: &RangeInclusive<ObjectId>,
            limit: usize,
        ) -> Result<Vec<ObjectId>, BackendError> {
            self.backend.ids(kind, range, limit)
        }
    }

    #[test]
    fn rocksdb_conforms() {
        crate::testing::conformance(fresh);
    }

    /// What lies in a table for a long time was written with the options of then.
    #[test]
    fn objects_written_with_other_options_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let object = |n: u32| Object::new(Kind::Blob, n.to_le_bytes().to_vec());
        let encoded = |from, to| {
            (from..to)
                .map(|n| Encoded::new(&object(n)))
                .collect::<Vec<_>>()
        };
        {
            let mut options = Options::default();
            options.create_if_missing(true);
            options.create_missing_column_families(true);
            let families = [PAGES, BLOBS, NODES]
                .map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
            let db = Arc::new(DB::open_cf_descriptors(&options, dir.path(), families).unwrap());
            let before = RocksBackend::new(Arc::clone(&db));
            before.put(&encoded(0, 500), 1).unwrap();
            db.flush_cf(db.cf_handle(BLOBS).unwrap()).unwrap();
            // Left in the write-ahead log.
            before.put(&encoded(500, 600), 2).unwrap();
        }
        let backend = open(dir.path());
        backend.put(&encoded(600, 700), 3).unwrap();
        for n in 0..700 {
            let id = object(n).id();
            assert!(backend.get(Kind::Blob, &id).unwrap().is_some(), "{n}");
        }
        let all = ObjectId::MIN..=ObjectId::MAX;
        let ids = backend.ids(Kind::Blob, &all, 1000).unwrap();
        assert_eq!(ids.len(), 700);
        assert!(ids.is_sorted());
    }

    #[test]
    fn objects_are_there_after_flush_compaction_and_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let object = |n: u32| {
            let kind = Kind::ALL[n as usize % 7];
            let len = 10 + 997 * (n as usize % 90);
            let noise = (0..len.min(kind.bytes_max()))
                .map(|i| (i as u32 ^ n).wrapping_mul(2_654_435_761).to_le_bytes()[3]);
            Object::new(kind, noise.collect::<Vec<u8>>())
        };
        let backend = open(dir.path());
        for n in 0..400 {
            backend
                .put(&[Encoded::new(&object(n))], u64::from(n))
                .unwrap();
        }
        for name in [PAGES, BLOBS, NODES] {
            let family = backend.db.cf_handle(name).unwrap();
            backend.db.flush_cf(family).unwrap();
            backend
                .db
                .compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
        drop(backend);
        let backend = open(dir.path());
        // Found among those that are flushed, and one of them is put again.
        backend.put(&[Encoded::new(&object(7))], 7).unwrap();
        for n in 0..400 {
            let object = object(n);
            let prefix: IdPrefix = object.id().to_string()[..12].parse().unwrap();
            let found = backend.ids(object.kind(), &prefix.range(), 10).unwrap();
            assert_eq!(found, [object.id()], "{n}");
        }
        for n in 0..400 {
            let (object, stored) = (
                object(n),
                backend
                    .get(object(n).kind(), &object(n).id())
                    .unwrap()
                    .unwrap(),
            );
            assert_eq!(stored.born, u64::from(n));
            let Stored {
                encoding, payload, ..
            } = stored;
            let encoded = Encoded {
                kind: object.kind(),
                id: object.id(),
                encoding,
                payload,
            };
            assert_eq!(encoded.open(None).unwrap(), object);
        }
        let mut batch = WriteBatch::default();
        backend
            .remove_into(&mut batch, &[(object(1).kind(), object(1).id())])
            .unwrap();
        backend.db.write(batch).unwrap();
        assert_eq!(
            backend.get(object(1).kind(), &object(1).id()).unwrap(),
            None
        );
    }

    #[test]
    fn a_value_that_is_no_frame_is_named() {
        let db = fresh();
        let object = Object::new(Kind::Commit, "x");
        let family = db.backend.family(Kind::Commit).unwrap();
        db.backend
            .db
            .put_cf(family, key(Kind::Commit, &object.id()), b"12345678\xff")
            .unwrap();
        let error = db.get(Kind::Commit, &object.id()).unwrap_err().to_string();
        let id = object.id();
        assert_eq!(
            error,
            format!(
                "the stored frame of commit {id} is corrupt: 0xff is no encoding: raw, zstd or delta is needed"
            )
        );
    }
}
