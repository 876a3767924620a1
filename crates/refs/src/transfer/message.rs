//! What is asked and told of transfers (`docs/FORMAT-peers.md`, "Transfers").

use bytes::Bytes;
use confman_object_store::{DecodeError, Kind, ObjectId};

use super::TransferId;
use super::table::Table;
use crate::cursor::{Cursor, put_length};
use crate::peer::message::{bytes_of, put_bytes, put_vote, text, vote};
use crate::raft::Vote;

/// Most bytes that a frame unpacks to.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 20;
/// Level at which frames are packed: they are made while a cluster serves.
const ZSTD_LEVEL: i32 = 3;

const OFFER: u8 = 1;
const DIGESTS: u8 = 2;
const ROWS: u8 = 3;
const OBJECTS: u8 = 4;
const PLACE: u8 = 5;
const STATE: u8 = 6;
const OPERATIONS: u8 = 7;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// A leader offers its state.
    Offer(Offer),
    /// Digests of a table's rows, after this key.
    Digests {
        transfer: TransferId,
        table: Table,
        after: Bytes,
    },
    /// A table's rows after one key and up to another one; empty for no limit.
    Rows {
        transfer: TransferId,
        table: Table,
        after: Bytes,
        upto: Bytes,
    },
    /// Objects.
    Objects(Vec<(Kind, ObjectId)>),
    /// The operation at a sequence number.
    Place(u64),
    /// The state as it is now.
    State,
    /// The operations after a sequence number.
    Operations(u64),
}

/// A state that is offered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    pub(crate) transfer: TransferId,
    pub(crate) vote: Vote,
    /// As the data database has it.
    pub(crate) applied: Bytes,
    /// As the data database has it.
    pub(crate) membership: Bytes,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Offer(Taken),
    Digests {
        digests: Vec<Digest>,
        /// Nothing follows.
        ended: bool,
    },
    Rows {
        rows: Vec<(Bytes, Bytes)>,
        /// Nothing follows within what was asked for.
        ended: bool,
    },
    /// In the order in which they were asked for; the rest is to be asked for again.
    Objects(Vec<Option<Bytes>>),
    Place(Option<(u64, ObjectId)>),
    /// A state that can be fetched.
    State(Offer),
    /// In order; the rest is to be asked for again.
    Operations(Vec<ObjectId>),
    /// The transfer is not known here any more.
    Gone,
}

/// What becomes of an offer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Taken {
    /// It is being fetched; the number grows while that goes on.
    Fetching(u64),
    Installed(Vote),
    /// There is a higher vote; nothing is taken.
    Outvoted(Vote),
    Failed(String),
}

/// Stands for the rows after the digest before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Their last key.
    pub(crate) last: Bytes,
    /// Of their keys and values.
    pub(crate) hash: [u8; 16],
}

impl Offer {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.transfer);
        put_vote(out, &self.vote);
        put_bytes(out, &self.applied);
        put_bytes(out, &self.membership);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transfer: cursor.array()?,
            vote: vote(cursor)?,
            applied: bytes_of(cursor)?,
            membership: bytes_of(cursor)?,
        })
    }
}

impl Ask {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Offer(offer) => {
                out.push(OFFER);
                offer.put(&mut out);
            }
            Self::Digests {
                transfer,
                table,
                after,
            } => {
                out.push(DIGESTS);
                out.extend_from_slice(transfer);
                out.push(*table as u8);
                put_bytes(&mut out, after);
            }
            Self::Rows {
                transfer,
                table,
                after,
                upto,
            } => {
                out.push(ROWS);
                out.extend_from_slice(transfer);
                out.push(*table as u8);
                put_bytes(&mut out, after);
                put_bytes(&mut out, upto);
            }
            Self::Objects(objects) => {
                out.push(OBJECTS);
                put_length(&mut out, objects.len());
                for (kind, id) in objects {
                    out.push(*kind as u8);
                    out.extend_from_slice(id.as_bytes());
                }
            }
            Self::Place(sequence) => {
                out.push(PLACE);
                out.extend_from_slice(&sequence.to_le_bytes());
            }
            Self::State => out.push(STATE),
            Self::Operations(after) => {
                out.push(OPERATIONS);
                out.extend_from_slice(&after.to_le_bytes());
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes, "request about a transfer");
        let ask = match cursor.u8()? {
            OFFER => Self::Offer(Offer::read(&mut cursor)?),
            DIGESTS => Self::Digests {
                transfer: cursor.array()?,
                table: table(&mut cursor)?,
                after: bytes_of(&mut cursor)?,
            },
            ROWS => Self::Rows {
                transfer: cursor.array()?,
                table: table(&mut cursor)?,
                after: bytes_of(&mut cursor)?,
                upto: bytes_of(&mut cursor)?,
            },
            OBJECTS => {
                let count = cursor.count(33)?;
                let mut objects = Vec::with_capacity(count);
                for _ in 0..count {
                    let number = cursor.u8()?;
                    let Some(kind) = Kind::from_number(number) else {
                        return Err(cursor.wrong(format!("{number} is not the number of a kind")));
                    };
                    objects.push((kind, cursor.id()?));
                }
                Self::Objects(objects)
            }
            PLACE => Self::Place(cursor.u64()?),
            STATE => Self::State,
            OPERATIONS => Self::Operations(cursor.u64()?),
            other => return Err(unknown(&cursor, other)),
        };
        cursor.end()?;
        Ok(ask)
    }
}

const GONE: u8 = 0;

const FETCHING: u8 = 0;
const INSTALLED: u8 = 1;
const OUTVOTED: u8 = 2;
const FAILED: u8 = 3;

