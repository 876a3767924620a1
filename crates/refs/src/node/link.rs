//! What a member does with the help of the others: who leads, what they say of themselves, and how they are asked.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use openraft::RaftMetrics;
use openraft::async_runtime::{Instant as _, WatchReceiver};
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::Instant;

use super::scrub::ScrubStatus;
use crate::budget::Budget;
use crate::cluster::message::{Ask, Told};
use crate::cluster::rounds::Rounds;
use crate::cluster::{ChangeError, JoinRequest, MemberReport, NotAdmitted};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::peer::message::{Reply, Request};
use crate::peer::{CallError, Lane, PeerAddress, Transport};
use crate::proposal;
use crate::raft::intake::Intake;
use crate::raft::{Payload, Raft, Types};

mod answering;
mod changing;
mod proposing;
mod reading;

pub(crate) use reading::index_of;

/// How long it takes until a leader is asked again that could not take a request.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How long one round of finding the newest index may take.
const ROUND_WITHIN: Duration = Duration::from_secs(5);
/// How long a change of the members may take.
pub(super) const CHANGE_WITHIN: Duration = Duration::from_secs(60);
/// How long a member may take to say how it is.
const REPORT_WITHIN: Duration = Duration::from_secs(1);

/// What a member knows about itself that others want to know.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// Of the program.
    pub(crate) version: String,
    /// The versions of the protocol that it understands.
    pub(crate) protocol: (u16, u16),
    /// Where clients reach it.
    pub(crate) url: OnceLock<String>,
    /// Whether it stays a learner.
    pub(crate) replica: bool,
}

/// Decides whether a node is let in, without blocking.
pub(crate) type Admitting =
    dyn Fn(Link, JoinRequest) -> BoxFuture<'static, Result<u64, NotAdmitted>> + Send + Sync;

/// Everything that is needed to work with the other members. Clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) node_id: u64,
    pub(crate) cluster_id: [u8; 16],
    pub(crate) incarnation: u64,
    pub(crate) raft: Raft,
    /// Where what this node replicates as the leader is put.
    pub(crate) intake: Arc<Intake>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) failure: Arc<Failure>,
    pub(crate) view: Arc<arc_swap::ArcSwap<crate::view::View>>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) about: Arc<About>,
    pub(crate) admit: Arc<OnceLock<Arc<Admitting>>>,
    /// The version of the protocol that every member is known to understand.
    pub(crate) agreed: Arc<AtomicU16>,
    /// When a leader was heard last.
    pub(crate) heard: Arc<Mutex<Option<Instant>>>,
    pub(crate) reads: Arc<Rounds<Result<u64, String>>>,
    /// What has come of reading again what is stored here.
    pub(crate) scrubbed: Arc<arc_swap::ArcSwap<ScrubStatus>>,
    /// How long a leader may be missing before somebody who needs one is told so.
    pub(crate) leader_within: Duration,
}

pub(crate) type Metrics = RaftMetrics<Types>;

/// How an attempt at something that takes the leader ended.
enum Attempt<T> {
    Done(T),
    /// Nothing was done; the leader may be elsewhere.
    Again(String),
    /// It may have been done.
    Doubt(String),
    /// Too much is waiting there.
    Busy,
}

impl Link {
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// Who leads, as openraft believes.
    pub(crate) fn current_leader(&self) -> Option<u64> {
        self.raft.server_metrics().borrow_watched().current_leader
    }

    pub(crate) fn leads(&self) -> bool {
        self.current_leader() == Some(self.node_id)
    }

    /// A leader speaks to this node.
    pub(crate) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The leader, unless nothing was heard of it for longer than two elections take. openraft believes in it
    /// until it has another one, which a node that is cut off never gets.
    pub(crate) fn leader(&self, metrics: &Metrics) -> Option<u64> {
        let leader = metrics.current_leader?;
        if leader == self.node_id {
            return self.is_followed(metrics).then_some(leader);
        }
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = heard.is_some_and(|heard| heard.elapsed() <= self.leader_within * 2);
        lately.then_some(leader)
    }

