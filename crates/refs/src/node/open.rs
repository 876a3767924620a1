//! Opening a node: lock, check, recover, lead.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU16};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::BasicNode;
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, Config, ReadPolicy, SnapshotPolicy};

use super::link::{About, Link};
use super::{Node, NodeOptions, OpenError, Running, WAITING_BYTES_MAX, random_id};
use super::{agree, purge, tend};
use crate::budget::Budget;
use crate::data::Data;
use crate::data::apply::Applier;
use crate::directory::{Directory, Purpose, io_error, read_note, write_note};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::peer::answer::Answerer;
use crate::peer::{Begin, PROTOCOL_MAX, PROTOCOL_MIN, PeerIdentity, PeerOptions, Tuning};
use crate::proposal;
use crate::raft::log::{Log, LogError};
use crate::raft::machine::Machine;
use crate::raft::peers::Peers;
use crate::raft::record::NodeIdentity;
use crate::raft::{Payload, Raft};
use crate::transfer::receiving::Receiving;
use crate::transfer::sending::Offered;
use crate::view::View;

/// Memory for decoded pages where a directory is only looked at.
const LOOKING_CACHE_BYTES: u64 = 1 << 20;
/// The note in the directory of a node that stays a learner.
pub(super) const REPLICA: &str = "replica";
/// The node of a cluster that begins. Later ones are named by the log.
const FIRST_NODE: u64 = 1;
/// The incarnation of a cluster that was never recovered.
const FIRST_INCARNATION: u64 = 1;
/// Threads of raft's runtime.
const RAFT_THREADS: usize = 2;
/// How long a node that is alone may take to lead and to apply what is in its log.
const RECOVERY_WITHIN: Duration = Duration::from_secs(600);

/// Entries that a snapshot covers and that are kept all the same where there are no peers.
const KEPT_ENTRIES_ALONE: u64 = 16;

/// See [`Node::open`].
pub(super) fn open(options: &NodeOptions, purpose: Purpose) -> Result<Node, OpenError> {
    let directory = Directory::open_as(&options.directory, purpose)?;
    let failure = Arc::new(Failure::default());
    let (log, writer) = Log::open(&directory.raft(), Arc::clone(&failure))
        .map_err(|error| log_error(&directory, error))?;
    let opened = open_data(options, &directory, &failure, &log);
    let (data, applier, view) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            log.shared.queue.close();
            // The writer has nothing to write; it only has to let go of the database.
            let _ = writer.join();
            return Err(error);
        }
    };
    let opening = Opening {
        directory,
        failure,
        log,
        data,
        view,
        peers: options.peers.clone(),
        offered: Arc::default(),
    };
    opening.start(writer, applier)
}

/// What a node that is being opened has so far.
struct Opening {
    directory: Directory,
    failure: Arc<Failure>,
    log: Log,
    data: Arc<Data>,
    view: Arc<ArcSwap<View>>,
    peers: Option<PeerOptions>,
    offered: Arc<Offered>,
}

/// Opens the data that belongs to a log, for who only looks.
pub(super) fn open_parts(
    directory: &Directory,
    log: &Log,
    failure: &Arc<Failure>,
) -> Result<Applier, OpenError> {
    let options = NodeOptions {
        directory: directory.path().to_owned(),
        cache_bytes: LOOKING_CACHE_BYTES,
        block_cache_bytes: 0,
        peers: None,
    };
    open_data(&options, directory, failure, log).map(|(_, applier, _)| applier)
}

/// Opens the log of a directory, for who runs no raft on it.
pub(crate) fn open_log(
    directory: &Directory,
) -> Result<(Log, std::thread::JoinHandle<()>), OpenError> {
    Log::open(&directory.raft(), Arc::new(Failure::default()))
        .map_err(|error| log_error(directory, error))
}

/// Lets go of a log that no raft runs on.
pub(crate) fn stop_log(log: &Log, writer: std::thread::JoinHandle<()>) {
    log.shared.queue.close();
    // It has nothing to write; it only has to let go of the database.
    let _ = writer.join();
}

type Opened = (Arc<Data>, Applier, Arc<ArcSwap<View>>);

fn open_data(
    options: &NodeOptions,
    directory: &Directory,
    failure: &Arc<Failure>,
    log: &Log,
) -> Result<Opened, OpenError> {
    let data = Data::open(
        &directory.data(),
        options.cache_bytes,
        options.block_cache_bytes,
        Arc::clone(failure),
    )
    .map_err(|error| database_error(directory, "open its data database", error))?;
    let data = Arc::new(data);
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let applier = Applier::load(Arc::clone(&data), Arc::clone(&view))
        .map_err(|error| read_error(directory, "read its data database", error))?;
    check_pair(directory, log, &data, &applier)?;
    Ok((data, applier, view))
}

