//! Commands beside the main flow: settling conflicts, editing, looking for what is wrong, raw requests,
//! manual pages; with the real program and a real server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::fs;
use std::process::Stdio;

use confman_tests::{Person, Ran, Server, started};
use serde_json::json;

fn with(person: &Person, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    person.runs_with("", arguments, variables)
}

/// A working copy in which `a`, `b`, `c` and `d` changed on both sides.
fn in_conflict() -> (Server, Person) {
    let (server, admin) = started(&["/team"]);
    for key in ["a", "b", "c", "d"] {
        admin.does(&[
            "set",
            &format!("/team:{key}"),
            "1",
            "-t",
            "number",
            "--publish",
        ]);
    }
    admin.does(&["clone", "/team", "copy"]);
    for key in ["a", "b", "c", "d"] {
        admin.does(&["set", &format!("/team:{key}"), "3", "--publish"]);
    }
    let text = fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    admin.write("copy/entries.json", text.replace(": 1}", ": 2}"));
    let pulled = admin.runs_in("copy", &["pull"]);
    assert_eq!(pulled.code, 5, "{}{}", pulled.text(), pulled.stderr);
    (server, admin)
}

#[test]
fn conflicts_are_listed_and_settled_by_a_side_or_a_value() {
    let (_server, admin) = in_conflict();
    let listed = admin.runs_in("copy", &["resolve", "--list", "--json"]);
    let first: serde_json::Value =
        serde_json::from_str(listed.text().lines().next().unwrap()).unwrap();
    assert_eq!(listed.text().lines().count(), 4);
    let value = |side: &str| first[side]["value"].clone();
    assert_eq!(first["key"], "a");
    assert_eq!(
        (value("base"), value("ours"), value("theirs")),
        (json!(1), json!(2), json!(3))
    );

    let refused = admin.runs_in("copy", &["push", "-m", "x"]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    // Nobody is there to ask, no key is named, and no such conflict.
    let asked = admin.runs_in("copy", &["resolve"]);
    assert_eq!(asked.code, 8, "{}", asked.stderr);
    assert!(asked.stderr.contains("--ours"), "{}", asked.stderr);
    assert_eq!(admin.runs_in("copy", &["resolve", "--ours"]).code, 2);
    assert_eq!(admin.runs_in("copy", &["resolve", "z", "--ours"]).code, 3);
    let wrong = admin.runs_in("copy", &["resolve", "a", "--value", "many"]);
    assert_eq!(wrong.code, 6, "{}", wrong.stderr);

    admin.does_in("copy", &["resolve", "a", "--ours"]);
    admin.does_in("copy", &["resolve", "b", "--theirs"]);
    admin.does_in("copy", &["resolve", "c", "--value", "5"]);
    let last = admin.runs_in("copy", &["resolve", "--all", "--base", "--json"]);
    assert_eq!(
        last.json(),
        json!({"namespace": "/team", "keys": ["d"], "left": 0})
    );
    admin.does_in("copy", &["push", "-m", "settled", "--publish"]);
    let values = ["a", "b", "c", "d"].map(|key| admin.does(&["get", &format!("/team:{key}")]));
    assert_eq!(values, ["2", "3", "5", "1"]);
}

/// An editor that replaces the text of the file by what `SAVES` says.
const EDITOR: &str = r#"sh -c 'printf "%s\n" "$SAVES" > "$1"' editor"#;

#[test]
fn a_value_is_changed_in_an_editor() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&[
        "set",
        "/team:limits",
        r#"{"cpu": 1}"#,
        "-t",
        "json",
        "--publish",
    ]);
    let edit = |saves: &str, more: &[&str]| {
        let mut arguments = vec!["edit", "/team:limits"];
        arguments.extend(more);
        with(&admin, &arguments, &[("EDITOR", EDITOR), ("SAVES", saves)])
    };
    let same = edit(r#"{"cpu": 1}"#, &[]);
    assert_eq!((same.code, same.text()), (0, ""), "{}", same.stderr);
    assert!(same.stderr.contains("nothing changed"), "{}", same.stderr);

    let drafted = edit(r#"{"cpu": 2}"#, &["-m", "more"]);
    assert_eq!(drafted.code, 0, "{}", drafted.stderr);
    assert_eq!(admin.does(&["get", "/team:limits"]), r#"{"cpu": 1}"#);
    // What is opened next is what the draft has.
    let seen = with(
        &admin,
        &["edit", "/team:limits"],
        &[("EDITOR", "sh -c 'cp \"$1\" seen' editor")],
    );
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(
        fs::read_to_string(admin.path("seen")).unwrap(),
        r#"{"cpu": 2}"#
    );
    let published = edit(r#"{"cpu": 3}"#, &["--publish"]);
    assert_eq!(published.code, 0, "{}", published.stderr);
    assert_eq!(admin.does(&["get", "/team:limits"]), r#"{"cpu": 3}"#);

    // What is not valid is not written; nobody is there to edit it again.
    let invalid = edit("{", &["--publish"]);
    assert_eq!(invalid.code, 8, "{}", invalid.stderr);
    assert!(
        invalid.stderr.contains("no valid json"),
        "{}",
        invalid.stderr
    );
    let failed = with(&admin, &["edit", "/team:limits"], &[("EDITOR", "false")]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_eq!(
        admin.runs(&["edit", "/team:limits"]).code,
        2,
        "no editor is named"
    );
    assert_eq!(admin.does(&["get", "/team:limits"]), r#"{"cpu": 3}"#);
}

#[test]
fn a_draft_that_moves_while_it_is_edited_is_not_overwritten() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&["set", "/team:motd", "one"]);
    let meanwhile = format!(
        "sh -c '\"{}\" set /team:motd two >/dev/null; echo three > \"$1\"' editor",
        confman_tests::confman_bin().display()
    );
    let late = with(&admin, &["edit", "/team:motd"], &[("EDITOR", &meanwhile)]);
    assert_eq!(late.code, 5, "{}", late.stderr);
    admin.does(&["publish", "/team"]);
    assert_eq!(admin.does(&["get", "/team:motd"]), "two");
}

fn checks(ran: &Ran) -> Vec<(String, String)> {
    let list = ran.json();
    let text = |check: &serde_json::Value, name: &str| check[name].as_str().unwrap().to_owned();
    list.as_array()
        .unwrap()
        .iter()
        .map(|check| (text(check, "name"), text(check, "outcome")))
        .collect()
}

fn outcome<'c>(checks: &'c [(String, String)], name: &str) -> &'c str {
    let found = checks.iter().find(|(known, _)| known == name);
    &found.unwrap_or_else(|| panic!("{name}: {checks:?}")).1
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&["set", "/team:motd", &"long ".repeat(100), "--publish"]);
    admin.does(&["clone", "/team", "copy"]);
    let well = admin.runs_in("copy", &["doctor", "--json"]);
    assert_eq!(well.code, 0, "{}{}", well.text(), well.stderr);
    let all = checks(&well);
    assert!(all.iter().all(|(_, outcome)| outcome == "fine"), "{all:?}");

    let away = with(
        &admin,
        &["doctor", "--json"],
        &[("CONFMAN_SERVER", "http://127.0.0.1:9")],
    );
    assert_eq!(away.code, 7, "{}", away.stderr);
    assert_eq!(outcome(&checks(&away), "server"), "failed");
    let stranger = with(
        &admin,
        &["doctor", "--json"],
        &[("CONFMAN_TOKEN", "cfm_pat_x")],
    );
    assert_eq!(stranger.code, 4, "{}", stranger.stderr);
    assert_eq!(outcome(&checks(&stranger), "identity"), "failed");

    // A bit of what was fetched flips.
    let packs = admin.path("copy/.confman/objects");
    let pack = fs::read_dir(&packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let damaged = admin.runs_in("copy", &["doctor", "--json"]);
    assert_eq!(damaged.code, 6, "{}{}", damaged.text(), damaged.stderr);
    assert_eq!(outcome(&checks(&damaged), "working copy"), "failed");
    assert_eq!(outcome(&checks(&damaged), "identity"), "fine");
}

#[test]
fn raw_requests_carry_the_token_and_end_as_other_commands_do() {
    let (_server, admin) = started(&["/team"]);
    let whoami = admin.runs(&["api", "get", "/v1/whoami"]);
    assert_eq!(
        whoami.json()["principal"]
            .as_str()
            .map(|name| name.is_empty()),
        Some(false)
    );
    let path = "/v1/ns/team/-/entries/motd?publish=true";
    let put = admin.runs(&[
        "api",
        "PUT",
        path,
        "-d",
        r#"{"value": "hello"}"#,
        "--include",
    ]);
    assert_eq!(put.code, 0, "{}{}", put.text(), put.stderr);
    assert!(put.stderr.contains("HTTP 200"), "{}", put.stderr);
    assert!(put.stderr.contains("confman-index: "), "{}", put.stderr);
    let text = [
        "api",
        "GET",
        "/v1/ns/team/-/config/motd?at={1s ago}",
        "-H",
        "Accept: text/plain",
    ];
    let early = admin.runs(&text);
    assert!(
        matches!(early.code, 0 | 3),
        "{}{}",
        early.text(),
        early.stderr
    );
    let raw = [
        "api",
        "GET",
        "/v1/ns/team/-/config/motd",
        "-H",
        "Accept: text/plain",
    ];
    assert_eq!(admin.runs(&raw).stdout, b"hello");
    let missing = admin.runs(&["api", "GET", "/v1/ns/team/-/config/none"]);
    assert_eq!(
        (missing.code, missing.json()["code"].as_str()),
        (3, Some("not-found"))
    );
    assert_eq!(admin.runs(&["api", "GET", "v1/whoami"]).code, 2);
    let body = admin.runs_with_input(
        &["api", "POST", "/v1/ns/team/-/publish", "--input", "-"],
        br#"{"draft": "none"}"#,
    );
    assert_eq!(body.code, 3, "{}{}", body.text(), body.stderr);
}

#[test]
fn manual_pages_are_printed_and_written() {
    let (_server, admin) = started(&["/team"]);
    let page = admin.does(&["man", "ns", "create"]);
    assert!(page.contains("confman\\-ns\\-create"), "{page}");
    let written = admin.does(&["man", "--dir", "man/man1"]);
    assert!(written.contains("wrote "), "{written}");
    assert!(admin.path("man/man1/confman-set.1").exists());
    assert_eq!(admin.runs(&["man", "frobnicate"]).code, 2);
    // The pages are what `man` reads, where it is installed.
    let man = std::process::Command::new("man")
        .arg("-l")
        .arg(admin.path("man/man1/confman.1"))
        .stdin(Stdio::null())
        .output();
    if let Ok(output) = man {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_search_finds_what_its_reader_may_read() {
    let (server, admin) = started(&["/team"]);
    for namespace in ["/team/a", "/other"] {
        admin.does(&["ns", "create", namespace]);
    }
    for address in ["/team:db/url", "/team/a:db/url", "/other:db/url"] {
        admin.does(&["set", address, "postgres://x", "--tag", "pci", "--publish"]);
    }
    admin.does(&["principal", "create", "ann"]);
    admin.does(&["ns", "grant", "/team/a", "viewer", "ann"]);
    let token = ["token", "create", "--principal", "ann", "--name", "x"];
    let ann = Person::with_token(&server, &admin.does(&token));
    let all = admin.does(&["search", "db", "--tag", "pci", "--value", "postgres"]);
    assert_eq!(all.lines().count(), 3, "{all}");
    assert_eq!(
        ann.does(&["search", "db"]),
        "/team/a:db/url = \"postgres://x\"  #pci"
    );
    let under = ["search", "db", "--under", "/team", "--jq", ".namespace"];
    assert_eq!(admin.does(&under), "/team\n/team/a");
    assert_eq!(admin.does(&["search", "nothing"]), "");
}

#[test]
fn a_filter_shapes_the_json_of_any_command() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&["set", "/team:a", "1.10", "-t", "number", "--publish"]);
    let got = admin.does(&["get", "/team:a", "--jq", ".value, .type"]);
    assert_eq!(got, "1.10\nnumber");
    let raw = admin.does(&["api", "GET", "/v1/whoami", "--jq", ".principal"]);
    assert_eq!(raw, "admin");
    // A filter that is not understood is refused before anything is done.
    let wrong = admin.runs(&["set", "/team:b", "x", "--publish", "--jq", ".["]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert_eq!(admin.runs(&["get", "/team:b"]).code, 3);
}

#[test]
fn what_is_not_found_is_compared_with_what_there_is() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&["set", "/team:limits/daily", "1", "--publish"]);
    let says = |arguments: &[&str], suggestion: &str| {
        let ran = admin.runs(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}");
        assert!(
            ran.stderr.contains(suggestion),
            "{arguments:?}: {}",
            ran.stderr
        );
    };
    says(
        &["get", "/team:limits/dayly"],
        "did you mean /team:limits/daily?",
    );
    says(
        &["history", "/team:daily"],
        "did you mean /team:limits/daily?",
    );
    says(
        &["get", "/taem:limits/daily"],
        "did you mean /team:limits/daily?",
    );
    says(&["clone", "/teams"], "did you mean /team?");
    says(&["pubilsh", "/team"], "publish");
    let far = admin.runs(&["get", "/team:colour"]);
    assert!(!far.stderr.contains("did you mean"), "{}", far.stderr);
}

#[test]
fn what_people_write_around_json_is_read_over_and_said() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&[
        "set",
        "/team:limits",
        r#"{"cpu": 1}"#,
        "-t",
        "json",
        "--publish",
    ]);
    admin.does(&["clone", "/team", "copy"]);
    let text = "{\n  // per instance\n  \"limits\": {\"value\": {\"cpu\": 2, /* cores */ \"list\": [1, 2,],}},\n}\n";
    admin.write("copy/entries.json", text);
    let status = admin.runs_in("copy", &["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    assert!(
        status.stderr.contains("entries.json:2:3: comments"),
        "{}",
        status.stderr
    );
    admin.does_in("copy", &["push", "-m", "more", "--publish"]);
    assert_eq!(
        admin.does(&["get", "/team:limits", "--jq", ".value | tojson"]),
        r#"{"cpu":2,"list":[1,2]}"#
    );
    // What is wrong is shown where it stands, comments before it or not.
    admin.write("copy/entries.json", text.replace("[1, 2,]", "[1, 2O]"));
    let wrong = admin.runs_in("copy", &["status"]);
    assert_eq!(wrong.code, 6, "{}", wrong.stderr);
    let mut lines = wrong
        .stderr
        .lines()
        .skip_while(|line| !line.contains("3 │"));
    let mut shown = || lines.next().unwrap_or_default();
    let (line, mark) = (shown(), shown());
    let column = |text: &str, what: &str| text.find(what).map(|at| text[..at].chars().count());
    assert_eq!(column(line, "2O"), column(mark, "^"), "{}", wrong.stderr);
    assert!(column(mark, "^").is_some(), "{}", wrong.stderr);
}

