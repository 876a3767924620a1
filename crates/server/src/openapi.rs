//! The contract as an OpenAPI 3.1 document, made of the types it consists of, and a page of it for people.
//!
//! One table has what no type says: which routes there are, what they are for, and which types they
//! read and answer. A test holds it against the routes, and every answer in the tests of routes
//! against the schema that stands here.

mod backup;
mod cluster;
mod identity;
mod page;
mod requests;

use std::sync::OnceLock;

use axum::http::Method;
use bytes::Bytes;
use confman_api::{
    MEDIA_TYPE_EVENTS, MEDIA_TYPE_NDJSON, MEDIA_TYPE_PACK, Page, commit, draft, entry, explain,
    namespace, ofrep, operation, problem, schema, spring, sync, system, watch,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::ApiError;

pub(crate) use page::page;

/// Where schemas are in the document.
const SCHEMAS: &str = "/components/schemas";

/// Makes the schema of a type, and remembers those it refers to.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one route.
struct Operation {
    template: &'static str,
    method: Method,
    summary: &'static str,
    /// Query parameters, each with what it says.
    query: &'static [(&'static str, &'static str)],
    reads: Option<SchemaOf>,
    answers: Answers,
}

/// What is answered where all is well.
enum Answers {
    /// A JSON document.
    Json(u16, SchemaOf),
    /// A JSON document, or the same in other media types.
    Either(SchemaOf, &'static [&'static str]),
    /// Something that is no JSON document.
    Other(&'static str),
    /// Nothing.
    Nothing,
}

use Answers::{Either, Json, Nothing, Other};

/// The schema of a type.
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schema of a namespace document, which is the data model's.
fn namespace_document(_: &mut SchemaGenerator) -> Schema {
    let mut schema = Schema::default();
    schema.insert(
        "$ref".to_owned(),
        format!("#{SCHEMAS}/NamespaceDocument").into(),
    );
    schema
}

/// An object of keys and values.
fn values(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object", "additionalProperties": true })
}

const REV: (&str, &str) = (
    "rev",
    "a revision: `published`, `published~N`, `draft/NAME`, a commit, a tag, `{TIME}`",
);
const CURSOR: (&str, &str) = ("cursor", "where the page begins: `next` of the page before");
const LIMIT: (&str, &str) = ("limit", "most items of the page, from 1 to 1000");
const PREFIX: (&str, &str) = ("prefix", "only what begins with this");
const DRAFT: (&str, &str) = ("draft", "name of the draft; your own where absent");
const MESSAGE: (&str, &str) = ("message", "why, for the history");
const FORCE: (&str, &str) = ("force", "`true`: though what is published breaks it");
const PUBLISH: (&str, &str) = ("publish", "`true`: publish at once");
const ACKNOWLEDGE: (&str, &str) = (
    "acknowledgeDeprecated",
    "`true`: though a key is deprecated",
);
const RESOLVE: (&str, &str) = (
    "resolve",
    "`true`: with secrets in place of references, where the server and the namespace allow it",
);
const AT: [(&str, &str); 3] = [
    ("at", "a revision"),
    ("rev", "the same as `at`"),
    ("ref", "the same as `at`"),
];

/// Every method of every route.
fn operations() -> Vec<Operation> {
    let operation = |template, method, summary, query, reads, answers| Operation {
        template,
        method,
        summary,
        query,
        reads,
        answers,
    };
    let get = |template, summary, query, answers| {
        operation(template, Method::GET, summary, query, None, answers)
    };
    let post = |template, summary, query, reads: SchemaOf, answers| {
        operation(template, Method::POST, summary, query, Some(reads), answers)
    };
    let delete = |template, summary, query, answers| {
        operation(template, Method::DELETE, summary, query, None, answers)
    };
    vec![
        get("/healthz", "The process answers", &[], Other("text/plain")),
        get(
            "/readyz",
            "Whether requests can be served, and why not",
            &[],
            Json(200, of::<system::Readiness>),
        ),
        get(
            "/version",
            "What the server is",
            &[],
            Json(200, of::<system::Version>),
        ),
        get(
            "/metrics",
            "Figures for Prometheus",
            &[],
            Other(crate::metrics::MEDIA_TYPE),
        ),
        get("/openapi.json", "This document", &[], Json(200, values)),
        get("/docs", "This document as a page", &[], Other("text/html")),
        get(
            "/v1/operations",
            "The audit log, newest first",
            &[
                (
                    "namespace",
                    "only what touched this namespace or one below it",
                ),
                ("actor", "only by this principal"),
                (
                    "action",
                    "only of this kind; with a `.` at its end, of every kind that begins so",
                ),
                ("request", "only of this request"),
                ("ref", "only what moved this ref"),
                ("since", "not before this log index or time"),
                ("until", "not after this log index or time"),
                CURSOR,
                LIMIT,
            ],
            Either(
                of::<Page<operation::Operation>>,
                &[MEDIA_TYPE_NDJSON, MEDIA_TYPE_EVENTS],
            ),
        ),
        get(
            "/v1/operations/sealed",
            "The bytes that the ids of operations are the hashes of, oldest first",
            &[CURSOR, LIMIT],
            Json(200, of::<Page<operation::SealedOperation>>),
        ),
        operation(
            "/v1/fsck",
            Method::POST,
            "Read and check everything that is stored",
            &[],
            None,
            Json(200, of::<system::FsckReport>),
        ),
        get(
            "/v1/namespaces",
            "The namespaces that the caller may read",
            &[PREFIX, CURSOR, LIMIT],
            Json(200, of::<Page<namespace::NamespaceSummary>>),
        ),
        get(
            "/v1/namespaces/deleted",
            "The deleted namespaces that the caller may restore",
            &[PREFIX, CURSOR, LIMIT],
            Json(200, of::<Page<namespace::DeletedNamespace>>),
        ),
        post(
            "/v1/namespaces",
            "Make a namespace",
            &[],
            namespace_document,
            Json(201, namespace_document),
        ),
        get(
            "/v1/ns/{namespace}/-/namespace",
            "The document of a namespace",
            &[],
            Json(200, namespace_document),
        ),
        operation(
            "/v1/ns/{namespace}/-/namespace",
            Method::PUT,
            "Replace the document of a namespace",
            &[FORCE],
            Some(namespace_document),
            Json(200, of::<namespace::UpdatedNamespace>),
        ),
        operation(
            "/v1/ns/{namespace}/-/namespace",
            Method::PATCH,
            "Lay a merge patch over the document of a namespace",
            &[FORCE],
            Some(values),
            Json(200, of::<namespace::UpdatedNamespace>),
        ),
        delete(
            "/v1/ns/{namespace}/-/namespace",
            "Delete a namespace",
            &[("recursive", "`true`: with those below it")],
            Json(200, of::<namespace::MovedNamespaces>),
        ),
        operation(
            "/v1/ns/{namespace}/-/restore",
            Method::POST,
            "Bring back what was deleted together",
            &[("deletion", "which deletion; the last where absent")],
            None,
            Json(200, of::<namespace::MovedNamespaces>),
        ),
        get(
            "/v1/ns/{namespace}/-/namespace/effective",
            "What holds in a namespace beside its values, and who says so",
            &[("at", "a time")],
            Json(200, of::<explain::EffectiveNamespace>),
        ),
        get(
            "/v1/ns/{namespace}/-/namespace/history",
            "The versions of the document of a namespace",
            &[CURSOR, LIMIT],
            Json(200, of::<Page<namespace::DocumentVersion>>),
        ),
        get(
            "/v1/ns/{namespace}/-/permissions",
            "Why somebody may or may not do things",
            &[
                ("principal", "who; the caller where absent"),
                ("permission", "only this one"),
                ("at", "by the grants of a time"),
            ],
            Json(200, of::<explain::PermissionReport>),
        ),
        get(
            "/v1/ns/{namespace}/-/explain/{key}",
            "Why a key is what it is",
            &[("at", "a revision")],
            Json(200, of::<explain::Explanation>),
        ),
        get(
            "/v1/ns/{namespace}/-/config",
            "The effective document",
            &[
                AT[0],
                AT[1],
                AT[2],
                PREFIX,
                (
                    "format",
                    "`json`, `yaml`, `toml`, `properties`, `env`, `dotenv` or `flat`",
                ),
                ("origin", "`true`: with where each value comes from"),
                RESOLVE,
            ],
            Either(
                values,
                &["application/yaml", "application/toml", "text/plain"],
            ),
        ),
        get(
            "/v1/ns/{namespace}/-/config/{key}",
            "One effective value",
            &[AT[0], AT[1], AT[2], RESOLVE],
            Either(
                of::<entry::EffectiveEntry>,
                &["application/octet-stream", "text/plain"],
            ),
        ),
        get(
            "/v1/ns/{namespace}/-/watch",
            "Be told when the effective document moves",
            &[
                ("after", "an index: tell everything since"),
                PREFIX,
                ("keys", "only these, with commas between"),
            ],
            Either(of::<watch::WatchChanges>, &["text/event-stream"]),
        ),
        get(
            "/v1/ns/{namespace}/-/entries",
            "The entries of a revision",
            &[
                REV,
                PREFIX,
                ("values", "`false`: without values"),
                CURSOR,
                LIMIT,
            ],
            Json(200, of::<Page<entry::TreeEntry>>),
        ),
        get(
            "/v1/ns/{namespace}/-/entries/{key}",
            "One entry, published and as drafted",
            &[DRAFT],
            Json(200, of::<entry::ConfigEntry>),
        ),
        operation(
            "/v1/ns/{namespace}/-/entries/{key}",
            Method::PUT,
            "Write an entry into a draft",
            &[DRAFT, MESSAGE, PUBLISH, ACKNOWLEDGE],
            Some(of::<entry::EntryWrite>),
            Json(200, values),
        ),
        delete(
            "/v1/ns/{namespace}/-/entries/{key}",
            "Remove an entry in a draft",
            &[DRAFT, MESSAGE, PUBLISH, ACKNOWLEDGE],
            Json(200, values),
        ),
        get(
            "/v1/ns/{namespace}/-/drafts",
            "The drafts",
            &[],
            Json(200, values),
        ),
        get(
            "/v1/ns/{namespace}/-/drafts/{draft}",
            "One draft",
            &[],
            Json(200, of::<draft::Draft>),
        ),
        delete(
            "/v1/ns/{namespace}/-/drafts/{draft}",
            "Remove a draft",
            &[],
            Nothing,
        ),
        post(
            "/v1/ns/{namespace}/-/drafts/{draft}/changes",
            "Change many entries at once",
            &[],
            of::<draft::Changes>,
            Json(200, values),
        ),
        post(
            "/v1/ns/{namespace}/-/publish",
            "Publish a draft",
            &[],
            of::<commit::PublishWrite>,
            Json(200, of::<commit::Published>),
        ),
        post(
            "/v1/ns/{namespace}/-/rollback",
            "Publish an earlier state again",
            &[],
            of::<commit::RollbackWrite>,
            Json(200, of::<commit::Published>),
        ),
        post(
            "/v1/ns/{namespace}/-/validate",
            "What schemas say to what is proposed",
            &[],
            of::<schema::Proposal>,
            Json(200, of::<schema::Validation>),
        ),
        post(
            "/v1/ns/{namespace}/-/preview",
            "What publishing would do here and below",
            &[],
            of::<schema::Proposal>,
            Json(200, of::<schema::Preview>),
        ),
        get(
            "/v1/ns/{namespace}/-/editor.schema.json",
            "A schema for `entries.json` of a working copy",
            &[],
            Json(200, values),
        ),
        get(
            "/v1/ns/{namespace}/-/inferred.schema.json",
            "A schema that accepts what is published",
            &[],
            Json(200, values),
        ),
        get(
            "/v1/ns/{namespace}/-/history/{key}",
            "The published versions of a key",
            &[CURSOR, LIMIT],
            Json(200, of::<entry::History>),
        ),
        get(
            "/v1/ns/{namespace}/-/log",
            "Commits along first parents",
            &[REV, ("key", "only those that changed it"), CURSOR, LIMIT],
            Json(200, of::<Page<commit::Commit>>),
        ),
        get(
            "/v1/ns/{namespace}/-/blame",
            "Which commit gave each key its value",
            &[REV, PREFIX, CURSOR, LIMIT],
            Json(200, of::<Page<entry::Blame>>),
        ),
        get(
            "/v1/ns/{namespace}/-/compare",
            "What differs between two revisions",
            &[
                ("from", "the old side"),
                ("to", "the new side"),
                ("fromNamespace", "where the old side is, if elsewhere"),
                CURSOR,
                LIMIT,
            ],
            Json(200, of::<commit::Comparison>),
        ),
        get(
            "/v1/ns/{namespace}/-/commits/{rev}",
            "One commit",
            &[],
            Json(200, of::<commit::Commit>),
        ),
        get(
            "/v1/ns/{namespace}/-/tags",
            "The tags",
            &[CURSOR, LIMIT],
            Json(200, values),
        ),
        get(
            "/v1/ns/{namespace}/-/tags/{tag}",
            "One tag",
            &[],
            Json(200, of::<commit::Tag>),
        ),
        operation(
            "/v1/ns/{namespace}/-/tags/{tag}",
            Method::PUT,
            "Name a published commit for good",
            &[],
            Some(of::<commit::TagWrite>),
            Json(200, of::<commit::Tag>),
        ),
        delete(
            "/v1/ns/{namespace}/-/tags/{tag}",
            "Remove a name",
            &[],
            Nothing,
        ),
        post(
            "/v1/ns/{namespace}/-/fetch",
            "Get a pack: one line of JSON, then the pack",
            &[],
            of::<sync::FetchWrite>,
            Other(MEDIA_TYPE_PACK),
        ),
        operation(
            "/v1/ns/{namespace}/-/push",
            Method::POST,
            "Send a pack: one line of JSON, then the pack",
            &[],
            None,
            Json(200, of::<sync::Pushed>),
        ),
        get(
            "/v1/ns/{namespace}/-/import",
            "How far an import has come",
            &[],
            Json(200, of::<sync::ImportState>),
        ),
        get(
            "/v1/schemas",
            "The schemas",
            &[PREFIX, CURSOR, LIMIT],
            Json(200, of::<Page<schema::SchemaSummary>>),
        ),
        get(
            "/v1/schemas/{path}",
            "One schema",
            &[],
            Json(200, of::<schema::Schema>),
        ),
        operation(
            "/v1/schemas/{path}",
            Method::PUT,
            "Write a schema: the body is the document",
            &[MESSAGE, FORCE],
            Some(values),
            Json(200, of::<schema::SchemaWritten>),
        ),
        delete("/v1/schemas/{path}", "Delete a schema", &[], Nothing),
        get(
            "/v1/schemas/{path}/-/history",
            "The versions of a schema",
            &[CURSOR, LIMIT],
            Json(200, of::<Page<schema::SchemaVersion>>),
        ),
        post(
            "/v1/schemas/{path}/-/check",
            "What writing a schema would come to",
            &[],
            values,
            Json(200, of::<schema::SchemaCheck>),
        ),
        get(
            "/v1/rotations",
            "Secrets that are to be replaced",
            &[PREFIX],
            Json(200, of::<Page<schema::Rotation>>),
        ),
        get(
            "/v1/search",
            "Published entries by tag, key and value, in every namespace that you may read",
            &[
                ("tag", "only entries with this tag"),
                ("key", "only keys with this in them"),
                ("value", "only values with this in their text"),
                ("prefix", "only at and below this namespace"),
                CURSOR,
                LIMIT,
            ],
            Json(200, of::<Page<entry::TreeEntry>>),
        ),
        post(
            "/ofrep/v1/evaluate/flags",
            "All effective values as flags (OFREP)",
            &[],
            of::<ofrep::EvaluationRequest>,
            Json(200, of::<ofrep::BulkEvaluation>),
        ),
        post(
            "/ofrep/v1/evaluate/flags/{key}",
            "One effective value as a flag (OFREP)",
            &[],
            of::<ofrep::EvaluationRequest>,
            Json(200, of::<ofrep::Evaluation>),
        ),
        get(
            "/spring/{application}/{profiles}",
            "The environment of a Spring application",
            &[],
            Json(200, of::<spring::Environment>),
        ),
        get(
            "/spring/{application}/{profiles}/{label}",
            "The same, at a revision",
            &[],
            Json(200, of::<spring::Environment>),
        ),
    ]
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SCHEMAS.into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<problem::Problem>();
    let mut paths = Map::new();
    let of_features = identity::operations()
        .into_iter()
        .chain(requests::operations())
        .chain(cluster::operations())
        .chain(backup::operations());
    for operation in operations().into_iter().chain(of_features) {
        let described = describe(&operation, &mut generator);
        let path = paths
            .entry(operation.template)
            .or_insert_with(|| Value::Object(parameters(operation.template)));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.as_str().to_ascii_lowercase(), described);
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("NamespaceDocument".to_owned(), namespace_document_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Confman",
            "version": crate::routes::system::API_VERSION.to_string(),
            "description": "A content-addressed configuration store. `{namespace}` may have slashes, written as they are or as `%2F`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "What went wrong (RFC 9457)",
                    "content": { confman_api::MEDIA_TYPE_PROBLEM: { "schema": problem } },
                },
            },
        },
    })
}

