//! Makes commits of a stream's commands, one by one, the same each time.
//!
//! Nothing here depends on a clock, on chance, or on what a server has: reading the same stream again
//! makes the same commits, which is how an import that was cut off goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use confman_model::Namespace;
use confman_object_store::commit::{COMMIT_MESSAGE_BYTES_MAX, COMMIT_PARENTS_MAX};
use confman_object_store::tree::{self, Leaf, TreeKey};
use confman_object_store::{Commit, Encoded, Kind, Moment, Object, ObjectId, Person};
use imbl::OrdMap;

use super::content::{Contents, Reading, blob_of};
use super::import::{ISSUES_MAX, ImportError, ImportIssue};
use super::place::{Place, Placing};
use super::sidecar::{self, SIDECAR_FILE, Sidecar};
use super::stream::{Command, CommitCommand, Content, FileChange, Ident, Target, printable};
use super::workshop::Workshop;

/// The BLAKE3 context of the identity of a source commit without an id of its own.
const SOURCE_CONTEXT: &str = "confman 2026 git import v1 source";
/// The BLAKE3 context of an imported commit's change id.
const CHANGE_CONTEXT: &str = "confman 2026 git import v1 change";
/// Longest name or mail address of a person.
const PERSON_TEXT_BYTES_MAX: usize = 255;
/// The mode of a submodule, which has no content.
const MODE_SUBMODULE: u32 = 0o160_000;
/// The mode of a whole tree, which only a Git repository could read.
const MODE_TREE: u32 = 0o40_000;

/// A namespace after a source commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NamespaceHead {
    pub(super) commit: ObjectId,
    pub(super) generation: u64,
    pub(super) tree: ObjectId,
}

/// The namespaces after a source commit.
pub(super) type Heads = OrdMap<Namespace, NamespaceHead>;

/// A source commit that was taken in.
#[derive(Clone, Debug)]
struct Taken {
    source: Bytes,
    heads: Heads,
    /// What the source states beside its files.
    sidecar: Sidecar,
}

/// What one source commit changes, per namespace; `None` removes.
type Edits = BTreeMap<Namespace, BTreeMap<TreeKey, Option<Leaf>>>;

/// What was odd about the source.
#[derive(Debug, Default)]
pub(super) struct Issues {
    pub(super) invalid: Vec<ImportIssue>,
    pub(super) warnings: Vec<ImportIssue>,
    pub(super) more: u64,
    seen: HashSet<(Option<Vec<u8>>, String)>,
}

impl Issues {
    /// Notes an issue unless the same was noted for the path.
    fn note(&mut self, is_invalid: bool, commit: &str, path: Option<&[u8]>, what: String) {
        if !self.seen.insert((path.map(<[u8]>::to_vec), what.clone())) {
            return;
        }
        let list = if is_invalid {
            &mut self.invalid
        } else {
            &mut self.warnings
        };
        if list.len() >= ISSUES_MAX {
            self.more += 1;
            return;
        }
        list.push(ImportIssue {
            commit: commit.to_owned(),
            path: path.map(printable),
            what,
        });
    }

    fn invalid(&mut self, commit: &str, path: &[u8], what: String) {
        self.note(true, commit, Some(path), what);
    }

    fn warn(&mut self, commit: &str, path: Option<&[u8]>, what: String) {
        self.note(false, commit, path, what);
    }
}

/// Makes commits.
#[derive(Debug)]
pub(super) struct Assembly {
    placing: Placing,
    pub(super) workshop: Workshop,
    contents: Contents,
    commits: Vec<Taken>,
    by_mark: HashMap<u64, usize>,
    by_oid: HashMap<String, usize>,
    branches: BTreeMap<String, usize>,
    /// First parents, for the lines to publish.
    first_parents: HashMap<ObjectId, Option<ObjectId>>,
    /// Commits without children.
    tips: BTreeSet<(Namespace, ObjectId)>,
    places: HashMap<Vec<u8>, Result<Place, String>>,
    pub(super) issues: Issues,
    empty_tree: ObjectId,
}

