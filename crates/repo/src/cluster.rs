//! Who may join the cluster, and what the audit log says of its members.
//!
//! A join token is made by an admin of `/`, is good for so many nodes until some time, and is stored as a
//! hash. The transaction that takes a use of it is what lets a node in: its log index is the node's id.

use std::sync::Arc;

use confman_refs::{Committed, RefName};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::actor::Actor;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::record::RecordDocument;
use crate::repo::Repo;
use crate::session::Session;
use crate::token::{TOKEN_NAME_BYTES_MAX, Token};

/// How many nodes one join token may let in at most.
pub const JOIN_TOKEN_USES_MAX: u32 = 100;
/// How long a join token is good where nothing is said, in milliseconds.
pub const JOIN_TOKEN_MS_DEFAULT: i64 = 24 * 60 * 60 * 1000;
/// How long a join token is good at most, in milliseconds.
pub const JOIN_TOKEN_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;
/// Most join tokens that are good at once.
pub const JOIN_TOKENS_MAX: usize = 100;
/// Longest address of a peer.
const ADDRESS_BYTES_MAX: usize = confman_refs::cluster::ADDRESS_BYTES_MAX;
/// Who acts when a node joins.
const JOINER: &str = "cluster";
const JOINER_DISPLAY_NAME: &str = "Joining node";

/// What the record of a join token says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JoinTokenRecord {
    hash: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    uses: u32,
    used: u32,
    expires_ms: i64,
    created_ms: i64,
    created_by: String,
}

// Not even the hash goes to a log.
impl std::fmt::Debug for JoinTokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTokenRecord")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RecordDocument for JoinTokenRecord {
    const TYPE: &'static str = "join-token";
}

impl JoinTokenRecord {
    fn is_good(&self, now_ms: i64) -> bool {
        self.used < self.uses && now_ms < self.expires_ms
    }
}

/// What the record of the last change of the members says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MembersRecord {
    asked: String,
}

impl RecordDocument for MembersRecord {
    const TYPE: &'static str = "members";
}

/// A join token to be made.
#[derive(Clone, Debug)]
pub struct NewJoinToken {
    /// What it is for.
    pub name: String,
    /// How many nodes it lets in.
    pub uses: u32,
    /// When it ends, in milliseconds since 1970; `None`: after [`JOIN_TOKEN_MS_DEFAULT`].
    pub expires_ms: Option<i64>,
}

/// What is known about a join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTokenInfo {
    /// What it is called where the token itself must not appear: 16 hex digits.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// How many nodes it lets in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// When it ends.
    pub expires_ms: i64,
    /// Whether it still lets somebody in.
    pub good: bool,
    /// When and by whom it was made.
    pub created: Stamp,
}

impl Session {
    /// Fails unless the actor is an admin of `/`, who operates the cluster.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn permit_operator(&self) -> Result<(), Error> {
        self.look()?.permit_administrator()
    }

    /// Makes a join token, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], [`Error::LimitExceeded`].
    pub fn create_join_token(
        &self,
        new: &NewJoinToken,
    ) -> Result<(Token, JoinTokenInfo, Committed), Error> {
        let token = Token::generate_join()?;
        let id = token.digits();
        let about = names::join_token(&id)?;
        let intent = Intent {
            action: "cluster.join-token.create",
            about: about.clone(),
            // As any token, it is shown once.
            digest: Digest::new("cluster.join-token.create")
                .with(token.hash())
                .finish(),
            detail: serde_json::json!({ "token": id, "name": new.name, "uses": new.uses }),
            session: self,
        };
        let mut made = None;
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let now_ms = evaluation.now_ms;
            let record = JoinTokenRecord {
                hash: data_encoding::HEXLOWER.encode(&token.hash()),
                name: new.name.clone(),
                uses: new.uses,
                used: 0,
                expires_ms: new.expires_ms.unwrap_or(now_ms + JOIN_TOKEN_MS_DEFAULT),
                created_ms: now_ms,
                created_by: evaluation.actor.principal().to_owned(),
            };
            check_new(&record)?;
            evaluation.make_room_for_join_token()?;
            if evaluation.get(&about).is_some() {
                return Err(Error::bug("two join tokens have one hash"));
            }
            let outcome = evaluation.put_record_document(about.clone(), &record)?;
            made = Some(record);
            Ok(Outcome {
                record: Some(outcome),
                ..Outcome::default()
            })
        })?;
        let record = made.ok_or_else(|| Error::bug("a join token was made without a record"))?;
        let info = info(&id, &record, committed.time_ms);
        Ok((token, info, committed))
    }

    /// The join tokens, in the order of their ids, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn join_tokens(&self) -> Result<Vec<JoinTokenInfo>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let now_ms = self.repo.clock.now_ms();
        let mut tokens = Vec::new();
        for (name, target) in seen.view.scan(names::JOIN_TOKENS) {
            let id = name.as_str().strip_prefix(names::JOIN_TOKENS);
            let written = self.repo.join_tokens.get(&self.repo, target)?;
            tokens.push(info(id.unwrap_or_default(), &written.document, now_ms));
        }
        Ok(tokens)
    }

    /// Revokes a join token, for an admin of `/`. Nodes that it let in stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn revoke_join_token(&self, id: &str) -> Result<Committed, Error> {
        let no_such = || Error::not_found(What::JoinToken, id.chars().take(64).collect::<String>());
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(no_such());
        }
        let about = names::join_token(id)?;
        let intent = Intent {
            action: "cluster.join-token.revoke",
            about: about.clone(),
            digest: Digest::new("cluster.join-token.revoke").with(id).finish(),
            detail: serde_json::json!({ "token": id }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            if evaluation.get(&about).is_none() {
                return Err(no_such());
            }
            evaluation.set(about.clone(), None);
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }

    /// Notes in the audit log that the actor, an admin of `/`, wants the members changed. Nothing is changed
    /// by it.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn note_member_change(
        &self,
        action: &'static str,
        detail: serde_json::Value,
    ) -> Result<Committed, Error> {
        let about: RefName = names::members()?;
        let asked = detail.to_string();
        let intent = Intent {
            action,
            about: about.clone(),
            digest: Digest::new(action).with(&asked).finish(),
            detail,
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let document = MembersRecord {
                asked: asked.clone(),
            };
            let record = evaluation.put_record_document(about.clone(), &document)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok(committed)
    }
}

