//! Packs: a stream of encoded objects, children before parents, with a count and a hash at the end.
//!
//! What arrives is held in quarantine: every object is decompressed under limits, hashed, decoded
//! strictly, and everything it refers to must come earlier in the pack or be vouched for by the caller.

use std::collections::HashMap;
use std::io::{Read, Write};

use bytes::Bytes;

use crate::attestation::Attestation;
use crate::codec::{self, DecodeError, TlvReader};
use crate::commit::Commit;
use crate::encoding::{ENCODING_HEADER_BYTES_MAX, Encoded, Encoding};
use crate::id::{ID_BYTES, ObjectId};
use crate::meta::Meta;
use crate::object::{Kind, Object};
use crate::record::Record;
use crate::store::{ReadError, ReadObjects};
use crate::tree::Page;

/// How much a pack may hold. Every field is checked before anything of that size is allocated.
#[derive(Clone, Debug)]
pub struct PackLimits {
    /// Most objects.
    pub objects_max: u64,
    /// Most bytes on the wire.
    pub wire_bytes_max: u64,
    /// Most bytes after decompression.
    pub raw_bytes_max: u64,
    /// Largest blob.
    pub blob_bytes_max: u32,
    /// Most raw bytes for each byte on the wire, beyond the first MiB.
    pub ratio_max: u64,
}

impl Default for PackLimits {
    fn default() -> Self {
        Self {
            objects_max: 4_000_000,
            wire_bytes_max: 256 << 20,
            raw_bytes_max: 1 << 30,
            blob_bytes_max: 16 << 20,
            ratio_max: 200,
        }
    }
}

/// Why a pack is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The stream ended early or the disk failed.
    #[error("the pack ends early or cannot be read, at byte {offset}")]
    Io {
        /// Bytes read so far.
        offset: u64,
        /// What was said.
        #[source]
        source: std::io::Error,
    },
    /// A byte is not what the format has there.
    #[error("not a pack at byte {offset}: {reason}")]
    Format {
        /// Offset in the stream.
        offset: u64,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A limit is exceeded.
    #[error("the pack has more than {limit} {what}")]
    Limit {
        /// `objects`, `bytes on the wire`, ….
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An object is not what it claims to be.
    #[error("{kind} {id} in the pack is wrong: {reason}")]
    Object {
        /// Claimed kind.
        kind: Kind,
        /// Claimed id.
        id: ObjectId,
        /// What is wrong.
        reason: String,
    },
    /// An object refers to one that is neither earlier in the pack nor known here.
    #[error(
        "{kind} {id} refers to {missing_kind} {missing}, which is neither earlier in the pack nor known here"
    )]
    MissingLink {
        /// Kind of the referring object.
        kind: Kind,
        /// Its id.
        id: ObjectId,
        /// Kind of the missing object.
        missing_kind: Kind,
        /// Its id.
        missing: ObjectId,
    },
}

/// What a pack begins with: magic, then version.
const HEADER: [u8; 8] = *b"CFPK\x01\0\0\0";
/// Where a frame has its kind, the trailer has this.
const TRAILER: u8 = 0xff;
/// Hash of everything before it, at the very end.
const HASH_BYTES: usize = 32;
/// The BLAKE3 context of that hash.
const HASH_CONTEXT: &str = "confman 2026 pack v1";
/// Raw bytes up to here are not held to the ratio.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// Writes a pack.
#[derive(Debug)]
pub struct PackWriter<W: Write> {
    out: W,
    hasher: blake3::Hasher,
    count: u64,
    bytes: u64,
}

