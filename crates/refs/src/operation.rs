//! Operations: what happened to the refs, chained to what happened before. The id of the newest one
//! is the hash of the whole state.

use bytes::Bytes;
use confman_object_store::codec::{Field, Lines, TlvReader};
use confman_object_store::{DecodeError, Kind, ObjectId};

use crate::cursor::{Cursor, put_name, put_target};
use crate::name::RefName;
use crate::transaction::{ACTION_BYTES_MAX, ACTOR_BYTES_MAX, DETAIL_BYTES_MAX, RequestId, Target};

/// A view tree is written, and covered by the operation, at every operation whose sequence number is
/// a multiple of this.
pub const VIEW_EVERY: u64 = 64;

const NAME: &str = "operation";

const SEQUENCE: u8 = 0;
const PARENT: u8 = 2;
const INDEX: u8 = 4;
const TERM: u8 = 6;
const TIME: u8 = 8;
const ACTOR: u8 = 10;
const ACTION: u8 = 12;
const DETAIL: u8 = 14;
const REQUEST: u8 = 16;
const EDITS: u8 = 18;
const VIEW: u8 = 20;

/// Fewest bytes of an edit: a name of one byte and two absent targets.
const EDIT_BYTES_MIN: usize = 4;

/// How one ref moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationEdit {
    /// Which.
    pub name: RefName,
    /// From.
    pub old: Option<Target>,
    /// To.
    pub new: Option<Target>,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The one before, absent for the first.
    pub parent: Option<ObjectId>,
    /// 1 for the first, then one more each.
    pub sequence: u64,
    /// Raft log index that it was applied at.
    pub index: u64,
    /// Raft term of that entry.
    pub term: u64,
    /// Milliseconds since 1970; never earlier than the parent's.
    pub time_ms: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// More about it, JSON text.
    pub detail: String,
    /// The request.
    pub request: RequestId,
    /// How the refs moved, ascending by name.
    pub edits: Vec<OperationEdit>,
    /// Root of the view's tree after it, at every [`VIEW_EVERY`]th.
    pub view: Option<ObjectId>,
    /// Optional fields this version does not know, preserved: odd tags, ascending.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Operation {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut edits = Vec::with_capacity(self.edits.len() * 128);
        for edit in &self.edits {
            put_name(&mut edits, &edit.name);
            put_target(&mut edits, edit.old);
            put_target(&mut edits, edit.new);
        }
        let texts = self.actor.len() + self.action.len() + self.detail.len();
        let mut out = Fields::new(192 + texts + edits.len(), &self.unknown);
        out.field(SEQUENCE, &self.sequence.to_le_bytes());
        if let Some(parent) = &self.parent {
            out.field(PARENT, parent.as_bytes());
        }
        out.field(INDEX, &self.index.to_le_bytes());
        out.field(TERM, &self.term.to_le_bytes());
        out.field(TIME, &self.time_ms.to_le_bytes());
        out.field(ACTOR, self.actor.as_bytes());
        out.field(ACTION, self.action.as_bytes());
        out.field(DETAIL, self.detail.as_bytes());
        out.field(REQUEST, &self.request.0);
        out.field(EDITS, &edits);
        if let Some(view) = &self.view {
            out.field(VIEW, view.as_bytes());
        }
        out.finish()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = TlvReader::new(NAME, Kind::Operation.into(), bytes)?;
        let operation = Self {
            sequence: fields.require(SEQUENCE, "sequence number")?.u64()?,
            parent: fields.take(PARENT).map(|field| field.id()).transpose()?,
            index: fields.require(INDEX, "log index")?.u64()?,
            term: fields.require(TERM, "term")?.u64()?,
            time_ms: fields.require(TIME, "time")?.i64()?,
            actor: fields
                .require(ACTOR, "actor")?
                .text(ACTOR_BYTES_MAX, Lines::One)?,
            action: fields
                .require(ACTION, "action")?
                .text(ACTION_BYTES_MAX, Lines::One)?,
            detail: fields.take(DETAIL).map_or(Ok(String::new()), |field| {
                field.text(DETAIL_BYTES_MAX, Lines::Many)
            })?,
            request: RequestId(fields.require(REQUEST, "request id")?.array()?),
            edits: fields.take(EDITS).map_or(Ok(Vec::new()), decode_edits)?,
            view: fields.take(VIEW).map(|field| field.id()).transpose()?,
            unknown: fields.rest()?,
        };
        let wrong = |reason: &str| {
            Err(DecodeError {
                kind: NAME,
                offset: 0,
                reason: reason.to_owned(),
            })
        };
        if operation.sequence == 0 || (operation.sequence == 1) != operation.parent.is_none() {
            return wrong(
                "the first operation has number 1 and no parent, every other one has a parent",
            );
        }
        if operation.view.is_some() != operation.sequence.is_multiple_of(VIEW_EVERY) {
            return wrong("a view is at every 64th operation and at no other one");
        }
        fields.same(&operation.encode())?;
        Ok(operation)
    }
}

fn decode_edits(field: Field<'_>) -> Result<Vec<OperationEdit>, DecodeError> {
    let bytes = Bytes::copy_from_slice(field.bytes());
    let mut cursor = Cursor::new(&bytes, NAME);
    let mut edits: Vec<OperationEdit> = Vec::with_capacity(bytes.len() / EDIT_BYTES_MIN / 16);
    while cursor.remaining() > 0 {
        let at = cursor.offset();
        let read = |cursor: &mut Cursor<'_>| {
            Ok(OperationEdit {
                name: cursor.name()?,
                old: cursor.target()?,
                new: cursor.target()?,
            })
        };
        let edit = read(&mut cursor)
            .map_err(|error: DecodeError| field.error(error.offset, error.reason))?;
        if edits.last().is_some_and(|last| last.name >= edit.name) {
            return Err(field.error(at, "edits ascend by name, each name at most once"));
        }
        edits.push(edit);
    }
    Ok(edits)
}

/// Writes the framing of structured objects without gathering the fields first: operations are
/// written thousands of times a second. What it writes is what `TlvReader` reads.
struct Fields<'a> {
    out: Vec<u8>,
    unknown: &'a [(u8, Bytes)],
}

impl<'a> Fields<'a> {
    fn new(capacity: usize, unknown: &'a [(u8, Bytes)]) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(&[b'C', Kind::Operation as u8, 1, 0]);
        Self { out, unknown }
    }

    /// Tags are given in ascending order.
    fn field(&mut self, tag: u8, bytes: &[u8]) {
        while let Some(((first, value), rest)) = self.unknown.split_first()
            && *first < tag
        {
            self.put(*first, value);
            self.unknown = rest;
        }
        self.put(tag, bytes);
    }

    fn put(&mut self, tag: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.out.push(tag);
            self.out
                .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            self.out.extend_from_slice(bytes);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        for (tag, bytes) in self.unknown {
            self.put(*tag, bytes);
        }
        self.out
    }
}
