//! The files of a namespace as entries and leaves: what they say now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use confman_layout::{tree_key, write_entry};
use confman_model::json::{Document, Pointer};
use confman_model::value::VALUE_BYTES_MAX_DEFAULT;
use confman_model::{Entry, EntryType, EntryValue, Key, Value, ValueError};
use confman_object_store::Object;
use confman_object_store::tree::{Leaf, TreeKey};

use super::entries::{EntriesFile, Form, Problems, Source, Written, lenient_limits};
use super::error::{FileProblem, WorkingCopyError};
use super::index::Index;
use super::journal::Stamp;
use super::place::{ENTRIES_FILE, inside};

/// The files of one namespace.
#[derive(Debug)]
pub(super) struct Snapshot {
    root: PathBuf,
    /// The namespace's directory, relative to `root`.
    directory: PathBuf,
    pub(super) file: EntriesFile,
    /// What each key without a conflict leads to.
    pub(super) leaves: BTreeMap<TreeKey, Leaf>,
    /// Keys with a conflict.
    pub(super) conflicts: Vec<Key>,
}

impl Snapshot {
    /// Reads the files of the namespace in `directory`. Files that `index` knows unchanged are not read.
    pub(super) fn read(
        root: &Path,
        directory: &Path,
        index: &mut Index,
    ) -> Result<Self, WorkingCopyError> {
        Self::read_but(root, directory, index, &[])
    }

    /// As [`Self::read`], where these keys may have values that are not valid; they lead to nothing then.
    pub(super) fn read_but(
        root: &Path,
        directory: &Path,
        index: &mut Index,
        broken: &[Key],
    ) -> Result<Self, WorkingCopyError> {
        let file = Self::read_entries(root, directory)?;
        let mut snapshot = Self::of(root, directory, file);
        let mut found = Vec::new();
        for (key, line) in &snapshot.file.lines {
            match &line.written {
                Written::Conflict(_) => snapshot.conflicts.push(key.clone()),
                Written::Entry(form) => match snapshot.leaf(key, form, index)? {
                    Ok(leaf) => {
                        let key = tree_key(key)
                            .map_err(|error| WorkingCopyError::Request(error.to_string()))?;
                        snapshot.leaves.insert(key, leaf);
                    }
                    Err(_) if broken.contains(key) => {}
                    Err(problems) => found.extend(problems),
                },
            }
        }
        if found.is_empty() {
            Ok(snapshot)
        } else {
            Err(WorkingCopyError::Invalid { problems: found })
        }
    }

