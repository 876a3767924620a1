//! How an object's bytes are written in packs, log entries and at rest: as they are, compressed,
//! or compressed with another object of the same kind as the dictionary.
//!
//! An object has one id and many encodings: nothing here is hashed. A payload is a zstd frame without
//! its first four bytes, which are the same in every frame (`docs/FORMAT-objects.md`).
//!
//! INVARIANT: memory for the bytes of an object is asked for only after its declared length was held to
//! the limit of its kind, and a frame that gives another length is refused.

use std::cell::RefCell;

use bytes::Bytes;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, FrameFormat, compress_bound, get_error_name,
};

use crate::id::{ID_BYTES, ObjectId};
use crate::object::{Kind, Object};

/// Longest chain of dictionaries behind an object.
pub const DELTA_DEPTH_MAX: u8 = 16;
/// Most bytes of an encoding's header.
pub const ENCODING_HEADER_BYTES_MAX: usize = 1 + 4 + ID_BYTES;

/// What every zstd frame begins with; not written.
const FRAME_MAGIC_BYTES: usize = 4;
/// What a dictionary with tables of its own begins with. Such bytes never serve as a dictionary here,
/// since zstd would read them as such instead of as text.
const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];
/// Measured on pages of trees: level 6 gains 1 % and takes twice the time, level 19 gains 5 % for 20 times.
const LEVEL: i32 = 3;
/// Against its predecessor a page takes 62 bytes on average, at any level; this one takes the least time.
const PAGE_DELTA_LEVEL: i32 = 1;
/// What an object written against another takes this many times less than as it is, is not compressed by
/// itself to compare.
const DELTA_CLEARLY_WORTH: usize = 8;
/// Payloads up to this length are left alone: naming a dictionary takes 32 bytes.
const DELTA_PAYLOAD_BYTES_MIN: usize = 64;
/// Commits, metas, records, operations and attestations below this length are left as they are: they are
/// alike, and a database compresses the many in a block better together than each alone.
const SMALL_BYTES_MAX: usize = 1024;
/// Above this length (of object and dictionary) matches are searched over the whole distance.
const LONG_DISTANCE_BYTES_MIN: usize = 128 * 1024;

/// How a payload gives the bytes of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The bytes themselves.
    Raw,
    /// A zstd frame of `len` bytes.
    Zstd {
        /// Bytes of the object.
        len: u32,
    },
    /// A zstd frame whose dictionary is the object `base`, of the same kind.
    Delta {
        /// Bytes of the object.
        len: u32,
        /// The dictionary.
        base: ObjectId,
        /// One more than the depth of `base`; at most [`DELTA_DEPTH_MAX`].
        depth: u8,
    },
}

