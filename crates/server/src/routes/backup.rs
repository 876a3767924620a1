//! What backups are made of, for whoever makes one: an admin of `/`.

use axum::body::Body;
use axum::http::header;
use confman_api::MEDIA_TYPE_PACK;
use confman_api::backup::{BackupHead, BackupObjectsWrite, BackupOperations};
use confman_api::problem::ProblemItem;
use confman_repo::objects::pack::pack_of;
use confman_repo::objects::{Encoded, Kind, ObjectId};
use data_encoding::HEXLOWER;

use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::reply::Reply;
use crate::url::Backup;

/// Every one of them.
pub(crate) async fn route(call: Call, resource: Backup) -> Result<Reply, ApiError> {
    match resource {
        Backup::Head => head(call).await,
        Backup::Operations => operations(call).await,
        Backup::Objects => objects(call).await,
    }
}

/// `GET /v1/backup`
async fn head(call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(|session| {
        let head = session.backup_head()?;
        let reply = Reply::json(&BackupHead {
            cluster_id: HEXLOWER.encode(&head.cluster_id),
            operation: head.operation.to_string(),
            sequence: head.sequence,
            index: head.index,
            time_ms: head.time_ms,
        })?;
        Ok(reply.header(header::CACHE_CONTROL, "no-store"))
    })
    .await
}

/// `GET /v1/backup/operations`
async fn operations(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&["after"]);
    let after = query.parsed::<u64>("after").unwrap_or_default();
    query.finish()?;
    call.run(move |session| {
        let operations = session.backup_operations(after)?;
        let reply = Reply::json(&BackupOperations {
            operations: operations.iter().map(ObjectId::to_string).collect(),
        })?;
        Ok(reply.header(header::CACHE_CONTROL, "no-store"))
    })
    .await
}

/// `POST /v1/backup/objects`: a pack with the first of the objects, in the order asked for.
async fn objects(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: BackupObjectsWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let session = call.session.clone();
    call.app
        .transfer(move |_| {
            session.permit_operator()?;
            let wanted = wanted(&write.objects)?;
            let objects = session.backup_objects(&wanted)?;
            let encoded: Vec<Encoded> = objects.iter().map(Encoded::new).collect();
            let reply = Reply::body(Body::from(pack_of(&encoded)), MEDIA_TYPE_PACK);
            Ok(reply.header(header::CACHE_CONTROL, "no-store"))
        })
        .await
}

/// Reads `KIND ID`s; all that are none are told of.
fn wanted(texts: &[String]) -> Result<Vec<(Kind, ObjectId)>, ApiError> {
    let mut wanted = Vec::with_capacity(texts.len());
    let mut wrong = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let read = text.split_once(' ').and_then(|(kind, id)| {
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
            Some((kind, id.parse::<ObjectId>().ok()?))
        });
        match read {
            Some(read) => wanted.push(read),
            None => wrong.push(ProblemItem {
                detail: "it is not `KIND ID`, as in `blob` and 64 hex digits".to_owned(),
                pointer: Some(format!("/objects/{place}")),
                ..ProblemItem::default()
            }),
        }
    }
    match wrong.is_empty() {
        true => Ok(wanted),
        false => Err(ApiError::listed(Code::InvalidBody, wrong)),
    }
}
