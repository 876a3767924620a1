//! A working copy among what can go wrong: commands that are killed, two at once, damaged files, disks
//! that are full or cannot be written, servers that are away, older, newer or not who they say, rights
//! that end, and files as editors and systems leave them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]
#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confman_tests::{Person, Ran, Server};

/// System calls at each of which a command is killed once.
const STEPS: [&str; 5] = ["fsync", "rename", "unlink", "mkdir", "openat"];
/// Enough for any of these commands to be through.
const STEPS_MAX: usize = 400;
/// Of calls that are many, each so-many-th is tried.
const STRIDE_OF_OPENS: usize = 7;
/// How long something that must happen may take.
const HAPPENS: Duration = Duration::from_secs(30);

/// A server with `/team`, which has short and long values, and a clone of it.
fn cloned() -> (Server, Person) {
    let (server, admin) = confman_tests::started(&["/team"]);
    admin.does(&["set", "/team:limit", "1", "-t", "number", "--publish"]);
    admin.does(&["set", "/team:notes", &"one line\n".repeat(50), "--publish"]);
    admin.does(&["clone", "/team", "copy"]);
    (server, admin)
}

fn copy_of(admin: &Person, name: &str) {
    let _ = fs::remove_dir_all(admin.path(name));
    let copied = Command::new("cp")
        .arg("-a")
        .args([admin.path("copy"), admin.path(name)])
        .status();
    assert!(copied.unwrap().success());
}

/// Runs a command that is killed at the `number`th call of this kind; `false` where it was through before.
fn killed(admin: &Person, directory: &str, arguments: &[&str], call: &str, number: usize) -> bool {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=SIGKILL:when={number}"));
    let output = admin.command_by(strace, directory, arguments).output();
    !output.unwrap().status.success()
}

/// Kills a command at each step, on what `prepare` makes, and lets `check` look at what is left.
fn at_each_step(
    admin: &Person,
    directory: &str,
    arguments: &[&str],
    prepare: impl Fn(),
    check: impl Fn(&str),
) {
    let mut kills = 0;
    for call in STEPS {
        let stride = if call == "openat" { STRIDE_OF_OPENS } else { 1 };
        for number in (1..STEPS_MAX).step_by(stride) {
            prepare();
            let was_killed = killed(admin, directory, arguments, call, number);
            check(&format!("{arguments:?} killed at {call} {number}"));
            if !was_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 10, "{arguments:?} was killed {kills} times only");
}

#[track_caller]
fn fine(ran: &Ran, when: &str) {
    assert_eq!(ran.code, 0, "{when}: {}{}", ran.text(), ran.stderr);
}

#[test]
fn a_pull_that_is_killed_anywhere_leaves_a_whole_copy_and_is_done_again() {
    let (_server, admin) = cloned();
    admin.does(&["set", "/team:notes", &"new line\n".repeat(50), "--publish"]);
    admin.does(&["set", "/team:more", &"text\n".repeat(20), "--publish"]);
    admin.replaces("copy/entries.json", "{\"value\": 1}", "{\"value\": 2}");
    at_each_step(
        &admin,
        "again",
        &["pull"],
        || copy_of(&admin, "again"),
        |when| {
            fine(&admin.runs_in("again", &["status"]), when);
            fine(&admin.runs_in("again", &["pull"]), when);
            let read = |file: &str| fs::read_to_string(admin.path(file)).unwrap();
            assert!(
                read("again/files/notes.txt").starts_with("new line"),
                "{when}"
            );
            assert!(read("again/files/more.txt").starts_with("text"), "{when}");
            assert!(
                read("again/entries.json").contains("{\"value\": 2}"),
                "{when}"
            );
        },
    );
}

#[test]
fn a_clone_that_is_killed_anywhere_is_whole_or_can_be_made_again() {
    let (_server, admin) = cloned();
    let fresh = || {
        let _ = fs::remove_dir_all(admin.path("fresh"));
    };
    at_each_step(&admin, "", &["clone", "/team", "fresh"], fresh, |when| {
        let again = admin.runs(&["clone", "/team", "fresh"]);
        if again.code != 0 {
            // It was there already.
            assert_eq!(again.code, 5, "{when}: {}", again.stderr);
        }
        let status = admin.runs_in("fresh", &["status", "--jq", ".namespaces[].changes[]"]);
        fine(&status, when);
        assert_eq!(status.text(), "", "{when}");
    });
}

#[test]
fn a_push_that_is_killed_anywhere_loses_nothing_and_goes_on() {
    let (_server, admin) = cloned();
    admin.replaces("copy/entries.json", "{\"value\": 1}", "{\"value\": 2}");
    let prepare = || {
        copy_of(&admin, "again");
        let _ = admin.runs(&["draft", "delete", "/team", "admin", "--yes"]);
    };
    at_each_step(&admin, "again", &["push", "-m", "x"], prepare, |when| {
        fine(&admin.runs_in("again", &["status"]), when);
        let mut pushed = admin.runs_in("again", &["push", "-m", "x"]);
        if pushed.code == 5 {
            // The server had it, and the copy does not know yet.
            fine(&admin.runs_in("again", &["pull"]), when);
            pushed = admin.runs_in("again", &["push", "-m", "x"]);
        }
        fine(&pushed, when);
        let drafted = admin.does(&["get", "/team@draft/admin:limit", "--own"]);
        assert_eq!(drafted, "2", "{when}");
    });
}

#[test]
fn two_commands_at_once_do_not_mix_and_none_is_lost() {
    let (_server, admin) = cloned();
    for number in 0..8 {
        let key = format!("/team:k{number}");
        admin.does(&["set", &key, &"line\n".repeat(100), "--publish"]);
    }
    let pulls: Vec<_> = (0..4)
        .map(|_| admin.command("copy", &["pull"]).spawn().unwrap())
        .collect();
    let mut done = 0;
    for pull in pulls {
        let output = pull.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => done += 1,
            code => {
                assert_eq!(code, Some(5), "{said}");
                assert!(said.contains("another process"), "{said}");
            }
        }
    }
    assert!(done > 0);
    let status = admin.runs_in(
        "copy",
        &["status", "--jq", ".namespaces[].changes | length"],
    );
    assert_eq!(status.text(), "0", "{}", status.stderr);
}

