//! Progress of something that may take a while, on stderr, and only once it does.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long something takes before it is worth a bar.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the bar moves while nothing is counted.
const TICK: Duration = Duration::from_millis(100);

/// A bar that appears after [`PATIENCE`] and is gone without a trace at the end.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropping the sender tells the thread that would show the bar to leave it.
    appear: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// A bar that is never shown.
    pub(crate) fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            appear: None,
        }
    }

    /// A bar for `what`, as in `cloning /teams/payments`.
    pub(crate) fn on_terminal(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style("{spinner} {prefix} {human_pos} {msg}[{elapsed}]"));
        bar.set_prefix(what.to_owned());
        let (done, waiting) = mpsc::channel::<()>();
        let shown = bar.clone();
        let thread = std::thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        });
        Self {
            bar,
            appear: Some((done, thread)),
        }
    }

    /// So much of `total` is done; a total of 0 is not known yet.
    pub(crate) fn at(&self, done: u64, total: u64) {
        if total > 0 && self.bar.length() != Some(total) {
            if self.bar.length().is_none() {
                self.bar.set_style(style(
                    "{prefix} {bar:30} {human_pos}/{human_len} {msg}[{elapsed}]",
                ));
            }
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// What is being done just now.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(format!("{what} "));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.appear.take() {
            drop(done);
            // The thread does nothing that could panic; without it the bar is hidden all the same.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid() {
        for template in [
            "{spinner} {prefix} {human_pos} {msg}[{elapsed}]",
            "{prefix} {bar:30} {human_pos}/{human_len} {msg}[{elapsed}]",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn what_ends_quickly_never_shows_a_bar() {
        let progress = Progress::on_terminal("testing");
        progress.at(1, 2);
        let bar = progress.bar.clone();
        drop(progress);
        assert!(bar.is_hidden());
    }
}