impl Assembly {
    pub(super) fn new(placing: Placing) -> Result<Self, ImportError> {
        let workshop = Workshop::new().map_err(io)?;
        let empty = tree::empty();
        workshop.keep(&empty).map_err(io)?;
        Ok(Self {
            placing,
            workshop,
            contents: Contents::default(),
            commits: Vec::new(),
            by_mark: HashMap::new(),
            by_oid: HashMap::new(),
            branches: BTreeMap::new(),
            first_parents: HashMap::new(),
            tips: BTreeSet::new(),
            places: HashMap::new(),
            issues: Issues::default(),
            empty_tree: empty.id(),
        })
    }

    /// How many source commits were taken in.
    pub(super) fn commits(&self) -> u64 {
        self.commits.len() as u64
    }

    /// Identity of the newest source commit, in hex.
    pub(super) fn newest_source(&self) -> Option<String> {
        self.commits
            .last()
            .map(|taken| data_encoding::HEXLOWER.encode(&taken.source))
    }

    /// Commits without children.
    pub(super) fn tips(&self) -> &BTreeSet<(Namespace, ObjectId)> {
        &self.tips
    }

    /// The branches and what the namespaces are at each.
    pub(super) fn branches(&self) -> impl Iterator<Item = (&str, &Heads)> {
        self.branches.iter().filter_map(|(name, at)| {
            self.commits
                .get(*at)
                .map(|taken| (name.as_str(), &taken.heads))
        })
    }

    /// The first-parent line that ends at a commit, oldest first.
    pub(super) fn line(&self, head: ObjectId) -> Vec<ObjectId> {
        let mut line = Vec::new();
        let mut next = Some(head);
        while let Some(id) = next {
            line.push(id);
            next = self.first_parents.get(&id).copied().flatten();
        }
        line.reverse();
        line
    }

    /// Carries a command out. `true` for a commit.
    pub(super) fn take(&mut self, command: Command) -> Result<bool, ImportError> {
        match command {
            Command::Blob {
                mark,
                original,
                data,
            } => {
                self.contents.add(&self.workshop, mark, original, data)?;
                Ok(false)
            }
            Command::Commit(commit) => self.commit(*commit).map(|()| true),
            Command::Reset { branch, from } => {
                match from {
                    None => {
                        self.branches.remove(&branch);
                    }
                    Some(target) => {
                        let at = self.commit_at(&target)?;
                        self.branches.insert(branch, at);
                    }
                }
                Ok(false)
            }
            Command::Tag { name } => {
                self.issues
                    .warn("", None, format!("tag `{name}` was not imported"));
                Ok(false)
            }
            Command::Done => Ok(false),
        }
    }

    fn commit_at(&self, target: &Target) -> Result<usize, ImportError> {
        let (found, name) = match target {
            Target::Mark(mark) => (self.by_mark.get(mark).copied(), format!(":{mark}")),
            Target::Oid(oid) => (self.by_oid.get(oid).copied(), oid.clone()),
            Target::Ref(name) => (self.branches.get(name).copied(), name.clone()),
        };
        found.ok_or_else(|| {
            ImportError::Refused(format!("the stream names commit `{name}`, which did not come before; export the whole history"))
        })
    }

    fn commit(&mut self, command: CommitCommand) -> Result<(), ImportError> {
        let label = command
            .original
            .clone()
            .or_else(|| command.mark.map(|mark| format!(":{mark}")))
            .unwrap_or_default();
        let mut parents = Vec::new();
        match &command.from {
            Some(target) => parents.push(self.commit_at(target)?),
            None => parents.extend(self.branches.get(&command.branch)),
        }
        for target in &command.merges {
            parents.push(self.commit_at(target)?);
        }
        let before = parents.first().and_then(|at| self.commits.get(*at));
        let heads = before.map(|taken| taken.heads.clone()).unwrap_or_default();
        let sidecar = before
            .map(|taken| taken.sidecar.clone())
            .unwrap_or_default();
        let sidecar_before = sidecar.clone();
        let sidecar = self.sidecar(&label, &command, sidecar)?;
        let mut change = Change {
            heads,
            sidecar_before,
            sidecar,
            edits: Edits::new(),
            contents: HashMap::new(),
            used: Vec::new(),
        };
        let mut hasher = blake3::Hasher::new_derive_key(SOURCE_CONTEXT);
        for file_change in &command.changes {
            self.apply(&label, file_change, &mut change, &mut hasher)?;
        }
        let source = match &command.original {
            Some(oid) => Bytes::from(
                data_encoding::HEXLOWER
                    .decode(oid.as_bytes())
                    .unwrap_or_default(),
            ),
            None => self.derived_source(&command, &parents, hasher),
        };
        let heads = self.write(&label, &command, &parents, &source, &change)?;
        self.contents.settle(&self.workshop, change.used)?;
        let at = self.commits.len();
        self.commits.push(Taken {
            source,
            heads,
            sidecar: change.sidecar,
        });
        if let Some(mark) = command.mark {
            self.by_mark.insert(mark, at);
        }
        if let Some(oid) = command.original {
            self.by_oid.insert(oid, at);
        }
        self.branches.insert(command.branch, at);
        Ok(())
    }

