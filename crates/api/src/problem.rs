//! Problems (RFC 9457), the only shape of an error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What went wrong.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `urn:confman:problem:<code>`.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// One line, the same for every problem of this code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was wrong here, and what to do next.
    pub detail: String,
    /// Stable, kebab-case: `not-found`, `stale`, `invalid-value`, ….
    pub code: String,
    /// Names the request in logs.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub request_id: String,
    /// Everything that was wrong, where there are several things.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<ProblemItem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemItem {
    /// What.
    pub detail: String,
    /// The key it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// JSON Pointer into the value or document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pointer: Option<String>,
    /// Line in the value, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Column in the line, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
    /// Whose effective document breaks a schema.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// The keyword of the schema that is not satisfied, as `maxLength`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keyword: Option<String>,
    /// The schema document that has the rule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<String>,
    /// JSON Pointer to the rule in that document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema_pointer: Option<String>,
    /// The namespace whose document attaches the schema.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attached_by: Option<String>,
}
