//! Drafts and changes to them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::entry::EntryWrite;

/// A draft. `GET …/drafts[/{d}]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// Path of the namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Newest commit.
    pub head: String,
    /// Root of its tree.
    pub tree: String,
    /// The published commit it began from; absent where nothing was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// Keys that differ from the base.
    pub keys: Vec<String>,
    /// RFC 3339.
    pub updated_at: String,
    /// Who changed it last.
    pub updated_by: String,
}

/// Several changes at once. `POST …/drafts/{d}/changes`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes {
    /// Key → what it becomes; `null` removes the entry. A key that is given twice is refused.
    #[serde(deserialize_with = "unique_keys")]
    pub changes: BTreeMap<String, Option<EntryWrite>>,
    /// Head of the draft that the caller has seen (`""`: the draft does not exist yet); 409 if it moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_head: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Publish at once and leave no draft, where rights and settings allow.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub publish: bool,
    /// Set or change keys that a schema says are deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub acknowledge_deprecated: bool,
}

/// What a change to a draft did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drafted {
    /// Path of the namespace.
    pub namespace: String,
    /// Name of the draft.
    pub draft: String,
    /// Its head now.
    pub commit: String,
    /// Root of its tree.
    pub tree: String,
    /// Log index.
    pub index: u64,
    /// What is allowed but worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// Reads a map and refuses a key that is there twice, where serde would keep the last silently.
fn unique_keys<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<EntryWrite>>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, Option<EntryWrite>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of keys and what they become")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut changes = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if changes.contains_key(&key) {
                    return Err(M::Error::custom(format!("key `{key}` is given twice")));
                }
                let written: Option<ObjectOnly> = map.next_value()?;
                changes.insert(key, written.map(|ObjectOnly(entry)| entry));
            }
            Ok(changes)
        }
    }

    deserializer.deserialize_map(Unique)
}

/// An entry that is written as an object. Derived code takes an array too, field by field, which
/// nobody means.
struct ObjectOnly(EntryWrite);

impl<'de> Deserialize<'de> for ObjectOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = EntryWrite;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object that says what the entry becomes")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                EntryWrite::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Object).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_every_digit_and_the_order_of_their_keys() {
        let text = r#"{"changes":{"a":{"value":1.10},"b":{"type":"json","value":{"z":1,"a":[2e0]}},"c":null}}"#;
        let changes: Changes = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&changes).unwrap(), text);
    }

    #[test]
    fn a_repeated_key_or_an_unknown_field_is_refused_with_its_place() {
        let refused = |text: &str| {
            serde_json::from_str::<Changes>(text)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(refused(r#"{"changes":{"a":null,"a":null}}"#), @"key `a` is given twice at line 1 column 24");
        insta::assert_snapshot!(refused(r#"{"changes":{"a":{"vlaue":1}}}"#), @"unknown field `vlaue`, expected one of `type`, `value`, `unset`, `description`, `tags`, `mediaType` at line 1 column 24");
        insta::assert_snapshot!(refused(r#"{"changes":{"a":["number",1]}}"#), @"invalid type: sequence, expected an object that says what the entry becomes at line 1 column 16");
        insta::assert_snapshot!(refused(r#"{"changes":{},"changes":{}}"#), @"duplicate field `changes` at line 1 column 23");
        insta::assert_snapshot!(refused(r#"{"changes":{},"force":true}"#), @"unknown field `force`, expected one of `changes`, `expectedHead`, `message`, `publish`, `acknowledgeDeprecated` at line 1 column 21");
    }
}
