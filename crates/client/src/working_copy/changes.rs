//! How the files of a namespace differ from what they came from, by reading as little as will tell.
//!
//! Where the text of `entries.json` is known from before (`known`), only the lines that were edited since
//! are read, and only the files whose size or time is another; else everything is.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use confman_model::Key;
use confman_object_store::ObjectId;
use confman_object_store::tree::{self, Leaf, TreeKey};

use super::entries::{EntriesFile, Line, Source, Written};
use super::error::{FileProblem, WorkingCopyError};
use super::index::Index;
use super::journal::Stamp;
use super::known::{InFile, Known};
use super::lines::{compare, find, is_plain, read_line};
use super::local::{known_key, layout_key};
use super::place::{ENTRIES_FILE, inside};
use super::snapshot::Snapshot;
use super::state::NamespaceState;
use super::{KeyState, WorkingCopy};

/// How much of the entries that differ is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Which they are.
    Keys,
    /// Also what they are.
    Entries,
}

/// The files of a namespace, as far as they differ from the tree that they came from.
#[derive(Debug)]
pub(super) struct FileChanges {
    /// Keys that differ, in order.
    pub(super) keys: BTreeMap<Key, KeyState>,
    /// The files. Lines and leaves of keys that do not differ may be missing, and all where only keys
    /// were asked for.
    pub(super) snapshot: Snapshot,
    /// Files that entries use, below the namespace's directory.
    pub(super) used: Vec<String>,
    /// The first comment or comma too many that is read over.
    pub(super) remark: Option<FileProblem>,
    /// What is to be remembered of the text, but for which keys differ.
    pub(super) known: Known,
}

impl WorkingCopy {
    /// How the files of a namespace differ from their base.
    pub(super) fn file_changes(
        &self,
        namespace: &NamespaceState,
        index: &mut Index,
        need: Need,
    ) -> Result<FileChanges, WorkingCopyError> {
        let directory = self.state.directory(&namespace.path);
        let tree = self.tree_of(namespace.base)?;
        if let Some(changes) = self.edited(&directory, tree, index, need)? {
            return Ok(changes);
        }
        let stamp = Stamp::of(&inside(&self.root, &directory.join(ENTRIES_FILE))?)?;
        let snapshot = Snapshot::read(&self.root, &directory, index)?;
        let keys = self.changes(namespace, &snapshot)?.into_iter().collect();
        let mut known = Known {
            tree,
            stamp: stamp.filter(|stamp| index.is_settled(stamp)),
            plain: is_plain(&snapshot.file),
            remark: snapshot
                .file
                .remark(&directory.join(ENTRIES_FILE))
                .map(|remark| (remark.line, remark.column, remark.what)),
            changes: keys,
            files: in_files(&snapshot.file.lines, &snapshot.leaves)?,
        };
        if snapshot.conflicts.is_empty() {
            known.save(&self.root, &directory, &snapshot.file.text);
        }
        Ok(FileChanges {
            used: snapshot.used_files().map(str::to_owned).collect(),
            remark: snapshot.file.remark(&directory.join(ENTRIES_FILE)),
            keys: std::mem::take(&mut known.changes),
            snapshot,
            known,
        })
    }

