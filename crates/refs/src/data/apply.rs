//! Applying log entries. Do the expected values still hold? then store the objects, move the refs,
//! append the operation; all of it, for as many entries as are at hand, in one batch.
//!
//! INVARIANT: what an entry does and answers depends on the log alone: not on a clock, not on chance, not on which
//! entries share its batch. So everything a batch has not written yet is looked up in the batch first.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use confman_object_store::tree::{self, Leaf, LeafValue, TreeKey};
use confman_object_store::{
    Encoded, Encoding, Kind, Object, ObjectId, ReadError, ReadObjects, Stage,
};
use imbl::OrdMap;
use openraft::EntryPayload;
use rocksdb::{WriteBatch, WriteOptions};

use super::applied::Applied;
use super::operations::{self, Place};
use super::requests::{Oldest, Remembered};
use super::sessions::{self, Sessions};
use super::snapshot::Handle;
use super::{APPLIED, Data, Families, MEMBERSHIP, encode_target, rows};
use crate::name::RefName;
use crate::operation::{Operation, OperationEdit, VIEW_EVERY};
use crate::peer::{PROTOCOL_MAX, PROTOCOL_MIN};
use crate::proposal::{self, Body, Piece, Proposal};
use crate::raft::{Answer, Entry, LogId, Refusal, StoredMembership, record};
use crate::transaction::{self, Committed, RequestId, Target};
use crate::view::View;

/// A batch is written when it holds about this many bytes.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Objects of a batch that are kept in memory for who reads them next. Those of a large one, as an import
/// makes, would drive out what is read all the time.
const KEPT_OBJECTS_MAX: usize = 4096;
/// What an entry costs in a batch beyond its objects.
const ENTRY_BYTES: usize = 512;

/// Applies entries, one after the other.
pub(crate) struct Applier {
    pub(crate) data: Arc<Data>,
    pub(crate) applied: Applied,
    pub(crate) membership: StoredMembership,
    refs: OrdMap<RefName, Target>,
    /// How refs moved since the newest view tree.
    since_view: BTreeMap<RefName, Option<Target>>,
    pub(crate) sessions: Sessions,
    oldest: Oldest,
    published: Arc<ArcSwap<View>>,
    /// The newest version of the protocol that this node understands.
    pub(crate) protocol_max: u16,
    /// The version that every member understands.
    pub(crate) agreed: Arc<AtomicU16>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier")
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

/// What entries did that is not written yet.
struct Batch<'a> {
    families: Families<'a>,
    writes: WriteBatch,
    /// Objects to be kept. They are added to `writes` together, so that each finds its dictionary.
    admitted: Vec<Encoded>,
    /// Bytes of objects by kind and id.
    objects: HashMap<(Kind, ObjectId), Bytes>,
    requests: HashMap<RequestId, Remembered>,
    /// Pages of view trees.
    pages: Option<Stage>,
    membership_moved: bool,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(families: Families<'a>) -> Self {
        Self {
            families,
            writes: WriteBatch::default(),
            admitted: Vec::new(),
            objects: HashMap::new(),
            requests: HashMap::new(),
            pages: None,
            membership_moved: false,
            bytes: 0,
        }
    }
}

/// An answer, or the reason to stop the node.
type Outcome = io::Result<Result<Answer, Refusal>>;

impl Applier {
    /// Takes up where the database is.
    pub(crate) fn load(data: Arc<Data>, published: Arc<ArcSwap<View>>) -> io::Result<Self> {
        let applied = match data.meta(APPLIED)? {
            None => Applied::default(),
            Some(bytes) => Applied::decode(&bytes).map_err(|error| super::corrupt(&error))?,
        };
        let membership = data.membership()?;
        let mut refs = OrdMap::new();
        data.each_ref(&mut |name, target| {
            refs.insert(name, target);
        })?;
        let mut since_view = BTreeMap::new();
        let with_view = applied.sequence - applied.sequence % VIEW_EVERY;
        for sequence in with_view + 1..=applied.sequence {
            let Some((_, operation)) = data.operation(sequence).map_err(unreadable)? else {
                return Err(missing_operation(sequence));
            };
            since_view.extend(
                operation
                    .edits
                    .into_iter()
                    .map(|edit| (edit.name, edit.new)),
            );
        }
        let sessions = Sessions::load(&data)?;
        let applier = Self {
            data,
            applied,
            membership,
            refs,
            since_view,
            sessions,
            oldest: Oldest::default(),
            published,
            protocol_max: PROTOCOL_MAX,
            agreed: Arc::default(),
        };
        applier.publish();
        Ok(applier)
    }

