//! The answer to a fetch: one line of JSON, then a pack, kept in a temporary file as it arrives.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};

use confman_api::sync::Fetched;
use reqwest::Response;

use super::error::ClientError;
use super::transport::Transport;

/// Longest first line of an answer.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a pack.
pub(crate) const PACK_BYTES_MAX: u64 = 2 << 30;
/// Bytes read from the temporary file at once.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// What a fetch gave. INVARIANT: nothing in it is verified yet.
#[derive(Debug)]
pub struct FetchedPack {
    /// What each wanted revision is.
    pub head: Fetched,
    file: File,
    bytes: u64,
}

impl FetchedPack {
    /// Bytes of the pack.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the pack from its start.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn reader(&mut self) -> Result<BufReader<&File>, ClientError> {
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(|error| ClientError::io("read the received pack again", error))?;
        Ok(BufReader::with_capacity(READ_BUFFER_BYTES, &self.file))
    }
}

/// Takes the body of an answer as it arrives.
pub(super) async fn receive(
    transport: &Transport,
    mut response: Response,
) -> Result<FetchedPack, ClientError> {
    let mut head_line = Vec::new();
    let mut head = None;
    let mut file =
        tempfile::tempfile().map_err(|error| ClientError::io("make a temporary file", error))?;
    let mut bytes = 0;
    loop {
        let chunk = match tokio::time::timeout(transport.idle_timeout(), response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(transport.transport_error(error)),
            Err(elapsed) => {
                let url = transport.url().to_owned();
                return Err(ClientError::Unreachable {
                    url,
                    source: Box::new(elapsed),
                });
            }
        };
        let mut rest: &[u8] = &chunk;
        if head.is_none() {
            let (line, after) = match rest.iter().position(|byte| *byte == b'\n') {
                None => (rest, None),
                Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..)),
            };
            head_line.extend_from_slice(line);
            if head_line.len() > HEAD_BYTES_MAX {
                return Err(transport.protocol(format!(
                    "a fetch began with a line of over {HEAD_BYTES_MAX} bytes"
                )));
            }
            let Some(after) = after else { continue };
            let parsed: Fetched = serde_json::from_slice(&head_line).map_err(|error| {
                transport.protocol(format!("the answer to a fetch is not as agreed: {error}"))
            })?;
            head = Some(parsed);
            rest = after;
        }
        bytes += u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if bytes > PACK_BYTES_MAX {
            return Err(transport.protocol(format!("a pack has more than {PACK_BYTES_MAX} bytes")));
        }
        file.write_all(rest)
            .map_err(|error| ClientError::io("keep a received pack in a temporary file", error))?;
    }
    match head {
        Some(head) => Ok(FetchedPack { head, file, bytes }),
        None => Err(transport.protocol("a fetch was answered without its first line".to_owned())),
    }
}
