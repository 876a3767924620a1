//! What a path names: the whole URL layer, as one pure function from raw text to a [`Resource`].
//!
//! A namespace of any depth ends at `/-/`: `/v1/ns/teams/payments/-/entries/stripe/api-version`;
//! the root is `/v1/ns/-/…`. `%2F` may stand for `/`, as clients generated from templates send it.
//!
//! INVARIANT: every resource has one path, up to `%2F`. What is not in normal form (`..`, `.`, `//`,
//! an encoded dot or letter, upper case in a namespace, bytes that are not UTF-8) is refused with the
//! part that is wrong, never repaired: two spellings of one path would be two entries in a cache or
//! in a rule of a proxy.

mod backup;
mod cluster;
mod identity;

use std::str::FromStr;

use axum::http::Method;
use confman_repo::model::{DraftName, Key, Namespace, Revision, SchemaPath, TagName};

pub(crate) use backup::Backup;
pub(crate) use cluster::Cluster;
pub(crate) use identity::Identity;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `/healthz`
    Health,
    /// `/readyz`
    Readiness,
    /// `/version`
    Version,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
    /// `/docs`
    Docs,
    /// `/ofrep/v1/evaluate/flags`
    Flags,
    /// `/ofrep/v1/evaluate/flags/{key}`
    Flag(Key),
    /// `/spring/{application}/{profiles}[/{label}]`
    Spring(SpringPath),
    /// Who somebody is, and coming in: `/v1/whoami`, `/v1/tokens`, `/v1/auth/…`, …
    Identity(Identity),
    /// The members of the cluster: `/v1/cluster/…`
    Cluster(Cluster),
    /// What backups are made of: `/v1/backup/…`
    Backup(Backup),
    /// `/v1/namespaces`
    Namespaces,
    /// `/v1/schemas`
    Schemas,
    /// `/v1/schemas/{path}`
    Schema(SchemaPath),
    /// `/v1/schemas/{path}/-/history`
    SchemaHistory(SchemaPath),
    /// `/v1/schemas/{path}/-/check`
    SchemaCheck(SchemaPath),
    /// `/v1/rotations`
    Rotations,
    /// `/v1/search`
    Search,
    /// `/v1/namespaces/deleted`
    DeletedNamespaces,
    /// `/v1/operations`
    Operations,
    /// `/v1/operations/sealed`
    SealedOperations,
    /// `/v1/fsck`
    Fsck,
    /// `/v1/requests`
    Requests,
    /// `/v1/requests/{n}/…`
    Request(u64, RequestPart),
    /// `/v1/ns/{namespace}/-/…`
    In(Namespace, Part),
}

/// What a client of Spring Cloud Config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpringPath {
    /// The name of the application, as it was sent.
    pub(crate) application: String,
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// The profiles, as they were sent, last one first in rank.
    pub(crate) profiles: Vec<String>,
    /// The revision.
    pub(crate) label: Option<Revision>,
}

/// What a path names inside a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `namespace`
    Document,
    /// `namespace/effective`
    Effective,
    /// `namespace/history`
    DocumentHistory,
    /// `restore`
    Restore,
    /// `explain/{key}`
    Explain(Key),
    /// `permissions`
    Permissions,
    /// `config`
    Config,
    /// `config/{key}`
    ConfigKey(Key),
    /// `watch`
    Watch,
    /// `entries`
    Entries,
    /// `entries/{key}`
    Entry(Key),
    /// `drafts`
    Drafts,
    /// `drafts/{draft}`
    Draft(DraftName),
    /// `drafts/{draft}/changes`
    Changes(DraftName),
    /// `publish`
    Publish,
    /// `rollback`
    Rollback,
    /// `validate`
    Validate,
    /// `preview`
    Preview,
    /// `editor.schema.json`
    EditorSchema,
    /// `inferred.schema.json`
    InferredSchema,
    /// `history/{key}`
    History(Key),
    /// `log`
    Log,
    /// `blame`
    Blame,
    /// `compare`
    Compare,
    /// `commits/{rev}`
    Commit(Revision),
    /// `tags`
    Tags,
    /// `tags/{tag}`
    Tag(TagName),
    /// `fetch`
    Fetch,
    /// `push`
    Push,
    /// `import`
    Import,
}

