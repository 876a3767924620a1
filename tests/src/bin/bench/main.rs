//! The benchmarks, each beside its peer in the same run on the same disk.
//!
//! `bench [NAME …] [--quick] [--out FILE]`. Prints one line a measurement as it goes, and puts tables with ratios
//! into the places that a document has for them. Figures speak of the machine they were measured on: the ratio is what counts.

mod clone;
mod cluster;
mod command_line;
mod confman;
mod etcd;
mod git;
mod history;
mod import;
mod load;
mod machine;
mod member;
mod peers;
mod reading;
mod schemas;
mod speaking;
mod table;
mod transactions;
mod tree;
mod watching;

use std::path::PathBuf;
use std::time::Duration;

use table::Table;

/// As the program has it, so that what is measured in this process is what it is there.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How large the inputs are.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Keys of the large namespace.
    pub keys: usize,
    /// Files of the flat directory that git compares.
    pub git_files: usize,
    /// Commits of the namespace whose key's history is read.
    pub commits: usize,
    /// Transactions in all.
    pub transactions: usize,
    /// The real history, or a small made one.
    pub real_history: bool,
    /// How long each measurement of reading takes.
    pub reading: Duration,
    /// Watchers of one namespace.
    pub watchers: usize,
    /// Watchers of one namespace that share connections.
    pub watchers_held: usize,
    /// Namespaces below a root that is published.
    pub namespaces: usize,
    /// Namespaces that share the keys of a large store.
    pub stored_namespaces: usize,
    /// Leaders that are killed.
    pub kills: usize,
}

const FULL: Scale = Scale {
    keys: 1_000_000,
    git_files: 100_000,
    commits: 10_000,
    transactions: 60_000,
    real_history: true,
    reading: Duration::from_secs(5),
    watchers: 10_000,
    watchers_held: 50_000,
    namespaces: 10_000,
    stored_namespaces: 1_000,
    kills: 10,
};

/// Small enough for a smoke run; its figures mean nothing.
const QUICK: Scale = Scale {
    keys: 20_000,
    git_files: 2_000,
    commits: 200,
    transactions: 3_000,
    real_history: false,
    reading: Duration::from_secs(1),
    watchers: 200,
    watchers_held: 600,
    namespaces: 100,
    stored_namespaces: 20,
    kills: 2,
};

type Benchmark = (&'static str, fn(Scale, &mut Table) -> Result<(), Failure>);

/// A benchmark that cannot be run, with why.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const BENCHMARKS: &[Benchmark] = &[
    ("tree", tree::run),
    ("transactions", transactions::run),
    ("cluster", cluster::run),
    ("history", history::run),
    ("import", import::run),
    ("clone", clone::run),
    ("command-line", command_line::run),
    ("reading", reading::quiet),
    ("reading-under-publishes", reading::under_publishes),
    ("start", reading::first),
    ("watching", watching::run),
    ("schemas", schemas::run),
];

#[expect(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]
fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [first, address, file] = given.as_slice()
        && first == peers::BARE
    {
        return peers::serve_bare(address, file.as_ref());
    }
    if let [first, given @ ..] = given.as_slice()
        && first == member::MEMBER
    {
        return member::run(given);
    }
    let mut names = Vec::new();
    let mut out = None;
    let mut scale = FULL;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => scale = QUICK,
            "--out" => out = arguments.next().map(PathBuf::from),
            name if BENCHMARKS.iter().any(|(known, _)| *known == name) => {
                names.push(name.to_owned())
            }
            other => {
                let known: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
                return Err(
                    format!("no benchmark `{other}`; there are {}", known.join(", ")).into(),
                );
            }
        }
    }
    let machine = machine::describe()?;
    println!("{machine}");
    for (name, run) in BENCHMARKS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("# {name}");
            let mut table = Table::new(name);
            run(scale, &mut table)?;
            // Each when it is measured, so that one that cannot be run loses nothing of the others.
            if let Some(path) = &out {
                let document = std::fs::read_to_string(path)?;
                std::fs::write(path, table.put_into(&document, &machine)?)?;
            }
        }
    }
    Ok(())
}
