//! A data directory that is made of objects, as a backup has them: the operations up to one of them, and all
//! that these refer to. It becomes the first node of a cluster of its own.
//!
//! What is made is the state that the operation stands for, nothing more: what only later operations refer to
//! is left out. Remembered requests and open sessions are not part of it. Derived rows are written by whoever
//! knows what they mean, with [`crate::Node::put_rows`].
//!
//! INVARIANT: a directory whose restore did not end does not open.
//! INVARIANT: nothing is said to be restored before everything that its operations refer to was read and hashed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use confman_object_store::{Encoded, Kind, Object, ObjectBackend, ObjectId};
use imbl::OrdMap;
use openraft::impls::BasicNode;
use rocksdb::WriteBatch;

use crate::data::applied::Applied;
use crate::data::operations::{self, Place};
use crate::data::snapshot::Handle;
use crate::data::{APPLIED, Data, MEMBERSHIP, encode_target};
use crate::directory::{Directory, io_error};
use crate::failure::Failure;
use crate::node::{self, OpenError};
use crate::operation::Operation;
use crate::raft::log::Log;
use crate::raft::record::NodeIdentity;
use crate::raft::{LogId, Membership, StoredMembership, Vote, record};
use crate::transfer::children;
use crate::view::View;

/// What lies between the index of what was backed up and the first one of the restored cluster: no index that
/// anybody saw in the old cluster after the backup is given to something else.
pub const RESTORED_INDEX_GAP: u64 = 1_000_000_000;
/// The note in a directory whose restore has not ended.
const UNFINISHED: &str = "its restore did not end";
/// Memory for what is read while it is made.
const CACHE_BYTES: u64 = 64 << 20;
/// Memory for RocksDB's blocks meanwhile.
const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// About how many bytes are written in one batch.
const BATCH_BYTES: usize = 8 << 20;
/// Most problems that are told.
const PROBLEMS_MAX: usize = 100;
/// Ids that are listed at once.
const IDS_AT_ONCE: usize = 4096;
/// The only node of the new cluster.
const NODE: u64 = 1;
/// What objects of a restore are born as: before everything that the new cluster writes.
const BORN: u64 = 0;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was given is not all of the state.
    #[error("what was given is not whole: {}", problems.join("; "))]
    NotWhole {
        /// What is missing or wrong, at most a hundred of them.
        problems: Vec<String>,
    },
    /// The disk failed.
    #[error("the directory cannot be written")]
    Io(#[from] io::Error),
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Number of the operation that the state is as of.
    pub sequence: u64,
    /// That operation.
    pub operation: ObjectId,
    /// Its log index.
    pub index: u64,
    /// Its time.
    pub time_ms: i64,
    /// Objects of the state.
    pub objects: u64,
    /// The log index after which the new cluster begins to write.
    pub begins_after: u64,
}

/// A directory that is being made.
#[derive(Debug)]
pub struct Restoring {
    directory: Directory,
    data: Arc<Data>,
}

/// The chain of operations from the first to the one that is restored.
struct Chain {
    newest: Operation,
    view: Option<ObjectId>,
    /// What the operations refer to.
    wanted: Vec<(Kind, ObjectId)>,
}

impl Restoring {
    /// Takes a directory, which must be empty or not there.
    ///
    /// # Errors
    /// It is not empty, or cannot be written.
    pub fn begin(path: &Path) -> Result<Self, OpenError> {
        refuse_used(path)?;
        let directory = Directory::open(path)?;
        Directory::note_unfinished(path, UNFINISHED)
            .map_err(|error| io_error(path, "note that it is being made", error))?;
        let data = Data::open(
            &directory.data(),
            CACHE_BYTES,
            BLOCK_CACHE_BYTES,
            Arc::new(Failure::default()),
        )
        .map_err(|error| io_error(path, "make its data database", error))?;
        Ok(Self {
            directory,
            data: Arc::new(data),
        })
    }

