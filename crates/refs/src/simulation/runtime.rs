//! The runtime that openraft is given in tests: tokio, with three things of its own for simulations.
//!
//! Elections draw their timeouts from the seed. A watch wakes its waiters in the order in which they
//! came (tokio's shuffles them). And a task belongs to a life of a node: when that is cut short, none of
//! its tasks runs on.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use openraft::{OptionalSend, OptionalSync};
use openraft_rt::AsyncRuntime;
use openraft_rt::deterministic_rng::DeterministicRng;
use openraft_rt::watch::{self, RecvError, SendError, WatchReceiver, WatchSender};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime};
use tokio::task::AbortHandle;

use super::chance::{chance, simulated};

/// From the start of a node to its end.
#[derive(Debug, Default)]
pub(crate) struct Life {
    over: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Life>>> = const { RefCell::new(None) };
}

impl Life {
    /// A future whose tasks all belong to this life.
    pub(crate) fn scope<F: Future>(self: &Arc<Self>, future: F) -> Scoped<F> {
        Scoped {
            life: Some(Arc::clone(self)),
            future: Box::pin(future),
        }
    }

    /// Starts a task of this life.
    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(self.scope(future));
        if self.is_over() {
            task.abort();
            return task;
        }
        let mut tasks = lock(&self.tasks);
        if tasks.len().is_multiple_of(64) {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task.abort_handle());
        task
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Ends everything that the node does, wherever it is.
    pub(crate) fn cut_short(&self) {
        self.over.store(true, Ordering::Relaxed);
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

/// A future of a life; it stands still when that is over.
pub(crate) struct Scoped<F> {
    life: Option<Arc<Life>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.life.as_ref().is_some_and(|life| life.is_over()) {
            return Poll::Pending;
        }
        let before = CURRENT.replace(self.life.clone());
        let polled = self.future.as_mut().poll(context);
        CURRENT.set(before);
        polled
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <DeterministicRng<TokioRuntime> as AsyncRuntime>::ThreadLocalRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match CURRENT.with_borrow(Clone::clone) {
            Some(life) => life.spawn(future),
            None => TokioRuntime::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let seed = if simulated() {
            chance(|chance| chance.number())
        } else {
            let mut seed = [0; 8];
            getrandom::fill(&mut seed).expect("the system gives random numbers");
            u64::from_le_bytes(seed)
        };
        DeterministicRng::<TokioRuntime>::scope(seed, async {
            DeterministicRng::<TokioRuntime>::thread_rng()
        })
        .now_or_never()
        .expect("there is nothing to wait for")
    }

    type Mpsc = TokioMpsc;
    type Watch = Watch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

/// A watch that wakes who waits in the order in which they came.
#[derive(Debug)]
pub(crate) struct Watch;

struct Watched<T> {
    value: RwLock<T>,
    state: Mutex<WatchState>,
}

#[derive(Default)]
struct WatchState {
    version: u64,
    senders: usize,
    receivers: usize,
    waiting: Vec<Waker>,
}

impl<T> Watched<T> {
    fn state(&self) -> MutexGuard<'_, WatchState> {
        lock(&self.state)
    }

    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) {
        let waiting = {
            let mut state = self.state();
            state.version += 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Where values of a [`Watch`] go in.
pub(crate) struct WatchIn<T>(Arc<Watched<T>>);

/// Where values of a [`Watch`] come out.
pub(crate) struct WatchOut<T> {
    watched: Arc<Watched<T>>,
    seen: u64,
}

impl<T> Clone for WatchIn<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for WatchIn<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state();
            state.senders -= 1;
            if state.senders > 0 {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<T> Clone for WatchOut<T> {
    fn clone(&self) -> Self {
        self.watched.state().receivers += 1;
        Self {
            watched: Arc::clone(&self.watched),
            seen: self.seen,
        }
    }
}

impl<T> Drop for WatchOut<T> {
    fn drop(&mut self) {
        self.watched.state().receivers -= 1;
    }
}

impl watch::Watch for Watch {
    type Sender<T: OptionalSend + OptionalSync> = WatchIn<T>;
    type Receiver<T: OptionalSend + OptionalSync> = WatchOut<T>;
    type Ref<'a, T: OptionalSend + 'a> = RwLockReadGuard<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (WatchIn<T>, WatchOut<T>) {
        let state = WatchState {
            senders: 1,
            receivers: 1,
            ..WatchState::default()
        };
        let watched = Arc::new(Watched {
            value: RwLock::new(init),
            state: Mutex::new(state),
        });
        let out = WatchOut {
            watched: Arc::clone(&watched),
            seen: 0,
        };
        (WatchIn(watched), out)
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<Watch, T> for WatchIn<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.state().receivers == 0 {
            return Err(SendError(value));
        }
        self.send_if_modified(|current| {
            *current = value;
            true
        });
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let modified = modify(&mut self.0.value.write().unwrap_or_else(PoisonError::into_inner));
        if modified {
            self.0.moved();
        }
        modified
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.read()
    }

    fn subscribe(&self) -> WatchOut<T> {
        let mut state = self.0.state();
        state.receivers += 1;
        WatchOut {
            watched: Arc::clone(&self.0),
            seen: state.version,
        }
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<Watch, T> for WatchOut<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        poll_fn(|context| {
            let mut state = self.watched.state();
            if state.version != self.seen {
                self.seen = state.version;
                return Poll::Ready(Ok(()));
            }
            if state.senders == 0 {
                return Poll::Ready(Err(RecvError(())));
            }
            if !state
                .waiting
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.watched.read()
    }

    fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        self.seen = self.watched.state().version;
        self.watched.read()
    }
}
