//! The last document that a server gave, kept on the disk for the time when none answers.
//!
//! ```text
//! confman mirror 1
//! BLAKE3 of everything after this line, 64 hex digits
//! {"namespace", "clusterId", "server", "etag", "index", "filtered", "time"}
//! GET …/config?origin=true, byte for byte
//! ```
//!
//! INVARIANT: the file is readable by its owner alone, and is replaced as a whole.
//! INVARIANT: what is loaded hashes to what the file says, is of the namespace that is asked for,
//! and comes from a file that nobody but its owner can write.
//!
//! The hash shows damage and edits by mistake. It does not protect from who may write the file.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use confman_model::Namespace;
use serde::{Deserialize, Serialize};

use super::document::{Document, Identity};
use super::file::replace_private;

/// Most bytes of the file.
pub const MIRROR_BYTES_MAX: u64 = 256 << 20;
/// How old a confirmation may get before it is written down again.
pub const CONFIRM_INTERVAL: Duration = Duration::from_secs(30);
/// First line of the file.
const MAGIC: &[u8] = b"confman mirror 1\n";
/// What the hash is for.
const HASH_CONTEXT: &str = "confman 2026 mirror v1";
/// Hex digits of the hash that names a file.
const NAME_DIGITS: usize = 16;

/// Where a document is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    path: PathBuf,
}

/// A document that was kept.
#[derive(Debug)]
pub struct Kept {
    /// The document.
    pub document: Document,
    /// When a server last said that it holds.
    pub confirmed: SystemTime,
}

/// Why what was kept cannot be used, or nothing can be kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MirrorError {
    /// It does not hash to what it says, or is not such a file.
    #[error("the kept configuration in {} is damaged and is not used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is of another namespace.
    #[error("the kept configuration in {} is of {actual}, not of {wanted}, and is not used", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Namespace,
        /// What it is of.
        actual: String,
    },
    /// Others can write it.
    #[error("the kept configuration in {} can be written by others and is not used; its mode is {mode:o}, not 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The disk fails.
    #[error("cannot {action} the kept configuration in {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    namespace: String,
    cluster_id: String,
    server: String,
    etag: String,
    index: u64,
    filtered: bool,
    /// Milliseconds since 1970.
    time: u64,
}

impl Mirror {
    /// The file for a namespace of a store that is reached by these URLs, in a directory of
    /// such files.
    #[must_use]
    pub fn in_directory(
        directory: &Path,
        servers: &[impl AsRef<str>],
        namespace: &Namespace,
    ) -> Self {
        let mut urls: Vec<&str> = servers
            .iter()
            .map(|url| url.as_ref().trim_end_matches('/'))
            .collect();
        urls.sort_unstable();
        let text = format!("{}\n{namespace}", urls.join("\n"));
        let hash = blake3::derive_key(HASH_CONTEXT, text.as_bytes());
        let digits = data_encoding::HEXLOWER.encode(&hash);
        let digits = digits.get(..NAME_DIGITS).unwrap_or_default();
        let name = namespace.name().unwrap_or("root");
        Self::at(directory.join(format!("{name}-{digits}.mirror")))
    }

    /// A file by its path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Loads what was kept of a namespace; `None` where nothing was.
    ///
    /// # Errors
    /// It is damaged, of something else, exposed, or cannot be read.
    pub fn load(&self, namespace: &Namespace) -> Result<Option<Kept>, MirrorError> {
        let Some((header, body, modified)) = self.read()? else {
            return Ok(None);
        };
        if header.namespace != namespace.as_str() {
            return Err(MirrorError::Foreign {
                path: self.path.clone(),
                wanted: namespace.clone(),
                actual: header.namespace,
            });
        }
        let received = SystemTime::UNIX_EPOCH + Duration::from_millis(header.time);
        let identity = Identity {
            namespace: namespace.clone(),
            cluster_id: header.cluster_id,
            server: header.server,
            etag: header.etag,
            index: header.index,
            filtered: header.filtered,
        };
        let document = Document::read(identity, body).map_err(|reason| self.damaged(reason))?;
        Ok(Some(Kept {
            document,
            confirmed: received.max(modified),
        }))
    }

