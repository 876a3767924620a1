//! Bundles: objects that were compressed together, and lists of what is in them (`docs/FORMAT-backup.md`,
//! "Bundles").
//!
//! Versions of a page differ by little. Compressed together, each takes little more than what is new in it, so
//! that nothing has to be written against anything that is elsewhere.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use bytes::Bytes;
use confman_object_store::id::ID_BYTES;
use confman_object_store::{Kind, Object, ObjectId};

use crate::BackupError;
use crate::point::BundleLine;

/// Where bundles are.
pub(crate) const BUNDLES: &str = "bundles/";
/// What names of bundles and of their lists end with.
pub(crate) const BUNDLE: &str = ".bundle";
pub(crate) const LIST: &str = ".ids";

/// A bundle is closed when its objects have so many bytes.
pub const BUNDLE_BYTES: usize = 48 << 20;
/// Most bytes of the file of a bundle: all of its objects, and the largest one more, if nothing can be compressed.
pub const BUNDLE_FILE_BYTES_MAX: u64 = 72 << 20;
/// Most bytes that a bundle unpacks to.
const UNPACKED_BYTES_MAX: u64 = (BUNDLE_BYTES + (20 << 20)) as u64;

const MAGIC: [u8; 8] = *b"CFBB\x01\0\0\0";
const LIST_MAGIC: [u8; 8] = *b"CFBI\x01\0\0\0";
const NAME_CONTEXT: &str = "confman 2026 backup bundle v1";
const LIST_CONTEXT: &str = "confman 2026 backup ids v1";
const LEVEL: i32 = 3;
/// The window holds all of a bundle: what was alike is found however far apart it is.
const WINDOW_LOG: u32 = 26;
/// Kind, id and length before each object.
const HEAD_BYTES: usize = 1 + ID_BYTES + 4;
/// Kind and id in a list.
const ENTRY_BYTES: usize = 1 + ID_BYTES;
/// Bytes of the hash at the end of a list.
const SUM_BYTES: usize = 32;

/// The file of a bundle.
pub(crate) fn bundle_file(name: &str) -> String {
    format!("{BUNDLES}{name}{BUNDLE}")
}

/// The file of its list.
pub(crate) fn list_file(name: &str) -> String {
    format!("{BUNDLES}{name}{LIST}")
}

/// The name of the bundle that a file is, if it is one.
pub(crate) fn name_of(file: &str) -> Option<&str> {
    let name = file.strip_prefix(BUNDLES)?.strip_suffix(BUNDLE)?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (name.len() == 64 && name.bytes().all(is_hex)).then_some(name)
}

/// Objects that are being gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    plain: Vec<u8>,
    ids: BTreeSet<(Kind, ObjectId)>,
}

/// A bundle that is ready to be written.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) line: BundleLine,
    pub(crate) file: Bytes,
    pub(crate) list: Bytes,
}

impl Gathering {
    pub(crate) fn add(&mut self, object: &Object) {
        if !self.ids.insert((object.kind(), object.id())) {
            return;
        }
        let length = u32::try_from(object.bytes().len()).unwrap_or(u32::MAX);
        self.plain.push(object.kind().into());
        self.plain.extend_from_slice(object.id().as_bytes());
        self.plain.extend_from_slice(&length.to_le_bytes());
        self.plain.extend_from_slice(object.bytes());
    }

    pub(crate) fn is_full(&self) -> bool {
        self.plain.len() >= BUNDLE_BYTES
    }

    /// Compresses and names what was gathered; `None` where that is nothing.
    pub(crate) fn close(self) -> Result<Option<Closed>, BackupError> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        let file = compress(&self.plain).map_err(|source| BackupError::Io {
            action: "compressing a bundle",
            source,
        })?;
        let line = BundleLine {
            name: name(&file),
            bytes: file.len() as u64,
            objects: self.ids.len() as u64,
        };
        Ok(Some(Closed {
            line,
            file,
            list: encode_list(&self.ids),
        }))
    }
}

