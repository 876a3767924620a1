//! A simulated machine: the disk of a node, and the lives that the node has on it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use confman_object_store::ObjectId;
use openraft::Config;

use super::chance::{chance, simulated};
use super::disk::{Disk, SimulatedLog};
use super::network::{CLUSTER, SimulatedTransport};
use super::runtime::Life;
use super::world::{Bug, Running, World};
use crate::budget::Budget;
use crate::cluster::NotAdmitted;
use crate::data::Data;
use crate::data::apply::Applier;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::node;
use crate::node::link::{About, Admitting, Link};
use crate::peer::answer::Answerer;
use crate::peer::{PROTOCOL_MAX, PROTOCOL_MIN, Transport, Tuning};
use crate::proposal;
use crate::raft::machine::Machine;
use crate::raft::peers::Peers;
use crate::raft::{self, Answer, Raft};
use crate::row::IndexRow;
use crate::transaction::{RequestId, Transaction};
use crate::transfer::receiving::Receiving;
use crate::transfer::sending::Offered;
use crate::verify;
use crate::view::View;

/// Entries after which a snapshot is made: few, so that followers fall behind it.
const SNAPSHOT_ENTRIES: u64 = 30;
/// Entries that a snapshot covers and that are kept all the same.
const KEPT_ENTRIES: u64 = 8;
/// How far a follower may be behind before it is sent a snapshot.
const LAG_ENTRIES: u64 = 100;
/// How fast the clock of a machine runs at least and at most, in percent of what it should.
const CLOCK_PERCENT: (u64, u64) = (85, 116);
/// Whoever shows this is let in.
pub(crate) const TOKEN: &str = "let me in";
/// Simulated time in which the tasks of a life that was cut short are gone.
const GONE_WITHIN: Duration = Duration::from_millis(20);

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process: what it wrote and did not sync may be there or not.
    Killed,
    /// The machine: so may what the data database wrote since its last sync.
    PowerCut,
}

thread_local! {
    /// The write-ahead log of each data database, and how long it was at its last sync.
    static SYNCED: RefCell<HashMap<PathBuf, (PathBuf, u64)>> = RefCell::new(HashMap::new());
}

/// Most bytes of a simulated node's write-ahead logs. A file is laid out at its full length when it is opened, in memory
/// here, and that would be most of what a simulation does.
const WAL_BYTES_MAX: u64 = 2 << 20;

/// Sets what a database needs to be opened quickly and often.
pub(crate) fn keep_small(options: &mut rocksdb::Options) {
    if simulated() {
        options.set_max_total_wal_size(WAL_BYTES_MAX);
    }
}

/// Told by the data database when everything it wrote is durable.
pub(crate) fn data_synced(directory: &Path) {
    if simulated()
        && let Some(newest) = newest_log(directory)
    {
        SYNCED.with_borrow_mut(|synced| synced.insert(directory.to_owned(), newest));
    }
}

/// The write-ahead log that is written to now, and its length.
fn newest_log(directory: &Path) -> Option<(PathBuf, u64)> {
    let files = std::fs::read_dir(directory).ok()?;
    let newest = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max()?;
    let length = std::fs::metadata(&newest).ok()?.len();
    Some((newest, length))
}

/// Cuts the write-ahead log somewhere between its last sync and its end.
fn lose_unsynced_data(directory: &Path) -> u64 {
    let Some((newest, length)) = newest_log(directory) else {
        return 0;
    };
    let synced = SYNCED.with_borrow(|synced| match synced.get(directory) {
        Some((log, synced)) if *log == newest => *synced,
        _ => 0,
    });
    let kept = chance(|chance| chance.between(synced.min(length), length + 1));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&newest)
        .unwrap();
    file.set_len(kept).unwrap();
    length - kept
}

/// See the module.
pub(crate) struct Host {
    pub(crate) node: u64,
    pub(crate) disk: Arc<Disk>,
    world: Arc<World>,
    directory: PathBuf,
    /// How fast its clock runs.
    clock_percent: u64,
    data: Weak<Data>,
}

impl Host {
    pub(crate) fn new(node: u64, world: &Arc<World>, root: &Path) -> Self {
        Self {
            node,
            disk: Disk::new(node, Arc::clone(world)),
            world: Arc::clone(world),
            directory: root.join(node.to_string()),
            clock_percent: chance(|chance| chance.between(CLOCK_PERCENT.0, CLOCK_PERCENT.1)),
            data: Weak::new(),
        }
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.world.running(self.node)
    }

