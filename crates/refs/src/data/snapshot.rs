//! Snapshots are handles: what is applied, the refs, and where the small tables can be read. Objects
//! are not in them; who installs one has them already.
//!
//! INVARIANT: what a snapshot covers is durable before the snapshot exists, because the log may be
//! purged up to it from then on.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use confman_object_store::{Kind, ReadObjects};
use imbl::OrdMap;
use rocksdb::{WriteBatch, WriteOptions};

use super::applied::Applied;
use super::operations::{self, Place};
use super::sessions::{Session, Sessions};
use super::{APPLIED, Data, INSTALLED, MEMBERSHIP, SNAPSHOT, TRANSFERS, encode_target, sessions};
use crate::name::RefName;
use crate::operation::Operation;
use crate::proposal::SessionId;
use crate::raft::{LogId, SnapshotMeta, StoredMembership, record};
use crate::transaction::Target;

/// A batch of an installation is written when it holds so many bytes.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The state machine at one log id.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) applied: Applied,
    refs: OrdMap<RefName, Target>,
    sessions: Vec<(SessionId, Session)>,
    source: Source,
}

/// Where the tables of a state are that are not in the handle.
#[derive(Clone, Debug)]
enum Source {
    /// In this database: requests, pieces of sessions and rows.
    Database(Arc<Data>),
    /// Requests and rows came with a transfer and are in place; sessions are these.
    Transfer {
        sessions: Vec<(Bytes, Bytes)>,
        born: u64,
    },
}

impl Handle {
    pub(crate) fn new(
        applied: Applied,
        refs: OrdMap<RefName, Target>,
        sessions: &Sessions,
        source: Arc<Data>,
    ) -> Self {
        let sessions = sessions
            .iter()
            .map(|(id, session)| (*id, *session))
            .collect();
        Self {
            applied,
            refs,
            sessions,
            source: Source::Database(source),
        }
    }

    /// A state that came with a transfer: everything but refs and sessions is in place.
    pub(crate) const fn received(
        applied: Applied,
        refs: OrdMap<RefName, Target>,
        sessions: Vec<(Bytes, Bytes)>,
        born: u64,
    ) -> Self {
        Self {
            applied,
            refs,
            sessions: Vec::new(),
            source: Source::Transfer { sessions, born },
        }
    }

    pub(crate) const fn refs(&self) -> &OrdMap<RefName, Target> {
        &self.refs
    }

    /// The database that the rest of the state is in; `None` of one that was received.
    pub(crate) const fn database(&self) -> Option<&Arc<Data>> {
        match &self.source {
            Source::Database(data) => Some(data),
            Source::Transfer { .. } => None,
        }
    }

    /// Rows of the sessions, in order.
    ///
    /// # Errors
    /// A session has ended meanwhile: the state is of no use to who would install it any more.
    pub(crate) fn session_rows(&self) -> io::Result<Vec<(Bytes, Bytes)>> {
        let data = match &self.source {
            Source::Transfer { sessions, .. } => return Ok(sessions.clone()),
            Source::Database(data) => data,
        };
        let families = data.families()?;
        let mut rows = Vec::new();
        for (id, session) in &self.sessions {
            rows.push((
                Bytes::copy_from_slice(id),
                Bytes::copy_from_slice(&sessions::encode(session)),
            ));
            for part in 0..session.parts {
                let body = sessions::part_key(*id, part).to_vec();
                let objects = sessions::objects_key(*id, part).to_vec();
                let before = rows.len();
                for key in [body, objects] {
                    if let Some(value) = data
                        .db
                        .get_cf(families.sessions, &key)
                        .map_err(io::Error::other)?
                    {
                        rows.push((key.into(), value.into()));
                    }
                }
                if rows.len() == before {
                    return Err(io::Error::other(
                        "a session of the snapshot has ended meanwhile",
                    ));
                }
            }
        }
        Ok(rows)
    }