impl<W: Write> PackWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The writer fails.
    pub fn new(out: W) -> std::io::Result<Self> {
        let mut writer = Self {
            out,
            hasher: blake3::Hasher::new_derive_key(HASH_CONTEXT),
            count: 0,
            bytes: 0,
        };
        writer.write_hashed(&HEADER)?;
        Ok(writer)
    }

    /// Writes one object.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write(&mut self, object: &Encoded) -> std::io::Result<()> {
        let payload_len = u32::try_from(object.payload.len()).map_err(std::io::Error::other)?;
        let mut head = Vec::with_capacity(1 + ID_BYTES + ENCODING_HEADER_BYTES_MAX + 4);
        head.push(object.kind.into());
        head.extend_from_slice(object.id.as_bytes());
        object.encoding.write_header(&mut head);
        head.extend_from_slice(&payload_len.to_le_bytes());
        self.write_hashed(&head)?;
        self.write_hashed(&object.payload)?;
        self.count += 1;
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.bytes
    }

    /// Writes the trailer and gives the writer back.
    ///
    /// # Errors
    /// The writer fails.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.write_hashed(&[TRAILER])?;
        self.write_hashed(&self.count.to_le_bytes())?;
        let hash = self.hasher.finalize();
        self.out.write_all(hash.as_bytes())?;
        Ok(self.out)
    }

    fn write_hashed(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl Encoded {
    /// Reads the bytes of one frame of a pack, all of them.
    ///
    /// # Errors
    /// They are not one frame.
    pub fn from_frame(frame: &Bytes) -> Result<Self, String> {
        let short = || "ends inside of its frame".to_owned();
        let (&[number, ref id @ ..], rest) = frame
            .split_first_chunk::<{ 1 + ID_BYTES }>()
            .ok_or_else(short)?;
        let kind =
            Kind::from_number(number).ok_or_else(|| format!("{number} is no kind of object"))?;
        let (encoding, rest) = Encoding::read_header(rest)?;
        let (len, payload) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        if u32::from_le_bytes(*len) as usize != payload.len() {
            return Err(format!(
                "a payload of {} bytes, there are {}",
                u32::from_le_bytes(*len),
                payload.len()
            ));
        }
        Ok(Self {
            kind,
            id: ObjectId::from_bytes(*id),
            encoding,
            payload: frame.slice_ref(payload),
        })
    }
}

/// The whole pack of these objects.
#[must_use]
pub fn pack_of<'e>(objects: impl IntoIterator<Item = &'e Encoded>) -> Vec<u8> {
    let written = PackWriter::new(Vec::new()).and_then(|mut writer| {
        for object in objects {
            writer.write(object)?;
        }
        writer.finish()
    });
    // Writing to a vector does not fail, and no kind of object reaches 4 GiB.
    written.unwrap_or_default()
}

/// Reads a pack's frames one by one, under limits, without decompressing them.
#[derive(Debug)]
pub struct PackReader<R: Read> {
    input: R,
    limits: PackLimits,
    hasher: blake3::Hasher,
    offset: u64,
    count: u64,
    raw_bytes: u64,
    done: bool,
}

