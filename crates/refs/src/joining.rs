//! What an empty directory becomes: a cluster of its own, or a member of another.
//!
//! INVARIANT: a directory that was about to join never becomes a cluster of its own, whenever the process
//! that joined was killed: the request is on disk before it is sent, and goes only after the node's identity
//! is there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{JoinOptions, ask_to_join};
use crate::directory::{io_error, read_note, write_note};
use crate::node::OpenError;
use crate::peer::{Begin, Transport};

/// The file with the request that is repeated.
const JOINING: &str = "joining";
/// How long a node asks to be let in before it gives up.
pub const JOIN_WITHIN: Duration = Duration::from_secs(600);

/// Decides what the directory becomes, and joins where it is to. Blocks meanwhile. A directory that is a
/// node's already is left as it is, whatever `join` says.
///
/// # Errors
/// The cluster refused, nobody answered, or the disk failed.
pub fn begin(
    directory: &Path,
    join: Option<&JoinOptions>,
    address: &str,
    transport: &Arc<dyn Transport>,
    within: Duration,
) -> Result<Begin, OpenError> {
    let noted = read_note(directory, JOINING)
        .map_err(|error| io_error(directory, "read its request to join", error))?;
    let is_new = !directory.join("raft").exists();
    let Some(join) = join else {
        return match noted {
            None => Ok(Begin::Alone),
            Some(_) => Err(OpenError::Joining {
                path: directory.to_owned(),
                reason: "it was about to join a cluster; say again which (`--join`), or empty it"
                    .to_owned(),
            }),
        };
    };
    if noted.is_none() && !is_new {
        return Ok(Begin::Alone);
    }
    let request = match noted.as_deref().map(read_request) {
        Some(Some(request)) => request,
        Some(None) => {
            return Err(OpenError::Damaged {
                path: directory.to_owned(),
                reason: format!("its file {JOINING} holds no request"),
            });
        }
        None => new_request(directory)?,
    };
    ask_to_join(transport, join, address, request, within).map_err(|error| OpenError::Joining {
        path: directory.to_owned(),
        reason: error.to_string(),
    })
}

fn new_request(directory: &Path) -> Result<[u8; 16], OpenError> {
    let mut request = [0; 16];
    getrandom::fill(&mut request).map_err(|error| {
        io_error(
            directory,
            "name its request to join",
            io::Error::from(error),
        )
    })?;
    let text: String = request.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::create_dir_all(directory)
        .and_then(|()| write_note(directory, JOINING, &text))
        .map_err(|error| io_error(directory, "note its request to join", error))?;
    Ok(request)
}

fn read_request(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok()?;
    is_hex.then_some(number.to_be_bytes())
}

/// The node's identity is on disk: the request is of no use any more.
pub(crate) fn joined(directory: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(directory.join(JOINING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(directory, "remove its request to join", error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let request = new_request(directory.path()).unwrap();
        let text = read_note(directory.path(), JOINING).unwrap().unwrap();
        assert_eq!(read_request(&text), Some(request));
        assert_eq!(read_request("+0000000000000000000000000000001"), None);
        assert_eq!(read_request("12"), None);
        joined(directory.path()).unwrap();
        assert_eq!(read_note(directory.path(), JOINING).unwrap(), None);
        joined(directory.path()).unwrap();
    }
}
