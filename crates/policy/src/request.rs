//! Publish requests: which command is allowed when, and what becomes of the request. The rules in
//! words are in `docs/PUBLISHING.md`.
//!
//! INVARIANT: an approval counts for the proposal it was given for and for no other.
//! INVARIANT: nothing that somebody once was or could counts: approvals are weighed with what holds now.
//! INVARIANT: only an emergency goes past approvals, guards and freezes, and it says so.
//!
//! Deliberately absent: where the facts come from, and what publishing does to a namespace.

mod approval;
mod auto_approve;
mod guard;
mod refusal;
mod rollout;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use confman_model::document::{ChangeKind, RoleName as Role, Settings};
use confman_model::{Key, Namespace};

use crate::permission::Permission;

pub use approval::{Discount, TargetStatus, status};
pub use auto_approve::{RuleProblem, check_rules};
pub use guard::{Exceeded, Measure};
pub use refusal::{Blocker, Refusal};
pub use rollout::{
    CLIENT_BYTES_MAX, PERCENT_MAX, STAGE_MS_MAX, STAGE_MS_MIN, STAGES_MAX, Stage, StageProblem,
    check_stages, is_served,
};

/// Where a request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Approvals are missing.
    PendingReview,
    /// Everything is there that publishing takes of others.
    Approved,
    /// A reviewer said no.
    Rejected,
    /// Publishes itself at its time.
    Scheduled,
    /// Is published to a part of its readers.
    RollingOut,
    /// Was due and could not be published, or was taken back from those that it was published to.
    Suspended,
    /// Done.
    Published,
    /// Taken back.
    Withdrawn,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::PendingReview,
        Self::Approved,
        Self::Rejected,
        Self::Scheduled,
        Self::RollingOut,
        Self::Suspended,
        Self::Published,
        Self::Withdrawn,
    ];

    /// The name as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingReview => "pending_review",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Scheduled => "scheduled",
            Self::RollingOut => "rolling_out",
            Self::Suspended => "suspended",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether nothing moves it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Published | Self::Withdrawn)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no state; there are pending_review, approved, rejected, scheduled, rolling_out, suspended, published and withdrawn",
    .0.escape_debug()
)]
pub struct StateError(pub String);

impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| StateError(text.chars().take(40).collect()))
    }
}

/// What a reviewer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What somebody said about a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Principal.
    pub reviewer: String,
    /// Yes or no.
    pub verdict: Verdict,
    /// The proposal that it is about.
    pub proposal: String,
}

/// When a request publishes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Who said so; it happens with the rights that this principal has then.
    pub by: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The proposal, as it was when it was scheduled.
    pub proposal: String,
}

/// That a request is published to a part of its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Who began it; it goes on with the rights that this principal has then.
    pub by: String,
    /// The proposal, as it was when it began.
    pub proposal: String,
    /// The stage that it is in, from 0.
    pub stage: usize,
    /// Since when it is in it, in milliseconds since 1970.
    pub since_ms: i64,
}

/// What the record of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As it was written. What it is now says [`current_state`].
    pub state: State,
    /// Principal who asked.
    pub submitted_by: String,
    /// Principals who changed what is asked for.
    pub edited_by: BTreeSet<String>,
    /// In the order they were given.
    pub reviews: Vec<Review>,
    /// Where it is scheduled.
    pub schedule: Option<Schedule>,
    /// The steps in which its readers get it; all at once where there are none.
    pub stages: Vec<Stage>,
    /// Where it is published to a part of them.
    pub rollout: Option<Rollout>,
    /// Who published it as an emergency that nobody has acknowledged yet.
    pub emergency_by: Option<String>,
}

/// What somebody wants to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change what is asked for, and ask again.
    Edit,
    /// Say something.
    Comment,
    /// Approve the proposal as it was shown.
    Approve {
        /// The proposal that the reviewer has seen.
        seen: String,
    },
    /// Say no.
    Reject {
        /// Why.
        reason: String,
    },
    /// Let it publish itself.
    Schedule {
        /// The proposal that was shown, where it is stated.
        seen: Option<String>,
        /// Milliseconds since 1970.
        at_ms: i64,
    },
    /// Take back the schedule.
    Unschedule,
    /// Publish.
    Publish {
        /// The proposal that was shown, where it is stated.
        seen: Option<String>,
        /// Why it goes past review, freeze and guards, where it shall.
        emergency: Option<String>,
    },
    /// Publish what is due.
    Due,
    /// Give what is published to a part of its readers to more of them: to all after the last stage.
    Advance,
    /// Publish to all what is published to a part.
    Promote {
        /// The proposal that was shown, where it is stated.
        seen: Option<String>,
    },
    /// Take it back from the part that it is published to.
    Abort {
        /// Why.
        reason: String,
    },
    /// Note that what was due could not be published.
    Suspend,
    /// Take the request back.
    Withdraw,
    /// Note that an emergency was looked at.
    Acknowledge,
}

