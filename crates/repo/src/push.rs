//! Push: commits from elsewhere, verified in quarantine, and refs that move to them.

mod incoming;
mod quarantine;
mod verify;

use std::io::Read;

use confman_model::{DraftName, Namespace, Revision};
use confman_object_store::commit::COMMIT_MESSAGE_BYTES_MAX;
use confman_object_store::record::RECORD_LINKS_MAX;
use confman_object_store::{Kind, ObjectId, ReadObjects, Record};
use confman_policy::Permission;
use confman_policy::request::Direct;
use confman_refs::Committed;
use serde::{Deserialize, Serialize};

use self::quarantine::Quarantine;
use self::verify::Verified;
use crate::draft::ExpectedHead;
use crate::error::{Error, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome, newest_of};
use crate::line::{LineRows, changes_of, first_parents};
use crate::names;
use crate::publish::Warning;
use crate::review::DirectChange;
use crate::seen::Found;
use crate::session::Session;
use crate::validation::Candidate;

/// Most commits that one push adds to a published line.
pub const LINE_COMMITS_MAX: usize = 1000;
/// Longest identity of a commit of a source.
pub const SOURCE_BYTES_MAX: usize = 255;

/// A ref that a push may move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PushTarget {
    /// The published head, by somebody who may import.
    Published,
    /// A draft.
    Draft(DraftName),
}

impl std::str::FromStr for PushTarget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(Revision::Published) => Ok(Self::Published),
            Ok(Revision::Draft(draft)) => Ok(Self::Draft(draft)),
            _ => {
                let shown: String = text.chars().take(80).collect();
                Err(Error::invalid(
                    format!("ref `{}`", shown.escape_debug()),
                    "allowed are `published` and `draft/NAME`",
                ))
            }
        }
    }
}

/// A ref to move.
#[derive(Clone, Debug)]
pub struct PushEdit {
    /// Its namespace: that of the push or one below it.
    pub namespace: Namespace,
    /// Which.
    pub target: PushTarget,
    /// The commit it has; `None`: it must not exist.
    pub expect: Option<ObjectId>,
    /// The commit it gets.
    pub new: ObjectId,
}

/// How far an import has come; keeps the named commits alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportMark {
    /// The mark that the caller has seen; `None`: there must be none.
    pub expect: Option<ObjectId>,
    /// Identity of the last commit of the source that is in.
    pub source: String,
    /// Commits of the source that are in.
    pub commits: u64,
    /// Imported commits that no ref leads to yet.
    pub tips: Vec<(Namespace, ObjectId)>,
}

/// What goes with a pack.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Refs to move, together or not at all.
    pub edits: Vec<PushEdit>,
    /// For an import that goes on.
    pub import: Option<ImportMark>,
    /// For the audit log.
    pub message: Option<String>,
}

/// What a push did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The operation.
    pub committed: Committed,
    /// Objects that joined the store.
    pub objects: u64,
    /// Record id of the import mark, if one was given.
    pub import_mark: Option<ObjectId>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

/// The mark of an import.
#[derive(Clone, Debug)]
pub struct ImportState {
    /// Record id.
    pub id: ObjectId,
    /// The mark; `expect` is `None`.
    pub mark: ImportMark,
}

/// What the record of an import says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportRecord {
    source: String,
    commits: u64,
    tips: Vec<ImportTip>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportTip {
    namespace: Namespace,
    commit: String,
}

