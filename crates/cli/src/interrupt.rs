//! Ctrl-C: stop at the next safe place, and end for certain soon after.
//!
//! The first Ctrl-C asks: what waits for the network stops waiting, streams end, temporary files
//! and progress bars are cleaned up on the way out. Whatever does not listen within [`GRACE`], or a
//! second Ctrl-C, ends the process at once. Nothing half-written is left either way, because files
//! are replaced as a whole and the server's changes are transactions.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::CliError;
use crate::exit::Exit;

/// How long a command may take to stop by itself.
const GRACE: Duration = Duration::from_secs(2);

static ASKED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
static ANSWER: AtomicU8 = AtomicU8::new(Answer::Soon as u8);

/// What Ctrl-C does just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Answer {
    /// Stop at the next safe place.
    Soon = 0,
    /// End at once: nothing is going on but a question.
    Now = 1,
    /// Stop writing, but stay until the pager is closed, which owns the terminal.
    Hold = 2,
}

/// Starts to listen for Ctrl-C on a thread of its own. Only the first call does anything.
pub(crate) fn listen() {
    let (ask, asked) = watch::channel(false);
    if ASKED.set(asked).is_err() {
        return;
    }
    // Without a thread or a signal handler Ctrl-C ends the process as it always does.
    let _ = std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(answer_all(&ask));
        });
}

async fn answer_all(ask: &watch::Sender<bool>) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    // Nobody may be waiting; `check` reads it all the same.
    let _ = ask.send(true);
    loop {
        if ANSWER.load(Ordering::SeqCst) == Answer::Now as u8 {
            end();
        }
        let _ = tokio::time::timeout(GRACE, tokio::signal::ctrl_c()).await;
        if ANSWER.load(Ordering::SeqCst) != Answer::Hold as u8 {
            end();
        }
    }
}

fn end() -> ! {
    show_input();
    std::process::exit(Exit::Interrupted.code().into())
}

/// Runs `work` with another answer to Ctrl-C.
pub(crate) fn during<R>(answer: Answer, work: impl FnOnce() -> R) -> R {
    let before = ANSWER.swap(answer as u8, Ordering::SeqCst);
    let result = work();
    ANSWER.store(before, Ordering::SeqCst);
    result
}

/// Completes once Ctrl-C was pressed.
pub(crate) async fn asked() {
    let Some(mut asked) = ASKED.get().cloned() else {
        return std::future::pending().await;
    };
    if asked.wait_for(|asked| *asked).await.is_err() {
        // The listener is gone, so nobody will ask any more.
        std::future::pending().await
    }
}

/// Fails once Ctrl-C was pressed.
pub(crate) fn check() -> Result<(), CliError> {
    match ASKED.get().is_some_and(|asked| *asked.borrow()) {
        true => Err(error()),
        false => Ok(()),
    }
}

/// What a stopped command ends with.
pub(crate) fn error() -> CliError {
    CliError::new(Exit::Interrupted, "stopped by Ctrl-C")
}

/// Keeps what is typed on the terminal from being shown, until it is dropped or Ctrl-C ends the
/// process.
pub(crate) struct HiddenInput(());

static HIDDEN: AtomicBool = AtomicBool::new(false);

impl HiddenInput {
    /// Hides what is typed from now on, where the system has `stty`.
    pub(crate) fn start() -> Self {
        listen();
        HIDDEN.store(true, Ordering::SeqCst);
        stty("-echo");
        Self(())
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        show_input();
    }
}

fn show_input() {
    if HIDDEN.swap(false, Ordering::SeqCst) {
        stty("echo");
    }
}

/// Without `stty` the input is shown; that is no reason to refuse it.
fn stty(mode: &str) {
    let _ = std::process::Command::new("stty").arg(mode).status();
}