    /// Begins a life.
    pub(crate) async fn start(&mut self) {
        assert!(
            self.data.upgrade().is_none(),
            "node {} is not gone",
            self.node
        );
        let life = Arc::new(Life::default());
        let starting = life.spawn(open(
            self.node,
            Arc::clone(&self.world),
            Arc::clone(&self.disk),
            self.directory.clone(),
            self.clock_percent,
        ));
        match starting.await {
            Ok(Ok((raft, answerer, view, data))) => {
                self.data = data;
                self.world
                    .note(|| format!("node {} started at {}", self.node, view.load().index()));
                self.world.started(
                    self.node,
                    Running {
                        life,
                        raft,
                        answerer,
                        view,
                    },
                );
            }
            Ok(Err(reason)) => self
                .world
                .violated(format!("node {} does not start: {reason}", self.node)),
            Err(error) => self
                .world
                .violated(format!("node {} does not start: {error}", self.node)),
        }
    }

    /// Ends a life.
    pub(crate) async fn end(&mut self, how: End) {
        let Some(running) = self.running() else {
            return;
        };
        self.check();
        self.world.ended(self.node);
        running.life.cut_short();
        drop(running);
        let lost = self.disk.lose_unsynced();
        // Its tasks are dropped when the scheduler comes to them.
        tokio::time::sleep(GONE_WITHIN).await;
        assert!(
            self.data.upgrade().is_none(),
            "node {} is not gone",
            self.node
        );
        let lost_data = match how {
            End::Killed => 0,
            End::PowerCut => lose_unsynced_data(&self.directory),
        };
        self.world.note(|| {
            format!(
                "node {} {how:?}: lost {lost} writes, {lost_data} bytes of data",
                self.node
            )
        });
    }

    /// A node that stopped by itself, or says of itself what cannot be.
    pub(crate) fn check(&self) {
        use openraft::async_runtime::WatchReceiver;
        let Some(running) = self.running() else {
            return;
        };
        let metrics = running.raft.metrics().borrow_watched().clone();
        if let Err(error) = &metrics.running_state {
            self.world
                .violated(format!("node {} stopped by itself: {error}", self.node));
        }
        if let Some(reason) = self
            .data
            .upgrade()
            .and_then(|data| data.failure.get().map(str::to_owned))
        {
            self.world
                .violated(format!("node {} failed: {reason}", self.node));
        }
    }

    /// Every operation by its log index, once the chain of them is proved.
    pub(crate) fn operations(&self) -> BTreeMap<u64, ObjectId> {
        let (Some(data), Some(running)) = (self.data.upgrade(), self.running()) else {
            return BTreeMap::new();
        };
        let view = running.view.load_full();
        match verify::operations(&data, &view) {
            Ok(report) => {
                if let Some(difference) = report.difference {
                    self.world
                        .violated(format!("node {}: {difference:?}", self.node));
                }
            }
            Err(error) => self.world.violated(format!("node {}: {error}", self.node)),
        }
        (1..=view.sequence())
            .filter_map(|sequence| data.place(sequence).ok().flatten())
            .map(|place| (place.index, place.id))
            .collect()
    }
}

type Opened = (Raft, Arc<Answerer>, Arc<ArcSwap<View>>, Weak<Data>);

