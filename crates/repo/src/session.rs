//! What one actor can do.

use std::str::FromStr;
use std::sync::Arc;

use confman_model::DraftName;
use confman_model::segment::SEGMENT_CHARS_MAX;

use crate::actor::Actor;
use crate::error::Error;
use crate::repo::Repo;

/// What one actor can do. Cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) repo: Arc<Repo>,
    pub(crate) actor: Actor,
    pub(crate) idempotency_key: Option<Arc<str>>,
}

/// Who the actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    /// The principal.
    pub principal: String,
    /// Name for people.
    pub display_name: String,
    /// The draft that is its own where none is named.
    pub draft: DraftName,
}

impl Session {
    /// The same session, whose next write is done once however often it is asked for with this key.
    #[must_use]
    pub fn idempotent(&self, key: &str) -> Self {
        Self {
            idempotency_key: Some(key.into()),
            ..self.clone()
        }
    }

    /// Who the actor is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where its token is not valid any more.
    pub fn whoami(&self) -> Result<Whoami, Error> {
        self.look()?;
        Ok(Whoami {
            principal: self.actor.principal().to_owned(),
            display_name: self.actor.display_name().to_owned(),
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
