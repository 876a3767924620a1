//! What backups are made of.

use bytes::{Buf, Bytes};
use confman_api::backup::{BackupHead, BackupObjectsWrite, BackupOperations};
use confman_object_store::pack::{PackLimits, PackReader};
use confman_object_store::{Kind, Object, ObjectId};
use reqwest::Method;

use super::error::ClientError;
use super::transport::{Request, SLOW_TIMEOUT_FACTOR};
use super::{Client, url};

impl Client {
    /// Where a backup that is begun now ends.
    ///
    /// # Errors
    /// We are no admin of `/`, or as any request.
    pub async fn backup_head(&self) -> Result<BackupHead, ClientError> {
        self.get("/v1/backup".to_owned()).await
    }

    /// Some of the operations after a number, in order.
    ///
    /// # Errors
    /// As [`Self::backup_head`].
    pub async fn backup_operations(&self, after: u64) -> Result<Vec<ObjectId>, ClientError> {
        let query = url::query(&[("after", Some(after.to_string()))]);
        let found: BackupOperations = self
            .get("/v1/backup/operations".to_owned() + &query)
            .await?;
        let ids = found.operations.iter().map(|id| {
            id.parse().map_err(|_| {
                self.transport
                    .protocol(format!("`{id}` is not the id of an operation"))
            })
        });
        ids.collect()
    }

    /// The first of these objects, in order, each of which hashes to its id.
    ///
    /// # Errors
    /// The store lacks one, or as [`Self::backup_head`].
    pub async fn backup_objects(
        &self,
        wanted: &[(Kind, ObjectId)],
    ) -> Result<Vec<Object>, ClientError> {
        let write = BackupObjectsWrite {
            objects: wanted
                .iter()
                .map(|(kind, id)| format!("{kind} {id}"))
                .collect(),
        };
        let body = serde_json::to_vec(&write)
            .map_err(|error| ClientError::Invalid(format!("the request is no JSON: {error}")))?;
        let request = Request {
            accept: confman_api::MEDIA_TYPE_PACK,
            write: false,
            timeout_factor: SLOW_TIMEOUT_FACTOR,
            ..Request::write(Method::POST, "/v1/backup/objects".to_owned(), Some(body))
        };
        let response = self.transport.send(&request).await?;
        let pack = self.transport.read(response).await?;
        objects_of(pack).map_err(|reason| {
            self.transport
                .protocol(format!("the pack of objects is not as agreed: {reason}"))
        })
    }
}

/// The objects of a pack in which none is written against another.
fn objects_of(pack: Bytes) -> Result<Vec<Object>, String> {
    let text = |error: confman_object_store::pack::PackError| error.to_string();
    let limits = PackLimits {
        // What an admin's own store has may compress well.
        ratio_max: u64::MAX,
        ..PackLimits::default()
    };
    let mut reader = PackReader::new(pack.reader(), &limits).map_err(text)?;
    let mut objects = Vec::new();
    while let Some(frame) = reader.next_frame().map_err(text)? {
        objects.push(frame.open(None)?);
    }
    Ok(objects)
}
