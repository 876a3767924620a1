//! One simulation: a cluster grows, clients work, faults happen, everything is mended; then what must hold is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::BasicNode;

use super::chance::{Seeded, chance};
use super::client::{CALM, Client, Told};
use super::host::{End, Host, TOKEN};
use super::network::{CLUSTER, SimulatedTransport};
use super::world::{Bug, Running, World};
use crate::cluster::JoinOptions;
use crate::node::members::join_any;
use crate::peer::{Begin, STRANGER, Transport};
use crate::proposal;
use crate::raft::{Membership, Payload};
use crate::testing::history;

/// Clients that work at once.
const CLIENTS: u64 = 5;
/// Faults of one simulation, at most and at least.
const FAULTS: (u64, u64) = (8, 25);
/// How long the whole cluster may take to serve again after the last fault.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
/// Numbers of faults, of a hundred.
const POWER_CUT_OF_MOST: u64 = 18;
const RESTART_BEHIND_A_CUT: u64 = 91;
/// What a violation begins with that is one of time alone.
pub(crate) const SLOW: &str = "not every member serves";
/// How long a change of members is waited for before the next one may begin.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);
/// How long a machine may take to be let in, once everything is mended.
const JOINED_WITHIN: Duration = Duration::from_secs(120);
/// How long the members may take to apply the last entries.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);
/// How often the last read is tried anew: one tries eight nodes drawn by chance, and those that were removed answer
/// none.
const LAST_READS_MAX: u32 = 5;
/// How long the cluster may take to grow to its first size.
const GROWN_WITHIN: Duration = Duration::from_secs(60);

/// Which simulation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
    /// Whether the trace is printed as it happens.
    pub(crate) loud: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) trace_hash: String,
    pub(crate) trace_end: Vec<String>,
    pub(crate) events: u64,
    pub(crate) calls: usize,
    pub(crate) writes: usize,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) served_after_ms: u64,
}

/// Runs a simulation on this thread.
pub(crate) fn run(plan: Plan) -> Outcome {
    let _seeded = Seeded::new(plan.seed);
    let root = tempfile::tempdir_in(fast_directory()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::new(plan, root.path());
        cluster.grow().await;
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|number| {
                let mut client = Client::new(number, &cluster.world, &cluster.told);
                let stop = Arc::clone(&stop);
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        client.think().await;
                        client.step().await;
                    }
                })
            })
            .collect();
        let faults = chance(|chance| chance.between(FAULTS.0, FAULTS.1 + 1));
        for _ in 0..faults {
            tokio::time::sleep(chance(|chance| chance.millis(50, 4000))).await;
            cluster.fault().await;
        }
        cluster.mend().await;
        let served_after_ms = cluster.serves_again().await;
        tokio::time::sleep(CALM).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        cluster.check().await;
        cluster.outcome(served_after_ms)
    })
}

/// A directory that needs no disk, where there is one.
fn fast_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// Where a node is, as its membership says.
fn place(node: u64) -> BasicNode {
    BasicNode {
        addr: node.to_string(),
    }
}

struct Cluster {
    plan: Plan,
    root: PathBuf,
    world: Arc<World>,
    told: Arc<Told>,
    hosts: BTreeMap<u64, Host>,
    faults: BTreeMap<&'static str, u64>,
    changing: Option<tokio::task::JoinHandle<()>>,
    joining: Option<tokio::task::JoinHandle<Result<Begin, String>>>,
    accepted: history::Accepted,
}

impl Cluster {
    fn new(plan: Plan, root: &Path) -> Self {
        Self {
            plan,
            root: root.to_owned(),
            world: World::new(plan.bug, plan.loud),
            told: Arc::default(),
            hosts: BTreeMap::new(),
            faults: BTreeMap::new(),
            changing: None,
            joining: None,
            accepted: history::Accepted::default(),
        }
    }

    async fn add_host(&mut self) -> u64 {
        let node = self.hosts.last_key_value().map_or(1, |(last, _)| last + 1);
        let mut host = Host::new(node, &self.world, &self.root);
        host.start().await;
        self.hosts.insert(node, host);
        node
    }

