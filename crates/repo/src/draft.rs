//! Drafts and changes to them.

mod edit;

use std::collections::{BTreeMap, BTreeSet};

use std::ops::ControlFlow;

use confman_layout::entry_key;
use confman_model::key::KEYS_PER_NAMESPACE_MAX;
use confman_model::{DraftName, Key, Namespace, Value, ValueLimits};
use confman_object_store::{ObjectId, tree};
use confman_policy::Permission;
use confman_refs::Committed;

use crate::entry::Stamp;
use crate::error::{Error, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::publish::{Published, Warning};
use crate::seen::{Found, Seen, committed};
use crate::session::Session;

/// A draft.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of which namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: DraftName,
    /// Newest commit.
    pub head: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// The published commit it began from; `None` where nothing was published.
    pub base: Option<ObjectId>,
    /// Keys that differ from the base.
    pub keys: Vec<Key>,
    /// When and by whom it was changed last.
    pub updated: Stamp,
    /// Message of the newest commit.
    pub message: String,
}

/// What happens to the value of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueEdit {
    /// It becomes this.
    Set(Value),
    /// It becomes a tombstone: no value here, and an inherited one is hidden.
    Unset,
    /// It stays; the entry must be there.
    Keep,
}

/// What happens to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryEdit {
    /// It is written. What is `None` stays as it was.
    Write {
        /// The value.
        value: ValueEdit,
        /// Text for people.
        description: Option<String>,
        /// Words to find it by.
        tags: Option<BTreeSet<String>>,
        /// Media type, empty for none. It goes by itself where the type of the value changes.
        media_type: Option<String>,
    },
    /// The namespace has no entry of its own for the key any more.
    Remove,
}

impl EntryEdit {
    /// Sets the value and leaves what is said about it.
    #[must_use]
    pub const fn set(value: Value) -> Self {
        Self::Write {
            value: ValueEdit::Set(value),
            description: None,
            tags: None,
            media_type: None,
        }
    }
}

/// The head that the caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedHead {
    /// Whatever it is.
    Any,
    /// There must be none.
    Absent,
    /// It must be this.
    At(ObjectId),
}

impl ExpectedHead {
    /// Refuses a head that is not as the caller has seen it.
    pub(crate) fn check(
        self,
        what: What,
        name: impl ToString,
        actual: Option<ObjectId>,
    ) -> Result<(), Error> {
        let expected = match self {
            Self::Any => return Ok(()),
            Self::Absent => None,
            Self::At(id) => Some(id),
        };
        if expected == actual {
            Ok(())
        } else {
            Err(Error::Stale {
                what,
                name: name.to_string(),
                expected,
                actual,
            })
        }
    }

    /// As a part of what a request asks for.
    pub(crate) fn part(self) -> Vec<u8> {
        match self {
            Self::Any => b"any".to_vec(),
            Self::Absent => b"absent".to_vec(),
            Self::At(id) => id.as_bytes().to_vec(),
        }
    }
}

/// Changes to a draft.
#[derive(Clone, Debug)]
pub struct ChangeDraft {
    /// The draft; made where it does not exist.
    pub draft: DraftName,
    /// What happens, by key.
    pub changes: BTreeMap<Key, EntryEdit>,
    /// The head that the caller has seen.
    pub expected_head: ExpectedHead,
    /// Why.
    pub message: Option<String>,
    /// Whether deprecated keys may be set or changed, where it is published at once.
    pub acknowledge_deprecated: bool,
}

/// What a change to a draft did.
#[derive(Clone, Debug)]
pub struct Drafted {
    /// Of which namespace.
    pub namespace: Namespace,
    /// The draft.
    pub draft: DraftName,
    /// Its head now.
    pub head: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// What was written; `None` where everything was so already.
    pub committed: Option<Committed>,
    /// Log index of the write, or that was read at.
    pub index: u64,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

impl ChangeDraft {
    fn digest(&self, action: &str, namespace: &Namespace) -> [u8; 32] {
        let mut digest = Digest::new(action)
            .with(namespace.as_str())
            .with(self.draft.as_str())
            .with(self.expected_head.part())
            .with(self.message.as_deref().unwrap_or("\0"))
            .with([u8::from(self.acknowledge_deprecated)]);
        for (key, edit) in &self.changes {
            digest = digest.with(key.as_str());
            digest = match edit {
                EntryEdit::Remove => digest.with("remove"),
                EntryEdit::Write {
                    value,
                    description,
                    tags,
                    media_type,
                } => {
                    let digest = match value {
                        ValueEdit::Set(value) => {
                            digest.with(value.entry_type().name()).with(value.bytes())
                        }
                        ValueEdit::Unset => digest.with("unset"),
                        ValueEdit::Keep => digest.with("keep"),
                    };
                    let tags = tags.as_ref().map(|tags| {
                        tags.iter()
                            .map(|tag| format!("{tag}\0"))
                            .collect::<String>()
                    });
                    [description, &tags, media_type]
                        .into_iter()
                        .fold(digest, |digest, text| match text {
                            Some(text) => digest.with("some").with(text),
                            None => digest.with("none"),
                        })
                }
            };
        }
        digest.finish()
    }

