//! Test harness: real servers, people at real command lines, and what both leave behind.
//!
//! Every server has a port and a directory of its own, is ended by who started it, and is waited
//! for by what it says, never by time.

pub mod cluster;
pub mod guide;
pub mod person;
pub mod server;
#[cfg(unix)]
pub mod terminal;

pub use cluster::Cluster;
pub use guide::Guide;
pub use person::{Person, Ran};
pub use server::Server;
#[cfg(unix)]
pub use terminal::Terminal;

use std::path::PathBuf;

/// A new server with these namespaces, and its administrator.
///
/// # Panics
/// It does not start.
#[must_use]
pub fn started(namespaces: &[&str]) -> (Server, Person) {
    let server = Server::start();
    let admin = Person::admin(&server);
    for namespace in namespaces {
        admin.does(&["ns", "create", namespace]);
    }
    (server, admin)
}

/// The built `confman`: `CONFMAN_BIN`, or the one that was built beside this program.
///
/// # Panics
/// There is none.
#[must_use]
#[expect(clippy::panic, reason = "without the program there is nothing to test")]
pub fn confman_bin() -> PathBuf {
    if let Some(path) = std::env::var_os("CONFMAN_BIN") {
        return path.into();
    }
    let me = std::env::current_exe().unwrap_or_default();
    let found = me
        .ancestors()
        .skip(1)
        .take(3)
        .map(|directory| directory.join("confman"))
        .find(|path| path.is_file());
    match found {
        Some(path) => path,
        None => panic!(
            "no `confman` near {}; build it first: cargo build -p confman-cli",
            me.display()
        ),
    }
}
