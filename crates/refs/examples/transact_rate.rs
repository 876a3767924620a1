//! How many small durable transactions a second, beside what the disk itself can sync.
//!
//! `cargo run -p confman-refs --example transact_rate -- [THREADS] [SECONDS] [DIRECTORY]`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use confman_object_store::{Encoded, Kind, Object};
use confman_refs::{Expect, Node, NodeOptions, RefEdit, RefName, RequestId, Target, Transaction};

/// Bytes of the object in each transaction.
const OBJECT_BYTES: usize = 300;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads: u64 = arguments.first().map_or(64, |text| text.parse().unwrap());
    let seconds: u64 = arguments.get(1).map_or(10, |text| text.parse().unwrap());
    let base = arguments
        .get(2)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(base).unwrap();

    println!(
        "disk: {:.0} fdatasync/s after appends of 4 KiB",
        sync_rate(directory.path())
    );
    let opened = Instant::now();
    let options = NodeOptions {
        directory: directory.path().join("node"),
        cache_bytes: 64 << 20,
        block_cache_bytes: 64 << 20,
        peers: None,
    };
    let node = Node::open(&options).unwrap();
    println!("opened in {} ms", opened.elapsed().as_millis());

    let stop = AtomicBool::new(false);
    let before = node.log_counters();
    let began = Instant::now();
    let mut latencies: Vec<u32> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let (node, stop) = (&node, &stop);
                    move || work(node, thread, stop)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    let elapsed = began.elapsed().as_secs_f64();
    let after = node.log_counters();
    latencies.sort_unstable();
    let done = latencies.len() as f64;
    let syncs = (after.synced_writes - before.synced_writes) as f64;
    let at = |share: f64| f64::from(latencies[((done - 1.0) * share) as usize]) / 1000.0;
    println!(
        "transactions: {:.0}/s with {threads} threads",
        done / elapsed
    );
    println!(
        "syncs: {:.0}/s, {:.1} transactions each",
        syncs / elapsed,
        done / syncs
    );
    println!(
        "latency: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let closing = Instant::now();
    node.close();
    println!(
        "closed in {} ms; {} MiB on disk",
        closing.elapsed().as_millis(),
        tree_bytes(directory.path()) >> 20
    );
}

fn work(node: &Node, thread: u64, stop: &AtomicBool) -> Vec<u32> {
    let name = RefName::new(&format!("/team-{thread}/service@published")).unwrap();
    let mut expect = Expect::from_seen(node.view().get(name.as_str()));
    let mut latencies = Vec::new();
    let mut object = [0; OBJECT_BYTES];
    for step in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        blake3::Hasher::new()
            .update(&thread.to_le_bytes())
            .update(&step.to_le_bytes())
            .finalize_xof()
            .fill(&mut object);
        let object = Object::new(Kind::Blob, object.to_vec());
        let target = Target {
            kind: object.kind(),
            id: object.id(),
        };
        let mut request = [0; 16];
        request[..8].copy_from_slice(&thread.to_le_bytes());
        request[8..].copy_from_slice(&step.to_le_bytes());
        let transaction = Transaction {
            request: RequestId(request),
            edits: vec![RefEdit {
                name: name.clone(),
                expect,
                new: Some(target),
            }],
            reads: Vec::new(),
            objects: vec![Encoded::new(&object)],
            rows: Vec::new(),
            actor: "load".to_owned(),
            action: "set".to_owned(),
            detail: String::new(),
            time_ms: i64::try_from(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_millis(),
            )
            .unwrap(),
        };
        let began = Instant::now();
        node.transact(transaction).unwrap();
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap());
        expect = Expect::At(target);
    }
    latencies
}

/// Appends and syncs for a second.
fn sync_rate(directory: &Path) -> f64 {
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let began = Instant::now();
    let mut syncs = 0.0;
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs += 1.0;
    }
    syncs / began.elapsed().as_secs_f64()
}

fn tree_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                tree_bytes(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
