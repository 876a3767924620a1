//! Namespaces as admins have them: grants, settings, why things are as they are, deleting and restoring; and
//! the audit log, verified, followed, and free of values and tokens. With the real program and server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::io::{BufRead, BufReader};

use confman_tests::{Person, Server, started};
use serde_json::json;

#[test]
fn roles_and_settings_are_changed_and_explained() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&["ns", "create", "/teams/payments"]);
    let granted = admin.runs(&[
        "ns",
        "grant",
        "/teams",
        "editor",
        "ann",
        "group:dev",
        "--json",
    ]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    assert_eq!(
        granted.json()["document"]["roles"]["editor"],
        json!(["ann", "group:dev"])
    );
    assert!(
        granted.stderr.contains("nobody of that name exists"),
        "{}",
        granted.stderr
    );
    admin.does(&["ns", "revoke", "/teams", "editor", "ann"]);
    let stranger = admin.runs(&["ns", "revoke", "/teams/payments", "editor", "group:dev"]);
    assert_eq!(stranger.code, 3, "{}", stranger.stderr);

    admin.does(&[
        "ns",
        "set",
        "/teams",
        "requireApproval=false",
        "environment=production",
    ]);
    let wrong = admin.runs(&["ns", "set", "/teams", "minApprovers=0", "nope=1"]);
    assert_eq!(wrong.code, 6, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("`nope`"), "{}", wrong.stderr);
    let effective = admin.runs(&["ns", "show", "/teams/payments", "--effective", "--json"]);
    let setting = |name: &str| {
        let settings = effective.json()["settings"].as_array().cloned().unwrap();
        settings
            .into_iter()
            .find(|setting| setting["name"] == name)
            .unwrap()
    };
    assert_eq!(
        setting("environment"),
        json!({ "name": "environment", "value": "production", "from": "/teams" })
    );
    assert_eq!(
        setting("minApprovers"),
        json!({ "name": "minApprovers", "value": 1 })
    );
    admin.does(&["ns", "set", "/teams", "environment="]);
    let history = admin.does(&["ns", "show", "/teams", "--history"]);
    assert!(history.starts_with("version 5 "), "{history}");
    assert!(
        history.contains("update /teams: settings.environment"),
        "{history}"
    );

    let may = admin.does(&[
        "ns",
        "explain",
        "/teams/payments",
        "--permission",
        "config:publish",
    ]);
    assert!(
        may.contains("yes  config:publish  by admin of admin on /"),
        "{may}"
    );
}

#[test]
fn an_editor_changes_a_document_and_what_it_cannot_apply_is_kept() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/a"]);
    let edited = |script: &str| {
        let mut command = admin.command("", &["ns", "edit", "/a"]);
        let output = command
            .env("EDITOR", format!("sed -i {script}"))
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said) = edited(r#"'s/"inherit": true/"owner": "team", "inherit": true/'"#);
    assert_eq!(code, Some(0), "{said}");
    assert!(admin.does(&["ns", "show", "/a"]).contains("team"));
    let (code, said) = edited("s/no-such-text/x/");
    assert_eq!(
        (code, said.contains("nothing was changed")),
        (Some(0), true),
        "{said}"
    );
    let (code, said) = edited("s/owner/ownr/");
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("what you wrote is kept in "), "{said}");
}

#[test]
fn a_key_is_explained_along_its_chain() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/a"]);
    admin.does(&["ns", "create", "/a/b"]);
    admin.does(&[
        "set",
        "/a:timeout",
        "10",
        "--type",
        "number",
        "--publish",
        "-m",
        "slow",
    ]);
    admin.does(&[
        "set",
        "/a/b:timeout",
        "5",
        "--type",
        "number",
        "--publish",
        "-m",
        "fast",
    ]);
    let own = admin.does(&["explain", "/a/b:timeout"]);
    assert!(own.starts_with("/a/b:timeout  is its own\n"), "{own}");
    assert!(own.contains("overridden") && own.contains("fast"), "{own}");
    admin.does(&["unset", "/a/b:timeout", "--publish", "-m", "off"]);
    let unset = admin.does(&["explain", "/a/b:timeout"]);
    assert!(
        unset.starts_with("/a/b:timeout  is unset by /a/b\n"),
        "{unset}"
    );
    let before = admin
        .runs(&["explain", "/a/b@published~1:timeout", "--json"])
        .json();
    assert_eq!(
        (&before["outcome"], &before["from"]),
        (&json!("value"), &json!("/a/b"))
    );
    let none = admin.does(&["explain", "/a/b:nothing"]);
    assert!(
        none.contains("has no value anywhere on the chain"),
        "{none}"
    );
}

