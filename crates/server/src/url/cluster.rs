//! The paths about the members of the cluster.

use axum::http::Method;

use super::{GET, POST, PathError, nothing_at};

/// What a path names that is about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// `/v1/cluster`
    Whole,
    /// `/v1/cluster/members/{node}/promote`
    Promote(u64),
    /// `/v1/cluster/members/{node}/remove`
    Remove(u64),
    /// `/v1/cluster/members/{node}/replace`
    Replace(u64),
    /// `/v1/cluster/transfer`
    Transfer,
    /// `/v1/cluster/join-tokens`
    JoinTokens,
    /// `/v1/cluster/join-tokens/{id}`
    JoinToken(String),
}

impl Cluster {
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Whole => "/v1/cluster",
            Self::Promote(_) => "/v1/cluster/members/{node}/promote",
            Self::Remove(_) => "/v1/cluster/members/{node}/remove",
            Self::Replace(_) => "/v1/cluster/members/{node}/replace",
            Self::Transfer => "/v1/cluster/transfer",
            Self::JoinTokens => "/v1/cluster/join-tokens",
            Self::JoinToken(_) => "/v1/cluster/join-tokens/{id}",
        }
    }

    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Whole => GET,
            Self::Promote(_) | Self::Remove(_) | Self::Replace(_) | Self::Transfer => POST,
            Self::JoinTokens => &[Method::GET, Method::POST],
            Self::JoinToken(_) => &[Method::DELETE],
        }
    }
}

/// Reads what follows `/v1/cluster`.
pub(super) fn parse(segments: &[&str]) -> Result<Cluster, PathError> {
    match segments {
        [] => Ok(Cluster::Whole),
        ["members", node, "promote"] => member(node).map(Cluster::Promote),
        ["members", node, "remove"] => member(node).map(Cluster::Remove),
        ["members", node, "replace"] => member(node).map(Cluster::Replace),
        ["transfer"] => Ok(Cluster::Transfer),
        ["join-tokens"] => Ok(Cluster::JoinTokens),
        ["join-tokens", id] => super::identity::token_id(id).map(Cluster::JoinToken),
        other => Err(nothing_at(other)),
    }
}

/// A node is written in one way: digits, no leading zero.
fn member(text: &str) -> Result<u64, PathError> {
    match text.parse::<u64>() {
        Ok(node) if node > 0 && node.to_string() == text => Ok(node),
        _ => {
            let wrong =
                "the node in the path is a whole number from 1, without sign or leading zeros";
            Err(PathError::Malformed(vec![wrong.to_owned()]))
        }
    }
}
