//! A large namespace as its users have it: one key published, a clone beside `git clone` of the same
//! contents, and what a pull of ten changes costs on the wire.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use confman_tests::Server;

use crate::table::{Row, Table};
use crate::{Failure, Scale, confman, git};

const CHANGED: usize = 10;
const SMALL: usize = 1_000;
const PUBLISHES: usize = 200;

/// Measures all three.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let server = Server::start();
    let home = directory.path().join("home");
    std::fs::create_dir_all(&home)?;
    fill(&server, &home, "large", scale.keys)?;
    fill(&server, &home, "small", SMALL)?;

    let small = publish_time(&server, "small", SMALL)?;
    let large = publish_time(&server, "large", scale.keys)?;
    table.add(Row {
        what: format!(
            "one key changed among {}: a durable publish over HTTP",
            scale.keys
        ),
        confman: format!("{:.2} ms", large.as_secs_f64() * 1000.0),
        peer: format!("among {SMALL}: {:.2} ms", small.as_secs_f64() * 1000.0),
        ratio: format!("{:.2} ×", large.as_secs_f64() / small.as_secs_f64()),
        bar: "≤ 2 ×".to_owned(),
    });

    let ours = confman::timed(&server, &home, &["clone", "/large", "copy"])?;
    let repository = directory.path().join("large.git");
    git::import(&repository, |out| files(out, scale.keys))?;
    let theirs = git::timed(
        directory.path(),
        &["clone", "--quiet", "--no-local", "large.git", "large"],
    )?;
    table.add(Row {
        what: format!("clone of {} keys", scale.keys),
        confman: format!("{:.1} s", ours.as_secs_f64()),
        peer: format!("git clone of as many files: {:.1} s", theirs.as_secs_f64()),
        ratio: format!("{:.2} ×", ours.as_secs_f64() / theirs.as_secs_f64()),
        bar: "≤ 1 ×".to_owned(),
    });

    change(&server, &home, scale.keys)?;
    let wire = Wire::to(&server)?;
    let copy = home.join("copy");
    let output = confman::command(&server, &copy, &["pull"])
        .env("CONFMAN_SERVER", &wire.url)
        .output()?;
    if !output.status.success() {
        return Err(format!("pull: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let bytes = wire.bytes.load(Ordering::Relaxed);
    table.add(Row {
        what: format!(
            "pull of {CHANGED} changes among {} keys: bytes both ways, HTTP included",
            scale.keys
        ),
        confman: format!("{bytes} bytes"),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 50 KB", bytes as f64 / 50_000.0),
        bar: "≤ 50 KB".to_owned(),
    });
    Ok(())
}

/// Publishes the keys by a working copy, as a person would.
pub fn fill(server: &Server, home: &Path, name: &str, keys: usize) -> Result<(), Failure> {
    let namespace = format!("/{name}");
    let copy = home.join("first");
    confman::timed(server, home, &["ns", "create", &namespace])?;
    confman::timed(server, home, &["clone", &namespace, "first"])?;
    let entries = (0..keys).map(|n| (git::key(n), git::value(n, 0)));
    write_entries(&copy.join("entries.json"), entries)?;
    confman::timed(server, &copy, &["push", "-m", "everything"])?;
    confman::timed(server, home, &["publish", &namespace])?;
    std::fs::remove_dir_all(copy)?;
    Ok(())
}

/// Median time of publishes of one key each, one after the other.
fn publish_time(server: &Server, name: &str, keys: usize) -> Result<Duration, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let http = reqwest::Client::new();
    let token = server.admin_token();
    let mut times = Vec::new();
    for n in 0..PUBLISHES {
        let number = n.wrapping_mul(7_919) % keys;
        let url = format!(
            "{}/v1/ns/{name}/-/entries/{}?publish=true",
            server.url(),
            git::key(number)
        );
        let request = http
            .put(url)
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(format!("{{\"value\": \"{}\"}}", git::value(number, 2)));
        let begun = Instant::now();
        runtime.block_on(async { request.send().await?.error_for_status()?.bytes().await })?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times.get(PUBLISHES / 2).copied().unwrap_or_default())
}

fn change(server: &Server, home: &Path, keys: usize) -> Result<(), Failure> {
    let step = keys / CHANGED;
    for n in 0..CHANGED {
        let address = format!("/large:{}", git::key(n * step));
        confman::timed(
            server,
            home,
            &[
                "set",
                &address,
                &git::value(n * step, 1),
                "-m",
                "one of ten",
            ],
        )?;
    }
    confman::timed(server, home, &["publish", "/large"])?;
    Ok(())
}

fn write_entries(
    path: &Path,
    entries: impl Iterator<Item = (String, String)>,
) -> Result<(), Failure> {
    let mut text = String::from("{\n");
    for (number, (key, value)) in entries.enumerate() {
        let comma = if number == 0 { "" } else { ",\n" };
        write!(text, "{comma}  \"{key}\": {{\"value\": \"{value}\"}}")?;
    }
    text.push_str("\n}\n");
    std::fs::write(path, text)?;
    Ok(())
}

/// Writes a stream of one commit that adds a file for each key.
pub fn files(out: &mut dyn Write, keys: usize) -> Result<(), Failure> {
    writeln!(
        out,
        "commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 10\neverything"
    )?;
    for n in 0..keys {
        let text = git::value(n, 0);
        write!(
            out,
            "M 100644 inline {}\ndata {}\n{text}\n",
            git::key(n),
            text.len()
        )?;
    }
    Ok(())
}

/// A relay to the server that counts what passes.
struct Wire {
    url: String,
    bytes: Arc<AtomicU64>,
}

impl Wire {
    fn to(server: &Server) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let bytes = Arc::new(AtomicU64::new(0));
        let target = server.url().trim_start_matches("http://").to_owned();
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else {
                    return;
                };
                relay(&near, &far, &counted);
                relay(&far, &near, &counted);
            }
        });
        Ok(Self { url, bytes })
    }
}

fn relay(from: &TcpStream, to: &TcpStream, counted: &Arc<AtomicU64>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    let counted = Arc::clone(counted);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count) = from.read(&mut buffer) {
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                break;
            };
            counted.fetch_add(count as u64, Ordering::Relaxed);
            if to.write_all(read).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
