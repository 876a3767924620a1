//! Commits: a tree, its parents, and who made it why.

use bytes::Bytes;

use crate::codec::{
    self, DecodeError, EncodeError, Field, Lines, SHORT_TEXT_BYTES_MAX, TlvReader, TlvWriter,
    check_text,
};
use crate::id::ObjectId;
use crate::object::{Kind, Object};

/// Largest encoded commit.
pub const COMMIT_BYTES_MAX: usize = 128 * 1024;
/// Most parents of a commit.
pub const COMMIT_PARENTS_MAX: usize = 8;
/// Longest message, in bytes.
pub const COMMIT_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most schemas that a commit was validated against.
pub const COMMIT_SCHEMAS_MAX: usize = 256;
/// Longest identity in a source, in bytes.
pub const COMMIT_SOURCE_BYTES_MAX: usize = 64;

const NAME: &str = "commit";

const TREE: u8 = 0;
const PARENTS: u8 = 2;
const GENERATION: u8 = 4;
const NAMESPACE: u8 = 6;
const AUTHOR: u8 = 8;
const AUTHOR_TIME: u8 = 10;
const COMMITTER: u8 = 12;
const COMMIT_TIME: u8 = 14;
const CHANGE_ID: u8 = 16;
const MESSAGE: u8 = 18;
const REQUEST: u8 = 21;
const ORIGIN: u8 = 23;
const POLICY: u8 = 25;
const SCHEMAS: u8 = 27;
const SOURCE: u8 = 29;
const KNOWN_ODD: &[u8] = &[REQUEST, ORIGIN, POLICY, SCHEMAS, SOURCE];

/// Somebody who wrote or made a commit. Each text has at most 255 bytes and no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The principal of the store, empty for somebody it does not know (an imported author).
    pub principal: String,
    /// Name for people.
    pub name: String,
    /// Mail address, may be empty.
    pub email: String,
}

impl Person {
    fn texts(&self) -> [&str; 3] {
        [&self.principal, &self.name, &self.email]
    }

    fn check(&self, tag: u8) -> Result<(), EncodeError> {
        for text in self.texts() {
            check_text(text, SHORT_TEXT_BYTES_MAX, Lines::One)
                .map_err(|(_, reason)| EncodeError::field(NAME, tag, reason))?;
        }
        Ok(())
    }

    fn decode(field: Field<'_>) -> Result<Self, DecodeError> {
        let texts = field.texts(3, SHORT_TEXT_BYTES_MAX)?;
        match <[String; 3]>::try_from(texts) {
            Ok([principal, name, email]) => Ok(Self {
                principal,
                name,
                email,
            }),
            Err(_) => Err(field.error(0, "a person is three texts: principal, name, mail address")),
        }
    }
}

/// A moment with the offset of the clock that told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub ms: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
}

impl Moment {
    fn encode(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.ms.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset_minutes.to_le_bytes());
        bytes
    }

    fn decode(field: Field<'_>) -> Result<Self, DecodeError> {
        let [ms @ .., low, high] = field.array::<10>()?;
        Ok(Self {
            ms: i64::from_le_bytes(ms),
            offset_minutes: i16::from_le_bytes([low, high]),
        })
    }
}

/// A commit. Raft term and index are not in it; they are in the operation that published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Root page of the tree.
    pub tree: ObjectId,
    /// Parents in order; the first is the line that history follows.
    pub parents: Vec<ObjectId>,
    /// One more than the largest generation among the parents, 1 without parents.
    pub generation: u64,
    /// Namespace (or schema path) it belongs to, ≤ 255 bytes.
    pub namespace: String,
    /// Who made the change.
    pub author: Person,
    /// When they made it.
    pub author_time: Moment,
    /// Who made these bytes.
    pub committer: Person,
    /// When they were made.
    pub commit_time: Moment,
    /// Stable across rebases; not unique.
    pub change_id: [u8; 16],
    /// Why. Line feeds and tabs are the only control characters allowed.
    pub message: String,
    /// The draft commit it was made from.
    pub origin: Option<ObjectId>,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// The policy commit it was validated against.
    pub policy: Option<ObjectId>,
    /// The schema commits it was validated against, ascending, each once, ≤ 256.
    pub schemas: Vec<ObjectId>,
    /// Identity of an imported commit in its source, 1 to 64 bytes.
    pub source: Option<Bytes>,
    /// Optional fields this version does not know, preserved: odd tags, ascending.
    pub unknown: Vec<(u8, Bytes)>,
}

