//! What a change of published heads must satisfy: the schemas of every namespace that it reaches.
//!
//! INVARIANT: the work is proportional to the namespaces whose effective documents change; of every
//! other that inherits, only the changed keys are looked up.
//! INVARIANT: every ref that is looked at is remembered, so that no schema, document or head changes
//! between validating and publishing.

pub(crate) mod layer;
pub(crate) mod reach;

use std::collections::{BTreeMap, BTreeSet};

use confman_model::document::{SchemaEnforcement, Settings};
use confman_model::{Key, Namespace};
use confman_object_store::{Commit, ObjectId, ReadObjects};
use confman_policy::Violation;
use confman_policy::schema::{EffectiveDocument, Place};

use self::layer::OwnLayer;
use self::reach::{Reach, Reached, Side};
use crate::chain::ChainLink;
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::names;
use crate::publish::Warning;
use crate::schema::Schemas;
use crate::seen::Seen;

/// A published head that is to move.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Whose.
    pub namespace: Namespace,
    /// Root of the tree that is published.
    pub old_tree: ObjectId,
    /// Root of the tree that is to be published; its new pages are staged.
    pub new_tree: ObjectId,
}

/// What validating came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validated {
    /// What is allowed but worth knowing.
    pub warnings: Vec<Warning>,
    /// The schema documents (their commits) that were applied in each namespace that is published, for
    /// the commits that are made.
    pub schemas: BTreeMap<Namespace, Vec<ObjectId>>,
}

/// What schemas say to a change, whether or not it is enforced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    /// Rules that are broken and stand in the way.
    pub violations: Vec<Violation>,
    /// Rules that are broken and do not, and what else is worth knowing.
    pub warnings: Vec<Warning>,
    /// See [`Validated::schemas`].
    pub schemas: BTreeMap<Namespace, Vec<ObjectId>>,
}

/// How far judging goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging {
    /// Whether deprecated keys may be set or changed.
    pub acknowledge_deprecated: bool,
    /// Whether the namespaces below are looked at.
    pub descendants: bool,
}

impl Evaluation<'_> {
    /// Validates what becomes of every namespace, descendants included, whose effective document
    /// changes when all these heads move together.
    pub(crate) fn validate(
        &self,
        candidates: &[Candidate],
        acknowledge_deprecated: bool,
    ) -> Result<Validated, Error> {
        let judging = Judging {
            acknowledge_deprecated,
            descendants: true,
        };
        let judged = self.judge(&self.with_new(), candidates, judging)?;
        judged.enforced("publishing", candidates)
    }

    /// Validates what becomes of a namespace by a draft, where nothing invalid may even be drafted.
    pub(crate) fn validate_draft(
        &self,
        namespace: &Namespace,
        draft_tree: ObjectId,
    ) -> Result<Vec<Warning>, Error> {
        let settings = self.settings(namespace)?;
        if settings.schema_enforcement != Some(SchemaEnforcement::OnWrite) {
            return Ok(Vec::new());
        }
        let published = self.head(&names::published(namespace)?)?;
        let candidate = Candidate {
            namespace: namespace.clone(),
            old_tree: published.map_or(self.repo.empty_tree, |head| head.commit.tree),
            new_tree: draft_tree,
        };
        let judging = Judging {
            acknowledge_deprecated: true,
            descendants: false,
        };
        let candidates = [candidate];
        let judged = self.judge(&self.with_new(), &candidates, judging)?;
        Ok(judged.enforced("the draft", &candidates)?.warnings)
    }

    /// Writes into a commit to be published what it was validated against.
    pub(crate) fn validated_by(
        &self,
        namespace: &Namespace,
        commit: &mut Commit,
        validated: &Validated,
    ) -> Result<(), Error> {
        commit.policy = self.get(&names::policy(namespace)?).map(|policy| policy.id);
        commit.schemas = validated
            .schemas
            .get(namespace)
            .cloned()
            .unwrap_or_default();
        Ok(())
    }
}

impl Judged {
    /// Refuses what stands in the way.
    fn enforced(self, what: &str, candidates: &[Candidate]) -> Result<Validated, Error> {
        if self.violations.is_empty() {
            return Ok(Validated {
                warnings: self.warnings,
                schemas: self.schemas,
            });
        }
        let places: Vec<String> = candidates
            .iter()
            .map(|candidate| format!("`{}`", candidate.namespace))
            .collect();
        Err(Error::Schema {
            what: format!("{what} in {}", places.join(", ")),
            violations: self.violations,
            hidden: 0,
        })
    }
}

