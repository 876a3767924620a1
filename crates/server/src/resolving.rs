//! Resolving references to secrets, where the operator of a server has turned that on.
//!
//! An operator names what is resolved, and where; a namespace names for whom. Nothing in a reference
//! chooses a host that the operator did not: Vault is the one that the server was set up with, a Key
//! Vault is one that a rule names, and what a helper program asks is up to whoever installed it.
//!
//! INVARIANT: what no rule names is asked of nobody, and `env://` never.
//! INVARIANT: what is resolved is recorded before anybody is asked.

mod rule;

use std::sync::Arc;
use std::time::Duration;

use confman_api::problem::ProblemItem;
use confman_repo::model::{EntryType, Key, Namespace, Value};
use confman_secret::{KeyVaultResolver, SecretReference, Secrets, VaultResolver};
use tokio::sync::Semaphore;

use crate::app::turn;
use crate::error::{ApiError, Code};

pub use rule::{ResolveRule, ResolveRuleError};

/// Most references that are resolved for one request.
pub const REFERENCES_MAX: usize = 64;
/// How long all references of a request may take together.
pub const RESOLVE_SECONDS_MAX: u64 = 30;
/// Most requests for which references are resolved at once.
pub const RESOLUTIONS_MAX: usize = 16;
/// Variables without which Vault cannot be asked.
const VAULT_VARIABLES: [&str; 2] = ["VAULT_ADDR", "VAULT_TOKEN"];

/// Resolves what its rules name.
#[derive(Debug)]
pub(crate) struct Resolving {
    rules: Vec<ResolveRule>,
    secrets: Secrets,
    requests: Arc<Semaphore>,
    limit: Duration,
}

/// Keys with the references that they have.
pub(crate) type References = Vec<(Key, Value)>;

impl Resolving {
    /// Resolves what these rules name, set up by the environment as the command line is; `None` without
    /// rules.
    ///
    /// # Errors
    /// Names the variables that are missing.
    pub(crate) fn from_environment(
        rules: &[ResolveRule],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        if rules.is_empty() {
            return Ok(None);
        }
        let names = |scheme: &str| rules.iter().any(|rule| rule.scheme() == scheme);
        let path = variable("PATH").unwrap_or_default();
        let mut secrets = Secrets::new(std::env::split_paths(&path).collect());
        if names("vault") {
            let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
            let missing: Vec<&str> = VAULT_VARIABLES
                .into_iter()
                .filter(|name| !is_set(name))
                .collect();
            if !missing.is_empty() {
                return Err(format!(
                    "{} must be set for references to Vault",
                    missing.join(" and ")
                ));
            }
            let vault = VaultResolver::from_environment(variable);
            secrets = secrets.with("vault", Arc::new(vault));
        }
        if names("keyvault") {
            let keyvault = KeyVaultResolver::from_environment(variable);
            secrets = secrets.with("keyvault", Arc::new(keyvault));
        }
        let limit = Duration::from_secs(RESOLVE_SECONDS_MAX);
        Ok(Some(Self::new(rules.to_vec(), secrets, limit)))
    }

    pub(crate) fn new(rules: Vec<ResolveRule>, secrets: Secrets, limit: Duration) -> Self {
        Self {
            rules,
            secrets,
            requests: Arc::new(Semaphore::new(RESOLUTIONS_MAX)),
            limit,
        }
    }

    /// Refuses references that no rule names in this namespace, and too many of them; all at once.
    pub(crate) fn check(
        &self,
        namespace: &Namespace,
        references: &References,
    ) -> Result<(), ApiError> {
        if references.len() > REFERENCES_MAX {
            let detail = format!(
                "there are {} references, at most {REFERENCES_MAX} are resolved at once; ask with `prefix` or for single keys",
                references.len()
            );
            return Err(ApiError::new(Code::LimitExceeded, detail));
        }
        let refused = references.iter().filter_map(|(key, value)| {
            let text = value.as_str().unwrap_or_default();
            let named = match text.parse::<SecretReference>() {
                Ok(reference) => self
                    .rules
                    .iter()
                    .any(|rule| rule.names(namespace, &reference)),
                Err(error) => return Some(item(key, text, &error.to_string())),
            };
            let why = "the server resolves no such reference here";
            (!named).then(|| item(key, text, why))
        });
        let refused: Vec<ProblemItem> = refused.collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(ApiError::listed(Code::Unresolvable, refused)),
        }
    }

    /// The values behind references that were checked and recorded, in the same order: all of them, or a
    /// problem that lists every one that failed.
    pub(crate) async fn values(&self, references: &References) -> Result<Vec<Value>, ApiError> {
        let _turn = turn(&self.requests).await?;
        let resolving = self.secrets.resolve_all(references);
        match tokio::time::timeout(self.limit, resolving).await {
            Ok(Ok(resolved)) => Ok(resolved.into_iter().map(|(_, value)| value).collect()),
            Ok(Err(failed)) => {
                let items = failed.problems.iter().map(|problem| {
                    item(&problem.key, &problem.reference, &problem.error.to_string())
                });
                Err(ApiError::listed(Code::Unresolved, items.collect()))
            }
            Err(_) => {
                let why = format!("not everything was answered within {:?}", self.limit);
                let items = references
                    .iter()
                    .map(|(key, value)| item(key, value.as_str().unwrap_or_default(), &why));
                Err(ApiError::listed(Code::Unresolved, items.collect()))
            }
        }
    }
}