    fn message(&self) -> String {
        match (&self.message, self.changes.first_key_value()) {
            (Some(message), _) => message.clone(),
            (None, Some((key, EntryEdit::Remove))) if self.changes.len() == 1 => {
                format!("remove {key}")
            }
            (None, Some((key, _))) if self.changes.len() == 1 => format!("change {key}"),
            (None, _) => format!("change {} keys", self.changes.len()),
        }
    }

    fn intent<'s>(
        &self,
        session: &'s Session,
        namespace: &Namespace,
        action: &'static str,
    ) -> Result<Intent<'s>, Error> {
        if self.changes.is_empty() {
            return Err(Error::invalid(
                "change",
                "it changes no key; name at least one",
            ));
        }
        let about = match action {
            CHANGE => names::draft(namespace, &self.draft)?,
            _ => names::published(namespace)?,
        };
        Ok(Intent {
            action,
            about,
            digest: self.digest(action, namespace),
            detail: serde_json::json!({ "namespace": namespace, "draft": self.draft, "keys": self.changes.len() }),
            session,
        })
    }
}

const CHANGE: &str = "draft.change";
const CHANGE_AND_PUBLISH: &str = "draft.change-and-publish";

impl Session {
    /// The drafts of a namespace, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn drafts(&self, namespace: &Namespace) -> Result<Vec<Draft>, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadDraft)?;
        seen.draft_names(namespace)
            .into_iter()
            .map(|name| seen.draft(namespace, &name))
            .collect()
    }

    /// A draft.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn draft(&self, namespace: &Namespace, name: &DraftName) -> Result<Draft, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadDraft)?;
        seen.draft(namespace, name)
    }

    /// Removes a draft. Its commits stay in the history of operations.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`].
    pub fn delete_draft(
        &self,
        namespace: &Namespace,
        name: &DraftName,
        expected_head: ExpectedHead,
    ) -> Result<Committed, Error> {
        let about = names::draft(namespace, name)?;
        let intent = Intent {
            action: "draft.delete",
            about: about.clone(),
            digest: Digest::new("draft.delete")
                .with(about.as_str())
                .with(expected_head.part())
                .finish(),
            detail: serde_json::json!({ "namespace": namespace, "draft": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit(namespace, Permission::ConfigWriteDraft)?;
            let head = evaluation.draft_head(namespace, name)?;
            expected_head.check(What::Draft, name, Some(head.id))?;
            evaluation.set(about.clone(), None);
            Ok(Outcome {
                previous: Some(head.id),
                ..Outcome::default()
            })
        })?;
        Ok(committed)
    }

    /// Changes a draft.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong, [`Error::NotFound`] for an entry to remove
    /// that is not there, [`Error::Stale`], [`Error::Denied`].
    pub fn change_draft(
        &self,
        namespace: &Namespace,
        change: &ChangeDraft,
    ) -> Result<Drafted, Error> {
        let intent = change.intent(self, namespace, CHANGE)?;
        let mut warnings = Vec::new();
        let mut unchanged = None;
        let done = intent.carry_out(|evaluation| {
            let changed = evaluation.change(namespace, change)?;
            warnings.clone_from(&changed.warnings);
            if changed.tree == changed.old_tree
                && let Some(head) = changed.on
            {
                // What is so already makes no commit; the error only ends the evaluation.
                unchanged = Some((head.id, changed.tree, evaluation.index()));
                return Err(Error::Unchanged {
                    namespace: namespace.clone(),
                    reason: "it is so already".to_owned(),
                });
            }
            warnings.extend(evaluation.validate_draft(namespace, changed.tree)?);
            let commit = evaluation.draft_commit(namespace, &changed, change.message())?;
            evaluation.set_commit(intent.about.clone(), commit.id);
            Ok(Outcome {
                commit: Some(commit.id),
                ..Outcome::default()
            })
        });
        let (head, tree, committed, index) = match (done, unchanged) {
            (Ok((outcome, committed)), _) => {
                let head = outcome
                    .commit
                    .ok_or_else(|| Error::bug("a draft was changed without a commit"))?;
                (
                    head,
                    self.look()?.tree_of(Some(&head))?,
                    Some(committed),
                    committed.index,
                )
            }
            (Err(Error::Unchanged { .. }), Some((head, tree, index))) => (head, tree, None, index),
            (Err(error), _) => return Err(error),
        };
        let (namespace, draft) = (namespace.clone(), change.draft.clone());
        Ok(Drafted {
            namespace,
            draft,
            head,
            tree,
            committed,
            index,
            warnings,
        })
    }

    /// Changes a draft and publishes the changed keys in one step. What else is in the draft stays there.
    ///
    /// # Errors
    /// As [`Session::change_draft`] and [`Session::publish`].
    pub fn change_and_publish(
        &self,
        namespace: &Namespace,
        change: &ChangeDraft,
    ) -> Result<Published, Error> {
        let intent = change.intent(self, namespace, CHANGE_AND_PUBLISH)?;
        let mut warnings = Vec::new();
        let (outcome, committed) = intent.carry_out(|evaluation| {
            let changed = evaluation.change(namespace, change)?;
            let (outcome, found) = evaluation.publish_change(
                namespace,
                &change.draft,
                &changed,
                change.changes.keys(),
                change.message(),
                change.acknowledge_deprecated,
            )?;
            warnings.clone_from(&changed.warnings);
            warnings.extend(found);
            Ok(outcome)
        })?;
        self.published(namespace, &outcome, committed, warnings)
    }

    /// What values a namespace accepts.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn value_limits(&self, namespace: &Namespace) -> Result<ValueLimits, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::NamespaceRead)?;
        seen.value_limits(namespace)
    }
}

