//! What files were when they were read last, so that those that did not change are not read again.
//!
//! It is only a cache: without it, or with another version's, everything is read.
//!
//! INVARIANT: a file is believed unchanged only if it was last changed before the reading that is
//! remembered began, by the clock of its own file system.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use confman_model::EntryType;
use confman_object_store::tree::{INLINE_BYTES_MAX, Leaf, LeafValue};
use serde::{Deserialize, Serialize};

use super::PRIVATE_DIRECTORY;
use super::journal::{Stamp, replace};
use super::state::read_private;

/// Name of the file in `.confman/`.
const INDEX_FILE: &str = "index.json";
/// Version of the file.
const INDEX_FORMAT: u32 = 2;
/// What a value is written after that is in its leaf.
const INLINE_MARK: char = '=';

/// A file with a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    #[serde(rename = "type")]
    entry_type: EntryType,
    value: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexFile {
    format: u32,
    files: HashMap<PathBuf, Known>,
}

/// What is remembered, and what this reading adds.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: HashMap<PathBuf, Known>,
    /// The file system's time when this reading began; nothing is remembered without it.
    began: Option<i128>,
    changed: bool,
}

impl Index {
    /// Reads what is remembered about the working copy at `root`. Never fails: it is only a cache.
    pub(super) fn load(root: &Path) -> Self {
        let private = root.join(PRIVATE_DIRECTORY);
        let files = read_private(&private.join(INDEX_FILE))
            .ok()
            .flatten()
            .and_then(|text| parse(&text))
            .unwrap_or_default();
        let began = tempfile::NamedTempFile::new_in(&private)
            .and_then(|file| file.as_file().metadata())
            .ok()
            .map(|metadata| Stamp::from_metadata(&metadata).modified);
        Self {
            files,
            began,
            changed: false,
        }
    }

    /// The leaf of the value in a file that has not changed since it was read.
    pub(super) fn leaf(&self, path: &Path, entry_type: EntryType, stamp: &Stamp) -> Option<Leaf> {
        let known = self
            .files
            .get(path)
            .filter(|known| known.stamp == *stamp && known.entry_type == entry_type)?;
        let value = value_from(&known.value)?;
        let bytes = match &value {
            LeafValue::Inline(bytes) => u64::try_from(bytes.len()).ok()?,
            LeafValue::Blob { size, .. } => u64::from(*size),
        };
        (bytes == stamp.size).then(|| Leaf {
            entry_type: entry_type.number(),
            flags: 0,
            value,
            meta: None,
        })
    }

    /// Whether a file that is as this says surely was not changed since.
    pub(super) fn is_settled(&self, stamp: &Stamp) -> bool {
        self.began.is_some_and(|began| stamp.modified < began)
    }

    /// Remembers the value in a file, if it surely was not changed since.
    pub(super) fn remember(
        &mut self,
        path: PathBuf,
        entry_type: EntryType,
        stamp: Stamp,
        value: &LeafValue,
    ) {
        if self.is_settled(&stamp) {
            self.files.insert(
                path,
                Known {
                    stamp,
                    entry_type,
                    value: value_text(value),
                },
            );
            self.changed = true;
        }
    }

    /// Writes down what was added. Failing to is no failure: it is only a cache.
    pub(super) fn save(&self, root: &Path) {
        if !self.changed {
            return;
        }
        let file = IndexFile {
            format: INDEX_FORMAT,
            files: self.files.clone(),
        };
        if let Ok(text) = serde_json::to_vec(&file) {
            let _ = replace(&root.join(PRIVATE_DIRECTORY).join(INDEX_FILE), &text);
        }
    }
}

/// A leaf's value as text: its bytes in hex after a mark, or the size and the id of its blob.
pub(super) fn value_text(value: &LeafValue) -> String {
    match value {
        LeafValue::Inline(bytes) => {
            format!("{INLINE_MARK}{}", data_encoding::HEXLOWER.encode(bytes))
        }
        LeafValue::Blob { id, size } => format!("{size}:{id}"),
    }
}

/// The value that a text says.
pub(super) fn value_from(text: &str) -> Option<LeafValue> {
    if let Some(hex) = text.strip_prefix(INLINE_MARK) {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
        return (bytes.len() <= INLINE_BYTES_MAX).then(|| LeafValue::Inline(bytes.into()));
    }
    let (size, id) = text.split_once(':')?;
    let (size, id) = (size.parse().ok()?, id.parse().ok()?);
    let value = LeafValue::Blob { id, size };
    let is_long = usize::try_from(size).is_ok_and(|size| size > INLINE_BYTES_MAX);
    (is_long && value_text(&value) == text).then_some(value)
}

/// What the text of the file remembers; `None` where it is not one.
fn parse(text: &[u8]) -> Option<HashMap<PathBuf, Known>> {
    serde_json::from_slice::<IndexFile>(text)
        .ok()
        .filter(|index| index.format == INDEX_FORMAT)
        .map(|index| index.files)
}

/// A leaf that is remembered is that of the file's own size.
///
/// # Panics
/// It is not.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_index(bytes: &[u8]) {
    let index = Index {
        files: parse(bytes).unwrap_or_default(),
        ..Index::default()
    };
    for (path, known) in &index.files {
        if let Some(leaf) = index.leaf(path, known.entry_type, &known.stamp) {
            let bytes = match &leaf.value {
                LeafValue::Inline(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                LeafValue::Blob { size, .. } => u64::from(*size),
            };
            assert_eq!(bytes, known.stamp.size, "a value of another size");
        }
    }
}
