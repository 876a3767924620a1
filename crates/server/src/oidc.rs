//! OpenID Connect: what an issuer says about somebody, asked for and checked.
//!
//! What the claims then mean here is decided in `repo`.
//!
//! INVARIANT: claims leave this module only after their signature, issuer, audience, times and, for a
//! login, nonce were checked.
//! INVARIANT: a login that was begun is finished at most once, by whoever began it.

mod fetching;
mod jwt;
mod login;

use std::time::Duration;

use confman_api::identity::LoginAnswer;
use confman_repo::IssuerInfo;
use confman_repo::identity::is_loopback_url;
use serde_json::{Map, Value};

use self::fetching::Fetching;
use self::jwt::{Expected, Jwt};
use self::login::{Logins, Pending};
use crate::error::{ApiError, Code};

pub(crate) use login::LOGIN_SECONDS_MAX;

/// Longest code that an issuer may give.
const CODE_BYTES_MAX: usize = 4096;

/// A login that was begun.
pub(crate) struct Begun {
    /// Where the person is to go.
    pub(crate) authorization_url: String,
    /// What the answer must carry.
    pub(crate) state: String,
    /// What proves that it is the same browser or program that comes back.
    pub(crate) binding: String,
}

/// Talks to issuers and remembers logins that were begun.
#[derive(Debug, Default)]
pub(crate) struct Oidc {
    fetching: Fetching,
    logins: Logins,
}

impl Oidc {
    /// Begins a login.
    pub(crate) async fn begin(
        &self,
        issuer: &IssuerInfo,
        redirect_uri: String,
    ) -> Result<Begun, ApiError> {
        let client_id = client_id(issuer)?;
        let known = self.fetching.known(&issuer.document.url).await?;
        let endpoint = known.authorization_endpoint()?;
        let pending = Pending::new(issuer, redirect_uri)?;
        let state = login::random_text()?;
        let binding = login::random_text()?;
        let mut url = reqwest::Url::parse(endpoint).map_err(|_| {
            fetching::odd_answer(&issuer.document.url, "its authorization endpoint is no URL")
        })?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", &pending.redirect_uri)
            .append_pair("scope", "openid profile email")
            .append_pair("state", &state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &pending.challenge())
            .append_pair("code_challenge_method", "S256");
        self.logins.put(&state, &binding, pending);
        Ok(Begun {
            authorization_url: url.into(),
            state,
            binding,
        })
    }

    /// Finishes a login: gives the code back to the issuer and checks what it says then.
    pub(crate) async fn finish(
        &self,
        issuer: &IssuerInfo,
        answer: &LoginAnswer,
        now_ms: i64,
    ) -> Result<Map<String, Value>, ApiError> {
        let pending = self
            .logins
            .take(&answer.state, &answer.binding)
            .filter(|pending| pending.issuer == issuer.name && pending.record == issuer.record)
            .ok_or_else(|| {
                let minutes = Duration::from_secs(LOGIN_SECONDS_MAX).as_secs() / 60;
                refused(format!(
                    "no such login waits here: it was finished, began elsewhere, or took more than {minutes} minutes; begin again"
                ))
            })?;
        if answer.code.is_empty() || answer.code.len() > CODE_BYTES_MAX {
            return Err(refused("the issuer's answer has no usable `code`"));
        }
        let client_id = client_id(issuer)?;
        let id_token = self
            .fetching
            .redeem(&issuer.document.url, client_id, &answer.code, &pending)
            .await?;
        let expected = Expected {
            issuer: &issuer.document.url,
            audience: client_id,
            nonce: Some(&pending.nonce),
            now_ms,
        };
        self.claims(&id_token, &expected).await
    }

    /// Checks a token that a program brings.
    pub(crate) async fn exchange(
        &self,
        issuer: &IssuerInfo,
        token: &str,
        now_ms: i64,
    ) -> Result<Map<String, Value>, ApiError> {
        let audience = issuer.document.audience.as_deref().ok_or_else(|| {
            let detail = format!(
                "tokens of issuer `{}` cannot be exchanged: it has no `audience`",
                issuer.name
            );
            ApiError::new(Code::NotFound, detail)
        })?;
        let expected = Expected {
            issuer: &issuer.document.url,
            audience,
            nonce: None,
            now_ms,
        };
        self.claims(token, &expected).await
    }

    async fn claims(
        &self,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<Map<String, Value>, ApiError> {
        let jwt = Jwt::parse(token).map_err(|error| refused(error.to_string()))?;
        let key = self.fetching.key(expected.issuer, jwt.kid()).await?;
        let key = key.ok_or_else(|| refused("the issuer has no key of this `kid`"))?;
        jwt.claims(&key, expected)
            .map_err(|error| refused(error.to_string()))
    }
}

/// Whether a program may wait here for an issuer's answer: on this machine, in one place.
pub(crate) fn is_loopback_callback(uri: &str) -> bool {
    is_loopback_url(uri)
        && uri
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, path)| path == "callback")
}

fn client_id(issuer: &IssuerInfo) -> Result<&str, ApiError> {
    issuer.document.client_id.as_deref().ok_or_else(|| {
        let detail = format!(
            "people cannot log in by issuer `{}`, which has no `clientId`",
            issuer.name
        );
        ApiError::new(Code::NotFound, detail)
    })
}

fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(Code::InvalidAssertion, detail)
}

#[cfg(test)]
mod tests;
