//! What readers of a namespace are told: every operation that moved its effective document, in order.
//!
//! A [`Following`] holds the refs that the document rests on, as of one operation, and is led from
//! operation to operation. Because it reads the operations themselves and not the newest view, a
//! document that moves away and back has moved twice, and what happened while nobody looked, or
//! while the server was not running, is told afterwards.
//!
//! INVARIANT: what is told is a function of the operations alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use confman_layout::entry_key;
use confman_model::{Key, Namespace};
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::Permission;
use confman_refs::{Operation, RefName, Target, View};

use crate::compiled::CompiledLink;
use crate::effective::basis_id;
use crate::error::Error;
use crate::names;
use crate::repo::Repo;
use crate::session::Session;

/// Most keys that are told of one move; where more moved, any may have.
pub const KEYS_TOLD_MAX: usize = 1000;
/// Most operations that are gone through to tell what was missed.
pub const OPERATIONS_MISSED_MAX: u64 = 50_000;
/// Most moves that are told at once of those that were missed.
const MOVES_AT_ONCE: usize = 256;

/// The effective document of a namespace, as of one operation.
#[derive(Clone, Debug)]
pub struct Following {
    repo: Arc<Repo>,
    namespace: Namespace,
    /// The published, policy and rollout refs of the namespace and of all above it.
    refs: BTreeMap<RefName, Option<Target>>,
    links: Option<Vec<CompiledLink>>,
    sequence: u64,
    index: u64,
}

/// That the effective document of a namespace moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Log index of the operation.
    pub index: u64,
    /// Its number.
    pub sequence: u64,
    /// Its time.
    pub at_ms: i64,
    /// The basis after it; `None` where the namespace is gone.
    pub basis: Option<ObjectId>,
    /// The published commit of the namespace itself after it.
    pub commit: Option<ObjectId>,
    /// The keys whose effective values may have changed; `None` where any may have, as where a gradual
    /// publish goes on and the basis stays.
    pub keys: Option<Vec<Key>>,
}

/// Where a caller begins to follow.
#[derive(Debug)]
pub enum Missed {
    /// At the operation that it saw last.
    From(Box<Following>),
    /// What it missed cannot be told, for this reason.
    Lost(&'static str),
}

/// Keys that differ between trees, for many followings of one operation.
pub type Differences = HashMap<(ObjectId, ObjectId), Option<Arc<[Key]>>>;

impl Session {
    /// Follows a namespace from the newest operation on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn follow(&self, namespace: &Namespace) -> Result<Following, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        Following::of(&self.repo, namespace, &seen.view)
    }

    /// Follows a namespace from an operation of the past on, which is in the answers as their index.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn follow_after(&self, namespace: &Namespace, index: u64) -> Result<Missed, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        if index > seen.view.index() {
            return Ok(Missed::Lost(
                "the index is ahead of this node: it is of another store, or of a past that was discarded",
            ));
        }
        let node = &self.repo.node;
        let sequence = node.sequence_at_index(index)?;
        if seen.view.sequence() - sequence > OPERATIONS_MISSED_MAX {
            return Ok(Missed::Lost("too much has happened since"));
        }
        let past = node.view_at(sequence)?;
        let following = Following::of(&self.repo, namespace, &past)?;
        Ok(Missed::From(Box::new(following)))
    }
}

impl Following {
    fn of(repo: &Arc<Repo>, namespace: &Namespace, view: &View) -> Result<Self, Error> {
        let mut refs = BTreeMap::new();
        for link in namespace.ancestors() {
            for name in [
                names::published(&link)?,
                names::policy(&link)?,
                names::rollout(&link)?,
            ] {
                let target = view.get(name.as_str());
                refs.insert(name, target);
            }
        }
        let mut following = Self {
            repo: Arc::clone(repo),
            namespace: namespace.clone(),
            refs,
            links: None,
            sequence: view.sequence(),
            index: view.index(),
        };
        following.links = following.chain()?;
        Ok(following)
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Number of the operation that it is at.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Log index of the operation that it is at.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The basis there; `None` where there is no such namespace.
    #[must_use]
    pub fn basis(&self) -> Option<ObjectId> {
        let links = self.links.as_ref()?;
        Some(basis_id(
            links.iter().map(|link| (&link.namespace, link.commit)),
        ))
    }

    /// Goes on to the next operation, and tells whether the document moved.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn next(
        &mut self,
        operation: &Operation,
        differences: &mut Differences,
    ) -> Result<Option<Moved>, Error> {
        self.sequence = operation.sequence;
        self.index = operation.index;
        let (mut touched, mut divided) = (false, false);
        for edit in &operation.edits {
            if let Some(target) = self.refs.get_mut(&edit.name) {
                *target = edit.new;
                touched = true;
                // Who gets what is another question now, which each reader has to ask.
                divided |= names::rollout_of(edit.name.as_str()).is_some();
            }
        }
        if !touched {
            return Ok(None);
        }
        let before = self.basis();
        let links = self.chain()?;
        let old = std::mem::replace(&mut self.links, links);
        let basis = self.basis();
        if before == basis && !divided {
            return Ok(None);
        }
        let keys = match (&old, &self.links) {
            (Some(old), Some(new)) if !divided => self.keys(old, new, differences)?,
            _ => None,
        };
        let own = self.links.as_ref().and_then(|links| links.first());
        Ok(Some(Moved {
            index: operation.index,
            sequence: operation.sequence,
            at_ms: operation.time_ms,
            basis,
            commit: own.and_then(|link| link.commit),
            keys,
        }))
    }

