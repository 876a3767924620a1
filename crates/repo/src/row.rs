//! The bytes of derived index rows. `docs/FORMAT-layout.md` has every byte.

use confman_object_store::ObjectId;
use confman_object_store::tree::{Leaf, LeafValue};
use confman_refs::IndexRow;

use crate::error::Error;
use crate::life::{LifeChange, LineName};

/// Versions of a key: one row for each commit of a line that changed it.
pub(crate) const HISTORY: u8 = 1;
/// The commit at each position of a line.
pub(crate) const POSITION: u8 = 2;
/// The position of each commit of a line.
pub(crate) const COMMIT: u8 = 3;
/// What a request with an idempotency key came to.
pub(crate) const REQUEST: u8 = 4;
/// When the lives of a namespace began and ended.
pub(crate) const LIFE: u8 = 5;

const REMOVED: u8 = 0;
const INLINE: u8 = 1;
const BLOB: u8 = 2;
const WITH_META: u8 = 0x10;

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryRow {
    /// Place on the line of the commit that made it.
    pub position: u64,
    /// From 1; removals count.
    pub version: u64,
    /// Place of the commit that made version 1.
    pub created: u64,
    /// What the key led to from then on; `None` for a removal.
    pub leaf: Option<Leaf>,
}

/// A commit of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PositionRow {
    /// Which.
    pub commit: ObjectId,
    /// The latest commit time up to here, so that it never falls along the line.
    pub effective_ms: i64,
}

/// What rows about a line and something else begin with: the ref, and the life of its namespace, so that
/// rows of a namespace that was deleted are never taken for those of one made again at its path.
fn about(name: &LineName, rest: &[u8]) -> Vec<u8> {
    let ref_name = name.ref_name.as_str().as_bytes();
    let mut prefix = Vec::with_capacity(ref_name.len() + 34 + rest.len());
    prefix.extend_from_slice(ref_name);
    prefix.push(0);
    prefix.extend_from_slice(name.life.as_bytes());
    prefix.extend_from_slice(rest);
    prefix
}

pub(crate) fn history_prefix(name: &LineName, key: &[u8]) -> Vec<u8> {
    let mut prefix = about(name, key);
    prefix.push(0);
    prefix
}

/// Orders the rows of one operation newest first.
pub(crate) fn history_suffix(position: u64) -> Vec<u8> {
    (!position).to_be_bytes().to_vec()
}

pub(crate) fn position_prefix(name: &LineName, position: u64) -> Vec<u8> {
    about(name, &position.to_be_bytes())
}

pub(crate) fn commit_prefix(name: &LineName, commit: &ObjectId) -> Vec<u8> {
    about(name, commit.as_bytes())
}

impl HistoryRow {
    pub(crate) fn to_row(&self, name: &LineName, key: &[u8]) -> IndexRow {
        let mut value = Vec::with_capacity(64);
        value.extend_from_slice(&self.version.to_le_bytes());
        value.extend_from_slice(&self.created.to_le_bytes());
        write_leaf(&mut value, self.leaf.as_ref());
        IndexRow {
            table: HISTORY,
            prefix: history_prefix(name, key),
            suffix: history_suffix(self.position),
            value,
        }
    }

    pub(crate) fn read(suffix: &[u8], value: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::bug("a row of a key's history is malformed");
        let not_position: [u8; 8] = suffix.try_into().map_err(|_| damaged())?;
        let (version, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (created, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        Ok(Self {
            position: !u64::from_be_bytes(not_position),
            version: u64::from_le_bytes(*version),
            created: u64::from_le_bytes(*created),
            leaf: read_leaf(rest).ok_or_else(damaged)?,
        })
    }
}

fn write_leaf(out: &mut Vec<u8>, leaf: Option<&Leaf>) {
    let Some(leaf) = leaf else {
        out.push(REMOVED);
        return;
    };
    let form = if matches!(leaf.value, LeafValue::Inline(_)) {
        INLINE
    } else {
        BLOB
    };
    out.push(form | if leaf.meta.is_some() { WITH_META } else { 0 });
    out.push(leaf.entry_type);
    out.push(leaf.flags);
    if let Some(meta) = &leaf.meta {
        out.extend_from_slice(meta.as_bytes());
    }
    match &leaf.value {
        LeafValue::Inline(bytes) => out.extend_from_slice(bytes),
        LeafValue::Blob { id, size } => {
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(&size.to_le_bytes());
        }
    }
}

#[expect(
    clippy::option_option,
    reason = "the outer level is malformed, the inner a removal"
)]
fn read_leaf(bytes: &[u8]) -> Option<Option<Leaf>> {
    let (&form, rest) = bytes.split_first()?;
    if form == REMOVED {
        return rest.is_empty().then_some(None);
    }
    let (&[entry_type, flags], mut rest) = rest.split_first_chunk::<2>()?;
    let mut meta = None;
    if form & WITH_META != 0 {
        let (id, after) = rest.split_first_chunk::<32>()?;
        meta = Some(ObjectId::from_bytes(*id));
        rest = after;
    }
    let value = match form & !WITH_META {
        INLINE => LeafValue::Inline(rest.into()),
        BLOB => {
            let (id, size) = rest.split_first_chunk::<32>()?;
            LeafValue::Blob {
                id: ObjectId::from_bytes(*id),
                size: u32::from_le_bytes(size.try_into().ok()?),
            }
        }
        _ => return None,
    };
    Some(Some(Leaf {
        entry_type,
        flags,
        value,
        meta,
    }))
}

