//! What a working copy tells without a server: whether its files satisfy the schemas, what they override,
//! and what people wrote beside the configuration.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::fs;

use confman_tests::{Person, Server};

/// `/team` with a schema that `/team/app` inherits, and values of both.
fn started() -> (Server, Person) {
    let (server, admin) = confman_tests::started(&["/team", "/team/app"]);
    admin.does(&["set", "/team:currency", "EUR", "--publish"]);
    admin.does(&["set", "/team:limit", "5", "-t", "number", "--publish"]);
    admin.does(&["set", "/team/app:limit", "7", "-t", "number", "--publish"]);
    let types = r#"{"$defs": {"limit": {"type": "number", "maximum": 9}}}"#;
    let base = r##"{"required": ["currency", "limit"], "properties": {
        "limit": {"$ref": "/schemas/team/types#/$defs/limit"},
        "id": {"x-confman-immutable": true},
        "old": {"x-confman-deprecated": "use limit"}}}"##;
    for (name, text) in [("types", types), ("base", base)] {
        admin.write("schema.json", text);
        let path = format!("/schemas/team/{name}");
        admin.does(&["schema", "set", &path, "schema.json", "-m", "rules"]);
    }
    admin.does(&["ns", "set", "/team", "--schema", "/schemas/team/base"]);
    (server, admin)
}

fn entries(person: &Person, directory: &str, text: &str) {
    let schema = "\"$schema\": \".confman/entries.schema.json\"";
    person.write(
        &format!("{directory}/entries.json"),
        format!("{{\n  {schema},\n{text}\n}}\n"),
    );
}

#[test]
fn files_are_checked_against_the_schemas_that_came_with_them() {
    let (mut server, admin) = started();
    admin.does(&["set", "/team/app:id", "a-1", "--publish"]);
    admin.does(&["clone", "/team/app", "copy"]);
    server.stop();
    let check = |expected: i32| {
        let ran = admin.runs_in("copy", &["schema", "check"]);
        assert_eq!(ran.code, expected, "{}{}", ran.text(), ran.stderr);
        format!("{}{}", ran.text(), ran.stderr)
    };
    assert_eq!(
        check(0),
        "the files satisfy 1 schema, with 3 effective values"
    );
    // A reference to another schema is followed, and what is wrong is shown in the file.
    entries(
        &admin,
        "copy",
        "  \"id\": {\"value\": \"a-1\"},\n  \"limit\": {\"value\": 10}",
    );
    let said = check(6);
    assert!(
        said.contains("entries.json 4:22: /team/app:limit"),
        "{said}"
    );
    // Without an entry of its own it inherits one that satisfies.
    entries(&admin, "copy", "  \"id\": {\"value\": \"a-1\"}");
    check(0);
    // What is unset is missing; what is immutable has changed; what is deprecated is warned of.
    entries(
        &admin,
        "copy",
        "  \"currency\": {\"unset\": true},\n  \"id\": {\"value\": \"a-2\"},\n  \"old\": {\"value\": 1}",
    );
    let said = check(6);
    assert!(said.contains("`currency` is required"), "{said}");
    assert!(said.contains("immutable"), "{said}");
    assert!(said.contains("use limit"), "{said}");
    let json = admin.runs_in("copy", &["schema", "check", "--json"]);
    assert_eq!(json.code, 6, "{}", json.stderr);
    let violations = json.json()["violations"].as_array().unwrap().len();
    assert_eq!(violations, 2, "{}", json.text());
}