/// Both databases must be from the same node, and the log must reach from what is applied on.
fn check_pair(
    directory: &Directory,
    log: &Log,
    data: &Data,
    applier: &Applier,
) -> Result<(), OpenError> {
    let damaged = |reason: String| OpenError::Damaged {
        path: directory.path().to_owned(),
        reason,
    };
    let in_log = log.pair().map_err(|error| log_error(directory, error))?;
    let in_data = data
        .pair()
        .map_err(|error| read_error(directory, "read its data database", error))?;
    let (last, purged, voted) = {
        let state = log.shared.lock();
        (
            state.last.map(|id| id.index),
            state.purged.map(|id| id.index),
            state.vote.is_some(),
        )
    };
    let applied = applier.applied.last.map(|id| id.index);
    let begun = last.is_some() || voted || applied.is_some();
    if in_log.is_none() || in_data.is_none() || in_log != in_data {
        if begun {
            return Err(damaged(
                "raft/ and data/ are not from the same node".to_owned(),
            ));
        }
        let pair = random_id().map_err(|error| io_error(directory.path(), "name it", error))?;
        data.set_pair(&pair)
            .map_err(|error| io_error(directory.path(), "write its data database", error))?;
        return log
            .set_pair(&pair)
            .map_err(|error| log_error(directory, error));
    }
    if purged.is_some() && applied.is_none_or(|applied| Some(applied) < purged) {
        return Err(damaged(format!(
            "entries up to {} are purged from raft/, data/ has applied them up to {}",
            purged.unwrap_or_default(),
            applied.unwrap_or_default()
        )));
    }
    let installed = data
        .installed()
        .map_err(|error| read_error(directory, "read its data database", error))?;
    // Alone, a node commits nothing that its own log does not have. With others it may: they stored an entry,
    // which committed it, and it was applied here before this node's disk had it. What is applied then stands for
    // what the log lost.
    let alone = applier.membership.voter_ids().count() <= 1;
    if alone && applied > last && installed.map(|id| id.index) != applied {
        return Err(damaged(format!(
            "data/ has applied entry {}, raft/ ends with {}",
            applied.unwrap_or_default(),
            last.unwrap_or_default()
        )));
    }
    Ok(())
}

