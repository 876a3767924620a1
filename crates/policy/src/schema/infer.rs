//! A schema proposed from what is there.
//!
//! INVARIANT: it accepts every document that it was proposed from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rules::SECRET_REF;
use super::{DIALECT, EffectiveDocument};

/// Most different texts that become an `enum`.
const ENUM_TEXTS_MAX: usize = 5;
/// How often each of them is there at least, on average.
const ENUM_REPEATS_MIN: usize = 3;
/// Most members of objects that are named one by one; beyond, keys are data.
const MEMBERS_MAX: usize = 100;

/// What a schema says is derived from these values.
#[derive(Default)]
struct Seen<'v> {
    values: Vec<&'v Value>,
}

/// Proposes a schema that accepts all of these documents. A key that is in every one is required.
#[must_use]
pub fn infer(documents: &[EffectiveDocument]) -> Value {
    let mut keys: BTreeMap<&str, (Seen<'_>, bool)> = BTreeMap::new();
    for document in documents {
        for (key, value) in document.value().as_object().into_iter().flatten() {
            let (seen, secret) = keys.entry(key).or_insert_with(|| (Seen::default(), true));
            seen.values.push(value);
            *secret &= document.is_secret_ref(key);
        }
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, (seen, secret)) in &keys {
        let mut schema = seen.schema();
        if *secret && let Some(object) = schema.as_object_mut() {
            object.remove("enum");
            object.insert(SECRET_REF.to_owned(), Value::Bool(true));
        }
        properties.insert((*key).to_owned(), schema);
        if seen.values.len() == documents.len() {
            required.push(Value::from(*key));
        }
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), Value::from(DIALECT));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    Value::Object(schema)
}

impl<'v> Seen<'v> {
    fn schema(&self) -> Value {
        let mut types: Vec<&str> = self.values.iter().map(|value| type_of(value)).collect();
        types.sort_unstable();
        types.dedup();
        if types.contains(&"number") {
            types.retain(|name| *name != "integer");
        }
        let mut schema = Map::new();
        match types.as_slice() {
            [only] => schema.insert("type".to_owned(), json!(only)),
            many => schema.insert("type".to_owned(), json!(many)),
        };
        if types == ["string"] {
            schema.extend(self.texts());
        }
        if types == ["object"] {
            schema.extend(self.members());
        }
        if types == ["array"] {
            let mut items = Seen::default();
            for value in &self.values {
                items.values.extend(value.as_array().into_iter().flatten());
            }
            if !items.values.is_empty() {
                schema.insert("items".to_owned(), items.schema());
            }
        }
        Value::Object(schema)
    }

    /// Few texts that are there again and again are a choice.
    fn texts(&self) -> Option<(String, Value)> {
        let mut texts: Vec<&str> = self
            .values
            .iter()
            .filter_map(|value| value.as_str())
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let repeated = self.values.len() >= texts.len() * ENUM_REPEATS_MIN;
        let few = texts.len() > 1 && texts.len() <= ENUM_TEXTS_MAX;
        (few && repeated).then(|| ("enum".to_owned(), json!(texts)))
    }

    fn members(&self) -> Vec<(String, Value)> {
        let mut members: BTreeMap<&'v str, Seen<'v>> = BTreeMap::new();
        for value in &self.values {
            for (name, value) in value.as_object().into_iter().flatten() {
                members.entry(name).or_default().values.push(value);
            }
        }
        if members.is_empty() {
            return Vec::new();
        }
        if members.len() > MEMBERS_MAX {
            let all = Seen {
                values: members
                    .values()
                    .flat_map(|seen| seen.values.clone())
                    .collect(),
            };
            return vec![("additionalProperties".to_owned(), all.schema())];
        }
        let required: Vec<&str> = members
            .iter()
            .filter(|(_, seen)| seen.values.len() == self.values.len())
            .map(|(name, _)| *name)
            .collect();
        let properties: Map<String, Value> = members
            .iter()
            .map(|(name, seen)| ((*name).to_owned(), seen.schema()))
            .collect();
        let mut found = vec![("properties".to_owned(), Value::Object(properties))];
        if !required.is_empty() {
            found.push(("required".to_owned(), json!(required)));
        }
        found
    }
}

/// The type of JSON Schema that says most about a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_plain_integer(&number.to_string()) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_plain_integer(text: &str) -> bool {
    text.trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit())
}
