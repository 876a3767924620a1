//! Effective documents as services read them: everything loaded, resolved once, shared by all readers.
//!
//! INVARIANT: a compiled document never changes; it knows the refs that it rests on, and holds as long
//! as they point at what they pointed at.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use confman_layout::{read_details, read_value};
use confman_model::resolver;
use confman_model::{Details, Key, Namespace, Revision, Value};
use confman_object_store::{Kind, ObjectId, tree};
use confman_policy::Permission;
use confman_policy::schema::Rule;
use confman_refs::{RefName, Target, View};

use crate::chain::ChainLink;
use crate::effective::{OwnLeaf, basis_id};
use crate::error::Error;
use crate::names;
use crate::rollout::Rollout;
use crate::schema::Schemas;
use crate::seen::Seen;
use crate::session::Session;

/// What an entry of a compiled document takes beside its bytes, for the account of memory.
const ENTRY_BYTES: usize = 128;
/// What a compiled document takes beside its entries.
const DOCUMENT_BYTES: usize = 1024;

/// All that holds in a namespace.
#[derive(Debug)]
pub struct CompiledDocument {
    /// Whose.
    pub namespace: Namespace,
    /// Hash of the ordered commits behind it: equal bases have equal documents.
    pub basis: ObjectId,
    /// The namespaces that it is made of, itself first.
    pub links: Vec<CompiledLink>,
    /// The entries in the order of keys; no tombstones.
    pub entries: Vec<CompiledEntry>,
    /// Keys of it that a schema calls deprecated, each with what the schema says to use instead.
    pub deprecated: BTreeMap<Key, Option<String>>,
    /// What parts of the readers get instead, by namespaces that it is made of.
    rollouts: Vec<Rollout>,
    /// The documents of those parts that were asked for, each by the rollouts that it has.
    variants: Mutex<BTreeMap<Vec<Namespace>, Arc<CompiledDocument>>>,
    rests_on: Box<[(RefName, Option<Target>)]>,
    /// Number of the newest operation for which it was seen to hold.
    held_at: AtomicU64,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
    charged: AtomicUsize,
    account: Arc<AtomicUsize>,
}

/// A namespace that a document is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledLink {
    /// Which.
    pub namespace: Namespace,
    /// The commit; `None` where nothing is published.
    pub commit: Option<ObjectId>,
    /// Root of its tree.
    pub(crate) tree: ObjectId,
}

/// An effective entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledEntry {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Value,
    details: Option<Box<Details>>,
    link: u32,
}

impl CompiledEntry {
    /// What is said about it; `None` where nothing is.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.details.as_deref()
    }
}

impl CompiledDocument {
    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&CompiledEntry> {
        let found = self.entries.binary_search_by(|entry| entry.key.cmp(key));
        self.entries.get(found.ok()?)
    }

    /// The entries whose keys begin with this.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> &[CompiledEntry] {
        let from = self
            .entries
            .partition_point(|entry| entry.key.as_str() < prefix);
        let rest = self.entries.get(from..).unwrap_or_default();
        let count = rest.partition_point(|entry| entry.key.as_str().starts_with(prefix));
        rest.get(..count).unwrap_or_default()
    }

    /// Where an entry of this document comes from.
    #[must_use]
    pub fn origin(&self, entry: &CompiledEntry) -> Option<&CompiledLink> {
        self.links.get(entry.link as usize)
    }

    /// Those of its rollouts that serve a client.
    fn rollouts_of(&self, client: &str) -> Vec<&Rollout> {
        let rollouts = self.rollouts.iter();
        rollouts.filter(|rollout| rollout.serves(client)).collect()
    }

    /// The document that a client gets, if it is compiled.
    pub(crate) fn variant(self: &Arc<Self>, client: Option<&str>) -> Option<Arc<Self>> {
        let Some(client) = client.filter(|_| !self.rollouts.is_empty()) else {
            return Some(Arc::clone(self));
        };
        let served = self.rollouts_of(client);
        if served.is_empty() {
            return Some(Arc::clone(self));
        }
        let variants = self.variants.lock().unwrap_or_else(PoisonError::into_inner);
        variants.get(&key_of(&served)).cloned()
    }

    /// The published commit of the namespace itself.
    #[must_use]
    pub fn commit(&self) -> Option<ObjectId> {
        self.links.first().and_then(|link| link.commit)
    }

    /// What its reader keeps with it for as long as it lives, made at the first call. `make` gives it
    /// and how many bytes it takes.
    pub fn attached<T, F>(&self, make: F) -> Option<&T>
    where
        T: Any + Send + Sync,
        F: FnOnce(&Self) -> (T, usize),
    {
        let attachment = self.attachment.get_or_init(|| {
            let (attachment, bytes) = make(self);
            self.charge(bytes);
            Box::new(attachment)
        });
        attachment.downcast_ref()
    }

    /// What [`Self::attached`] made, if it was called.
    #[must_use]
    pub fn attachment<T: Any>(&self) -> Option<&T> {
        self.attachment.get()?.downcast_ref()
    }

    /// Takes note of memory that is kept with it.
    pub fn charge(&self, bytes: usize) {
        self.charged.fetch_add(bytes, Ordering::Relaxed);
        self.account.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that it takes, with all that is kept with it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.charged.load(Ordering::Relaxed)
    }

    /// Whether the refs that it rests on are in this view as they were.
    pub(crate) fn holds_in(&self, view: &View) -> bool {
        holds_in(&self.rests_on, &self.held_at, view)
    }
}