impl<R: Read> PackReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not a pack of a version known here.
    pub fn new(input: R, limits: &PackLimits) -> Result<Self, PackError> {
        let mut reader = Self {
            input,
            limits: limits.clone(),
            hasher: blake3::Hasher::new_derive_key(HASH_CONTEXT),
            offset: 0,
            count: 0,
            raw_bytes: 0,
            done: false,
        };
        let header = reader.array::<{ HEADER.len() }>()?;
        if let Some(at) = header
            .iter()
            .zip(HEADER)
            .position(|(have, want)| *have != want)
        {
            let reason = if at < 4 {
                "a pack begins with CFPK"
            } else {
                "version 1 is the only one known here"
            };
            return Err(PackError::Format {
                offset: at as u64,
                reason: reason.to_owned(),
            });
        }
        Ok(reader)
    }

    /// Bytes read so far; where the next frame begins.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` after a trailer that is right.
    ///
    /// # Errors
    /// The stream is cut, malformed or too large.
    pub fn next_frame(&mut self) -> Result<Option<Encoded>, PackError> {
        if self.done {
            return Ok(None);
        }
        let start = self.offset;
        let [number] = self.array::<1>()?;
        if number == TRAILER {
            self.trailer(start)?;
            return Ok(None);
        }
        let kind = Kind::from_number(number).ok_or_else(|| PackError::Format {
            offset: start,
            reason: format!("{number} is no kind of object, and no trailer, which is {TRAILER}"),
        })?;
        if self.count == self.limits.objects_max {
            return Err(PackError::Limit {
                what: "objects",
                limit: self.limits.objects_max,
            });
        }
        let id = ObjectId::from_bytes(self.array::<ID_BYTES>()?);
        let encoding = self.encoding()?;
        let length_at = self.offset;
        let payload_len = u32::from_le_bytes(self.array::<4>()?);
        self.check_lengths(kind, encoding, payload_len, length_at)?;
        let payload = self.payload(payload_len)?;
        self.count += 1;
        Ok(Some(Encoded {
            kind,
            id,
            encoding,
            payload,
        }))
    }

    fn encoding(&mut self) -> Result<Encoding, PackError> {
        let start = self.offset;
        let fail = |reason: String| PackError::Format {
            offset: start,
            reason,
        };
        let mut header = [0; ENCODING_HEADER_BYTES_MAX];
        let [first] = self.array::<1>()?;
        let len = Encoding::header_len(first).map_err(fail)?;
        if let Some((to, rest)) = header.split_first_mut() {
            *to = first;
            self.fill(rest.get_mut(..len - 1).unwrap_or_default())?;
        }
        let (encoding, _) =
            Encoding::read_header(header.get(..len).unwrap_or_default()).map_err(fail)?;
        Ok(encoding)
    }

    /// Holds what a frame declares to the limits, before anything of that size is asked for.
    fn check_lengths(
        &mut self,
        kind: Kind,
        encoding: Encoding,
        payload_len: u32,
        at: u64,
    ) -> Result<(), PackError> {
        let bytes_max = match kind {
            Kind::Blob => u64::from(self.limits.blob_bytes_max).min(kind.bytes_max() as u64),
            _ => kind.bytes_max() as u64,
        };
        let raw_len = u64::from(encoding.declared_len().unwrap_or(payload_len));
        let payload_len = u64::from(payload_len);
        if raw_len > bytes_max {
            let reason = format!("a {kind} of {raw_len} bytes, at most {bytes_max} are allowed");
            return Err(PackError::Format { offset: at, reason });
        }
        if encoding != Encoding::Raw && payload_len > raw_len {
            let reason =
                format!("a frame of {payload_len} bytes for {raw_len} bytes; raw is shorter");
            return Err(PackError::Format { offset: at, reason });
        }
        if self.offset + payload_len > self.limits.wire_bytes_max {
            return Err(PackError::Limit {
                what: "bytes on the wire",
                limit: self.limits.wire_bytes_max,
            });
        }
        self.raw_bytes += raw_len;
        if self.raw_bytes > self.limits.raw_bytes_max {
            return Err(PackError::Limit {
                what: "bytes after decompression",
                limit: self.limits.raw_bytes_max,
            });
        }
        let fair = (self.offset + payload_len)
            .saturating_mul(self.limits.ratio_max)
            .saturating_add(RATIO_FREE_BYTES);
        if self.raw_bytes > fair {
            let what = "bytes after decompression for each byte on the wire";
            return Err(PackError::Limit {
                what,
                limit: self.limits.ratio_max,
            });
        }
        Ok(())
    }

    fn payload(&mut self, len: u32) -> Result<Bytes, PackError> {
        let mut payload = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.fill(&mut payload)?;
        Ok(payload.into())
    }

    fn trailer(&mut self, start: u64) -> Result<(), PackError> {
        let count = u64::from_le_bytes(self.array::<8>()?);
        if count != self.count {
            let reason = format!(
                "the trailer counts {count} objects, there were {}",
                self.count
            );
            return Err(PackError::Format {
                offset: start + 1,
                reason,
            });
        }
        let want = self.hasher.finalize();
        let offset = self.offset;
        let have = self.array::<HASH_BYTES>()?;
        if want != have {
            let reason =
                "the hash of what came before is another; something was changed on the way"
                    .to_owned();
            return Err(PackError::Format { offset, reason });
        }
        self.done = true;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PackError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), PackError> {
        let wire_bytes_max = self.limits.wire_bytes_max;
        if self.offset.saturating_add(bytes.len() as u64) > wire_bytes_max {
            return Err(PackError::Limit {
                what: "bytes on the wire",
                limit: wire_bytes_max,
            });
        }
        self.input
            .read_exact(bytes)
            .map_err(|source| PackError::Io {
                offset: self.offset,
                source,
            })?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// What came out of quarantine: verified, well formed, closed under links, in the order received.
#[derive(Debug)]
pub struct Admitted {
    /// The objects.
    pub objects: Vec<Object>,
    /// The same objects as they came, to be kept or sent on without encoding them again.
    pub encoded: Vec<Encoded>,
}

/// Takes a whole pack into quarantine and verifies it. Dictionaries may be in the pack or in `bases`.
/// Whether a link or a dictionary may be an object that is not earlier in the pack is asked of `knows`, which
/// answers for what the sender may read: to be there is not enough.
///
/// # Errors
/// Anything about the pack that is not right; nothing is kept then.
pub fn admit<R: Read>(
    input: R,
    limits: &PackLimits,
    bases: &dyn ReadObjects,
    knows: &dyn Fn(Kind, &ObjectId) -> bool,
) -> Result<Admitted, PackError> {
    let mut reader = PackReader::new(input, limits)?;
    let mut quarantine = Quarantine {
        bases,
        knows,
        places: HashMap::new(),
        objects: Vec::new(),
    };
    let mut encoded = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        quarantine.take_in(&frame)?;
        encoded.push(frame);
    }
    Ok(Admitted {
        objects: quarantine.objects,
        encoded,
    })
}

