//! Tags: lasting names for published commits.

use confman_model::{Namespace, Revision, TagName};
use confman_object_store::ObjectId;
use confman_policy::Permission;
use confman_refs::Committed;

use crate::error::{Error, What};
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
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
    pub fn tags(&self, namespace: &Namespace) -> Result<Vec<Tag>, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let prefix = names::tags(namespace);
        let tags = seen.view.scan(&prefix).filter_map(|(name, target)| {
            let name = name.as_str().strip_prefix(&prefix)?.parse().ok()?;
            Some(Tag {
                name,
                commit: target.id,
            })
        });
        Ok(tags.collect())
    }

    /// A tag.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tag(&self, namespace: &Namespace, name: &TagName) -> Result<Tag, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let target = seen
            .get(&names::tag(namespace, name)?)
            .ok_or_else(|| Error::not_found(What::Tag, name))?;
        Ok(Tag {
            name: name.clone(),
            commit: target.id,
        })
    }

    /// Names a published commit. A tag that names it already is left (`None`).
    ///
    /// # Errors
    /// [`Error::Exists`] where the tag names another commit, [`Error::Invalid`] where the revision was
    /// never published.
    pub fn put_tag(
        &self,
        namespace: &Namespace,
        name: &TagName,
        revision: &Revision,
    ) -> Result<(Tag, Option<Committed>), Error> {
        let about = names::tag(namespace, name)?;
        let intent = Intent {
            action: "tag.put",
            about: about.clone(),
            digest: Digest::new("tag.put")
                .with(about.as_str())
                .with(revision.to_string())
                .finish(),
            detail: serde_json::json!({ "namespace": namespace, "tag": name, "revision": revision }),
            session: self,
        };
        let mut left = None;
        let done = intent.carry_out(|evaluation| {
            evaluation.permit(namespace, Permission::ConfigPublish)?;
            let at = evaluation.resolve(namespace, revision)?;
            let commit = at.must()?;
            if at.position.is_none() {
                return Err(Error::invalid(
                    format!("revision `{revision}`"),
                    "it was never published; a tag names a published commit",
                ));
            }
            match evaluation.get(&about) {
                Some(target) if target.id == commit => {
                    left = Some(Tag {
                        name: name.clone(),
                        commit,
                    });
                    Err(Error::Unchanged {
                        namespace: namespace.clone(),
                        reason: "the tag names it already".to_owned(),
                    })
                }
                Some(_) => Err(Error::Exists {
                    what: What::Tag,
                    name: name.to_string(),
                }),
                None => {
                    evaluation.set_commit(about.clone(), commit);
                    Ok(Outcome {
                        commit: Some(commit),
                        ..Outcome::default()
                    })
                }
            }
        });
        match (done, left) {
            (Ok((outcome, committed)), _) => {
                let commit = outcome
                    .commit
                    .ok_or_else(|| Error::bug("a tag was put on nothing"))?;
                Ok((
                    Tag {
                        name: name.clone(),
                        commit,
                    },
                    Some(committed),
                ))
            }
            (Err(Error::Unchanged { .. }), Some(tag)) => Ok((tag, None)),
            (Err(error), _) => Err(error),
        }
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_tag(&self, namespace: &Namespace, name: &TagName) -> Result<Committed, Error> {
        let about = names::tag(namespace, name)?;
        let intent = Intent {
            action: "tag.delete",
            about: about.clone(),
            digest: Digest::new("tag.delete").with(about.as_str()).finish(),
            detail: serde_json::json!({ "namespace": namespace, "tag": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit(namespace, Permission::ConfigPublish)?;
            let target = evaluation
                .get(&about)
                .ok_or_else(|| Error::not_found(What::Tag, name))?;
            evaluation.set(about.clone(), None);
            Ok(Outcome {
                previous: Some(target.id),
                ..Outcome::default()
            })
        })?;
        Ok(committed)
    }
}