impl Drop for CompiledDocument {
    fn drop(&mut self) {
        self.account.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

/// By what a variant is known.
fn key_of(served: &[&Rollout]) -> Vec<Namespace> {
    served
        .iter()
        .map(|rollout| rollout.namespace.clone())
        .collect()
}

/// Whether refs are in a view as they were. Looked up once for each view; views only go forward.
pub(crate) fn holds_in(
    rests_on: &[(RefName, Option<Target>)],
    held_at: &AtomicU64,
    view: &View,
) -> bool {
    let sequence = view.sequence();
    if held_at.load(Ordering::Acquire) == sequence {
        return true;
    }
    let holds = rests_on
        .iter()
        .all(|(name, target)| view.get(name.as_str()) == *target);
    if holds {
        held_at.fetch_max(sequence, Ordering::AcqRel);
    }
    holds
}

impl Session {
    /// All that holds in a namespace at a revision, compiled for this call, and the log index that was
    /// read at. For `published`, [`Session::document`] gives the shared one.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn compile(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<(u64, Arc<CompiledDocument>), Error> {
        let seen = self.look()?;
        let links = seen.basis_links(namespace, revision)?;
        // It holds for this call only, and is kept by nobody who would ask.
        let account = Arc::default();
        let document = seen.compiled(namespace, links, account)?;
        Ok((seen.index(), Arc::new(document)))
    }

    /// How many entries were looked at to compile the published document of a namespace: at least so
    /// many as it has.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn document_size(&self, namespace: &Namespace) -> Result<u64, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let mut size = 0;
        for link in seen.chain(namespace)? {
            let link = seen.published_link(link)?;
            size += tree::count(seen.objects(), &link.tree)?;
        }
        Ok(size)
    }

    /// Whether a part of the readers gets something else here than the others, because a namespace of the
    /// chain is published gradually.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn is_divided(&self, namespace: &Namespace) -> Result<bool, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        for link in seen.chain(namespace)? {
            if seen.get(&names::rollout(&link)?).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Seen<'_> {
    /// Compiles what is published, for a caller who was seen to have the right in this view. What was
    /// read so far must be nothing: the document rests on the chain and its heads alone.
    pub(crate) fn compile_published(
        self,
        namespace: &Namespace,
        account: Arc<AtomicUsize>,
    ) -> Result<CompiledDocument, Error> {
        let chain = self.links(namespace, None)?;
        let mut links = Vec::with_capacity(chain.len());
        let mut rollouts = Vec::new();
        for link in &chain {
            links.push(self.published_link(link.namespace.clone())?);
            rollouts.extend(self.rollout(&link.namespace)?);
        }
        let mut document = self.compiled(namespace, links, account)?;
        document.deprecated = self.deprecated(&chain, &document.entries)?;
        document.rollouts = rollouts;
        document.held_at = AtomicU64::new(self.view.sequence());
        document.rests_on = self.into_reads().into_iter().collect();
        Ok(document)
    }