/// What a path names of a publish request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestPart {
    /// The request itself.
    Whole,
    /// `diff`
    Diff,
    /// `impact`
    Impact,
    /// `comments`
    Comments,
    /// `reviews`
    Reviews,
    /// `publish`
    Publish,
    /// `schedule`
    Schedule,
    /// `promote`
    Promote,
    /// `abort`
    Abort,
    /// `withdraw`
    Withdraw,
    /// `acknowledge`
    Acknowledge,
}

/// Why a path names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// Parts of it are not valid; each text names one.
    Malformed(Vec<String>),
    /// It is well formed and nothing is there.
    Unknown,
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

impl Resource {
    /// The path with the names of its parameters, as in the documentation and in logs.
    pub(crate) fn template(&self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Readiness => "/readyz",
            Self::Version => "/version",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::Docs => "/docs",
            Self::Flags => "/ofrep/v1/evaluate/flags",
            Self::Flag(_) => "/ofrep/v1/evaluate/flags/{key}",
            Self::Spring(SpringPath { label: None, .. }) => "/spring/{application}/{profiles}",
            Self::Spring(_) => "/spring/{application}/{profiles}/{label}",
            Self::Identity(identity) => identity.template(),
            Self::Cluster(cluster) => cluster.template(),
            Self::Backup(backup) => backup.template(),
            Self::Namespaces => "/v1/namespaces",
            Self::Schemas => "/v1/schemas",
            Self::Schema(_) => "/v1/schemas/{path}",
            Self::SchemaHistory(_) => "/v1/schemas/{path}/-/history",
            Self::SchemaCheck(_) => "/v1/schemas/{path}/-/check",
            Self::Rotations => "/v1/rotations",
            Self::Search => "/v1/search",
            Self::DeletedNamespaces => "/v1/namespaces/deleted",
            Self::Operations => "/v1/operations",
            Self::SealedOperations => "/v1/operations/sealed",
            Self::Fsck => "/v1/fsck",
            Self::Requests => "/v1/requests",
            Self::Request(_, part) => match part {
                RequestPart::Whole => "/v1/requests/{n}",
                RequestPart::Diff => "/v1/requests/{n}/diff",
                RequestPart::Impact => "/v1/requests/{n}/impact",
                RequestPart::Comments => "/v1/requests/{n}/comments",
                RequestPart::Reviews => "/v1/requests/{n}/reviews",
                RequestPart::Publish => "/v1/requests/{n}/publish",
                RequestPart::Schedule => "/v1/requests/{n}/schedule",
                RequestPart::Promote => "/v1/requests/{n}/promote",
                RequestPart::Abort => "/v1/requests/{n}/abort",
                RequestPart::Withdraw => "/v1/requests/{n}/withdraw",
                RequestPart::Acknowledge => "/v1/requests/{n}/acknowledge",
            },
            Self::In(_, part) => match part {
                Part::Document => "/v1/ns/{namespace}/-/namespace",
                Part::Effective => "/v1/ns/{namespace}/-/namespace/effective",
                Part::DocumentHistory => "/v1/ns/{namespace}/-/namespace/history",
                Part::Restore => "/v1/ns/{namespace}/-/restore",
                Part::Explain(_) => "/v1/ns/{namespace}/-/explain/{key}",
                Part::Permissions => "/v1/ns/{namespace}/-/permissions",
                Part::Config => "/v1/ns/{namespace}/-/config",
                Part::ConfigKey(_) => "/v1/ns/{namespace}/-/config/{key}",
                Part::Watch => "/v1/ns/{namespace}/-/watch",
                Part::Entries => "/v1/ns/{namespace}/-/entries",
                Part::Entry(_) => "/v1/ns/{namespace}/-/entries/{key}",
                Part::Drafts => "/v1/ns/{namespace}/-/drafts",
                Part::Draft(_) => "/v1/ns/{namespace}/-/drafts/{draft}",
                Part::Changes(_) => "/v1/ns/{namespace}/-/drafts/{draft}/changes",
                Part::Publish => "/v1/ns/{namespace}/-/publish",
                Part::Rollback => "/v1/ns/{namespace}/-/rollback",
                Part::Validate => "/v1/ns/{namespace}/-/validate",
                Part::Preview => "/v1/ns/{namespace}/-/preview",
                Part::EditorSchema => "/v1/ns/{namespace}/-/editor.schema.json",
                Part::InferredSchema => "/v1/ns/{namespace}/-/inferred.schema.json",
                Part::History(_) => "/v1/ns/{namespace}/-/history/{key}",
                Part::Log => "/v1/ns/{namespace}/-/log",
                Part::Blame => "/v1/ns/{namespace}/-/blame",
                Part::Compare => "/v1/ns/{namespace}/-/compare",
                Part::Commit(_) => "/v1/ns/{namespace}/-/commits/{rev}",
                Part::Tags => "/v1/ns/{namespace}/-/tags",
                Part::Tag(_) => "/v1/ns/{namespace}/-/tags/{tag}",
                Part::Fetch => "/v1/ns/{namespace}/-/fetch",
                Part::Push => "/v1/ns/{namespace}/-/push",
                Part::Import => "/v1/ns/{namespace}/-/import",
            },
        }
    }

    /// The methods it answers; `HEAD` goes where `GET` goes.
    pub(crate) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Health
            | Self::Readiness
            | Self::Version
            | Self::Metrics
            | Self::OpenApi
            | Self::Docs
            | Self::Spring(_)
            | Self::Schemas
            | Self::SchemaHistory(_)
            | Self::Rotations
            | Self::Search
            | Self::DeletedNamespaces
            | Self::Operations
            | Self::SealedOperations => GET,
            Self::Identity(identity) => identity.methods(),
            Self::Cluster(cluster) => cluster.methods(),
            Self::Backup(backup) => backup.methods(),
            Self::Schema(_) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Namespaces => &[Method::GET, Method::POST],
            Self::Fsck | Self::Flags | Self::Flag(_) | Self::SchemaCheck(_) => POST,
            Self::Requests => &[Method::GET, Method::POST],
            Self::Request(_, part) => match part {
                RequestPart::Whole => &[Method::GET, Method::PATCH],
                RequestPart::Diff | RequestPart::Impact => GET,
                RequestPart::Schedule => &[Method::POST, Method::DELETE],
                RequestPart::Comments
                | RequestPart::Reviews
                | RequestPart::Publish
                | RequestPart::Promote
                | RequestPart::Abort
                | RequestPart::Withdraw
                | RequestPart::Acknowledge => POST,
            },
            Self::In(_, part) => match part {
                Part::Entry(_) | Part::Tag(_) => &[Method::GET, Method::PUT, Method::DELETE],
                Part::Draft(_) => &[Method::GET, Method::DELETE],
                Part::Document => &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE],
                Part::Changes(_)
                | Part::Publish
                | Part::Rollback
                | Part::Validate
                | Part::Preview
                | Part::Restore
                | Part::Fetch
                | Part::Push => POST,
                Part::Effective
                | Part::DocumentHistory
                | Part::Explain(_)
                | Part::Permissions
                | Part::Config
                | Part::ConfigKey(_)
                | Part::Watch
                | Part::Entries
                | Part::Drafts
                | Part::History(_)
                | Part::Log
                | Part::Blame
                | Part::Compare
                | Part::Commit(_)
                | Part::Tags
                | Part::EditorSchema
                | Part::InferredSchema
                | Part::Import => GET,
            },
        }
    }

    /// Whether it is for whoever is about to come in, and therefore is nobody yet.
    pub(crate) fn is_a_door(&self) -> bool {
        matches!(self, Self::Identity(identity) if identity.is_a_door())
    }

    /// Whether it is answered without a token.
    pub(crate) fn is_public(&self) -> bool {
        matches!(
            self,
            Self::Health
                | Self::Readiness
                | Self::Version
                | Self::Metrics
                | Self::OpenApi
                | Self::Docs
        )
    }
}

