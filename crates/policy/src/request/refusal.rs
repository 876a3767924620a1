//! Why a command is refused, and what to do then.

use std::fmt;

use confman_model::Namespace;

use super::State;
use super::approval::Discount;
use super::guard::Exceeded;
use crate::permission::Permission;

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A permission is missing.
    Permission {
        /// Where.
        namespace: Namespace,
        /// Which.
        permission: Permission,
    },
    /// The state does not allow it.
    State {
        /// In which it is.
        state: State,
        /// What was wanted.
        command: &'static str,
    },
    /// A draft of it is gone.
    DraftGone,
    /// What was shown is not what is.
    Stale {
        /// The proposal that the caller has seen.
        seen: String,
        /// The one that is.
        proposal: String,
    },
    /// An approval of the actor would count nowhere.
    NotReviewer {
        /// Who would approve.
        actor: String,
        /// Where, and why not there.
        reasons: Vec<(Namespace, Discount)>,
    },
    /// A reason must be given and is not.
    NoReason {
        /// For what.
        what: &'static str,
    },
    /// The time to publish is not in the future.
    Past,
    /// It is not due yet.
    NotDue,
    /// It is not any more what was scheduled.
    Moved,
    /// It is not any more what is published to a part of its readers.
    MovedInRollout,
    /// There is no emergency to acknowledge.
    NoEmergency,
    /// An emergency is acknowledged by somebody else than who published it.
    OwnEmergency,
    /// Something is in the way of publishing: everything that is.
    Blocked(Vec<Blocker>),
}

/// Something in the way of publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// Approvals are missing.
    NeedsReview {
        /// Where.
        namespace: Namespace,
        /// How many it takes.
        needed: u32,
        /// Who has approved.
        approved_by: Vec<String>,
        /// Whose approval does not count, and why.
        discounted: Vec<(String, Discount)>,
        /// The group that approvers must belong to.
        group: Option<String>,
    },
    /// It is beyond limits.
    Guarded {
        /// Where.
        namespace: Namespace,
        /// Which.
        exceeded: Vec<Exceeded>,
        /// How many approvals lift them; `None`: only an emergency does.
        needed: Option<u32>,
        /// Who has approved.
        approved_by: Vec<String>,
    },
    /// Nothing is published at that time.
    Frozen {
        /// Where.
        namespace: Namespace,
        /// Until when.
        until: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsReview {
                namespace,
                needed,
                approved_by,
                discounted,
                group,
            } => {
                let have = approved_by.len();
                write!(
                    f,
                    "`{namespace}` needs {}, it has {have}",
                    approvals(*needed)
                )?;
                if let Some(group) = group {
                    write!(f, "; approvers are the members of `{group}`")?;
                }
                for (who, why) in discounted {
                    write!(f, "; that of `{who}` does not count: `{who}` {why}")?;
                }
                Ok(())
            }
            Self::Guarded {
                namespace,
                exceeded,
                needed,
                approved_by,
            } => {
                let limits: Vec<String> = exceeded.iter().map(ToString::to_string).collect();
                write!(f, "`{namespace}` is guarded: {}", limits.join(", "))?;
                match needed {
                    Some(needed) => write!(
                        f,
                        "; a request with {} goes beyond, it has {}",
                        approvals(*needed),
                        approved_by.len()
                    ),
                    None => f.write_str("; only an emergency goes beyond"),
                }
            }
            Self::Frozen {
                namespace,
                until,
                reason,
            } => {
                write!(f, "`{namespace}` is frozen until {until}")?;
                match reason.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {reason}"),
                }
            }
        }
    }
}

fn approvals(count: u32) -> String {
    match count {
        1 => "1 approval".to_owned(),
        many => format!("{many} approvals"),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission {
                namespace,
                permission,
            } => write!(f, "{permission} is missing in `{namespace}`"),
            Self::State { state, command } => {
                write!(f, "it is {state}; {command} is not possible then")?;
                match (state, *command) {
                    (State::Rejected, _) => f.write_str(", edit it to ask again"),
                    (State::RollingOut, _) => f.write_str(", promote or abort it"),
                    (State::Suspended, "publish" | "approve" | "schedule") => {
                        f.write_str(", edit it to ask again")
                    }
                    (State::Withdrawn, "comment") => Ok(()),
                    (State::Withdrawn, _) => f.write_str(", make a new one"),
                    (State::Published, _) => {
                        f.write_str(", roll back or make a new one to change it")
                    }
                    _ => Ok(()),
                }
            }
            Self::DraftGone => {
                f.write_str("a draft of it is gone; make the draft again, or withdraw the request")
            }
            Self::Stale { .. } => f.write_str("it is not as it was shown to you; look at it again"),
            Self::NotReviewer { actor, reasons } => {
                write!(f, "an approval of `{actor}` would not count")?;
                for (at, (namespace, why)) in reasons.iter().enumerate() {
                    let separator = if at == 0 { ":" } else { "," };
                    write!(f, "{separator} in `{namespace}` `{actor}` {why}")?;
                }
                f.write_str("; ask somebody else")
            }
            Self::NoReason { what } => write!(f, "{what} needs a reason"),
            Self::Past => f.write_str("the time to publish must be in the future"),
            Self::Moved => f.write_str(
                "it changed since it was scheduled; look at it again and schedule it anew",
            ),
            Self::MovedInRollout => f.write_str(
                "it changed since it was published to a part of its readers; abort, look at it again and publish it anew",
            ),
            Self::NotDue => f.write_str("it is not due yet"),
            Self::NoEmergency => f.write_str("there is no emergency that waits to be acknowledged"),
            Self::OwnEmergency => f.write_str(
                "an emergency is acknowledged by another admin than the one who published it",
            ),
            Self::Blocked(blockers) => {
                for (at, blocker) in blockers.iter().enumerate() {
                    if at > 0 {
                        f.write_str("; ")?;
                    }
                    write!(f, "{blocker}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Refusal {}
