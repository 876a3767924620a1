//! What an operator lets a server resolve.

use std::fmt;
use std::str::FromStr;

use confman_repo::model::Namespace;
use confman_secret::{SecretReference, is_plain};

/// Most characters of the name of a scheme.
const SCHEME_CHARS_MAX: usize = 63;

/// References that a server resolves: those that begin so, in a namespace and below.
///
/// `[NAMESPACE=]vault://MOUNT[/PATH]`, `[NAMESPACE=]keyvault://VAULT[/SECRET]`, or `[NAMESPACE=]SCHEME://`
/// for a helper program, which decides itself what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveRule {
    namespace: Namespace,
    scheme: String,
    /// What follows `://`, without a slash at its end; empty for a helper.
    place: String,
}

/// Why a text is not a [`ResolveRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveRuleError {
    /// What stands before `=` names no namespace.
    #[error("`{0}` before `=` is not a namespace")]
    Namespace(String),
    /// It has not the form.
    #[error(
        "a rule is `vault://MOUNT/PATH`, `keyvault://VAULT` or `SCHEME://`, after `NAMESPACE=` where it is for one only"
    )]
    Form,
    /// The environment of a server is nobody's configuration.
    #[error(
        "a server never resolves `env://`: whoever may write references would read its environment"
    )]
    Environment,
    /// The rule would name everything there is.
    #[error("a rule for `{0}` names at least {1}, so that not everything is given")]
    NoPlace(&'static str, &'static str),
    /// What a helper gives is its own affair.
    #[error("a rule for a helper program is `{0}://` alone; the program decides what it gives")]
    HelperPlace(String),
    /// The place is not one that references can be compared with.
    #[error("`{0}` must be names with `/` between, of letters, digits, `-`, `_`, `.` and `~`")]
    Place(String),
}

impl ResolveRule {
    /// The scheme that it is about.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it names a reference that stands in what a namespace has. With `..` or an escape in it, a
    /// reference may mean another place than the one it begins with, so it is in none.
    #[must_use]
    pub fn names(&self, namespace: &Namespace, reference: &SecretReference) -> bool {
        if !self.namespace.contains(namespace) || self.scheme != reference.scheme() {
            return false;
        }
        if self.place.is_empty() {
            return true;
        }
        let rest = reference.rest();
        let path = rest.split_once('#').map_or(rest, |(path, _)| path);
        let after = path.strip_prefix(self.place.as_str());
        path.split('/').all(is_plain)
            && after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
    }
}

impl FromStr for ResolveRule {
    type Err = ResolveRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, references) = match text.split_once('=') {
            Some((namespace, references)) => (namespace, references),
            None => ("/", text),
        };
        let namespace = namespace
            .parse()
            .map_err(|_| ResolveRuleError::Namespace(namespace.to_owned()))?;
        let (scheme, place) = references.split_once("://").ok_or(ResolveRuleError::Form)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.len() <= SCHEME_CHARS_MAX
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_scheme {
            return Err(ResolveRuleError::Form);
        }
        let place = place.strip_suffix('/').unwrap_or(place);
        match (scheme, place) {
            ("env", _) => return Err(ResolveRuleError::Environment),
            ("vault", "") => return Err(ResolveRuleError::NoPlace("vault", "a mount")),
            ("keyvault", "") => return Err(ResolveRuleError::NoPlace("keyvault", "a vault")),
            ("vault" | "keyvault", place) if !place.split('/').all(is_plain) => {
                return Err(ResolveRuleError::Place(place.to_owned()));
            }
            ("vault" | "keyvault", _) | (_, "") => {}
            _ => return Err(ResolveRuleError::HelperPlace(scheme.to_owned())),
        }
        Ok(Self {
            namespace,
            scheme: scheme.to_owned(),
            place: place.to_owned(),
        })
    }
}

