//! What issuers publish about themselves, fetched within limits and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use confman_repo::identity::{is_loopback_url, is_safe_url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::jwt::{Jwk, Key};
use super::login::Pending;
use crate::error::{ApiError, Code, chain};

/// How long a request to an issuer may take.
const FETCH_SECONDS_MAX: u64 = 10;
/// Most bytes of an issuer's answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Most keys of an issuer.
const KEYS_MAX: usize = 64;
/// How long what an issuer publishes is kept.
const KEPT_SECONDS_MAX: u64 = 3600;
/// How soon it is fetched again for a key that is not among those known.
pub(crate) const AGAIN_SECONDS_MIN: u64 = 10;
/// Most issuers whose keys are kept.
const ISSUERS_KEPT_MAX: usize = 256;

/// Talks to issuers.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    http: OnceLock<reqwest::Client>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// What is known of one issuer; whoever fetches it holds the lock, and the others wait.
type Slot = tokio::sync::Mutex<Option<Arc<Known>>>;

/// What an issuer publishes.
#[derive(Debug)]
pub(crate) struct Known {
    configuration: Configuration,
    keys: HashMap<String, Key>,
    fetched: Instant,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    // Each alone, because keys of kinds that are not known may look like anything.
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
}

impl Known {
    /// Where people log in.
    pub(crate) fn authorization_endpoint(&self) -> Result<&str, ApiError> {
        let endpoint = self.configuration.authorization_endpoint.as_deref();
        endpoint.ok_or_else(|| odd_answer(&self.configuration.issuer, "nobody can log in there"))
    }
}

impl Fetching {
    /// What an issuer publishes.
    pub(crate) async fn known(&self, issuer: &str) -> Result<Arc<Known>, ApiError> {
        self.known_since(issuer, Duration::from_secs(KEPT_SECONDS_MAX))
            .await
    }

    /// A key of an issuer; asks again, though not all the time, for one that is not known.
    pub(crate) async fn key(&self, issuer: &str, kid: &str) -> Result<Option<Key>, ApiError> {
        let known = self.known(issuer).await?;
        if let Some(key) = known.keys.get(kid) {
            return Ok(Some(key.clone()));
        }
        let known = self
            .known_since(issuer, Duration::from_secs(AGAIN_SECONDS_MIN))
            .await?;
        Ok(known.keys.get(kid).cloned())
    }

    async fn known_since(&self, issuer: &str, age_max: Duration) -> Result<Arc<Known>, ApiError> {
        let slot = self.slot(issuer);
        let mut slot = slot.lock().await;
        if let Some(known) = &*slot
            && known.fetched.elapsed() < age_max
        {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(self.fetch(issuer).await?);
        *slot = Some(Arc::clone(&known));
        Ok(known)
    }

    fn slot(&self, issuer: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= ISSUERS_KEPT_MAX && !slots.contains_key(issuer) {
            slots.clear();
        }
        Arc::clone(slots.entry(issuer.to_owned()).or_default())
    }

    async fn fetch(&self, issuer: &str) -> Result<Known, ApiError> {
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let configuration: Configuration = self.get(issuer, &url).await?;
        if configuration.issuer != issuer {
            return Err(odd_answer(issuer, "it calls itself something else"));
        }
        let endpoints = [
            Some(&configuration.jwks_uri),
            configuration.authorization_endpoint.as_ref(),
            configuration.token_endpoint.as_ref(),
        ];
        for endpoint in endpoints.into_iter().flatten() {
            let is_safe =
                is_safe_url(endpoint) && (is_loopback_url(issuer) || !is_loopback_url(endpoint));
            if !is_safe {
                return Err(odd_answer(issuer, "one of its endpoints is not https"));
            }
        }
        let set: KeySet = self.get(issuer, &configuration.jwks_uri).await?;
        let keys = set
            .keys
            .into_iter()
            .take(KEYS_MAX)
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
            .filter_map(|jwk| Some((jwk.kid.clone()?, jwk.key()?)))
            .collect();
        Ok(Known {
            configuration,
            keys,
            fetched: Instant::now(),
        })
    }

    /// Gives a code back to the issuer, for the token that says who logged in.
    pub(crate) async fn redeem(
        &self,
        issuer: &str,
        client_id: &str,
        code: &str,
        pending: &Pending,
    ) -> Result<String, ApiError> {
        let known = self.known(issuer).await?;
        let endpoint = known.configuration.token_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| odd_answer(issuer, "nobody can log in there"))?;
        let mut form = reqwest::Url::parse("http://form/").map_err(|error| {
            ApiError::internal(format!("a form cannot be written: {}", chain(&error)))
        })?;
        form.query_pairs_mut()
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &pending.redirect_uri)
            .append_pair("client_id", client_id)
            .append_pair("code_verifier", &pending.verifier);
        let request = self
            .http()?
            .post(endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.query().unwrap_or_default().to_owned());
        let redeemed: Redeemed = read(issuer, request).await.map_err(|error| ApiError {
            // The issuer answered and does not know the code, which is the caller's affair.
            code: match error.code {
                Code::IssuerUnavailable if error.cause.is_none() => Code::InvalidAssertion,
                code => code,
            },
            ..error
        })?;
        Ok(redeemed.id_token)
    }

    async fn get<T: DeserializeOwned>(&self, issuer: &str, url: &str) -> Result<T, ApiError> {
        let request = self.http()?.get(url).header("accept", "application/json");
        read(issuer, request).await
    }

    fn http(&self) -> Result<&reqwest::Client, ApiError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let built = reqwest::Client::builder()
            .user_agent(concat!("confman/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(FETCH_SECONDS_MAX))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ApiError::internal(format!("no HTTP client: {}", chain(&error))))?;
        Ok(self.http.get_or_init(|| built))
    }
}

/// Sends a request to an issuer and reads its answer as JSON.
async fn read<T: DeserializeOwned>(
    issuer: &str,
    request: reqwest::RequestBuilder,
) -> Result<T, ApiError> {
    let unreachable = |error: reqwest::Error| {
        let error = error.without_url();
        ApiError {
            cause: Some(chain(&error)),
            ..ApiError::new(
                Code::IssuerUnavailable,
                format!("the issuer {issuer} cannot be reached"),
            )
        }
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if !status.is_success() {
        return Err(odd_answer(issuer, &format!("it answered {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(odd_answer(issuer, "its answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| odd_answer(issuer, "its answer is not as agreed"))
}

/// The issuer answered, and not as OpenID Connect says.
pub(crate) fn odd_answer(issuer: &str, what: &str) -> ApiError {
    ApiError::new(
        Code::IssuerUnavailable,
        format!("the issuer {issuer} cannot be used: {what}"),
    )
}