    /// One node begins, the others join it.
    async fn grow(&mut self) {
        let size = chance(|chance| *chance.pick(&[3_u64, 3, 5]).unwrap());
        for _ in 0..size {
            self.add_host().await;
        }
        let first = self.world.running(1).unwrap();
        let members = BTreeMap::from([(1, place(1))]);
        first.raft.initialize(members).await.unwrap();
        let cluster = proposal::encode_cluster(CLUSTER, 0);
        first
            .raft
            .wait(Some(GROWN_WITHIN))
            .applied_index_at_least(Some(1), "the first node leads")
            .await
            .unwrap();
        first.raft.client_write(Payload(cluster)).await.unwrap();
        for node in 2..=size {
            first
                .raft
                .add_learner(node, place(node), true)
                .await
                .unwrap();
        }
        let voters: BTreeSet<u64> = (1..=size).collect();
        first.raft.change_membership(voters, false).await.unwrap();
    }

    fn up(&self) -> Vec<u64> {
        self.world.everyone()
    }

    fn down(&self) -> Vec<u64> {
        let up = self.up();
        self.hosts
            .keys()
            .copied()
            .filter(|node| !up.contains(node))
            .collect()
    }

    fn leader(&self) -> Option<(u64, Running)> {
        self.up()
            .into_iter()
            .filter_map(|node| Some((node, self.world.running(node)?)))
            .filter(|(node, running)| {
                running.raft.metrics().borrow_watched().current_leader == Some(*node)
            })
            .max_by_key(|(_, running)| running.raft.metrics().borrow_watched().current_term)
    }

    /// The newest membership that anyone knows to be committed.
    fn membership(&self) -> Membership {
        self.up()
            .into_iter()
            .filter_map(|node| self.world.running(node))
            .map(|running| {
                running
                    .raft
                    .metrics()
                    .borrow_watched()
                    .committed_membership_config
                    .clone()
            })
            .max_by_key(|stored| *stored.log_id())
            .map(|stored| stored.membership().clone())
            .unwrap_or_default()
    }

    /// Something goes wrong.
    async fn fault(&mut self) {
        // What a mistake needs to come out comes more often where it is looked for.
        let which = chance(|chance| match self.plan.bug {
            Some(Bug::LeaseReads) if chance.percent(40) => RESTART_BEHIND_A_CUT,
            Some(Bug::AcknowledgedBeforeSync) if chance.percent(30) => POWER_CUT_OF_MOST,
            _ => chance.between(0, 100),
        });
        let name = match which {
            0..10 => self.crash(End::Killed).await,
            10..POWER_CUT_OF_MOST => self.crash(End::PowerCut).await,
            POWER_CUT_OF_MOST..23 => self.power_cut_everywhere().await,
            23..39 => self.partition(),
            39..47 => self.one_way(),
            47..53 => self.bridge(),
            53..61 => self.flaky(),
            61..68 => self.slow_disk(),
            68..75 => self.mend_links(),
            75..82 => self.transfer(),
            82..RESTART_BEHIND_A_CUT => self.change_members().await,
            RESTART_BEHIND_A_CUT..96 => self.restart_behind_a_cut().await,
            _ => self.snapshot(),
        };
        self.world.note(|| format!("fault: {name}"));
        *self.faults.entry(name).or_default() += 1;
        let joined = self
            .joining
            .as_ref()
            .is_some_and(tokio::task::JoinHandle::is_finished);
        if joined && chance(|chance| chance.percent(70)) {
            self.start_joined().await;
        }
        for node in self.down() {
            if chance(|chance| chance.percent(60))
                && let Some(host) = self.hosts.get_mut(&node)
            {
                host.start().await;
            }
        }
    }

