//! Objects and their kinds.

use bytes::Bytes;

use crate::attestation::ATTESTATION_BYTES_MAX;
use crate::commit::COMMIT_BYTES_MAX;
use crate::id::ObjectId;
use crate::meta::META_BYTES_MAX;
use crate::record::RECORD_BYTES_MAX;
use crate::tree::PAGE_BYTES_MAX;

/// Largest blob.
pub const BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest encoded operation.
pub const OPERATION_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What an object is. The kind takes part in its id, so two kinds can never be confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A value's bytes, nothing else.
    Blob = 1,
    /// A page of a tree.
    Page = 2,
    /// Description, tags and media type of an entry.
    Meta = 3,
    /// A tree, its parents, and who made it why.
    Commit = 4,
    /// A typed document with a pointer to its predecessor.
    Record = 5,
    /// What happened to the refs, chained to what happened before.
    Operation = 6,
    /// A detached signature over a commit.
    Attestation = 7,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Blob,
        Self::Page,
        Self::Meta,
        Self::Commit,
        Self::Record,
        Self::Operation,
        Self::Attestation,
    ];

    /// The BLAKE3 context of this kind's ids.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Self::Blob => "confman 2026 object v1 blob",
            Self::Page => "confman 2026 object v1 page",
            Self::Meta => "confman 2026 object v1 meta",
            Self::Commit => "confman 2026 object v1 commit",
            Self::Record => "confman 2026 object v1 record",
            Self::Operation => "confman 2026 object v1 operation",
            Self::Attestation => "confman 2026 object v1 attestation",
        }
    }

    /// The name as written in text: `blob`, `page`, ….
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Page => "page",
            Self::Meta => "meta",
            Self::Commit => "commit",
            Self::Record => "record",
            Self::Operation => "operation",
            Self::Attestation => "attestation",
        }
    }

    /// Most bytes of an object of this kind.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Blob => BLOB_BYTES_MAX,
            Self::Page => PAGE_BYTES_MAX,
            Self::Meta => META_BYTES_MAX,
            Self::Commit => COMMIT_BYTES_MAX,
            Self::Record => RECORD_BYTES_MAX,
            Self::Operation => OPERATION_BYTES_MAX,
            Self::Attestation => ATTESTATION_BYTES_MAX,
        }
    }

    /// The kind of this number, as packs, views and backends write it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        kind as Self
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An object in memory. INVARIANT: `id` is the hash of `bytes` under `kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    kind: Kind,
    id: ObjectId,
    bytes: Bytes,
}

impl Object {
    /// Hashes the bytes.
    #[must_use]
    pub fn new(kind: Kind, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            kind,
            id: ObjectId::of(kind, &bytes),
            bytes,
        }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// Its canonical bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
