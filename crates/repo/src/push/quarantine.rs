//! A pack that arrived, before anything of it is believed.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use confman_model::ValueLimits;
use confman_object_store::pack::{PackLimits, admit};
use confman_object_store::tree::Page;
use confman_object_store::{
    Commit, Encoding, Kind, MemoryBackend, Object, ObjectId, ReadError, ReadObjects, Stage, Store,
};

use crate::error::Error;
use crate::stack::Stack;

/// A pack that was hashed and decoded strictly, and of which nothing is believed yet.
#[derive(Debug)]
pub(super) struct Quarantine {
    /// On top of an empty store: reads nothing but the pack.
    pub(super) stage: Stage,
    pub(super) ids: HashSet<(Kind, ObjectId)>,
}

impl Quarantine {
    pub(super) fn admit<R: Read>(pack: R, limits: &ValueLimits) -> Result<Self, Error> {
        let nothing = Arc::new(Store::new(Arc::new(MemoryBackend::default()), 0));
        let blob_bytes_max = u32::try_from(limits.value_bytes_max).unwrap_or(u32::MAX);
        let pack_limits = PackLimits {
            blob_bytes_max,
            ..PackLimits::default()
        };
        // Links are followed commit by commit later, where it is known what the sender may refer to.
        let admitted = admit(pack, &pack_limits, &*nothing, &|_, _| true).map_err(Error::Pack)?;
        let mut quarantine = Self {
            stage: Stage::new(nothing),
            ids: HashSet::new(),
        };
        for object in admitted.objects {
            if !matches!(
                object.kind(),
                Kind::Blob | Kind::Meta | Kind::Page | Kind::Commit
            ) {
                let detail = format!(
                    "it holds a {}; blobs, metas, pages and commits are allowed",
                    object.kind()
                );
                return Err(Error::invalid("pack", detail));
            }
            quarantine.ids.insert((object.kind(), object.id()));
            quarantine.stage.put(object, None);
        }
        Ok(quarantine)
    }

    pub(super) fn has(&self, kind: Kind, id: &ObjectId) -> bool {
        self.ids.contains(&(kind, *id))
    }

    pub(super) fn object(&self, kind: Kind, id: &ObjectId) -> Result<Option<Object>, Error> {
        Ok(self
            .stage
            .try_read(kind, id)?
            .map(|bytes| Object::new(kind, bytes)))
    }
}

/// The pack over what is there and what is staged.
pub(super) struct Layered<'a> {
    pub(super) pack: &'a Quarantine,
    pub(super) below: &'a Stack<'a>,
}

impl ReadObjects for Layered<'_> {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        if self.pack.has(kind, id) {
            self.pack.stage.try_read(kind, id)
        } else {
            self.below.try_read(kind, id)
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        if self.pack.has(Kind::Page, id) {
            self.pack.stage.page(id)
        } else {
            self.below.page(id)
        }
    }

    fn encoding(&self, kind: Kind, id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        self.below.encoding(kind, id)
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        if self.pack.has(Kind::Commit, id) {
            self.pack.stage.commit(id)
        } else {
            self.below.commit(id)
        }
    }
}
