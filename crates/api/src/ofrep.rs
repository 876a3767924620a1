//! The OpenFeature Remote Evaluation Protocol: effective values as flags.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The namespace whose effective values are evaluated; else the context says it as `namespace`.
pub const HEADER_NAMESPACE: &str = "confman-namespace";

/// Asks for an evaluation. What the protocol may add later is let pass.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationRequest {
    /// Who asks, and in which circumstances. Values do not depend on it, but for its
    /// `namespace`, and its `targetingKey` where a namespace is published gradually.
    #[serde(default)]
    pub context: serde_json::Map<String, serde_json::Value>,
}

/// A flag that was evaluated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// Key.
    pub key: String,
    /// Always `STATIC`: the value is what is published.
    pub reason: String,
    /// The value.
    pub value: Box<RawValue>,
    /// Where it comes from.
    pub metadata: EvaluationMetadata,
}

/// Where a flag's value comes from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationMetadata {
    /// Path of the namespace that has the value.
    pub namespace: String,
    /// The commit that it was read from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Type of the value.
    #[serde(rename = "type")]
    pub value_type: String,
}

/// A flag that was not evaluated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationFailure {
    /// Key; absent where all were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR` or `INVALID_CONTEXT`.
    pub error_code: String,
    /// What is wrong, and what to do.
    pub error_details: String,
}

/// All flags.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkEvaluation {
    /// The flags, by key.
    pub flags: Vec<Evaluation>,
}
