//! Configuration as files: a directory for each namespace, and a private mirror of what was fetched.
//!
//! The files are described in `docs/FORMAT-working-copy.md`. Everything but clone, pull and push
//! works without a server.
//!
//! INVARIANT: checkout of a tree, then snapshot of the files, gives the same tree.
//! INVARIANT: a process that is killed at any moment leaves a working copy that is whole: what it
//! was before, or what it was to become.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use confman_api::sync::Pushed;
use confman_model::{DraftName, EntryDiff, Key, Namespace, Revision};
use confman_object_store::{Commit, ObjectId, Person};

use crate::client::Client;

mod error;

pub use error::{FileProblem, WorkingCopyError};

/// Name of the private directory at the root of a working copy.
pub const PRIVATE_DIRECTORY: &str = ".confman";

/// A step of something that may take long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Objects are being fetched for a namespace.
    Fetching(Namespace),
    /// Objects were received, of as many in all.
    Received {
        /// So far.
        objects: u64,
        /// In all.
        total: u64,
    },
    /// Files are being written, of as many entries in all.
    Writing {
        /// So far.
        entries: u64,
        /// In all.
        total: u64,
    },
}

/// Told about progress.
pub type Report<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What to clone.
#[derive(Clone, Debug)]
pub struct CloneOptions {
    /// Also every namespace below.
    pub recursive: bool,
    /// The draft that `push` writes, and that is checked out where it exists.
    pub draft: DraftName,
    /// Trees and values of all of the history, so that every command works without a server.
    pub full_history: bool,
}

/// Where a namespace lies and what it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The namespace.
    pub namespace: Namespace,
    /// Its directory, relative to the root of the working copy; empty for the root itself.
    pub directory: PathBuf,
    /// The commit that its files came from; `None` where nothing was published yet.
    pub base: Option<ObjectId>,
    /// Whether `base` is the head of the draft.
    pub on_draft: bool,
    /// The published head that was fetched last.
    pub published: Option<ObjectId>,
}

/// What happened to a key since the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value, type, description or tags.
    Changed,
    /// A conflict is left in it.
    Conflict,
}

/// A namespace's files against its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceStatus {
    /// Where it lies.
    pub placed: Placed,
    /// Keys that differ, in order.
    pub changes: Vec<(Key, KeyState)>,
    /// Files under `files/` that no entry uses, relative to the root of the working copy.
    pub unused: Vec<PathBuf>,
    /// Whether `namespace.json` was edited, which changes nothing.
    pub document_edited: bool,
}

/// The whole of a working copy against its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Each namespace.
    pub namespaces: Vec<NamespaceStatus>,
    /// Files that the last interrupted command found edited and set aside.
    pub rescued: Vec<PathBuf>,
}

impl Status {
    /// Whether no key differs and no conflict is left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.namespaces.iter().all(|namespace| namespace.changes.is_empty())
    }
}

/// A state to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The files.
    Files,
    /// The commit that the files came from.
    Base,
    /// A commit that was fetched: `published`, `published~N`, `draft/NAME`, or an id.
    Revision(Revision),
}

/// What a pull did to one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledNamespace {
    /// Where it lies; `base` is the new one.
    pub placed: Placed,
    /// The base before.
    pub previous: Option<ObjectId>,
    /// Keys that were changed in the files.
    pub updated: Vec<Key>,
    /// Keys in which a conflict was left.
    pub conflicts: Vec<Key>,
    /// The draft that the files came from is gone: it was published or deleted. What it had and the
    /// published head does not have now counts as changed.
    pub draft_gone: bool,
}

/// What a pull did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Each namespace.
    pub namespaces: Vec<PulledNamespace>,
}

/// What to push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Why; required.
    pub message: String,
    /// Who made the change and the commit.
    pub author: Person,
    /// When, in milliseconds since 1970, and the offset of the clock in minutes.
    pub at: confman_object_store::Moment,
    /// Only these namespaces; all where empty.
    pub namespaces: Vec<Namespace>,
}

/// What was pushed for one namespace.
#[derive(Clone, Debug)]
pub struct PushedNamespace {
    /// The namespace.
    pub namespace: Namespace,
    /// The draft.
    pub draft: DraftName,
    /// Its new head.
    pub commit: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// Keys that changed against the base.
    pub changes: Vec<(Key, KeyState)>,
}

/// What a push did; no namespace where there was nothing to push.
#[derive(Clone, Debug, Default)]
pub struct PushedAll {
    /// Each namespace that had changes.
    pub namespaces: Vec<PushedNamespace>,
    /// The server's answer.
    pub pushed: Option<Pushed>,
}

/// Whose side of a conflict to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// What was in the files before the pull.
    Ours,
    /// What came with the pull.
    Theirs,
    /// What both began with.
    Base,
}

/// A commit with its id.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its id.
    pub id: ObjectId,
    /// The commit.
    pub commit: Arc<Commit>,
}

