//! `vault://MOUNT/PATH#FIELD`: HashiCorp Vault, key-value engine version 2.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use reqwest::header::HeaderValue;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{
    Http, RESOLVE_TIMEOUT, ResolveError, Secret, SecretReference, SecretResolver, answer, is_plain,
    not_as_agreed,
};

const WHO: &str = "Vault";

/// Asks a Vault server.
pub struct VaultResolver {
    address: Option<String>,
    token: Option<Zeroizing<String>>,
    namespace: Option<String>,
    limit: Duration,
    http: Http,
}

impl std::fmt::Debug for VaultResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultResolver")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl VaultResolver {
    /// Asks the server at `address` as whoever has `token`.
    #[must_use]
    pub fn new(address: &str, token: &str, limit: Duration) -> Self {
        Self {
            address: Some(address.trim_end_matches('/').to_owned()),
            token: Some(Zeroizing::new(token.to_owned())),
            namespace: None,
            limit,
            http: Http::default(),
        }
    }

    /// Takes `VAULT_ADDR`, `VAULT_TOKEN` and `VAULT_NAMESPACE`. What is missing is an error when a
    /// reference needs it.
    #[must_use]
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        Self {
            address: set("VAULT_ADDR").map(|address| address.trim_end_matches('/').to_owned()),
            token: set("VAULT_TOKEN").map(Zeroizing::new),
            namespace: set("VAULT_NAMESPACE"),
            limit: RESOLVE_TIMEOUT,
            http: Http::default(),
        }
    }

    async fn ask(&self, reference: &SecretReference) -> Result<Secret, ResolveError> {
        let (mount, path, field) = parts(reference.rest()).ok_or_else(|| {
            ResolveError::Malformed("it looks like vault://MOUNT/PATH#FIELD".to_owned())
        })?;
        let missing = |name: &str| ResolveError::NotSetUp(format!("{name} is not set"));
        let address = self.address.as_ref().ok_or_else(|| missing("VAULT_ADDR"))?;
        let token = self.token.as_ref().ok_or_else(|| missing("VAULT_TOKEN"))?;
        // Marked, so that it stays out of what libraries log.
        let mut token = HeaderValue::from_str(token).map_err(|_| {
            ResolveError::NotSetUp("VAULT_TOKEN is no text that can be sent".to_owned())
        })?;
        token.set_sensitive(true);
        let mut request = self
            .http
            .client(self.limit)?
            .get(format!("{address}/v1/{mount}/data/{path}"))
            .header("x-vault-request", "true")
            .header("x-vault-token", token);
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let body = answer(WHO, self.limit, request.send().await).await?;
        let document: Json = serde_json::from_slice(&body).map_err(|_| not_as_agreed(WHO))?;
        let fields = document
            .pointer("/data/data")
            .and_then(Json::as_object)
            .ok_or_else(|| not_as_agreed(WHO))?;
        match fields.get(field) {
            None | Some(Json::Null) => Err(ResolveError::NotFound(format!(
                "the secret has no field `{field}`"
            ))),
            Some(Json::String(text)) => Ok(Secret::new(text.clone().into_bytes())),
            Some(other) => Ok(Secret::new(other.to_string().into_bytes())),
        }
    }
}

/// Mount, path and field.
fn parts(rest: &str) -> Option<(&str, &str, &str)> {
    let (place, field) = rest.split_once('#')?;
    let (mount, path) = place.split_once('/')?;
    let is_right = !field.is_empty() && is_plain(mount) && path.split('/').all(is_plain);
    is_right.then_some((mount, path, field))
}

impl SecretResolver for VaultResolver {
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>> {
        self.ask(reference).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{CANARY, Case, Keeper, Reply, conformance};
    use super::*;

    async fn keeper() -> Keeper {
        Keeper::start(|request| {
            if !request.has_header("x-vault-token", "t-vault") {
                return Reply::status(403);
            }
            match request.path.as_str() {
                "/v1/kv/data/apps/stripe" => Reply::json(&serde_json::json!({
                    "data": {"data": {"key": CANARY, "number": 7}, "metadata": {"version": 3}}
                })),
                "/v1/kv/data/odd" => Reply::json(&serde_json::json!({"data": CANARY})),
                "/v1/kv/data/moved" => Reply::redirect("http://127.0.0.1:1/"),
                "/v1/kv/data/slow" => Reply::Never,
                _ => Reply::status(404),
            }
        })
        .await
    }

    #[tokio::test]
    async fn conforms() {
        let keeper = keeper().await;
        let resolver = VaultResolver::new(&keeper.url, "t-vault", Duration::from_millis(500));
        conformance(Case {
            resolver: &resolver,
            present: "vault://kv/apps/stripe#key",
            absent: "vault://kv/apps/none#key",
            malformed: &[
                "vault://kv/apps/stripe",
                "vault://kv#key",
                "vault://kv/../sys/raw#key",
                "vault://kv/a%2fb#key",
                "vault://kv/a?x=y#key",
            ],
            slow: Some("vault://kv/slow#key"),
        })
        .await;
    }

    #[tokio::test]
    async fn what_vault_says_is_told_apart() {
        let keeper = keeper().await;
        let ask = async |token: &str, reference: &str| {
            let resolver = VaultResolver::new(&keeper.url, token, RESOLVE_TIMEOUT);
            match resolver.resolve(&reference.parse().unwrap()).await {
                Ok(secret) => String::from_utf8(secret.expose().to_vec()).unwrap(),
                Err(error) => error.to_string(),
            }
        };
        let said = [
            ask("t-vault", "vault://kv/apps/stripe#number").await,
            ask("t-vault", "vault://kv/apps/stripe#other").await,
            ask("t-vault", "vault://kv/odd#key").await,
            ask("t-vault", "vault://kv/moved#key").await,
            ask("wrong", "vault://kv/apps/stripe#key").await,
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        7
        there is no such secret: the secret has no field `other`
        the answer of Vault is not as agreed
        Vault answered 307 Temporary Redirect
        it is not given to us: Vault answered 403 Forbidden
        ");
    }

    #[tokio::test]
    async fn without_a_vault_the_error_says_what_to_set() {
        let resolver = VaultResolver::from_environment(&|_| None);
        let reference = "vault://kv/a#b".parse().unwrap();
        let error = resolver.resolve(&reference).await.unwrap_err();
        assert_eq!(error.to_string(), "VAULT_ADDR is not set");
    }
}
