//! Push: commits from elsewhere, verified in quarantine, and refs that move to them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use confman_layout::{LayoutError, blob, check_entry, entry_key};
use confman_model::key::KEYS_PER_NAMESPACE_MAX;
use confman_model::{DraftName, Key, Namespace, Revision, ValueLimits};
use confman_object_store::commit::COMMIT_MESSAGE_BYTES_MAX;
use confman_object_store::pack::{PackLimits, admit};
use confman_object_store::record::RECORD_LINKS_MAX;
use confman_object_store::tree::{self, Change, Leaf, TreeKey};
use confman_object_store::{
    Commit, Kind, MemoryBackend, Object, ObjectId, Person, ReadError, ReadObjects, Record, Stage,
    Store,
};
use confman_policy::Permission;
use confman_refs::Committed;
use serde::{Deserialize, Serialize};

use crate::draft::ExpectedHead;
use crate::error::{Error, Problem, What, chain};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome, newest_of};
use crate::line::{LineRows, changes_of, first_parents};
use crate::names;
use crate::publish::Warning;
use crate::seen::Found;
use crate::session::Session;
use crate::stack::Stack;

/// Most commits that one push adds to a published line.
pub const LINE_COMMITS_MAX: usize = 1000;
/// Longest identity of a commit of a source.
pub const SOURCE_BYTES_MAX: usize = 255;
/// Most problems that are told at once.
const PROBLEMS_MAX: usize = 32;

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
            for edit in &request.edits {
                evaluation.push_ref(edit, &verified)?;
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

/// A pack that was hashed and decoded strictly, and of which nothing is believed yet.
#[derive(Debug)]
struct Quarantine {
    /// On top of an empty store: reads nothing but the pack.
    stage: Stage,
    ids: HashSet<(Kind, ObjectId)>,
}

impl Quarantine {
    fn admit<R: Read>(pack: R, limits: &ValueLimits) -> Result<Self, Error> {
        let nothing = Arc::new(Store::new(Arc::new(MemoryBackend::default()), 0));
        let blob_bytes_max = u32::try_from(limits.value_bytes_max).unwrap_or(u32::MAX);
        let pack_limits = PackLimits {
            blob_bytes_max,
            ..PackLimits::default()
        };
        // Links are followed commit by commit later, where it is known what the sender may refer to.
        let admitted = admit(pack, &pack_limits, &*nothing, &|_, _| true).map_err(Error::Pack)?;
        let mut quarantine = Self {
            stage: Stage::new(nothing),
            ids: HashSet::new(),
        };
        for object in admitted.objects {
            if !matches!(
                object.kind(),
                Kind::Blob | Kind::Meta | Kind::Page | Kind::Commit
            ) {
                let detail = format!(
                    "it holds a {}; blobs, metas, pages and commits are allowed",
                    object.kind()
                );
                return Err(Error::invalid("pack", detail));
            }
            quarantine.ids.insert((object.kind(), object.id()));
            quarantine.stage.put(object, None);
        }
        Ok(quarantine)
    }

    fn has(&self, kind: Kind, id: &ObjectId) -> bool {
        self.ids.contains(&(kind, *id))
    }

    fn object(&self, kind: Kind, id: &ObjectId) -> Result<Option<Object>, Error> {
        Ok(self
            .stage
            .try_read(kind, id)?
            .map(|bytes| Object::new(kind, bytes)))
    }
}

/// Commits of a pack that were found right and staged.
#[derive(Debug, Default)]
struct Verified {
    commits: HashMap<ObjectId, Arc<Commit>>,
    changes: HashMap<ObjectId, Vec<Change>>,
    warnings: Vec<Warning>,
}

/// Everything wrong with a push.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, detail: impl Into<String>) {
        self.0.push(Problem::new(detail));
    }

    fn check(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid {
                what: "push".to_owned(),
                problems: self.0,
            })
        }
    }
}

