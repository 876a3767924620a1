//! Backups of real servers, by the program itself: made while they serve, verified, restored elsewhere.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "../../crates/backup/src/testing/bucket.rs"]
mod bucket;

use std::path::Path;
use std::process::Command;

use confman_tests::{Person, Server};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_store_is_backed_up_while_it_serves_and_restored_as_a_cluster_of_its_own() {
    let mut server = Server::start();
    let admin = Person::admin(&server);
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let (backup, new) = (text(&backup), text(&new));
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&["set", "/teams:k", "one", "--publish", "-m", "first"]);
    let made = admin.runs(&["backup", "create", backup, "--json"]).json();
    let first = made["index"].as_u64().unwrap();
    admin.does(&["set", "/teams:k", "two", "--publish", "-m", "second"]);
    admin.does(&["set", "/teams:draft-only", "x", "-m", "not published"]);
    let more = admin.runs(&["backup", "create", backup, "--json"]).json();
    assert_eq!(more["unchanged"], false);
    assert!(
        more["objects"].as_u64() < made["objects"].as_u64(),
        "{more}"
    );
    let same = admin.runs(&["backup", "create", backup, "--json"]).json();
    assert_eq!(same["unchanged"], true);
    assert_eq!(admin.does(&["backup", "list", backup]).lines().count(), 2);
    let verified = admin.does(&["backup", "verify", backup, "--all"]);
    assert!(verified.contains("nothing is wrong"), "{verified}");

    // The machine is lost with everything on it.
    let old_token = admin.token().to_owned();
    server.kill();
    std::fs::remove_dir_all(server.data()).unwrap();

    let restored = admin.runs(&["backup", "restore", backup, "--data", new, "--json"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    let restored = restored.json();
    assert_eq!(restored["operation"], more["operation"]);
    assert_eq!(restored["adminToken"], true);
    let fsck = admin.runs(&["fsck", "--data", new]);
    assert_eq!(fsck.code, 0, "{}{}", fsck.text(), fsck.stderr);
    let mut again = Server::start_on(Path::new(new));
    let new_admin = Person::admin(&again);
    assert_ne!(new_admin.token(), old_token);
    for admin in [&new_admin, &Person::with_token(&again, &old_token)] {
        assert_eq!(admin.does(&["get", "/teams:k"]), "two");
        let history = admin.does(&["history", "/teams:k"]);
        assert!(history.starts_with("version 2 "), "{history}");
        assert_eq!(
            admin.does(&["log", "/teams", "--oneline"]).lines().count(),
            2
        );
    }
    let operations = new_admin.does(&["audit", "--action", "store.restore"]);
    assert_eq!(
        operations.matches("store.restore").count(),
        1,
        "{operations}"
    );
    assert!(new_admin.does(&["audit", "--verify"]).len() > 1);
    let version = new_admin.runs(&["version", "--remote", "--json"]).json();
    assert!(
        version
            .to_string()
            .contains(restored["clusterId"].as_str().unwrap())
    );
    // It goes on: writes, and backups of its own, elsewhere.
    new_admin.does(&["set", "/teams:k", "three", "--publish", "-m", "third"]);
    assert_eq!(new_admin.does(&["get", "/teams:k"]), "three");
    let refused = new_admin.runs(&["backup", "create", backup]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let elsewhere = place.path().join("elsewhere");
    new_admin.does(&["backup", "create", text(&elsewhere)]);
    assert!(again.stop().success());

    // As of the first backup's operation, from the newest backup.
    let then = place.path().join("then");
    let at = first.to_string();
    admin.does(&[
        "backup",
        "restore",
        backup,
        "--data",
        text(&then),
        "--at",
        &at,
    ]);
    let server = Server::start_on(&then);
    let admin = Person::admin(&server);
    assert_eq!(admin.does(&["get", "/teams:k"]), "one");
    let history = admin.does(&["history", "/teams:k"]);
    assert!(history.starts_with("version 1 "), "{history}");
}

#[test]
fn a_directory_that_no_server_runs_on_is_backed_up_too() {
    let mut server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/teams"]);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let data = server.data().to_owned();
    let arguments = ["backup", "create", text(&backup), "--data", text(&data)];
    let refused = admin.runs(&arguments);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(!backup.exists());
    assert!(server.stop().success());
    admin.does(&arguments);
    let verified = admin.does(&["backup", "verify", text(&backup)]);
    assert!(verified.contains("nothing is wrong"), "{verified}");
}

#[test]
fn who_is_no_admin_makes_no_backup_and_leaves_nothing_behind() {
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["principal", "create", "ann"]);
    let token = admin.does(&["token", "create", "--principal", "ann"]);
    let ann = Person::with_token(&server, token.trim());
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let refused = ann.runs(&["backup", "create", text(&backup)]);
    assert!(
        matches!(refused.code, 3 | 4),
        "{} {}",
        refused.code,
        refused.stderr
    );
    assert!(!backup.exists());
}

#[test]
fn what_is_damaged_is_named_and_nothing_is_restored_from_it() {
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/teams"]);
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    admin.does(&["backup", "create", text(&backup)]);
    let bundle = std::fs::read_dir(backup.join("bundles"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "bundle"))
        .unwrap();
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let named = bundle.file_name().unwrap().to_str().unwrap();
    let verified = admin.runs(&["backup", "verify", text(&backup)]);
    assert_eq!(verified.code, 6);
    assert!(verified.text().contains(named), "{}", verified.text());
    let restored = admin.runs(&["backup", "restore", text(&backup), "--data", text(&new)]);
    assert_eq!(restored.code, 6, "{}", restored.stderr);
    assert!(restored.stderr.contains(named), "{}", restored.stderr);
    // The next backup brings what is missing.
    let made = admin.runs(&["backup", "create", text(&backup)]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    std::fs::remove_file(&bundle).unwrap();
    let made = admin.runs(&["backup", "create", text(&backup)]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stderr.contains(named), "{}", made.stderr);
    admin.does(&["backup", "verify", text(&backup)]);
    admin.does(&["backup", "restore", text(&backup), "--data", text(&new)]);
}

#[test]
fn a_bucket_holds_a_backup_as_a_directory_does() {
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&["set", "/teams:k", "one", "--publish", "-m", "first"]);
    let bucket = bucket::BucketServer::start();
    let place = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ran = Command::new(confman_tests::confman_bin())
            .args(arguments)
            .env_clear()
            .env("HOME", place.path())
            .env("CONFMAN_SERVER", server.url())
            .env("CONFMAN_TOKEN", admin.token())
            .env("AWS_ENDPOINT_URL", bucket.endpoint())
            .env("AWS_REGION", "nowhere")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{arguments:?}: {said}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let to = "s3://bucket/confman/prod";
    run(&["backup", "create", to]);
    admin.does(&["set", "/teams:k", "two", "--publish", "-m", "second"]);
    run(&["backup", "create", to]);
    assert_eq!(run(&["backup", "list", to]).lines().count(), 2);
    assert!(run(&["backup", "verify", to, "--all"]).contains("nothing is wrong"));
    let new = place.path().join("new");
    run(&["backup", "restore", to, "--data", text(&new)]);
    let again = Server::start_on(&new);
    assert_eq!(Person::admin(&again).does(&["get", "/teams:k"]), "two");
}
