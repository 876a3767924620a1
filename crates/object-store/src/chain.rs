//! Chains of dictionaries: reading an object through them, and keeping them short and without a circle.
//!
//! INVARIANT: in a backend the depth of an object is greater than that of its dictionary, and its
//! dictionary is there. So every chain ends, within [`DELTA_DEPTH_MAX`] steps.
//!
//! That would not hold by itself. A value that goes from A to B and back is admitted as A, as B against
//! A, and as A against B: kept as they came, neither could be read again. So what a backend keeps of an
//! admitted object is decided where it is kept ([`settle`]): an object that is there already, and can be
//! read, stays as it is written and is only born again.

use std::collections::HashMap;

use crate::backend::{BackendError, Stored};
use crate::encoding::{DELTA_DEPTH_MAX, Encoded, Encoding};
use crate::id::ObjectId;
use crate::object::{Kind, Object};

/// How an object is kept, by kind and id.
pub(crate) type Lookup<'a> = dyn Fn(Kind, &ObjectId) -> Result<Option<Stored>, BackendError> + 'a;

/// Why a chain does not give an object.
#[derive(Debug)]
pub(crate) enum ChainError {
    /// The object at the end of the chain is not there.
    Missing,
    /// This object, the one asked for or one that it is written against, is wrong.
    Corrupt { id: ObjectId, reason: String },
    /// The backend failed.
    Backend(BackendError),
}

/// Reads an object, verified. `None` where it is not there.
pub(crate) fn open(
    get: &Lookup<'_>,
    kind: Kind,
    id: &ObjectId,
) -> Result<Option<Object>, ChainError> {
    match open_whole(get, kind, id) {
        Ok(object) => Ok(Some(object)),
        Err(ChainError::Missing) => Ok(None),
        Err(e) => Err(e),
    }
}

fn open_whole(get: &Lookup<'_>, kind: Kind, id: &ObjectId) -> Result<Object, ChainError> {
    let mut chain = Vec::new();
    let mut next = Some(*id);
    while let Some(at) = next {
        let corrupt = |reason: String| ChainError::Corrupt { id: *id, reason };
        if chain.len() > usize::from(DELTA_DEPTH_MAX) {
            return Err(corrupt(format!(
                "its chain of dictionaries is longer than {DELTA_DEPTH_MAX}"
            )));
        }
        let stored = match get(kind, &at).map_err(ChainError::Backend)? {
            Some(stored) => stored,
            None if chain.is_empty() => return Err(ChainError::Missing),
            None => return Err(corrupt(format!("its dictionary {at} is not there"))),
        };
        next = stored.encoding.base();
        chain.push(Encoded {
            kind,
            id: at,
            encoding: stored.encoding,
            payload: stored.payload,
        });
    }
    // Every link is held to its id, so that the error names the one that is wrong.
    let mut base: Option<Object> = None;
    for encoded in chain.iter().rev() {
        let opened = encoded.open(base.as_ref().map(|base| base.bytes().as_ref()));
        base = Some(opened.map_err(|reason| ChainError::Corrupt {
            id: encoded.id,
            reason,
        })?);
    }
    base.ok_or(ChainError::Missing)
}

/// Decides how admitted objects are kept, in the order given. `get` is the backend before.
///
/// # Errors
/// An object is encoded against one that is neither there nor before it, or cannot be read at all.
pub(crate) fn settle(
    get: &Lookup<'_>,
    objects: &[Encoded],
    born: u64,
) -> Result<Vec<Encoded>, BackendError> {
    let mut settled: Vec<Encoded> = Vec::with_capacity(objects.len());
    let mut places: HashMap<(Kind, ObjectId), usize> = HashMap::new();
    for object in objects {
        let with_settled = |kind: Kind, id: &ObjectId| match places
            .get(&(kind, *id))
            .and_then(|at| settled.get(*at))
        {
            Some(Encoded {
                encoding, payload, ..
            }) => Ok(Some(Stored {
                born,
                encoding: *encoding,
                payload: payload.clone(),
            })),
            None => get(kind, id),
        };
        let keep = settle_one(&with_settled, object)?;
        places.insert((object.kind, object.id), settled.len());
        settled.push(keep);
    }
    Ok(settled)
}

fn settle_one(get: &Lookup<'_>, object: &Encoded) -> Result<Encoded, BackendError> {
    let Encoding::Delta { len, base, .. } = object.encoding else {
        // Nothing is needed to read it, and what was written against it stays readable.
        return Ok(object.clone());
    };
    let (kind, id) = (object.kind, object.id);
    let corrupt = |reason: String| BackendError::Corrupt { kind, id, reason };
    let new_here = match get(kind, &id) {
        Ok(None) => true,
        Ok(Some(before)) if matches!(open(get, kind, &id), Ok(Some(_))) => {
            return Ok(Encoded {
                kind,
                id,
                encoding: before.encoding,
                payload: before.payload,
            });
        }
        Ok(Some(_)) | Err(BackendError::Corrupt { .. }) => false,
        Err(e) => return Err(e),
    };
    let Some(dictionary) = get(kind, &base)? else {
        return Err(corrupt(format!(
            "its dictionary {base} is neither in the store nor before it"
        )));
    };
    let depth = dictionary.encoding.depth() + 1;
    if new_here && depth <= DELTA_DEPTH_MAX {
        return Ok(Encoded {
            encoding: Encoding::Delta { len, base, depth },
            ..object.clone()
        });
    }
    // Too deep here, or in the place of one that cannot be read and that others may be written against.
    match open(get, kind, &base) {
        Ok(Some(dictionary)) => {
            let object = object.open(Some(dictionary.bytes())).map_err(corrupt)?;
            Ok(Encoded::new(&object))
        }
        Ok(None) | Err(ChainError::Missing) => {
            Err(corrupt(format!("its dictionary {base} is not there")))
        }
        Err(ChainError::Corrupt { id, reason }) => Err(corrupt(format!(
            "its dictionary {base} is corrupt: {id}: {reason}"
        ))),
        Err(ChainError::Backend(e)) => Err(e),
    }
}
