//! Namespaces and their documents.

use confman_model::{Namespace, NamespaceDocument};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::error::Error;
use crate::session::Session;

/// A namespace.
#[derive(Clone, Debug)]
pub struct NamespaceInfo {
    /// Its document.
    pub document: NamespaceDocument,
    /// The commit that has the document.
    pub policy: ObjectId,
    /// Published head; `None` where nothing is published.
    pub published: Option<ObjectId>,
    /// Published keys.
    pub keys: u64,
}

/// A page of namespaces.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// In the order of their paths, those that the actor may read.
    pub namespaces: Vec<NamespaceInfo>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Namespace>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Makes a namespace. Its parent must exist and the actor be its admin.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NotFound`] for the parent, [`Error::Denied`], [`Error::Invalid`].
    pub fn create_namespace(&self, _document: NamespaceDocument) -> Result<(NamespaceInfo, Committed), Error> { todo!() }

    /// A namespace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn namespace(&self, _namespace: &Namespace) -> Result<NamespaceInfo, Error> { todo!() }

    /// Namespaces at and below `prefix`, in the order of their paths.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn namespaces(&self, _prefix: &Namespace, _after: Option<&Namespace>, _limit: usize) -> Result<Namespaces, Error> { todo!() }
}
