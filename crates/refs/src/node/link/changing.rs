//! Changing the members, and handing over leadership.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use openraft::async_runtime::{Instant as _, WatchReceiver};
use openraft::raft::Precondition;
use tokio::time::Instant;

use super::{
    AGAIN_AFTER, Attempt, CHANGE_WITHIN, Link, Metrics, ROUND_WITHIN, attempted, failed_write,
};
use crate::cluster::message::{Ask, Told};
use crate::cluster::{
    ChangeError, Force, HAND_OVER_WITHIN, MemberChange, REACHABLE_WITHIN, Standing, Step, plan,
};

impl Link {
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
    pub(super) async fn change_here(&self, change: MemberChange, force: Force) -> Told {
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
                Ok(Err(error)) => return failed_write(error),
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
}

/// How the cluster stands, as its leader's figures say.
fn standing(metrics: &Metrics) -> Standing {
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
