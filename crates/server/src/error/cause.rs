//! What each error of `repo` is over HTTP: one match without a wildcard, so that a new error cannot
//! be forgotten.

use axum::http::{HeaderValue, header};
use confman_api::problem::ProblemItem;
use confman_repo::policy::Violation;
use confman_repo::policy::request::{Blocker, Refusal};
use confman_repo::refs::cluster::ChangeError;
use confman_repo::{Error, KeyConflict, Problem};

use super::{ApiError, Code, chain};

/// After how many seconds asking again makes sense.
const RETRY_SECONDS: &str = "1";

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound { .. } => Self::new(Code::NotFound, detail),
            Error::Unauthenticated => crate::preference::unknown_token(),
            Error::NotAdmitted { .. } => Self::new(Code::NotAdmitted, detail),
            Error::Denied { .. } => Self::new(Code::Forbidden, detail),
            Error::Invalid { what, problems } => invalid(&what, &problems),
            Error::Schema {
                what,
                violations,
                hidden,
            } => broken(&what, &violations, hidden),
            Error::SchemaInUse { users, .. } => {
                let errors = users.into_iter().map(|user| ProblemItem {
                    detail: user,
                    ..ProblemItem::default()
                });
                Self {
                    detail,
                    ..Self::listed(Code::InUse, errors.collect())
                }
            }
            Error::Exists { .. } => Self::new(Code::AlreadyExists, detail),
            Error::Stale {
                what,
                name,
                expected,
                actual,
            } => {
                let state =
                    |id: Option<_>| id.map_or_else(|| "absent".to_owned(), |id| format!("at {id}"));
                let (expected, actual) = (state(expected), state(actual));
                let detail = format!(
                    "{what} `{name}` is {actual}, not {expected} as you have seen it; look at it again"
                );
                Self::new(Code::Stale, detail)
            }
            Error::Conflict { conflicts, .. } => {
                let errors = conflicts.iter().map(conflict).collect();
                Self {
                    detail,
                    ..Self::listed(Code::Conflict, errors)
                }
            }
            Error::HasChildren { children, .. } => {
                let errors = children
                    .iter()
                    .map(|child| ProblemItem {
                        detail: format!("namespace {child}"),
                        ..ProblemItem::default()
                    })
                    .collect();
                Self {
                    detail,
                    ..Self::listed(Code::HasChildren, errors)
                }
            }
            Error::Refused {
                request, refusal, ..
            } => refused(&detail, request.is_some(), &refusal),
            Error::Unchanged { .. } => Self::new(Code::Unchanged, detail),
            Error::AmbiguousPrefix { candidates, .. } => {
                let errors = candidates
                    .iter()
                    .map(|id| ProblemItem {
                        detail: format!("commit {id}"),
                        ..ProblemItem::default()
                    })
                    .collect();
                Self {
                    detail,
                    ..Self::listed(Code::AmbiguousRevision, errors)
                }
            }
            Error::LimitExceeded { .. } => Self::new(Code::LimitExceeded, detail),
            Error::Pack(source) => {
                Self::new(Code::InvalidPack, format!("{detail}: {}", chain(&source)))
            }
            Error::RequestReused => Self::new(Code::IdempotencyKeyReused, detail),
            Error::RollingOut { .. } => Self::new(Code::RollingOut, detail),
            Error::Contended { .. } => Self::new(Code::Contended, detail),
            Error::Corrupt { ref source, .. } => {
                let cause = chain(source.as_ref());
                Self {
                    cause: Some(cause),
                    ..Self::new(
                        Code::Corrupt,
                        format!("{detail}; it is not served, run `confman fsck`"),
                    )
                }
            }
            Error::Busy => later(Self::new(Code::Busy, detail)),
            Error::Unavailable { .. } => later(Self::new(Code::Unavailable, detail)),
            Error::UnknownOutcome { .. } => later(Self::new(Code::UnknownOutcome, detail)),
            Error::Bug { reason } => Self::internal(reason),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::NoSuchMember(_) => Self::new(Code::NotFound, detail),
            ChangeError::NoLearner(_)
            | ChangeError::NoVoter(_)
            | ChangeError::LastVoter(_)
            | ChangeError::Behind { .. }
            | ChangeError::InProgress => Self::new(Code::MemberState, detail),
            ChangeError::LosesQuorum { .. } => Self::new(Code::LosesQuorum, detail),
            ChangeError::Unavailable(_) => later(Self::new(Code::Unavailable, detail)),
            ChangeError::UnknownOutcome(_) => later(Self::new(Code::UnknownOutcome, detail)),
        }
    }
}

