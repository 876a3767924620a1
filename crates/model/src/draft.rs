//! What a draft is called: one segment of a namespace's alphabet.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::segment::{self, SegmentError};

/// Names a draft of a namespace, as in `draft/raise-timeout`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DraftName(Arc<str>);

/// Why a piece of text is not the name of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the name of a draft is not valid: {0}")]
pub struct DraftNameError(pub SegmentError);

impl DraftName {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DraftName {
    type Err = DraftNameError;

    fn from_str(text: &str) -> Result<Self, DraftNameError> {
        segment::check(text).map_err(DraftNameError)?;
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for DraftName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(DraftName);
