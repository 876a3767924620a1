//! Watches: the stream of events that a server sends, read one by one.

use std::collections::VecDeque;
use std::time::Duration;

use confman_api::watch::{
    EVENT_CHANGE, EVENT_END, EVENT_READY, EVENT_RESET, WatchChange, WatchEnd, WatchState,
};
use confman_model::Namespace;
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::transport::Request;
use super::{Client, ClientError, url};

/// Most bytes of an event.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// How long a stream may be silent, in which a server gives three signs of life.
pub const SILENCE_MAX: Duration = Duration::from_secs(45);

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The stream begins, and the namespace is here.
    Ready(WatchState),
    /// The effective document moved.
    Change(WatchChange),
    /// What was missed cannot be told.
    Reset(WatchState),
    /// The server ends the stream.
    End(WatchEnd),
    /// A sign of life.
    Alive,
}

/// A stream of events. Dropping it ends it.
#[derive(Debug)]
pub struct WatchStream {
    client: Client,
    response: Response,
    lines: Lines,
    heard: bool,
}

impl Client {
    /// Watches a namespace from now on.
    ///
    /// # Errors
    /// As any request; 404 `no-such-route` where a server has no watches.
    pub async fn watch(&self, namespace: &Namespace) -> Result<WatchStream, ClientError> {
        let request = Request {
            accept: "text/event-stream",
            stream: true,
            ..Request::get(url::in_namespace(namespace, &["watch"]))
        };
        let response = self.transport.send(&request).await?;
        Ok(WatchStream {
            client: self.clone(),
            response,
            lines: Lines::default(),
            heard: false,
        })
    }
}

impl WatchStream {
    /// The next event; `None` at the end. Can be dropped and called again; nothing is lost.
    ///
    /// # Errors
    /// The connection broke, was silent for too long, or what came is not as agreed.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                if let Some(event) = self
                    .lines
                    .take(&line)
                    .map_err(|reason| self.wrong(reason))?
                {
                    self.heard = true;
                    return Ok(Some(event));
                }
            }
            let chunk = tokio::time::timeout(SILENCE_MAX, self.response.chunk())
                .await
                .map_err(|elapsed| ClientError::Unreachable {
                    url: self.client.server_url().to_owned(),
                    source: Box::new(elapsed),
                })?
                .map_err(|error| self.client.transport.transport_error(error))?;
            let Some(chunk) = chunk else { return Ok(None) };
            if !self.lines.push(&chunk) {
                return Err(self.wrong(format!("an event has more than {EVENT_BYTES_MAX} bytes")));
            }
        }
    }

    /// Whether it gave any event so far.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        self.heard
    }

    fn wrong(&self, reason: String) -> ClientError {
        self.client.transport.protocol(reason)
    }
}

/// Bytes taken apart into lines, and lines into events.
#[derive(Debug, Default)]
struct Lines {
    bytes: VecDeque<u8>,
    /// Of the event that is being read.
    name: String,
    data: String,
}

impl Lines {
    /// Whether there was room.
    fn push(&mut self, chunk: &[u8]) -> bool {
        self.bytes.extend(chunk);
        self.bytes.len() + self.data.len() <= EVENT_BYTES_MAX
    }

    /// The next whole line, without its end.
    fn next(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
        while line.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    /// Takes a line; the event, where it ends one. Events that are not known are skipped.
    fn take(&mut self, line: &str) -> Result<Option<WatchEvent>, String> {
        if line.is_empty() {
            let (name, data) = (
                std::mem::take(&mut self.name),
                std::mem::take(&mut self.data),
            );
            return match name.as_str() {
                EVENT_READY => parsed(&data).map(|data| Some(WatchEvent::Ready(data))),
                EVENT_CHANGE => parsed(&data).map(|data| Some(WatchEvent::Change(data))),
                EVENT_RESET => parsed(&data).map(|data| Some(WatchEvent::Reset(data))),
                EVENT_END => parsed(&data).map(|data| Some(WatchEvent::End(data))),
                _ => Ok(None),
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => return Ok(Some(WatchEvent::Alive)),
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
        Ok(None)
    }
}

fn parsed<T: DeserializeOwned>(data: &str) -> Result<T, String> {
    serde_json::from_str(data).map_err(|error| format!("an event is not as agreed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream that comes in pieces of some length.
    fn events(text: &str, piece: usize) -> Result<Vec<WatchEvent>, String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in text.as_bytes().chunks(piece) {
            assert!(lines.push(chunk));
            while let Some(line) = lines.next() {
                found.extend(lines.take(&line)?);
            }
        }
        Ok(found)
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "retry: 1000\n\n\
            id: 7\nevent: ready\ndata: {\"namespace\":\"/a\",\"index\":7,\"basis\":\"b\",\"clusterId\":\"c\"}\n\n\
            : \n\n\
            event: later-version\ndata: {}\n\n\
            id: 9\r\nevent: change\r\ndata: {\"namespace\":\"/a\",\r\ndata: \"index\":9,\"at\":\"t\",\"basis\":\"d\"}\r\n\r\n\
            event: end\ndata: {\"code\":\"stopping\",\"reason\":\"x\"}\n\nevent: ready\n";
        let whole = events(text, text.len()).unwrap();
        assert_eq!(whole.len(), 4, "{whole:?}");
        assert_eq!(whole[1], WatchEvent::Alive);
        for piece in 1..20 {
            assert_eq!(events(text, piece).unwrap(), whole, "{piece}");
        }
        assert!(events("event: change\ndata: {\n\n", 5).is_err());
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut lines = Lines::default();
        assert!(!lines.push(&vec![b'x'; EVENT_BYTES_MAX + 1]));
    }
}
