//! The lives of a namespace: a path that is deleted and made again is not the same namespace.
//!
//! A life is named by the commit of its first document; each later document's commit has it as origin.
//! Rows of lines are kept per life, so nothing of an old life is ever seen in a new one.

use confman_model::Namespace;
use confman_object_store::{Kind, ObjectId};
use confman_refs::{RefName, RowRange};

use crate::error::{Error, What};
use crate::line::Line;
use crate::names;
use crate::row;
use crate::seen::{Found, Seen};

/// A line: a ref, in one life of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineName {
    pub ref_name: RefName,
    pub life: ObjectId,
}

/// What happens to a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LifeChange {
    /// It begins, or goes on after it was restored.
    Began,
    /// The namespace is deleted.
    Ended,
}

/// A part of a life, in log indexes: from one in which the namespace is there to one in which it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: u64,
    /// `None` where it has not ended.
    pub until: Option<u64>,
}

impl Span {
    pub const fn contains(self, index: u64) -> bool {
        self.from <= index
            && match self.until {
                Some(until) => index < until,
                None => true,
            }
    }
}

/// Most times that a namespace is restored, and the rows of its life are read.
const SPANS_MAX: usize = 10_000;

/// The life that a document's commit belongs to.
pub(crate) fn life_of(document: &Found) -> ObjectId {
    document.commit.origin.unwrap_or(document.id)
}

impl<'a> Seen<'a> {
    /// The life of a namespace; of one that was deleted, the last.
    pub fn life(&self, namespace: &Namespace) -> Result<ObjectId, Error> {
        if let Some(document) = self.head(&names::policy(namespace)?)? {
            return Ok(life_of(&document));
        }
        match self.newest_deletion(namespace)? {
            Some(deleted) => Ok(deleted.life),
            None => Err(Error::not_found(What::Namespace, namespace)),
        }
    }

    /// The line of a namespace's published head.
    pub fn line(&self, namespace: &Namespace) -> Result<Line<'a>, Error> {
        let ref_name = names::published(namespace)?;
        self.line_of(namespace, ref_name)
    }

    /// The line of a namespace's document.
    pub fn document_line(&self, namespace: &Namespace) -> Result<Line<'a>, Error> {
        let ref_name = names::policy(namespace)?;
        self.line_of(namespace, ref_name)
    }

    fn line_of(&self, namespace: &Namespace, ref_name: RefName) -> Result<Line<'a>, Error> {
        let life = self.life(namespace)?;
        Ok(Line {
            node: &self.repo.node,
            name: LineName { ref_name, life },
            index_max: self.index(),
        })
    }

    /// The parts of the life of a namespace, oldest first.
    pub fn spans(&self, namespace: &Namespace) -> Result<Vec<Span>, Error> {
        let policy = self.document_line(namespace)?;
        let range = RowRange {
            table: row::LIFE,
            prefix: row::life_prefix(&policy.name),
            after: None,
            index_max: self.index(),
            limit: SPANS_MAX,
        };
        let mut spans: Vec<Span> = Vec::new();
        for stored in self.repo.node.rows(&range)?.into_iter().rev() {
            match (LifeChange::read(&stored.value)?, spans.last_mut()) {
                (LifeChange::Began, _) => spans.push(Span {
                    from: stored.index,
                    until: None,
                }),
                (LifeChange::Ended, Some(span)) => span.until = Some(stored.index),
                (LifeChange::Ended, None) => {
                    return Err(Error::bug(format!("`{namespace}` ended before it began")));
                }
            }
        }
        Ok(spans)
    }

    /// Whether an object came into the store while this life lasted, so that it may be of it.
    pub fn was_born_in(
        &self,
        namespace: &Namespace,
        kind: Kind,
        id: &ObjectId,
    ) -> Result<bool, Error> {
        let Some(stored) = self.repo.node.store().backend().get(kind, id)? else {
            return Ok(false);
        };
        let spans = self.spans(namespace)?;
        Ok(spans.iter().any(|span| span.contains(stored.born)))
    }
}
