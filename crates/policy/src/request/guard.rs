//! How much one publish changes, and whether that is more than a namespace lets it.

use std::fmt;

use confman_model::document::{ChangeKind, Guards};

use super::TargetFacts;

/// How much one publish changes in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Keys that are published before.
    pub keys_before: u64,
    /// Published keys that are removed.
    pub removed: u64,
    /// Published keys that change or are removed.
    pub changed: u64,
    /// New keys.
    pub added: u64,
    /// Bytes by which all values together grow.
    pub growth_bytes: i64,
}

impl Measure {
    /// What the changes of a target come to.
    #[must_use]
    pub fn of(target: &TargetFacts) -> Self {
        let mut measure = Self {
            keys_before: target.keys_before,
            ..Self::default()
        };
        for change in &target.changes {
            match change.kind {
                ChangeKind::Add => measure.added += 1,
                ChangeKind::Remove => {
                    measure.removed += 1;
                    measure.changed += 1;
                }
                ChangeKind::Change | ChangeKind::FormatOnly => measure.changed += 1,
            }
            measure.growth_bytes = measure.growth_bytes.saturating_add(change.growth_bytes);
        }
        measure
    }
}

/// A limit that a publish is beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// It removes too many keys.
    KeysRemoved {
        /// How many.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// It removes too large a part of the keys.
    PercentRemoved {
        /// How many.
        actual: u64,
        /// Of how many.
        of: u64,
        /// The limit in percent.
        limit: u32,
    },
    /// It changes too many keys.
    KeysChanged {
        /// How many.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// It changes too large a part of the keys.
    PercentChanged {
        /// How many.
        actual: u64,
        /// Of how many.
        of: u64,
        /// The limit in percent.
        limit: u32,
    },
    /// The values grow too much.
    Growth {
        /// By how many bytes.
        actual: u64,
        /// The limit.
        limit: u64,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysRemoved { actual, limit } => {
                write!(f, "it removes {actual} keys, the guard allows {limit}")
            }
            Self::PercentRemoved { actual, of, limit } => {
                write!(
                    f,
                    "it removes {actual} of {of} keys, the guard allows {limit} %"
                )
            }
            Self::KeysChanged { actual, limit } => {
                write!(
                    f,
                    "it changes or removes {actual} keys, the guard allows {limit}"
                )
            }
            Self::PercentChanged { actual, of, limit } => {
                write!(
                    f,
                    "it changes or removes {actual} of {of} keys, the guard allows {limit} %"
                )
            }
            Self::Growth { actual, limit } => {
                write!(
                    f,
                    "the values grow by {actual} bytes, the guard allows {limit}"
                )
            }
        }
    }
}

/// The limits that a publish is beyond.
pub(super) fn exceeded(guards: &Guards, measure: &Measure) -> Vec<Exceeded> {
    let Measure {
        keys_before: of,
        removed,
        changed,
        added: _,
        growth_bytes,
    } = *measure;
    let beyond = |limit: Option<u64>, actual: u64| limit.filter(|limit| actual > *limit);
    let beyond_percent = |limit: Option<u32>, actual: u64| {
        limit
            .filter(|limit| u128::from(actual) * 100 > u128::from(of) * u128::from(*limit))
            .filter(|_| actual > 0)
    };
    let growth = u64::try_from(growth_bytes).unwrap_or(0);
    [
        beyond(guards.keys_removed_max, removed).map(|limit| Exceeded::KeysRemoved {
            actual: removed,
            limit,
        }),
        beyond_percent(guards.percent_removed_max, removed).map(|limit| Exceeded::PercentRemoved {
            actual: removed,
            of,
            limit,
        }),
        beyond(guards.keys_changed_max, changed).map(|limit| Exceeded::KeysChanged {
            actual: changed,
            limit,
        }),
        beyond_percent(guards.percent_changed_max, changed).map(|limit| Exceeded::PercentChanged {
            actual: changed,
            of,
            limit,
        }),
        beyond(guards.growth_bytes_max, growth).map(|limit| Exceeded::Growth {
            actual: growth,
            limit,
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