/// Reads the path of a request as it was sent.
pub(crate) fn parse(raw: &str) -> Result<Resource, PathError> {
    let path = raw.strip_prefix('/').ok_or(PathError::Unknown)?;
    let path = decode(path).map_err(|wrong| PathError::Malformed(vec![wrong]))?;
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        ["healthz"] => Ok(Resource::Health),
        ["readyz"] => Ok(Resource::Readiness),
        ["version"] => Ok(Resource::Version),
        ["metrics"] => Ok(Resource::Metrics),
        ["openapi.json"] => Ok(Resource::OpenApi),
        ["docs"] => Ok(Resource::Docs),
        ["ofrep", "v1", "evaluate", "flags"] => Ok(Resource::Flags),
        ["ofrep", "v1", "evaluate", "flags", key @ ..] => Ok(Resource::Flag(name("key", key)?)),
        ["spring", application, profiles] => spring(application, profiles, None),
        ["spring", application, profiles, label] => spring(application, profiles, Some(label)),
        ["v1", "namespaces"] => Ok(Resource::Namespaces),
        ["v1", "namespaces", "deleted"] => Ok(Resource::DeletedNamespaces),
        ["v1", "operations"] => Ok(Resource::Operations),
        ["v1", "rotations"] => Ok(Resource::Rotations),
        ["v1", "search"] => Ok(Resource::Search),
        ["v1", "schemas"] => Ok(Resource::Schemas),
        ["v1", "schemas", inside @ ..] => schema(inside),
        ["v1", "operations", "sealed"] => Ok(Resource::SealedOperations),
        ["v1", "fsck"] => Ok(Resource::Fsck),
        ["v1", "requests"] => Ok(Resource::Requests),
        ["v1", "requests", number, part @ ..] => request(number, part),
        ["v1", "ns", inside @ ..] => in_namespace(inside),
        ["v1", "backup", inside @ ..] => backup::parse(inside).map(Resource::Backup),
        ["v1", "cluster", inside @ ..] => cluster::parse(inside).map(Resource::Cluster),
        ["v1", rest @ ..] => match identity::parse(rest) {
            Some(found) => found.map(Resource::Identity),
            None => Err(nothing_at(&segments)),
        },
        other => Err(nothing_at(other)),
    }
}

