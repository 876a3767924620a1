//! Reading at the speed of memory: compiled documents that all readers share, and decisions about who
//! may read them that are remembered.
//!
//! A look-up takes no lock and touches no disk. A document is compiled again when it is asked for
//! after one of the refs it rests on moved, by one caller while the others wait; nothing is done for
//! namespaces that nobody reads. A decision is remembered together with every ref that was read to
//! make it, and is made again when one of them moved, or after [`DECISION_MS_MAX`], because a right
//! can end by time alone.
//!
//! INVARIANT: no document is given to anybody without a decision that stands in the same view.
//! INVARIANT: documents together take no more than the limit, but for those in use.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use confman_model::Namespace;
use confman_model::namespace::NAMESPACE_BYTES_MAX;
use confman_policy::Permission;
use confman_refs::{RefName, Target, View};

use crate::actor::Actor;
use crate::compiled::{CompiledDocument, holds_in};
use crate::error::Error;
use crate::repo::Repo;
use crate::session::Session;

/// Memory for compiled documents where nothing else is said.
pub const DOCUMENTS_BYTES_MAX_DEFAULT: usize = 128 * 1024 * 1024;
/// How long a decision stands without being made again.
pub const DECISION_MS_MAX: i64 = 1000;
/// Most decisions that are remembered.
const DECISIONS_MAX: usize = 32_768;
/// A document that takes more than this part of the memory for all is compiled for each caller.
const PART_OF_ALL: usize = 4;
/// Context of the hash that a token is known by here.
const CREDENTIAL_CONTEXT: &str = "confman 2026 credential v1";

/// Bytes of a hash.
const CREDENTIAL_BYTES: usize = 32;

/// A token that was shown, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credential([u8; 32]);

impl Credential {
    pub fn of(token: &str) -> Self {
        Self(*blake3::keyed_hash(context(), token.as_bytes()).as_bytes())
    }

    /// Under which its decision about a namespace is remembered.
    fn about(self, namespace: &Namespace) -> DecisionKey {
        // The token's hash has one length, so that no two pairs run into each other.
        let mut pair = [0; CREDENTIAL_BYTES + NAMESPACE_BYTES_MAX];
        let name = namespace.as_str().as_bytes();
        let (first, second) = pair.split_at_mut(CREDENTIAL_BYTES);
        first.copy_from_slice(&self.0);
        for (place, byte) in second.iter_mut().zip(name) {
            *place = *byte;
        }
        let used = pair.get(..CREDENTIAL_BYTES + name.len()).unwrap_or(&pair);
        DecisionKey(*blake3::keyed_hash(context(), used).as_bytes())
    }
}

/// The key of the hashes, derived once.
fn context() -> &'static [u8; CREDENTIAL_BYTES] {
    static CONTEXT: OnceLock<[u8; CREDENTIAL_BYTES]> = OnceLock::new();
    CONTEXT.get_or_init(|| blake3::derive_key(CREDENTIAL_CONTEXT, &[]))
}

/// A token and a namespace, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DecisionKey([u8; 32]);

impl std::hash::Hash for DecisionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Takes what is a hash already as it is.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Decisions = imbl::GenericHashMap<
    DecisionKey,
    Arc<Decided>,
    BuildHasherDefault<AsItIs>,
    imbl::shared_ptr::DefaultSharedPtr,
>;
type Slots = imbl::HashMap<Namespace, Arc<Slot>>;

/// That a caller may read a namespace.
#[derive(Debug)]
struct Decided {
    actor: Actor,
    rests_on: Box<[(RefName, Option<Target>)]>,
    /// Number of the newest operation for which it was seen to stand.
    held_at: AtomicU64,
    /// When it was decided last.
    decided_ms: AtomicI64,
    /// When somebody began to decide again.
    again_ms: AtomicI64,
    slot: Arc<Slot>,
}

impl Decided {
    /// Whether both say the same, for the same reasons.
    fn is_as(&self, other: &Self) -> bool {
        self.actor == other.actor
            && self.rests_on == other.rests_on
            && Arc::ptr_eq(&self.slot, &other.slot)
    }

    /// Takes over when the other was made.
    fn made_again(&self, other: &Self) {
        let (sequence, ms) = (&other.held_at, &other.decided_ms);
        self.held_at
            .fetch_max(sequence.load(Ordering::Acquire), Ordering::AcqRel);
        // Not the later of both: a clock may have gone back.
        self.decided_ms
            .store(ms.load(Ordering::Acquire), Ordering::Release);
        self.again_ms.store(i64::MIN, Ordering::Release);
    }
}

/// The place of a namespace's document.
#[derive(Debug, Default)]
struct Slot {
    document: ArcSwapOption<CompiledDocument>,
    /// Whether it was read since memory was looked for last.
    used: AtomicBool,
    /// Held while it is compiled.
    compiling: Mutex<()>,
}

/// All documents and decisions of a repo.
#[derive(Debug)]
pub(crate) struct Reading {
    slots: ArcSwap<Slots>,
    decisions: ArcSwap<Decisions>,
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    evicting: Mutex<()>,
    hits: AtomicU64,
    compiled: AtomicU64,
    evicted: AtomicU64,
}

