//! One run: a cluster, clients at work, one fault after the other, and what must hold at the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use confman_refs::testing::history::Accepted;

use crate::chance::Chance;
use crate::client::{Asked, Reads, Work};
use crate::cluster::{Cluster, within};
use crate::fault::{Fault, Measured};
use crate::history;

/// How long every node may take to serve again after the last fault.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// How long that is waited for, to know how long it took.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long publishing may take to go on after a leader was killed: twice the longest time until an election, and
/// half a second for a machine that is busy.
const PUBLISHES_WITHIN: Duration = Duration::from_millis(4500);
/// How long nothing goes wrong between two faults.
const CALM_MS: (u64, u64) = (200, 1500);
/// How often two faults come together, where they can, in percent.
const TOGETHER: u64 = 25;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub size: u8,
    /// The faults, in an order that chance decides, again and again.
    pub faults: Vec<Fault>,
    /// How long faults go on; each at least once.
    pub time: Duration,
    /// How long one lasts.
    pub hold_ms: (u64, u64),
    pub reads: Reads,
    /// Whether disks say that they have what they do not have: a mistake on purpose.
    pub disks_lie: bool,
    pub patience: Duration,
}

impl Plan {
    pub fn new(seed: u64, size: u8, faults: &[Fault], time: Duration) -> Self {
        Self {
            seed,
            size,
            faults: faults.to_vec(),
            time,
            hold_ms: (800, 6000),
            reads: Reads::Linearizable,
            disks_lie: false,
            patience: PATIENCE,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    took: Duration,
    /// Everything that must not be.
    pub wrong: Vec<String>,
    accepted: Accepted,
    asked: Vec<Asked>,
    faults: BTreeMap<String, u64>,
    served_after: Vec<Duration>,
    publishes_after: Vec<Duration>,
    joined: Vec<(Duration, Duration)>,
}

/// Runs a plan, with everything that it leaves in `place`.
pub fn run(plan: &Plan, place: &Path) -> Report {
    let mut chance = Chance::new(plan.seed);
    let mut cluster = Cluster::new(plan.size, place, &mut chance);
    if plan.disks_lie {
        for host in cluster.hosts.values() {
            host.machine.lies();
        }
    }
    let work = Work::begin(
        &cluster.runtime,
        &cluster.nodes,
        &cluster.notes,
        plan.reads,
        &mut chance,
    );
    let (began, mut deck) = (Instant::now(), Vec::new());
    let (mut faults, mut measured) = (BTreeMap::new(), Measured::default());
    let (mut served_after, mut dealt) = (Vec::new(), 0);
    while (dealt < plan.faults.len() || began.elapsed() < plan.time) && cluster.wrong.is_empty() {
        if deck.is_empty() {
            deck = plan.faults.clone();
            chance.shuffle(&mut deck);
        }
        let calm = chance.millis(CALM_MS.0, CALM_MS.1);
        std::thread::park_timeout(calm);
        let Some(fault) = deck.pop() else { break };
        dealt += 1;
        let mut now = vec![fault];
        if fault.goes_with_others() && plan.size > 1 && chance.percent(TOGETHER) {
            now.extend(deck.pop_if(|other| other.goes_with_others()));
            dealt += now.len() - 1;
        }
        say(began, &format!("{now:?}"));
        for fault in now {
            *faults.entry(format!("{fault:?}")).or_default() += 1;
            cluster.fault(fault, &mut chance, &mut measured);
        }
        hold(
            &cluster,
            fault,
            chance.millis(plan.hold_ms.0, plan.hold_ms.1),
        );
        cluster.mend();
        match cluster.serves(plan.patience) {
            Some(took) => {
                say(began, &format!("every node serves after {took:.1?}"));
                if took > SERVES_WITHIN {
                    let states = cluster.states().join("\n");
                    cluster.wrong.push(format!(
                        "every node served only {took:.1?} after {fault:?}:\n{states}"
                    ));
                }
                served_after.push(took);
            }
            None => {
                let states = cluster.states().join("\n");
                cluster.wrong.push(format!(
                    "not every node serves {:?} after {fault:?}:\n{states}",
                    plan.patience
                ));
            }
        }
    }
    let took = began.elapsed();
    work.end(&cluster.runtime);
    let before = cluster.wrong.len();
    if before == 0 {
        cluster.agree(plan.patience);
    }
    cluster.read_everywhere();
    let chains = cluster.chains();
    let asked = cluster.asked();
    let (wrong, accepted) = history::check(&asked, &cluster.notes.reread(), &chains);
    cluster.wrong.extend(wrong);
    let publishes_after: Vec<Duration> = measured
        .leader_killed
        .iter()
        .filter_map(|killed| publishes_after(&asked, *killed))
        .collect();
    for slow in publishes_after
        .iter()
        .filter(|took| **took > PUBLISHES_WITHIN)
    {
        cluster.wrong.push(format!(
            "publishing went on {slow:.1?} after a leader was killed"
        ));
    }
    cluster.fsck();
    Report {
        plan: plan.clone(),
        took,
        wrong: std::mem::take(&mut cluster.wrong),
        accepted,
        asked,
        faults,
        served_after,
        publishes_after,
        joined: measured.joined,
    }
}

/// Leaves a fault as it is for a while; one of a leader, until it is known when publishing goes on.
fn hold(cluster: &Cluster, fault: Fault, time: Duration) {
    let began = Instant::now();
    if fault == Fault::KillOfLeader {
        let goes_on = || publishes_after(&cluster.asked(), began).is_some();
        within(2 * PUBLISHES_WITHIN, goes_on);
    }
    std::thread::park_timeout(time.saturating_sub(began.elapsed()));
}

/// How long after a moment something was published that was asked for after it.
fn publishes_after(asked: &[Asked], moment: Instant) -> Option<Duration> {
    asked
        .iter()
        .filter(|one| !one.written.is_empty() && one.ended.is_some() && one.began_at > moment)
        .map(|one| one.ended_at.duration_since(moment))
        .min()
}

fn say(began: Instant, what: &str) {
    eprintln!("{:7.1} s  {what}", began.elapsed().as_secs_f64());
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |keep: &dyn Fn(&&Asked) -> bool| self.asked.iter().filter(keep).count();
        writeln!(
            f,
            "faults: seed {}, {} nodes, {:.1} minutes",
            self.plan.seed,
            self.plan.size,
            self.took.as_secs_f64() / 60.0
        )?;
        writeln!(
            f,
            "  publishes {} acknowledged, {} not; linearizable reads {} answered, {} not",
            count(&|one| !one.written.is_empty() && one.ended.is_some()),
            count(&|one| !one.written.is_empty() && one.ended.is_none()),
            count(&|one| one.written.is_empty() && one.ended.is_some()),
            count(&|one| one.written.is_empty() && one.ended.is_none()),
        )?;
        writeln!(
            f,
            "  in order: {} calls, {} of them publishes",
            self.accepted.calls, self.accepted.writes
        )?;
        let mut said: BTreeMap<&str, u64> = BTreeMap::new();
        for one in self.asked.iter().filter(|one| one.ended.is_none()) {
            *said.entry(&one.said).or_default() += 1;
        }
        writeln!(f, "  not answered: {said:?}")?;
        writeln!(f, "  faults: {:?}", self.faults)?;
        let mut times = String::new();
        write!(times, "{}", spread(&self.served_after))?;
        writeln!(f, "  every node serves again after {times}")?;
        let times = spread(&self.publishes_after);
        writeln!(f, "  a leader killed, published again after {times}")?;
        let ready: Vec<Duration> = self.joined.iter().map(|(ready, _)| *ready).collect();
        let votes: Vec<Duration> = self.joined.iter().map(|(_, votes)| *votes).collect();
        writeln!(
            f,
            "  new nodes ready after {}, voters after {}",
            spread(&ready),
            spread(&votes)
        )?;
        write!(f, "  wrong: {}", self.wrong.len())?;
        for wrong in &self.wrong {
            write!(f, "\n  {wrong}")?;
        }
        Ok(())
    }
}

/// Median and longest.
fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(longest)) => {
            format!("{median:.1?} (longest {longest:.1?} of {})", times.len())
        }
        _ => "-".to_owned(),
    }
}