    pub(crate) fn meta(&self, membership: &StoredMembership) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied.last,
            last_membership: membership.clone(),
        }
    }

    /// Makes `data` durable up to here and notes that there is a snapshot.
    pub(crate) fn seal(&self, data: &Data) -> io::Result<()> {
        let families = data.families()?;
        let record = record::encode_log_id(SNAPSHOT, self.applied.last);
        data.db
            .put_cf(families.meta, SNAPSHOT, record)
            .map_err(io::Error::other)?;
        data.sync()
    }

    /// Replaces the tables of `data` by those of the snapshot. The objects that it needs are there already.
    pub(crate) fn install(&self, data: &Data, membership: &StoredMembership) -> io::Result<()> {
        self.check_objects(data)?;
        let mut batch = WriteBatch::default();
        self.put_refs(data, &mut batch)?;
        self.put_operations(data, &mut batch)?;
        self.put_tables(data, &mut batch)?;
        let families = data.families()?;
        batch.put_cf(families.meta, APPLIED, self.applied.encode());
        batch.put_cf(
            families.meta,
            MEMBERSHIP,
            record::encode_stored_membership(MEMBERSHIP, membership),
        );
        batch.put_cf(
            families.meta,
            SNAPSHOT,
            record::encode_log_id(SNAPSHOT, self.applied.last),
        );
        batch.put_cf(
            families.meta,
            INSTALLED,
            record::encode_log_id(INSTALLED, self.applied.last),
        );
        data.db
            .write_opt(batch, &WriteOptions::default())
            .map_err(io::Error::other)?;
        data.sync()
    }

    fn check_objects(&self, data: &Data) -> io::Result<()> {
        let head = self.applied.operation.map(|id| Target {
            kind: Kind::Operation,
            id,
        });
        for target in self.refs.values().copied().chain(head) {
            if data
                .store
                .encoding(target.kind, &target.id)
                .map_err(io::Error::other)?
                .is_none()
            {
                return Err(io::Error::other(format!(
                    "the snapshot needs {target}, which is not in the store"
                )));
            }
        }
        Ok(())
    }

    fn put_refs(&self, data: &Data, batch: &mut WriteBatch) -> io::Result<()> {
        let families = data.families()?;
        data.each_ref(&mut |name, _| {
            if !self.refs.contains_key(&name) {
                batch.delete_cf(families.refs, name.as_str());
            }
        })?;
        for (name, target) in &self.refs {
            batch.put_cf(families.refs, name.as_str(), encode_target(*target));
        }
        Ok(())
    }

    /// Follows the chain from the snapshot's newest operation to the first that is here already.
    fn put_operations(&self, data: &Data, batch: &mut WriteBatch) -> io::Result<()> {
        let families = data.families()?;
        let mut next = self.applied.operation;
        while let Some(id) = next {
            let operation: Operation = data.operation_by_id(&id).map_err(io::Error::other)?;
            if data
                .place(operation.sequence)?
                .is_some_and(|place| place.id == id)
            {
                break;
            }
            let place = Place {
                id,
                index: operation.index,
                time_ms: operation.time_ms,
            };
            batch.put_cf(
                families.operations,
                operations::key(operation.sequence),
                place.encode(),
            );
            next = operation.parent;
        }
        Ok(())
    }

    /// Copies requests and rows, and replaces the sessions. What the source has learned since the
    /// snapshot is copied too; the log brings it again, and writes the same.
    fn put_tables(&self, data: &Data, batch: &mut WriteBatch) -> io::Result<()> {
        let families = data.families()?;
        for item in data
            .db
            .iterator_cf(families.sessions, rocksdb::IteratorMode::Start)
        {
            let (key, _) = item.map_err(io::Error::other)?;
            batch.delete_cf(families.sessions, key);
        }
        for (key, value) in self.session_rows()? {
            batch.put_cf(families.sessions, key, value);
        }
        let database = match &self.source {
            Source::Database(database) => database,
            Source::Transfer { born, .. } => return data.put_complete(batch, *born),
        };
        let source = database.families()?;
        for (from, to) in [
            (source.requests, families.requests),
            (source.rows, families.rows),
        ] {
            let mut copied = WriteBatch::default();
            for item in database.db.iterator_cf(from, rocksdb::IteratorMode::Start) {
                let (key, value) = item.map_err(io::Error::other)?;
                copied.put_cf(to, key, value);
                if copied.size_in_bytes() >= BATCH_BYTES_MAX {
                    let full = std::mem::take(&mut copied);
                    data.db
                        .write_opt(full, &WriteOptions::default())
                        .map_err(io::Error::other)?;
                }
            }
            data.db
                .write_opt(copied, &WriteOptions::default())
                .map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Most transfers that are known to be complete; each is of use as long as objects are there that came with it.
const TRANSFERS_MAX: usize = 65_536;

impl Data {
    /// Births of objects whose transfers were completed.
    pub(crate) fn complete_transfers(&self) -> io::Result<Vec<u64>> {
        let Some(bytes) = self.meta(TRANSFERS)? else {
            return Ok(Vec::new());
        };
        let list = record::decode_sealed("transfers", TRANSFERS, &bytes)
            .map_err(|error| super::corrupt(&error))?;
        let numbers = list.chunks_exact(8);
        Ok(numbers
            .filter_map(|number| <[u8; 8]>::try_from(number).ok())
            .map(u64::from_le_bytes)
            .collect())
    }

    /// Adds a transfer to those that are complete.
    fn put_complete(&self, batch: &mut WriteBatch, born: u64) -> io::Result<()> {
        let mut complete = self.complete_transfers()?;
        if complete.contains(&born) {
            return Ok(());
        }
        complete.push(born);
        // One that falls out is looked into again, and that is all.
        let from = complete.len().saturating_sub(TRANSFERS_MAX);
        let list: Vec<u8> = complete
            .iter()
            .skip(from)
            .flat_map(|born| born.to_le_bytes())
            .collect();
        let families = self.families()?;
        batch.put_cf(
            families.meta,
            TRANSFERS,
            record::encode_sealed(TRANSFERS, &list),
        );
        Ok(())
    }

    /// Whether a snapshot was ever made here.
    pub(crate) fn has_snapshot(&self) -> io::Result<bool> {
        self.meta(SNAPSHOT).map(|record| record.is_some())
    }

    /// The newest snapshot that came from elsewhere: until the log is purged up to it, it is ahead of the log.
    pub(crate) fn installed(&self) -> io::Result<Option<LogId>> {
        let Some(record) = self.meta(INSTALLED)? else {
            return Ok(None);
        };
        record::decode_log_id(INSTALLED, &record).map_err(|error| super::corrupt(&error))
    }
}