#[test]
fn files_that_are_to_be_ignored_are_not_listed() {
    let (_server, admin) = started(&["/team"]);
    admin.does(&["set", "/team:a", "1", "--publish"]);
    admin.does(&["clone", "/team", "copy"]);
    admin.write("copy/files/notes.txt", "x");
    admin.write("copy/files/a.swp", "x");
    let unused =
        |admin: &Person| admin.does_in("copy", &["status", "--jq", ".namespaces[].unused[]"]);
    assert_eq!(unused(&admin), "files/a.swp\nfiles/notes.txt");
    admin.write("copy/.confmanignore", "# editors\n*.swp\n");
    assert_eq!(unused(&admin), "files/notes.txt");
    admin.write("copy/.confmanignore", "x\n{a\n");
    let wrong = admin.runs_in("copy", &["status"]);
    assert_eq!(wrong.code, 6, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains(".confmanignore 2:1"),
        "{}",
        wrong.stderr
    );
}

/// A keyring that keeps what it is given in a file, as `secret-tool` is called.
#[cfg(target_os = "linux")]
const KEYRING: &str = r#"#!/bin/sh
verb=$1; shift
case $verb in
  store) cat > "$HOME/ring" ;;
  lookup) cat "$HOME/ring" ;;
  clear) rm "$HOME/ring" ;;
