//! A person's first hour: namespaces, values of all six types, drafts, publishing, history, going
//! back, and a working copy; with the real program and a real server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use confman_tests::{Person, Server, started};
use serde_json::json;

#[test]
fn a_value_is_drafted_published_read_and_rolled_back() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&[
        "ns",
        "create",
        "/teams/payments",
        "--owner",
        "payments@example.org",
    ]);
    admin.does(&[
        "set",
        "/teams/payments:stripe/api-version",
        "2024-06-20",
        "--type",
        "string",
        "-m",
        "first",
    ]);
    let unpublished = admin.runs(&["get", "/teams/payments:stripe/api-version"]);
    assert_eq!(unpublished.code, 3, "{}", unpublished.stderr);
    admin.does(&["publish", "/teams/payments"]);
    assert_eq!(
        admin.does(&["get", "/teams/payments:stripe/api-version"]),
        "2024-06-20"
    );

    let first = commit_of(&admin, "/teams/payments");
    admin.does(&[
        "set",
        "/teams/payments:stripe/api-version",
        "2025-01-01",
        "--publish",
        "-m",
        "new API",
    ]);
    assert_eq!(
        admin.does(&["get", "/teams/payments:stripe/api-version"]),
        "2025-01-01"
    );
    assert_eq!(
        admin.does(&["get", "/teams/payments@published~1:stripe/api-version"]),
        "2024-06-20"
    );

    let second = commit_of(&admin, "/teams/payments");
    assert_ne!(first["tree"], second["tree"]);
    admin.does(&[
        "rollback",
        "/teams/payments",
        "--to",
        "published~1",
        "--yes",
    ]);
    assert_eq!(commit_of(&admin, "/teams/payments")["tree"], first["tree"]);
    admin.does(&[
        "rollback",
        "/teams/payments",
        "--to",
        "published~1",
        "--yes",
    ]);
    assert_eq!(commit_of(&admin, "/teams/payments")["tree"], second["tree"]);

    let history = admin.runs(&["history", "/teams/payments:stripe/api-version", "--json"]);
    let versions: Vec<(u64, String)> = history
        .text()
        .lines()
        .flat_map(|line| {
            let document: serde_json::Value = serde_json::from_str(line).unwrap();
            let items = document["versions"]
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![document.clone()]);
            items.into_iter().map(|v| {
                (
                    v["version"].as_u64().unwrap(),
                    v["value"].as_str().unwrap().to_owned(),
                )
            })
        })
        .collect();
    let expected: Vec<(u64, String)> = [
        (4, "2025-01-01"),
        (3, "2024-06-20"),
        (2, "2025-01-01"),
        (1, "2024-06-20"),
    ]
    .map(|(version, value)| (version, value.to_owned()))
    .into();
    assert_eq!(versions, expected);
}

