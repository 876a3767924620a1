//! What `entries.json` said when it was understood last: its text, and how what it says differs from the
//! tree that the files came from. With it, only the lines that were edited since are read for their meaning.
//!
//! It is only a cache: without it, or with another version's, everything is read.
//!
//! INVARIANT: it is believed only for the text whose hash it has, and for the tree that it names.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use confman_model::{EntryType, Key};
use confman_object_store::tree::LeafValue;
use confman_object_store::{Kind, ObjectId};
use serde::{Deserialize, Serialize};

use super::error::FileProblem;
use super::index::{value_from, value_text};
use super::journal::Stamp;
use super::place::file_path_problem;
use super::state::read_private;
use super::{KeyState, PRIVATE_DIRECTORY};

/// Name of the directory in `.confman/`.
const KNOWN_DIRECTORY: &str = "known";
/// Version of the files in it.
const KNOWN_FORMAT: u32 = 1;
/// Digits of the hash of a namespace's directory that name its files.
const NAME_DIGITS: usize = 32;
const HASH_CONTEXT: &str = "confman 2026 working copy v1 text";

/// What the text of one namespace's `entries.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Root of the tree that changes are counted from; `None` for the empty one.
    pub(super) tree: Option<ObjectId>,
    /// What the file was, where it surely was not changed since.
    pub(super) stamp: Option<Stamp>,
    /// Whether the text is plain (`lines`).
    pub(super) plain: bool,
    /// Where the first comment or comma too many is, if any: line, character, and what is said of it.
    pub(super) remark: Option<(usize, usize, String)>,
    /// Keys that differ from the tree.
    pub(super) changes: BTreeMap<Key, KeyState>,
    /// Entries whose values are in files.
    pub(super) files: BTreeMap<Key, InFile>,
}

/// An entry whose value is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InFile {
    /// Below the namespace's directory.
    pub(super) path: String,
    pub(super) entry_type: EntryType,
    /// The meta of its leaf.
    pub(super) meta: Option<ObjectId>,
    /// What the file held.
    pub(super) value: LeafValue,
}

/// The file beside the text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KnownFile {
    format: u32,
    /// Hash of the text.
    text: String,
    tree: Option<String>,
    stamp: Option<Stamp>,
    plain: bool,
    remark: Option<(usize, usize, String)>,
    changes: Vec<(String, char)>,
    /// Key, path, type, meta, value.
    files: Vec<(String, String, EntryType, Option<String>, String)>,
}

impl Known {
    /// What is remembered of the namespace in `directory`, and the hash of its text.
    pub(super) fn load(root: &Path, directory: &Path) -> Option<(Self, String)> {
        let bytes = read_private(&place(root, directory).with_extension("json")).ok()??;
        parse(&bytes)
    }

    /// The text with this hash, if it is the one that is kept.
    pub(super) fn text(root: &Path, directory: &Path, hash: &str) -> Option<String> {
        let bytes = read_private(&place(root, directory).with_extension("text")).ok()??;
        let text = String::from_utf8(bytes).ok()?;
        (hash_of(&text) == hash).then_some(text)
    }

    /// Remembers it with its text. Failing to is no failure: it is only a cache.
    pub(super) fn save(&self, root: &Path, directory: &Path, text: &str) {
        let hash = hash_of(text);
        let place = place(root, directory);
        let is_kept = Self::load(root, directory).is_some_and(|(_, kept)| kept == hash);
        let content = self.to_text(hash);
        if is_kept || write(&place.with_extension("text"), text.as_bytes()).is_ok() {
            let _ = write(&place.with_extension("json"), &content);
        }
    }

    /// What is read over in `file`, which the text is of.
    pub(super) fn remark(&self, file: &Path) -> Option<FileProblem> {
        let (line, column, what) = self.remark.clone()?;
        Some(FileProblem {
            file: file.to_path_buf(),
            line,
            column,
            what,
            excerpt: None,
        })
    }

    fn to_text(&self, hash: String) -> Vec<u8> {
        let changes = self.changes.iter();
        let files = self.files.iter();
        let file = KnownFile {
            format: KNOWN_FORMAT,
            text: hash,
            tree: self.tree.map(|tree| tree.to_string()),
            stamp: self.stamp,
            plain: self.plain,
            remark: self.remark.clone(),
            changes: changes
                .map(|(key, state)| (key.to_string(), letter(*state)))
                .collect(),
            files: files
                .map(|(key, file)| {
                    let meta = file.meta.map(|meta| meta.to_string());
                    let value = value_text(&file.value);
                    let (key, path) = (key.to_string(), file.path.clone());
                    (key, path, file.entry_type, meta, value)
                })
                .collect(),
        };
        // A plain document of texts and numbers has a JSON text.
        serde_json::to_vec(&file).unwrap_or_default()
    }
}

fn parse(bytes: &[u8]) -> Option<(Known, String)> {
    let file: KnownFile = serde_json::from_slice(bytes).ok()?;
    if file.format != KNOWN_FORMAT {
        return None;
    }
    let id = |text: Option<String>| match text {
        None => Some(None),
        Some(text) => text.parse().ok().map(Some),
    };
    let changes = file.changes.into_iter();
    let files = file.files.into_iter();
    let known = Known {
        tree: id(file.tree)?,
        stamp: file.stamp,
        plain: file.plain,
        remark: file.remark,
        changes: changes
            .map(|(key, letter)| Some((key.parse().ok()?, state(letter)?)))
            .collect::<Option<_>>()?,
        files: files
            .map(|(key, path, entry_type, meta, value)| {
                if file_path_problem(&path).is_some() {
                    return None;
                }
                let file = InFile {
                    path,
                    entry_type,
                    meta: id(meta)?,
                    value: value_from(&value)?,
                };
                Some((key.parse().ok()?, file))
            })
            .collect::<Option<_>>()?,
    };
    Some((known, file.text))
}

/// Where the files of the namespace in `directory` are, without their endings.
fn place(root: &Path, directory: &Path) -> PathBuf {
    let name = directory.to_string_lossy();
    let hash = ObjectId::of(Kind::Blob, name.as_bytes()).to_string();
    let digits = hash.get(..NAME_DIGITS).unwrap_or_default();
    root.join(PRIVATE_DIRECTORY)
        .join(KNOWN_DIRECTORY)
        .join(digits)
}

fn hash_of(text: &str) -> String {
    let hash = blake3::derive_key(HASH_CONTEXT, text.as_bytes());
    data_encoding::HEXLOWER.encode(&hash)
}

/// Replaces a file as a whole. What a loss of power leaves of it is told by its hash, or is no JSON.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

fn letter(state: KeyState) -> char {
    match state {
        KeyState::Added => 'A',
        KeyState::Removed => 'D',
        KeyState::Changed => 'M',
        KeyState::Conflict => 'C',
    }
}

fn state(letter: char) -> Option<KeyState> {
    match letter {
        'A' => Some(KeyState::Added),
        'D' => Some(KeyState::Removed),
        'M' => Some(KeyState::Changed),
        // A text with a conflict is never remembered.
        _ => None,
    }
}

/// What is read has one form.
///
/// # Panics
/// It has two.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_known(bytes: &[u8]) {
    if let Some((known, hash)) = parse(bytes) {
        let again = parse(&known.to_text(hash.clone()));
        assert_eq!(again, Some((known, hash)), "it has two forms");
    }
}