impl Repo {
    /// Takes a use of a join token for a node that will be at this address, and gives the id that the node
    /// has from now on. Asked again with the same request, it gives the same id and takes nothing.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where the token is none, is used up, revoked or over.
    pub fn admit(
        self: &Arc<Self>,
        request: &[u8; 16],
        token: &str,
        address: &str,
    ) -> Result<u64, Error> {
        let token = Token::parse_join(token)?;
        let id = token.digits();
        let about = names::join_token(&id)?;
        let session = self
            .session(Actor::program(JOINER, JOINER_DISPLAY_NAME))
            .idempotent(&data_encoding::HEXLOWER.encode(request));
        let intent = Intent {
            action: "cluster.join",
            about: about.clone(),
            digest: Digest::new("cluster.join")
                .with(token.hash())
                .with(address)
                .finish(),
            detail: serde_json::json!({ "token": id, "address": address }),
            session: &session,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            check_address(address)?;
            let target = evaluation.get(&about).ok_or(Error::Unauthenticated)?;
            let written = evaluation.repo.join_tokens.get(evaluation.repo, target)?;
            let record = &written.document;
            let hash = data_encoding::HEXLOWER.encode(&token.hash());
            let is_it: bool = record.hash.as_bytes().ct_eq(hash.as_bytes()).into();
            if !is_it || !record.is_good(evaluation.now_ms) {
                return Err(Error::Unauthenticated);
            }
            let used = JoinTokenRecord {
                used: record.used + 1,
                ..record.clone()
            };
            let record = evaluation.put_record_document(about.clone(), &used)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        Ok(committed.index)
    }
}

impl Evaluation<'_> {
    /// Removes join tokens that let nobody in any more, and refuses where too many are left.
    fn make_room_for_join_token(&mut self) -> Result<(), Error> {
        let mut over = Vec::new();
        let mut good = 0_usize;
        let tokens: Vec<_> = self
            .view
            .scan(names::JOIN_TOKENS)
            .map(|(name, target)| (name.clone(), target))
            .collect();
        for (name, target) in tokens {
            let written = self.repo.join_tokens.get(self.repo, target)?;
            match written.document.is_good(self.now_ms) {
                true => good += 1,
                false => over.push(name),
            }
        }
        if good >= JOIN_TOKENS_MAX {
            return Err(Error::LimitExceeded {
                what: "join tokens",
                limit: JOIN_TOKENS_MAX as u64,
                actual: good as u64 + 1,
            });
        }
        for name in over {
            self.get(&name);
            self.set(name, None);
        }
        Ok(())
    }
}

fn check_new(record: &JoinTokenRecord) -> Result<(), Error> {
    let mut problems = Vec::new();
    let mut add = |pointer: &str, detail: String| {
        problems.push(Problem {
            pointer: Some(pointer.to_owned()),
            ..Problem::new(detail)
        });
    };
    if record.name.len() > TOKEN_NAME_BYTES_MAX || record.name.chars().any(char::is_control) {
        add(
            "/name",
            format!("at most {TOKEN_NAME_BYTES_MAX} bytes without control characters are allowed"),
        );
    }
    if !(1..=JOIN_TOKEN_USES_MAX).contains(&record.uses) {
        add(
            "/uses",
            format!("it must be from 1 to {JOIN_TOKEN_USES_MAX}"),
        );
    }
    let lasts_ms = record.expires_ms.saturating_sub(record.created_ms);
    if !(1..=JOIN_TOKEN_MS_MAX).contains(&lasts_ms) {
        let days = JOIN_TOKEN_MS_MAX / (24 * 60 * 60 * 1000);
        add(
            "/expires",
            format!("it must be later than now, and at most {days} days away"),
        );
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "join token".to_owned(),
        problems,
    })
}

fn check_address(address: &str) -> Result<(), Error> {
    let port = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty());
    let is_address = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
        && address.len() <= ADDRESS_BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic());
    if is_address {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "address of the node".to_owned(),
        problems: vec![Problem::new(format!(
            "it must be `HOST:PORT` of at most {ADDRESS_BYTES_MAX} bytes"
        ))],
    })
}

fn info(id: &str, record: &JoinTokenRecord, now_ms: i64) -> JoinTokenInfo {
    JoinTokenInfo {
        id: id.to_owned(),
        name: record.name.clone(),
        uses: record.uses,
        used: record.used,
        expires_ms: record.expires_ms,
        good: record.is_good(now_ms),
        created: Stamp {
            at_ms: record.created_ms,
            by: record.created_by.clone(),
        },
    }
}