fn commit_of(person: &Person, revision: &str) -> serde_json::Value {
    let shown = person.runs(&["show", revision, "--json"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let document = shown.json();
    if document
        .get("commit")
        .is_some_and(serde_json::Value::is_object)
    {
        document["commit"].clone()
    } else {
        document
    }
}

#[test]
fn values_of_all_six_types_come_back_byte_for_byte() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/types"]);
    let json_text = "{\"b\": 1.0,   \"a\": [1e2, \"\\u00e9\"]}";
    let png: &[u8] = b"\x89PNG\r\n\x1a\n\0\xff binary";
    let text = "two lines\r\nand a tab\t, é\n";
    admin.write("limits.json", json_text);
    admin.write("logo.png", png);
    admin.write("text.txt", text);
    admin.does(&["set", "/types:a-number", "1.10", "--type", "number"]);
    admin.does(&[
        "set",
        "/types:big",
        "9223372036854775808",
        "--type",
        "number",
    ]);
    admin.does(&["set", "/types:flag", "true", "--type", "boolean"]);
    admin.does(&[
        "set",
        "/types:secret",
        "vault://payments/stripe#key",
        "--type",
        "secret-ref",
    ]);
    let input = |arguments: &[&str], bytes: &[u8]| {
        let ran = admin.runs_with_input(arguments, bytes);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    input(
        &["set", "/types:limits", "-", "--type", "json"],
        json_text.as_bytes(),
    );
    input(&["set", "/types:logo", "-", "--type", "binary"], png);
    input(
        &["set", "/types:text", "-", "--type", "string"],
        text.as_bytes(),
    );
    admin.does(&["publish", "/types"]);
    let read = |key: &str| admin.runs(&["get", &format!("/types:{key}")]).stdout;
    assert_eq!(trimmed(&read("a-number")), b"1.10");
    assert_eq!(trimmed(&read("big")), b"9223372036854775808");
    assert_eq!(trimmed(&read("flag")), b"true");
    assert_eq!(trimmed(&read("secret")), b"vault://payments/stripe#key");
    assert_eq!(trimmed(&read("limits")), json_text.as_bytes());
    assert_eq!(read("logo"), png);
    assert_eq!(read("text"), text.as_bytes());
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

#[test]
fn a_child_inherits_overrides_and_hides() {
    let (_server, admin) = started(&[]);
    for namespace in ["/shop", "/shop/web"] {
        admin.does(&["ns", "create", namespace]);
    }
    admin.does(&["set", "/shop:timeout", "30", "--publish"]);
    admin.does(&["set", "/shop:banner", "sale", "--publish"]);
    assert_eq!(admin.does(&["get", "/shop/web:timeout"]), "30");
    admin.does(&["set", "/shop/web:timeout", "10", "--publish"]);
    assert_eq!(admin.does(&["get", "/shop/web:timeout"]), "10");
    assert_eq!(admin.does(&["get", "/shop:timeout"]), "30");
    admin.does(&["unset", "/shop/web:banner", "--publish"]);
    assert_eq!(admin.runs(&["get", "/shop/web:banner"]).code, 3);
    assert_eq!(admin.does(&["get", "/shop:banner"]), "sale");
}

#[test]
fn a_working_copy_is_cloned_edited_pushed_pulled_and_published() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    admin.does(&[
        "set",
        "/team:limits",
        "{\"eur\": 100, \"gbp\": 90}",
        "--type",
        "json",
        "--publish",
    ]);
    admin.does(&["set", "/team:name", "first", "--publish"]);
    admin.does(&["clone", "/team", "mine"]);
    admin.does(&["clone", "/team", "yours"]);
    assert_eq!(admin.runs_in("mine", &["diff", "--exit-code"]).code, 0);

    edit(&admin, "mine/entries.json", "\"first\"", "\"second\"");
    let status = admin.does_in("mine", &["status"]);
    assert!(status.contains("name"), "{status}");
    assert_eq!(admin.runs_in("mine", &["diff", "--exit-code"]).code, 1);
    admin.does_in("mine", &["push", "-m", "a better name"]);
    admin.does(&["publish", "/team"]);
    assert_eq!(admin.does(&["get", "/team:name"]), "second");

    // The other copy changes another key; pulling merges, pushing and publishing keeps both.
    edit(&admin, "yours/entries.json", "100", "120");
    admin.does_in("yours", &["pull"]);
    let merged = std::fs::read_to_string(admin.path("yours/entries.json")).unwrap();
    assert!(
        merged.contains("120") && merged.contains("second"),
        "{merged}"
    );
    admin.does_in("yours", &["push", "-m", "more euros"]);
    admin.does(&["publish", "/team"]);
    let limits: serde_json::Value =
        serde_json::from_str(&admin.does(&["get", "/team:limits"])).unwrap();
    assert_eq!(limits, json!({"eur": 120, "gbp": 90}));
    assert_eq!(admin.does(&["get", "/team:name"]), "second");
    let blame = admin.does(&["blame", "/team"]);
    assert!(
        blame.contains("more euros") && blame.contains("a better name"),
        "{blame}"
    );
}

#[test]
fn two_who_change_one_value_get_a_conflict_that_is_valid_json_and_cannot_be_pushed() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    admin.does(&["set", "/team:name", "base", "--publish"]);
    admin.does(&["clone", "/team", "copy"]);
    admin.does(&["set", "/team:name", "theirs", "--publish"]);
    edit(&admin, "copy/entries.json", "\"base\"", "\"ours\"");
    let pull = admin.runs_in("copy", &["pull"]);
    assert_eq!(pull.code, 5, "{}", pull.stderr);
    let text = std::fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    let entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    let conflict = &entries["name"]["conflict"];
    assert!(conflict["ours"].to_string().contains("ours"), "{text}");
    assert!(conflict["theirs"].to_string().contains("theirs"), "{text}");
    assert_eq!(admin.runs_in("copy", &["push", "-m", "no"]).code, 5);
}

fn edit(person: &Person, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(person.path(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}: {text}");
    person.write(file, text.replace(from, to));
}

#[test]
fn everything_is_there_after_the_server_was_killed_and_started_again() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let mut server = Server::start_on(&data);
    let mut admin = Person::admin(&server);
    admin.does(&["ns", "create", "/kept"]);
    admin.does(&["set", "/kept:a", "published", "--publish"]);
    admin.does(&["set", "/kept:b", "drafted"]);
    server.kill();
    let server = Server::start_on(&data);
    admin.follow(&server);
    assert_eq!(admin.does(&["get", "/kept:a"]), "published");
    admin.does(&["publish", "/kept"]);
    assert_eq!(admin.does(&["get", "/kept:b"]), "drafted");
    let audit = admin.does(&["audit"]);
    assert!(audit.contains("publish"), "{audit}");
}
