//! Principals: who can be granted something and can hold tokens.

use confman_model::identity::{ExternalIdentity, display_name_problem, email_problem};
use confman_model::{PrincipalKind, PrincipalName};
use confman_object_store::ObjectId;
use confman_policy::Subject;
use confman_refs::Committed;
use serde::{Deserialize, Serialize};

use crate::draft::ExpectedHead;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Intent, Outcome};
use crate::group::Named;
use crate::names;
use crate::namespace::Vanishing;
use crate::record::RecordDocument;
use crate::seen::Seen;
use crate::session::Session;

/// What the record of a principal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PrincipalRecord {
    pub display_name: String,
    #[serde(default, skip_serializing_if = "is_user")]
    pub kind: PrincipalKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ExternalIdentity>,
    /// What its issuer said at the last login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

fn is_user(kind: &PrincipalKind) -> bool {
    *kind == PrincipalKind::User
}

impl RecordDocument for PrincipalRecord {
    const TYPE: &'static str = "principal";
}

impl PrincipalRecord {
    /// Somebody local, of whom nothing is known but the name for people.
    pub fn named(display_name: &str) -> Self {
        Self {
            display_name: display_name.to_owned(),
            kind: PrincipalKind::User,
            email: String::new(),
            disabled: false,
            identity: None,
            groups: Vec::new(),
        }
    }
}

/// Somebody new.
#[derive(Clone, Debug)]
pub struct NewPrincipal {
    /// Its name, for good.
    pub name: PrincipalName,
    /// Whether it is a person or a program, for good.
    pub kind: PrincipalKind,
    /// Name for people.
    pub display_name: String,
    /// Mail address; empty where none is known.
    pub email: String,
    /// Whom an issuer must mean to log in as this principal; `None`: nobody can.
    pub identity: Option<ExternalIdentity>,
}

impl NewPrincipal {
    /// A person of whom nothing else is known.
    #[must_use]
    pub fn user(name: PrincipalName) -> Self {
        Self {
            display_name: name.to_string(),
            name,
            kind: PrincipalKind::User,
            email: String::new(),
            identity: None,
        }
    }
}

/// What is to be said about a principal; `None`: as it is.
#[derive(Clone, Debug, Default)]
pub struct PrincipalChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Mail address; empty where none is known.
    pub email: Option<String>,
    /// Whether it is shut out.
    pub disabled: Option<bool>,
}

/// A principal.
#[derive(Clone, Debug)]
pub struct PrincipalInfo {
    /// Its name.
    pub name: PrincipalName,
    /// Whether it is a person or a program.
    pub kind: PrincipalKind,
    /// Name for people.
    pub display_name: String,
    /// Mail address; empty where none is known.
    pub email: String,
    /// Whether it is shut out: its tokens are worth nothing, its approvals do not count.
    pub disabled: bool,
    /// Whom an issuer means by it.
    pub identity: Option<ExternalIdentity>,
    /// The groups it is in, through others and by what its issuer said at the last login.
    pub groups: Vec<String>,
    /// The record that says it.
    pub record: ObjectId,
    /// When and by whom it was changed last.
    pub updated: Stamp,
}

