//! Waiting for an index to be applied.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The last applied index, for threads and for tasks that wait for it.
#[derive(Debug)]
pub(crate) struct Gate {
    applied: Mutex<u64>,
    moved: Condvar,
    watch: watch::Sender<u64>,
}

impl Gate {
    pub(crate) fn new(applied: u64) -> Self {
        Self {
            applied: Mutex::new(applied),
            moved: Condvar::new(),
            watch: watch::Sender::new(applied),
        }
    }

    /// Lets pass who waits for up to `index`.
    pub(crate) fn advance(&self, index: u64) {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        *applied = index.max(*applied);
        drop(applied);
        self.moved.notify_all();
        self.watch.send_if_modified(|seen| {
            let moved = *seen < index;
            *seen = index.max(*seen);
            moved
        });
    }

    /// Waits for an index; returns whether it is applied.
    pub(crate) fn wait_for(&self, index: u64, timeout: Duration) -> bool {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + timeout;
        while *applied < index {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            applied = self
                .moved
                .wait_timeout(applied, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// As [`Self::wait_for`], for a task.
    pub(crate) async fn reached(&self, index: u64, until: tokio::time::Instant) -> bool {
        #[cfg(test)]
        if crate::simulation::chance::simulated() {
            return self.reached_in_order(index, until).await;
        }
        let mut watch = self.watch.subscribe();
        let reached = watch.wait_for(|applied| *applied >= index);
        matches!(tokio::time::timeout_at(until, reached).await, Ok(Ok(_)))
    }

    /// Several who wait for a watch are woken in an order that is left to chance, and not to a simulation's.
    #[cfg(test)]
    async fn reached_in_order(&self, index: u64, until: tokio::time::Instant) -> bool {
        while *self.watch.borrow() < index {
            if tokio::time::Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.watch.subscribe()
    }
}
