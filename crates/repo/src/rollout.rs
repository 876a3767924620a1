//! What a part of the readers of a namespace gets while it is published gradually.
//!
//! The published head stays where it is. `@rollout` points at a record that names the commit that the
//! part gets, how large the part is, and the request that it is of. Promoting moves the head as every
//! publish does; aborting takes the record away.
//!
//! INVARIANT: while there is one, nothing else moves the published head, so that what is promoted is what
//! the part had.

use confman_model::Namespace;
use confman_object_store::{Kind, ObjectId, Record};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::names;
use crate::seen::Seen;

/// The type of the records.
const RECORD_TYPE: &str = "rollout";

/// What a part of the readers of a namespace gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Which namespace.
    pub namespace: Namespace,
    /// Number of the publish request.
    pub request: u64,
    /// How large the part is.
    pub percent: u8,
    /// The commit that it gets.
    pub commit: ObjectId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    request: u64,
    percent: u8,
    commit: String,
}

impl Rollout {
    /// Whether a client is of the part.
    #[must_use]
    pub fn serves(&self, client: &str) -> bool {
        confman_policy::request::is_served(self.request, client, self.percent)
    }
}

impl Seen<'_> {
    /// The gradual publish that a namespace is in.
    pub(crate) fn rollout(&self, namespace: &Namespace) -> Result<Option<Rollout>, Error> {
        let Some((id, record)) = self.record(&names::rollout(namespace)?)? else {
            return Ok(None);
        };
        let malformed = |reason: String| Error::bug(format!("the rollout {id}: {reason}"));
        if record.record_type != RECORD_TYPE {
            return Err(malformed(format!("it is a `{}`", record.record_type)));
        }
        let body: Body =
            serde_json::from_slice(&record.body).map_err(|error| malformed(error.to_string()))?;
        Ok(Some(Rollout {
            namespace: namespace.clone(),
            request: body.request,
            percent: body.percent,
            commit: body
                .commit
                .parse()
                .map_err(|_| malformed("its commit is no id".to_owned()))?,
        }))
    }

    /// Refuses what cannot be while a namespace is published gradually.
    pub(crate) fn check_settled(&self, namespace: &Namespace) -> Result<(), Error> {
        match self.rollout(namespace)? {
            None => Ok(()),
            Some(rollout) => Err(Error::RollingOut {
                namespace: namespace.clone(),
                request: rollout.request,
                percent: rollout.percent,
            }),
        }
    }
}

impl Evaluation<'_> {
    /// Lets a part of the readers have a commit.
    pub(crate) fn set_rollout(&mut self, rollout: &Rollout) -> Result<(), Error> {
        let name = names::rollout(&rollout.namespace)?;
        let previous = self.get(&name).map(|target| target.id);
        let body = Body {
            request: rollout.request,
            percent: rollout.percent,
            commit: rollout.commit.to_string(),
        };
        let record = Record {
            record_type: RECORD_TYPE.to_owned(),
            previous,
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: serde_json::to_vec(&body).map_err(Error::bug)?.into(),
            links: vec![(Kind::Commit, rollout.commit)],
            unknown: Vec::new(),
        };
        self.set_record(name, &record)?;
        Ok(())
    }

    /// Ends the gradual publish of a namespace, if it is in one.
    pub(crate) fn end_rollout(&mut self, namespace: &Namespace) -> Result<(), Error> {
        let name = names::rollout(namespace)?;
        if self.get(&name).is_some() {
            self.set(name, None);
        }
        Ok(())
    }
}
