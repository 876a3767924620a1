//! How configuration lies in objects: an entry as a leaf, a blob and a meta.
//!
//! A namespace's tree has one leaf for each entry, under the bytes of its key. The leaf says the type
//! and has the value, in the page where it is short and as a blob where it is not; what is said about
//! the entry beside its value is a `meta`. `docs/FORMAT-layout.md` has every byte.
//!
//! INVARIANT: an entry has exactly one form, so equal entries have equal leaves; [`read_entry`] and
//! [`check_entry`] refuse every other form.
//!
//! Deliberately absent: refs, rights and time. A client lays out its working copy with this crate too.

use std::sync::Arc;

use confman_model::{
    Details, Entry, EntryError, EntryType, EntryTypeError, EntryValue, Key, KeyError, Value,
    ValueError, ValueLimits,
};
use confman_object_store::codec::EncodeError;
use confman_object_store::tree::{INLINE_BYTES_MAX, Leaf, LeafValue, TreeKey, TreeKeyError};
use confman_object_store::{DecodeError, Kind, Meta, Object, ObjectId, ReadError, ReadObjects};

/// `entry_type` of a tombstone's leaf. Values have the numbers of [`EntryType`], from 1.
pub const TOMBSTONE_TYPE: u8 = 0;
/// Flag of a tombstone's leaf; no other flag has a meaning.
pub const TOMBSTONE_FLAG: u8 = 0x01;

