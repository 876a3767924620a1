//! The data directory: one process at a time, one format, two databases that belong together.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use fs4::TryLockError;

use crate::node::OpenError;

/// Version of the directory's layout that this software writes and reads.
pub const FORMAT: u32 = 1;

const LOCK: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
/// Says why the node in this directory must not start again.
const REMOVED: &str = "removed";
/// Says in what this directory is not what its cluster agreed on.
const DIFFERS: &str = "differs";
/// Says what of this directory has not ended.
const UNFINISHED: &str = "unfinished";
const FORMAT_PREFIX: &str = "confman data format ";
/// Most bytes of these two files that are read.
const TEXT_BYTES_MAX: u64 = 256;

/// What a directory is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To run a node on it, or to look into it: it must be whole, and what its cluster agreed on.
    Serve,
    /// To complete what a restore has made.
    Complete,
    /// To make it what its cluster agreed on.
    Heal,
}

/// A data directory that this process holds.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Holds the lock as long as it is open.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, locks it and checks its format.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_as(path, Purpose::Serve)
    }

    /// As [`Self::open`], for a purpose that may need less.
    pub(crate) fn open_as(path: &Path, purpose: Purpose) -> Result<Self, OpenError> {
        let failed = |action: &str, source: io::Error| io_error(path, action, source);
        fs::create_dir_all(path).map_err(|error| failed("make it", error))?;
        let lock_path = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| failed("open its lock file", error))?;
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: path.to_owned(),
                    owner: owner(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock it", error)),
        }
        if let Some(reason) =
            read_note(path, REMOVED).map_err(|error| failed("read its note", error))?
        {
            return Err(OpenError::Removed {
                path: path.to_owned(),
                reason,
            });
        }
        if let Some(reason) =
            read_note(path, UNFINISHED).map_err(|error| failed("read its note", error))?
            && purpose != Purpose::Complete
        {
            return Err(OpenError::Unfinished {
                path: path.to_owned(),
                reason,
            });
        }
        if let Some(reason) = Self::differs(path).map_err(|error| failed("read its note", error))?
            && purpose != Purpose::Heal
        {
            return Err(OpenError::Differs {
                path: path.to_owned(),
                reason,
            });
        }
        check_format(path)?;
        let note = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note(&mut lock).map_err(|error| failed("write its lock file", error))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that the node in it must not start again.
    pub(crate) fn note_removed(path: &Path, reason: &str) -> io::Result<()> {
        write_note(path, REMOVED, reason)
    }

    /// Notes that what is in it is not what its cluster agreed on.
    pub(crate) fn note_differs(path: &Path, reason: &str) -> io::Result<()> {
        write_note(path, DIFFERS, reason)
    }

    /// In what it is not what its cluster agreed on, where it is not.
    pub(crate) fn differs(path: &Path) -> io::Result<Option<String>> {
        read_note(path, DIFFERS)
    }

    /// It is what its cluster agreed on.
    pub(crate) fn note_healed(path: &Path) -> io::Result<()> {
        remove_note(path, DIFFERS)
    }

    /// Notes that what is being made of it has not ended.
    pub(crate) fn note_unfinished(path: &Path, what: &str) -> io::Result<()> {
        write_note(path, UNFINISHED, what)
    }

    /// What was being made of it has ended.
    pub(crate) fn note_finished(path: &Path) -> io::Result<()> {
        remove_note(path, UNFINISHED)
    }

    /// Where the log is.
    pub(crate) fn raft(&self) -> PathBuf {
        self.path.join("raft")
    }

    /// Where the objects and refs are.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }
}

/// An error of the system about this directory.
pub(crate) fn io_error(
    path: &Path,
    action: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        action: action.to_owned(),
        source: source.into(),
    }
}

fn owner(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.take(TEXT_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Reads the format, or writes it in a directory that is new.
fn check_format(path: &Path) -> Result<(), OpenError> {
    let file = path.join(FORMAT_FILE);
    let damaged = |reason: String| OpenError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    match File::open(&file).and_then(|file| file.take(TEXT_BYTES_MAX).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.join("raft").exists() || path.join("data").exists() {
                return Err(damaged(format!(
                    "there is a store, but no file {FORMAT_FILE}"
                )));
            }
            return write_format(path).map_err(|error| io_error(path, "write its format", error));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(format!("{FORMAT_FILE} is not text")));
        }
        Err(error) => return Err(io_error(path, "read its format", error)),
    }
    let Some(found) = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|rest| rest.trim_end().parse::<u32>().ok())
    else {
        return Err(damaged(format!(
            "{FORMAT_FILE} is not `{FORMAT_PREFIX}` and a number"
        )));
    };
    if found > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: FORMAT,
        });
    }
    Ok(())
}

fn write_format(path: &Path) -> io::Result<()> {
    write_note(path, FORMAT_FILE, &format!("{FORMAT_PREFIX}{FORMAT}"))
}

/// A line of text in a file of its own; `None` where there is no such file.
pub(crate) fn read_note(directory: &Path, name: &str) -> io::Result<Option<String>> {
    let mut text = String::new();
    let read = File::open(directory.join(name))
        .and_then(|file| file.take(TEXT_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Written aside, synced, renamed, and the directory synced: it is there whole or not at all.
pub(crate) fn write_note(directory: &Path, name: &str, line: &str) -> io::Result<()> {
    let aside = directory.join(format!("{name}.new"));
    let mut file = File::create(&aside)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    fs::rename(&aside, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Gone after this, whatever happens.
pub(crate) fn remove_note(directory: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::open(directory)?.sync_all()
}
