//! Changing a document by saying what differs (RFC 7396), and saying what differs between two.

use serde_json::Value;

use super::{DocumentError, NamespaceDocument};

impl NamespaceDocument {
    /// This document with a merge patch laid over it (RFC 7396): fields take the place of those that are
    /// there, `null` removes one, lists are replaced whole.
    ///
    /// # Errors
    /// Reports everything that is wrong with the result.
    pub fn merged(&self, patch: &Value) -> Result<Self, DocumentError> {
        #[expect(
            clippy::expect_used,
            reason = "strings, numbers and lists always have a JSON form"
        )]
        let mut document = serde_json::to_value(self).expect("a document has a JSON form");
        merge(&mut document, patch);
        Self::from_text(&format!("{document:#}\n"))
    }

    /// The fields in which another document says something else, but for the metadata: `owner`,
    /// `roles.admin`, `settings.minApprovers`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let fields = |document: &Self| match serde_json::to_value(document) {
            Ok(Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (ours, theirs) = (fields(self), fields(other));
        let mut found = Vec::new();
        for name in names(&ours, &theirs) {
            let (one, two) = (ours.get(&name), theirs.get(&name));
            if one == two || name == "metadata" {
                continue;
            }
            match (one, two) {
                (Some(Value::Object(one)), Some(Value::Object(two)))
                    if matches!(name.as_str(), "roles" | "settings") =>
                {
                    let differing = names(one, two)
                        .into_iter()
                        .filter(|inner| one.get(inner) != two.get(inner));
                    found.extend(differing.map(|inner| format!("{name}.{inner}")));
                }
                _ => found.push(name),
            }
        }
        found
    }
}

/// The names in one or the other, those of the first in its order first.
fn names(
    one: &serde_json::Map<String, Value>,
    other: &serde_json::Map<String, Value>,
) -> Vec<String> {
    let only_other = other.keys().filter(|name| !one.contains_key(*name));
    one.keys().chain(only_other).cloned().collect()
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn a_patch_is_merged_as_the_standard_says() {
        let table = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (mut target, patch, expected) in table {
            let shown = format!("{target} with {patch}");
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{shown}");
        }
    }

    fn document() -> NamespaceDocument {
        let mut document = NamespaceDocument::new("/a".parse().unwrap());
        document.owner = "team".to_owned();
        document.roles.editor = vec!["ann".to_owned()];
        document.settings.min_approvers = Some(2);
        document
    }

    #[test]
    fn what_a_patch_does_not_name_stays_and_null_takes_back() {
        let patch = json!({"owner": null, "roles": {"editor": ["bob"]}, "settings": {"minApprovers": null, "environment": "prod"}});
        let changed = document().merged(&patch).unwrap();
        insta::assert_snapshot!(document().differences(&changed).join(" "), @"owner roles.editor settings.minApprovers settings.environment");
        assert_eq!(changed.settings.min_approvers, None);
        assert_eq!(changed.roles.editor, ["bob"]);
        assert_eq!(document().differences(&document()), Vec::<String>::new());
    }

    #[test]
    fn what_a_patch_makes_wrong_is_refused_with_everything_that_is_wrong() {
        let wrong = |patch: Value| document().merged(&patch).unwrap_err().to_string();
        insta::assert_snapshot!(wrong(json!({"ownr": "x", "settings": {"minAprovers": 2}})), @"the namespace document is not valid: line 15, column 20 (at `/settings/minAprovers`): there is no field `minAprovers` here; allowed are schemaEnforcement, requireApproval, minApprovers, approvers, allowSelfApproval, environment, autoApprove, freeze, guards, valueBytesMax, secretSchemes, secretResolvers; line 23, column 11 (at `/ownr`): there is no field `ownr` here; allowed are path, displayName, description, owner, inherit, schema, roles, settings, metadata");
        insta::assert_snapshot!(wrong(json!([])), @"the namespace document is not valid: it must be an object");
        insta::assert_snapshot!(wrong(json!({"settings": {"minApprovers": 0}})), @"the namespace document is not valid: line 14, column 21 (at `/settings/minApprovers`): 0 is not allowed, only 1 to 100; to need no approval, set `requireApproval` to false");
    }
}