/// The document as text, made once.
pub(crate) fn text() -> Result<Bytes, ApiError> {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text.clone());
    }
    let text = serde_json::to_vec_pretty(&document())
        .map_err(|error| ApiError::internal(format!("the contract has no JSON form: {error}")))?;
    Ok(TEXT.get_or_init(|| Bytes::from(text)).clone())
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> = operation
        .query
        .iter()
        .map(|(name, says)| {
            json!({ "name": name, "in": "query", "description": says, "schema": { "type": "string" } })
        })
        .collect();
    let (status, good) = match &operation.answers {
        Json(status, schema) => (*status, content(&schema(generator), &[])),
        Either(schema, others) => (200, content(&schema(generator), others)),
        Other(media_type) => (200, json!({ *media_type: {} })),
        Nothing => (204, Value::Null),
    };
    let mut answer = json!({ "description": operation.summary });
    if let (Some(answer), false) = (answer.as_object_mut(), good.is_null()) {
        answer.insert("content".to_owned(), good);
    }
    let mut described = json!({
        "summary": operation.summary,
        "operationId": operation_id(operation),
        "parameters": parameters,
        "responses": {
            status.to_string(): answer,
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if let (Some(reads), Some(described)) = (operation.reads, described.as_object_mut()) {
        let body = json!({ "required": true, "content": content(&reads(generator), &[]) });
        described.insert("requestBody".to_owned(), body);
    }
    described
}

fn content(schema: &Schema, others: &[&str]) -> Value {
    let mut content = Map::new();
    content.insert("application/json".to_owned(), json!({ "schema": schema }));
    for media_type in others {
        content.insert((*media_type).to_owned(), json!({}));
    }
    Value::Object(content)
}

/// The parameters in a path.
fn parameters(template: &str) -> Map<String, Value> {
    let names = template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let mut path = Map::new();
    if !parameters.is_empty() {
        path.insert("parameters".to_owned(), Value::Array(parameters));
    }
    path
}

/// `getNsConfigKey`: the method and the words of the path.
fn operation_id(operation: &Operation) -> String {
    let mut id = operation.method.as_str().to_ascii_lowercase();
    let path = operation
        .template
        .trim_start_matches("/v1")
        .replace("{namespace}/-/", "");
    for word in path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

/// The fields of a namespace document, without what makes them valid.
fn namespace_document_schema() -> Value {
    let names = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": { "type": "string" },
            "displayName": { "type": "string" },
            "description": { "type": "string" },
            "owner": { "type": "string" },
            "inherit": { "type": "boolean" },
            "schema": { "type": "object", "required": ["$ref"], "properties": { "$ref": { "type": "string" } } },
            "roles": {
                "type": "object",
                "properties": { "admin": names, "publisher": names, "editor": names, "viewer": names },
            },
            "settings": { "type": "object" },
            "metadata": {
                "type": "object",
                "properties": {
                    "created": { "type": "string" },
                    "createdBy": { "type": "string" },
                    "updated": { "type": "string" },
                    "updatedBy": { "type": "string" },
                },
            },
        },
    })
}

#[cfg(test)]
pub(crate) mod tests;
