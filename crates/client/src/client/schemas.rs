//! Schemas, dry runs and secrets that are due.

use confman_api::Page;
use confman_api::schema::{
    Preview, Proposal, Rotation, Schema, SchemaCheck, SchemaSummary, SchemaVersion, SchemaWritten,
    Validation,
};
use confman_model::{Namespace, SchemaPath};
use futures::TryStreamExt;
use reqwest::Method;
use serde_json::value::RawValue;

use super::{Client, ClientError, SLOW_TIMEOUT_FACTOR, url};

/// How a schema is written.
#[derive(Clone, Debug, Default)]
pub struct PutSchema {
    /// Whether it takes effect though what is published breaks it.
    pub force: bool,
    /// Why.
    pub message: Option<String>,
}

impl Client {
    /// Every schema that may be read.
    ///
    /// # Errors
    /// As any request.
    pub async fn schemas(
        &self,
        prefix: Option<&Namespace>,
    ) -> Result<Vec<SchemaSummary>, ClientError> {
        let prefix = prefix.map(ToString::to_string);
        self.all(|cursor| {
            let query = url::query(&[("prefix", prefix.clone()), ("cursor", cursor)]);
            self.get::<Page<SchemaSummary>>(format!("/v1/schemas{query}"))
        })
        .try_collect()
        .await
    }

    /// A schema.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn schema(&self, path: &SchemaPath) -> Result<Schema, ClientError> {
        self.get(format!("/v1{path}")).await
    }

    /// Writes a schema.
    ///
    /// # Errors
    /// It is not valid, what is published breaks it, or as any request.
    pub async fn put_schema(
        &self,
        path: &SchemaPath,
        document: &RawValue,
        put: &PutSchema,
    ) -> Result<SchemaWritten, ClientError> {
        let force = put.force.then(|| "true".to_owned());
        let query = url::query(&[("force", force), ("message", put.message.clone())]);
        let path = format!("/v1{path}{query}");
        self.write(Method::PUT, path, &document, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// What writing a schema would come to.
    ///
    /// # Errors
    /// As any request.
    pub async fn check_schema(
        &self,
        path: &SchemaPath,
        document: &RawValue,
    ) -> Result<SchemaCheck, ClientError> {
        let path = format!("/v1{path}/-/check");
        self.write(Method::POST, path, &document, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Deletes a schema that nothing uses.
    ///
    /// # Errors
    /// It is used, there is none, or as any request.
    pub async fn delete_schema(&self, path: &SchemaPath) -> Result<(), ClientError> {
        self.delete(format!("/v1{path}")).await
    }

    /// The versions of a schema, newest first.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn schema_history(
        &self,
        path: &SchemaPath,
    ) -> Result<Vec<SchemaVersion>, ClientError> {
        self.all(|cursor| {
            let query = url::query(&[("cursor", cursor)]);
            self.get::<Page<SchemaVersion>>(format!("/v1{path}/-/history{query}"))
        })
        .try_collect()
        .await
    }

    /// A schema that accepts what is published in a namespace.
    ///
    /// # Errors
    /// As any request.
    pub async fn infer_schema(&self, namespace: &Namespace) -> Result<Box<RawValue>, ClientError> {
        self.get(url::in_namespace(namespace, &["inferred.schema.json"]))
            .await
    }

    /// What schemas say to what is proposed.
    ///
    /// # Errors
    /// As any request.
    pub async fn validate(
        &self,
        namespace: &Namespace,
        proposal: &Proposal,
    ) -> Result<Validation, ClientError> {
        let path = url::in_namespace(namespace, &["validate"]);
        self.write(Method::POST, path, proposal, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// What publishing would do.
    ///
    /// # Errors
    /// As any request.
    pub async fn preview(
        &self,
        namespace: &Namespace,
        proposal: &Proposal,
    ) -> Result<Preview, ClientError> {
        let path = url::in_namespace(namespace, &["preview"]);
        self.write(Method::POST, path, proposal, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Secrets that are to be replaced.
    ///
    /// # Errors
    /// As any request.
    pub async fn rotations(
        &self,
        prefix: Option<&Namespace>,
    ) -> Result<Vec<Rotation>, ClientError> {
        let query = url::query(&[("prefix", prefix.map(ToString::to_string))]);
        let page: Page<Rotation> = self.get(format!("/v1/rotations{query}")).await?;
        Ok(page.items)
    }
}