    /// Compiles what a client gets of a document that is published gradually, and keeps it with that.
    pub(crate) fn compile_variant(
        self,
        document: &CompiledDocument,
        client: &str,
    ) -> Result<Arc<CompiledDocument>, Error> {
        let served = document.rollouts_of(client);
        let mut links = document.links.clone();
        for link in &mut links {
            let rollout = served.iter().find(|it| it.namespace == link.namespace);
            if let Some(rollout) = rollout {
                link.commit = Some(rollout.commit);
                link.tree = self.tree_of(Some(&rollout.commit))?;
            }
        }
        let chain = self.links(&document.namespace, None)?;
        let account = Arc::clone(&document.account);
        let mut variant = self.compiled(&document.namespace, links, account)?;
        variant.deprecated = self.deprecated(&chain, &variant.entries)?;
        let variant = Arc::new(variant);
        let mut variants = document
            .variants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let kept = variants.entry(key_of(&served)).or_insert(variant);
        Ok(Arc::clone(kept))
    }

    /// Keys that a schema of the chain calls deprecated. A schema that cannot be used says nothing here:
    /// what is published is read all the same.
    fn deprecated(
        &self,
        chain: &[ChainLink],
        entries: &[CompiledEntry],
    ) -> Result<BTreeMap<Key, Option<String>>, Error> {
        let schemas = Schemas::new(self);
        let mut deprecated = BTreeMap::new();
        let attached = chain
            .iter()
            .filter_map(|link| link.document.schema.as_ref());
        for reference in attached {
            let Ok(schema) = schemas.compiled(&reference.path)? else {
                continue;
            };
            if !schema.has_rules() {
                continue;
            }
            for entry in entries {
                for found in schema.rules_of(entry.key.as_str()) {
                    if let Rule::Deprecated(instead) = &found.rule {
                        deprecated.insert(entry.key.clone(), instead.clone());
                    }
                }
            }
        }
        Ok(deprecated)
    }

    /// The published head of a namespace.
    pub(crate) fn published_link(&self, namespace: Namespace) -> Result<CompiledLink, Error> {
        let target = self.get(&names::published(&namespace)?);
        let commit = match target {
            Some(target) if target.kind != Kind::Commit => {
                return Err(Error::bug(format!(
                    "the published head of `{namespace}` is a {}",
                    target.kind
                )));
            }
            target => target.map(|target| target.id),
        };
        Ok(CompiledLink {
            tree: self.tree_of(commit.as_ref())?,
            namespace,
            commit,
        })
    }

    fn compiled(
        &self,
        namespace: &Namespace,
        links: Vec<CompiledLink>,
        account: Arc<AtomicUsize>,
    ) -> Result<CompiledDocument, Error> {
        let layers = links
            .iter()
            .map(|link| self.layer(&link.namespace, &link.tree))
            .collect::<Result<Vec<_>, Error>>()?;
        let resolved = resolver::effective(&layers).map_err(Error::bug)?;
        let mut bytes = DOCUMENT_BYTES;
        let mut entries = Vec::with_capacity(resolved.values.len());
        for found in &resolved.values {
            let entry = self.compiled_entry(found, &links)?;
            bytes += entry.bytes();
            entries.push(entry);
        }
        let basis = basis_id(links.iter().map(|link| (&link.namespace, link.commit)));
        let document = CompiledDocument {
            namespace: namespace.clone(),
            basis,
            links,
            entries,
            deprecated: BTreeMap::new(),
            rollouts: Vec::new(),
            variants: Mutex::default(),
            rests_on: Box::default(),
            held_at: AtomicU64::new(0),
            attachment: OnceLock::new(),
            charged: AtomicUsize::new(0),
            account,
        };
        document.charge(bytes);
        Ok(document)
    }

    fn compiled_entry(
        &self,
        found: &resolver::EffectiveEntry<'_, OwnLeaf>,
        links: &[CompiledLink],
    ) -> Result<CompiledEntry, Error> {
        let OwnLeaf(leaf) = found.entry;
        let value = read_value(self.objects(), leaf)?.ok_or_else(|| {
            Error::bug(format!(
                "the effective value of `{}` is a tombstone",
                found.key
            ))
        })?;
        let details = read_details(self.objects(), leaf)?;
        let link = links
            .iter()
            .position(|link| link.namespace == *found.namespace);
        let link = link.and_then(|link| u32::try_from(link).ok());
        Ok(CompiledEntry {
            key: found.key.clone(),
            value,
            details: (!details.is_empty()).then(|| Box::new(details)),
            link: link.ok_or_else(|| {
                Error::bug(format!("`{}` is of a namespace that is no link", found.key))
            })?,
        })
    }
}

impl CompiledEntry {
    fn bytes(&self) -> usize {
        let details = self.details().map_or(0, |details| {
            details.description.len() + details.tags.iter().map(String::len).sum::<usize>()
        });
        ENTRY_BYTES + self.key.as_str().len() + self.value.bytes().len() + details
    }
}