    /// An identity for a source commit that has none: what it says, and that of its parents.
    fn derived_source(
        &self,
        command: &CommitCommand,
        parents: &[usize],
        mut hasher: blake3::Hasher,
    ) -> Bytes {
        for parent in parents {
            let source = self
                .commits
                .get(*parent)
                .map(|taken| taken.source.clone())
                .unwrap_or_default();
            hash_text(&mut hasher, b'p', &source);
        }
        for (tag, ident) in [
            (b'a', command.author.as_ref()),
            (b'c', Some(&command.committer)),
        ] {
            if let Some(ident) = ident {
                hash_text(&mut hasher, tag, &ident.name);
                hash_text(&mut hasher, tag, &ident.email);
                hasher.update(&ident.seconds.to_le_bytes());
                hasher.update(&ident.offset_minutes.to_le_bytes());
            }
        }
        hash_text(
            &mut hasher,
            b'e',
            command.encoding.as_deref().unwrap_or_default().as_bytes(),
        );
        hash_text(&mut hasher, b'm', &command.message);
        Bytes::copy_from_slice(hasher.finalize().as_bytes())
    }

    /// Applies a file change to what the commit changes.
    fn apply(
        &mut self,
        label: &str,
        file_change: &FileChange,
        change: &mut Change,
        hasher: &mut blake3::Hasher,
    ) -> Result<(), ImportError> {
        match file_change {
            FileChange::Modify {
                mode,
                content,
                path,
            } => {
                hash_text(hasher, b'M', path);
                hasher.update(&mode.to_le_bytes());
                self.modify(label, *mode, content, path, change, hasher)
            }
            FileChange::Delete(path) => {
                hash_text(hasher, b'D', path);
                let files = self.files_at(path, change)?;
                files
                    .into_iter()
                    .for_each(|(place, _)| change.set(place, None));
                Ok(())
            }
            FileChange::Rename(from, to) | FileChange::Copy(from, to) => {
                let is_rename = matches!(file_change, FileChange::Rename(..));
                hash_text(hasher, if is_rename { b'R' } else { b'C' }, from);
                hash_text(hasher, b't', to);
                let files = self.files_at(from, change)?;
                let mut arriving = Vec::new();
                for (place, leaf) in files {
                    let path = self.placing.path(&place.namespace, place.key.as_bytes());
                    let below = path.strip_prefix(from.as_slice()).unwrap_or_default();
                    let mut target = to.clone();
                    target.extend_from_slice(if to.is_empty() {
                        below.strip_prefix(b"/").unwrap_or(below)
                    } else {
                        below
                    });
                    arriving.push((target, leaf));
                    if is_rename {
                        change.set(place, None);
                    }
                }
                for (place, _) in self.files_at(to, change)? {
                    change.set(place, None);
                }
                for (path, leaf) in arriving {
                    match self.place(&path) {
                        Ok(place) => change.set(place, Some(leaf)),
                        Err(what) => self.issues.invalid(label, &path, what),
                    }
                }
                Ok(())
            }
            FileChange::DeleteAll => {
                hash_text(hasher, b'A', b"");
                for (place, _) in self.files_under(b"", change)? {
                    change.set(place, None);
                }
                Ok(())
            }
            FileChange::Note(_) => {
                self.issues
                    .warn(label, None, "notes were not imported".to_owned());
                Ok(())
            }
        }
    }

