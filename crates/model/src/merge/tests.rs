use std::collections::BTreeMap;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::json::Json;

fn value(entry_type: EntryType, text: &str) -> Entry {
    Entry::of(Value::new(entry_type, text, &ValueLimits::default()).unwrap())
}

fn json(text: &str) -> Entry {
    value(EntryType::Json, text)
}

fn merged(base: Option<&Entry>, ours: Option<&Entry>, theirs: Option<&Entry>) -> MergeOutcome {
    merge(base, ours, theirs, &ValueLimits::default())
}

/// The outcome as text: the merged value, or where it collides.
#[must_use]
fn outcome(entry_type: EntryType, base: &str, ours: &str, theirs: &str) -> String {
    let [base, ours, theirs] = [base, ours, theirs].map(|text| value(entry_type, text));
    match merged(Some(&base), Some(&ours), Some(&theirs)) {
        MergeOutcome::Merged(Some(entry)) => entry.value().unwrap().as_str().unwrap().to_owned(),
        MergeOutcome::Merged(None) => "gone".to_owned(),
        MergeOutcome::Conflict(conflict) => {
            let at: Vec<String> = conflict.pointers.iter().map(ToString::to_string).collect();
            format!("conflict at {at:?}")
        }
    }
}

#[test]
fn changes_of_different_members_merge_into_our_text() {
    let base = "{\n    \"a\": 1,\n    \"b\": {\"c\": 2},\n    \"d\": [1, 2]\n}\n";
    let ours = "{\n    \"a\": 1.50,\n    \"b\": {\"c\": 2},\n    \"d\": [1, 2]\n}\n";
    let theirs =
        "{\n  \"x\": 0,\n  \"a\": 1,\n  \"b\": {\"c\": 3, \"n\": null},\n  \"e\": true\n}\n";
    assert_snapshot!(outcome(EntryType::Json, base, ours, theirs), @r#"
    {
        "x": 0,
        "a": 1.50,
        "b": {"c": 3, "n": null},
        "e": true
    }
    "#);
}

#[test]
fn the_spaces_between_members_stay_ours() {
    let report = [
        ("{\"a\":1}", "{\"a\":2}", "{\"a\":1,\"b\":1}"),
        (
            "{ \"a\": 1, \"b\": 1 }",
            "{ \"a\": 2, \"b\": 1 }",
            "{\"a\":1,\"b\":1,\"c\":1}",
        ),
        (
            "{ \"a\": 1, \"b\": 1 }",
            "{ \"a\": 1, \"b\": 2 }",
            "{\"b\":1}",
        ),
        ("{\"a\": 1}", "{}", "{\"a\": 1, \"b\": 2}"),
        ("{\"a\": 1, \"b\": 1}", "{\"b\": 1}", "{\"a\": 1}"),
        ("{\"a\": 1}", " {\n\t\"a\" : 1\n} ", "{\"a\": 2}"),
    ];
    let report = report.map(|(base, ours, theirs)| outcome(EntryType::Json, base, ours, theirs));
    assert_snapshot!(report.join("\n"), @r#"
    {"a":2,"b":1}
    { "a": 2, "b": 1, "c":1 }
    { "b": 2 }
    {"b": 2}
    {}
     {
    	"a" : 2
    }
    "#);
}

#[test]
fn collisions_are_named_by_path() {
    let report = [
        (
            r#"{"a": {"b": 1, "c": 1}, "d": 1}"#,
            r#"{"a": {"b": 2, "c": 2}, "d": 1}"#,
            r#"{"a": {"b": 3, "c": 3}, "d": 2}"#,
        ),
        (r#"{"a": 1}"#, r#"{"a": 2}"#, "{}"),
        (r#"{"a": 1}"#, "{}", r#"{"a": 2}"#),
        ("{}", r#"{"a": 1}"#, r#"{"a": 2}"#),
        ("[1]", "[2]", "[3]"),
        ("[1, 2]", "[1, 2, 3]", "[0, 1, 2]"),
        ("{}", "[]", r#"{"a": 2}"#),
    ];
    let report = report.map(|(base, ours, theirs)| outcome(EntryType::Json, base, ours, theirs));
    assert_snapshot!(report.join("\n"), @r#"
    conflict at ["/a/b", "/a/c"]
    conflict at ["/a"]
    conflict at ["/a"]
    conflict at ["/a"]
    conflict at [""]
    conflict at [""]
    conflict at [""]
    "#);
}

#[test]
fn items_with_an_identity_merge_one_by_one() {
    let base = r#"[{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#;
    let report = [
        (
            r#"[{"id": "a", "v": 2}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
            r#"[{"id": "b", "v": 1}, {"id": "c", "v": 2}]"#,
        ),
        (
            r#"[{"id": "b", "v": 3}, {"id": "c", "v": 1}]"#,
            r#"[{"id": "a", "v": 1}, {"id": "b", "v": 1, "w": 1}, {"id": "n"}, {"id": "c", "v": 1}]"#,
        ),
        (
            r#"[{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}, {"id": "x"}]"#,
            r#"[{"id": "y"}, {"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
        ),
        // Both add at one place, one moves an item, both add one identity at different places.
        (
            r#"[{"id": "x"}, {"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
            r#"[{"id": "y"}, {"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
        ),
        (
            r#"[{"id": "b", "v": 1}, {"id": "a", "v": 1}, {"id": "c", "v": 1}]"#,
            r#"[{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 2}]"#,
        ),
        (
            r#"[{"id": "x"}, {"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
            r#"[{"id": "a", "v": 1}, {"id": "x"}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]"#,
        ),
    ];
    let report = report.map(|(ours, theirs)| outcome(EntryType::Json, base, ours, theirs));
    assert_snapshot!(report.join("\n"), @r#"
    conflict at ["/0"]
    [{"id": "b", "v": 3, "w": 1}, {"id": "n"}, {"id": "c", "v": 1}]
    [{"id": "y"}, {"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}, {"id": "x"}]
    conflict at [""]
    conflict at [""]
    conflict at [""]
    "#);
}

#[test]
fn texts_merge_by_line() {
    let base = "a\nb\nc\nd\ne\n";
    let report = [
        ("A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE"),
        ("a\nb\nnew\nc\nd\ne\n", "a\nb\nc\nd\n"),
        ("a\nB\nc\nd\ne\n", "a\nb\nC\nd\ne\n"),
        ("A\nb\nc\nd\ne\n", "Á\nb\nc\nd\ne\n"),
        ("a\nb\nc\nd\ne\nx\n", "a\nb\nc\nd\ne\ny\n"),
        ("x\na\nb\nc\nd\ne\n", "a\nB\nc\nd\ne\n"),
    ];
    let report = report.map(|(ours, theirs)| {
        outcome(EntryType::String, base, ours, theirs)
            .escape_debug()
            .to_string()
    });
    assert_snapshot!(report.join("\n"), @r#"
    A\nb\nc\nd\nE
    a\nb\nnew\nc\nd\n
    conflict at []
    conflict at []
    conflict at []
    x\na\nB\nc\nd\ne\n
    "#);
}

#[test]
fn values_without_parts_collide_unless_one_is_only_spelt_differently() {
    let report = [
        outcome(EntryType::Number, "1", "2", "3"),
        outcome(EntryType::Number, "1", "1.0", "3"),
        outcome(EntryType::Number, "1", "3", "1.0"),
        outcome(EntryType::Number, "1", "2", "2.0"),
        outcome(EntryType::SecretRef, "env://A", "env://B", "env://C"),
        outcome(EntryType::String, "a", "b", "c"),
    ];
    assert_snapshot!(report.join("\n"), @"
    conflict at []
    3
    3
    2
    conflict at []
    conflict at []
    ");
}

#[test]
fn an_entry_changed_here_and_gone_there_is_a_conflict() {
    let [one, two, three] = ["1", "2", "3"].map(|text| value(EntryType::Number, text));
    let unset = Entry::unset();
    let conflicts =
        |base, ours, theirs| matches!(merged(base, ours, theirs), MergeOutcome::Conflict(_));
    assert!(conflicts(Some(&one), Some(&two), None));
    assert!(conflicts(Some(&one), None, Some(&two)));
    assert!(conflicts(None, Some(&one), Some(&two)));
    assert!(conflicts(Some(&one), Some(&unset), Some(&two)));
    assert!(conflicts(Some(&one), Some(&unset), None));
    assert!(conflicts(Some(&one), Some(&two), Some(&three)));
    assert!(!conflicts(Some(&one), None, Some(&one)));
    assert!(!conflicts(None, Some(&two), Some(&two)));
}

#[test]
fn what_is_said_about_an_entry_merges_apart_from_its_value() {
    let entry = |text: &str, description: &str, tags: &[&str]| {
        let details = Details {
            description: description.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            media_type: None,
        };
        let (value, _) = value(EntryType::Number, text).into_parts();
        Entry::new(value, details).unwrap()
    };
    let base = entry("1", "old", &["a", "b"]);
    let ours = entry("2", "old", &["a", "c"]);
    let theirs = entry("1", "new", &["a", "b", "d"]);
    let expected = entry("2", "new", &["a", "c", "d"]);
    let outcome = merged(Some(&base), Some(&ours), Some(&theirs));
    assert_eq!(outcome, MergeOutcome::Merged(Some(expected)));
    let other = entry("1", "newer", &["a", "b"]);
    let outcome = merged(Some(&base), Some(&theirs), Some(&other));
    assert!(
        matches!(outcome, MergeOutcome::Conflict(_)),
        "both changed the description"
    );
}

#[test]
fn a_merged_value_beyond_the_limit_is_a_conflict() {
    let limits = ValueLimits {
        value_bytes_max: 20,
        ..ValueLimits::default()
    };
    let [base, ours, theirs] = ["{}", "{\"a\": \"12345678\"}", "{\"b\": \"12345678\"}"].map(json);
    let outcome = merge(Some(&base), Some(&ours), Some(&theirs), &limits);
    assert!(matches!(outcome, MergeOutcome::Conflict(_)));
    let outcome = merge(
        Some(&base),
        Some(&ours),
        Some(&theirs),
        &ValueLimits::default(),
    );
    assert!(matches!(outcome, MergeOutcome::Merged(Some(_))));
}

#[test]
fn tags_beyond_the_limit_together_are_a_conflict() {
    let tagged = |prefix: &str| {
        let tags = (0..20).map(|index| format!("{prefix}{index}")).collect();
        let (value, _) = value(EntryType::Boolean, "true").into_parts();
        Entry::new(
            value,
            Details {
                tags,
                ..Details::default()
            },
        )
        .unwrap()
    };
    let base = value(EntryType::Boolean, "true");
    let outcome = merged(Some(&base), Some(&tagged("a")), Some(&tagged("b")));
    assert!(matches!(outcome, MergeOutcome::Conflict(_)));
}

/// What an object should merge to: a merge by name that knows nothing of text.
fn reference(base: &Json, ours: &Json, theirs: &Json) -> Option<Json> {
    if theirs.same_meaning(base) || theirs.same_meaning(ours) {
        return Some(ours.clone());
    }
    if ours.same_meaning(base) {
        return Some(theirs.clone());
    }
    let (Json::Object(_), Json::Object(our_members), Json::Object(their_members)) =
        (base, ours, theirs)
    else {
        return None;
    };
    let names: BTreeSet<&String> = our_members
        .iter()
        .chain(their_members)
        .map(|(name, _)| name)
        .collect();
    let mut members = Vec::new();
    let same = |a: Option<&Json>, b: Option<&Json>| match (a, b) {
        (Some(a), Some(b)) => a.same_meaning(b),
        (None, None) => true,
        _ => false,
    };
    for name in names {
        let (base, ours, theirs) = (base.get(name), ours.get(name), theirs.get(name));
        let merged = match (base, ours, theirs) {
            _ if same(base, theirs) || same(ours, theirs) => ours.cloned(),
            _ if same(base, ours) => theirs.cloned(),
            (Some(base), Some(ours), Some(theirs)) => Some(reference(base, ours, theirs)?),
            _ => return None,
        };
        members.extend(merged.map(|merged| (name.clone(), merged)));
    }
    Some(Json::Object(members))
}

/// An object of objects as `outer/inner -> token`, and how it is written.
type Flat = BTreeMap<(String, String), u8>;

fn nested(flat: &Flat, pretty: bool) -> Json {
    let mut outer: BTreeMap<&str, Vec<(String, Json)>> = BTreeMap::new();
    for ((name, inner), token) in flat {
        let token = if pretty {
            format!("{token}.0")
        } else {
            token.to_string()
        };
        let json = Json::parse(token.as_bytes()).unwrap();
        outer.entry(name).or_default().push((inner.clone(), json));
    }
    let member = |(name, members): (&str, Vec<_>)| (name.to_owned(), Json::Object(members));
    Json::Object(outer.into_iter().map(member).collect())
}

fn written(flat: &Flat, pretty: bool) -> Entry {
    let tree = nested(flat, pretty);
    json(&if pretty {
        tree.to_pretty()
    } else {
        tree.to_compact()
    })
}

fn flat() -> impl Strategy<Value = Flat> {
    prop::collection::btree_map(("[a-c]", "[x-z]"), 0_u8..4, 0..7)
}

/// A base and two sides that each changed a few places of it, written one way or another.
fn three_objects() -> impl Strategy<Value = [Entry; 3]> {
    let edits = || prop::collection::vec((("[a-c]", "[x-z]"), prop::option::of(0_u8..4)), 0..4);
    (flat(), edits(), edits(), any::<[bool; 3]>()).prop_map(|(base, ours, theirs, pretty)| {
        let edited = |edits: Vec<((String, String), Option<u8>)>| {
            let mut flat = base.clone();
            for (place, token) in edits {
                match token {
                    Some(token) => flat.insert(place, token),
                    None => flat.remove(&place),
                };
            }
            flat
        };
        let sides = [base.clone(), edited(ours), edited(theirs)];
        let written = sides
            .iter()
            .zip(pretty)
            .map(|(flat, pretty)| written(flat, pretty));
        written.collect::<Vec<_>>().try_into().unwrap()
    })
}

/// Arrays whose items have an identity, with items added, removed, changed and sometimes moved.
fn three_lists() -> impl Strategy<Value = [Entry; 3]> {
    let item = ("[a-f]", 0..2);
    let list = prop::collection::vec(item, 0..5).prop_map(|items| {
        let mut seen = BTreeSet::new();
        let items = items.into_iter().filter(|(id, _)| seen.insert(id.clone()));
        let items: Vec<String> = items
            .map(|(id, v)| format!("{{\"id\": \"{id}\", \"v\": {v}}}"))
            .collect();
        json(&format!("[{}]", items.join(", ")))
    });
    [list.clone(), list.clone(), list]
}

fn tree(entry: &Entry) -> Json {
    entry.value().unwrap().as_json().unwrap()
}

/// The laws that hold for any three entries.
fn check_laws(base: &Entry, ours: &Entry, theirs: &Entry) -> Result<(), TestCaseError> {
    let took = |entry: &Entry| MergeOutcome::Merged(Some(entry.clone()));
    prop_assert_eq!(merged(Some(base), Some(ours), Some(base)), took(ours));
    prop_assert_eq!(merged(Some(base), Some(base), Some(theirs)), took(theirs));
    prop_assert_eq!(merged(Some(base), Some(ours), Some(ours)), took(ours));
    let there = merged(Some(base), Some(ours), Some(theirs));
    let back = merged(Some(base), Some(theirs), Some(ours));
    match (&there, &back) {
        (MergeOutcome::Merged(Some(there)), MergeOutcome::Merged(Some(back))) => {
            let same = there.value().unwrap().same_meaning(back.value().unwrap());
            prop_assert!(same, "{:?} and {:?}", tree(there), tree(back));
            // Merging the result again changes nothing.
            let again = merged(Some(base), Some(there), Some(theirs));
            if let MergeOutcome::Merged(Some(again)) = again {
                prop_assert!(again.value().unwrap().same_meaning(there.value().unwrap()));
            }
        }
        (MergeOutcome::Conflict(_), MergeOutcome::Conflict(_)) => {}
        _ => prop_assert!(false, "{there:?} one way, {back:?} the other"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn objects_merge_by_the_laws_and_as_the_reference_does([base, ours, theirs] in three_objects()) {
        check_laws(&base, &ours, &theirs)?;
        let expected = reference(&tree(&base), &tree(&ours), &tree(&theirs));
        match (merged(Some(&base), Some(&ours), Some(&theirs)), expected) {
            (MergeOutcome::Merged(Some(merged)), Some(expected)) => {
                prop_assert!(tree(&merged).same_meaning(&expected), "{:?}", tree(&merged));
            }
            (MergeOutcome::Conflict(conflict), None) => prop_assert!(!conflict.pointers.is_empty()),
            (outcome, expected) => prop_assert!(false, "{outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn any_objects_merge_by_the_laws(
        base in crate::json::arbitrary::object(),
        ours in crate::json::arbitrary::object(),
        theirs in crate::json::arbitrary::object(),
    ) {
        let [base, ours, theirs] = [base, ours, theirs].map(|tree| json(&tree.to_pretty()));
        check_laws(&base, &ours, &theirs)?;
    }

    #[test]
    fn lists_merge_by_the_laws([base, ours, theirs] in three_lists()) {
        check_laws(&base, &ours, &theirs)?;
    }

    #[test]
    fn texts_merge_by_the_laws(texts in prop::array::uniform3("([a-d]\n){0,8}[ab]?")) {
        let [base, ours, theirs] = texts.map(|text| value(EntryType::String, &text));
        let took = |entry: &Entry| MergeOutcome::Merged(Some(entry.clone()));
        prop_assert_eq!(merged(Some(&base), Some(&ours), Some(&base)), took(&ours));
        prop_assert_eq!(merged(Some(&base), Some(&base), Some(&theirs)), took(&theirs));
        let there = merged(Some(&base), Some(&ours), Some(&theirs));
        let back = merged(Some(&base), Some(&theirs), Some(&ours));
        if let MergeOutcome::Merged(_) = there {
            prop_assert_eq!(there, back);
        } else {
            prop_assert!(matches!(back, MergeOutcome::Conflict(_)));
        }
    }

    #[test]
    fn changes_of_lines_that_are_apart_both_survive(lines in 3_usize..20, seed in any::<(usize, usize)>()) {
        let (first, second) = (seed.0 % lines, seed.1 % lines);
        prop_assume!(first.abs_diff(second) > 1);
        let text = |changed: &[usize]| {
            let line = |line: usize| match changed.contains(&line) {
                true => format!("changed {line}\n"),
                false => format!("line {line}\n"),
            };
            (0..lines).map(line).collect::<String>()
        };
        let found = outcome(EntryType::String, &text(&[]), &text(&[first]), &text(&[second]));
        prop_assert_eq!(found, text(&[first, second]));
    }
}
