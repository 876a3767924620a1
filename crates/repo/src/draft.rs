//! Drafts and changes to them.

use std::collections::{BTreeMap, BTreeSet};

use confman_model::{DraftName, Key, Namespace, Value};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::entry::Stamp;
use crate::error::Error;
use crate::publish::{Published, Warning};
use crate::session::Session;

/// A draft.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of which namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: DraftName,
    /// Newest commit.
    pub head: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// The published commit it began from; `None` where nothing was published.
    pub base: Option<ObjectId>,
    /// Keys that differ from the base.
    pub keys: Vec<Key>,
    /// When and by whom it was changed last.
    pub updated: Stamp,
    /// Message of the newest commit.
    pub message: String,
}

/// What happens to the value of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueEdit {
    /// It becomes this.
    Set(Value),
    /// It becomes a tombstone: no value here, and an inherited one is hidden.
    Unset,
    /// It stays; the entry must be there.
    Keep,
}

/// What happens to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryEdit {
    /// It is written. What is `None` stays as it was.
    Write {
        /// The value.
        value: ValueEdit,
        /// Text for people.
        description: Option<String>,
        /// Words to find it by.
        tags: Option<BTreeSet<String>>,
        /// Media type, empty for none. It goes by itself where the type of the value changes.
        media_type: Option<String>,
    },
    /// The namespace has no entry of its own for the key any more.
    Remove,
}

impl EntryEdit {
    /// Sets the value and leaves what is said about it.
    #[must_use]
    pub const fn set(value: Value) -> Self {
        Self::Write { value: ValueEdit::Set(value), description: None, tags: None, media_type: None }
    }
}

/// The head that the caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedHead {
    /// Whatever it is.
    Any,
    /// There must be none.
    Absent,
    /// It must be this.
    At(ObjectId),
}

/// Changes to a draft.
#[derive(Clone, Debug)]
pub struct ChangeDraft {
    /// The draft; made where it does not exist.
    pub draft: DraftName,
    /// What happens, by key.
    pub changes: BTreeMap<Key, EntryEdit>,
    /// The head that the caller has seen.
    pub expected_head: ExpectedHead,
    /// Why.
    pub message: Option<String>,
}

/// What a change to a draft did.
#[derive(Clone, Debug)]
pub struct Drafted {
    /// Of which namespace.
    pub namespace: Namespace,
    /// The draft.
    pub draft: DraftName,
    /// Its head now.
    pub head: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// What was written; `None` where everything was so already.
    pub committed: Option<Committed>,
    /// Log index of the write, or that was read at.
    pub index: u64,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

impl Session {
    /// The drafts of a namespace, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn drafts(&self, _namespace: &Namespace) -> Result<Vec<Draft>, Error> { todo!() }

    /// A draft.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn draft(&self, _namespace: &Namespace, _name: &DraftName) -> Result<Draft, Error> { todo!() }

    /// Removes a draft. Its commits stay in the history of operations.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`].
    pub fn delete_draft(&self, _namespace: &Namespace, _name: &DraftName, _expected_head: ExpectedHead) -> Result<Committed, Error> { todo!() }

    /// Changes a draft.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong, [`Error::NotFound`] for an entry to remove
    /// that is not there, [`Error::Stale`], [`Error::Denied`].
    pub fn change_draft(&self, _namespace: &Namespace, _change: &ChangeDraft) -> Result<Drafted, Error> { todo!() }

    /// Changes a draft and publishes the changed keys in one step. What else is in the draft stays there.
    ///
    /// # Errors
    /// As [`Session::change_draft`] and [`Session::publish`].
    pub fn change_and_publish(&self, _namespace: &Namespace, _change: &ChangeDraft) -> Result<Published, Error> { todo!() }
}
