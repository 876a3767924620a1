//! Schemas and dry runs.

use confman_api::schema::{
    EffectiveChange, NamespaceChanges, Preview, Proposal, Rotation, Schema, SchemaChange,
    SchemaCheck, SchemaPlace, SchemaSummary, SchemaVersion, SchemaWritten, Validation, VoidChange,
};
use confman_repo::model::{Namespace, ValueLimits};
use confman_repo::{self as repo, Proposed, TreeEntry};
use serde_json::value::RawValue;

use super::{draft, entry, time};
use crate::error::{ApiError, Code, cause};
use crate::routes::publish::named;

fn raw(text: &str) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(text.to_owned()).map_err(|error| ApiError::internal(error.to_string()))
}

/// A schema.
pub(crate) fn schema(found: &repo::SchemaInfo) -> Result<Schema, ApiError> {
    Ok(Schema {
        path: found.path.to_string(),
        document: raw(&found.text)?,
        commit: found.commit.to_string(),
        version: found.version,
        updated_at: time::utc(found.stamp.at_ms),
        updated_by: found.stamp.by.clone(),
        message: found.message.clone(),
        governed_by: found.governed_by.to_string(),
        attached_by: found.attached_by.iter().map(Namespace::to_string).collect(),
    })
}

/// A schema in a list.
pub(crate) fn summary(found: &repo::SchemaSummary) -> SchemaSummary {
    SchemaSummary {
        path: found.path.to_string(),
        commit: found.commit.to_string(),
        version: found.version,
        updated_at: time::utc(found.stamp.at_ms),
        updated_by: found.stamp.by.clone(),
    }
}

/// A version of a schema.
pub(crate) fn version(found: &repo::SchemaVersion) -> Result<SchemaVersion, ApiError> {
    Ok(SchemaVersion {
        version: found.version,
        commit: found.commit.to_string(),
        updated_at: time::utc(found.stamp.at_ms),
        updated_by: found.stamp.by.clone(),
        message: found.message.clone(),
        document: raw(&found.text)?,
    })
}

/// What writing a schema did.
pub(crate) fn written(done: &repo::SchemaWritten) -> Result<SchemaWritten, ApiError> {
    Ok(SchemaWritten {
        schema: schema(&done.info)?,
        index: done.committed.index,
        broken: done.broken.iter().map(cause::violation).collect(),
    })
}

/// What writing a schema would come to.
pub(crate) fn check(found: &repo::SchemaCheck) -> SchemaCheck {
    SchemaCheck {
        valid: found.problems.is_empty() && found.violations.is_empty(),
        problems: found.problems.iter().map(cause::item).collect(),
        violations: found.violations.iter().map(cause::violation).collect(),
        change: SchemaChange {
            direction: found.change.whole.name().to_owned(),
            places: found
                .change
                .places
                .iter()
                .map(|(pointer, direction)| SchemaPlace {
                    pointer: pointer.clone(),
                    direction: direction.name().to_owned(),
                })
                .collect(),
        },
    }
}

/// What is proposed: exactly one of the three.
pub(crate) fn proposed(written: Proposal, limits: &ValueLimits) -> Result<Proposed, ApiError> {
    match written {
        Proposal {
            draft: Some(draft),
            rev: None,
            changes: None,
        } => Ok(Proposed::Draft(named("the proposal", "/draft", &draft)?)),
        Proposal {
            draft: None,
            rev: Some(rev),
            changes: None,
        } => Ok(Proposed::Revision(named("the proposal", "/rev", &rev)?)),
        Proposal {
            draft: None,
            rev: None,
            changes: Some(changes),
        } => Ok(Proposed::Changes(entry::edits(&changes, limits)?)),
        _ => Err(ApiError::new(
            Code::Invalid,
            "give one of `draft`, `rev` and `changes`",
        )),
    }
}

/// What schemas say to what is proposed.
pub(crate) fn validation(found: &repo::Preview) -> Validation {
    Validation {
        valid: found.violations.is_empty(),
        violations: found.violations.iter().map(cause::violation).collect(),
        warnings: draft::warnings(&found.warnings),
    }
}

/// What publishing would do.
pub(crate) fn preview(found: &repo::Preview) -> Result<Preview, ApiError> {
    let namespaces = found
        .namespaces
        .iter()
        .map(|namespace| {
            Ok(NamespaceChanges {
                namespace: namespace.namespace.to_string(),
                changes: namespace
                    .changes
                    .iter()
                    .map(change)
                    .collect::<Result<_, ApiError>>()?,
            })
        })
        .collect::<Result<_, ApiError>>()?;
    Ok(Preview {
        namespaces,
        void: found
            .void
            .iter()
            .map(|void| VoidChange {
                namespace: void.namespace.to_string(),
                key: void.key.to_string(),
            })
            .collect(),
        violations: found.violations.iter().map(cause::violation).collect(),
        warnings: draft::warnings(&found.warnings),
    })
}

fn change(found: &repo::EffectiveKeyChange) -> Result<EffectiveChange, ApiError> {
    let read = |side: &Option<(TreeEntry, Namespace)>| -> Result<_, ApiError> {
        Ok(match side {
            Some((tree_entry, from)) => {
                (Some(entry::tree_entry(tree_entry)?), Some(from.to_string()))
            }
            None => (None, None),
        })
    };
    let (old, old_from) = read(&found.old)?;
    let (new, new_from) = read(&found.new)?;
    Ok(EffectiveChange {
        key: found.key.to_string(),
        old,
        old_from,
        new,
        new_from,
    })
}

/// A secret that is to be replaced.
pub(crate) fn rotation(due: &repo::Rotation) -> Rotation {
    Rotation {
        namespace: due.namespace.to_string(),
        key: due.key.to_string(),
        published_at: time::utc(due.published_ms),
        days_published: due.days_published,
        rotation_days: due.rotation_days,
    }
}
