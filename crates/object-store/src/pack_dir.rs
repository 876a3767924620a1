//! Objects in a directory of packs, for a working copy: no database, any number of readers, one writer.
//!
//! Every put is a pack of its own, `NUMBER-BORN.pack`, beside a sorted index `NUMBER-BORN.idx`. Later packs
//! come first in look-ups. A pack appears under its name whole or not at all; an index that is missing or
//! damaged is made again from its pack.
//!
//! INVARIANT: a pack is never changed. What is cut or changed in one by the disk is an error that names the
//! file when it is opened, or the object when it is read; nothing of it is served.
//!
//! It does not lock the directory: that only one process puts at a time is up to its caller.

mod index;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::index::fuzz_index;
use self::index::{Index, Place};
use crate::backend::{BackendError, ObjectBackend, Stored};
use crate::chain;
use crate::encoding::Encoded;
use crate::id::ObjectId;
use crate::object::Kind;
use crate::pack::{PackError, PackLimits, PackReader, PackWriter};

/// Why a directory of packs cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PackDirError {
    /// The disk said no.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What was said.
        #[source]
        source: io::Error,
    },
    /// A pack was cut or changed. What it held has to be fetched again.
    #[error("the pack {} is damaged; remove it and fetch its objects again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where and how.
        #[source]
        source: PackError,
    },
}

/// Keeps objects as packs in a directory.
#[derive(Debug)]
pub struct PackDir {
    dir: PathBuf,
    /// By number, ascending.
    packs: RwLock<Vec<Pack>>,
}

#[derive(Debug)]
struct Pack {
    number: u64,
    born: u64,
    file: File,
    index: Index,
}

const PACK: &str = "pack";
const INDEX: &str = "idx";
const TEMPORARY: &str = "tmp";