impl Commit {
    /// The canonical bytes. Only of a commit that [`Self::check`] passes; what these bytes are otherwise,
    /// [`Self::decode`] refuses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        TlvWriter::new(Kind::Commit)
            .field(TREE, self.tree.as_bytes())
            .ids(PARENTS, &self.parents)
            .field(GENERATION, self.generation.to_le_bytes())
            .field(NAMESPACE, &self.namespace)
            .field(AUTHOR, codec::join_texts(self.author.texts()))
            .field(AUTHOR_TIME, self.author_time.encode())
            .field(COMMITTER, codec::join_texts(self.committer.texts()))
            .field(COMMIT_TIME, self.commit_time.encode())
            .field(CHANGE_ID, self.change_id)
            .field(MESSAGE, &self.message)
            .optional(REQUEST, self.request.map(u64::to_le_bytes))
            .optional(ORIGIN, self.origin.as_ref().map(ObjectId::as_bytes))
            .optional(POLICY, self.policy.as_ref().map(ObjectId::as_bytes))
            .ids(SCHEMAS, &self.schemas)
            .optional(SOURCE, self.source.as_ref())
            .unknown(&self.unknown)
            .finish()
    }

    /// The object, if the commit is within its limits.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_object(&self) -> Result<Object, EncodeError> {
        self.check()?;
        Ok(Object::new(Kind::Commit, self.encode()))
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// The first field that is out of its limits.
    pub fn check(&self) -> Result<(), EncodeError> {
        let fail = |tag, reason: String| Err(EncodeError::field(NAME, tag, reason));
        if self.parents.len() > COMMIT_PARENTS_MAX {
            let reason = format!(
                "{} parents, at most {COMMIT_PARENTS_MAX} are allowed",
                self.parents.len()
            );
            return fail(PARENTS, reason);
        }
        if self.generation == 0 {
            return fail(GENERATION, "generation 0, the first is 1".to_owned());
        }
        if self.parents.is_empty() && self.generation != 1 {
            return fail(
                GENERATION,
                format!(
                    "generation {} without parents, it is 1 then",
                    self.generation
                ),
            );
        }
        if !self.parents.is_empty() && self.generation == 1 {
            return fail(
                GENERATION,
                "generation 1 with parents, it is at least 2 then".to_owned(),
            );
        }
        if !self.schemas.is_sorted_by(|a, b| a < b) {
            return fail(
                SCHEMAS,
                "schemas are in ascending order, each once".to_owned(),
            );
        }
        if self.schemas.len() > COMMIT_SCHEMAS_MAX {
            let reason = format!(
                "{} schemas, at most {COMMIT_SCHEMAS_MAX} are allowed",
                self.schemas.len()
            );
            return fail(SCHEMAS, reason);
        }
        if let Some(source) = &self.source
            && !(1..=COMMIT_SOURCE_BYTES_MAX).contains(&source.len())
        {
            let reason = format!(
                "a source of {} bytes, 1 to {COMMIT_SOURCE_BYTES_MAX} are allowed",
                source.len()
            );
            return fail(SOURCE, reason);
        }
        for (tag, text, bytes_max, lines) in [
            (NAMESPACE, &self.namespace, SHORT_TEXT_BYTES_MAX, Lines::One),
            (
                MESSAGE,
                &self.message,
                COMMIT_MESSAGE_BYTES_MAX,
                Lines::Many,
            ),
        ] {
            check_text(text, bytes_max, lines).or_else(|(_, reason)| fail(tag, reason))?;
        }
        self.author.check(AUTHOR)?;
        self.committer.check(COMMITTER)?;
        codec::check_unknown(NAME, KNOWN_ODD, &self.unknown)?;
        codec::check_size(NAME, &self.encode(), COMMIT_BYTES_MAX)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that `encode` would not have written of a commit within its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::check_len(NAME, bytes, COMMIT_BYTES_MAX)?;
        let mut fields = TlvReader::new(NAME, Kind::Commit.into(), bytes)?;
        let commit = Self {
            tree: fields.require(TREE, "tree")?.id()?,
            parents: fields
                .take(PARENTS)
                .map_or(Ok(Vec::new()), |f| f.ids(COMMIT_PARENTS_MAX))?,
            generation: fields.require(GENERATION, "generation")?.u64()?,
            namespace: fields.take(NAMESPACE).map_or(Ok(String::new()), |f| {
                f.text(SHORT_TEXT_BYTES_MAX, Lines::One)
            })?,
            author: Person::decode(fields.require(AUTHOR, "author")?)?,
            author_time: Moment::decode(fields.require(AUTHOR_TIME, "author's time")?)?,
            committer: Person::decode(fields.require(COMMITTER, "committer")?)?,
            commit_time: Moment::decode(fields.require(COMMIT_TIME, "committer's time")?)?,
            change_id: fields.require(CHANGE_ID, "change id")?.array()?,
            message: fields.take(MESSAGE).map_or(Ok(String::new()), |f| {
                f.text(COMMIT_MESSAGE_BYTES_MAX, Lines::Many)
            })?,
            request: fields.take(REQUEST).map(|f| f.u64()).transpose()?,
            origin: fields.take(ORIGIN).map(|f| f.id()).transpose()?,
            policy: fields.take(POLICY).map(|f| f.id()).transpose()?,
            schemas: fields
                .take(SCHEMAS)
                .map_or(Ok(Vec::new()), |f| f.ids(COMMIT_SCHEMAS_MAX))?,
            source: fields
                .take(SOURCE)
                .map(|f| Bytes::copy_from_slice(f.bytes())),
            unknown: fields.rest()?,
        };
        commit.check().map_err(|e| fields.blame(e))?;
        fields.same(&commit.encode())?;
        Ok(commit)
    }

    /// The commits it only mentions: origin, policy and schemas. They live by refs of their own and may be
    /// out of a reader's reach, so a pack need not have them.
    pub fn mentions(&self) -> impl Iterator<Item = ObjectId> {
        self.origin
            .into_iter()
            .chain(self.policy)
            .chain(self.schemas.iter().copied())
    }
}
