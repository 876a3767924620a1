//! Publish requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::commit::EntryChange;

/// A publish request. `GET /requests/{n}`, items of `GET /requests`, and the answer to everything that
/// changes one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishRequest {
    /// `pr-456`.
    pub id: String,
    /// Its number, as in `#456`.
    pub number: u64,
    /// In one line.
    pub title: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// Path of its namespace; of the first, where it has several.
    pub namespace: String,
    /// Keys that it changes there, the first ones.
    pub keys: Vec<String>,
    /// `pending_review`, `approved`, `rejected`, `scheduled`, `rolling_out`, `suspended`, `published` or
    /// `withdrawn`.
    pub state: String,
    /// Why it is rejected, suspended or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Principal.
    pub submitted_by: String,
    /// RFC 3339.
    pub submitted_at: String,
    /// When anything of it changed last, RFC 3339.
    pub updated_at: String,
    /// What reviews are about and `expectedHead` takes: 64 hex digits over everything that is asked for.
    /// Absent where it is closed, or a draft of it is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proposal: Option<String>,
    /// Head of the draft in `namespace`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head: Option<String>,
    /// The published commit that the draft began from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// What becomes of keys in `namespace`, the first ones; empty in lists.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<RequestChange>,
    /// Every namespace of it.
    pub targets: Vec<RequestTarget>,
    /// Oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reviews: Vec<Review>,
    /// Oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub comments: Vec<Comment>,
    /// When it publishes itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub publish_at: Option<String>,
    /// Who scheduled it; it happens with the rights of that principal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scheduled_by: Option<String>,
    /// The steps in which readers get it; absent: all at once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stages: Vec<Stage>,
    /// That a part of the readers has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<Rollout>,
    /// That it went past review, freeze and guards.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub emergency: Option<Emergency>,
    /// When it was published, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published_at: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published_by: Option<String>,
    /// What is allowed but worth knowing, where this was published just now.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// A step of a gradual publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// Percent of the readers that get it, from 1 to 100, more than in the stage before.
    pub percent: u8,
    /// How long, as in `10m` or `1h 30m`. Absent in the last stage: until somebody promotes it.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none", default)]
    pub lasts: Option<String>,
}

/// That a part of the readers has what a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The stage that it is in, from 0.
    pub stage: usize,
    /// How large the part is, in percent.
    pub percent: u8,
    /// Since when it is in this stage, RFC 3339.
    pub since: String,
    /// When the next begins, or all readers get it, RFC 3339; absent: when somebody promotes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_at: Option<String>,
    /// Who began it; it goes on with the rights of that principal.
    pub begun_by: String,
    /// RFC 3339.
    pub begun_at: String,
}

/// A namespace of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestTarget {
    /// Path.
    pub namespace: String,
    /// Name of the draft.
    pub draft: String,
    /// The keys that are picked; absent: all that the draft changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub picked: Option<Vec<String>>,
    /// Head of the draft; absent where the draft is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head: Option<String>,
    /// The published commit that the draft began from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// What was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// How many keys it changes.
    pub changes_total: usize,
    /// Keys that changed in the draft and, differently, underneath it: they are in the way of publishing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conflicts: Vec<String>,
    /// How many approvals it takes, while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approvals_needed: Option<u32>,
    /// Whose approvals count.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approved_by: Vec<String>,
    /// Whose approvals do not count, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub discounted: Vec<DiscountedApproval>,
    /// The rule that takes the place of approvals.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// The limits of guards that it is beyond, each as a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub guarded: Vec<String>,
}

/// An approval that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiscountedApproval {
    /// Principal.
    pub reviewer: String,
    /// Why not.
    pub reason: String,
}

/// What becomes of a key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestChange {
    /// Key.
    pub key: String,
    /// `added`, `removed`, `changed` or `format-only`.
    pub kind: String,
    /// Version that is published; 0 where the key never was.
    pub from_version: u64,
    /// Version that it becomes.
    pub to_version: u64,
    /// The values.
    pub diff: ValuePair,
}

/// The value before and after; absent where there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuePair {
    /// What is published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<Box<RawValue>>,
    /// What it becomes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<Box<RawValue>>,
}

/// What a reviewer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// Principal.
    pub reviewer: String,
    /// `approve` or `reject`.
    pub decision: String,
    /// What was said.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub comment: String,
    /// RFC 3339.
    pub at: String,
    /// Head of the first namespace's draft then.
    pub commit: String,
    /// The proposal that it is about.
    pub proposal: String,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Principal.
    pub by: String,
    /// RFC 3339.
    pub at: String,
    /// What.
    pub text: String,
}

/// That a request went past review, freeze and guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    /// Why.
    pub reason: String,
    /// Principal.
    pub by: String,
    /// RFC 3339.
    pub at: String,
    /// The admin who looked at it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acknowledged_by: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acknowledged_at: Option<String>,
}

/// A page of what a request changes in one namespace. `GET /requests/{n}/diff`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestDiff {
    /// Path of the namespace.
    pub namespace: String,
    /// The published commit that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// Head of the draft, or what was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Keys, in order.
    pub changes: Vec<EntryChange>,
    /// Opaque; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Asks for drafts to be published. `POST /requests`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestCreate {
    /// In one line.
    pub title: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// One draft of each namespace.
    pub targets: Vec<TargetWrite>,
    /// The steps in which readers get it; all at once where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stages: Vec<Stage>,
}

/// A draft to be published.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetWrite {
    /// Path of the namespace.
    pub namespace: String,
    /// The draft; your own where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<String>,
    /// Head of the draft that the caller has seen; 409 if it moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Only these keys.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<Vec<String>>,
}

/// Changes what is asked for and asks again; every approval is void then. `PATCH /requests/{n}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestEdit {
    /// Unchanged where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// Unchanged where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Other keys to publish, by namespace of the request.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub targets: Vec<KeysWrite>,
    /// Other steps in which readers get it; unchanged where absent, none where empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stages: Option<Vec<Stage>>,
    /// The proposal that the caller has seen; 409 if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
}

/// The keys to publish of a namespace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysWrite {
    /// Path of the namespace.
    pub namespace: String,
    /// The keys; all that the draft changes where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys: Option<Vec<String>>,
}

/// Says something. `POST /requests/{n}/comments`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommentWrite {
    /// What.
    pub text: String,
}

/// Approves or rejects. `POST /requests/{n}/reviews`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewWrite {
    /// `approve` or `reject`.
    pub decision: String,
    /// Why; a rejection needs it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub comment: String,
    /// The proposal that the reviewer has seen; an approval needs it, 409 if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
}

/// Publishes a request. `POST /requests/{n}/publish`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestPublish {
    /// The proposal that the caller has seen; 409 if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Message of the published commits; title and description of the request where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Why it goes past review, freeze and guards; it is an emergency then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub emergency: Option<String>,
    /// Set or change deprecated keys all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub acknowledge_deprecated: bool,
}

/// Lets a request publish itself. `POST /requests/{n}/schedule`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleWrite {
    /// When, RFC 3339, in the future.
    pub publish_at: String,
    /// The proposal that the caller has seen; 409 if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
}

/// Publishes to all readers what a part of them has. `POST /requests/{n}/promote`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromoteWrite {
    /// The proposal that the caller has seen; 409 if it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
}

/// Takes back from a part of the readers what it has. `POST /requests/{n}/abort`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbortWrite {
    /// Why.
    pub reason: String,
}

/// Takes a request back. `POST /requests/{n}/withdraw`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawWrite {
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}
