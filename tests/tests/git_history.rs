//! Git histories in and out.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::io::Read;
use std::path::Path;
use std::process::Command;

use confman_tests::{Person, Server};

const SMALL: &[u8] = include_bytes!("../../fixtures/git/small.fast-export");
const REAL: &str = "../../shared/data/cf-deployment-history.fast-export.zst";
/// How much of the real history the tests read; all of it is in the benchmark.
const REAL_BYTES: u64 = 24 << 20;

fn imported(stream: &[u8], arguments: &[&str]) -> (Server, Person) {
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/imported"]);
    import(&admin, stream, arguments);
    (server, admin)
}

fn import(admin: &Person, stream: &[u8], arguments: &[&str]) {
    let mut all = vec!["import", "/imported", "--git", "-"];
    all.extend(arguments);
    let ran = admin.runs_with_input(&all, stream);
    assert_eq!(ran.code, 0, "{}{}", ran.text(), ran.stderr);
}

fn log(admin: &Person, namespace: &str) -> Vec<serde_json::Value> {
    let ran = admin.runs(&["log", namespace, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn authors_times_messages_deletions_renames_and_merges_are_kept() {
    let (_server, admin) = imported(SMALL, &[]);
    let log = log(&admin, "/imported");
    let messages: Vec<&str> = log
        .iter()
        .map(|c| c["message"].as_str().unwrap().trim())
        .collect();
    assert_eq!(
        messages,
        [
            "after the merge",
            "merge the side line",
            "rename and delete",
            "second file",
            "first file"
        ]
    );
    assert_eq!(log[4]["author"]["name"], "Ada Lovelace");
    assert_eq!(log[4]["authoredAt"], "2023-11-14T23:13:20+01:00");
    assert_eq!(log[1]["parents"].as_array().unwrap().len(), 2);

    assert_eq!(
        admin.does(&["get", "/imported:service/renamed.txt"]),
        "second, edited"
    );
    assert_eq!(admin.runs(&["get", "/imported:service/second.txt"]).code, 3);
    assert_eq!(
        admin.does(&["get", "/imported@published~3:service/second.txt"]),
        "second"
    );
    let kind = admin
        .runs(&["get", "/imported:limits.json", "--json"])
        .json();
    assert_eq!(kind["type"], "json");
    assert_eq!(
        admin.runs(&["get", "/imported:logo.bin", "--json"]).json()["type"],
        "binary"
    );
    // The value that the side line gave is blamed on the merge that brought it in.
    let blame = admin.does(&["blame", "/imported"]);
    let side = blame
        .lines()
        .find(|line| line.contains("side.txt"))
        .unwrap();
    assert!(side.contains("merge the side line"), "{blame}");
}

#[test]
fn an_import_that_is_run_again_changes_nothing_and_goes_on_with_what_is_new() {
    let begin = b"commit refs/heads/main\nmark :60";
    let cut = SMALL
        .windows(begin.len())
        .position(|window| window == begin)
        .unwrap();
    let (_server, admin) = imported(&SMALL[..cut], &[]);
    let before = log(&admin, "/imported");
    import(&admin, &SMALL[..cut], &[]);
    assert_eq!(log(&admin, "/imported"), before);
    import(&admin, SMALL, &[]);
    let after = log(&admin, "/imported");
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after[1..], before[..]);
}

#[test]
fn what_is_exported_and_imported_again_has_the_same_trees() {
    let (_server, admin) = imported(SMALL, &[]);
    let exported = admin.runs(&["export", "/imported", "--git"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let (_other, second) = imported(&exported.stdout, &[]);
    let trees = |log: Vec<serde_json::Value>| -> Vec<String> {
        log.iter()
            .map(|c| c["tree"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        trees(log(&admin, "/imported")),
        trees(log(&second, "/imported"))
    );

    // git itself reads the stream.
    let place = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str], input: &[u8]| -> String {
        use std::io::Write;
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(place.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet", "--bare", "."], b"");
    git(&["fast-import", "--quiet"], &exported.stdout);
    let files = git(&["ls-tree", "-r", "--name-only", "main"], b"");
    assert_eq!(
        files,
        "limits.json\nlogo.bin\nservice/first.txt\nservice/renamed.txt\nside.txt\n"
    );
}

#[test]
fn leading_directories_become_child_namespaces_when_asked() {
    let (_server, admin) = imported(SMALL, &["--namespaces", "depth=1"]);
    assert_eq!(
        admin.does(&["get", "/imported/service:renamed.txt"]),
        "second, edited"
    );
    assert_eq!(admin.does(&["get", "/imported:side.txt"]), "side");
}

#[test]
fn a_stream_that_is_cut_or_malformed_is_refused_with_its_place_and_publishes_nothing() {
    let server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/imported"]);
    for (stream, said) in [
        (&SMALL[..SMALL.len() - 30], "end"),
        (
            b"commit refs/heads/main\nmark :1\nnonsense\n".as_slice(),
            "line 3",
        ),
        (
            b"blob\nmark :1\ndata 99999999999999\nx\n".as_slice(),
            "line 3",
        ),
    ] {
        let ran = admin.runs_with_input(&["import", "/imported", "--git", "-"], stream);
        assert_eq!(ran.code, 6, "{}{}", ran.text(), ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert_eq!(admin.runs(&["ls", "/imported"]).text(), "");
    }
}

/// The beginning of a real history of thousands of commits, where it is at hand.
#[test]
fn the_beginning_of_a_real_history_answers_like_git() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REAL);
    if !path.is_file() {
        return;
    }
    let mut stream = Vec::new();
    zstd::stream::read::Decoder::new(std::fs::File::open(path).unwrap())
        .unwrap()
        .take(REAL_BYTES)
        .read_to_end(&mut stream)
        .unwrap();
    let text = String::from_utf8_lossy(&stream);
    let last = text.rfind("\nblob\nmark :").unwrap() + 1;
    let whole = &stream[..last];
    let (_server, admin) = imported(whole, &[]);

    let place = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
    std::fs::write(place.path().join("stream"), whole).unwrap();
    let fed = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(place.path())
        .stdin(std::fs::File::open(place.path().join("stream")).unwrap())
        .status()
        .unwrap();
    assert!(fed.success());

    let line: Vec<String> = git(&["log", "--first-parent", "--format=%an|%s", "main"])
        .lines()
        .map(str::to_owned)
        .collect();
    let ours: Vec<String> = log(&admin, "/imported")
        .iter()
        .map(|c| {
            let subject = c["message"]
                .as_str()
                .unwrap()
                .trim_start()
                .lines()
                .next()
                .unwrap_or("")
                .trim()
                .to_owned();
            format!("{}|{subject}", c["author"]["name"].as_str().unwrap_or(""))
        })
        .collect();
    assert_eq!(ours.len(), line.len());
    assert_eq!(ours.first(), line.first());
    for back in [0, 1, line.len() / 2, line.len() - 1] {
        let files = git(&["ls-tree", "-r", "--name-only", &format!("main~{back}")]);
        let keys = admin.does(&["ls", &format!("/imported@published~{back}")]);
        let keys: Vec<&str> = keys
            .lines()
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        assert_eq!(keys, files.lines().collect::<Vec<_>>(), "{back} back");
        if let Some(file) = files.lines().last() {
            let value = admin.runs(&["get", &format!("/imported@published~{back}:{file}")]);
            assert_eq!(
                String::from_utf8(value.stdout).unwrap().trim_end(),
                git(&["show", &format!("main~{back}:{file}")]).trim_end(),
                "{file}, {back} back"
            );
        }
    }
}
