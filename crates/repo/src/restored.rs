//! What a store that was restored from a backup still lacks: rows, a note of what happened, and a way in.

use std::sync::Arc;

use confman_refs::Committed;

use crate::derived::{DERIVED, Derivation};
use crate::error::{Error, chain};
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
use crate::repo::{ADMIN, Repo};
use crate::token::{Token, TokenRecord};

impl Repo {
    /// Makes every derived row again from the operations. Nobody may read the store meanwhile. Gives how many
    /// there are.
    ///
    /// # Errors
    /// An operation or an object cannot be read, or the disk fails.
    pub fn rebuild_rows(self: &Arc<Self>) -> Result<u64, Error> {
        for table in DERIVED {
            self.node.clear_rows(table)?;
        }
        let session = self.holder();
        let seen = session.look()?;
        let mut derivation = Derivation::new(&seen);
        let mut count = 0;
        for sequence in 1..=seen.view.sequence() {
            let (_, operation) = self
                .node
                .operation_at(sequence)?
                .ok_or_else(|| Error::bug(format!("operation {sequence} is not in the table")))?;
            let rows = derivation.rows_of(&operation).map_err(|(name, error)| {
                Error::bug(format!(
                    "the rows of `{name}` at operation {sequence} cannot be made: {}",
                    chain(&error)
                ))
            })?;
            count += rows.len() as u64;
            self.node.put_rows(operation.index, &rows)?;
        }
        Ok(count)
    }

    /// Notes in the audit log that the store was restored, and makes `token` a token of the first administrator,
    /// where that is an admin of `/` as of then. Returns whether it is.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn note_restored(
        self: &Arc<Self>,
        detail: serde_json::Value,
        token: &Token,
    ) -> Result<(bool, Committed), Error> {
        let session = self.holder();
        let about = names::restored()?;
        let restored = detail.to_string();
        let intent = Intent {
            action: "store.restore",
            about: about.clone(),
            digest: Digest::new("store.restore").with(&restored).finish(),
            detail,
            session: &session,
        };
        let mut is_admin = false;
        let (_, committed) = intent.carry_out(|evaluation| {
            let document = RestoredRecord {
                restored: restored.clone(),
            };
            let record = evaluation.put_record_document(about.clone(), &document)?;
            let named = names::principal(ADMIN)?;
            let disabled = match evaluation.get(&named) {
                None => true,
                Some(target) => {
                    let written = evaluation.repo.principals.get(evaluation.repo, target)?;
                    written.document.disabled
                }
            };
            is_admin = !disabled && evaluation.permit_administrator().is_ok();
            if is_admin {
                TokenRecord::new(ADMIN, "made with the restore", token)
                    .put_new(evaluation, token)?;
            }
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok((is_admin, committed))
    }
}

/// What the record of the last restore says.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RestoredRecord {
    restored: String,
}

impl crate::record::RecordDocument for RestoredRecord {
    const TYPE: &'static str = "restored";
}
