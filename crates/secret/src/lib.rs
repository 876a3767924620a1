//! References to secrets, resolved here and nowhere else.
//!
//! Configuration holds references (`vault://kv/stripe#key`), which are stored and served as they are.
//! Whoever uses the secret resolves them, with rights of their own; a server does it only where its
//! operator and the namespace say so.
//!
//! | reference | where the value is |
//! |---|---|
//! | `env://NAME` | an environment variable |
//! | `vault://MOUNT/PATH#FIELD` | HashiCorp Vault, key-value engine version 2 |
//! | `keyvault://VAULT/SECRET[/VERSION]` | Azure Key Vault |
//! | `SCHEME://…` | what the program `confman-resolve-SCHEME` prints when it gets the reference on stdin |
//!
//! INVARIANT: a resolved value is in memory only: never in a file, a log, an error, a `Debug` text or
//! an argument of a program. Errors name the reference.
//! INVARIANT: all references are resolved or none are given.

#[cfg(test)]
mod conformance;
mod env;
mod keyvault;
mod program;
mod reference;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use confman_model::{EntryType, Key, Value};
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use zeroize::Zeroizing;

pub use env::EnvResolver;
pub use keyvault::{Identity, KeyVaultResolver};
pub use program::HelperResolver;
pub use reference::{SecretReference, is_plain};
pub use vault::VaultResolver;

/// How long one reference may take.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a helper program may take, which may have to ask several others.
pub const HELPER_TIMEOUT: Duration = Duration::from_secs(30);
/// How many references are resolved at once.
pub const RESOLVE_PARALLEL: usize = 8;
/// Most bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 1 << 20;

/// Looks up environment variables, which are the caller's to give.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A resolved value. Its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes a value.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a reference gave no value. Never says anything of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The reference is not one of its scheme.
    #[error("it is not such a reference: {0}")]
    Malformed(String),
    /// There is nothing at that place.
    #[error("there is no such secret: {0}")]
    NotFound(String),
    /// Whoever has it does not give it to us.
    #[error("it is not given to us: {0}")]
    Refused(String),
    /// What keeps it does not answer as it should. Asking again later may help.
    #[error("{0}")]
    Away(String),
    /// It took longer than allowed.
    #[error("there was no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// Something is missing here.
    #[error("{0}")]
    NotSetUp(String),
}

/// Turns references of a scheme into values.
///
/// An implementation passes the conformance suite unchanged: exact bytes; nothing missing is
/// empty; no error holds a value; nothing takes longer than its limit.
pub trait SecretResolver: Send + Sync + fmt::Debug {
    /// The value behind a reference.
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>>;
}

/// A reference that gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretProblem {
    /// The key that has it.
    pub key: Key,
    /// The reference as it is in the configuration.
    pub reference: String,
    /// Why.
    pub error: ResolveError,
}

impl fmt::Display for SecretProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key `{}`: `{}` cannot be resolved: {}",
            self.key, self.reference, self.error
        )
    }
}

/// References that gave no value: all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretErrors {
    /// At least one.
    pub problems: Vec<SecretProblem>,
}

impl fmt::Display for SecretErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SecretErrors {}

/// Every resolver there is, by scheme.
#[derive(Debug)]
pub struct Secrets {
    resolvers: BTreeMap<String, Arc<dyn SecretResolver>>,
    helpers: HelperResolver,
}

impl Secrets {
    /// No scheme but those of helpers in these directories.
    #[must_use]
    pub fn new(helper_directories: Vec<PathBuf>) -> Self {
        Self {
            resolvers: BTreeMap::new(),
            helpers: HelperResolver::new(helper_directories, HELPER_TIMEOUT),
        }
    }

    /// The schemes described above, set up by variables: `VAULT_ADDR`, `VAULT_TOKEN` and
    /// `VAULT_NAMESPACE`; `CONFMAN_KEYVAULT_TOKEN`, or a managed identity; and `PATH`.
    #[must_use]
    pub fn from_environment(variable: Variables, path: Option<OsString>) -> Self {
        let directories = path
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default();
        Self::new(directories)
            .with(
                "vault",
                Arc::new(VaultResolver::from_environment(&*variable)),
            )
            .with(
                "keyvault",
                Arc::new(KeyVaultResolver::from_environment(&*variable)),
            )
            .with("env", Arc::new(EnvResolver::new(variable)))
    }

    /// With a resolver for a scheme.
    #[must_use]
    pub fn with(mut self, scheme: &str, resolver: Arc<dyn SecretResolver>) -> Self {
        self.resolvers.insert(scheme.to_owned(), resolver);
        self
    }

    /// The value behind one reference.
    ///
    /// # Errors
    /// It cannot be resolved.
    pub async fn resolve(&self, reference: &str) -> Result<Secret, ResolveError> {
        let reference: SecretReference = reference.parse()?;
        let resolver: &dyn SecretResolver = match self.resolvers.get(reference.scheme()) {
            Some(resolver) => resolver.as_ref(),
            None => &self.helpers,
        };
        resolver.resolve(&reference).await
    }

