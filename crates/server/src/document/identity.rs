//! Principals, groups, tokens and issuers.

use confman_api::identity::{Group, Issuer, Principal, Token, TokenMade};
use confman_api::system::{Whoami, WhoamiToken};
use confman_repo::{GroupInfo, IssuerInfo, PrincipalInfo, TokenInfo};

use super::time;

/// A principal.
pub(crate) fn principal(info: &PrincipalInfo) -> Principal {
    Principal {
        name: info.name.to_string(),
        kind: info.kind,
        display_name: info.display_name.clone(),
        email: info.email.clone(),
        disabled: info.disabled,
        identity: info.identity.clone(),
        groups: info.groups.clone(),
        record: info.record.to_string(),
        updated_at: time::utc(info.updated.at_ms),
        updated_by: info.updated.by.clone(),
    }
}

/// A group.
pub(crate) fn group(info: &GroupInfo) -> Group {
    Group {
        name: info.name.to_string(),
        description: info.document.description.clone(),
        members: info
            .document
            .members
            .iter()
            .map(ToString::to_string)
            .collect(),
        record: info.record.to_string(),
        updated_at: time::utc(info.updated.at_ms),
        updated_by: info.updated.by.clone(),
    }
}

/// A token, without the token itself.
pub(crate) fn token(info: &TokenInfo) -> Token {
    Token {
        id: info.id.clone(),
        principal: info.principal.clone(),
        name: info.name.clone(),
        scope: info.scope.clone(),
        expires: info.expires_ms.map(time::utc),
        expired: info.expired,
        created_at: time::utc(info.created.at_ms),
        created_by: info.created.by.clone(),
    }
}

/// A token that was made, in the clear.
pub(crate) fn token_made(secret: &confman_repo::Token, info: &TokenInfo) -> TokenMade {
    TokenMade {
        secret: secret.as_str().to_owned(),
        token: token(info),
    }
}

/// An issuer.
pub(crate) fn issuer(info: &IssuerInfo) -> Issuer {
    Issuer {
        name: info.name.to_string(),
        document: info.document.clone(),
        record: info.record.to_string(),
        updated_at: time::utc(info.updated.at_ms),
        updated_by: info.updated.by.clone(),
    }
}

/// Who the caller is.
pub(crate) fn whoami(found: confman_repo::Whoami) -> Whoami {
    Whoami {
        principal: found.principal,
        kind: found.kind,
        name: found.display_name,
        email: found.email,
        groups: found.groups,
        token: found.token.map(|token| WhoamiToken {
            id: token.id,
            name: token.name,
            scope: token.scope,
            expires: token.expires_ms.map(time::utc),
        }),
        draft: found.draft.to_string(),
    }
}
