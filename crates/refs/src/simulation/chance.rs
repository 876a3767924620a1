//! The one source of everything that is left to chance: a simulation is a function of its seed.

use std::cell::RefCell;
use std::time::Duration;

/// A sequence of numbers that its seed decides (SplitMix64; good enough to choose faults with).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` up to but without `end`.
    pub(crate) const fn between(&mut self, from: u64, end: u64) -> u64 {
        from + self.number() % (end - from)
    }

    /// True so many times out of a hundred.
    pub(crate) const fn percent(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    pub(crate) const fn micros(&mut self, from: u64, end: u64) -> Duration {
        Duration::from_micros(self.between(from, end))
    }

    pub(crate) const fn millis(&mut self, from: u64, end: u64) -> Duration {
        self.micros(from * 1000, end * 1000)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        match from.len() {
            0 => None,
            length => from.get((self.number() % length as u64) as usize),
        }
    }
}

thread_local! {
    static CHANCE: RefCell<Option<Chance>> = const { RefCell::new(None) };
}

/// Makes this thread's chance that of a simulation until it is dropped.
#[derive(Debug)]
pub(crate) struct Seeded;

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        CHANCE.set(Some(Chance::new(seed)));
        Self
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        CHANCE.set(None);
    }
}

/// Whether this thread runs a simulation.
pub(crate) fn simulated() -> bool {
    CHANCE.with_borrow(Option::is_some)
}

/// Leaves something to the simulation's chance.
pub(crate) fn chance<T>(choose: impl FnOnce(&mut Chance) -> T) -> T {
    CHANCE.with_borrow_mut(|chance| {
        choose(
            chance
                .as_mut()
                .expect("only simulations leave things to chance"),
        )
    })
}

/// Bytes of the simulation's chance.
pub(crate) fn fill(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = chance(|chance| chance.number().to_le_bytes()[0]);
    }
}
