//! Issuers: who else may say who somebody is, kept by admins of `/`.

use confman_model::{IssuerDocument, IssuerName};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::draft::ExpectedHead;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Intent, Outcome};
use crate::group::Named;
use crate::names;
use crate::record::RecordDocument;
use crate::repo::Repo;
use crate::seen::Seen;
use crate::session::Session;

/// Most issuers of one store.
pub const ISSUERS_MAX: usize = 100;

impl RecordDocument for IssuerDocument {
    const TYPE: &'static str = "issuer";
}

/// An issuer.
#[derive(Clone, Debug)]
pub struct IssuerInfo {
    /// Its name.
    pub name: IssuerName,
    /// What is said about it.
    pub document: IssuerDocument,
    /// The record that says it.
    pub record: ObjectId,
    /// When and by whom it was changed last.
    pub updated: Stamp,
}

impl Repo {
    /// An issuer, for whoever is about to come in by it and therefore is nobody yet.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn issuer(&self, name: &IssuerName) -> Result<IssuerInfo, Error> {
        let target = self
            .node
            .view()
            .get(names::issuer(name.as_str())?.as_str())
            .ok_or_else(|| Error::not_found(What::Issuer, name))?;
        let written = self.issuers.get(self, target)?;
        Ok(IssuerInfo {
            name: name.clone(),
            document: written.document.clone(),
            record: written.id,
            updated: written.stamp.clone(),
        })
    }
}

impl Session {
    /// The issuers, in the order of their names, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn issuers(&self) -> Result<Named<IssuerInfo>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let mut page = Named {
            items: Vec::new(),
            next: None,
        };
        for (name, _) in seen.view.scan(names::ISSUERS) {
            let name = name
                .as_str()
                .strip_prefix(names::ISSUERS)
                .unwrap_or_default();
            page.items
                .push(seen.issuer(&name.parse().map_err(Error::bug)?)?);
        }
        Ok(page)
    }

    /// An issuer, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn issuer(&self, name: &IssuerName) -> Result<IssuerInfo, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        seen.issuer(name)
    }

    /// Trusts an issuer, or says something else about it, for an admin of `/`. Returns whether it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Stale`], [`Error::Denied`].
    pub fn put_issuer(
        &self,
        name: &IssuerName,
        document: &IssuerDocument,
        expected: ExpectedHead,
    ) -> Result<(IssuerInfo, bool, Committed), Error> {
        let about = names::issuer(name.as_str())?;
        let text = serde_json::to_string(document).map_err(Error::bug)?;
        let intent = Intent {
            action: "issuer.put",
            about: about.clone(),
            digest: Digest::new("issuer.put")
                .with(name.as_str())
                .with(&text)
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({ "issuer": name, "url": document.url }),
            session: self,
        };
        let mut is_new = false;
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let old = evaluation.get(&about).map(|target| target.id);
            expected.check(What::Issuer, name, old)?;
            is_new = old.is_none();
            let found = document.problems();
            if !found.is_empty() {
                return Err(Error::Invalid {
                    what: format!("issuer `{name}`"),
                    problems: found
                        .iter()
                        .map(|problem| Problem::of_model(None, problem))
                        .collect(),
                });
            }
            let others = evaluation.view.scan(names::ISSUERS).count();
            if is_new && others >= ISSUERS_MAX {
                return Err(Error::LimitExceeded {
                    what: "issuers",
                    limit: ISSUERS_MAX as u64,
                    actual: others as u64 + 1,
                });
            }
            let record = evaluation.put_record_document(about.clone(), document)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok((self.look()?.issuer(name)?, is_new, committed))
    }

    /// Trusts an issuer no more, for an admin of `/`. Tokens that were given for what it said stay
    /// valid until they end or are revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::Denied`].
    pub fn delete_issuer(
        &self,
        name: &IssuerName,
        expected: ExpectedHead,
    ) -> Result<Committed, Error> {
        let about = names::issuer(name.as_str())?;
        let intent = Intent {
            action: "issuer.delete",
            about: about.clone(),
            digest: Digest::new("issuer.delete")
                .with(name.as_str())
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({ "issuer": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let old = evaluation.get(&about).map(|target| target.id);
            if old.is_none() {
                return Err(Error::not_found(What::Issuer, name));
            }
            expected.check(What::Issuer, name, old)?;
            evaluation.set(about.clone(), None);
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }
}

impl Seen<'_> {
    fn issuer(&self, name: &IssuerName) -> Result<IssuerInfo, Error> {
        let target = self
            .get(&names::issuer(name.as_str())?)
            .ok_or_else(|| Error::not_found(What::Issuer, name))?;
        let written = self.repo.issuers.get(self.repo, target)?;
        Ok(IssuerInfo {
            name: name.clone(),
            document: written.document.clone(),
            record: written.id,
            updated: written.stamp.clone(),
        })
    }
}
