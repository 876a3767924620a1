//! Which commit a revision means.

use confman_model::{Namespace, Revision};
use confman_object_store::ObjectId;

use crate::error::Error;
use crate::session::Session;

/// What a revision of a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRevision {
    /// Of which namespace.
    pub namespace: Namespace,
    /// As asked for.
    pub revision: Revision,
    /// The commit; `None` for `published` where nothing is.
    pub commit: Option<ObjectId>,
    /// Root of its tree; of the empty tree where there is no commit.
    pub tree: ObjectId,
    /// Its place on the published line, from 1; `None` where it is not on it.
    pub position: Option<u64>,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Finds what a revision means.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AmbiguousPrefix`], [`Error::Invalid`] for a time that cannot be read.
    pub fn resolve(&self, _namespace: &Namespace, _revision: &Revision) -> Result<ResolvedRevision, Error> { todo!() }
}