impl Seen<'_> {
    /// Says which rules are broken when all these heads move together.
    pub(crate) fn judge(
        &self,
        objects: &dyn ReadObjects,
        candidates: &[Candidate],
        judging: Judging,
    ) -> Result<Judged, Error> {
        let reach = Reach::new(self, objects, candidates)?;
        let schemas = Schemas::new(self);
        let mut judged = Judged::default();
        if judging.descendants {
            // Namespaces that come to be below meanwhile must be seen too.
            self.get(&names::namespaces()?);
        }
        for namespace in reach.in_reach(judging.descendants) {
            let Some(reached) = reach.reached(&namespace)? else {
                continue;
            };
            if reached.changes.is_empty() && !reach.is_candidate(&namespace) {
                continue;
            }
            judge_one(&reach, &schemas, &reached, judging, &mut judged)?;
        }
        Ok(judged)
    }

    /// The effective document of a namespace as it is published, as schemas see it.
    pub(crate) fn document_of(&self, links: &[ChainLink]) -> Result<EffectiveDocument, Error> {
        let mut layers = Vec::with_capacity(links.len());
        for link in links {
            let head = self.head(&names::published(&link.namespace)?)?;
            let tree = head.map_or(self.repo.empty_tree, |head| head.commit.tree);
            layers.push(self.repo.layers.of(self.objects(), &tree)?);
        }
        Ok(resolve(&layers))
    }
}

/// What schemas say to what becomes of one namespace.
fn judge_one(
    reach: &Reach<'_>,
    schemas: &Schemas<'_>,
    reached: &Reached,
    judging: Judging,
    judged: &mut Judged,
) -> Result<(), Error> {
    let attached: Vec<&ChainLink> = reached
        .links
        .iter()
        .filter(|link| link.document.schema.is_some())
        .collect();
    if attached.is_empty() {
        return Ok(());
    }
    let settings = effective_settings(&reached.links);
    let mode = settings.schema_enforcement;
    if mode == Some(SchemaEnforcement::Off) {
        return Ok(());
    }
    let namespace = &reached.namespace;
    let is_candidate = reach.is_candidate(namespace);
    let new = reach.document(&reached.links, Side::New)?;
    let mut old: Option<EffectiveDocument> = None;
    let changes: Vec<_> = reached
        .changes
        .iter()
        .map(|change| change.to_key_change())
        .collect();
    let changed: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    let mut violations = Vec::new();
    for link in attached {
        let Some(reference) = &link.document.schema else {
            continue;
        };
        let place = Place {
            namespace,
            attached_by: &link.namespace,
            environment: settings.environment.as_deref(),
        };
        let compiled = match schemas.compiled(&reference.path)? {
            Ok(compiled) => compiled,
            Err(error) => {
                violations.push(schemas.unusable(&reference.path, place, &error));
                continue;
            }
        };
        if is_candidate {
            let ids = schemas.ids(&compiled)?;
            judged
                .schemas
                .entry(namespace.clone())
                .or_default()
                .extend(ids);
        }
        let mut found = compiled.violations(&new, place);
        if !is_candidate && !found.is_empty() {
            // A namespace below must not keep those above from changing what it does not even see:
            // what was broken there before, in keys that stay, is no reason to refuse.
            let old = match &mut old {
                Some(old) => old,
                none => none.insert(reach.document(&reached.links, Side::Old)?),
            };
            let before = compiled.violations(old, place);
            let stays = |violation: &Violation| {
                let touched = violation
                    .key
                    .as_ref()
                    .is_some_and(|key| changed.contains(key));
                !touched && before.contains(violation)
            };
            let (known, fresh): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| stays(it));
            judged.warnings.extend(known.iter().map(warning));
            found = fresh;
        }
        violations.extend(found);
        violations.extend(compiled.change_violations(&changes, place));
        if is_candidate {
            let set = changes
                .iter()
                .filter(|change| change.has)
                .map(|change| &change.key);
            let own: BTreeSet<&Key> = reach.changed(namespace).collect();
            let deprecated = compiled.deprecations(set.filter(|key| own.contains(key)), place);
            match judging.acknowledge_deprecated {
                true => judged.warnings.extend(deprecated.iter().map(warning)),
                false => violations.extend(deprecated.into_iter().map(|mut violation| {
                    violation.detail.push_str("; to set it, acknowledge that");
                    violation
                })),
            }
        }
    }
    if let Some(ids) = judged.schemas.get_mut(namespace) {
        ids.sort();
        ids.dedup();
    }
    match mode {
        Some(SchemaEnforcement::Warn) => judged.warnings.extend(violations.iter().map(warning)),
        _ => judged.violations.append(&mut violations),
    }
    Ok(())
}

/// The settings that hold at the first link of a chain.
pub(crate) fn effective_settings(links: &[ChainLink]) -> Settings {
    Settings::effective(links.iter().map(|link| &link.document.settings))
        .or(&Settings::system_defaults())
}

/// A rule that is broken and does not stand in the way.
pub(crate) fn warning(violation: &Violation) -> Warning {
    Warning {
        key: violation.key.clone(),
        detail: violation.to_string(),
    }
}

/// Lays the own entries of a chain over one another, nearest first.
fn resolve(layers: &[OwnLayer]) -> EffectiveDocument {
    let keys = layers.iter().map(|layer| layer.entries.len()).sum();
    let mut document = EffectiveDocument::with_capacity(keys);
    for (depth, layer) in layers.iter().enumerate() {
        let nearer = layers.get(..depth).unwrap_or_default();
        for (key, own) in &layer.entries {
            let Some(entry_type) = own.entry_type else {
                continue;
            };
            if !nearer.iter().any(|layer| layer.entries.contains_key(key)) {
                document.insert(key, entry_type, own.json.clone(), own.bytes);
            }
        }
    }
    document
}
