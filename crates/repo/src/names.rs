//! What refs are called. `docs/FORMAT-layout.md` has the list.
//!
//! INVARIANT: neither a namespace nor a draft's or tag's name has an `@`, so a name reads one way.

use confman_model::{DraftName, Namespace, SchemaPath, TagName};
use confman_refs::RefName;

use crate::error::Error;

const PUBLISHED: &str = "@published";
const POLICY: &str = "@policy";
const ROLLOUT: &str = "@rollout";
const IMPORT: &str = "@import";
const DELETED: &str = "@deleted/";
const NAMESPACE_COUNTER: &str = "counter/namespace";
const SCHEMA: &str = "@schema";
/// What the names of principals begin with.
pub const PRINCIPALS: &str = "principal/";
/// What the names of groups begin with.
pub const GROUPS: &str = "group/";
/// What the names of tokens begin with.
pub const TOKENS: &str = "token/";
/// What the names of issuers begin with.
pub const ISSUERS: &str = "issuer/";
/// What the names of join tokens begin with.
pub const JOIN_TOKENS: &str = "join-token/";
const MEMBERS: &str = "cluster/members";
const RESTORED: &str = "cluster/restored";
const REQUEST_COUNTER: &str = "counter/request";
const REQUESTS: &str = "request/";
/// What the names of the marks of scheduled publish requests begin with.
pub(crate) const SCHEDULED: &str = "scheduled/";

fn name(text: &str) -> Result<RefName, Error> {
    RefName::new(text).map_err(Error::bug)
}

/// The published head of a namespace: a commit.
///
/// # Errors
/// Never for a valid namespace, whose limits are below those of a ref's name. So for all of these.
pub fn published(namespace: &Namespace) -> Result<RefName, Error> {
    name(&format!("{namespace}{PUBLISHED}"))
}

/// The document of a namespace: a commit whose tree has the one key `namespace`.
///
/// # Errors
/// As [`published`].
pub fn policy(namespace: &Namespace) -> Result<RefName, Error> {
    name(&format!("{namespace}{POLICY}"))
}

/// The head of a draft: a commit.
///
/// # Errors
/// As [`published`].
pub fn draft(namespace: &Namespace, draft: &DraftName) -> Result<RefName, Error> {
    name(&format!("{}{draft}", drafts(namespace)))
}

/// What the names of a namespace's drafts begin with.
#[must_use]
pub fn drafts(namespace: &Namespace) -> String {
    format!("{namespace}@draft/")
}

/// The last announcement of secrets that are to be replaced in a namespace: a record.
///
/// # Errors
/// As [`published`].
pub fn rotation(namespace: &Namespace) -> Result<RefName, Error> {
    name(&format!("{namespace}@rotation"))
}

/// What a part of the readers of a namespace gets, while that is not all of them: a record.
///
/// # Errors
/// As [`published`].
pub fn rollout(namespace: &Namespace) -> Result<RefName, Error> {
    name(&format!("{namespace}{ROLLOUT}"))
}

/// The namespace whose gradual publish this ref is.
#[must_use]
pub fn rollout_of(name: &str) -> Option<Namespace> {
    name.strip_suffix(ROLLOUT)?.parse().ok()
}

/// A tag: a commit.
///
/// # Errors
/// As [`published`].
pub fn tag(namespace: &Namespace, tag: &TagName) -> Result<RefName, Error> {
    name(&format!("{}{tag}", tags(namespace)))
}

/// What the names of a namespace's tags begin with.
#[must_use]
pub fn tags(namespace: &Namespace) -> String {
    format!("{namespace}@tag/")
}

/// The mark of an import: a record.
///
/// # Errors
/// As [`published`].
pub fn import(namespace: &Namespace) -> Result<RefName, Error> {
    name(&format!("{namespace}{IMPORT}"))
}

/// What was there when a namespace was deleted, by the digits of the deletion: a record.
///
/// # Errors
/// The digits have characters that a ref cannot have.
pub fn deleted(namespace: &Namespace, deletion: &str) -> Result<RefName, Error> {
    name(&format!("{}{deletion}", deletions(namespace)))
}

/// What the names of the deletions of a namespace begin with.
#[must_use]
pub fn deletions(namespace: &Namespace) -> String {
    format!("{namespace}{DELETED}")
}

/// The namespace that was deleted, and the digits of the deletion, of which this ref tells.
#[must_use]
pub fn deletion_of(name: &str) -> Option<(Namespace, &str)> {
    let (namespace, deletion) = name.split_once(DELETED)?;
    Some((namespace.parse().ok()?, deletion))
}

