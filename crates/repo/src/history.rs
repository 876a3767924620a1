//! The versions of a key, and who last changed what.

use std::collections::BTreeMap;

use confman_layout::{read_entry, tree_key};
use confman_model::{Entry, Key, Namespace, Revision};
use confman_object_store::{ObjectId, Person, ReadObjects};
use confman_policy::Permission;

use crate::entry::Stamp;
use crate::error::{Error, What};
use crate::line::{KeyVersion, Line};
use crate::seen::{Seen, committed, subject};
use crate::session::Session;

/// A published version of a key.
#[derive(Clone, Debug)]
pub struct Version {
    /// From 1.
    pub version: u64,
    /// The entry; `None` for a removal.
    pub entry: Option<Entry>,
    /// When and by whom it was published.
    pub published: Stamp,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// Whose approvals let it be published.
    pub approved_by: Vec<String>,
    /// The commit.
    pub commit: ObjectId,
    /// Place of the commit on the line.
    pub position: u64,
    /// First line of its message.
    pub message: String,
    /// Raft term of the operation.
    pub term: u64,
    /// Raft index of the operation.
    pub index: u64,
}

/// A page of versions, newest first.
#[derive(Clone, Debug)]
pub struct History {
    /// Where.
    pub namespace: Namespace,
    /// Which key.
    pub key: Key,
    /// Newest first.
    pub versions: Vec<Version>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
}

/// Who gave a key the value it has.
#[derive(Clone, Debug)]
pub struct BlameLine {
    /// Which key.
    pub key: Key,
    /// The version it has.
    pub version: u64,
    /// The commit that gave it this value.
    pub commit: ObjectId,
    /// Author of that commit.
    pub author: Person,
    /// When it was published, milliseconds since 1970.
    pub at_ms: i64,
    /// First line of its message.
    pub message: String,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// Whose approvals let it be published.
    pub approved_by: Vec<String>,
}

/// A page of blame.
#[derive(Clone, Debug)]
pub struct Blame {
    /// In the order of keys.
    pub lines: Vec<BlameLine>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

impl Session {
    /// The published versions of a key, newest first. Work proportional to what is returned.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the key was never published.
    pub fn history(
        &self,
        namespace: &Namespace,
        key: &Key,
        after: Option<u64>,
        limit: usize,
    ) -> Result<History, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let line = seen.line(namespace)?;
        let after = match after {
            None => None,
            Some(position) => match line.at(position)? {
                None => {
                    return Err(Error::invalid(
                        "page of a history",
                        format!("no page of it ends at {position}"),
                    ));
                }
                place => place,
            },
        };
        let mut found = line.versions(
            tree_key(key)?.as_bytes(),
            after.as_ref(),
            limit.saturating_add(1),
        )?;
        if found.is_empty() && after.is_none() {
            return Err(Error::not_found(What::Entry, format!("{namespace}:{key}")));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more {
            found.last().map(|version| version.row.position)
        } else {
            None
        };
        let mut terms = Terms::default();
        let versions = found
            .into_iter()
            .map(|version| {
                let term = terms.at(&seen, version.index)?;
                seen.version(namespace, &line, version, term)
            })
            .collect::<Result<_, Error>>()?;
        Ok(History {
            namespace: namespace.clone(),
            key: key.clone(),
            versions,
            next,
        })
    }

    /// For each key of a published revision, the commit that gave it its value.
    ///
    /// # Errors
    /// As [`Session::resolve`]; [`Error::Invalid`] where the revision was never published.
    pub fn blame(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Blame, Error> {
        let seen = self.look()?;
        let at = seen.resolve(namespace, revision)?;
        if at.commit.is_none() {
            return Ok(Blame {
                lines: Vec::new(),
                next: None,
            });
        }
        let line = seen.line(namespace)?;
        let place = match at.position {
            Some(position) => line.must(position)?,
            None => {
                return Err(Error::invalid(
                    format!("revision `{revision}`"),
                    "it was never published, so nobody published its values",
                ));
            }
        };
        let (leaves, next) = seen.leaves(&at.tree, prefix, after, limit)?;
        let lines = leaves
            .into_iter()
            .map(|(key, _)| {
                let version = line.version_at(key.as_str().as_bytes(), &place)?;
                let version = version.ok_or_else(|| {
                    Error::bug(format!(
                        "`{namespace}:{key}` is published without a version"
                    ))
                })?;
                let made = line.must(version.row.position)?;
                let commit = seen.objects().commit(&made.commit)?;
                Ok(BlameLine {
                    key,
                    version: version.row.version,
                    commit: made.commit,
                    author: commit.author.clone(),
                    at_ms: commit.commit_time.ms,
                    message: subject(&commit.message),
                    request: commit.request,
                    approved_by: seen.approvers(namespace, commit.request)?,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Blame { lines, next })
    }
}

impl Seen<'_> {
    /// Whose approvals let a commit be published that a request brought.
    fn approvers(&self, namespace: &Namespace, request: Option<u64>) -> Result<Vec<String>, Error> {
        match request {
            Some(number) => self.approvers_of(number, namespace),
            None => Ok(Vec::new()),
        }
    }

    /// A version of a key with what its commit says.
    fn version(
        &self,
        namespace: &Namespace,
        line: &Line<'_>,
        version: KeyVersion,
        term: u64,
    ) -> Result<Version, Error> {
        let place = line.must(version.row.position)?;
        let commit = self.objects().commit(&place.commit)?;
        Ok(Version {
            version: version.row.version,
            entry: version
                .row
                .leaf
                .map(|leaf| read_entry(self.objects(), &leaf))
                .transpose()?,
            published: committed(&commit),
            request: commit.request,
            approved_by: self.approvers(namespace, commit.request)?,
            commit: place.commit,
            position: place.position,
            message: subject(&commit.message),
            term,
            index: version.index,
        })
    }

    /// One version of a key of a namespace.
    pub(crate) fn version_of(
        &self,
        namespace: &Namespace,
        version: KeyVersion,
    ) -> Result<Version, Error> {
        let term = self.term_at(version.index)?;
        self.version(namespace, &self.line(namespace)?, version, term)
    }
}

/// Raft terms by log index, each looked up once.
#[derive(Default)]
struct Terms(BTreeMap<u64, u64>);

impl Terms {
    fn at(&mut self, seen: &Seen<'_>, index: u64) -> Result<u64, Error> {
        // Terms never fall, so what lies between two equal ones is equal.
        let below = self.0.range(..=index).next_back().map(|(_, term)| *term);
        let above = self.0.range(index..).next().map(|(_, term)| *term);
        if let (Some(below), Some(above)) = (below, above)
            && below == above
        {
            return Ok(below);
        }
        let term = seen.term_at(index)?;
        self.0.insert(index, term);
        Ok(term)
    }
}
