//! Which steps a change of the members takes, or why it is not made. Pure.
//!
//! INVARIANT: between two steps at most one voter comes or goes.
//! INVARIANT: unless forced, no step leaves fewer reachable voters than a majority of the voters there are then.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChangeError, Force, MemberChange, PROMOTE_LAG_MAX};

/// How the cluster stands, as its leader sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Who leads.
    pub(crate) leader: u64,
    /// Who votes.
    pub(crate) voters: BTreeSet<u64>,
    /// Who does not.
    pub(crate) learners: BTreeSet<u64>,
    /// Who has answered lately; the leader is in it.
    pub(crate) reachable: BTreeSet<u64>,
    /// How many entries each is behind; who is not in it has never answered.
    pub(crate) lag: BTreeMap<u64, u64>,
    /// Whether another change is not over yet.
    pub(crate) changing: bool,
}

/// One step of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A learner becomes a voter.
    Promote(u64),
    /// A voter leaves.
    RemoveVoter(u64),
    /// A learner leaves.
    RemoveLearner(u64),
    /// The leader hands over. The rest is planned by the next leader.
    HandOver(u64),
}

/// The steps that are left to make this change.
pub(crate) fn plan(
    standing: &Standing,
    change: MemberChange,
    force: Force,
) -> Result<Vec<Step>, ChangeError> {
    if standing.changing {
        return Err(ChangeError::InProgress);
    }
    match change {
        MemberChange::Promote { node } => {
            may_promote(standing, node, force)?;
            Ok(vec![Step::Promote(node)])
        }
        MemberChange::Remove { node } => remove(standing, node, force),
        MemberChange::Replace { old, new } => {
            is_voter(standing, old)?;
            if standing.voters.contains(&new) && new != old {
                return remove(standing, old, force);
            }
            may_promote(standing, new, force)?;
            let mut between = standing.clone();
            between.learners.remove(&new);
            between.voters.insert(new);
            let mut steps = vec![Step::Promote(new)];
            steps.extend(remove(&between, old, force)?);
            Ok(steps)
        }
        MemberChange::Transfer { to: Some(node) } => {
            is_voter(standing, node)?;
            if node == standing.leader {
                return Ok(Vec::new());
            }
            Ok(vec![Step::HandOver(node)])
        }
        MemberChange::Transfer { to: None } => match successor(standing) {
            Some(node) => Ok(vec![Step::HandOver(node)]),
            None => Err(ChangeError::Unavailable(
                "no other voter can be reached".to_owned(),
            )),
        },
    }
}

/// The reachable voter that is least behind, other than the leader.
pub(crate) fn successor(standing: &Standing) -> Option<u64> {
    let others = standing.voters.intersection(&standing.reachable);
    let others = others.copied().filter(|node| *node != standing.leader);
    others
        .filter_map(|node| standing.lag.get(&node).map(|lag| (*lag, node)))
        .min()
        .map(|(_, node)| node)
}

fn is_voter(standing: &Standing, node: u64) -> Result<(), ChangeError> {
    match (
        standing.voters.contains(&node),
        standing.learners.contains(&node),
    ) {
        (true, _) => Ok(()),
        (false, true) => Err(ChangeError::NoVoter(node)),
        (false, false) => Err(ChangeError::NoSuchMember(node)),
    }
}

fn may_promote(standing: &Standing, node: u64, force: Force) -> Result<(), ChangeError> {
    if standing.voters.contains(&node) {
        return Err(ChangeError::NoLearner(node));
    }
    if !standing.learners.contains(&node) {
        return Err(ChangeError::NoSuchMember(node));
    }
    if force == Force::Yes {
        return Ok(());
    }
    let lag = standing.lag.get(&node).copied().unwrap_or(u64::MAX);
    if lag > PROMOTE_LAG_MAX {
        return Err(ChangeError::Behind { node, lag });
    }
    let mut voters = standing.voters.clone();
    voters.insert(node);
    keeps_quorum(standing, &voters)
}

fn remove(standing: &Standing, node: u64, force: Force) -> Result<Vec<Step>, ChangeError> {
    if standing.learners.contains(&node) {
        return Ok(vec![Step::RemoveLearner(node)]);
    }
    is_voter(standing, node)?;
    let mut voters = standing.voters.clone();
    voters.remove(&node);
    if voters.is_empty() {
        return Err(ChangeError::LastVoter(node));
    }
    if force == Force::No {
        keeps_quorum(standing, &voters)?;
    }
    if node == standing.leader
        && let Some(next) = successor(standing)
    {
        return Ok(vec![Step::HandOver(next)]);
    }
    Ok(vec![Step::RemoveVoter(node)])
}

