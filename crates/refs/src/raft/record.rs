//! Records of the log database (`docs/FORMAT-refs.md`, "Log"): entries, votes and log ids, each with
//! its version in front and a checksum behind.
//!
//! INVARIANT: a checksum covers the key too, so a record that is whole but in the wrong place is found.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use confman_object_store::DecodeError;
use openraft::EntryPayload;
use openraft::impls::BasicNode;

use super::{Entry, LogId, Membership, Payload, StoredMembership, Vote};
use crate::cursor::{Cursor, put_length};

/// Version of every record here.
const VERSION: u8 = 1;
/// Bytes of the checksum.
const CHECK_BYTES: usize = 8;

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The first 8 bytes of BLAKE3 over the key and the record.
fn checksum(key: &[u8], record: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(record);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(
        hasher
            .finalize()
            .as_bytes()
            .first_chunk::<CHECK_BYTES>()
            .unwrap_or(&[0; CHECK_BYTES]),
    );
    check
}

/// Appends the checksum of all of `record` so far.
fn seal(key: &[u8], record: &mut Vec<u8>) {
    let check = checksum(key, record);
    record.extend_from_slice(&check);
}

/// Checks and removes the checksum and the version.
fn unseal(kind: &'static str, key: &[u8], bytes: &Bytes) -> Result<Bytes, DecodeError> {
    let wrong = |offset, reason: String| DecodeError {
        kind,
        offset,
        reason,
    };
    let Some(length) = bytes
        .len()
        .checked_sub(CHECK_BYTES)
        .filter(|length| *length > 0)
    else {
        return Err(wrong(0, format!("{} bytes are too few", bytes.len())));
    };
    let (record, check) = bytes.split_at(length);
    if checksum(key, record) != check {
        return Err(wrong(length, "the checksum does not match".to_owned()));
    }
    match record.first() {
        Some(&VERSION) => Ok(bytes.slice(1..length)),
        other => Err(wrong(
            0,
            format!("version {other:?}; this software knows {VERSION}"),
        )),
    }
}

/// The key of an entry.
pub(crate) fn entry_key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// Writes an entry into `out`, which is cleared first.
pub(crate) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
    out.extend_from_slice(&entry.log_id.leader_id.term.to_le_bytes());
    out.extend_from_slice(&entry.log_id.leader_id.node_id.to_le_bytes());
    match &entry.payload {
        EntryPayload::Blank => out.push(BLANK),
        EntryPayload::Normal(payload) => {
            out.push(NORMAL);
            out.extend_from_slice(&payload.0);
        }
        EntryPayload::Membership(membership) => {
            out.push(MEMBERSHIP);
            put_membership(out, membership);
        }
    }
    seal(&entry_key(entry.log_id.index), out);
}

/// Reads the entry that was at this index.
pub(crate) fn decode_entry(index: u64, bytes: &Bytes) -> Result<Entry, DecodeError> {
    const KIND: &str = "log entry";
    let record = unseal(KIND, &entry_key(index), bytes)?;
    let mut cursor = Cursor::new(&record, KIND);
    let log_id = log_id(cursor.u64()?, cursor.u64()?, index);
    let payload = match cursor.u8()? {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(Payload(cursor.shared(cursor.remaining())?)),
        MEMBERSHIP => EntryPayload::Membership(membership(&mut cursor)?),
        other => return Err(cursor.wrong(format!("{other} is not a kind of entry known here"))),
    };
    cursor.end()?;
    Ok(Entry { log_id, payload })
}

/// A log id from its three numbers.
pub(crate) fn log_id(term: u64, node_id: u64, index: u64) -> LogId {
    LogId {
        leader_id: openraft::impls::leader_id_adv::LeaderId { term, node_id },
        index,
    }
}

pub(crate) fn put_log_id(out: &mut Vec<u8>, id: Option<LogId>) {
    match id {
        None => out.push(0),
        Some(id) => {
            out.push(1);
            out.extend_from_slice(&id.leader_id.term.to_le_bytes());
            out.extend_from_slice(&id.leader_id.node_id.to_le_bytes());
            out.extend_from_slice(&id.index.to_le_bytes());
        }
    }
}

pub(crate) fn read_log_id(cursor: &mut Cursor<'_>) -> Result<Option<LogId>, DecodeError> {
    match cursor.flag()? {
        false => Ok(None),
        true => Ok(Some(log_id(cursor.u64()?, cursor.u64()?, cursor.u64()?))),
    }
}

/// Writes a log id under a key of `meta`.
pub(crate) fn encode_log_id(key: &[u8], id: Option<LogId>) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_log_id(&mut out, id);
    seal(key, &mut out);
    out
}

/// Reads a log id from under a key of `meta`.
pub(crate) fn decode_log_id(key: &[u8], bytes: &Bytes) -> Result<Option<LogId>, DecodeError> {
    let record = unseal("log id", key, bytes)?;
    let mut cursor = Cursor::new(&record, "log id");
    let id = read_log_id(&mut cursor)?;
    cursor.end()?;
    Ok(id)
}

