//! A change, evaluated on one view and proposed as one transaction.
//!
//! INVARIANT: what was read to decide is expected by the transaction, so no check goes stale between
//! evaluation and effect; where something moved, everything is evaluated again on the new view.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::PoisonError;

use confman_model::{Key, Namespace, NamespaceDocument};
use confman_object_store::tree::{Leaf, TreeKey};
use confman_object_store::{Commit, Kind, Moment, ObjectId, Person, Record, Stage, tree};
use confman_refs::{
    Committed, Expect, IndexRow, RefEdit, RefName, RequestId, RowRange, Target, TransactError,
    Transaction,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, chain};
use crate::life::{LifeChange, LineName};
use crate::line::{Line, LineRows, Newest, Place};
use crate::names;
use crate::row;
use crate::seen::{Found, Seen};
use crate::session::Session;
use crate::stack::Stack;

/// How often a change is evaluated before others are held to be in the way for good.
const EVALUATIONS_MAX: usize = 8;
/// Context of the hash that names a request by its idempotency key.
const REQUEST_CONTEXT: &str = "confman 2026 request v1";
/// Context of the hash that tells two requests with one idempotency key apart.
const DIGEST_CONTEXT: &str = "confman 2026 request body v1";

/// What a change came to: enough to answer the same request again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The commit that was made.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "hex")]
    pub commit: Option<ObjectId>,
    /// The head that it took the place of.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "hex")]
    pub previous: Option<ObjectId>,
    /// The record that was made.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "hex")]
    pub record: Option<ObjectId>,
    /// Number of the publish request that was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<u64>,
    /// Whether other keys were merged.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub merged: bool,
    /// Objects that joined the store.
    #[serde(default)]
    pub objects: u64,
}

/// A change and how it is told apart from others.
#[derive(Debug)]
pub(crate) struct Intent<'s> {
    /// What, as in `publish`.
    pub action: &'static str,
    /// The ref that it is mainly about: changes to one ref wait for each other. One that finds another ref
    /// moved under it waits for the changes to that one from then on.
    pub about: RefName,
    /// Everything that was asked for; see [`Digest`].
    pub digest: [u8; 32],
    /// For the audit log.
    pub detail: serde_json::Value,
    pub session: &'s Session,
}

/// Hashes what a request asks for.
#[derive(Debug)]
pub(crate) struct Digest(blake3::Hasher);

impl Digest {
    pub fn new(action: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(DIGEST_CONTEXT)).with(action.as_bytes())
    }

    /// Adds a part; parts cannot run into each other.
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// A view, and what is to become of it.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    seen: Seen<'a>,
    /// The time that this change bears.
    pub now_ms: i64,
    /// New objects.
    pub stage: Stage,
    edits: BTreeMap<RefName, Option<Target>>,
    rows: Vec<IndexRow>,
    /// What the evaluation adds to the intent's detail for the audit log.
    detail: serde_json::Map<String, serde_json::Value>,
}

impl<'a> Deref for Evaluation<'a> {
    type Target = Seen<'a>;

    fn deref(&self) -> &Seen<'a> {
        &self.seen
    }
}

