//! Publish requests: what is asked for, by whom, and what became of it.
//!
//! A request is a record at `request/N`; each version points at the one before, and links to every
//! commit that it names, so that none of them goes. What is allowed when is `confman_policy::request`'s
//! to say; here its facts are read, and what it decides is written, in one transaction.
//!
//! INVARIANT: what a reviewer approved is what is published: reviews hold the hash of the proposal.

mod command;
mod create;
pub(crate) mod emergency;
mod facts;
mod list;
mod publish;
mod record;
mod rollout;
mod schedule;
mod show;
mod touching;

use std::collections::BTreeSet;

use confman_model::{DiffKind, DraftName, Key, Namespace};
use confman_object_store::ObjectId;
use confman_policy::request::{Stage, State, TargetStatus, Verdict};

use crate::draft::ExpectedHead;
use crate::entry::{Stamp, TreeEntry};

/// Longest title.
pub const TITLE_BYTES_MAX: usize = 256;
/// Longest description.
pub const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
/// Longest comment, or reason.
pub const COMMENT_BYTES_MAX: usize = 8 * 1024;
/// Most namespaces of one request.
pub const TARGETS_MAX: usize = 32;
/// Most changes that a request shows at once; its diff has all.
pub const CHANGES_SHOWN_MAX: usize = 1000;

pub use list::{RequestFilter, Requests};
pub use publish::PublishRequest;
pub use schedule::{DueOutcome, Ran};
pub use show::RequestDiff;
pub use touching::OpenRequest;

/// What to ask for.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// In one line.
    pub title: String,
    /// Why, as long as it takes.
    pub description: String,
    /// The drafts to publish, one a namespace.
    pub targets: Vec<NewTarget>,
    /// The steps in which readers get it; all at once where there are none.
    pub stages: Vec<Stage>,
}

/// What to ask for in one namespace.
#[derive(Clone, Debug)]
pub struct NewTarget {
    /// Which.
    pub namespace: Namespace,
    /// The draft.
    pub draft: DraftName,
    /// Its head, as the caller has seen it.
    pub expected_head: ExpectedHead,
    /// Only these keys.
    pub keys: Option<BTreeSet<Key>>,
}

/// What of a request becomes another.
#[derive(Clone, Debug, Default)]
pub struct EditRequest {
    /// The title.
    pub title: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The keys that are picked in these namespaces; `None` inside: all.
    pub keys: Vec<(Namespace, Option<BTreeSet<Key>>)>,
    /// The steps in which readers get it.
    pub stages: Option<Vec<Stage>>,
    /// The proposal that the caller has seen.
    pub seen: Option<ObjectId>,
}

/// What a reviewer says.
#[derive(Clone, Debug)]
pub struct NewReview {
    /// Yes or no.
    pub verdict: Verdict,
    /// Why; a rejection needs it.
    pub comment: String,
    /// The proposal that the reviewer has seen; an approval needs it.
    pub seen: Option<ObjectId>,
}

/// A publish request.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Its number.
    pub number: u64,
    /// In one line.
    pub title: String,
    /// Why.
    pub description: String,
    /// What it is now.
    pub state: State,
    /// Why it is rejected, suspended or withdrawn.
    pub reason: Option<String>,
    /// When and by whom it was submitted.
    pub submitted: Stamp,
    /// Its namespaces.
    pub targets: Vec<RequestTarget>,
    /// What reviewers said, oldest first.
    pub reviews: Vec<RequestReview>,
    /// What people said, oldest first.
    pub comments: Vec<RequestComment>,
    /// When it publishes itself.
    pub schedule: Option<RequestSchedule>,
    /// The steps in which readers get it.
    pub stages: Vec<Stage>,
    /// That a part of them has it.
    pub rollout: Option<RequestRollout>,
    /// That it went past the rules.
    pub emergency: Option<RequestEmergency>,
    /// That it was published.
    pub published: Option<RequestPublished>,
    /// What reviews bind to; `None` where a draft is gone.
    pub proposal: Option<ObjectId>,
    /// How it stands in each namespace, while it is open.
    pub status: Vec<TargetStatus>,
    /// The version of the record.
    pub record: ObjectId,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Log index that was read at.
    pub index: u64,
}

/// A request in one of its namespaces.
#[derive(Clone, Debug)]
pub struct RequestTarget {
    /// Which.
    pub namespace: Namespace,
    /// The draft.
    pub draft: DraftName,
    /// The keys that are picked; `None`: all that the draft changes.
    pub keys: Option<Vec<Key>>,
    /// The published commit that the draft began from.
    pub base: Option<ObjectId>,
    /// Head of the draft; `None` where it is gone.
    pub head: Option<ObjectId>,
    /// What publishing changes, the first [`CHANGES_SHOWN_MAX`].
    pub changes: Vec<RequestChange>,
    /// How many changes there are.
    pub changes_total: usize,
    /// Keys that changed in the draft and, differently, underneath it.
    pub conflicts: Vec<Key>,
    /// What was published, where it was.
    pub commit: Option<ObjectId>,
}

/// What becomes of a key.
#[derive(Clone, Debug)]
pub struct RequestChange {
    /// Which.
    pub key: Key,
    /// How.
    pub kind: DiffKind,
    /// Version that is published; 0 where the key never was.
    pub from_version: u64,
    /// Version that it becomes.
    pub to_version: u64,
    /// What is published.
    pub old: Option<TreeEntry>,
    /// What it becomes.
    pub new: Option<TreeEntry>,
}

/// A review.
#[derive(Clone, Debug)]
pub struct RequestReview {
    /// Who.
    pub reviewer: String,
    /// Yes or no.
    pub verdict: Verdict,
    /// What was said.
    pub comment: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The proposal that it is about.
    pub proposal: ObjectId,
    /// The head of the first namespace's draft then.
    pub commit: ObjectId,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestComment {
    /// When and by whom.
    pub said: Stamp,
    /// What.
    pub text: String,
}

/// When a request publishes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSchedule {
    /// Who said so.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The proposal that is published then.
    pub proposal: ObjectId,
}

/// That a part of the readers has what a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRollout {
    /// When and by whom it was begun.
    pub begun: Stamp,
    /// The stage that it is in, from 0.
    pub stage: usize,
    /// How large the part is.
    pub percent: u8,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// When more get it, in milliseconds since 1970; `None`: when somebody promotes it.
    pub next_ms: Option<i64>,
}

/// That a request went past the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEmergency {
    /// When and by whom.
    pub declared: Stamp,
    /// Why.
    pub reason: String,
    /// When and by whom it was looked at.
    pub acknowledged: Option<Stamp>,
}

/// That a request was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPublished {
    /// When and by whom.
    pub published: Stamp,
    /// Rules that took the place of approvals, by namespace.
    pub rules: Vec<(Namespace, String)>,
    /// Whose approvals counted, by namespace.
    pub approved_by: Vec<(Namespace, Vec<String>)>,
}