/// What compiled documents have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentsStatus {
    /// Documents that are kept.
    pub documents: u64,
    /// Bytes that they take, with what is kept with them.
    pub bytes: u64,
    /// Answers that found their document ready.
    pub hits: u64,
    /// Documents that were compiled.
    pub compiled: u64,
    /// Documents that were let go to make room.
    pub evicted: u64,
    /// Decisions that are remembered.
    pub decisions: u64,
}

/// A caller who may read what is published in a namespace, in one view.
#[derive(Debug)]
pub struct Reader {
    repo: Arc<Repo>,
    decided: Arc<Decided>,
    view: Arc<View>,
}

impl Repo {
    /// The caller with this token as a reader of a namespace, where a decision that allows it is
    /// remembered and stands. Neither blocks nor touches the disk; on `None`, find out with
    /// [`Repo::authenticate`] and [`Session::document`].
    #[must_use]
    pub fn reader(self: &Arc<Self>, token: &str, namespace: &Namespace) -> Option<Reader> {
        self.reader_of(Credential::of(token), namespace)
    }

    fn reader_of(
        self: &Arc<Self>,
        credential: Credential,
        namespace: &Namespace,
    ) -> Option<Reader> {
        let key = credential.about(namespace);
        let decided = Arc::clone(self.reading.decisions.load().get(&key)?);
        let reader = Reader {
            repo: Arc::clone(self),
            decided,
            view: self.node.view(),
        };
        reader.stands().then_some(reader)
    }

    /// What compiled documents have come to.
    #[must_use]
    pub fn documents_status(&self) -> DocumentsStatus {
        let reading = &self.reading;
        let slots = reading.slots.load();
        let ready = slots.values().filter(|slot| slot.document.load().is_some());
        DocumentsStatus {
            documents: ready.count() as u64,
            bytes: reading.bytes.load(Ordering::Relaxed) as u64,
            hits: reading.hits.load(Ordering::Relaxed),
            compiled: reading.compiled.load(Ordering::Relaxed),
            evicted: reading.evicted.load(Ordering::Relaxed),
            decisions: reading.decisions.load().len() as u64,
        }
    }
}

impl Reader {
    /// The same reader in the newest view; `None` where it must be found out again whether it may
    /// read. Does not block.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let reader = Self {
            repo: Arc::clone(&self.repo),
            decided: Arc::clone(&self.decided),
            view: self.repo.node.view(),
        };
        reader.stands().then_some(reader)
    }

    /// The document, if it is compiled and holds in this reader's view. Does not block.
    #[must_use]
    pub fn document(&self) -> Option<Arc<CompiledDocument>> {
        self.document_for(None)
    }

    /// As [`Reader::document`]: what a client gets, where it is published gradually.
    #[must_use]
    pub fn document_for(&self, client: Option<&str>) -> Option<Arc<CompiledDocument>> {
        let slot = &self.decided.slot;
        let document = slot.holding(&self.view)?.variant(client)?;
        self.repo.reading.hits.fetch_add(1, Ordering::Relaxed);
        Some(document)
    }

    /// Log index of its view.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.view.index()
    }

    /// What it can do besides.
    #[must_use]
    pub fn session(&self) -> Session {
        self.repo.session(self.decided.actor.clone())
    }

    /// Whether the decision stands in the view. When it is old, one caller is sent to make it again
    /// while others go on with it for as long again.
    fn stands(&self) -> bool {
        let decided = &self.decided;
        if !holds_in(&decided.rests_on, &decided.held_at, &self.view) {
            return false;
        }
        let now_ms = self.repo.clock.now_ms();
        let ends_ms = decided.actor.expires_ms();
        if ends_ms.is_some_and(|ends_ms| ends_ms <= now_ms) {
            return false;
        }
        let age_ms = now_ms.saturating_sub(decided.decided_ms.load(Ordering::Acquire));
        if (0..DECISION_MS_MAX).contains(&age_ms) {
            return true;
        }
        let begun_ms = decided.again_ms.load(Ordering::Relaxed);
        let first = begun_ms == i64::MIN
            && decided
                .again_ms
                .compare_exchange(begun_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        !first && (0..2 * DECISION_MS_MAX).contains(&age_ms)
    }
}

