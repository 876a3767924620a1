//! The paths about who somebody is, and of coming in.

use axum::http::Method;
use confman_repo::identity::{GroupName, IssuerName, PrincipalName};

use super::{GET, POST, PathError, name, nothing_at};

/// Longest id of a token in a path; the real ones have 16 digits.
const TOKEN_ID_BYTES_MAX: usize = 64;

/// What a path names that is about who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// `/v1/whoami`
    Whoami,
    /// `/v1/tokens`
    Tokens,
    /// `/v1/tokens/{id}`
    Token(String),
    /// `/v1/principals`
    Principals,
    /// `/v1/principals/{principal}`
    Principal(PrincipalName),
    /// `/v1/groups`
    Groups,
    /// `/v1/groups/{group}`
    Group(GroupName),
    /// `/v1/issuers`
    Issuers,
    /// `/v1/issuers/{issuer}`
    Issuer(IssuerName),
    /// `/v1/auth/oidc/{issuer}/login`
    Login(IssuerName),
    /// `/v1/auth/oidc/{issuer}/callback`
    Callback(IssuerName),
    /// `/v1/auth/exchange`
    Exchange,
}

impl Identity {
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Whoami => "/v1/whoami",
            Self::Tokens => "/v1/tokens",
            Self::Token(_) => "/v1/tokens/{id}",
            Self::Principals => "/v1/principals",
            Self::Principal(_) => "/v1/principals/{principal}",
            Self::Groups => "/v1/groups",
            Self::Group(_) => "/v1/groups/{group}",
            Self::Issuers => "/v1/issuers",
            Self::Issuer(_) => "/v1/issuers/{issuer}",
            Self::Login(_) => "/v1/auth/oidc/{issuer}/login",
            Self::Callback(_) => "/v1/auth/oidc/{issuer}/callback",
            Self::Exchange => "/v1/auth/exchange",
        }
    }

    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Whoami | Self::Groups | Self::Issuers => GET,
            Self::Tokens | Self::Principals | Self::Login(_) | Self::Callback(_) => {
                &[Method::GET, Method::POST]
            }
            Self::Token(_) => &[Method::DELETE],
            Self::Principal(_) => &[Method::GET, Method::PATCH],
            Self::Group(_) | Self::Issuer(_) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Exchange => POST,
        }
    }

    /// Whether it is for whoever is about to come in, and therefore is nobody yet.
    pub(super) fn is_a_door(&self) -> bool {
        matches!(self, Self::Login(_) | Self::Callback(_) | Self::Exchange)
    }
}

/// Reads what follows `/v1/`, where it is about identity.
pub(super) fn parse(segments: &[&str]) -> Option<Result<Identity, PathError>> {
    Some(match segments {
        ["whoami"] => Ok(Identity::Whoami),
        ["tokens"] => Ok(Identity::Tokens),
        ["tokens", id] => token_id(id).map(Identity::Token),
        ["principals"] => Ok(Identity::Principals),
        ["principals", text] => name("principal", &[text]).map(Identity::Principal),
        ["groups"] => Ok(Identity::Groups),
        ["groups", text] => name("group", &[text]).map(Identity::Group),
        ["issuers"] => Ok(Identity::Issuers),
        ["issuers", text] => name("issuer", &[text]).map(Identity::Issuer),
        ["auth", "oidc", text, "login"] => name("issuer", &[text]).map(Identity::Login),
        ["auth", "oidc", text, "callback"] => name("issuer", &[text]).map(Identity::Callback),
        ["auth", "exchange"] => Ok(Identity::Exchange),
        _ => return None,
    })
}

pub(super) fn token_id(text: &str) -> Result<String, PathError> {
    if text.is_empty() || matches!(text, "." | "..") {
        return Err(nothing_at(&[text]));
    }
    let is_id = text.len() <= TOKEN_ID_BYTES_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    if !is_id {
        let wrong = "the id of the token in the path is not valid: it has digits 0-9 and a-f, and is not the token itself";
        return Err(PathError::Malformed(vec![wrong.to_owned()]));
    }
    Ok(text.to_owned())
}