esac
"#;

#[cfg(target_os = "linux")]
#[test]
fn a_token_is_kept_in_the_keyring_where_one_works_and_in_the_file_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, admin) = started(&["/team"]);
    let path = std::env::var("PATH").unwrap();
    let logged_in = |arguments: &[&str], path: &str| {
        let mut child = admin
            .command(
                "",
                &[&["login", "--server", server.url()], arguments].concat(),
            )
            .env("CONFMAN_TOKEN", "")
            .env("PATH", path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, server.admin_token().as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::read_to_string(admin.path(".config/confman/profiles.toml")).unwrap()
    };
    let whoami = |path: &str| {
        let mut command = admin.command("", &["whoami"]);
        command.env("CONFMAN_TOKEN", "").env("PATH", path);
        command.output().unwrap().status.code()
    };
    let ring = admin.path("ring");
    let with_keyring = format!("{}:{path}", admin.path("programs").display());
    admin.write("programs/secret-tool", KEYRING);
    let program = admin.path("programs/secret-tool");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let profiles = logged_in(&[], &with_keyring);
    assert!(!profiles.contains(&server.admin_token()), "{profiles}");
    assert_eq!(fs::read_to_string(&ring).unwrap(), server.admin_token());
    assert_eq!(whoami(&with_keyring), Some(0));
    // A keyring that is locked gives nothing.
    fs::rename(&ring, admin.path("locked")).unwrap();
    assert_eq!(whoami(&with_keyring), Some(4));
    fs::rename(admin.path("locked"), &ring).unwrap();
    let mut logout = admin.command("", &["logout"]);
    assert!(
        logout
            .env("PATH", &with_keyring)
            .status()
            .unwrap()
            .success()
    );
    assert!(!ring.exists());

    let profiles = logged_in(&["--keyring", "never"], &with_keyring);
    assert!(profiles.contains(&server.admin_token()), "{profiles}");
    // One that takes everything and gives nothing back is none.
    admin.write("programs/secret-tool", "#!/bin/sh\ncat > /dev/null\n");
    let profiles = logged_in(&[], &with_keyring);
    assert!(profiles.contains(&server.admin_token()), "{profiles}");
    assert_eq!(whoami(&path), Some(0));
}
