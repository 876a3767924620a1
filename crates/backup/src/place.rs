//! A place with backups: its points, and the bundles that they take.

use bytes::Bytes;

use crate::BackupError;
use crate::bundle::{BUNDLE_FILE_BYTES_MAX, bundle_file};
use crate::point::{POINTS, Point, PointName};
use crate::storage::Storage;

/// The file that makes a place one for backups.
const FORMAT_FILE: &str = "confman-backup";
const FORMAT_PREFIX: &str = "confman backup format ";
/// The version that is written here.
const FORMAT: u32 = 1;
/// Most bytes of that file that are read.
const FORMAT_BYTES_MAX: u64 = 256;
/// Most bytes of a point.
const POINT_BYTES_MAX: u64 = 16 << 20;

/// A place with backups.
#[derive(Debug)]
pub struct Backup {
    pub(crate) storage: Box<dyn Storage>,
}

/// A point, or why it cannot be read.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: PointName,
    /// What it says.
    pub point: Result<Point, BackupError>,
}

impl Backup {
    /// A place that has backups.
    ///
    /// # Errors
    /// There are none, they are of a newer version, or the storage fails.
    pub fn open(storage: Box<dyn Storage>) -> Result<Self, BackupError> {
        let backup = Self { storage };
        match backup.format()? {
            true => Ok(backup),
            false => Err(BackupError::Nothing {
                place: backup.place(),
            }),
        }
    }

    /// A place that has backups, or is empty and is to have some.
    ///
    /// # Errors
    /// There is something else, or as [`Self::open`].
    pub fn open_or_begin(storage: Box<dyn Storage>) -> Result<Self, BackupError> {
        let backup = Self { storage };
        if backup.format()? {
            return Ok(backup);
        }
        if !backup.storage.list("")?.is_empty() {
            return Err(BackupError::NoBackup {
                place: backup.place(),
            });
        }
        let text = format!("{FORMAT_PREFIX}{FORMAT}\n");
        backup.storage.write(FORMAT_FILE, &text.into())?;
        Ok(backup)
    }

    pub(crate) fn place(&self) -> String {
        self.storage.place().to_owned()
    }

    /// Whether it says that it is a place for backups.
    fn format(&self) -> Result<bool, BackupError> {
        let Some(bytes) = self.storage.read(FORMAT_FILE, FORMAT_BYTES_MAX)? else {
            return Ok(false);
        };
        let found = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.strip_prefix(FORMAT_PREFIX)?.trim_end().parse().ok());
        match found {
            Some(FORMAT) => Ok(true),
            Some(found) if found > FORMAT => Err(BackupError::NewerFormat {
                place: self.place(),
                found,
                supported: FORMAT,
            }),
            _ => Err(BackupError::Damaged {
                file: FORMAT_FILE.to_owned(),
                reason: format!("it is not `{FORMAT_PREFIX}` and a number"),
            }),
        }
    }

    /// The names of the points, oldest first. Files with other names are left alone.
    ///
    /// # Errors
    /// The storage fails.
    pub fn points(&self) -> Result<Vec<PointName>, BackupError> {
        let files = self.storage.list(POINTS)?;
        let mut names: Vec<PointName> = files
            .iter()
            .filter_map(|file| PointName::parse(&file.name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Every point, oldest first.
    ///
    /// # Errors
    /// The storage fails.
    pub fn list(&self) -> Result<Vec<Listed>, BackupError> {
        let names = self.points()?.into_iter();
        names
            .map(|name| match self.point(&name) {
                Err(BackupError::Storage(error)) => Err(error.into()),
                point => Ok(Listed { name, point }),
            })
            .collect()
    }

    /// What a point says.
    ///
    /// # Errors
    /// It is not there, or is damaged.
    pub fn point(&self, name: &PointName) -> Result<Point, BackupError> {
        let file = name.file();
        let bytes = self
            .storage
            .read(&file, POINT_BYTES_MAX)?
            .ok_or_else(|| missing(&file))?;
        let point = Point::decode(&file, &bytes)?;
        match PointName::of(&point.head) == *name {
            true => Ok(point),
            false => Err(BackupError::Damaged {
                file,
                reason: "it is the point of another operation".to_owned(),
            }),
        }
    }

    /// The newest point; or the one as of this operation's number.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, sequence: Option<u64>) -> Result<PointName, BackupError> {
        let names = self.points()?;
        let found = match sequence {
            None => names.last(),
            Some(sequence) => names.iter().rfind(|name| name.sequence == sequence),
        };
        found.cloned().ok_or_else(|| match sequence {
            None => BackupError::Nothing {
                place: self.place(),
            },
            Some(sequence) => BackupError::NotFound {
                place: self.place(),
                what: format!("is as of operation {sequence}"),
            },
        })
    }

    /// The file of a bundle.
    pub(crate) fn bundle(&self, name: &str) -> Result<Bytes, BackupError> {
        let file = bundle_file(name);
        self.storage
            .read(&file, BUNDLE_FILE_BYTES_MAX)?
            .ok_or_else(|| missing(&file))
    }
}

fn missing(file: &str) -> BackupError {
    BackupError::Damaged {
        file: file.to_owned(),
        reason: "it is missing".to_owned(),
    }
}