impl PositionRow {
    pub(crate) fn to_row(self, name: &LineName, position: u64) -> IndexRow {
        let mut value = self.commit.as_bytes().to_vec();
        value.extend_from_slice(&self.effective_ms.to_le_bytes());
        IndexRow {
            table: POSITION,
            prefix: position_prefix(name, position),
            suffix: Vec::new(),
            value,
        }
    }

    pub(crate) fn read(value: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::bug("a row of a line is malformed");
        let (commit, rest) = value.split_first_chunk::<32>().ok_or_else(damaged)?;
        let effective_ms = i64::from_le_bytes(rest.try_into().map_err(|_| damaged())?);
        Ok(Self {
            commit: ObjectId::from_bytes(*commit),
            effective_ms,
        })
    }
}

pub(crate) fn commit_row(name: &LineName, commit: &ObjectId, position: u64) -> IndexRow {
    let value = position.to_le_bytes().to_vec();
    IndexRow {
        table: COMMIT,
        prefix: commit_prefix(name, commit),
        suffix: Vec::new(),
        value,
    }
}

pub(crate) fn read_commit_row(value: &[u8]) -> Result<u64, Error> {
    let bytes = value
        .try_into()
        .map_err(|_| Error::bug("a row of a line's commit is malformed"))?;
    Ok(u64::from_le_bytes(bytes))
}

impl LifeChange {
    /// The row that a namespace's life began or ended.
    pub(crate) fn to_row(self, policy: &LineName) -> IndexRow {
        IndexRow {
            table: LIFE,
            prefix: life_prefix(policy),
            suffix: Vec::new(),
            value: vec![u8::from(self == Self::Began)],
        }
    }

    pub(crate) fn read(value: &[u8]) -> Result<Self, Error> {
        match value {
            [0] => Ok(Self::Ended),
            [1] => Ok(Self::Began),
            _ => Err(Error::bug("a row of a namespace's life is malformed")),
        }
    }
}

pub(crate) fn life_prefix(policy: &LineName) -> Vec<u8> {
    about(policy, &[])
}

/// The log index in the key of a derived row: behind its prefix, before its suffix.
pub(crate) fn index_of(table: u8, key: &[u8]) -> Option<u64> {
    let suffix_bytes = match table {
        HISTORY => history_suffix(0).len(),
        _ => 0,
    };
    let (_, index) = key
        .get(..key.len().checked_sub(suffix_bytes)?)?
        .split_last_chunk::<8>()?;
    Some(!u64::from_be_bytes(*index))
}

#[cfg(test)]
mod tests {
    use confman_refs::RefName;
    use proptest::prelude::*;

    use super::*;

    fn line() -> LineName {
        LineName {
            ref_name: RefName::new("/a@published").unwrap(),
            life: ObjectId::from_bytes([b'L'; 32]),
        }
    }

    fn id() -> impl Strategy<Value = ObjectId> {
        any::<[u8; 32]>().prop_map(ObjectId::from_bytes)
    }

    fn leaf() -> impl Strategy<Value = Leaf> {
        let inline = prop::collection::vec(any::<u8>(), 0..=64)
            .prop_map(|bytes| LeafValue::Inline(bytes.into()));
        let blob = (id(), 65..u32::MAX).prop_map(|(id, size)| LeafValue::Blob { id, size });
        (
            0..=6u8,
            0..=127u8,
            prop_oneof![inline, blob],
            prop::option::of(id()),
        )
            .prop_map(|(entry_type, flags, value, meta)| Leaf {
                entry_type,
                flags,
                value,
                meta,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(position: u64, version: u64, created: u64, leaf in prop::option::of(leaf())) {
            let row = HistoryRow { position, version, created, leaf };
            let written = row.to_row(&line(), b"k/v");
            let prefix = [b"/a@published\0".as_slice(), &[b'L'; 32], b"k/v\0"].concat();
            prop_assert_eq!(&written.prefix, &prefix);
            prop_assert_eq!(HistoryRow::read(&written.suffix, &written.value).unwrap(), row);
        }

        #[test]
        fn damaged_rows_are_refused_not_misread(suffix: Vec<u8>, value: Vec<u8>) {
            if let Ok(row) = HistoryRow::read(&suffix, &value) {
                let again = row.to_row(&line(), b"k");
                prop_assert_eq!((again.suffix, again.value), (suffix, value));
            }
        }
    }

    #[test]
    fn the_index_of_a_row_is_read_from_its_key() {
        let history = HistoryRow {
            position: 3,
            version: 1,
            created: 3,
            leaf: None,
        };
        let rows = [
            history.to_row(&line(), b"k"),
            commit_row(&line(), &ObjectId::from_bytes([b'C'; 32]), 3),
            LifeChange::Began.to_row(&line()),
        ];
        for row in rows {
            let mut key = row.prefix;
            key.extend_from_slice(&(!77_u64).to_be_bytes());
            key.extend_from_slice(&row.suffix);
            assert_eq!(index_of(row.table, &key), Some(77));
        }
        assert_eq!(index_of(HISTORY, b"short"), None);
    }

    #[test]
    fn newer_positions_sort_first() {
        assert!(history_suffix(8) < history_suffix(7));
        assert!(history_suffix(256) < history_suffix(255));
    }
}