#[test]
fn edited_private_files_are_told_and_never_taken_for_the_truth() {
    let (_server, admin) = cloned();
    copy_of(&admin, "again");
    for damage in ["", "{", "{\"format\": 1}", "\u{0}\u{1}"] {
        fs::write(admin.path("again/.confman/state.json"), damage).unwrap();
        let ran = admin.runs_in("again", &["status"]);
        assert_eq!(ran.code, 6, "{damage:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("state.json"), "{}", ran.stderr);
        assert!(ran.stderr.contains("clone again"), "{}", ran.stderr);
    }
    // What is derived is made again.
    copy_of(&admin, "again");
    fs::write(admin.path("again/.confman/index.json"), "{").unwrap();
    fine(&admin.runs_in("again", &["status"]), "a damaged cache");
    // So are what texts said before, and what is inherited.
    admin.replaces("again/entries.json", "{\"value\": 1}", "{\"value\": 2}");
    let changed = || {
        let words = ["status", "--jq", ".namespaces[].changes[].key"];
        admin.does_in("again", &words)
    };
    assert_eq!(changed(), "limit");
    for damage in ["", "{", "{\n}\n", "\u{0}\u{1}"] {
        for kept in fs::read_dir(admin.path("again/.confman/known")).unwrap() {
            fs::write(kept.unwrap().path(), damage).unwrap();
            assert_eq!(changed(), "limit", "{damage:?}");
        }
        fs::write(admin.path("again/.confman/inherited.json"), damage).unwrap();
        fine(&admin.runs_in("again", &["diff"]), damage);
        let unknown = admin.runs_in("again", &["schema", "check"]);
        assert_eq!(unknown.code, 1, "{damage:?}: {}", unknown.stderr);
    }
    fine(&admin.runs_in("again", &["pull"]), "what is inherited");
    fine(
        &admin.runs_in("again", &["schema", "check"]),
        "is known again",
    );
    // A plan that cannot be read is not carried out, nor is what it may say thrown away.
    fs::write(admin.path("again/.confman/journal.json"), "{\"format\": 1}").unwrap();
    let ran = admin.runs_in("again", &["status"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("journal.json"), "{}", ran.stderr);
    fs::remove_file(admin.path("again/.confman/journal.json")).unwrap();
    let newer = "again/.confman/state.json";
    admin.replaces(newer, "\"format\": 1", "\"format\": 99");
    let ran = admin.runs_in("again", &["status"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("newer confman"), "{}", ran.stderr);
}

/// Whether permissions bind us; they do not bind root.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

/// A command of somebody whom permissions bind.
fn unprivileged(admin: &Person, directory: &str, arguments: &[&str]) -> Ran {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
    setpriv.args(["--reuid", "65534", "--clear-groups"]);
    let mut command = admin.command_by(setpriv, directory, arguments);
    command.output().unwrap().into()
}

#[test]
fn a_directory_that_cannot_be_written_is_named_and_nothing_changes() {
    let (_server, admin) = cloned();
    admin.does(&["set", "/team:limit", "7", "--publish"]);
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(admin.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let run = |arguments: &[&str]| match is_root() {
        true => unprivileged(&admin, "copy", arguments),
        false => admin.runs_in("copy", arguments),
    };
    for path in ["copy", "copy/.confman"] {
        mode(path, 0o555);
    }
    // The way there must be open to whoever is nobody.
    fs::set_permissions(admin.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let status = run(&["status"]);
    assert_eq!(
        status.code, 0,
        "reading needs no writing: {}",
        status.stderr
    );
    let pulled = run(&["pull"]);
    assert_eq!(pulled.code, 4, "{}", pulled.stderr);
    assert!(pulled.stderr.contains(".confman"), "{}", pulled.stderr);
    for path in ["copy", "copy/.confman"] {
        mode(path, 0o755);
    }
    fine(
        &admin.runs_in("copy", &["pull"]),
        "when it can be written again",
    );
    assert!(
        fs::read_to_string(admin.path("copy/entries.json"))
            .unwrap()
            .contains("{\"value\": 7}")
    );
}

/// Whether this system lets tests have mounts of their own.
fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    let tried = unshare
        .args(["--mount", "--map-root-user", "true"])
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_leaves_the_copy_as_it_was() {
    let (_server, admin) = cloned();
    admin.write(
        "big.json",
        format!("{{\"big\": \"{}\"}}", "x".repeat(900_000)),
    );
    admin.does(&["import", "/team", "big.json", "--publish"]);
    if !may_mount() {
        eprintln!("this system does not let tests have mounts of their own");
        return;
    }
    let script = "mkdir small && mount -t tmpfs -o size=512k none small && cp -a copy/. small && cd small && \
                  cp entries.json ../before && \"$1\" pull; echo pulled $?; cmp entries.json ../before && \"$1\" status && \
                  mount -o remount,size=8m . && \"$1\" pull && grep -c xxxx files/big.txt";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    let output = admin.command_by(unshare, "", &[]).output().unwrap();
    let (text, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{text}{said}");
    assert!(!text.contains("pulled 0"), "{text}{said}");
    assert!(said.contains("No space left"), "{text}{said}");
}

#[test]
fn a_clone_to_a_full_disk_leaves_nothing_behind() {
    let (_server, admin) = cloned();
    let big = "x".repeat(900_000);
    admin.write("big.json", format!("{{\"big\": \"{big}\"}}"));
    admin.does(&["import", "/team", "big.json", "--publish"]);
    if !may_mount() {
        eprintln!("this system does not let tests have mounts of their own");
        return;
    }
    let script = "mkdir small && mount -t tmpfs -o size=512k none small && cd small && \"$1\" clone /team; \
                  echo cloned $?; ls -A | wc -l && mount -o remount,size=8m . && \"$1\" clone /team && cd team && \"$1\" status";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    let output = admin.command_by(unshare, "", &[]).output().unwrap();
    let (text, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{text}{said}");
    assert!(text.starts_with("cloned 1\n0\n"), "{text}{said}");
    assert!(said.contains("No space left"), "{text}{said}");
}

#[test]
fn files_as_editors_and_systems_leave_them_are_read_or_refused_with_their_place() {
    let (_server, admin) = cloned();
    let entries = admin.path("copy/entries.json");
    let before = fs::read(&entries).unwrap();
    // Line ends of Windows are read over around entries, and are part of what is in files.
    fs::write(
        &entries,
        String::from_utf8(before.clone())
            .unwrap()
            .replace('\n', "\r\n"),
    )
    .unwrap();
    let changes = [
        "status",
        "--jq",
        "[.namespaces[].changes[].key] | join(\" \")",
    ];
    assert_eq!(admin.does_in("copy", &changes), "");
    admin.replaces("copy/files/notes.txt", "\n", "\r\n");
    assert_eq!(admin.does_in("copy", &changes), "notes");
    // Bytes that are no text.
    fs::write(admin.path("copy/files/notes.txt"), b"one\ntwo \xff\n").unwrap();
    let ran = admin.runs_in("copy", &["status"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("files/notes.txt 2:5"), "{}", ran.stderr);
    admin.does_in("copy", &["restore", "notes", "--yes"]);
    fs::write(&entries, b"{\"a\": {\"value\": \"\xff\"}}").unwrap();
    let ran = admin.runs_in("copy", &["status"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("entries.json 1:18"), "{}", ran.stderr);
    // A mark of byte order, as some editors write it, is said by its name.
    fs::write(&entries, [b"\xef\xbb\xbf", &before[..]].concat()).unwrap();
    let ran = admin.runs_in("copy", &["status"]);
    assert!(
        ran.code == 0 || ran.stderr.contains("entries.json 1:1"),
        "{}",
        ran.stderr
    );
    fs::write(&entries, &before).unwrap();
    fine(&admin.runs_in("copy", &["status"]), "as it was");
}

#[test]
fn large_values_and_long_documents_go_both_ways() {
    let (_server, admin) = cloned();
    let members: Vec<String> = (0..10_000)
        .map(|at| format!("  \"member-{at}\": {at}"))
        .collect();
    let document = format!("{{\n{}\n}}", members.join(",\n"));
    admin.write("copy/files/large.txt", "y".repeat(1 << 20));
    admin.write("copy/files/document.json", &document);
    admin.replaces("copy/entries.json",
        "\"limit\":",
        "\"document\": {\"file\": \"files/document.json\"},\n  \"large\": {\"file\": \"files/large.txt\"},\n  \"limit\":",
    );
    admin.does_in("copy", &["push", "-m", "large", "--publish"]);
    assert_eq!(admin.does(&["get", "/team:large"]).len(), 1 << 20);
    assert_eq!(admin.does(&["get", "/team:document"]), document);
    // One byte more than a value may have.
    admin.write("copy/files/large.txt", "y".repeat((1 << 20) + 1));
    let ran = admin.runs_in("copy", &["push", "-m", "too large"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("large"), "{}", ran.stderr);
    admin.write("copy/files/large.txt", "y".repeat(1 << 20));
    assert!(ran.stderr.contains("files/large.txt 1:1"), "{}", ran.stderr);
    // What is wrong far down is shown where it is.
    admin.write(
        "copy/files/document.json",
        document.replace("\"member-9998\": 9998", "\"member-9998\": 99x8"),
    );
    let ran = admin.runs_in("copy", &["status"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("files/document.json 10000:18"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("^"), "{}", ran.stderr);
}

#[test]
fn keys_that_differ_in_case_only_have_files_of_their_own() {
    let (_server, admin) = cloned();
    for key in ["Readme", "readme", "README"] {
        let value = format!("{key}\n").repeat(40);
        admin.does(&["set", &format!("/team:{key}"), &value, "--publish"]);
    }
    admin.does(&["clone", "/team", "cases"]);
    let files: Vec<String> = fs::read_dir(admin.path("cases/files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().to_lowercase())
        .collect();
    let mut different = files.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), files.len(), "{files:?}");
    let changed = admin.does_in(
        "cases",
        &["status", "--jq", ".namespaces[].changes | length"],
    );
    assert_eq!(changed, "0");
    for key in ["Readme", "readme", "README"] {
        assert!(
            admin
                .does(&["get", &format!("/team:{key}")])
                .starts_with(key)
        );
    }
}

#[test]
fn rights_that_end_on_the_way_are_told_and_no_edit_is_lost() {
    let (server, admin) = cloned();
    admin.does(&["principal", "create", "ann"]);
    admin.does(&["ns", "grant", "/team", "editor", "ann"]);
    let token = |more: &[&str]| {
        let create = ["token", "create", "--principal", "ann", "--name", "x"];
        admin.does(&[&create[..], more].concat())
    };
    let ann = Person::with_token(&server, &token(&[]));
    ann.does(&["clone", "/team", "copy"]);
    ann.replaces("copy/entries.json", "{\"value\": 1}", "{\"value\": 2}");
    admin.does(&["ns", "revoke", "/team", "editor", "ann"]);
    admin.does(&["ns", "grant", "/team", "viewer", "ann"]);
    let refused = ann.runs_in("copy", &["push", "-m", "x"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("editor"), "{}", refused.stderr);
    admin.does(&["ns", "revoke", "/team", "viewer", "ann"]);
    let gone = ann.runs_in("copy", &["pull"]);
    assert!(matches!(gone.code, 3 | 4), "{}", gone.stderr);
    let changed = ann.does_in("copy", &["status", "--jq", ".namespaces[].changes[].key"]);
    assert_eq!(changed, "limit");
    admin.does(&["ns", "grant", "/team", "editor", "ann"]);
    ann.does_in("copy", &["push", "-m", "x"]);

    // A token that ends.
    let short = Person::with_token(&server, &token(&["--expires", "1s"]));
    let until = Instant::now() + HAPPENS;
    let refused = loop {
        let ran = short.runs(&["get", "/team:limit"]);
        if ran.code != 0 || Instant::now() > until {
            break ran;
        }
    };
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("confman login"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_directory_from_elsewhere_gets_neither_tokens_nor_orders() {
    let (server, admin) = cloned();
    // Its server is named by the directory alone.
    let mut pull = admin.command("copy", &["pull"]);
    let told: Ran = pull.env_remove("CONFMAN_SERVER").output().unwrap().into();
    assert_eq!(told.code, 4, "{}", told.stderr);
    assert!(told.stderr.contains("is not sent to"), "{}", told.stderr);
    assert!(told.stderr.contains(server.url()), "{}", told.stderr);
    fine(&admin.runs_in("copy", &["pull"]), "who names it gets it");
    // A plan that moves files of ours there.
    admin.write("mine", "mine");
    let plan = r#"{"format": 1, "steps": [{"path": "entries.json", "from": "../../../mine"}]}"#;
    admin.write("copy/.confman/journal.json", plan);
    let told = admin.runs_in("copy", &["status"]);
    assert_eq!(told.code, 6, "{}", told.stderr);
    assert_eq!(fs::read(admin.path("mine")).unwrap(), b"mine");
    fs::remove_file(admin.path("copy/.confman/journal.json")).unwrap();
    // Another user made it.
    if is_root() {
        let chown = Command::new("chown")
            .arg("-R")
            .arg("65534")
            .arg(admin.path("copy"))
            .status();
        assert!(chown.unwrap().success());
        let told = admin.runs_in("copy", &["status"]);
        assert_eq!(told.code, 4, "{}", told.stderr);
        assert!(told.stderr.contains("another user"), "{}", told.stderr);
        let trusted = [("CONFMAN_TRUSTED_DIRECTORIES", admin.path("copy"))];
        let trusted = trusted.map(|(name, path)| (name, path.display().to_string()));
        let trusted = trusted
            .each_ref()
            .map(|(name, path)| (*name, path.as_str()));
        fine(
            &admin.runs_with("copy", &["status"], &trusted),
            "it is trusted",
        );
    }
}

#[test]
fn values_of_others_are_put_into_no_directory_of_git() {
    let (_server, admin) = cloned();
    let orders = "[core]\n\tfsmonitor = touch /tmp/taken\n";
    for key in [".git/config", "deep/.GIT/hooks/post-checkout", ".git/HEAD"] {
        admin.does(&["set", &format!("/team:{key}"), orders, "--publish"]);
    }
    admin.does(&["clone", "/team", "hostile"]);
    admin.does_in("copy", &["pull"]);
    for copy in ["hostile", "copy"] {
        let found = Command::new("find")
            .arg(admin.path(copy))
            .args(["-iname", ".git"])
            .output();
        assert_eq!(
            String::from_utf8_lossy(&found.unwrap().stdout),
            "",
            "{copy}"
        );
        let changed = ["status", "--jq", ".namespaces[].changes | length"];
        assert_eq!(admin.does_in(copy, &changed), "0");
    }
    admin.replaces("copy/entries.json", "files/notes.txt", "files/.git/config");
    let told = admin.runs_in("copy", &["status"]);
    assert_eq!(told.code, 6, "{}", told.stderr);
    assert!(told.stderr.contains("`.git`"), "{}", told.stderr);
}

#[test]
fn what_breaks_a_schema_is_shown_in_the_files() {
    let (_server, admin) = cloned();
    let schema = r#"{"properties": {"limit": {"maximum": 9}, "deep": {"properties": {"a": {"items": {"type": "string"}}}}}}"#;
    admin.write("schema.json", schema);
    admin.does(&[
        "schema",
        "set",
        "/schemas/team/base",
        "schema.json",
        "-m",
        "x",
    ]);
    admin.does(&["ns", "set", "/team", "--schema", "/schemas/team/base"]);
    let entries = "{\n  \"deep\": {\"value\": {\"a\": [\"x\", 7]}},\n  \"limit\": {\"value\": 10},\n  \"notes\": {\"unset\": true}\n}\n";
    admin.write("copy/entries.json", entries);
    let refused = admin.runs_in("copy", &["push", "-m", "x", "--publish"]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("entries.json 3:22: /team:limit"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("entries.json 2:33: /team:deep"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("2 │   \"deep\""),
        "{}",
        refused.stderr
    );
}

/// Something that answers every request with this, until the test ends; its URL.
fn answering(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let _ = write!(
                &stream,
                "{head}content-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

fn at(admin: &Person, url: &str, directory: &str, arguments: &[&str]) -> Ran {
    admin.runs_with(directory, arguments, &[("CONFMAN_SERVER", url)])
}

#[test]
fn servers_that_are_away_or_speak_otherwise_are_told_from_each_other() {
    let (_server, admin) = cloned();
    let away = at(&admin, "http://127.0.0.1:1", "copy", &["pull"]);
    assert_eq!(away.code, 7, "{}", away.stderr);
    assert!(away.stderr.contains("127.0.0.1:1"), "{}", away.stderr);
    // What needs no server goes on.
    fine(
        &at(&admin, "http://127.0.0.1:1", "copy", &["status"]),
        "offline",
    );
    fine(
        &at(
            &admin,
            "http://127.0.0.1:1",
            "copy",
            &["diff", "@published"],
        ),
        "offline",
    );
    fine(
        &at(&admin, "http://127.0.0.1:1", "copy", &["log"]),
        "offline",
    );
    fine(
        &at(&admin, "http://127.0.0.1:1", "copy", &["blame"]),
        "offline",
    );

    let newer = answering(
        r#"{"version":"99.0.0","api":99,"clusterId":"x","nodeId":1,"role":"leader","commit":"x"}"#,
    );
    let told = at(&admin, &newer, "", &["doctor"]);
    assert_eq!(told.code, 7, "{}{}", told.text(), told.stderr);
    let told = at(&admin, &newer, "copy", &["pull"]);
    assert_eq!(told.code, 7, "{}", told.stderr);
    admin.replaces("copy/entries.json", "{\"value\": 1}", "{\"value\": 2}");
    let older = answering(r#"{"members":"of another contract"}"#);
    for words in [
        &["push", "-m", "x"][..],
        &["pull"],
        &["clone", "/team", "other"],
    ] {
        let directory = if words[0] == "clone" { "" } else { "copy" };
        let told = at(&admin, &older, directory, words);
        assert_eq!(told.code, 7, "{words:?}: {}", told.stderr);
        assert!(told.stderr.contains("Confman"), "{}", told.stderr);
    }
    assert!(!admin.path("other").exists());
    let other = answering("<html>a page</html>");
    let told = at(&admin, &other, "", &["get", "/team:limit"]);
    assert_eq!(told.code, 7, "{}", told.stderr);
    fine(&admin.runs_in("copy", &["pull"]), "the copy is as it was");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_server, admin) = cloned();
    let request = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ];
    let made = Command::new("openssl")
        .args(request)
        .current_dir(admin.home())
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is installed").success());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &port.to_string(),
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
        ])
        .current_dir(admin.home())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + HAPPENS;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the server does not listen");
    }
    let told = at(
        &admin,
        &format!("https://localhost:{port}"),
        "",
        &["get", "/team:limit"],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(told.code, 7, "{}", told.stderr);
    assert!(
        told.stderr.to_lowercase().contains("certificate"),
        "{}",
        told.stderr
    );
}