    fn modify(
        &mut self,
        label: &str,
        mode: u32,
        content: &Content,
        path: &[u8],
        change: &mut Change,
        hasher: &mut blake3::Hasher,
    ) -> Result<(), ImportError> {
        if mode == MODE_SUBMODULE {
            if let Content::Blob(Target::Oid(oid)) = content {
                hash_text(hasher, b's', oid.as_bytes());
            }
            self.issues
                .warn(label, Some(path), "a submodule was not imported".to_owned());
            return self.clear(path, change);
        }
        if mode == MODE_TREE {
            let path = printable(path);
            return Err(ImportError::Refused(format!(
                "`{path}` is given as a whole Git tree, which a stream does not contain"
            )));
        }
        let number = self.content(content)?;
        change.used.push(number);
        if let Some(identity) = self.contents.identity(number) {
            hasher.update(identity.as_bytes());
        }
        if path == SIDECAR_FILE.as_bytes() {
            return Ok(());
        }
        self.clear(path, change)?;
        let stated = std::str::from_utf8(path)
            .ok()
            .and_then(|path| change.sidecar.get(path))
            .cloned();
        let place = match stated.as_ref().and_then(|stated| stated.key.as_ref()) {
            Some(key) => self.place(key.as_bytes()),
            None => self.place(path),
        };
        let place = match place {
            Ok(place) => place,
            Err(what) => {
                self.issues.invalid(label, path, what);
                return Ok(());
            }
        };
        let reading = Reading {
            json_name: path.ends_with(b".json"),
            mode,
            stated,
        };
        match self.contents.resolve(&self.workshop, number, &reading)? {
            Ok(resolved) => {
                if let Some(warning) = resolved.warning {
                    self.issues.warn(label, Some(path), warning);
                }
                if let Some(id) = blob_of(&resolved.leaf) {
                    change.contents.insert(id, number);
                }
                if let Some(meta) = resolved.meta {
                    self.workshop.keep(&meta).map_err(io)?;
                }
                change.set(place, Some(resolved.leaf));
            }
            Err(what) => self.issues.invalid(label, path, what),
        }
        Ok(())
    }

    /// The number of a content that a change names.
    fn content(&mut self, content: &Content) -> Result<usize, ImportError> {
        match content {
            Content::Inline(data) => self.contents.add(&self.workshop, None, None, data.clone()),
            Content::Blob(Target::Mark(mark)) => self.contents.by_mark(*mark).ok_or_else(|| {
                ImportError::Refused(format!("the stream names content `:{mark}`, which did not come before"))
            }),
            Content::Blob(Target::Oid(name) | Target::Ref(name)) => self.contents.by_oid(name).ok_or_else(|| {
                ImportError::Refused(format!(
                    "the stream names content `{name}`, which it does not contain; export without --no-data and with --show-original-ids"
                ))
            }),
        }
    }

    /// What is stated about files after a commit, given what was before.
    fn sidecar(
        &mut self,
        label: &str,
        command: &CommitCommand,
        mut sidecar: Sidecar,
    ) -> Result<Sidecar, ImportError> {
        for file_change in &command.changes {
            match file_change {
                FileChange::DeleteAll => sidecar = Sidecar::new(),
                FileChange::Delete(path) if path == SIDECAR_FILE.as_bytes() => {
                    sidecar = Sidecar::new()
                }
                FileChange::Modify { content, path, .. } if path == SIDECAR_FILE.as_bytes() => {
                    let number = self.content(content)?;
                    let blob = self.contents.blob(&self.workshop, number)?;
                    match sidecar::parse(blob.bytes()) {
                        Ok(parsed) => sidecar = parsed,
                        Err(what) => self.issues.invalid(label, path, what),
                    }
                }
                _ => {}
            }
        }
        Ok(sidecar)
    }