    /// Reads `entries.json` of the namespace in `directory`, but no value.
    pub(super) fn read_entries(
        root: &Path,
        directory: &Path,
    ) -> Result<EntriesFile, WorkingCopyError> {
        let relative = directory.join(ENTRIES_FILE);
        let path = inside(root, &relative)?;
        let bytes =
            std::fs::read(&path).map_err(|error| WorkingCopyError::io("read", &path, error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let before =
                String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()).into_owned();
            let what = "the file is not UTF-8 from here on";
            WorkingCopyError::Invalid {
                problems: vec![FileProblem::at(&relative, &before, valid, what)],
            }
        })?;
        EntriesFile::parse(&relative, text)
            .map_err(|problems| WorkingCopyError::Invalid { problems })
    }

    /// Where the value of a key stands, or what a pointer leads to within it.
    pub(super) fn locate(
        &self,
        key: &Key,
        pointer: Option<&Pointer>,
    ) -> Result<Option<FileProblem>, WorkingCopyError> {
        let Some(Written::Entry(form)) = self.file.lines.get(key).map(|line| &line.written) else {
            return Ok(None);
        };
        let within = |text: &str| {
            let document = Document::parse(text.as_bytes()).ok()?;
            Some(document.locate(pointer?)?.start)
        };
        let entries = self.directory.join(ENTRIES_FILE);
        let in_entries = |offset| FileProblem::at(&entries, &self.file.text, offset, String::new());
        Ok(Some(match &form.source {
            Source::Unset => in_entries(form.at.start),
            Source::Value(range) => {
                let strict = self.file.strict_at(range);
                in_entries(strict.offset(within(&strict.text).unwrap_or(0)))
            }
            Source::File(file) => {
                let relative = self.directory.join(file);
                match std::fs::read_to_string(inside(&self.root, &relative)?) {
                    Ok(text) => {
                        let offset = within(&text).unwrap_or(0);
                        FileProblem::at(&relative, &text, offset, String::new())
                    }
                    Err(_) => in_entries(form.at.start),
                }
            }
        }))
    }

    /// A snapshot of a file of which no line is read yet.
    pub(super) fn of(root: &Path, directory: &Path, file: EntriesFile) -> Self {
        Self {
            root: root.to_path_buf(),
            directory: directory.to_path_buf(),
            file,
            leaves: BTreeMap::new(),
            conflicts: Vec::new(),
        }
    }

    /// The leaf of an entry, from the index where its file is unchanged.
    pub(super) fn leaf(
        &self,
        key: &Key,
        form: &Form,
        index: &mut Index,
    ) -> Result<Result<Leaf, Vec<FileProblem>>, WorkingCopyError> {
        let plain = form.details == confman_model::Details::default();
        let indexed = match (&form.source, form.entry_type) {
            (Source::File(file), Some(entry_type)) if plain => {
                Some((self.directory.join(file), entry_type))
            }
            _ => None,
        };
        let mut stamp = None;
        if let Some((path, entry_type)) = &indexed {
            stamp = Stamp::of(&inside(&self.root, path)?)?;
            if let Some(leaf) = stamp.and_then(|stamp| index.leaf(path, *entry_type, &stamp)) {
                return Ok(Ok(leaf));
            }
        }
        let entry = match self.read_form(key, form)? {
            Ok(entry) => entry,
            Err(problems) => return Ok(Err(problems)),
        };
        let (leaf, _) =
            write_entry(&entry).map_err(|error| WorkingCopyError::Request(error.to_string()))?;
        if let (Some((path, entry_type)), Some(stamp)) = (indexed, stamp) {
            index.remember(path, entry_type, stamp, &leaf.value);
        }
        Ok(Ok(leaf))
    }

    /// The leaf of the value in a file, with nothing said about it; `None` where there is no such value.
    pub(super) fn file_leaf(
        &self,
        key: &Key,
        file: &str,
        entry_type: EntryType,
        index: &mut Index,
    ) -> Result<Option<Leaf>, WorkingCopyError> {
        let path = self.directory.join(file);
        let stamp = Stamp::of(&inside(&self.root, &path)?)?;
        let Ok(Some(value)) = self.read_file(key, file, entry_type)? else {
            return Ok(None);
        };
        let (leaf, _) = write_entry(&Entry::of(value))
            .map_err(|error| WorkingCopyError::Request(error.to_string()))?;
        if let Some(stamp) = stamp {
            index.remember(path, entry_type, stamp, &leaf.value);
        }
        Ok(Some(leaf))
    }

    /// The entry of a key; `None` where there is none, or a conflict.
    pub(super) fn entry(&self, key: &Key) -> Result<Option<Entry>, WorkingCopyError> {
        match self.file.lines.get(key).map(|line| &line.written) {
            Some(Written::Entry(form)) => match self.read_form(key, form)? {
                Ok(entry) => Ok(Some(entry)),
                Err(problems) => Err(WorkingCopyError::Invalid { problems }),
            },
            Some(Written::Conflict(_)) | None => Ok(None),
        }
    }

    /// Reads the value of a form and checks it.
    pub(super) fn read_form(
        &self,
        key: &Key,
        form: &Form,
    ) -> Result<Result<Entry, Vec<FileProblem>>, WorkingCopyError> {
        let entries_path = self.directory.join(ENTRIES_FILE);
        let mut problems = Problems::new(&entries_path, &self.file.text);
        let value = match (&form.source, form.entry_type) {
            (Source::Unset, _) | (_, None) => EntryValue::Unset,
            (Source::Value(range), Some(entry_type)) => {
                let strict = self.file.strict_at(range);
                let text = strict.text.as_ref();
                match Value::from_json(entry_type, text, &lenient_limits(text)) {
                    Ok(value) => EntryValue::Value(value),
                    Err(error) => {
                        for problem in error.problems {
                            // Inside a string the position is that of the unescaped text; its line is enough.
                            let within = if text.starts_with('"') {
                                0
                            } else {
                                problem.offset
                            };
                            problems.push(
                                strict.offset(within),
                                format!("key `{key}`: {}", problem.what),
                            );
                        }
                        return Ok(Err(problems.found));
                    }
                }
            }
            (Source::File(file), Some(entry_type)) => {
                match self.read_file(key, file, entry_type)? {
                    Ok(Some(value)) => EntryValue::Value(value),
                    Ok(None) => {
                        problems.push(
                            form.at.start,
                            format!("key `{key}`: there is no file `{file}`"),
                        );
                        return Ok(Err(problems.found));
                    }
                    Err(found) => return Ok(Err(found)),
                }
            }
        };
        match Entry::new(value, form.details.clone()) {
            Ok(entry) => Ok(Ok(entry)),
            Err(error) => {
                problems.push(form.at.start, format!("key `{key}`: {error}"));
                Ok(Err(problems.found))
            }
        }
    }

    fn read_file(
        &self,
        key: &Key,
        file: &str,
        entry_type: EntryType,
    ) -> Result<Result<Option<Value>, Vec<FileProblem>>, WorkingCopyError> {
        let relative = self.directory.join(file);
        let path = inside(&self.root, &relative)?;
        let limit = confman_model::value::VALUE_BYTES_CEILING;
        let problem = |what: String| {
            vec![FileProblem {
                file: relative.clone(),
                line: 1,
                column: 1,
                what,
                excerpt: None,
            }]
        };
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_file() => {
                return Ok(Err(problem(format!(
                    "key `{key}`: this is not a regular file"
                ))));
            }
            Ok(metadata) if metadata.len() > limit as u64 => {
                let what = format!(
                    "key `{key}`: the file has {} bytes, at most {limit} are allowed",
                    metadata.len()
                );
                return Ok(Err(problem(what)));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Err(WorkingCopyError::io("look at", path, error)),
        }
        let bytes =
            std::fs::read(&path).map_err(|error| WorkingCopyError::io("read", &path, error))?;
        let limits = lenient_limits(std::str::from_utf8(&bytes).unwrap_or_default());
        match Value::new(entry_type, bytes.as_slice(), &limits) {
            Ok(value) => Ok(Ok(Some(value))),
            Err(error) => Ok(Err(in_file(&relative, &bytes, key, error))),
        }
    }

    /// A value that is larger than servers take where nobody told them otherwise.
    pub(super) fn too_large(&self, key: &Key) -> Result<Option<FileProblem>, WorkingCopyError> {
        let entry = self.entry(key)?;
        let bytes = entry.as_ref().and_then(Entry::value).map(Value::bytes);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() > VALUE_BYTES_MAX_DEFAULT) else {
            return Ok(None);
        };
        let what = format!(
            "key `{key}`: the value has {} bytes, and servers take {VALUE_BYTES_MAX_DEFAULT} unless they are told otherwise",
            bytes.len()
        );
        let place = self.locate(key, None)?;
        Ok(place.map(|place| FileProblem {
            what,
            // The text of such a value helps nobody.
            excerpt: None,
            ..place
        }))
    }

    /// The objects of one key's entry.
    pub(super) fn objects(&self, key: &Key) -> Result<Vec<Object>, WorkingCopyError> {
        match self.entry(key)? {
            None => Ok(Vec::new()),
            Some(entry) => {
                let (_, objects) = write_entry(&entry)
                    .map_err(|error| WorkingCopyError::Request(error.to_string()))?;
                Ok(objects)
            }
        }
    }

    /// The files that entries use, relative to the namespace's directory.
    pub(super) fn used_files(&self) -> impl Iterator<Item = &str> {
        self.file
            .lines
            .values()
            .flat_map(|line| line.written.forms())
            .filter_map(|form| match &form.source {
                Source::File(path) => Some(path.as_str()),
                Source::Value(_) | Source::Unset => None,
            })
    }

    /// The root of the tree that the files make.
    #[cfg(test)]
    pub(super) fn root_id(&self) -> confman_object_store::ObjectId {
        confman_object_store::tree::build(&self.leaves).root
    }
}

fn in_file(file: &Path, bytes: &[u8], key: &Key, error: ValueError) -> Vec<FileProblem> {
    error
        .problems
        .into_iter()
        .map(|problem| FileProblem {
            file: file.to_path_buf(),
            line: problem.line,
            column: problem.column,
            what: format!("key `{key}`: {}", problem.what),
            excerpt: line_of(bytes, problem.line),
        })
        .collect()
}

/// The text of a line, where it is one.
fn line_of(bytes: &[u8], line: usize) -> Option<String> {
    let text = bytes
        .split(|byte| *byte == b'\n')
        .nth(line.checked_sub(1)?)?;
    String::from_utf8(text.to_vec()).ok()
}
