use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::entry::{Details, EntryValue};
use crate::json::arbitrary;
use crate::value::{Value, ValueLimits};

fn value(entry_type: EntryType, text: &str) -> Value {
    Value::new(entry_type, text, &ValueLimits::default()).unwrap()
}

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

#[must_use]
fn changes(old: &str, new: &str) -> String {
    let show = |json: &Option<Json>| json.as_ref().map_or("nothing".to_owned(), Json::to_compact);
    let line = |change: &JsonChange| {
        format!(
            "{}: {} -> {}",
            change.pointer,
            show(&change.old),
            show(&change.new)
        )
    };
    json_changes(&parse(old), &parse(new))
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[must_use]
fn difference(old: Option<&Entry>, new: Option<&Entry>) -> String {
    match EntryDiff::between(&"k".parse().unwrap(), old, new) {
        None => "no difference".to_owned(),
        Some(diff) => format!(
            "{:?}, value {:?}, {:?}",
            diff.kind, diff.value, diff.details
        ),
    }
}

#[test]
fn objects_differ_by_member() {
    assert_snapshot!(changes(
        r#"{"same": 1, "gone": 2, "a/b": {"deep": [1], "kept": true}, "kind": 1}"#,
        r#"{"new": null, "a/b": {"kept": true, "deep": [2]}, "kind": "1", "same": 1.0}"#,
    ), @r#"
    /gone: 2 -> nothing
    /a~1b/deep/0: 1 -> 2
    /kind: 1 -> "1"
    /new: nothing -> null
    "#);
}

#[test]
fn arrays_differ_by_what_they_do_not_share() {
    let report = [
        changes("[1,2,3]", "[1,3]"),
        changes("[1,3]", "[1,2,3,4]"),
        changes("[1,{\"a\":1,\"b\":2},3]", "[1,{\"a\":1,\"b\":3},3]"),
        changes("[1,2]", "[2,1]"),
        changes("[]", "[[]]"),
        changes("[1]", "{}"),
    ];
    assert_snapshot!(report.join("\n--\n"), @"
    /1: 2 -> nothing
    --
    /1: nothing -> 2
    /3: nothing -> 4
    --
    /1/b: 2 -> 3
    --
    /0: nothing -> 2
    /1: 2 -> nothing
    --
    /0: nothing -> []
    --
    : [1] -> {}
    ");
}

#[test]
fn items_with_an_identity_are_followed() {
    let report = [
        changes(
            r#"[{"name": "a", "port": 1}, {"name": "b", "port": 2}]"#,
            r#"[{"name": "z", "port": 9}, {"name": "a", "port": 1}, {"name": "b", "port": 3}]"#,
        ),
        changes(r#"[{"id": 1, "x": 1}]"#, r#"[{"id": 1.0, "x": 2}]"#),
        changes(r#"[{"id": 1}, {"id": 2}]"#, r#"[{"id": 2}, {"id": 1}]"#),
        // The same identity twice is none.
        changes(
            r#"[{"id": 1, "x": 1}, {"id": 1, "x": 2}]"#,
            r#"[{"id": 1, "x": 1}, {"id": 1, "x": 3}]"#,
        ),
    ];
    assert_snapshot!(report.join("\n--\n"), @r#"
    /0: nothing -> {"name":"z","port":9}
    /2/port: 2 -> 3
    --
    /0/x: 1 -> 2
    --
    /0: nothing -> {"id":2}
    /1: {"id":2} -> nothing
    --
    /1/x: 2 -> 3
    "#);
}

#[test]
fn entries_differ_as_a_whole_or_in_parts() {
    let number = |text| Entry::of(value(EntryType::Number, text));
    let text = |text| Entry::of(value(EntryType::String, text));
    let json = |text| Entry::of(value(EntryType::Json, text));
    let report = [
        difference(None, None),
        difference(None, Some(&number("1"))),
        difference(Some(&number("1")), None),
        difference(Some(&number("1")), Some(&number("1"))),
        difference(Some(&number("1")), Some(&number("1.0"))),
        difference(Some(&number("1")), Some(&number("2"))),
        difference(Some(&number("1")), Some(&text("1"))),
        difference(Some(&number("1")), Some(&Entry::unset())),
        difference(Some(&text("a")), Some(&text("b"))),
        difference(
            Some(&json("{\"a\":1,\"b\":2}")),
            Some(&json("{\"b\":2, \"a\":1}")),
        ),
    ];
    assert_snapshot!(report.join("\n"), @"
    no difference
    Added, value Same, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    Removed, value Same, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    no difference
    FormatOnly, value FormatOnly, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    Changed, value Replaced, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    Changed, value Replaced, DetailsDiff { entry_type: Some((Number, String)), description: None, tags_added: {}, tags_removed: {}, media_type: None }
    Changed, value Replaced, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    Changed, value Replaced, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    FormatOnly, value FormatOnly, DetailsDiff { entry_type: None, description: None, tags_added: {}, tags_removed: {}, media_type: None }
    ");
}

#[test]
fn what_is_said_about_an_entry_differs_apart_from_its_value() {
    let entry = |text: &str, description: &str, tags: &[&str], media_type: Option<&str>| {
        let details = Details {
            description: description.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            media_type: media_type.map(str::to_owned),
        };
        Entry::new(EntryValue::Value(value(EntryType::Number, text)), details).unwrap()
    };
    let old = entry("1", "old", &["a", "b"], None);
    let new = entry("1.0", "new", &["b", "c"], Some("text/plain"));
    assert_snapshot!(difference(Some(&old), Some(&new)), @r#"Changed, value FormatOnly, DetailsDiff { entry_type: None, description: Some(("old", "new")), tags_added: {"c"}, tags_removed: {"a"}, media_type: Some((None, Some("text/plain"))) }"#);
}

#[must_use]
fn hunks(old: &str, new: &str) -> String {
    let mut out = String::new();
    for hunk in text_hunks(old, new) {
        out.push_str(&format!("@ {} {}\n", hunk.old_start, hunk.new_start));
        for line in hunk.lines {
            let mark = match line.side {
                Side::Both => ' ',
                Side::Old => '-',
                Side::New => '+',
            };
            out.push_str(&format!("{mark}{}\n", line.text.escape_debug()));
        }
    }
    out
}

#[test]
fn texts_differ_by_line_with_their_neighbours() {
    let old: String = (1..=20).map(|line| format!("line {line}\n")).collect();
    let new = old
        .replace("line 5\n", "five\n")
        .replace("line 20\n", "line 20");
    assert_snapshot!(hunks(&old, &new), @r#"
    @ 2 2
     line 2\n
     line 3\n
     line 4\n
    -line 5\n
    +five\n
     line 6\n
     line 7\n
     line 8\n
    @ 17 17
     line 17\n
     line 18\n
     line 19\n
    -line 20\n
    +line 20
    "#);
}

/// Puts together the side of the hunks that is not `without`, and the lines between them.
fn side_of(hunks: &[TextHunk], whole: &str, without: Side) -> String {
    let whole: Vec<&str> = text::lines(whole);
    let mut out = String::new();
    let mut next = 0;
    for hunk in hunks {
        let start = if without == Side::New {
            hunk.old_start
        } else {
            hunk.new_start
        } - 1;
        out.extend(whole[next..start].iter().copied());
        let lines: Vec<&TextLine> = hunk
            .lines
            .iter()
            .filter(|line| line.side != without)
            .collect();
        out.extend(lines.iter().map(|line| line.text.as_str()));
        next = start + lines.len();
    }
    out.extend(whole[next..].iter().copied());
    out
}

#[test]
fn long_texts_without_a_common_line_are_compared_in_time() {
    let text = |word: &str| {
        (0..50_000)
            .map(|line| format!("{word} {line}\n"))
            .collect::<String>()
    };
    assert_eq!(text_hunks(&text("old"), &text("new")).len(), 1);
}

proptest! {
    #[test]
    fn nothing_differs_exactly_where_the_meaning_is_the_same(a in arbitrary::json(), b in arbitrary::json()) {
        prop_assert_eq!(json_changes(&a, &b).is_empty(), a.same_meaning(&b));
        prop_assert!(json_changes(&a, &a).is_empty());
    }

    #[test]
    fn changes_quote_what_stands_at_their_place(old in arbitrary::object(), new in arbitrary::object()) {
        for change in json_changes(&old, &new) {
            prop_assert!(change.old.is_some() || change.new.is_some());
            match &change.new {
                Some(there) => prop_assert_eq!(new.at(&change.pointer), Some(there)),
                None => prop_assert_eq!(old.at(&change.pointer), change.old.as_ref()),
            }
        }
    }

    #[test]
    fn hunks_hold_both_texts(old in "([abc]{0,1}\n){0,20}[ab]?", new in "([abc]{0,1}\n){0,20}[ab]?") {
        let hunks = text_hunks(&old, &new);
        prop_assert_eq!(hunks.is_empty(), old == new);
        prop_assert_eq!(side_of(&hunks, &old, Side::New), old);
        prop_assert_eq!(side_of(&hunks, &new, Side::Old), new);
    }
}
