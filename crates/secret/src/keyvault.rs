//! `keyvault://VAULT/SECRET[/VERSION]`: Azure Key Vault, over its REST interface.
//!
//! The bearer token is given, or comes from the managed identity of the machine; that one is kept
//! in memory until shortly before it expires.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Http, RESOLVE_TIMEOUT, ResolveError, Secret, SecretReference, SecretResolver, answer,
    not_as_agreed,
};

/// Where vaults are; `{vault}` stands for the name. Other clouds have other domains.
pub const VAULT_URL_DEFAULT: &str = "https://{vault}.vault.azure.net";
/// What the token is for.
pub const RESOURCE_DEFAULT: &str = "https://vault.azure.net";
/// Where a machine asks for tokens of its managed identity.
pub const METADATA_URL_DEFAULT: &str =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";
/// Version of the interface that is spoken.
const API_VERSION: &str = "7.4";
/// How long before its end a token is not used any more.
const TOKEN_MARGIN: Duration = Duration::from_secs(120);
/// Most characters of the name of a vault, and least.
const VAULT_CHARS: std::ops::RangeInclusive<usize> = 3..=24;
/// Most characters of the name of a secret or version.
const NAME_CHARS_MAX: usize = 127;
const WHO: &str = "Key Vault";
const WHO_IDENTITY: &str = "the managed identity endpoint";

/// Who to be to a vault.
#[derive(Clone)]
pub enum Identity {
    /// Whoever has this bearer token.
    Token(Zeroizing<String>),
    /// The managed identity of this machine or app.
    Managed {
        /// Where to ask, with its query up to the resource.
        url: String,
        /// What the platform of an app wants to see, where there is such a thing.
        header: Option<Zeroizing<String>>,
    },
}

/// Asks Azure Key Vault.
pub struct KeyVaultResolver {
    vault_url: String,
    resource: String,
    identity: Identity,
    limit: Duration,
    token: Mutex<Option<(Zeroizing<String>, Instant)>>,
    http: Http,
}

impl std::fmt::Debug for KeyVaultResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyVaultResolver")
            .field("vault_url", &self.vault_url)
            .finish_non_exhaustive()
    }
}

/// What the identity endpoint answers.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: serde_json::Value,
}

/// What a vault answers.
#[derive(Deserialize)]
struct Bundle {
    value: String,
}

impl KeyVaultResolver {
    /// Asks vaults at `vault_url`, in which `{vault}` stands for the name.
    #[must_use]
    pub fn new(vault_url: &str, resource: &str, identity: Identity, limit: Duration) -> Self {
        Self {
            vault_url: vault_url.trim_end_matches('/').to_owned(),
            resource: resource.to_owned(),
            identity,
            limit,
            token: Mutex::new(None),
            http: Http::default(),
        }
    }

