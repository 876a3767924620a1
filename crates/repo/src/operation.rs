//! The audit log.

use confman_model::Namespace;
use confman_object_store::ObjectId;
use confman_refs::Operation;

use crate::error::Error;
use crate::session::Session;

/// Which operations are wanted; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// Only about this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only by this principal.
    pub actor: Option<String>,
    /// Only with this action.
    pub action: Option<String>,
}

/// An operation.
#[derive(Clone, Debug)]
pub struct LoggedOperation {
    /// Its id.
    pub id: ObjectId,
    /// What it says.
    pub operation: Operation,
    /// The namespace it is about, where it is about one.
    pub namespace: Option<Namespace>,
}

/// A page of operations.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Newest first.
    pub operations: Vec<LoggedOperation>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
}

impl Session {
    /// Operations, newest first. A page can be short and still have a next one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn operations(&self, _filter: &OperationFilter, _after: Option<u64>, _limit: usize) -> Result<Operations, Error> { todo!() }
}
