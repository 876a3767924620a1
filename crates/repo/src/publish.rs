//! Publishing a draft, and publishing an earlier state again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use confman_layout::{entry_key, read_entry, tree_key};
use confman_model::{DraftName, Entry, Key, Namespace, Revision};
use confman_object_store::tree::{Leaf, TreeKey};
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::Permission;
use confman_policy::request::Direct;
use confman_refs::Committed;

use crate::draft::{Changed, ExpectedHead};
use crate::error::{Error, KeyConflict, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::line::Place;
use crate::names;
use crate::request::emergency::DirectEmergency;
use crate::review::DirectChange;
use crate::seen::{Found, Seen};
use crate::session::Session;
use crate::validation::{Candidate, Validated};

/// What stands for a draft in the record of a roll back.
const ROLLBACK: &str = "rollback";

/// Something that is allowed but worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// About which key; `None` where it is about the namespace as a whole.
    pub key: Option<Key>,
    /// What.
    pub detail: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "`{key}`: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

/// What to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The draft.
    pub draft: DraftName,
    /// Its head, as the caller has seen it.
    pub expected_head: ExpectedHead,
    /// Only these keys; the rest stays in the draft.
    pub keys: Option<BTreeSet<Key>>,
    /// Message of the published commit; that of the draft's newest where absent.
    pub message: Option<String>,
    /// Why it goes past review, freeze and guards, where it shall.
    pub emergency: Option<String>,
    /// Whether deprecated keys may be set or changed.
    pub acknowledge_deprecated: bool,
}

/// What to publish again.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The published revision whose content is wanted.
    pub to: Revision,
    /// Only these keys.
    pub keys: Option<BTreeSet<Key>>,
    /// The published head, as the caller has seen it.
    pub expected_head: ExpectedHead,
    /// Why.
    pub message: Option<String>,
    /// Why it goes past freeze and guards, where it shall.
    pub emergency: Option<String>,
    /// Whether deprecated keys may be set or changed.
    pub acknowledge_deprecated: bool,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where.
    pub namespace: Namespace,
    /// The published commit.
    pub commit: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
    /// The published head before.
    pub previous: Option<ObjectId>,
    /// The operation.
    pub committed: Committed,
    /// Keys that changed.
    pub keys: Vec<Key>,
    /// Whether other keys had moved since the draft began and were merged.
    pub merged: bool,
    /// The number under which it is kept among the publish requests: an emergency.
    pub request: Option<u64>,
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
}

impl Session {
    /// Publishes a draft. Where the published head moved since the draft began, the two are merged key
    /// by key.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Unchanged`], [`Error::Stale`], [`Error::Denied`],
    /// [`Error::Refused`] where it takes a request, [`Error::Invalid`] for keys that the draft does not
    /// change.
    pub fn publish(&self, namespace: &Namespace, publish: &Publish) -> Result<Published, Error> {
        let intent = Intent {
            action: match publish.emergency {
                None => "publish",
                Some(_) => "publish-emergency",
            },
            about: names::published(namespace)?,
            digest: Digest::new("publish")
                .with(namespace.as_str())
                .with(publish.draft.as_str())
                .with(publish.expected_head.part())
                .with(keys_part(publish.keys.as_ref()))
                .with(publish.message.as_deref().unwrap_or("\0"))
                .with(publish.emergency.as_deref().unwrap_or("\0"))
                .with([u8::from(publish.acknowledge_deprecated)])
                .finish(),
            detail: serde_json::json!({
                "namespace": namespace,
                "draft": publish.draft,
                "emergency": publish.emergency,
            }),
            session: self,
        };
        let mut warnings = Vec::new();
        let (outcome, committed) = intent.carry_out(|evaluation| {
            evaluation.permit(namespace, Permission::ConfigPublish)?;
            let head = evaluation.draft_head(namespace, &publish.draft)?;
            publish
                .expected_head
                .check(What::Draft, &publish.draft, Some(head.id))?;
            let message = publish
                .message
                .clone()
                .unwrap_or_else(|| head.commit.message.clone());
            let tree = head.commit.tree;
            let proposal = Proposal {
                draft: &publish.draft,
                head,
                tree,
                keys: publish.keys.as_ref(),
                message,
            };
            let (outcome, found) = evaluation.publish_draft(
                namespace,
                proposal,
                publish.emergency.as_deref(),
                publish.acknowledge_deprecated,
            )?;
            warnings = found;
            Ok(outcome)
        })?;
        self.published(namespace, &outcome, committed, warnings)
    }

