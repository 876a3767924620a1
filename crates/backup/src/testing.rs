//! A store to back up, storages that fail, and a storage that speaks S3.

mod bucket;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use confman_object_store::{Encoded, Kind, Object, ObjectId, Record};
use confman_repo::refs::{
    Expect, Node, NodeOptions, RefEdit, RefName, RequestId, Target, Transaction,
};
use object_store::aws::AmazonS3Builder;

pub(crate) use bucket::BucketServer;

use crate::source::{Head, Source, SourceError};
use crate::storage::{S3Storage, Storage, StorageError, StoredFile};

pub(crate) fn options(directory: &Path) -> NodeOptions {
    NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 4 << 20,
        block_cache_bytes: 4 << 20,
        peers: None,
    }
}

/// A node whose refs are set, and which gives what it is asked for, so often.
pub(crate) struct TestStore {
    pub(crate) node: Node,
    requests: Cell<u64>,
    /// Answers with objects that are left before it fails.
    pub(crate) answers: Cell<usize>,
    /// Objects that it gave.
    pub(crate) given: Cell<usize>,
    _directory: tempfile::TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            node: Node::open(&options(directory.path())).unwrap(),
            requests: Cell::new(0),
            answers: Cell::new(usize::MAX),
            given: Cell::new(0),
            _directory: directory,
        }
    }

    /// Sets a ref to a record with this document that needs a blob.
    pub(crate) fn set(&self, ref_name: &str, text: &str) -> u64 {
        let request = self.requests.get() + 1;
        self.requests.set(request);
        let blob = Object::new(Kind::Blob, format!("blob of {text}").into_bytes());
        let record = Record {
            record_type: "test".to_owned(),
            previous: None,
            time_ms: 1,
            actor: String::new(),
            body: text.as_bytes().to_vec().into(),
            links: vec![(Kind::Blob, blob.id())],
            unknown: Vec::new(),
        };
        let record = Object::new(Kind::Record, record.encode());
        let target = Target {
            kind: Kind::Record,
            id: record.id(),
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&request.to_le_bytes());
        let transaction = Transaction {
            request: RequestId(id),
            edits: vec![RefEdit {
                name: RefName::new(ref_name).unwrap(),
                expect: Expect::from_seen(self.node.view().get(ref_name)),
                new: Some(target),
            }],
            reads: Vec::new(),
            objects: vec![Encoded::new(&blob), Encoded::new(&record)],
            rows: Vec::new(),
            actor: "tester".to_owned(),
            action: "test".to_owned(),
            detail: String::new(),
            time_ms: i64::try_from(1000 * request).unwrap(),
        };
        self.node.transact(transaction).unwrap().index
    }

    /// Sets this many refs, each to something new.
    pub(crate) fn fill(&self, from: u64, count: u64) {
        for number in from..from + count {
            self.set(
                &format!("ref-{:03}", number % 50),
                &format!("value {number}"),
            );
        }
    }
}

impl Source for TestStore {
    fn head(&self) -> Result<Head, SourceError> {
        let view = self.node.view();
        let (operation, newest) = self.node.operation_at(view.sequence())?.unwrap();
        Ok(Head {
            cluster_id: self.node.status().cluster_id,
            operation,
            sequence: newest.sequence,
            index: newest.index,
            time_ms: newest.time_ms,
        })
    }

    fn operations(&self, after: u64) -> Result<Vec<ObjectId>, SourceError> {
        // Few at a time, so that there is more than one answer.
        let ids = (after + 1..=after + 20)
            .map_while(|sequence| self.node.operation_id_at(sequence).unwrap());
        Ok(ids.collect())
    }

    fn objects(&self, wanted: &[(Kind, ObjectId)]) -> Result<Vec<Object>, SourceError> {
        let left = self.answers.get();
        if left == 0 {
            return Err("it went away".into());
        }
        self.answers.set(left - 1);
        let objects = wanted.iter().take(30).map(|(kind, id)| {
            let found = self.node.store().read_from_backend(*kind, id)?;
            Ok(found.unwrap())
        });
        let objects: Vec<Object> = objects.collect::<Result<_, SourceError>>()?;
        self.given.set(self.given.get() + objects.len());
        Ok(objects)
    }
}

/// A storage in memory whose copies share it, and which stops working after so many changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStorage {
    pub(crate) files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    changes_left: Arc<Mutex<Option<usize>>>,
}

impl MemoryStorage {
    pub(crate) fn boxed(&self) -> Box<dyn Storage> {
        Box::new(self.clone())
    }

    /// Fails from the change after so many on; `None`: never.
    pub(crate) fn break_after(&self, changes: Option<usize>) {
        *self.changes_left.lock().unwrap() = changes;
    }

    fn change(&self, file: &str) -> Result<(), StorageError> {
        match &mut *self.changes_left.lock().unwrap() {
            Some(0) => Err(StorageError {
                action: "write",
                file: file.to_owned(),
                place: "memory".to_owned(),
                source: "it was killed".into(),
            }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The names of files that end so.
    pub(crate) fn named(&self, ending: &str) -> Vec<String> {
        let files = self.files.lock().unwrap();
        let names = files.keys().filter(|name| name.ends_with(ending));
        names.cloned().collect()
    }
}

impl Storage for MemoryStorage {
    fn place(&self) -> &str {
        "memory"
    }

    fn list(&self, beginning: &str) -> Result<Vec<StoredFile>, StorageError> {
        let files = self.files.lock().unwrap();
        let found = files.iter().filter(|(name, _)| name.starts_with(beginning));
        Ok(found
            .map(|(name, bytes)| StoredFile {
                name: name.clone(),
                bytes: bytes.len() as u64,
            })
            .collect())
    }

    fn read(&self, name: &str, _: u64) -> Result<Option<Bytes>, StorageError> {
        Ok(self.files.lock().unwrap().get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &Bytes) -> Result<(), StorageError> {
        self.change(name)?;
        self.files
            .lock()
            .unwrap()
            .insert(name.to_owned(), bytes.clone());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.change(name)?;
        self.files.lock().unwrap().remove(name);
        Ok(())
    }
}

impl BucketServer {
    pub(crate) fn storage(&self, prefix: &str) -> Box<dyn Storage> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_endpoint(self.endpoint())
            .with_region("nowhere")
            .with_access_key_id("key")
            .with_secret_access_key("secret");
        Box::new(S3Storage::with(builder, "bucket", prefix).unwrap())
    }
}