    /// As the leader: whether a majority has answered within an election's time. Who is cut off from it leads
    /// nobody, and learns that only when it hears of another leader.
    fn is_followed(&self, metrics: &Metrics) -> bool {
        let alone = metrics
            .membership_config
            .voter_ids()
            .all(|voter| voter == self.node_id);
        let acked = metrics.last_quorum_acked.map(|acked| acked.into_inner());
        alone || acked.is_some_and(|acked| acked.elapsed() <= self.leader_within)
    }

    /// Whether another node leads, as far as this one knows.
    pub(crate) fn leads_no_more(&self) -> bool {
        self.current_leader()
            .is_some_and(|leader| leader != self.node_id)
    }

    /// The version of the protocol that all members are known to understand.
    pub(crate) fn agreed_protocol(&self) -> u16 {
        self.agreed.load(Ordering::Relaxed)
    }

    /// Whether every member understands this entry. A member that is newer than the leader could hand it one that
    /// the others would stop at.
    pub(crate) fn may_be_written(&self, entry: &[u8]) -> Result<(), String> {
        match proposal::understood_since(entry) {
            Some(since) if since <= self.agreed_protocol() => Ok(()),
            Some(since) => Err(format!(
                "it takes version {since} of the protocol, and not every member speaks more than {}",
                self.agreed_protocol()
            )),
            None => Err("the leader is too old to understand it".to_owned()),
        }
    }

    /// As the leader: raises the version of the protocol to what every member understands.
    pub(super) async fn raise_protocol(&self) {
        let membership = Arc::clone(&self.metrics().committed_membership_config);
        let reports = membership.nodes().map(|(node, _)| self.report_of(*node));
        let newest = futures::future::join_all(reports)
            .await
            .into_iter()
            .map(|report| report.map(|report| report.protocol.1))
            .min()
            .flatten();
        let Some(version) = newest.filter(|version| *version > self.agreed_protocol()) else {
            return;
        };
        let entry = proposal::encode_protocol(version);
        match self.raft.client_write(Payload(entry)).await {
            Ok(_) => tracing::info!("all members speak version {version} of the protocol"),
            Err(error) => tracing::debug!("the protocol stays as it is: {error}"),
        }
    }

    /// Whether there is anybody but this node.
    pub(crate) fn has_peers(&self) -> bool {
        self.transport.is_some()
    }

    /// Waits until the leader is somebody other than `former`, and says who.
    async fn next_leader(&self, former: Option<u64>) -> Option<u64> {
        // Those of all that raft does change with each entry.
        let mut metrics = self.raft.server_metrics();
        loop {
            let leader = metrics.borrow_watched().current_leader;
            if leader.is_some() && leader != former {
                return leader;
            }
            metrics.changed().await.ok()?;
        }
    }

    async fn leader_within(&self, within: Duration) -> Option<u64> {
        tokio::time::timeout(within, self.next_leader(None))
            .await
            .ok()
            .flatten()
    }

    /// Asks a member.
    pub(crate) async fn ask(
        &self,
        node: u64,
        ask: &Ask,
        within: Duration,
    ) -> Result<Told, CallError> {
        let Some(transport) = &self.transport else {
            return Err(CallError::Unreachable("this node has no peers".to_owned()));
        };
        let members = Arc::clone(
            &self
                .raft
                .server_metrics()
                .borrow_watched()
                .membership_config,
        );
        let address = members.get_node(&node).map(|member| member.addr.clone());
        let Some(address) = address else {
            return Err(CallError::Unreachable(format!("node {node} is no member")));
        };
        let peer = PeerAddress {
            node_id: Some(node),
            address: address.into(),
        };
        call(transport.as_ref(), &peer, ask, within).await
    }

