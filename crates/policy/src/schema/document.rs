//! One schema document: its text, read strictly.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use confman_model::json::{Document, Pointer};
use confman_model::{Problem, SchemaPath};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;
use thiserror::Error;

use super::{SCHEMA_BYTES_MAX, STORE, keyword};

/// Most problems that are listed for one document.
const PROBLEMS_MAX: usize = 100;
/// Longest detail of a problem, in characters.
const DETAIL_CHARS_MAX: usize = 300;

/// A schema document that was read strictly and keeps to the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDocument {
    text: Arc<str>,
    prepared: Value,
}

/// One thing that is wrong with a schema, and in which document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The document; `None` where it is the one that was given.
    pub schema: Option<SchemaPath>,
    /// What and where.
    pub problem: Problem,
}

impl fmt::Display for SchemaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

/// Why a schema is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the schema is not valid: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SchemaError {
    /// Everything that is wrong; at least one.
    pub problems: Vec<SchemaProblem>,
}

impl SchemaError {
    /// There is no such document.
    #[must_use]
    pub fn missing(schema: &SchemaPath) -> Self {
        Self {
            problems: vec![SchemaProblem {
                schema: None,
                problem: Problem::whole(format!("there is no schema `{schema}`")),
            }],
        }
    }

    /// One problem in a document.
    pub(super) fn one(schema: &SchemaPath, text: &str, pointer: &str, what: String) -> Self {
        Self {
            problems: vec![SchemaProblem {
                schema: Some(schema.clone()),
                problem: located(text, pointer, what),
            }],
        }
    }
}

impl SchemaDocument {
    /// Reads a schema and checks it against the dialect.
    ///
    /// # Errors
    /// Everything that is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let problems = |problems: Vec<Problem>| SchemaError {
            problems: problems
                .into_iter()
                .map(|problem| SchemaProblem {
                    schema: None,
                    problem,
                })
                .collect(),
        };
        if text.len() > SCHEMA_BYTES_MAX {
            let what = format!(
                "it has {} bytes, at most {SCHEMA_BYTES_MAX} are allowed",
                text.len()
            );
            return Err(problems(vec![Problem::whole(what)]));
        }
        Document::parse(text.as_bytes()).map_err(problems)?;
        let json: Value = serde_json::from_str(text)
            .map_err(|error| problems(vec![Problem::whole(error.to_string())]))?;
        if !json.is_object() {
            let what = "a schema document is an object";
            return Err(problems(vec![Problem::whole(what)]));
        }
        let wrong: Vec<Problem> = jsonschema::draft202012::meta::validator()
            .iter_errors(&json)
            .take(PROBLEMS_MAX)
            .map(|error| located(text, error.instance_path().as_str(), brief(&error)))
            .collect();
        if !wrong.is_empty() {
            return Err(problems(wrong));
        }
        Ok(Self::prepare(text, json))
    }

    /// Reads a schema again that [`Self::parse`] found sound before it was stored, without checking it
    /// against the dialect once more.
    ///
    /// # Errors
    /// It is no JSON object after all.
    pub fn stored(text: &str) -> Result<Self, SchemaError> {
        match serde_json::from_str(text) {
            Ok(json @ Value::Object(_)) => Ok(Self::prepare(text, json)),
            _ => Self::parse(text),
        }
    }

    fn prepare(text: &str, mut json: Value) -> Self {
        // A path is absolute whatever `$id` says; the validator gets it as a URI.
        keyword::for_each_mut(&mut json, &mut |schema| {
            for name in ["$ref", "$dynamicRef"] {
                if let Some(Value::String(target)) = schema.get_mut(name)
                    && target.starts_with("/schemas/")
                {
                    *target = format!("{STORE}{target}");
                }
            }
        });
        Self {
            text: Arc::from(text),
            prepared: json,
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What references name it by, where it is part of a larger document.
    #[must_use]
    pub fn resource_name(&self, path: &SchemaPath) -> String {
        super::graph::own_name(path, self).unwrap_or_else(|| super::uri_of(path))
    }

    /// The schema as a part of a larger document, under its own name.
    #[must_use]
    pub fn as_resource(&self, path: &SchemaPath) -> Value {
        let mut schema = self.prepared.clone();
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".to_owned(), Value::from(self.resource_name(path)));
        }
        schema
    }

    /// The names under `properties`.
    #[must_use]
    pub fn property_names(&self) -> BTreeSet<String> {
        let properties = self.prepared.get("properties").and_then(Value::as_object);
        properties
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The schema as the validator reads it.
    pub(super) fn prepared(&self) -> &Value {
        &self.prepared
    }

    /// The schema as it was written.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// A problem at a pointer of a text.
pub(super) fn located(text: &str, pointer: &str, what: String) -> Problem {
    let pointer: Option<Pointer> = pointer.parse().ok();
    let document = Document::parse(text.as_bytes()).ok();
    let span = match (&document, &pointer) {
        (Some(document), Some(pointer)) => document.locate(pointer),
        _ => None,
    };
    let problem = match span {
        Some(span) => Problem::at(text, span.start, what),
        None => Problem::whole(what),
    };
    Problem {
        pointer: pointer.filter(|pointer| !pointer.is_root()),
        ..problem
    }
}

/// What a validation error says, without values and of bounded length.
pub(super) fn brief(error: &ValidationError<'_>) -> String {
    let text = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            format!("it fits none of {} alternatives", context.len())
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "it fits more than one of the alternatives".to_owned()
        }
        ValidationErrorKind::FalseSchema => "nothing is allowed here".to_owned(),
        ValidationErrorKind::Not { .. } => "it is what the schema excludes".to_owned(),
        _ => error.masked_with("it").to_string(),
    };
    match text.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Where in which document an error of building the validator is.
pub(super) fn place_of<'d>(
    error: &ValidationError<'_>,
    documents: &'d [(SchemaPath, Arc<SchemaDocument>)],
) -> Option<(SchemaPath, &'d str, String)> {
    let location = error.absolute_keyword_location()?.as_str();
    let (uri, fragment) = location.split_once('#').unwrap_or((location, ""));
    let path: SchemaPath = uri.strip_prefix(STORE)?.parse().ok()?;
    let (_, document) = documents.iter().find(|(known, _)| *known == path)?;
    Some((path, document.text(), super::graph::unescape(fragment)))
}
