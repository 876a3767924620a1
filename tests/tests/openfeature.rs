//! An official client of OpenFeature against a real server. Needs node and the packages of
//! `tests/openfeature` (`npm install` there); where they are not there it says so and does nothing.

use std::path::Path;
use std::process::Command;

use confman_tests::{Person, Server};
use serde_json::Value;

#[test]
fn the_official_client_reads_every_type_and_falls_back() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("openfeature");
    if !place.join("node_modules/@openfeature/server-sdk").is_dir() {
        println!(
            "skipped: no packages in {}; run `npm install` there",
            place.display()
        );
        return;
    }
    if Command::new("node").arg("--version").output().is_err() {
        println!("skipped: there is no node");
        return;
    }
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/shop"]);
    admin.does(&["set", "/:region", "eu", "--publish", "-m", "where"]);
    for (key, entry_type, value) in [
        ("new/checkout", "boolean", "true"),
        ("limit", "number", "1.5"),
        ("tiers", "json", r#"{"gold": [1, 2]}"#),
    ] {
        let address = format!("/shop:{key}");
        admin.does(&[
            "set",
            &address,
            value,
            "--type",
            entry_type,
            "--publish",
            "-m",
            "flags",
        ]);
    }
    let ran = Command::new("node")
        .arg("evaluate.mjs")
        .args([server.url(), &server.admin_token(), "/shop"])
        .current_dir(&place)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    let found: Value =
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&found).unwrap(), @r#"
    {
      "boolean": {
        "value": true,
        "reason": "STATIC"
      },
      "number": {
        "value": 1.5,
        "reason": "STATIC"
      },
      "string": {
        "value": "eu",
        "reason": "STATIC"
      },
      "object": {
        "value": {
          "gold": [
            1,
            2
          ]
        },
        "reason": "STATIC"
      },
      "missing": {
        "value": "fallback",
        "reason": "ERROR",
        "errorCode": "FLAG_NOT_FOUND"
      },
      "mismatch": {
        "value": true,
        "reason": "ERROR",
        "errorCode": "TYPE_MISMATCH"
      }
    }
    "#);
}