impl Session {
    /// Makes a principal, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Denied`], [`Error::Invalid`].
    pub fn create_principal(
        &self,
        new: &NewPrincipal,
    ) -> Result<(PrincipalInfo, Committed), Error> {
        let record = PrincipalRecord {
            display_name: new.display_name.clone(),
            kind: new.kind,
            email: new.email.clone(),
            disabled: false,
            identity: new.identity.clone(),
            groups: Vec::new(),
        };
        let about = names::principal(new.name.as_str())?;
        let intent = Intent {
            action: "principal.create",
            about: about.clone(),
            digest: Digest::new("principal.create")
                .with(new.name.as_str())
                .with(serde_json::to_vec(&record).map_err(Error::bug)?)
                .finish(),
            detail: serde_json::json!({ "principal": new.name, "kind": new.kind }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            check(&new.name, &record)?;
            if evaluation.get(&about).is_some() {
                return Err(Error::Exists {
                    what: What::Principal,
                    name: new.name.to_string(),
                });
            }
            if let Some(identity) = &record.identity {
                let issuer = names::issuer(identity.issuer.as_str())?;
                if evaluation.get(&issuer).is_none() {
                    return Err(Error::not_found(What::Issuer, &identity.issuer));
                }
            }
            let record = evaluation.put_record_document(about.clone(), &record)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok((self.look()?.principal_info(&new.name)?, committed))
    }

    /// Says something else about a principal, or shuts it out, for an admin of `/`. Nobody can shut out
    /// itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Stale`], [`Error::Denied`].
    pub fn change_principal(
        &self,
        name: &PrincipalName,
        change: &PrincipalChange,
        expected: ExpectedHead,
    ) -> Result<(PrincipalInfo, Committed), Error> {
        let about = names::principal(name.as_str())?;
        let part = |text: &Option<String>| format!("{text:?}");
        let intent = Intent {
            action: match change.disabled {
                Some(true) => "principal.disable",
                Some(false) => "principal.enable",
                None => "principal.update",
            },
            about: about.clone(),
            digest: Digest::new("principal.update")
                .with(name.as_str())
                .with(part(&change.display_name))
                .with(part(&change.email))
                .with(format!("{:?}", change.disabled))
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({ "principal": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let target = evaluation
                .get(&about)
                .ok_or_else(|| Error::not_found(What::Principal, name))?;
            expected.check(What::Principal, name, Some(target.id))?;
            if change.disabled == Some(true) && name.as_str() == evaluation.actor.principal() {
                return Err(Error::invalid(
                    format!("change to principal `{name}`"),
                    "nobody can disable itself; another admin of `/` can",
                ));
            }
            if change.disabled == Some(true) {
                evaluation.check_root_keeps_admin(&Vanishing::Principal(name))?;
            }
            let old = evaluation.repo.principals.get(evaluation.repo, target)?;
            let mut record = old.document.clone();
            if let Some(display_name) = &change.display_name {
                record.display_name.clone_from(display_name);
            }
            if let Some(email) = &change.email {
                record.email.clone_from(email);
            }
            record.disabled = change.disabled.unwrap_or(record.disabled);
            check(name, &record)?;
            let record = evaluation.put_record_document(about.clone(), &record)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok((self.look()?.principal_info(name)?, committed))
    }

    /// The principals, in the order of their names, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn principals(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Named<PrincipalInfo>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let mut page = Named {
            items: Vec::new(),
            next: None,
        };
        let all = seen.view.scan(names::PRINCIPALS).filter_map(|(name, _)| {
            let name = name.as_str().strip_prefix(names::PRINCIPALS)?;
            after.is_none_or(|after| name > after).then_some(name)
        });
        for name in all {
            if page.items.len() == limit {
                page.next = page
                    .items
                    .last()
                    .map(|last: &PrincipalInfo| last.name.to_string());
                break;
            }
            let name: PrincipalName = name.parse().map_err(Error::bug)?;
            page.items.push(seen.principal_info(&name)?);
        }
        Ok(page)
    }

    /// A principal: oneself, or anybody for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn principal(&self, name: &PrincipalName) -> Result<PrincipalInfo, Error> {
        let seen = self.look()?;
        if name.as_str() != self.actor.principal() {
            seen.permit_administrator()?;
        }
        seen.principal_info(name)
    }
}

impl Seen<'_> {
    /// What is said about a principal.
    pub fn principal_record(&self, name: &str) -> Result<Option<PrincipalRecord>, Error> {
        let Some(target) = self.get(&names::principal(name)?) else {
            return Ok(None);
        };
        let written = self.repo.principals.get(self.repo, target)?;
        Ok(Some(written.document.clone()))
    }

    /// Who a principal is now, with its groups; `None` where there is no such principal or it is disabled.
    pub fn subject_of(&self, principal: &str) -> Result<Option<Subject>, Error> {
        let Some(target) = self.get(&names::principal(principal)?) else {
            return Ok(None);
        };
        let written = self.repo.principals.get(self.repo, target)?;
        if written.document.disabled {
            return Ok(None);
        }
        Ok(Some(Subject {
            groups: self.groups_of(principal, &written.document.groups)?,
            ..Subject::principal(principal)
        }))
    }

    fn principal_info(&self, name: &PrincipalName) -> Result<PrincipalInfo, Error> {
        let target = self
            .get(&names::principal(name.as_str())?)
            .ok_or_else(|| Error::not_found(What::Principal, name))?;
        let written = self.repo.principals.get(self.repo, target)?;
        let record = &written.document;
        Ok(PrincipalInfo {
            name: name.clone(),
            kind: record.kind,
            display_name: record.display_name.clone(),
            email: record.email.clone(),
            disabled: record.disabled,
            identity: record.identity.clone(),
            groups: self.groups_of(name.as_str(), &record.groups)?,
            record: written.id,
            updated: written.stamp.clone(),
        })
    }
}

fn check(name: &PrincipalName, record: &PrincipalRecord) -> Result<(), Error> {
    let wrong = [
        ("/displayName", display_name_problem(&record.display_name)),
        ("/email", email_problem(&record.email)),
    ];
    let problems: Vec<Problem> = wrong
        .into_iter()
        .filter_map(|(pointer, detail)| {
            Some(Problem {
                pointer: Some(pointer.to_owned()),
                ..Problem::new(detail?)
            })
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("principal `{name}`"),
        problems,
    })
}
