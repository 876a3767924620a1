//! How long to wait before asking again, so that a fleet does not come back as one.

use std::time::Duration;

/// Upper bound of the first pause.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// Upper bound of every pause.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Least pause, so that no loop is tight.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Pauses whose upper bound doubles, each drawn anew between nothing and that bound.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = spread(bound(self.attempt), random());
        self.attempt = self.attempt.saturating_add(1);
        pause
    }

    /// It worked: the next pause is a first one.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }
}

fn bound(attempt: u32) -> Duration {
    PAUSE_FIRST
        .saturating_mul(1 << attempt.min(16))
        .min(PAUSE_MAX)
}

fn spread(bound: Duration, random: u16) -> Duration {
    PAUSE_MIN
        + bound
            .saturating_sub(PAUSE_MIN)
            .mul_f64(f64::from(random) / f64::from(u16::MAX))
}

/// A random number; the middle where the system gives none.
pub(crate) fn random() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_le_bytes(bytes),
        Err(_) => u16::MAX / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_limit_and_pauses_stay_within_them() {
        let bounds: Vec<u128> = (0..9).map(|attempt| bound(attempt).as_millis()).collect();
        assert_eq!(
            bounds,
            [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        );
        assert_eq!(spread(PAUSE_MAX, 0), PAUSE_MIN);
        assert_eq!(spread(PAUSE_MAX, u16::MAX), PAUSE_MAX);
        assert_eq!(bound(u32::MAX), PAUSE_MAX);
    }
}