    /// Goes on through the log, up to an operation, or to where there is much to tell.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn catch_up(&mut self, until: u64) -> Result<Vec<Moved>, Error> {
        let mut moves = Vec::new();
        while self.sequence < until && moves.len() < MOVES_AT_ONCE {
            let operation = self.repo.operation(self.sequence + 1)?;
            moves.extend(self.next(&operation, &mut Differences::new())?);
        }
        Ok(moves)
    }

    /// The namespaces that the document is made of; `None` where one of them does not exist.
    fn chain(&self) -> Result<Option<Vec<CompiledLink>>, Error> {
        let target = |name: &RefName| self.refs.get(name).copied().flatten();
        let mut links = Vec::new();
        for namespace in self.namespace.ancestors() {
            let Some(policy) = target(&names::policy(&namespace)?) else {
                return Ok(None);
            };
            let commit = target(&names::published(&namespace)?).map(|target| target.id);
            let tree = match &commit {
                Some(id) => self.repo.reader.commit(id)?.tree,
                None => self.repo.empty_tree,
            };
            links.push(CompiledLink {
                namespace,
                commit,
                tree,
            });
            if !self.repo.document(&policy.id)?.inherit {
                break;
            }
        }
        Ok(Some(links))
    }

    /// The keys whose effective values may differ between two chains.
    fn keys(
        &self,
        old: &[CompiledLink],
        new: &[CompiledLink],
        differences: &mut Differences,
    ) -> Result<Option<Vec<Key>>, Error> {
        let same_chain = old.len() == new.len();
        if !same_chain {
            return Ok(None);
        }
        let objects = &self.repo.reader;
        let mut keys = Vec::new();
        for (place, (old, link)) in old.iter().zip(new).enumerate() {
            let Some(changed) = self.repo.changed(old.tree, link.tree, differences)? else {
                return Ok(None);
            };
            let nearer = new.get(..place).unwrap_or_default();
            'key: for key in changed.iter() {
                for link in nearer {
                    // What is nearer wins, a tombstone too.
                    if tree::get(objects, &link.tree, key.as_str().as_bytes())?.is_some() {
                        continue 'key;
                    }
                }
                keys.push(key.clone());
            }
        }
        keys.sort();
        keys.dedup();
        Ok((keys.len() <= KEYS_TOLD_MAX).then_some(keys))
    }
}

impl Repo {
    /// The operation with this number, which must be there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn operation(&self, sequence: u64) -> Result<Operation, Error> {
        let found = self.node.operation_at(sequence)?;
        let (_, operation) =
            found.ok_or_else(|| Error::bug(format!("operation {sequence} is missing")))?;
        Ok(operation)
    }

    /// The keys that differ between two trees; `None` where they are many.
    fn changed(
        &self,
        old: ObjectId,
        new: ObjectId,
        differences: &mut Differences,
    ) -> Result<Option<Arc<[Key]>>, Error> {
        if old == new {
            return Ok(Some(Arc::default()));
        }
        if let Some(known) = differences.get(&(old, new)) {
            return Ok(known.clone());
        }
        let changes = tree::diff(&self.reader, &old, &new)?;
        let keys = if changes.len() > KEYS_TOLD_MAX {
            None
        } else {
            let keys = changes.iter().map(|change| entry_key(&change.key));
            Some(keys.collect::<Result<Arc<[Key]>, _>>()?)
        };
        differences.insert((old, new), keys.clone());
        Ok(keys)
    }
}