    /// Makes way for a file: what is there, and files where it needs directories, go.
    fn clear(&mut self, path: &[u8], change: &mut Change) -> Result<(), ImportError> {
        for (place, _) in self.files_at(path, change)? {
            change.set(place, None);
        }
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let directory = path.get(..at).unwrap_or_default();
            // The file of a key can be elsewhere, just so that its name can be a directory.
            let is_elsewhere = change.sidecar.values().any(|stated| {
                stated
                    .key
                    .as_ref()
                    .is_some_and(|key| key.as_bytes() == directory)
            });
            if is_elsewhere {
                continue;
            }
            let Ok(place) = self.place(directory) else {
                continue;
            };
            if self.leaf(&place, change)?.is_some() {
                change.set(place, None);
            }
        }
        Ok(())
    }

    fn place(&mut self, path: &[u8]) -> Result<Place, String> {
        if let Some(place) = self.places.get(path) {
            return place.clone();
        }
        let place = self.placing.place(path);
        self.places.insert(path.to_vec(), place.clone());
        place
    }

    fn leaf(&self, place: &Place, change: &Change) -> Result<Option<Leaf>, ImportError> {
        if let Some(edited) = change
            .edits
            .get(&place.namespace)
            .and_then(|edits| edits.get(&place.key))
        {
            return Ok(edited.clone());
        }
        match change.heads.get(&place.namespace) {
            None => Ok(None),
            Some(head) => Ok(tree::get(&self.workshop, &head.tree, place.key.as_bytes())?),
        }
    }

    /// The file at a path, or all files under it.
    fn files_at(
        &mut self,
        path: &[u8],
        change: &Change,
    ) -> Result<Vec<(Place, Leaf)>, ImportError> {
        // A file whose key is not its path is where it was before as well as where it is stated now.
        let key = change.key_before(path);
        if let Ok(place) = self.place(key.as_deref().unwrap_or(path))
            && let Some(leaf) = self.leaf(&place, change)?
        {
            return Ok(vec![(place, leaf)]);
        }
        self.files_under(path, change)
    }

    fn files_under(
        &self,
        directory: &[u8],
        change: &Change,
    ) -> Result<Vec<(Place, Leaf)>, ImportError> {
        let mut found: BTreeMap<(Namespace, TreeKey), Leaf> = BTreeMap::new();
        let namespaces: BTreeSet<&Namespace> =
            change.heads.keys().chain(change.edits.keys()).collect();
        for namespace in namespaces {
            let Some(prefix) = self.placing.prefix_under(namespace, directory) else {
                continue;
            };
            if let Some(head) = change.heads.get(namespace) {
                tree::walk(
                    &self.workshop,
                    &head.tree,
                    &prefix,
                    None,
                    &mut |key, leaf| {
                        found.insert((namespace.clone(), key), leaf);
                        ControlFlow::Continue(())
                    },
                )?;
            }
            let edits = change.edits.get(namespace);
            // From the prefix on: a commit may change very many keys, and every one of them asks here.
            let start = TreeKey::new(prefix.clone()).map_or(Bound::Unbounded, Bound::Included);
            let under = edits
                .into_iter()
                .flat_map(|edits| edits.range((start.clone(), Bound::Unbounded)));
            for (key, edit) in under.take_while(|(key, _)| key.as_bytes().starts_with(&prefix)) {
                match edit {
                    Some(leaf) => found.insert((namespace.clone(), key.clone()), leaf.clone()),
                    None => found.remove(&(namespace.clone(), key.clone())),
                };
            }
        }
        Ok(found
            .into_iter()
            .map(|((namespace, key), leaf)| (Place { namespace, key }, leaf))
            .collect())
    }

    /// Writes a commit in every namespace that changed, or in the base where none did.
    fn write(
        &mut self,
        label: &str,
        command: &CommitCommand,
        parents: &[usize],
        source: &Bytes,
        change: &Change,
    ) -> Result<Heads, ImportError> {
        let mut heads = change.heads.clone();
        let template = self.template(label, command, source);
        let mut written = false;
        for (namespace, edits) in &change.edits {
            let before = change
                .heads
                .get(namespace)
                .map_or(self.empty_tree, |head| head.tree);
            let mut effective = BTreeMap::new();
            let mut given_up = HashSet::new();
            for (key, edit) in edits {
                let old = tree::get(&self.workshop, &before, key.as_bytes())?;
                if old != *edit {
                    given_up.extend(old.as_ref().and_then(blob_of));
                    effective.insert(key.clone(), (old, edit));
                }
            }
            if effective.is_empty() {
                continue;
            }
            for (old, new) in effective.values() {
                if let Some(new) = new {
                    self.add_value(old.as_ref(), new, &given_up, &change.contents)?;
                }
            }
            let edits = effective
                .into_iter()
                .map(|(key, (_, edit))| (key, edit.clone()))
                .collect();
            let edited = tree::edit(&self.workshop, &before, &edits)?;
            for (page, replaced) in edited.pages {
                self.workshop.add(page, replaced).map_err(io)?;
            }
            let head = self.write_commit(label, namespace, edited.root, parents, &template)?;
            heads.insert(namespace.clone(), head);
            written = true;
        }
        if !written {
            let namespace = self.placing.base.clone();
            let tree = match change.heads.get(&namespace) {
                Some(head) => head.tree,
                None => {
                    self.workshop.add(tree::empty(), None).map_err(io)?;
                    self.empty_tree
                }
            };
            let head = self.write_commit(label, &namespace, tree, parents, &template)?;
            heads.insert(namespace, head);
        }
        Ok(heads)
    }

    /// Sends what a changed entry needs that the tree before did not have.
    fn add_value(
        &mut self,
        old: Option<&Leaf>,
        new: &Leaf,
        given_up: &HashSet<ObjectId>,
        contents: &HashMap<ObjectId, usize>,
    ) -> Result<(), ImportError> {
        if let Some(id) = blob_of(new).filter(|id| !given_up.contains(id)) {
            let blob = match contents.get(&id) {
                Some(number) => self.contents.blob(&self.workshop, *number)?,
                None => self.object(Kind::Blob, &id)?,
            };
            self.workshop.add(blob, old.and_then(blob_of)).map_err(io)?;
        }
        if let Some(id) = new.meta {
            let meta = self.object(Kind::Meta, &id)?;
            self.workshop.add(meta, None).map_err(io)?;
        }
        Ok(())
    }

    fn object(&self, kind: Kind, id: &ObjectId) -> Result<Object, ImportError> {
        use confman_object_store::ReadObjects;
        Ok(Object::new(kind, self.workshop.read(kind, id)?))
    }

    fn write_commit(
        &mut self,
        label: &str,
        namespace: &Namespace,
        tree: ObjectId,
        parents: &[usize],
        template: &Commit,
    ) -> Result<NamespaceHead, ImportError> {
        let mut parent_heads: Vec<NamespaceHead> = Vec::new();
        for parent in parents {
            let head = self
                .commits
                .get(*parent)
                .and_then(|taken| taken.heads.get(namespace))
                .copied();
            parent_heads.extend(head.filter(|head| !parent_heads.contains(head)));
        }
        if parent_heads.len() > COMMIT_PARENTS_MAX {
            let what = format!(
                "a merge of {} lines keeps the first {COMMIT_PARENTS_MAX}",
                parent_heads.len()
            );
            self.issues.warn(label, None, what);
            parent_heads.truncate(COMMIT_PARENTS_MAX);
        }
        let generation = parent_heads
            .iter()
            .map(|head| head.generation)
            .max()
            .unwrap_or(0)
            + 1;
        let commit = Commit {
            tree,
            parents: parent_heads.iter().map(|head| head.commit).collect(),
            generation,
            namespace: namespace.to_string(),
            ..template.clone()
        };
        let object = commit
            .to_object()
            .map_err(|error| ImportError::Refused(format!("commit {label}: {error}")))?;
        let id = object.id();
        self.workshop.add(object, None).map_err(io)?;
        for head in &parent_heads {
            self.tips.remove(&(namespace.clone(), head.commit));
        }
        self.tips.insert((namespace.clone(), id));
        self.first_parents
            .insert(id, commit.parents.first().copied());
        Ok(NamespaceHead {
            commit: id,
            generation,
            tree,
        })
    }

    /// The commit of a command but for what differs between namespaces.
    fn template(&mut self, label: &str, command: &CommitCommand, source: &Bytes) -> Commit {
        let mut texts = Texts {
            encoding: command.encoding.as_deref(),
            altered: false,
        };
        let committer = texts.person(&command.committer);
        let author = command
            .author
            .as_ref()
            .map_or_else(|| committer.clone(), |author| texts.person(author));
        let message = texts.message(&command.message);
        if texts.altered {
            let what = "names or message were not whole UTF-8 without control characters and within their limits; what could not be kept was replaced";
            self.issues.warn(label, None, what.to_owned());
        }
        let hash = blake3::derive_key(CHANGE_CONTEXT, source);
        let mut change_id = [0; 16];
        change_id
            .iter_mut()
            .zip(hash)
            .for_each(|(to, from)| *to = from);
        Commit {
            tree: self.empty_tree,
            parents: Vec::new(),
            generation: 1,
            namespace: String::new(),
            author,
            author_time: moment(command.author.as_ref().unwrap_or(&command.committer)),
            committer,
            commit_time: moment(&command.committer),
            change_id,
            message,
            origin: None,
            request: None,
            policy: None,
            schemas: Vec::new(),
            source: Some(source.clone()),
            unknown: Vec::new(),
        }
    }

    /// The objects since the last batch.
    pub(super) fn take_batch(&mut self) -> Vec<Encoded> {
        self.workshop.take_batch()
    }
}