impl Encoding {
    /// Dictionaries in a row that are needed to read it.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        match self {
            Self::Raw | Self::Zstd { .. } => 0,
            Self::Delta { depth, .. } => *depth,
        }
    }

    /// The dictionary.
    #[must_use]
    pub const fn base(&self) -> Option<ObjectId> {
        match self {
            Self::Raw | Self::Zstd { .. } => None,
            Self::Delta { base, .. } => Some(*base),
        }
    }

    /// Bytes of the object, where they are not those of the payload.
    #[must_use]
    pub const fn declared_len(&self) -> Option<u32> {
        match self {
            Self::Raw => None,
            Self::Zstd { len } | Self::Delta { len, .. } => Some(*len),
        }
    }

    /// Writes the header: one byte of method (bits 0–1), width of the length less one (2–3) and depth less
    /// one (4–7), then the length in as few bytes as it needs, little-endian, then the dictionary's id.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        let (method, len, base, depth) = match self {
            Self::Raw => {
                out.push(0);
                return;
            }
            Self::Zstd { len } => (1, *len, None, 1),
            Self::Delta { len, base, depth } => (2, *len, Some(base), *depth),
        };
        let width = (4 - len.leading_zeros() / 8).max(1) as u8;
        out.push(method | (width - 1) << 2 | depth.saturating_sub(1) << 4);
        out.extend(len.to_le_bytes().into_iter().take(usize::from(width)));
        if let Some(base) = base {
            out.extend_from_slice(base.as_bytes());
        }
    }

    /// How many bytes the header has that begins with `first`.
    ///
    /// # Errors
    /// No header begins like this.
    pub fn header_len(first: u8) -> Result<usize, String> {
        let width = usize::from(first >> 2 & 3) + 1;
        match (first & 3, first >> 4) {
            (0, 0) if width == 1 => Ok(1),
            (1, 0) => Ok(1 + width),
            (2, _) => Ok(1 + width + ID_BYTES),
            _ => Err(format!(
                "{first:#04x} is no encoding: raw, zstd or delta is needed"
            )),
        }
    }

    /// Reads a header at the beginning of `bytes` and gives what follows it.
    ///
    /// # Errors
    /// What is there is not a header.
    pub fn read_header(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        let short = || "ends inside of the encoding's header".to_owned();
        let first = *bytes.first().ok_or_else(short)?;
        let (header, rest) = bytes
            .split_at_checked(Self::header_len(first)?)
            .ok_or_else(short)?;
        let width = usize::from(first >> 2 & 3) + 1;
        let mut len = [0; 4];
        for (to, from) in len.iter_mut().zip(header.iter().skip(1).take(width)) {
            *to = *from;
        }
        let len = u32::from_le_bytes(len);
        if width > 1 && len.leading_zeros() as usize / 8 > 4 - width {
            return Err(format!(
                "the length {len} is written in {width} bytes, fewer are needed"
            ));
        }
        match (first & 3, header.last_chunk::<ID_BYTES>()) {
            (0, _) => Ok((Self::Raw, rest)),
            (2, Some(base)) => Ok((
                Self::Delta {
                    len,
                    base: ObjectId::from_bytes(*base),
                    depth: (first >> 4) + 1,
                },
                rest,
            )),
            _ => Ok((Self::Zstd { len }, rest)),
        }
    }
}

/// An object as it travels and rests. Not verified until decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What it claims to be.
    pub kind: Kind,
    /// Its claimed name.
    pub id: ObjectId,
    /// How to read the payload.
    pub encoding: Encoding,
    /// The bytes as written.
    pub payload: Bytes,
}

impl Encoded {
    /// Writes the object in the smallest of the encodings that do not need another object.
    #[must_use]
    pub fn new(object: &Object) -> Self {
        let bytes = object.bytes();
        let as_it_is = Self {
            kind: object.kind(),
            id: object.id(),
            encoding: Encoding::Raw,
            payload: bytes.clone(),
        };
        if is_small(object) {
            return as_it_is;
        }
        match (u32::try_from(bytes.len()), compress(bytes)) {
            (Ok(len), Some(payload)) if payload.len() + header_extra(len) < bytes.len() => Self {
                encoding: Encoding::Zstd { len },
                payload,
                ..as_it_is
            },
            _ => as_it_is,
        }
    }

    /// Writes the object against `base` (its bytes and its own depth) where that is worth it,
    /// else as [`Encoded::new`] does. It is worth it where it saves a quarter.
    #[must_use]
    pub fn against(object: &Object, base: &Object, base_depth: u8) -> Self {
        let len = u32::try_from(object.bytes().len());
        let possible = base_depth < DELTA_DEPTH_MAX
            && base.kind() == object.kind()
            && !is_small(object)
            && base.id() != object.id()
            && object.bytes().len() > DELTA_PAYLOAD_BYTES_MIN
            && !base.bytes().is_empty()
            && !base.bytes().starts_with(&DICTIONARY_MAGIC);
        let delta = match (len, possible) {
            (Ok(len), true) => compress_against(object, base.bytes()).map(|payload| Self {
                kind: object.kind(),
                id: object.id(),
                encoding: Encoding::Delta {
                    len,
                    base: base.id(),
                    depth: base_depth + 1,
                },
                payload,
            }),
            _ => None,
        };
        let Some(delta) = delta else {
            return Self::new(object);
        };
        let delta_bytes = delta.payload.len() + ID_BYTES;
        if delta_bytes * DELTA_CLEARLY_WORTH <= object.bytes().len() {
            // Next to nothing is left. To see what it comes to by itself would take longer than this.
            return delta;
        }
        let alone = Self::new(object);
        let worth = alone.payload.len() > DELTA_PAYLOAD_BYTES_MIN
            && delta_bytes * 4 <= alone.payload.len() * 3;
        if worth { delta } else { alone }
    }