    /// What this member says of itself.
    pub(crate) fn report(&self) -> MemberReport {
        let metrics = self.metrics();
        let view = self.view.load();
        MemberReport {
            version: self.about.version.clone(),
            protocol: self.about.protocol,
            url: self.about.url.get().cloned().unwrap_or_default(),
            replica: self.about.replica,
            term: metrics.current_term,
            leader: self.leader(&metrics),
            applied: view.index(),
            logged: metrics.last_log_index.unwrap_or_default().max(view.index()),
            operation: view.operation(),
            failed: self.failure.get().map(str::to_owned),
        }
    }

    /// What a member says of itself; `None` where it does not answer.
    pub(crate) async fn report_of(&self, node: u64) -> Option<MemberReport> {
        if node == self.node_id {
            return Some(self.report());
        }
        match self.ask(node, &Ask::Report, REPORT_WITHIN).await {
            Ok(Told::Report(report)) => Some(report),
            _ => None,
        }
    }

    /// What has come of reading again what a member stores; `None` where it does not answer, or is too old to.
    pub(crate) async fn scrub_of(&self, node: u64) -> Option<ScrubStatus> {
        if node == self.node_id {
            return Some(ScrubStatus::clone(&self.scrubbed.load()));
        }
        match self.ask(node, &Ask::Scrub, REPORT_WITHIN).await {
            Ok(Told::Scrub(scrub)) => Some(scrub),
            _ => None,
        }
    }
}

/// Asks whoever is there.
pub(crate) async fn call(
    transport: &dyn Transport,
    peer: &PeerAddress,
    ask: &Ask,
    within: Duration,
) -> Result<Told, CallError> {
    let request = Request::Member(ask.encode()).encode();
    let answer = transport.call(peer, Lane::Request, request, within).await?;
    let lost = |error: confman_object_store::DecodeError| CallError::Lost(error.to_string());
    match Reply::decode(&answer).map_err(lost)? {
        Reply::Member(told) => Told::decode(&told).map_err(lost),
        Reply::Refused { reason, .. } => Err(CallError::Refused(reason)),
        _ => Err(CallError::Lost(
            "the answer is that of another question".to_owned(),
        )),
    }
}

/// Sorts an answer by what can be done about it.
fn attempted(told: Result<Told, CallError>) -> Attempt<Told> {
    match told {
        Ok(Told::NotLeader(_)) => Attempt::Again("it does not lead".to_owned()),
        Ok(Told::Unavailable(reason)) => Attempt::Again(reason),
        Ok(Told::Unknown(reason)) => Attempt::Doubt(reason),
        Ok(Told::Busy) => Attempt::Busy,
        Ok(told) => Attempt::Done(told),
        Err(error @ (CallError::Unreachable(_) | CallError::Refused(_))) => {
            Attempt::Again(error.to_string())
        }
        Err(error @ (CallError::TimedOut(_) | CallError::Lost(_))) => {
            Attempt::Doubt(error.to_string())
        }
    }
}

/// What openraft's failure to write means.
fn failed_write(error: RaftError<Types, ClientWriteError<Types>>) -> Told {
    match error {
        RaftError::APIError(error) => refused_write(error),
        RaftError::Fatal(_) => Told::Unknown(error.to_string()),
    }
}

/// What openraft's refusal of a write means.
fn refused_write(error: ClientWriteError<Types>) -> Told {
    match error {
        // It was never appended.
        ClientWriteError::ForwardToLeader(forward) => Told::NotLeader(forward.leader_id),
        ClientWriteError::LogEntryDiscarded(_) => Told::Unknown(error.to_string()),
        ClientWriteError::PreconditionFailed(_) => Told::Unchanged(ChangeError::InProgress),
        ClientWriteError::ChangeMembershipError(error) => Told::Unchanged(match error {
            ChangeMembershipError::InProgress(_)
            | ChangeMembershipError::UncommittedLeaderLog(_) => ChangeError::InProgress,
            other => ChangeError::Unavailable(other.to_string()),
        }),
    }
}