    /// The view after what is applied.
    pub(crate) fn view(&self) -> View {
        View {
            refs: self.refs.clone(),
            operation: self.applied.operation,
            sequence: self.applied.sequence,
            index: self.applied.last.map_or(0, |last| last.index),
            time_ms: self.applied.time_ms,
        }
    }

    fn publish(&self) {
        self.published.store(Arc::new(self.view()));
        let agreed = self.applied.protocol.unwrap_or(PROTOCOL_MIN);
        self.agreed.store(agreed, Ordering::Relaxed);
    }

    /// Applies the entries, writes what they did, and only then publishes the view. The answers are
    /// in the order of the entries.
    ///
    /// # Errors
    /// The disk fails, or an entry is not understood. What is in memory here is then of no use.
    pub(crate) fn apply(&mut self, entries: &[Entry]) -> io::Result<Vec<Answer>> {
        let data = Arc::clone(&self.data);
        if let Some(error) = data.failure.error() {
            return Err(error);
        }
        self.oldest.refill(&data, self.applied.requests)?;
        let mut batch = Batch::new(data.families()?);
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            answers.push(self.entry(&data, &mut batch, entry)?);
            self.applied.last = Some(entry.log_id);
            batch.bytes += ENTRY_BYTES;
            if batch.bytes >= BATCH_BYTES_MAX {
                self.write(&data, &mut batch)?;
            }
        }
        self.write(&data, &mut batch)?;
        self.publish();
        Ok(answers)
    }

    fn entry(&mut self, data: &Data, batch: &mut Batch<'_>, entry: &Entry) -> io::Result<Answer> {
        let at = entry.log_id;
        let payload = match &entry.payload {
            EntryPayload::Blank => return Ok(Answer::Nothing),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(at), membership.clone());
                batch.membership_moved = true;
                return Ok(Answer::Nothing);
            }
            EntryPayload::Normal(payload) => payload,
        };
        let not_understood = |error: &dyn std::fmt::Display| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("log entry {} is not understood: {error}", at.index),
            )
        };
        let outcome = match proposal::decode(&payload.0).map_err(|error| not_understood(&error))? {
            Proposal::Cluster { cluster, .. } => {
                self.applied.cluster.get_or_insert(cluster);
                return Ok(Answer::Nothing);
            }
            Proposal::Protocol { version } if version > self.protocol_max => {
                let newest = self.protocol_max;
                return Err(not_understood(&format!(
                    "the cluster speaks version {version} of the protocol, this node up to {newest}"
                )));
            }
            Proposal::Protocol { version } => {
                let before = self.applied.protocol.unwrap_or(PROTOCOL_MIN);
                self.applied.protocol = Some(before.max(version));
                return Ok(Answer::Nothing);
            }
            Proposal::Stage(stage) => self.stage(data, batch, stage)?,
            Proposal::Transact(transact) => self.transact(data, batch, at, transact)?,
        };
        Ok(outcome.unwrap_or_else(Answer::Refused))
    }

    fn write(&mut self, data: &Data, batch: &mut Batch<'_>) -> io::Result<()> {
        let empty = Batch::new(batch.families);
        let Batch {
            mut writes,
            mut admitted,
            objects,
            pages,
            membership_moved,
            ..
        } = std::mem::replace(batch, empty);
        if let Some(pages) = pages {
            admitted.extend(pages.encode().map_err(io::Error::other)?);
        }
        let born = self.applied.last.map_or(0, |last| last.index);
        data.backend
            .put_into(&mut writes, &admitted, born)
            .map_err(io::Error::other)?;
        writes.put_cf(batch.families.meta, APPLIED, self.applied.encode());
        if membership_moved {
            let record = record::encode_stored_membership(MEMBERSHIP, &self.membership);
            writes.put_cf(batch.families.meta, MEMBERSHIP, record);
        }
        data.db
            .write_opt(writes, &WriteOptions::default())
            .map_err(|error| {
                data.failure
                    .set(format!("writing the data failed: {error}"));
                io::Error::other(error)
            })?;
        if objects.len() <= KEPT_OBJECTS_MAX {
            for ((kind, id), bytes) in objects {
                data.store.keep(kind, id, &bytes);
            }
        }
        Ok(())
    }

    /// Keeps a piece of a staged transaction.
    fn stage(&mut self, data: &Data, batch: &mut Batch<'_>, stage: proposal::Stage) -> Outcome {
        let time_ms = stage.time_ms.max(self.applied.time_ms);
        self.sessions
            .expire(&batch.families, &mut batch.writes, time_ms);
        let (bytes, body_bytes) = match &stage.piece {
            Piece::Objects(objects) => (objects.iter().map(proposal::object_length).sum(), 0),
            Piece::Body(part) => (part.len(), part.len()),
        };
        let opened = match &stage.piece {
            Piece::Objects(objects) => match open_objects(data, batch, objects)? {
                Ok(opened) => opened,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Piece::Body(_) => Vec::new(),
        };
        if let Err(reason) =
            self.sessions
                .add(stage.session, time_ms, stage.part, bytes, body_bytes)
        {
            return Ok(Err(Refusal::Session(reason)));
        }
        self.sessions
            .put(&batch.families, &mut batch.writes, stage.session);
        match stage.piece {
            Piece::Objects(objects) => {
                batch.writes.put_cf(
                    batch.families.sessions,
                    sessions::objects_key(stage.session, stage.part),
                    sessions::objects_list(&objects),
                );
                put_objects(batch, objects, opened);
            }
            Piece::Body(part) => {
                batch.writes.put_cf(
                    batch.families.sessions,
                    sessions::part_key(stage.session, stage.part),
                    &part,
                );
                batch.bytes += part.len();
            }
        }
        Ok(Ok(Answer::Staged))
    }

    /// Applies a transaction.
    fn transact(
        &mut self,
        data: &Data,
        batch: &mut Batch<'_>,
        at: LogId,
        transact: proposal::Transact,
    ) -> Outcome {
        let time_ms = transact.time_ms.max(self.applied.time_ms);
        let body_bytes = match transact.session {
            None => transact.body,
            Some((id, parts)) => {
                // Its pieces may be in the batch still.
                self.write(data, batch)?;
                match self
                    .sessions
                    .take(&batch.families, &mut batch.writes, id, parts, time_ms)
                {
                    Ok(session) => data.staged_body(id, &session)?,
                    Err(reason) => return Ok(Err(Refusal::Session(reason))),
                }
            }
        };
        let body_hash = proposal::body_hash(&body_bytes);
        let remembered = match batch.requests.get(&transact.request) {
            Some(remembered) => Some(*remembered),
            None => data.remembered(transact.request)?,
        };
        if let Some(before) =
            remembered.filter(|before| before.counts(time_ms, self.applied.requests))
        {
            return Ok(match before.body == body_hash {
                true => Ok(Answer::Committed(before.committed)),
                false => Err(Refusal::RequestReused(transact.request)),
            });
        }
        let body = proposal::decode_body(&body_bytes).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("log entry {} is not understood: {error}", at.index),
            )
        })?;
        if let Err(refusal) = self.check(&body) {
            return Ok(Err(refusal));
        }
        let opened = match open_objects(data, batch, &transact.objects)? {
            Ok(opened) => opened,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for target in body.edits.iter().filter_map(|edit| edit.new) {
            let known = opened
                .iter()
                .any(|object| object.kind() == target.kind && object.id() == target.id)
                || batch.objects.contains_key(&(target.kind, target.id))
                || data
                    .store
                    .encoding(target.kind, &target.id)
                    .map_err(io::Error::other)?
                    .is_some();
            if !known {
                return Ok(Err(Refusal::MissingObject(target)));
            }
        }
        put_objects(batch, transact.objects, opened);
        let committed = self.commit(data, batch, at, transact.request, time_ms, body)?;
        let remembered = Remembered {
            order: self.applied.requests,
            body: body_hash,
            committed,
        };
        remembered.put(&batch.families, &mut batch.writes, transact.request);
        batch.requests.insert(transact.request, remembered);
        self.applied.requests += 1;
        self.oldest.remove(
            &batch.families,
            &mut batch.writes,
            time_ms,
            self.applied.requests,
        );
        Ok(Ok(Answer::Committed(committed)))
    }

    /// Whether the transaction is well formed and everything it expects holds.
    fn check(&self, body: &Body) -> Result<(), Refusal> {
        transaction::check(&transaction::Parts {
            actor: &body.actor,
            action: &body.action,
            detail: &body.detail,
            edits: &body.edits,
            reads: &body.reads,
            rows: &body.rows,
        })
        .map_err(Refusal::Malformed)?;
        let edits = body.edits.iter().map(|edit| (&edit.name, edit.expect));
        for (name, expected) in edits.chain(body.reads.iter().map(|(name, expect)| (name, *expect)))
        {
            let actual = self.refs.get(name).copied();
            if !expected.holds(actual) {
                return Err(Refusal::Stale {
                    name: name.clone(),
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }

    /// Moves the refs and appends the operation.
    fn commit(
        &mut self,
        data: &Data,
        batch: &mut Batch<'_>,
        at: LogId,
        request: RequestId,
        time_ms: i64,
        body: Body,
    ) -> io::Result<Committed> {
        let mut edits: Vec<OperationEdit> = Vec::with_capacity(body.edits.len());
        for edit in body.edits {
            let old = match edit.new {
                Some(target) => {
                    batch.writes.put_cf(
                        batch.families.refs,
                        edit.name.as_str(),
                        encode_target(target),
                    );
                    self.refs.insert(edit.name.clone(), target)
                }
                None => {
                    batch
                        .writes
                        .delete_cf(batch.families.refs, edit.name.as_str());
                    self.refs.remove(&edit.name)
                }
            };
            self.since_view.insert(edit.name.clone(), edit.new);
            edits.push(OperationEdit {
                name: edit.name,
                old,
                new: edit.new,
            });
        }
        edits.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let sequence = self.applied.sequence + 1;
        let view = if sequence.is_multiple_of(VIEW_EVERY) {
            Some(self.write_view(data, batch)?)
        } else {
            None
        };
        let operation = Operation {
            parent: self.applied.operation,
            sequence,
            index: at.index,
            term: at.leader_id.term,
            time_ms,
            actor: body.actor,
            action: body.action,
            detail: body.detail,
            request,
            edits,
            view,
            unknown: Vec::new(),
        };
        let object = Object::new(Kind::Operation, operation.encode());
        let id = object.id();
        batch.bytes += object.bytes().len();
        let encoded = Encoded {
            kind: Kind::Operation,
            id,
            encoding: Encoding::Raw,
            payload: object.bytes().clone(),
        };
        batch.admitted.push(encoded);
        let place = Place {
            id,
            index: at.index,
            time_ms,
        };
        batch.writes.put_cf(
            batch.families.operations,
            operations::key(sequence),
            place.encode(),
        );
        for row in &body.rows {
            let key = rows::key(row, at.index);
            batch.bytes += key.len() + row.value.len();
            batch.writes.put_cf(batch.families.rows, key, &row.value);
        }
        self.applied.operation = Some(id);
        self.applied.sequence = sequence;
        self.applied.time_ms = time_ms;
        Ok(Committed {
            operation: id,
            index: at.index,
            term: at.leader_id.term,
            time_ms,
        })
    }

    /// Writes the tree of all refs as they are now, and gives its root.
    fn write_view(&mut self, data: &Data, batch: &mut Batch<'_>) -> io::Result<ObjectId> {
        let pages = batch
            .pages
            .get_or_insert_with(|| Stage::new(Arc::clone(&data.store)));
        let edits = std::mem::take(&mut self.since_view);
        let root = edit_view(pages, self.applied.view, edits)?;
        self.applied.view = Some(root);
        Ok(root)
    }

    /// The state as a snapshot.
    pub(crate) fn handle(&self) -> Handle {
        Handle::new(
            self.applied.clone(),
            self.refs.clone(),
            &self.sessions,
            Arc::clone(&self.data),
        )
    }

    /// Takes over the state of a snapshot whose tables and objects are on disk.
    pub(crate) fn reload(&mut self) -> io::Result<()> {
        let (protocol_max, agreed) = (self.protocol_max, Arc::clone(&self.agreed));
        *self = Self::load(Arc::clone(&self.data), Arc::clone(&self.published))?;
        self.protocol_max = protocol_max;
        self.agreed = agreed;
        self.publish();
        match self.applied.protocol {
            Some(version) if version > protocol_max => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the cluster speaks version {version} of the protocol, this node up to {protocol_max}"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Edits the tree of a view, or builds the first one; new pages go to `pages`.
pub(crate) fn edit_view(
    pages: &mut Stage,
    view: Option<ObjectId>,
    edits: impl IntoIterator<Item = (RefName, Option<Target>)>,
) -> io::Result<ObjectId> {
    let mut leaves = BTreeMap::new();
    for (name, target) in edits {
        let key = TreeKey::new(name.as_str()).map_err(io::Error::other)?;
        leaves.insert(key, target.map(leaf));
    }
    let edited = match view {
        Some(root) => tree::edit(pages, &root, &leaves).map_err(io::Error::other)?,
        None => tree::build(
            &leaves
                .into_iter()
                .filter_map(|(key, leaf)| Some((key, leaf?)))
                .collect(),
        ),
    };
    for (page, replaces) in edited.pages {
        pages.put(page, replaces);
    }
    Ok(edited.root)
}

/// A ref in the tree of a view: the kind as the type, the id inline.
fn leaf(target: Target) -> Leaf {
    Leaf {
        entry_type: target.kind as u8,
        flags: 0,
        value: LeafValue::Inline(target.id.as_bytes().as_slice().into()),
        meta: None,
    }
}

/// The target that a leaf of a view stands for.
pub(crate) fn leaf_target(leaf: &Leaf) -> Option<Target> {
    let kind = Kind::from_number(leaf.entry_type)?;
    match &leaf.value {
        LeafValue::Inline(bytes) => {
            let id = <[u8; 32]>::try_from(bytes.as_ref()).ok()?;
            Some(Target {
                kind,
                id: ObjectId::from_bytes(id),
            })
        }
        LeafValue::Blob { .. } => None,
    }
}

/// An object that the state needs cannot be read: the directory is damaged, unless the disk failed.
fn unreadable(error: ReadError) -> io::Error {
    match &error {
        ReadError::Backend { .. } => io::Error::other(error),
        ReadError::Missing { .. } | ReadError::Corrupt { .. } | ReadError::Malformed { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, format!("data/: {error}"))
        }
    }
}

fn missing_operation(sequence: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("data/: operation {sequence} is missing"),
    )
}

/// Decodes and verifies objects against those before them, in the batch and in the store.
fn open_objects(
    data: &Data,
    batch: &Batch<'_>,
    objects: &[Encoded],
) -> io::Result<Result<Vec<Object>, Refusal>> {
    let mut opened: Vec<Object> = Vec::with_capacity(objects.len());
    let mut by_id: HashMap<(Kind, ObjectId), Bytes> = HashMap::new();
    for encoded in objects {
        let target = Target {
            kind: encoded.kind,
            id: encoded.id,
        };
        let base = match encoded.encoding.base() {
            None => None,
            Some(base) => match by_id
                .get(&(encoded.kind, base))
                .or_else(|| batch.objects.get(&(encoded.kind, base)))
            {
                Some(bytes) => Some(bytes.clone()),
                None => data
                    .store
                    .try_read(encoded.kind, &base)
                    .map_err(io::Error::other)?,
            },
        };
        match encoded.open(base.as_deref()) {
            Ok(object) => {
                if objects.len() > 1 {
                    by_id.insert((object.kind(), object.id()), object.bytes().clone());
                }
                opened.push(object);
            }
            Err(reason) => return Ok(Err(Refusal::WrongObject { target, reason })),
        }
    }
    Ok(Ok(opened))
}

/// Adds verified objects to the batch.
fn put_objects(batch: &mut Batch<'_>, objects: Vec<Encoded>, opened: Vec<Object>) {
    batch.admitted.extend(objects);
    for object in opened {
        batch.bytes += object.bytes().len();
        batch
            .objects
            .insert((object.kind(), object.id()), object.bytes().clone());
    }
}
