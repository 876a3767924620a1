//! Proposals: what a log entry asks of the state machine (`docs/FORMAT-refs.md`, "Proposals").
//!
//! A transaction travels as one entry. One that is larger than [`ENTRY_BYTES_MAX`] is staged: entries
//! of a session bring its objects and its body piece by piece, and a last entry names the session.
//!
//! INVARIANT: a proposal of a version that is not known is an error, never skipped.

use bytes::Bytes;
use confman_object_store::{DecodeError, Encoded, Encoding, Kind};

use crate::cursor::{Cursor, put_length, put_name, put_target};
use crate::name::RefName;
use crate::row::IndexRow;
use crate::transaction::{ENTRY_BYTES_MAX, Expect, RefEdit, RequestId, Target, Transaction};

/// Version of the layout.
const VERSION: u8 = 1;
const KIND: &str = "proposal";

const CLUSTER: u8 = 1;
const TRANSACT: u8 = 2;
const STAGE: u8 = 3;
const PROTOCOL: u8 = 4;

/// The version of the protocol whose nodes understand each kind of proposal. A kind that is new gets the version
/// that brings it, and is not written before every member understands that.
const UNDERSTOOD_SINCE: [(u8, u16); 4] = [(CLUSTER, 1), (TRANSACT, 1), (STAGE, 1), (PROTOCOL, 1)];

const STAGE_OBJECTS: u8 = 0;
const STAGE_BODY: u8 = 1;

const RAW: u8 = 0;
const ZSTD: u8 = 1;
const DELTA: u8 = 2;

/// Fewest bytes that an object takes: kind, id, encoding, length.
const OBJECT_BYTES_MIN: usize = 1 + 32 + 1 + 4;
/// Fewest bytes of a transaction around its body and objects.
const FRAME_BYTES: usize = 256;

/// Names the entries that stage one transaction.
pub(crate) type SessionId = [u8; 16];

/// What a log entry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// The first one: the cluster's identity.
    Cluster { cluster: [u8; 16], time_ms: i64 },
    /// A transaction, whole or the end of a staged one.
    Transact(Transact),
    /// A piece of a staged transaction.
    Stage(Stage),
    /// Every member understands this version of the protocol.
    Protocol { version: u16 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transact {
    pub(crate) request: RequestId,
    pub(crate) time_ms: i64,
    /// The session and how many pieces it must have had.
    pub(crate) session: Option<(SessionId, u32)>,
    /// The encoded [`Body`]; empty where it was staged.
    pub(crate) body: Bytes,
    pub(crate) objects: Vec<Encoded>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) session: SessionId,
    pub(crate) time_ms: i64,
    /// Its place among the session's pieces, from 0.
    pub(crate) part: u32,
    pub(crate) piece: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Objects(Vec<Encoded>),
    Body(Bytes),
}

/// What a transaction does, apart from its objects. The request id vouches for exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) detail: String,
    pub(crate) edits: Vec<RefEdit>,
    pub(crate) reads: Vec<(RefName, Expect)>,
    pub(crate) rows: Vec<IndexRow>,
}

/// The hash that tells whether a request id is used again for the same body.
pub(crate) fn body_hash(body: &[u8]) -> [u8; 32] {
    *blake3::hash(body).as_bytes()
}

/// The entries that bring a transaction: the pieces of its session, then the last one.
pub(crate) struct Entries {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) last: Bytes,
}

/// Encodes a transaction that was found well formed.
pub(crate) fn encode(transaction: &Transaction, session: SessionId) -> Entries {
    let body_bytes = body_bytes(transaction);
    let object_bytes: usize = transaction.objects.iter().map(object_length).sum();
    if body_bytes + object_bytes + FRAME_BYTES <= ENTRY_BYTES_MAX {
        let mut out = Vec::with_capacity(body_bytes + object_bytes + FRAME_BYTES);
        put_frame(&mut out, transaction, None);
        let length_at = out.len();
        put_length(&mut out, 0);
        put_body(&mut out, transaction);
        let length = (out.len() - length_at - 4) as u32;
        if let Some(place) = out.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        put_objects(&mut out, &transaction.objects);
        return Entries {
            pieces: Vec::new(),
            last: out.into(),
        };
    }
    staged(transaction, session)
}