    /// Keeps objects, in any order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put(&self, objects: &[Object]) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        for object in objects {
            let encoded = [Encoded::new(object)];
            self.data
                .backend
                .put_into(&mut batch, &encoded, BORN)
                .map_err(io::Error::other)?;
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.data.write_in_bulk(std::mem::take(&mut batch))?;
            }
        }
        self.data.write_in_bulk(batch)
    }

    /// Makes the state as of an operation of what was put, for [`crate::Node::open_restored`] to complete.
    /// `index_seen` is the highest log index that is known of
    /// the cluster that was backed up.
    ///
    /// # Errors
    /// Something is missing or wrong, all of it named; or the disk fails. The directory is of no use then.
    pub fn finish(&self, operation: ObjectId, index_seen: u64) -> Result<Restored, RestoreError> {
        let chain = self.chain(operation)?;
        let reached = self.reach(chain.wanted)?;
        self.remove_others(&reached)?;
        let newest = chain.newest;
        let beyond = View {
            refs: OrdMap::new(),
            operation: Some(operation),
            sequence: u64::MAX,
            index: newest.index,
            time_ms: newest.time_ms,
        };
        let view = node::view_of(&self.data, &beyond, newest.sequence)
            .map_err(|error| not_whole(&error))?;
        let begins_after = index_seen
            .max(newest.index)
            .saturating_add(RESTORED_INDEX_GAP);
        let last = record::log_id(newest.term + 1, NODE, begins_after);
        let applied = Applied {
            last: Some(last),
            cluster: None,
            operation: Some(operation),
            sequence: newest.sequence,
            time_ms: newest.time_ms,
            view: chain.view,
            requests: 0,
            protocol: None,
        };
        self.write_state(&applied, &view, last)?;
        self.write_log(last)?;
        self.data.flush().map_err(io::Error::other)?;
        self.data.sync()?;
        Ok(Restored {
            sequence: newest.sequence,
            operation,
            index: newest.index,
            time_ms: newest.time_ms,
            objects: reached.len() as u64,
            begins_after,
        })
    }

    /// Removes everything that was made.
    ///
    /// # Errors
    /// The disk fails.
    pub fn discard(self) -> io::Result<()> {
        let path = self.directory.path().to_owned();
        // The databases must be closed before their files go.
        drop(self);
        discard(&path)
    }

    /// Reads the operations back to the first and writes where each is.
    fn chain(&self, operation: ObjectId) -> Result<Chain, RestoreError> {
        let families = self.data.families()?;
        let mut batch = WriteBatch::default();
        let mut wanted = Vec::new();
        let mut newest: Option<Operation> = None;
        let mut view = None;
        let mut next = Some(operation);
        let mut expected = None;
        while let Some(id) = next {
            let read: Operation = self
                .data
                .operation_by_id(&id)
                .map_err(|error| not_whole(&error))?;
            if expected.is_some_and(|expected| expected != read.sequence) || read.sequence == 0 {
                return Err(RestoreError::NotWhole {
                    problems: vec![format!(
                        "operation {id} has number {}, it follows another one",
                        read.sequence
                    )],
                });
            }
            let place = Place {
                id,
                index: read.index,
                time_ms: read.time_ms,
            };
            let key = operations::key(read.sequence);
            batch.put_cf(families.operations, key, place.encode());
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.data.write_in_bulk(std::mem::take(&mut batch))?;
            }
            wanted.push((Kind::Operation, id));
            let placed = read.edits.iter().filter_map(|edit| edit.new);
            wanted.extend(placed.map(|target| (target.kind, target.id)));
            wanted.extend(read.view.map(|root| (Kind::Page, root)));
            view = view.or(read.view);
            expected = read.sequence.checked_sub(1);
            next = read.parent;
            newest.get_or_insert(read);
        }
        self.data.write_in_bulk(batch)?;
        match (newest, expected) {
            (Some(newest), Some(0)) => Ok(Chain {
                newest,
                view,
                wanted,
            }),
            (_, left) => Err(RestoreError::NotWhole {
                problems: vec![format!(
                    "the chain of operations ends at number {}, not with the first",
                    left.unwrap_or_default() + 1
                )],
            }),
        }
    }

    /// Reads and hashes everything that these lead to.
    fn reach(
        &self,
        mut waiting: Vec<(Kind, ObjectId)>,
    ) -> Result<HashSet<(Kind, ObjectId)>, RestoreError> {
        let mut reached = HashSet::new();
        let mut problems = Vec::new();
        while let Some((kind, id)) = waiting.pop() {
            if !reached.insert((kind, id)) {
                continue;
            }
            let links = match self.data.store.read_from_backend(kind, &id) {
                Ok(Some(object)) => children(kind, object.bytes())
                    .map_err(|error| format!("{kind} {id} is malformed: {error}")),
                Ok(None) => Err(format!("{kind} {id} is missing")),
                Err(error) => Err(error.to_string()),
            };
            match links {
                Ok(links) => waiting.extend(links.into_iter().filter(|link| {
                    // All operations are waiting already.
                    link.0 != Kind::Operation && !reached.contains(link)
                })),
                Err(problem) => problems.push(problem),
            }
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
        match problems.is_empty() {
            true => Ok(reached),
            false => Err(RestoreError::NotWhole { problems }),
        }
    }

    /// Removes what the state does not refer to.
    fn remove_others(&self, reached: &HashSet<(Kind, ObjectId)>) -> io::Result<()> {
        for kind in Kind::ALL {
            let mut first = Some(ObjectId::MIN);
            while let Some(from) = first {
                let ids = self
                    .data
                    .backend
                    .ids(kind, &(from..=ObjectId::MAX), IDS_AT_ONCE)
                    .map_err(io::Error::other)?;
                first = match ids.last() {
                    Some(last) if ids.len() == IDS_AT_ONCE => last.next(),
                    _ => None,
                };
                let others: Vec<(Kind, ObjectId)> = ids
                    .into_iter()
                    .map(|id| (kind, id))
                    .filter(|object| !reached.contains(object))
                    .collect();
                let mut batch = WriteBatch::default();
                self.data
                    .backend
                    .remove_into(&mut batch, &others)
                    .map_err(io::Error::other)?;
                self.data.write_in_bulk(batch)?;
            }
        }
        Ok(())
    }

    fn write_state(&self, applied: &Applied, view: &View, last: LogId) -> Result<(), RestoreError> {
        let families = self.data.families()?;
        let mut batch = WriteBatch::default();
        for (name, target) in &view.refs {
            batch.put_cf(families.refs, name.as_str(), encode_target(*target));
        }
        batch.put_cf(families.meta, APPLIED, applied.encode());
        let alone = Membership::new(
            vec![BTreeSet::from([NODE])],
            BTreeMap::from([(NODE, BasicNode::default())]),
        )
        .map_err(io::Error::other)?;
        let membership = StoredMembership::new(Some(last), alone);
        batch.put_cf(
            families.meta,
            MEMBERSHIP,
            record::encode_stored_membership(MEMBERSHIP, &membership),
        );
        self.data.write_in_bulk(batch)?;
        // What the log is purged up to must be covered by a snapshot.
        let handle = Handle::received(applied.clone(), view.refs.clone(), Vec::new(), BORN);
        handle.seal(&self.data)?;
        Ok(())
    }

    /// Makes a log that begins after what the state covers.
    fn write_log(&self, last: LogId) -> Result<(), RestoreError> {
        let path = self.directory.path();
        let (log, writer) = node::open_log(&self.directory)?;
        let written = self.write_log_records(&log, last);
        node::stop_log(&log, writer);
        Ok(written.map_err(|error| io_error(path, "make its log", error))?)
    }

    fn write_log_records(&self, log: &Log, last: LogId) -> io::Result<()> {
        let mut pair = [0; 16];
        crate::raft::fill_random(&mut pair).map_err(io::Error::other)?;
        let vote = Vote::new(last.leader_id.term, NODE);
        let identity = NodeIdentity {
            node_id: NODE,
            incarnation: 1,
            cluster: None,
        };
        log.begin_after(last, &vote, &identity, &pair)
            .map_err(io::Error::other)?;
        self.data.set_pair(&pair)
    }
}

/// Removes what a restore has made in a directory that was empty before. The directory itself stays.
///
/// # Errors
/// The disk fails.
pub fn discard(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Refuses a directory in which something is.
fn refuse_used(path: &Path) -> Result<(), OpenError> {
    let not_empty = || OpenError::NotEmpty {
        path: path.to_owned(),
    };
    match std::fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(not_empty()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path, "look into it", error)),
    }
}

fn not_whole(error: &dyn std::error::Error) -> RestoreError {
    RestoreError::NotWhole {
        problems: vec![crate::verify::chain_of(error)],
    }
}
