//! The table of results.

use std::fmt::Write as _;
use std::path::Path;

use crate::Failure;

/// What has to be known to read the figures.
const NOTES: &str = "\
What is compared with etcd's `put`, which stores one key and its value, is the durable transaction of one ref
and one object: a synced log entry, the object hashed and stored, the ref moved, an operation chained to the
one before. A publish over HTTP does more for each key and is shown beside it: token and rights are checked, the
value is read as its type, two or three pages of the namespace's tree are edited, hashed and written against
their predecessors, a commit and the rows of the key's history are made, and all of it is verified again where
it is applied. It takes several times the processor time of a `put`, most of it spread thin: context
switches between the threads of HTTP, log and state, allocation, the memtables of RocksDB, zstd and BLAKE3.
Keys that change together are one publish, and one synced entry.

Three nodes are three processes over loopback and on one disk, Confman's over mutual TLS, etcd's without; both have their
own defaults. Transactions of three nodes are submitted in the process of the leader, as those of one node are. Linearizable
reads are asked for twice: by the same few lines over HTTP/1.1 of both, and by one library, which speaks gRPC with etcd. After a
kill, Confman's client is its library; that of etcd gives each node 0.1 s. The bytes of a node that was away are those
of messages, before TLS.

The load clients run on the same processors as the servers, ours and the peer's.
";

/// One measurement beside its peer.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Confman's figure, with its unit.
    pub confman: String,
    /// The peer and its figure.
    pub peer: String,
    /// The ratio, as a text that says what it is of.
    pub ratio: String,
    /// What was hoped for.
    pub bar: String,
}

/// Everything measured in one run.
#[derive(Debug)]
pub struct Table {
    machine: String,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table about this machine.
    pub fn new(machine: String) -> Self {
        Self {
            machine,
            rows: Vec::new(),
        }
    }

    /// Adds a row and prints it.
    #[expect(
        clippy::print_stdout,
        reason = "a program that prints what it measured"
    )]
    pub fn add(&mut self, row: Row) {
        println!(
            "{}: {} | {} | {} | bar {}",
            row.what, row.confman, row.peer, row.ratio, row.bar
        );
        self.rows.push(row);
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| what | Confman | peer | ratio | bar |\n|---|---|---|---|---|\n");
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                row.what, row.confman, row.peer, row.ratio, row.bar
            );
        }
        text
    }

    /// Writes the table with its explanation.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = format!(
            "# Benchmarks\n\nWritten by `make bench`. Every row is measured beside its peer in one run on one machine;\n\
             the ratio is what counts.\n\nMachine: {}\n\n{}\n{NOTES}",
            self.machine,
            self.markdown()
        );
        std::fs::write(path, text)?;
        Ok(())
    }
}
