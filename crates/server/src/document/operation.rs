//! The audit log.

use confman_api::operation::{Operation, RefMove, SealedOperation};
use confman_repo::{self as repo, LoggedOperation};
use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::time;

/// An operation.
pub(crate) fn operation(logged: &LoggedOperation) -> Operation {
    let operation = &logged.operation;
    let refs = operation.edits.iter().map(|edit| RefMove {
        name: edit.name.to_string(),
        old: edit.old.map(|target| target.id.to_string()),
        new: edit.new.map(|target| target.id.to_string()),
    });
    Operation {
        id: logged.id.to_string(),
        parent: operation.parent.map(|id| id.to_string()),
        index: operation.index,
        term: operation.term,
        at: time::utc(operation.time_ms),
        actor: operation.actor.clone(),
        action: operation.action.clone(),
        namespace: logged.namespace.as_ref().map(ToString::to_string),
        refs: refs.collect(),
        detail: RawValue::from_string(operation.detail.clone()).ok(),
        view: operation.view.map(|id| id.to_string()),
    }
}

/// An operation in its canonical bytes.
pub(crate) fn sealed(found: &repo::SealedOperation) -> SealedOperation {
    SealedOperation {
        id: found.id.to_string(),
        bytes: BASE64.encode(&found.bytes),
    }
}
