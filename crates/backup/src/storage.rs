//! Where the files of a backup are: a directory, or a bucket of an S3-compatible storage.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};

/// How long a request to a storage is tried again.
const RETRY_WITHIN: Duration = Duration::from_secs(60);
/// What files are called while they are written.
const WRITING: &str = ".writing-";
/// A file that was being written so long ago is of a process that is gone.
const WRITING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Who may look into a directory that is made.
const DIRECTORY_MODE: u32 = 0o700;

/// Why a storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {file} in {place}")]
pub struct StorageError {
    /// What was tried.
    pub action: &'static str,
    /// With which file.
    pub file: String,
    /// Where.
    pub place: String,
    /// What was said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A file in a storage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredFile {
    /// Its name, with the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Keeps files by name. A name is `folder/file` or `file`.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The place in words, as it was given.
    fn place(&self) -> &str;

    /// The files whose names begin so, in order; with an empty beginning, all.
    ///
    /// # Errors
    /// The storage fails. What is not there at all has no files.
    fn list(&self, beginning: &str) -> Result<Vec<StoredFile>, StorageError>;

    /// A file; `None` where there is none.
    ///
    /// # Errors
    /// The storage fails, or the file has more bytes than this.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Bytes>, StorageError>;

    /// Writes a file. It is there whole, and durable, or not at all.
    ///
    /// # Errors
    /// The storage fails.
    fn write(&self, name: &str, bytes: &Bytes) -> Result<(), StorageError>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// The storage fails.
    fn remove(&self, name: &str) -> Result<(), StorageError>;
}

/// Files in a directory.
#[derive(Debug)]
pub struct DirectoryStorage {
    root: PathBuf,
    place: String,
}

impl DirectoryStorage {
    /// Uses a directory, which is made when something is written to it.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let place = root.display().to_string();
        Self { root, place }
    }

    fn failed(
        &self,
        action: &'static str,
        file: &str,
    ) -> impl FnOnce(io::Error) -> StorageError + use<> {
        let (file, place) = (file.to_owned(), self.place.clone());
        move |source| StorageError {
            action,
            file,
            place,
            source: source.into(),
        }
    }

    fn list_into(
        &self,
        directory: &Path,
        folder: &str,
        found: &mut Vec<StoredFile>,
    ) -> io::Result<()> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(WRITING) {
                continue;
            }
            let name = format!("{folder}{name}");
            let about = entry.metadata()?;
            match about.is_dir() {
                true => self.list_into(&entry.path(), &format!("{name}/"), found)?,
                false => found.push(StoredFile {
                    name,
                    bytes: about.len(),
                }),
            }
        }
        Ok(())
    }

    fn write_file(&self, path: &Path, bytes: &Bytes) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.root);
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
        remove_leftovers(directory)?;
        let mut file = tempfile::Builder::new()
            .prefix(WRITING)
            .tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()?;
        // The folder itself may be new.
        File::open(&self.root)?.sync_all()
    }
}

/// Removes what a process left behind that was killed while it wrote.
fn remove_leftovers(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_old = entry.file_name().to_string_lossy().starts_with(WRITING)
            && entry
                .metadata()
                .and_then(|about| about.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > WRITING_MAX));
        if is_old {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Storage for DirectoryStorage {
    fn place(&self) -> &str {
        &self.place
    }

    fn list(&self, beginning: &str) -> Result<Vec<StoredFile>, StorageError> {
        let folder = beginning
            .rfind('/')
            .and_then(|end| beginning.get(..=end))
            .unwrap_or_default();
        let mut found = Vec::new();
        self.list_into(&self.root.join(folder), folder, &mut found)
            .map_err(self.failed("list", beginning))?;
        found.retain(|file| file.name.starts_with(beginning));
        found.sort();
        Ok(found)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Bytes>, StorageError> {
        let file = match File::open(self.root.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("open", name)(error)),
        };
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(self.failed("read", name))?;
        match bytes.len() as u64 > bytes_max {
            true => Err(self.failed("read", name)(too_large(bytes_max))),
            false => Ok(Some(bytes.into())),
        }
    }

    fn write(&self, name: &str, bytes: &Bytes) -> Result<(), StorageError> {
        self.write_file(&self.root.join(name), bytes)
            .map_err(self.failed("write", name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name)(error))
            }
            _ => Ok(()),
        }
    }
}