/// A draft as it would become.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The draft as it is.
    pub draft: Option<Found>,
    /// What the change builds on: the draft, or the published head where there is none.
    pub on: Option<Found>,
    pub old_tree: ObjectId,
    pub tree: ObjectId,
    pub warnings: Vec<Warning>,
}

impl Seen<'_> {
    fn draft(&self, namespace: &Namespace, name: &DraftName) -> Result<Draft, Error> {
        let head = self.draft_head(namespace, name)?;
        let base = self.base_of(namespace, &head)?.map(|place| place.commit);
        let mut keys = Vec::new();
        tree::diff_each(
            self.objects(),
            &self.tree_of(base.as_ref())?,
            &head.commit.tree,
            &mut |change| {
                keys.push(change.key);
                ControlFlow::Continue(())
            },
        )?;
        Ok(Draft {
            namespace: namespace.clone(),
            name: name.clone(),
            head: head.id,
            tree: head.commit.tree,
            base,
            keys: keys.iter().map(entry_key).collect::<Result<_, _>>()?,
            updated: committed(&head.commit),
            message: head.commit.message.clone(),
        })
    }
}

impl Evaluation<'_> {
    /// Evaluates a change to a draft, up to the tree that it gives.
    fn change(&mut self, namespace: &Namespace, change: &ChangeDraft) -> Result<Changed, Error> {
        self.permit(namespace, Permission::ConfigWriteDraft)?;
        let draft = self.head(&names::draft(namespace, &change.draft)?)?;
        change.expected_head.check(
            What::Draft,
            &change.draft,
            draft.as_ref().map(|head| head.id),
        )?;
        let on = match &draft {
            Some(head) => Some(head.clone()),
            None => self.head(&names::published(namespace)?)?,
        };
        let old_tree = on
            .as_ref()
            .map_or(self.repo.empty_tree, |on| on.commit.tree);
        let (tree, warnings) = self.edit_entries(namespace, &old_tree, &change.changes)?;
        Ok(Changed {
            draft,
            on,
            old_tree,
            tree,
            warnings,
        })
    }

    /// Stages the next commit of a draft.
    pub(crate) fn draft_commit(
        &mut self,
        namespace: &Namespace,
        changed: &Changed,
        message: String,
    ) -> Result<Found, Error> {
        let mut commit = self.new_commit(namespace.to_string(), changed.tree, message)?;
        if let Some(on) = &changed.on {
            commit.parents = vec![on.id];
            commit.generation = on.commit.generation + 1;
        }
        // The commits of one draft are one change.
        if let Some(draft) = &changed.draft {
            commit.change_id = draft.commit.change_id;
        }
        self.put_commit(commit)
    }

    /// Refuses a tree with too many keys.
    pub(crate) fn check_keys(&self, tree: &ObjectId) -> Result<(), Error> {
        let keys = tree::count(&self.with_new(), tree)?;
        if keys > KEYS_PER_NAMESPACE_MAX as u64 {
            let limit = KEYS_PER_NAMESPACE_MAX as u64;
            return Err(Error::LimitExceeded {
                what: "keys in the namespace",
                limit,
                actual: keys,
            });
        }
        Ok(())
    }
}