    /// Keeps a document, unless a newer one of the same store is there already.
    ///
    /// # Errors
    /// The disk fails; what was there stays.
    pub fn keep(&self, document: &Document, now: SystemTime) -> Result<(), MirrorError> {
        if let Ok(Some((header, ..))) = self.read()
            && header.cluster_id == document.cluster_id
            && header.namespace == document.namespace.as_str()
            && header.index > document.index
        {
            return Ok(());
        }
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let header = Header {
            namespace: document.namespace.to_string(),
            cluster_id: document.cluster_id.clone(),
            server: document.server.clone(),
            etag: document.etag.clone(),
            index: document.index,
            filtered: document.filtered,
            time: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        };
        let mut content = serde_json::to_vec(&header)
            .map_err(|error| self.io("write", std::io::Error::other(error)))?;
        content.push(b'\n');
        content.extend_from_slice(document.body());
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(hash(&content).as_bytes());
        file.push(b'\n');
        file.extend_from_slice(&content);
        replace_private(&self.path, &file).map_err(|source| self.io("write", source))
    }

    /// Notes that what is kept still holds. That it cannot be noted only makes it look older.
    pub(super) fn confirm(&self, before: Option<SystemTime>, now: SystemTime) {
        let is_recent = before
            .and_then(|before| now.duration_since(before).ok())
            .is_some_and(|age| age < CONFIRM_INTERVAL);
        if !is_recent && let Ok(file) = File::options().write(true).open(&self.path) {
            let _ = file.set_modified(now);
        }
    }

    fn read(&self) -> Result<Option<(Header, Bytes, SystemTime)>, MirrorError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("read", error)),
        };
        let found = file.metadata().map_err(|error| self.io("read", error))?;
        self.check_mode(&found)?;
        if found.len() > MIRROR_BYTES_MAX {
            return Err(self.damaged(format!(
                "it has {} bytes, at most {MIRROR_BYTES_MAX} are allowed",
                found.len()
            )));
        }
        let mut bytes = Vec::new();
        file.take(MIRROR_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io("read", error))?;
        let bytes = Bytes::from(bytes);
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let content = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| self.damaged("it does not begin as such a file does".to_owned()))?;
        let (stated, content) =
            split_line(content).ok_or_else(|| self.damaged("it ends early".to_owned()))?;
        if stated != hash(content).as_bytes() {
            return Err(self.damaged("it does not hash to what it says".to_owned()));
        }
        let (header, body) =
            split_line(content).ok_or_else(|| self.damaged("it ends early".to_owned()))?;
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| self.damaged(format!("its header cannot be read: {error}")))?;
        let body = bytes.slice_ref(body);
        Ok(Some((header, body, modified)))
    }

    #[cfg(unix)]
    fn check_mode(&self, found: &fs::Metadata) -> Result<(), MirrorError> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = found.permissions().mode() & 0o777;
        match mode & 0o022 {
            0 => Ok(()),
            _ => Err(MirrorError::Exposed {
                path: self.path.clone(),
                mode,
            }),
        }
    }

    #[cfg(not(unix))]
    fn check_mode(&self, _found: &fs::Metadata) -> Result<(), MirrorError> {
        Ok(())
    }

    fn damaged(&self, reason: String) -> MirrorError {
        MirrorError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }

    fn io(&self, action: &'static str, source: std::io::Error) -> MirrorError {
        MirrorError::Io {
            action,
            path: self.path.clone(),
            source: Arc::new(source),
        }
    }
}

fn hash(content: &[u8]) -> String {
    let hash = blake3::derive_key(HASH_CONTEXT, content);
    data_encoding::HEXLOWER.encode(&hash)
}

