//! Drafts and what changes to them did.

use confman_api::commit::Published;
use confman_api::draft::{Draft, Drafted};
use confman_repo::{self as repo, Warning};

use super::time;

/// A draft.
pub(crate) fn draft(found: &repo::Draft) -> Draft {
    Draft {
        namespace: found.namespace.to_string(),
        name: found.name.to_string(),
        head: found.head.to_string(),
        tree: found.tree.to_string(),
        base: found.base.map(|id| id.to_string()),
        keys: found.keys.iter().map(ToString::to_string).collect(),
        updated_at: time::utc(found.updated.at_ms),
        updated_by: found.updated.by.clone(),
    }
}

/// What a change did.
pub(crate) fn drafted(done: &repo::Drafted) -> Drafted {
    Drafted {
        namespace: done.namespace.to_string(),
        draft: done.draft.to_string(),
        commit: done.head.to_string(),
        tree: done.tree.to_string(),
        index: done.index,
        warnings: warnings(&done.warnings),
    }
}

/// What was published.
pub(crate) fn published(done: &repo::Published) -> Published {
    Published {
        namespace: done.namespace.to_string(),
        commit: done.commit.to_string(),
        tree: done.tree.to_string(),
        previous: done.previous.map(|id| id.to_string()),
        operation: done.committed.operation.to_string(),
        index: done.committed.index,
        keys: done.keys.iter().map(ToString::to_string).collect(),
        merged: done.merged,
        publish_request_id: super::request_id(done.request),
        warnings: warnings(&done.warnings),
    }
}

/// Each warning as a sentence.
pub(crate) fn warnings(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}