/// A commit's changes in the making.
struct Change {
    /// The namespaces before.
    heads: Heads,
    /// What was stated about files.
    sidecar_before: Sidecar,
    /// What is stated about files afterwards.
    sidecar: Sidecar,
    edits: Edits,
    /// Which content each blob is.
    contents: HashMap<ObjectId, usize>,
    /// Contents that the commit names.
    used: Vec<usize>,
}

impl Change {
    /// The key that a file had, where that was not its path.
    fn key_before(&self, path: &[u8]) -> Option<Vec<u8>> {
        let path = std::str::from_utf8(path).ok()?;
        self.sidecar_before
            .get(path)?
            .key
            .as_ref()
            .map(|key| key.as_bytes().to_vec())
    }

    fn set(&mut self, place: Place, leaf: Option<Leaf>) {
        self.edits
            .entry(place.namespace)
            .or_default()
            .insert(place.key, leaf);
    }
}

fn moment(ident: &Ident) -> Moment {
    Moment {
        ms: ident.seconds.saturating_mul(1000),
        offset_minutes: ident.offset_minutes,
    }
}

fn hash_text(hasher: &mut blake3::Hasher, tag: u8, text: &[u8]) {
    hasher.update(&[tag]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text);
}

/// Turns texts of the source into texts of a commit.
struct Texts<'c> {
    encoding: Option<&'c str>,
    altered: bool,
}

