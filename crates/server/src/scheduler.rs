//! Publishes scheduled requests when they are due, and announces secrets that are to be replaced.
//!
//! Sleeps until the next one is due or the view moves, which may have scheduled another. Only the
//! leader publishes; that two nodes could believe to be it does no harm, because what is due fires in
//! one transaction.

use std::time::Duration;

use confman_repo::request::DueOutcome;
use confman_repo::{Clock, SystemClock};

use crate::app::App;
use crate::error::ApiError;

/// How long it sleeps at most: clocks are set, and leaders change without moving the view.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// How long it sleeps at least, so that writes in quick succession do not wake it each.
const SLEEP_MIN: Duration = Duration::from_millis(50);

/// Publishes what is due until the server stops.
pub(crate) async fn run(app: App) {
    let mut applied = app.repo().node().applied();
    loop {
        applied.borrow_and_update();
        let sleep = match round(&app).await {
            Ok(sleep) => sleep,
            Err(error) => {
                let cause = error.cause.unwrap_or(error.detail);
                tracing::error!("scheduled requests could not be looked at: {cause}");
                SLEEP_MAX
            }
        };
        tokio::select! {
            () = app.stopping() => return,
            () = tokio::time::sleep(sleep) => {}
            changed = applied.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(SLEEP_MIN).await;
            }
        }
    }
}

/// Publishes what is due now, and says how long nothing else is.
async fn round(app: &App) -> Result<Duration, ApiError> {
    app.blocking(|repo| {
        let status = repo.node().status();
        let leads = status.leader == Some(status.node_id);
        for namespace in repo.look_at_rotations(leads)? {
            tracing::warn!(%namespace, "secrets of {namespace} are to be replaced");
        }
        if !leads {
            return Ok(SLEEP_MAX);
        }
        let mut again = false;
        for ran in repo.run_due()? {
            let number = ran.number;
            match ran.outcome {
                DueOutcome::Published => {
                    tracing::info!(number, "published scheduled request #{number}");
                }
                DueOutcome::Advanced => {
                    tracing::info!("publish request #{number} went on to more readers");
                }
                DueOutcome::Suspended(_) => {
                    tracing::warn!(number, "suspended scheduled request #{number}");
                }
                DueOutcome::Later(reason) => {
                    again = true;
                    tracing::warn!(number, "request #{number} stays due: {reason}");
                }
            }
        }
        if again {
            return Ok(SLEEP_MAX);
        }
        let Some(due_ms) = repo.next_due()? else {
            return Ok(SLEEP_MAX);
        };
        let left_ms = due_ms.saturating_sub(SystemClock.now_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        Ok(left.clamp(SLEEP_MIN, SLEEP_MAX))
    })
    .await
}
