//! The door to one node.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use confman_layout::read_value;
use confman_model::{
    GroupDocument, IssuerDocument, Namespace, NamespaceDocument, PrincipalKind, ValueLimits,
};
use confman_object_store::{Kind, ObjectId, ReadObjects, Record, Stage, tree};
use confman_policy::Permission;
use confman_refs::{Node, RefName, Target};

use crate::actor::{Actor, Basis, HeldToken};
use crate::clock::Clock;
use crate::cluster::JoinTokenRecord;
use crate::directory::Directory;
use crate::error::Error;
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
use crate::principal::PrincipalRecord;
use crate::reading::{DOCUMENTS_BYTES_MAX_DEFAULT, Reading};
use crate::record::Decoded;
use crate::schema::CompiledSchemas;
use crate::seen::DOCUMENT_KEY;
use crate::session::Session;
use crate::token::{Token, TokenRecord};
use crate::validation::layer::Layers;

/// Locks that changes to different refs share out among them.
const LOCKS: usize = 1024;
/// Most documents and most actors kept decoded.
const CACHED_MAX: usize = 16_384;
/// The principal made with a new store.
pub const ADMIN: &str = "admin";
const ADMIN_DISPLAY_NAME: &str = "Administrator";

/// What a repo is told when it is opened.
#[derive(Clone, Debug)]
pub struct RepoOptions {
    /// What values it accepts.
    pub value_limits: ValueLimits,
    /// Memory for compiled documents and what is kept with them.
    pub documents_bytes_max: usize,
}

impl Default for RepoOptions {
    fn default() -> Self {
        Self {
            value_limits: ValueLimits::default(),
            documents_bytes_max: DOCUMENTS_BYTES_MAX_DEFAULT,
        }
    }
}

/// The door to one node.
#[derive(Debug)]
pub struct Repo {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: RepoOptions,
    /// Reads the node's objects, and the tree without keys.
    pub(crate) reader: Stage,
    pub(crate) empty_tree: ObjectId,
    locks: Vec<Mutex<()>>,
    documents: Mutex<HashMap<ObjectId, Arc<NamespaceDocument>>>,
    actors: Mutex<HashMap<[u8; 32], Actor>>,
    pub(crate) principals: Decoded<PrincipalRecord>,
    pub(crate) groups: Decoded<GroupDocument>,
    pub(crate) tokens: Decoded<TokenRecord>,
    pub(crate) issuers: Decoded<IssuerDocument>,
    pub(crate) join_tokens: Decoded<JoinTokenRecord>,
    pub(crate) directory: Mutex<Option<Arc<Directory>>>,
    pub(crate) reading: Reading,
    pub(crate) layers: Layers,
    pub(crate) schemas: CompiledSchemas,
    publishes: AtomicU64,
    /// Secrets that were to be replaced when they were last looked for.
    pub(crate) rotations_due: AtomicU64,
    /// When they are looked for again, in milliseconds since 1970.
    pub(crate) rotations_next_ms: AtomicI64,
}