    async fn crash(&mut self, how: End) -> &'static str {
        let up = self.up();
        let leader = self.leader().map(|(node, _)| node);
        let victim = chance(|chance| match leader {
            Some(leader) if chance.percent(40) => Some(leader),
            _ => chance.pick(&up).copied(),
        });
        if let Some(host) = victim.and_then(|node| self.hosts.get_mut(&node)) {
            host.end(how).await;
            if chance(|chance| chance.percent(30)) {
                host.start().await;
            }
        }
        match how {
            End::Killed => "kill",
            End::PowerCut => "power cut",
        }
    }

    async fn power_cut_everywhere(&mut self) -> &'static str {
        let spared = chance(|chance| chance.between(0, 3)) as usize;
        for node in self.up().into_iter().skip(spared) {
            if let Some(host) = self.hosts.get_mut(&node) {
                host.end(End::PowerCut).await;
            }
        }
        for host in self.hosts.values_mut() {
            if host.running().is_none() {
                host.start().await;
            }
        }
        "power cut of most"
    }

    /// Some of all nodes.
    fn some(&self) -> BTreeSet<u64> {
        let leader = self.leader().map(|(node, _)| node);
        chance(|chance| match leader {
            Some(leader) if chance.percent(40) => BTreeSet::from([leader]),
            _ => self
                .hosts
                .keys()
                .copied()
                .filter(|_| chance.percent(40))
                .collect(),
        })
    }

    fn partition(&self) -> &'static str {
        let some = self.some();
        let with_clients = chance(|chance| chance.percent(30));
        let mut links = self.world.links();
        for a in self.hosts.keys() {
            for b in self.hosts.keys() {
                if some.contains(a) != some.contains(b) {
                    links.cut(*a, *b);
                }
            }
            if with_clients && some.contains(a) {
                links.cut(*a, 0);
                links.cut(0, *a);
            }
        }
        "partition"
    }

    fn one_way(&self) -> &'static str {
        let some = self.some();
        let into = chance(|chance| chance.percent(50));
        let mut links = self.world.links();
        for a in self.hosts.keys() {
            for b in self.hosts.keys() {
                if some.contains(a) && !some.contains(b) {
                    match into {
                        true => links.cut(*b, *a),
                        false => links.cut(*a, *b),
                    }
                }
            }
        }
        "one-way cut"
    }

    /// Two halves that do not see each other, and one node that sees both.
    fn bridge(&self) -> &'static str {
        let nodes: Vec<u64> = self.hosts.keys().copied().collect();
        let Some(bridge) = chance(|chance| chance.pick(&nodes).copied()) else {
            return "bridge";
        };
        let half: BTreeSet<u64> = chance(|chance| {
            nodes
                .iter()
                .copied()
                .filter(|_| chance.percent(50))
                .collect()
        });
        let mut links = self.world.links();
        for a in &nodes {
            for b in &nodes {
                if *a != bridge && *b != bridge && half.contains(a) != half.contains(b) {
                    links.cut(*a, *b);
                }
            }
        }
        "bridge"
    }

    /// One node has not heard of the leader for long, and the others forget that they have: what a lease rests on
    /// is gone, and the leader, whom clients still reach, does not know.
    async fn restart_behind_a_cut(&mut self) -> &'static str {
        let name = "restart behind a cut";
        let Some((leader, _)) = self.leader() else {
            return name;
        };
        let others: Vec<u64> = self
            .up()
            .into_iter()
            .filter(|node| *node != leader)
            .collect();
        let Some((waits, restart)) = others.split_first() else {
            return name;
        };
        let cut_off = |nodes: &[u64]| {
            let mut links = self.world.links();
            for node in nodes {
                links.cut(leader, *node);
                links.cut(*node, leader);
            }
        };
        self.world.links().mend();
        cut_off(&[*waits]);
        tokio::time::sleep(chance(|chance| chance.millis(3500, 8000))).await;
        cut_off(restart);
        for node in restart {
            if let Some(host) = self.hosts.get_mut(node) {
                host.end(End::Killed).await;
                host.start().await;
            }
        }
        tokio::time::sleep(chance(|chance| chance.millis(2000, 5000))).await;
        name
    }

    fn flaky(&self) -> &'static str {
        let mut links = self.world.links();
        chance(|chance| {
            links.lost_percent = chance.between(0, 40);
            links.twice_percent = chance.between(0, 30);
            links.slow = chance.millis(5, 600);
        });
        "flaky links"
    }

    fn slow_disk(&self) -> &'static str {
        let nodes: Vec<u64> = self.hosts.keys().copied().collect();
        let slow = chance(|chance| Some((*chance.pick(&nodes)?, chance.millis(30, 1500))));
        if let Some((node, longest)) = slow
            && let Some(host) = self.hosts.get(&node)
        {
            host.disk.slow(Some(longest));
        }
        "slow disk"
    }

    fn mend_links(&self) -> &'static str {
        self.world.links().mend();
        "mended links"
    }

    fn transfer(&self) -> &'static str {
        let voters: Vec<u64> = self.membership().voter_ids().collect();
        if let (Some((_, leader)), Some(to)) = (
            self.leader(),
            chance(|chance| chance.pick(&voters).copied()),
        ) {
            leader.life.clone().spawn(async move {
                drop(leader.raft.trigger().transfer_leader(to).await);
            });
        }
        "transfer"
    }

    /// A node is added, promoted or removed.
    async fn change_members(&mut self) -> &'static str {
        if self
            .changing
            .as_ref()
            .is_some_and(|change| !change.is_finished())
        {
            return "change of members under way";
        }
        let Some((_, leader)) = self.leader() else {
            return "change of members without leader";
        };
        let membership = self.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let learners: Vec<u64> = membership.learner_ids().collect();
        let (change, name): (ChangeMembers<u64, BasicNode>, _) =
            if let Some(learner) = learners.first() {
                let promoted = BTreeSet::from([*learner]);
                (ChangeMembers::AddVoterIds(promoted), "promote")
            } else if voters.len() > 3 || (voters.len() == 3 && self.hosts.len() > 6) {
                let all: Vec<u64> = voters.iter().copied().collect();
                let removed = chance(|chance| chance.pick(&all).copied())
                    .into_iter()
                    .collect();
                (ChangeMembers::RemoveVoters(removed), "remove")
            } else {
                return self.ask_to_join();
            };
        let world = Arc::clone(&self.world);
        self.changing = Some(tokio::spawn(async move {
            let changed = tokio::time::timeout(
                CHANGE_WITHIN,
                leader.life.clone().spawn(async move {
                    drop(leader.raft.change_membership(change, false).await);
                }),
            )
            .await;
            world.note(|| format!("change of members ended: {}", changed.is_ok()));
        }));
        name
    }

    /// A machine asks to be let in, as a node does that begins, and at times crashes and asks again.
    fn ask_to_join(&mut self) -> &'static str {
        if self.joining.is_some() {
            return "joining under way";
        }
        let options = JoinOptions {
            seeds: self.up().iter().map(u64::to_string).collect(),
            token: TOKEN.to_owned(),
            replica: false,
        };
        let mut request = [0; 16];
        super::chance::fill(&mut request);
        let gives_up = chance(|chance| chance.percent(40).then(|| chance.millis(1, 3000)));
        let transport: Arc<dyn Transport> = Arc::new(SimulatedTransport {
            node: STRANGER,
            world: Arc::clone(&self.world),
        });
        self.joining = Some(tokio::spawn(async move {
            let ask = || join_any(&transport, &options, "joins", request, JOINED_WITHIN);
            if let Some(gives_up) = gives_up {
                drop(tokio::time::timeout(gives_up, ask()).await);
            }
            ask().await.map_err(|error| error.to_string())
        }));
        "join"
    }

    /// Who was let in is started.
    async fn start_joined(&mut self) {
        let Some(joining) = self.joining.take() else {
            return;
        };
        match joining.await {
            Ok(Ok(Begin::Joined { node_id, .. })) => {
                let mut host = Host::new(node_id, &self.world, &self.root);
                host.start().await;
                if self.hosts.insert(node_id, host).is_some() {
                    self.world
                        .violated(format!("the number {node_id} is used twice"));
                }
            }
            other => self.world.violated(format!("nobody is let in: {other:?}")),
        }
    }

    /// A node makes a snapshot, and its log begins later.
    fn snapshot(&self) -> &'static str {
        let up = self.up();
        let node = chance(|chance| chance.pick(&up).copied());
        if let Some(running) = node.and_then(|node| self.world.running(node)) {
            running.life.clone().spawn(async move {
                drop(running.raft.trigger().snapshot().await);
            });
        }
        "snapshot"
    }

    /// All faults end.
    async fn mend(&mut self) {
        self.world.note(|| "everything is mended".to_owned());
        self.world.links().mend();
        for host in self.hosts.values_mut() {
            host.disk.slow(None);
            if host.running().is_none() {
                host.start().await;
            }
        }
        self.start_joined().await;
    }

    /// Waits until a write is taken and every member has applied it.
    async fn serves_again(&mut self) -> u64 {
        let began = self.world.now_ms();
        let mut client = Client::new(CLIENTS + 1, &self.world, &self.told).impatient();
        let served = tokio::time::timeout(SERVES_WITHIN, async {
            let index = loop {
                if client.swap().await
                    && let Some(committed) = self.told.committed().last()
                {
                    break committed.index;
                }
                drop(client.read().await);
            };
            loop {
                let members: Vec<u64> = self.membership().nodes().map(|(node, _)| *node).collect();
                let behind = members.iter().any(|node| {
                    self.world
                        .running(*node)
                        .is_none_or(|running| running.view.load().index() < index)
                });
                if !behind {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        if served.is_err() {
            let states: Vec<String> = self
                .up()
                .into_iter()
                .filter_map(|node| self.world.running(node))
                .map(|running| running.raft.metrics().borrow_watched().to_string())
                .collect();
            self.world.violated(format!(
                "{SLOW} within {} s: {states:#?}",
                SERVES_WITHIN.as_secs()
            ));
        }
        self.world.now_ms() - began
    }

    /// Waits, not for ever, until every member has applied what was acknowledged.
    async fn all_applied(&self) {
        let newest = self.told.committed().iter().map(|told| told.index).max();
        let behind = || {
            let members = self.membership();
            members.nodes().any(|(node, _)| {
                let running = self.world.running(*node);
                running.is_none_or(|running| Some(running.view.load().index()) < newest)
            })
        };
        for _ in 0..APPLIED_WITHIN.as_millis() / 10 {
            if !behind() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What must hold at the end.
    async fn check(&mut self) {
        let mut client = Client::new(CLIENTS + 2, &self.world, &self.told);
        let mut reads = 0;
        while client.read().await.is_none() {
            reads += 1;
            if reads == LAST_READS_MAX {
                self.world
                    .violated("nobody answers the last read".to_owned());
                break;
            }
        }
        self.all_applied().await;
        match history::check(&self.told.calls()) {
            Ok(accepted) => self.accepted = accepted,
            Err(violation) => self.world.violated(violation.to_string()),
        }
        let members: BTreeSet<u64> = self.membership().nodes().map(|(node, _)| *node).collect();
        let mut all = BTreeMap::new();
        for host in self.hosts.values() {
            host.check();
            let operations = host.operations();
            for (index, id) in &operations {
                if *all.entry(*index).or_insert(*id) != *id {
                    self.world.violated(format!(
                        "node {} has another operation at {index}",
                        host.node
                    ));
                }
            }
            if !members.contains(&host.node) {
                continue;
            }
            let told = self.told.committed();
            let lost = told
                .iter()
                .find(|committed| operations.get(&committed.index) != Some(&committed.operation));
            if let Some(committed) = lost {
                self.world.violated(format!(
                    "node {} has lost operation {} at {}, which was acknowledged",
                    host.node, committed.operation, committed.index
                ));
            }
        }
    }

    fn outcome(self, served_after_ms: u64) -> Outcome {
        let (trace_hash, events, trace_end) = self.world.trace();
        for node in self.up() {
            if let Some(running) = self.world.running(node) {
                self.world.ended(node);
                running.life.cut_short();
            }
        }
        Outcome {
            seed: self.plan.seed,
            violations: self.world.violations(),
            trace_hash,
            trace_end,
            events,
            calls: self.told.calls().len(),
            writes: self.accepted.writes,
            faults: self.faults,
            served_after_ms,
        }
    }
}
