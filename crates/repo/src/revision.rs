//! Which commit a revision means.

use confman_model::{Namespace, Revision};
use confman_object_store::{IdPrefix, Kind, ObjectId, ReadError, ReadObjects};
use confman_policy::Permission;

use crate::error::{Error, What};
use crate::line::Place;
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most commits with one prefix that are looked at.
const CANDIDATES_MAX: usize = 64;

/// What a revision of a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRevision {
    /// Of which namespace.
    pub namespace: Namespace,
    /// As asked for.
    pub revision: Revision,
    /// The commit; `None` for `published` where nothing is.
    pub commit: Option<ObjectId>,
    /// Root of its tree; of the empty tree where there is no commit.
    pub tree: ObjectId,
    /// Its place on the published line, from 1; `None` where it is not on it.
    pub position: Option<u64>,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Finds what a revision means.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AmbiguousPrefix`], [`Error::Invalid`] for a time that cannot be read.
    pub fn resolve(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<ResolvedRevision, Error> {
        self.look()?.resolve(namespace, revision)
    }
}

impl ResolvedRevision {
    /// The commit of a revision that must have one.
    pub(crate) fn must(&self) -> Result<ObjectId, Error> {
        self.commit
            .ok_or_else(|| Error::not_found(What::Published, &self.namespace))
    }
}

impl Seen<'_> {
    /// Finds what a revision means, if the actor may read it.
    pub(crate) fn resolve(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<ResolvedRevision, Error> {
        let permission = match revision {
            Revision::Draft(_) | Revision::Request(_) => Permission::ConfigReadDraft,
            _ => Permission::ConfigReadPublished,
        };
        self.permit(namespace, permission)?;
        let not_found = || Error::not_found(What::Revision, format!("{namespace}@{revision}"));
        let (commit, place) = match revision {
            Revision::Published => match self.published(namespace)? {
                Some((_, place)) => (Some(place.commit), Some(place)),
                None => (None, None),
            },
            Revision::Back(back) => {
                let (_, head) = self.published(namespace)?.ok_or_else(not_found)?;
                let position = head
                    .position
                    .checked_sub(*back)
                    .filter(|position| *position > 0);
                let place = self
                    .line(namespace)?
                    .must(position.ok_or_else(not_found)?)?;
                (Some(place.commit), Some(place))
            }
            Revision::Draft(draft) => (Some(self.draft_head(namespace, draft)?.id), None),
            Revision::Tag(tag) => {
                let tagged = self
                    .get(&names::tag(namespace, tag)?)
                    .ok_or_else(not_found)?;
                (Some(tagged.id), self.line(namespace)?.place_of(&tagged.id)?)
            }
            Revision::Time(text) => {
                let moment = self.moment_of_text(text)?;
                if !self.was_there(namespace, moment)? {
                    return Err(not_found());
                }
                let place = self
                    .published_at(namespace, moment)?
                    .ok_or_else(not_found)?;
                (Some(place.commit), Some(place))
            }
            Revision::Commit(digits) => {
                let (commit, place) = self.find_commit(namespace, digits)?.ok_or_else(not_found)?;
                (Some(commit), place)
            }
            Revision::Request(number) => {
                let head = self
                    .request_head(*number, namespace)?
                    .ok_or_else(not_found)?;
                (Some(head), self.line(namespace)?.place_of(&head)?)
            }
        };
        Ok(ResolvedRevision {
            namespace: namespace.clone(),
            revision: revision.clone(),
            commit,
            tree: self.tree_of(commit.as_ref())?,
            position: place.map(|place| place.position),
            index: self.index(),
        })
    }

    /// The one commit of the namespace that begins with these digits and that the actor may read.
    fn find_commit(
        &self,
        namespace: &Namespace,
        digits: &str,
    ) -> Result<Option<(ObjectId, Option<Place>)>, Error> {
        let prefix: IdPrefix = digits
            .parse()
            .map_err(|error| Error::invalid("commit id", format!("{error}")))?;
        let candidates = match prefix.whole() {
            Some(id) => vec![id],
            None => self
                .repo
                .node
                .store()
                .find(Kind::Commit, &prefix, CANDIDATES_MAX)?,
        };
        let crowded = candidates.len() == CANDIDATES_MAX;
        let mut readable = Vec::new();
        for id in candidates {
            if let Some(place) = self.readable_commit(namespace, &id)? {
                readable.push((id, place));
            }
        }
        match readable.as_slice() {
            [] if !crowded => Ok(None),
            [one] if !crowded => Ok(Some(*one)),
            _ => {
                let candidates = readable.into_iter().map(|(id, _)| id).collect();
                Err(Error::AmbiguousPrefix {
                    prefix: digits.to_owned(),
                    candidates,
                })
            }
        }
    }

    /// Whether the actor may read this commit as one of the namespace, and where it is on its line. What
    /// is not on the line (drafts, side lines of an import) is for those who may read drafts.
    #[expect(
        clippy::option_option,
        reason = "the outer level says whether, the inner where"
    )]
    pub(crate) fn readable_commit(
        &self,
        namespace: &Namespace,
        id: &ObjectId,
    ) -> Result<Option<Option<Place>>, Error> {
        if let Some(place) = self.line(namespace)?.place_of(id)? {
            return Ok(Some(Some(place)));
        }
        let belongs = self.belongs(namespace, id)?;
        Ok((belongs && self.may(namespace, Permission::ConfigReadDraft)?).then_some(None))
    }

    /// Whether there is such a commit, it says that it is of this namespace, and it came while this life of
    /// the namespace lasted.
    pub(crate) fn belongs(&self, namespace: &Namespace, id: &ObjectId) -> Result<bool, Error> {
        match self.objects().commit(id) {
            Ok(commit) => Ok(commit.namespace == namespace.as_str()
                && self.was_born_in(namespace, Kind::Commit, id)?),
            Err(ReadError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
