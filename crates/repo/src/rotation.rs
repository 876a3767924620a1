//! Secrets that have been published for longer than their schema allows.

use confman_model::document::SchemaEnforcement;
use confman_model::{Key, Namespace};
use confman_policy::Permission;
use confman_policy::schema::Rule;

use crate::error::Error;
use crate::names;
use crate::schema::Schemas;
use crate::session::Session;
use crate::validation::effective_settings;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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
        let now_ms = self.repo.clock.now_ms().max(seen.view.time_ms());
        let schemas = Schemas::new(&seen);
        let mut found = Rotations {
            rotations: Vec::new(),
            filtered: false,
            index: seen.index(),
        };
        let mut namespaces = seen.descendants(prefix);
        if seen.get(&names::policy(prefix)?).is_some() {
            namespaces.push(prefix.clone());
        }
        for namespace in namespaces {
            if !seen.may(&namespace, Permission::ConfigReadPublished)? {
                found.filtered = true;
                continue;
            }
            let links = seen.links(&namespace, None)?;
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
            let Some(head) = seen.head(&names::published(&namespace)?)? else {
                continue;
            };
            if compiled.is_empty() {
                continue;
            }
            let layer = self.repo.layers.of(seen.objects(), &head.commit.tree)?;
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
                let line = seen.line(&namespace)?;
                let Some(newest) = line.newest(key.as_str().as_bytes())? else {
                    continue;
                };
                let commit = seen.found(line.must(newest.row.position)?.commit)?.commit;
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
