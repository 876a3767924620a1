//! The effective document of a namespace, as schemas see it.

use std::collections::BTreeSet;

use confman_model::{EntryType, Key};
use serde_json::{Map, Value};

/// What holds in a namespace, as one object of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EffectiveDocument {
    value: Value,
    secret_refs: BTreeSet<String>,
    bytes: usize,
}

/// A value as a schema sees it: text as a string, binary as base64, everything else as it is.
#[must_use]
pub fn to_json(value: &confman_model::Value) -> Value {
    match (value.entry_type(), value.as_str()) {
        (EntryType::String | EntryType::SecretRef, Some(text)) => Value::from(text),
        // The text was read strictly when it came in.
        _ => serde_json::from_str(&value.to_json()).unwrap_or_default(),
    }
}

impl EffectiveDocument {
    /// A document without keys, with room for some.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        Self {
            value: Value::Object(Map::with_capacity(keys)),
            secret_refs: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Adds a key. `bytes` is the size of its value.
    pub fn insert(&mut self, key: &Key, entry_type: EntryType, json: Value, bytes: usize) {
        if !self.value.is_object() {
            self.value = Value::Object(Map::new());
        }
        if let Value::Object(members) = &mut self.value {
            members.insert(key.as_str().to_owned(), json);
        }
        if entry_type == EntryType::SecretRef {
            self.secret_refs.insert(key.as_str().to_owned());
        }
        self.bytes += key.as_str().len() + bytes;
    }

    /// The object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The names of the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.value
            .as_object()
            .into_iter()
            .flat_map(|members| members.keys().map(String::as_str))
    }

    /// Whether the key is the reference of a secret.
    #[must_use]
    pub fn is_secret_ref(&self, key: &str) -> bool {
        self.secret_refs.contains(key)
    }

    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
