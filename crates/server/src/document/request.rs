//! Publish requests.

use confman_api::request::{
    Comment, DiscountedApproval, Emergency, PublishRequest, RequestChange, RequestDiff,
    RequestTarget, Review, Rollout, Stage, ValuePair,
};
use confman_repo::policy::request::{self as policy, TargetStatus, Verdict};
use confman_repo::request::{self as repo, RequestInfo};
use confman_repo::{TreeEntry, Warning};
use serde_json::value::RawValue;

use super::{commit, draft, entry, time};
use crate::error::ApiError;

/// What an approval is called.
pub(crate) const APPROVE: &str = "approve";
/// What a rejection is called.
pub(crate) const REJECT: &str = "reject";

/// A request, and what is worth knowing where it was published just now.
pub(crate) fn request(
    info: &RequestInfo,
    warnings: &[Warning],
) -> Result<PublishRequest, ApiError> {
    let first = info.targets.first();
    let keys = first.map(|target| {
        let keys = target.changes.iter().map(|change| change.key.to_string());
        keys.collect()
    });
    let changes = match first {
        Some(target) => target
            .changes
            .iter()
            .map(change)
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let id = |id: confman_repo::objects::ObjectId| id.to_string();
    let published = info.published.as_ref();
    Ok(PublishRequest {
        id: format!("pr-{}", info.number),
        number: info.number,
        title: info.title.clone(),
        description: info.description.clone(),
        namespace: first
            .map(|target| target.namespace.to_string())
            .unwrap_or_default(),
        keys: keys.unwrap_or_default(),
        state: info.state.name().to_owned(),
        reason: info.reason.clone(),
        submitted_by: info.submitted.by.clone(),
        submitted_at: time::utc(info.submitted.at_ms),
        updated_at: time::utc(info.updated_ms),
        proposal: info.proposal.map(id),
        head: first.and_then(|target| target.head).map(id),
        base: first.and_then(|target| target.base).map(id),
        changes,
        targets: info.targets.iter().map(|it| target(info, it)).collect(),
        reviews: info.reviews.iter().map(review).collect(),
        comments: info
            .comments
            .iter()
            .map(|comment| Comment {
                by: comment.said.by.clone(),
                at: time::utc(comment.said.at_ms),
                text: comment.text.clone(),
            })
            .collect(),
        publish_at: info.schedule.as_ref().map(|it| time::utc(it.at_ms)),
        scheduled_by: info.schedule.as_ref().map(|it| it.by.clone()),
        stages: info.stages.iter().map(stage).collect(),
        rollout: info.rollout.as_ref().map(|rollout| Rollout {
            stage: rollout.stage,
            percent: rollout.percent,
            since: time::utc(rollout.since_ms),
            next_at: rollout.next_ms.map(time::utc),
            begun_by: rollout.begun.by.clone(),
            begun_at: time::utc(rollout.begun.at_ms),
        }),
        emergency: info.emergency.as_ref().map(emergency),
        published_at: published.map(|it| time::utc(it.published.at_ms)),
        published_by: published.map(|it| it.published.by.clone()),
        warnings: draft::warnings(warnings),
    })
}

fn target(info: &RequestInfo, found: &repo::RequestTarget) -> RequestTarget {
    let status = info
        .status
        .iter()
        .find(|it| it.namespace == found.namespace);
    let published = info.published.as_ref();
    let approved = published.and_then(|published| {
        let of_this = published.approved_by.iter();
        of_this
            .clone()
            .find(|(namespace, _)| *namespace == found.namespace)
    });
    let ruled = published.and_then(|published| {
        let of_this = published.rules.iter();
        of_this
            .clone()
            .find(|(namespace, _)| *namespace == found.namespace)
    });
    RequestTarget {
        namespace: found.namespace.to_string(),
        draft: found.draft.to_string(),
        picked: found
            .keys
            .as_ref()
            .map(|keys| keys.iter().map(ToString::to_string).collect()),
        head: found.head.map(|id| id.to_string()),
        base: found.base.map(|id| id.to_string()),
        commit: found.commit.map(|id| id.to_string()),
        changes_total: found.changes_total,
        conflicts: found.conflicts.iter().map(ToString::to_string).collect(),
        approvals_needed: status.map(TargetStatus::needed),
        approved_by: match (status, approved) {
            (Some(status), _) => status.approved_by.clone(),
            (None, Some((_, approved_by))) => approved_by.clone(),
            (None, None) => Vec::new(),
        },
        discounted: status.map(discounted).unwrap_or_default(),
        rule: match (status, ruled) {
            (Some(status), _) => status.rule.clone(),
            (None, ruled) => ruled.map(|(_, rule)| rule.clone()),
        },
        guarded: status
            .map(|status| status.exceeded.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

fn stage(stage: &policy::Stage) -> Stage {
    let lasts = stage.for_ms.map(jiff::SignedDuration::from_millis);
    Stage {
        percent: stage.percent,
        lasts: lasts.map(|lasts| format!("{lasts:#}")),
    }
}

fn discounted(status: &TargetStatus) -> Vec<DiscountedApproval> {
    let discounted = status.discounted.iter();
    discounted
        .map(|(reviewer, reason)| DiscountedApproval {
            reviewer: reviewer.clone(),
            reason: reason.to_string(),
        })
        .collect()
}

fn change(change: &repo::RequestChange) -> Result<RequestChange, ApiError> {
    let value = |side: &Option<TreeEntry>| -> Result<Option<Box<RawValue>>, ApiError> {
        let value = side.as_ref().and_then(|entry| entry.value.as_ref());
        value.map(entry::json).transpose()
    };
    Ok(RequestChange {
        key: change.key.to_string(),
        kind: commit::kind(change.kind).to_owned(),
        from_version: change.from_version,
        to_version: change.to_version,
        diff: ValuePair {
            old: value(&change.old)?,
            new: value(&change.new)?,
        },
    })
}

fn review(review: &repo::RequestReview) -> Review {
    Review {
        reviewer: review.reviewer.clone(),
        decision: match review.verdict {
            Verdict::Approve => APPROVE,
            Verdict::Reject => REJECT,
        }
        .to_owned(),
        comment: review.comment.clone(),
        at: time::utc(review.at_ms),
        commit: review.commit.to_string(),
        proposal: review.proposal.to_string(),
    }
}

fn emergency(emergency: &repo::RequestEmergency) -> Emergency {
    let acknowledged = emergency.acknowledged.as_ref();
    Emergency {
        reason: emergency.reason.clone(),
        by: emergency.declared.by.clone(),
        at: time::utc(emergency.declared.at_ms),
        acknowledged_by: acknowledged.map(|stamp| stamp.by.clone()),
        acknowledged_at: acknowledged.map(|stamp| time::utc(stamp.at_ms)),
    }
}

/// A page of what a request changes.
pub(crate) fn diff(
    found: &repo::RequestDiff,
    next: Option<String>,
) -> Result<RequestDiff, ApiError> {
    Ok(RequestDiff {
        namespace: found.namespace.to_string(),
        from: found.from.map(|id| id.to_string()),
        to: found.to.map(|id| id.to_string()),
        changes: found
            .changes
            .iter()
            .map(commit::change)
            .collect::<Result<_, _>>()?,
        next,
    })
}