impl Intent<'_> {
    /// Evaluates until a transaction takes effect, and gives what it came to. A request that was done
    /// already is not done again.
    pub fn carry_out(
        &self,
        mut evaluate: impl FnMut(&mut Evaluation<'_>) -> Result<Outcome, Error>,
    ) -> Result<(Outcome, Committed), Error> {
        let repo = &self.session.repo;
        let request = self.request()?;
        if let Some(done) = self.done_before(request)? {
            return Ok(done);
        }
        let turn = |name: &RefName| {
            let lock = repo.lock_of(name).lock();
            lock.unwrap_or_else(PoisonError::into_inner)
        };
        let mut contended = self.about.clone();
        let mut turn_held = turn(&contended);
        for _ in 0..EVALUATIONS_MAX {
            let seen = self.session.look()?;
            let now_ms = repo.clock.now_ms().max(seen.view.time_ms());
            let stage = Stage::new(repo.node.store().clone());
            let mut evaluation = Evaluation {
                seen,
                now_ms,
                stage,
                edits: BTreeMap::new(),
                rows: Vec::new(),
                detail: serde_json::Map::new(),
            };
            let mut outcome = match evaluate(&mut evaluation) {
                Ok(outcome) => outcome,
                // The same request may have been done by another node just now, and there is nothing left to do.
                Err(error) => return self.done_before(request)?.ok_or(error),
            };
            outcome.objects = evaluation.stage.len() as u64;
            let transaction = self.transaction(evaluation, request, &outcome)?;
            let heads = transaction
                .edits
                .iter()
                .filter(|edit| names::is_published(edit.name.as_str()));
            let heads = heads.count() as u64;
            let span = tracing::debug_span!("transact", action = self.action);
            match span.in_scope(|| repo.node.transact(transaction)) {
                Ok(committed) => {
                    repo.published(heads);
                    return Ok((outcome, committed));
                }
                // The turn that was held is given back first: nobody waits for a turn while it holds one.
                Err(TransactError::Stale { name, .. }) if name != contended => {
                    drop(turn_held);
                    turn_held = turn(&name);
                    contended = name;
                }
                Err(TransactError::Stale { .. }) => {}
                Err(TransactError::RequestReused(_)) => {
                    return self.done_before(request)?.ok_or(Error::RequestReused);
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::Contended {
            name: contended.to_string(),
        })
    }

    fn request(&self) -> Result<RequestId, Error> {
        let mut id = [0; 16];
        match &self.session.idempotency_key {
            None => fill_random(&mut id)?,
            Some(key) => {
                let mut hasher = blake3::Hasher::new_derive_key(REQUEST_CONTEXT);
                hasher.update(self.session.actor.principal().as_bytes());
                hasher.update(&[0]);
                hasher.update(key.as_bytes());
                hasher.finalize_xof().fill(&mut id);
            }
        }
        Ok(RequestId(id))
    }

    /// What the request came to when it was done before.
    fn done_before(&self, request: RequestId) -> Result<Option<(Outcome, Committed)>, Error> {
        if self.session.idempotency_key.is_none() {
            return Ok(None);
        }
        let node = &self.session.repo.node;
        let prefix = request.0.to_vec();
        let range = RowRange {
            table: row::REQUEST,
            prefix,
            after: None,
            index_max: u64::MAX,
            limit: 1,
        };
        let Some(stored) = node.rows(&range)?.into_iter().next() else {
            return Ok(None);
        };
        let damaged = || Error::bug("the row of a request is malformed");
        let (digest, outcome) = stored.value.split_first_chunk::<32>().ok_or_else(damaged)?;
        if *digest != self.digest {
            return Err(Error::RequestReused);
        }
        let outcome = serde_json::from_slice(outcome).map_err(|_| damaged())?;
        let sequence = node.sequence_at_index(stored.index)?;
        let (id, operation) = node.operation_at(sequence)?.ok_or_else(damaged)?;
        let committed = Committed {
            operation: id,
            index: operation.index,
            term: operation.term,
            time_ms: operation.time_ms,
        };
        Ok(Some((outcome, committed)))
    }

    fn transaction(
        &self,
        evaluation: Evaluation<'_>,
        request: RequestId,
        outcome: &Outcome,
    ) -> Result<Transaction, Error> {
        let Evaluation {
            seen,
            now_ms,
            stage,
            edits,
            mut rows,
            detail: found,
        } = evaluation;
        let mut detail = self.detail.clone();
        if let serde_json::Value::Object(fields) = &mut detail {
            fields.extend(found);
            if let Some(origin) = &self.session.origin {
                fields.insert("requestId".to_owned(), origin.request_id.clone().into());
                if let Some(client) = &origin.client {
                    fields.insert("client".to_owned(), client.clone().into());
                }
            }
        }
        // A transaction that moves nothing leaves the row of its request.
        if self.session.idempotency_key.is_some() || edits.is_empty() {
            let mut value = self.digest.to_vec();
            value.extend(serde_json::to_vec(outcome).map_err(Error::bug)?);
            rows.push(IndexRow {
                table: row::REQUEST,
                prefix: request.0.to_vec(),
                suffix: Vec::new(),
                value,
            });
        }
        let mut reads = seen.into_reads();
        let edits = edits
            .into_iter()
            .map(|(name, new)| {
                let seen = reads
                    .remove(&name)
                    .ok_or_else(|| Error::bug(format!("`{name}` moves unread")))?;
                Ok(RefEdit {
                    name,
                    expect: Expect::from_seen(seen),
                    new,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Transaction {
            request,
            edits,
            reads: reads
                .into_iter()
                .map(|(name, target)| (name, Expect::from_seen(target)))
                .collect(),
            objects: stage.encode()?,
            rows,
            actor: self.session.actor.principal().to_owned(),
            action: self.action.to_owned(),
            detail: detail.to_string(),
            time_ms: now_ms,
        })
    }
}

impl Session {
    /// Evaluates something of which nothing is proposed.
    pub(crate) fn dry_run<T>(
        &self,
        evaluate: impl FnOnce(&mut Evaluation<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let seen = self.look()?;
        let now_ms = self.repo.clock.now_ms().max(seen.view.time_ms());
        evaluate(&mut Evaluation {
            seen,
            now_ms,
            stage: Stage::new(self.repo.node.store().clone()),
            edits: BTreeMap::new(),
            rows: Vec::new(),
            detail: serde_json::Map::new(),
        })
    }
}

impl Evaluation<'_> {
    /// Reads new objects and those that are there.
    pub fn with_new(&self) -> Stack<'_> {
        Stack {
            new: &self.stage,
            reader: self.objects(),
        }
    }

    /// Adds something to what the audit log says: no value of an entry, no secret.
    pub fn note(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.detail.insert(name.to_owned(), value.into());
    }

    /// Moves a ref. It must have been read.
    pub fn set(&mut self, name: RefName, new: Option<Target>) {
        self.edits.insert(name, new);
    }

    /// Moves a ref to a commit.
    pub fn set_commit(&mut self, name: RefName, commit: ObjectId) {
        self.set(
            name,
            Some(Target {
                kind: Kind::Commit,
                id: commit,
            }),
        );
    }

    /// Stages a record and moves a ref to it.
    pub fn set_record(&mut self, name: RefName, record: &Record) -> Result<ObjectId, Error> {
        let object = record
            .to_object()
            .map_err(|error| Error::invalid(format!("`{name}`"), error.reason))?;
        let id = object.id();
        self.stage.put(object, record.previous);
        self.set(
            name,
            Some(Target {
                kind: Kind::Record,
                id,
            }),
        );
        Ok(id)
    }

    /// The actor, as commits name people.
    pub fn person(&self) -> Person {
        Person {
            principal: self.actor.principal().to_owned(),
            name: self.actor.display_name().to_owned(),
            email: self.actor.email.clone(),
        }
    }

    /// Now, as commits have it.
    pub const fn moment(&self) -> Moment {
        Moment {
            ms: self.now_ms,
            offset_minutes: 0,
        }
    }

    /// A commit by the actor, now, that still lacks its parents.
    pub fn new_commit(
        &self,
        namespace: String,
        tree: ObjectId,
        message: String,
    ) -> Result<Commit, Error> {
        let mut change_id = [0; 16];
        fill_random(&mut change_id)?;
        Ok(Commit {
            tree,
            parents: Vec::new(),
            generation: 1,
            namespace,
            author: self.person(),
            author_time: self.moment(),
            committer: self.person(),
            commit_time: self.moment(),
            change_id,
            message,
            origin: None,
            request: None,
            policy: None,
            schemas: Vec::new(),
            source: None,
            unknown: Vec::new(),
        })
    }

    /// Stages a commit.
    pub fn put_commit(&mut self, commit: Commit) -> Result<Found, Error> {
        let object = commit
            .to_object()
            .map_err(|error| Error::invalid("commit", error.reason))?;
        let id = object.id();
        self.stage.put(object, None);
        Ok(Found {
            id,
            commit: std::sync::Arc::new(commit),
        })
    }

    /// Stages the pages of `tree` with these changes and gives its root. What the leaves refer to is the
    /// caller's.
    pub fn edit_tree(
        &mut self,
        tree: &ObjectId,
        edits: &BTreeMap<TreeKey, Option<Leaf>>,
    ) -> Result<ObjectId, Error> {
        let edited = tree::edit(&self.with_new(), tree, edits)?;
        for (page, replaces) in edited.pages {
            self.stage.put(page, replaces);
        }
        Ok(edited.root)
    }

    /// Moves a published head along a new commit, with the rows that this makes. A gradual publish of the
    /// namespace must have been ended in this evaluation.
    pub fn publish(
        &mut self,
        namespace: &Namespace,
        head: Option<&Place>,
        commit: &Found,
    ) -> Result<(), Error> {
        if !self.edits.contains_key(&names::rollout(namespace)?) {
            self.check_settled(namespace)?;
        }
        let line = self.line(namespace)?;
        let mut rows = LineRows::after(line.name.clone(), head);
        let changes = crate::line::changes_of(&self.with_new(), &commit.commit)?;
        rows.push(commit.id, &commit.commit, &changes, &|key| {
            newest_of(&line, key)
        })?;
        self.rows.append(&mut rows.take());
        self.set_commit(line.name.ref_name, commit.id);
        Ok(())
    }

    /// Adds rows that the caller made.
    pub fn add_rows(&mut self, rows: &mut Vec<IndexRow>) {
        self.rows.append(rows);
    }

    /// Makes a document that of its namespace, with the rows that this makes.
    pub fn set_document(
        &mut self,
        document: &NamespaceDocument,
        message: &str,
    ) -> Result<Found, Error> {
        let name = names::policy(&document.path)?;
        let head = self.head(&name)?;
        self.check_attached_schema(document, head.as_ref().map(|head| head.id))?;
        let commit = self.put_document(document, head.as_ref(), message)?;
        let line_name = LineName {
            ref_name: name.clone(),
            life: crate::life::life_of(&commit),
        };
        let place = match &head {
            Some(head) => self.document_line(&document.path)?.place_of(&head.id)?,
            None => None,
        };
        if place.is_none() {
            self.rows.push(LifeChange::Began.to_row(&line_name));
        }
        let line = Line {
            name: line_name.clone(),
            node: &self.repo.node,
            index_max: self.index(),
        };
        let mut rows = LineRows::after(line_name, place.as_ref());
        let changes = crate::line::changes_of(&self.with_new(), &commit.commit)?;
        rows.push(commit.id, &commit.commit, &changes, &|key| {
            newest_of(&line, key)
        })?;
        self.rows.append(&mut rows.take());
        self.set_commit(name, commit.id);
        Ok(commit)
    }

    /// Stages a namespace's document as a commit on top of another.
    fn put_document(
        &mut self,
        document: &NamespaceDocument,
        head: Option<&Found>,
        message: &str,
    ) -> Result<Found, Error> {
        check_rules(document)?;
        let key: Key = crate::seen::DOCUMENT_KEY.parse().map_err(Error::bug)?;
        let text = document.to_text();
        let limits = confman_model::ValueLimits::default();
        let value = confman_model::Value::new(confman_model::EntryType::Json, text, &limits)
            .map_err(|error| Error::Invalid {
                what: format!("document of `{}`", document.path),
                problems: Problem::of_value(&key, &error),
            })?;
        let (leaf, objects) = confman_layout::write_entry(&confman_model::Entry::of(value))?;
        let old_tree = head.map_or(self.repo.empty_tree, |head| head.commit.tree);
        let replaces = match tree::get(self.objects(), &old_tree, key.as_str().as_bytes())? {
            Some(old) => confman_layout::blob(&old),
            None => None,
        };
        for object in objects {
            self.stage.put(object, replaces);
        }
        let edits = BTreeMap::from([(confman_layout::tree_key(&key)?, Some(leaf))]);
        let tree = self.edit_tree(&old_tree, &edits)?;
        let mut commit = self.new_commit(policy_label(&document.path), tree, message.to_owned())?;
        if let Some(head) = head {
            commit.parents = vec![head.id];
            commit.generation = head.commit.generation + 1;
            commit.origin = Some(crate::life::life_of(head));
        }
        self.put_commit(commit)
    }
}

/// What the commits of a namespace's document say they belong to: never what its entries' commits say.
pub(crate) fn policy_label(namespace: &Namespace) -> String {
    format!("{namespace}@policy")
}

/// The newest version of a key, as rows to come need it.
pub(crate) fn newest_of(line: &Line<'_>, key: &TreeKey) -> Result<Option<Newest>, Error> {
    let newest = line.newest(key.as_bytes())?;
    Ok(newest.map(|version| Newest {
        version: version.row.version,
        created: version.row.created,
    }))
}

/// Refuses rules of automatic approval that could never be understood.
fn check_rules(document: &NamespaceDocument) -> Result<(), Error> {
    let problems: Vec<Problem> = confman_policy::request::check_rules(&document.settings)
        .into_iter()
        .map(|wrong| Problem {
            pointer: Some(format!(
                "/settings/autoApprove/{}/keys/{}",
                wrong.rule, wrong.glob
            )),
            ..Problem::new(wrong.detail)
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("document of `{}`", document.path),
        problems,
    })
}

/// Fills bytes from the system's random numbers.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error::Unavailable {
        reason: format!("the system has no random numbers: {error}"),
    })
}

pub(crate) fn refused(error: TransactError) -> Error {
    match error {
        TransactError::Stale { name, .. } => Error::Contended {
            name: name.to_string(),
        },
        TransactError::RequestReused(_) => Error::RequestReused,
        TransactError::Busy => Error::Busy,
        TransactError::Unavailable(reason) => Error::Unavailable { reason },
        TransactError::UnknownOutcome(reason) => Error::UnknownOutcome { reason },
        other => Error::bug(chain(&other)),
    }
}

mod hex {
    //! Ids as hex digits.

    use confman_object_store::ObjectId;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(
        id: &Option<ObjectId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ObjectId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}
