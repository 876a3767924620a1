//! Who can be granted something, and what is said about them: principals, groups, scopes of tokens
//! and issuers of identities.
//!
//! INVARIANT: nobody is called `anyone`, who is everybody.

mod group;
mod issuer;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::document::{ANYONE, RoleName};
use crate::namespace::Namespace;
use crate::segment::{self, SegmentError};

pub use group::{GROUP_MEMBERS_MAX, GROUP_PREFIX, GroupDocument, Member};
pub use issuer::{
    CLAIM_BYTES_MAX, GROUP_MAPPINGS_MAX, ISSUER_URL_BYTES_MAX, IssuerDocument, SUBJECTS_MAX,
    TOKEN_SECONDS_DEFAULT, TOKEN_SECONDS_MAX, TOKEN_SECONDS_MIN, is_loopback_url, is_safe_url,
};

/// Most bytes of a name for people.
pub const DISPLAY_NAME_BYTES_MAX: usize = 255;
/// Most bytes of a mail address.
pub const EMAIL_BYTES_MAX: usize = 254;

/// Why a text is not the name of a principal, group or issuer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityNameError {
    /// It has not the form.
    #[error("the name of the {what} is not valid")]
    Form {
        /// Of what sort of thing.
        what: &'static str,
        /// What is wrong.
        #[source]
        reason: SegmentError,
    },
    /// It stands for everybody.
    #[error("nobody can be called `{ANYONE}`, which is everybody")]
    Anyone,
}

macro_rules! identity_name {
    ($(#[doc = $doc:literal])+ $name:ident, $what:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdentityNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                segment::check(text).map_err(|reason| IdentityNameError::Form {
                    what: $what,
                    reason,
                })?;
                if text == ANYONE {
                    return Err(IdentityNameError::Anyone);
                }
                Ok(Self(text.to_owned()))
            }
        }

        serde_as_text!($name);
    };
}

identity_name! {
    /// The name of a principal: `[a-z0-9][a-z0-9._-]{0,62}`, so that it can name a draft too.
    PrincipalName, "principal"
}
identity_name! {
    /// The name of a group, of the same form as that of a principal.
    GroupName, "group"
}
identity_name! {
    /// The name of an issuer, of the same form as that of a principal.
    IssuerName, "issuer"
}

/// Whether a principal is somebody or something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A person, whose tokens begin with `cfm_pat_`.
    #[default]
    User,
    /// A program, whose tokens begin with `cfm_svc_`.
    Service,
}

impl PrincipalKind {
    /// The name as in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a token leaves of its principal's rights: nothing outside the namespace and those below it,
/// and no higher role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with `namespace` and `role`"
)]
pub struct Scope {
    /// Where it counts, with everything below.
    pub namespace: Namespace,
    /// The highest role.
    pub role: RoleName,
}

impl Scope {
    /// Whether this leaves nothing that `wider` does not leave.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        wider.namespace.contains(&self.namespace) && self.role <= wider.role
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.role.name(), self.namespace)
    }
}

/// What an issuer calls somebody: names of subjects never move from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with `issuer` and `subject`"
)]
pub struct ExternalIdentity {
    /// The issuer.
    pub issuer: IssuerName,
    /// Its `sub`.
    pub subject: String,
}

/// What is wrong with a name for people, if anything.
#[must_use]
pub fn display_name_problem(text: &str) -> Option<String> {
    let allowed = text.len() <= DISPLAY_NAME_BYTES_MAX && !text.chars().any(char::is_control);
    (!allowed).then(|| {
        format!("at most {DISPLAY_NAME_BYTES_MAX} bytes without control characters are allowed")
    })
}

/// What is wrong with a mail address, if anything; an empty one says that none is known.
#[must_use]
pub fn email_problem(text: &str) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>');
    let allowed = text.is_empty()
        || (text.len() <= EMAIL_BYTES_MAX && text.contains('@') && !text.chars().any(odd));
    (!allowed).then(|| {
        format!(
            "an address has an `@`, no white space, `<` or `>`, and at most {EMAIL_BYTES_MAX} bytes"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_segments_and_nobody_is_anyone() {
        for name in ["ann", "ci.build_7-x", "0"] {
            assert_eq!(name.parse::<PrincipalName>().unwrap().as_str(), name);
        }
        let refused = |text: &str| match text.parse::<GroupName>() {
            Ok(name) => name.to_string(),
            Err(error) => match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        };
        insta::assert_snapshot!(refused("Ann B"), @"the name of the group is not valid: `Ann B` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`");
        insta::assert_snapshot!(refused(""), @"the name of the group is not valid: it is empty");
        insta::assert_snapshot!(refused("anyone"), @"nobody can be called `anyone`, which is everybody");
    }

    #[test]
    fn a_scope_is_within_another_where_it_leaves_nothing_more() {
        let scope = |namespace: &str, role| Scope {
            namespace: namespace.parse().unwrap(),
            role,
        };
        let wide = scope("/a", RoleName::Editor);
        for (inner, expected) in [
            (scope("/a", RoleName::Editor), true),
            (scope("/a/b", RoleName::Viewer), true),
            (scope("/a", RoleName::Publisher), false),
            (scope("/", RoleName::Viewer), false),
            (scope("/ab", RoleName::Viewer), false),
        ] {
            assert_eq!(inner.is_within(&wide), expected, "{inner}");
        }
    }

    #[test]
    fn addresses_and_names_for_people_are_one_line() {
        assert_eq!(email_problem(""), None);
        assert_eq!(email_problem("ann@company.com"), None);
        for wrong in ["ann", "ann @company.com", "<a@b>", "a@b\n"] {
            assert!(email_problem(wrong).is_some(), "{wrong}");
        }
        assert_eq!(display_name_problem("Ann Ö."), None);
        assert!(display_name_problem("Ann\u{7}").is_some());
        assert!(display_name_problem(&"x".repeat(DISPLAY_NAME_BYTES_MAX + 1)).is_some());
    }
}
