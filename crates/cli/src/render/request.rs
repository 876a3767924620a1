//! Publish requests.

use confman_api::request::{PublishRequest, RequestChange, RequestDiff, RequestTarget, Stage};
use confman_model::EntryDiff;
use serde_json::value::RawValue;

use crate::render::diff::View;
use crate::render::mask::masked_json;
use crate::render::time;
use crate::text::{Role, Text, count, short};

/// Longest value that is shown in one line of a request, in characters.
const VALUE_CHARS_MAX: usize = 60;
/// Most changes that are shown of a request; its diff has all.
const CHANGES_SHOWN_MAX: usize = 20;

/// One request a line.
pub(crate) fn list(requests: &[PublishRequest]) -> Text {
    let rows: Vec<_> = requests
        .iter()
        .map(|request| {
            let more = match request.targets.len() {
                0 | 1 => String::new(),
                many => format!(" and {} more", many - 1),
            };
            vec![
                (Role::Heading, format!("#{}", request.number)),
                (role_of(&request.state), request.state.clone()),
                (Role::Plain, format!("{}{more}", request.namespace)),
                (Role::Plain, request.submitted_by.clone()),
                (Role::Plain, request.title.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

fn role_of(state: &str) -> Role {
    match state {
        "approved" | "published" => Role::Added,
        "rejected" | "suspended" => Role::Removed,
        "pending_review" | "scheduled" | "rolling_out" => Role::Warning,
        _ => Role::Faint,
    }
}

/// Everything about a request.
pub(crate) fn whole(request: &PublishRequest) -> Text {
    let mut text = Text::new();
    text.push(
        Role::Heading,
        &format!("#{} {}", request.number, request.title),
    )
    .plain("  ");
    text.push(role_of(&request.state), &request.state)
        .end_line();
    text.faint(&format!(
        "submitted by {} {}",
        request.submitted_by,
        time(&request.submitted_at)
    ))
    .end_line();
    if let Some(reason) = &request.reason {
        text.push(role_of(&request.state), &request.state)
            .plain(": ")
            .plain(reason)
            .end_line();
    }
    if let (Some(at), "scheduled") = (&request.publish_at, request.state.as_str()) {
        let by = request.scheduled_by.as_deref().unwrap_or_default();
        text.plain(&format!("publishes itself {} for {by}", time(at)))
            .end_line();
    }
    if !request.stages.is_empty() {
        let steps: Vec<String> = request.stages.iter().map(step).collect();
        text.plain(&format!("published gradually: {}", steps.join(", then ")))
            .end_line();
    }
    if let Some(rollout) = &request.rollout {
        text.push(
            Role::Warning,
            &format!("{} % of the readers have it", rollout.percent),
        )
        .plain(&format!(
            ", begun by {} {}",
            rollout.begun_by,
            time(&rollout.begun_at)
        ));
        match &rollout.next_at {
            Some(next) => text.plain(&format!("; goes on {}", time(next))),
            None => text.plain("; waits to be promoted"),
        };
        text.end_line();
    }
    if let (Some(at), Some(by)) = (&request.published_at, &request.published_by) {
        text.plain(&format!("published by {by} {}", time(at)))
            .end_line();
    }
    if let Some(emergency) = &request.emergency {
        text.push(Role::Warning, "emergency").plain(&format!(
            " declared by {}: {}",
            emergency.by, emergency.reason
        ));
        match &emergency.acknowledged_by {
            Some(by) => text.faint(&format!(" (acknowledged by {by})")),
            None => text.faint(" (no admin has looked at it)"),
        };
        text.end_line();
    }
    if !request.description.is_empty() {
        text.end_line();
        text.block(Role::Plain, "  ", &request.description);
    }
    for target in &request.targets {
        text.end_line();
        text.append(one_target(target));
        if target.namespace == request.namespace {
            text.append(changes(&request.changes, target.changes_total));
        }
    }
    if let Some(proposal) = &request.proposal {
        text.end_line();
        text.faint("proposal ")
            .push(Role::Id, short(proposal))
            .end_line();
    }
    text.append(conversation(request));
    text
}

/// A step of a gradual publish.
fn step(stage: &Stage) -> String {
    match &stage.lasts {
        Some(lasts) => format!("{} % for {lasts}", stage.percent),
        None => format!("{} % until it is promoted", stage.percent),
    }
}

fn one_target(target: &RequestTarget) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &target.namespace)
        .faint(" draft ")
        .plain(&target.draft);
    match (&target.commit, &target.head) {
        (Some(commit), _) => text.faint(" published as ").push(Role::Id, short(commit)),
        (None, Some(head)) => text.faint(" at ").push(Role::Id, short(head)),
        (None, None) => text.push(Role::Removed, " is gone"),
    };
    text.plain(&format!(": {}", count(target.changes_total, "change")))
        .end_line();
    let approvals = target.approved_by.len();
    if let Some(needed) = target.approvals_needed
        && (needed > 0 || approvals > 0)
    {
        text.plain(&format!("  approvals {approvals} of {needed}"));
    } else if approvals > 0 {
        text.plain("  approved");
    }
    if approvals > 0 {
        text.plain(&format!(" by {}", target.approved_by.join(", ")));
    }
    if approvals > 0 || target.approvals_needed.is_some_and(|needed| needed > 0) {
        text.end_line();
    }
    if let Some(rule) = &target.rule {
        text.plain(&format!("  approved by the rule `{rule}`"))
            .end_line();
    }
    for one in &target.discounted {
        text.push(Role::Warning, "  does not count: ")
            .plain(&format!("{} {}", one.reviewer, one.reason))
            .end_line();
    }
    for limit in &target.guarded {
        text.push(Role::Warning, "  guarded: ")
            .plain(limit)
            .end_line();
    }
    if !target.conflicts.is_empty() {
        text.push(Role::Removed, "  conflicts: ")
            .plain(&target.conflicts.join(", "))
            .end_line();
    }
    text
}

fn changes(changes: &[RequestChange], total: usize) -> Text {
    let mut text = Text::new();
    for change in changes.iter().take(CHANGES_SHOWN_MAX) {
        let (sign, role) = match change.kind.as_str() {
            "added" => ("+", Role::Added),
            "removed" => ("-", Role::Removed),
            _ => ("~", Role::Warning),
        };
        text.plain("  ")
            .push(role, sign)
            .plain(" ")
            .plain(&change.key);
        text.faint(&format!(" v{}", change.to_version));
        match change.kind.as_str() {
            "added" => text.plain(&format!(
                "  {}",
                preview(&change.key, change.diff.new.as_deref())
            )),
            "removed" => text.plain(&format!(
                "  {}",
                preview(&change.key, change.diff.old.as_deref())
            )),
            _ => text.plain(&format!(
                "  {} → {}",
                preview(&change.key, change.diff.old.as_deref()),
                preview(&change.key, change.diff.new.as_deref())
            )),
        };
        text.end_line();
    }
    let left = total.saturating_sub(changes.len().min(CHANGES_SHOWN_MAX));
    if left > 0 {
        text.faint(&format!("  and {}", count(left, "more change")))
            .end_line();
    }
    text
}

fn preview(key: &str, value: Option<&RawValue>) -> String {
    let Some(value) = value else {
        return "(unset)".to_owned();
    };
    let masked = masked_json(key, None, value);
    let json = masked.as_deref().unwrap_or(value.get());
    if json.chars().count() <= VALUE_CHARS_MAX {
        return json.to_owned();
    }
    let cut: String = json.chars().take(VALUE_CHARS_MAX).collect();
    format!("{cut}…")
}

/// Reviews and comments in the order they were given.
fn conversation(request: &PublishRequest) -> Text {
    let mut said: Vec<(&str, String, &str)> = Vec::new();
    for review in &request.reviews {
        let did = match review.decision.as_str() {
            "approve" => "approved",
            _ => "rejected",
        };
        let about = short(&review.proposal);
        said.push((
            &review.at,
            format!("{} {did} {about}", review.reviewer),
            &review.comment,
        ));
    }
    for comment in &request.comments {
        said.push((&comment.at, comment.by.clone(), &comment.text));
    }
    said.sort_by(|one, other| one.0.cmp(other.0));
    let mut text = Text::new();
    for (at, who, words) in said {
        text.end_line();
        text.plain(&who).faint(&format!(" {}", time(at))).end_line();
        if !words.is_empty() {
            text.block(Role::Plain, "  ", words);
        }
    }
    text
}

/// What a request changes, by meaning.
pub(crate) fn diff(
    pages: &[RequestDiff],
    diffs: &[Vec<EntryDiff>],
    view: View,
    several: bool,
) -> Text {
    let mut text = Text::new();
    for (page, diffs) in pages.iter().zip(diffs) {
        if several {
            text.push(Role::Heading, &page.namespace).end_line();
        }
        text.append(super::diff::diffs(diffs, view));
    }
    text
}

/// What can be done next, one command a line.
pub(crate) fn next_steps(request: &PublishRequest) -> Vec<String> {
    let number = request.number;
    let expect = match &request.proposal {
        Some(proposal) => format!(" --expect {}", short(proposal)),
        None => String::new(),
    };
    let conflicts = request
        .targets
        .iter()
        .any(|target| !target.conflicts.is_empty());
    let gone = request.targets.iter().any(|target| target.head.is_none());
    match request.state.as_str() {
        "published" if waits(request) => {
            vec![format!(
                "an admin acknowledges it: confman request acknowledge {number}"
            )]
        }
        "published" | "withdrawn" => Vec::new(),
        _ if gone => vec![format!(
            "a draft is gone: confman request withdraw {number}"
        )],
        _ if conflicts => vec![format!(
            "pull what is published into the draft and push: confman request checkout {number}"
        )],
        "pending_review" => vec![
            format!("see what it changes: confman request diff {number}"),
            format!("approve exactly this: confman request approve {number}{expect}"),
        ],
        "approved" => vec![format!(
            "publish exactly this: confman request publish {number}{expect}"
        )],
        "rejected" | "suspended" => vec![format!("ask again: confman request edit {number}")],
        "rolling_out" => vec![
            format!("give it to all readers: confman request promote {number}{expect}"),
            format!("take it back from all: confman request abort {number} -m WHY"),
        ],
        "scheduled" => vec![format!(
            "take it back: confman request schedule {number} --cancel"
        )],
        _ => Vec::new(),
    }
}

fn waits(request: &PublishRequest) -> bool {
    let emergency = request.emergency.as_ref();
    emergency.is_some_and(|emergency| emergency.acknowledged_by.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: serde_json::Value) -> PublishRequest {
        let mut document = serde_json::json!({
            "id": "pr-42", "number": 42, "title": "slow bank", "namespace": "/a",
            "keys": ["timeout"], "state": "pending_review", "submittedBy": "ann",
            "submittedAt": "2026-11-24T12:00:00Z", "updatedAt": "2026-11-24T12:00:00Z",
            "proposal": "ab".repeat(32),
            "targets": [{
                "namespace": "/a", "draft": "d", "head": "cd".repeat(32), "changesTotal": 2,
                "approvalsNeeded": 2, "approvedBy": ["bob"],
                "discounted": [{"reviewer": "cat", "reason": "approved what it was before"}]
            }],
            "changes": [
                {"key": "timeout", "kind": "changed", "fromVersion": 1, "toVersion": 2,
                 "diff": {"old": 10, "new": 30}},
                {"key": "new", "kind": "added", "fromVersion": 0, "toVersion": 1, "diff": {"new": "x"}}
            ],
            "reviews": [{"reviewer": "bob", "decision": "approve", "at": "2026-11-24T13:00:00Z",
                "commit": "cd".repeat(32), "proposal": "ab".repeat(32)}],
            "comments": [{"by": "cat", "at": "2026-11-24T12:30:00Z", "text": "why\n30?"}]
        });
        for (field, value) in json.as_object().unwrap() {
            document[field] = value.clone();
        }
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_request_is_shown_with_what_is_missing_and_what_was_said() {
        insta::assert_snapshot!(whole(&request(serde_json::json!({}))).to_plain(), @r#"
        #42 slow bank  pending_review
        submitted by ann 2026-11-24 12:00:00Z

        /a draft d at cdcdcdcdcdcd: 2 changes
          approvals 1 of 2 by bob
          does not count: cat approved what it was before
          ~ timeout v2  10 → 30
          + new v1  "x"

        proposal abababababab

        cat 2026-11-24 12:30:00Z
          why
          30?

        bob approved abababababab 2026-11-24 13:00:00Z
        "#);
    }

    #[test]
    fn an_emergency_and_a_schedule_are_shown() {
        let text = whole(&request(serde_json::json!({
            "state": "published", "publishedBy": "bob", "publishedAt": "2026-11-24T14:00:00Z",
            "description": "the bank is slow", "changes": [], "reviews": [], "comments": [],
            "emergency": {"reason": "fire", "by": "bob", "at": "2026-11-24T14:00:00Z"}
        })));
        insta::assert_snapshot!(text.to_plain(), @"
        #42 slow bank  published
        submitted by ann 2026-11-24 12:00:00Z
        published by bob 2026-11-24 14:00:00Z
        emergency declared by bob: fire (no admin has looked at it)

          the bank is slow

        /a draft d at cdcdcdcdcdcd: 2 changes
          approvals 1 of 2 by bob
          does not count: cat approved what it was before
          and 2 more changes

        proposal abababababab
        ");
    }

    #[test]
    fn the_next_steps_name_what_was_shown() {
        let states = [
            "pending_review",
            "approved",
            "rejected",
            "scheduled",
            "suspended",
            "published",
            "withdrawn",
        ];
        let lines: Vec<String> = states
            .iter()
            .map(|state| {
                let steps = next_steps(&request(serde_json::json!({ "state": state })));
                format!("{state}: {}", steps.join("; "))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        pending_review: see what it changes: confman request diff 42; approve exactly this: confman request approve 42 --expect abababababab
        approved: publish exactly this: confman request publish 42 --expect abababababab
        rejected: ask again: confman request edit 42
        scheduled: take it back: confman request schedule 42 --cancel
        suspended: ask again: confman request edit 42
        published: 
        withdrawn:
        ");
    }

    #[test]
    fn requests_line_up() {
        let other = request(serde_json::json!({"number": 7, "state": "approved"}));
        insta::assert_snapshot!(list(&[request(serde_json::json!({})), other]).to_plain(), @"
        #42  pending_review  /a  ann  slow bank
        #7   approved        /a  ann  slow bank
        ");
    }
}
