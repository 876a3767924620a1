//! Following a namespace: every new document, and word of outages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::document::Document;
use super::error::ReadError;
use super::{MirrorError, Reader, Reading, Source};

/// How long the server is asked to wait for a change.
pub const WAIT: Duration = Duration::from_secs(60);
/// An answer that nothing changed is not expected sooner than this; a server that is about to end
/// gives it at once.
const WAIT_LEAST: Duration = Duration::from_secs(1);

/// What happens to a namespace that is followed.
#[derive(Debug)]
pub enum Event {
    /// A document that was not given before.
    Document(Reading),
    /// No new document can be had from here on, and why; what was given stays in use. Said once.
    Away(ReadError),
    /// A server says that the document that was given last still holds, after an outage or after
    /// it had only been kept.
    Back,
}

/// Follows a namespace.
#[derive(Debug)]
pub struct Watcher {
    reader: Arc<Reader>,
    given: Option<Arc<Document>>,
    backoff: Backoff,
    contact: Contact,
}

/// How the last question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// There was none.
    None,
    /// With an answer.
    Made,
    /// Without.
    Lost,
}

impl Watcher {
    /// Follows what a reader reads; nothing is sent yet.
    #[must_use]
    pub fn new(reader: Arc<Reader>) -> Self {
        Self {
            reader,
            given: None,
            backoff: Backoff::default(),
            contact: Contact::None,
        }
    }

    /// The first document.
    ///
    /// # Errors
    /// The server refuses; or no server answers and nothing usable was kept.
    pub async fn first(&mut self) -> Result<Reading, ReadError> {
        let reading = self.reader.read().await?;
        self.contact = contact(&reading.source);
        self.given = Some(Arc::clone(&reading.document));
        Ok(reading)
    }

    /// Begins with what was kept, without asking a server.
    ///
    /// # Errors
    /// What was kept cannot be used.
    pub fn first_kept(&mut self) -> Result<Option<Reading>, MirrorError> {
        let kept = self.reader.kept()?;
        self.given = kept.as_ref().map(|reading| Arc::clone(&reading.document));
        Ok(kept)
    }

    /// Waits for the next thing to happen. Can be dropped and called again; nothing is lost.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.contact == Contact::Lost {
                tokio::time::sleep(self.backoff.pause()).await;
            }
            let began = Instant::now();
            // After an outage the first answer is wanted at once.
            let asked = match self.contact {
                Contact::Made => self.reader.wait(WAIT).await,
                Contact::None | Contact::Lost => self.reader.read().await,
            };
            let reading = match asked {
                Ok(reading) => reading,
                Err(error) => match std::mem::replace(&mut self.contact, Contact::Lost) {
                    Contact::Lost => continue,
                    Contact::None | Contact::Made => return Event::Away(error),
                },
            };
            let before = std::mem::replace(&mut self.contact, contact(&reading.source));
            if self.contact == Contact::Made {
                self.backoff.reset();
            }
            if !self.is_given(&reading.document) {
                self.given = Some(Arc::clone(&reading.document));
                return Event::Document(reading);
            }
            match (before, reading.source) {
                (Contact::Lost, Source::Kept { .. }) => {}
                (_, Source::Kept { why, .. }) => {
                    return Event::Away(Arc::try_unwrap(why).unwrap_or(ReadError::NotAsked));
                }
                (Contact::None | Contact::Lost, Source::Server) => return Event::Back,
                (Contact::Made, Source::Server) => {
                    if began.elapsed() < WAIT_LEAST {
                        tokio::time::sleep(self.backoff.pause()).await;
                    }
                }
            }
        }
    }

    /// By the state of the store, not by the values: going there and back again are two events.
    fn is_given(&self, document: &Document) -> bool {
        self.given
            .as_ref()
            .is_some_and(|given| given.etag() == document.etag())
    }
}

fn contact(source: &Source) -> Contact {
    match source {
        Source::Server => Contact::Made,
        Source::Kept { .. } => Contact::Lost,
    }
}
