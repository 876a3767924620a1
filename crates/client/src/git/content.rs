//! The contents of a stream: kept until a commit names them, then made into entries.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use confman_layout::write_entry;
use confman_model::{Entry, EntryType, EntryValue, Value, ValueLimits};
use confman_object_store::tree::{Leaf, LeafValue};
use confman_object_store::{Kind, Object, ObjectId, ReadObjects};

use super::import::ImportError;
use super::sidecar::Stated;
use super::workshop::Workshop;

/// Bytes of contents that no commit has named yet and that are kept in memory.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// The mode of a plain file; every other is kept as a tag.
pub(super) const MODE_FILE: u32 = 0o100_644;
/// What a tag with a mode begins with.
pub(super) const MODE_TAG: &str = "git-mode=";

/// How a content is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Whether the file's name says it is JSON.
    pub(super) json_name: bool,
    pub(super) mode: u32,
    /// What is stated about the entry, where the source states it.
    pub(super) stated: Option<Stated>,
}

/// A content as an entry.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) leaf: Leaf,
    /// The entry's `meta`, if it has one.
    pub(super) meta: Option<Object>,
    /// What was taken, but not as the name says.
    pub(super) warning: Option<String>,
}

#[derive(Debug)]
enum Slot {
    /// In memory.
    Waiting(Object),
    /// In the workshop.
    Kept,
}

#[derive(Debug)]
struct Content {
    slot: Slot,
    /// The id of its bytes as a blob; tells contents apart.
    identity: ObjectId,
    /// What it was read as so far.
    readings: Vec<(Reading, Result<Resolved, String>)>,
}

/// Every content of the stream, by a number of its own.
#[derive(Debug, Default)]
pub(super) struct Contents {
    all: Vec<Content>,
    by_mark: HashMap<u64, usize>,
    by_oid: HashMap<String, usize>,
    waiting: VecDeque<usize>,
    waiting_bytes: usize,
    limits: ValueLimits,
}

impl Contents {
    /// Takes a content in; returns its number.
    pub(super) fn add(
        &mut self,
        workshop: &Workshop,
        mark: Option<u64>,
        oid: Option<String>,
        data: Bytes,
    ) -> Result<usize, ImportError> {
        let number = self.all.len();
        let object = Object::new(Kind::Blob, data);
        self.waiting_bytes += object.bytes().len();
        self.waiting.push_back(number);
        let identity = object.id();
        self.all.push(Content {
            slot: Slot::Waiting(object),
            identity,
            readings: Vec::new(),
        });
        if let Some(mark) = mark {
            self.by_mark.insert(mark, number);
        }
        if let Some(oid) = oid {
            self.by_oid.insert(oid, number);
        }
        while self.waiting_bytes > WAITING_BYTES_MAX {
            let Some(oldest) = self.waiting.pop_front() else {
                break;
            };
            self.store(workshop, oldest)?;
        }
        Ok(number)
    }

    pub(super) fn by_mark(&self, mark: u64) -> Option<usize> {
        self.by_mark.get(&mark).copied()
    }

    pub(super) fn by_oid(&self, oid: &str) -> Option<usize> {
        self.by_oid.get(oid).copied()
    }

    pub(super) fn identity(&self, number: usize) -> Option<ObjectId> {
        self.all.get(number).map(|content| content.identity)
    }

    /// Moves a content out of memory.
    fn store(&mut self, workshop: &Workshop, number: usize) -> Result<(), ImportError> {
        let Some(content) = self.all.get_mut(number) else {
            return Ok(());
        };
        if let Slot::Waiting(object) = &content.slot {
            self.waiting_bytes -= object.bytes().len();
            workshop.keep(object).map_err(|source| ImportError::Io {
                action: "keep a content in a temporary file".to_owned(),
                source,
            })?;
            content.slot = Slot::Kept;
        }
        Ok(())
    }

    /// A content as a blob.
    pub(super) fn blob(&self, workshop: &Workshop, number: usize) -> Result<Object, ImportError> {
        match self.all.get(number) {
            None => Ok(Object::new(Kind::Blob, Bytes::new())),
            Some(Content {
                slot: Slot::Waiting(object),
                ..
            }) => Ok(object.clone()),
            Some(content) => Ok(Object::new(
                Kind::Blob,
                workshop.read(Kind::Blob, &content.identity)?,
            )),
        }
    }