impl Opening {
    fn start(
        self,
        writer: std::thread::JoinHandle<()>,
        applier: Applier,
    ) -> Result<Node, OpenError> {
        let path = self.directory.path().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RAFT_THREADS)
            .thread_name("confman-raft")
            .enable_all()
            .build()
            .map_err(|error| io_error(&path, "start raft's threads", error))?;
        let mut applier = applier;
        applier.protocol_max = self.protocol_max();
        let found = applier.applied.protocol.unwrap_or_default();
        if found > applier.protocol_max {
            let supported = applier.protocol_max;
            stop(runtime, &self.log, writer);
            return Err(OpenError::NewerProtocol {
                path,
                found,
                supported,
            });
        }
        let agreed = Arc::clone(&applier.agreed);
        let gate = Arc::new(Gate::new(applier.applied.last.map_or(0, |last| last.index)));
        let on_applied = Arc::clone(&gate);
        let applier = Arc::new(Mutex::new(applier));
        let machine = Machine::new(
            Arc::clone(&applier),
            Arc::new(move |index| on_applied.advance(index)),
        );
        let named = applier
            .lock()
            .map(|applier| applier.applied.cluster)
            .unwrap_or_default();
        let begun = self.identity().and_then(|identity| {
            // Before raft begins to call others.
            if let Some(cluster_id) = identity.cluster.or(named) {
                self.introduce(cluster_id, identity);
            }
            let raft = self
                .recover(&runtime, identity, machine)
                .map_err(|reason| {
                    let reason = self.failure.get().map_or(reason, str::to_owned);
                    io_error(&path, "start raft", reason)
                })?;
            Ok((identity, raft))
        });
        let (identity, raft) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                stop(runtime, &self.log, writer);
                return Err(error);
            }
        };
        let named = applier
            .lock()
            .map(|applier| applier.applied.cluster)
            .unwrap_or_default();
        let cluster_id = match (named, identity.cluster) {
            (Some(named), Some(joined)) if named != joined => {
                Err("it joined another cluster than its log names")
            }
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Err("its log does not name its cluster"),
        };
        let cluster_id = match cluster_id {
            Ok(cluster_id) => cluster_id,
            Err(reason) => {
                stop(runtime, &self.log, writer);
                return Err(OpenError::Damaged {
                    path,
                    reason: reason.to_owned(),
                });
            }
        };
        self.introduce(cluster_id, identity);
        let counters = Arc::clone(&self.log.shared.counters);
        let protocol_max = self.protocol_max();
        let link = match self.link(cluster_id, identity, &raft, &gate, agreed) {
            Ok(link) => link,
            Err(error) => {
                stop(runtime, &self.log, writer);
                return Err(error);
            }
        };
        let receiving = Receiving {
            node_id: identity.node_id,
            data: Arc::clone(&self.data),
            applier,
            raft: Some(raft.clone()),
            transport: self
                .peers
                .as_ref()
                .map(|peers| Arc::clone(&peers.transport)),
            under_way: Mutex::default(),
        };
        let receiving = Arc::new(receiving);
        self.tend(&runtime, &link, &receiving);
        let tuning = self
            .peers
            .as_ref()
            .map(|peers| peers.tuning)
            .unwrap_or_default();
        let snapshot_due = purge::SnapshotBytes::default();
        let bytes = purge::Bytes {
            snapshot: tuning.snapshot_bytes,
            kept: tuning.kept_bytes,
        };
        runtime.spawn(purge::run(
            raft.clone(),
            self.log.clone(),
            snapshot_due.clone(),
            bytes,
        ));
        runtime.spawn(Arc::clone(&link.intake).hand_over(raft.clone()));
        let answerer = Answerer {
            raft: raft.clone(),
            failure: Arc::clone(&self.failure),
            link: link.clone(),
            offered: Arc::clone(&self.offered),
            receiving,
        };
        Ok(Node {
            directory: self.directory,
            identity: PeerIdentity {
                protocol_max,
                ..PeerIdentity::member(cluster_id, identity.node_id, identity.incarnation)
            },
            answerer: Arc::new(answerer),
            data: self.data,
            view: self.view,
            gate,
            budget: Arc::new(Budget::new(WAITING_BYTES_MAX)),
            link,
            failure: self.failure,
            raft,
            snapshot_due,
            snapshot_bytes: tuning.snapshot_bytes,
            closing: AtomicBool::new(false),
            runtime: runtime.handle().clone(),
            running: Mutex::new(Some(Running {
                runtime,
                log: self.log,
                writer,
            })),
            counters,
            scrubbing: Mutex::default(),
        })
    }

    /// Tells the transport who this node is.
    fn introduce(&self, cluster_id: [u8; 16], identity: NodeIdentity) {
        if let Some(peers) = &self.peers {
            peers.transport.introduce(&PeerIdentity {
                protocol_max: self.protocol_max(),
                ..PeerIdentity::member(cluster_id, identity.node_id, identity.incarnation)
            });
        }
    }

    /// The newest version of the protocol that the node speaks.
    fn protocol_max(&self) -> u16 {
        self.peers
            .as_ref()
            .map_or(PROTOCOL_MAX, |peers| peers.protocol_max)
    }

    /// What the node needs to work with the others.
    fn link(
        &self,
        cluster_id: [u8; 16],
        identity: NodeIdentity,
        raft: &Raft,
        gate: &Arc<Gate>,
        agreed: Arc<AtomicU16>,
    ) -> Result<Link, OpenError> {
        let replica = read_note(self.directory.path(), REPLICA)
            .map_err(|error| io_error(self.directory.path(), "read its notes", error))?;
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: (PROTOCOL_MIN, self.protocol_max()),
            url: OnceLock::new(),
            replica: replica.is_some(),
        };
        let tuning = self.peers.as_ref().map(|peers| peers.tuning);
        Ok(Link {
            node_id: identity.node_id,
            cluster_id,
            incarnation: identity.incarnation,
            raft: raft.clone(),
            intake: Arc::default(),
            gate: Arc::clone(gate),
            budget: Arc::new(Budget::new(WAITING_BYTES_MAX)),
            failure: Arc::clone(&self.failure),
            view: Arc::clone(&self.view),
            transport: self
                .peers
                .as_ref()
                .map(|peers| Arc::clone(&peers.transport)),
            about: Arc::new(about),
            admit: Arc::default(),
            agreed,
            heard: Arc::default(),
            reads: Arc::default(),
            scrubbed: Arc::default(),
            leader_within: tuning.unwrap_or_default().election_max,
        })
    }

    /// Begins what a node with peers does by itself.
    fn tend(&self, runtime: &tokio::runtime::Runtime, link: &Link, receiving: &Arc<Receiving>) {
        let Some(peers) = &self.peers else { return };
        let (path, failure) = (self.directory.path().to_owned(), Arc::clone(&self.failure));
        let differs = move |difference: String| {
            let reason = format!("the node differs from its cluster: {difference}");
            tracing::error!("ALARM: {reason}");
            if let Err(error) = Directory::note_differs(&path, &reason) {
                tracing::error!("that could not be noted in {}: {error}", path.display());
            }
            failure.set(reason);
        };
        runtime.spawn(agree::run(link.clone(), Arc::clone(receiving), differs));
        let (path, failure) = (self.directory.path().to_owned(), Arc::clone(&self.failure));
        let node_id = link.node_id;
        let removed = move || {
            let reason = format!("node {node_id} was removed from its cluster");
            if let Err(error) = Directory::note_removed(&path, &reason) {
                tracing::error!("that could not be noted in {}: {error}", path.display());
            }
            failure.set(reason);
        };
        runtime.spawn(tend::run(link.clone(), peers.tuning.promote_after, removed));
    }

    /// Which node this is: as its directory says, or as it begins now.
    fn identity(&self) -> Result<NodeIdentity, OpenError> {
        let failed = |error| log_error(&self.directory, error);
        if let Some(identity) = self.log.identity().map_err(failed)? {
            crate::joining::joined(self.directory.path())?;
            return Ok(identity);
        }
        let begun = {
            let state = self.log.shared.lock();
            state.last.is_some() || state.vote.is_some()
        };
        let identity = match self.peers.as_ref().map(|peers| &peers.begin) {
            Some(Begin::Joined {
                cluster_id,
                node_id,
                incarnation,
            }) if !begun => {
                if self.peers.as_ref().is_some_and(|peers| peers.replica) {
                    write_note(self.directory.path(), REPLICA, "stays a learner").map_err(
                        |error| io_error(self.directory.path(), "write its notes", error),
                    )?;
                }
                NodeIdentity {
                    node_id: *node_id,
                    incarnation: *incarnation,
                    cluster: Some(*cluster_id),
                }
            }
            _ => NodeIdentity {
                node_id: FIRST_NODE,
                incarnation: FIRST_INCARNATION,
                cluster: None,
            },
        };
        self.log.set_identity(&identity).map_err(failed)?;
        crate::joining::joined(self.directory.path())?;
        Ok(identity)
    }

    /// Starts raft. A node that is alone becomes the leader, and everything in its log is applied.
    fn recover(
        &self,
        runtime: &tokio::runtime::Runtime,
        identity: NodeIdentity,
        machine: Machine,
    ) -> Result<Raft, String> {
        let log = self.log.clone();
        let node_id = identity.node_id;
        let peers = Peers {
            node_id,
            transport: self
                .peers
                .as_ref()
                .map(|peers| Arc::clone(&peers.transport)),
            offered: Arc::clone(&self.offered),
        };
        let address = self
            .peers
            .as_ref()
            .map(|peers| peers.address.clone())
            .unwrap_or_default();
        let config = config(self.peers.as_ref().map(|peers| peers.tuning));
        let transport_is_there = self.peers.is_some();
        let (raft, alone) = run(runtime, async move {
            let config = config.validate().map_err(|error| error.to_string())?;
            let raft = Raft::new(node_id, Arc::new(config), peers, log, machine)
                .await
                .map_err(|error| error.to_string())?;
            let initialized = raft.is_initialized().await.map_err(|e| e.to_string())?;
            if !initialized && identity.cluster.is_some() {
                return Ok((raft, false));
            }
            let others = raft.voter_ids().filter(|id| *id != node_id).count();
            if initialized && others > 0 {
                return match transport_is_there {
                    true => Ok((raft, false)),
                    false => Err(format!(
                        "it is one of {} voters of a cluster, and was given no address for peers",
                        others + 1
                    )),
                };
            }
            lead_alone(&raft, node_id, address, initialized).await?;
            Ok((raft, true))
        })?;
        if alone {
            let raft = raft.clone();
            run(runtime, async move { name_cluster(&raft).await })?;
        }
        Ok(raft)
    }
}

