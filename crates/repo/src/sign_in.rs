//! Coming in by what an issuer says: claims become a principal with a token that lives for a while.
//!
//! That the claims are the issuer's, are meant for us and are still valid is checked by the caller;
//! what they mean here is decided here.
//!
//! INVARIANT: a principal belongs to one subject of one issuer, or to nobody outside: whoever an
//! issuer names like a principal that is there already does not become it.

use std::collections::BTreeSet;
use std::sync::Arc;

use confman_model::identity::{ExternalIdentity, display_name_problem, email_problem};
use confman_model::{IssuerDocument, IssuerName, PrincipalName};
use confman_object_store::ObjectId;
use confman_refs::Committed;
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::entry::Stamp;
use crate::error::Error;
use crate::evaluation::{Digest, Evaluation, Intent};
use crate::names;
use crate::principal::PrincipalRecord;
use crate::repo::Repo;
use crate::token::{Token, TokenInfo, TokenRecord};

/// Longest `sub` of a subject.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Most groups of an assertion that are looked at.
pub const CLAIMED_GROUPS_MAX: usize = 10_000;

/// What somebody comes in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A person logged in.
    Login,
    /// A program showed a token of its issuer.
    Exchange,
}

/// What an issuer says, verified.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The issuer.
    pub issuer: IssuerName,
    /// The record of the issuer that the claims were verified against.
    pub record: ObjectId,
    /// What for.
    pub purpose: Purpose,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Somebody who came in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The token, in the clear.
    pub token: Token,
    /// What is known about it.
    pub info: TokenInfo,
    /// The operation.
    pub committed: Committed,
}

/// What an issuer's claims say of somebody, in words of this store.
#[derive(Debug, PartialEq, Eq)]
struct Claimed {
    principal: PrincipalName,
    subject: String,
    display_name: String,
    email: String,
    groups: Vec<String>,
}

impl Repo {
    /// Takes in whom an issuer vouches for.
    ///
    /// # Errors
    /// [`Error::NotAdmitted`], [`Error::NotFound`] where the issuer is gone.
    pub fn sign_in(self: &Arc<Self>, sign_in: &SignIn) -> Result<SignedIn, Error> {
        let issuer = self.issuer(&sign_in.issuer)?;
        let not_admitted = |reason: String| Error::NotAdmitted {
            issuer: sign_in.issuer.to_string(),
            reason,
        };
        let claimed = claimed(&issuer.document, &sign_in.claims).map_err(not_admitted)?;
        let kind = issuer.document.kind;
        let token = Token::generate(kind)?;
        let name = match sign_in.purpose {
            Purpose::Login => format!("login by {}", sign_in.issuer),
            Purpose::Exchange => format!("exchange by {}", sign_in.issuer),
        };
        let principal = &claimed.principal;
        let session = self.session(Actor::program(principal.as_str(), &claimed.display_name));
        let intent = Intent {
            action: match sign_in.purpose {
                Purpose::Login => "login",
                Purpose::Exchange => "token.exchange",
            },
            about: names::principal(principal.as_str())?,
            digest: Digest::new("sign-in").with(token.hash()).finish(),
            detail: serde_json::json!({
                "principal": principal,
                "issuer": sign_in.issuer,
                "subject": claimed.subject,
                "token": token.digits(),
            }),
            session: &session,
        };
        let issuer_name = names::issuer(sign_in.issuer.as_str())?;
        let mut record = TokenRecord::new(principal.as_str(), &name, &token);
        record.scope.clone_from(&issuer.document.scope);
        let (_, committed) = intent.carry_out(|evaluation| {
            let current = evaluation.get(&issuer_name).map(|target| target.id);
            if current != Some(sign_in.record) {
                return Err(not_admitted(
                    "what is said about the issuer changed meanwhile; try again".to_owned(),
                ));
            }
            evaluation
                .admit(&issuer.document, &sign_in.issuer, &claimed)
                .and_then(|admitted| admitted.map_err(not_admitted))?;
            evaluation.make_room_for_token(principal.as_str())?;
            let life_ms = i64::from(issuer.document.token_seconds) * 1000;
            record.expires_ms = Some(evaluation.now_ms + life_ms);
            record.put_new(evaluation, &token)
        })?;
        Ok(SignedIn {
            info: TokenInfo {
                id: token.digits(),
                principal: principal.to_string(),
                name,
                scope: record.scope,
                expires_ms: record.expires_ms,
                expired: false,
                created: Stamp {
                    at_ms: committed.time_ms,
                    by: principal.to_string(),
                },
            },
            token,
            committed,
        })
    }
}

impl Evaluation<'_> {
    /// Makes the principal, or keeps what its issuer says of it; refuses where it is somebody else.
    fn admit(
        &mut self,
        issuer: &IssuerDocument,
        issuer_name: &IssuerName,
        claimed: &Claimed,
    ) -> Result<Result<(), String>, Error> {
        let name = &claimed.principal;
        let identity = ExternalIdentity {
            issuer: issuer_name.clone(),
            subject: claimed.subject.clone(),
        };
        let old = self.principal_record(name.as_str())?;
        let known = match &old {
            Some(old) if old.identity.as_ref() != Some(&identity) => {
                return Ok(Err(format!(
                    "principal `{name}` is there already and is not this identity"
                )));
            }
            Some(old) if old.disabled => {
                return Ok(Err(format!("principal `{name}` is disabled")));
            }
            Some(old) => old.clone(),
            None if issuer.create_principals => PrincipalRecord {
                kind: issuer.kind,
                identity: Some(identity),
                ..PrincipalRecord::named("")
            },
            None => {
                return Ok(Err(format!(
                    "there is no principal `{name}`; an admin of `/` can create it for this identity"
                )));
            }
        };
        let new = PrincipalRecord {
            display_name: claimed.display_name.clone(),
            email: claimed.email.clone(),
            groups: claimed.groups.clone(),
            ..known
        };
        if old.as_ref() != Some(&new) {
            self.put_record_document(names::principal(name.as_str())?, &new)?;
        }
        Ok(Ok(()))
    }
}