    /// As [`Self::file_changes`], from what is known; `None` where that does not tell.
    fn edited(
        &self,
        directory: &Path,
        tree: Option<ObjectId>,
        index: &mut Index,
        need: Need,
    ) -> Result<Option<FileChanges>, WorkingCopyError> {
        let Some((mut known, hash)) = Known::load(&self.root, directory) else {
            return Ok(None);
        };
        let path = inside(&self.root, &directory.join(ENTRIES_FILE))?;
        let stamp = Stamp::of(&path)?;
        let is_same = stamp.is_some() && known.stamp == stamp;
        if known.tree != tree || !(known.plain || is_same && need == Need::Keys) {
            return Ok(None);
        }
        let read = || Known::text(&self.root, directory, &hash);
        let (text, edits) = match (is_same, need) {
            (true, Need::Keys) => (String::new(), Default::default()),
            (true, Need::Entries) => match read() {
                Some(text) => (text, Default::default()),
                None => return Ok(None),
            },
            (false, _) => {
                let new = std::fs::read(&path).ok().map(String::from_utf8);
                let (Some(old), Some(Ok(new))) = (read(), new) else {
                    return Ok(None);
                };
                match compare(&old, &new) {
                    Some(edits) => (new, edits),
                    None => return Ok(None),
                }
            }
        };
        let is_edited = !edits.gone.is_empty() || !edits.lines.is_empty();
        let mut touched: BTreeMap<Key, Option<Line>> =
            edits.gone.into_iter().map(|key| (key, None)).collect();
        for (_, range) in edits.lines {
            match read_line(&text, range) {
                Some((key, line)) => touched.insert(key, Some(line)),
                None => return Ok(None),
            };
        }
        for key in touched.keys() {
            known.changes.remove(key);
            known.files.remove(key);
        }
        if need == Need::Entries {
            // What differed before and was not edited since is to be read too.
            for (key, state) in &known.changes {
                if *state != KeyState::Removed {
                    let line = find(&text, key).and_then(|range| read_line(&text, range));
                    match line {
                        Some((key, line)) => touched.insert(key, Some(line)),
                        None => return Ok(None),
                    };
                }
            }
        }
        let mut snapshot = Snapshot::of(
            &self.root,
            directory,
            EntriesFile {
                text,
                lines: touched
                    .iter()
                    .filter_map(|(key, line)| Some((key.clone(), line.clone()?)))
                    .collect(),
                ..EntriesFile::default()
            },
        );
        for (key, line) in &touched {
            let name = layout_key(key)?;
            let leaf = match line.as_ref().map(|line| &line.written) {
                None => None,
                Some(Written::Conflict(_)) => return Ok(None),
                Some(Written::Entry(form)) => match snapshot.leaf(key, form, index)? {
                    Ok(leaf) => Some(leaf),
                    Err(_) => return Ok(None),
                },
            };
            self.note(&mut known.changes, tree, key, &name, leaf.as_ref())?;
            if let Some(leaf) = leaf {
                snapshot.leaves.insert(name, leaf);
            }
        }
        let came = in_files(&snapshot.file.lines, &snapshot.leaves)?;
        let Some(changed) = self.files_changed(directory, &known.files, index)? else {
            return Ok(None);
        };
        for (key, leaf) in changed {
            if came.contains_key(&key) {
                continue;
            }
            let name = layout_key(&key)?;
            if let Some(file) = known.files.get_mut(&key) {
                file.value = leaf.value.clone();
            }
            self.note(&mut known.changes, tree, &key, &name, Some(&leaf))?;
            if need == Need::Entries {
                let text = &snapshot.file.text;
                let Some((key, line)) = find(text, &key).and_then(|range| read_line(text, range))
                else {
                    return Ok(None);
                };
                snapshot.file.lines.insert(key, line);
                snapshot.leaves.insert(name, leaf);
            }
        }
        if !came.is_empty() {
            known.files.extend(came);
            if !are_apart(known.files.values()) {
                return Ok(None);
            }
        }
        known.stamp = stamp.filter(|stamp| index.is_settled(stamp));
        if !is_edited && !is_same && known.stamp.is_some() {
            // The same text, and now its time tells.
            known.save(&self.root, directory, &snapshot.file.text);
        }
        let remark = known.remark(&directory.join(ENTRIES_FILE));
        let used = known.files.values().map(|file| file.path.clone());
        Ok(Some(FileChanges {
            used: used.collect(),
            keys: std::mem::take(&mut known.changes),
            snapshot,
            remark,
            known,
        }))
    }

    /// Notes whether what a key leads to differs from the tree.
    fn note(
        &self,
        changes: &mut BTreeMap<Key, KeyState>,
        tree: Option<ObjectId>,
        key: &Key,
        name: &TreeKey,
        leaf: Option<&Leaf>,
    ) -> Result<(), WorkingCopyError> {
        let before = match tree {
            Some(tree) => tree::get(self.mirror.objects(), &tree, name.as_bytes())?,
            None => None,
        };
        let state = match (before.as_ref(), leaf) {
            (None, Some(_)) => Some(KeyState::Added),
            (Some(_), None) => Some(KeyState::Removed),
            (before, leaf) => (before != leaf).then_some(KeyState::Changed),
        };
        match state {
            Some(state) => changes.insert(key.clone(), state),
            None => changes.remove(key),
        };
        Ok(())
    }

