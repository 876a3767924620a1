//! The versions of a key, and who gave keys the values they have.

use confman_api::entry::{Blame, History, Version};
use confman_repo::model::Entry;
use confman_repo::{self as repo, BlameLine};

use super::{commit, entry, time};
use crate::error::ApiError;

/// A page of a history.
pub(crate) fn history(found: &repo::History, next: Option<String>) -> Result<History, ApiError> {
    Ok(History {
        namespace: found.namespace.to_string(),
        key: found.key.to_string(),
        versions: found
            .versions
            .iter()
            .map(version)
            .collect::<Result<_, _>>()?,
        next,
    })
}

/// A version of a key.
pub(crate) fn version(version: &repo::Version) -> Result<Version, ApiError> {
    let value = version.entry.as_ref().and_then(Entry::value);
    Ok(Version {
        version: version.version,
        entry_type: version.entry.as_ref().and_then(entry::type_name),
        value: value.map(entry::json).transpose()?,
        unset: version.entry.as_ref().is_some_and(Entry::is_unset),
        removed: version.entry.is_none(),
        published_at: time::utc(version.published.at_ms),
        published_by: version.published.by.clone(),
        publish_request_id: super::request_id(version.request),
        approved_by: version.approved_by.clone(),
        commit: version.commit.to_string(),
        message: version.message.clone(),
        raft_term: version.term,
        raft_index: version.index,
    })
}

/// Who gave a key the value it has.
pub(crate) fn blame(line: &BlameLine) -> Blame {
    Blame {
        key: line.key.to_string(),
        version: line.version,
        commit: line.commit.to_string(),
        author: commit::by(&line.author),
        at: time::utc(line.at_ms),
        message: line.message.clone(),
        publish_request_id: super::request_id(line.request),
        approved_by: line.approved_by.clone(),
    }
}