fn compress(plain: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = zstd::stream::Encoder::new(MAGIC.to_vec(), LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.set_pledged_src_size(Some(plain.len() as u64))?;
    encoder.include_contentsize(true)?;
    encoder.write_all(plain)?;
    Ok(encoder.finish()?.into())
}

/// What a bundle with these bytes is called.
pub(crate) fn name(file: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(NAME_CONTEXT);
    hasher.update(file);
    hasher.finalize().to_hex().to_string()
}

/// Reads a bundle: its file must hash to its name, and every object to its id.
pub(crate) fn read(
    line: &str,
    file: &Bytes,
    visit: &mut dyn FnMut(Object) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let damaged = |reason: String| BackupError::Damaged {
        file: bundle_file(line),
        reason,
    };
    if name(file) != line {
        return Err(damaged(
            "its bytes do not hash to its name: it was changed or cut".to_owned(),
        ));
    }
    let packed = file
        .strip_prefix(MAGIC.as_slice())
        .ok_or_else(|| damaged("it is no bundle of a version known here".to_owned()))?;
    let unpacking = |error: std::io::Error| damaged(format!("it cannot be unpacked: {error}"));
    let decoder = zstd::stream::Decoder::new(packed).map_err(unpacking)?;
    let mut plain = decoder.take(UNPACKED_BYTES_MAX);
    let mut head = [0; HEAD_BYTES];
    while filled(&mut plain, &mut head).map_err(unpacking)? {
        let (kind, id, length) =
            read_head(&head).ok_or_else(|| damaged("it has a kind that is none".to_owned()))?;
        if length > kind.bytes_max() {
            return Err(damaged(format!(
                "{kind} {id} is larger than its kind may be"
            )));
        }
        let mut bytes = vec![0; length];
        plain.read_exact(&mut bytes).map_err(unpacking)?;
        let object = Object::new(kind, bytes);
        if object.id() != id {
            return Err(damaged(format!("what is there as {kind} {id} is not that")));
        }
        visit(object)?;
    }
    Ok(())
}

/// Fills the buffer; `false` at the end.
fn filled(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    let (first, rest) = match buffer.split_first_mut() {
        Some(parts) => parts,
        None => return Ok(false),
    };
    if from.read(std::slice::from_mut(first))? == 0 {
        return Ok(false);
    }
    from.read_exact(rest).map(|()| true)
}

fn read_head(head: &[u8; HEAD_BYTES]) -> Option<(Kind, ObjectId, usize)> {
    let (number, rest) = head.split_first()?;
    let (id, length) = rest.split_first_chunk::<ID_BYTES>()?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    Some((
        Kind::from_number(*number)?,
        ObjectId::from_bytes(*id),
        usize::try_from(length).ok()?,
    ))
}

/// The list of a bundle.
pub(crate) fn encode_list(ids: &BTreeSet<(Kind, ObjectId)>) -> Bytes {
    let mut list = Vec::with_capacity(16 + ids.len() * ENTRY_BYTES + SUM_BYTES);
    list.extend_from_slice(&LIST_MAGIC);
    list.extend_from_slice(&(ids.len() as u64).to_le_bytes());
    for (kind, id) in ids {
        list.push((*kind).into());
        list.extend_from_slice(id.as_bytes());
    }
    let sum = list_sum(&list);
    list.extend_from_slice(&sum);
    list.into()
}

/// Reads a list; `None` where it is none.
pub(crate) fn decode_list(list: &[u8]) -> Option<Vec<(Kind, ObjectId)>> {
    let (body, sum) = list.split_at_checked(list.len().checked_sub(SUM_BYTES)?)?;
    if list_sum(body) != sum {
        return None;
    }
    let rest = body.strip_prefix(LIST_MAGIC.as_slice())?;
    let (count, entries) = rest.split_first_chunk::<8>()?;
    let ids: Vec<(Kind, ObjectId)> = entries
        .chunks_exact(ENTRY_BYTES)
        .map(|entry| {
            let (number, id) = entry.split_first()?;
            let id = <[u8; ID_BYTES]>::try_from(id).ok()?;
            Some((Kind::from_number(*number)?, ObjectId::from_bytes(id)))
        })
        .collect::<Option<_>>()?;
    let whole = entries.len() == ids.len() * ENTRY_BYTES;
    (whole && u64::from_le_bytes(*count) == ids.len() as u64).then_some(ids)
}

fn list_sum(body: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key(LIST_CONTEXT);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Vec<Object> {
        let text = |n: u32| format!("version {n} of what is otherwise the same for a long time");
        (0..200)
            .map(|n| Object::new(Kind::Blob, text(n).into_bytes()))
            .collect()
    }

    fn closed() -> Closed {
        let mut gathering = Gathering::default();
        for object in objects().iter().chain(&objects()) {
            gathering.add(object);
        }
        gathering.close().unwrap().unwrap()
    }

    #[test]
    fn what_is_alike_is_compressed_together_and_read_in_order() {
        let closed = closed();
        assert_eq!(closed.line.objects, 200);
        assert!(closed.line.bytes < 3000 + 40 * 200, "{}", closed.line.bytes);
        let mut read_objects = Vec::new();
        read(&closed.line.name, &closed.file, &mut |object| {
            read_objects.push(object);
            Ok(())
        })
        .unwrap();
        assert_eq!(read_objects, objects());
        let mut ids: Vec<_> = objects().iter().map(|o| (o.kind(), o.id())).collect();
        ids.sort();
        assert_eq!(decode_list(&closed.list), Some(ids));
        assert!(Gathering::default().close().unwrap().is_none());
    }

    #[test]
    fn any_other_byte_is_found() {
        let closed = closed();
        for place in [0, 9, closed.file.len() / 2, closed.file.len() - 1] {
            let mut file = closed.file.to_vec();
            file[place] ^= 1;
            let wrong = read(&closed.line.name, &file.into(), &mut |_| Ok(()));
            assert!(wrong.unwrap_err().to_string().contains(".bundle: "));
        }
        for place in 0..closed.list.len() {
            let mut list = closed.list.to_vec();
            list[place] ^= 1;
            assert_eq!(decode_list(&list), None, "{place}");
            assert_eq!(decode_list(closed.list.get(..place).unwrap()), None);
        }
    }

    #[test]
    fn an_object_that_is_not_what_it_claims_is_named() {
        let object = &objects()[0];
        let mut gathering = Gathering::default();
        gathering.add(object);
        let last = gathering.plain.len() - 1;
        gathering.plain[last] ^= 1;
        let closed = gathering.close().unwrap().unwrap();
        let wrong = read(&closed.line.name, &closed.file, &mut |_| Ok(())).unwrap_err();
        let wrong = wrong.to_string();
        assert!(
            wrong.contains(&format!("blob {} is not that", object.id())),
            "{wrong}"
        );
    }
}
