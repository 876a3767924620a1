//! The tables of a state: read in order, compared by digests.

use std::io;

use bytes::Bytes;
use rocksdb::{ColumnFamily, Direction, IteratorMode};

use super::message::Digest;
use crate::data::snapshot::Handle;
use crate::data::{Data, encode_target, scan_options};

/// Rows that one digest stands for.
const DIGEST_ROWS: usize = 64;

/// A table that is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Refs = 0,
    Requests = 1,
    Rows = 2,
    Sessions = 3,
}

impl Table {
    pub(crate) const ALL: [Self; 4] = [Self::Refs, Self::Requests, Self::Rows, Self::Sessions];
}

type Row = (Bytes, Bytes);
/// Says whether to go on.
type Visit<'a> = dyn FnMut(Row) -> bool + 'a;

/// Calls `visit` with the rows of a table here, after a key and up to another one (empty: all).
pub(super) fn each_here(
    data: &Data,
    table: Table,
    after: &[u8],
    upto: &[u8],
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let families = data.families()?;
    let family: &ColumnFamily = match table {
        Table::Refs => families.refs,
        Table::Requests => families.requests,
        Table::Rows => families.rows,
        Table::Sessions => families.sessions,
    };
    let mode = match after.is_empty() {
        true => IteratorMode::Start,
        false => IteratorMode::From(after, Direction::Forward),
    };
    for item in data.db.iterator_cf_opt(family, scan_options(), mode) {
        let (key, value) = item.map_err(io::Error::other)?;
        if *key == *after && !after.is_empty() {
            continue;
        }
        if !upto.is_empty() && *key > *upto {
            return Ok(());
        }
        if !visit((key.into_vec().into(), value.into_vec().into())) {
            return Ok(());
        }
    }
    Ok(())
}

/// The same, of a state that is offered: refs and sessions as they were then. What the other tables have
/// learned since is there too; it does no harm, because the log brings it again.
pub(super) fn each_offered(
    handle: &Handle,
    table: Table,
    after: &[u8],
    upto: &[u8],
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let within = |key: &[u8]| (after.is_empty() || key > after) && (upto.is_empty() || key <= upto);
    match table {
        Table::Refs => {
            for (name, target) in handle.refs() {
                let key = name.as_str().as_bytes();
                if within(key)
                    && !visit((Bytes::copy_from_slice(key), encode_target(*target).into()))
                {
                    return Ok(());
                }
            }
            Ok(())
        }
        Table::Sessions => {
            for (key, value) in handle.session_rows()? {
                if within(&key) && !visit((key, value)) {
                    return Ok(());
                }
            }
            Ok(())
        }
        Table::Requests | Table::Rows => {
            let Some(data) = handle.database() else {
                return Err(io::Error::other("a state that was received is not offered"));
            };
            each_here(data, table, after, upto, visit)
        }
    }
}

/// Makes digests of rows that come in order.
#[derive(Default)]
pub(super) struct Digesting {
    hasher: blake3::Hasher,
    rows: usize,
    last: Bytes,
    pub(super) digests: Vec<Digest>,
}

impl Digesting {
    pub(super) fn add(&mut self, (key, value): &Row) {
        for part in [key, value] {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
        self.rows += 1;
        self.last = key.clone();
        if self.rows == DIGEST_ROWS {
            self.finish();
        }
    }

    /// Ends the digest that is under way.
    pub(super) fn finish(&mut self) {
        if self.rows > 0 {
            self.digests.push(Digest {
                last: std::mem::take(&mut self.last),
                hash: hash(&self.hasher),
            });
            self.hasher.reset();
            self.rows = 0;
        }
    }
}

fn hash(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

/// The digest of the rows here after a key and up to another one, and their keys.
pub(super) fn digest_here(
    data: &Data,
    table: Table,
    after: &[u8],
    upto: &[u8],
) -> io::Result<([u8; 16], Vec<Bytes>)> {
    let mut hasher = blake3::Hasher::new();
    let mut keys = Vec::new();
    each_here(data, table, after, upto, &mut |(key, value)| {
        for part in [&key, &value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        keys.push(key);
        true
    })?;
    Ok((hash(&hasher), keys))
}
