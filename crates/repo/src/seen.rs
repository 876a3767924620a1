//! One view as one actor sees it: everything that is read for an answer or a decision.
//!
//! INVARIANT: every ref that is read is remembered, so that a transaction can expect it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use confman_layout::tree_key;
use confman_model::{DraftName, Key, Namespace, NamespaceDocument};
use confman_object_store::tree::Leaf;
use confman_object_store::{Commit, Kind, ObjectId, Person, ReadObjects, Record, Stage, tree};
use confman_policy::{Decision, Grants, GrantsAt, Permission, Subject, decide};
use confman_refs::{RefName, Target, View};

use crate::actor::{Actor, Basis};
use crate::chain::Moment;
use crate::entry::Stamp;
use crate::error::{Error, What};
use crate::line::Place;
use crate::names;
use crate::repo::Repo;
use crate::session::Session;

/// Most commits between the head of a draft and where it began.
pub(crate) const DRAFT_COMMITS_MAX: usize = 10_000;

/// The key of a policy commit's tree that has the document.
pub(crate) const DOCUMENT_KEY: &str = "namespace";

/// One view as one actor sees it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub repo: &'a Repo,
    pub actor: &'a Actor,
    /// Who the actor is in this view, with its groups and what its token leaves.
    pub subject: Subject,
    pub view: Arc<View>,
    reads: RefCell<BTreeMap<RefName, Option<Target>>>,
}

/// A commit with its id.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub id: ObjectId,
    pub commit: Arc<Commit>,
}

impl Session {
    /// The newest view, as this actor sees it.
    pub(crate) fn look(&self) -> Result<Seen<'_>, Error> {
        let mut seen = self.look_at(self.repo.node.view());
        seen.subject = seen.subject_of_actor()?;
        Ok(seen)
    }

    /// A view as anyone sees it, until it is known who the actor is in it.
    pub(crate) fn look_at(&self, view: Arc<View>) -> Seen<'_> {
        Seen {
            repo: &self.repo,
            actor: &self.actor,
            subject: Subject::anyone(),
            view,
            reads: RefCell::new(BTreeMap::new()),
        }
    }
}

impl<'a> Seen<'a> {
    /// What a ref points at.
    pub fn get(&self, name: &RefName) -> Option<Target> {
        let target = self.view.get(name.as_str());
        self.reads.borrow_mut().insert(name.clone(), target);
        target
    }

    /// Everything that was read.
    pub fn into_reads(self) -> BTreeMap<RefName, Option<Target>> {
        self.reads.into_inner()
    }

    /// Log index of the view.
    pub fn index(&self) -> u64 {
        self.view.index()
    }

