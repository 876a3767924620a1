//! What peers ask of one another and answer (`docs/FORMAT-peers.md`).
//!
//! INVARIANT: a version or kind that is not known is an error, never skipped.

use bytes::Bytes;
use confman_object_store::DecodeError;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use super::PeerIdentity;
use crate::cursor::{Cursor, put_length};
use crate::raft::{Entry, LogId, Types, Vote, record};

/// Version of the messages that are written.
const VERSION: u8 = super::PROTOCOL_MAX as u8;

const APPEND: u8 = 2;
const VOTE: u8 = 3;
const PRE_VOTE: u8 = 4;
const TRANSFER: u8 = 5;
const BULK: u8 = 6;
const MEMBER: u8 = 10;

const REFUSED: u8 = 0;

/// Fewest bytes of a log entry: index, length, and the record's version, ids, kind and checksum.
const ENTRY_BYTES_MIN: usize = 8 + 4 + 1 + 16 + 1 + 8;

/// What is asked of a peer.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    Transfer(TransferLeaderRequest<Types>),
    /// About the transfer of a state ([`crate::transfer::message::Ask`]).
    Bulk(Bytes),
    /// What members ask one another beside that, and strangers who want to be members
    /// ([`crate::cluster::message::Ask`]).
    Member(Bytes),
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// Nothing of what was asked was done.
    Refused {
        code: RefusedBecause,
        reason: String,
    },
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Transfer(TransferOutcome),
    Bulk(Bytes),
    Member(Bytes),
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedBecause {
    /// It could not be read.
    Malformed = 1,
    /// This node does not lead, so it does not answer that.
    NotLeader = 2,
    /// The node is stopping or its disk failed.
    Stopping = 3,
    /// Who asks may not ask that.
    Forbidden = 4,
    /// Too much is waiting.
    Busy = 5,
}

/// What became of handing leadership over, as the one that is to lead says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransferOutcome {
    Taken,
    VoteChanged {
        expected: Vote,
        actual: Vote,
    },
    LogNotFlushed {
        expected: Option<LogId>,
        actual: Option<LogId>,
    },
}

pub(crate) fn encode_identity(identity: &PeerIdentity) -> Bytes {
    let mut out = Vec::with_capacity(36);
    out.extend_from_slice(&identity.cluster_id);
    out.extend_from_slice(&identity.node_id.to_le_bytes());
    out.extend_from_slice(&identity.incarnation.to_le_bytes());
    out.extend_from_slice(&identity.protocol_min.to_le_bytes());
    out.extend_from_slice(&identity.protocol_max.to_le_bytes());
    out.into()
}

pub(crate) fn decode_identity(bytes: &Bytes) -> Result<PeerIdentity, DecodeError> {
    let mut cursor = Cursor::new(bytes, "peer identity");
    let identity = PeerIdentity {
        cluster_id: cursor.array()?,
        node_id: cursor.u64()?,
        incarnation: cursor.u64()?,
        protocol_min: cursor.u16()?,
        protocol_max: cursor.u16()?,
    };
    cursor.end()?;
    if identity.protocol_min == 0 || identity.protocol_min > identity.protocol_max {
        return Err(cursor.wrong("its range of protocol versions is empty"));
    }
    Ok(identity)
}