    /// Takes `CONFMAN_KEYVAULT_TOKEN`; or else the managed identity of an app (`IDENTITY_ENDPOINT`
    /// and `IDENTITY_HEADER`), or of the machine. `CONFMAN_KEYVAULT_URL` and
    /// `CONFMAN_KEYVAULT_RESOURCE` are for other clouds.
    #[must_use]
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let identity = match (
            set("CONFMAN_KEYVAULT_TOKEN"),
            set("IDENTITY_ENDPOINT"),
            set("IDENTITY_HEADER"),
        ) {
            (Some(token), ..) => Identity::Token(Zeroizing::new(token)),
            (None, Some(endpoint), Some(header)) => Identity::Managed {
                url: format!("{endpoint}?api-version=2019-08-01"),
                header: Some(Zeroizing::new(header)),
            },
            _ => Identity::Managed {
                url: METADATA_URL_DEFAULT.to_owned(),
                header: None,
            },
        };
        let or = |name, default: &str| set(name).unwrap_or_else(|| default.to_owned());
        Self::new(
            &or("CONFMAN_KEYVAULT_URL", VAULT_URL_DEFAULT),
            &or("CONFMAN_KEYVAULT_RESOURCE", RESOURCE_DEFAULT),
            identity,
            RESOLVE_TIMEOUT,
        )
    }

    async fn ask(&self, reference: &SecretReference) -> Result<Secret, ResolveError> {
        let (vault, name, version) = parts(reference.rest()).ok_or_else(|| {
            ResolveError::Malformed(
                "it looks like keyvault://VAULT/SECRET[/VERSION], in letters, digits and `-`"
                    .to_owned(),
            )
        })?;
        let base = self.vault_url.replace("{vault}", vault);
        let version = version
            .map(|version| format!("/{version}"))
            .unwrap_or_default();
        let url = format!("{base}/secrets/{name}{version}?api-version={API_VERSION}");
        let token = self.bearer().await?;
        let sent = self
            .http
            .client(self.limit)?
            .get(url)
            .bearer_auth(token.as_str());
        let body = match answer(WHO, self.limit, sent.send().await).await {
            Err(ResolveError::Refused(what)) => {
                // It may have been revoked before its time; the next call gets a new one.
                *self.cached() = None;
                return Err(ResolveError::Refused(what));
            }
            answered => answered?,
        };
        let bundle: Bundle = serde_json::from_slice(&body).map_err(|_| not_as_agreed(WHO))?;
        Ok(Secret::new(bundle.value.into_bytes()))
    }

    async fn bearer(&self) -> Result<Zeroizing<String>, ResolveError> {
        let (url, header) = match &self.identity {
            Identity::Token(token) => return Ok(token.clone()),
            Identity::Managed { url, header } => (url, header),
        };
        if let Some((token, until)) = &*self.cached()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let mut request = self
            .http
            .client(self.limit)?
            .get(url)
            .query(&[("resource", self.resource.as_str())]);
        request = match header {
            Some(header) => request.header("x-identity-header", header.as_str()),
            None => request.header("metadata", "true"),
        };
        let body = answer(WHO_IDENTITY, self.limit, request.send().await).await?;
        let issued: Issued =
            serde_json::from_slice(&body).map_err(|_| not_as_agreed(WHO_IDENTITY))?;
        // Some platforms write the number as a string.
        let seconds = match &issued.expires_in {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let lifetime = Duration::from_secs(seconds.ok_or_else(|| not_as_agreed(WHO_IDENTITY))?);
        let until = Instant::now() + lifetime.saturating_sub(TOKEN_MARGIN);
        let token = Zeroizing::new(issued.access_token);
        *self.cached() = Some((token.clone(), until));
        Ok(token)
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Option<(Zeroizing<String>, Instant)>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Vault, secret and version. The name of a vault becomes part of a host, so it is checked first.
fn parts(rest: &str) -> Option<(&str, &str, Option<&str>)> {
    let mut parts = rest.split('/');
    let (vault, name, version) = (parts.next()?, parts.next()?, parts.next());
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_right = parts.next().is_none()
        && VAULT_CHARS.contains(&vault.len())
        && [Some(vault), Some(name), version]
            .into_iter()
            .flatten()
            .all(|part| is_name(part) && part.len() <= NAME_CHARS_MAX);
    is_right.then_some((vault, name, version))
}

impl SecretResolver for KeyVaultResolver {
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>> {
        self.ask(reference).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::conformance::{CANARY, Case, Keeper, Reply, conformance};
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// One server as identity endpoint and vault; counts the tokens it gave.
    async fn keeper() -> (Keeper, Arc<AtomicUsize>) {
        let issued = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&issued);
        let keeper = Keeper::start(move |request| {
            let path = request.path.as_str();
            if path.starts_with("/identity?") {
                count.fetch_add(1, Ordering::SeqCst);
                let asks_right = request.has_header("metadata", "true")
                    && path.contains("resource=https%3A%2F%2Fvault.azure.net");
                return match asks_right {
                    true => Reply::json(
                        &serde_json::json!({"access_token": "t-azure", "expires_in": "3600"}),
                    ),
                    false => Reply::status(400),
                };
            }
            if !request.has_header("authorization", "Bearer t-azure") {
                return Reply::status(401);
            }
            match path {
                "/payments/secrets/stripe-key?api-version=7.4" => {
                    Reply::json(&serde_json::json!({"value": CANARY, "id": "x"}))
                }
                "/payments/secrets/stripe-key/old?api-version=7.4" => {
                    Reply::json(&serde_json::json!({"value": "old"}))
                }
                "/payments/secrets/slow?api-version=7.4" => Reply::Never,
                _ => Reply::status(404),
            }
        })
        .await;
        (keeper, issued)
    }

    fn resolver(keeper: &Keeper, identity: Identity) -> KeyVaultResolver {
        let url = format!("{}/{{vault}}", keeper.url);
        KeyVaultResolver::new(&url, RESOURCE_DEFAULT, identity, LIMIT)
    }

    #[tokio::test]
    async fn conforms_with_a_managed_identity_and_asks_for_one_token() {
        let (keeper, issued) = keeper().await;
        let identity = Identity::Managed {
            url: format!("{}/identity?api-version=2018-02-01", keeper.url),
            header: None,
        };
        let resolver = resolver(&keeper, identity);
        conformance(Case {
            resolver: &resolver,
            present: "keyvault://payments/stripe-key",
            absent: "keyvault://payments/none",
            malformed: &[
                "keyvault://payments",
                "keyvault://ab/x",
                "keyvault://evil.example/x",
                "keyvault://payments/a/b/c",
                "keyvault://payments/a_b",
            ],
            slow: Some("keyvault://payments/slow"),
        })
        .await;
        assert_eq!(issued.load(Ordering::SeqCst), 1);
        let old = "keyvault://payments/stripe-key/old".parse().unwrap();
        assert_eq!(resolver.resolve(&old).await.unwrap().expose(), b"old");
    }

    #[tokio::test]
    async fn a_given_token_is_used_and_a_wrong_one_refused() {
        let (keeper, issued) = keeper().await;
        let reference = "keyvault://payments/stripe-key".parse().unwrap();
        let with =
            |token: &str| resolver(&keeper, Identity::Token(Zeroizing::new(token.to_owned())));
        let secret = with("t-azure").resolve(&reference).await.unwrap();
        assert_eq!(secret.expose(), CANARY.as_bytes());
        let error = with("wrong").resolve(&reference).await.unwrap_err();
        assert!(matches!(error, ResolveError::Refused(_)), "{error}");
        assert_eq!(issued.load(Ordering::SeqCst), 0);
    }
}