/// The bytes before the first line end, and those after it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::document;
    use super::*;

    const ENTRY: &str = r#"{"key":"name","type":"string","value":"x","size":1}"#;

    fn payments() -> Namespace {
        "/teams/payments".parse().unwrap()
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn kept() -> (tempfile::TempDir, Mirror) {
        let folder = tempfile::tempdir().unwrap();
        let servers = ["http://a/", "http://b"];
        let mirror = Mirror::in_directory(&folder.path().join("m"), &servers, &payments());
        mirror.keep(&document(ENTRY, 7), at(1000)).unwrap();
        (folder, mirror)
    }

    #[test]
    fn what_is_kept_comes_back_with_all_that_names_it() {
        let (_folder, mirror) = kept();
        let found = mirror.load(&payments()).unwrap().unwrap();
        let document = found.document;
        assert_eq!(document.string("name").unwrap(), "x");
        assert_eq!(
            (
                document.etag(),
                document.basis(),
                document.index(),
                document.cluster_id()
            ),
            ("\"b7\"", "b7", 7, "c1")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(mirror.path()), 0o600);
            assert_eq!(mode(mirror.path().parent().unwrap()), 0o700);
        }
    }

    #[test]
    fn the_same_servers_in_another_order_have_the_same_file_and_others_another() {
        let name = |servers: &[&str], namespace: &str| {
            let namespace = namespace.parse().unwrap();
            Mirror::in_directory(Path::new("d"), servers, &namespace)
        };
        assert_eq!(
            name(&["http://a", "http://b"], "/x"),
            name(&["http://b/", "http://a/"], "/x")
        );
        assert_ne!(name(&["http://a"], "/x"), name(&["http://b"], "/x"));
        assert_ne!(name(&["http://a"], "/x"), name(&["http://a"], "/y/x"));
    }

    #[test]
    fn an_older_document_does_not_replace_a_newer_one() {
        let (_folder, mirror) = kept();
        mirror.keep(&document("", 6), at(2000)).unwrap();
        assert_eq!(
            mirror.load(&payments()).unwrap().unwrap().document.index(),
            7
        );
        mirror.keep(&document("", 8), at(2000)).unwrap();
        assert_eq!(
            mirror.load(&payments()).unwrap().unwrap().document.index(),
            8
        );
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_found() {
        let (_folder, mirror) = kept();
        let whole = fs::read(mirror.path()).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(mirror.path(), &damaged).unwrap();
            let error = mirror.load(&payments()).unwrap_err();
            assert!(
                matches!(error, MirrorError::Damaged { .. }),
                "byte {at}: {error}"
            );
            fs::write(mirror.path(), &whole[..at]).unwrap();
            let error = mirror.load(&payments()).unwrap_err();
            assert!(
                matches!(error, MirrorError::Damaged { .. }),
                "cut {at}: {error}"
            );
        }
    }

    #[test]
    fn files_of_another_namespace_and_files_that_others_can_write_are_refused() {
        let (_folder, mirror) = kept();
        let other: Namespace = "/teams/billing".parse().unwrap();
        let foreign = mirror.load(&other).unwrap_err();
        assert!(matches!(foreign, MirrorError::Foreign { .. }), "{foreign}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(mirror.path(), fs::Permissions::from_mode(0o666)).unwrap();
            let exposed = mirror.load(&payments()).unwrap_err();
            assert!(
                matches!(exposed, MirrorError::Exposed { mode: 0o666, .. }),
                "{exposed}"
            );
        }
    }

    #[test]
    fn a_confirmation_makes_it_younger() {
        let (_folder, mirror) = kept();
        let now = SystemTime::now() + Duration::from_secs(1000);
        mirror.confirm(None, now);
        let confirmed = mirror.load(&payments()).unwrap().unwrap().confirmed;
        let off = now.duration_since(confirmed).unwrap_or_default();
        assert!(off < Duration::from_secs(1), "{off:?}");
        mirror.confirm(Some(now), now + CONFIRM_INTERVAL / 2);
        assert_eq!(
            mirror.load(&payments()).unwrap().unwrap().confirmed,
            confirmed
        );
    }

    #[test]
    fn nothing_kept_is_nothing_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::at(folder.path().join("x"));
        assert!(mirror.load(&payments()).unwrap().is_none());
    }
}