fn too_large(bytes_max: u64) -> io::Error {
    io::Error::other(format!("it has more than {bytes_max} bytes"))
}

/// Files in a bucket, below a prefix. Credentials, region and endpoint come from the environment, as other
/// programs that talk to S3 take them (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
/// `AWS_ENDPOINT_URL`, …).
#[derive(Debug)]
pub struct S3Storage {
    bucket: AmazonS3,
    prefix: String,
    place: String,
    runtime: tokio::runtime::Runtime,
}

impl S3Storage {
    /// Prepares to talk to a bucket; nothing is sent yet.
    ///
    /// # Errors
    /// What the environment says of it is not enough, or the system gives no threads.
    pub fn new(bucket: &str, prefix: &str) -> Result<Self, StorageError> {
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        Self::with(builder, bucket, prefix)
    }

    /// As [`Self::new`], with settings that do not come from the environment.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(
        builder: AmazonS3Builder,
        bucket: &str,
        prefix: &str,
    ) -> Result<Self, StorageError> {
        let place = match prefix {
            "" => format!("s3://{bucket}"),
            prefix => format!("s3://{bucket}/{prefix}"),
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StorageError {
            action: "prepare to talk to",
            file: "the bucket".to_owned(),
            place: place.clone(),
            source,
        };
        let endpoint = builder.get_config_value(&object_store::aws::AmazonS3ConfigKey::Endpoint);
        let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let retry = RetryConfig {
            retry_timeout: RETRY_WITHIN,
            ..RetryConfig::default()
        };
        // Not every storage that speaks S3 removes several files at once.
        let mut builder = builder.with_retry(retry).with_disable_bulk_delete(true);
        if plain {
            // Whoever writes it means it.
            builder = builder.with_allow_http(true);
        }
        let bucket = builder.build().map_err(|error| failed(error.into()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            bucket,
            prefix: prefix.to_owned(),
            place,
            runtime,
        })
    }

    fn path(&self, name: &str) -> object_store::path::Path {
        match self.prefix.as_str() {
            "" => name.into(),
            prefix => format!("{prefix}/{name}").into(),
        }
    }

    fn failed(
        &self,
        action: &'static str,
        file: &str,
    ) -> impl FnOnce(object_store::Error) -> StorageError + use<> {
        let (file, place) = (file.to_owned(), self.place.clone());
        move |error| StorageError {
            action,
            file,
            place,
            source: error.into(),
        }
    }
}

impl Storage for S3Storage {
    fn place(&self) -> &str {
        &self.place
    }

    fn list(&self, beginning: &str) -> Result<Vec<StoredFile>, StorageError> {
        // A listing goes by whole parts of names.
        let folder = beginning
            .rfind('/')
            .and_then(|end| beginning.get(..end))
            .unwrap_or_default();
        let below = self.path(folder);
        let listed = self
            .runtime
            .block_on(self.bucket.list(Some(&below)).try_collect::<Vec<_>>())
            .map_err(self.failed("list", beginning))?;
        let own = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let mut found: Vec<StoredFile> = listed
            .into_iter()
            .filter_map(|about| {
                let name = about.location.as_ref().strip_prefix(&own)?;
                let file = StoredFile {
                    name: name.to_owned(),
                    bytes: about.size,
                };
                name.starts_with(beginning).then_some(file)
            })
            .collect();
        found.sort();
        Ok(found)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Bytes>, StorageError> {
        let path = self.path(name);
        let got = self.runtime.block_on(async {
            let got = self.bucket.get(&path).await?;
            match got.meta.size > bytes_max {
                true => Ok(None),
                false => got.bytes().await.map(Some),
            }
        });
        match got {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => Err(StorageError {
                action: "read",
                file: name.to_owned(),
                place: self.place.clone(),
                source: too_large(bytes_max).into(),
            }),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", name)(error)),
        }
    }

    fn write(&self, name: &str, bytes: &Bytes) -> Result<(), StorageError> {
        let path = self.path(name);
        self.runtime
            .block_on(self.bucket.put(&path, bytes.clone().into()))
            .map(|_| ())
            .map_err(self.failed("write", name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        match self.runtime.block_on(self.bucket.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", name)(error)),
        }
    }
}

#[cfg(test)]
mod tests;