/// Why an entry cannot be written to objects or read from them.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A key of the tree is not a key of configuration.
    #[error("a key of the tree is not a key")]
    Key(#[source] KeyError),
    /// A key of the tree is not even text.
    #[error("a key of the tree is not UTF-8")]
    KeyText,
    /// A key does not fit a tree.
    #[error("a key does not fit a tree")]
    TreeKey(#[source] TreeKeyError),
    /// The type number is not one of the types.
    #[error("the leaf has no known type")]
    Type(#[source] EntryTypeError),
    /// The parts of a leaf contradict each other.
    #[error("the leaf is malformed: {0}")]
    Form(&'static str),
    /// The blob has another length than its leaf says.
    #[error("blob {id} has {actual} bytes, its leaf says {stated}")]
    Size {
        /// Which.
        id: ObjectId,
        /// As the leaf has it.
        stated: u32,
        /// As it is.
        actual: usize,
    },
    /// The blob is larger than any value may be.
    #[error("a value has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// As the leaf has it.
        bytes: u32,
        /// The limit.
        limit: usize,
    },
    /// The value is not valid for its type.
    #[error("the value is not valid")]
    Value(#[source] ValueError),
    /// What is said about the entry is not valid.
    #[error("the details of the entry are not valid")]
    Details(#[source] EntryError),
    /// The meta object cannot be written.
    #[error("the details of the entry cannot be written")]
    Encode(#[source] EncodeError),
    /// The meta object says nothing, or what only a later version understands.
    #[error("meta {id} is not one that this version writes: {reason}")]
    Meta {
        /// Which.
        id: ObjectId,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bytes of the meta object are not a meta.
    #[error("meta {id} is not well formed")]
    MalformedMeta {
        /// Which.
        id: ObjectId,
        /// Where and why.
        #[source]
        source: DecodeError,
    },
    /// An object cannot be read.
    #[error("an object of the entry cannot be read")]
    Read(#[from] ReadError),
}

/// The key of a tree that stands for a key of configuration.
///
/// # Errors
/// Never for a valid key; the two crates state their limits separately.
pub fn tree_key(key: &Key) -> Result<TreeKey, LayoutError> {
    TreeKey::new(key.as_str().as_bytes()).map_err(LayoutError::TreeKey)
}

/// The key of configuration that a key of a tree stands for.
///
/// # Errors
/// The bytes are not a key.
pub fn entry_key(key: &TreeKey) -> Result<Key, LayoutError> {
    let text = std::str::from_utf8(key.as_bytes()).map_err(|_| LayoutError::KeyText)?;
    text.parse().map_err(LayoutError::Key)
}

/// Whether the leaf is a tombstone.
#[must_use]
pub const fn is_tombstone(leaf: &Leaf) -> bool {
    leaf.flags & TOMBSTONE_FLAG != 0
}

/// The type of a leaf's value; `None` for a tombstone.
///
/// # Errors
/// The leaf is not one that [`write_entry`] writes.
pub fn leaf_type(leaf: &Leaf) -> Result<Option<EntryType>, LayoutError> {
    if leaf.flags & !TOMBSTONE_FLAG != 0 {
        return Err(LayoutError::Form("it has flags that have no meaning"));
    }
    if is_tombstone(leaf) {
        let empty = matches!(&leaf.value, LeafValue::Inline(bytes) if bytes.is_empty());
        if leaf.entry_type != TOMBSTONE_TYPE || !empty {
            return Err(LayoutError::Form(
                "it is a tombstone with a type or a value",
            ));
        }
        return Ok(None);
    }
    EntryType::from_number(leaf.entry_type)
        .map(Some)
        .map_err(LayoutError::Type)
}

/// How many bytes the value has.
#[must_use]
pub fn value_bytes(leaf: &Leaf) -> u64 {
    match &leaf.value {
        LeafValue::Inline(bytes) => bytes.len() as u64,
        LeafValue::Blob { size, .. } => u64::from(*size),
    }
}

/// The blob of a leaf whose value is not in the page.
#[must_use]
pub const fn blob(leaf: &Leaf) -> Option<ObjectId> {
    match &leaf.value {
        LeafValue::Inline(_) => None,
        LeafValue::Blob { id, .. } => Some(*id),
    }
}

/// Writes an entry: its leaf, and the objects that the leaf refers to.
///
/// # Errors
/// The details have a character that objects cannot have.
pub fn write_entry(entry: &Entry) -> Result<(Leaf, Vec<Object>), LayoutError> {
    let mut objects = Vec::new();
    let meta = write_details(entry.details())?;
    let meta_id = meta.as_ref().map(Object::id);
    objects.extend(meta);
    let leaf = match entry.entry_value() {
        EntryValue::Unset => Leaf {
            entry_type: TOMBSTONE_TYPE,
            flags: TOMBSTONE_FLAG,
            value: LeafValue::Inline(Box::default()),
            meta: meta_id,
        },
        EntryValue::Value(value) => {
            let (value_in_leaf, blob) = write_value(value)?;
            objects.extend(blob);
            Leaf {
                entry_type: value.entry_type().number(),
                flags: 0,
                value: value_in_leaf,
                meta: meta_id,
            }
        }
    };
    Ok((leaf, objects))
}

fn write_value(value: &Value) -> Result<(LeafValue, Option<Object>), LayoutError> {
    let bytes = value.bytes();
    if bytes.len() <= INLINE_BYTES_MAX {
        return Ok((LeafValue::Inline(bytes.into()), None));
    }
    let size = u32::try_from(bytes.len()).map_err(|_| LayoutError::TooLarge {
        bytes: u32::MAX,
        limit: u32::MAX as usize,
    })?;
    let blob = Object::new(Kind::Blob, bytes.to_vec());
    Ok((
        LeafValue::Blob {
            id: blob.id(),
            size,
        },
        Some(blob),
    ))
}

fn write_details(details: &Details) -> Result<Option<Object>, LayoutError> {
    if *details == Details::default() {
        return Ok(None);
    }
    let meta = Meta {
        description: details.description.clone(),
        tags: details.tags.iter().cloned().collect(),
        media_type: details.media_type.clone(),
        unknown: Vec::new(),
    };
    meta.to_object().map(Some).map_err(LayoutError::Encode)
}

/// Reads an entry of a tree that was checked when it came in.
///
/// # Errors
/// An object is missing or corrupt, or the leaf is not one that [`write_entry`] writes.
pub fn read_entry(objects: &dyn ReadObjects, leaf: &Leaf) -> Result<Entry, LayoutError> {
    let value = read_value(objects, leaf)?;
    let details = read_details(objects, leaf)?;
    Entry::new(value.map_or(EntryValue::Unset, EntryValue::Value), details)
        .map_err(LayoutError::Details)
}

/// Reads the value alone; `None` for a tombstone.
///
/// # Errors
/// As [`read_entry`].
pub fn read_value(objects: &dyn ReadObjects, leaf: &Leaf) -> Result<Option<Value>, LayoutError> {
    let Some(entry_type) = leaf_type(leaf)? else {
        return Ok(None);
    };
    let bytes = read_bytes(objects, leaf, u32::MAX as usize)?;
    Value::from_stored(entry_type, bytes)
        .map(Some)
        .map_err(LayoutError::Value)
}

/// Reads what is said about the entry beside its value.
///
/// # Errors
/// As [`read_entry`].
pub fn read_details(objects: &dyn ReadObjects, leaf: &Leaf) -> Result<Details, LayoutError> {
    let Some(id) = leaf.meta else {
        return Ok(Details::default());
    };
    let bytes = objects.read(Kind::Meta, &id)?;
    let meta = Meta::decode(&bytes).map_err(|source| LayoutError::MalformedMeta { id, source })?;
    if !meta.unknown.is_empty() {
        return Err(LayoutError::Meta {
            id,
            reason: "it has fields of a later version",
        });
    }
    let details = Details {
        description: meta.description,
        tags: meta.tags.into_iter().collect(),
        media_type: meta.media_type,
    };
    if details == Details::default() {
        return Err(LayoutError::Meta {
            id,
            reason: "it says nothing",
        });
    }
    Ok(details)
}

/// Reads an entry that comes from outside and checks everything about it.
///
/// # Errors
/// As [`read_entry`], and the value or the details are not valid.
pub fn check_entry(
    objects: &dyn ReadObjects,
    leaf: &Leaf,
    limits: &ValueLimits,
) -> Result<Entry, LayoutError> {
    let value = match leaf_type(leaf)? {
        None => EntryValue::Unset,
        Some(entry_type) => {
            let bytes = read_bytes(objects, leaf, limits.value_bytes_max)?;
            EntryValue::Value(
                Value::new(entry_type, bytes.to_vec(), limits).map_err(LayoutError::Value)?,
            )
        }
    };
    Entry::new(value, read_details(objects, leaf)?).map_err(LayoutError::Details)
}

fn read_bytes(
    objects: &dyn ReadObjects,
    leaf: &Leaf,
    bytes_max: usize,
) -> Result<Arc<[u8]>, LayoutError> {
    match &leaf.value {
        LeafValue::Inline(bytes) if bytes.len() > INLINE_BYTES_MAX => {
            Err(LayoutError::Form("its value is too long for a page"))
        }
        LeafValue::Inline(bytes) => Ok(Arc::from(&**bytes)),
        LeafValue::Blob { size, .. } if *size as usize <= INLINE_BYTES_MAX => Err(
            LayoutError::Form("its value is a blob though it fits the page"),
        ),
        LeafValue::Blob { size, .. } if *size as usize > bytes_max => Err(LayoutError::TooLarge {
            bytes: *size,
            limit: bytes_max,
        }),
        LeafValue::Blob { id, size } => {
            let bytes = objects.read(Kind::Blob, id)?;
            if bytes.len() != *size as usize {
                return Err(LayoutError::Size {
                    id: *id,
                    stated: *size,
                    actual: bytes.len(),
                });
            }
            Ok(Arc::from(&*bytes))
        }
    }
}

#[cfg(test)]
mod tests;
