//! Writing entries into the files of a namespace, leaving everything else as its author wrote it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use confman_layout::{LayoutError, check_entry, entry_key, read_value};
use confman_model::{Entry, EntryType, Key};
use confman_object_store::ReadObjects;
use confman_object_store::tree::{Leaf, TreeKey};

use super::entries::{
    EntriesFile, Line, Placement, Source, Written, fits_line, lenient_limits, render,
    render_conflict, render_file,
};
use super::error::WorkingCopyError;
use super::journal::Plan;
use super::place::{ENTRIES_FILE, Paths, conflict_file};

/// Where files are written.
pub(super) trait FileSink {
    /// Gives a file, by its path relative to the root of the working copy, new content.
    fn put(&mut self, path: PathBuf, content: &[u8]) -> Result<(), WorkingCopyError>;
    /// Removes a file.
    fn remove(&mut self, path: PathBuf) -> Result<(), WorkingCopyError>;
}

impl FileSink for Plan<'_> {
    fn put(&mut self, path: PathBuf, content: &[u8]) -> Result<(), WorkingCopyError> {
        Plan::put(self, path, content)
    }

    fn remove(&mut self, path: PathBuf) -> Result<(), WorkingCopyError> {
        Plan::remove(self, path)
    }
}

/// Writes at once, into a directory that nobody else knows yet.
#[derive(Debug)]
pub(super) struct FreshDirectory {
    root: PathBuf,
    made: HashSet<PathBuf>,
}

impl FreshDirectory {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            made: HashSet::new(),
        }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

impl FileSink for FreshDirectory {
    fn put(&mut self, path: PathBuf, content: &[u8]) -> Result<(), WorkingCopyError> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent()
            && !self.made.contains(parent)
        {
            std::fs::create_dir_all(parent)
                .map_err(|error| WorkingCopyError::io("make", parent, error))?;
            self.made.insert(parent.to_path_buf());
        }
        std::fs::write(&target, content)
            .map_err(|error| WorkingCopyError::io("write", target, error))
    }

    fn remove(&mut self, path: PathBuf) -> Result<(), WorkingCopyError> {
        let target = self.root.join(path);
        std::fs::remove_file(&target).map_err(|error| WorkingCopyError::io("remove", target, error))
    }
}

/// What becomes of a key.
#[derive(Clone, Debug)]
pub(super) enum Update {
    Entry(Entry),
    Remove,
    /// What is in the files is `ours`.
    Conflict {
        base: Option<Entry>,
        theirs: Option<Entry>,
    },
}

/// The entry of a leaf that came from elsewhere, checked as a server checks what it is given, but for
/// its settings.
pub(super) fn received_entry(
    objects: &dyn ReadObjects,
    key: &TreeKey,
    leaf: &Leaf,
) -> Result<(Key, Entry), WorkingCopyError> {
    let wrong = |error: LayoutError| match error {
        LayoutError::Read(error) => WorkingCopyError::Mirror(error),
        other => {
            let key = String::from_utf8_lossy(key.as_bytes())
                .escape_debug()
                .to_string();
            WorkingCopyError::Hostile(format!("key `{key}`: {}", crate::client::chain(&other)))
        }
    };
    let key = entry_key(key).map_err(wrong)?;
    let value = read_value(objects, leaf).map_err(wrong)?;
    let text = value
        .as_ref()
        .filter(|value| value.entry_type() == EntryType::SecretRef)
        .and_then(|value| value.as_str().map(ToOwned::to_owned));
    let limits = lenient_limits(text.as_deref().unwrap_or_default());
    Ok((key, check_entry(objects, leaf, &limits).map_err(wrong)?))
}

/// Writes `updates` into the files of the namespace in `directory`, whose `entries.json` is `file`. Returns
/// what that is from now on.
pub(super) fn rewrite(
    root: &Path,
    directory: &Path,
    file: &EntriesFile,
    updates: &BTreeMap<Key, Update>,
    sink: &mut dyn FileSink,
) -> Result<String, WorkingCopyError> {
    let mut rewriting = Rewriting::new(root, directory, file, updates, sink);
    let mut rendered: BTreeMap<&Key, String> = BTreeMap::new();
    for (key, update) in updates {
        if let Some(line) = rewriting.update(key, file.lines.get(key), update)? {
            rendered.insert(key, line);
        }
    }
    rewriting.remove_unused()?;
    let mut lines: BTreeMap<&Key, &str> = file
        .lines
        .iter()
        .filter(|(key, _)| !updates.contains_key(*key))
        .map(|(key, line)| (key, file.text_at(&line.at)))
        .collect();
    lines.extend(rendered.iter().map(|(key, line)| (*key, line.as_str())));
    // Ours of a conflict keeps its text.
    let anew = updates
        .iter()
        .filter(|(_, update)| !matches!(update, Update::Conflict { .. }))
        .filter_map(|(key, _)| file.lines.get_key_value(key));
    let kept = lines.keys().copied().collect();
    let comments = file.comments.carried(file, anew, &kept);
    let text = render_file(file.schema.as_deref(), lines, &comments);
    sink.put(directory.join(ENTRIES_FILE), text.as_bytes())?;
    Ok(text)
}