/// Who last changed a key, as far as the mirror tells.
#[derive(Clone, Debug)]
pub struct Blamed {
    /// The key.
    pub key: Key,
    /// The commit; `None` where it is older than what was fetched.
    pub by: Option<Logged>,
}

/// A working copy on disk.
#[derive(Debug)]
pub struct WorkingCopy {
    root: PathBuf,
}

impl WorkingCopy {
    /// Clones namespaces into a directory that does not exist or is empty.
    ///
    /// # Errors
    /// The directory is in use, the server refuses, or what it sends is not right; nothing is left then.
    pub async fn clone(_client: &Client, _namespace: &Namespace, _target: &Path, _options: &CloneOptions, _report: Report<'_>) -> Result<Self, WorkingCopyError> {
        todo!()
    }

    /// Opens the working copy that `start` lies in, and finishes what an interrupted command began.
    ///
    /// # Errors
    /// There is none, it is of a newer format, or its private files are damaged.
    pub fn discover(_start: &Path) -> Result<Self, WorkingCopyError> {
        todo!()
    }

    /// Opens the working copy whose root this is.
    ///
    /// # Errors
    /// As [`WorkingCopy::discover`].
    pub fn open(_root: &Path) -> Result<Self, WorkingCopyError> {
        todo!()
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The server it was cloned from.
    #[must_use]
    pub fn server_url(&self) -> &str {
        todo!()
    }

    /// The draft that `push` writes.
    #[must_use]
    pub fn draft(&self) -> &DraftName {
        todo!()
    }

    /// Its namespaces, outermost first.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Placed> {
        todo!()
    }

    /// The namespace whose directory a path lies in.
    ///
    /// # Errors
    /// The path lies outside.
    pub fn namespace_at(&self, _path: &Path) -> Result<Namespace, WorkingCopyError> {
        todo!()
    }

    /// The files against their base.
    ///
    /// # Errors
    /// Reports everything that is wrong with the files at once.
    pub fn status(&self) -> Result<Status, WorkingCopyError> {
        todo!()
    }

    /// What differs between two sides of a namespace; only `keys` where any are given.
    ///
    /// # Errors
    /// A side was not fetched, or the files are not valid.
    pub fn diff(&self, _namespace: &Namespace, _from: &Side, _to: &Side, _keys: &[Key]) -> Result<Vec<EntryDiff>, WorkingCopyError> {
        todo!()
    }

    /// The commit of a revision, as far as it was fetched.
    ///
    /// # Errors
    /// It was not fetched, or is not one.
    pub fn resolve_revision(&self, _namespace: &Namespace, _revision: &Revision) -> Result<ObjectId, WorkingCopyError> {
        todo!()
    }

    /// Commits from a revision (the base where absent) back along first parents, newest first; ends
    /// where the fetched history ends.
    ///
    /// # Errors
    /// The revision was not fetched.
    pub fn log(&self, _namespace: &Namespace, _revision: Option<&Revision>, _limit: usize) -> Result<Vec<Logged>, WorkingCopyError> {
        todo!()
    }

    /// A commit and what it changed against its first parent.
    ///
    /// # Errors
    /// It, its parent, or their trees were not fetched.
    pub fn show(&self, _namespace: &Namespace, _revision: &Revision) -> Result<(Logged, Vec<EntryDiff>), WorkingCopyError> {
        todo!()
    }

    /// Who last changed each key of the base, or those given.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub fn blame(&self, _namespace: &Namespace, _keys: &[Key]) -> Result<Vec<Blamed>, WorkingCopyError> {
        todo!()
    }

    /// Gives keys (all where none are given) the entries of a side again. Returns what changed.
    ///
    /// # Errors
    /// The side was not fetched, a key is neither in it nor in the files, or a file cannot be written.
    pub fn restore(&mut self, _namespace: &Namespace, _keys: &[Key], _from: &Side) -> Result<Vec<Key>, WorkingCopyError> {
        todo!()
    }

    /// Resolves conflicts in keys (all where none are given) by taking one side. Returns the keys.
    ///
    /// # Errors
    /// A key has no conflict, or a file cannot be written.
    pub fn resolve(&mut self, _namespace: &Namespace, _keys: &[Key], _take: Take) -> Result<Vec<Key>, WorkingCopyError> {
        todo!()
    }

    /// Fetches what is new and merges it into the files, key by key and JSON path by JSON path.
    ///
    /// # Errors
    /// The server refuses, what it sends is not right, or the files are not valid; nothing is changed then.
    pub async fn pull(&mut self, _client: &Client, _report: Report<'_>) -> Result<Pulled, WorkingCopyError> {
        todo!()
    }

    /// Commits the files on top of their base and sends that to the draft.
    ///
    /// # Errors
    /// A conflict is left, the draft moved (pull first), or the server refuses.
    pub async fn push(&mut self, _client: &Client, _options: &PushOptions) -> Result<PushedAll, WorkingCopyError> {
        todo!()
    }
}
