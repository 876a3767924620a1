//! Who acts.

use confman_model::document::{ANYONE, RoleName};
use confman_model::{Namespace, PrincipalKind, Scope};
use confman_refs::{RefName, Target};

/// Somebody who may ask: made by [`crate::Repo::authenticate`] of a token, or by
/// [`crate::Repo::anyone`] of none.
///
/// What it rests on is read again by every transaction, so a token that is revoked between the check
/// and the effect has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub(crate) principal: String,
    pub(crate) kind: PrincipalKind,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) basis: Basis,
}

/// Why somebody is believed to be who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Its token.
    Token(HeldToken),
    /// It says nothing, and is anyone.
    Nothing,
    /// It is this program, on behalf of the principal.
    Program,
}

/// A token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldToken {
    /// What it is called: 16 hex digits.
    pub id: String,
    pub name: String,
    pub scope: Option<Scope>,
    pub expires_ms: Option<i64>,
    /// The ref of its record, and what that was.
    pub record: (RefName, Target),
    /// The ref of its principal, and what that was.
    pub principal: (RefName, Target),
}

impl Actor {
    /// This program, on behalf of a principal: for what is done when a server starts, when somebody
    /// comes in, or when the time has come.
    pub(crate) fn program(principal: &str, display_name: &str) -> Self {
        Self {
            principal: principal.to_owned(),
            kind: PrincipalKind::Service,
            display_name: display_name.to_owned(),
            email: String::new(),
            basis: Basis::Program,
        }
    }

    /// Whoever says nothing.
    pub(crate) fn anyone() -> Self {
        Self {
            basis: Basis::Nothing,
            ..Self::program(ANYONE, "Anyone")
        }
    }

    /// Name of the principal.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Whether it is a person or a program.
    #[must_use]
    pub const fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// Name for people.
    #[must_use]
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// Whether it is whoever says nothing.
    #[must_use]
    pub fn is_anyone(&self) -> bool {
        self.basis == Basis::Nothing
    }

    /// When its token ends, where it does.
    #[must_use]
    pub fn expires_ms(&self) -> Option<i64> {
        match &self.basis {
            Basis::Token(token) => token.expires_ms,
            Basis::Nothing | Basis::Program => None,
        }
    }

    /// What is left of its rights.
    pub(crate) fn scope(&self) -> Option<Scope> {
        match &self.basis {
            Basis::Token(token) => token.scope.clone(),
            Basis::Nothing => Some(Scope {
                namespace: Namespace::root(),
                role: RoleName::Viewer,
            }),
            Basis::Program => None,
        }
    }
}