    /// Publishes the content of an earlier revision again, as a new commit with the old tree.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unchanged`], [`Error::Stale`], [`Error::Denied`],
    /// [`Error::Refused`] in a freeze or beyond a guard, [`Error::Invalid`] where the revision was never
    /// published.
    pub fn rollback(&self, namespace: &Namespace, rollback: &Rollback) -> Result<Published, Error> {
        let about = names::published(namespace)?;
        let intent = Intent {
            action: match rollback.emergency {
                None => "rollback",
                Some(_) => "rollback-emergency",
            },
            about: about.clone(),
            digest: Digest::new("rollback")
                .with(namespace.as_str())
                .with(rollback.to.to_string())
                .with(rollback.expected_head.part())
                .with(keys_part(rollback.keys.as_ref()))
                .with(rollback.message.as_deref().unwrap_or("\0"))
                .with(rollback.emergency.as_deref().unwrap_or("\0"))
                .with([u8::from(rollback.acknowledge_deprecated)])
                .finish(),
            detail: serde_json::json!({
                "namespace": namespace,
                "to": rollback.to,
                "emergency": rollback.emergency,
            }),
            session: self,
        };
        let mut warnings = Vec::new();
        let (outcome, committed) = intent.carry_out(|evaluation| {
            evaluation.permit(namespace, Permission::ConfigRollback)?;
            if rollback.emergency.is_some() {
                evaluation.permit(namespace, Permission::ConfigPublish)?;
            }
            let head = evaluation.head(&about)?;
            rollback.expected_head.check(
                What::Published,
                namespace,
                head.as_ref().map(|head| head.id),
            )?;
            let to = evaluation.resolve(namespace, &rollback.to)?;
            let target = to.must()?;
            if to.position.is_none() {
                let detail = "it was never published; publish a draft instead";
                return Err(Error::invalid(
                    format!("revision `{}`", rollback.to),
                    detail,
                ));
            }
            let (head, place) = evaluation
                .published(namespace)?
                .ok_or_else(|| Error::bug("a line without a head"))?;
            let tree = match &rollback.keys {
                None => to.tree,
                Some(keys) => evaluation.with_keys_of(&head.commit.tree, &to.tree, keys)?,
            };
            if tree == head.commit.tree {
                let reason = format!("the published content is that of {} already", rollback.to);
                return Err(Error::Unchanged {
                    namespace: namespace.clone(),
                    reason,
                });
            }
            evaluation.pass_directly(&DirectChange {
                namespace,
                way: Direct::Rollback,
                emergency: rollback.emergency.as_deref(),
                head: None,
                old_tree: head.commit.tree,
                new_tree: tree,
            })?;
            let candidate = Candidate {
                namespace: namespace.clone(),
                old_tree: head.commit.tree,
                new_tree: tree,
            };
            let validated = evaluation.validate(&[candidate], rollback.acknowledge_deprecated)?;
            let message = match &rollback.message {
                Some(message) => message.clone(),
                None => format!("roll back to {} ({target:?})", rollback.to),
            };
            let mut commit = evaluation.new_commit(namespace.to_string(), tree, message)?;
            commit.parents = vec![head.id];
            commit.generation = head.commit.generation + 1;
            evaluation.validated_by(namespace, &mut commit, &validated)?;
            warnings = validated.warnings;
            if rollback.emergency.is_some() {
                commit.request = Some(evaluation.next_request()?);
            }
            let commit = evaluation.put_commit(commit)?;
            evaluation.publish(namespace, Some(&place), &commit)?;
            let mut outcome = Outcome {
                commit: Some(commit.id),
                previous: Some(head.id),
                ..Outcome::default()
            };
            if let (Some(number), Some(reason)) = (commit.commit.request, &rollback.emergency) {
                let emergency = DirectEmergency {
                    number,
                    namespace,
                    draft: ROLLBACK.parse().map_err(Error::bug)?,
                    head: target,
                    keys: rollback
                        .keys
                        .as_ref()
                        .map(|keys| keys.iter().cloned().collect()),
                    message: &commit.commit.message,
                    reason,
                };
                evaluation.record_emergency(emergency, &mut outcome)?;
            }
            Ok(outcome)
        })?;
        self.published(namespace, &outcome, committed, warnings)
    }