impl Evaluation<'_> {
    /// Checks rights, then every commit of the pack that a ref or the mark will lead to, and stages what
    /// they need. Everything else in the pack is left out.
    fn verify(
        &mut self,
        base: &Namespace,
        request: &PushRequest,
        pack: &Quarantine,
    ) -> Result<Verified, Error> {
        let mut heads: Vec<(Namespace, ObjectId)> = Vec::new();
        let mut importing = request.import.is_some();
        for edit in &request.edits {
            self.permit_within(base, &edit.namespace)?;
            match edit.target {
                PushTarget::Draft(_) => {
                    self.permit(&edit.namespace, Permission::ConfigWriteDraft)?
                }
                PushTarget::Published => {
                    // It goes past review, so it takes who could change the rules of review.
                    self.permit(&edit.namespace, Permission::NamespaceWrite)?;
                    importing = true;
                }
            }
            heads.push((edit.namespace.clone(), edit.new));
        }
        if let Some(mark) = &request.import {
            self.permit(base, Permission::NamespaceWrite)?;
            for (namespace, tip) in &mark.tips {
                self.permit_within(base, namespace)?;
                self.permit(namespace, Permission::NamespaceWrite)?;
                heads.push((namespace.clone(), *tip));
            }
        }
        let wanted = self.wanted(&heads, pack)?;
        let mut limits: HashMap<Namespace, ValueLimits> = HashMap::new();
        let mut verified = Verified::default();
        // In the order of the pack, which has parents before children.
        let order: Vec<ObjectId> = pack
            .stage
            .objects()
            .filter(|object| object.kind() == Kind::Commit)
            .map(Object::id)
            .collect();
        for id in order {
            let Some(namespace) = wanted.get(&id) else {
                continue;
            };
            if !limits.contains_key(namespace) {
                limits.insert(namespace.clone(), self.value_limits(namespace)?);
            }
            let limits = limits
                .get(namespace)
                .ok_or_else(|| Error::bug("limits that were read are lost"))?;
            let commit = pack.stage.commit(&id)?;
            let incoming = Incoming {
                id,
                commit: &commit,
                namespace,
                limits,
                importing,
                pack,
            };
            self.take_in(&incoming, &mut verified)?;
        }
        for (namespace, head) in &heads {
            if !verified.commits.contains_key(head) && !self.belongs(namespace, head)? {
                return Err(Error::not_found(What::Commit, head));
            }
        }
        Ok(verified)
    }

    fn permit_within(&self, base: &Namespace, namespace: &Namespace) -> Result<(), Error> {
        if base.contains(namespace) {
            return Ok(());
        }
        Err(Error::invalid(
            "push",
            format!("`{namespace}` is not `{base}` or below it"),
        ))
    }

    /// The commits of the pack that the heads lead to, with the namespace they must be of.
    fn wanted(
        &self,
        heads: &[(Namespace, ObjectId)],
        pack: &Quarantine,
    ) -> Result<HashMap<ObjectId, Namespace>, Error> {
        let mut wanted: HashMap<ObjectId, Namespace> = HashMap::new();
        let mut waiting = heads.to_vec();
        while let Some((namespace, id)) = waiting.pop() {
            if !pack.has(Kind::Commit, &id) || wanted.contains_key(&id) {
                continue;
            }
            let commit = pack.stage.commit(&id)?;
            waiting.extend(
                commit
                    .parents
                    .iter()
                    .map(|parent| (namespace.clone(), *parent)),
            );
            wanted.insert(id, namespace);
        }
        Ok(wanted)
    }

    /// Checks one commit, whose parents were checked, and stages it with what its tree has beyond that of
    /// its first parent.
    fn take_in(&mut self, incoming: &Incoming<'_>, verified: &mut Verified) -> Result<(), Error> {
        let Incoming {
            id,
            commit,
            namespace,
            pack,
            ..
        } = *incoming;
        let mut problems = Problems::default();
        let mut parents: Vec<Arc<Commit>> = Vec::new();
        for parent in &commit.parents {
            match verified.commits.get(parent) {
                Some(known) => parents.push(Arc::clone(known)),
                None if self.belongs(namespace, parent)? => {
                    parents.push(self.objects().commit(parent)?)
                }
                None => problems.add(format!(
                    "commit {id}: its parent {parent} is neither in the pack nor in `{namespace}`"
                )),
            }
        }
        problems.check()?;
        incoming
            .check_form(&parents, self.actor.principal())
            .check()?;

        let before = parents
            .first()
            .map_or(self.repo.empty_tree, |parent| parent.tree);
        let below = self.with_new();
        let changes = incoming.changes(&below, &before)?;
        let edits: BTreeMap<TreeKey, Option<Leaf>> = changes
            .iter()
            .map(|change| (change.key.clone(), change.new.clone()))
            .collect();
        let edited = match edits.is_empty() {
            true => tree::Edited {
                root: before,
                pages: Vec::new(),
            },
            false => tree::edit(&below, &before, &edits)?,
        };
        if edited.root != commit.tree {
            let detail = format!(
                "commit {id}: its tree {} is not canonical; {} is the one of these contents",
                commit.tree, edited.root
            );
            return Err(Error::invalid("push", detail));
        }
        incoming.check_pages(&below, &before, &edited)?;
        let warnings = incoming.check_values(&below, &changes, &parents)?;

        for (page, replaces) in edited.pages {
            self.stage.put(page, replaces);
        }
        for change in &changes {
            let (old, Some(new)) = (change.old.as_ref(), change.new.as_ref()) else {
                continue;
            };
            let refers = [
                blob(new).map(|id| (Kind::Blob, id, old.and_then(blob))),
                new.meta
                    .map(|id| (Kind::Meta, id, old.and_then(|old| old.meta))),
            ];
            for (kind, id, replaces) in refers.into_iter().flatten() {
                if let Some(object) = pack.object(kind, &id)? {
                    self.stage.put(object, replaces);
                }
            }
        }
        let object = pack
            .object(Kind::Commit, &id)?
            .ok_or_else(|| Error::bug("a commit of the pack is lost"))?;
        self.stage.put(object, None);
        verified.commits.insert(id, Arc::new(commit.clone()));
        verified.changes.insert(id, changes);
        verified.warnings.extend(warnings);
        Ok(())
    }

    /// Moves a ref as the push asks for.
    fn push_ref(&mut self, edit: &PushEdit, verified: &Verified) -> Result<(), Error> {
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
        if edit.target == PushTarget::Published {
            self.extend_line(&edit.namespace, old.as_ref(), edit.new, verified)?;
        }
        self.set_commit(name, edit.new);
        Ok(())
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

/// A commit of a pack that is being checked.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    id: ObjectId,
    commit: &'a Commit,
    namespace: &'a Namespace,
    limits: &'a ValueLimits,
    importing: bool,
    pack: &'a Quarantine,
}

