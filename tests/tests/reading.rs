//! Programs that read their configuration: started with it, told of changes, and there when the
//! server is away; with the real program, real servers and real child processes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use confman_tests::{Person, Server};

/// How long something that must happen may take.
const HAPPENS: Duration = Duration::from_secs(30);
/// Pause between two looks at something that nobody announces.
const LOOK: Duration = Duration::from_millis(20);

/// A server with `/app`, which has a key, and its administrator.
fn started() -> (Server, Person) {
    let (server, admin) = confman_tests::started(&["/app"]);
    set(&admin, "greeting", "hello");
    (server, admin)
}

fn set(person: &Person, key: &str, value: &str) {
    let address = format!("/app:{key}");
    person.does(&["set", &address, value, "--publish", "-m", "test"]);
}

/// A process that runs until it is dropped, and what it says line by line.
struct Running {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Running {
    fn start(person: &Person, arguments: &[&str]) -> Self {
        Self::of(person.command("", arguments))
    }

    fn of(mut command: std::process::Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// The next line of its data.
    #[track_caller]
    fn line(&self) -> String {
        match self.stdout.recv_timeout(HAPPENS) {
            Ok(line) => line,
            Err(_) => panic!(
                "no line; it said: {:?}",
                self.stderr.try_iter().collect::<Vec<_>>()
            ),
        }
    }

    /// The next of its messages with a text.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let until = Instant::now() + HAPPENS;
        let mut said = Vec::new();
        while let Ok(line) = self
            .stderr
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.contains(text) {
                return line;
            }
            said.push(line);
        }
        panic!("it never said {text:?}, but {said:?}");
    }

    fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    fn wait(mut self) -> ExitStatus {
        let until = Instant::now() + HAPPENS;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it did not end");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    said
}

fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "kill -{name} {pid}");
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + HAPPENS;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(LOOK);
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return found;
    };
    for entry in entries.map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// The file in which a person's confman keeps `/app`.
