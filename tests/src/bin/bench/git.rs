//! git, the peer of histories, comparisons and clones.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// `git version`'s number.
pub fn version() -> Result<String, Failure> {
    let output = Command::new("git").arg("version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().nth(2).unwrap_or("?").to_owned())
}

/// Runs git in a directory and takes the time; an error says what git said.
pub fn timed(directory: &Path, arguments: &[&str]) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("git {arguments:?}: {said}").into());
    }
    Ok(begun.elapsed())
}

/// A bare repository of a stream that `write` makes; gives the time that git took for it.
pub fn import(
    directory: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    std::fs::create_dir_all(directory)?;
    timed(
        directory,
        &["init", "--quiet", "--bare", "--initial-branch=main", "."],
    )?;
    let begun = Instant::now();
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(stdin) = child.stdin.take() {
        let mut stdin = std::io::BufWriter::with_capacity(1 << 20, stdin);
        write(&mut stdin)?;
        stdin.flush()?;
    }
    if !child.wait()?.success() {
        return Err("git fast-import failed".into());
    }
    Ok(begun.elapsed())
}

/// Writes a stream: one commit that adds `files` files in one directory, then one that changes
/// `changed` of them.
pub fn flat_history(out: &mut dyn Write, files: usize, changed: usize) -> Result<(), Failure> {
    commit_header(out, 1, "add everything", None)?;
    for number in 0..files {
        file(out, number, &value(number, 0))?;
    }
    commit_header(out, 2, "change a few", Some(1))?;
    for number in (0..files).step_by((files / changed).max(1)).take(changed) {
        file(out, number, &value(number, 1))?;
    }
    Ok(())
}

/// The value of a key in the made-up namespaces.
pub fn value(number: usize, edition: usize) -> String {
    format!("value {number} of edition {edition}")
}

/// The key of a number: four teams of services with a few hundred settings each.
pub fn key(number: usize) -> String {
    format!("service-{:04}/setting-{:03}", number / 250, number % 250)
}

fn commit_header(
    out: &mut dyn Write,
    mark: usize,
    message: &str,
    from: Option<usize>,
) -> Result<(), Failure> {
    write!(
        out,
        "commit refs/heads/main\nmark :{mark}\nauthor Ada <ada@example.org> {0} +0000\ncommitter Ada <ada@example.org> {0} +0000\ndata {1}\n{message}\n",
        1_700_000_000 + mark,
        message.len()
    )?;
    if let Some(parent) = from {
        writeln!(out, "from :{parent}")?;
    }
    Ok(())
}

fn file(out: &mut dyn Write, number: usize, text: &str) -> Result<(), Failure> {
    let name = key(number).replace('/', "-");
    write!(out, "M 100644 inline {name}\ndata {}\n{text}\n", text.len())?;
    Ok(())
}
