//! Confman over HTTP: authenticate, call `repo`, answer.
//!
//! A request goes through four steps, each a module: [`url`] and [`query`] say what it means,
//! [`dispatch`] authenticates and finds its handler, the handler in [`routes`] asks the session and
//! [`document`] turns the answer into the contract's types. [`error`] gives every failure a code.
//!
//! INVARIANT: nothing of the store is reached without an actor, except health, readiness and version.
//! INVARIANT: no request holds a thread of the runtime while it reads or writes the disk: all of
//! `repo` is called through one bridge with bounded concurrency.
//! INVARIANT: logs and problems never contain a token, a value or a body.
//!
//! Deliberately absent: business rules (in `repo` and `policy`) and storage.

mod options;

pub use options::{DataDirectory, Ready, ServeError, ServeOptions, BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, LISTEN_DEFAULT};

/// Serves until the process is told to stop (SIGTERM or SIGINT) or the disk fails. Blocks.
///
/// `on_ready` is called once, when requests are answered.
///
/// # Errors
/// See [`ServeError`].
pub fn serve(_options: &ServeOptions, _on_ready: impl FnOnce(&Ready)) -> Result<(), ServeError> { todo!() }

/// Checks everything a data directory stores, while no server runs on it.
///
/// `progress` is told how many things were checked so far.
///
/// # Errors
/// The directory cannot be opened.
pub fn fsck(_data: &std::path::Path, _progress: &mut dyn FnMut(u64)) -> Result<confman_api::system::FsckReport, ServeError> { todo!() }
