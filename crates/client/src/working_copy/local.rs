//! What needs no server: status, diff, restore, resolve.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use confman_layout::{entry_key, read_entry, tree_key};
use confman_model::json::Pointer;
use confman_model::{Details, Entry, EntryDiff, EntryType, EntryValue, Key, Namespace, Value};
use confman_object_store::tree::{self, Leaf, TreeKey};
use confman_object_store::{Kind, ObjectId};

use super::changes::{FileChanges, Need};
use super::cloning::without_entries;
use super::entries::{Form, Written};
use super::error::{FileProblem, WorkingCopyError};
use super::ignored::Ignored;
use super::index::Index;
use super::journal::{self, Lock, Plan, Stamp, list_files};
use super::known::Known;
use super::place::{DOCUMENT_FILE, ENTRIES_FILE, FILES_DIRECTORY, inside};
use super::rewrite::{Update, rewrite};
use super::snapshot::Snapshot;
use super::state::NamespaceState;
use super::{Conflicting, KeyState, NamespaceStatus, Resolution, Side, Status, Take, WorkingCopy};

/// The contents of one side: what each key leads to.
pub(super) type Leaves = BTreeMap<TreeKey, Leaf>;

impl WorkingCopy {
    /// The files against their base.
    ///
    /// # Errors
    /// Reports everything that is wrong with the files at once.
    pub fn status(&self) -> Result<Status, WorkingCopyError> {
        let mut index = Index::load(&self.root);
        let mut namespaces = Vec::new();
        let mut problems = Vec::new();
        for namespace in &self.state.namespaces {
            match self.namespace_status(namespace, &mut index) {
                Ok(status) => namespaces.push(status),
                Err(WorkingCopyError::Invalid { problems: found }) => problems.extend(found),
                Err(error) => return Err(error),
            }
        }
        if !problems.is_empty() {
            return Err(WorkingCopyError::Invalid { problems });
        }
        index.save(&self.root);
        Ok(Status {
            namespaces,
            rescued: journal::rescued(&self.root)?,
        })
    }

    fn namespace_status(
        &self,
        namespace: &NamespaceState,
        index: &mut Index,
    ) -> Result<NamespaceStatus, WorkingCopyError> {
        let directory = self.state.directory(&namespace.path);
        let changes = self.file_changes(namespace, index, Need::Keys)?;
        Ok(NamespaceStatus {
            placed: self.state.placed(namespace),
            unused: self.unused_files(&directory, &changes.used)?,
            changes: changes.keys.into_iter().collect(),
            document_edited: self.document_edited(&directory)?,
            remark: changes.remark,
        })
    }

    /// Keys that differ from the base, in order.
    pub(super) fn changes(
        &self,
        namespace: &NamespaceState,
        snapshot: &Snapshot,
    ) -> Result<Vec<(Key, KeyState)>, WorkingCopyError> {
        let base = self.leaves_of(namespace.base)?;
        let mut changes: BTreeMap<Key, KeyState> = snapshot
            .conflicts
            .iter()
            .map(|key| (key.clone(), KeyState::Conflict))
            .collect();
        for (key, leaf) in &snapshot.leaves {
            let state = match base.get(key) {
                None => KeyState::Added,
                Some(before) if before != leaf => KeyState::Changed,
                Some(_) => continue,
            };
            changes.insert(known_key(key)?, state);
        }
        for key in base
            .keys()
            .filter(|key| !snapshot.leaves.contains_key(*key))
        {
            changes.entry(known_key(key)?).or_insert(KeyState::Removed);
        }
        Ok(changes.into_iter().collect())
    }

    pub(super) fn unused_files(
        &self,
        directory: &Path,
        used: &[String],
    ) -> Result<Vec<PathBuf>, WorkingCopyError> {
        let used: HashSet<PathBuf> = used.iter().map(|path| directory.join(path)).collect();
        let mut found = Vec::new();
        let files = directory.join(FILES_DIRECTORY);
        list_files(&inside(&self.root, &files)?, &files, &mut found)?;
        found.retain(|path| !used.contains(path));
        if !found.is_empty() {
            let ignored = Ignored::load(&self.root)?;
            found.retain(|path| !ignored.has(path));
        }
        found.sort();
        Ok(found)
    }