/// Becomes the leader of a cluster of one, waits until everything in the log is applied, and makes sure that
/// the membership has this node's address.
async fn lead_alone(
    raft: &Raft,
    node_id: u64,
    address: String,
    initialized: bool,
) -> Result<(), String> {
    let node = BasicNode { addr: address };
    let members = BTreeMap::from([(node_id, node.clone())]);
    if initialized {
        // Alone, there is nobody to wait for.
        raft.trigger()
            .elect(false)
            .await
            .map_err(|error| error.to_string())?;
    } else {
        raft.initialize(members.clone())
            .await
            .map_err(|error| error.to_string())?;
    }
    raft.wait(Some(RECOVERY_WITHIN))
        .metrics(
            |metrics| metrics.current_leader == Some(node_id),
            "this node leads",
        )
        .await
        .map_err(|error| error.to_string())?;
    raft.ensure_linearizable(ReadPolicy::ReadIndex)
        .await
        .map_err(|error| error.to_string())?;
    let known = raft
        .metrics()
        .borrow_watched()
        .membership_config
        .membership()
        .get_node(&node_id)
        .cloned();
    if !node.addr.is_empty() && known.is_some_and(|known| known != node) {
        raft.change_membership(ChangeMembers::SetNodes(members), false)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Writes the entry that names the cluster, unless it is there.
async fn name_cluster(raft: &Raft) -> Result<(), String> {
    let named = raft
        .with_state_machine(|machine| Box::pin(async { machine.cluster() }))
        .await
        .map_err(|error| error.to_string())?;
    if named.is_some() {
        return Ok(());
    }
    let cluster = random_id().map_err(|error| error.to_string())?;
    let entry = proposal::encode_cluster(cluster, now_ms());
    let written: Result<ClientWriteResponse<_>, _> = raft.client_write(Payload(entry)).await;
    written.map(|_| ()).map_err(|error| error.to_string())
}

/// Lets go of the databases, so that the directory can be opened again.
fn stop(runtime: tokio::runtime::Runtime, log: &Log, writer: std::thread::JoinHandle<()>) {
    runtime.shutdown_background();
    log.shared.queue.close();
    // Whatever ended it, the reason is reported already.
    let _ = writer.join();
}

/// Runs on raft's runtime, whatever thread this is called on.
fn run<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let (sender, done) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The receiver waits below; it goes only with the whole process.
        let _ = sender.try_send(work.await);
    });
    done.recv()
        .map_err(|_| "raft stopped while it was starting".to_owned())?
}

