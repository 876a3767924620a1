//! Secrets that have been published for longer than their schema allows: listed, and announced once a day by
//! an operation in each namespace that has some.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use confman_model::document::SchemaEnforcement;
use confman_model::{Key, Namespace};
use confman_policy::Permission;
use confman_policy::schema::Rule;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::error::Error;
use crate::evaluation::{Digest, Intent, Outcome};
use crate::names;
use crate::record::RecordDocument;
use crate::repo::Repo;
use crate::schema::Schemas;
use crate::seen::Seen;
use crate::session::Session;
use crate::validation::effective_settings;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often secrets that are to be replaced are looked for, by whoever announces them.
pub const ROTATIONS_LOOKED_AT_EVERY_MS: i64 = 60 * 60 * 1000;
/// Most keys that an announcement names.
pub const ROTATIONS_ANNOUNCED_MAX: usize = 1000;
/// Who announces.
const ANNOUNCER: &str = "confman:rotations";

/// A secret that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The namespace that has the entry.
    pub namespace: Namespace,
    /// Its key.
    pub key: Key,
    /// When the value was published, in milliseconds since 1970.
    pub published_ms: i64,
    /// Whole days since then.
    pub days_published: u64,
    /// After how many days it is to be replaced: the least that a schema says.
    pub rotation_days: u32,
}

/// Secrets that are to be replaced.
#[derive(Clone, Debug)]
pub struct Rotations {
    /// Longest overdue first.
    pub rotations: Vec<Rotation>,
    /// Whether namespaces were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// The own published entries of namespaces at and below `prefix` that are older than
    /// `x-confman-rotation-days` allows.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn rotations(&self, prefix: &Namespace) -> Result<Rotations, Error> {
        let seen = self.look()?;
        seen.rotations(prefix, &|namespace| {
            seen.may(namespace, Permission::ConfigReadPublished)
        })
    }
}

impl Seen<'_> {
    fn rotations(
        &self,
        prefix: &Namespace,
        is_visible: &dyn Fn(&Namespace) -> Result<bool, Error>,
    ) -> Result<Rotations, Error> {
        let now_ms = self.repo.clock.now_ms().max(self.view.time_ms());
        let schemas = Schemas::new(self);
        let mut found = Rotations {
            rotations: Vec::new(),
            filtered: false,
            index: self.index(),
        };
        let mut namespaces = self.descendants(prefix);
        if self.get(&names::policy(prefix)?).is_some() {
            namespaces.push(prefix.clone());
        }
        for namespace in namespaces {
            if !is_visible(&namespace)? {
                found.filtered = true;
                continue;
            }
            let links = self.links(&namespace, None)?;
            let settings = effective_settings(&links);
            if settings.schema_enforcement == Some(SchemaEnforcement::Off) {
                continue;
            }
            let mut compiled = Vec::new();
            for link in &links {
                if let Some(reference) = &link.document.schema
                    && let Ok(schema) = schemas.compiled(&reference.path)?
                    && schema.has_rules()
                {
                    compiled.push(schema);
                }
            }
            let Some(head) = self.head(&names::published(&namespace)?)? else {
                continue;
            };
            if compiled.is_empty() {
                continue;
            }
            let layer = self.repo.layers.of(self.objects(), &head.commit.tree)?;
            for (key, own) in &layer.entries {
                if own.entry_type.is_none() {
                    continue;
                }
                let days = compiled
                    .iter()
                    .flat_map(|schema| schema.rules_of(key.as_str()))
                    .filter_map(|rule| match rule.rule {
                        Rule::RotationDays(days) => Some(days),
                        _ => None,
                    })
                    .min();
                let Some(rotation_days) = days else {
                    continue;
                };
                let line = self.line(&namespace)?;
                let Some(newest) = line.newest(key.as_str().as_bytes())? else {
                    continue;
                };
                let commit = self.found(line.must(newest.row.position)?.commit)?.commit;
                let published_ms = commit.commit_time.ms;
                let days_published = u64::try_from((now_ms - published_ms) / DAY_MS).unwrap_or(0);
                if now_ms - published_ms > i64::from(rotation_days) * DAY_MS {
                    found.rotations.push(Rotation {
                        namespace: namespace.clone(),
                        key: key.clone(),
                        published_ms,
                        days_published,
                        rotation_days,
                    });
                }
            }
        }
        found.rotations.sort_by_key(|due| {
            let overdue = due
                .days_published
                .saturating_sub(u64::from(due.rotation_days));
            (
                std::cmp::Reverse(overdue),
                due.namespace.clone(),
                due.key.clone(),
            )
        });
        Ok(found)
    }
}