    /// The bytes of the object, not yet held to its id. `base` is needed, whole and verified, exactly
    /// where the encoding names one.
    ///
    /// # Errors
    /// The object would be larger than its kind may be, or the payload does not give that many bytes.
    pub fn decompress(&self, base: Option<&[u8]>) -> Result<Bytes, String> {
        let bytes_max = self.kind.bytes_max();
        let Some(declared) = self.encoding.declared_len() else {
            check_len(self.kind, self.payload.len(), bytes_max)?;
            return Ok(self.payload.clone());
        };
        let len = usize::try_from(declared).unwrap_or(usize::MAX);
        check_len(self.kind, len, bytes_max)?;
        let dictionary = match (self.encoding.base(), base) {
            (None, _) => &[][..],
            (Some(id), None) => return Err(format!("its dictionary {id} is not at hand")),
            (Some(id), Some(base)) if base.starts_with(&DICTIONARY_MAGIC) => {
                return Err(format!(
                    "its dictionary {id} begins like one with tables, which is not allowed"
                ));
            }
            (Some(_), Some(base)) => base,
        };
        let bytes = decompress(&self.payload, dictionary, len)?;
        if bytes.len() != len {
            return Err(format!(
                "{len} bytes are declared, the frame gives {}",
                bytes.len()
            ));
        }
        Ok(bytes.into())
    }

    /// The object, if the payload gives bytes that hash to the id.
    ///
    /// # Errors
    /// As [`Self::decompress`], or the bytes hash to something else.
    pub fn open(&self, base: Option<&[u8]>) -> Result<Object, String> {
        let object = Object::new(self.kind, self.decompress(base)?);
        if object.id() == self.id {
            Ok(object)
        } else {
            Err(format!("its bytes hash to {}", object.id()))
        }
    }
}

fn is_small(object: &Object) -> bool {
    !matches!(object.kind(), Kind::Blob | Kind::Page) && object.bytes().len() < SMALL_BYTES_MAX
}

fn check_len(kind: Kind, len: usize, bytes_max: usize) -> Result<(), String> {
    if len <= bytes_max {
        return Ok(());
    }
    Err(format!("{len} bytes, a {kind} has at most {bytes_max}"))
}

/// Bytes of the header beyond those of raw.
fn header_extra(len: u32) -> usize {
    (4 - len.leading_zeros() as usize / 8).max(1)
}

/// Contexts are kept per thread: making one takes longer than compressing a page (50 µs to 30).
struct Contexts {
    compress: CCtx<'static>,
    decompress: Option<DCtx<'static>>,
    frame: Vec<u8>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> =
        RefCell::new(Contexts { compress: CCtx::create(), decompress: None, frame: Vec::new() });
}

/// Frames that were larger than this are not kept as scratch space of the thread.
const SCRATCH_BYTES_MAX: usize = 256 * 1024;

fn compress(bytes: &[u8]) -> Option<Bytes> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let Contexts {
            compress, frame, ..
        } = contexts;
        framed(frame, bytes.len(), |frame| {
            compress.compress(frame, bytes, LEVEL)
        })
    })
}

fn compress_against(object: &Object, base: &[u8]) -> Option<Bytes> {
    let bytes = object.bytes();
    let level = match object.kind() {
        Kind::Page => PAGE_DELTA_LEVEL,
        _ => LEVEL,
    };
    if bytes.len() + base.len() > LONG_DISTANCE_BYTES_MIN {
        return compress_long(bytes, base);
    }
    CONTEXTS.with_borrow_mut(|contexts| {
        let Contexts {
            compress, frame, ..
        } = contexts;
        framed(frame, bytes.len(), |frame| {
            compress.compress_using_dict(frame, bytes, base, level)
        })
    })
}