impl Command {
    /// What it is called in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Comment => "comment",
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Schedule { .. } => "schedule",
            Self::Unschedule => "unschedule",
            Self::Publish { .. } | Self::Due => "publish",
            Self::Advance => "advance",
            Self::Promote { .. } => "promote",
            Self::Abort { .. } => "abort",
            Self::Suspend => "suspend",
            Self::Withdraw => "withdraw",
            Self::Acknowledge => "acknowledge",
        }
    }
}

/// What holds now, as far as a decision about a request needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Principal who acts.
    pub actor: String,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// The proposal as it is; `None` where a draft of it is gone.
    pub proposal: Option<String>,
    /// The namespaces that it is about; at least one.
    pub targets: Vec<TargetFacts>,
}

/// What holds in one namespace of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// Which.
    pub namespace: Namespace,
    /// Its effective settings.
    pub settings: Settings,
    /// What the actor may do there, within the scope of its token.
    pub actor_may: BTreeSet<Permission>,
    /// Principals who made commits of the draft.
    pub committers: BTreeSet<String>,
    /// What publishing would change there.
    pub changes: Vec<ChangeFacts>,
    /// How many keys are published there.
    pub keys_before: u64,
    /// Principals as they stand there now; who is not in it does not exist.
    pub standings: BTreeMap<String, Standing>,
}

/// What a principal is in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Highest role.
    pub role: Option<Role>,
    /// Groups.
    pub groups: Vec<String>,
}

/// What publishing does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFacts {
    /// Which.
    pub key: Key,
    /// What sort of change.
    pub kind: ChangeKind,
    /// The tags of what is published.
    pub tags: BTreeSet<String>,
    /// By how many bytes the value grows.
    pub growth_bytes: i64,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its state.
    pub state: State,
    /// Rules that took the place of approvals, where it is published.
    pub auto_approved: Vec<(Namespace, String)>,
}

/// Whether a request may be made, and its first state.
///
/// # Errors
/// What a [`Refusal`] says.
pub fn submit(facts: &Facts) -> Result<State, Refusal> {
    everywhere(facts, Permission::RequestCreate)?;
    there(facts)?;
    let request = Request {
        state: State::PendingReview,
        submitted_by: facts.actor.clone(),
        edited_by: BTreeSet::new(),
        reviews: Vec::new(),
        schedule: None,
        stages: Vec::new(),
        rollout: None,
        emergency_by: None,
    };
    Ok(current_state(&request, facts))
}

/// What state a request is in, given what holds now.
#[must_use]
pub fn current_state(request: &Request, facts: &Facts) -> State {
    match request.state {
        State::PendingReview | State::Approved => {
            let approved = facts.proposal.is_some()
                && status(request, facts)
                    .iter()
                    .all(TargetStatus::has_approvals);
            if approved {
                State::Approved
            } else {
                State::PendingReview
            }
        }
        other => other,
    }
}