/// As many objects to a piece as fit, at least one; then the body in pieces; then the last entry.
pub(crate) fn staged(transaction: &Transaction, session: SessionId) -> Entries {
    let room = ENTRY_BYTES_MAX - FRAME_BYTES;
    let mut pieces = Vec::new();
    let mut rest = transaction.objects.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take_while(|object| {
                bytes += object_length(object);
                bytes <= room
            })
            .count()
            .max(1);
        let (now, later) = rest.split_at(fitting.min(rest.len()));
        let mut out = Vec::with_capacity(bytes.min(room) + FRAME_BYTES);
        put_stage(
            &mut out,
            transaction.time_ms,
            session,
            pieces.len(),
            STAGE_OBJECTS,
        );
        put_objects(&mut out, now);
        pieces.push(out.into());
        rest = later;
    }
    let mut body = Vec::with_capacity(body_bytes(transaction));
    put_body(&mut body, transaction);
    for part in body.chunks(room) {
        let mut out = Vec::with_capacity(part.len() + FRAME_BYTES);
        put_stage(
            &mut out,
            transaction.time_ms,
            session,
            pieces.len(),
            STAGE_BODY,
        );
        put_length(&mut out, part.len());
        out.extend_from_slice(part);
        pieces.push(out.into());
    }
    let mut out = Vec::with_capacity(FRAME_BYTES);
    put_frame(&mut out, transaction, Some((session, pieces.len() as u32)));
    put_length(&mut out, 0);
    put_objects(&mut out, &[]);
    Entries {
        pieces,
        last: out.into(),
    }
}

/// Encodes the entry that names the cluster.
pub(crate) fn encode_cluster(cluster: [u8; 16], time_ms: i64) -> Bytes {
    let mut out = vec![VERSION, CLUSTER];
    out.extend_from_slice(&cluster);
    out.extend_from_slice(&time_ms.to_le_bytes());
    out.into()
}

fn put_frame(out: &mut Vec<u8>, transaction: &Transaction, session: Option<(SessionId, u32)>) {
    out.extend_from_slice(&[VERSION, TRANSACT]);
    out.extend_from_slice(&transaction.request.0);
    out.extend_from_slice(&transaction.time_ms.to_le_bytes());
    match session {
        None => out.push(0),
        Some((session, pieces)) => {
            out.push(1);
            out.extend_from_slice(&session);
            out.extend_from_slice(&pieces.to_le_bytes());
        }
    }
}

fn put_stage(out: &mut Vec<u8>, time_ms: i64, session: SessionId, part: usize, what: u8) {
    out.extend_from_slice(&[VERSION, STAGE]);
    out.extend_from_slice(&session);
    out.extend_from_slice(&time_ms.to_le_bytes());
    put_length(out, part);
    out.push(what);
}

/// Bytes that [`put_body`] writes, or a little more.
pub(crate) fn body_bytes(transaction: &Transaction) -> usize {
    let texts = transaction.actor.len() + transaction.action.len() + transaction.detail.len();
    let edits: usize = transaction
        .edits
        .iter()
        .map(|edit| 67 + edit.name.as_str().len())
        .sum();
    let reads: usize = transaction
        .reads
        .iter()
        .map(|(name, _)| 34 + name.as_str().len())
        .sum();
    let rows: usize = transaction.rows.iter().map(row_length).sum();
    20 + texts + edits + reads + rows
}

fn row_length(row: &IndexRow) -> usize {
    9 + row.prefix.len() + row.suffix.len() + row.value.len()
}