/// For large texts: the window covers both, and matches are found at any distance within it.
fn compress_long(bytes: &[u8], base: &[u8]) -> Option<Bytes> {
    let mut context = CCtx::try_create()?;
    let window_log = (bytes.len() + base.len()).next_power_of_two().ilog2();
    let parameters = [
        CParameter::CompressionLevel(LEVEL),
        CParameter::WindowLog(window_log),
        CParameter::EnableLongDistanceMatching(true),
    ];
    for parameter in parameters {
        context.set_parameter(parameter).ok()?;
    }
    context.ref_prefix(base).ok()?;
    framed(&mut Vec::new(), bytes.len(), |frame| {
        context.compress2(frame, bytes)
    })
}

/// Runs a compression into `frame` and takes the frame without its magic. `None` cannot happen for want
/// of space; for any other reason zstd may have, the object is then written another way.
fn framed(
    frame: &mut Vec<u8>,
    len: usize,
    run: impl FnOnce(&mut Vec<u8>) -> Result<usize, usize>,
) -> Option<Bytes> {
    frame.clear();
    frame.reserve(compress_bound(len));
    let done = run(frame);
    let payload = done
        .ok()
        .and_then(|_| frame.get(FRAME_MAGIC_BYTES..))
        .map(Bytes::copy_from_slice);
    if frame.capacity() > SCRATCH_BYTES_MAX {
        *frame = Vec::new();
    }
    payload
}

