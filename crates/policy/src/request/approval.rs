//! Which approvals count, and what is in the way of publishing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use confman_model::Namespace;
use confman_model::document::FreezeWindow;
use confman_model::identity::GROUP_PREFIX;

use super::auto_approve::covering_rule;
use super::guard::{Exceeded, Measure, exceeded};
use super::refusal::{Blocker, Refusal};
use super::{Facts, Request, Review, TargetFacts, Verdict};
use crate::permission::{Permission, permits};

/// How a request stands in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Which.
    pub namespace: Namespace,
    /// Approvals that `requireApproval` asks for; none where a rule covers it.
    pub needed_for_review: u32,
    /// Approvals that a guard asks for beyond its limits.
    pub needed_for_guard: u32,
    /// The rule that took the place of approvals.
    pub rule: Option<String>,
    /// Who has approved, and it counts.
    pub approved_by: Vec<String>,
    /// Who has approved, and why it does not count.
    pub discounted: Vec<(String, Discount)>,
    /// The limits that it is beyond.
    pub exceeded: Vec<Exceeded>,
    /// Whether any number of approvals lifts them.
    pub guard_has_approvers: bool,
    /// What it does.
    pub measure: Measure,
}

impl TargetStatus {
    /// Approvals that it takes.
    #[must_use]
    pub fn needed(&self) -> u32 {
        self.needed_for_review.max(self.needed_for_guard)
    }

    /// Whether it has the approvals that it takes.
    #[must_use]
    pub fn has_approvals(&self) -> bool {
        self.approved_by.len() as u64 >= u64::from(self.needed())
    }
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discount {
    /// It is about another proposal.
    OtherProposal,
    /// There is no such principal any more.
    Unknown,
    /// The principal may not approve here now.
    MayNot,
    /// The principal is not in the group of approvers.
    NotInGroup(String),
    /// The principal made a part of what is proposed.
    Contributor,
}

impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProposal => f.write_str("approved what it was before"),
            Self::Unknown => f.write_str("does not exist any more"),
            Self::MayNot => write!(f, "does not have {} now", Permission::RequestApprove),
            Self::NotInGroup(group) => write!(f, "is not in `{group}`"),
            Self::Contributor => f.write_str("submitted or changed it"),
        }
    }
}

/// How a request stands in each of its namespaces, given what holds now.
#[must_use]
pub fn status(request: &Request, facts: &Facts) -> Vec<TargetStatus> {
    let contributors = contributors(request, facts);
    facts
        .targets
        .iter()
        .map(|target| target_status(request, facts, target, &contributors))
        .collect()
}

fn target_status(
    request: &Request,
    facts: &Facts,
    target: &TargetFacts,
    contributors: &BTreeSet<&str>,
) -> TargetStatus {
    let settings = &target.settings;
    let rule = covering_rule(target, contributors).map(|rule| rule.name.clone());
    let needed_for_review = match (settings.require_approval, &rule) {
        (Some(true), None) => settings.min_approvers.unwrap_or(1).max(1),
        _ => 0,
    };
    let measure = Measure::of(target);
    let guards = settings.guards.clone().unwrap_or_default();
    let exceeded = exceeded(&guards, &measure);
    let needed_for_guard = match exceeded.is_empty() {
        true => 0,
        false => guards.approvers.unwrap_or(0),
    };
    let mut approved_by = Vec::new();
    let mut discounted = Vec::new();
    for (reviewer, review) in newest(&request.reviews) {
        if review.verdict != Verdict::Approve {
            continue;
        }
        let about_this = facts.proposal.as_ref() == Some(&review.proposal);
        match about_this {
            false => discounted.push((reviewer.to_owned(), Discount::OtherProposal)),
            true => match discount(target, reviewer, contributors) {
                Some(discount) => discounted.push((reviewer.to_owned(), discount)),
                None => approved_by.push(reviewer.to_owned()),
            },
        }
    }
    TargetStatus {
        namespace: target.namespace.clone(),
        needed_for_review,
        needed_for_guard,
        rule: rule.filter(|_| settings.require_approval == Some(true)),
        approved_by,
        discounted,
        exceeded,
        guard_has_approvers: guards.approvers.is_some(),
        measure,
    }
}

