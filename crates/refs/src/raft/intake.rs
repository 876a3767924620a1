//! Transactions on their way into the log, several at a time.
//!
//! Each time raft is woken, its log synced, its followers sent a message and the entries applied costs the same for
//! one entry as for many. openraft puts together what it finds waiting; but the callers are answered together and
//! come again one by one, so it finds few. What comes while others are on their way therefore waits until about as
//! much waits as is on its way, or that is answered (Nagle's algorithm, RFC 896, with transactions for bytes). An
//! entry that waits would have been applied after those before it anyway.
//!
//! INVARIANT: entries are handed over in the order in which they came.
//! INVARIANT: whatever is awaited is handed over once what is on its way was answered, or given up by openraft.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};

use bytes::Bytes;
use openraft::raft::ClientWriteResult;
use tokio::sync::{Notify, oneshot};

use super::{Payload, Raft, Reply, Types};

/// What has become of an entry.
type Written = ClientWriteResult<Types>;

/// From how many transactions at once on any of them waits: fewer gain nothing by it.
const GATHERED_FROM: usize = 8;
/// Into how many batches transactions are divided that are there at once: one waits, the others are on their way.
const BATCHES: usize = 2;

/// Where transactions are put, by any number of threads.
#[derive(Default)]
pub(crate) struct Intake {
    gathering: Mutex<Gathering>,
    due: Notify,
}

#[derive(Default)]
struct Gathering {
    waiting: Vec<Waiting>,
    /// How many are handed over and not answered yet.
    on_their_way: usize,
    /// Nobody hands over any more.
    closed: bool,
}

struct Waiting {
    entry: Bytes,
    answer: Answering<Written>,
    /// Gone with the [`Awaited`].
    awaited: Weak<()>,
}

/// Brings an answer to the thread or the task that waits for it.
pub(crate) enum Answering<T> {
    Thread(mpsc::SyncSender<T>),
    Task(oneshot::Sender<T>),
}

impl<T> Answering<T> {
    /// Who waits may have given up; the outcome is then in the log all the same.
    pub(crate) fn tell(self, answer: T) {
        match self {
            Self::Thread(thread) => drop(thread.try_send(answer)),
            Self::Task(task) => drop(task.send(answer)),
        }
    }
}

/// An answer that is waited for. Dropped before the entry was handed over, the entry is forgotten.
#[derive(Debug)]
pub(crate) struct Awaited<R> {
    pub(crate) answer: R,
    _awaited: Arc<()>,
}

/// What a thread waits for.
pub(crate) type ThreadAwaits = Awaited<mpsc::Receiver<Written>>;
/// What a task waits for.
pub(crate) type TaskAwaits = Awaited<oneshot::Receiver<Written>>;

/// One that is handed over. Dropped, it is answered, or never will be.
pub(crate) struct OnItsWay(Arc<Intake>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut gathering = self.0.lock();
        gathering.on_their_way -= 1;
        let due = gathering.is_due();
        drop(gathering);
        if due {
            self.0.due.notify_one();
        }
    }
}

/// As long as it is there, somebody hands over. Dropped, as with the runtime, nothing may wait any longer.
struct Open(Arc<Intake>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut gathering = self.0.lock();
        gathering.closed = true;
        gathering.waiting.clear();
    }
}

impl Gathering {
    fn is_due(&self) -> bool {
        let waiting = self.waiting.len();
        let all = waiting + self.on_their_way;
        waiting > 0 && (all < GATHERED_FROM || waiting * BATCHES >= all)
    }

    /// Adds one. A leader that nobody follows answers nothing for as long as that lasts, so those whose callers have
    /// given up must not pile up.
    fn add(&mut self, waiting: Waiting) {
        if self.waiting.len() == self.waiting.capacity() {
            self.forget_unawaited();
        }
        self.waiting.push(waiting);
    }

    fn forget_unawaited(&mut self) {
        self.waiting
            .retain(|waiting| waiting.awaited.strong_count() > 0);
    }

    /// What is to be handed over, if it is time.
    fn take_due(&mut self) -> Vec<Waiting> {
        self.forget_unawaited();
        if !self.is_due() {
            return Vec::new();
        }
        self.on_their_way += self.waiting.len();
        std::mem::take(&mut self.waiting)
    }
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Gathering> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry behind those before it. The answer comes once it is applied here; the channel is closed without
    /// one where the node stops before.
    pub(crate) fn put(&self, entry: Bytes) -> ThreadAwaits {
        let (sender, answer) = mpsc::sync_channel(1);
        self.put_for(entry, Answering::Thread(sender), answer)
    }

