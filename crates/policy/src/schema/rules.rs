//! What a schema says about keys beyond JSON Schema: the `x-confman-…` keywords.
//!
//! They count where a schema applies to a key of the namespace for sure: under `properties`,
//! `patternProperties` and `additionalProperties` of the document, through `allOf` and `$ref`.
//! Written where they could never count, they are an error, because a rule that is silently ignored
//! protects nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confman_model::SchemaPath;
use confman_model::document::ENVIRONMENT_CHARS_MAX;
use jsonschema::Validator;
use serde_json::{Map, Value};

use super::document::{SchemaError, SchemaProblem, located};
use super::graph::Checked;
use super::keyword::{self, Applies};
use super::{EXTENSION_PREFIX, pattern_options};

/// Most days that a secret may stay as it is.
pub const ROTATION_DAYS_MAX: u32 = 36_500;
/// Most environments that a rule lists.
pub const ENVIRONMENTS_MAX: usize = 64;
/// Most characters of a text about a deprecation.
pub const DEPRECATION_CHARS_MAX: usize = 500;

/// The entry must be the reference of a secret.
pub const SECRET_REF: &str = "x-confman-secret-ref";
/// The key is not to be used any more.
pub const DEPRECATED: &str = "x-confman-deprecated";
/// After the first publish the key neither changes nor goes.
pub const IMMUTABLE: &str = "x-confman-immutable";
/// After how many days a secret is to be replaced.
pub const ROTATION_DAYS: &str = "x-confman-rotation-days";
/// Where the key may be published.
pub const ALLOWED_ENVIRONMENTS: &str = "x-confman-allowed-environments";

const ALL: [&str; 5] = [
    SECRET_REF,
    DEPRECATED,
    IMMUTABLE,
    ROTATION_DAYS,
    ALLOWED_ENVIRONMENTS,
];

/// What a schema says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The entry must be the reference of a secret.
    SecretRef,
    /// The key is not to be used any more; why, or what instead, where the schema says it.
    Deprecated(Option<String>),
    /// After the first publish the key neither changes nor goes.
    Immutable,
    /// After how many days the secret is to be replaced.
    RotationDays(u32),
    /// The environments in which the key may be published.
    AllowedEnvironments(Vec<String>),
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// What it says.
    pub rule: Rule,
    /// The document.
    pub schema: SchemaPath,
    /// JSON Pointer to it in the document.
    pub pointer: String,
}

impl Rule {
    /// The keyword.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::SecretRef => SECRET_REF,
            Self::Deprecated(_) => DEPRECATED,
            Self::Immutable => IMMUTABLE,
            Self::RotationDays(_) => ROTATION_DAYS,
            Self::AllowedEnvironments(_) => ALLOWED_ENVIRONMENTS,
        }
    }
}

/// To what a schema can apply, by where it stands in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// To a whole document, or to a key of one that refers here.
    Keys,
    /// To a key.
    Key,
    /// To neither for sure.
    Elsewhere,
}

impl Scope {
    /// The scope of the schemas that a keyword holds.
    pub fn below(self, name: &str, applies: Applies) -> Self {
        match (applies, name) {
            (Applies::Here, _) => self,
            (Applies::Nothing, "$defs" | "definitions") => Self::Keys,
            (_, "properties" | "patternProperties" | "additionalProperties")
                if self == Self::Keys =>
            {
                Self::Key
            }
            _ => Self::Elsewhere,
        }
    }
}

/// What is wrong with the extensions of one schema: pointers and clauses.
pub(super) fn problems(
    object: &Map<String, Value>,
    pointer: &str,
    scope: Scope,
) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for (name, value) in object {
        if !name.starts_with(EXTENSION_PREFIX) {
            continue;
        }
        let mut wrong = |what: String| {
            problems.push((format!("{pointer}/{}", keyword::step(name)), what));
        };
        match read(name, value) {
            Err(what) => wrong(what),
            Ok(Some(_)) if scope == Scope::Elsewhere => {
                wrong(format!(
                    "`{name}` has no effect here: it is for keys, under `properties`, `patternProperties` or `additionalProperties` of the document"
                ));
            }
            Ok(_) => {}
        }
    }
    problems
}

