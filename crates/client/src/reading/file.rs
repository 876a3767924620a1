//! Files replaced as a whole: who reads one sees the old content or the new, never a part.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Replaces a file that only its owner may read; folders that it needs are made so too.
///
/// # Errors
/// The disk fails; the file is as it was.
pub fn replace_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = folder_of(path);
    make_private(folder)?;
    // Temporary files are made with mode 600.
    replace(tempfile::NamedTempFile::new_in(folder)?, path, content)
}

/// Replaces a file that others may read as the system's defaults say, or with the permissions that
/// it had before.
///
/// # Errors
/// The disk fails, or the folder is not there; the file is as it was.
pub fn replace_shared(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let before = match fs::metadata(path) {
        Ok(found) => Some(found.permissions()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let file = builder().tempfile_in(folder_of(path))?;
    if let Some(permissions) = before {
        file.as_file().set_permissions(permissions)?;
    }
    replace(file, path, content)
}

fn replace(mut file: tempfile::NamedTempFile, path: &Path, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    match File::open(folder_of(path)) {
        Ok(folder) => folder.sync_all(),
        // Not every system can open folders; the content itself is durable.
        Err(_) => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    // The system takes away what its user does not want to share.
    builder.permissions(fs::Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_shared_file_keeps_its_permissions_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.yaml");
        replace_shared(&path, b"a").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace_shared(&path, b"b").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!((fs::read(&path).unwrap(), mode), (b"b".to_vec(), 0o640));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace_shared(&folder.path().join("none/x"), b"").is_err());
    }
}