/// Writes a vote under a key of `meta`.
pub(crate) fn encode_vote(key: &[u8], vote: &Vote) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&vote.leader_id.term.to_le_bytes());
    out.extend_from_slice(&vote.leader_id.node_id.to_le_bytes());
    out.push(u8::from(vote.committed));
    seal(key, &mut out);
    out
}

/// Reads a vote from under a key of `meta`.
pub(crate) fn decode_vote(key: &[u8], bytes: &Bytes) -> Result<Vote, DecodeError> {
    let record = unseal("vote", key, bytes)?;
    let mut cursor = Cursor::new(&record, "vote");
    let leader_id = openraft::impls::leader_id_adv::LeaderId {
        term: cursor.u64()?,
        node_id: cursor.u64()?,
    };
    let vote = Vote {
        leader_id,
        committed: cursor.flag()?,
    };
    cursor.end()?;
    Ok(vote)
}

/// Writes a membership and where in the log it stands, as the state machine keeps it.
pub(crate) fn encode_stored_membership(key: &[u8], stored: &StoredMembership) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_log_id(&mut out, *stored.log_id());
    put_membership(&mut out, stored.membership());
    seal(key, &mut out);
    out
}

/// Reads what [`encode_stored_membership`] wrote.
pub(crate) fn decode_stored_membership(
    key: &[u8],
    bytes: &Bytes,
) -> Result<StoredMembership, DecodeError> {
    let record = unseal("membership", key, bytes)?;
    let mut cursor = Cursor::new(&record, "membership");
    let log_id = read_log_id(&mut cursor)?;
    let membership = membership(&mut cursor)?;
    cursor.end()?;
    Ok(StoredMembership::new(log_id, membership))
}

/// Which node of which cluster a directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeIdentity {
    pub(crate) node_id: u64,
    /// How often the cluster was recovered, plus one.
    pub(crate) incarnation: u64,
    /// The cluster; `None` in a node that began one, whose log names it.
    pub(crate) cluster: Option<[u8; 16]>,
}

/// Writes the identity of a node under a key of `meta`.
pub(crate) fn encode_identity(key: &[u8], identity: &NodeIdentity) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&identity.node_id.to_le_bytes());
    out.extend_from_slice(&identity.incarnation.to_le_bytes());
    out.push(u8::from(identity.cluster.is_some()));
    out.extend_from_slice(identity.cluster.as_ref().map_or(&[], <[u8; 16]>::as_slice));
    seal(key, &mut out);
    out
}

/// Reads what [`encode_identity`] wrote.
pub(crate) fn decode_identity(key: &[u8], bytes: &Bytes) -> Result<NodeIdentity, DecodeError> {
    let record = unseal("node identity", key, bytes)?;
    let mut cursor = Cursor::new(&record, "node identity");
    let identity = NodeIdentity {
        node_id: cursor.u64()?,
        incarnation: cursor.u64()?,
        cluster: match cursor.flag()? {
            true => Some(cursor.array()?),
            false => None,
        },
    };
    cursor.end()?;
    Ok(identity)
}

/// Writes any other record with version and checksum.
pub(crate) fn encode_sealed(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + body.len() + CHECK_BYTES);
    out.push(VERSION);
    out.extend_from_slice(body);
    seal(key, &mut out);
    out
}

/// Reads what [`encode_sealed`] wrote.
pub(crate) fn decode_sealed(
    kind: &'static str,
    key: &[u8],
    bytes: &Bytes,
) -> Result<Bytes, DecodeError> {
    unseal(kind, key, bytes)
}

pub(crate) fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_length(out, configs.len());
    for config in configs {
        put_length(out, config.len());
        for id in config {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }
    put_length(out, membership.nodes().count());
    for (id, node) in membership.nodes() {
        out.extend_from_slice(&id.to_le_bytes());
        put_length(out, node.addr.len());
        out.extend_from_slice(node.addr.as_bytes());
    }
}

pub(crate) fn membership(cursor: &mut Cursor<'_>) -> Result<Membership, DecodeError> {
    let count = cursor.count(4)?;
    let mut configs = Vec::with_capacity(count);
    for _ in 0..count {
        let members = cursor.count(8)?;
        let config: BTreeSet<u64> = (0..members)
            .map(|_| cursor.u64())
            .collect::<Result<_, _>>()?;
        configs.push(config);
    }
    let count = cursor.count(12)?;
    let mut nodes = BTreeMap::new();
    for _ in 0..count {
        let id = cursor.u64()?;
        let length = cursor.count(1)?;
        nodes.insert(
            id,
            BasicNode {
                addr: cursor.text(length)?.to_owned(),
            },
        );
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| cursor.wrong(error.to_string()))
}
