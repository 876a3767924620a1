//! The index of a pack: where each of its objects is, sorted, in the bytes in which it lies on disk.
//!
//! `CFPI` and version, the pack's length and hash, the number of objects, their places, and a hash of all
//! before. Places are looked up where they are; nothing is decoded beforehand.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::id::{ID_BYTES, ObjectId};
use crate::object::Kind;

const MAGIC: [u8; 8] = *b"CFPI\x01\0\0\0";
const HASH_BYTES: usize = 32;
const HASH_CONTEXT: &str = "confman 2026 pack index v1";
/// Magic, length and hash of the pack, number of objects.
const HEADER_BYTES: usize = MAGIC.len() + 8 + HASH_BYTES + 8;
/// Kind and id.
const KEY_BYTES: usize = 1 + ID_BYTES;
/// Kind, id, offset and length of the frame.
const PLACE_BYTES: usize = KEY_BYTES + 8 + 4;

type Fingerprint = [u8; 8 + HASH_BYTES];

/// Where an object is: `kind u8 | id | offset u64 LE | length u32 LE`. The order of places is that of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place([u8; PLACE_BYTES]);

impl Place {
    pub(super) fn new(kind: Kind, id: ObjectId, offset: u64, len: u64) -> Self {
        let mut bytes = [0; PLACE_BYTES];
        let (head, tail) = bytes.split_at_mut(KEY_BYTES);
        head.copy_from_slice(&key(kind, &id));
        let (start, size) = tail.split_at_mut(8);
        start.copy_from_slice(&offset.to_le_bytes());
        // A frame is at most an object and its header, far below 4 GiB.
        size.copy_from_slice(&(len as u32).to_le_bytes());
        Self(bytes)
    }

    pub(super) fn offset(&self) -> u64 {
        let bytes = self.0.get(KEY_BYTES..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(super) fn len(&self) -> usize {
        let bytes = self.0.last_chunk::<4>();
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }
}

/// The index of one pack.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Bytes,
}

impl Index {
    /// Sorts the places of the objects in this pack.
    pub(super) fn new(mut places: Vec<Place>, pack: &File) -> io::Result<Self> {
        places.sort_unstable();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + places.len() * PLACE_BYTES + HASH_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&fingerprint(pack)?);
        bytes.extend_from_slice(&(places.len() as u64).to_le_bytes());
        for Place(place) in &places {
            bytes.extend_from_slice(place);
        }
        let hash = blake3::derive_key(HASH_CONTEXT, &bytes);
        bytes.extend_from_slice(&hash);
        Ok(Self {
            bytes: bytes.into(),
        })
    }

    /// Takes the bytes as they lie on disk; `None` unless they are whole and belong to this pack.
    pub(super) fn read(bytes: Bytes, pack: &File) -> Option<Self> {
        Self::decode(bytes, &fingerprint(pack).ok()?)
    }

    fn decode(bytes: Bytes, fingerprint: &Fingerprint) -> Option<Self> {
        let (before, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
        let (header, places) = before.split_at_checked(HEADER_BYTES)?;
        let mut want = MAGIC.to_vec();
        want.extend_from_slice(fingerprint);
        want.extend_from_slice(&((places.len() / PLACE_BYTES) as u64).to_le_bytes());
        let whole = places.len().is_multiple_of(PLACE_BYTES)
            && header == want
            && blake3::derive_key(HASH_CONTEXT, before) == *hash;
        whole.then_some(Self { bytes })
    }

    /// The bytes as they lie on disk.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn find(&self, kind: Kind, id: &ObjectId) -> Option<Place> {
        let key = key(kind, id);
        let places = self.places();
        let at =
            places.partition_point(|place| place.first_chunk().is_some_and(|have| *have < key));
        places
            .get(at)
            .filter(|place| place.starts_with(&key))
            .map(|place| Place(*place))
    }

    /// Ids of this kind that lie in the range, ascending.
    pub(super) fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
    ) -> impl Iterator<Item = ObjectId> {
        let (first, last) = (key(kind, range.start()), key(kind, range.end()));
        let places = self.places();
        let at =
            places.partition_point(|place| place.first_chunk().is_some_and(|have| *have < first));
        places
            .iter()
            .skip(at)
            .filter_map(|place| place.first_chunk::<KEY_BYTES>())
            .take_while(move |place| **place <= last)
            .map(|[_, id @ ..]| ObjectId::from_bytes(*id))
    }

    fn places(&self) -> &[[u8; PLACE_BYTES]] {
        let end = self.bytes.len().saturating_sub(HASH_BYTES);
        self.bytes
            .get(HEADER_BYTES..end)
            .unwrap_or_default()
            .as_chunks()
            .0
    }
}

fn key(kind: Kind, id: &ObjectId) -> [u8; KEY_BYTES] {
    let mut key = [kind.into(); KEY_BYTES];
    for (to, from) in key.iter_mut().skip(1).zip(id.as_bytes()) {
        *to = *from;
    }
    key
}

/// Length and last bytes of a pack, which are its hash: cheap to compare, and different for every pack.
fn fingerprint(pack: &File) -> io::Result<Fingerprint> {
    let len = pack.metadata()?.len();
    let mut bytes = [0; 8 + HASH_BYTES];
    let (head, hash) = bytes.split_at_mut(8);
    head.copy_from_slice(&len.to_le_bytes());
    pack.read_exact_at(hash, len.saturating_sub(HASH_BYTES as u64))?;
    Ok(bytes)
}

/// An index is taken whole or not at all, and what is looked up in it is what it has.
///
/// # Panics
/// A look-up gives something else.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_index(bytes: &[u8]) {
    let fingerprint = [7; 8 + HASH_BYTES];
    assert!(
        Index::decode(Bytes::copy_from_slice(bytes), &fingerprint).is_none(),
        "no fuzzer finds a hash"
    );
    let mut sealed = MAGIC.to_vec();
    sealed.extend_from_slice(&fingerprint);
    sealed.extend_from_slice(&((bytes.len() / PLACE_BYTES) as u64).to_le_bytes());
    sealed.extend_from_slice(bytes);
    let hash = blake3::derive_key(HASH_CONTEXT, &sealed);
    sealed.extend_from_slice(&hash);
    let Some(index) = Index::decode(sealed.into(), &fingerprint) else {
        assert!(
            !bytes.len().is_multiple_of(PLACE_BYTES),
            "a whole index is refused"
        );
        return;
    };
    for kind in Kind::ALL {
        for id in index.ids(kind, &(ObjectId::MIN..=ObjectId::MAX)) {
            // Places that are not sorted are not found, whatever a damaged disk makes of an index.
            if let Some(place) = index.find(kind, &id) {
                assert!(
                    place.0.starts_with(&key(kind, &id)),
                    "another object's place"
                );
                let _ = (place.offset(), place.len());
            }
        }
    }
}