fn put_body(out: &mut Vec<u8>, transaction: &Transaction) {
    out.extend_from_slice(&(transaction.actor.len() as u16).to_le_bytes());
    out.extend_from_slice(transaction.actor.as_bytes());
    out.extend_from_slice(&(transaction.action.len() as u16).to_le_bytes());
    out.extend_from_slice(transaction.action.as_bytes());
    put_length(out, transaction.detail.len());
    out.extend_from_slice(transaction.detail.as_bytes());
    put_length(out, transaction.edits.len());
    for edit in &transaction.edits {
        put_name(out, &edit.name);
        put_target(out, expected_target(edit.expect));
        put_target(out, edit.new);
    }
    put_length(out, transaction.reads.len());
    for (name, expect) in &transaction.reads {
        put_name(out, name);
        put_target(out, expected_target(*expect));
    }
    put_length(out, transaction.rows.len());
    for row in &transaction.rows {
        out.push(row.table);
        out.extend_from_slice(&(row.prefix.len() as u16).to_le_bytes());
        out.extend_from_slice(&row.prefix);
        out.extend_from_slice(&(row.suffix.len() as u16).to_le_bytes());
        out.extend_from_slice(&row.suffix);
        put_length(out, row.value.len());
        out.extend_from_slice(&row.value);
    }
}

const fn expected_target(expect: Expect) -> Option<Target> {
    match expect {
        Expect::Absent => None,
        Expect::At(target) => Some(target),
    }
}

/// Bytes that one object takes in an entry.
pub(crate) fn object_length(object: &Encoded) -> usize {
    let encoding = match object.encoding {
        Encoding::Raw => 0,
        Encoding::Zstd { .. } => 4,
        Encoding::Delta { .. } => 4 + 32 + 1,
    };
    OBJECT_BYTES_MIN + encoding + object.payload.len()
}

fn put_objects(out: &mut Vec<u8>, objects: &[Encoded]) {
    put_length(out, objects.len());
    for object in objects {
        out.push(object.kind as u8);
        out.extend_from_slice(object.id.as_bytes());
        match object.encoding {
            Encoding::Raw => out.push(RAW),
            Encoding::Zstd { len } => {
                out.push(ZSTD);
                out.extend_from_slice(&len.to_le_bytes());
            }
            Encoding::Delta { len, base, depth } => {
                out.push(DELTA);
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(base.as_bytes());
                out.push(depth);
            }
        }
        put_length(out, object.payload.len());
        out.extend_from_slice(&object.payload);
    }
}

/// Encodes the entry that says that every member understands this version of the protocol.
pub(crate) fn encode_protocol(version: u16) -> Bytes {
    let mut out = vec![VERSION, PROTOCOL];
    out.extend_from_slice(&version.to_le_bytes());
    out.into()
}

/// The version of the protocol that a node must know to understand this entry; `None` where this software does
/// not know the entry.
pub(crate) fn understood_since(entry: &[u8]) -> Option<u16> {
    let kind = entry.get(1)?;
    let known = UNDERSTOOD_SINCE.iter().find(|(known, _)| known == kind)?;
    (entry.first() == Some(&VERSION)).then_some(known.1)
}

/// Whether replicating this entry twice does what replicating it once does: its request id sees to it.
pub(crate) fn is_repeatable(entry: &[u8]) -> bool {
    entry.get(1) == Some(&TRANSACT)
}

/// Reads a proposal. Objects and body share its buffer.
pub(crate) fn decode(bytes: &Bytes) -> Result<Proposal, DecodeError> {
    let mut cursor = Cursor::new(bytes, KIND);
    let version = cursor.u8()?;
    if version != VERSION {
        return Err(cursor.wrong(format!("version {version}; this software knows {VERSION}")));
    }
    let proposal = match cursor.u8()? {
        CLUSTER => Proposal::Cluster {
            cluster: cursor.array()?,
            time_ms: cursor.i64()?,
        },
        TRANSACT => Proposal::Transact(transact(&mut cursor)?),
        STAGE => Proposal::Stage(stage(&mut cursor)?),
        PROTOCOL => Proposal::Protocol {
            version: cursor.u16()?,
        },
        other => return Err(cursor.wrong(format!("{other} is not a proposal known here"))),
    };
    cursor.end()?;
    Ok(proposal)
}

fn transact(cursor: &mut Cursor<'_>) -> Result<Transact, DecodeError> {
    let request = RequestId(cursor.array()?);
    let time_ms = cursor.i64()?;
    let session = match cursor.flag()? {
        false => None,
        true => Some((cursor.array()?, cursor.u32()?)),
    };
    let body_length = cursor.count(1)?;
    let body = cursor.shared(body_length)?;
    Ok(Transact {
        request,
        time_ms,
        session,
        body,
        objects: objects(cursor)?,
    })
}

