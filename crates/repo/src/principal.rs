//! Principals and their tokens.

use bytes::Bytes;
use confman_object_store::Record;
use confman_refs::Committed;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::error::{Error, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::session::Session;
use crate::token::Token;

/// Longest name of a principal.
pub const PRINCIPAL_BYTES_MAX: usize = 64;
/// Longest name for people.
pub const DISPLAY_NAME_BYTES_MAX: usize = 255;

/// What the record of a principal says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Principal {
    pub display_name: String,
}

/// What the record of a token says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenRecord {
    pub principal: String,
    hash: String,
    #[serde(skip)]
    digits: String,
}

fn body<T: Serialize>(document: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(document)
        .map(Bytes::from)
        .map_err(Error::bug)
}

fn read<'a, T: Deserialize<'a>>(record: &'a Record, record_type: &str) -> Result<T, Error> {
    if record.record_type != record_type {
        return Err(Error::bug(format!(
            "a record of type `{}` where a {record_type} must be",
            record.record_type
        )));
    }
    serde_json::from_slice(&record.body)
        .map_err(|error| Error::bug(format!("the record of a {record_type}: {error}")))
}

impl Principal {
    pub fn read(record: &Record) -> Result<Self, Error> {
        read(record, "principal")
    }

    pub fn put(&self, evaluation: &mut Evaluation<'_>, name: &str) -> Result<(), Error> {
        let ref_name = names::principal(name)?;
        if evaluation.get(&ref_name).is_some() {
            return Err(Error::Exists {
                what: What::Principal,
                name: name.to_owned(),
            });
        }
        put(evaluation, ref_name, "principal", body(self)?)
    }
}

impl TokenRecord {
    pub fn new(principal: &str, token: &Token) -> Self {
        let hash = data_encoding::HEXLOWER.encode(&token.hash());
        Self {
            principal: principal.to_owned(),
            hash,
            digits: token.digits(),
        }
    }

    pub fn read(record: &Record) -> Result<Self, Error> {
        read(record, "token")
    }

    /// Whether it is of this token; takes equally long whatever the answer.
    pub fn is_of(&self, token: &Token) -> bool {
        let hash = data_encoding::HEXLOWER.encode(&token.hash());
        self.hash.as_bytes().ct_eq(hash.as_bytes()).into()
    }

    pub fn put(&self, evaluation: &mut Evaluation<'_>) -> Result<(), Error> {
        let ref_name = names::token(&self.digits)?;
        if evaluation.get(&ref_name).is_some() {
            return Err(Error::bug("two tokens have one hash"));
        }
        put(evaluation, ref_name, "token", body(self)?)
    }
}

fn put(
    evaluation: &mut Evaluation<'_>,
    name: confman_refs::RefName,
    record_type: &str,
    body: Bytes,
) -> Result<(), Error> {
    let record = Record {
        record_type: record_type.to_owned(),
        previous: None,
        time_ms: evaluation.now_ms,
        actor: evaluation.actor.principal().to_owned(),
        body,
        links: Vec::new(),
        unknown: Vec::new(),
    };
    evaluation.set_record(name, &record)?;
    Ok(())
}

/// Checks the name of a principal: `[a-z0-9][a-z0-9._-]*`, so that it can name a draft too.
fn check_name(name: &str) -> Result<(), Error> {
    let allowed = name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    let begins = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if !allowed || !begins || name.len() > PRINCIPAL_BYTES_MAX {
        let detail = format!(
            "1 to {PRINCIPAL_BYTES_MAX} of a-z, 0-9, `.`, `_` and `-` are allowed, the first a letter or digit"
        );
        return Err(Error::invalid("name of the principal", detail));
    }
    Ok(())
}

impl Session {
    /// Makes a principal, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Denied`], [`Error::Invalid`].
    pub fn create_principal(&self, name: &str, display_name: &str) -> Result<Committed, Error> {
        check_name(name)?;
        if display_name.len() > DISPLAY_NAME_BYTES_MAX || display_name.chars().any(char::is_control)
        {
            let detail = format!(
                "at most {DISPLAY_NAME_BYTES_MAX} bytes without control characters are allowed"
            );
            return Err(Error::invalid("display name of the principal", detail));
        }
        let intent = Intent {
            action: "principal.create",
            about: names::principal(name)?,
            digest: Digest::new("principal.create")
                .with(name)
                .with(display_name)
                .finish(),
            detail: serde_json::json!({ "principal": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            Principal {
                display_name: display_name.to_owned(),
            }
            .put(evaluation, name)?;
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }

    /// Makes a token for a principal: its own, or anybody's for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn create_token(&self, principal: &str) -> Result<(Token, Committed), Error> {
        check_name(principal)?;
        let token = Token::generate()?;
        let intent = Intent {
            action: "token.create",
            about: names::token(&token.digits())?,
            // A token in the clear is shown once: asked for again with one idempotency key, it is refused.
            digest: Digest::new("token.create").with(token.hash()).finish(),
            detail: serde_json::json!({ "principal": principal, "token": token.digits() }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            if evaluation.actor.principal() != principal {
                evaluation.permit_administrator()?;
            }
            if evaluation.get(&names::principal(principal)?).is_none() {
                return Err(Error::not_found(What::Principal, principal));
            }
            TokenRecord::new(principal, &token).put(evaluation)?;
            Ok(Outcome::default())
        })?;
        Ok((token, committed))
    }
}
