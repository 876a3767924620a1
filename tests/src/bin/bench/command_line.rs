//! What a person waits for at the command line: status and differences of a large working copy beside
//! git's of as many files, starting up, and reading a value over loopback.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use confman_tests::Server;

use crate::table::{Row, Table};
use crate::{Failure, Scale, clone, confman, git};

/// Entries, and files, that are edited before differences are shown.
const EDITED: usize = 10;
/// How often each command is run; the median counts.
const ROUNDS: usize = 15;
const STATUS_BAR_MS: f64 = 150.0;
const VERSION_BAR_MS: f64 = 5.0;
const GET_BAR_MS: f64 = 15.0;

/// Measures all of them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let server = Server::start();
    let home = directory.path().join("home");
    std::fs::create_dir_all(&home)?;
    let keys = scale.git_files;
    clone::fill(&server, &home, "large", keys)?;
    confman::timed(&server, &home, &["clone", "/large", "copy"])?;
    let repository = directory.path().join("large.git");
    git::import(&repository, |out| clone::files(out, keys))?;
    git::timed(
        directory.path(),
        &["clone", "--quiet", "--no-local", "large.git", "files"],
    )?;
    let (copy, files) = (home.join("copy"), directory.path().join("files"));

    let mut beside = |what: &str, ours: &[&str], theirs: &[&str]| -> Result<(), Failure> {
        let confman = median(|| confman::timed(&server, &copy, ours))?;
        let git = median(|| git::timed(&files, theirs))?;
        let (confman, git) = (milliseconds(confman), milliseconds(git));
        table.add(Row {
            what: what.to_owned(),
            confman: format!("{confman:.1} ms"),
            peer: format!("git {}: {git:.1} ms", theirs.join(" ")),
            ratio: format!(
                "{:.2} of git's, {:.2} of 150 ms",
                confman / git,
                confman / STATUS_BAR_MS
            ),
            bar: "≤ 1 ×, ≤ 150 ms".to_owned(),
        });
        Ok(())
    };
    beside(
        &format!("status of a clone of {keys} entries, nothing changed"),
        &["status"],
        &["status", "--short"],
    )?;
    edit(&copy, &files, keys)?;
    beside(
        &format!("status of {keys} entries, {EDITED} edited"),
        &["status"],
        &["status", "--short"],
    )?;
    beside(
        &format!("diff of {keys} entries, {EDITED} edited"),
        &["diff"],
        &["--no-pager", "diff"],
    )?;

    let version = median(|| confman::timed(&server, &home, &["--version"]))?;
    let peer = median(|| git::timed(&home, &["--version"]))?;
    table.add(absolute(
        "start-up: --version",
        version,
        VERSION_BAR_MS,
        Some(("git --version", peer)),
    ));
    let address = format!("/large:{}", git::key(keys / 2));
    let get = median(|| confman::timed(&server, &home, &["get", &address]))?;
    let url = format!(
        "{}/v1/ns/large/-/config/{}",
        server.url(),
        git::key(keys / 2)
    );
    let token = format!("authorization: Bearer {}", server.admin_token());
    let curl = median(|| {
        let begun = Instant::now();
        let output = Command::new("curl")
            .args(["-sf", "-H", &token, &url])
            .output()?;
        match output.status.success() {
            true => Ok(begun.elapsed()),
            false => Err("curl failed".into()),
        }
    })?;
    table.add(absolute(
        "get of a value over loopback",
        get,
        GET_BAR_MS,
        Some(("curl", curl)),
    ));
    Ok(())
}

fn absolute(what: &str, time: Duration, bar_ms: f64, peer: Option<(&str, Duration)>) -> Row {
    let ms = milliseconds(time);
    let peer = peer.map(|(name, time)| format!("{name}: {:.1} ms", milliseconds(time)));
    Row {
        what: what.to_owned(),
        confman: format!("{ms:.1} ms"),
        peer: peer.unwrap_or_else(|| "–".to_owned()),
        ratio: format!("{:.2} of {bar_ms} ms", ms / bar_ms),
        bar: format!("≤ {bar_ms} ms"),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median of several rounds, after one that warms the caches.
fn median(mut round: impl FnMut() -> Result<Duration, Failure>) -> Result<Duration, Failure> {
    round()?;
    let mut times = (0..ROUNDS)
        .map(|_| round())
        .collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times.get(ROUNDS / 2).copied().unwrap_or_default())
}

/// Edits some of the entries, and the same of the files.
fn edit(copy: &Path, files: &Path, keys: usize) -> Result<(), Failure> {
    let entries = copy.join("entries.json");
    let mut text = std::fs::read_to_string(&entries)?;
    for number in (0..keys).step_by((keys / EDITED).max(1)).take(EDITED) {
        let (before, after) = (git::value(number, 0), git::value(number, 1));
        text = text.replacen(&format!("\"{before}\""), &format!("\"{after}\""), 1);
        std::fs::write(files.join(git::key(number)), after)?;
    }
    std::fs::write(entries, text)?;
    Ok(())
}
