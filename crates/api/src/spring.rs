//! The environment of an application, as clients of Spring Cloud Config read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What an application gets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Name of the application, as asked.
    pub name: String,
    /// Its profiles, as asked.
    pub profiles: Vec<String>,
    /// The revision, as asked.
    pub label: Option<String>,
    /// Basis of the application's own effective document.
    pub version: String,
    /// Always `null`.
    pub state: Option<String>,
    /// Where properties come from; the first that has one wins.
    pub property_sources: Vec<PropertySource>,
}

/// The properties of one namespace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PropertySource {
    /// `confman:` and the path of the namespace.
    pub name: String,
    /// Names and scalars, in order.
    pub source: std::collections::BTreeMap<String, Box<RawValue>>,
}
