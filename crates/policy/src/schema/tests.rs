use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use confman_model::{Key, Namespace, ValueLimits};
use insta::assert_snapshot;

use super::*;

const NAMESPACE: &str = "/teams/payments";

fn path(text: &str) -> SchemaPath {
    text.parse().unwrap()
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Compiles `/schemas/a` among other documents.
fn compile(text: &str, others: &[(&str, &str)]) -> Result<CompiledSchema, SchemaError> {
    let others: BTreeMap<SchemaPath, &str> = others
        .iter()
        .map(|(name, text)| (path(name), *text))
        .collect();
    let lookup = |wanted: &SchemaPath| match others.get(wanted) {
        Some(text) => SchemaDocument::parse(text).map(|read| Some(Arc::new(read))),
        None => Ok(None),
    };
    let document = Arc::new(SchemaDocument::parse(text)?);
    CompiledSchema::compile(&path("/schemas/a"), &document, lookup).map_err(|error| match error {
        CompileError::Lookup(error) | CompileError::Invalid(error) => error,
    })
}

#[must_use]
fn refused(text: &str) -> String {
    match compile(text, &[]) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// A document as a test writes it: `key=JSON`, or `key:type=JSON`.
fn document(members: &[&str]) -> EffectiveDocument {
    let mut document = EffectiveDocument::default();
    for member in members {
        let (name, json) = member.split_once('=').unwrap();
        let (name, entry_type) = match name.split_once(':') {
            Some((name, entry_type)) => (name, entry_type.parse().unwrap()),
            None => (name, confman_model::Value::infer(json)),
        };
        let value =
            confman_model::Value::from_json(entry_type, json, &ValueLimits::default()).unwrap();
        document.insert(&key(name), entry_type, to_json(&value), value.bytes().len());
    }
    document
}

#[must_use]
fn broken(schema: &CompiledSchema, members: &[&str], environment: Option<&str>) -> String {
    let namespace: Namespace = NAMESPACE.parse().unwrap();
    let attached_by = Namespace::root();
    let place = Place {
        namespace: &namespace,
        attached_by: &attached_by,
        environment,
    };
    let mut text = String::new();
    for violation in schema.violations(&document(members), place) {
        writeln!(text, "[{}] {violation}", violation.keyword).unwrap();
    }
    text
}

#[test]
fn all_violations_are_told_at_once_with_key_pointer_rule_and_namespace() {
    let schema = compile(
        r##"{
          "properties": {
            "stripe/api-version": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "timeout": {"$ref": "/schemas/types#/$defs/seconds"},
            "limits": {"properties": {"daily/max": {"maximum": 10}}, "additionalProperties": false}
          },
          "required": ["region", "timeout"],
          "additionalProperties": false
        }"##,
        &[(
            "/schemas/types",
            r#"{"$defs": {"seconds": {"type": "integer", "maximum": 60}}}"#,
        )],
    )
    .unwrap();
    assert_snapshot!(broken(&schema, &["stripe/api-version=\"soon\"", "timeout=61.5", "limits={\"daily/max\": 11, \"x\": 1}", "other=1"], None), @r#"
            [maximum] `/teams/payments:limits` it is greater than the maximum of 10 at `/daily~1max` (/schemas/a#/properties/limits/properties/daily~1max/maximum, attached by `/`)
            [additionalProperties] `/teams/payments:limits` `x` is not allowed: the schema does not know it at `/x` (/schemas/a#/properties/limits/additionalProperties, attached by `/`)
            [additionalProperties] `/teams/payments:other` `other` is not allowed: the schema does not know it (/schemas/a#/additionalProperties, attached by `/`)
            [required] `/teams/payments:region` `region` is required and missing (/schemas/a#/required, attached by `/`)
            [pattern] `/teams/payments:stripe/api-version` it does not match "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" (/schemas/a#/properties/stripe~1api-version/pattern, attached by `/`)
            [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/types#/$defs/seconds/maximum, attached by `/`)
            [type] `/teams/payments:timeout` it is not of type "integer" (/schemas/types#/$defs/seconds/type, attached by `/`)
            "#);
    assert_eq!(
        broken(&schema, &["timeout=60", "region=1"], None)
            .lines()
            .count(),
        1
    );
    assert_eq!(schema.dependencies().len(), 1);
}

#[test]
fn what_is_wrong_with_a_schema_is_told_with_its_place() {
    assert_snapshot!(refused("{\n \"type\": \"strng\",\n \"minLength\": -1,\n \"pattern\": \"(\"\n}"), @"
    line 2, column 10 (at `/type`): it fits none of 2 alternatives
    line 3, column 15 (at `/minLength`): it is less than the minimum of 0
    ");
    assert_snapshot!(refused("[]"), @"a schema document is an object");
    assert_snapshot!(refused("{\"a\": 1, \"a\": 2}"), @"line 1, column 10 (at `/a`): key `a` is there already, at line 1, column 2");
    assert_snapshot!(refused(r##"{"$schema": "http://json-schema.org/draft-07/schema#"}"##), @"line 1, column 13 (at `/$schema`): schemas are written in https://json-schema.org/draft/2020-12/schema, not in `http://json-schema.org/draft-07/schema#`");
    assert_snapshot!(refused(r##"{"properties": {
      "a": {"$ref": "https://example.com/evil.json"},
      "b": {"$ref": "file:///etc/passwd"},
      "c": {"$ref": "/schemas/nowhere"},
      "d": {"$ref": "#/$defs/x"},
      "e": {"$ref": "#anchor"}
    }}"##), @"
    line 2, column 21 (at `/properties/a/$ref`): `https://example.com/evil.json` leads out of this store; refer to schemas by their path, as `/schemas/payments/base`
    line 3, column 21 (at `/properties/b/$ref`): `file:///etc/passwd` leads out of this store; refer to schemas by their path, as `/schemas/payments/base`
    line 4, column 21 (at `/properties/c/$ref`): there is no schema `/schemas/nowhere`
    line 5, column 21 (at `/properties/d/$ref`): `#/$defs/x` leads nowhere: there is no `/$defs/x`
    line 6, column 21 (at `/properties/e/$ref`): `#anchor` leads nowhere: there is no `anchor`
    ");
}

#[test]
fn extensions_are_checked_where_they_are_written() {
    assert_snapshot!(refused(r#"{"properties": {"a": {
      "x-confman-secret-ref": 1,
      "x-confman-deprecated": "",
      "x-confman-immutable": "yes",
      "x-confman-rotation-days": 0,
      "x-confman-allowed-environments": [],
      "x-confman-imutable": true
    }, "b": {"items": {"x-confman-immutable": true}}}, "anyOf": [{"properties": {"c": {"x-confman-secret-ref": true}}}]}"#), @"
    line 2, column 31 (at `/properties/a/x-confman-secret-ref`): `x-confman-secret-ref` is `true` or `false`
    line 3, column 31 (at `/properties/a/x-confman-deprecated`): `x-confman-deprecated` is `true`, `false` or a text that says what to use instead
    line 4, column 30 (at `/properties/a/x-confman-immutable`): `x-confman-immutable` is `true` or `false`
    line 5, column 34 (at `/properties/a/x-confman-rotation-days`): `x-confman-rotation-days` is a whole number of days, from 1 to 36500
    line 6, column 41 (at `/properties/a/x-confman-allowed-environments`): `x-confman-allowed-environments` is a list of 1 to 64 environments, each of 1 to 63 characters
    line 7, column 29 (at `/properties/a/x-confman-imutable`): there is no `x-confman-imutable`; there are x-confman-secret-ref, x-confman-deprecated, x-confman-immutable, x-confman-rotation-days, x-confman-allowed-environments
    line 8, column 47 (at `/properties/b/items/x-confman-immutable`): `x-confman-immutable` has no effect here: it is for keys, under `properties`, `patternProperties` or `additionalProperties` of the document
    line 8, column 112 (at `/anyOf/0/properties/c/x-confman-secret-ref`): `x-confman-secret-ref` has no effect here: it is for keys, under `properties`, `patternProperties` or `additionalProperties` of the document
    ");
}

#[test]
fn rules_of_a_key_come_through_all_that_applies_for_sure() {
    let schema = compile(
        r##"{
          "allOf": [{"properties": {"a": {"x-confman-immutable": true}}}],
          "properties": {"a": {"$ref": "#/$defs/secret"}, "old": {"x-confman-deprecated": "use `new`"}},
          "patternProperties": {"^prod/": {"x-confman-allowed-environments": ["production", "staging"]}},
          "additionalProperties": {"x-confman-deprecated": true},
          "$defs": {"secret": {"x-confman-secret-ref": true, "x-confman-rotation-days": 90}}
        }"##,
        &[],
    )
    .unwrap();
    let rules = |key: &str| {
        let mut rules: Vec<String> = schema
            .rules_of(key)
            .iter()
            .map(|rule| format!("{:?} {}", rule.rule, rule.pointer))
            .collect();
        rules.sort();
        rules.join("\n")
    };
    assert_snapshot!(rules("a"), @"
    Immutable /allOf/0/properties/a/x-confman-immutable
    RotationDays(90) /$defs/secret/x-confman-rotation-days
    SecretRef /$defs/secret/x-confman-secret-ref
    ");
    assert_snapshot!(rules("prod/x"), @r#"AllowedEnvironments(["production", "staging"]) /patternProperties/^prod~1/x-confman-allowed-environments"#);
    assert_snapshot!(rules("new"), @"Deprecated(None) /additionalProperties/x-confman-deprecated");
    assert_snapshot!(broken(&schema, &["a=\"hunter2\"", "prod/x=1"], Some("test")), @"
    [x-confman-secret-ref] `/teams/payments:a` it must be of type secret-ref: a reference, never the secret itself (/schemas/a#/$defs/secret/x-confman-secret-ref, attached by `/`)
    [x-confman-allowed-environments] `/teams/payments:prod/x` it is allowed in production, staging only, and this namespace is `test` (/schemas/a#/patternProperties/^prod~1/x-confman-allowed-environments, attached by `/`)
    ");
    assert_snapshot!(broken(&schema, &["a:secret-ref=\"vault://a/b#c\"", "prod/x=1"], None), @"[x-confman-allowed-environments] `/teams/payments:prod/x` it is allowed in production, staging only, and this namespace has no environment (/schemas/a#/patternProperties/^prod~1/x-confman-allowed-environments, attached by `/`)");
    assert_snapshot!(broken(&schema, &["a:secret-ref=\"vault://a/b#c\"", "prod/x=1"], Some("production")), @"");
}

#[test]
fn every_type_of_entry_appears_as_what_it_is() {
    let schema = compile(
        r#"{"properties": {
          "string": {"type": "string", "const": "1"},
          "number": {"type": "number"},
          "integer": {"type": "integer"},
          "boolean": {"type": "boolean"},
          "json": {"type": "object", "required": ["a"]},
          "binary": {"type": "string", "contentEncoding": "base64", "const": "/wA="},
          "secret": {"type": "string", "pattern": "^(keyvault|vault|env)://"}
        }}"#,
        &[],
    )
    .unwrap();
    let good = [
        "string=\"1\"",
        "number=1e-7",
        "integer=1.0",
        "boolean=false",
        "json={\"a\": null}",
        "binary:binary=\"/wA=\"",
        "secret:secret-ref=\"env://A\"",
    ];
    assert_eq!(broken(&schema, &good, None), "");
    let bad = [
        "string=1",
        "number=\"1\"",
        "integer=1.5",
        "boolean=0",
        "json=[]",
        "binary:binary=\"/w==\"",
        "secret=\"x\"",
    ];
    // The first has the wrong type and the wrong value.
    assert_eq!(broken(&schema, &bad, None).lines().count(), bad.len() + 1);
}

#[test]
fn numbers_are_compared_exactly() {
    let schema = compile(
        r#"{"properties": {
          "big": {"maximum": 18446744073709551616},
          "step": {"multipleOf": 0.01},
          "one": {"const": 1.0},
          "fine": {"exclusiveMaximum": 0.1}
        }}"#,
        &[],
    )
    .unwrap();
    assert_eq!(
        broken(
            &schema,
            &[
                "big=18446744073709551616",
                "step=19.99",
                "one=1",
                "fine=0.09999999999999999999999"
            ],
            None
        ),
        ""
    );
    assert_eq!(
        broken(
            &schema,
            &[
                "big=18446744073709551617",
                "step=19.999",
                "one=1.0000000000000000001",
                "fine=0.10"
            ],
            None
        )
        .lines()
        .count(),
        4
    );
}

#[test]
fn no_violation_shows_a_value() {
    let schema = compile(
        r#"{"properties": {"a": {"enum": ["x"], "maxLength": 3, "pattern": "^x$", "const": "x",
          "anyOf": [{"type": "number"}, {"const": "y"}], "not": {"type": "string"}, "format": "uuid"}}}"#,
        &[],
    )
    .unwrap();
    let text = broken(&schema, &["a=\"hunter2\""], None);
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn documents_may_refer_to_one_another_in_a_circle() {
    let schema = compile(
        r#"{"properties": {"tree": {"$ref": "/schemas/b"}}}"#,
        &[
            ("/schemas/b", r#"{"properties": {"left": {"$ref": "/schemas/c"}, "right": {"$ref": "/schemas/b"}, "v": {"type": "number"}}}"#),
            ("/schemas/c", r#"{"$id": "https://example.com/c", "allOf": [{"$ref": "/schemas/b"}], "maxProperties": 2}"#),
        ],
    )
    .unwrap();
    assert_snapshot!(broken(&schema, &["tree={\"left\": {\"right\": {\"v\": \"x\"}, \"a\": 1, \"b\": 2}}"], None), @r#"
    [maxProperties] `/teams/payments:tree` it has more than 2 properties at `/left` (/schemas/c#/maxProperties, attached by `/`)
    [type] `/teams/payments:tree` it is not of type "number" at `/left/right/v` (/schemas/b#/properties/v/type, attached by `/`)
    "#);
    assert_eq!(schema.dependencies().len(), 2);
}

/// Compiles, validates a document, and tells how it went; never for longer than a second.
fn bounded(what: &str, text: &str, members: &[&str]) -> String {
    let begun = Instant::now();
    let outcome = match compile(text, &[]) {
        Err(error) => format!("refused: {}", error.problems[0]),
        Ok(schema) => {
            let violations = broken(&schema, members, None).lines().count();
            format!("{violations} violations")
        }
    };
    let taken = begun.elapsed();
    println!("{what}: {taken:?}, {outcome}");
    assert!(taken < Duration::from_secs(4), "{what}: {taken:?}");
    outcome
}

#[test]
fn hostile_schemas_are_refused_or_bounded() {
    let long = format!("a=\"{}!\"", "a".repeat(100_000));
    assert_eq!(
        bounded(
            "catastrophic pattern",
            r#"{"properties": {"a": {"pattern": "^(a+)+$"}}}"#,
            &[&long]
        ),
        "1 violations"
    );
    assert_snapshot!(bounded("backreference", r#"{"properties": {"a": {"pattern": "^(a)\\1$"}}}"#, &[]), @"refused: line 1, column 34 (at `/properties/a/pattern`): the pattern is too large, or needs what is not matched in linear time (such as looking around or back)");
    assert_snapshot!(bounded("huge repetition", r#"{"properties": {"a": {"pattern": "^((a{1000}){1000}){1000}$"}}}"#, &[]), @"refused: line 1, column 34 (at `/properties/a/pattern`): the pattern is too large, or needs what is not matched in linear time (such as looking around or back)");
    let deep = format!(
        "{}{}",
        r#"{"properties":{"a":"#.repeat(40),
        "{}".to_owned() + &"}}".repeat(40)
    );
    assert_snapshot!(bounded("deep nesting", &deep, &[]), @"refused: line 1, column 609 (at `/properties/a/properties/a/properties/a/properties/a/properties/a/properties/a/p…`): objects and arrays are nested more than 64 deep");
    let values: Vec<String> = (0..5000).map(|value| value.to_string()).collect();
    assert_snapshot!(bounded("huge enum", &format!(r#"{{"enum": [{}]}}"#, values.join(",")), &[]), @"refused: line 1, column 10 (at `/enum`): it has 5000 values, at most 4096 are allowed");
    let many: Vec<String> = (0..10_001).map(|key| format!("\"k{key}\":true")).collect();
    assert_snapshot!(bounded("very many subschemas", &format!(r#"{{"properties": {{{}}}}}"#, many.join(",")), &[]), @"refused: line 1, column 128902 (at `/properties/k9999`): there are more than 10000 subschemas");
    let defs: Vec<String> = (0..40)
        .map(|level| format!(r##""d{level}": {{"allOf": [{{"$ref": "#/$defs/d{0}"}}, {{"$ref": "#/$defs/d{0}"}}]}}"##, level + 1))
        .collect();
    let doubling = format!(
        r##"{{"$defs": {{{}, "d40": {{}}}}, "$ref": "#/$defs/d0"}}"##,
        defs.join(",")
    );
    assert_snapshot!(bounded("doubling references", &doubling, &["a=1"]), @"refused: more than 2000 subschemas could look at one value; refer to fewer schemas from within one another");
    let tree = r##"{"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}"##;
    assert_snapshot!(bounded("doubling at each level", tree, &["a={}"]), @"refused: more than 2000 subschemas could look at one value; refer to fewer schemas from within one another");
    assert_snapshot!(bounded("endless", r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}"##, &[]), @"refused: line 1, column 51 (at `/$defs/a`): it refers to itself for the same value, without end");
    let same = r##"{"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "v": {"type": "string"}}}"##;
    let nested = format!(
        "left={}{}",
        "{\"left\":".repeat(60),
        "{}".to_owned() + &"}".repeat(60)
    );
    assert_eq!(bounded("a tree", same, &[&nested]), "0 violations");
    let wide: Vec<String> = (0..3000)
        .map(|key| {
            format!(
                r#""k{key}": {{"type": "object", "properties": {{"max": {{"type": "integer"}}}}}}"#
            )
        })
        .collect();
    assert_eq!(
        bounded(
            "a wide schema",
            &format!(r#"{{"properties": {{{}}}}}"#, wide.join(",")),
            &["k1={\"max\": 1}"]
        ),
        "0 violations"
    );
    let alternatives: Vec<String> = (0..500)
        .map(|one| format!(r#"{{"required": ["k{one}"]}}"#))
        .collect();
    let large = format!("big=\"{}\"", "x".repeat(1_000_000));
    assert_eq!(
        bounded(
            "many alternatives of a large document",
            &format!(r#"{{"anyOf": [{}]}}"#, alternatives.join(",")),
            &[&large]
        ),
        "1 violations"
    );
    assert_eq!(
        bounded(
            "small number",
            r#"{"properties": {"a": {"multipleOf": 1e-300}}}"#,
            &["a=1e300"]
        ),
        "0 violations"
    );
}

/// Values as they may stand in documents.
fn json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        prop::sample::select(vec!["0.5", "1.0", "1e2", "-3.25"])
            .prop_map(|text| serde_json::from_str(text).unwrap()),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn effective(members: &BTreeMap<String, Value>) -> EffectiveDocument {
    let mut document = EffectiveDocument::default();
    for (name, value) in members {
        let entry_type = match value {
            Value::String(_) => confman_model::EntryType::String,
            _ => confman_model::EntryType::Json,
        };
        document.insert(&key(name), entry_type, value.clone(), 1);
    }
    document
}

/// Schemas of the keywords that people change most.
fn schema() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(serde_json::json!({})),
        prop::sample::select(vec!["string", "integer", "number", "boolean", "null"])
            .prop_map(|name| serde_json::json!({ "type": name })),
        (-5_i64..5, 0_i64..5).prop_map(|(low, more)| {
            serde_json::json!({ "type": "integer", "minimum": low, "maximum": low + more })
        }),
        (0_u64..3, 0_u64..3).prop_map(|(low, more)| {
            serde_json::json!({ "type": "string", "minLength": low, "maxLength": low + more })
        }),
        prop::sample::subsequence(vec!["a", "b", "c"], 1..3)
            .prop_map(|texts| serde_json::json!({ "enum": texts })),
        (1_u64..4).prop_map(|step| serde_json::json!({ "multipleOf": step })),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            (
                prop::collection::btree_map("[a-c]", inner.clone(), 0..3),
                prop::sample::subsequence(vec!["a", "b", "c"], 0..2),
                any::<bool>(),
            )
                .prop_map(|(properties, required, open)| {
                    let mut schema =
                        serde_json::json!({ "properties": properties, "required": required });
                    if !open {
                        schema["additionalProperties"] = Value::Bool(false);
                    }
                    schema
                }),
            (inner.clone(), 0_u64..3)
                .prop_map(|(items, max)| serde_json::json!({ "items": items, "maxItems": max })),
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|of| serde_json::json!({ "anyOf": of })),
            prop::collection::vec(inner, 1..3).prop_map(|of| serde_json::json!({ "allOf": of })),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn an_inferred_schema_accepts_what_it_was_inferred_from(
        documents in proptest::collection::vec(proptest::collection::btree_map("[a-e]", json(), 0..5), 1..4),
    ) {
        let documents: Vec<EffectiveDocument> = documents.iter().map(effective).collect();
        let text = infer(&documents).to_string();
        let document = Arc::new(SchemaDocument::parse(&text).unwrap());
        let schema = CompiledSchema::alone(&path("/schemas/a"), &document).unwrap();
        for document in &documents {
            proptest::prop_assert!(schema.accepts(document.value()), "{} {}", text, document.value());
        }
    }

    #[test]
    fn what_is_said_to_widen_rejects_nothing_that_was_accepted(
        old in schema(),
        new in schema(),
        values in proptest::collection::vec(json(), 1..20),
    ) {
        let read = |json: &Value| Arc::new(SchemaDocument::parse(&json.to_string()).unwrap());
        let (old, new) = (read(&old), read(&new));
        let change = compare(&path("/schemas/a"), &old, &new);
        let compiled = |document| CompiledSchema::alone(&path("/schemas/a"), document).unwrap();
        let (before, after) = (compiled(&old), compiled(&new));
        for value in &values {
            let (was, is) = (before.accepts(value), after.accepts(value));
            match change.whole {
                Direction::Same => proptest::prop_assert_eq!(was, is),
                Direction::Widens => proptest::prop_assert!(is || !was, "{}", value),
                Direction::Narrows => proptest::prop_assert!(was || !is, "{}", value),
                Direction::Both | Direction::Unknown => {}
            }
        }
    }
}

#[test]
fn a_change_is_told_place_by_place() {
    let compared = |old: &str, new: &str| {
        let read = |text: &str| SchemaDocument::parse(text).unwrap();
        let change = compare(&path("/schemas/a"), &read(old), &read(new));
        let mut text = format!("as a whole: {}\n", change.whole.name());
        for (pointer, direction) in change.places {
            writeln!(text, "{} {pointer}", direction.name()).unwrap();
        }
        text
    };
    let old = r##"{"properties": {"a": {"type": "integer", "maximum": 10}, "b": {"type": "string"}, "c": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"maxLength": 3}}}"##;
    assert_snapshot!(compared(old, &old.replace("10", "20")), @"
    as a whole: widens
    widens /properties/a
    ");
    assert_snapshot!(compared(old, &old.replace("10", "5").replace("\"string\"", "[\"string\", \"null\"]")), @"
    as a whole: both
    narrows /properties/a
    widens /properties/b
    ");
    assert_snapshot!(compared(old, &old.replace("\"maxLength\": 3", "\"maxLength\": 2")), @"
    as a whole: narrows
    narrows /$defs/x
    ");
    assert_snapshot!(compared(old, &old.replacen('{', "{\"title\": \"words\", ", 1)), @"
    as a whole: same
    same
    ");
    assert_snapshot!(compared(old, &old.replacen('{', "{\"required\": [\"a\"], ", 1)), @"
    as a whole: narrows
    narrows
    ");
}
