//! Push: commits from elsewhere, verified in quarantine, and refs that move to them.

use std::io::Read;

use confman_model::{DraftName, Namespace};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::error::Error;
use crate::publish::Warning;
use crate::session::Session;

/// A ref that a push may move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PushTarget {
    /// The published head, by somebody who may import.
    Published,
    /// A draft.
    Draft(DraftName),
}

impl std::str::FromStr for PushTarget {
    type Err = Error;

    fn from_str(_text: &str) -> Result<Self, Error> { todo!() }
}

/// A ref to move.
#[derive(Clone, Debug)]
pub struct PushEdit {
    /// Its namespace: that of the push or one below it.
    pub namespace: Namespace,
    /// Which.
    pub target: PushTarget,
    /// The commit it has; `None`: it must not exist.
    pub expect: Option<ObjectId>,
    /// The commit it gets.
    pub new: ObjectId,
}

/// How far an import has come; keeps the named commits alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportMark {
    /// The mark that the caller has seen; `None`: there must be none.
    pub expect: Option<ObjectId>,
    /// Identity of the last commit of the source that is in.
    pub source: String,
    /// Commits of the source that are in.
    pub commits: u64,
    /// Imported commits that no ref leads to yet.
    pub tips: Vec<(Namespace, ObjectId)>,
}

/// What goes with a pack.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Refs to move, together or not at all.
    pub edits: Vec<PushEdit>,
    /// For an import that goes on.
    pub import: Option<ImportMark>,
    /// For the audit log.
    pub message: Option<String>,
}

/// What a push did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The operation.
    pub committed: Committed,
    /// Objects that joined the store.
    pub objects: u64,
    /// Record id of the import mark, if one was given.
    pub import_mark: Option<ObjectId>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

/// The mark of an import.
#[derive(Clone, Debug)]
pub struct ImportState {
    /// Record id.
    pub id: ObjectId,
    /// The mark; `expect` is `None`.
    pub mark: ImportMark,
}

impl Session {
    /// Takes in a pack and moves refs.
    ///
    /// Every commit of the pack must follow from one that the namespace has or that comes with it; its
    /// tree must be canonical, and the pack must hold each page and each value that its first parent's
    /// tree does not have.
    ///
    /// # Errors
    /// [`Error::Pack`], [`Error::Invalid`] with what is wrong where, [`Error::Stale`], [`Error::Denied`].
    pub fn push<R: Read>(&self, _namespace: &Namespace, _request: &PushRequest, _pack: R) -> Result<Pushed, Error> { todo!() }

    /// How far the import into a namespace has come.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub fn import_state(&self, _namespace: &Namespace) -> Result<ImportState, Error> { todo!() }
}
