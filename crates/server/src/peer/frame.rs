//! Frames of a connection between peers (`docs/FORMAT-peers.md`, "Connections").

use std::io;

use bytes::{Bytes, BytesMut};
use confman_repo::refs::peer::{Lane, MESSAGE_BYTES_MAX, PeerIdentity};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

/// What a connection begins with.
const MAGIC: &[u8; 8] = b"confman\x01";
/// Most bytes of a greeting: much more than an identity and a reason take.
const GREETING_BYTES_MAX: usize = 4096;
/// Most bytes of a reason to refuse.
const REASON_BYTES_MAX: usize = 2048;

/// So many bytes of small frames are written together: what a record of TLS holds.
const WRITE_BYTES: usize = 16 << 10;
/// Most frames that are taken from a queue at once.
const FRAMES_MAX: usize = 64;

const ACCEPTED: u8 = 0;
const REFUSED: u8 = 1;

/// A message and the call that it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) call: u64,
    pub(super) message: Bytes,
}

fn malformed(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Writes frames until their queue ends. Those that wait go together, each with its head: a system call and a
/// record of TLS for all of them.
pub(super) async fn write_frames(
    out: &mut (impl AsyncWrite + Unpin),
    queue: &mut mpsc::Receiver<Frame>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(WRITE_BYTES, out);
    let mut frames = Vec::new();
    while queue.recv_many(&mut frames, FRAMES_MAX).await > 0 {
        for frame in frames.drain(..) {
            write_frame(&mut out, &frame).await?;
        }
        out.flush().await?;
    }
    Ok(())
}

/// Writes a frame: `u32` length, `u64` call, message. Does not flush.
async fn write_frame(out: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let length = u32::try_from(frame.message.len())
        .ok()
        .filter(|length| *length as usize <= MESSAGE_BYTES_MAX)
        .ok_or_else(|| malformed(too_long(frame.message.len())))?;
    let mut head = [0; 12];
    let (at_length, at_call) = head.split_at_mut(4);
    at_length.copy_from_slice(&length.to_le_bytes());
    at_call.copy_from_slice(&frame.call.to_le_bytes());
    out.write_all(&head).await?;
    out.write_all(&frame.message).await
}

/// Reads a frame; `None` where the connection ends before one.
pub(super) async fn read_frame(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let length = match input.read_u32_le().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MESSAGE_BYTES_MAX {
        return Err(malformed(too_long(length)));
    }
    let call = input.read_u64_le().await?;
    let message = read_exactly(input, length).await?;
    Ok(Some(Frame { call, message }))
}

fn too_long(length: usize) -> String {
    format!("a message of {length} bytes; at most {MESSAGE_BYTES_MAX} are allowed")
}

/// Memory grows with what has arrived, not with what was announced.
async fn read_exactly(input: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
    const STEP: usize = 256 * 1024;
    let mut bytes = BytesMut::with_capacity(length.min(STEP));
    let mut limited = input.take(length as u64);
    while bytes.len() < length {
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes.freeze())
}

/// Writes what a caller begins with.
pub(super) async fn write_hello(
    out: &mut (impl AsyncWrite + Unpin),
    lane: Lane,
    identity: &PeerIdentity,
) -> io::Result<()> {
    let mut body = vec![lane_number(lane)];
    body.extend_from_slice(&identity.encode());
    write_greeting(out, &body).await
}

/// Reads what a caller begins with.
pub(super) async fn read_hello(
    input: &mut (impl AsyncRead + Unpin),
) -> io::Result<(Lane, PeerIdentity)> {
    let mut body = read_greeting(input).await?;
    let lane = match body.split_to(1.min(body.len())).first() {
        Some(number) => lane_of(*number)?,
        None => return Err(malformed("an empty greeting")),
    };
    let identity = PeerIdentity::decode(&body).map_err(|error| malformed(error.to_string()))?;
    Ok((lane, identity))
}

/// Answers a caller: who is here, and why it is not talked to, if so.
pub(super) async fn write_welcome(
    out: &mut (impl AsyncWrite + Unpin),
    identity: &PeerIdentity,
    refused: Option<&str>,
) -> io::Result<()> {
    let mut body = vec![if refused.is_some() { REFUSED } else { ACCEPTED }];
    body.extend_from_slice(&identity.encode());
    let reason = refused.unwrap_or_default();
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    body.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
    write_greeting(out, &body).await
}

/// Reads the answer to a greeting: who is there, and the reason if it refused.
pub(super) async fn read_welcome(
    input: &mut (impl AsyncRead + Unpin),
) -> io::Result<(PeerIdentity, Option<String>)> {
    let mut body = read_greeting(input).await?;
    let accepted = match body.split_to(1.min(body.len())).first() {
        Some(&ACCEPTED) => true,
        Some(&REFUSED) => false,
        _ => return Err(malformed("an answer that is no answer to a greeting")),
    };
    let identity = body.split_to(IDENTITY_BYTES.min(body.len()));
    let identity = PeerIdentity::decode(&identity).map_err(|error| malformed(error.to_string()))?;
    let reason = String::from_utf8_lossy(&body).into_owned();
    if accepted && !reason.is_empty() {
        return Err(malformed("an acceptance with a reason to refuse"));
    }
    Ok((identity, (!accepted).then_some(reason)))
}

/// Bytes of an identity.
const IDENTITY_BYTES: usize = 16 + 8 + 8 + 2 + 2;

async fn write_greeting(out: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| malformed("a greeting too long"))?;
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(body);
    out.write_all(&bytes).await?;
    out.flush().await
}