impl Request {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        match self {
            Self::Append(append) => {
                out.push(APPEND);
                put_vote(&mut out, &append.vote);
                record::put_log_id(&mut out, append.prev_log_id);
                record::put_log_id(&mut out, append.leader_commit);
                put_entries(&mut out, &append.entries);
            }
            Self::Vote(vote) => put_vote_request(&mut out, VOTE, vote),
            Self::PreVote(vote) => put_vote_request(&mut out, PRE_VOTE, vote),
            Self::Transfer(transfer) => {
                out.push(TRANSFER);
                put_vote(&mut out, transfer.from_leader());
                out.extend_from_slice(&transfer.to_node_id().to_le_bytes());
                record::put_log_id(&mut out, transfer.last_log_id().copied());
            }
            Self::Bulk(ask) => {
                out.push(BULK);
                put_bytes(&mut out, ask);
            }
            Self::Member(ask) => {
                out.push(MEMBER);
                put_bytes(&mut out, ask);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = opened(bytes, "request of a peer")?;
        let request = match cursor.u8()? {
            APPEND => Self::Append(AppendEntriesRequest {
                vote: vote(&mut cursor)?,
                prev_log_id: record::read_log_id(&mut cursor)?,
                leader_commit: record::read_log_id(&mut cursor)?,
                entries: entries(&mut cursor)?,
            }),
            VOTE => Self::Vote(vote_request(&mut cursor)?),
            PRE_VOTE => Self::PreVote(vote_request(&mut cursor)?),
            TRANSFER => Self::Transfer(TransferLeaderRequest::new(
                vote(&mut cursor)?,
                cursor.u64()?,
                record::read_log_id(&mut cursor)?,
            )),
            BULK => Self::Bulk(bytes_of(&mut cursor)?),
            MEMBER => Self::Member(bytes_of(&mut cursor)?),
            other => return Err(unknown(&cursor, other)),
        };
        cursor.end()?;
        Ok(request)
    }
}

impl Reply {
    pub(crate) fn refused(code: RefusedBecause, reason: impl Into<String>) -> Self {
        Self::Refused {
            code,
            reason: reason.into(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        match self {
            Self::Refused { code, reason } => {
                out.extend_from_slice(&[REFUSED, *code as u8]);
                put_bytes(&mut out, reason.as_bytes());
            }
            Self::Append(response) => {
                out.push(APPEND);
                put_append_response(&mut out, response);
            }
            Self::Vote(response) => {
                out.push(VOTE);
                put_vote(&mut out, &response.vote);
                out.push(u8::from(response.vote_granted));
                record::put_log_id(&mut out, response.last_log_id);
            }
            Self::Transfer(outcome) => {
                out.push(TRANSFER);
                put_transfer_outcome(&mut out, outcome);
            }
            Self::Bulk(told) => {
                out.push(BULK);
                put_bytes(&mut out, told);
            }
            Self::Member(told) => {
                out.push(MEMBER);
                put_bytes(&mut out, told);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = opened(bytes, "answer of a peer")?;
        let reply = match cursor.u8()? {
            REFUSED => Self::Refused {
                code: refused_because(&mut cursor)?,
                reason: text(&mut cursor)?,
            },
            APPEND => Self::Append(append_response(&mut cursor)?),
            VOTE => Self::Vote(VoteResponse {
                vote: vote(&mut cursor)?,
                vote_granted: cursor.flag()?,
                last_log_id: record::read_log_id(&mut cursor)?,
            }),
            TRANSFER => Self::Transfer(transfer_outcome(&mut cursor)?),
            BULK => Self::Bulk(bytes_of(&mut cursor)?),
            MEMBER => Self::Member(bytes_of(&mut cursor)?),
            other => return Err(unknown(&cursor, other)),
        };
        cursor.end()?;
        Ok(reply)
    }
}

fn opened<'a>(bytes: &'a Bytes, kind: &'static str) -> Result<Cursor<'a>, DecodeError> {
    let mut cursor = Cursor::new(bytes, kind);
    let version = cursor.u8()?;
    let known = super::PROTOCOL_MIN..=super::PROTOCOL_MAX;
    if !known.contains(&u16::from(version)) {
        return Err(cursor.wrong(format!(
            "version {version}; this software knows {} to {}",
            super::PROTOCOL_MIN,
            super::PROTOCOL_MAX
        )));
    }
    Ok(cursor)
}

fn unknown(cursor: &Cursor<'_>, kind: u8) -> DecodeError {
    cursor.wrong(format!("{kind} is not a kind of message known here"))
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn bytes_of(cursor: &mut Cursor<'_>) -> Result<Bytes, DecodeError> {
    let length = cursor.count(1)?;
    cursor.shared(length)
}

pub(crate) fn text(cursor: &mut Cursor<'_>) -> Result<String, DecodeError> {
    let length = cursor.count(1)?;
    cursor.text(length).map(str::to_owned)
}

pub(crate) fn put_vote(out: &mut Vec<u8>, vote: &Vote) {
    out.extend_from_slice(&vote.leader_id.term.to_le_bytes());
    out.extend_from_slice(&vote.leader_id.node_id.to_le_bytes());
    out.push(u8::from(vote.committed));
}

pub(crate) fn vote(cursor: &mut Cursor<'_>) -> Result<Vote, DecodeError> {
    Ok(Vote {
        leader_id: openraft::impls::leader_id_adv::LeaderId {
            term: cursor.u64()?,
            node_id: cursor.u64()?,
        },
        committed: cursor.flag()?,
    })
}

fn put_vote_request(out: &mut Vec<u8>, kind: u8, request: &VoteRequest<Types>) {
    out.push(kind);
    put_vote(out, &request.vote);
    record::put_log_id(out, request.last_log_id);
    out.push(u8::from(request.leadership_transfer));
}

fn vote_request(cursor: &mut Cursor<'_>) -> Result<VoteRequest<Types>, DecodeError> {
    Ok(VoteRequest {
        vote: vote(cursor)?,
        last_log_id: record::read_log_id(cursor)?,
        leadership_transfer: cursor.flag()?,
    })
}

/// Entries travel as the records that the log keeps: each with its checksum.
fn put_entries(out: &mut Vec<u8>, entries: &[Entry]) {
    put_length(out, entries.len());
    let mut encoded = Vec::new();
    for entry in entries {
        record::encode_entry(entry, &mut encoded);
        out.extend_from_slice(&entry.log_id.index.to_le_bytes());
        put_bytes(out, &encoded);
    }
}

fn entries(cursor: &mut Cursor<'_>) -> Result<Vec<Entry>, DecodeError> {
    let count = cursor.count(ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let index = cursor.u64()?;
        entries.push(record::decode_entry(index, &bytes_of(cursor)?)?);
    }
    Ok(entries)
}

fn put_append_response(out: &mut Vec<u8>, response: &AppendEntriesResponse<Types>) {
    match response {
        AppendEntriesResponse::Success => out.push(0),
        AppendEntriesResponse::PartialSuccess(matching) => {
            out.push(1);
            record::put_log_id(out, *matching);
        }
        AppendEntriesResponse::Conflict => out.push(2),
        AppendEntriesResponse::HigherVote(vote) => {
            out.push(3);
            put_vote(out, vote);
        }
    }
}

fn append_response(cursor: &mut Cursor<'_>) -> Result<AppendEntriesResponse<Types>, DecodeError> {
    match cursor.u8()? {
        0 => Ok(AppendEntriesResponse::Success),
        1 => record::read_log_id(cursor).map(AppendEntriesResponse::PartialSuccess),
        2 => Ok(AppendEntriesResponse::Conflict),
        3 => vote(cursor).map(AppendEntriesResponse::HigherVote),
        other => Err(cursor.wrong(format!("{other} is not an outcome of appending"))),
    }
}

fn put_transfer_outcome(out: &mut Vec<u8>, outcome: &TransferOutcome) {
    match outcome {
        TransferOutcome::Taken => out.push(0),
        TransferOutcome::VoteChanged { expected, actual } => {
            out.push(1);
            put_vote(out, expected);
            put_vote(out, actual);
        }
        TransferOutcome::LogNotFlushed { expected, actual } => {
            out.push(2);
            record::put_log_id(out, *expected);
            record::put_log_id(out, *actual);
        }
    }
}

fn transfer_outcome(cursor: &mut Cursor<'_>) -> Result<TransferOutcome, DecodeError> {
    Ok(match cursor.u8()? {
        0 => TransferOutcome::Taken,
        1 => TransferOutcome::VoteChanged {
            expected: vote(cursor)?,
            actual: vote(cursor)?,
        },
        2 => TransferOutcome::LogNotFlushed {
            expected: record::read_log_id(cursor)?,
            actual: record::read_log_id(cursor)?,
        },
        other => {
            return Err(cursor.wrong(format!("{other} is not an outcome of a hand-over")));
        }
    })
}

fn refused_because(cursor: &mut Cursor<'_>) -> Result<RefusedBecause, DecodeError> {
    Ok(match cursor.u8()? {
        1 => RefusedBecause::Malformed,
        2 => RefusedBecause::NotLeader,
        3 => RefusedBecause::Stopping,
        4 => RefusedBecause::Forbidden,
        5 => RefusedBecause::Busy,
        other => return Err(cursor.wrong(format!("{other} is not a reason to refuse"))),
    })
}
