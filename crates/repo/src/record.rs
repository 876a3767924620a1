//! Records whose body is a JSON document: principals, groups, tokens, issuers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use confman_object_store::{ObjectId, Record};
use confman_refs::{RefName, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entry::Stamp;
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::repo::Repo;

/// Most documents of one type kept decoded.
const DECODED_MAX: usize = 16_384;

/// A document that is the body of records of one type.
pub(crate) trait RecordDocument: Serialize + DeserializeOwned {
    /// The type of the records.
    const TYPE: &'static str;
}

/// A version of a document: what it says, in which record, written when and by whom.
#[derive(Debug)]
pub(crate) struct Written<T> {
    pub id: ObjectId,
    pub document: T,
    pub stamp: Stamp,
}

/// Documents that were read before. A record never changes, so nothing in here goes stale.
#[derive(Debug)]
pub(crate) struct Decoded<T>(Mutex<HashMap<ObjectId, Arc<Written<T>>>>);

impl<T> Default for Decoded<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: RecordDocument> Decoded<T> {
    /// The document that a ref points at.
    pub fn get(&self, repo: &Repo, target: Target) -> Result<Arc<Written<T>>, Error> {
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&target.id)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (id, record) = repo.read_record(target)?;
        if record.record_type != T::TYPE {
            return Err(Error::bug(format!(
                "a record of type `{}` where a {} must be",
                record.record_type,
                T::TYPE
            )));
        }
        let document = serde_json::from_slice(&record.body)
            .map_err(|error| Error::bug(format!("the record of a {}: {error}", T::TYPE)))?;
        let written = Arc::new(Written {
            id,
            document,
            stamp: Stamp {
                at_ms: record.time_ms,
                by: record.actor,
            },
        });
        let mut decoded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if decoded.len() >= DECODED_MAX {
            decoded.clear();
        }
        decoded.insert(id, Arc::clone(&written));
        Ok(written)
    }
}

impl Evaluation<'_> {
    /// Stages a document as the next version of what a ref points at, and moves the ref to it.
    pub fn put_record_document<T: RecordDocument>(
        &mut self,
        name: RefName,
        document: &T,
    ) -> Result<ObjectId, Error> {
        let body = serde_json::to_vec(document).map_err(Error::bug)?;
        let record = Record {
            record_type: T::TYPE.to_owned(),
            previous: self.get(&name).map(|target| target.id),
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: Bytes::from(body),
            links: Vec::new(),
            unknown: Vec::new(),
        };
        self.set_record(name, &record)
    }
}
