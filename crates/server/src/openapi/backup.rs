//! The routes by which backups are made.

use axum::http::Method;
use confman_api::{MEDIA_TYPE_PACK, backup};

use super::{Json, Operation, Other, of};

/// Every method of every one of these routes.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            template: "/v1/backup",
            method: Method::GET,
            summary: "Where a backup that is begun now ends",
            query: &[],
            reads: None,
            answers: Json(200, of::<backup::BackupHead>),
        },
        Operation {
            template: "/v1/backup/operations",
            method: Method::GET,
            summary: "Some of the operations after a number, in order",
            query: &[(
                "after",
                "only operations after this number; all where absent",
            )],
            reads: None,
            answers: Json(200, of::<backup::BackupOperations>),
        },
        Operation {
            template: "/v1/backup/objects",
            method: Method::POST,
            summary: "The first of some objects, as a pack",
            query: &[],
            reads: Some(of::<backup::BackupObjectsWrite>),
            answers: Other(MEDIA_TYPE_PACK),
        },
    ]
}
