//! Reads again what is stored, a little each second, day after day: what a disk has changed is found while another
//! node still has it whole.

use std::time::{Duration, Instant};

use confman_repo::refs::ScrubStep;

use crate::app::App;
use crate::error::{ApiError, chain};

/// How often a little is read.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// How long after the beginning of one pass the next one begins, at the earliest.
pub const SCRUB_PASS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads until the server stops. With a rate of 0, nothing.
pub(crate) async fn run(app: App, bytes_per_second: u64) {
    if bytes_per_second == 0 {
        return;
    }
    let mut begun = Instant::now();
    loop {
        let pause = match step(&app, bytes_per_second).await {
            Ok(step) => {
                tell(&step);
                match step.ended {
                    true => {
                        let status = app.repo().node().scrub_status();
                        tracing::info!(
                            objects = status.objects,
                            damaged = status.damaged.len(),
                            "everything that is stored was read again: {} damaged",
                            status.damaged.len()
                        );
                        let pause = SCRUB_PASS_EVERY.saturating_sub(begun.elapsed());
                        begun = Instant::now() + pause;
                        pause.max(STEP_EVERY)
                    }
                    false => STEP_EVERY,
                }
            }
            Err(error) => {
                let cause = error.cause.unwrap_or(error.detail);
                tracing::error!("what is stored could not be read again: {cause}");
                SCRUB_PASS_EVERY
            }
        };
        tokio::select! {
            () = app.stopping() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn step(app: &App, bytes: u64) -> Result<ScrubStep, ApiError> {
    app.blocking(move |repo| {
        let scrubbed = repo.node().scrub(bytes);
        scrubbed.map_err(|error| ApiError::internal(chain(&error)))
    })
    .await
}

fn tell(step: &ScrubStep) {
    for found in &step.found {
        let damage = &found.damage;
        match &found.repaired {
            Ok(node) => tracing::warn!(
                node,
                "what is stored was damaged, and is whole again from node {node}: {damage}"
            ),
            Err(reason) => tracing::error!(
                "ALARM: what is stored is damaged, and could not be repaired: {damage}; {reason}"
            ),
        }
    }
}
