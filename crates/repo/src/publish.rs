//! Publishing a draft, and publishing an earlier state again.

use std::collections::BTreeSet;

use confman_model::{DraftName, Key, Namespace, Revision};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::draft::ExpectedHead;
use crate::error::Error;
use crate::session::Session;

/// Something that is allowed but worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// About which key.
    pub key: Key,
    /// What.
    pub detail: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.key, self.detail)
    }
}

/// What to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The draft.
    pub draft: DraftName,
    /// Its head, as the caller has seen it.
    pub expected_head: ExpectedHead,
    /// Only these keys; the rest stays in the draft.
    pub keys: Option<BTreeSet<Key>>,
    /// Message of the published commit; that of the draft's newest where absent.
    pub message: Option<String>,
}

/// What to publish again.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The published revision whose content is wanted.
    pub to: Revision,
    /// Only these keys.
    pub keys: Option<BTreeSet<Key>>,
    /// The published head, as the caller has seen it.
    pub expected_head: ExpectedHead,
    /// Why.
    pub message: Option<String>,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where.
    pub namespace: Namespace,
    /// The published commit.
    pub commit: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// The published head before.
    pub previous: Option<ObjectId>,
    /// The operation.
    pub committed: Committed,
    /// Keys that changed.
    pub keys: Vec<Key>,
    /// Whether other keys had moved since the draft began and were merged.
    pub merged: bool,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

impl Session {
    /// Publishes a draft. Where the published head moved since the draft began, the two are merged key
    /// by key.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Unchanged`], [`Error::Stale`], [`Error::Denied`],
    /// [`Error::Invalid`] for keys that the draft does not change.
    pub fn publish(&self, _namespace: &Namespace, _publish: &Publish) -> Result<Published, Error> { todo!() }

    /// Publishes the content of an earlier revision again, as a new commit with the old tree.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unchanged`], [`Error::Stale`], [`Error::Denied`],
    /// [`Error::Invalid`] where the revision was never published.
    pub fn rollback(&self, _namespace: &Namespace, _rollback: &Rollback) -> Result<Published, Error> { todo!() }
}
