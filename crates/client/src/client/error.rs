//! Why a request failed, sorted by what the caller can do.

use confman_api::problem::Problem;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answered in time, or the connection broke. Asking again later may help.
    #[error("the server at {url} cannot be reached")]
    Unreachable {
        /// The server.
        url: String,
        /// What the network said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server answered that it will not, and why.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// What answered does not speak this contract: it is no Confman server, or a newer one.
    #[error("what answered at {url} does not speak Confman's protocol: {reason}")]
    Protocol {
        /// The server.
        url: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A local file cannot be read or written.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What the caller gave cannot be sent.
    #[error("{0}")]
    Invalid(String),
    /// A pack that was received is not right; nothing of it was kept.
    #[error("the server sent objects that are not right")]
    Pack(#[source] confman_object_store::pack::PackError),
}

impl ClientError {
    /// The problem's stable code, where the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// The HTTP status, where the server gave one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// Whether what was asked for does not exist, or may not be seen.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    pub(crate) fn io(action: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            action: action.into(),
            source,
        }
    }
}