impl Session {
    /// Takes in a pack and moves refs.
    ///
    /// Every commit of the pack must follow from one that the namespace has or that comes with it; its
    /// tree must be canonical, and the pack must hold each page and each value that its first parent's
    /// tree does not have.
    ///
    /// # Errors
    /// [`Error::Pack`], [`Error::Invalid`] with what is wrong where, [`Error::Stale`], [`Error::Denied`].
    pub fn push<R: Read>(
        &self,
        namespace: &Namespace,
        request: &PushRequest,
        pack: R,
    ) -> Result<Pushed, Error> {
        if request.edits.is_empty() && request.import.is_none() {
            return Err(Error::invalid(
                "push",
                "it moves no ref; name one, or the mark of an import",
            ));
        }
        if request
            .message
            .as_ref()
            .is_some_and(|message| message.len() > COMMIT_MESSAGE_BYTES_MAX)
        {
            let detail = format!("at most {COMMIT_MESSAGE_BYTES_MAX} bytes are allowed");
            return Err(Error::invalid("message of the push", detail));
        }
        // Before the pack is read: whoever may not push is not listened to.
        let limits = {
            let seen = self.look()?;
            seen.permit(namespace, Permission::ConfigWriteDraft)?;
            seen.value_limits(namespace)?
        };
        let pack = Quarantine::admit(pack, &limits)?;
        let intent = Intent {
            action: if request.import.is_some() {
                "import"
            } else {
                "push"
            },
            about: match request.edits.first() {
                Some(edit) => edit.target.name(&edit.namespace)?,
                None => names::import(namespace)?,
            },
            digest: request.digest(namespace, &pack),
            detail: serde_json::json!({
                "namespace": namespace,
                "message": request.message,
                "source": request.import.as_ref().map(|mark| &mark.source),
            }),
            session: self,
        };
        let mut warnings = Vec::new();
        let (outcome, committed) = intent.carry_out(|evaluation| {
            let verified = evaluation.verify(namespace, request, &pack)?;
            warnings.clone_from(&verified.warnings);
            let mut candidates = Vec::new();
            for edit in &request.edits {
                candidates.extend(evaluation.push_ref(edit, &verified)?);
            }
            // What comes from elsewhere was deprecated there or not; the schema here is not to stop it.
            if !candidates.is_empty() {
                warnings.extend(evaluation.validate(&candidates, true)?.warnings);
            }
            let record = match &request.import {
                Some(mark) => Some(evaluation.push_mark(namespace, mark)?),
                None => None,
            };
            Ok(Outcome {
                record,
                ..Outcome::default()
            })
        })?;
        Ok(Pushed {
            committed,
            objects: outcome.objects,
            import_mark: outcome.record,
            warnings,
        })
    }

    /// How far the import into a namespace has come.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub fn import_state(&self, namespace: &Namespace) -> Result<ImportState, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::NamespaceWrite)?;
        let record = seen.record(&names::import(namespace)?)?;
        let (id, record) = record.ok_or_else(|| Error::not_found(What::Import, namespace))?;
        let malformed =
            |error: String| Error::bug(format!("the mark of the import of `{namespace}`: {error}"));
        let body: ImportRecord =
            serde_json::from_slice(&record.body).map_err(|error| malformed(error.to_string()))?;
        let tips = body
            .tips
            .into_iter()
            .map(|tip| {
                Ok((
                    tip.namespace,
                    tip.commit
                        .parse()
                        .map_err(|error| malformed(format!("{error}")))?,
                ))
            })
            .collect::<Result<_, Error>>()?;
        Ok(ImportState {
            id,
            mark: ImportMark {
                expect: None,
                source: body.source,
                commits: body.commits,
                tips,
            },
        })
    }
}

impl PushTarget {
    fn name(&self, namespace: &Namespace) -> Result<confman_refs::RefName, Error> {
        match self {
            Self::Published => names::published(namespace),
            Self::Draft(draft) => names::draft(namespace, draft),
        }
    }
}

impl PushRequest {
    fn digest(&self, namespace: &Namespace, pack: &Quarantine) -> [u8; 32] {
        let seen = |id: Option<ObjectId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let mut digest = Digest::new("push")
            .with(namespace.as_str())
            .with(self.message.as_deref().unwrap_or("\0"));
        for edit in &self.edits {
            digest = digest
                .with(edit.namespace.as_str())
                .with(format!("{:?}", edit.target));
            digest = digest.with(seen(edit.expect)).with(edit.new.as_bytes());
        }
        if let Some(mark) = &self.import {
            digest = digest
                .with("import")
                .with(seen(mark.expect))
                .with(&mark.source)
                .with(mark.commits.to_le_bytes());
            for (namespace, tip) in &mark.tips {
                digest = digest.with(namespace.as_str()).with(tip.as_bytes());
            }
        }
        for object in pack.stage.objects() {
            digest = digest.with(object.id().as_bytes());
        }
        digest.finish()
    }
}