/// What has arrived of a pack.
struct Quarantine<'a> {
    bases: &'a dyn ReadObjects,
    knows: &'a dyn Fn(Kind, &ObjectId) -> bool,
    objects: Vec<Object>,
    /// Where in `objects` it is, and its depth.
    places: HashMap<(Kind, ObjectId), (usize, u8)>,
}

impl Quarantine<'_> {
    fn take_in(&mut self, frame: &Encoded) -> Result<(), PackError> {
        let (kind, id) = (frame.kind, frame.id);
        let wrong = |reason: String| PackError::Object { kind, id, reason };
        if self.places.contains_key(&(kind, id)) {
            return Err(wrong("it is in the pack twice".to_owned()));
        }
        let base = match frame.encoding.base() {
            Some(base) => Some(self.dictionary(frame, &base)?),
            None => None,
        };
        let object = frame.open(base.as_deref()).map_err(wrong)?;
        let links = links(kind, object.bytes()).map_err(|e| wrong(e.to_string()))?;
        for (missing_kind, missing) in links {
            if !self.places.contains_key(&(missing_kind, missing))
                && !(self.knows)(missing_kind, &missing)
            {
                return Err(PackError::MissingLink {
                    kind,
                    id,
                    missing_kind,
                    missing,
                });
            }
        }
        if kind == Kind::Commit {
            self.check_generation(&object)?;
        }
        self.places
            .insert((kind, id), (self.objects.len(), frame.encoding.depth()));
        self.objects.push(object);
        Ok(())
    }

    /// The bytes of a dictionary, and that its depth is less than that of what is written against it.
    fn dictionary(&self, frame: &Encoded, base: &ObjectId) -> Result<Bytes, PackError> {
        let (kind, id) = (frame.kind, frame.id);
        let wrong = |reason: String| PackError::Object { kind, id, reason };
        if let Some((place, depth)) = self.places.get(&(kind, *base)) {
            if *depth >= frame.encoding.depth() {
                let stated = frame.encoding.depth();
                return Err(wrong(format!(
                    "it states depth {stated}, its dictionary {base} in the pack has {depth}"
                )));
            }
            return match self.objects.get(*place) {
                Some(object) => Ok(object.bytes().clone()),
                None => Err(wrong(format!("its dictionary {base} is lost"))),
            };
        }
        // Without this, a sender who knows no more than an id could have its bytes admitted as their own.
        let vouched_for = (self.knows)(kind, base);
        match self.bases.try_read(kind, base) {
            Ok(Some(bytes)) if vouched_for => Ok(bytes),
            Ok(_) => Err(wrong(format!(
                "its dictionary {base} is neither earlier in the pack nor known here"
            ))),
            Err(e) => Err(wrong(format!("its dictionary cannot be read: {e}"))),
        }
    }

    /// One more than the largest of the parents, as far as they can be read here.
    fn check_generation(&self, object: &Object) -> Result<(), PackError> {
        let wrong = |reason: String| PackError::Object {
            kind: Kind::Commit,
            id: object.id(),
            reason,
        };
        let commit = Commit::decode(object.bytes()).map_err(|e| wrong(e.to_string()))?;
        let mut largest = 0;
        let mut all_read = true;
        for parent in &commit.parents {
            match self
                .generation(parent)
                .map_err(|e| wrong(format!("its parent {parent}: {e}")))?
            {
                Some(generation) => largest = largest.max(generation),
                None => all_read = false,
            }
        }
        let fits = match largest.checked_add(1) {
            Some(next) if all_read => commit.generation == next,
            Some(next) => commit.generation >= next,
            None => false,
        };
        if fits {
            return Ok(());
        }
        Err(wrong(format!(
            "it has generation {}, one more than {largest}, the largest of its parents, is needed",
            commit.generation
        )))
    }

    fn generation(&self, id: &ObjectId) -> Result<Option<u64>, ReadError> {
        if let Some(object) = self
            .places
            .get(&(Kind::Commit, *id))
            .and_then(|(place, _)| self.objects.get(*place))
        {
            return Ok(Commit::decode(object.bytes())
                .ok()
                .map(|commit| commit.generation));
        }
        match self.bases.commit(id) {
            Ok(commit) => Ok(Some(commit.generation)),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The objects that an object needs to be whole, decoded strictly; none for blobs and metas. What a commit
/// only mentions ([`Commit::mentions`]) is not among them. Of an operation only the framing is checked here:
/// what its fields mean, the crate of refs knows.
///
/// # Errors
/// The bytes are not an object of that kind.
pub fn links(kind: Kind, bytes: &[u8]) -> Result<Vec<(Kind, ObjectId)>, DecodeError> {
    match kind {
        Kind::Blob => codec::check_len(kind.name(), bytes, kind.bytes_max()).map(|()| Vec::new()),
        Kind::Page => page_links(bytes),
        Kind::Meta => Meta::decode(bytes).map(|_| Vec::new()),
        Kind::Commit => {
            let commit = Commit::decode(bytes)?;
            let parents = commit
                .parents
                .into_iter()
                .map(|parent| (Kind::Commit, parent));
            Ok(std::iter::once((Kind::Page, commit.tree))
                .chain(parents)
                .collect())
        }
        Kind::Record => {
            let record = Record::decode(bytes)?;
            let previous = record.previous.map(|previous| (Kind::Record, previous));
            Ok(previous.into_iter().chain(record.links).collect())
        }
        Kind::Operation => {
            codec::check_len(kind.name(), bytes, kind.bytes_max())?;
            TlvReader::new(kind.name(), kind.into(), bytes).map(|_| Vec::new())
        }
        Kind::Attestation => {
            let attestation = Attestation::decode(bytes)?;
            Ok(vec![(attestation.subject_kind(), attestation.subject)])
        }
    }
}

fn page_links(bytes: &[u8]) -> Result<Vec<(Kind, ObjectId)>, DecodeError> {
    Page::decode(Bytes::copy_from_slice(bytes)).map(|page| page.references())
}

#[cfg(test)]
mod tests;