    /// What is read over in the files: of each, the first comment or comma too many.
    ///
    /// # Errors
    /// A file cannot be read or is not valid.
    pub fn remarks(&self) -> Result<Vec<FileProblem>, WorkingCopyError> {
        let mut remarks = Vec::new();
        for namespace in &self.state.namespaces {
            let directory = self.state.directory(&namespace.path);
            match self.remark_known(&directory)? {
                Some(remark) => remarks.extend(remark),
                None => {
                    let file = Snapshot::read_entries(&self.root, &directory)?;
                    remarks.extend(file.remark(&directory.join(ENTRIES_FILE)));
                }
            }
        }
        Ok(remarks)
    }

    /// Where the value of a key stands in the files, or what a pointer leads to within it.
    ///
    /// # Errors
    /// A file cannot be read or is not valid.
    pub fn locate(
        &self,
        namespace: &Namespace,
        key: &Key,
        pointer: Option<&Pointer>,
    ) -> Result<Option<FileProblem>, WorkingCopyError> {
        if self.state.namespace(namespace).is_err() {
            return Ok(None);
        }
        let directory = self.state.directory(namespace);
        let file = Snapshot::read_entries(&self.root, &directory)?;
        let snapshot = Snapshot::of(&self.root, &directory, file);
        snapshot.locate(key, pointer)
    }

    fn document_edited(&self, directory: &Path) -> Result<bool, WorkingCopyError> {
        let shown = inside(&self.root, &directory.join(DOCUMENT_FILE))?;
        let fetched = self.document_copy(directory);
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        Ok(read(&shown) != read(&fetched))
    }

    /// The tree of a commit as a map; nothing for no commit.
    pub(super) fn leaves_of(&self, commit: Option<ObjectId>) -> Result<Leaves, WorkingCopyError> {
        let mut leaves = Leaves::new();
        if let Some(commit) = commit {
            let tree = self.mirror.objects().commit(&commit)?.tree;
            tree::walk(self.mirror.objects(), &tree, b"", None, &mut |key, leaf| {
                leaves.insert(key, leaf);
                std::ops::ControlFlow::Continue(())
            })?;
        }
        Ok(leaves)
    }

    /// What differs between two sides of a namespace; only `keys` where any are given.
    ///
    /// # Errors
    /// A side was not fetched, or the files are not valid.
    pub fn diff(
        &self,
        namespace: &Namespace,
        from: &Side,
        to: &Side,
        keys: &[Key],
    ) -> Result<Vec<EntryDiff>, WorkingCopyError> {
        let from = self.side(namespace, from)?;
        let to = self.side(namespace, to)?;
        let mut names: BTreeSet<Key> = self
            .keys_between(from.commit, to.commit)?
            .into_iter()
            .collect();
        for side in [&from, &to] {
            let keys = side.files.iter().flat_map(|files| files.keys.keys());
            names.extend(keys.cloned());
        }
        if !keys.is_empty() {
            names.retain(|key| keys.contains(key));
        }
        let mut diffs = Vec::new();
        for key in names {
            let name = layout_key(&key)?;
            if self.side_leaf(&from, &name, &key)? == self.side_leaf(&to, &name, &key)? {
                continue;
            }
            let (old, new) = (
                self.side_entry(&from, &name, &key)?,
                self.side_entry(&to, &name, &key)?,
            );
            diffs.extend(EntryDiff::between(&key, old.as_ref(), new.as_ref()));
        }
        Ok(diffs)
    }