/// The text of a reference.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    match value.entry_type() {
        EntryType::SecretRef => value.as_str(),
        _ => None,
    }
}

fn item(key: &Key, reference: &str, why: &str) -> ProblemItem {
    ProblemItem {
        detail: format!("key `{key}`: `{reference}` cannot be resolved: {why}"),
        key: Some(key.to_string()),
        ..ProblemItem::default()
    }
}

#[cfg(test)]
mod tests {
    use confman_repo::model::ValueLimits;

    use super::*;

    fn started(rules: &[&str], set: &[&str]) -> Result<bool, String> {
        let rules: Vec<ResolveRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let variable = |name: &str| set.contains(&name).then(|| "x".to_owned());
        Resolving::from_environment(&rules, &variable).map(|resolving| resolving.is_some())
    }

    #[test]
    fn it_is_off_without_rules_and_says_what_vault_needs() {
        assert_eq!(started(&[], &[]), Ok(false));
        assert_eq!(started(&["corp://"], &[]), Ok(true));
        assert_eq!(started(&["vault://kv"], &VAULT_VARIABLES), Ok(true));
        insta::assert_snapshot!(started(&["vault://kv"], &[]).unwrap_err(), @"VAULT_ADDR and VAULT_TOKEN must be set for references to Vault");
        insta::assert_snapshot!(started(&["vault://kv"], &["VAULT_ADDR"]).unwrap_err(), @"VAULT_TOKEN must be set for references to Vault");
    }

    #[tokio::test]
    async fn what_a_rule_does_not_name_has_no_resolver_either() {
        let rules = vec!["keyvault://safe".parse().unwrap()];
        let all_set = |name: &str| Some(name.to_owned());
        let resolving = Resolving::from_environment(&rules, &all_set)
            .unwrap()
            .unwrap();
        for reference in ["env://PATH", "vault://kv/a#b"] {
            let error = resolving.secrets.resolve(reference).await.unwrap_err();
            assert!(error.to_string().contains("there is no program"), "{error}");
        }
    }

    #[test]
    fn everything_that_no_rule_names_is_listed_and_too_much_is_refused() {
        let value = |text: &str| {
            let limits = ValueLimits {
                secret_schemes: vec!["vault".to_owned(), "env".to_owned()],
                ..ValueLimits::default()
            };
            Value::new(EntryType::SecretRef, text, &limits).unwrap()
        };
        let references = |texts: &[&str]| -> References {
            let keyed = texts.iter().enumerate();
            keyed
                .map(|(at, text)| (format!("k{at}").parse().unwrap(), value(text)))
                .collect()
        };
        let rules = vec!["/a=vault://kv/a".parse().unwrap()];
        let secrets = Secrets::new(Vec::new());
        let resolving = Resolving::new(rules, secrets, Duration::from_secs(1));
        let here = "/a/b".parse().unwrap();
        let fine = references(&["vault://kv/a#f", "vault://kv/a/x#f"]);
        assert!(resolving.check(&here, &fine).is_ok());
        let elsewhere = "/ab".parse().unwrap();
        let said = |error: ApiError| {
            let items: Vec<String> = error.errors.into_iter().map(|item| item.detail).collect();
            format!("{}: {}", error.code.as_str(), items.join("; "))
        };
        insta::assert_snapshot!(said(resolving.check(&elsewhere, &fine).unwrap_err()), @"unresolvable: key `k0`: `vault://kv/a#f` cannot be resolved: the server resolves no such reference here; key `k1`: `vault://kv/a/x#f` cannot be resolved: the server resolves no such reference here");
        let mixed = references(&["vault://kv/a#f", "vault://kv/ab#f", "env://HOME"]);
        insta::assert_snapshot!(said(resolving.check(&here, &mixed).unwrap_err()), @"unresolvable: key `k1`: `vault://kv/ab#f` cannot be resolved: the server resolves no such reference here; key `k2`: `env://HOME` cannot be resolved: the server resolves no such reference here");
        let many = references(&["vault://kv/a#f"; REFERENCES_MAX + 1]);
        insta::assert_snapshot!(resolving.check(&here, &many).unwrap_err().detail, @"there are 65 references, at most 64 are resolved at once; ask with `prefix` or for single keys");
    }
}
