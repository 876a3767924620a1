//! Rows of derived indexes: key `table | prefix | !index BE | suffix`.

use std::io;

use rocksdb::WriteBatch;

use super::Data;
use crate::row::{IndexRow, RowRange, StoredRow};

/// Bytes of the index in a key.
const INDEX_BYTES: usize = 8;

/// The key of a row; newest operation first.
pub(crate) fn key(row: &IndexRow, index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + row.prefix.len() + INDEX_BYTES + row.suffix.len());
    key.push(row.table);
    key.extend_from_slice(&row.prefix);
    key.extend_from_slice(&(!index).to_be_bytes());
    key.extend_from_slice(&row.suffix);
    key
}

impl Data {
    /// Every row of a table: its key without the table, and its value.
    pub(crate) fn each_row(
        &self,
        table: u8,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let families = self.families()?;
        let mut options = super::scan_options();
        options.set_iterate_lower_bound([table]);
        options.set_iterate_upper_bound([table.saturating_add(1)]);
        for item in self
            .db
            .iterator_cf_opt(families.rows, options, rocksdb::IteratorMode::Start)
        {
            let (key, value) = item.map_err(io::Error::other)?;
            visit(key.get(1..).unwrap_or_default(), &value);
        }
        Ok(())
    }

    /// Removes every row of a table.
    pub(crate) fn clear_rows(&self, table: u8) -> io::Result<()> {
        let families = self.families()?;
        let mut batch = WriteBatch::default();
        let mut keys = Vec::new();
        self.each_row(table, &mut |key, _| {
            let mut whole = vec![table];
            whole.extend_from_slice(key);
            keys.push(whole);
        })?;
        for key in keys {
            batch.delete_cf(families.rows, key);
        }
        self.db.write(batch).map_err(io::Error::other)
    }

    /// Writes rows of the operation at a log index.
    pub(crate) fn put_rows(&self, index: u64, rows: &[IndexRow]) -> io::Result<()> {
        let families = self.families()?;
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.put_cf(families.rows, key(row, index), &row.value);
        }
        self.db.write(batch).map_err(io::Error::other)
    }

    /// Removes the row at a place, as [`Self::each_row`] shows it.
    pub(crate) fn remove_row(&self, table: u8, place: &[u8]) -> io::Result<()> {
        let key = [&[table], place].concat();
        let removed = self.db.delete_cf(self.families()?.rows, key);
        removed.map_err(io::Error::other)
    }

    /// Rows with exactly this prefix, newest operation first.
    pub(crate) fn rows(&self, range: &RowRange) -> io::Result<Vec<StoredRow>> {
        let families = self.families()?;
        let mut place = Vec::with_capacity(1 + range.prefix.len() + INDEX_BYTES + 32);
        place.push(range.table);
        place.extend_from_slice(&range.prefix);
        let prefix_bytes = place.len();
        match &range.after {
            Some((index, suffix)) if *index <= range.index_max => {
                place.extend_from_slice(&(!index).to_be_bytes());
                place.extend_from_slice(suffix);
                // The next key after this one.
                place.push(0);
            }
            _ => place.extend_from_slice(&(!range.index_max).to_be_bytes()),
        }
        let mut rows = Vec::new();
        let mode = rocksdb::IteratorMode::From(&place, rocksdb::Direction::Forward);
        for item in self.db.iterator_cf(families.rows, mode) {
            if rows.len() >= range.limit {
                break;
            }
            let (key, value) = item.map_err(io::Error::other)?;
            if key.get(..prefix_bytes) != place.get(..prefix_bytes) {
                break;
            }
            let Some((index, suffix)) = key
                .get(prefix_bytes..)
                .and_then(<[u8]>::split_first_chunk::<INDEX_BYTES>)
            else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "data/: a row of table {} has a key that is too short",
                        range.table
                    ),
                ));
            };
            rows.push(StoredRow {
                index: !u64::from_be_bytes(*index),
                prefix: range.prefix.clone(),
                suffix: suffix.to_vec(),
                value: value.into_vec(),
            });
        }
        Ok(rows)
    }
}