/// What the record of an announcement says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Announcement {
    /// At most [`ROTATIONS_ANNOUNCED_MAX`].
    keys: Vec<Key>,
    /// How many there are.
    due: usize,
}

impl RecordDocument for Announcement {
    const TYPE: &'static str = "rotation";
}

impl Repo {
    /// How many secrets were to be replaced when they were last looked for here.
    #[must_use]
    pub fn rotations_due(&self) -> u64 {
        self.rotations_due.load(Ordering::Relaxed)
    }

    /// Looks for secrets that are to be replaced, once in [`ROTATIONS_LOOKED_AT_EVERY_MS`]. Where `announce`,
    /// each namespace that has some and was not told today is told, by an operation `secret.rotation_due`;
    /// gives these namespaces.
    ///
    /// # Errors
    /// The store cannot be read, or takes no writes.
    pub fn look_at_rotations(self: &Arc<Self>, announce: bool) -> Result<Vec<Namespace>, Error> {
        let now_ms = self.clock.now_ms();
        let next_ms = self.rotations_next_ms.load(Ordering::Relaxed);
        if now_ms < next_ms {
            return Ok(Vec::new());
        }
        self.rotations_next_ms
            .store(now_ms + ROTATIONS_LOOKED_AT_EVERY_MS, Ordering::Relaxed);
        let session = self.session(Actor::program(ANNOUNCER, "Rotations"));
        let found = session
            .look()?
            .rotations(&Namespace::root(), &|_| Ok(true))?;
        self.rotations_due
            .store(found.rotations.len() as u64, Ordering::Relaxed);
        let mut told = Vec::new();
        if !announce {
            return Ok(told);
        }
        let mut by_namespace: std::collections::BTreeMap<Namespace, Vec<Rotation>> =
            std::collections::BTreeMap::new();
        for due in found.rotations {
            by_namespace
                .entry(due.namespace.clone())
                .or_default()
                .push(due);
        }
        for (namespace, due) in by_namespace {
            if announce_in(&session, &namespace, &due, now_ms / DAY_MS)? {
                told.push(namespace);
            }
        }
        Ok(told)
    }
}

/// Announces in one namespace; `false` where it was told that day, or is gone.
fn announce_in(
    session: &Session,
    namespace: &Namespace,
    due: &[Rotation],
    day: i64,
) -> Result<bool, Error> {
    let name = names::rotation(namespace)?;
    let shown = due.iter().take(ROTATIONS_ANNOUNCED_MAX);
    let keys: Vec<Key> = shown.map(|due| due.key.clone()).collect();
    let intent = Intent {
        action: "secret.rotation_due",
        about: name.clone(),
        digest: Digest::new("secret.rotation_due")
            .with(namespace.as_str())
            .with(day.to_le_bytes())
            .finish(),
        detail: serde_json::json!({ "namespace": namespace, "keys": keys, "due": due.len() }),
        session,
    };
    let mut is_told = false;
    let result = intent.carry_out(|evaluation| {
        let is_there = evaluation.get(&names::policy(namespace)?).is_some();
        let last = evaluation.record(&name)?;
        is_told = !is_there || last.is_some_and(|(_, last)| last.time_ms / DAY_MS >= day);
        if is_told {
            return Err(Error::bug("nothing is to be announced"));
        }
        let announcement = Announcement {
            keys: keys.clone(),
            due: due.len(),
        };
        let record = evaluation.put_record_document(name.clone(), &announcement)?;
        Ok(Outcome {
            record: Some(record),
            ..Outcome::default()
        })
    });
    match result {
        Ok(_) => Ok(true),
        Err(Error::Bug { .. }) if is_told => Ok(false),
        Err(error) => Err(error),
    }
}