    /// Reads a content as an entry; the text says why it cannot be one.
    pub(super) fn resolve(
        &mut self,
        workshop: &Workshop,
        number: usize,
        reading: &Reading,
    ) -> Result<Result<Resolved, String>, ImportError> {
        let known = self.all.get(number).and_then(|content| {
            content
                .readings
                .iter()
                .find(|(known, _)| known == reading)
                .map(|(_, resolved)| resolved.clone())
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let blob = self.blob(workshop, number)?;
        let resolved = resolve(blob.bytes(), reading, &self.limits);
        if let Some(content) = self.all.get_mut(number) {
            content.readings.push((reading.clone(), resolved.clone()));
        }
        Ok(resolved)
    }

    /// Forgets the bytes of contents that the workshop has by now.
    pub(super) fn settle(
        &mut self,
        workshop: &Workshop,
        numbers: impl IntoIterator<Item = usize>,
    ) -> Result<(), ImportError> {
        for number in numbers {
            self.store(workshop, number)?;
        }
        while let Some(first) = self.waiting.front() {
            let kept = self
                .all
                .get(*first)
                .is_none_or(|content| matches!(content.slot, Slot::Kept));
            if !kept {
                break;
            }
            self.waiting.pop_front();
        }
        Ok(())
    }
}

fn resolve(bytes: &Bytes, reading: &Reading, limits: &ValueLimits) -> Result<Resolved, String> {
    let (value, mut details, warning) = match &reading.stated {
        Some(stated) if stated.unset => (EntryValue::Unset, stated.details(), None),
        Some(Stated {
            entry_type: Some(entry_type),
            ..
        }) => {
            // What a store had once may be more than this one's defaults allow; the server decides.
            let limits =
                crate::working_copy::lenient_limits(std::str::from_utf8(bytes).unwrap_or_default());
            let value = Value::new(*entry_type, bytes.to_vec(), &limits)
                .map_err(|error| crate::client::chain(&error))?;
            (
                EntryValue::Value(value),
                reading
                    .stated
                    .as_ref()
                    .map(Stated::details)
                    .unwrap_or_default(),
                None,
            )
        }
        stated => {
            let (value, warning) = read_value(bytes, reading.json_name, limits)?;
            (
                EntryValue::Value(value),
                stated.as_ref().map(Stated::details).unwrap_or_default(),
                warning,
            )
        }
    };
    if reading.mode != MODE_FILE && value != EntryValue::Unset {
        details.tags.insert(format!("{MODE_TAG}{:o}", reading.mode));
    }
    let entry = Entry::new(value, details).map_err(|error| error.to_string())?;
    let (leaf, objects) = write_entry(&entry).map_err(|error| crate::client::chain(&error))?;
    let meta = objects
        .into_iter()
        .find(|object| object.kind() == Kind::Meta);
    Ok(Resolved {
        leaf,
        meta,
        warning,
    })
}

/// What a file without anything stated about it is: JSON where its name says so and it is, text where it
/// is UTF-8, else binary.
pub(super) fn read_value(
    bytes: &Bytes,
    json_name: bool,
    limits: &ValueLimits,
) -> Result<(Value, Option<String>), String> {
    let mut warning = None;
    if json_name && bytes.len() <= limits.value_bytes_max {
        match Value::new(EntryType::Json, bytes.to_vec(), limits) {
            Ok(value) => return Ok((value, None)),
            Err(error) => warning = Some(format!("kept as a string: {error}")),
        }
    }
    let entry_type = if std::str::from_utf8(bytes).is_ok() {
        EntryType::String
    } else {
        EntryType::Binary
    };
    match Value::new(entry_type, bytes.to_vec(), limits) {
        Ok(value) => Ok((value, warning)),
        Err(error) => Err(error.to_string()),
    }
}

/// The blob of a leaf.
pub(super) fn blob_of(leaf: &Leaf) -> Option<ObjectId> {
    match &leaf.value {
        LeafValue::Blob { id, .. } => Some(*id),
        LeafValue::Inline(_) => None,
    }
}
