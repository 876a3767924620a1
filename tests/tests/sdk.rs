//! The SDKs of other languages against the real server: their own tests, run by their own runners,
//! the examples of their READMEs among them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::path::PathBuf;
use std::process::Command;

use confman_tests::{Person, Server};

fn sdk(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../sdk")
        .join(name)
}

/// Runs a test runner; `None`, said on stderr, where its interpreter is not there.
fn run(program: &str, arguments: &[&str], directory: &str) -> Option<()> {
    let present = Command::new(program).arg("--version").output();
    if present.is_err() {
        eprintln!("skipped: there is no `{program}` to test sdk/{directory} with");
        return None;
    }
    let output = Command::new(program)
        .args(arguments)
        .current_dir(sdk(directory))
        .env("CONFMAN_BIN", confman_tests::confman_bin())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("CONFMAN_SERVER")
        .env_remove("CONFMAN_TOKEN")
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    // A runner that finds no tests is content, and must not be taken for success.
    let counted = said.contains("\n# pass 1") || said.contains("\nRan 1");
    assert!(counted, "fewer than ten tests ran: {said}");
    Some(())
}

#[test]
fn python_reads_follows_and_keeps() {
    let _ = run("python3", &["-m", "unittest", "-q"], "python");
}

#[test]
fn typescript_reads_follows_and_keeps() {
    let _ = run(
        "node",
        &["--test", "--test-reporter=tap", "test/"],
        "typescript",
    );
}

// README begins.
async fn read(server: &str, token: &str) -> Result<(String, i64), Box<dyn std::error::Error>> {
    use confman_client::reading::{Credentials, Fallback, Mirror, Reader, Servers};

    let servers = Servers::new(&[server], Credentials::Token(token.to_owned()))?;
    let payments = "/teams/payments".parse()?;
    let mirror = Mirror::in_directory("kept".as_ref(), &[server], &payments);
    let reader = Reader::new(servers, payments, Some(mirror), Fallback::Allowed);

    let reading = reader.read().await?;
    let version = reading.document.string("stripe/api-version")?;
    let limit = reading.document.parsed("limits/daily")?;
    Ok((version.to_owned(), limit))
}
// README ends.

#[test]
fn rust_reads_as_its_readme_shows() {
    let (_, rest) = include_str!("sdk.rs")
        .split_once("// README begins.\n")
        .unwrap();
    let (shown, _) = rest.split_once("// README ends.").unwrap();
    let readme = include_str!("../../crates/client/README.md");
    assert!(
        readme.contains(&format!("```rust\n{shown}```")),
        "the README shows something else"
    );

    let mut server = Server::start();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&["ns", "create", "/teams/payments"]);
    for (key, value, kind) in [
        ("stripe/api-version", "2025-01-01", "string"),
        ("limits/daily", "100", "number"),
    ] {
        let address = format!("/teams/payments:{key}");
        admin.does(&["set", &address, value, "-t", kind, "--publish", "-m", "x"]);
    }
    // This process is the test's own, so the directory can be.
    std::env::set_current_dir(admin.home()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let expected = ("2025-01-01".to_owned(), 100);
    let (url, token) = (server.url().to_owned(), server.admin_token());
    assert_eq!(runtime.block_on(read(&url, &token)).unwrap(), expected);
    server.kill();
    assert_eq!(runtime.block_on(read(&url, &token)).unwrap(), expected);
}