    /// Keys and values with every reference replaced by what it stands for. A reference that
    /// several keys have is resolved once.
    ///
    /// # Errors
    /// Names every reference that cannot be resolved.
    pub async fn resolve_all(
        &self,
        values: &[(Key, Value)],
    ) -> Result<Vec<(Key, Value)>, SecretErrors> {
        let uris = values.iter().filter_map(|(_, value)| uri(value));
        let uris: BTreeSet<String> = uris.map(str::to_owned).collect();
        let found: BTreeMap<String, Result<Secret, ResolveError>> = futures::stream::iter(uris)
            .map(|uri: String| async move {
                let found = self.resolve(&uri).await;
                (uri, found)
            })
            .buffer_unordered(RESOLVE_PARALLEL)
            .collect()
            .await;
        let mut problems = Vec::new();
        let mut resolved = Vec::with_capacity(values.len());
        for (key, value) in values {
            let Some(uri) = uri(value) else {
                resolved.push((key.clone(), value.clone()));
                continue;
            };
            let found = match found.get(uri) {
                Some(Ok(secret)) => plain(secret),
                Some(Err(error)) => Err(error.clone()),
                None => Err(ResolveError::Away("it was not asked for".to_owned())),
            };
            match found {
                Ok(value) => resolved.push((key.clone(), value)),
                Err(error) => problems.push(SecretProblem {
                    key: key.clone(),
                    reference: uri.to_owned(),
                    error,
                }),
            }
        }
        match problems.is_empty() {
            true => Ok(resolved),
            false => Err(SecretErrors { problems }),
        }
    }
}

/// The reference that a value is.
fn uri(value: &Value) -> Option<&str> {
    match value.entry_type() {
        EntryType::SecretRef => value.as_str(),
        _ => None,
    }
}

/// A secret as a value: text where it is text, and binary otherwise.
fn plain(secret: &Secret) -> Result<Value, ResolveError> {
    let bytes: Arc<[u8]> = Arc::from(secret.expose());
    Value::from_stored(EntryType::String, Arc::clone(&bytes))
        .or_else(|_| Value::from_stored(EntryType::Binary, bytes))
        .map_err(|_| ResolveError::Away("what it stands for is not a value".to_owned()))
}

/// An HTTP client for a keeper of secrets, made when it is needed first, and kept.
#[derive(Default)]
struct Http(OnceLock<reqwest::Client>);

impl Http {
    fn client(&self, limit: Duration) -> Result<&reqwest::Client, ResolveError> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = http(limit)?;
        Ok(self.0.get_or_init(|| client))
    }
}

/// A client that follows nothing, so that no token goes elsewhere.
fn http(limit: Duration) -> Result<reqwest::Client, ResolveError> {
    reqwest::Client::builder()
        .user_agent(concat!("confman-secrets/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .build()
        .map_err(|error| ResolveError::NotSetUp(format!("cannot set up HTTP: {}", chain(&error))))
}

/// What a keeper's answer means, and its body where it has one for us.
async fn answer(
    who: &str,
    limit: Duration,
    sent: Result<reqwest::Response, reqwest::Error>,
) -> Result<Zeroizing<Vec<u8>>, ResolveError> {
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => ResolveError::TimedOut(limit),
        false => ResolveError::Away(format!(
            "{who} cannot be reached: {}",
            chain(&error.without_url())
        )),
    };
    let mut response = sent.map_err(failed)?;
    let status = response.status();
    match status.as_u16() {
        200 => {}
        404 => return Err(ResolveError::NotFound(format!("{who} has none"))),
        400 | 401 | 403 => {
            return Err(ResolveError::Refused(format!("{who} answered {status}")));
        }
        _ => return Err(ResolveError::Away(format!("{who} answered {status}"))),
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > SECRET_BYTES_MAX {
            return Err(ResolveError::Away(format!(
                "{who} answered with more than {SECRET_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// What a keeper said that is not as agreed; its text is not repeated, it may hold the secret.
fn not_as_agreed(who: &str) -> ResolveError {
    ResolveError::Away(format!("the answer of {who} is not as agreed"))
}

#[cfg(test)]
mod tests {
    use confman_model::ValueLimits;

    use super::*;

    fn secrets() -> Secrets {
        let variable = |name: &str| (name == "A").then(|| "canary-a".to_owned());
        Secrets::from_environment(Arc::new(variable), None)
    }

    fn value(entry_type: EntryType, text: &str) -> Value {
        Value::new(entry_type, text, &ValueLimits::default()).unwrap()
    }

    #[tokio::test]
    async fn references_are_replaced_and_everything_else_stays() {
        let values = [
            ("a".parse().unwrap(), value(EntryType::SecretRef, "env://A")),
            ("b".parse().unwrap(), value(EntryType::String, "env://A")),
            ("c".parse().unwrap(), value(EntryType::SecretRef, "env://A")),
        ];
        let resolved = secrets().resolve_all(&values).await.unwrap();
        let texts: Vec<_> = resolved.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(texts, [Some("canary-a"), Some("env://A"), Some("canary-a")]);
    }

    #[tokio::test]
    async fn all_that_cannot_be_resolved_is_named_and_no_value_is() {
        let values = [
            ("a".parse().unwrap(), value(EntryType::SecretRef, "env://A")),
            ("b".parse().unwrap(), value(EntryType::SecretRef, "env://B")),
            (
                "c".parse().unwrap(),
                value(EntryType::SecretRef, "vault://kv/x#y"),
            ),
        ];
        let error = secrets().resolve_all(&values).await.unwrap_err();
        let text = format!("{error}\n{error:?}");
        assert!(!text.contains("canary"), "{text}");
        insta::assert_snapshot!(error, @"key `b`: `env://B` cannot be resolved: there is no such secret: the environment variable is not set; key `c`: `vault://kv/x#y` cannot be resolved: VAULT_ADDR is not set");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new(b"canary".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let binary = plain(&Secret::new(vec![0xff])).unwrap();
        assert_eq!(binary.entry_type(), EntryType::Binary);
    }
}