    /// What was published, from what it came to.
    pub(crate) fn published(
        &self,
        namespace: &Namespace,
        outcome: &Outcome,
        committed: Committed,
        warnings: Vec<Warning>,
    ) -> Result<Published, Error> {
        let seen = self.look()?;
        let commit = outcome
            .commit
            .ok_or_else(|| Error::bug("something was published without a commit"))?;
        let tree = seen.tree_of(Some(&commit))?;
        let mut keys = Vec::new();
        tree::diff_each(
            seen.objects(),
            &seen.tree_of(outcome.previous.as_ref())?,
            &tree,
            &mut |change| {
                keys.push(change.key);
                ControlFlow::Continue(())
            },
        )?;
        Ok(Published {
            namespace: namespace.clone(),
            commit,
            tree,
            previous: outcome.previous,
            committed,
            keys: keys.iter().map(entry_key).collect::<Result<_, _>>()?,
            merged: outcome.merged,
            request: outcome.request,
            warnings,
        })
    }
}

pub(crate) fn keys_part(keys: Option<&BTreeSet<Key>>) -> String {
    match keys {
        None => "all".to_owned(),
        Some(keys) => keys.iter().map(|key| format!("\0{key}")).collect(),
    }
}

/// A draft to be published.
pub(crate) struct Proposal<'p> {
    pub draft: &'p DraftName,
    /// Its head.
    pub head: Found,
    /// What it has: the head's tree, or that with more changes.
    pub tree: ObjectId,
    pub keys: Option<&'p BTreeSet<Key>>,
    pub message: String,
}

/// What of a draft is published, and what stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    pub published: BTreeMap<TreeKey, Option<Leaf>>,
    pub rest: BTreeMap<TreeKey, Option<Leaf>>,
    /// Whether keys that stay changed on both sides.
    pub rest_conflicts: bool,
}

/// A draft merged into what is published, before anything moves.
#[derive(Debug)]
pub(crate) struct Merged {
    /// What is published now.
    pub published: Option<(Found, Place)>,
    /// Root of its tree.
    pub old_tree: ObjectId,
    /// Root of the tree that is to be published; its new pages are staged.
    pub new_tree: ObjectId,
    /// Whether the published head moved since the draft began.
    pub moved: bool,
    split: Split,
}

impl Seen<'_> {
    /// Merges a draft into what is published, and divides its changes by `keys`.
    pub(crate) fn split(
        &self,
        objects: &dyn ReadObjects,
        namespace: &Namespace,
        base: Option<&Place>,
        published: Option<&(Found, Place)>,
        theirs: &ObjectId,
        keys: Option<&BTreeSet<Key>>,
    ) -> Result<Split, Error> {
        let base_tree = self.tree_of(base.map(|place| place.commit).as_ref())?;
        let ours = published.map_or(self.repo.empty_tree, |(head, _)| head.commit.tree);
        let merged = tree::merge(objects, &base_tree, &ours, theirs)?;
        let wanted: Option<BTreeSet<TreeKey>> = keys
            .map(|keys| keys.iter().map(tree_key).collect::<Result<_, _>>())
            .transpose()?;
        let is_wanted = |key: &TreeKey| wanted.as_ref().is_none_or(|wanted| wanted.contains(key));

        let (in_the_way, elsewhere): (Vec<_>, Vec<_>) = merged
            .conflicts
            .into_iter()
            .partition(|conflict| is_wanted(&conflict.key));
        if !in_the_way.is_empty() {
            let entry = |leaf: Option<Leaf>| -> Result<Option<Entry>, Error> {
                Ok(leaf.map(|leaf| read_entry(objects, &leaf)).transpose()?)
            };
            let conflicts = in_the_way
                .into_iter()
                .map(|conflict| {
                    Ok(KeyConflict {
                        key: entry_key(&conflict.key)?,
                        base: entry(conflict.base)?,
                        ours: entry(conflict.ours)?,
                        theirs: entry(conflict.theirs)?,
                    })
                })
                .collect::<Result<_, Error>>()?;
            return Err(Error::Conflict {
                namespace: namespace.clone(),
                conflicts,
            });
        }
        let (published, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = merged
            .edits
            .into_iter()
            .partition(|(key, _)| is_wanted(key));
        let idle: Vec<Problem> = keys
            .into_iter()
            .flatten()
            .filter(|key| tree_key(key).is_ok_and(|key| !published.contains_key(&key)))
            .map(|key| Problem::of_key(key, "the draft does not change it"))
            .collect();
        if !idle.is_empty() && !published.is_empty() {
            return Err(Error::Invalid {
                what: "list of keys to publish".to_owned(),
                problems: idle,
            });
        }
        Ok(Split {
            published,
            rest,
            rest_conflicts: !elsewhere.is_empty(),
        })
    }
}

