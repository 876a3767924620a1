//! Import of a history, beside `git fast-import` of the same stream.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use confman_tests::Server;

use crate::table::{Row, Table};
use crate::{Failure, Scale, confman, git, machine};

/// The history of a real deployment, where it is at hand (`CONFMAN_SHARED_DATA`, or `../shared/data`).
const REAL_HISTORY: &str = "cf-deployment-history.fast-export.zst";

/// Imports both ways, one after the other.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (name, write) = source(scale)?;
    let repository = directory.path().join("history.git");
    let theirs = git::import(&repository, |out| write(out))?;
    git::timed(&repository, &["gc", "--quiet"])?;
    let their_bytes = machine::bytes_below(&repository)?;

    let home = directory.path().join("home");
    std::fs::create_dir_all(&home)?;
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data);
    confman::timed(&server, &home, &["ns", "create", "/imported"])?;
    let begun = Instant::now();
    let mut child = confman::command(&server, &home, &["import", "/imported", "--git", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(stdin) = child.stdin.take() {
        let mut stdin = std::io::BufWriter::with_capacity(1 << 20, stdin);
        write(&mut stdin)?;
        stdin.flush()?;
    }
    if !child.wait()?.success() {
        return Err("confman import failed".into());
    }
    let ours = begun.elapsed();
    let status = server.stop();
    if !status.success() {
        return Err(format!("the server ended with {status}").into());
    }
    let our_bytes = machine::bytes_below(&data)?;
    table.add(Row {
        what: format!("import of {name}: time, to a server over HTTP"),
        confman: format!("{:.1} s", ours.as_secs_f64()),
        peer: format!("git fast-import: {:.1} s", theirs.as_secs_f64()),
        ratio: format!("{:.2} ×", ours.as_secs_f64() / theirs.as_secs_f64()),
        bar: "≤ 2 ×".to_owned(),
    });
    table.add(Row {
        what: format!("import of {name}: data directory, server stopped"),
        confman: format!("{:.1} MB", our_bytes as f64 / 1e6),
        peer: format!("git after gc: {:.1} MB", their_bytes as f64 / 1e6),
        ratio: format!("{:.2} ×", our_bytes as f64 / their_bytes as f64),
        bar: "≤ 2 ×".to_owned(),
    });
    Ok(())
}

type WriteStream = Box<dyn Fn(&mut dyn Write) -> Result<(), Failure>>;

fn source(scale: Scale) -> Result<(String, WriteStream), Failure> {
    let folder = std::env::var_os("CONFMAN_SHARED_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = folder.join(REAL_HISTORY);
    if scale.real_history && path.is_file() {
        let write: WriteStream = Box::new(move |out| {
            zstd::stream::copy_decode(BufReader::new(File::open(&path)?), out)?;
            Ok(())
        });
        return Ok(("cf-deployment, 16,152 commits".to_owned(), write));
    }
    let commits = scale.commits;
    let write: WriteStream = Box::new(move |out| made_history(out, commits));
    Ok((format!("a made history of {commits} commits"), write))
}

/// Commits that each change one line of one of forty files of a hundred lines.
fn made_history(out: &mut dyn Write, commits: usize) -> Result<(), Failure> {
    const FILES: usize = 40;
    const LINES: usize = 100;
    let mut editions = vec![[0_usize; LINES]; FILES];
    for number in 0..commits {
        let (file, line) = (number % FILES, number.wrapping_mul(31) % LINES);
        let Some(edited) = editions.get_mut(file) else {
            continue;
        };
        if let Some(edition) = edited.get_mut(line) {
            *edition += 1;
        }
        let text: String = edited
            .iter()
            .enumerate()
            .map(|(n, edition)| format!("setting-{n}: {edition}\n"))
            .collect();
        let message = format!("change line {line} of file {file}");
        write!(
            out,
            "commit refs/heads/main\nmark :{0}\ncommitter Ada <ada@example.org> {1} +0000\ndata {2}\n{message}\n",
            number + 1,
            1_700_000_000 + number,
            message.len()
        )?;
        if number > 0 {
            writeln!(out, "from :{number}")?;
        }
        write!(
            out,
            "M 100644 inline service-{file}.yml\ndata {}\n{text}\n",
            text.len()
        )?;
    }
    Ok(())
}