/// Reads claims as the issuer's document says; the error says why somebody may not come in.
fn claimed(issuer: &IssuerDocument, claims: &Map<String, Value>) -> Result<Claimed, String> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let subject = text("sub")
        .filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()))
        .ok_or_else(|| format!("the claim `sub` must have 1 to {SUBJECT_BYTES_MAX} bytes"))?;
    if !issuer.allows_subject(subject) {
        return Err("its subject is not among `allowedSubjects`".to_owned());
    }
    let theirs = groups(claims.get(&issuer.groups_claim));
    if !issuer.allows_groups(&theirs) {
        return Err("it is in none of `allowedGroups`".to_owned());
    }
    let claim = &issuer.principal_claim;
    if *claim == issuer.email_claim && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return Err("its mail address is not verified".to_owned());
    }
    let named =
        text(claim).ok_or_else(|| format!("the claim `{claim}`, which names it, is missing"))?;
    let name = principal_name(&issuer.principal_prefix, named);
    let principal: PrincipalName = name
        .parse()
        .map_err(|_| format!("the claim `{claim}` does not give the name of a principal"))?;
    let mine: BTreeSet<String> = theirs
        .iter()
        .filter_map(|group| issuer.groups.get(group))
        .map(ToString::to_string)
        .collect();
    let display_name = text(&issuer.name_claim)
        .filter(|name| !name.is_empty() && display_name_problem(name).is_none())
        .unwrap_or(principal.as_str())
        .to_owned();
    let email = text(&issuer.email_claim)
        .filter(|email| email_problem(email).is_none())
        .unwrap_or_default()
        .to_owned();
    Ok(Claimed {
        display_name,
        principal,
        subject: subject.to_owned(),
        email,
        groups: mine.into_iter().collect(),
    })
}

/// A name of a principal made of a claim: in lower case, with `-` for what a name cannot have.
fn principal_name(prefix: &str, claim: &str) -> String {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let claim = claim
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if allowed(c) { c } else { '-' });
    prefix.chars().chain(claim).collect()
}

/// The groups of a claim: a list of texts, or one text.
fn groups(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::Array(groups)) => groups
            .iter()
            .take(CLAIMED_GROUPS_MAX)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Some(Value::String(group)) => vec![group.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(issuer: &IssuerDocument, claims: &Value) -> String {
        match claimed(issuer, claims.as_object().unwrap()) {
            Ok(claimed) => format!(
                "{} = {} <{}> {:?}",
                claimed.principal, claimed.display_name, claimed.email, claimed.groups
            ),
            Err(reason) => reason,
        }
    }

    #[test]
    fn claims_become_a_principal() {
        let mut issuer = IssuerDocument::new("https://id.company.com".to_owned());
        issuer.principal_claim = "email".to_owned();
        issuer.principal_prefix = "corp-".to_owned();
        issuer.groups = [("Platform Team".to_owned(), "platform".parse().unwrap())].into();
        let claims = json!({
            "sub": "42", "email": "Ann@Company.com", "name": "Ann",
            "groups": ["Platform Team", "admins"],
        });
        insta::assert_snapshot!(said(&issuer, &claims), @r#"corp-ann-company.com = Ann <Ann@Company.com> ["platform"]"#);
        let unverified = json!({ "sub": "42", "email": "a@b", "email_verified": false });
        insta::assert_snapshot!(said(&issuer, &unverified), @"its mail address is not verified");
        insta::assert_snapshot!(said(&issuer, &json!({ "sub": "42" })), @"the claim `email`, which names it, is missing");
        insta::assert_snapshot!(said(&issuer, &json!({ "email": "a@b" })), @"the claim `sub` must have 1 to 255 bytes");
        let odd = json!({ "sub": "42", "email": "x@y", "name": "a\nb", "groups": { "a": 1 } });
        insta::assert_snapshot!(said(&issuer, &odd), @"corp-x-y = corp-x-y <x@y> []");
    }

    #[test]
    fn who_is_not_allowed_is_told_which_rule_says_so() {
        let mut issuer = IssuerDocument::new("https://id.company.com".to_owned());
        issuer.allowed_subjects = vec!["repo:acme/*".to_owned()];
        issuer.allowed_groups = vec!["deployers".to_owned()];
        insta::assert_snapshot!(said(&issuer, &json!({ "sub": "repo:evil/x" })), @"its subject is not among `allowedSubjects`");
        insta::assert_snapshot!(said(&issuer, &json!({ "sub": "repo:acme/x", "groups": "others" })), @"it is in none of `allowedGroups`");
        insta::assert_snapshot!(said(&issuer, &json!({ "sub": "repo:acme/x", "groups": "deployers" })), @"repo-acme-x = repo-acme-x <> []");
        insta::assert_snapshot!(said(&issuer, &json!({ "sub": "Ünï/x" })), @"its subject is not among `allowedSubjects`");
    }
}