/// Reads an extension; `None` where it says nothing.
fn read(name: &str, value: &Value) -> Result<Option<Rule>, String> {
    let flag = |rule: Rule| match value {
        Value::Bool(flag) => Ok(flag.then_some(rule)),
        _ => Err(format!("`{name}` is `true` or `false`")),
    };
    match name {
        SECRET_REF => flag(Rule::SecretRef),
        IMMUTABLE => flag(Rule::Immutable),
        DEPRECATED => match value {
            Value::String(text) if !text.trim().is_empty() => {
                let chars = text.chars().count();
                if chars > DEPRECATION_CHARS_MAX {
                    return Err(format!(
                        "the text has {chars} characters, at most {DEPRECATION_CHARS_MAX} are allowed"
                    ));
                }
                Ok(Some(Rule::Deprecated(Some(text.clone()))))
            }
            Value::Bool(flag) => Ok(flag.then_some(Rule::Deprecated(None))),
            _ => Err(format!(
                "`{name}` is `true`, `false` or a text that says what to use instead"
            )),
        },
        ROTATION_DAYS => {
            let days = value.as_u64().and_then(|days| u32::try_from(days).ok());
            match days.filter(|days| (1..=ROTATION_DAYS_MAX).contains(days)) {
                Some(days) => Ok(Some(Rule::RotationDays(days))),
                None => Err(format!(
                    "`{name}` is a whole number of days, from 1 to {ROTATION_DAYS_MAX}"
                )),
            }
        }
        ALLOWED_ENVIRONMENTS => environments(name, value).map(Some),
        _ => Err(format!(
            "there is no `{name}`; there are {}",
            ALL.join(", ")
        )),
    }
}

fn environments(name: &str, value: &Value) -> Result<Rule, String> {
    let wrong = || {
        format!(
            "`{name}` is a list of 1 to {ENVIRONMENTS_MAX} environments, each of 1 to {ENVIRONMENT_CHARS_MAX} characters"
        )
    };
    let list = value.as_array().ok_or_else(wrong)?;
    let named: Option<Vec<String>> = list
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect();
    let named = named.ok_or_else(wrong)?;
    let well_formed = (1..=ENVIRONMENTS_MAX).contains(&named.len())
        && named
            .iter()
            .all(|one| (1..=ENVIRONMENT_CHARS_MAX).contains(&one.chars().count()));
    match well_formed {
        true => Ok(Rule::AllowedEnvironments(named)),
        false => Err(wrong()),
    }
}

/// Tells whether a text matches a pattern, in linear time; `None` where the pattern cannot be.
pub(super) fn matcher(pattern: &str) -> Option<Validator> {
    jsonschema::options()
        .offline()
        .with_pattern_options(pattern_options())
        .build(&serde_json::json!({ "type": "string", "pattern": pattern }))
        .ok()
}

/// All rules of a schema, by the keys that they are about.
#[derive(Debug, Default)]
pub(super) struct Rules {
    exact: BTreeMap<String, Vec<Arc<KeyRule>>>,
    patterns: Vec<(Validator, Vec<Arc<KeyRule>>)>,
    others: Vec<Others>,
}

/// What holds for the keys that a schema does not name.
#[derive(Debug)]
struct Others {
    named: BTreeSet<String>,
    patterns: Vec<Validator>,
    rules: Vec<Arc<KeyRule>>,
}