    fn side(&self, namespace: &Namespace, side: &Side) -> Result<SideContents, WorkingCopyError> {
        let state = self.state.namespace(namespace)?;
        let commit = match side {
            Side::Files => {
                let mut index = Index::load(&self.root);
                let files = self.file_changes(state, &mut index, Need::Entries)?;
                index.save(&self.root);
                return Ok(SideContents {
                    commit: state.base,
                    files: Some(files),
                });
            }
            Side::Base => state.base,
            Side::Revision(revision) => Some(self.resolve_revision(namespace, revision)?),
        };
        if let Some(commit) = commit {
            let tree = self.mirror.objects().commit(&commit)?.tree;
            if !self.mirror.has(Kind::Page, &tree)? {
                let revision = commit.to_string();
                return Err(WorkingCopyError::NotFetched {
                    namespace: namespace.clone(),
                    revision,
                });
            }
        }
        Ok(SideContents {
            commit,
            files: None,
        })
    }

    /// What a key leads to on a side. What a key in conflict had before the pull is what the files say of it.
    fn side_leaf(
        &self,
        side: &SideContents,
        name: &TreeKey,
        key: &Key,
    ) -> Result<Option<Leaf>, WorkingCopyError> {
        match &side.files {
            Some(files) => match files.keys.get(key) {
                Some(KeyState::Conflict) => ours_leaf(&files.snapshot, key),
                Some(_) => Ok(files.snapshot.leaves.get(name).cloned()),
                None => self.leaf_at(side.commit, name),
            },
            None => self.leaf_at(side.commit, name),
        }
    }

    fn side_entry(
        &self,
        side: &SideContents,
        name: &TreeKey,
        key: &Key,
    ) -> Result<Option<Entry>, WorkingCopyError> {
        if let Some(files) = &side.files
            && let Some(state) = files.keys.get(key)
        {
            let snapshot = &files.snapshot;
            let written = snapshot.file.lines.get(key).map(|line| &line.written);
            return match (state, written) {
                (KeyState::Conflict, Some(Written::Conflict(sides))) => {
                    let ours = sides.ours.as_ref();
                    ours.map(|form| read(snapshot, key, form)).transpose()
                }
                _ => snapshot.entry(key),
            };
        }
        let leaf = self.leaf_at(side.commit, name)?;
        leaf.map(|leaf| self.stored_entry(&leaf)).transpose()
    }

    /// What is read over in the files of a namespace, where that is known and they did not change since.
    fn remark_known(
        &self,
        directory: &Path,
    ) -> Result<Option<Option<FileProblem>>, WorkingCopyError> {
        let Some((known, _)) = Known::load(&self.root, directory) else {
            return Ok(None);
        };
        let file = directory.join(ENTRIES_FILE);
        let stamp = Stamp::of(&inside(&self.root, &file)?)?;
        let is_same = stamp.is_some() && stamp == known.stamp;
        Ok(is_same.then(|| known.remark(&file)))
    }

    /// The entry of a leaf of the mirror.
    pub(super) fn stored_entry(&self, leaf: &Leaf) -> Result<Entry, WorkingCopyError> {
        read_entry(self.mirror.objects(), leaf)
            .map_err(|error| WorkingCopyError::Hostile(crate::client::chain(&error)))
    }

    /// Gives keys (all where none are given) the entries of a side again. Returns what changed.
    ///
    /// Where all are wanted, the files need not be readable: what is there of them is then set aside
    /// under `.confman/rescued/` first.
    ///
    /// # Errors
    /// The side was not fetched, a key is neither in it nor in the files, or a file cannot be written.
    pub fn restore(
        &mut self,
        namespace: &Namespace,
        keys: &[Key],
        from: &Side,
    ) -> Result<Vec<Key>, WorkingCopyError> {
        let lock = Lock::take(&self.root)?;
        let side = self.side(namespace, from)?;
        if side.files.is_some() {
            // They are what they are.
            return Ok(Vec::new());
        }
        let stored = self.leaves_of(side.commit)?;
        let directory = self.state.directory(namespace);
        let mut index = Index::load(&self.root);
        let snapshot = match Snapshot::read_but(&self.root, &directory, &mut index, keys) {
            Err(damage) if keys.is_empty() => self.start_over(&directory, damage)?,
            read => read?,
        };
        let wanted: BTreeSet<Key> = if keys.is_empty() {
            let keys = stored.keys().map(known_key);
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            keys.into_iter()
                .chain(snapshot.file.lines.keys().cloned())
                .collect()
        } else {
            keys.iter().cloned().collect()
        };
        let mut updates = BTreeMap::new();
        for key in wanted {
            let name = layout_key(&key)?;
            let (before, now) = (stored.get(&name), snapshot.leaves.get(&name));
            if before.is_none() && !snapshot.file.lines.contains_key(&key) {
                return Err(WorkingCopyError::NoSuchKey {
                    namespace: namespace.clone(),
                    key,
                });
            }
            if before == now && !snapshot.conflicts.contains(&key) {
                continue;
            }
            let update = match self.side_entry(&side, &name, &key)? {
                Some(entry) => Update::Entry(entry),
                None => Update::Remove,
            };
            updates.insert(key, update);
        }
        self.write(&lock, &directory, &snapshot, &updates)?;
        Ok(updates.into_keys().collect())
    }

