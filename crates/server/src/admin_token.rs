//! The token of the first administrator, in a file that only the server's user can read.
//!
//! INVARIANT: the token is durable in its file before the store knows it, so that no crash leaves a
//! store that nobody can enter. A file that a crash left behind is used by the next start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the file in the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// Longest content of the file that is looked at.
const FILE_BYTES_MAX: u64 = 1024;

/// Where the token of a data directory is.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join(ADMIN_TOKEN_FILE)
}

/// Writes a token to a new file and makes it durable.
pub(crate) fn create(data: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path(data))?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    File::open(data)?.sync_all()
}

/// The token in the file; `None` where there is no file.
pub(crate) fn read(data: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path(data)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others may read it (mode {mode:o}); remove it and start again"
        )));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_private_and_never_overwritten() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(read(data.path()).unwrap(), None);
        create(data.path(), "cfm_pat_x").unwrap();
        assert_eq!(read(data.path()).unwrap().as_deref(), Some("cfm_pat_x"));
        let mode = std::fs::metadata(path(data.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create(data.path(), "cfm_pat_y").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(data.path()).unwrap().as_deref(), Some("cfm_pat_x"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let data = tempfile::tempdir().unwrap();
        create(data.path(), "cfm_pat_x").unwrap();
        std::fs::set_permissions(path(data.path()), PermissionsExt::from_mode(0o644)).unwrap();
        insta::assert_snapshot!(read(data.path()).unwrap_err(), @"others may read it (mode 644); remove it and start again");
    }
}
