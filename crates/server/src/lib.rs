//! Confman over HTTP: authenticate, call `repo`, answer.
//!
//! A request goes through four steps, each a module: [`url`] and [`query`] say what it means,
//! [`dispatch`] authenticates and finds its handler, the handler in [`routes`] asks the session and
//! [`document`] turns the answer into the contract's types. [`error`] gives every failure a code.
//!
//! INVARIANT: nothing of the store is reached without an actor, except health, readiness, version,
//! figures that name nothing, and the issuers by which somebody can become one.
//! INVARIANT: no request holds a thread of the runtime while it reads or writes the disk: all of
//! `repo` is called through one bridge with bounded concurrency.
//! INVARIANT: logs and problems never contain a token, a value or a body.
//!
//! Deliberately absent: business rules (in `repo` and `policy`) and storage.

mod admin_token;
mod app;
mod body;
mod call;
mod cursor;
mod dispatch;
mod document;
mod encoding;
mod error;
mod etag;
mod fsck;
#[cfg(test)]
mod harness;
mod heal;
mod listener;
mod logging;
mod metrics;
mod oidc;
mod openapi;
mod options;
mod peer;
mod preference;
mod process;
mod process_figures;
mod query;
mod rendering;
mod reply;
mod request_id;
mod resolving;
mod restored;
mod routes;
mod scheduler;
mod scrubber;
mod server;
mod traces;
mod transfer;
mod url;
mod watches;

pub use admin_token::ADMIN_TOKEN_FILE;
pub use confman_repo::DOCUMENTS_BYTES_MAX_DEFAULT as DOCUMENTS_BYTES_DEFAULT;
pub use confman_repo::refs::OpenError;
pub use confman_repo::refs::cluster::{HealError, Healed, JoinOptions, Recovered, recover};
pub use error::Code;
pub use fsck::{WrongRows, fsck};
pub use heal::{HealDirectoryError, heal};
pub use logging::{LOG_FORMAT_VARIABLE, LOG_VARIABLE, LogFormat};
pub use options::{
    BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_DEFAULT, DataDirectory, LISTEN_DEFAULT, Ready,
    SCRUB_BYTES_PER_SECOND_DEFAULT, ServeError, ServeOptions,
};
pub use peer::authority::{
    AuthorityError, CA_CERTIFICATE, CA_KEY, NodeFiles, make_authority, make_node,
};
pub use peer::{CertificateError, PeerServeOptions, Peers};
pub use process::serve;
pub use resolving::{
    REFERENCES_MAX, RESOLUTIONS_MAX, RESOLVE_SECONDS_MAX, ResolveRule, ResolveRuleError,
};
pub use restored::{Completed, complete_restored, hold};
pub use scrubber::SCRUB_PASS_EVERY;
pub use server::Server;
pub use traces::FLUSH_SECONDS_MAX;
pub use watches::WATCHERS_PER_PRINCIPAL_DEFAULT;