impl Evaluation<'_> {
    /// Moves a ref as the push asks for. Gives what becomes of the published head, where it is that.
    fn push_ref(
        &mut self,
        edit: &PushEdit,
        verified: &Verified,
    ) -> Result<Option<Candidate>, Error> {
        let name = edit.target.name(&edit.namespace)?;
        let old = self.head(&name)?;
        let expected = edit.expect.map_or(ExpectedHead::Absent, ExpectedHead::At);
        let (what, label) = match &edit.target {
            PushTarget::Published => (What::Published, edit.namespace.to_string()),
            PushTarget::Draft(draft) => (What::Draft, draft.to_string()),
        };
        expected.check(what, label, old.as_ref().map(|head| head.id))?;
        if edit.expect == Some(edit.new) {
            return Err(Error::Unchanged {
                namespace: edit.namespace.clone(),
                reason: format!("`{name}` is at {} already", edit.new),
            });
        }
        let candidate = Candidate {
            namespace: edit.namespace.clone(),
            old_tree: self.tree_of(old.as_ref().map(|head| &head.id))?,
            new_tree: self.with_new().commit(&edit.new)?.tree,
        };
        let published = edit.target == PushTarget::Published;
        if published {
            self.check_settled(&edit.namespace)?;
            self.pass_directly(&DirectChange {
                namespace: &edit.namespace,
                way: Direct::Publish,
                emergency: None,
                head: Some(edit.new),
                old_tree: candidate.old_tree,
                new_tree: candidate.new_tree,
            })?;
            self.extend_line(&edit.namespace, old.as_ref(), edit.new, verified)?;
        }
        if !published {
            self.validate_draft(&edit.namespace, candidate.new_tree)?;
        }
        self.set_commit(name, edit.new);
        Ok(published.then_some(candidate))
    }

    /// Makes the rows for the commits that a push adds to a line.
    fn extend_line(
        &mut self,
        namespace: &Namespace,
        old: Option<&Found>,
        new: ObjectId,
        verified: &Verified,
    ) -> Result<(), Error> {
        let below = self.with_new();
        let commits = first_parents(&below, old.map(|head| head.id), new, LINE_COMMITS_MAX)?.ok_or_else(|| {
            let from = old.map_or_else(|| "the beginning".to_owned(), |head| head.id.to_string());
            let detail = format!("{new} does not follow from {from} along first parents within {LINE_COMMITS_MAX} commits");
            Error::invalid(format!("published head of `{namespace}`"), detail)
        })?;
        let line = self.line(namespace)?;
        let head = self.published(namespace)?.map(|(_, place)| place);
        let mut rows = LineRows::after(line.name.clone(), head.as_ref());
        for id in commits {
            let commit = below.commit(&id)?;
            let computed;
            let changes = match verified.changes.get(&id) {
                Some(changes) => changes,
                None => {
                    computed = changes_of(&below, &commit)?;
                    &computed
                }
            };
            rows.push(id, &commit, changes, &|key| newest_of(&line, key))?;
        }
        self.add_rows(&mut rows.take());
        Ok(())
    }

    /// Stages the next version of an import's mark.
    fn push_mark(&mut self, namespace: &Namespace, mark: &ImportMark) -> Result<ObjectId, Error> {
        let name = names::import(namespace)?;
        let seen = self.get(&name).map(|target| target.id);
        let expected = mark.expect.map_or(ExpectedHead::Absent, ExpectedHead::At);
        expected.check(What::Import, namespace, seen)?;
        if mark.tips.len() > RECORD_LINKS_MAX {
            let (limit, actual) = (RECORD_LINKS_MAX as u64, mark.tips.len() as u64);
            return Err(Error::LimitExceeded {
                what: "tips of an import",
                limit,
                actual,
            });
        }
        if mark.source.is_empty()
            || mark.source.len() > SOURCE_BYTES_MAX
            || mark.source.chars().any(char::is_control)
        {
            let detail =
                format!("its source has 1 to {SOURCE_BYTES_MAX} bytes without control characters");
            return Err(Error::invalid("mark of the import", detail));
        }
        let tips = mark.tips.iter();
        let body = ImportRecord {
            source: mark.source.clone(),
            commits: mark.commits,
            tips: tips
                .clone()
                .map(|(namespace, commit)| ImportTip {
                    namespace: namespace.clone(),
                    commit: commit.to_string(),
                })
                .collect(),
        };
        let record = Record {
            record_type: "import".to_owned(),
            // The versions before are in the log of operations; kept here, they would keep every old tip.
            previous: None,
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: serde_json::to_vec(&body).map_err(Error::bug)?.into(),
            links: tips.map(|(_, commit)| (Kind::Commit, *commit)).collect(),
            unknown: Vec::new(),
        };
        self.set_record(name, &record)
    }
}