    /// No entries in the place of files that cannot be read, which are kept aside.
    fn start_over(
        &self,
        directory: &Path,
        damage: WorkingCopyError,
    ) -> Result<Snapshot, WorkingCopyError> {
        let entries = directory.join(ENTRIES_FILE);
        let gone = !inside(&self.root, &entries)?.exists();
        match damage {
            WorkingCopyError::Invalid { .. } => {}
            WorkingCopyError::Io { .. } if gone => {}
            other => return Err(other),
        }
        // Files that no readable line leads to would only be in the way of those to come.
        for relative in [entries, directory.join(FILES_DIRECTORY)] {
            let path = inside(&self.root, &relative)?;
            if path.exists() {
                journal::set_aside(&self.root, &relative, &path)?;
            }
        }
        Ok(Snapshot::of(
            &self.root,
            directory,
            without_entries(directory),
        ))
    }

    /// The conflicts that are left in a namespace, with their sides.
    ///
    /// # Errors
    /// The files are not valid.
    pub fn conflicts(&self, namespace: &Namespace) -> Result<Vec<Conflicting>, WorkingCopyError> {
        self.state.namespace(namespace)?;
        let directory = self.state.directory(namespace);
        let snapshot = Snapshot::read(&self.root, &directory, &mut Index::load(&self.root))?;
        let mut conflicts = Vec::new();
        for (key, line) in &snapshot.file.lines {
            let Written::Conflict(sides) = &line.written else {
                continue;
            };
            let side = |form: &Option<Form>| {
                let form = form.as_ref();
                form.map(|form| read(&snapshot, key, form)).transpose()
            };
            conflicts.push(Conflicting {
                key: key.clone(),
                base: side(&sides.base)?,
                ours: side(&sides.ours)?,
                theirs: side(&sides.theirs)?,
            });
        }
        Ok(conflicts)
    }

    /// Resolves conflicts in keys (all where none are given) by taking one side. Returns the keys.
    ///
    /// # Errors
    /// A key has no conflict, or a file cannot be written.
    pub fn resolve(
        &mut self,
        namespace: &Namespace,
        keys: &[Key],
        take: Take,
    ) -> Result<Vec<Key>, WorkingCopyError> {
        let keys = match keys {
            [] => {
                let conflicts = self.conflicts(namespace)?.into_iter();
                conflicts.map(|conflict| conflict.key).collect()
            }
            keys => keys.to_vec(),
        };
        let resolutions = keys.iter().cloned();
        let resolutions = resolutions.map(|key| (key, Resolution::Side(take)));
        self.resolve_each(namespace, &resolutions.collect())?;
        Ok(keys)
    }