impl PackDir {
    /// Opens the directory, which is made if it is not there, and the index of every pack in it.
    ///
    /// # Errors
    /// The disk fails, or a pack is damaged.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, PackDirError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        let mut packs = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let path = entry.map_err(failed("list", &dir))?.path();
            if let Some((number, born)) = parse_name(&path) {
                packs.push(open_pack(&path, number, born)?);
            }
        }
        packs.sort_by_key(|pack: &Pack| pack.number);
        Ok(Self {
            dir,
            packs: RwLock::new(packs),
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// How many packs it has.
    ///
    /// # Errors
    /// A writer panicked.
    pub fn packs(&self) -> Result<usize, BackendError> {
        Ok(self.packs.read().map_err(lock_failed)?.len())
    }

    fn write_pack(&self, objects: &[Encoded], born: u64, after: u64) -> Result<Pack, PackDirError> {
        self.remove_leftovers()?;
        let temporary = self.dir.join(format!("{PACK}.{TEMPORARY}"));
        let mut places = Vec::with_capacity(objects.len());
        let mut write = || -> io::Result<File> {
            let mut writer = PackWriter::new(BufWriter::new(create(&temporary)?))?;
            for object in objects {
                let start = writer.position();
                writer.write(object)?;
                places.push(Place::new(
                    object.kind,
                    object.id,
                    start,
                    writer.position() - start,
                ));
            }
            let file = writer
                .finish()?
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = write().map_err(failed("write", &temporary))?;
        let (number, path) = self.give_name(&temporary, born, after)?;
        let index = Index::new(places, &file).map_err(failed("read", &path))?;
        save_index(&index, &path)?;
        Ok(Pack {
            number,
            born,
            file,
            index,
        })
    }

    /// Gives the finished pack the first free number. A link fails where the name is taken; a rename would
    /// replace what another process has put there.
    fn give_name(
        &self,
        temporary: &Path,
        born: u64,
        after: u64,
    ) -> Result<(u64, PathBuf), PackDirError> {
        let mut number = after;
        loop {
            number += 1;
            let path = self.dir.join(format!("{number:08}-{born:x}.{PACK}"));
            match fs::hard_link(temporary, &path) {
                Ok(()) => {
                    fs::remove_file(temporary).map_err(failed("remove", temporary))?;
                    sync_dir(&self.dir).map_err(failed("sync", &self.dir))?;
                    return Ok((number, path));
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed("name", &path)(e)),
            }
        }
    }

    /// Removes what a writer that was stopped has left behind.
    fn remove_leftovers(&self) -> Result<(), PackDirError> {
        for name in [PACK, INDEX] {
            let path = self.dir.join(format!("{name}.{TEMPORARY}"));
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl ObjectBackend for PackDir {
    fn get(&self, kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
        get(&self.packs.read().map_err(lock_failed)?, kind, id)
    }

    fn put(&self, objects: &[Encoded], born: u64) -> Result<(), BackendError> {
        let mut packs = self.packs.write().map_err(lock_failed)?;
        let settled = chain::settle(&|kind, id| get(&packs, kind, id), objects, born)?;
        let mut seen = BTreeSet::new();
        let once: Vec<Encoded> = settled
            .into_iter()
            .filter(|object| seen.insert((object.kind, object.id)))
            .collect();
        if once.is_empty() {
            return Ok(());
        }
        let after = packs.last().map_or(0, |pack| pack.number);
        let pack = self
            .write_pack(&once, born, after)
            .map_err(|e| BackendError::Io {
                action: "write a pack",
                source: e.into(),
            })?;
        packs.push(pack);
        Ok(())
    }

    fn ids(
        &self,
        kind: Kind,
        range: &RangeInclusive<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectId>, BackendError> {
        let packs = self.packs.read().map_err(lock_failed)?;
        let mut ids = BTreeSet::new();
        for pack in packs.iter() {
            ids.extend(pack.index.ids(kind, range).take(limit));
        }
        Ok(ids.into_iter().take(limit).collect())
    }
}

fn get(packs: &[Pack], kind: Kind, id: &ObjectId) -> Result<Option<Stored>, BackendError> {
    let Some((pack, place)) = packs
        .iter()
        .rev()
        .find_map(|pack| Some((pack, pack.index.find(kind, id)?)))
    else {
        return Ok(None);
    };
    let mut frame = vec![0; place.len()];
    pack.file
        .read_exact_at(&mut frame, place.offset())
        .map_err(|e| BackendError::Io {
            action: "read a pack",
            source: e.into(),
        })?;
    let corrupt = |reason: String| BackendError::Corrupt {
        kind,
        id: *id,
        reason,
    };
    let encoded = Encoded::from_frame(&frame.into()).map_err(corrupt)?;
    if (encoded.kind, encoded.id) != (kind, *id) {
        return Err(corrupt(format!(
            "its place in pack {} has {} {}",
            pack.number, encoded.kind, encoded.id
        )));
    }
    Ok(Some(Stored {
        born: pack.born,
        encoding: encoded.encoding,
        payload: encoded.payload,
    }))
}

fn open_pack(path: &Path, number: u64, born: u64) -> Result<Pack, PackDirError> {
    let file = File::open(path).map_err(failed("open", path))?;
    let kept = fs::read(path.with_extension(INDEX)).ok();
    let index = match kept.and_then(|bytes| Index::read(bytes.into(), &file)) {
        Some(index) => index,
        None => {
            let index = index_from_pack(&file, path)?;
            // A directory that cannot be written to is read all the same.
            let _not_saved = save_index(&index, path);
            index
        }
    };
    Ok(Pack {
        number,
        born,
        file,
        index,
    })
}

/// Reads a whole pack, which verifies its hash, for the places of its objects.
fn index_from_pack(file: &File, path: &Path) -> Result<Index, PackDirError> {
    let limits = PackLimits {
        objects_max: u64::MAX,
        wire_bytes_max: u64::MAX,
        raw_bytes_max: u64::MAX,
        blob_bytes_max: u32::MAX,
        ratio_max: u64::MAX,
    };
    let damaged = |source| PackDirError::Damaged {
        path: path.to_owned(),
        source,
    };
    let mut reader = PackReader::new(io::BufReader::new(file), &limits).map_err(damaged)?;
    let mut places = Vec::new();
    loop {
        let start = reader.position();
        match reader.next_frame().map_err(damaged)? {
            None => break,
            Some(frame) => places.push(Place::new(
                frame.kind,
                frame.id,
                start,
                reader.position() - start,
            )),
        }
    }
    let end = reader.position();
    let len = file.metadata().map_err(failed("read", path))?.len();
    if end != len {
        let reason = format!("the pack ends here, the file has {len} bytes");
        return Err(damaged(PackError::Format {
            offset: end,
            reason,
        }));
    }
    Index::new(places, file).map_err(failed("read", path))
}

fn save_index(index: &Index, pack: &Path) -> Result<(), PackDirError> {
    let path = pack.with_extension(INDEX);
    let temporary = pack.with_file_name(format!("{INDEX}.{TEMPORARY}"));
    let write = || -> io::Result<()> {
        let mut file = create(&temporary)?;
        file.write_all(index.bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_dir(path.parent().unwrap_or(Path::new(".")))
    };
    write().map_err(failed("write", &path))
}

fn create(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Number and birth, of a name that is a pack's.
fn parse_name(path: &Path) -> Option<(u64, u64)> {
    if path.extension()? != PACK {
        return None;
    }
    let (number, born) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((number.parse().ok()?, u64::from_str_radix(born, 16).ok()?))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackDirError {
    let path = path.to_owned();
    move |source| PackDirError::Io {
        action,
        path,
        source,
    }
}

fn lock_failed<T>(_: PoisonError<T>) -> BackendError {
    BackendError::Io {
        action: "lock the directory of packs",
        source: "a writer panicked".into(),
    }
}

#[cfg(test)]
mod tests;
