//! Sessions: transactions that arrive in pieces. Objects go to the store as they come; pieces of the
//! body wait here until the last entry.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use confman_object_store::{Encoded, Kind, ObjectId};
use rocksdb::WriteBatch;

use super::{Data, Families, corrupt};
use crate::cursor::{Cursor, put_target};
use crate::proposal::SessionId;
use crate::transaction::{BODY_BYTES_MAX, Target};

/// How long a session lives after its last piece, measured in the time of proposals.
pub const SESSION_MS: i64 = 60 * 60 * 1000;
/// Most sessions at one time.
pub const SESSIONS_MAX: usize = 1024;
/// Most bytes that one session stages.
pub const SESSION_BYTES_MAX: u64 = 8 << 30;

const HEAD_BYTES: usize = 8 + 4 + 8 + 8;

/// A session that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Time of its last piece.
    pub(crate) touched_ms: i64,
    /// How many pieces it has.
    pub(crate) parts: u32,
    /// Bytes of all its pieces.
    pub(crate) bytes: u64,
    /// Bytes of its body.
    pub(crate) body_bytes: u64,
}

/// The open sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    /// Reads them from disk.
    pub(crate) fn load(data: &Data) -> io::Result<Self> {
        let families = data.families()?;
        let mut sessions = BTreeMap::new();
        for item in data
            .db
            .iterator_cf(families.sessions, rocksdb::IteratorMode::Start)
        {
            let (key, value) = item.map_err(io::Error::other)?;
            if let Ok(id) = SessionId::try_from(&*key) {
                sessions.insert(id, decode(&value.into())?);
            }
        }
        Ok(Self(sessions))
    }

    /// Takes the next piece of a session, or refuses it and says why.
    pub(crate) fn add(
        &mut self,
        id: SessionId,
        time_ms: i64,
        part: u32,
        bytes: usize,
        body_bytes: usize,
    ) -> Result<(), String> {
        let mut session = match self.0.get(&id) {
            Some(session) => *session,
            None if self.0.len() >= SESSIONS_MAX => {
                return Err(format!(
                    "{SESSIONS_MAX} transactions are being staged already"
                ));
            }
            None => Session {
                touched_ms: time_ms,
                parts: 0,
                bytes: 0,
                body_bytes: 0,
            },
        };
        if session.parts != part {
            return Err(format!(
                "piece {part} of a staged transaction does not follow piece {}",
                session.parts
            ));
        }
        session.parts += 1;
        session.touched_ms = session.touched_ms.max(time_ms);
        session.bytes += bytes as u64;
        session.body_bytes += body_bytes as u64;
        if session.bytes > SESSION_BYTES_MAX || session.body_bytes > BODY_BYTES_MAX as u64 {
            return Err(format!(
                "a transaction has at most {SESSION_BYTES_MAX} bytes, {BODY_BYTES_MAX} of them beside its objects"
            ));
        }
        self.0.insert(id, session);
        Ok(())
    }

    /// Writes what [`Self::add`] changed.
    pub(crate) fn put(&self, families: &Families<'_>, batch: &mut WriteBatch, id: SessionId) {
        if let Some(session) = self.0.get(&id) {
            batch.put_cf(families.sessions, id, encode(session));
        }
    }

    /// Ends a session and gives it, if it is there, whole and not expired.
    pub(crate) fn take(
        &mut self,
        families: &Families<'_>,
        batch: &mut WriteBatch,
        id: SessionId,
        parts: u32,
        time_ms: i64,
    ) -> Result<Session, String> {
        let Some(session) = self.remove(families, batch, id) else {
            return Err("its session is not known; it may have expired".to_owned());
        };
        if expired(&session, time_ms) {
            return Err(format!(
                "its session expired: more than {SESSION_MS} ms went by since its last piece"
            ));
        }
        if session.parts != parts {
            return Err(format!(
                "its session has {} pieces of {parts}",
                session.parts
            ));
        }
        Ok(session)
    }

    /// Removes sessions that nobody will end.
    pub(crate) fn expire(&mut self, families: &Families<'_>, batch: &mut WriteBatch, time_ms: i64) {
        let old: Vec<SessionId> = self
            .0
            .iter()
            .filter(|(_, session)| expired(session, time_ms))
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            self.remove(families, batch, id);
        }
    }

    fn remove(
        &mut self,
        families: &Families<'_>,
        batch: &mut WriteBatch,
        id: SessionId,
    ) -> Option<Session> {
        let session = self.0.remove(&id)?;
        batch.delete_cf(families.sessions, id);
        for part in 0..session.parts {
            batch.delete_cf(families.sessions, part_key(id, part));
            batch.delete_cf(families.sessions, objects_key(id, part));
        }
        Some(session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.0.iter()
    }
}

