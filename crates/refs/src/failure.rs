//! The disk failed: said once, remembered until the process ends.
//!
//! After a failed write nobody knows what is on disk, and RocksDB refuses further writes itself. So
//! nothing is tried again; the node takes no more transactions and says why.

use std::sync::OnceLock;

/// The first failure, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Failure(OnceLock<String>);

impl Failure {
    /// Remembers a failure, unless there is one already, and logs it.
    pub(crate) fn set(&self, reason: String) {
        if self.0.get().is_none() {
            tracing::error!(%reason, "the store failed and takes no more transactions: {reason}");
        }
        let _ = self.0.set(reason);
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The failure as an error.
    pub(crate) fn error(&self) -> Option<std::io::Error> {
        self.get()
            .map(|reason| std::io::Error::other(reason.to_owned()))
    }
}
