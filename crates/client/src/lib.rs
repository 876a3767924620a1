//! Talk to a server; working copy; verified local mirror that works when the server is away.
//!
//! [`Client`] is the HTTP contract as async functions. [`WorkingCopy`] keeps namespaces as files and
//! everything it has fetched as verified objects, so that status, diff, log, show and restore need no
//! server. [`git`] brings histories in from Git and gives them back, [`foreign`] values of other tools. [`reading`] is what a service
//! needs: an effective document that follows the server and is there when the server is away.
//! [`secret`] turns references in it into secrets.
//!
//! INVARIANT: nothing that a server sends is used before it hashes to the id it was asked for by, and
//! no name that a server sends becomes a path before it was parsed as what it claims to be.
//!
//! Deliberately absent: the environment, configuration files and the terminal. The caller gives the
//! values; a token is never part of an error or of a `Debug` text.

pub mod audit;
pub mod client;
pub mod foreign;
pub mod git;
pub mod login;
pub mod reading;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod working_copy;

pub use client::{Client, ClientError, ClientOptions, PutSchema};
/// What a working copy says about commits, for callers that do not know objects otherwise.
pub use confman_object_store::{Commit, Moment, ObjectId, Person};
pub use confman_secret as secret;
pub use login::LoginListener;
pub use working_copy::{WorkingCopy, WorkingCopyError};
