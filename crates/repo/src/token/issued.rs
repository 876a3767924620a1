//! Tokens that were issued: whose each is, what it leaves of its principal's rights, and until when.
//!
//! INVARIANT: a token never leaves more, nor lives longer, than the one that made it.

use confman_model::{PrincipalKind, PrincipalName, Scope};
use confman_refs::Committed;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Token;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::group::Named;
use crate::names;
use crate::record::{RecordDocument, Written};
use crate::seen::Seen;
use crate::session::Session;

/// Longest name of a token.
pub const TOKEN_NAME_BYTES_MAX: usize = 128;
/// Most tokens that one principal holds at once.
pub const TOKENS_OF_PRINCIPAL_MAX: usize = 1000;

/// What the record of a token says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenRecord {
    pub principal: String,
    hash: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

// Not even the hash goes to a log.
impl std::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRecord")
            .field("principal", &self.principal)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RecordDocument for TokenRecord {
    const TYPE: &'static str = "token";
}

impl TokenRecord {
    pub fn new(principal: &str, name: &str, token: &Token) -> Self {
        Self {
            principal: principal.to_owned(),
            hash: data_encoding::HEXLOWER.encode(&token.hash()),
            name: name.to_owned(),
            scope: None,
            expires_ms: None,
        }
    }

    /// Whether it is of this token; takes equally long whatever the answer.
    pub fn is_of(&self, token: &Token) -> bool {
        let hash = data_encoding::HEXLOWER.encode(&token.hash());
        self.hash.as_bytes().ct_eq(hash.as_bytes()).into()
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms
            .is_some_and(|expires_ms| expires_ms <= now_ms)
    }

    /// Stages it as the record of a new token.
    pub fn put_new(
        &self,
        evaluation: &mut Evaluation<'_>,
        token: &Token,
    ) -> Result<Outcome, Error> {
        let name = names::token(&token.digits())?;
        if evaluation.get(&name).is_some() {
            return Err(Error::bug("two tokens have one hash"));
        }
        let record = evaluation.put_record_document(name, self)?;
        Ok(Outcome {
            record: Some(record),
            ..Outcome::default()
        })
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose.
    pub principal: PrincipalName,
    /// What it is for.
    pub name: String,
    /// What it leaves of the principal's rights; `None`: everything.
    pub scope: Option<Scope>,
    /// When it ends, in milliseconds since 1970; `None`: when it is revoked.
    pub expires_ms: Option<i64>,
}

impl NewToken {
    /// A token for everything, until it is revoked.
    #[must_use]
    pub fn unlimited(principal: PrincipalName) -> Self {
        Self {
            principal,
            name: String::new(),
            scope: None,
            expires_ms: None,
        }
    }
}

/// What is known about a token that was issued. The token itself is known to its holder alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// What it is called where the token itself must not appear: 16 hex digits.
    pub id: String,
    /// Whose.
    pub principal: String,
    /// What it is for.
    pub name: String,
    /// What it leaves of the principal's rights; `None`: everything.
    pub scope: Option<Scope>,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// Whether that is over.
    pub expired: bool,
    /// When and by whom it was made.
    pub created: Stamp,
}

impl Session {
    /// Makes a token: for oneself, or for anybody by an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`]; [`Error::Invalid`] where it would leave more or live
    /// longer than the one that makes it.
    pub fn create_token(&self, new: &NewToken) -> Result<(Token, TokenInfo, Committed), Error> {
        let kind = match self.look()?.principal_record(new.principal.as_str())? {
            Some(record) => record.kind,
            // Refused below, after it is clear that the caller may know.
            None => PrincipalKind::User,
        };
        let token = Token::generate(kind)?;
        let record = TokenRecord {
            scope: new.scope.clone(),
            expires_ms: new.expires_ms,
            ..TokenRecord::new(new.principal.as_str(), &new.name, &token)
        };
        let intent = Intent {
            action: "token.create",
            about: names::token(&token.digits())?,
            // A token in the clear is shown once: asked for again with one idempotency key, it is refused.
            digest: Digest::new("token.create").with(token.hash()).finish(),
            detail: serde_json::json!({
                "principal": new.principal,
                "token": token.digits(),
                "name": new.name,
                "scope": new.scope,
                "expires": new.expires_ms.map(crate::time::rfc3339),
            }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            if evaluation.actor.principal() != new.principal.as_str() {
                evaluation.permit_administrator()?;
            }
            let Some(principal) = evaluation.principal_record(new.principal.as_str())? else {
                return Err(Error::not_found(What::Principal, &new.principal));
            };
            evaluation.check_new_token(new, principal.disabled)?;
            record.put_new(evaluation, &token)
        })?;
        let info = TokenInfo {
            id: token.digits(),
            principal: new.principal.to_string(),
            name: new.name.clone(),
            scope: new.scope.clone(),
            expires_ms: new.expires_ms,
            expired: false,
            created: Stamp {
                at_ms: committed.time_ms,
                by: self.actor.principal().to_owned(),
            },
        };
        Ok((token, info, committed))
    }