    /// Puts something in the place of each of these conflicts, all or none.
    ///
    /// # Errors
    /// A key has no conflict, or a file cannot be written.
    pub fn resolve_each(
        &mut self,
        namespace: &Namespace,
        resolutions: &BTreeMap<Key, Resolution>,
    ) -> Result<(), WorkingCopyError> {
        let lock = Lock::take(&self.root)?;
        self.state.namespace(namespace)?;
        let directory = self.state.directory(namespace);
        let snapshot = Snapshot::read(&self.root, &directory, &mut Index::load(&self.root))?;
        let mut updates = BTreeMap::new();
        for (key, resolution) in resolutions {
            let Some(Written::Conflict(sides)) =
                snapshot.file.lines.get(key).map(|line| &line.written)
            else {
                return Err(WorkingCopyError::NoConflict {
                    namespace: namespace.clone(),
                    key: key.clone(),
                });
            };
            let form = match resolution {
                Resolution::Side(Take::Ours) => &sides.ours,
                Resolution::Side(Take::Theirs) => &sides.theirs,
                Resolution::Side(Take::Base) => &sides.base,
                Resolution::Value(_) => match &sides.ours {
                    None => &sides.theirs,
                    ours => ours,
                },
            };
            let side = form.as_ref();
            let side = side.map(|form| read(&snapshot, key, form)).transpose()?;
            let entry = match (resolution, side) {
                (Resolution::Side(_), side) => side,
                (Resolution::Value(value), side) => Some(with_value(side, value)?),
            };
            updates.insert(key.clone(), entry.map_or(Update::Remove, Update::Entry));
        }
        self.write(&lock, &directory, &snapshot, &updates)
    }

    /// Reads everything that the files came from, which verifies it. Returns how many entries there are.
    ///
    /// # Errors
    /// Something of it is damaged or missing.
    pub fn verify(&self) -> Result<usize, WorkingCopyError> {
        let mut entries = 0;
        for namespace in &self.state.namespaces {
            for leaf in self.leaves_of(namespace.base)?.values() {
                self.stored_entry(leaf)?;
                entries += 1;
            }
        }
        Ok(entries)
    }

    fn write(
        &self,
        lock: &Lock,
        directory: &Path,
        snapshot: &Snapshot,
        updates: &BTreeMap<Key, Update>,
    ) -> Result<(), WorkingCopyError> {
        if updates.is_empty() {
            return Ok(());
        }
        let mut plan = Plan::new(&self.root, lock)?;
        rewrite(&self.root, directory, &snapshot.file, updates, &mut plan)?;
        plan.commit(&self.state)
    }
}

/// One side of a comparison.
struct SideContents {
    /// The commit, or the one that the files came from.
    commit: Option<ObjectId>,
    /// The files, if this is what they say.
    files: Option<FileChanges>,
}

fn read(snapshot: &Snapshot, key: &Key, form: &Form) -> Result<Entry, WorkingCopyError> {
    snapshot
        .read_form(key, form)?
        .map_err(|problems| WorkingCopyError::Invalid { problems })
}

/// A value with what is said about the entry that it takes the place of.
fn with_value(entry: Option<Entry>, value: &Value) -> Result<Entry, WorkingCopyError> {
    let mut details = entry.map_or_else(Details::default, |entry| entry.into_parts().1);
    if value.entry_type() != EntryType::Binary {
        details.media_type = None;
    }
    Entry::new(EntryValue::Value(value.clone()), details)
        .map_err(|error| WorkingCopyError::Request(crate::client::chain(&error)))
}

fn ours_leaf(snapshot: &Snapshot, key: &Key) -> Result<Option<Leaf>, WorkingCopyError> {
    let written = snapshot.file.lines.get(key).map(|line| &line.written);
    let Some(Written::Conflict(sides)) = written else {
        return Ok(None);
    };
    let Some(form) = &sides.ours else {
        return Ok(None);
    };
    let entry = read(snapshot, key, form)?;
    let (leaf, _) = confman_layout::write_entry(&entry)
        .map_err(|error| WorkingCopyError::Request(crate::client::chain(&error)))?;
    Ok(Some(leaf))
}

pub(super) fn known_key(key: &TreeKey) -> Result<Key, WorkingCopyError> {
    entry_key(key).map_err(|error| WorkingCopyError::Hostile(crate::client::chain(&error)))
}

pub(super) fn layout_key(key: &Key) -> Result<TreeKey, WorkingCopyError> {
    tree_key(key).map_err(|error| WorkingCopyError::Request(crate::client::chain(&error)))
}
