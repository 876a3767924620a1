//! Where configuration lives: `/`, `/teams`, `/teams/payments`.
//!
//! INVARIANT: the text is in normal form, so equal namespaces have equal text, and a namespace
//! contains another exactly when its segments are a prefix of the other's.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::quoted::Quoted;
pub use crate::segment::SEGMENT_CHARS_MAX;
use crate::segment::{self, SegmentError};

/// Most segments in a namespace.
pub const NAMESPACE_DEPTH_MAX: usize = 16;
/// Most bytes in a namespace.
pub const NAMESPACE_BYTES_MAX: usize = 160;
/// Most namespaces in a store.
pub const NAMESPACES_MAX: usize = 100_000;

/// A place in the tree of configuration; `/` always exists.
///
/// The order is that of the text's bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// Why a piece of text is not a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NamespaceError {
    /// There is no text.
    #[error("a namespace cannot be empty; the root is `/`")]
    Empty,
    /// The text does not start with `/`.
    #[error("namespace {} must start with `/`", Quoted(text))]
    NotAbsolute {
        /// The text as given.
        text: String,
    },
    /// The text ends with `/`.
    #[error("namespace {} must not end with `/`", Quoted(text))]
    TrailingSlash {
        /// The text as given.
        text: String,
    },
    /// A segment is not valid.
    #[error("segment {index} of namespace {} is not valid: {reason}", Quoted(text))]
    Segment {
        /// The text as given.
        text: String,
        /// Which segment, counted from 1.
        index: usize,
        /// What is wrong with it.
        reason: SegmentError,
    },
    /// There are more than [`NAMESPACE_DEPTH_MAX`] segments.
    #[error(
        "namespace {} has {depth} segments, at most {NAMESPACE_DEPTH_MAX} are allowed",
        Quoted(text)
    )]
    TooDeep {
        /// The text as given.
        text: String,
        /// How many segments it has.
        depth: usize,
    },
    /// There are more than [`NAMESPACE_BYTES_MAX`] bytes.
    #[error(
        "namespace {} has {bytes} bytes, at most {NAMESPACE_BYTES_MAX} are allowed",
        Quoted(text)
    )]
    TooLong {
        /// The text as given.
        text: String,
        /// How many bytes it has.
        bytes: usize,
    },
}

impl Namespace {
    /// The namespace `/`, above all others.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from("/"))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The namespace directly above; `/` has none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            _ if self.is_root() => None,
            None | Some(("", _)) => Some(Self::root()),
            Some((above, _)) => Some(Self(Arc::from(above))),
        }
    }

    /// This namespace, its parent, and so on up to `/`.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// The segments, outermost first; `/` has none.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The last segment; `/` has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segments().next_back()
    }

    /// How many segments there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.segments().count()
    }

    /// The namespace `segment` directly below this one.
    ///
    /// # Errors
    /// Fails where `segment` is not one valid segment or the result exceeds a limit.
    pub fn child(&self, segment: &str) -> Result<Self, NamespaceError> {
        let text = if self.is_root() {
            format!("/{segment}")
        } else {
            format!("{self}/{segment}")
        };
        if let Err(reason) = segment::check(segment) {
            return Err(NamespaceError::Segment {
                index: self.depth() + 1,
                text,
                reason,
            });
        }
        text.parse()
    }

    /// Whether `other` is this namespace or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if self.is_root() {
            return true;
        }
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        if text.is_empty() {
            return Err(NamespaceError::Empty);
        }
        if text == "/" {
            return Ok(Self::root());
        }
        let owned = || text.to_owned();
        let Some(path) = text.strip_prefix('/') else {
            return Err(NamespaceError::NotAbsolute { text: owned() });
        };
        if text.len() > NAMESPACE_BYTES_MAX {
            return Err(NamespaceError::TooLong {
                text: owned(),
                bytes: text.len(),
            });
        }
        if !path.ends_with("//") && path != "/" && path.ends_with('/') {
            return Err(NamespaceError::TrailingSlash { text: owned() });
        }
        for (index, segment) in path.split('/').enumerate() {
            if let Err(reason) = segment::check(segment) {
                return Err(NamespaceError::Segment {
                    text: owned(),
                    index: index + 1,
                    reason,
                });
            }
        }
        let depth = path.split('/').count();
        if depth > NAMESPACE_DEPTH_MAX {
            return Err(NamespaceError::TooDeep {
                text: owned(),
                depth,
            });
        }
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Namespace);