impl Texts<'_> {
    fn decode(&mut self, bytes: &[u8]) -> String {
        let latin = self.encoding.is_some_and(|name| {
            matches!(
                name.to_ascii_lowercase().as_str(),
                "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1"
            )
        });
        if latin {
            return bytes.iter().map(|byte| char::from(*byte)).collect();
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.altered = true;
                String::from_utf8_lossy(bytes).into_owned()
            }
        }
    }

    fn person(&mut self, ident: &Ident) -> Person {
        let name = self.line(&ident.name);
        let email = self.line(&ident.email);
        Person {
            principal: String::new(),
            name,
            email,
        }
    }

    fn line(&mut self, bytes: &[u8]) -> String {
        let text = self.decode(bytes);
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.altered |= clean != text;
        self.cut(clean, PERSON_TEXT_BYTES_MAX)
    }

    fn message(&mut self, bytes: &[u8]) -> String {
        let text = self.decode(bytes);
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let replaced = |c: char| {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                '\u{fffd}'
            } else {
                c
            }
        };
        let clean: String = lines.chars().map(replaced).collect();
        self.altered |= clean != lines;
        self.cut(clean, COMMIT_MESSAGE_BYTES_MAX)
    }

    fn cut(&mut self, mut text: String, bytes_max: usize) -> String {
        if text.len() > bytes_max {
            self.altered = true;
            text.truncate(text.floor_char_boundary(bytes_max));
        }
        text
    }
}

fn io(source: std::io::Error) -> ImportError {
    ImportError::Io {
        action: "keep an object in a temporary file".to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
