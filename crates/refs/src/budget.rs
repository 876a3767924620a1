//! How many bytes may wait to be replicated. openraft bounds messages, not bytes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of entries that are proposed and not yet answered.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Mutex<usize>,
    returned: Condvar,
    whole: usize,
}

/// Bytes that are taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self {
            free: Mutex::new(bytes),
            returned: Condvar::new(),
            whole: bytes,
        }
    }

    /// Takes so many bytes; waits for them up to `patience`. One that asks for more than there is
    /// waits until nobody else has any.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize, patience: Duration) -> Option<Taken> {
        let bytes = bytes.min(self.whole);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut until = None;
        while *free < bytes {
            let until = *until.get_or_insert_with(|| Instant::now() + patience);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            free = self
                .returned
                .wait_timeout(free, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *free -= bytes;
        drop(free);
        Some(Taken {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self
            .budget
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_out_once_and_come_back() {
        let budget = Arc::new(Budget::new(100));
        let first = budget.take(70, Duration::ZERO).unwrap();
        assert!(budget.take(31, Duration::ZERO).is_none());
        let second = budget.take(30, Duration::ZERO).unwrap();
        drop(first);
        assert!(budget.take(1000, Duration::ZERO).is_none());
        drop(second);
        assert!(budget.take(1000, Duration::ZERO).is_some());
    }

    #[test]
    fn one_who_waits_gets_what_another_gives_back() {
        let budget = Arc::new(Budget::new(100));
        let taken = budget.take(100, Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(50, Duration::from_secs(30)).is_some());
            drop(taken);
            assert!(waiting.join().unwrap());
        });
    }
}
