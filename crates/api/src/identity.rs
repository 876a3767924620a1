//! Principals, groups, tokens and issuers, and how to come in. What groups and issuers say is the
//! model's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use confman_model::identity::{
    ExternalIdentity, GroupDocument, GroupName, IssuerDocument, IssuerName, PrincipalKind,
    PrincipalName, Scope,
};

/// An item of `GET /principals`, and `GET /principals/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Its name.
    pub name: String,
    /// Whether it is a person or a program.
    #[schemars(with = "String")]
    pub kind: PrincipalKind,
    /// Name for people.
    pub display_name: String,
    /// Mail address, where one is known.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub email: String,
    /// Whether it is shut out.
    pub disabled: bool,
    /// Whom an issuer means by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<ExternalIdentityFields>")]
    pub identity: Option<ExternalIdentity>,
    /// The groups it is in, also through others and by what its issuer said last.
    pub groups: Vec<String>,
    /// The record that says all this, as in `ETag`; give it back in `If-Match`.
    pub record: String,
    /// When it was changed last.
    pub updated_at: String,
    /// By whom.
    pub updated_by: String,
}

/// `POST /principals`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalWrite {
    /// Its name, for good.
    #[schemars(with = "String")]
    pub name: PrincipalName,
    /// A person, unless it says `service`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub kind: PrincipalKind,
    /// Name for people; its name where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display_name: Option<String>,
    /// Mail address.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub email: String,
    /// Whom an issuer must mean to log in as this principal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<ExternalIdentityFields>")]
    pub identity: Option<ExternalIdentity>,
}

/// `PATCH /principals/{name}`: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalPatch {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display_name: Option<String>,
    /// Mail address; the empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    /// Whether it is shut out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled: Option<bool>,
}

/// An item of `GET /groups`, and `GET /groups/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// Principals, and other groups as `group:NAME`.
    pub members: Vec<String>,
    /// The record that says all this, as in `ETag`; give it back in `If-Match`.
    pub record: String,
    /// When it was changed last.
    pub updated_at: String,
    /// By whom.
    pub updated_by: String,
}

/// An item of `GET /tokens`: everything but the token itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// What it is called where the token itself must not appear.
    pub id: String,
    /// Whose.
    pub principal: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub name: String,
    /// What it leaves of the principal's rights; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<ScopeFields>")]
    pub scope: Option<Scope>,
    /// When it ends; absent: when it is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
    /// Whether that is over.
    pub expired: bool,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

/// `POST /tokens`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenWrite {
    /// Whose; the caller's where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub principal: Option<PrincipalName>,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub name: String,
    /// What it leaves of the principal's rights; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<ScopeFields>")]
    pub scope: Option<Scope>,
    /// When it ends, in RFC 3339; absent: when it is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
}

/// A token that was made, by `POST /tokens`, a login or an exchange.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenMade {
    /// The token itself, shown this once.
    pub secret: String,
    /// Everything else about it.
    pub token: Token,
}

// A token must not end up in a log or a panic message.
impl std::fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMade")
            .field("secret", &"…")
            .field("token", &self.token)
            .finish()
    }
}

/// An item of `GET /issuers`, and `GET /issuers/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// What is said about it.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub document: IssuerDocument,
    /// The record that says all this, as in `ETag`; give it back in `If-Match`.
    pub record: String,
    /// When it was changed last.
    pub updated_at: String,
    /// By whom.
    pub updated_by: String,
}

/// `POST /auth/oidc/{issuer}/login`, by a program that waits for the issuer's answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginWrite {
    /// Where it waits: `/callback` at a port of 127.0.0.1, by http.
    pub redirect_uri: String,
}

/// A login that was begun.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginBegun {
    /// Where the person is to go.
    pub authorization_url: String,
    /// What the answer must carry.
    pub state: String,
    /// What to give back with the answer: proves that it is the same program.
    pub binding: String,
}

// Whoever has the binding can finish the login.
impl std::fmt::Debug for LoginBegun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginBegun").finish_non_exhaustive()
    }
}

/// `POST /auth/oidc/{issuer}/callback`: what the issuer answered.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginAnswer {
    /// As it was begun.
    pub state: String,
    /// As it was begun.
    pub binding: String,
    /// What the issuer gave.
    pub code: String,
}

impl std::fmt::Debug for LoginAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginAnswer").finish_non_exhaustive()
    }
}

/// `POST /auth/exchange`: a token of an issuer for one of ours.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExchangeWrite {
    /// The issuer, by its name here.
    #[schemars(with = "String")]
    pub issuer: IssuerName,
    /// Its token, a signed JWT.
    pub token: String,
}

impl std::fmt::Debug for ExchangeWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeWrite")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// The fields of a [`Scope`].
#[derive(JsonSchema)]
#[schemars(rename = "Scope")]
#[expect(dead_code, reason = "what the contract says of a type of the model")]
pub(crate) struct ScopeFields {
    /// Where it counts, with everything below.
    namespace: String,
    /// The highest role: `viewer`, `editor`, `publisher` or `admin`.
    role: String,
}

/// The fields of an [`ExternalIdentity`].
#[derive(JsonSchema)]
#[schemars(rename = "ExternalIdentity")]
#[expect(dead_code, reason = "what the contract says of a type of the model")]
struct ExternalIdentityFields {
    /// The issuer, by its name here.
    issuer: String,
    /// Its `sub`.
    subject: String,
}

/// The fields of a [`GroupDocument`], for the contract.
#[derive(JsonSchema)]
#[schemars(rename = "GroupDocument")]
#[expect(dead_code, reason = "what the contract says of a type of the model")]
pub struct GroupFields {
    /// What it is for.
    #[schemars(default)]
    description: String,
    /// Principals, and other groups as `group:NAME`.
    members: Vec<String>,
}