/// What the rules of publishing refuse, with everything that is in the way and what to do next.
fn refused(detail: &str, has_request: bool, refusal: &Refusal) -> ApiError {
    let (code, next) = match refusal {
        Refusal::Permission { .. } => (Code::Forbidden, ""),
        Refusal::State { .. }
        | Refusal::DraftGone
        | Refusal::NotDue
        | Refusal::Moved
        | Refusal::MovedInRollout
        | Refusal::NoEmergency
        | Refusal::OwnEmergency => (Code::RequestState, ""),
        Refusal::Stale { .. } => (Code::Stale, ""),
        Refusal::NotReviewer { .. } => (Code::NotReviewer, ""),
        Refusal::NoReason { .. } | Refusal::Past => (Code::Invalid, ""),
        Refusal::Blocked(blockers) => match blockers.first() {
            Some(Blocker::Guarded { .. }) => (
                Code::Guarded,
                "; publish in smaller steps, ask for more approvals with a request, or state an `emergency`",
            ),
            Some(Blocker::Frozen { .. }) => (
                Code::Frozen,
                "; wait, schedule a request for later, or state an `emergency`",
            ),
            _ if has_request => (
                Code::NeedsReview,
                "; ask somebody who may approve it, or state an `emergency`",
            ),
            _ => (
                Code::NeedsReview,
                "; make a publish request and have it approved, or state an `emergency`",
            ),
        },
    };
    let mut error = ApiError::new(code, format!("{detail}{next}"));
    if let Refusal::Blocked(blockers) = refusal {
        let items = blockers.iter().map(|blocker| ProblemItem {
            detail: blocker.to_string(),
            ..ProblemItem::default()
        });
        error.errors = items.collect();
    }
    error
}

/// Says when asking again makes sense.
pub(crate) fn later(error: ApiError) -> ApiError {
    error.with(header::RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
}

fn invalid(what: &str, problems: &[Problem]) -> ApiError {
    let detail = match problems {
        [only] => format!("{what} is not valid: {only}"),
        many => format!(
            "{what} is not valid: {} things are wrong, see `errors`",
            many.len()
        ),
    };
    let errors = problems.iter().map(item).collect();
    ApiError {
        detail,
        ..ApiError::listed(Code::Invalid, errors)
    }
}

fn broken(what: &str, violations: &[Violation], hidden: usize) -> ApiError {
    let mut detail = match violations {
        [only] => format!("{what} breaks a schema: {only}"),
        many => format!(
            "{what} breaks a schema: {} rules are not satisfied, see `errors`",
            many.len()
        ),
    };
    if hidden > 0 {
        detail.push_str(&format!(
            ", and {hidden} in namespaces that you may not read"
        ));
    }
    let errors = violations.iter().map(violation).collect();
    ApiError {
        detail,
        ..ApiError::listed(Code::SchemaViolation, errors)
    }
}

/// A rule that is broken, as a problem.
pub(crate) fn violation(violation: &Violation) -> ProblemItem {
    ProblemItem {
        detail: violation.detail.clone(),
        key: violation.key.as_ref().map(ToString::to_string),
        pointer: Some(violation.pointer.clone()),
        namespace: Some(violation.namespace.to_string()),
        keyword: Some(violation.keyword.clone()),
        schema: Some(violation.schema.to_string()),
        schema_pointer: Some(violation.schema_pointer.clone()),
        attached_by: Some(violation.attached_by.to_string()),
        ..ProblemItem::default()
    }
}

pub(crate) fn item(problem: &Problem) -> ProblemItem {
    let place = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok());
    ProblemItem {
        detail: problem.detail.clone(),
        key: problem.key.as_ref().map(ToString::to_string),
        pointer: problem.pointer.clone(),
        line: place(problem.line),
        column: place(problem.column),
        ..ProblemItem::default()
    }
}

fn conflict(conflict: &KeyConflict) -> ProblemItem {
    let did = |side: &Option<_>| match (conflict.base.is_some(), side.is_some()) {
        (false, _) => "added",
        (true, true) => "changed",
        (true, false) => "removed",
    };
    let detail = format!(
        "`{}` was {} in what is published and {} in the draft",
        conflict.key,
        did(&conflict.ours),
        did(&conflict.theirs)
    );
    ProblemItem {
        detail,
        key: Some(conflict.key.to_string()),
        ..ProblemItem::default()
    }
}