fn stage(cursor: &mut Cursor<'_>) -> Result<Stage, DecodeError> {
    let session = cursor.array()?;
    let time_ms = cursor.i64()?;
    let part = cursor.u32()?;
    let piece = match cursor.u8()? {
        STAGE_OBJECTS => Piece::Objects(objects(cursor)?),
        STAGE_BODY => {
            let length = cursor.count(1)?;
            Piece::Body(cursor.shared(length)?)
        }
        other => return Err(cursor.wrong(format!("{other} is not a piece known here"))),
    };
    Ok(Stage {
        session,
        time_ms,
        part,
        piece,
    })
}

fn objects(cursor: &mut Cursor<'_>) -> Result<Vec<Encoded>, DecodeError> {
    let count = cursor.count(OBJECT_BYTES_MIN)?;
    let mut objects = Vec::with_capacity(count);
    for _ in 0..count {
        let number = cursor.u8()?;
        let Some(kind) = Kind::from_number(number) else {
            return Err(cursor.wrong(format!("{number} is not the number of a kind")));
        };
        let id = cursor.id()?;
        let encoding = match cursor.u8()? {
            RAW => Encoding::Raw,
            ZSTD => Encoding::Zstd { len: cursor.u32()? },
            DELTA => Encoding::Delta {
                len: cursor.u32()?,
                base: cursor.id()?,
                depth: cursor.u8()?,
            },
            other => return Err(cursor.wrong(format!("{other} is not an encoding known here"))),
        };
        let length = cursor.count(1)?;
        objects.push(Encoded {
            kind,
            id,
            encoding,
            payload: cursor.shared(length)?,
        });
    }
    Ok(objects)
}

/// Reads a body.
pub(crate) fn decode_body(bytes: &Bytes) -> Result<Body, DecodeError> {
    let mut cursor = Cursor::new(bytes, "transaction body");
    let length = usize::from(cursor.u16()?);
    let actor = cursor.text(length)?.to_owned();
    let length = usize::from(cursor.u16()?);
    let action = cursor.text(length)?.to_owned();
    let length = cursor.count(1)?;
    let detail = cursor.text(length)?.to_owned();
    let count = cursor.count(3)?;
    let mut edits = Vec::with_capacity(count);
    for _ in 0..count {
        let name = cursor.name()?;
        let expect = Expect::from_seen(cursor.target()?);
        edits.push(RefEdit {
            name,
            expect,
            new: cursor.target()?,
        });
    }
    let count = cursor.count(2)?;
    let mut reads = Vec::with_capacity(count);
    for _ in 0..count {
        let name = cursor.name()?;
        reads.push((name, Expect::from_seen(cursor.target()?)));
    }
    let count = cursor.count(9)?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let table = cursor.u8()?;
        let length = usize::from(cursor.u16()?);
        let prefix = cursor.slice(length)?.to_vec();
        let length = usize::from(cursor.u16()?);
        let suffix = cursor.slice(length)?.to_vec();
        let length = cursor.count(1)?;
        rows.push(IndexRow {
            table,
            prefix,
            suffix,
            value: cursor.slice(length)?.to_vec(),
        });
    }
    cursor.end()?;
    Ok(Body {
        actor,
        action,
        detail,
        edits,
        reads,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_since_when_it_is_understood() {
        assert_eq!(understood_since(&encode_cluster([1; 16], 2)), Some(1));
        assert_eq!(understood_since(&encode_protocol(9)), Some(1));
        // Of a version to come.
        assert_eq!(understood_since(&[VERSION, 200, 0]), None);
        assert_eq!(understood_since(&[VERSION + 1, CLUSTER]), None);
        assert_eq!(understood_since(&[]), None);
    }

    #[test]
    fn a_raised_protocol_survives_the_way() {
        let read = decode(&encode_protocol(7)).unwrap();
        assert_eq!(read, Proposal::Protocol { version: 7 });
    }
}
