//! Progress of a clone or pull.

use confman_client::working_copy::Progress as Step;

use crate::progress::Progress;

/// Shows a step.
pub(crate) fn show(progress: &Progress, step: Step) {
    match step {
        Step::Fetching(namespace) => progress.say(&format!("fetching {namespace}")),
        Step::Received { objects, total } => {
            progress.say("objects received");
            progress.at(objects, total);
        }
        Step::Writing { entries, total } => {
            progress.say("entries written");
            progress.at(entries, total);
        }
    }
}