    /// The tokens of a principal, or for an admin of `/` of everybody, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn tokens(
        &self,
        principal: Option<&PrincipalName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Named<TokenInfo>, Error> {
        let seen = self.look()?;
        if principal.is_none_or(|principal| principal.as_str() != self.actor.principal()) {
            seen.permit_administrator()?;
        }
        let mut page = Named {
            items: Vec::new(),
            next: None,
        };
        let principal = principal.map(PrincipalName::as_str);
        seen.each_token(principal, after, &mut |info| {
            if page.items.len() == limit {
                page.next = page.items.last().map(|last: &TokenInfo| last.id.clone());
                return false;
            }
            page.items.push(info);
            true
        })?;
        Ok(page)
    }

    /// Revokes a token, at once and everywhere: one's own, or anybody's by an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another's token to who may not know of it.
    pub fn revoke_token(&self, id: &str) -> Result<Committed, Error> {
        let no_such = || Error::not_found(What::Token, id.chars().take(64).collect::<String>());
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(no_such());
        }
        let about = names::token(id)?;
        let intent = Intent {
            action: "token.revoke",
            about: about.clone(),
            digest: Digest::new("token.revoke").with(id).finish(),
            detail: serde_json::json!({ "token": id }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            let is_admin = evaluation.permit_administrator();
            let Some(target) = evaluation.get(&about) else {
                return Err(no_such());
            };
            let written = evaluation.repo.tokens.get(evaluation.repo, target)?;
            if written.document.principal != evaluation.actor.principal() && is_admin.is_err() {
                return Err(no_such());
            }
            evaluation.set(about.clone(), None);
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }
}

impl Seen<'_> {
    /// Calls `visit` with each token until it says that it has enough.
    fn each_token(
        &self,
        principal: Option<&str>,
        after: Option<&str>,
        visit: &mut dyn FnMut(TokenInfo) -> bool,
    ) -> Result<(), Error> {
        let now_ms = self.repo.clock.now_ms();
        for (name, target) in self.view.scan(names::TOKENS) {
            let Some(id) = name.as_str().strip_prefix(names::TOKENS) else {
                continue;
            };
            if after.is_some_and(|after| id <= after) {
                continue;
            }
            let written = self.repo.tokens.get(self.repo, target)?;
            if principal.is_none_or(|principal| written.document.principal == principal)
                && !visit(info(id, &written, now_ms))
            {
                break;
            }
        }
        Ok(())
    }
}

impl Evaluation<'_> {
    /// Removes tokens of a principal whose time is over, and refuses where it still has as many as one
    /// may have.
    pub fn make_room_for_token(&mut self, principal: &str) -> Result<(), Error> {
        let mut expired = Vec::new();
        let mut held = 0_usize;
        self.each_token(Some(principal), None, &mut |info| {
            match info.expired {
                true => expired.push(info.id),
                false => held += 1,
            }
            true
        })?;
        if held >= TOKENS_OF_PRINCIPAL_MAX {
            return Err(Error::LimitExceeded {
                what: "tokens of one principal",
                limit: TOKENS_OF_PRINCIPAL_MAX as u64,
                actual: held as u64 + 1,
            });
        }
        for id in expired {
            let name = names::token(&id)?;
            self.get(&name);
            self.set(name, None);
        }
        Ok(())
    }

    fn check_new_token(&mut self, new: &NewToken, disabled: bool) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut add = |pointer: &str, detail: String| {
            problems.push(Problem {
                pointer: Some(pointer.to_owned()),
                ..Problem::new(detail)
            });
        };
        if new.name.len() > TOKEN_NAME_BYTES_MAX || new.name.chars().any(char::is_control) {
            add(
                "/name",
                format!(
                    "at most {TOKEN_NAME_BYTES_MAX} bytes without control characters are allowed"
                ),
            );
        }
        if disabled {
            add(
                "/principal",
                "it is disabled, so a token would be worth nothing".to_owned(),
            );
        }
        if new
            .expires_ms
            .is_some_and(|expires_ms| expires_ms <= self.now_ms)
        {
            add("/expires", "it must be later than now".to_owned());
        }
        if let Some(wider) = &self.subject.scope
            && !new
                .scope
                .as_ref()
                .is_some_and(|scope| scope.is_within(wider))
        {
            add(
                "/scope",
                format!("it must be within that of the token in use: {wider}"),
            );
        }
        if let Some(end) = self.actor.expires_ms()
            && new.expires_ms.is_none_or(|expires_ms| expires_ms > end)
        {
            let end = crate::time::rfc3339(end);
            add(
                "/expires",
                format!("it must not be later than that of the token in use: {end}"),
            );
        }
        if !problems.is_empty() {
            return Err(Error::Invalid {
                what: "token".to_owned(),
                problems,
            });
        }
        self.make_room_for_token(new.principal.as_str())
    }
}

fn info(id: &str, written: &Written<TokenRecord>, now_ms: i64) -> TokenInfo {
    let record = &written.document;
    TokenInfo {
        id: id.to_owned(),
        principal: record.principal.clone(),
        name: record.name.clone(),
        scope: record.scope.clone(),
        expires_ms: record.expires_ms,
        expired: record.is_expired(now_ms),
        created: written.stamp.clone(),
    }
}
