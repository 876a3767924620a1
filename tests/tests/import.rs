//! Values of other tools come in, and what is written comes back the same.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use confman_tests::{Person, Server};

/// A server with `/app`, which has a value of every type, and its administrator.
fn started() -> (Server, Person) {
    let (server, admin) = confman_tests::started(&["/app", "/copy"]);
    for (key, value, kind) in [
        ("BINARY", "", "binary"),
        ("FLAG", "true", "boolean"),
        ("JSON", "{\"b\": [1, 2.50], \"a\": \"x\"}", "json"),
        ("NUMBER", "1.10", "number"),
        ("SECRET", "vault://kv/app#key", "secret-ref"),
        ("TEXT", "it's \"q\" \\\\ $X\ttwo ü", "string"),
    ] {
        let address = format!("/app:{key}");
        if kind == "binary" {
            admin.write("bytes", [0, 1, 255]);
            let set = [
                "set",
                &address,
                "--file",
                "bytes",
                "-t",
                kind,
                "--publish",
                "-m",
                "x",
            ];
            let ran = admin.runs(&set);
            if ran.code != 0 {
                let input = ["set", &address, "-", "-t", kind, "--publish", "-m", "x"];
                assert_eq!(admin.runs_with_input(&input, &[0, 1, 255]).code, 0);
            }
            continue;
        }
        admin.does(&["set", &address, value, "-t", kind, "--publish", "-m", "x"]);
    }
    (server, admin)
}

#[test]
fn what_is_exported_and_imported_again_changes_nothing() {
    let (_server, admin) = started();
    for (format, file) in [
        ("json", "x.json"),
        ("yaml", "x.yaml"),
        ("toml", "x.toml"),
        ("properties", "x.properties"),
        ("dotenv", "x.env"),
    ] {
        admin.does(&["export", "/app", "--format", format, "-o", file]);
        let dry = admin.does(&["import", "/app", file, "--dry-run", "--prune"]);
        assert_eq!(dry, "no differences", "{format}");
        let ran = admin.runs(&["import", "/app", file, "--prune"]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("nothing was changed"),
            "{format}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_copy_by_yaml_has_the_same_values_and_a_dry_run_changes_nothing() {
    let (_server, admin) = started();
    admin.does(&["export", "/app", "--format", "yaml", "-o", "x.yaml"]);
    let dry = admin.does(&["import", "/copy", "x.yaml", "--dry-run"]);
    assert!(dry.contains("NUMBER"), "{dry}");
    assert_eq!(admin.does(&["export", "/copy"]), "{}");
    admin.does(&["import", "/copy", "x.yaml", "--publish"]);
    let flat = |namespace: &str| admin.does(&["export", namespace, "--format", "flat"]);
    assert_eq!(flat("/copy"), flat("/app"));
}

#[test]
fn keys_are_removed_only_where_that_is_asked_for() {
    let (_server, admin) = started();
    admin.write("x.yaml", "FLAG: false\nNEW: 7\n");
    let kept = admin.does(&["import", "/app", "x.yaml", "--dry-run"]);
    assert!(kept.contains("NEW") && !kept.contains("TEXT"), "{kept}");
    let pruned = admin.does(&["import", "/app", "x.yaml", "--dry-run", "--prune"]);
    assert!(pruned.contains("TEXT"), "{pruned}");
    admin.does(&["import", "/app", "x.yaml", "--prune", "--publish"]);
    assert_eq!(
        admin.does(&["export", "/app", "--format", "flat"]),
        "FLAG = false\nNEW = 7"
    );
}

#[test]
fn other_tools_are_understood() {
    let (_server, admin) = started();
    admin.write(
        "configmap.yaml",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  NUMBER: \"2.20\"\n  new: text\n",
    );
    admin.does(&[
        "import",
        "/app",
        "configmap.yaml",
        "--format",
        "configmap",
        "--publish",
    ]);
    admin.write(
        "consul.json",
        r#"[{"key":"app/port","flags":0,"value":"ODA="}]"#,
    );
    let consul = ["import", "/app", "consul.json", "--format", "consul"];
    admin.does(&[&consul[..], &["--strip-prefix", "app/", "--publish"]].concat());
    admin.write("vault.json", r#"{"kv/db": {"password": "canary-1b7"}}"#);
    admin.does(&[
        "import",
        "/app",
        "vault.json",
        "--format",
        "vault",
        "--publish",
    ]);
    for (file, format, text) in [
        (
            "etcd.json",
            "etcd",
            r#"{"kvs":[{"key":"L2V0Y2QvYQ==","value":"b25l"}]}"#,
        ),
        (
            "apollo.json",
            "apollo",
            r#"{"configurations":{"apollo.a":"two"}}"#,
        ),
        (
            "dogma.json",
            "central-dogma",
            r#"[{"path":"/dogma/a.json","type":"JSON","content":[1.10]}]"#,
        ),
    ] {
        admin.write(file, text);
        admin.does(&["import", "/app", file, "--format", format, "--publish"]);
    }
    admin.write("spring/application.yml", "server:\n  port: 8080\n");
    admin.write("spring/payments-prod.properties", "server.port=9090\n");
    let spring = [
        "import", "/app", "spring", "--app", "payments", "--env", "prod",
    ];
    admin.does(&[&spring[..], &["--publish"]].concat());
    let flat = admin.does(&["export", "/app", "--format", "flat"]);
    for line in [
        "NUMBER = 2.20",
        "new = \"text\"",
        "port = \"80\"",
        "db/password = \"vault://kv/db#password\"",
        "server.port = \"9090\"",
        "etcd/a = \"one\"",
        "apollo.a = \"two\"",
        "dogma/a.json#/0 = 1.10",
    ] {
        assert!(flat.lines().any(|found| found == line), "{line}: {flat}");
    }
    assert!(!flat.contains("canary"), "{flat}");
}

#[test]
fn what_cannot_be_imported_is_shown_where_it_is_and_nothing_is_changed() {
    let (_server, admin) = started();
    admin.write("x.yaml", "a: 1\nb: ~\n\"c d\": 2\n");
    let ran = admin.runs(&["import", "/app", "x.yaml"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("b: it is null"), "{}", ran.stderr);
    admin.write("y.yaml", "a: 1\nb: [1\n");
    let ran = admin.runs(&["import", "/app", "y.yaml"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("it is no YAML"), "{}", ran.stderr);
}