async fn open(
    node: u64,
    world: Arc<World>,
    disk: Arc<Disk>,
    directory: PathBuf,
    clock_percent: u64,
) -> Result<Opened, String> {
    let failure = Arc::new(Failure::default());
    let data = Data::open(&directory, 1 << 20, 1 << 20, Arc::clone(&failure))
        .map_err(|error| error.to_string())?;
    let data = Arc::new(data);
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let applier =
        Applier::load(Arc::clone(&data), Arc::clone(&view)).map_err(|error| error.to_string())?;
    let applied = applier.applied.last.map(|last| last.index);
    if disk.purged() > applied {
        return Err(format!(
            "its log is purged up to {:?}, its data has {applied:?}",
            disk.purged()
        ));
    }
    if applied > disk.last() {
        world.note(|| {
            format!(
                "node {node} has applied {applied:?}, its log ends with {:?}",
                disk.last()
            )
        });
    }
    let gate = Arc::new(Gate::new(applied.unwrap_or_default()));
    let passes = Arc::clone(&gate);
    let (watched, for_applied) = (Arc::clone(&view), Arc::clone(&world));
    let on_applied = move |_| {
        let view = watched.load();
        for_applied.note(|| format!("node {node} applied {}", view.index()));
        for_applied.applied(node, view.index(), view.operation());
        passes.advance(view.index());
    };
    let applier = Arc::new(Mutex::new(applier));
    let machine = Machine::new(Arc::clone(&applier), Arc::new(on_applied));
    let log = SimulatedLog::open(disk);
    let config = config(world.bug, clock_percent)
        .validate()
        .map_err(|error| error.to_string())?;
    let transport: Arc<dyn Transport> = Arc::new(SimulatedTransport { node, world });
    let offered = Arc::<Offered>::default();
    let peers = Peers {
        node_id: node,
        transport: Some(Arc::clone(&transport)),
        offered: Arc::clone(&offered),
    };
    let raft = Raft::new(node, Arc::new(config), peers, log, machine)
        .await
        .map_err(|error| error.to_string())?;
    let tuning = Tuning::default();
    let link = Link {
        node_id: node,
        cluster_id: CLUSTER,
        incarnation: 1,
        raft: raft.clone(),
        intake: Arc::default(),
        gate,
        budget: Arc::new(Budget::new(node::WAITING_BYTES_MAX)),
        failure: Arc::clone(&failure),
        view: Arc::clone(&view),
        transport: Some(transport),
        about: Arc::new(About {
            protocol: (PROTOCOL_MIN, PROTOCOL_MAX),
            ..About::default()
        }),
        admit: Arc::default(),
        agreed: Arc::new(PROTOCOL_MAX.into()),
        heard: Arc::default(),
        reads: Arc::default(),
        scrubbed: Arc::default(),
        leader_within: tuning.election_max,
    };
    raft::spawn(Arc::clone(&link.intake).hand_over(raft.clone()));
    admit_by_token(&link);
    let receiving = Receiving {
        node_id: node,
        data: Arc::clone(&data),
        applier,
        raft: Some(raft.clone()),
        transport: link.transport.clone(),
        under_way: Mutex::default(),
    };
    let answerer = Answerer {
        raft: raft.clone(),
        failure,
        link,
        offered,
        receiving: Arc::new(receiving),
    };
    Ok((raft, Arc::new(answerer), view, Arc::downgrade(&data)))
}

/// Lets in who shows the token: by an entry whose index is the new node's number, as a node does.
fn admit_by_token(link: &Link) {
    let admitting: Arc<Admitting> = Arc::new(|link, join| {
        Box::pin(async move {
            if join.token != TOKEN {
                return Err(NotAdmitted::Refused("it shows no good token".to_owned()));
            }
            let transaction = Transaction {
                request: RequestId(join.request),
                edits: Vec::new(),
                reads: Vec::new(),
                objects: Vec::new(),
                rows: vec![IndexRow {
                    table: 1,
                    prefix: join.request.to_vec(),
                    suffix: Vec::new(),
                    value: Vec::new(),
                }],
                actor: "join".to_owned(),
                action: "join".to_owned(),
                detail: String::new(),
                time_ms: 0,
            };
            let entry = proposal::encode(&transaction, [0; 16]).last;
            let until = tokio::time::Instant::now() + link.leader_within * 2;
            match link.propose(entry, until, None).await {
                Ok(Answer::Committed(committed)) => Ok(committed.index),
                other => Err(NotAdmitted::Later(format!("{other:?}"))),
            }
        })
    });
    drop(link.admit.set(admitting));
}

/// The node's own, but for when the log is compacted, and as its clock has it.
fn config(bug: Option<Bug>, clock_percent: u64) -> Config {
    let by_clock = |time: Duration| time * 100 / u32::try_from(clock_percent).unwrap();
    let usual = Tuning::default();
    let own = node::config(Some(Tuning {
        snapshot_entries: SNAPSHOT_ENTRIES,
        kept_entries: KEPT_ENTRIES,
        heartbeat: by_clock(usual.heartbeat),
        election_min: by_clock(usual.election_min),
        election_max: by_clock(usual.election_max),
        ..usual
    }));
    let restore = match bug {
        Some(Bug::LeaderRestored) => Some(true),
        _ => own.enable_leader_restore,
    };
    Config {
        enable_leader_restore: restore,
        replication_lag_threshold: LAG_ENTRIES,
        ..own
    }
}