impl Session {
    /// The effective published document of a namespace, shared with all its readers.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn document(
        &self,
        namespace: &Namespace,
    ) -> Result<(Reader, Arc<CompiledDocument>), Error> {
        let reader = match self.reader(namespace) {
            Some(reader) => reader,
            None => self.decide(namespace)?,
        };
        let slot = Arc::clone(&reader.decided.slot);
        if let Some(document) = slot.holding(&reader.view) {
            return Ok((reader, document));
        }
        let _turn = slot
            .compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = slot.holding(&reader.view) {
            return Ok((reader, document));
        }
        let seen = self.look_at(Arc::clone(&reader.view));
        let reading = &self.repo.reading;
        let document = Arc::new(seen.compile_published(namespace, Arc::clone(&reading.bytes))?);
        reading.compiled.fetch_add(1, Ordering::Relaxed);
        if document.bytes() <= reading.bytes_max / PART_OF_ALL {
            slot.document.store(Some(Arc::clone(&document)));
            slot.used.store(true, Ordering::Relaxed);
            reading.make_room();
        }
        Ok((reader, document))
    }

    /// As [`Session::document`]: what a client gets, where it is published gradually.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn document_for(
        &self,
        namespace: &Namespace,
        client: Option<&str>,
    ) -> Result<(Reader, Arc<CompiledDocument>), Error> {
        let (reader, document) = self.document(namespace)?;
        if let Some(variant) = document.variant(client) {
            return Ok((reader, variant));
        }
        let seen = self.look_at(Arc::clone(&reader.view));
        let variant = seen.compile_variant(&document, client.unwrap_or_default())?;
        Ok((reader, variant))
    }

    /// Decides whether the actor may read what is published here.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Unauthenticated`].
    pub fn may_read(&self, namespace: &Namespace) -> Result<(), Error> {
        self.decide(namespace).map(drop)
    }

    /// Lets documents go that were not read lately, where all together take too much. Whoever keeps
    /// something with a document calls it afterwards.
    pub fn make_room(&self) {
        self.repo.reading.make_room();
    }

    /// As [`Repo::reader`], for the token that was shown.
    #[must_use]
    pub fn reader(&self, namespace: &Namespace) -> Option<Reader> {
        self.repo.reader_of(self.credential?, namespace)
    }

    /// Decides whether the actor may read what is published here, and remembers it for the token.
    fn decide(&self, namespace: &Namespace) -> Result<Reader, Error> {
        let reading = &self.repo.reading;
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let view = Arc::clone(&seen.view);
        let decided = Decided {
            actor: self.actor.clone(),
            rests_on: seen.into_reads().into_iter().collect(),
            held_at: AtomicU64::new(view.sequence()),
            decided_ms: AtomicI64::new(self.repo.clock.now_ms()),
            again_ms: AtomicI64::new(i64::MIN),
            slot: reading.slot(namespace),
        };
        let decided = match self.credential {
            Some(credential) => reading.remember(credential.about(namespace), decided),
            None => Arc::new(decided),
        };
        Ok(Reader {
            repo: Arc::clone(&self.repo),
            decided,
            view,
        })
    }
}

impl Slot {
    fn holding(&self, view: &View) -> Option<Arc<CompiledDocument>> {
        let document = self.document.load();
        let document = document
            .as_ref()
            .filter(|document| document.holds_in(view))?;
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(document))
    }
}

impl Reading {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            slots: ArcSwap::default(),
            decisions: ArcSwap::from_pointee(Decisions::with_hasher(BuildHasherDefault::default())),
            bytes_max,
            bytes: Arc::default(),
            evicting: Mutex::default(),
            hits: AtomicU64::new(0),
            compiled: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    fn slot(&self, namespace: &Namespace) -> Arc<Slot> {
        if let Some(slot) = self.slots.load().get(namespace) {
            return Arc::clone(slot);
        }
        let made = Arc::new(Slot::default());
        self.slots.rcu(|slots| match slots.contains_key(namespace) {
            true => Arc::clone(slots),
            false => Arc::new(slots.update(namespace.clone(), Arc::clone(&made))),
        });
        let slots = self.slots.load();
        slots.get(namespace).map_or(made, Arc::clone)
    }

    /// Remembers a decision; where it is the one that is known, that it was made again.
    fn remember(&self, key: DecisionKey, decided: Decided) -> Arc<Decided> {
        let known = self.decisions.load().get(&key).map(Arc::clone);
        if let Some(known) = known.filter(|known| known.is_as(&decided)) {
            known.made_again(&decided);
            return known;
        }
        let decided = Arc::new(decided);
        self.decisions.rcu(|decisions| {
            let full = decisions.len() >= DECISIONS_MAX;
            let kept = if full {
                Decisions::with_hasher(BuildHasherDefault::default())
            } else {
                Decisions::clone(decisions)
            };
            kept.update(key, Arc::clone(&decided))
        });
        decided
    }

    /// Lets documents go that were not read lately, until all take less than the limit.
    fn make_room(&self) {
        let over = |part: usize| self.bytes.load(Ordering::Relaxed) > part;
        if !over(self.bytes_max) {
            return;
        }
        let Ok(_turn) = self.evicting.try_lock() else {
            return;
        };
        // A little more than needed, so that not every document that comes lets one go.
        let enough = self.bytes_max - self.bytes_max / 10;
        let slots = self.slots.load_full();
        // Those that were read since the last time are spared once.
        for _ in 0..2 {
            for slot in slots.values() {
                if !over(enough) {
                    return;
                }
                let spared = slot.used.swap(false, Ordering::Relaxed);
                if !spared && slot.document.swap(None).is_some() {
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}
