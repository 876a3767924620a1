//! Tags: lasting names for published commits.

use confman_model::{Namespace, Revision, TagName};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::error::Error;
use crate::session::Session;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: TagName,
    /// The commit it names.
    pub commit: ObjectId,
}

impl Session {
    /// The tags of a namespace, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tags(&self, _namespace: &Namespace) -> Result<Vec<Tag>, Error> { todo!() }

    /// A tag.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tag(&self, _namespace: &Namespace, _name: &TagName) -> Result<Tag, Error> { todo!() }

    /// Names a published commit. A tag that names it already is left (`None`).
    ///
    /// # Errors
    /// [`Error::Exists`] where the tag names another commit, [`Error::Invalid`] where the revision was
    /// never published.
    pub fn put_tag(&self, _namespace: &Namespace, _name: &TagName, _revision: &Revision) -> Result<(Tag, Option<Committed>), Error> { todo!() }

    /// Removes a tag.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_tag(&self, _namespace: &Namespace, _name: &TagName) -> Result<Committed, Error> { todo!() }
}