/// Spring's clients write `(_)` for a slash in names.
const SPRING_SLASH: &str = "(_)";

/// Reads what follows `/spring/`.
fn spring(application: &str, profiles: &str, label: Option<&str>) -> Result<Resource, PathError> {
    let path = format!("/{}", application.replace(SPRING_SLASH, "/"));
    let namespace = name("application", &[path.as_str()])?;
    let label = label
        .map(|label| name("label", &[label.replace(SPRING_SLASH, "/").as_str()]))
        .transpose()?;
    Ok(Resource::Spring(SpringPath {
        application: application.to_owned(),
        namespace,
        profiles: profiles.split(',').map(str::to_owned).collect(),
        label,
    }))
}

/// Reads what follows `/v1/requests/`.
fn request(number: &str, part: &[&str]) -> Result<Resource, PathError> {
    let part = match part {
        [] => RequestPart::Whole,
        ["diff"] => RequestPart::Diff,
        ["impact"] => RequestPart::Impact,
        ["comments"] => RequestPart::Comments,
        ["reviews"] => RequestPart::Reviews,
        ["publish"] => RequestPart::Publish,
        ["schedule"] => RequestPart::Schedule,
        ["promote"] => RequestPart::Promote,
        ["abort"] => RequestPart::Abort,
        ["withdraw"] => RequestPart::Withdraw,
        ["acknowledge"] => RequestPart::Acknowledge,
        other => return Err(nothing_at(other)),
    };
    // The revision knows how a number is written, and that there is one way to write it.
    match format!("#{number}").parse() {
        Ok(Revision::Request(number)) => Ok(Resource::Request(number, part)),
        _ => {
            let wrong = "the number of a publish request in the path is a whole number from 1, without sign or leading zeros";
            Err(PathError::Malformed(vec![wrong.to_owned()]))
        }
    }
}

/// Reads what follows `/v1/ns/`.
fn in_namespace(segments: &[&str]) -> Result<Resource, PathError> {
    let Some(end) = segments.iter().position(|segment| *segment == "-") else {
        let wrong =
            "the path of a namespace must end at `/-/`, as in `/v1/ns/teams/payments/-/config`";
        return Err(PathError::Malformed(vec![wrong.to_owned()]));
    };
    let (namespace, rest) = segments.split_at(end);
    let namespace = Namespace::from_str(&format!("/{}", namespace.join("/")));
    let part = part(rest.get(1..).unwrap_or_default());
    match (namespace, part) {
        (Ok(namespace), Ok(part)) => Ok(Resource::In(namespace, part)),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(PathError::Malformed(mut wrong))) => {
            wrong.insert(0, in_path("namespace", &error));
            Err(PathError::Malformed(wrong))
        }
        (Err(error), _) => Err(PathError::Malformed(vec![in_path("namespace", &error)])),
    }
}

/// Reads what follows `/v1/schemas/`.
fn schema(segments: &[&str]) -> Result<Resource, PathError> {
    let end = segments.iter().position(|segment| *segment == "-");
    let (path, rest) = segments.split_at(end.unwrap_or(segments.len()));
    let path = SchemaPath::from_str(&format!("/schemas/{}", path.join("/")))
        .map_err(|error| PathError::Malformed(vec![in_path("schema", &error)]))?;
    match rest {
        [] => Ok(Resource::Schema(path)),
        ["-", "history"] => Ok(Resource::SchemaHistory(path)),
        ["-", "check"] => Ok(Resource::SchemaCheck(path)),
        _ => Err(PathError::Unknown),
    }
}