/// The newest review of each principal.
fn newest(reviews: &[Review]) -> BTreeMap<&str, &Review> {
    reviews
        .iter()
        .map(|review| (review.reviewer.as_str(), review))
        .collect()
}

/// Who submitted the request or made a commit of any draft of it.
fn contributors<'a>(request: &'a Request, facts: &'a Facts) -> BTreeSet<&'a str> {
    let committers = facts.targets.iter().flat_map(|target| &target.committers);
    std::iter::once(&request.submitted_by)
        .chain(&request.edited_by)
        .chain(committers)
        .map(String::as_str)
        .collect()
}

/// Why an approval of this principal would not count here.
fn discount(
    target: &TargetFacts,
    reviewer: &str,
    contributors: &BTreeSet<&str>,
) -> Option<Discount> {
    let Some(standing) = target.standings.get(reviewer) else {
        return Some(Discount::Unknown);
    };
    let may = standing
        .role
        .is_some_and(|role| permits(role, Permission::RequestApprove));
    if !may {
        return Some(Discount::MayNot);
    }
    if let Some(group) = &target.settings.approvers {
        let name = group.strip_prefix(GROUP_PREFIX).unwrap_or(group);
        if !standing.groups.iter().any(|own| own == name) {
            return Some(Discount::NotInGroup(name.to_owned()));
        }
    }
    let own = contributors.contains(reviewer) && target.settings.allow_self_approval != Some(true);
    own.then_some(Discount::Contributor)
}

/// Fails where an approval of the actor would count nowhere.
pub(super) fn reviewer(request: &Request, facts: &Facts) -> Result<(), Refusal> {
    let contributors = contributors(request, facts);
    let mut reasons = Vec::new();
    for target in &facts.targets {
        let within_scope = target.actor_may.contains(&Permission::RequestApprove);
        let reason = match within_scope {
            true => discount(target, &facts.actor, &contributors),
            false => Some(Discount::MayNot),
        };
        match reason {
            None => return Ok(()),
            Some(reason) => reasons.push((target.namespace.clone(), reason)),
        }
    }
    Err(Refusal::NotReviewer {
        actor: facts.actor.clone(),
        reasons,
    })
}

/// Fails with everything that is in the way of publishing at a time; else gives the rules that took
/// the place of approvals.
pub(super) fn unblocked(
    status: &[TargetStatus],
    facts: &Facts,
    at_ms: i64,
) -> Result<Vec<(Namespace, String)>, Refusal> {
    let mut blockers = Vec::new();
    for (target, now) in facts.targets.iter().zip(status) {
        let have = now.approved_by.len() as u64;
        if have < u64::from(now.needed_for_review) {
            blockers.push(Blocker::NeedsReview {
                namespace: now.namespace.clone(),
                needed: now.needed_for_review,
                approved_by: now.approved_by.clone(),
                discounted: now.discounted.clone(),
                group: target.settings.approvers.clone(),
            });
        }
        let lifted = now.guard_has_approvers && have >= u64::from(now.needed_for_guard);
        if !now.exceeded.is_empty() && !lifted {
            blockers.push(Blocker::Guarded {
                namespace: now.namespace.clone(),
                exceeded: now.exceeded.clone(),
                needed: now.guard_has_approvers.then_some(now.needed_for_guard),
                approved_by: now.approved_by.clone(),
            });
        }
        let windows = target.settings.freeze.iter().flatten();
        if let Some(window) = windows
            .filter(|window| window.covers(at_ms))
            .max_by(|one, other| one.until.cmp(&other.until))
        {
            blockers.push(frozen(&now.namespace, window));
        }
    }
    if !blockers.is_empty() {
        return Err(Refusal::Blocked(blockers));
    }
    let rules = status.iter().filter_map(|now| {
        let rule = now.rule.clone()?;
        Some((now.namespace.clone(), rule))
    });
    Ok(rules.collect())
}

fn frozen(namespace: &Namespace, window: &FreezeWindow) -> Blocker {
    Blocker::Frozen {
        namespace: namespace.clone(),
        until: window.until.clone(),
        reason: window.reason.clone(),
    }
}
