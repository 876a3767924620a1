//! What a backup is made of: the newest operation, the chain behind it, and objects by their ids.
//!
//! This is the one place where objects are given by id: whoever makes a backup is an admin of `/`, who may read
//! everything.

use confman_object_store::{Kind, Object, ObjectId, ReadError};

use crate::error::Error;
use crate::session::Session;

/// Most operations that are listed at once.
pub const BACKUP_OPERATIONS_MAX: u64 = 8192;
/// Most objects that are asked for at once.
pub const BACKUP_OBJECTS_MAX: usize = 4096;
/// An answer ends with the object that goes beyond so many bytes.
pub const BACKUP_ANSWER_BYTES: usize = 4 << 20;

/// Where a backup that is begun now ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupHead {
    /// Identity of the cluster.
    pub cluster_id: [u8; 16],
    /// The newest operation.
    pub operation: ObjectId,
    /// Its number.
    pub sequence: u64,
    /// Its log index.
    pub index: u64,
    /// Its time.
    pub time_ms: i64,
}

impl Session {
    /// The newest operation, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Unavailable`] where the node has nothing yet.
    pub fn backup_head(&self) -> Result<BackupHead, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let view = &seen.view;
        let operation = view.operation().ok_or_else(|| Error::Unavailable {
            reason: "the node has got nothing yet".to_owned(),
        })?;
        let node = &self.repo.node;
        let (_, newest) = node
            .operation_at(view.sequence())?
            .ok_or_else(|| Error::bug("the newest operation is not in the table"))?;
        Ok(BackupHead {
            cluster_id: node.status().cluster_id,
            operation,
            sequence: view.sequence(),
            index: newest.index,
            time_ms: newest.time_ms,
        })
    }

    /// The operations after a number, in order, at most [`BACKUP_OPERATIONS_MAX`]; for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Corrupt`].
    pub fn backup_operations(&self, after: u64) -> Result<Vec<ObjectId>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let upto = after
            .saturating_add(BACKUP_OPERATIONS_MAX)
            .min(seen.view.sequence());
        let mut operations = Vec::new();
        for sequence in after.saturating_add(1)..=upto {
            let id =
                self.repo.node.operation_id_at(sequence)?.ok_or_else(|| {
                    Error::bug(format!("operation {sequence} is not in the table"))
                })?;
            operations.push(id);
        }
        Ok(operations)
    }

    /// Objects in the order in which they are asked for, read past all caches and hashed; as many as go into one
    /// answer. For an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Corrupt`] where one is missing or damaged.
    pub fn backup_objects(&self, wanted: &[(Kind, ObjectId)]) -> Result<Vec<Object>, Error> {
        self.look()?.permit_administrator()?;
        let mut objects = Vec::new();
        let mut bytes = 0;
        for (kind, id) in wanted.iter().take(BACKUP_OBJECTS_MAX) {
            let found = self.repo.node.store().read_from_backend(*kind, id)?;
            let object = found.ok_or(ReadError::Missing {
                kind: *kind,
                id: *id,
            })?;
            bytes += object.bytes().len();
            objects.push(object);
            if bytes >= BACKUP_ANSWER_BYTES {
                break;
            }
        }
        Ok(objects)
    }
}
