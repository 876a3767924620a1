//! Objects of a change that is being evaluated, over those of the store.

use std::sync::Arc;

use bytes::Bytes;
use confman_object_store::tree::Page;
use confman_object_store::{Commit, Encoding, Kind, ObjectId, ReadError, ReadObjects, Stage};

/// New objects over those that are there.
pub(crate) struct Stack<'a> {
    pub new: &'a Stage,
    pub reader: &'a Stage,
}

impl ReadObjects for Stack<'_> {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        match self.new.try_read(kind, id)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.reader.try_read(kind, id),
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        match self.new.page(id) {
            Err(ReadError::Missing { .. }) => self.reader.page(id),
            answer => answer,
        }
    }

    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        self.new.encoding(kind, id)
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        self.new.commit(id)
    }
}
