//! Requests that took effect, so that asking again gives the same answer.
//!
//! Whether one is still remembered is decided by its place and time alone, not by whether its row is
//! still there: rows go later, whenever that is convenient, and nodes answer alike all the same.
//!
//! A request that was refused had no effect and is not remembered; it may be asked again with another
//! body.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use rocksdb::WriteBatch;

use super::{Data, Families, corrupt};
use crate::cursor::Cursor;
use crate::transaction::{Committed, RequestId};

/// How long a request is remembered, measured in the time of operations.
pub const REQUEST_REMEMBERED_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How many requests are remembered.
pub const REQUESTS_REMEMBERED_MAX: u64 = 1 << 20;

/// Rows are removed when they are this many times as old as they are of use; so a snapshot that is
/// a little behind still finds all that it covers.
const REMOVED_AFTER: u8 = 2;
/// Rows that are looked at together.
const OLDEST_MAX: usize = 1024;
/// Rows that are removed with one operation.
const REMOVED_MAX: usize = 4;

const BY_ID: u8 = b'i';
const BY_ORDER: u8 = b'o';

/// A request that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// How many were remembered before it.
    pub(crate) order: u64,
    /// Hash of its body.
    pub(crate) body: [u8; 32],
    /// Its answer.
    pub(crate) committed: Committed,
}

impl Remembered {
    /// Whether it counts at an operation of this time, when `requests` have ever been remembered. One that came
    /// with a snapshot from a node that was further on does not: its entry is still to be applied here.
    pub(crate) const fn counts(&self, time_ms: i64, requests: u64) -> bool {
        let recent =
            self.order < requests && self.order.saturating_add(REQUESTS_REMEMBERED_MAX) >= requests;
        recent && time_ms.saturating_sub(self.committed.time_ms) <= REQUEST_REMEMBERED_MS
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.body);
        out.extend_from_slice(self.committed.operation.as_bytes());
        out.extend_from_slice(&self.committed.index.to_le_bytes());
        out.extend_from_slice(&self.committed.term.to_le_bytes());
        out.extend_from_slice(&self.committed.time_ms.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &Bytes) -> io::Result<Self> {
        let mut cursor = Cursor::new(bytes, "remembered request");
        let mut read = || {
            let remembered = Self {
                order: cursor.u64()?,
                body: cursor.array()?,
                committed: Committed {
                    operation: cursor.id()?,
                    index: cursor.u64()?,
                    term: cursor.u64()?,
                    time_ms: cursor.i64()?,
                },
            };
            cursor.end().map(|()| remembered)
        };
        read().map_err(|error| corrupt(&error))
    }

    /// Adds its rows to a batch.
    pub(crate) fn put(&self, families: &Families<'_>, batch: &mut WriteBatch, request: RequestId) {
        batch.put_cf(families.requests, id_key(request), self.encode());
        let mut order = [0; 24];
        let (id, time) = order.split_at_mut(16);
        id.copy_from_slice(&request.0);
        time.copy_from_slice(&self.committed.time_ms.to_le_bytes());
        batch.put_cf(families.requests, order_key(self.order), order);
    }
}

fn id_key(request: RequestId) -> [u8; 17] {
    let mut key = [BY_ID; 17];
    if let Some(id) = key.last_chunk_mut::<16>() {
        *id = request.0;
    }
    key
}

fn order_key(order: u64) -> [u8; 9] {
    let mut key = [BY_ORDER; 9];
    if let Some(place) = key.last_chunk_mut::<8>() {
        *place = order.to_be_bytes();
    }
    key
}

impl Data {
    /// What is known of a request, whether it still counts or not.
    pub(crate) fn remembered(&self, request: RequestId) -> io::Result<Option<Remembered>> {
        let families = self.families()?;
        match self
            .db
            .get_cf(families.requests, id_key(request))
            .map_err(io::Error::other)?
        {
            None => Ok(None),
            Some(bytes) => Remembered::decode(&bytes.into()).map(Some),
        }
    }
}

/// The oldest rows, to be removed in time.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    rows: VecDeque<(u64, RequestId, i64)>,
    /// No row before this one is left.
    first: u64,
}

impl Oldest {
    /// Looks for the oldest rows on disk where none are known. `requests` have ever been remembered.
    pub(crate) fn refill(&mut self, data: &Data, requests: u64) -> io::Result<()> {
        if !self.rows.is_empty() || self.first >= requests {
            return Ok(());
        }
        let families = data.families()?;
        let from = order_key(self.first);
        let mode = rocksdb::IteratorMode::From(&from, rocksdb::Direction::Forward);
        for item in data
            .db
            .iterator_cf(families.requests, mode)
            .take(OLDEST_MAX)
        {
            let (key, value) = item.map_err(io::Error::other)?;
            let order = key
                .strip_prefix(&[BY_ORDER])
                .and_then(|order| <[u8; 8]>::try_from(order).ok());
            let row = value
                .split_first_chunk::<16>()
                .and_then(|(id, time)| Some((*id, <[u8; 8]>::try_from(time).ok()?)));
            if let (Some(order), Some((id, time))) = (order, row) {
                self.rows.push_back((
                    u64::from_be_bytes(order),
                    RequestId(id),
                    i64::from_le_bytes(time),
                ));
            }
        }
        if self.rows.is_empty() {
            self.first = requests;
        }
        Ok(())
    }

    /// Removes a few rows that have been of no use for long.
    pub(crate) fn remove(
        &mut self,
        families: &Families<'_>,
        batch: &mut WriteBatch,
        time_ms: i64,
        requests: u64,
    ) {
        for _ in 0..REMOVED_MAX {
            let Some((order, request, then_ms)) = self.rows.front().copied() else {
                return;
            };
            let crowded =
                order.saturating_add(REQUESTS_REMEMBERED_MAX * u64::from(REMOVED_AFTER)) < requests;
            let old =
                time_ms.saturating_sub(then_ms) > REQUEST_REMEMBERED_MS * i64::from(REMOVED_AFTER);
            if !crowded && !old {
                return;
            }
            batch.delete_cf(families.requests, id_key(request));
            batch.delete_cf(families.requests, order_key(order));
            self.rows.pop_front();
            self.first = order + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use confman_object_store::ObjectId;

    use super::*;

    #[test]
    fn request_counts_until_it_is_too_old_or_too_many_came_after_it() {
        let operation = ObjectId::from_bytes([0; 32]);
        let committed = Committed {
            operation,
            index: 1,
            term: 1,
            time_ms: 1000,
        };
        let remembered = Remembered {
            order: 5,
            body: [0; 32],
            committed,
        };
        assert!(remembered.counts(1000 + REQUEST_REMEMBERED_MS, 6));
        assert!(!remembered.counts(1001 + REQUEST_REMEMBERED_MS, 6));
        assert!(remembered.counts(1000, 5 + REQUESTS_REMEMBERED_MAX));
        assert!(!remembered.counts(1000, 6 + REQUESTS_REMEMBERED_MAX));
        assert!(!remembered.counts(1000, 5), "it is of the future");
    }
}
