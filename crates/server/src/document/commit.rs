//! Commits, comparisons and tags.

use confman_api::commit::{Commit, ComparedSide, Comparison, EntryChange, Person, Tag};
use confman_repo::model::DiffKind;
use confman_repo::{self as repo, CommitInfo, ResolvedRevision, objects};
use data_encoding::HEXLOWER;

use super::{entry, time};
use crate::error::ApiError;

/// A commit.
pub(crate) fn commit(found: &CommitInfo) -> Commit {
    let commit = &found.commit;
    Commit {
        id: found.id.to_string(),
        tree: commit.tree.to_string(),
        parents: commit.parents.iter().map(ToString::to_string).collect(),
        generation: commit.generation,
        namespace: commit.namespace.clone(),
        author: person(&commit.author),
        authored_at: time::local(commit.author_time),
        committer: person(&commit.committer),
        committed_at: time::local(commit.commit_time),
        change_id: HEXLOWER.encode(&commit.change_id),
        message: commit.message.clone(),
        origin: commit.origin.map(|id| id.to_string()),
        publish_request_id: super::request_id(commit.request),
        source: commit.source.as_ref().map(|source| HEXLOWER.encode(source)),
        keys: found.keys,
    }
}

fn person(person: &objects::Person) -> Person {
    Person {
        principal: person.principal.clone(),
        name: person.name.clone(),
        email: person.email.clone(),
    }
}

/// Somebody in one line: the principal, or else name and mail address.
pub(crate) fn by(person: &objects::Person) -> String {
    if !person.principal.is_empty() {
        return person.principal.clone();
    }
    match (person.name.as_str(), person.email.as_str()) {
        (name, "") => name.to_owned(),
        ("", email) => format!("<{email}>"),
        (name, email) => format!("{name} <{email}>"),
    }
}

/// A page of what differs.
pub(crate) fn comparison(
    found: &repo::Comparison,
    next: Option<String>,
) -> Result<Comparison, ApiError> {
    Ok(Comparison {
        from: side(&found.from),
        to: side(&found.to),
        changes: found.changes.iter().map(change).collect::<Result<_, _>>()?,
        next,
    })
}

fn side(resolved: &ResolvedRevision) -> ComparedSide {
    ComparedSide {
        namespace: resolved.namespace.to_string(),
        commit: resolved.commit.map(|id| id.to_string()),
        tree: resolved.tree.to_string(),
    }
}

/// The public name of a sort of difference.
pub(crate) const fn kind(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Added => "added",
        DiffKind::Removed => "removed",
        DiffKind::Changed => "changed",
        DiffKind::FormatOnly => "format-only",
    }
}

/// A key that differs.
pub(crate) fn change(change: &repo::EntryChange) -> Result<EntryChange, ApiError> {
    Ok(EntryChange {
        key: change.key.to_string(),
        kind: kind(change.kind).to_owned(),
        old: change.old.as_ref().map(entry::tree_entry).transpose()?,
        new: change.new.as_ref().map(entry::tree_entry).transpose()?,
    })
}

/// A tag.
pub(crate) fn tag(found: &repo::Tag) -> Tag {
    Tag {
        name: found.name.to_string(),
        commit: found.commit.to_string(),
    }
}
