//! Who acts.

use std::sync::Arc;

use confman_policy::Subject;
use confman_refs::{RefName, Target};

/// Somebody whose token was accepted. Made by [`crate::Repo::authenticate`] alone.
///
/// What it rests on is read again by every transaction, so a token that is revoked between the check
/// and the effect has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub(crate) subject: Subject,
    pub(crate) display_name: String,
    /// The refs that the identity rests on, and what they were.
    pub(crate) rests_on: Arc<[(RefName, Target)]>,
}

impl Actor {
    /// Name of the principal.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.subject.principal
    }

    /// Name for people.
    #[must_use]
    pub fn display_name(&self) -> &str {
        &self.display_name
    }
}
