use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

#[must_use]
fn problems(text: impl AsRef<[u8]>) -> String {
    let problems = Json::parse(text.as_ref()).expect_err("the text should be refused");
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn what_stops_the_reader_says_where_and_why() {
    let bad = [
        "",
        "  ",
        "{",
        "[",
        "[1",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1 2]",
        "{\"a\" 1}",
        "{a: 1}",
        "{,}",
        "[,1]",
        "'a'",
        "\"a",
        "\"a\\",
        "{\"a\": \"b\n\"}",
        "1 2",
        "{} x",
        "[1}",
        "\u{a0}1",
        "{1: 2}",
        "*",
    ];
    let report: Vec<String> = bad
        .iter()
        .map(|text| format!("{text:<12?} {}", problems(text)))
        .collect();
    assert_snapshot!(report.join("\n"), @r#"
    "" there is no JSON value
    "  " line 1, column 3: there is no JSON value
    "{" line 1, column 2: expected a name in double quotes
    "[" line 1, column 2 (at `/0`): expected a value, found the end of the text
    "[1" line 1, column 3: expected `,` or `]`, found the end of the text
    "{\"a\"" line 1, column 5: expected `:` after the name `a`
    "{\"a\":" line 1, column 6 (at `/a`): expected a value, found the end of the text
    "{\"a\":1" line 1, column 7: expected `,` or `}`, found the end of the text
    "[1 2]" line 1, column 4: expected `,` or `]`, found `2`
    "{\"a\" 1}" line 1, column 6: expected `:` after the name `a`
    "{a: 1}" line 1, column 2: expected a name in double quotes
    "{,}" line 1, column 2: expected a name in double quotes
    "[,1]" line 1, column 2 (at `/0`): expected a value, found `,`
    "'a'" a string needs double quotes
    "\"a" the string that starts here is never closed
    "\"a\\" line 1, column 3: the text ends inside an escape
    "{\"a\": \"b\n\"}" line 1, column 9 (at `/a`): the line ends inside a string; close it, or write the line break as `\n`
    "1 2" line 1, column 3: there is text after the end of the JSON value
    "{} x" line 1, column 4: there is text after the end of the JSON value
    "[1}" line 1, column 3: expected `,` or `]`, found `}`
    "\u{a0}1" expected a value, found `\u{a0}`
    "{1: 2}" line 1, column 2: expected a name in double quotes
    "*" expected a value, found `*`
    "#);
}

#[test]
fn what_does_not_stop_the_reader_is_all_reported() {
    let text = "\u{feff}{\n  // a comment\n  \"a\": 01,\n  \"b\": [NaN, .5, True],\n  \"a\": \"\\x \\ud800 \u{1} \\u12\",\n  \"\\u0061\": 1e400, /* one more */\n}";
    assert_snapshot!(problems(text), @r#"
    a byte order mark is not part of JSON; save the text without it
    line 2, column 3: comments are not part of JSON
    line 3, column 8 (at `/a`): `01` has a leading zero; leave it out
    line 4, column 9 (at `/b/0`): `NaN` is not a JSON value; text needs double quotes, the only words are true, false and null
    line 4, column 14 (at `/b/1`): `.5` needs a digit before the point
    line 4, column 18 (at `/b/2`): `True` is not a JSON value; text needs double quotes, the only words are true, false and null
    line 5, column 3 (at `/a`): key `a` is there already, at line 3, column 3
    line 5, column 9 (at `/a`): `\x` is not an escape JSON has
    line 5, column 12 (at `/a`): `\ud800` is half of a surrogate pair without the other half
    line 5, column 19 (at `/a`): a control character inside a string is written `\u0001`
    line 5, column 21 (at `/a`): `\u` needs four hex digits
    line 6, column 3 (at `/a`): key `a` is there already, at line 5, column 3
    line 6, column 13 (at `/a`): `1e400` is beyond what a double can hold, about 1.8e308
    line 6, column 18: there is a comma before `}`; remove it
    line 6, column 20: comments are not part of JSON
    "#);
}

#[test]
fn duplicate_keys_are_found_after_unescaping_at_every_depth() {
    let text = r#"{"x": {"é": 1, "\u00e9": 2}, "y": [{"k": 1, "k": 2, "k": 3}], "x": null}"#;
    assert_snapshot!(problems(text), @"
    line 1, column 16 (at `/x/é`): key `é` is there already, at line 1, column 8
    line 1, column 45 (at `/y/0/k`): key `k` is there already, at line 1, column 37
    line 1, column 53 (at `/y/0/k`): key `k` is there already, at line 1, column 45
    line 1, column 63 (at `/x`): key `x` is there already, at line 1, column 2
    ");
}

#[test]
fn surrogates_must_come_in_pairs() {
    assert_eq!(
        Json::parse(br#""\ud83d\ude00""#),
        Ok(Json::String("😀".to_owned()))
    );
    let text = r#"["\ud83d", "\ude00", "\ud83d\ud83d", "\ud83dx", "\ud83d\n", "\ude00\ud83d"]"#;
    assert_snapshot!(problems(text), @r#"
    line 1, column 3 (at `/0`): `\ud83d` is half of a surrogate pair without the other half
    line 1, column 13 (at `/1`): `\ude00` is half of a surrogate pair without the other half
    line 1, column 23 (at `/2`): `\ud83d` is half of a surrogate pair without the other half
    line 1, column 29 (at `/2`): `\ud83d` is half of a surrogate pair without the other half
    line 1, column 39 (at `/3`): `\ud83d` is half of a surrogate pair without the other half
    line 1, column 50 (at `/4`): `\ud83d` is half of a surrogate pair without the other half
    line 1, column 62 (at `/5`): `\ude00` is half of a surrogate pair without the other half
    line 1, column 68 (at `/5`): `\ud83d` is half of a surrogate pair without the other half
    "#);
}

#[test]
fn bytes_that_are_not_utf8_have_a_place() {
    assert_snapshot!(problems(b"{\n \"\xc3\xa9\": \"\xff\"}"), @"line 2, column 8: byte 0xff is not UTF-8");
}

#[test]
fn depth_is_limited_whatever_the_text() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
    assert_snapshot!(problems(nested(JSON_DEPTH_MAX + 1)).split_once(": ").unwrap().1, @"objects and arrays are nested more than 64 deep");
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        assert!(problems(open.repeat(1_000_000)).contains("more than 64 deep"));
    }
}

#[test]
fn the_number_of_problems_is_limited() {
    let text = format!("[{}]", vec!["01"; 1000].join(","));
    assert_eq!(
        Json::parse(text.as_bytes()).unwrap_err().len(),
        PROBLEMS_MAX
    );
}

#[test]
fn every_kind_of_value_is_read() {
    let text = " { \"s\" : \"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\" , \"n\" : [ -0 , 1.50e+3 ] ,\r\n\t\"w\":[true,false,null],\"e\":{},\"f\":[] } ";
    assert_snapshot!(Json::parse(text.as_bytes()).unwrap().to_pretty(), @r#"
    {
      "s": "a\"\\/\u0008\u000c\n\r\té",
      "n": [
        -0,
        1.50e+3
      ],
      "w": [
        true,
        false,
        null
      ],
      "e": {},
      "f": []
    }
    "#);
}

#[test]
fn pointers_find_values_and_their_place() {
    let text = r#"{"a": {"b/c": [10, {"~": "x"}]}}"#;
    let document = Document::parse(text.as_bytes()).unwrap();
    let json = document.to_json();
    for (pointer, expected) in [
        ("", Some(text)),
        ("/a/b~1c/0", Some("10")),
        ("/a/b~1c/1/~0", Some("\"x\"")),
        ("/a/b~1c/01", None),
        ("/a/b~1c/2", None),
        ("/a/b", None),
        ("/a/b~1c/0/x", None),
    ] {
        let pointer: Pointer = pointer.parse().unwrap();
        let found = document.locate(&pointer).map(|span| &text[span]);
        assert_eq!(found, expected, "{pointer}");
        let by_value = json.at(&pointer).map(Json::to_compact);
        let expected = expected.map(|text| Json::parse(text.as_bytes()).unwrap().to_compact());
        assert_eq!(by_value, expected, "{pointer}");
    }
}

#[test]
fn the_semantic_bytes_have_a_fixed_form() {
    let json = Json::parse(br#"{"b":[1.0,-12.50,true,false,null],"a":"x"}"#).unwrap();
    let text = semantic_bytes(&json).escape_ascii().to_string();
    assert_snapshot!(text, @r#"o\x02\x00\x00\x00\x01\x00\x00\x00as\x01\x00\x00\x00x\x01\x00\x00\x00ba\x05\x00\x00\x00d\x01\x00\x00\x001d\x07\x00\x00\x00-125e-1tfn"#);
}

#[test]
fn meaning_ignores_order_and_spelling_and_nothing_else() {
    let same = |a: &str, b: &str| {
        Json::parse(a.as_bytes())
            .unwrap()
            .same_meaning(&Json::parse(b.as_bytes()).unwrap())
    };
    assert!(same(
        r#"{"a":1,"b":[2]}"#,
        "{ \"b\": [2.0], \"\\u0061\": 1e0 }"
    ));
    assert!(!same("[1,2]", "[2,1]"));
    assert!(!same(r#"{"a":null}"#, "{}"));
    assert!(!same(r#"["1"]"#, "[1]"));
    assert!(!same("9007199254740993", "9007199254740992"));
    assert!(!same(r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#));
}

/// Writes `json` in another way: members reversed, other spellings and spaces.
fn respelled(json: &Json) -> String {
    match json {
        Json::Null | Json::Bool(_) => json.to_compact(),
        Json::Number(number) => match number.as_str().contains(['.', 'e', 'E']) {
            true => number.to_string(),
            false => format!("{number}.00E+0"),
        },
        Json::String(text) => {
            let mut units = [0; 2];
            let escape = |unit: &mut u16| format!("\\u{unit:04X}");
            let escaped: String = text
                .chars()
                .flat_map(|c| {
                    c.encode_utf16(&mut units)
                        .iter_mut()
                        .map(escape)
                        .collect::<Vec<_>>()
                })
                .collect();
            format!("\"{escaped}\"")
        }
        Json::Array(items) => {
            format!(
                "[ {} ]",
                items
                    .iter()
                    .map(respelled)
                    .collect::<Vec<_>>()
                    .join("\t,\n")
            )
        }
        Json::Object(members) => {
            let member =
                |(name, value): &(String, Json)| format!("{} : {}", quote(name), respelled(value));
            format!(
                "{{ {} }}",
                members
                    .iter()
                    .rev()
                    .map(member)
                    .collect::<Vec<_>>()
                    .join(" , ")
            )
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(json in arbitrary::json()) {
        prop_assert_eq!(Json::parse(json.to_compact().as_bytes()), Ok(json.clone()));
        prop_assert_eq!(Json::parse(json.to_pretty().as_bytes()), Ok(json));
    }

    #[test]
    fn another_spelling_has_the_same_semantic_bytes(json in arbitrary::json()) {
        let other = Json::parse(respelled(&json).as_bytes()).unwrap();
        prop_assert!(json.same_meaning(&other));
    }

    #[test]
    fn any_bytes_are_read_or_refused_with_a_place_inside(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(problems) = Json::parse(&bytes) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.offset <= bytes.len()));
        }
    }

    #[test]
    fn the_reader_agrees_with_another_one(text in "[\\[\\]{}:,\" 0-2tn.eE\\\\u-]{0,12}") {
        // The other reader is laxer: it takes duplicate keys and any size of exponent.
        if Json::parse(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        } else if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            let number = text.contains(['e', 'E']);
            let lost_members = value.to_string().matches(':').count() != text.matches(':').count();
            prop_assert!(number || lost_members, "{text}");
        }
    }

    #[test]
    fn quoted_text_reads_back(text in any::<String>()) {
        prop_assert_eq!(Json::parse(quote(&text).as_bytes()), Ok(Json::String(text)));
    }
}