/// Whether a command is allowed, and what becomes of the request. The review that an approval or a
/// rejection adds is the caller's to write.
///
/// # Errors
/// What a [`Refusal`] says.
pub fn decide(request: &Request, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
    let state = current_state(request, facts);
    let next = |state| {
        Ok(Decision {
            state,
            auto_approved: Vec::new(),
        })
    };
    let allowed_in = |states: &[State]| match states.contains(&state) {
        true => Ok(()),
        false => Err(Refusal::State {
            state,
            command: command.name(),
        }),
    };
    use State::{
        Approved, PendingReview, Published, Rejected, RollingOut, Scheduled, Suspended, Withdrawn,
    };
    // What is published in stages goes to a part of its readers first.
    let first = match request.stages.is_empty() {
        true => Published,
        false => RollingOut,
    };
    match command {
        Command::Comment => next(state),
        Command::Edit => {
            everywhere(facts, Permission::RequestCreate)?;
            allowed_in(&[PendingReview, Approved, Rejected, Scheduled, Suspended])?;
            there(facts)?;
            next(asked_again(request, facts))
        }
        Command::Approve { seen } => {
            somewhere(facts, Permission::RequestApprove)?;
            allowed_in(&[PendingReview, Approved, Scheduled])?;
            shown(there(facts)?, seen)?;
            approval::reviewer(request, facts)?;
            next(match state {
                Scheduled => Scheduled,
                _ => approved_by(request, facts, seen),
            })
        }
        Command::Reject { reason } => {
            somewhere(facts, Permission::RequestReject)?;
            allowed_in(&[PendingReview, Approved, Scheduled, Suspended])?;
            stated(reason, "a rejection")?;
            next(Rejected)
        }
        Command::Schedule { seen, at_ms } => {
            everywhere(facts, Permission::ConfigPublish)?;
            allowed_in(&[PendingReview, Approved, Scheduled])?;
            let proposal = there(facts)?;
            if let Some(seen) = seen {
                shown(proposal, seen)?;
            }
            if *at_ms <= facts.now_ms {
                return Err(Refusal::Past);
            }
            let unscheduled = Request {
                state: PendingReview,
                ..request.clone()
            };
            passes(&unscheduled, facts, *at_ms)?;
            next(Scheduled)
        }
        Command::Unschedule => {
            if request.submitted_by != facts.actor {
                everywhere(facts, Permission::ConfigPublish)?;
            }
            allowed_in(&[Scheduled])?;
            let unscheduled = Request {
                state: PendingReview,
                ..request.clone()
            };
            next(current_state(&unscheduled, facts))
        }
        Command::Publish { seen, emergency } => {
            everywhere(facts, Permission::ConfigPublish)?;
            match emergency {
                Some(_) => {
                    allowed_in(&[PendingReview, Approved, Scheduled, RollingOut, Suspended])?;
                }
                None => allowed_in(&[PendingReview, Approved, Scheduled])?,
            }
            let proposal = there(facts)?;
            if let Some(seen) = seen {
                shown(proposal, seen)?;
            }
            let auto_approved = match emergency {
                Some(reason) => stated(reason, "an emergency").map(|()| Vec::new())?,
                None => passes(request, facts, facts.now_ms)?,
            };
            Ok(Decision {
                state: emergency.as_ref().map_or(first, |_| Published),
                auto_approved,
            })
        }
        Command::Due => {
            allowed_in(&[Scheduled])?;
            everywhere(facts, Permission::ConfigPublish)?;
            let proposal = there(facts)?;
            if let Some(schedule) = &request.schedule {
                if schedule.proposal != proposal {
                    return Err(Refusal::Moved);
                }
                if schedule.at_ms > facts.now_ms {
                    return Err(Refusal::NotDue);
                }
            }
            Ok(Decision {
                state: first,
                auto_approved: passes(request, facts, facts.now_ms)?,
            })
        }
        Command::Advance => {
            allowed_in(&[RollingOut])?;
            everywhere(facts, Permission::ConfigPublish)?;
            let rollout = rolling_out(request, facts)?;
            if request
                .next_stage_ms(rollout)
                .is_none_or(|ms| ms > facts.now_ms)
            {
                return Err(Refusal::NotDue);
            }
            match rollout.stage + 1 < request.stages.len() {
                true => next(RollingOut),
                false => Ok(Decision {
                    state: Published,
                    auto_approved: passes(request, facts, facts.now_ms)?,
                }),
            }
        }
        Command::Promote { seen } => {
            everywhere(facts, Permission::ConfigPublish)?;
            allowed_in(&[RollingOut])?;
            rolling_out(request, facts)?;
            if let Some(seen) = seen {
                shown(there(facts)?, seen)?;
            }
            Ok(Decision {
                state: Published,
                auto_approved: passes(request, facts, facts.now_ms)?,
            })
        }
        Command::Abort { reason } => {
            if request.submitted_by != facts.actor {
                everywhere(facts, Permission::ConfigPublish)?;
            }
            allowed_in(&[RollingOut])?;
            stated(reason, "taking it back")?;
            next(Suspended)
        }
        Command::Suspend => {
            allowed_in(&[Scheduled, RollingOut])?;
            next(Suspended)
        }
        Command::Withdraw => {
            if request.submitted_by != facts.actor {
                somewhere(facts, Permission::RequestReject)?;
            }
            allowed_in(&[PendingReview, Approved, Rejected, Scheduled, Suspended])?;
            next(Withdrawn)
        }
        Command::Acknowledge => {
            everywhere(facts, Permission::NamespaceWrite)?;
            let Some(by) = &request.emergency_by else {
                return Err(Refusal::NoEmergency);
            };
            let lenient = facts
                .targets
                .iter()
                .all(|target| target.settings.allow_self_approval == Some(true));
            if *by == facts.actor && !lenient {
                return Err(Refusal::OwnEmergency);
            }
            next(state)
        }
    }
}