/// Reads what follows `/-/`.
fn part(segments: &[&str]) -> Result<Part, PathError> {
    let Some((collection, names)) = segments.split_first() else {
        return Err(PathError::Unknown);
    };
    match (*collection, names) {
        ("namespace", []) => Ok(Part::Document),
        ("namespace", ["effective"]) => Ok(Part::Effective),
        ("namespace", ["history"]) => Ok(Part::DocumentHistory),
        ("restore", []) => Ok(Part::Restore),
        ("explain", key @ [_, ..]) => Ok(Part::Explain(name("key", key)?)),
        ("permissions", []) => Ok(Part::Permissions),
        ("config", []) => Ok(Part::Config),
        ("config", key) => Ok(Part::ConfigKey(name("key", key)?)),
        ("watch", []) => Ok(Part::Watch),
        ("entries", []) => Ok(Part::Entries),
        ("entries", key) => Ok(Part::Entry(name("key", key)?)),
        ("drafts", []) => Ok(Part::Drafts),
        ("drafts", [draft]) => Ok(Part::Draft(name("draft", &[draft])?)),
        ("drafts", [draft, "changes"]) => Ok(Part::Changes(name("draft", &[draft])?)),
        ("publish", []) => Ok(Part::Publish),
        ("rollback", []) => Ok(Part::Rollback),
        ("validate", []) => Ok(Part::Validate),
        ("preview", []) => Ok(Part::Preview),
        ("editor.schema.json", []) => Ok(Part::EditorSchema),
        ("inferred.schema.json", []) => Ok(Part::InferredSchema),
        ("history", key @ [_, ..]) => Ok(Part::History(name("key", key)?)),
        ("log", []) => Ok(Part::Log),
        ("blame", []) => Ok(Part::Blame),
        ("compare", []) => Ok(Part::Compare),
        ("commits", revision @ [_, ..]) => Ok(Part::Commit(name("revision", revision)?)),
        ("tags", []) => Ok(Part::Tags),
        ("tags", [tag]) => Ok(Part::Tag(name("tag", &[tag])?)),
        ("fetch", []) => Ok(Part::Fetch),
        ("push", []) => Ok(Part::Push),
        ("import", []) => Ok(Part::Import),
        _ => Err(nothing_at(segments)),
    }
}

/// Reads the name at the end of a path.
fn name<T: FromStr<Err: std::error::Error>>(what: &str, segments: &[&str]) -> Result<T, PathError> {
    let text = segments.join("/");
    text.parse()
        .map_err(|error| PathError::Malformed(vec![in_path(what, &error)]))
}

fn in_path(what: &str, error: &dyn std::error::Error) -> String {
    format!(
        "the {what} in the path is not valid: {}",
        crate::error::chain(error)
    )
}

/// Says whether an unknown path is at least well formed.
fn nothing_at(segments: &[&str]) -> PathError {
    let odd = segments
        .iter()
        .find(|segment| matches!(**segment, "" | "." | ".."));
    match odd {
        // `/` alone has one empty segment and is merely nothing.
        None => PathError::Unknown,
        Some(_) if segments.len() == 1 && segments.first() == Some(&"") => PathError::Unknown,
        Some(&"") => PathError::Malformed(vec![
            "the path has an empty segment: a `//`, or a `/` at its end".to_owned(),
        ]),
        Some(dots) => PathError::Malformed(vec![format!(
            "the path has a segment `{dots}`; paths are not resolved, write what you mean"
        )]),
    }
}

/// Decodes a path once. Characters that never need an escape must not have one, so that `%2e%2e`
/// can never be dots that somebody in between did not see.
fn decode(raw: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let Some((escape, tail)) = rest.split_at_checked(2) else {
            return Err("the path ends inside an escape; `%` is written `%25`".to_owned());
        };
        rest = tail;
        let byte = hex_byte(escape).ok_or_else(|| {
            "the path has a `%` that two hex digits do not follow; `%` is written `%25`".to_owned()
        })?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            return Err(format!(
                "the path has the escape `%{byte:02X}` for `{}`, which must be written as it is",
                char::from(byte)
            ));
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "the path is not UTF-8 after byte {} once decoded",
            error.utf8_error().valid_up_to()
        )
    })
}

/// The byte that two hex digits stand for.
pub(crate) fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
pub(crate) mod tests;