impl fmt::Display for ResolveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}://{}", self.namespace, self.scheme, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_what_is_in_its_place_and_nothing_beside_it() {
        let names = |rule: &str, namespace: &str, reference: &str| {
            let rule: ResolveRule = rule.parse().unwrap();
            rule.names(&namespace.parse().unwrap(), &reference.parse().unwrap())
        };
        for (rule, namespace, reference, expected) in [
            ("vault://kv", "/a", "vault://kv/x#f", true),
            ("vault://kv/", "/a", "vault://kv/x#f", true),
            ("vault://kv", "/a", "vault://kv2/x#f", false),
            ("vault://kv/pay", "/a", "vault://kv/pay#f", true),
            ("vault://kv/pay", "/a", "vault://kv/pay/x#f", true),
            ("vault://kv/pay", "/a", "vault://kv/payroll#f", false),
            ("vault://kv/pay", "/a", "vault://kv#f", false),
            ("vault://kv", "/a", "keyvault://kv/x", false),
            ("vault://kv/pay", "/a", "vault://kv/pay/../x#f", false),
            ("vault://kv/pay", "/a", "vault://kv/pay/%2e%2e/x#f", false),
            ("vault://kv/pay", "/a", "vault://kv/pay//x#f", false),
            ("vault://kv", "/a", "vault://kv#/x", true),
            ("/a=vault://kv", "/a", "vault://kv/x#f", true),
            ("/a=vault://kv", "/a/b", "vault://kv/x#f", true),
            ("/a=vault://kv", "/ab", "vault://kv/x#f", false),
            ("/a=vault://kv", "/", "vault://kv/x#f", false),
            ("keyvault://safe", "/a", "keyvault://safe/x", true),
            ("keyvault://safe", "/a", "keyvault://safe2/x", false),
            ("keyvault://safe/x", "/a", "keyvault://safe/x", true),
            ("corp://", "/a", "corp://anything?at=all", true),
            ("corp://", "/a", "corporate://x", false),
        ] {
            let found = names(rule, namespace, reference);
            assert_eq!(found, expected, "{rule} {namespace} {reference}");
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let refused = [
            "env://",
            "env://HOME",
            "/a=env://X",
            "vault://",
            "keyvault:///",
            "vault",
            "kv/x",
            "Vault://kv",
            "a=vault://kv",
            "/A=vault://kv",
            "vault://kv/../sys",
            "vault://kv//x",
            "vault://kv/x#f",
            "corp://team",
        ]
        .map(|text| match text.parse::<ResolveRule>() {
            Ok(rule) => format!("{text} is {rule}"),
            Err(error) => format!("{text}: {error}"),
        });
        insta::assert_snapshot!(refused.join("\n"), @"
        env://: a server never resolves `env://`: whoever may write references would read its environment
        env://HOME: a server never resolves `env://`: whoever may write references would read its environment
        /a=env://X: a server never resolves `env://`: whoever may write references would read its environment
        vault://: a rule for `vault` names at least a mount, so that not everything is given
        keyvault:///: a rule for `keyvault` names at least a vault, so that not everything is given
        vault: a rule is `vault://MOUNT/PATH`, `keyvault://VAULT` or `SCHEME://`, after `NAMESPACE=` where it is for one only
        kv/x: a rule is `vault://MOUNT/PATH`, `keyvault://VAULT` or `SCHEME://`, after `NAMESPACE=` where it is for one only
        Vault://kv: a rule is `vault://MOUNT/PATH`, `keyvault://VAULT` or `SCHEME://`, after `NAMESPACE=` where it is for one only
        a=vault://kv: `a` before `=` is not a namespace
        /A=vault://kv: `/A` before `=` is not a namespace
        vault://kv/../sys: `kv/../sys` must be names with `/` between, of letters, digits, `-`, `_`, `.` and `~`
        vault://kv//x: `kv//x` must be names with `/` between, of letters, digits, `-`, `_`, `.` and `~`
        vault://kv/x#f: `kv/x#f` must be names with `/` between, of letters, digits, `-`, `_`, `.` and `~`
        corp://team: a rule for a helper program is `corp://` alone; the program decides what it gives
        ");
    }
}