impl Rules {
    /// Gathers the rules of a schema.
    pub fn collect(schema: &Checked) -> Result<Self, SchemaError> {
        let mut rules = Self::default();
        for node in applied(schema, 0) {
            let Some(found) = schema.nodes.get(node) else {
                continue;
            };
            for (name, child) in &found.named {
                let of_key = at_key(schema, *child);
                if !of_key.is_empty() {
                    rules.exact.entry(name.clone()).or_default().extend(of_key);
                }
            }
            for (place, child) in &found.parts {
                let of_key = at_key(schema, *child);
                if of_key.is_empty() {
                    continue;
                }
                if let Some(pattern) = place.strip_prefix("/patternProperties/") {
                    let pattern = pattern.replace("~1", "/").replace("~0", "~");
                    rules
                        .patterns
                        .push((compiled(schema, node, place, &pattern)?, of_key));
                } else if place == "/additionalProperties" {
                    rules.others.push(others(schema, node, of_key)?);
                }
            }
        }
        Ok(rules)
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty() && self.others.is_empty()
    }

    /// What holds for a key.
    pub fn of(&self, key: &str) -> Vec<Arc<KeyRule>> {
        let mut found: Vec<Arc<KeyRule>> = self.exact.get(key).cloned().unwrap_or_default();
        if self.patterns.is_empty() && self.others.is_empty() {
            return found;
        }
        let text = Value::from(key);
        for (pattern, rules) in &self.patterns {
            if pattern.is_valid(&text) {
                found.extend(rules.iter().cloned());
            }
        }
        for others in &self.others {
            let is_named = others.named.contains(key)
                || others
                    .patterns
                    .iter()
                    .any(|pattern| pattern.is_valid(&text));
            if !is_named {
                found.extend(others.rules.iter().cloned());
            }
        }
        found
    }
}

/// The schemas that apply to the same value as `start` for sure, itself first.
fn applied(schema: &Checked, start: usize) -> Vec<usize> {
    let mut found = vec![start];
    let mut at = 0;
    while let Some(node) = found.get(at).copied() {
        at += 1;
        let here = schema.nodes.get(node).map_or(&[][..], |node| &node.here);
        for (child, always, _) in here {
            if *always && !found.contains(child) {
                found.push(*child);
            }
        }
    }
    found
}

/// The rules of the schema of a key.
fn at_key(schema: &Checked, start: usize) -> Vec<Arc<KeyRule>> {
    let mut rules = Vec::new();
    for index in applied(schema, start) {
        let Some(node) = schema.nodes.get(index).filter(|node| node.extended) else {
            continue;
        };
        let Some(object) = schema.object(index) else {
            continue;
        };
        let Some((path, _)) = schema.documents.get(node.document) else {
            continue;
        };
        for (name, value) in object {
            if name.starts_with(EXTENSION_PREFIX)
                && let Ok(Some(rule)) = read(name, value)
            {
                rules.push(Arc::new(KeyRule {
                    rule,
                    schema: path.clone(),
                    pointer: format!("{}/{name}", node.pointer),
                }));
            }
        }
    }
    rules
}

fn others(schema: &Checked, node: usize, rules: Vec<Arc<KeyRule>>) -> Result<Others, SchemaError> {
    let object = schema.object(node);
    let names = |keyword: &str| -> Vec<String> {
        object
            .and_then(|object| object.get(keyword)?.as_object())
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    };
    let patterns = names("patternProperties")
        .iter()
        .map(|pattern| compiled(schema, node, "/patternProperties", pattern))
        .collect::<Result<_, _>>()?;
    Ok(Others {
        named: names("properties").into_iter().collect(),
        patterns,
        rules,
    })
}

fn compiled(
    schema: &Checked,
    node: usize,
    place: &str,
    pattern: &str,
) -> Result<Validator, SchemaError> {
    matcher(pattern).ok_or_else(|| {
        let found = schema.nodes.get(node);
        let document = found.and_then(|node| schema.documents.get(node.document));
        let pointer = format!("{}{place}", found.map_or("", |node| &node.pointer));
        let text = document.map_or("", |(_, document)| document.text());
        SchemaError {
            problems: vec![SchemaProblem {
                schema: document.map(|(path, _)| path.clone()),
                problem: located(text, &pointer, "the pattern cannot be matched".to_owned()),
            }],
        }
    })
}