impl Request {
    /// When what is published to a part of its readers goes to more of them, in milliseconds since 1970;
    /// `None` where it waits for somebody to promote it.
    #[must_use]
    pub fn next_stage_ms(&self, rollout: &Rollout) -> Option<i64> {
        let stage = self.stages.get(rollout.stage)?;
        Some(rollout.since_ms.saturating_add(stage.for_ms?))
    }
}

/// The rollout of a request whose proposal is still the one that was begun with.
fn rolling_out<'r>(request: &'r Request, facts: &Facts) -> Result<&'r Rollout, Refusal> {
    let proposal = there(facts)?;
    match &request.rollout {
        Some(rollout) if rollout.proposal == proposal => Ok(rollout),
        _ => Err(Refusal::MovedInRollout),
    }
}

/// Whether somebody may publish without a request what changes this target so, and by which rule where
/// one took the place of approvals. The permission itself is the caller's to check.
///
/// # Errors
/// [`Refusal::Blocked`], or [`Refusal::NoReason`] for an emergency without one.
pub fn publish_directly(
    facts: &Facts,
    way: Direct,
    emergency: Option<&str>,
) -> Result<Vec<(Namespace, String)>, Refusal> {
    if let Some(reason) = emergency {
        return stated(reason, "an emergency").map(|()| Vec::new());
    }
    let nothing_asked = Request {
        state: State::PendingReview,
        submitted_by: facts.actor.clone(),
        edited_by: BTreeSet::new(),
        reviews: Vec::new(),
        schedule: None,
        stages: Vec::new(),
        rollout: None,
        emergency_by: None,
    };
    let mut status = status(&nothing_asked, facts);
    if way == Direct::Rollback {
        for target in &mut status {
            target.needed_for_review = 0;
        }
    }
    approval::unblocked(&status, facts, facts.now_ms)
}

/// A way to publish without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direct {
    /// Something new.
    Publish,
    /// What was published before.
    Rollback,
}

/// Fails where something is in the way of publishing at a time.
fn passes(
    request: &Request,
    facts: &Facts,
    at_ms: i64,
) -> Result<Vec<(Namespace, String)>, Refusal> {
    approval::unblocked(&status(request, facts), facts, at_ms)
}

/// The state once it is asked for again: nobody has approved what it becomes.
fn asked_again(request: &Request, facts: &Facts) -> State {
    let fresh = Request {
        state: State::PendingReview,
        reviews: Vec::new(),
        ..request.clone()
    };
    current_state(&fresh, facts)
}

/// The state once the actor has approved.
fn approved_by(request: &Request, facts: &Facts, seen: &str) -> State {
    let mut reviewed = request.clone();
    reviewed.reviews.push(Review {
        reviewer: facts.actor.clone(),
        verdict: Verdict::Approve,
        proposal: seen.to_owned(),
    });
    current_state(&reviewed, facts)
}

fn everywhere(facts: &Facts, permission: Permission) -> Result<(), Refusal> {
    let missing = facts
        .targets
        .iter()
        .find(|target| !target.actor_may.contains(&permission));
    match missing {
        None => Ok(()),
        Some(target) => Err(Refusal::Permission {
            namespace: target.namespace.clone(),
            permission,
        }),
    }
}

fn somewhere(facts: &Facts, permission: Permission) -> Result<(), Refusal> {
    let may = facts
        .targets
        .iter()
        .any(|target| target.actor_may.contains(&permission));
    if may {
        return Ok(());
    }
    everywhere(facts, permission)
}

/// The proposal, if its drafts are there.
fn there(facts: &Facts) -> Result<&str, Refusal> {
    facts.proposal.as_deref().ok_or(Refusal::DraftGone)
}

/// Fails where what was shown is not what is.
fn shown(proposal: &str, seen: &str) -> Result<(), Refusal> {
    if proposal == seen {
        return Ok(());
    }
    Err(Refusal::Stale {
        seen: seen.to_owned(),
        proposal: proposal.to_owned(),
    })
}

fn stated(reason: &str, what: &'static str) -> Result<(), Refusal> {
    match reason.trim().is_empty() {
        true => Err(Refusal::NoReason { what }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