fn mirror(person: &Person) -> PathBuf {
    let found: Vec<PathBuf> = files_below(&person.path(".local/state/confman/mirror"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "mirror"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

const SAY_GREETING: &str = "echo \"$GREETING\"; exec sleep 1000";

#[test]
fn a_program_starts_with_its_configuration_and_a_change_starts_it_again() {
    let (_server, admin) = started();
    let script = ["run", "/app", "--", "sh", "-c", SAY_GREETING];
    let program = Running::start(&admin, &script);
    assert_eq!(program.line(), "hello");
    set(&admin, "greeting", "goodbye");
    assert_eq!(program.line(), "goodbye");
    program.signal("TERM");
    // The program was ended by the signal that was passed on.
    assert_eq!(program.wait().code(), Some(128 + 15));
}

#[test]
fn a_dead_server_is_survived_and_its_return_brings_the_update() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start_on(&data);
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/app"]);
    set(&admin, "greeting", "hello");
    assert_eq!(
        admin.does(&["run", "/app", "--", "sh", "-c", "echo $GREETING"]),
        "hello"
    );
    let mode = std::fs::metadata(mirror(&admin))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    server.kill();

    let script = ["run", "/app", "--", "sh", "-c", SAY_GREETING];
    let program = Running::start(&admin, &script);
    assert_eq!(program.line(), "hello");
    let warning = program.says("warning");
    assert!(warning.contains("confirmed last"), "{warning}");
    assert!(warning.contains(" s ago: no server answers"), "{warning}");

    let got = admin.runs(&["get", "/app:greeting"]);
    assert_eq!((got.code, got.text()), (0, "hello"), "{}", got.stderr);
    assert!(got.stderr.contains("confirmed last"), "{}", got.stderr);
    let refused = admin.runs(&["get", "/app:greeting", "--no-fallback"]);
    assert_eq!(
        (refused.code, refused.text()),
        (7, ""),
        "{}",
        refused.stderr
    );
    let refused = admin.runs(&["run", "/app", "--no-fallback", "--", "true"]);
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    let exported = admin.runs(&["export", "/app", "--format", "flat"]);
    assert_eq!(
        exported.text(),
        "greeting = \"hello\"",
        "{}",
        exported.stderr
    );
    // What was never kept is an error, not an empty answer.
    let other = admin.runs(&["export", "/", "--format", "flat"]);
    assert_eq!((other.code, other.text()), (7, ""), "{}", other.stderr);

    let again = std::process::Command::new(confman_tests::confman_bin());
    let _server = Server::start_at(again, &data, &format!("127.0.0.1:{port}"));
    set(&admin, "greeting", "welcome back");
    assert_eq!(program.line(), "welcome back");
}

#[test]
fn kept_configuration_that_is_damaged_or_exposed_is_refused() {
    let (mut server, admin) = started();
    admin.does(&["export", "/app"]);
    let path = mirror(&admin);
    let whole = std::fs::read(&path).unwrap();
    server.kill();
    let mut damaged = whole.clone();
    let at = damaged.windows(5).position(|it| it == b"hello").unwrap();
    damaged[at] = b'j';
    std::fs::write(&path, &damaged).unwrap();
    for command in [
        ["export", "/app"].as_slice(),
        &["get", "/app:greeting"],
        &["run", "/app", "--", "true"],
        &["watch", "/app"],
    ] {
        let ran = admin.runs(command);
        assert_eq!(
            (ran.code, ran.text()),
            (6, ""),
            "{command:?} {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("is damaged and is not used"),
            "{}",
            ran.stderr
        );
    }
    std::fs::write(&path, &whole).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let exposed = admin.runs(&["export", "/app"]);
    assert_eq!(exposed.code, 6, "{}", exposed.stderr);
    assert!(exposed.stderr.contains("chmod 600"), "{}", exposed.stderr);
}

#[test]
fn another_store_at_the_same_address_is_refused() {
    let (mut server, mut admin) = started();
    admin.does(&["export", "/app"]);
    let address = server.url().trim_start_matches("http://").to_owned();
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    let impostor = Server::start_at(
        std::process::Command::new(confman_tests::confman_bin()),
        &folder.path().join("data"),
        &address,
    );
    admin.become_admin(&impostor);
    let ran = admin.runs(&["export", "/app"]);
    assert_eq!((ran.code, ran.text()), (5, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("is another store"), "{}", ran.stderr);
    // The way out that the message names.
    std::fs::remove_file(mirror(&admin)).unwrap();
    admin.does(&["ns", "create", "/app"]);
    assert_eq!(admin.does(&["export", "/app"]), "{}");
}

#[test]
fn a_wrong_token_is_an_error_whatever_was_kept() {
    let (_server, admin) = started();
    admin.does(&["export", "/app"]);
    let mut command = admin.command("", &["run", "/app", "--", "echo", "started"]);
    command.env("CONFMAN_TOKEN", "cfm_pat_wrong");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(output.stdout.is_empty());
}

#[test]
fn secrets_reach_the_program_and_nothing_else() {
    const CANARY: &str = "canary-5d1e88";
    let (server, admin) = started();
    let reference = [
        "set",
        "/app:db/password",
        "env://DB_SECRET",
        "--type",
        "secret-ref",
    ];
    admin.does(&[&reference[..], &["--publish", "-m", "test"]].concat());
    let script = "test \"$DB_PASSWORD\" = \"$EXPECTED\" && echo matches; cat app.yaml";
    let mut command = admin.command(
        "",
        &[
            "run",
            "/app",
            "--file",
            "yaml:app.yaml",
            "-v",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    let output = command
        .env("DB_SECRET", CANARY)
        .env("EXPECTED", CANARY)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("matches\n"), "{stdout}");
    assert!(
        stdout.contains("db/password: \"env://DB_SECRET\""),
        "{stdout}"
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains(CANARY));

    let mut command = admin.command("", &["export", "/app", "--format", "env", "--resolve"]);
    let output = command.env("DB_SECRET", CANARY).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains(&format!("DB_PASSWORD='{CANARY}'")),
        "{printed}"
    );

    for path in files_below(admin.home())
        .iter()
        .chain(&files_below(server.data()))
    {
        let bytes = std::fs::read(path).unwrap();
        let found = bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
    assert!(!server.log().iter().any(|line| line.contains(CANARY)));

    let unresolved = admin.runs(&["run", "/app", "--", "echo", "started"]);
    assert_eq!((unresolved.code, unresolved.text()), (1, ""));
    assert!(
        unresolved.stderr.contains("db/password: `env://DB_SECRET`"),
        "{}",
        unresolved.stderr
    );
}

#[test]
fn names_are_mapped_chosen_and_must_not_collide() {
    let (_server, admin) = started();
    set(&admin, "stripe/api-version", "2025-01-01");
    let names = |arguments: &[&str]| {
        let arguments = [&["run", "/app", "--pristine"], arguments, &["--", "env"]].concat();
        admin.does(&arguments)
    };
    assert_eq!(names(&[]), "GREETING=hello\nSTRIPE_API_VERSION=2025-01-01");
    assert_eq!(
        names(&["--only", "stripe/", "--prefix", "APP_"]),
        "APP_STRIPE_API_VERSION=2025-01-01"
    );
    assert_eq!(names(&["--except", "stripe/*"]), "GREETING=hello");
    set(&admin, "stripe/api.version", "x");
    let ran = admin.runs(&["run", "/app", "--", "env"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("it would be STRIPE_API_VERSION, and so would key `stripe/api-version`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_exit_code_is_that_of_the_program_or_says_why_there_is_none() {
    let (_server, admin) = started();
    let code = |command: &[&str]| admin.runs(&[&["run", "/app"], command].concat()).code;
    assert_eq!(code(&["--", "sh", "-c", "exit 42"]), 42);
    assert_eq!(
        code(&["--on-change", "ignore", "--", "sh", "-c", "exit 43"]),
        43
    );
    assert_eq!(code(&["--", "sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(code(&["--", "no-such-program"]), 127);
    assert_eq!(
        code(&["--on-change", "ignore", "--", "no-such-program"]),
        127
    );
}

#[test]
fn a_change_can_be_a_signal_and_files_are_written_before_it() {
    let (_server, admin) = started();
    let script = "trap 'cat app.toml' HUP; echo ready; while :; do sleep 0.05; done";
    let program = Running::start(
        &admin,
        &[
            "run",
            "/app",
            "--file",
            "toml:app.toml",
            "--on-change",
            "HUP",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    assert_eq!(program.line(), "ready");
    set(&admin, "greeting", "goodbye");
    assert_eq!(program.line(), "greeting = \"goodbye\"");
}

#[test]
fn a_program_that_ignores_the_request_to_end_is_killed_and_started_again() {
    let (_server, admin) = started();
    let script = "trap '' TERM; echo \"$GREETING\"; while :; do sleep 0.05; done";
    let program = Running::start(
        &admin,
        &[
            "run",
            "/app",
            "--stop-timeout",
            "1",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    assert_eq!(program.line(), "hello");
    set(&admin, "greeting", "goodbye");
    program.says("is killed");
    assert_eq!(program.line(), "goodbye");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_does_not_outlive_confman() {
    let (_server, admin) = started();
    let mut program = Running::start(
        &admin,
        &["run", "/app", "--", "sh", "-c", "echo $$; exec sleep 1000"],
    );
    let pid: u32 = program.line().parse().unwrap();
    let place = PathBuf::from(format!("/proc/{pid}"));
    assert!(place.exists());
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    until("the program is gone", || !place.exists());
}

#[test]
fn the_second_server_is_asked_where_the_first_is_away() {
    let (server, admin) = started();
    let mut command = admin.command(
        "",
        &["export", "/app", "--no-fallback", "--also", server.url()],
    );
    let output = command
        .env("CONFMAN_SERVER", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "{\n  \"greeting\": \"hello\"\n}\n");
}

#[test]
fn a_watched_file_follows_and_its_command_runs() {
    let (_server, admin) = started();
    let watch = Running::start(
        &admin,
        &[
            "watch",
            "/app",
            "--json",
            "--to",
            "app.properties",
            "--format",
            "properties",
            "--exec",
            "cp app.properties seen",
        ],
    );
    let read = |name: &str| std::fs::read_to_string(admin.path(name)).unwrap_or_default();
    until("the file is written", || read("seen") == "greeting=hello\n");
    set(&admin, "greeting", "goodbye");
    let change: serde_json::Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!(change["changed"], serde_json::json!(["greeting"]));
    until("the command ran", || read("seen") == "greeting=goodbye\n");
    set(&admin, "colour", "red");
    let change: serde_json::Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!(change["added"], serde_json::json!(["colour"]));
}

#[test]
fn formats_are_written_to_files_with_the_permissions_they_had() {
    let (_server, admin) = started();
    admin.write("app.env", "");
    std::fs::set_permissions(
        admin.path("app.env"),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    admin.does(&["export", "/app", "--format", "dotenv", "-o", "app.env"]);
    let path = admin.path("app.env");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "GREETING=\"hello\"\n"
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
}
