//! What the rules of publishing need to know, read from one view; and the gate that everything passes
//! which is published without a request.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use confman_layout::{entry_key, is_tombstone, read_details, read_entry, value_bytes};
use confman_model::document::{ChangeKind, Settings};
use confman_model::{DiffKind, EntryDiff, Namespace};
use confman_object_store::tree::{Leaf, TreeKey};
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::request::{self, ChangeFacts, Direct, Facts, Refusal, Standing, TargetFacts};
use confman_policy::{Permission, Subject};

use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::seen::{DRAFT_COMMITS_MAX, Seen};

/// A published head that is to move without a request.
pub(crate) struct DirectChange<'c> {
    /// Whose.
    pub namespace: &'c Namespace,
    /// How.
    pub way: Direct,
    /// Why it goes past the rules, where it shall.
    pub emergency: Option<&'c str>,
    /// The commit whose makers are asked for beside the actor, where there is one.
    pub head: Option<ObjectId>,
    /// Root of the tree that is published.
    pub old_tree: ObjectId,
    /// Root of the tree that is to be published.
    pub new_tree: ObjectId,
}

impl Evaluation<'_> {
    /// Refuses what takes a request, is frozen or is beyond a guard.
    pub(crate) fn pass_directly(&self, change: &DirectChange<'_>) -> Result<(), Error> {
        let settings = self.settings(change.namespace)?;
        let ruled = settings.require_approval == Some(true)
            || settings.guards.is_some()
            || settings.freeze.is_some();
        if !ruled && change.emergency.is_none() {
            return Ok(());
        }
        let objects = self.with_new();
        let changes = match looks_at_changes(&settings) {
            true => changes_between(&objects, &change.old_tree, &change.new_tree)?,
            false => Vec::new(),
        };
        let committers = match (&settings.auto_approve, change.head) {
            (Some(_), Some(head)) => self.committers(&objects, change.namespace, head)?,
            _ => BTreeSet::new(),
        };
        let mut people = committers.clone();
        people.insert(self.actor.principal().to_owned());
        let target = TargetFacts {
            namespace: change.namespace.clone(),
            actor_may: BTreeSet::new(),
            committers,
            changes,
            keys_before: tree::count(&objects, &change.old_tree)?,
            standings: self.standings(change.namespace, &people)?,
            settings,
        };
        let facts = Facts {
            actor: self.actor.principal().to_owned(),
            now_ms: self.now_ms,
            proposal: None,
            targets: vec![target],
        };
        match request::publish_directly(&facts, change.way, change.emergency) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(self.refused(
                format!("publishing in `{}` directly", change.namespace),
                None,
                refusal,
            )),
        }
    }
}

/// Whether the rules of a namespace ask what changes.
pub(crate) fn looks_at_changes(settings: &Settings) -> bool {
    settings.guards.is_some()
        || (settings.require_approval == Some(true) && settings.auto_approve.is_some())
}

impl Seen<'_> {
    /// A refusal as an error. A missing permission is told as everywhere else.
    pub(crate) fn refused(&self, what: String, request: Option<u64>, refusal: Refusal) -> Error {
        if let Refusal::Permission {
            namespace,
            permission,
        } = &refusal
            && let Err(error) = self.permit(namespace, *permission)
        {
            return error;
        }
        Error::Refused {
            what,
            request,
            refusal,
        }
    }

    /// The principals who made the commits of a draft that are not on the published line.
    pub(crate) fn committers(
        &self,
        objects: &dyn ReadObjects,
        namespace: &Namespace,
        head: ObjectId,
    ) -> Result<BTreeSet<String>, Error> {
        let line = self.line(namespace)?;
        let mut committers = BTreeSet::new();
        let mut waiting = vec![head];
        let mut visited = HashSet::new();
        while let Some(id) = waiting.pop() {
            if !visited.insert(id) || line.place_of(&id)?.is_some() {
                continue;
            }
            if visited.len() > DRAFT_COMMITS_MAX {
                return Err(Error::LimitExceeded {
                    what: "commits in a draft",
                    limit: DRAFT_COMMITS_MAX as u64,
                    actual: visited.len() as u64,
                });
            }
            let commit = objects.commit(&id)?;
            for person in [&commit.author, &commit.committer] {
                if !person.principal.is_empty() {
                    committers.insert(person.principal.clone());
                }
            }
            waiting.extend(commit.parents.iter().copied());
        }
        Ok(committers)
    }

    /// What these principals are in a namespace now; who does not exist is left out.
    pub(crate) fn standings(
        &self,
        namespace: &Namespace,
        people: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Standing>, Error> {
        let mut standings = BTreeMap::new();
        for principal in people {
            if let Some(subject) = self.subject_of(principal)? {
                let decision = self.decide(namespace, &subject, Permission::NamespaceRead)?;
                let Subject { groups, .. } = subject;
                let role = decision.role;
                standings.insert(principal.clone(), Standing { role, groups });
            }
        }
        Ok(standings)
    }

    /// Everything that the actor may do in a namespace.
    pub(crate) fn actor_may(&self, namespace: &Namespace) -> Result<BTreeSet<Permission>, Error> {
        let mut may = BTreeSet::new();
        for permission in Permission::ALL {
            if self.may(namespace, permission)? {
                may.insert(permission);
            }
        }
        Ok(may)
    }
}

/// What differs between two trees, as the rules see it.
fn changes_between(
    objects: &dyn ReadObjects,
    old_tree: &ObjectId,
    new_tree: &ObjectId,
) -> Result<Vec<ChangeFacts>, Error> {
    let mut found = Vec::new();
    tree::diff_each(objects, old_tree, new_tree, &mut |change| {
        found.push(change);
        ControlFlow::Continue(())
    })?;
    found
        .iter()
        .map(|change| {
            change_facts(
                objects,
                &change.key,
                change.old.as_ref(),
                change.new.as_ref(),
            )
        })
        .collect()
}

/// What becomes of a key, as the rules see it.
pub(crate) fn change_facts(
    objects: &dyn ReadObjects,
    key: &TreeKey,
    old: Option<&Leaf>,
    new: Option<&Leaf>,
) -> Result<ChangeFacts, Error> {
    let key = entry_key(key)?;
    let hides = |leaf: Option<&Leaf>| leaf.is_some_and(is_tombstone);
    let kind = match (old, new) {
        // Whoever hides what is inherited takes a value away, and so does whoever unsets their own.
        _ if hides(new) && !hides(old) => ChangeKind::Remove,
        (None, _) => ChangeKind::Add,
        (Some(_), None) => ChangeKind::Remove,
        (Some(old), Some(new)) => {
            let (old, new) = (read_entry(objects, old)?, read_entry(objects, new)?);
            match EntryDiff::between(&key, Some(&old), Some(&new)) {
                Some(diff) if diff.kind == DiffKind::FormatOnly => ChangeKind::FormatOnly,
                _ => ChangeKind::Change,
            }
        }
    };
    let tags = match old {
        Some(old) => read_details(objects, old)?.tags,
        None => BTreeSet::new(),
    };
    let bytes = |leaf: Option<&Leaf>| {
        let bytes = leaf.map_or(0, value_bytes);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    Ok(ChangeFacts {
        key,
        kind,
        tags,
        growth_bytes: bytes(new).saturating_sub(bytes(old)),
    })
}
