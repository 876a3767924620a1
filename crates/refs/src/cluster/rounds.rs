//! Rounds that many callers share: one is under way, and who comes meanwhile waits for the next.
//!
//! INVARIANT: nobody is answered by a round that began before it asked. A read that joined an earlier one
//! could miss what was acknowledged in between.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

/// Rounds that give a `T`.
#[derive(Debug)]
pub(crate) struct Rounds<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    running: bool,
    waiting: Vec<oneshot::Sender<T>>,
}

impl<T> Default for Rounds<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                running: false,
                waiting: Vec::new(),
            }),
        }
    }
}

impl<T: Clone + Send + 'static> Rounds<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the result of a round that begins from now on. The second value says whether the caller has
    /// to [`Self::run`] them, which it does in the background.
    pub(crate) fn ask(&self) -> (oneshot::Receiver<T>, bool) {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push(sender);
        let begins = !std::mem::replace(&mut state.running, true);
        (answer, begins)
    }

    /// Runs rounds until nobody waits.
    pub(crate) async fn run<F>(self: Arc<Self>, round: impl Fn() -> F)
    where
        F: Future<Output = T>,
    {
        loop {
            let asking = {
                let mut state = self.lock();
                if state.waiting.is_empty() {
                    state.running = false;
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let result = round().await;
            for asked in asking {
                // Who has given up does not wait any more.
                let _ = asked.send(result.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_during_a_round_gets_the_next_one() {
        let rounds = Arc::new(Rounds::<u32>::default());
        let begun = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (first, begins) = rounds.ask();
        assert!(begins);
        let (counting, opening) = (Arc::clone(&begun), Arc::clone(&gate));
        let running = tokio::spawn(Arc::clone(&rounds).run(move || {
            let number = counting.fetch_add(1, Ordering::SeqCst) + 1;
            let gate = Arc::clone(&opening);
            async move {
                gate.acquire().await.unwrap().forget();
                number
            }
        }));
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let (second, begins) = rounds.ask();
        let (third, _) = rounds.ask();
        assert!(!begins);
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), 1);
        // Two share the round that began after both had asked.
        assert_eq!((second.await.unwrap(), third.await.unwrap()), (2, 2));
        running.await.unwrap();
        let (_, begins) = rounds.ask();
        assert!(begins, "the next one runs them again");
    }
}