    /// Of the entries in files, those that no longer hold what they held; `None` where one cannot be read.
    fn files_changed(
        &self,
        directory: &Path,
        files: &BTreeMap<Key, InFile>,
        index: &mut Index,
    ) -> Result<Option<Vec<(Key, Leaf)>>, WorkingCopyError> {
        let snapshot = Snapshot::of(&self.root, directory, EntriesFile::default());
        let mut changed = Vec::new();
        let mut place = Place::default();
        for (key, file) in files {
            let relative = directory.join(&file.path);
            let stamp = Stamp::of(place.inside(&self.root, &relative)?)?;
            let indexed = stamp.and_then(|stamp| index.leaf(&relative, file.entry_type, &stamp));
            let mut leaf = match indexed {
                Some(leaf) => leaf,
                None => match snapshot.file_leaf(key, &file.path, file.entry_type, index)? {
                    Some(leaf) => leaf,
                    None => return Ok(None),
                },
            };
            if leaf.value != file.value {
                leaf.meta = file.meta;
                changed.push((key.clone(), leaf));
            }
        }
        Ok(Some(changed))
    }

    /// The tree of a commit; `None` for no commit.
    pub(super) fn tree_of(
        &self,
        commit: Option<ObjectId>,
    ) -> Result<Option<ObjectId>, WorkingCopyError> {
        let commit = commit.map(|commit| self.mirror.objects().commit(&commit));
        Ok(commit.transpose()?.map(|commit| commit.tree))
    }

    /// Keys that differ between the trees of two commits, in order.
    pub(super) fn keys_between(
        &self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<Vec<Key>, WorkingCopyError> {
        let objects = self.mirror.objects();
        match (self.tree_of(old)?, self.tree_of(new)?) {
            (Some(old), Some(new)) => {
                let changes = tree::diff(objects, &old, &new)?;
                changes
                    .iter()
                    .map(|change| known_key(&change.key))
                    .collect()
            }
            _ => {
                let both = [self.leaves_of(old)?, self.leaves_of(new)?];
                both.iter()
                    .flat_map(BTreeMap::keys)
                    .map(known_key)
                    .collect()
            }
        }
    }

    /// What a key leads to in the tree of a commit.
    pub(super) fn leaf_at(
        &self,
        commit: Option<ObjectId>,
        name: &TreeKey,
    ) -> Result<Option<Leaf>, WorkingCopyError> {
        match self.tree_of(commit)? {
            Some(tree) => Ok(tree::get(self.mirror.objects(), &tree, name.as_bytes())?),
            None => Ok(None),
        }
    }
}

/// The entries among these whose values are in files.
fn in_files(
    lines: &BTreeMap<Key, Line>,
    leaves: &BTreeMap<TreeKey, Leaf>,
) -> Result<BTreeMap<Key, InFile>, WorkingCopyError> {
    let mut found = BTreeMap::new();
    for (key, line) in lines {
        if let Some(leaf) = leaves.get(&layout_key(key)?) {
            found.extend(in_file(line, leaf).map(|file| (key.clone(), file)));
        }
    }
    Ok(found)
}

/// The entry on a line, with what it leads to, if its value is in a file.
pub(super) fn in_file(line: &Line, leaf: &Leaf) -> Option<InFile> {
    let Written::Entry(form) = &line.written else {
        return None;
    };
    let (Source::File(path), Some(entry_type)) = (&form.source, form.entry_type) else {
        return None;
    };
    Some(InFile {
        path: path.clone(),
        entry_type,
        meta: leaf.meta,
        value: leaf.value.clone(),
    })
}

/// Whether no two entries share a file.
fn are_apart<'f>(files: impl Iterator<Item = &'f InFile>) -> bool {
    let mut seen = HashSet::new();
    files
        .map(|file| file.path.to_lowercase())
        .all(|path| seen.insert(path))
}

/// Looks for places below a root, of which those in one directory follow one another.
#[derive(Default)]
struct Place {
    /// The directory that was found to lie inside last, relative to the root.
    directory: Option<PathBuf>,
    path: PathBuf,
}

impl Place {
    /// As [`inside`], where the file itself is looked at by whoever asks.
    fn inside(&mut self, root: &Path, relative: &Path) -> Result<&Path, WorkingCopyError> {
        let parent = relative.parent().unwrap_or(Path::new(""));
        if self.directory.as_deref() != Some(parent) {
            inside(root, parent)?;
            self.directory = Some(parent.to_path_buf());
        }
        self.path.clear();
        self.path.push(root);
        self.path.push(relative);
        Ok(&self.path)
    }
}