fn decompress(payload: &[u8], dictionary: &[u8], len: usize) -> Result<Vec<u8>, String> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let context = match &mut contexts.decompress {
            Some(context) => context,
            none => {
                let mut context = DCtx::create();
                context
                    .set_parameter(DParameter::Format(FrameFormat::Magicless))
                    .map_err(|code| get_error_name(code).to_owned())?;
                none.insert(context)
            }
        };
        let mut bytes = Vec::with_capacity(len);
        match context.decompress_using_dict(&mut bytes, payload, dictionary) {
            Ok(_) => Ok(bytes),
            Err(code) => Err(format!(
                "the frame cannot be decompressed: {}",
                get_error_name(code)
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob(bytes: impl Into<Bytes>) -> Object {
        Object::new(Kind::Blob, bytes)
    }

    /// `lines` lines of configuration; `changed` of them differ from those of another seed.
    fn text(lines: usize, changed: &[usize]) -> Vec<u8> {
        let mut state = 1_u64;
        let mut out = String::new();
        for line in 0..lines {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = if changed.contains(&line) {
                7
            } else {
                state >> 20
            };
            out.push_str(&format!("  service-{}.replicas: {value}\n", state >> 52));
        }
        out.into_bytes()
    }

    #[test]
    fn a_large_text_against_its_predecessor_gives_a_tiny_frame() {
        let (old, new) = (
            blob(text(16_000, &[])),
            blob(text(16_000, &[3, 9_000, 15_999])),
        );
        assert!(new.bytes().len() > 600_000, "{}", new.bytes().len());
        let (alone, delta) = (Encoded::new(&new), Encoded::against(&new, &old, 0));
        assert!(alone.payload.len() > 100_000, "{}", alone.payload.len());
        assert!(delta.payload.len() < 300, "{}", delta.payload.len());
        assert_eq!(delta.open(Some(old.bytes())).unwrap(), new);
    }

    #[test]
    fn a_small_text_against_its_predecessor_gives_a_small_frame() {
        let (old, new) = (blob(text(100, &[])), blob(text(100, &[50])));
        let (alone, delta) = (Encoded::new(&new), Encoded::against(&new, &old, 3));
        assert!(matches!(delta.encoding, Encoding::Delta { depth: 4, .. }));
        assert!(
            delta.payload.len() < 40 && alone.payload.len() > 1000,
            "{} {}",
            delta.payload.len(),
            alone.payload.len()
        );
    }

    #[test]
    fn a_dictionary_that_does_not_help_or_must_not_be_used_is_not() {
        let new = blob(text(100, &[1]));
        let alone = Encoded::new(&new);
        let old = blob(text(100, &[]));
        assert_eq!(Encoded::against(&new, &blob("nothing alike"), 0), alone);
        assert_eq!(Encoded::against(&new, &old, DELTA_DEPTH_MAX), alone);
        assert_eq!(Encoded::against(&new, &new, 0), alone);
        assert_eq!(
            Encoded::against(&new, &Object::new(Kind::Record, old.bytes().clone()), 0),
            alone
        );
        let with_tables = blob([&DICTIONARY_MAGIC[..], old.bytes()].concat());
        assert_eq!(Encoded::against(&new, &with_tables, 0), alone);
        assert_eq!(Encoded::against(&blob(""), &old, 0).encoding, Encoding::Raw);
    }

    #[test]
    fn a_frame_of_another_length_is_refused() {
        let object = blob(text(100, &[]));
        let encoded = Encoded::new(&object);
        let len = object.bytes().len() as u32;
        let with = |len| {
            Encoded {
                encoding: Encoding::Zstd { len },
                ..encoded.clone()
            }
            .decompress(None)
            .unwrap_err()
        };
        insta::assert_snapshot!(with(len - 1), @"the frame cannot be decompressed: Destination buffer is too small");
        assert_eq!(
            with(len + 1),
            format!("{} bytes are declared, the frame gives {len}", len + 1)
        );
        insta::assert_snapshot!(with(u32::MAX), @"4294967295 bytes, a blob has at most 16777216");
        let cut = Encoded {
            payload: encoded.payload.slice(..10),
            ..encoded.clone()
        };
        assert!(cut.decompress(None).is_err());
        let other = Encoded {
            id: blob("x").id(),
            ..encoded.clone()
        };
        assert_eq!(
            other.open(None).unwrap_err(),
            format!("its bytes hash to {}", object.id())
        );
    }

    fn check_header(encoding: Encoding) {
        let mut bytes = Vec::new();
        encoding.write_header(&mut bytes);
        assert_eq!(Encoding::header_len(bytes[0]), Ok(bytes.len()));
        bytes.extend_from_slice(b"rest");
        assert_eq!(Encoding::read_header(&bytes), Ok((encoding, &b"rest"[..])));
    }

    proptest! {
        #[test]
        fn headers_round_trip(len: u32, shift in 0..32_u32, base: [u8; 32], depth in 1..=DELTA_DEPTH_MAX) {
            let (len, base) = (len >> shift, ObjectId::from_bytes(base));
            check_header(Encoding::Raw);
            check_header(Encoding::Zstd { len });
            check_header(Encoding::Delta { len, base, depth });
        }

        #[test]
        fn a_header_that_reads_is_the_only_one(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok((encoding, rest)) = Encoding::read_header(&bytes) {
                let mut again = Vec::new();
                encoding.write_header(&mut again);
                again.extend_from_slice(rest);
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn what_is_encoded_decodes(old: Vec<u8>, new: Vec<u8>, changed in 0..150_usize) {
            for (old, new) in [(old, new), (text(100, &[]), text(100, &[changed]))] {
                let (old, new) = (blob(old), blob(new));
                prop_assert_eq!(&Encoded::new(&new).open(None).unwrap(), &new);
                prop_assert_eq!(&Encoded::against(&new, &old, 0).open(Some(old.bytes())).unwrap(), &new);
            }
        }

        #[test]
        fn no_frame_panics(payload: Vec<u8>, len in 0..5000_u32, base: Vec<u8>) {
            let id = ObjectId::from_bytes([1; 32]);
            for encoding in [Encoding::Raw, Encoding::Zstd { len }, Encoding::Delta { len, base: id, depth: 1 }] {
                let encoded = Encoded { kind: Kind::Blob, id, encoding, payload: payload.clone().into() };
                if let Ok(bytes) = encoded.decompress(Some(&base)) {
                    prop_assert!(encoding.declared_len().is_none_or(|len| len as usize == bytes.len()));
                }
            }
        }
    }
}
