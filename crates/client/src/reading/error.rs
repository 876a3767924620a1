//! Why a document cannot be read, sorted by what the caller can do.

use std::path::PathBuf;

use confman_api::problem::Problem;

use super::mirror::MirrorError;
use crate::client::ClientError;

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No server answers as it should. Asking again later may help.
    #[error("no server answers: {}", list(.tried))]
    Away {
        /// What each endpoint did.
        tried: Vec<ClientError>,
    },
    /// The server answered that it will not, and why.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// What answered is another store than the one whose configuration is known.
    #[error("the server at {url} is another store ({actual}) than the one known so far ({expected}{})", kept(.file))]
    OtherStore {
        /// The server.
        url: String,
        /// Identity of the store that is known.
        expected: String,
        /// Identity of the one that answered.
        actual: String,
        /// The kept copy that the known identity is from.
        file: Option<PathBuf>,
    },
    /// What answered does not speak this contract.
    #[error("what answered at {url} does not speak Confman's protocol: {reason}")]
    Protocol {
        /// The server.
        url: String,
        /// What was expected and what came.
        reason: String,
    },
    /// No server answers, and what was kept cannot be used.
    #[error("{away}; and what was kept cannot be used")]
    Mirror {
        /// Why no server gave it.
        away: Box<ReadError>,
        /// What is wrong with what was kept.
        #[source]
        problem: MirrorError,
    },
    /// What the caller gave cannot be sent.
    #[error("{0}")]
    Invalid(String),
    /// No server was asked yet.
    #[error("no server was asked yet")]
    NotAsked,
}

fn list(errors: &[ClientError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|error| crate::client::chain(error))
        .collect();
    texts.join("; ")
}

fn kept(file: &Option<PathBuf>) -> String {
    match file {
        None => String::new(),
        Some(file) => format!(", kept in {}", file.display()),
    }
}

impl ReadError {
    /// Whether what was kept may stand in: no server answers, and none refused.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// The HTTP status, where a server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            _ => None,
        }
    }
}
