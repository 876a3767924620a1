//! Writes under load and says what was acknowledged, for a harness that kills it.
//!
//! `transact_load DIRECTORY [THREADS]` opens a node and makes transactions until it is killed. After each
//! acknowledgement it prints a line `REQUEST INDEX`, the request id in hex, at once.
//!
//! `transact_load --verify DIRECTORY LIST` opens the node again and checks that each line of the file LIST is
//! a transaction that is there, that no ref has gone back, and that the chain of operations holds. It
//! prints `verified N` and exits with 0, or says what is missing and exits with 1. A last line
//! that is cut short by the kill is ignored.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a program for tests"
)]

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use confman_object_store::{Encoded, Kind, Object, ReadObjects};
use confman_refs::{
    Expect, Node, NodeOptions, RefEdit, RefName, RequestId, Target, TransactError, Transaction,
};

const THREADS: u64 = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--verify", directory, list] => verify(directory.as_ref(), list.as_ref()),
        [directory] => load(directory.as_ref(), THREADS),
        [directory, threads] => load(directory.as_ref(), threads.parse().unwrap()),
        _ => {
            eprintln!("usage: transact_load DIRECTORY [THREADS] | --verify DIRECTORY LIST");
            ExitCode::from(2)
        }
    }
}

fn open(directory: &Path) -> Option<Node> {
    let options = NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 16 << 20,
        block_cache_bytes: 16 << 20,
        peers: None,
    };
    Node::open(&options)
        .inspect_err(|error| eprintln!("{error}: {:?}", std::error::Error::source(error)))
        .ok()
}

fn load(directory: &Path, threads: u64) -> ExitCode {
    let Some(node) = open(directory) else {
        return ExitCode::FAILURE;
    };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let node = &node;
            scope.spawn(move || work(node, thread));
        }
    });
    // Only a failure ends the threads.
    ExitCode::FAILURE
}

/// Moves one ref on and on. Its blob holds a counter, so that going back would show.
fn work(node: &Node, thread: u64) {
    let name = RefName::new(&format!("/thread-{thread}@published")).unwrap();
    let mut seen = node.view().get(name.as_str());
    let mut step = seen.map_or(0, |target| counter(node, target));
    loop {
        step += 1;
        let mut bytes = step.to_le_bytes().to_vec();
        bytes.extend_from_slice(&thread.to_le_bytes());
        bytes.resize(16 + usize::try_from(step % 700).unwrap(), b'x');
        let object = Object::new(Kind::Blob, bytes);
        let target = Target {
            kind: object.kind(),
            id: object.id(),
        };
        let mut request = [0; 16];
        request[..8].copy_from_slice(&thread.to_be_bytes());
        request[8..].copy_from_slice(&step.to_be_bytes());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let transaction = Transaction {
            request: RequestId(request),
            edits: vec![RefEdit {
                name: name.clone(),
                expect: Expect::from_seen(seen),
                new: Some(target),
            }],
            reads: Vec::new(),
            objects: vec![Encoded::new(&object)],
            rows: Vec::new(),
            actor: "load".to_owned(),
            action: "set".to_owned(),
            detail: String::new(),
            time_ms: i64::try_from(now).unwrap(),
        };
        match node.transact(transaction) {
            Ok(committed) => {
                let line = format!("{} {}\n", hex(&request), committed.index);
                // One write of a whole line, past the buffer of `println!`.
                let mut out = std::io::stdout().lock();
                out.write_all(line.as_bytes()).unwrap();
                out.flush().unwrap();
                seen = Some(target);
            }
            Err(error @ (TransactError::Unavailable(_) | TransactError::UnknownOutcome(_))) => {
                eprintln!("thread {thread}: {error}");
                return;
            }
            Err(error) => {
                eprintln!("thread {thread}: {error}");
                std::process::exit(1);
            }
        }
    }
}

fn counter(node: &Node, target: Target) -> u64 {
    let bytes = node.store().read(target.kind, &target.id).unwrap();
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn verify(directory: &Path, list: &Path) -> ExitCode {
    let Some(node) = open(directory) else {
        return ExitCode::FAILURE;
    };
    let mut newest: HashMap<u64, u64> = HashMap::new();
    let mut verified = 0_u64;
    let text = std::fs::read_to_string(list).unwrap();
    for line in text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let Some((request, index)) = parse(line) else {
            eprintln!("`{}` is not `REQUEST INDEX`", line.trim_end());
            return ExitCode::from(2);
        };
        match node.committed(request).unwrap() {
            Some(committed) if committed.index == index => {}
            found => {
                eprintln!(
                    "acknowledged, but not there: {} (found {found:?})",
                    line.trim_end()
                );
                return ExitCode::FAILURE;
            }
        }
        let at = node.sequence_at_index(index).unwrap();
        let (_, operation) = node.operation_at(at).unwrap().unwrap();
        if operation.index != index || operation.request != request {
            eprintln!(
                "the operation at index {index} is another one: {}",
                line.trim_end()
            );
            return ExitCode::FAILURE;
        }
        let thread = u64::from_be_bytes(request.0[..8].try_into().unwrap());
        let step = u64::from_be_bytes(request.0[8..].try_into().unwrap());
        let newest = newest.entry(thread).or_default();
        *newest = step.max(*newest);
        verified += 1;
    }
    for (thread, acknowledged) in newest {
        let target = node.view().get(&format!("/thread-{thread}@published"));
        let reached = target.map_or(0, |target| counter(&node, target));
        if reached < acknowledged {
            eprintln!("ref of thread {thread} is at {reached}, {acknowledged} was acknowledged");
            return ExitCode::FAILURE;
        }
    }
    let report = node.verify_operations().unwrap();
    if let Some(difference) = report.difference {
        eprintln!("operation {}: {}", difference.sequence, difference.reason);
        return ExitCode::FAILURE;
    }
    println!("verified {verified}");
    ExitCode::SUCCESS
}

fn parse(line: &str) -> Option<(RequestId, u64)> {
    let (request, index) = line.trim_end().split_once(' ')?;
    let mut id = [0; 16];
    if request.len() != 32 {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(request.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some((RequestId(id), index.parse().ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
