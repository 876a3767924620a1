//! Packs on their way: between the body of a request or answer, which is asynchronous, and `repo`,
//! which reads and writes as on a file. A bounded channel between the two slows the faster side.

use std::io::{self, Read, Write};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use tokio::sync::{mpsc, oneshot};

use crate::body::Pieces;
use crate::error::ApiError;

/// Pieces that may wait in a channel.
const PIECES_WAITING_MAX: usize = 8;
/// Bytes that are gathered before they go to the client.
const PIECE_BYTES: usize = 64 * 1024;

/// The body of a request as a blocking reader.
pub(crate) struct BodyReader {
    pieces: mpsc::Receiver<Bytes>,
    failed: Option<oneshot::Receiver<io::Error>>,
    current: Bytes,
}

/// What became of the body after the reader had what it wanted.
pub(crate) type Delivered = tokio::task::JoinHandle<Result<(), ApiError>>;

/// Feeds `pieces` to a blocking reader. The task fails as the body does.
pub(crate) fn reader(mut pieces: Pieces) -> (BodyReader, Delivered) {
    let (send, receive) = mpsc::channel(PIECES_WAITING_MAX);
    let (fail, failed) = oneshot::channel();
    let delivered = tokio::spawn(async move {
        loop {
            match pieces.next().await {
                Ok(None) => return Ok(()),
                Ok(Some(piece)) => {
                    if send.send(piece).await.is_err() {
                        // Nobody wants the rest. It is taken all the same, because a client that
                        // is cut off while it sends does not read the answer that says why.
                        while pieces.next().await?.is_some() {}
                        return Ok(());
                    }
                }
                Err(error) => {
                    // The reader must see a failure, not an end: a pack cut short is not a pack.
                    let _ = fail.send(io::Error::other(error.detail.clone()));
                    return Err(error);
                }
            }
        }
    });
    let reader = BodyReader {
        pieces: receive,
        failed: Some(failed),
        current: Bytes::new(),
    };
    (reader, delivered)
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => {
                    // The channel is closed after the failure was sent, so that it is there by now.
                    let failure = self
                        .failed
                        .take()
                        .and_then(|mut failed| failed.try_recv().ok());
                    return failure.map_or(Ok(0), Err);
                }
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current
            .copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The body of an answer as a blocking writer. Dropped before [`BodyWriter::finish`], it breaks the
/// body off, so that what was sent cannot be taken for the whole.
pub(crate) struct BodyWriter {
    /// `None` is the end.
    pieces: mpsc::Sender<Option<Bytes>>,
    buffer: BytesMut,
}

/// A writer and the body that what is written goes to.
pub(crate) fn writer() -> (BodyWriter, Body) {
    let (send, receive) = mpsc::channel(PIECES_WAITING_MAX);
    let body = stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(receive))),
            Some(None) => None,
            None => Some((Err(io::Error::other("the answer broke off")), None)),
        }
    });
    (
        BodyWriter {
            pieces: send,
            buffer: BytesMut::new(),
        },
        Body::from_stream(body),
    )
}

impl BodyWriter {
    /// Ends the body.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(None)
    }

    fn send(&self, piece: Option<Bytes>) -> io::Result<()> {
        self.pieces
            .blocking_send(piece)
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client went away"))
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        self.send(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use http_body_util::BodyExt;

    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn a_body_arrives_whole_in_a_blocking_reader() {
        let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let pieces = Pieces::new(&HeaderMap::new(), Body::from(sent.clone()), sent.len()).unwrap();
        let (mut reader, delivered) = reader(pieces);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        assert_eq!(read.await.unwrap().unwrap(), sent);
        assert!(delivered.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_fails_the_reader_too() {
        let chunks = stream::iter([Ok::<_, io::Error>("four"), Ok("five5")]);
        let pieces = Pieces::new(&HeaderMap::new(), Body::from_stream(chunks), 8).unwrap();
        let (mut reader, delivered) = reader(pieces);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)
        });
        assert!(read.await.unwrap().is_err());
        assert_eq!(delivered.await.unwrap().unwrap_err().code, Code::TooLarge);
    }

    #[tokio::test]
    async fn an_answer_ends_only_where_it_was_finished() {
        let collect = |finish: bool| async move {
            let (mut writer, body) = writer();
            let written = tokio::task::spawn_blocking(move || {
                writer.write_all(&[7; 3 * PIECE_BYTES])?;
                if finish {
                    writer.finish()
                } else {
                    writer.flush()
                }
            });
            let collected = body.collect().await.map(|body| body.to_bytes().len());
            (written.await.unwrap().is_ok(), collected.ok())
        };
        assert_eq!(collect(true).await, (true, Some(3 * PIECE_BYTES)));
        assert_eq!(collect(false).await, (true, None));
    }
}
