//! What another node asks, answered.
//!
//! INVARIANT: a proposal or question that came from another member is passed on to nobody: one hop.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::impls::BasicNode;
use tokio::time::Instant;

use super::{AGAIN_AFTER, Attempt, CHANGE_WITHIN, Link, ROUND_WITHIN, attempted, failed_write};
use crate::cluster::message::{Ask, Told};
use crate::cluster::{JoinRequest, NotAdmitted};
use crate::node::scrub::ScrubStatus;
use crate::raft;

impl Link {
    /// Whether this node answers that: to one that is no member, as one that was removed, only whether it is.
    pub(crate) fn listens_to(&self, node: u64, ask: &Ask) -> bool {
        if matches!(ask, Ask::Join(_) | Ask::Standing { .. }) {
            return true;
        }
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
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
                    return Told::NotLeader(self.current_leader());
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
                    return Told::NotLeader(self.current_leader());
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
            Ok(Err(error)) => match failed_write(error) {
                Told::Unchanged(error) => Told::Unavailable(error.to_string()),
                told => told,
            },
            Err(_) => Told::Unavailable("the members did not agree in time".to_owned()),
        }
    }

    /// Whether a node is a member, as the leader knows for certain.
    async fn standing_of(&self, node: u64) -> Told {
        if !self.leads() {
            return Told::NotLeader(self.current_leader());
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
