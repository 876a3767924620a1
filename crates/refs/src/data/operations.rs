//! Where operations are: by sequence number, and from there by log index and time, which ascend with it.

use std::io;

use bytes::Bytes;
use confman_object_store::{BackendError, Kind, ObjectId, ReadError, ReadObjects};

use super::{Data, corrupt};
use crate::cursor::Cursor;
use crate::operation::Operation;

/// A row of the column family `operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: ObjectId,
    pub(crate) index: u64,
    pub(crate) time_ms: i64,
}

pub(crate) fn key(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

impl Place {
    pub(crate) fn encode(&self) -> [u8; 48] {
        let mut out = [0; 48];
        let (id, rest) = out.split_at_mut(32);
        let (index, time) = rest.split_at_mut(8);
        id.copy_from_slice(self.id.as_bytes());
        index.copy_from_slice(&self.index.to_le_bytes());
        time.copy_from_slice(&self.time_ms.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &Bytes) -> io::Result<Self> {
        let mut cursor = Cursor::new(bytes, "operation's place");
        let mut read = || {
            Ok(Self {
                id: cursor.id()?,
                index: cursor.u64()?,
                time_ms: cursor.i64()?,
            })
        };
        let place = read().map_err(|error| corrupt(&error))?;
        cursor.end().map_err(|error| corrupt(&error))?;
        Ok(place)
    }
}

impl Data {
    /// Where the operation with this number is.
    pub(crate) fn place(&self, sequence: u64) -> io::Result<Option<Place>> {
        let families = self.families()?;
        match self
            .db
            .get_cf(families.operations, key(sequence))
            .map_err(io::Error::other)?
        {
            None => Ok(None),
            Some(bytes) => Place::decode(&bytes.into()).map(Some),
        }
    }

    /// The operation with this number.
    pub(crate) fn operation(
        &self,
        sequence: u64,
    ) -> Result<Option<(ObjectId, Operation)>, ReadError> {
        let Some(place) = self.place(sequence).map_err(table_failed)? else {
            return Ok(None);
        };
        self.operation_by_id(&place.id)
            .map(|operation| Some((place.id, operation)))
    }

    /// The operation with this id.
    pub(crate) fn operation_by_id(&self, id: &ObjectId) -> Result<Operation, ReadError> {
        let bytes = self.store.read(Kind::Operation, id)?;
        Operation::decode(&bytes).map_err(|source| ReadError::Malformed {
            kind: Kind::Operation,
            id: *id,
            source,
        })
    }

    /// How many of the operations from 1 to `newest` satisfy `holds`, which holds for those up to some
    /// number and for none after it.
    pub(crate) fn last_that(
        &self,
        newest: u64,
        holds: impl Fn(&Place) -> bool,
    ) -> Result<u64, ReadError> {
        let (mut low, mut high) = (0, newest);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let place = self.place(middle).and_then(|place| {
                place.ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("data/: operation {middle} is missing"),
                    )
                })
            });
            if holds(&place.map_err(table_failed)?) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }
}

/// The table of operations cannot be read; there is no id to name.
pub(crate) fn table_failed(source: io::Error) -> ReadError {
    ReadError::Backend {
        kind: Kind::Operation,
        id: ObjectId::from_bytes([0; 32]),
        source: BackendError::Io {
            action: "read the table of operations",
            source: Box::new(source),
        },
    }
}
