//! What is here of a state that is being got: looked through, compared with what the state has, and added to.

use std::collections::HashSet;
use std::io;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;
use confman_object_store::{Encoded, Object, ObjectBackend, ReadObjects, Stored};
use rocksdb::WriteBatch;

use super::message::Digest;
use super::receiving::Receiving;
use super::sending::OBJECTS_MAX;
use super::table::{Table, digest_here};
use super::{Wanted, children, is_whole};
use crate::data::apply::Applier;

/// Most digests whose rows are asked for together.
const RANGES_MAX: usize = 256;
/// About how many bytes are written in one batch.
const BATCH_BYTES: usize = 4 << 20;

/// What is taken for whole of what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whatever did not come with a transfer that did not end.
    Whole,
    /// Nothing: everything is read, down to the leaves.
    Nothing,
}

/// What is known after a look at objects that are to be there.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) missing: Vec<Wanted>,
    pub(super) waiting: Vec<Wanted>,
    pub(super) seen: HashSet<Wanted>,
    pub(super) fetched: u64,
}

impl Receiving {
    /// Who holds this is the one writer of objects: nothing is applied meanwhile.
    fn writer(&self) -> MutexGuard<'_, Applier> {
        self.applier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, _writer: &Applier, batch: WriteBatch) -> io::Result<()> {
        self.data.db.write(batch).map_err(io::Error::other)
    }

    fn put(&self, writer: &Applier, objects: &[Encoded], born: u64) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        self.data
            .backend
            .put_into(&mut batch, objects, born)
            .map_err(io::Error::other)?;
        self.write(writer, batch)
    }

    /// Puts an object that could not be read in place again.
    pub(crate) fn put_again(&self, object: &Object) -> io::Result<()> {
        let writer = self.writer();
        let born = writer.applied.last.map_or(0, |last| last.index);
        self.put(&writer, &[Encoded::new(object)], born)
    }

    /// Looks at objects until enough are missing to ask for, or all was looked at. What is here and whole
    /// ends the descent; what is here and came with a transfer that did not end is descended into.
    pub(super) fn look(&self, mut looked: Looked, born: u64, trust: Trust) -> io::Result<Looked> {
        let complete = self.data.complete_transfers()?;
        let mut again = Vec::new();
        while looked.missing.len() < OBJECTS_MAX {
            let Some((kind, id)) = looked.waiting.pop() else {
                break;
            };
            if !looked.seen.insert((kind, id)) {
                continue;
            }
            let stored = match self.data.backend.get(kind, &id) {
                Ok(stored) => stored,
                Err(confman_object_store::BackendError::Corrupt { .. }) => None,
                Err(error) => return Err(io::Error::other(error)),
            };
            let whole = |stored: &Stored| is_whole(stored.born, &complete);
            if trust == Trust::Whole && stored.as_ref().is_some_and(whole) {
                continue;
            }
            // What cannot be read is fetched like what is not there.
            let bytes = match &stored {
                Some(_) => match trust {
                    Trust::Whole => self.data.store.try_read(kind, &id).ok().flatten(),
                    Trust::Nothing => {
                        let read = self.data.store.read_from_backend(kind, &id);
                        read.ok().flatten().map(|object| object.bytes().clone())
                    }
                },
                None => None,
            };
            let (Some(stored), Some(bytes)) = (stored, bytes) else {
                looked.missing.push((kind, id));
                continue;
            };
            looked
                .waiting
                .extend(children(kind, &bytes).map_err(io::Error::other)?);
            if trust == Trust::Whole && stored.born != born {
                again.push(Encoded::new(&Object::new(kind, bytes)));
            }
        }
        // An object of a transfer that was given up is of this one from now on.
        self.put(&self.writer(), &again, born)?;
        Ok(looked)
    }

    /// Keeps objects and tells what they refer to.
    pub(super) fn keep(&self, objects: Vec<Object>, born: u64) -> io::Result<Vec<Wanted>> {
        let mut refers = Vec::new();
        let mut encoded = Vec::with_capacity(objects.len());
        for object in &objects {
            refers.extend(children(object.kind(), object.bytes()).map_err(io::Error::other)?);
            encoded.push(Encoded::new(object));
        }
        self.put(&self.writer(), &encoded, born)?;
        Ok(refers)
    }

    /// The ranges in which a table here differs from digests, neighbours together: after which key, up to
    /// which, and the keys here.
    pub(super) fn compare(
        &self,
        table: Table,
        mut after: Bytes,
        digests: Vec<Digest>,
    ) -> io::Result<Vec<(Bytes, Bytes, Vec<Bytes>)>> {
        let mut ranges: Vec<(Bytes, Bytes, Vec<Bytes>)> = Vec::new();
        let mut together = 0;
        for digest in digests {
            let (hash, keys) = digest_here(&self.data, table, &after, &digest.last)?;
            let from = std::mem::replace(&mut after, digest.last.clone());
            if hash == digest.hash {
                continue;
            }
            together += 1;
            match ranges.last_mut() {
                Some((_, upto, known)) if *upto == from && together < RANGES_MAX => {
                    *upto = digest.last;
                    known.extend(keys);
                }
                _ => {
                    together = 0;
                    ranges.push((from, digest.last, keys));
                }
            }
        }
        Ok(ranges)
    }

    /// Replaces rows here by those of the state.
    pub(super) fn replace(
        &self,
        table: Table,
        keys: Vec<Bytes>,
        rows: Vec<(Bytes, Bytes)>,
    ) -> io::Result<()> {
        let families = self.data.families()?;
        let family = match table {
            Table::Requests => families.requests,
            Table::Rows => families.rows,
            Table::Refs | Table::Sessions => {
                return Err(io::Error::other("refs and sessions are installed last"));
            }
        };
        let kept: HashSet<&Bytes> = rows.iter().map(|(key, _)| key).collect();
        let mut batch = WriteBatch::default();
        for key in keys.iter().filter(|key| !kept.contains(key)) {
            batch.delete_cf(family, key);
        }
        for (key, value) in &rows {
            batch.put_cf(family, key, value);
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.write(&self.writer(), std::mem::take(&mut batch))?;
            }
        }
        self.write(&self.writer(), batch)
    }
}