    /// As [`Self::put`], for a task.
    pub(crate) fn put_by_task(&self, entry: Bytes) -> TaskAwaits {
        let (sender, answer) = oneshot::channel();
        self.put_for(entry, Answering::Task(sender), answer)
    }

    fn put_for<R>(&self, entry: Bytes, answering: Answering<Written>, answer: R) -> Awaited<R> {
        let awaited = Arc::default();
        let waiting = Waiting {
            entry,
            answer: answering,
            awaited: Arc::downgrade(&awaited),
        };
        let mut gathering = self.lock();
        if !gathering.closed {
            gathering.add(waiting);
        }
        let due = gathering.is_due();
        drop(gathering);
        if due {
            self.due.notify_one();
        }
        Awaited {
            answer,
            _awaited: awaited,
        }
    }

    /// Hands over what is due, as long as the node runs.
    pub(crate) async fn hand_over(self: Arc<Self>, raft: Raft) {
        let _open = Open(Arc::clone(&self));
        loop {
            let due = self.lock().take_due();
            if due.is_empty() {
                self.due.notified().await;
                continue;
            }
            for Waiting { entry, answer, .. } in due {
                let reply = Reply {
                    answer,
                    _on_its_way: OnItsWay(Arc::clone(&self)),
                };
                // Where raft has stopped, the reply is dropped, and who waits for it learns of it so.
                let _ = raft.client_write_ff(Payload(entry), Some(reply)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long anything may take that is waited for.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// How many are due now, and are handed over.
    fn handed_over(gathering: &mut Gathering) -> usize {
        gathering.take_due().len()
    }

    async fn told(intake: &Intake) {
        let told = tokio::time::timeout(PATIENCE, intake.due.notified());
        assert!(told.await.is_ok(), "nobody said that something is due");
    }

    fn put(intake: &Intake, count: usize) -> Vec<ThreadAwaits> {
        (0..count).map(|_| intake.put(Bytes::new())).collect()
    }

    #[test]
    fn few_never_wait() {
        let intake = Intake::default();
        let mut awaited = Vec::new();
        for _ in 1..GATHERED_FROM {
            awaited.extend(put(&intake, 1));
            assert_eq!(handed_over(&mut intake.lock()), 1);
        }
    }

    #[test]
    fn many_wait_until_as_many_are_there_as_are_on_their_way() {
        let intake = Intake::default();
        let mut awaited = put(&intake, 20);
        assert_eq!(handed_over(&mut intake.lock()), 20);
        awaited.extend(put(&intake, 19));
        assert_eq!(handed_over(&mut intake.lock()), 0);
        awaited.extend(put(&intake, 1));
        assert_eq!(handed_over(&mut intake.lock()), 20);
    }

    #[tokio::test]
    async fn one_that_waits_is_due_when_those_before_it_are_answered() {
        let intake = Arc::new(Intake::default());
        let mut awaited = put(&intake, 20);
        let due = handed_over(&mut intake.lock());
        let mut on_their_way: Vec<_> = (0..due).map(|_| OnItsWay(Arc::clone(&intake))).collect();
        awaited.extend(put(&intake, 5));
        // Of the first twenty.
        told(&intake).await;
        on_their_way.truncate(6);
        assert_eq!(handed_over(&mut intake.lock()), 0);
        on_their_way.truncate(5);
        told(&intake).await;
        assert_eq!(handed_over(&mut intake.lock()), 5);
    }

    #[test]
    fn one_whose_caller_has_given_up_is_forgotten() {
        let intake = Intake::default();
        let mut awaited = put(&intake, 20);
        assert_eq!(handed_over(&mut intake.lock()), 20);
        for _ in 0..1000 {
            drop(put(&intake, 1));
        }
        assert!(intake.lock().waiting.len() < 20);
        awaited.extend(put(&intake, 10));
        drop(awaited.drain(..20));
        assert_eq!(handed_over(&mut intake.lock()), 0);
        awaited.extend(put(&intake, 10));
        assert_eq!(handed_over(&mut intake.lock()), 20);
    }

    #[test]
    fn nothing_waits_where_nobody_hands_over() {
        let intake = Arc::new(Intake::default());
        let waits = intake.put(Bytes::new());
        drop(Open(Arc::clone(&intake)));
        let late = intake.put(Bytes::new());
        for awaited in [waits, late] {
            let answer = awaited.answer.recv_timeout(PATIENCE);
            assert_eq!(answer.unwrap_err(), mpsc::RecvTimeoutError::Disconnected);
        }
    }
}