struct Rewriting<'r> {
    root: &'r Path,
    directory: &'r Path,
    file: &'r EntriesFile,
    sink: &'r mut dyn FileSink,
    paths: Paths,
    /// Files that entries use now.
    used_before: HashSet<&'r str>,
    /// Files of updated entries, of which those that are not used again go.
    given_up: BTreeSet<String>,
}

impl<'r> Rewriting<'r> {
    fn new(
        root: &'r Path,
        directory: &'r Path,
        file: &'r EntriesFile,
        updates: &BTreeMap<Key, Update>,
        sink: &'r mut dyn FileSink,
    ) -> Self {
        let mut paths = Paths::default();
        let mut used_before = HashSet::new();
        let mut given_up = BTreeSet::new();
        for (key, line) in &file.lines {
            for form in line.written.forms() {
                let Source::File(path) = &form.source else {
                    continue;
                };
                used_before.insert(path.as_str());
                paths.take(path);
                if updates.contains_key(key) {
                    given_up.insert(path.clone());
                }
            }
        }
        Self {
            root,
            directory,
            file,
            sink,
            paths,
            used_before,
            given_up,
        }
    }

    /// What stands right of the colon from now on; `None` where the key goes.
    fn update(
        &mut self,
        key: &Key,
        line: Option<&Line>,
        update: &Update,
    ) -> Result<Option<String>, WorkingCopyError> {
        match update {
            Update::Remove => Ok(None),
            Update::Entry(entry) => {
                let own_file = line.and_then(|line| match &line.written {
                    Written::Entry(form) => own_file(&form.source),
                    Written::Conflict(sides) => {
                        sides.ours.as_ref().and_then(|form| own_file(&form.source))
                    }
                });
                self.entry(key, entry, own_file.as_deref()).map(Some)
            }
            Update::Conflict { base, theirs } => {
                let ours = line.map(|line| self.file.text_at(&line.at).to_owned());
                for form in line.iter().flat_map(|line| line.written.forms()) {
                    if let Source::File(path) = &form.source {
                        self.given_up.remove(path);
                    }
                }
                let base = self.side("base", key, base.as_ref())?;
                let theirs = self.side("theirs", key, theirs.as_ref())?;
                Ok(Some(render_conflict(
                    base.as_deref(),
                    ours.as_deref(),
                    theirs.as_deref(),
                )))
            }
        }
    }

    /// Writes an entry where it was before, or where the rule says.
    fn entry(
        &mut self,
        key: &Key,
        entry: &Entry,
        own_file: Option<&str>,
    ) -> Result<String, WorkingCopyError> {
        let Some(value) = entry.value() else {
            return Ok(render(entry, &Placement::Line));
        };
        let path = match own_file {
            Some(path) => path.to_owned(),
            None if fits_line(value) => return Ok(render(entry, &Placement::Line)),
            None => {
                let (root, directory, used) = (self.root, self.directory, &self.used_before);
                let exists = |path: &str| {
                    !used.contains(path)
                        && root.join(directory).join(path).symlink_metadata().is_ok()
                };
                self.paths.choose(key, value.entry_type(), &exists)
            }
        };
        self.given_up.remove(&path);
        self.sink.put(self.directory.join(&path), value.bytes())?;
        Ok(render(entry, &Placement::File(&path)))
    }

    /// Writes a side of a conflict that is not in the files yet.
    fn side(
        &mut self,
        side: &str,
        key: &Key,
        entry: Option<&Entry>,
    ) -> Result<Option<String>, WorkingCopyError> {
        let Some(entry) = entry else { return Ok(None) };
        match entry.value() {
            Some(value) if !fits_line(value) => {
                let path = conflict_file(side, key, value.entry_type());
                self.sink.put(self.directory.join(&path), value.bytes())?;
                Ok(Some(render(entry, &Placement::File(&path))))
            }
            _ => Ok(Some(render(entry, &Placement::Line))),
        }
    }

    fn remove_unused(&mut self) -> Result<(), WorkingCopyError> {
        for path in std::mem::take(&mut self.given_up) {
            self.sink.remove(self.directory.join(path))?;
        }
        Ok(())
    }
}

/// The file of an entry, unless it is only the side of a conflict.
fn own_file(source: &Source) -> Option<String> {
    match source {
        Source::File(path) if !path.starts_with("files/@conflict/") => Some(path.clone()),
        Source::File(_) | Source::Value(_) | Source::Unset => None,
    }
}
