//! The keywords that have schemas in them, and to what those apply.

use serde_json::Value;

/// How a keyword holds schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// One.
    One,
    /// A list.
    List,
    /// An object of them.
    Map,
}

/// To what the schemas of a keyword apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    /// To the value that the schema with the keyword applies to, always.
    Here,
    /// To that value, or not, depending on something.
    HerePerhaps,
    /// To the part with the name or index that the schema stands under.
    Named,
    /// To parts that the keyword does not name one by one.
    Parts,
    /// To nothing until something refers to them.
    Nothing,
}

/// What a keyword holds and where that applies; `None` for one that holds no schemas.
pub(super) fn keyword(name: &str) -> Option<(Holds, Applies)> {
    Some(match name {
        "allOf" => (Holds::List, Applies::Here),
        "anyOf" | "oneOf" => (Holds::List, Applies::HerePerhaps),
        "not" | "if" | "then" | "else" => (Holds::One, Applies::HerePerhaps),
        "dependentSchemas" | "dependencies" => (Holds::Map, Applies::HerePerhaps),
        "properties" => (Holds::Map, Applies::Named),
        "prefixItems" => (Holds::List, Applies::Named),
        "patternProperties" => (Holds::Map, Applies::Parts),
        "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "items"
        | "contains"
        | "unevaluatedItems" => (Holds::One, Applies::Parts),
        "$defs" | "definitions" => (Holds::Map, Applies::Nothing),
        "contentSchema" => (Holds::One, Applies::Nothing),
        _ => return None,
    })
}

/// Whether something can be a schema.
pub(super) fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

/// A name as a step of a JSON Pointer.
pub(super) fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The schemas that one keyword of an object holds: the rest of the pointer, the name, the schema.
pub(super) fn held<'v>(name: &str, value: &'v Value) -> Vec<(String, String, &'v Value)> {
    let Some((holds, _)) = keyword(name) else {
        return Vec::new();
    };
    let at = step(name);
    let found: Vec<(String, String, &Value)> = match (holds, value) {
        (Holds::One, schema) => vec![(format!("/{at}"), String::new(), schema)],
        (Holds::List, Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, schema)| (format!("/{at}/{index}"), format!("\0{index}"), schema))
            .collect(),
        (Holds::Map, Value::Object(map)) => map
            .iter()
            .map(|(name, schema)| (format!("/{at}/{}", step(name)), name.clone(), schema))
            .collect(),
        _ => Vec::new(),
    };
    found
        .into_iter()
        .filter(|(_, _, schema)| is_schema(schema))
        .collect()
}

/// Calls `change` with every schema that is an object, outermost first.
pub(super) fn for_each_mut(
    schema: &mut Value,
    change: &mut dyn FnMut(&mut serde_json::Map<String, Value>),
) {
    let Value::Object(object) = schema else {
        return;
    };
    change(object);
    for (name, value) in object.iter_mut() {
        match (keyword(name), value) {
            (Some((Holds::One, _)), schema) => for_each_mut(schema, change),
            (Some((Holds::List, _)), Value::Array(list)) => {
                list.iter_mut()
                    .for_each(|schema| for_each_mut(schema, change));
            }
            (Some((Holds::Map, _)), Value::Object(map)) => {
                map.iter_mut()
                    .for_each(|(_, schema)| for_each_mut(schema, change));
            }
            _ => {}
        }
    }
}
