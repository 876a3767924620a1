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
use confman_model::{DraftName, Key, Namespace, Revision};
use confman_object_store::{Commit, ObjectId, Person};

mod changes;
mod checking;
mod cloning;
mod comments;
mod entries;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod history;
mod ignored;
mod index;
mod inherited;
mod journal;
mod known;
mod lines;
mod local;
mod mirror;
mod place;
mod pulling;
mod pushing;
mod remote;
mod rewrite;
mod scan;
mod snapshot;
mod state;

pub use checking::{Overrides, SchemaReport};
pub(crate) use entries::lenient_limits;
pub use entries::{BINARY_INLINE_BYTES_MAX, JSON_INLINE_BYTES_MAX, STRING_INLINE_BYTES_MAX};
pub use error::{FileProblem, WorkingCopyError};
pub use ignored::IGNORE_FILE;
pub use place::{DOCUMENT_FILE, ENTRIES_FILE, FILES_DIRECTORY};

use mirror::Mirror;
use state::State;

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
    /// The first comment or comma too many that is read over.
    pub remark: Option<FileProblem>,
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
        self.namespaces
            .iter()
            .all(|namespace| namespace.changes.is_empty())
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

/// What to put in the place of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// One of its sides.
    Side(Take),
    /// Another value, with the description and tags that there are.
    Value(confman_model::Value),
}

/// A conflict that a pull left: what each side has under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicting {
    /// The key.
    pub key: Key,
    /// What both began with.
    pub base: Option<confman_model::Entry>,
    /// What was in the files before the pull.
    pub ours: Option<confman_model::Entry>,
    /// What came with the pull.
    pub theirs: Option<confman_model::Entry>,
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
    state: State,
    mirror: Mirror,
}

impl WorkingCopy {
    /// Opens the working copy that `start` lies in, and finishes what an interrupted command began.
    ///
    /// # Errors
    /// There is none, it is of a newer format, or its private files are damaged.
    pub fn discover(start: &Path) -> Result<Self, WorkingCopyError> {
        let absolute = std::path::absolute(start)
            .map_err(|error| WorkingCopyError::io("find", start, error))?;
        for directory in absolute.ancestors() {
            if directory.join(PRIVATE_DIRECTORY).is_dir() {
                return Self::open(directory);
            }
        }
        Err(WorkingCopyError::NotFound(start.to_path_buf()))
    }

    /// Opens the working copy whose root this is.
    ///
    /// # Errors
    /// As [`WorkingCopy::discover`].
    pub fn open(root: &Path) -> Result<Self, WorkingCopyError> {
        // Before anything that an older version would misread is touched.
        State::read(root)?;
        journal::recover(root)?;
        let state = State::read(root)?;
        let mirror = Mirror::open(&root.join(PRIVATE_DIRECTORY))?;
        Ok(Self {
            root: root.to_path_buf(),
            state,
            mirror,
        })
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The server it was cloned from.
    #[must_use]
    pub fn server_url(&self) -> &str {
        &self.state.server
    }

    /// Identity of the cluster it was cloned from.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.state.cluster
    }

    /// The draft that `push` writes.
    #[must_use]
    pub fn draft(&self) -> &DraftName {
        &self.state.draft
    }

    /// The namespace whose directory is the root.
    #[must_use]
    pub fn root_namespace(&self) -> &Namespace {
        &self.state.root
    }

    /// Its namespaces, outermost first.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Placed> {
        self.state
            .namespaces
            .iter()
            .map(|namespace| self.state.placed(namespace))
            .collect()
    }

    /// The namespace whose directory a path lies in.
    ///
    /// # Errors
    /// The path lies outside.
    pub fn namespace_at(&self, path: &Path) -> Result<Namespace, WorkingCopyError> {
        let outside = || WorkingCopyError::Outside(path.to_path_buf());
        let absolute =
            std::path::absolute(path).map_err(|error| WorkingCopyError::io("find", path, error))?;
        let root = std::path::absolute(&self.root)
            .map_err(|error| WorkingCopyError::io("find", &self.root, error))?;
        let relative = absolute.strip_prefix(&root).map_err(|_| outside())?;
        self.state
            .namespaces
            .iter()
            .filter(|namespace| relative.starts_with(self.state.directory(&namespace.path)))
            .max_by_key(|namespace| namespace.path.depth())
            .map(|namespace| namespace.path.clone())
            .ok_or_else(outside)
    }

    /// Where the document of a namespace is kept as it was fetched.
    fn document_copy(&self, directory: &Path) -> PathBuf {
        self.root.join(cloning::document_copy(directory))
    }
}

#[cfg(test)]
mod tests;
