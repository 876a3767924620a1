//! What goes wrong, and how it is mended.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chance::Chance;
use crate::cluster::{Cluster, within};
use crate::network::CLIENTS;

/// How far a clock may be from what it should be.
const CLOCK_MS_MAX: u64 = 6 * 60 * 60 * 1000;
/// What a sync takes longer on a slow disk.
const SLOW_SYNC_MS: (u64, u64) = (50, 600);
/// How long a node may take to be ready after it was started again.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a node whose disk fails may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillOfLeader,
    Kill,
    KillOfMost,
    PowerCut,
    PowerCutOfAll,
    Pause,
    PauseOfLeader,
    CutOff,
    CutOffLeader,
    Halves,
    OneWayCut,
    Bridge,
    SlowLink,
    SlowDisk,
    FailingDisk,
    FullDisk,
    ClockJump,
    RollingRestart,
    Churn,
    HandOver,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::KillOfLeader,
        Self::Kill,
        Self::KillOfMost,
        Self::PowerCut,
        Self::PowerCutOfAll,
        Self::Pause,
        Self::PauseOfLeader,
        Self::CutOff,
        Self::CutOffLeader,
        Self::Halves,
        Self::OneWayCut,
        Self::Bridge,
        Self::SlowLink,
        Self::SlowDisk,
        Self::FailingDisk,
        Self::FullDisk,
        Self::ClockJump,
        Self::RollingRestart,
        Self::Churn,
        Self::HandOver,
    ];

    /// Whether it goes together with another one: it is done at once, and needs nothing of the others.
    /// (A disk is found to fail when something is written, for which there must be a majority.)
    pub const fn goes_with_others(self) -> bool {
        !matches!(
            self,
            Self::KillOfLeader
                | Self::FailingDisk
                | Self::FullDisk
                | Self::RollingRestart
                | Self::Churn
                | Self::HandOver
        )
    }
}

/// What was measured while a fault was made.
#[derive(Debug, Default)]
pub struct Measured {
    /// When a leader was killed and nothing else was wrong.
    pub leader_killed: Vec<Instant>,
    /// How long a new node took until it was ready, and until it voted.
    pub joined: Vec<(Duration, Duration)>,
}

impl Cluster {
    /// Something goes wrong. It stays so until everything is mended.
    pub fn fault(&mut self, fault: Fault, chance: &mut Chance, measured: &mut Measured) {
        let all = self.numbers();
        let leader = self.leader();
        let any = chance.pick(&all);
        let victim = leader.unwrap_or(any);
        match fault {
            Fault::KillOfLeader => {
                self.host(victim).kill();
                if leader.is_some() {
                    measured.leader_killed.push(Instant::now());
                }
            }
            Fault::Kill => self.host(any).kill(),
            Fault::KillOfMost => {
                for number in most(&all, chance) {
                    self.host(number).kill();
                }
            }
            Fault::PowerCut => self.power_cut(&[any], chance),
            Fault::PowerCutOfAll => self.power_cut(&all, chance),
            Fault::Pause => self.host(any).pause(),
            Fault::PauseOfLeader => self.host(victim).pause(),
            Fault::CutOff => self.cut_off(&[any], chance),
            Fault::CutOffLeader => self.cut_off(&[victim], chance),
            Fault::Halves => {
                let some = chance.some(&all);
                self.cut_off(&some, chance);
            }
            Fault::OneWayCut => {
                let into = chance.percent(50);
                let hit = if chance.percent(60) { victim } else { any };
                for other in all {
                    match into {
                        true => self.network.cut(other, hit),
                        false => self.network.cut(hit, other),
                    }
                }
            }
            Fault::Bridge => {
                let others: Vec<u8> = all.into_iter().filter(|other| *other != any).collect();
                let some = chance.some(&others);
                let rest: Vec<u8> = others
                    .into_iter()
                    .filter(|other| !some.contains(other))
                    .collect();
                self.network.part(&some, &rest);
            }
            Fault::SlowLink => self.network.slow(any),
            Fault::SlowDisk => {
                let delay = chance.millis(SLOW_SYNC_MS.0, SLOW_SYNC_MS.1);
                self.host(any).machine.slow(delay);
            }
            Fault::FailingDisk => {
                self.host(any).machine.failing();
                self.disk_ends(any);
            }
            Fault::FullDisk => {
                self.host(any).machine.full();
                self.disk_ends(any);
            }
            Fault::ClockJump => {
                for number in chance.some(&all) {
                    let ms = chance.between(0, 2 * CLOCK_MS_MAX) as i64 - CLOCK_MS_MAX as i64;
                    self.host(number).machine.clock(ms);
                }
            }
            Fault::RollingRestart => self.rolling_restart(),
            Fault::Churn => {
                self.remove(any);
                if self.wrong.is_empty() {
                    measured.joined.extend(self.join(any));
                }
            }
            Fault::HandOver => {
                let asked = self.nodes.clone();
                let url = self.host(any).url();
                let empty = Value::Object(serde_json::Map::new());
                let asking = asked.post(&url, "/v1/cluster/transfer", None, &empty, READY_WITHIN);
                // Whether it could be done is up to the cluster; that nobody is hurt is checked.
                drop(self.runtime.block_on(asking));
            }
        }
    }

    fn power_cut(&mut self, numbers: &[u8], chance: &mut Chance) {
        // All at once, then what their disks had.
        for number in numbers {
            self.host(*number).kill();
        }
        for number in numbers {
            self.host(*number).machine.lose_unsynced(chance);
        }
    }

    /// Some do not hear the others, and at times their clients do not hear them.
    fn cut_off(&mut self, some: &[u8], chance: &mut Chance) {
        let others: Vec<u8> = self
            .numbers()
            .into_iter()
            .filter(|other| !some.contains(other))
            .collect();
        self.network.part(some, &others);
        if chance.percent(25) {
            self.network.part(some, &[CLIENTS]);
        }
    }

    /// A node that cannot write ends, and says why.
    fn disk_ends(&mut self, number: u8) {
        let host = self.host(number);
        let ended = host.wait(ENDS_WITHIN);
        if ended.is_none_or(|status| status.success()) {
            let said = host.said();
            self.wrong.push(format!(
                "node {number} does not end though it cannot write: {ended:?}\n{said}"
            ));
        }
    }

    fn rolling_restart(&mut self) {
        for number in self.numbers() {
            let stopped = self.host(number).stop();
            if !stopped.is_some_and(|status| status.success()) {
                self.wrong.push(format!(
                    "node {number} does not stop when it is told to: {stopped:?}"
                ));
            }
            self.start(number);
            if within(READY_WITHIN, || self.is_ready(number)).is_none() {
                let said = self.host(number).said();
                self.wrong.push(format!(
                    "node {number} is not ready after it was restarted: {said}"
                ));
            }
        }
    }

    /// Nothing is wrong any more: links, disks and processes are back. Clocks stay as they are.
    pub fn mend(&mut self) {
        self.network.mend();
        for number in self.numbers() {
            let host = self.host(number);
            host.go_on();
            host.machine.mend_disk();
            if let Some(status) = host.ended() {
                let said = host.said();
                self.wrong
                    .push(format!("node {number} ended by itself: {status}\n{said}"));
            }
            if !self.hosts[&number].runs() {
                self.start(number);
            }
        }
    }
}

/// A majority.
fn most(all: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut all = all.to_vec();
    chance.shuffle(&mut all);
    all.truncate(all.len() / 2 + 1);
    all
}