fn keeps_quorum(standing: &Standing, voters: &BTreeSet<u64>) -> Result<(), ChangeError> {
    let reachable = voters.intersection(&standing.reachable).count() as u64;
    let count = voters.len() as u64;
    let needed = count / 2 + 1;
    if reachable >= needed {
        return Ok(());
    }
    Err(ChangeError::LosesQuorum {
        voters: count,
        reachable,
        needed,
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// `voters | learners | not reachable`; node 1 leads, a learner is as many entries behind as its id.
    fn standing(text: &str) -> Standing {
        let mut parts = text.split('|').map(|part| {
            let ids = part.split_whitespace().map(|id| id.parse().unwrap());
            ids.collect::<BTreeSet<u64>>()
        });
        let (voters, learners, away) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        let all = voters.union(&learners).copied();
        Standing {
            leader: 1,
            reachable: all.clone().filter(|id| !away.contains(id)).collect(),
            lag: all.map(|id| (id, id)).collect(),
            voters,
            learners,
            changing: false,
        }
    }

    #[must_use]
    fn planned(text: &str, change: MemberChange, force: Force) -> String {
        match plan(&standing(text), change, force) {
            Ok(steps) => format!("{steps:?}"),
            Err(error) => error.to_string(),
        }
    }

    const fn promote(node: u64) -> MemberChange {
        MemberChange::Promote { node }
    }

    const fn remove_node(node: u64) -> MemberChange {
        MemberChange::Remove { node }
    }

    #[test]
    fn a_learner_that_keeps_up_becomes_a_voter() {
        assert_snapshot!(planned("1 | 5 |", promote(5), Force::No), @"[Promote(5)]");
        assert_snapshot!(planned("1 5 | 9 |", promote(9), Force::No), @"[Promote(9)]");
    }

    #[test]
    fn a_learner_that_is_behind_waits_unless_forced() {
        assert_snapshot!(planned("1 | 65 |", promote(65), Force::No), @"node 65 is 65 entries behind, at most 64 are allowed; wait, or force it");
        assert_snapshot!(planned("1 | 65 |", promote(65), Force::Yes), @"[Promote(65)]");
    }

    #[test]
    fn only_learners_are_promoted_and_only_members_changed() {
        assert_snapshot!(planned("1 2 | |", promote(2), Force::Yes), @"node 2 is a voter already");
        assert_snapshot!(planned("1 2 | |", promote(7), Force::Yes), @"node 7 is no member of this cluster");
        assert_snapshot!(planned("1 2 | |", remove_node(7), Force::Yes), @"node 7 is no member of this cluster");
        assert_snapshot!(planned("1 2 | 5 |", MemberChange::Transfer { to: Some(5) }, Force::Yes), @"node 5 is no voter");
    }

    #[test]
    fn a_change_that_would_stop_the_cluster_is_refused_unless_forced() {
        assert_snapshot!(planned("1 2 3 | | 3", remove_node(2), Force::No), @"of the 2 voters that there would be only 1 can be reached, and 2 are needed to agree on anything; bring the others back first, or force it if they are gone for good");
        assert_snapshot!(planned("1 2 3 | | 3", remove_node(2), Force::Yes), @"[RemoveVoter(2)]");
        // With 3 gone 4 voters would need 3 of 1, 2 and 5.
        assert_snapshot!(planned("1 2 3 | 5 | 3", promote(5), Force::No), @"[Promote(5)]");
        assert_snapshot!(planned("1 2 | 5 | 2", promote(5), Force::No), @"[Promote(5)]");
        assert_snapshot!(planned("1 2 3 | 5 | 3 5", promote(5), Force::No), @"of the 4 voters that there would be only 2 can be reached, and 3 are needed to agree on anything; bring the others back first, or force it if they are gone for good");
    }

    #[test]
    fn a_voter_that_is_gone_can_leave() {
        assert_snapshot!(planned("1 2 3 | | 3", remove_node(3), Force::No), @"[RemoveVoter(3)]");
        assert_snapshot!(planned("1 2 | | 2", remove_node(2), Force::No), @"[RemoveVoter(2)]");
    }

    #[test]
    fn the_last_voter_never_leaves() {
        assert_snapshot!(planned("1 | 5 |", remove_node(1), Force::Yes), @"node 1 is the only voter; without it there would be no cluster");
    }

    #[test]
    fn a_leader_hands_over_before_it_leaves() {
        assert_snapshot!(planned("1 2 3 | |", remove_node(1), Force::No), @"[HandOver(2)]");
    }

    #[test]
    fn leadership_goes_to_the_voter_that_is_least_behind_and_answers() {
        assert_snapshot!(planned("1 2 3 | 5 | 2", MemberChange::Transfer { to: None }, Force::No), @"[HandOver(3)]");
        assert_snapshot!(planned("1 | 5 |", MemberChange::Transfer { to: None }, Force::No), @"the members cannot be changed now: no other voter can be reached");
        assert_snapshot!(planned("1 2 | |", MemberChange::Transfer { to: Some(1) }, Force::No), @"[]");
    }

    #[test]
    fn one_voter_comes_before_the_other_goes() {
        let replace = MemberChange::Replace { old: 3, new: 9 };
        assert_snapshot!(planned("1 2 3 | 9 | 3", replace, Force::No), @"[Promote(9), RemoveVoter(3)]");
        // Done half before: what is left is the rest.
        assert_snapshot!(planned("1 2 3 9 | | 3", replace, Force::No), @"[RemoveVoter(3)]");
        assert_snapshot!(planned("1 2 3 | 9 | 3 9", replace, Force::No), @"of the 4 voters that there would be only 2 can be reached, and 3 are needed to agree on anything; bring the others back first, or force it if they are gone for good");
    }

    #[test]
    fn changes_wait_for_each_other() {
        let mut standing = standing("1 2 3 | 9 |");
        standing.changing = true;
        assert_eq!(
            plan(&standing, promote(9), Force::Yes),
            Err(ChangeError::InProgress)
        );
    }
}