impl Evaluation<'_> {
    /// Publishes changes that no commit of a draft has yet. Where the draft exists, the rest of it stays.
    pub(crate) fn publish_change<'k>(
        &mut self,
        namespace: &Namespace,
        draft: &DraftName,
        changed: &Changed,
        keys: impl Iterator<Item = &'k Key>,
        message: String,
        acknowledge_deprecated: bool,
    ) -> Result<(Outcome, Vec<Warning>), Error> {
        self.permit(namespace, Permission::ConfigPublish)?;
        if let Some(head) = &changed.draft {
            let keys = keys.cloned().collect();
            let proposal = Proposal {
                draft,
                head: head.clone(),
                tree: changed.tree,
                keys: Some(&keys),
                message,
            };
            return self.publish_draft(namespace, proposal, None, acknowledge_deprecated);
        }
        if changed.tree == changed.old_tree {
            return Err(Error::Unchanged {
                namespace: namespace.clone(),
                reason: "it is published so already".to_owned(),
            });
        }
        self.pass_directly(&DirectChange {
            namespace,
            way: Direct::Publish,
            emergency: None,
            head: None,
            old_tree: changed.old_tree,
            new_tree: changed.tree,
        })?;
        let published = self.published(namespace)?;
        let candidate = Candidate {
            namespace: namespace.clone(),
            old_tree: changed.old_tree,
            new_tree: changed.tree,
        };
        let validated = self.validate(&[candidate], acknowledge_deprecated)?;
        let mut commit = self.new_commit(namespace.to_string(), changed.tree, message)?;
        follow(&mut commit, published.as_ref().map(|(head, _)| head));
        self.validated_by(namespace, &mut commit, &validated)?;
        let commit = self.put_commit(commit)?;
        self.publish(
            namespace,
            published.as_ref().map(|(_, place)| place),
            &commit,
        )?;
        let previous = published.map(|(head, _)| head.id);
        let outcome = Outcome {
            commit: Some(commit.id),
            previous,
            ..Outcome::default()
        };
        Ok((outcome, validated.warnings))
    }

    fn publish_draft(
        &mut self,
        namespace: &Namespace,
        proposal: Proposal<'_>,
        emergency: Option<&str>,
        acknowledge_deprecated: bool,
    ) -> Result<(Outcome, Vec<Warning>), Error> {
        let merged = self.merge_draft(namespace, &proposal)?;
        self.pass_directly(&DirectChange {
            namespace,
            way: Direct::Publish,
            emergency,
            head: Some(proposal.head.id),
            old_tree: merged.old_tree,
            new_tree: merged.new_tree,
        })?;
        let candidate = Candidate {
            namespace: namespace.clone(),
            old_tree: merged.old_tree,
            new_tree: merged.new_tree,
        };
        let validated = self.validate(&[candidate], acknowledge_deprecated)?;
        let recorded = match emergency {
            Some(reason) => Some((self.next_request()?, reason)),
            None => None,
        };
        let (draft, head) = (proposal.draft.clone(), proposal.head.id);
        let keys = proposal.keys.map(|keys| keys.iter().cloned().collect());
        let message = proposal.message.clone();
        let number = recorded.map(|(number, _)| number);
        let commit = self.publish_merged(namespace, proposal, &merged, &validated, number)?;
        let mut outcome = Outcome {
            commit: Some(commit),
            previous: merged.published.map(|(head, _)| head.id),
            merged: merged.moved,
            ..Outcome::default()
        };
        if let Some((number, reason)) = recorded {
            let emergency = DirectEmergency {
                number,
                namespace,
                draft,
                head,
                keys,
                message: &message,
                reason,
            };
            self.record_emergency(emergency, &mut outcome)?;
        }
        Ok((outcome, validated.warnings))
    }

    /// Merges a draft into what is published; nothing moves yet.
    pub(crate) fn merge_draft(
        &mut self,
        namespace: &Namespace,
        proposal: &Proposal<'_>,
    ) -> Result<Merged, Error> {
        let published = self.published(namespace)?;
        let base = self.base_of(namespace, &proposal.head)?;
        let split = self.split(
            &self.with_new(),
            namespace,
            base.as_ref(),
            published.as_ref(),
            &proposal.tree,
            proposal.keys,
        )?;
        let old_tree = published
            .as_ref()
            .map_or(self.repo.empty_tree, |(head, _)| head.commit.tree);
        if split.published.is_empty() {
            let reason = format!(
                "draft `{}` has nothing that is not published already",
                proposal.draft
            );
            return Err(Error::Unchanged {
                namespace: namespace.clone(),
                reason,
            });
        }
        let new_tree = self.edit_tree(&old_tree, &split.published)?;
        self.check_keys(&new_tree)?;
        let moved = base.map(|base| base.commit) != published.as_ref().map(|(head, _)| head.id);
        Ok(Merged {
            published,
            old_tree,
            new_tree,
            moved,
            split,
        })
    }

    /// Moves the published head to what was merged, and gives the commit. What was not picked stays in
    /// the draft.
    pub(crate) fn publish_merged(
        &mut self,
        namespace: &Namespace,
        proposal: Proposal<'_>,
        merged: &Merged,
        validated: &Validated,
        request: Option<u64>,
    ) -> Result<ObjectId, Error> {
        let commit = self.commit_merged(namespace, &proposal, merged, validated, request)?;
        let place = merged.published.as_ref().map(|(_, place)| place);
        self.publish(namespace, place, &commit)?;
        let Proposal {
            draft, head, tree, ..
        } = proposal;
        self.keep_rest(namespace, draft, &head, &tree, &commit, &merged.split)?;
        Ok(commit.id)
    }

    /// Stages the commit of what was merged.
    pub(crate) fn commit_merged(
        &mut self,
        namespace: &Namespace,
        proposal: &Proposal<'_>,
        merged: &Merged,
        validated: &Validated,
        request: Option<u64>,
    ) -> Result<Found, Error> {
        let head = &proposal.head;
        let published = merged.published.as_ref();
        let message = proposal.message.clone();
        let mut commit = self.new_commit(namespace.to_string(), merged.new_tree, message)?;
        follow(&mut commit, published.map(|(head, _)| head));
        commit.change_id = head.commit.change_id;
        commit.request = request;
        if proposal.tree == head.commit.tree {
            commit.author = head.commit.author.clone();
            commit.author_time = head.commit.author_time;
            commit.origin = Some(head.id);
        }
        self.validated_by(namespace, &mut commit, validated)?;
        self.put_commit(commit)
    }

    /// Removes a draft of which everything is published, else puts the rest of it on top of the new head.
    fn keep_rest(
        &mut self,
        namespace: &Namespace,
        draft: &DraftName,
        head: &Found,
        tree: &ObjectId,
        published: &Found,
        split: &Split,
    ) -> Result<(), Error> {
        let name = names::draft(namespace, draft)?;
        if split.rest.is_empty() && !split.rest_conflicts {
            self.set(name, None);
            return Ok(());
        }
        let mut commit = (*head.commit).clone();
        if split.rest_conflicts {
            // Moved to the new head, the draft would undo what changed underneath without anybody
            // having seen it. It keeps its base; what is published is the same on both sides from now on.
            if *tree == head.commit.tree {
                return Ok(());
            }
            commit.tree = *tree;
            follow(&mut commit, Some(head));
        } else {
            commit.tree = self.edit_tree(&published.commit.tree, &split.rest)?;
            follow(&mut commit, Some(published));
            // Who made the rest must stay known: nobody approves what they made.
            commit.parents.push(head.id);
            commit.generation = commit.generation.max(head.commit.generation + 1);
        }
        commit.committer = self.person();
        commit.commit_time = self.moment();
        let commit = self.put_commit(commit)?;
        self.set_commit(name, commit.id);
        Ok(())
    }

    /// `tree` with what `source` has for these keys.
    fn with_keys_of(
        &mut self,
        tree: &ObjectId,
        source: &ObjectId,
        keys: &BTreeSet<Key>,
    ) -> Result<ObjectId, Error> {
        let mut edits = BTreeMap::new();
        for key in keys {
            let (old, new) = (self.leaf(tree, key)?, self.leaf(source, key)?);
            if old.is_none() && new.is_none() {
                return Err(Error::not_found(What::Entry, key));
            }
            if old != new {
                edits.insert(tree_key(key)?, new);
            }
        }
        if edits.is_empty() {
            Ok(*tree)
        } else {
            self.edit_tree(tree, &edits)
        }
    }
}

/// Puts a commit on top of another.
fn follow(commit: &mut confman_object_store::Commit, parent: Option<&Found>) {
    commit.parents = parent.iter().map(|parent| parent.id).collect();
    commit.generation = parent.map_or(1, |parent| parent.commit.generation + 1);
}
