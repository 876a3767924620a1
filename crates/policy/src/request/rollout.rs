//! Publishing to a part of the readers first, and to more of them step by step.

use std::fmt;

/// Most stages of a request.
pub const STAGES_MAX: usize = 16;
/// The part of the readers that a stage can be for, at most.
pub const PERCENT_MAX: u8 = 100;
/// Shortest time of a stage.
pub const STAGE_MS_MIN: i64 = 1000;
/// Longest time of a stage: 90 days.
pub const STAGE_MS_MAX: i64 = 90 * 24 * 3600 * 1000;
/// Longest id of a client.
pub const CLIENT_BYTES_MAX: usize = 256;

/// Context of the hash by which clients are divided.
const CONTEXT: &str = "confman 2026 rollout v1";
/// Into how many parts they are divided.
const PARTS: u64 = 10_000;

/// A step of a gradual publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Percent of the readers that get what is new, from 1 to 100.
    pub percent: u8,
    /// How long, in milliseconds; `None`: until somebody promotes it.
    pub for_ms: Option<i64>,
}

/// What is wrong with stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProblem {
    /// Which stage, from 0; `None` where it is about all of them.
    pub stage: Option<usize>,
    /// What.
    pub detail: String,
}

impl fmt::Display for StageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Everything that is wrong with the stages of a request.
#[must_use]
pub fn check_stages(stages: &[Stage]) -> Vec<StageProblem> {
    let mut problems = Vec::new();
    if stages.len() > STAGES_MAX {
        problems.push(StageProblem {
            stage: None,
            detail: format!(
                "there are {} stages, at most {STAGES_MAX} are allowed",
                stages.len()
            ),
        });
    }
    let mut before = 0;
    for (at, stage) in stages.iter().enumerate() {
        let mut wrong = |detail: String| {
            problems.push(StageProblem {
                stage: Some(at),
                detail,
            });
        };
        if !(1..=PERCENT_MAX).contains(&stage.percent) {
            wrong(format!("a stage is for 1 to {PERCENT_MAX} percent"));
        } else if stage.percent <= before {
            wrong(format!(
                "a stage is for more readers than the one before, which is for {before} percent"
            ));
        }
        before = before.max(stage.percent);
        match stage.for_ms {
            Some(ms) if !(STAGE_MS_MIN..=STAGE_MS_MAX).contains(&ms) => wrong(format!(
                "a stage lasts from {} second to {} days",
                STAGE_MS_MIN / 1000,
                STAGE_MS_MAX / (24 * 3600 * 1000)
            )),
            None if at + 1 < stages.len() => {
                wrong("only the last stage can last until somebody promotes it".to_owned());
            }
            _ => {}
        }
    }
    problems
}

/// Whether a client gets what is new, where so many percent of the readers of a request do. Who gets it
/// at a stage gets it at every later one; which clients come first differs from request to request.
#[must_use]
pub fn is_served(request: u64, client: &str, percent: u8) -> bool {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&request.to_le_bytes());
    hasher.update(client.as_bytes());
    let mut part = [0; 8];
    hasher.finalize_xof().fill(&mut part);
    u64::from_le_bytes(part) % PARTS < u64::from(percent) * (PARTS / u64::from(PERCENT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_clients_is_served_and_stays_served() {
        let clients: Vec<String> = (0..10_000).map(|number| format!("pod-{number}")).collect();
        let served = |request: u64, percent: u8| -> Vec<&String> {
            let all = clients.iter();
            all.filter(|client| is_served(request, client, percent))
                .collect()
        };
        for percent in [1, 10, 50] {
            let part = served(7, percent).len();
            let expected = 100 * usize::from(percent);
            assert!(part.abs_diff(expected) < 250, "{part} at {percent} %");
        }
        assert_eq!(served(7, 100).len(), clients.len());
        let (few, more) = (served(7, 10), served(7, 30));
        assert!(few.iter().all(|client| more.contains(client)));
        assert_ne!(served(7, 10), served(8, 10));
    }

    #[test]
    fn wrong_stages_are_all_named() {
        let stage = |percent, for_ms| Stage { percent, for_ms };
        let problems = check_stages(&[
            stage(0, Some(1000)),
            stage(20, None),
            stage(10, Some(1)),
            stage(101, Some(STAGE_MS_MAX + 1)),
        ]);
        let said: Vec<String> = problems
            .iter()
            .map(|problem| format!("{:?}: {problem}", problem.stage))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        Some(0): a stage is for 1 to 100 percent
        Some(1): only the last stage can last until somebody promotes it
        Some(2): a stage is for more readers than the one before, which is for 20 percent
        Some(2): a stage lasts from 1 second to 90 days
        Some(3): a stage is for 1 to 100 percent
        Some(3): a stage lasts from 1 second to 90 days
        ");
        assert_eq!(
            check_stages(&[stage(1, Some(600_000)), stage(50, None)]),
            []
        );
    }
}