impl Repo {
    /// Uses a node that is open.
    #[must_use]
    pub fn open(node: Arc<Node>, clock: Arc<dyn Clock>, options: RepoOptions) -> Arc<Self> {
        let mut reader = Stage::new(Arc::clone(node.store()));
        let empty = tree::empty();
        let empty_tree = empty.id();
        reader.put(empty, None);
        Arc::new(Self {
            reading: Reading::new(options.documents_bytes_max),
            publishes: AtomicU64::new(0),
            rotations_due: AtomicU64::new(0),
            rotations_next_ms: AtomicI64::new(0),
            layers: Layers::default(),
            schemas: CompiledSchemas::default(),
            node,
            clock,
            options,
            reader,
            empty_tree,
            locks: std::iter::repeat_with(|| Mutex::new(()))
                .take(LOCKS)
                .collect(),
            documents: Mutex::default(),
            actors: Mutex::default(),
            principals: Decoded::default(),
            groups: Decoded::default(),
            tokens: Decoded::default(),
            issuers: Decoded::default(),
            join_tokens: Decoded::default(),
            directory: Mutex::default(),
        })
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
    pub fn bootstrap(self: &Arc<Self>) -> Result<Option<Token>, Error> {
        let token = Token::generate(PrincipalKind::User)?;
        Ok(self.bootstrap_with(&token)?.then_some(token))
    }

    /// As [`Self::bootstrap`], with a token that the caller made and put in a safe place first, so
    /// that no crash can lose it. Returns whether the store was new.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn bootstrap_with(self: &Arc<Self>, token: &Token) -> Result<bool, Error> {
        let root = Namespace::root();
        let about = names::policy(&root)?;
        if self.node.view().get(about.as_str()).is_some() {
            return Ok(false);
        }
        let session = self.session(Actor::program(ADMIN, ADMIN_DISPLAY_NAME));
        let intent = Intent {
            action: "bootstrap",
            about: about.clone(),
            digest: Digest::new("bootstrap").finish(),
            detail: serde_json::json!({}),
            session: &session,
        };
        let mut is_new = false;
        let result = intent.carry_out(|evaluation| {
            is_new = evaluation.get(&about).is_none();
            if !is_new {
                return Err(Error::Unchanged {
                    namespace: root.clone(),
                    reason: "the store is not new".to_owned(),
                });
            }
            let mut document = NamespaceDocument::new(root.clone());
            document.roles.admin.push(ADMIN.to_owned());
            document.metadata.created = crate::time::rfc3339(evaluation.now_ms);
            document
                .metadata
                .updated
                .clone_from(&document.metadata.created);
            document.metadata.created_by = ADMIN.to_owned();
            document.metadata.updated_by = ADMIN.to_owned();
            let commit = evaluation.set_document(&document, "a new store")?;
            let administrator = PrincipalRecord::named(ADMIN_DISPLAY_NAME);
            evaluation.put_record_document(names::principal(ADMIN)?, &administrator)?;
            TokenRecord::new(ADMIN, "made with the store", token).put_new(evaluation, token)?;
            Ok(Outcome {
                commit: Some(commit.id),
                ..Outcome::default()
            })
        });
        match result {
            Ok(_) => Ok(true),
            Err(Error::Unchanged { .. }) if !is_new => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it is nobody's.
    pub fn authenticate(&self, token: &str) -> Result<Actor, Error> {
        if let Some(actor) = self.recognize(token) {
            return Ok(actor);
        }
        let token = Token::parse(token)?;
        let hash = token.hash();
        let view = self.node.view();
        let now_ms = self.clock.now_ms();
        let token_name = names::token(&token.digits())?;
        let token_target = view
            .get(token_name.as_str())
            .ok_or(Error::Unauthenticated)?;
        let written = self.tokens.get(self, token_target)?;
        let record = &written.document;
        if !record.is_of(&token) || record.is_expired(now_ms) {
            return Err(Error::Unauthenticated);
        }
        let principal_name = names::principal(&record.principal)?;
        let principal_target = view
            .get(principal_name.as_str())
            .ok_or(Error::Unauthenticated)?;
        let principal = self.principals.get(self, principal_target)?;
        if principal.document.disabled {
            return Err(Error::Unauthenticated);
        }
        let actor = Actor {
            principal: record.principal.clone(),
            kind: principal.document.kind,
            display_name: principal.document.display_name.clone(),
            email: principal.document.email.clone(),
            basis: Basis::Token(HeldToken {
                id: token.digits(),
                name: record.name.clone(),
                scope: record.scope.clone(),
                expires_ms: record.expires_ms,
                record: (token_name, token_target),
                principal: (principal_name, principal_target),
            }),
        };
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if actors.len() >= CACHED_MAX {
            actors.clear();
        }
        actors.insert(hash, actor.clone());
        Ok(actor)
    }

    /// Whoever has the node's directory, and with it everything that is in it: for looking at one that no
    /// server runs on.
    #[must_use]
    pub fn holder(self: &Arc<Self>) -> Session {
        self.session(Actor::program(ADMIN, ADMIN_DISPLAY_NAME))
    }

    /// What time it is.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whoever is about to come in and may therefore do nothing yet but what anyone may.
    #[must_use]
    pub fn visitor(&self) -> Actor {
        Actor::anyone()
    }

    /// Whoever sends no token, where the namespace is open to anyone.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it is not, or is not there.
    pub fn anyone(self: &Arc<Self>, namespace: &Namespace) -> Result<Actor, Error> {
        let session = self.session(Actor::anyone());
        match session.look()?.permit(namespace, Permission::NamespaceRead) {
            Ok(()) => Ok(session.actor),
            Err(Error::NotFound { .. } | Error::Denied { .. }) => Err(Error::Unauthenticated),
            Err(error) => Err(error),
        }
    }

    /// Whose token this is, if that was found before and still stands. Reads nothing from the disk.
    #[must_use]
    pub fn recognize(&self, token: &str) -> Option<Actor> {
        let actor = self.cached_actor(&Token::parse(token).ok()?.hash())?;
        let Basis::Token(held) = &actor.basis else {
            return None;
        };
        let view = self.node.view();
        let stands = [&held.record, &held.principal]
            .into_iter()
            .all(|(name, target)| view.get(name.as_str()) == Some(*target));
        let now_ms = self.clock.now_ms();
        let over = held
            .expires_ms
            .is_some_and(|expires_ms| expires_ms <= now_ms);
        (stands && !over).then_some(actor)
    }

    fn cached_actor(&self, hash: &[u8; 32]) -> Option<Actor> {
        self.actors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    /// What the actor can do.
    #[must_use]
    pub fn session(self: &Arc<Self>, actor: Actor) -> Session {
        Session {
            repo: Arc::clone(self),
            actor,
            idempotency_key: None,
            credential: None,
            origin: None,
        }
    }

    /// How many published heads were moved through this repo since it was opened.
    #[must_use]
    pub fn publishes(&self) -> u64 {
        self.publishes.load(Ordering::Relaxed)
    }

    /// Takes note of published heads that were moved.
    pub(crate) fn published(&self, heads: u64) {
        self.publishes.fetch_add(heads, Ordering::Relaxed);
    }

    /// The lock for changes to a ref.
    pub(crate) fn lock_of(&self, name: &RefName) -> &Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "there are LOCKS locks")]
        &self.locks[index]
    }

