//! What one actor can do.

use std::str::FromStr;
use std::sync::Arc;

use confman_model::segment::SEGMENT_CHARS_MAX;
use confman_model::{DraftName, PrincipalKind, Scope};

use crate::actor::{Actor, Basis};
use crate::error::Error;
use crate::reading::Credential;
use crate::repo::Repo;

/// What one actor can do. Cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) repo: Arc<Repo>,
    pub(crate) actor: Actor,
    pub(crate) idempotency_key: Option<Arc<str>>,
    /// What the caller showed, for decisions that are remembered.
    pub(crate) credential: Option<Credential>,
    pub(crate) origin: Option<Arc<Origin>>,
}

/// Where a request comes from, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Names the request in the server's log.
    pub request_id: String,
    /// Address of the client; `None` where there is no network.
    pub client: Option<String>,
}

/// Who the actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    /// The principal.
    pub principal: String,
    /// Whether it is a person or a program.
    pub kind: PrincipalKind,
    /// Name for people.
    pub display_name: String,
    /// Mail address; empty where none is known.
    pub email: String,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// The token in use; `None` for whoever sends none.
    pub token: Option<WhoamiToken>,
    /// The draft that is its own where none is named.
    pub draft: DraftName,
}

/// The token in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoamiToken {
    /// What it is called: 16 hex digits.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it leaves of the principal's rights; `None`: everything.
    pub scope: Option<Scope>,
    /// When it ends.
    pub expires_ms: Option<i64>,
}

impl Session {
    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The same session, whose next write is done once however often it is asked for with this key.
    #[must_use]
    pub fn idempotent(&self, key: &str) -> Self {
        Self {
            idempotency_key: Some(key.into()),
            ..self.clone()
        }
    }

    /// The same session, of a caller who showed this token: what it may read is remembered for the
    /// token, see [`Repo::reader`].
    #[must_use]
    pub fn shown(&self, token: &str) -> Self {
        Self {
            credential: Some(Credential::of(token)),
            ..self.clone()
        }
    }

    /// The same session, whose operations name this origin.
    #[must_use]
    pub fn from_origin(&self, origin: Origin) -> Self {
        Self {
            origin: Some(Arc::new(origin)),
            ..self.clone()
        }
    }

    /// Who the actor is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where its token is not valid any more.
    pub fn whoami(&self) -> Result<Whoami, Error> {
        let seen = self.look()?;
        let token = match &self.actor.basis {
            Basis::Token(token) => Some(WhoamiToken {
                id: token.id.clone(),
                name: token.name.clone(),
                scope: token.scope.clone(),
                expires_ms: token.expires_ms,
            }),
            Basis::Nothing | Basis::Program => None,
        };
        Ok(Whoami {
            principal: self.actor.principal().to_owned(),
            kind: self.actor.kind(),
            display_name: self.actor.display_name().to_owned(),
            email: self.actor.email.clone(),
            groups: seen.subject.groups,
            token,
            draft: self.own_draft(),
        })
    }

    /// The draft that is the actor's own where none is named: its principal's name with what a draft's
    /// name cannot have replaced by `-`.
    #[must_use]
    pub fn own_draft(&self) -> DraftName {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let name: String = self
            .actor
            .principal()
            .chars()
            .map(|c| if allowed(c) { c } else { '-' })
            .take(SEGMENT_CHARS_MAX)
            .collect();
        let fallback = || DraftName::from_str("own");
        #[expect(clippy::expect_used, reason = "the fallback is a name")]
        name.parse()
            .or_else(|_| fallback())
            .expect("`own` names a draft")
    }
}
