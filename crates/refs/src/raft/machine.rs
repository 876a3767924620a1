//! The state machine as openraft sees it. The work is done by the [`Applier`], on a thread that may block.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{OptionalSend, RaftSnapshotBuilder};

use super::tail::weight;
use super::{Entry, LogId, SnapshotMeta, StoredMembership, Types, blocking};
use crate::data::apply::Applier;
use crate::data::snapshot::Handle;

/// Entries that are applied together.
const CHUNK_ENTRIES_MAX: usize = 1024;
/// Bytes of entries that are applied together.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Told the last index after each batch is applied and its view published.
pub(crate) type OnApplied = Arc<dyn Fn(u64) + Send + Sync>;

/// The state machine.
pub(crate) struct Machine {
    applier: Arc<Mutex<Applier>>,
    on_applied: OnApplied,
}

fn lock(applier: &Mutex<Applier>) -> MutexGuard<'_, Applier> {
    applier.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    pub(crate) fn new(applier: Arc<Mutex<Applier>>, on_applied: OnApplied) -> Self {
        Self {
            applier,
            on_applied,
        }
    }

    /// The cluster's identity, once an entry named it.
    pub(crate) fn cluster(&self) -> Option<[u8; 16]> {
        lock(&self.applier).applied.cluster
    }

    /// Runs on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Applier) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let applier = Arc::clone(&self.applier);
        blocking(move || work(&mut lock(&applier))).await
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Handle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applier = lock(&self.applier);
        Ok((applier.applied.last, applier.membership.clone()))
    }

    /// Applies what is ready together, then answers.
    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.ready_chunks(CHUNK_ENTRIES_MAX);
        while let Some(ready) = chunks.next().await {
            let mut waiting = Vec::with_capacity(ready.len());
            let mut chunk: Vec<Entry> = Vec::with_capacity(ready.len());
            let mut bytes = 0;
            for item in ready {
                let (entry, responder) = item?;
                bytes += weight(&entry);
                chunk.push(entry);
                waiting.push(responder);
                if bytes >= CHUNK_BYTES_MAX {
                    self.apply_chunk(std::mem::take(&mut chunk), std::mem::take(&mut waiting))
                        .await?;
                    bytes = 0;
                }
            }
            self.apply_chunk(chunk, waiting).await?;
        }
        Ok(())
    }

    /// A learner that is behind has nothing to compact, and a building costs a sync only: never deferred.
    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            applier: Arc::clone(&self.applier),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Handle,
    ) -> Result<(), io::Error> {
        let membership = meta.last_membership.clone();
        let index = self
            .blocking(move |applier| {
                if applier.applied.last < snapshot.applied.last {
                    snapshot.install(&applier.data, &membership)?;
                    applier.reload()?;
                }
                Ok(applier.applied.last.map_or(0, |last| last.index))
            })
            .await?;
        (self.on_applied)(index);
        Ok(())
    }

    /// The state as it is now, once a snapshot was ever made: it costs no more than an older one.
    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::alias::SnapshotOf<Types, Handle>>, io::Error> {
        self.blocking(|applier| {
            if !applier.data.has_snapshot()? {
                return Ok(None);
            }
            snapshot(applier).map(Some)
        })
        .await
    }
}

impl Machine {
    async fn apply_chunk(
        &self,
        chunk: Vec<Entry>,
        waiting: Vec<Option<openraft::storage::ApplyResponder<Types>>>,
    ) -> io::Result<()> {
        let Some(last) = chunk.last().map(|entry| entry.log_id.index) else {
            return Ok(());
        };
        let on_applied = Arc::clone(&self.on_applied);
        self.blocking(move |applier| {
            let answers = applier.apply(&chunk).inspect_err(|error| {
                applier
                    .data
                    .failure
                    .set(format!("applying the log failed: {error}"));
            })?;
            on_applied(last);
            for (responder, answer) in waiting.into_iter().zip(answers) {
                if let Some(responder) = responder {
                    responder.send(answer);
                }
            }
            Ok(())
        })
        .await
    }
}

fn snapshot(applier: &Applier) -> io::Result<openraft::alias::SnapshotOf<Types, Handle>> {
    let handle = applier.handle();
    handle.seal(&applier.data)?;
    let meta = handle.meta(&applier.membership);
    Ok(Snapshot {
        meta,
        snapshot: handle,
    })
}

/// Makes snapshots.
pub(crate) struct Builder {
    applier: Arc<Mutex<Applier>>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Handle;

    async fn build_snapshot(
        &mut self,
    ) -> Result<openraft::alias::SnapshotOf<Types, Handle>, io::Error> {
        let applier = Arc::clone(&self.applier);
        blocking(move || {
            // The state is taken under the lock; making it durable is not, so that applying goes on.
            let (handle, membership, data) = {
                let applier = lock(&applier);
                (
                    applier.handle(),
                    applier.membership.clone(),
                    Arc::clone(&applier.data),
                )
            };
            handle.seal(&data)?;
            let meta = handle.meta(&membership);
            Ok(Snapshot {
                meta,
                snapshot: handle,
            })
        })
        .await
    }
}
