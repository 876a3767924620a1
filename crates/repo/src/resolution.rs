//! Who has references to secrets resolved by a server, and what is recorded of it.
//!
//! INVARIANT: a value never comes here: what is recorded is who, where, and which references.

use confman_model::{Key, Namespace};
use confman_policy::Permission;
use confman_refs::Committed;

use crate::error::Error;
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

impl Session {
    /// Whether references in what is published here are resolved for the actor.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn may_resolve(&self, namespace: &Namespace) -> Result<(), Error> {
        self.look()?.permit_resolving(namespace)
    }

    /// Records that these references are resolved for the actor, who must have the right still. To be called
    /// before anybody is asked for the secrets, so that none is given unrecorded.
    ///
    /// # Errors
    /// As [`Self::may_resolve`]; the store takes no writes.
    pub fn record_resolution(
        &self,
        namespace: &Namespace,
        references: &[(Key, String)],
    ) -> Result<Committed, Error> {
        let listed: Vec<_> = references
            .iter()
            .map(|(key, reference)| serde_json::json!({ "key": key, "reference": reference }))
            .collect();
        // Asked for again, it is done again.
        let session = Self {
            idempotency_key: None,
            ..self.clone()
        };
        let intent = Intent {
            action: "secret.resolve",
            about: names::policy(namespace)?,
            digest: Digest::new("secret.resolve")
                .with(namespace.as_str())
                .finish(),
            detail: serde_json::json!({ "namespace": namespace, "references": listed }),
            session: &session,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_resolving(namespace)?;
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }
}

impl Seen<'_> {
    /// Refuses for whom no references are resolved here. Whoever may not read is told that first.
    fn permit_resolving(&self, namespace: &Namespace) -> Result<(), Error> {
        self.permit(namespace, Permission::ConfigReadPublished)?;
        self.permit(namespace, Permission::SecretResolve)
    }
}