impl Told {
    pub(crate) fn encode(&self) -> Result<Bytes, std::io::Error> {
        let mut out = Vec::new();
        match self {
            Self::Gone => out.push(GONE),
            Self::Offer(taken) => {
                out.push(OFFER);
                put_taken(&mut out, taken);
            }
            Self::Digests { digests, ended } => {
                out.push(DIGESTS);
                out.push(u8::from(*ended));
                put_length(&mut out, digests.len());
                for digest in digests {
                    put_bytes(&mut out, &digest.last);
                    out.extend_from_slice(&digest.hash);
                }
            }
            Self::Rows { rows, ended } => {
                out.push(ROWS);
                out.push(u8::from(*ended));
                let mut plain = Vec::new();
                put_length(&mut plain, rows.len());
                for (key, value) in rows {
                    put_bytes(&mut plain, key);
                    put_bytes(&mut plain, value);
                }
                out.extend(zstd::bulk::compress(&plain, ZSTD_LEVEL)?);
            }
            Self::Objects(objects) => {
                out.push(OBJECTS);
                let mut plain = Vec::new();
                put_length(&mut plain, objects.len());
                for object in objects {
                    plain.push(u8::from(object.is_some()));
                    if let Some(bytes) = object {
                        put_bytes(&mut plain, bytes);
                    }
                }
                out.extend(zstd::bulk::compress(&plain, ZSTD_LEVEL)?);
            }
            Self::Place(place) => {
                out.push(PLACE);
                out.push(u8::from(place.is_some()));
                if let Some((index, id)) = place {
                    out.extend_from_slice(&index.to_le_bytes());
                    out.extend_from_slice(id.as_bytes());
                }
            }
            Self::State(offer) => {
                out.push(STATE);
                offer.put(&mut out);
            }
            Self::Operations(operations) => {
                out.push(OPERATIONS);
                put_length(&mut out, operations.len());
                for id in operations {
                    out.extend_from_slice(id.as_bytes());
                }
            }
        }
        Ok(out.into())
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes, "answer about a transfer");
        let told = match cursor.u8()? {
            GONE => Self::Gone,
            OFFER => Self::Offer(taken(&mut cursor)?),
            DIGESTS => {
                let ended = cursor.flag()?;
                let count = cursor.count(20)?;
                let mut digests = Vec::with_capacity(count);
                for _ in 0..count {
                    digests.push(Digest {
                        last: bytes_of(&mut cursor)?,
                        hash: cursor.array()?,
                    });
                }
                Self::Digests { digests, ended }
            }
            ROWS => {
                let ended = cursor.flag()?;
                let plain = unpacked(&mut cursor)?;
                let mut rows = Cursor::new(&plain, "rows of a transfer");
                let count = rows.count(8)?;
                let mut read = Vec::with_capacity(count);
                for _ in 0..count {
                    read.push((bytes_of(&mut rows)?, bytes_of(&mut rows)?));
                }
                rows.end()?;
                Self::Rows { rows: read, ended }
            }
            OBJECTS => {
                let plain = unpacked(&mut cursor)?;
                let mut objects = Cursor::new(&plain, "objects of a transfer");
                let count = objects.count(1)?;
                let mut read = Vec::with_capacity(count);
                for _ in 0..count {
                    read.push(match objects.flag()? {
                        true => Some(bytes_of(&mut objects)?),
                        false => None,
                    });
                }
                objects.end()?;
                Self::Objects(read)
            }
            PLACE => Self::Place(match cursor.flag()? {
                true => Some((cursor.u64()?, cursor.id()?)),
                false => None,
            }),
            STATE => Self::State(Offer::read(&mut cursor)?),
            OPERATIONS => {
                let count = cursor.count(32)?;
                let mut operations = Vec::with_capacity(count);
                for _ in 0..count {
                    operations.push(cursor.id()?);
                }
                Self::Operations(operations)
            }
            other => return Err(unknown(&cursor, other)),
        };
        cursor.end()?;
        Ok(told)
    }
}

fn put_taken(out: &mut Vec<u8>, taken: &Taken) {
    match taken {
        Taken::Fetching(progress) => {
            out.push(FETCHING);
            out.extend_from_slice(&progress.to_le_bytes());
        }
        Taken::Installed(vote) => {
            out.push(INSTALLED);
            put_vote(out, vote);
        }
        Taken::Outvoted(vote) => {
            out.push(OUTVOTED);
            put_vote(out, vote);
        }
        Taken::Failed(reason) => {
            out.push(FAILED);
            put_bytes(out, reason.as_bytes());
        }
    }
}

fn taken(cursor: &mut Cursor<'_>) -> Result<Taken, DecodeError> {
    Ok(match cursor.u8()? {
        FETCHING => Taken::Fetching(cursor.u64()?),
        INSTALLED => Taken::Installed(vote(cursor)?),
        OUTVOTED => Taken::Outvoted(vote(cursor)?),
        FAILED => Taken::Failed(text(cursor)?),
        other => return Err(unknown(cursor, other)),
    })
}

fn table(cursor: &mut Cursor<'_>) -> Result<Table, DecodeError> {
    let number = cursor.u8()?;
    Table::ALL
        .into_iter()
        .find(|table| *table as u8 == number)
        .ok_or_else(|| cursor.wrong(format!("{number} is not a table known here")))
}

/// The rest of a message, unpacked within its limit.
fn unpacked(cursor: &mut Cursor<'_>) -> Result<Bytes, DecodeError> {
    let packed = cursor.shared(cursor.remaining())?;
    zstd::bulk::decompress(&packed, FRAME_BYTES_MAX)
        .map(Bytes::from)
        .map_err(|error| cursor.wrong(error.to_string()))
}

fn unknown(cursor: &Cursor<'_>, kind: u8) -> DecodeError {
    cursor.wrong(format!("{kind} is not known here"))
}