/// openraft's settings, for a node with peers or for one that is alone.
pub(crate) fn config(tuning: Option<Tuning>) -> Config {
    let kept_entries = tuning.map_or(KEPT_ENTRIES_ALONE, |tuning| tuning.kept_entries);
    let tuning = tuning.unwrap_or_default();
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let election_max = ms(tuning.election_max);
    Config {
        cluster_name: "confman".to_owned(),
        heartbeat_interval: ms(tuning.heartbeat),
        election_timeout_min: ms(tuning.election_min),
        election_timeout_max: election_max,
        enable_pre_vote: Some(true),
        // A leader that lost its quorum must not keep followers from electing another one for ever.
        quorum_loss_probe_interval: Some(election_max.saturating_mul(2)),
        install_snapshot_timeout: 30_000,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(tuning.snapshot_entries),
        // More than lies between two snapshots, or one snapshot would be followed by the next.
        replication_lag_threshold: 100_000,
        max_in_snapshot_log_to_keep: kept_entries,
        purge_batch_size: 1,
        max_payload_entries: 1024,
        max_append_entries: Some(4096),
        api_channel_size: Some(8192),
        api_batch_capacity: 4096,
        api_batch_linger_ms: 0,
        // A node that lost its log is another node.
        allow_log_reversion: None,
        // On by default. A leader that lost what its followers had stored already would write other entries in their
        // place, in the same term: followers acknowledge before the leader's own disk does.
        enable_leader_restore: Some(false),
        ..Config::default()
    }
}

/// The clock, for the one proposal that nobody else makes.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn log_error(directory: &Directory, error: LogError) -> OpenError {
    match error {
        LogError::Damaged(reason) => OpenError::Damaged {
            path: directory.path().to_owned(),
            reason,
        },
        LogError::Database(error) => database_error(directory, "open its log database", error),
        LogError::Io(error) => io_error(directory.path(), "start its log", error),
    }
}

fn database_error(directory: &Directory, action: &str, error: rocksdb::Error) -> OpenError {
    let path = directory.path().to_owned();
    let reason = error.to_string();
    match error.kind() {
        rocksdb::ErrorKind::Corruption => OpenError::Damaged {
            path,
            reason: format!("to {action} failed: {reason}"),
        },
        rocksdb::ErrorKind::IOError if reason.contains("lock ") => OpenError::InUse {
            path,
            owner: std::process::id().to_string(),
        },
        _ => io_error(&path, action, error),
    }
}

fn read_error(directory: &Directory, action: &str, error: std::io::Error) -> OpenError {
    match error.kind() {
        std::io::ErrorKind::InvalidData => OpenError::Damaged {
            path: directory.path().to_owned(),
            reason: error.to_string(),
        },
        _ => io_error(directory.path(), action, error),
    }
}