async fn read_greeting(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).await?;
    if magic != *MAGIC {
        return Err(malformed("it does not speak as a node of confman does"));
    }
    let length = input.read_u32_le().await? as usize;
    if length > GREETING_BYTES_MAX {
        return Err(malformed("a greeting too long"));
    }
    read_exactly(input, length).await
}

const fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 1,
        Lane::Log => 2,
        Lane::Bulk => 3,
        Lane::Request => 4,
    }
}

fn lane_of(number: u8) -> io::Result<Lane> {
    Lane::ALL
        .into_iter()
        .find(|lane| lane_number(*lane) == number)
        .ok_or_else(|| malformed(format!("{number} is not a lane known here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_and_greetings_come_back_as_they_were() {
        let (mut one, mut other) = tokio::io::duplex(1 << 20);
        let frame = Frame {
            call: 7,
            message: Bytes::from_static(b"message"),
        };
        let another = Frame {
            call: 8,
            message: Bytes::from(vec![7; 3 * WRITE_BYTES]),
        };
        let (sender, mut queue) = mpsc::channel(4);
        for (call, message) in [
            (7, &frame.message),
            (8, &another.message),
            (9, &frame.message),
        ] {
            let message = message.clone();
            sender.send(Frame { call, message }).await.unwrap();
        }
        drop(sender);
        write_frames(&mut one, &mut queue).await.unwrap();
        assert_eq!(read_frame(&mut other).await.unwrap(), Some(frame));
        assert_eq!(read_frame(&mut other).await.unwrap(), Some(another));
        assert_eq!(
            read_frame(&mut other).await.unwrap().map(|last| last.call),
            Some(9)
        );
        let identity = PeerIdentity::member([1; 16], 2, 1);
        for lane in Lane::ALL {
            write_hello(&mut one, lane, &identity).await.unwrap();
            let read = read_hello(&mut other).await.unwrap();
            assert_eq!(read, (lane, identity.clone()));
        }
        for refused in [None, Some("why")] {
            write_welcome(&mut one, &identity, refused).await.unwrap();
            let read = read_welcome(&mut other).await.unwrap();
            assert_eq!(read, (identity.clone(), refused.map(str::to_owned)));
        }
        drop(one);
        assert_eq!(read_frame(&mut other).await.unwrap(), None);
    }

    #[tokio::test]
    async fn frame_that_is_too_long_is_refused_before_it_is_read() {
        let mut head = ((MESSAGE_BYTES_MAX + 1) as u32).to_le_bytes().to_vec();
        head.extend_from_slice(&[0; 8]);
        let error = read_frame(&mut head.as_slice()).await.unwrap_err();
        insta::assert_snapshot!(error, @"a message of 67108865 bytes; at most 67108864 are allowed");
    }

    #[tokio::test]
    async fn who_speaks_something_else_is_told_apart() {
        let mut bytes = b"GET / HTTP/1.1\r\n\r\n".as_slice();
        let error = read_hello(&mut bytes).await.unwrap_err();
        insta::assert_snapshot!(error, @"it does not speak as a node of confman does");
    }
}