impl Incoming<'_> {
    /// What the commit says of itself.
    fn check_form(&self, parents: &[Arc<Commit>], principal: &str) -> Problems {
        let Self {
            id,
            commit,
            namespace,
            ..
        } = self;
        let mut problems = Problems::default();
        if commit.namespace != namespace.as_str() {
            problems.add(format!(
                "commit {id} is of `{}`, not of `{namespace}`",
                commit.namespace.escape_debug()
            ));
        }
        let generation = parents
            .iter()
            .map(|parent| parent.generation)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        if commit.generation != generation {
            problems.add(format!(
                "commit {id} has generation {}, {generation} is needed",
                commit.generation
            ));
        }
        let stranger =
            |person: &Person| !person.principal.is_empty() && person.principal != principal;
        if stranger(&commit.author) || stranger(&commit.committer) {
            problems.add(format!(
                "commit {id} names another principal than `{principal}` as its author or committer"
            ));
        }
        if !self.importing && commit.committer.principal.is_empty() {
            problems.add(format!(
                "commit {id} does not name `{principal}` as its committer"
            ));
        }
        let claims = commit.origin.is_some()
            || commit.request.is_some()
            || commit.policy.is_some()
            || !commit.schemas.is_empty();
        if claims || !commit.unknown.is_empty() {
            problems.add(format!("commit {id} has an origin, request, policy, schema or field that only the server may give it"));
        }
        problems
    }

    /// The keys that it changed against its first parent.
    fn changes(&self, below: &Stack<'_>, before: &ObjectId) -> Result<Vec<Change>, Error> {
        let tree = self.commit.tree;
        if tree == *before {
            return Ok(Vec::new());
        }
        let page_missing = |error: ReadError| match error {
            ReadError::Missing { kind, id } => Error::invalid(
                "push",
                format!(
                    "commit {}: {kind} {id} of its tree is not in the pack",
                    self.id
                ),
            ),
            other => other.into(),
        };
        let reader = Layered {
            pack: self.pack,
            below,
        };
        // The counts say how large a tree is before anybody walks it.
        let keys = tree::count(&reader, &tree).map_err(page_missing)?;
        if keys > KEYS_PER_NAMESPACE_MAX as u64 {
            let limit = KEYS_PER_NAMESPACE_MAX as u64;
            return Err(Error::LimitExceeded {
                what: "keys in the namespace",
                limit,
                actual: keys,
            });
        }
        tree::diff(&reader, before, &tree).map_err(page_missing)
    }

    /// Every page that the tree before does not have must be in the pack: to know a page's id is not to
    /// have it, and its values would be somebody else's.
    fn check_pages(
        &self,
        below: &Stack<'_>,
        before: &ObjectId,
        edited: &tree::Edited,
    ) -> Result<(), Error> {
        let empty = tree::empty().id();
        let sent = |id: &ObjectId| self.pack.has(Kind::Page, id) || *id == empty;
        let missing: Vec<ObjectId> = edited
            .pages
            .iter()
            .map(|(page, _)| page.id())
            .filter(|id| !sent(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        // A page can be in the tree before, in another place.
        let own: HashSet<ObjectId> = tree::pages_missing(below, before, &[])?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let mut problems = Problems::default();
        for id in missing
            .iter()
            .filter(|id| !own.contains(id))
            .take(PROBLEMS_MAX)
        {
            problems.add(format!("commit {}: page {id} of its tree is neither in the pack nor in the tree of its first parent", self.id));
        }
        problems.check()
    }

    /// Every changed entry must be valid, and what it refers to be in the pack or be the sender's already.
    fn check_values(
        &self,
        below: &Stack<'_>,
        changes: &[Change],
        parents: &[Arc<Commit>],
    ) -> Result<Vec<Warning>, Error> {
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let reader = Layered {
            pack: self.pack,
            below,
        };
        let own: HashSet<ObjectId> = changes
            .iter()
            .filter_map(|change| change.old.as_ref())
            .flat_map(|old| blob(old).into_iter().chain(old.meta))
            .collect();
        for change in changes {
            if problems.0.len() >= PROBLEMS_MAX {
                break;
            }
            let Some(leaf) = &change.new else {
                continue;
            };
            let key = match entry_key(&change.key) {
                Ok(key) => key,
                Err(error) => {
                    problems.add(format!("commit {}: {}", self.id, chain(&error)));
                    continue;
                }
            };
            let refers = blob(leaf)
                .map(|id| (Kind::Blob, id))
                .into_iter()
                .chain(leaf.meta.map(|id| (Kind::Meta, id)));
            let foreign: Vec<_> = refers
                .filter(|(kind, id)| !self.pack.has(*kind, id) && !own.contains(id))
                .collect();
            if let Some((kind, id)) = foreign.first() {
                // A merge takes over what another of its parents has.
                let mut merged = false;
                for parent in parents.iter().skip(1) {
                    merged |= tree::get(below, &parent.tree, change.key.as_bytes())?.as_ref()
                        == Some(leaf);
                }
                if !merged {
                    let detail = format!(
                        "commit {}: its {kind} {id} is neither in the pack nor in its parents",
                        self.id
                    );
                    problems.0.push(Problem::of_key(&key, detail));
                }
                continue;
            }
            match check_entry(&reader, leaf, self.limits) {
                Ok(entry) => {
                    let told = entry
                        .value()
                        .map(|value| value.warnings())
                        .unwrap_or_default();
                    warnings.extend(told.into_iter().map(|warning| Warning {
                        key: key.clone(),
                        detail: warning.what,
                    }));
                }
                Err(error) => problems.0.extend(self.wrong(&key, error)?),
            }
        }
        problems.check()?;
        warnings.truncate(PROBLEMS_MAX);
        Ok(warnings)
    }

    fn wrong(&self, key: &Key, error: LayoutError) -> Result<Vec<Problem>, Error> {
        Ok(match error {
            LayoutError::Value(error) => Problem::of_value(key, &error),
            LayoutError::Details(error) => error
                .problems
                .iter()
                .map(|problem| Problem::of_key(key, problem))
                .collect(),
            LayoutError::Read(error) => return Err(error.into()),
            other => vec![Problem::of_key(
                key,
                format!("commit {}: {}", self.id, chain(&other)),
            )],
        })
    }
}

/// The pack over what is there and what is staged.
struct Layered<'a> {
    pack: &'a Quarantine,
    below: &'a Stack<'a>,
}

impl ReadObjects for Layered<'_> {
    fn try_read(&self, kind: Kind, id: &ObjectId) -> Result<Option<bytes::Bytes>, ReadError> {
        if self.pack.has(kind, id) {
            self.pack.stage.try_read(kind, id)
        } else {
            self.below.try_read(kind, id)
        }
    }

    fn page(&self, id: &ObjectId) -> Result<Arc<tree::Page>, ReadError> {
        if self.pack.has(Kind::Page, id) {
            self.pack.stage.page(id)
        } else {
            self.below.page(id)
        }
    }

    fn encoding(
        &self,
        kind: Kind,
        id: &ObjectId,
    ) -> Result<Option<confman_object_store::Encoding>, ReadError> {
        self.below.encoding(kind, id)
    }

    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        if self.pack.has(Kind::Commit, id) {
            self.pack.stage.commit(id)
        } else {
            self.below.commit(id)
        }
    }
}