#[test]
fn what_is_known_too_little_of_is_said_and_does_not_pass() {
    let (server, admin) = started();
    admin.does(&["principal", "create", "ann"]);
    admin.does(&["ns", "grant", "/team/app", "editor", "ann"]);
    let token = ["token", "create", "--principal", "ann", "--name", "x"];
    let ann = Person::with_token(&server, &admin.does(&token));
    ann.does(&["clone", "/team/app", "copy"]);
    let ran = ann.runs_in("copy", &["schema", "check"]);
    assert_eq!(ran.code, 1, "{}{}", ran.text(), ran.stderr);
    assert!(
        ran.stderr.contains("/team may not be read"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("/schemas/team/base"), "{}", ran.stderr);
    assert!(ran.stderr.contains("confman pull"), "{}", ran.stderr);
    // Who may read more knows more after the next pull.
    admin.does(&["ns", "grant", "/", "viewer", "ann"]);
    ann.does_in("copy", &["pull"]);
    ann.does_in("copy", &["schema", "check"]);
    // A clone of an older version has nothing of this until it is pulled.
    fs::remove_file(ann.path("copy/.confman/inherited.json")).unwrap();
    let ran = ann.runs_in("copy", &["schema", "check"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    ann.does_in("copy", &["pull"]);
    ann.does_in("copy", &["schema", "check"]);
}

#[test]
fn a_difference_says_what_it_overrides() {
    let (mut server, admin) = started();
    admin.does(&["clone", "/team", "all", "-r"]);
    let diff = |directory: &str| admin.does_in(directory, &["diff"]);
    entries(&admin, "all", "  \"limit\": {\"value\": 6}");
    fs::write(
        admin.path("all/app/entries.json"),
        "{\n  \"currency\": {\"value\": \"SEK\"}\n}\n",
    )
    .unwrap();
    admin.does(&["set", "/team/app:limit", "3", "--draft", "low"]);
    insta::assert_snapshot!(admin.does(&["diff", "/team/app@draft/low"]), @"
    limit  changed (number)
      - 7
      + 3
      overrides 5 of /team
    ");
    server.stop();
    insta::assert_snapshot!(diff("all"), @r#"
    currency  removed (string)
      - "EUR"
      nothing holds then
      no effect in /team/app, which has its own
    limit  changed (number)
      - 5
      + 6
    "#);
    insta::assert_snapshot!(diff("all/app"), @r#"
    currency  added (string)
      + "SEK"
    limit  removed (number)
      - 7
      6 of /team holds then
    "#);
}

#[test]
fn comments_stay_where_commands_write_the_file() {
    let (_server, admin) = started();
    admin.does(&["clone", "/team", "copy"]);
    entries(
        &admin,
        "copy",
        "  // where the shop is\n  \"currency\": {\"value\": \"EUR\"},\n  /* see\n     the runbook */\n  \"limit\": {\"value\": /* a day */ 5}, // soft",
    );
    admin.does(&["set", "/team:limit", "8", "--publish"]);
    admin.does(&["set", "/team:more", "x", "--publish"]);
    admin.does_in("copy", &["pull"]);
    let text = fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    insta::assert_snapshot!(text, @r#"
    {
      "$schema": ".confman/entries.schema.json",
      // where the shop is
      "currency": {"value": "EUR"},
      /* see
         the runbook */
      /* a day */
      "limit": {"value": 8}, // soft
      "more": {"value": "x"}
    }
    "#);
    admin.does_in("copy", &["restore", "--all", "--yes"]);
    let status = admin.does_in(
        "copy",
        &["status", "--jq", ".namespaces[].changes | length"],
    );
    assert_eq!(status, "0");
    let text = fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    assert!(
        text.contains("runbook") && text.contains("// soft"),
        "{text}"
    );
}

#[test]
fn what_looks_like_a_secret_is_shown_by_get_alone() {
    let (_server, admin) = started();
    admin.does(&["set", "/team:db/password", "canary-1", "--publish"]);
    admin.does(&["set", "/team:db/password", "canary-2", "--publish"]);
    admin.does(&[
        "set",
        "/team:mail",
        r#"{"user": "u", "smtpPassword": "canary-3"}"#,
        "-t",
        "json",
        "--draft",
        "mail",
    ]);
    admin.does(&["request", "create", "/team@draft/mail", "--title", "mail"]);
    for command in [
        "history /team:db/password",
        "ls /team",
        "search password",
        "show /team:db/password",
        "show /team",
        "explain /team:db/password",
        "diff /team@published~1 /team",
        "request show 1",
        "request diff 1",
        "request impact 1",
        "log /team",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let ran = admin.runs(&words);
        let text = ran.text();
        assert!(!text.contains("canary"), "{command}: {text}");
        assert!(!ran.stderr.contains("canary"), "{command}: {}", ran.stderr);
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        let shows = command.starts_with("log") || text.contains("(masked)");
        assert!(shows, "{command}: {text}");
    }
    assert_eq!(admin.does(&["get", "/team:db/password"]), "canary-2");
    let revealed = admin.does(&["diff", "/team@published~1", "/team", "--reveal"]);
    assert!(revealed.contains("canary-1"), "{revealed}");
}