/// Whether a ref of a namespace goes and comes with it. What tells of deletions stays; a schema at the
/// same path is another thing.
#[must_use]
pub fn lives_with(namespace: &Namespace, name: &str) -> bool {
    let kind = name
        .strip_prefix(namespace.as_str())
        .filter(|kind| kind.starts_with('@'));
    kind.is_some_and(|kind| kind != SCHEMA && !kind.starts_with(DELETED))
}

/// A schema document: a commit whose tree has the one key `schema`.
///
/// # Errors
/// As [`published`].
pub fn schema(path: &SchemaPath) -> Result<RefName, Error> {
    name(&format!("{path}{SCHEMA}"))
}

/// The schema whose document this ref is.
#[must_use]
pub fn schema_of(name: &str) -> Option<SchemaPath> {
    name.strip_suffix(SCHEMA)?.parse().ok()
}

/// Moves when a namespace comes to be or comes back, and when a document changes which rules hold: a
/// record. Whoever looks at all namespaces below one reads it.
///
/// # Errors
/// As [`published`].
pub fn namespaces() -> Result<RefName, Error> {
    name(NAMESPACE_COUNTER)
}

/// Whether this is the ref of [`namespaces`].
#[must_use]
pub fn is_namespace_counter(name: &str) -> bool {
    name == NAMESPACE_COUNTER
}

/// A principal: a record.
///
/// # Errors
/// The name has characters that a ref cannot have.
pub fn principal(principal: &str) -> Result<RefName, Error> {
    name(&format!("{PRINCIPALS}{principal}"))
}

/// A group: a record.
///
/// # Errors
/// As [`principal`].
pub fn group(group: &str) -> Result<RefName, Error> {
    name(&format!("{GROUPS}{group}"))
}

/// An issuer of identities: a record.
///
/// # Errors
/// As [`principal`].
pub fn issuer(issuer: &str) -> Result<RefName, Error> {
    name(&format!("{ISSUERS}{issuer}"))
}

/// A join token, by the first 16 digits of its hash: a record.
///
/// # Errors
/// As [`principal`].
pub fn join_token(digits: &str) -> Result<RefName, Error> {
    name(&format!("{JOIN_TOKENS}{digits}"))
}

/// The last change of the members that was asked for: a record.
///
/// # Errors
/// Never.
pub fn members() -> Result<RefName, Error> {
    name(MEMBERS)
}

/// What was restored from a backup, and when: a record.
///
/// # Errors
/// Never.
pub fn restored() -> Result<RefName, Error> {
    name(RESTORED)
}

/// A token, by the first 16 digits of its hash: a record.
///
/// # Errors
/// As [`published`].
pub fn token(digits: &str) -> Result<RefName, Error> {
    name(&format!("{TOKENS}{digits}"))
}

/// A publish request, by its number: a record.
///
/// # Errors
/// As [`published`].
pub fn request(number: u64) -> Result<RefName, Error> {
    name(&format!("{REQUESTS}{number}"))
}

/// The mark of a publish request that is scheduled: its record.
///
/// # Errors
/// As [`published`].
pub fn scheduled(number: u64) -> Result<RefName, Error> {
    name(&format!("{SCHEDULED}{number}"))
}

/// How many publish requests there have been: a record.
///
/// # Errors
/// As [`published`].
pub fn request_counter() -> Result<RefName, Error> {
    name(REQUEST_COUNTER)
}

/// Whether this is about publish requests, which belong to the namespaces that they name.
#[must_use]
pub fn is_of_requests(name: &str) -> bool {
    name.starts_with(REQUESTS) || name.starts_with(SCHEDULED) || name == REQUEST_COUNTER
}

/// The namespace that a ref belongs to.
#[must_use]
pub fn namespace_of(name: &str) -> Option<Namespace> {
    let (namespace, _) = name.split_once('@')?;
    namespace.parse().ok()
}

/// The namespace whose document this ref is.
#[must_use]
pub fn policy_of(name: &str) -> Option<Namespace> {
    name.strip_suffix(POLICY)?.parse().ok()
}

/// Whether what this ref points at can decide who may do what, beside the documents of namespaces.
#[must_use]
pub fn decides_rights(name: &str) -> bool {
    const NEVER: [&str; 3] = ["request/", "counter/", "webhook/"];
    !name.contains('@') && !NEVER.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether this is a published head, whose line has rows.
#[must_use]
pub fn is_published(name: &str) -> bool {
    name.ends_with(PUBLISHED)
}
