//! Issuers: who else may say who somebody is, and what Confman makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GroupName, PrincipalKind, Scope};
use crate::json::Pointer;
use crate::quoted::Quoted;
use crate::value::Problem;

/// Most bytes of a URL of an issuer.
pub const ISSUER_URL_BYTES_MAX: usize = 2048;
/// Most bytes of the name of a claim, or of a client or audience.
pub const CLAIM_BYTES_MAX: usize = 256;
/// Most patterns of subjects that an issuer may name.
pub const SUBJECTS_MAX: usize = 1000;
/// Most groups of an issuer that are taken for groups here.
pub const GROUP_MAPPINGS_MAX: usize = 1000;
/// Shortest life of a token that is given for an assertion.
pub const TOKEN_SECONDS_MIN: u32 = 60;
/// Longest life of a token that is given for an assertion.
pub const TOKEN_SECONDS_MAX: u32 = 7 * 24 * 3600;
/// Life of a token that is given for an assertion where nothing else is said.
pub const TOKEN_SECONDS_DEFAULT: u32 = 3600;

/// What is said about one issuer. Its JSON text is what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object that describes an issuer"
)]
pub struct IssuerDocument {
    /// Its URL, exactly as its tokens have it in `iss`.
    pub url: String,
    /// What Confman is called there; people can log in where it is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The `aud` of tokens that can be exchanged; none can where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where a browser comes back to: `https://HOST/v1/auth/oidc/NAME/callback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// What its subjects are here.
    #[serde(default)]
    pub kind: PrincipalKind,
    /// The claim that names the principal.
    #[serde(default = "principal_claim")]
    pub principal_claim: String,
    /// What stands before that name, to keep its principals apart from others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub principal_prefix: String,
    /// The claim with the name for people.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim with the mail address.
    #[serde(default = "email_claim")]
    pub email_claim: String,
    /// The claim with groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Which groups of the issuer are which here; all others are ignored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GroupName>,
    /// Patterns of `sub` (`*` stands for anything), one of which must match; none: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_subjects: Vec<String>,
    /// Groups of the issuer, one of which is needed; none: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<String>,
    /// Whether somebody new becomes a principal; else an admin makes it first.
    #[serde(default = "yes")]
    pub create_principals: bool,
    /// How long the tokens given for assertions live.
    #[serde(default = "token_seconds")]
    pub token_seconds: u32,
    /// What those tokens leave of the principal's rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

fn principal_claim() -> String {
    "sub".to_owned()
}

fn name_claim() -> String {
    "name".to_owned()
}

fn email_claim() -> String {
    "email".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn yes() -> bool {
    true
}

fn token_seconds() -> u32 {
    TOKEN_SECONDS_DEFAULT
}

impl IssuerDocument {
    /// An issuer with this URL, of which nothing else is said.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            client_id: None,
            audience: None,
            redirect_uri: None,
            kind: PrincipalKind::User,
            principal_claim: principal_claim(),
            principal_prefix: String::new(),
            name_claim: name_claim(),
            email_claim: email_claim(),
            groups_claim: groups_claim(),
            groups: BTreeMap::new(),
            allowed_subjects: Vec::new(),
            allowed_groups: Vec::new(),
            create_principals: true,
            token_seconds: TOKEN_SECONDS_DEFAULT,
            scope: None,
        }
    }

    /// Everything that is wrong with it beyond its types.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut add = |field: &str, what: String| {
            found.push(Problem {
                pointer: Some(Pointer::root().member(field)),
                ..Problem::whole(what)
            });
        };
        let urls = [
            ("url", Some(&self.url)),
            ("redirectUri", self.redirect_uri.as_ref()),
        ];
        for (field, url) in urls {
            if let Some(what) = url.and_then(|url| url_problem(url)) {
                add(field, what);
            }
        }
        let texts = [
            ("clientId", self.client_id.as_ref()),
            ("audience", self.audience.as_ref()),
            ("principalClaim", Some(&self.principal_claim)),
            ("nameClaim", Some(&self.name_claim)),
            ("emailClaim", Some(&self.email_claim)),
            ("groupsClaim", Some(&self.groups_claim)),
        ];
        for (field, text) in texts {
            if text.is_some_and(|text| text.is_empty() || text.len() > CLAIM_BYTES_MAX) {
                add(
                    field,
                    format!("it has 1 to {CLAIM_BYTES_MAX} bytes where it is stated"),
                );
            }
        }
        if self.client_id.is_none() && self.audience.is_none() {
            let what = "state `clientId`, so that people can log in, `audience`, so that programs can exchange tokens, or both";
            add("clientId", what.to_owned());
        }
        let prefix = &self.principal_prefix;
        if !prefix.is_empty() && crate::segment::check(prefix).is_err() {
            let what = format!(
                "{} cannot begin the name of a principal: a-z, 0-9, `.`, `_` and `-` are allowed, the first a letter or digit",
                Quoted(prefix)
            );
            add("principalPrefix", what);
        }
        let lists = [
            ("allowedSubjects", &self.allowed_subjects),
            ("allowedGroups", &self.allowed_groups),
        ];
        for (field, list) in lists {
            if list.len() > SUBJECTS_MAX {
                add(
                    field,
                    format!(
                        "it has {} items, at most {SUBJECTS_MAX} are allowed",
                        list.len()
                    ),
                );
            }
            if list.iter().any(String::is_empty) {
                add(
                    field,
                    "an empty text in it matches nobody; remove it".to_owned(),
                );
            }
        }
        if self.groups.len() > GROUP_MAPPINGS_MAX {
            let count = self.groups.len();
            let what = format!("it has {count} items, at most {GROUP_MAPPINGS_MAX} are allowed");
            add("groups", what);
        }
        if !(TOKEN_SECONDS_MIN..=TOKEN_SECONDS_MAX).contains(&self.token_seconds) {
            let what = format!(
                "{} is not allowed, only {TOKEN_SECONDS_MIN} to {TOKEN_SECONDS_MAX}",
                self.token_seconds
            );
            add("tokenSeconds", what);
        }
        found
    }

    /// Whether somebody of this `sub` may come in.
    #[must_use]
    pub fn allows_subject(&self, subject: &str) -> bool {
        let mut patterns = self.allowed_subjects.iter();
        self.allowed_subjects.is_empty() || patterns.any(|pattern| matches(pattern, subject))
    }

    /// Whether somebody in these groups of the issuer may come in.
    #[must_use]
    pub fn allows_groups(&self, groups: &[String]) -> bool {
        self.allowed_groups.is_empty()
            || groups
                .iter()
                .any(|group| self.allowed_groups.contains(group))
    }
}