    /// The document that a policy commit has.
    pub(crate) fn document(&self, commit: &ObjectId) -> Result<Arc<NamespaceDocument>, Error> {
        if let Some(document) = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(commit)
        {
            return Ok(Arc::clone(document));
        }
        let tree = self.reader.commit(commit)?.tree;
        let malformed = |reason: &str| Error::bug(format!("policy commit {commit} {reason}"));
        let leaf = tree::get(&self.reader, &tree, DOCUMENT_KEY.as_bytes())?
            .ok_or_else(|| malformed("has no document"))?;
        let value = read_value(&self.reader, &leaf)?
            .ok_or_else(|| malformed("has a tombstone for a document"))?;
        let text = value
            .as_str()
            .ok_or_else(|| malformed("has a document that is no text"))?;
        let document = NamespaceDocument::from_text(text)
            .map_err(|_| malformed("has a document that is not valid"))?;
        let document = Arc::new(document);
        let mut documents = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if documents.len() >= CACHED_MAX {
            documents.clear();
        }
        documents.insert(*commit, Arc::clone(&document));
        Ok(document)
    }

    /// The record that a ref points at.
    pub(crate) fn read_record(&self, target: Target) -> Result<(ObjectId, Record), Error> {
        let bytes = self.reader.read(Kind::Record, &target.id)?;
        let record = Record::decode(&bytes)
            .map_err(|error| Error::bug(format!("record {}: {error}", target.id)))?;
        Ok((target.id, record))
    }
}
