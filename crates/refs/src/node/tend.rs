//! What a member does by itself, time after time: finish a change of the members that its leader did not,
//! ask to vote once it has caught up, and notice that it was removed.

use std::time::Duration;

use tokio::time::Instant;

use super::link::{Link, Metrics};
use crate::cluster::message::{Ask, Told};
use crate::cluster::{Force, MemberChange, PROMOTE_LAG_MAX};

/// How often a member looks at how it stands.
const TEND_EVERY: Duration = Duration::from_millis(250);
/// For so long a change of the members must have stood half done before its leader finishes it.
const FINISH_AFTER: Duration = Duration::from_secs(5);
/// How often a member that does not lead asks whether it still is one: who was removed is sent nothing any
/// more, and would believe in its last leader for ever.
const ASK_STANDING_EVERY: Duration = Duration::from_secs(5);
/// How often the members are asked which protocol they speak, while the leader speaks more than was agreed on.
const RAISE_EVERY: Duration = Duration::from_secs(1);
/// How long a member may take to answer that.
const STANDING_WITHIN: Duration = Duration::from_secs(2);

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
struct Seen {
    /// Since when a learner has kept up.
    keeps_up_since: Option<Instant>,
    /// Since when a change of the members is half done.
    joint_since: Option<Instant>,
    /// When the members were asked last which protocol they speak.
    protocol_at: Option<Instant>,
    /// When the leader was asked last whether this node is a member.
    asked_at: Option<Instant>,
    /// Whether the members that were agreed on have had this node among them.
    was_member: bool,
}

/// Runs as long as the node is open. `removed` is called once when the node finds itself removed.
pub(super) async fn run(link: Link, promote_after: Duration, removed: impl FnOnce() + Send) {
    let mut seen = Seen::default();
    let mut tick = tokio::time::interval(TEND_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let metrics = link.metrics();
        if metrics.running_state.is_err() || link.failure.get().is_some() {
            return;
        }
        if is_removed(&link, &metrics, &mut seen).await {
            removed();
            return;
        }
        finish_change(&link, &metrics, &mut seen).await;
        raise_protocol(&link, &metrics, &mut seen).await;
        ask_to_vote(&link, &metrics, &mut seen, promote_after).await;
    }
}

/// A leader that died between the two entries of a change has left it half done.
async fn finish_change(link: &Link, metrics: &Metrics, seen: &mut Seen) {
    let membership = metrics.membership_config.membership();
    let half_done = metrics.current_leader == Some(link.node_id)
        && metrics.membership_config == metrics.committed_membership_config
        && membership.get_joint_config().len() > 1;
    if !half_done {
        seen.joint_since = None;
        return;
    }
    if seen.joint_since.get_or_insert_with(Instant::now).elapsed() < FINISH_AFTER {
        return;
    }
    seen.joint_since = None;
    let Some(wanted) = membership.get_joint_config().last().cloned() else {
        return;
    };
    tracing::info!("finishing a change of the members that was left half done");
    if let Err(error) = link.raft.change_membership(wanted, false).await {
        tracing::warn!("the change could not be finished: {error}");
    }
}

/// Once all members understand more than what was agreed on, that is agreed on.
async fn raise_protocol(link: &Link, metrics: &Metrics, seen: &mut Seen) {
    let leads = metrics.current_leader == Some(link.node_id);
    let more = link.about.protocol.1 > link.agreed_protocol();
    let asked_lately = seen
        .protocol_at
        .is_some_and(|asked| asked.elapsed() < RAISE_EVERY);
    if !leads || !more || asked_lately {
        return;
    }
    seen.protocol_at = Some(Instant::now());
    link.raise_protocol().await;
}

/// A learner that is no read replica asks to vote once it has kept up for a while.
async fn ask_to_vote(link: &Link, metrics: &Metrics, seen: &mut Seen, promote_after: Duration) {
    let is_learner = metrics
        .committed_membership_config
        .membership()
        .learner_ids()
        .any(|node| node == link.node_id);
    let committed = metrics.cluster_committed.map_or(0, |id| id.index);
    let applied = link.view.load().index();
    let keeps_up = is_learner
        && !link.about.replica
        && metrics.current_leader.is_some()
        && committed > 0
        && committed.saturating_sub(applied) <= PROMOTE_LAG_MAX;
    if !keeps_up {
        seen.keeps_up_since = None;
        return;
    }
    if seen
        .keeps_up_since
        .get_or_insert_with(Instant::now)
        .elapsed()
        < promote_after
    {
        return;
    }
    seen.keeps_up_since = None;
    let change = MemberChange::Promote { node: link.node_id };
    match link.change(change, Force::No).await {
        Ok(()) => tracing::info!("this node has caught up and votes"),
        Err(error) => tracing::info!("this node has caught up and does not vote yet: {error}"),
    }
}

/// Whether this node is a member no more: the members that were agreed on had it and have it no longer, or
/// their leader says so.
async fn is_removed(link: &Link, metrics: &Metrics, seen: &mut Seen) -> bool {
    let is_member = metrics
        .committed_membership_config
        .get_node(&link.node_id)
        .is_some();
    if is_member {
        seen.was_member = true;
    } else if seen.was_member {
        return true;
    }
    let asked_lately =
        seen.asked_at.get_or_insert_with(Instant::now).elapsed() < ASK_STANDING_EVERY;
    if asked_lately || metrics.current_leader == Some(link.node_id) {
        return false;
    }
    seen.asked_at = None;
    let ask = Ask::Standing { node: link.node_id };
    let others: Vec<u64> = metrics
        .membership_config
        .nodes()
        .map(|(id, _)| *id)
        .filter(|id| *id != link.node_id)
        .collect();

    let answers = others
        .iter()
        .map(|node| link.ask(*node, &ask, STANDING_WITHIN));
    futures::future::join_all(answers)
        .await
        .into_iter()
        .any(|told| matches!(told, Ok(Told::Standing(false))))
}