/// What is wrong with a URL, if anything: over a network that others can listen on, it is https.
fn url_problem(url: &str) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@' | '\\');
    if url.len() > ISSUER_URL_BYTES_MAX || url.chars().any(odd) {
        return Some(format!(
            "a URL has at most {ISSUER_URL_BYTES_MAX} bytes and no white space, user, query or fragment"
        ));
    }
    if is_safe_url(url) {
        return None;
    }
    Some(format!(
        "{} begins neither with `https://` and a host nor, on this machine alone, with `http://127.0.0.1` or `http://[::1]`",
        Quoted(url)
    ))
}

/// Whether nobody else can listen to what goes to this URL: https, or http to the loopback address.
#[must_use]
pub fn is_safe_url(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !rest.is_empty() && !rest.starts_with('/');
    }
    is_loopback_url(url)
}

/// Whether this is http to the loopback address of this machine, by number: a name can be made to
/// mean anything.
#[must_use]
pub fn is_loopback_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let port = authority
        .strip_prefix("127.0.0.1")
        .or_else(|| authority.strip_prefix("[::1]"));
    port.is_some_and(|port| {
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.parse::<u16>().is_ok())
    })
}

/// Whether `text` is as the pattern says, in which each `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("ann", "ann", true),
            ("ann", "anna", false),
            ("repo:acme/*", "repo:acme/shop:main", true),
            ("repo:acme/*", "repo:acme2/x", false),
            ("*:main", "repo:acme/shop:main", true),
            ("repo:*:ref:main", "repo:a:ref:main", true),
            ("repo:*:ref:main", "repo:ref:main", false),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("ann*", "bann", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn only_https_and_the_loopback_address_are_safe() {
        for (url, expected) in [
            ("https://id.company.com/realm", true),
            ("http://127.0.0.1:8080/realm", true),
            ("http://[::1]:8080", true),
            ("http://127.0.0.1", true),
            ("http://localhost:8080", false),
            ("http://127.0.0.1.evil.com/", false),
            ("http://127.0.0.1:80.evil.com/", false),
            ("http://id.company.com", false),
            ("https:///x", false),
            ("ftp://x", false),
            ("", false),
        ] {
            assert_eq!(is_safe_url(url), expected, "{url}");
        }
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let document = IssuerDocument {
            redirect_uri: Some("http://config.company.com/".to_owned()),
            principal_claim: String::new(),
            principal_prefix: "-x".to_owned(),
            allowed_subjects: vec![String::new()],
            token_seconds: 1,
            ..IssuerDocument::new("http://id.company.com".to_owned())
        };
        let lines: Vec<String> = document
            .problems()
            .iter()
            .map(|problem| {
                let pointer = problem.pointer.as_ref().map(ToString::to_string);
                format!("{} {}", pointer.unwrap_or_default(), problem.what)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        /url `http://id.company.com` begins neither with `https://` and a host nor, on this machine alone, with `http://127.0.0.1` or `http://[::1]`
        /redirectUri `http://config.company.com/` begins neither with `https://` and a host nor, on this machine alone, with `http://127.0.0.1` or `http://[::1]`
        /principalClaim it has 1 to 256 bytes where it is stated
        /clientId state `clientId`, so that people can log in, `audience`, so that programs can exchange tokens, or both
        /principalPrefix `-x` cannot begin the name of a principal: a-z, 0-9, `.`, `_` and `-` are allowed, the first a letter or digit
        /allowedSubjects an empty text in it matches nobody; remove it
        /tokenSeconds 1 is not allowed, only 60 to 604800
        ");
    }

    #[test]
    fn what_is_not_stated_has_its_default() {
        let text = r#"{"url":"https://id.company.com","clientId":"confman"}"#;
        let read: IssuerDocument = serde_json::from_str(text).unwrap();
        let expected = IssuerDocument {
            client_id: Some("confman".to_owned()),
            ..IssuerDocument::new("https://id.company.com".to_owned())
        };
        assert_eq!(read, expected);
        assert!(read.problems().is_empty());
    }
}