#[test]
fn a_namespace_is_deleted_and_restored_at_the_command_line() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/a"]);
    admin.does(&["ns", "create", "/a/b"]);
    admin.does(&["set", "/a/b:x", "1", "--publish", "-m", "one"]);
    let asked = admin.runs(&["ns", "delete", "/a", "--recursive"]);
    assert_eq!(asked.code, 8, "{}", asked.stderr);
    assert!(
        asked
            .stderr
            .contains("delete /a and 1 namespace below it, with 1 published key?"),
        "{}",
        asked.stderr
    );
    let refused = admin.runs(&["ns", "delete", "/a", "--yes"]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("/a/b"), "{}", refused.stderr);
    let deleted = admin.runs(&["ns", "delete", "/a", "--recursive", "--yes"]);
    assert_eq!(deleted.text(), "deleted /a\ndeleted /a/b");
    assert_eq!(admin.runs(&["get", "/a/b:x"]).code, 3);
    let listed = admin.does(&["ns", "list", "--deleted"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert_eq!(
        admin.does(&["history", "/a/b:x", "--json"]).lines().count(),
        1
    );
    assert_eq!(
        admin.does(&["ns", "restore", "/a"]),
        "restored /a\nrestored /a/b"
    );
    assert_eq!(admin.does(&["get", "/a/b:x"]), "1");
    admin.does(&["fsck"]);
}

#[test]
fn the_audit_log_is_verified_filtered_and_followed() {
    let (_server, admin) = started(&[]);
    admin.does(&["ns", "create", "/a"]);
    for value in 0..70 {
        admin.does(&[
            "set",
            "/a:x",
            &value.to_string(),
            "--publish",
            "-m",
            "count",
        ]);
    }
    let verified = admin.runs(&["audit", "--verify", "--json"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    let newest = admin.runs(&["audit", "-n", "1", "--json"]).json();
    assert_eq!(verified.json()["head"], newest["id"]);
    assert_eq!(verified.json()["index"], newest["index"]);
    assert_eq!(newest["detail"]["client"], "127.0.0.1");
    let request = newest["detail"]["requestId"].as_str().unwrap();
    let found = admin
        .runs(&["audit", "--request", request, "--json"])
        .json();
    assert_eq!(found["id"], newest["id"]);
    assert_eq!(
        admin
            .does(&["audit", "/a", "--action", "namespace.", "--json"])
            .lines()
            .count(),
        1
    );
    assert_eq!(admin.does(&["audit", "--actor", "nobody"]), "");

    let mut following = admin
        .command(
            "",
            &[
                "audit",
                "/a",
                "--follow",
                "--json",
                "--since",
                &newest["index"].to_string(),
            ],
        )
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["id"], newest["id"]);
    admin.does(&["set", "/a:x", "next", "--publish", "-m", "followed"]);
    let second: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(second["parent"], newest["id"]);
    following.kill().unwrap();
    following.wait().unwrap();
}

/// Whoever reads the audit log or the server's log must learn no value and no token from it.
#[test]
fn no_value_and_no_token_is_ever_in_the_audit_log_or_in_a_log() {
    let data = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(confman_tests::confman_bin());
    command.env("CONFMAN_LOG", "debug");
    let mut server = Server::start_by(command, &data.path().join("data"));
    let admin = Person::admin(&server);
    let value = "canary-value-93f1c0";
    let reference = "vault://canary-reference-7b22/path#field";
    admin.does(&["ns", "create", "/a"]);
    admin.does(&["set", "/a:password", value, "-m", "m"]);
    admin.does(&[
        "set",
        "/a:secret",
        reference,
        "--type",
        "secret-ref",
        "-m",
        "m",
    ]);
    admin.does(&["publish", "/a"]);
    admin.does(&["set", "/a:password", "other", "--publish", "-m", "m"]);
    admin.does(&[
        "rollback",
        "/a",
        "--to",
        "published~1",
        "--key",
        "password",
        "--yes",
    ]);
    admin.does(&["get", "/a:password"]);
    let refused = admin.runs(&[
        "set",
        "/a:broken",
        &format!("{{\"{value}\":"),
        "--type",
        "json",
    ]);
    assert_ne!(refused.code, 0);
    admin.does(&["ns", "delete", "/a", "--yes"]);
    admin.does(&["ns", "restore", "/a"]);
    let audit = admin.does(&["audit", "--json"]);
    assert!(
        audit.contains("namespace.restore") && audit.contains("publish"),
        "{audit}"
    );
    let token = server.admin_token();
    server.stop();
    let log = server.log().join("\n");
    assert!(
        log.contains("GET"),
        "the log says what was asked for: {log}"
    );
    for canary in [value, "canary-reference", token.as_str()] {
        assert!(!audit.contains(canary), "{canary} is in the audit log");
        assert!(!log.contains(canary), "{canary} is in the server's log");
    }
}
