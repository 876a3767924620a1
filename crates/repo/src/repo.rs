//! The door to one node.

use std::sync::Arc;

use confman_model::ValueLimits;
use confman_refs::Node;

use crate::actor::Actor;
use crate::clock::Clock;
use crate::error::Error;
use crate::session::Session;
use crate::token::Token;

/// What a repo is told when it is opened.
#[derive(Clone, Debug, Default)]
pub struct RepoOptions {
    /// What values it accepts where the documents of namespaces say nothing.
    pub value_limits: ValueLimits,
}

/// The door to one node.
#[derive(Debug)]
pub struct Repo {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: RepoOptions,
}

impl Repo {
    /// Uses a node that is open.
    #[must_use]
    pub fn open(node: Arc<Node>, clock: Arc<dyn Clock>, options: RepoOptions) -> Arc<Self> {
        Arc::new(Self { node, clock, options })
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Makes `/`, the principal `admin` and a token for it where the store is new, else does nothing
    /// and gives `None`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn bootstrap(&self) -> Result<Option<Token>, Error> { todo!() }

    /// As [`Self::bootstrap`], with a token that the caller made and put in a safe place first, so
    /// that no crash can lose it. Returns whether the store was new.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn bootstrap_with(&self, _token: &Token) -> Result<bool, Error> { todo!() }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it is nobody's.
    pub fn authenticate(&self, _token: &str) -> Result<Actor, Error> { todo!() }

    /// What the actor can do.
    #[must_use]
    pub fn session(self: &Arc<Self>, actor: Actor) -> Session {
        Session { repo: Arc::clone(self), actor, idempotency_key: None }
    }
}
