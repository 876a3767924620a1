//! Where a backup is, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::storage::{DirectoryStorage, S3Storage, Storage, StorageError};

/// Where a backup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory.
    Directory(PathBuf),
    /// Below a prefix in a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
}

/// Why a text names no place for backups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Nothing is named.
    #[error("a directory, or `s3://BUCKET/PREFIX`, is needed")]
    Empty,
    /// Another sort of storage.
    #[error("`{0}` is no place for backups: a directory or `s3://BUCKET/PREFIX` is needed")]
    Unknown(String),
    /// A bucket or prefix that cannot be one.
    #[error("`{0}` names no bucket and prefix: `s3://BUCKET/PREFIX` without empty parts is needed")]
    Bucket(String),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let odd = |part: &str| part.is_empty() || matches!(part, "." | "..");
            if bucket.is_empty() || (!prefix.is_empty() && prefix.split('/').any(odd)) {
                return Err(LocationError::Bucket(text.to_owned()));
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
        match text.strip_prefix("file://") {
            Some(path) => Ok(Self::Directory(path.into())),
            None if text.contains("://") => Err(LocationError::Unknown(text.to_owned())),
            None => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Location {
    /// The storage there; nothing is read yet.
    ///
    /// # Errors
    /// What the environment says of the storage is not enough.
    pub fn storage(&self) -> Result<Box<dyn Storage>, StorageError> {
        Ok(match self {
            Self::Directory(path) => Box::new(DirectoryStorage::new(path)),
            Self::S3 { bucket, prefix } => Box::new(S3Storage::new(bucket, prefix)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Location>() {
            Ok(location) => format!("{location:?} {location}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn directories_and_buckets_are_told_apart() {
        insta::assert_snapshot!(read("/var/backup"), @r#"Directory("/var/backup") /var/backup"#);
        insta::assert_snapshot!(read("file:///var/backup"), @r#"Directory("/var/backup") /var/backup"#);
        insta::assert_snapshot!(read("s3://bucket"), @r#"S3 { bucket: "bucket", prefix: "" } s3://bucket"#);
        insta::assert_snapshot!(read("s3://bucket/a/b/"), @r#"S3 { bucket: "bucket", prefix: "a/b" } s3://bucket/a/b"#);
        insta::assert_snapshot!(read("s3:///a"), @"`s3:///a` names no bucket and prefix: `s3://BUCKET/PREFIX` without empty parts is needed");
        insta::assert_snapshot!(read("s3://bucket/a/../b"), @"`s3://bucket/a/../b` names no bucket and prefix: `s3://BUCKET/PREFIX` without empty parts is needed");
        insta::assert_snapshot!(read("gs://bucket"), @"`gs://bucket` is no place for backups: a directory or `s3://BUCKET/PREFIX` is needed");
        insta::assert_snapshot!(read(""), @"a directory, or `s3://BUCKET/PREFIX`, is needed");
    }
}
