//! How far the log is applied, and what the newest operation is: the one record that every batch writes.

use bytes::Bytes;
use confman_object_store::{DecodeError, ObjectId};

use super::APPLIED;
use crate::cursor::Cursor;
use crate::raft::{LogId, record};

/// The state machine in a nutshell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The last entry that is applied.
    pub(crate) last: Option<LogId>,
    /// The cluster's identity, from its first proposal.
    pub(crate) cluster: Option<[u8; 16]>,
    /// The newest operation.
    pub(crate) operation: Option<ObjectId>,
    /// Its number; 0 before the first.
    pub(crate) sequence: u64,
    /// Its time.
    pub(crate) time_ms: i64,
    /// The newest view tree; of the last operation whose number is a multiple of `VIEW_EVERY`.
    pub(crate) view: Option<ObjectId>,
    /// How many requests have ever been remembered.
    pub(crate) requests: u64,
    /// The version of the protocol that every member understands, where it is beyond the first.
    pub(crate) protocol: Option<u16>,
}

impl Applied {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        record::put_log_id(&mut out, self.last);
        put_optional(&mut out, self.cluster.as_ref().map(<[u8; 16]>::as_slice));
        put_optional(
            &mut out,
            self.operation.as_ref().map(|id| id.as_bytes().as_slice()),
        );
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        put_optional(
            &mut out,
            self.view.as_ref().map(|id| id.as_bytes().as_slice()),
        );
        out.extend_from_slice(&self.requests.to_le_bytes());
        if let Some(protocol) = self.protocol {
            out.extend_from_slice(&protocol.to_le_bytes());
        }
        record::encode_sealed(APPLIED, &out)
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        const KIND: &str = "applied state";
        let body = record::decode_sealed(KIND, APPLIED, bytes)?;
        let mut cursor = Cursor::new(&body, KIND);
        let applied = Self {
            last: record::read_log_id(&mut cursor)?,
            cluster: if cursor.flag()? {
                Some(cursor.array()?)
            } else {
                None
            },
            operation: if cursor.flag()? {
                Some(cursor.id()?)
            } else {
                None
            },
            sequence: cursor.u64()?,
            time_ms: cursor.i64()?,
            view: if cursor.flag()? {
                Some(cursor.id()?)
            } else {
                None
            },
            requests: cursor.u64()?,
            protocol: match cursor.remaining() {
                0 => None,
                _ => Some(cursor.u16()?),
            },
        };
        cursor.end()?;
        Ok(applied)
    }
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    out.extend_from_slice(bytes.unwrap_or_default());
}
