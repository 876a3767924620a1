//! The audit log: pages, what is to come, and the bytes that the ids are made of.

use std::time::Duration;

use confman_api::operation::{Operation, SealedOperation};
use confman_api::{MEDIA_TYPE_EVENTS, Page};
use confman_model::Namespace;
use reqwest::Response;
use reqwest::header::HeaderName;

use super::transport::Request;
use super::{Client, ClientError, url};

/// Most bytes of one event: an operation moves thousands of refs at most.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// How long a stream may be silent before it counts as broken; the server shows every 15 s that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Pause before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Which operations are wanted; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct OperationsQuery {
    /// Only what touched this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only by this principal.
    pub actor: Option<String>,
    /// Only with this action, or where it ends with `.`, with any that begins with it.
    pub action: Option<String>,
    /// Only of this request.
    pub request: Option<String>,
    /// Only what moved this ref.
    pub ref_name: Option<String>,
    /// Not before this log index or time.
    pub since: Option<String>,
    /// Not after this log index or time.
    pub until: Option<String>,
}

impl OperationsQuery {
    fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            (
                "namespace",
                self.namespace.as_ref().map(ToString::to_string),
            ),
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("request", self.request.clone()),
            ("ref", self.ref_name.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
        ]
    }
}

impl Client {
    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// As any request.
    pub async fn operations(
        &self,
        query: &OperationsQuery,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page<Operation>, ClientError> {
        let mut parameters = query.parameters();
        parameters.push(("limit", limit.map(|limit| limit.to_string())));
        parameters.push(("cursor", cursor.map(ToOwned::to_owned)));
        self.get(format!("/v1/operations{}", url::query(&parameters)))
            .await
    }

    /// A page of operations in their canonical bytes, oldest first.
    ///
    /// # Errors
    /// We are no administrator, or as any request.
    pub async fn sealed_operations(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SealedOperation>, ClientError> {
        let query = url::query(&[
            ("limit", Some(limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ]);
        self.get(format!("/v1/operations/sealed{query}")).await
    }

    /// Operations to come, from `since` of the query on where it has one. The stream goes on by itself where
    /// the connection breaks.
    #[must_use]
    pub fn follow_operations(&self, query: OperationsQuery) -> OperationStream {
        OperationStream {
            client: self.clone(),
            query,
            last: None,
            open: None,
        }
    }
}

/// Operations as they happen.
#[derive(Debug)]
pub struct OperationStream {
    client: Client,
    query: OperationsQuery,
    /// Log index of the last event.
    last: Option<String>,
    open: Option<Events>,
}

impl OperationStream {
    /// The next operation. Waits for ever.
    ///
    /// # Errors
    /// The server refuses, cannot be reached any more, or sends what is no event of ours.
    pub async fn next(&mut self) -> Result<Operation, ClientError> {
        loop {
            let mut events = match self.open.take() {
                Some(events) => events,
                None => self.connect().await?,
            };
            match events.next(&self.client).await? {
                // The server ended it, or the network did: go on after the last event.
                None => tokio::time::sleep(PAUSE).await,
                Some(event) => {
                    self.open = Some(events);
                    if let Some(id) = event.id {
                        self.last = Some(id);
                    }
                    let protocol = |error: serde_json::Error| {
                        self.client
                            .transport
                            .protocol(format!("an event is not as agreed: {error}"))
                    };
                    return serde_json::from_str(&event.data).map_err(protocol);
                }
            }
        }
    }

    async fn connect(&self) -> Result<Events, ClientError> {
        let path = format!("/v1/operations{}", url::query(&self.query.parameters()));
        let request = Request {
            accept: MEDIA_TYPE_EVENTS,
            stream: true,
            headers: self
                .last
                .iter()
                .map(|id| (HeaderName::from_static("last-event-id"), id.clone()))
                .collect(),
            ..Request::get(path)
        };
        let response = self.client.transport.send(&request).await?;
        Ok(Events {
            response,
            buffer: Vec::new(),
        })
    }
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    data: String,
}

/// A stream of events that is open.
#[derive(Debug)]
struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; `None` where the stream ended or broke.
    async fn next(&mut self, client: &Client) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(block) = take_block(&mut self.buffer) {
                match read_event(&block) {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(client
                    .transport
                    .protocol(format!("an event has more than {EVENT_BYTES_MAX} bytes")));
            }
            match tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Takes what stands before the first empty line.
fn take_block(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let rest = buffer.split_off(end + 2);
    let block = std::mem::replace(buffer, rest);
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// Reads the lines of an event; `None` for comments alone.
fn read_event(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut has_data = false;
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "data" => {
                if has_data {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                has_data = true;
            }
            _ => {}
        }
    }
    has_data.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_at_empty_lines_and_comments_are_none() {
        let mut buffer =
            b": still here\n\nid: 7\nevent: operation\ndata: {\ndata: }\n\nid: 8\nda".to_vec();
        let mut found = Vec::new();
        while let Some(block) = take_block(&mut buffer) {
            found.push(read_event(&block));
        }
        let event = Event {
            id: Some("7".to_owned()),
            data: "{\n}".to_owned(),
        };
        assert_eq!(found, [None, Some(event)]);
        assert_eq!(buffer, b"id: 8\nda");
    }
}
