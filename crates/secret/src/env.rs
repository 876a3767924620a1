//! `env://NAME`: an environment variable of whoever resolves.

use std::fmt;

use futures::future::{BoxFuture, FutureExt as _};

use super::{ResolveError, Secret, SecretReference, SecretResolver, Variables};

/// Variables that are for Confman itself; configuration must not be able to hand them on.
const OWN_PREFIX: &str = "CONFMAN_";

/// Looks variables up.
#[derive(Clone)]
pub struct EnvResolver {
    variable: Variables,
}

impl fmt::Debug for EnvResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvResolver")
    }
}

impl EnvResolver {
    /// Looks variables up by this function.
    #[must_use]
    pub fn new(variable: Variables) -> Self {
        Self { variable }
    }

    fn look_up(&self, reference: &SecretReference) -> Result<Secret, ResolveError> {
        let name = reference.rest();
        let begins = !name.starts_with(|c: char| c.is_ascii_digit());
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !begins || !is_name {
            return Err(ResolveError::Malformed(
                "it looks like env://NAME, and a name has A-Z, a-z, 0-9 and `_`".to_owned(),
            ));
        }
        if name.starts_with(OWN_PREFIX) {
            return Err(ResolveError::Refused(format!(
                "variables that begin with {OWN_PREFIX} are not handed on"
            )));
        }
        match (self.variable)(name) {
            Some(value) => Ok(Secret::new(value.into_bytes())),
            None => Err(ResolveError::NotFound(
                "the environment variable is not set".to_owned(),
            )),
        }
    }
}

impl SecretResolver for EnvResolver {
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>> {
        std::future::ready(self.look_up(reference)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::conformance::{CANARY, Case, conformance};
    use super::*;

    fn resolver() -> EnvResolver {
        EnvResolver::new(Arc::new(|name| match name {
            "PRESENT" => Some(CANARY.to_owned()),
            "CONFMAN_TOKEN" => Some("cfm".to_owned()),
            _ => None,
        }))
    }

    #[tokio::test]
    async fn conforms() {
        conformance(Case {
            resolver: &resolver(),
            present: "env://PRESENT",
            absent: "env://ABSENT",
            malformed: &["env://A-B", "env://1A", "env://A/B"],
            slow: None,
        })
        .await;
    }

    #[tokio::test]
    async fn the_token_of_confman_is_not_handed_on() {
        let reference = "env://CONFMAN_TOKEN".parse().unwrap();
        let error = resolver().resolve(&reference).await.unwrap_err();
        assert!(matches!(error, ResolveError::Refused(_)), "{error}");
    }
}
