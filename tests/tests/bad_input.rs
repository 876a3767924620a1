//! What is malformed, damaged, too large or in the way: a clear error, the right exit code and
//! status, and nothing lost.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use confman_tests::{Person, Ran, Server, started};

/// `METHOD PATH BODY` with the administrator's token: the status and the problem's code.
fn asks(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let token = server.admin_token();
    answers(server, method, path, body.as_bytes().to_vec(), Some(&token))
}

fn answers(
    server: &Server,
    method: &str,
    path: &str,
    body: Vec<u8>,
    token: Option<&str>,
) -> (u16, String) {
    // curl sends the path as it is; client libraries would put `..` and `//` in order.
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--path-as-is",
        "--request",
        method,
        "--write-out",
        "\n%{http_code}",
    ]);
    command.args([
        "--header",
        "content-type: application/json",
        "--data-binary",
        "@-",
    ]);
    if let Some(token) = token {
        command.args(["--header", &format!("authorization: Bearer {token}")]);
    }
    command.arg(format!("{}{path}", server.url()));
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The server may answer before it has read all of a body that it refuses.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), &body);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (
        status.parse().unwrap(),
        problem["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn malformed_paths_are_refused_and_never_repaired() {
    let (server, admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    for path in [
        "/v1/ns/Team/-/config",
        "/v1/ns/team/../team/-/config",
        "/v1/ns//team/-/config",
        "/v1/ns/team/%2e%2e/-/config",
        "/v1/ns/team/-/entries/a//b",
        "/v1/ns/team/-/entries/a/../b",
        "/v1/ns/team/-/entries/sp%20ace",
        "/v1/ns/team/-/entries/%ff",
        "/v1/ns/team/-/commits/published~x",
    ] {
        let (status, code) = asks(&server, "GET", path, "");
        assert_eq!(status, 400, "{path} {code}");
        assert!(code.starts_with("invalid-"), "{path} {code}");
    }
    let long = format!("/v1/ns/team/-/entries/{}", "k".repeat(300));
    assert_eq!(asks(&server, "GET", &long, "").0, 400);
    let deep = format!("/v1/ns{}/-/config", "/a".repeat(17));
    assert_eq!(asks(&server, "GET", &deep, "").0, 400);
    assert_eq!(
        asks(&server, "GET", "/v1/ns/team%2Fsub/-/namespace", "").0,
        404
    );
    assert_eq!(asks(&server, "GET", "/v1/nothing", "").0, 404);
    assert_eq!(asks(&server, "PATCH", "/v1/whoami", "").0, 405);
}

#[test]
fn malformed_bodies_and_values_name_what_is_wrong() {
    let (server, admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    let put = |body: &str| asks(&server, "PUT", "/v1/ns/team/-/entries/key?draft=d", body);
    for (body, code) in [
        ("{", "invalid-body"),
        ("{\"value\": 1, \"colour\": 2}", "invalid-body"),
        ("{\"type\": \"number\", \"value\": \"one\"}", "invalid"),
        ("{\"type\": \"number\", \"value\": 1e999}", "invalid"),
        (
            "{\"type\": \"json\", \"value\": {\"a\": 1, \"\\u0061\": 2}}",
            "invalid",
        ),
        (
            "{\"type\": \"json\", \"value\": {\"a\": \"\\ud800\"}}",
            "invalid",
        ),
        (
            "{\"type\": \"secret-ref\", \"value\": \"https://example.org\"}",
            "invalid",
        ),
        (
            "{\"type\": \"binary\", \"value\": \"not base64!\"}",
            "invalid",
        ),
        ("{\"type\": \"colour\", \"value\": \"red\"}", "invalid"),
        ("{}", "invalid"),
    ] {
        let (status, said) = put(body);
        assert_eq!(status, 400, "{body} {said}");
        assert_eq!(said, code, "{body}");
    }
    let deep = format!(
        "{{\"type\": \"json\", \"value\": {}1{}}}",
        "[".repeat(70),
        "]".repeat(70)
    );
    assert_eq!(put(&deep).0, 400);
    let large = format!("{{\"value\": \"{}\"}}", "x".repeat((1 << 20) + 1));
    assert!(matches!(put(&large).0, 400 | 413));
    let at_the_limit = format!("{{\"value\": \"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(put(&at_the_limit).0, 200);
    let mut not_utf8 = b"{\"value\": \"".to_vec();
    not_utf8.extend([0xff, 0xfe, b'"', b'}']);
    let token = server.admin_token();
    let path = "/v1/ns/team/-/entries/key?draft=d";
    assert_eq!(answers(&server, "PUT", path, not_utf8, Some(&token)).0, 400);
}

#[test]
fn without_a_valid_token_there_is_no_way_in() {
    let (server, _admin) = started(&[]);
    for token in [None, Some("cfm_pat_wrong"), Some("")] {
        let (status, code) = answers(&server, "GET", "/v1/namespaces", Vec::new(), token);
        assert_eq!(
            (status, code.as_str()),
            (401, "unauthenticated"),
            "{token:?}"
        );
    }
    assert_eq!(answers(&server, "GET", "/healthz", Vec::new(), None).0, 200);
}

#[test]
fn the_command_line_says_what_is_wrong_by_its_exit_code() {
    let (server, admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    let code = |arguments: &[&str]| -> i32 {
        let ran = admin.runs(arguments);
        assert!(!ran.stderr.is_empty(), "{arguments:?} says nothing");
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran.code
    };
    assert_eq!(code(&["frobnicate"]), 2);
    assert_eq!(code(&["get"]), 2);
    assert_eq!(code(&["get", "/Team:key"]), 2);
    assert_eq!(code(&["get", "/team:no such key"]), 2);
    assert_eq!(code(&["get", "/team@published~x:key"]), 2);
    assert_eq!(code(&["get", "/team:missing"]), 3);
    assert_eq!(code(&["get", "/nowhere:missing"]), 3);
    assert_eq!(code(&["show", "/team@deadbeefdeadbeef"]), 3);
    assert_eq!(code(&["set", "/team:n", "one", "--type", "number"]), 6);
    assert_eq!(code(&["ns", "create", "/team"]), 5);
    assert_eq!(code(&["publish", "/team", "--draft", "none"]), 3);
    admin.does(&["set", "/team:n", "1", "--publish"]);
    admin.does(&["set", "/team:n", "2", "--publish"]);
    assert_eq!(code(&["rollback", "/team", "--to", "published~1"]), 8);
    let away = admin
        .command("", &["get", "/team:n"])
        .env("CONFMAN_SERVER", "http://127.0.0.1:9")
        .output();
    assert_eq!(away.unwrap().status.code(), Some(7));
    let stranger = admin
        .command("", &["get", "/team:n"])
        .env("CONFMAN_TOKEN", "cfm_pat_x")
        .output();
    assert_eq!(stranger.unwrap().status.code(), Some(4));
    drop(server);
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused() {
    let (server, admin) = started(&[]);
    let second = Server::try_start_by(Command::new(confman_tests::confman_bin()), server.data());
    let said = second.unwrap_err();
    assert!(
        said.contains("in use") && said.contains(&server.pid().to_string()),
        "{said}"
    );
    admin.does(&["ns", "create", "/still-works"]);
}

#[test]
fn a_data_directory_of_a_newer_format_is_refused_and_left_alone() {
    let (mut server, _admin) = started(&[]);
    server.stop();
    let format = server.data().join("FORMAT");
    let before = fs::read_to_string(&format).unwrap();
    let number = before.split_whitespace().next_back().unwrap();
    fs::write(&format, before.replace(number, "9999")).unwrap();
    let second = Server::try_start_by(Command::new(confman_tests::confman_bin()), server.data());
    let said = second.unwrap_err();
    assert!(said.contains("9999"), "{said}");
    fs::write(&format, before).unwrap();
    let _again = Server::start_on(server.data());
}

/// A value that no other object resembles, so that its bytes can be found on disk.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed;
    let mut text = String::new();
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(b'!' + u8::try_from(state % 90).unwrap()));
    }
    text.replace(['"', '\\'], "x")
}

#[test]
fn a_flipped_bit_on_disk_is_found_named_and_never_served() {
    let (mut server, mut admin) = started(&[]);
    admin.does(&["ns", "create", "/team"]);
    for number in 0..8 {
        let text = noise(number + 1, 60_000);
        let ran = admin.runs_with_input(
            &["set", &format!("/team:noise-{number}"), "-", "--publish"],
            text.as_bytes(),
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    server.stop();
    let largest = data_files(server.data())
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&largest, &bytes).unwrap();

    let fsck = admin.runs(&["fsck", "--data", server.data().to_str().unwrap()]);
    assert_eq!(fsck.code, 6, "{}{}", fsck.text(), fsck.stderr);
    let server = Server::start_on(server.data());
    admin.follow(&server);
    let read: Vec<Ran> = (0..8)
        .map(|number| admin.runs(&["get", &format!("/team:noise-{number}")]))
        .collect();
    let damaged = read.iter().filter(|ran| ran.code == 6).count();
    assert!(damaged >= 1, "nothing is damaged");
    for (ran, seed) in read.iter().zip(1..) {
        let whole = ran.code == 0 && ran.stdout.starts_with(noise(seed, 60_000).as_bytes());
        assert!(
            whole || (ran.code == 6 && ran.stdout.is_empty()),
            "{}: {}",
            ran.code,
            ran.stderr
        );
    }
}

fn data_files(data: &Path) -> Vec<PathBuf> {
    fs::read_dir(data.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "sst" || ending == "blob")
        })
        .collect()
}

#[test]
fn a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_says_so() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("disk");
    fs::create_dir(&data).unwrap();
    // A disk of its own, in a mount namespace of its own.
    let mut on_small_disk = Command::new("unshare");
    on_small_disk
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg("mount -t tmpfs -o size=24m none \"$1\" && shift && exec \"$@\"")
        .args(["sh", data.to_str().unwrap()])
        .arg(confman_tests::confman_bin());
    if !Command::new("unshare")
        .args(["--mount", "--map-root-user", "true"])
        .status()
        .is_ok_and(|s| s.success())
    {
        eprintln!("this system does not let tests have mounts of their own");
        return;
    }
    let data_directory = data.join("data");
    let server = Server::start_by(on_small_disk, &data_directory);
    let token = {
        // The disk is visible to the server alone: look through its eyes.
        let path = format!(
            "/proc/{}/root{}/admin.token",
            server.pid(),
            data_directory.display()
        );
        fs::read_to_string(path).unwrap().trim().to_owned()
    };
    let mut kept = Vec::new();
    let mut refused = None;
    for number in 0..64 {
        let body = format!("{{\"value\": \"{}\"}}", noise(number + 1, 900_000));
        let path = format!("/v1/ns/-/entries/noise-{number}?publish=true");
        let (status, code) = answers(&server, "PUT", &path, body.into_bytes(), Some(&token));
        match status {
            200 => kept.push(number),
            _ => {
                refused = Some((status, code));
                break;
            }
        }
    }
    let (status, code) = refused.expect("the disk is full at some time");
    assert!(!kept.is_empty());
    // The write that the disk broke under may be in the log: then nobody can say what became of it.
    let unknown = (status, code.as_str()) == (504, "unknown-outcome");
    assert!(unknown || status == 503 || status == 0, "{status} {code}");
    let (ready, _) = answers(&server, "GET", "/readyz", Vec::new(), None);
    assert!(ready == 503 || ready == 0, "{ready}");

    // On a disk with room again, everything that was acknowledged is there.
    let larger = place.path().join("larger");
    let seen = format!("/proc/{}/root{}", server.pid(), data_directory.display());
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&seen)
        .arg(&larger)
        .status();
    assert!(copied.unwrap().success());
    drop(server);
    let server = Server::start_on(&larger);
    let admin = Person::admin(&server);
    for number in kept {
        let ran = admin.runs(&["get", &format!("/:noise-{number}")]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stdout == noise(number + 1, 900_000).as_bytes(),
            "{number}"
        );
    }
}
