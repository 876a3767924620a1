//! What a backup is made from: a server, or a node that is open here.

use confman_object_store::{Kind, Object, ObjectId};
use confman_repo::Session;

/// Why a store did not give what was asked of it.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Where a backup ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
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

impl Head {
    /// Reads what a server says of itself.
    ///
    /// # Errors
    /// Identity or id are none.
    pub fn from_text(
        cluster_id: &str,
        operation: &str,
        sequence: u64,
        index: u64,
        time_ms: i64,
    ) -> Result<Self, SourceError> {
        let cluster = data_encoding::HEXLOWER.decode(cluster_id.as_bytes())?;
        Ok(Self {
            cluster_id: cluster
                .try_into()
                .map_err(|_| format!("`{cluster_id}` is no identity of a cluster"))?,
            operation: operation.parse()?,
            sequence,
            index,
            time_ms,
        })
    }
}

/// A store that can be asked. What it gives is not trusted: an object is what its bytes hash to.
pub trait Source {
    /// The newest operation.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn head(&self) -> Result<Head, SourceError>;

    /// Some of the operations after a number, in order; at least the first of them.
    ///
    /// # Errors
    /// The store cannot be asked, or is damaged.
    fn operations(&self, after: u64) -> Result<Vec<ObjectId>, SourceError>;

    /// The first of these objects, in order; at least one.
    ///
    /// # Errors
    /// The store cannot be asked, or lacks one.
    fn objects(&self, wanted: &[(Kind, ObjectId)]) -> Result<Vec<Object>, SourceError>;
}

/// Of an admin of `/`.
impl Source for Session {
    fn head(&self) -> Result<Head, SourceError> {
        let head = self.backup_head()?;
        Ok(Head {
            cluster_id: head.cluster_id,
            operation: head.operation,
            sequence: head.sequence,
            index: head.index,
            time_ms: head.time_ms,
        })
    }

    fn operations(&self, after: u64) -> Result<Vec<ObjectId>, SourceError> {
        Ok(self.backup_operations(after)?)
    }

    fn objects(&self, wanted: &[(Kind, ObjectId)]) -> Result<Vec<Object>, SourceError> {
        Ok(self.backup_objects(wanted)?)
    }
}