const fn expired(session: &Session, time_ms: i64) -> bool {
    time_ms.saturating_sub(session.touched_ms) > SESSION_MS
}

/// Where a piece of a body waits.
pub(crate) fn part_key(id: SessionId, part: u32) -> [u8; 20] {
    let mut key = [0; 20];
    let (session, number) = key.split_at_mut(16);
    session.copy_from_slice(&id);
    number.copy_from_slice(&part.to_be_bytes());
    key
}

/// Bytes of the key that lists the objects of a piece.
const OBJECTS_KEY_BYTES: usize = 21;

/// Where the objects of a piece are listed: nothing else leads to them before the session ends.
pub(crate) fn objects_key(id: SessionId, part: u32) -> [u8; OBJECTS_KEY_BYTES] {
    let mut key = [b'o'; OBJECTS_KEY_BYTES];
    if let Some(place) = key.first_chunk_mut::<20>() {
        *place = part_key(id, part);
    }
    key
}

/// The list of the objects of a piece.
pub(crate) fn objects_list(objects: &[Encoded]) -> Vec<u8> {
    let mut list = Vec::with_capacity(objects.len() * 33);
    for object in objects {
        put_target(
            &mut list,
            Some(Target {
                kind: object.kind,
                id: object.id,
            }),
        );
    }
    list
}

/// The objects that rows of sessions list.
pub(crate) fn staged_objects(rows: &[(Bytes, Bytes)]) -> io::Result<Vec<(Kind, ObjectId)>> {
    let mut objects = Vec::new();
    for (_, list) in rows
        .iter()
        .filter(|(key, _)| key.len() == OBJECTS_KEY_BYTES)
    {
        let mut cursor = Cursor::new(list, "objects of a session");
        while cursor.remaining() > 0 {
            let target = cursor.target().map_err(|error| corrupt(&error))?;
            objects.extend(target.map(|target| (target.kind, target.id)));
        }
    }
    Ok(objects)
}

impl Data {
    /// The body that a session staged.
    pub(crate) fn staged_body(&self, id: SessionId, session: &Session) -> io::Result<Bytes> {
        let families = self.families()?;
        let mut body = Vec::with_capacity(
            usize::try_from(session.body_bytes)
                .unwrap_or_default()
                .min(BODY_BYTES_MAX),
        );
        let from = part_key(id, 0);
        let mode = rocksdb::IteratorMode::From(&from, rocksdb::Direction::Forward);
        for item in self.db.iterator_cf(families.sessions, mode) {
            let (key, value) = item.map_err(io::Error::other)?;
            if !key.starts_with(&id) {
                break;
            }
            if key.len() == OBJECTS_KEY_BYTES {
                continue;
            }
            body.extend_from_slice(&value);
        }
        if body.len() as u64 != session.body_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "data/: a session staged {} bytes of body, {} are there",
                    session.body_bytes,
                    body.len()
                ),
            ));
        }
        Ok(body.into())
    }
}

pub(crate) fn encode(session: &Session) -> [u8; HEAD_BYTES] {
    let mut out = Vec::with_capacity(HEAD_BYTES);
    out.extend_from_slice(&session.touched_ms.to_le_bytes());
    out.extend_from_slice(&session.parts.to_le_bytes());
    out.extend_from_slice(&session.bytes.to_le_bytes());
    out.extend_from_slice(&session.body_bytes.to_le_bytes());
    out.try_into().unwrap_or([0; HEAD_BYTES])
}

pub(crate) fn decode(bytes: &Bytes) -> io::Result<Session> {
    let mut cursor = Cursor::new(bytes, "session");
    let mut read = || {
        let session = Session {
            touched_ms: cursor.i64()?,
            parts: cursor.u32()?,
            bytes: cursor.u64()?,
            body_bytes: cursor.u64()?,
        };
        cursor.end().map(|()| session)
    };
    read().map_err(|error| corrupt(&error))
}