    /// Reads objects; knows the tree without keys, which may not be in the store.
    pub fn objects(&self) -> &'a Stage {
        &self.repo.reader
    }

    /// The commit a ref points at.
    pub fn head(&self, name: &RefName) -> Result<Option<Found>, Error> {
        let Some(target) = self.get(name) else {
            return Ok(None);
        };
        if target.kind != Kind::Commit {
            return Err(Error::bug(format!("`{name}` points at a {}", target.kind)));
        }
        self.found(target.id).map(Some)
    }

    pub fn found(&self, id: ObjectId) -> Result<Found, Error> {
        Ok(Found {
            id,
            commit: self.objects().commit(&id)?,
        })
    }

    /// The record a ref points at.
    pub fn record(&self, name: &RefName) -> Result<Option<(ObjectId, Record)>, Error> {
        self.get(name)
            .map(|target| self.repo.read_record(target))
            .transpose()
    }

    /// The document of a namespace.
    pub fn document(&self, namespace: &Namespace) -> Result<Option<Arc<NamespaceDocument>>, Error> {
        match self.get(&names::policy(namespace)?) {
            Some(target) => self.repo.document(&target.id).map(Some),
            None => Ok(None),
        }
    }

    /// The namespaces it inherits from, itself first.
    pub fn chain(&self, namespace: &Namespace) -> Result<Vec<Namespace>, Error> {
        let links = self.links(namespace, None)?;
        Ok(links.into_iter().map(|link| link.namespace).collect())
    }

    /// Every grant that counts in a namespace that exists, now or at a moment.
    pub fn grants(&self, namespace: &Namespace, moment: Option<Moment>) -> Result<Grants, Error> {
        let chain = self
            .links(namespace, moment)?
            .into_iter()
            .map(|link| GrantsAt {
                namespace: link.namespace,
                roles: link.document.roles.clone(),
                secret_resolvers: link.document.settings.secret_resolvers.clone(),
            })
            .collect();
        let root = self.document_at(&Namespace::root(), moment)?.roles.clone();
        Ok(Grants { chain, root })
    }

    /// Who the actor is in this view; refuses one whose token is not valid any more.
    fn subject_of_actor(&self) -> Result<Subject, Error> {
        let principal = self.actor.principal();
        let subject = match &self.actor.basis {
            Basis::Nothing => return Ok(Subject::anyone()),
            Basis::Program => self
                .subject_of(principal)?
                .unwrap_or_else(|| Subject::principal(principal)),
            Basis::Token(token) => {
                let (name, target) = &token.record;
                let now_ms = self.repo.clock.now_ms();
                let over = token
                    .expires_ms
                    .is_some_and(|expires_ms| expires_ms <= now_ms);
                if self.get(name) != Some(*target) || over {
                    return Err(Error::Unauthenticated);
                }
                self.subject_of(principal)?.ok_or(Error::Unauthenticated)?
            }
        };
        Ok(Subject {
            scope: self.actor.scope(),
            ..subject
        })
    }

    /// Whether somebody may do this in a namespace that exists, and why.
    pub fn decide(
        &self,
        namespace: &Namespace,
        subject: &Subject,
        permission: Permission,
    ) -> Result<Decision, Error> {
        Ok(decide(&self.grants(namespace, None)?, subject, permission))
    }

    /// Whether the actor may do this in a namespace that exists.
    pub fn may(&self, namespace: &Namespace, permission: Permission) -> Result<bool, Error> {
        let decision = self.decide(namespace, &self.subject, permission)?;
        Ok(decision.allowed)
    }

    /// Refuses who may not do this here. Who may not even know of the namespace is told that there is none.
    pub fn permit(&self, namespace: &Namespace, permission: Permission) -> Result<(), Error> {
        if self.get(&names::policy(namespace)?).is_none() {
            return self.permit_deleted(namespace, permission);
        }
        let decision = self.decide(namespace, &self.subject, permission)?;
        if decision.allowed {
            return Ok(());
        }
        if !self.may(namespace, Permission::NamespaceRead)? {
            return Err(Error::not_found(What::Namespace, namespace));
        }
        Err(Error::Denied {
            namespace: namespace.clone(),
            permission,
            because: decision.to_string(),
        })
    }

    /// Refuses who is not an admin of `/`.
    pub fn permit_administrator(&self) -> Result<(), Error> {
        self.permit(&Namespace::root(), Permission::RolesManage)
    }

    /// The published head and its place; of a namespace that was deleted, the last one.
    pub fn published(&self, namespace: &Namespace) -> Result<Option<(Found, Place)>, Error> {
        let found = match self.head(&names::published(namespace)?)? {
            Some(found) => found,
            None => match self.last_published(namespace)? {
                Some(id) => self.found(id)?,
                None => return Ok(None),
            },
        };
        let place = self.line(namespace)?.place_of(&found.id)?;
        let place = place
            .ok_or_else(|| Error::bug(format!("the published head of `{namespace}` has no row")))?;
        Ok(Some((found, place)))
    }

    /// The head of a draft that must exist.
    pub fn draft_head(&self, namespace: &Namespace, draft: &DraftName) -> Result<Found, Error> {
        self.head(&names::draft(namespace, draft)?)?
            .ok_or_else(|| Error::not_found(What::Draft, draft))
    }

    /// The published commit that a draft builds on: the newest one of the line that its commits lead to.
    pub fn base_of(&self, namespace: &Namespace, draft: &Found) -> Result<Option<Place>, Error> {
        let line = self.line(namespace)?;
        let mut base: Option<Place> = None;
        let mut waiting = vec![draft.id];
        let mut visited = std::collections::HashSet::new();
        while let Some(id) = waiting.pop() {
            if !visited.insert(id) {
                continue;
            }
            if visited.len() > DRAFT_COMMITS_MAX {
                return Err(Error::LimitExceeded {
                    what: "commits in a draft",
                    limit: DRAFT_COMMITS_MAX as u64,
                    actual: visited.len() as u64,
                });
            }
            match line.place_of(&id)? {
                Some(place) if base.is_none_or(|base| base.position < place.position) => {
                    base = Some(place)
                }
                Some(_) => {}
                None => waiting.extend(self.objects().commit(&id)?.parents.iter().copied()),
            }
        }
        Ok(base)
    }

    /// The tree of a commit, or the one without keys.
    pub fn tree_of(&self, commit: Option<&ObjectId>) -> Result<ObjectId, Error> {
        Ok(match commit {
            Some(id) => self.objects().commit(id)?.tree,
            None => self.repo.empty_tree,
        })
    }

    /// What a key leads to.
    pub fn leaf(&self, tree: &ObjectId, key: &Key) -> Result<Option<Leaf>, Error> {
        Ok(tree::get(self.objects(), tree, tree_key(key)?.as_bytes())?)
    }

    /// When and by whom a commit was made.
    pub fn stamp(&self, commit: &ObjectId) -> Result<Stamp, Error> {
        Ok(committed(&*self.objects().commit(commit)?))
    }

    /// Raft term of the operation at a log index.
    pub fn term_at(&self, index: u64) -> Result<u64, Error> {
        let sequence = self.repo.node.sequence_at_index(index)?;
        let operation = self.repo.node.operation_at(sequence)?;
        Ok(operation.map_or(0, |(_, operation)| operation.term))
    }
}

/// When and by whom a commit was made.
pub(crate) fn committed(commit: &Commit) -> Stamp {
    Stamp {
        at_ms: commit.commit_time.ms,
        by: who(&commit.committer),
    }
}

/// A person in one line: the principal, or name and mail address of somebody the store does not know.
pub(crate) fn who(person: &Person) -> String {
    match (person.principal.is_empty(), person.email.is_empty()) {
        (false, _) => person.principal.clone(),
        (true, true) => person.name.clone(),
        (true, false) => format!("{} <{}>", person.name, person.email)
            .trim_start()
            .to_owned(),
    }
}

/// The first line of a message.
pub(crate) fn subject(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
