//! What a member does with the help of the others: proposals and reads by way of the leader, changes of the
//! members, and answers to those who ask the same of it.
//!
//! INVARIANT: a proposal or question that came from another member is passed on to nobody: one hop.
//! INVARIANT: an entry is sent again after an unknown outcome only if its request id makes that harmless.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use openraft::async_runtime::{Instant as _, WatchReceiver};
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::impls::BasicNode;
use openraft::raft::Precondition;
use openraft::{ChangeMembers, RaftMetrics, ReadPolicy};
use tokio::time::Instant;

use super::BUSY_AFTER;
use super::scrub::ScrubStatus;
use crate::budget::Budget;
use crate::cluster::message::{Ask, Told};
use crate::cluster::rounds::Rounds;
use crate::cluster::{
    ChangeError, Force, HAND_OVER_WITHIN, JoinRequest, MemberChange, MemberReport, NotAdmitted,
    REACHABLE_WITHIN, Standing, Step, plan,
};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::peer::message::{Reply, Request};
use crate::peer::{CallError, Lane, PeerAddress, Transport};
use crate::proposal;
use crate::raft::{self, Answer, Payload, Raft, Refusal, Types};
use crate::transaction::TransactError;

/// How long it takes until a leader is asked again that could not take a request.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// So many times as long as a leader may be missing, a leader that is known may refuse.
const REFUSED_FACTOR: u32 = 3;
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

    pub(crate) fn leads(&self) -> bool {
        self.metrics().current_leader == Some(self.node_id)
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
        let leader = self.metrics().current_leader;
        leader.is_some_and(|leader| leader != self.node_id)
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
        let mut metrics = self.raft.metrics();
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
        let address = self
            .metrics()
            .membership_config
            .get_node(&node)
            .map(|member| member.addr.clone());
        let Some(address) = address else {
            return Err(CallError::Unreachable(format!("node {node} is no member")));
        };
        let peer = PeerAddress {
            node_id: Some(node),
            address: address.into(),
        };
        call(transport.as_ref(), &peer, ask, within).await
    }

    /// Has an entry replicated, wherever the leader is, and waits until it is applied here too.
    pub(crate) async fn propose(
        &self,
        entry: Bytes,
        until: Instant,
        doubt: Option<String>,
    ) -> Result<Answer, TransactError> {
        let repeatable = proposal::is_repeatable(&entry);
        let (mut doubt, mut busy_since, mut refused_since) = (doubt, None, None);
        let refused_max = self.leader_within.saturating_mul(REFUSED_FACTOR);
        let fail = |doubt: Option<String>, reason: String| match doubt {
            Some(doubt) => TransactError::UnknownOutcome(doubt),
            None => TransactError::Unavailable(reason),
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fail(doubt, "no leader took it in time".to_owned()));
            }
            if let Some(reason) = self.failure.get() {
                return Err(fail(doubt, reason.to_owned()));
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Err(fail(doubt, "there is no leader".to_owned()));
            };
            let attempt = tokio::select! {
                biased;
                attempt = self.propose_to(leader, &entry, until) => attempt,
                _ = self.next_leader(Some(leader)) => {
                    Attempt::Doubt(format!("node {leader} stopped leading meanwhile"))
                }
            };
            match attempt {
                Attempt::Done((index, answer)) => {
                    if !self.gate.reached(index, until).await {
                        let reason =
                            format!("it is entry {index}, which this node did not reach in time");
                        return Err(TransactError::UnknownOutcome(reason));
                    }
                    return match (&answer, doubt) {
                        // The session was used up by an attempt that may have taken effect.
                        (Answer::Refused(Refusal::Session(_)), Some(doubt)) => {
                            Err(TransactError::UnknownOutcome(doubt))
                        }
                        _ => Ok(answer),
                    };
                }
                Attempt::Again(reason) => {
                    tracing::debug!(leader, "node {leader} did not take a proposal: {reason}");
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= refused_max {
                        return Err(fail(doubt, format!("node {leader}: {reason}")));
                    }
                }
                Attempt::Doubt(reason) => {
                    if !repeatable {
                        return Err(TransactError::UnknownOutcome(reason));
                    }
                    doubt.get_or_insert(reason);
                }
                Attempt::Busy => {
                    let since = *busy_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= BUSY_AFTER {
                        return Err(match doubt {
                            Some(doubt) => TransactError::UnknownOutcome(doubt),
                            None => TransactError::Busy,
                        });
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn propose_to(
        &self,
        leader: u64,
        entry: &Bytes,
        until: Instant,
    ) -> Attempt<(u64, Answer)> {
        let left = until.saturating_duration_since(Instant::now());
        let told = if leader == self.node_id {
            Ok(self.propose_here(entry.clone(), left).await)
        } else {
            let ask = Ask::Propose {
                wait_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                entry: entry.clone(),
            };
            self.ask(leader, &ask, left).await
        };
        match attempted(told) {
            Attempt::Done(Told::Applied { index, answer }) => Attempt::Done((index, answer)),
            Attempt::Done(_) => Attempt::Doubt("the leader's answer makes no sense".to_owned()),
            Attempt::Again(reason) => Attempt::Again(reason),
            Attempt::Doubt(reason) => Attempt::Doubt(reason),
            Attempt::Busy => Attempt::Busy,
        }
    }

    /// Replicates an entry as the leader.
    async fn propose_here(&self, entry: Bytes, within: Duration) -> Told {
        match tokio::time::timeout(within, self.raft.client_write(Payload(entry))).await {
            Ok(Ok(response)) => Told::Applied {
                index: response.log_id.index,
                answer: response.data,
            },
            Ok(Err(error)) => refused_write(error),
            Err(_) => Told::Unknown(format!("no answer within {} ms", within.as_millis())),
        }
    }

    /// The index that must be applied to see everything that was acknowledged by now. Shares rounds.
    pub(crate) async fn read_index(self, within: Duration) -> Result<u64, TransactError> {
        let (answer, rounds) = self.ask_index();
        if let Some(rounds) = rounds {
            raft::spawn(rounds);
        }
        index_of(answer, within).await
    }

    /// Asks for that index. Where rounds come with the answer, they are to be run on raft's runtime.
    pub(crate) fn ask_index(
        &self,
    ) -> (IndexAnswer, Option<impl Future<Output = ()> + Send + use<>>) {
        let (answer, begins) = self.reads.ask();
        let rounds = begins.then(|| {
            let link = self.clone();
            Arc::clone(&self.reads).run(move || link.clone().find_index())
        });
        (answer, rounds)
    }

    async fn find_index(self) -> Result<u64, String> {
        let until = Instant::now() + ROUND_WITHIN;
        let mut reason = "there is no leader".to_owned();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(reason);
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Err("there is no leader".to_owned());
            };
            let asked = async {
                if leader == self.node_id {
                    return Ok(self.read_index_here(left).await);
                }
                let ask = Ask::ReadIndex {
                    wait_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                };
                self.ask(leader, &ask, left).await
            };
            let told = tokio::select! {
                biased;
                told = asked => told,
                next = self.next_leader(Some(leader)) => match next {
                    Some(_) => continue,
                    // Asking on would never wait: what raft said last names a leader for ever.
                    None => return Err("the node stopped".to_owned()),
                },
            };
            match attempted(told) {
                Attempt::Done(Told::Index(index)) => return Ok(index),
                Attempt::Done(_) => reason = "the leader's answer makes no sense".to_owned(),
                Attempt::Again(said) | Attempt::Doubt(said) => reason = said,
                Attempt::Busy => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// As the leader: never by a lease, which a stopped clock or a restarted voter makes a lie.
    async fn read_index_here(&self, within: Duration) -> Told {
        let asked = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(linearizer)) => Told::Index(linearizer.read_log_id().index()),
            Ok(Err(RaftError::APIError(error))) => match error {
                openraft::errors::LinearizableReadError::ForwardToLeader(forward) => {
                    Told::NotLeader(forward.leader_id)
                }
                other => Told::Unavailable(other.to_string()),
            },
            Ok(Err(error)) => Told::Unavailable(error.to_string()),
            Err(_) => Told::Unavailable("no majority confirmed the leader".to_owned()),
        }
    }

    /// Changes the members, wherever the leader is.
    pub(crate) async fn change(
        &self,
        change: MemberChange,
        force: Force,
    ) -> Result<(), ChangeError> {
        let until = Instant::now() + CHANGE_WITHIN;
        let mut doubt: Option<String> = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(match doubt {
                    Some(doubt) => ChangeError::UnknownOutcome(doubt),
                    None => ChangeError::Unavailable("no leader took it in time".to_owned()),
                });
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Err(ChangeError::Unavailable("there is no leader".to_owned()));
            };
            let told = match leader == self.node_id {
                true => Ok(self.change_here(change, force).await),
                false => self.ask(leader, &Ask::Change { change, force }, left).await,
            };
            match attempted(told) {
                Attempt::Done(Told::Done) => {
                    self.see_change().await;
                    return Ok(());
                }
                Attempt::Done(Told::Unchanged(error)) => {
                    return match (&error, doubt) {
                        // An attempt before has done it.
                        (ChangeError::NoLearner(_) | ChangeError::NoSuchMember(_), Some(_)) => {
                            Ok(())
                        }
                        _ => Err(error),
                    };
                }
                Attempt::Done(_) => {
                    return Err(ChangeError::UnknownOutcome(
                        "the leader's answer makes no sense".to_owned(),
                    ));
                }
                Attempt::Again(reason) => {
                    tracing::debug!(leader, "node {leader} did not change the members: {reason}");
                }
                Attempt::Doubt(reason) => {
                    doubt.get_or_insert(reason);
                }
                Attempt::Busy => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Waits until this node's own picture of the members has what was agreed on by now, so that whoever
    /// changed them sees it.
    async fn see_change(&self) {
        let Ok(index) = self.clone().read_index(ROUND_WITHIN).await else {
            return;
        };
        let until = Instant::now() + ROUND_WITHIN;
        let mut metrics = self.raft.metrics();
        let seen = async {
            loop {
                let settled = {
                    let metrics = metrics.borrow_watched();
                    let committed = metrics.local_committed.map_or(0, |id| id.index);
                    committed >= index
                        && metrics.membership_config == metrics.committed_membership_config
                };
                if settled || metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        // It is agreed on all the same.
        let _ = tokio::time::timeout_at(until, seen).await;
    }

    /// Changes the members as the leader.
    async fn change_here(&self, change: MemberChange, force: Force) -> Told {
        let metrics = self.metrics();
        if metrics.current_leader != Some(self.node_id) {
            return Told::NotLeader(metrics.current_leader);
        }
        let mut standing = standing(&metrics);
        // Who stopped a moment ago has answered lately: a change that needs it would hang half way.
        standing.reachable = self.answering(&standing).await;
        let steps = match plan(&standing, change, force) {
            Ok(steps) => steps,
            Err(error) => return Told::Unchanged(error),
        };
        let mut at = *metrics.membership_config.log_id();
        for step in steps {
            let members = match step {
                Step::Promote(node) => ChangeMembers::AddVoterIds([node].into()),
                Step::RemoveVoter(node) => ChangeMembers::RemoveVoters([node].into()),
                Step::RemoveLearner(node) => ChangeMembers::RemoveNodes([node].into()),
                Step::HandOver(node) => {
                    let handed = self.hand_over_to(node).await;
                    return match (handed, change) {
                        (true, MemberChange::Transfer { .. }) => Told::Done,
                        // The next leader does the rest.
                        (true, _) => Told::NotLeader(Some(node)),
                        (false, _) => Told::Unchanged(ChangeError::Unavailable(format!(
                            "node {node} did not take over within {} s",
                            HAND_OVER_WITHIN.as_secs()
                        ))),
                    };
                }
            };
            let unchanged = Precondition::LastMembershipLogId {
                last_membership_log_id: at,
            };
            let changing = self.raft.change_membership_if(members, false, [unchanged]);
            match tokio::time::timeout(CHANGE_WITHIN, changing).await {
                Ok(Ok(_)) => at = *self.metrics().membership_config.log_id(),
                Ok(Err(error)) => return refused_write(error),
                Err(_) => {
                    let reason = format!("no answer within {} s", CHANGE_WITHIN.as_secs());
                    return Told::Unknown(reason);
                }
            }
            tracing::info!("the members were changed: {step:?}");
        }
        Told::Done
    }

    /// The members that answer now.
    async fn answering(&self, standing: &Standing) -> BTreeSet<u64> {
        let members = standing.voters.union(&standing.learners);
        let asked = members.map(|node| async { (*node, self.report_of(*node).await) });
        let answered = futures::future::join_all(asked).await.into_iter();
        answered
            .filter_map(|(node, report)| report.map(|_| node))
            .collect()
    }

    /// Hands leadership to a voter. Returns whether it took over.
    async fn hand_over_to(&self, node: u64) -> bool {
        if self.raft.trigger().transfer_leader(node).await.is_err() {
            return false;
        }
        let taken = self.next_leader(Some(self.node_id));
        matches!(
            tokio::time::timeout(HAND_OVER_WITHIN, taken).await,
            Ok(Some(_))
        )
    }

    /// Hands leadership to the voter that is least behind, where this node has it.
    pub(crate) async fn hand_over(&self) {
        let metrics = self.metrics();
        if metrics.current_leader != Some(self.node_id) {
            return;
        }
        let Some(next) = crate::cluster::successor(&standing(&metrics)) else {
            return;
        };
        match self.hand_over_to(next).await {
            true => tracing::info!("handed leadership over to node {next}"),
            false => {
                tracing::warn!("node {next} did not take over; the others will elect a leader")
            }
        }
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

    /// Whether this node answers that: to one that is no member, as one that was removed, only whether it is.
    pub(crate) fn listens_to(&self, node: u64, ask: &Ask) -> bool {
        if matches!(ask, Ask::Join(_) | Ask::Standing { .. }) {
            return true;
        }
        let metrics = self.metrics();
        metrics.membership_config.get_node(&node).is_some()
            || metrics
                .committed_membership_config
                .get_node(&node)
                .is_some()
    }

    /// Answers what another node asks.
    pub(crate) async fn answer(&self, ask: Ask) -> Told {
        let within = |wait_ms: u32| Duration::from_millis(wait_ms.into());
        match ask {
            Ask::Propose { wait_ms, entry } => {
                if !self.leads() {
                    return Told::NotLeader(self.metrics().current_leader);
                }
                if let Err(reason) = self.may_be_written(&entry) {
                    return Told::Unavailable(reason);
                }
                let Some(_taken) = self.budget.take(entry.len(), Duration::ZERO) else {
                    return Told::Busy;
                };
                self.propose_here(entry, within(wait_ms)).await
            }
            Ask::ReadIndex { wait_ms } => {
                if !self.leads() {
                    return Told::NotLeader(self.metrics().current_leader);
                }
                self.read_index_here(within(wait_ms)).await
            }
            Ask::Join(join) => self.join(join).await,
            Ask::AddLearner { node, address } => self.add_learner_here(node, address).await,
            Ask::Change { change, force } => self.change_here(change, force).await,
            Ask::Report => Told::Report(self.report()),
            Ask::Standing { node } => self.standing_of(node).await,
            Ask::Scrub => Told::Scrub(ScrubStatus::clone(&self.scrubbed.load())),
        }
    }

    /// Lets a node in that shows a join token, and has the leader send it the log.
    async fn join(&self, join: JoinRequest) -> Told {
        let Some(admit) = self.admit.get().cloned() else {
            return Told::Unavailable("this node does not let others in yet".to_owned());
        };
        let (oldest, newest) = join.protocol;
        let (agreed, known) = (self.agreed_protocol(), self.about.protocol.1);
        if newest < agreed || oldest > known {
            return Told::NotAdmitted(format!(
                "it speaks versions {oldest} to {newest} of the protocol, this cluster {agreed} to {known}"
            ));
        }
        let address = join.address.clone();
        let node = match admit(self.clone(), join).await {
            Ok(node) => node,
            Err(NotAdmitted::Refused(reason)) => return Told::NotAdmitted(reason),
            Err(NotAdmitted::Later(reason)) => return Told::Unavailable(reason),
        };
        let until = Instant::now() + CHANGE_WITHIN;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Told::Unavailable("no leader took the node in".to_owned());
            }
            let Some(leader) = self.leader_within(left.min(self.leader_within)).await else {
                return Told::Unavailable("there is no leader".to_owned());
            };
            let ask = Ask::AddLearner {
                node,
                address: address.clone(),
            };
            let told = match leader == self.node_id {
                true => Ok(self.add_learner_here(node, address.clone()).await),
                false => self.ask(leader, &ask, left).await,
            };
            if let Attempt::Done(Told::Done) = attempted(told) {
                tracing::info!("node {node} at {address} has joined");
                return Told::Joined {
                    node,
                    cluster: self.cluster_id,
                    incarnation: self.incarnation,
                };
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn add_learner_here(&self, node: u64, address: String) -> Told {
        let metrics = self.metrics();
        if metrics.current_leader != Some(self.node_id) {
            return Told::NotLeader(metrics.current_leader);
        }
        if metrics.membership_config.get_node(&node).is_some() {
            return Told::Done;
        }
        let adding = self
            .raft
            .add_learner(node, BasicNode { addr: address }, false);
        match tokio::time::timeout(CHANGE_WITHIN, adding).await {
            Ok(Ok(_)) => Told::Done,
            Ok(Err(error)) => match refused_write(error) {
                Told::Unchanged(error) => Told::Unavailable(error.to_string()),
                told => told,
            },
            Err(_) => Told::Unavailable("the members did not agree in time".to_owned()),
        }
    }

    /// Whether a node is a member, as the leader knows for certain.
    async fn standing_of(&self, node: u64) -> Told {
        if !self.leads() {
            return Told::NotLeader(self.metrics().current_leader);
        }
        // A leader of the past could say of a new member that it is none.
        let index = match self.read_index_here(ROUND_WITHIN).await {
            Told::Index(index) => index,
            other => return other,
        };
        if !self
            .gate
            .reached(index, Instant::now() + ROUND_WITHIN)
            .await
        {
            return Told::Unavailable("the leader is behind".to_owned());
        }
        let metrics = self.metrics();
        let known = |membership: &raft::StoredMembership| membership.get_node(&node).is_some();
        Told::Standing(
            known(&metrics.membership_config) || known(&metrics.committed_membership_config),
        )
    }
}

/// What a round answers.
pub(crate) type IndexAnswer = oneshot::Receiver<Result<u64, String>>;

/// Waits for what a round answers.
pub(crate) async fn index_of(answer: IndexAnswer, within: Duration) -> Result<u64, TransactError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(Ok(index))) => Ok(index),
        Ok(Ok(Err(reason))) => Err(TransactError::Unavailable(reason)),
        Ok(Err(_)) => Err(TransactError::Unavailable("the node stopped".to_owned())),
        Err(_) => Err(TransactError::Unavailable(format!(
            "no leader confirmed itself within {} ms",
            within.as_millis()
        ))),
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

/// What openraft's refusal of a write means.
fn refused_write(error: RaftError<Types, ClientWriteError<Types>>) -> Told {
    let RaftError::APIError(error) = error else {
        return Told::Unknown(error.to_string());
    };
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

/// How the cluster stands, as its leader's figures say.
pub(crate) fn standing(metrics: &Metrics) -> Standing {
    let membership = metrics.membership_config.membership();
    let last = metrics.last_log_index.unwrap_or_default();
    let mut standing = Standing {
        leader: metrics.id,
        voters: membership.voter_ids().collect(),
        learners: membership.learner_ids().collect(),
        changing: metrics.membership_config != metrics.committed_membership_config
            || membership.get_joint_config().len() > 1,
        ..Standing::default()
    };
    standing.reachable.insert(metrics.id);
    standing.lag.insert(metrics.id, 0);
    for (node, heard) in metrics.heartbeat.iter().flatten() {
        if heard.is_some_and(|heard| heard.elapsed() <= REACHABLE_WITHIN) {
            standing.reachable.insert(*node);
        }
    }
    for (node, matched) in metrics.replication.iter().flatten() {
        if let Some(matched) = matched {
            standing
                .lag
                .insert(*node, last.saturating_sub(matched.index));
        }
    }
    standing
}
