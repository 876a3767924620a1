//! What holds in the namespaces of a working copy, by the files and what was fetched: whether it satisfies
//! the schemas, and what an entry overrides.
//!
//! INVARIANT: what is not known is said to be, and never taken for nothing.

use std::collections::{BTreeMap, BTreeSet};

use confman_api::problem::ProblemItem;
use confman_api::schema::Validation;
use confman_model::document::{NamespaceDocument, SchemaEnforcement};
use confman_model::resolver::{Layer, effective};
use confman_model::{Entry, EntryValue, Key, Namespace, SchemaPath};
use confman_object_store::ObjectId;
use confman_policy::Violation;
use confman_policy::schema::{
    CompileError, CompiledSchema, EffectiveDocument, KeyChange, Place, to_json,
};

use super::WorkingCopy;
use super::changes::{FileChanges, Need};
use super::error::WorkingCopyError;
use super::index::Index;
use super::inherited::{Attached, Inherited};
use super::local::{known_key, layout_key};
use super::snapshot::Snapshot;
use super::state::NamespaceState;
use crate::client::chain;

/// What schemas say to the files.
#[derive(Clone, Debug)]
pub struct SchemaReport {
    /// As a server would say it.
    pub validation: Validation,
    /// What applies and is not known here, each in a sentence.
    pub unknown: Vec<String>,
    /// How many schemas were applied.
    pub schemas: usize,
    /// How many values they were applied to.
    pub values: usize,
}

/// What an entry stands in the way of, and what stands in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// What the nearest namespace above has under the key.
    pub above: Option<(Namespace, Entry)>,
    /// Whether that is all there could be: every namespace further up may be read.
    pub is_known: bool,
    /// Namespaces below, in this working copy, that have an entry of their own.
    pub below: Vec<Namespace>,
}

/// The entries of a namespace in the order of keys.
type Entries = Vec<(Key, Entry)>;

impl WorkingCopy {
    /// What the schemas that apply say to what would hold if the files were published; for all namespaces
    /// where none are given.
    ///
    /// # Errors
    /// The files are not valid, or what was fetched cannot be read.
    pub fn check_schemas(
        &self,
        namespaces: &[Namespace],
    ) -> Result<SchemaReport, WorkingCopyError> {
        self.check_namespaces(namespaces)?;
        let mut report = SchemaReport {
            validation: Validation {
                valid: true,
                violations: Vec::new(),
                warnings: Vec::new(),
            },
            unknown: Vec::new(),
            schemas: 0,
            values: 0,
        };
        let Some(inherited) = Inherited::load(&self.root)? else {
            let what = "what is inherited and which schemas apply was not fetched yet";
            report.unknown.push(what.to_owned());
            return Ok(report);
        };
        let checked = self.state.namespaces.iter();
        let checked = checked
            .filter(|namespace| namespaces.is_empty() || namespaces.contains(&namespace.path));
        let mut applied = BTreeSet::new();
        for namespace in checked {
            self.check_one(namespace, &inherited, &mut applied, &mut report)?;
        }
        report.schemas = applied.len();
        report.unknown.sort();
        report.unknown.dedup();
        report.validation.valid = report.validation.violations.is_empty();
        Ok(report)
    }

    fn check_one(
        &self,
        namespace: &NamespaceState,
        inherited: &Inherited,
        applied: &mut BTreeSet<String>,
        report: &mut SchemaReport,
    ) -> Result<(), WorkingCopyError> {
        let path = &namespace.path;
        let lineage = self.lineage(path, inherited)?;
        if lineage.enforcement == Some(SchemaEnforcement::Off) {
            let what = format!("{path} has schemaEnforcement off: nothing is checked");
            report.validation.warnings.push(what);
            return Ok(());
        }
        for above in lineage.hidden {
            report.unknown.push(format!(
                "{above} may not be read: what {path} inherits from it was left out"
            ));
        }
        let mut now = Vec::new();
        let mut before = Vec::new();
        for inside in &lineage.inside {
            let state = self.state.namespace(inside)?;
            now.push(layer(inside, self.entries_of_files(state)?));
            before.push(layer(inside, self.entries_of(state.published)?));
        }
        for (above, published) in &lineage.outside {
            let entries = self.entries_of(*published)?;
            now.push(layer(above, entries.clone()));
            before.push(layer(above, entries));
        }
        let resolve = |error| WorkingCopyError::Request(chain(&error));
        let now = effective(&now).map_err(resolve)?;
        let before = effective(&before).map_err(resolve)?;
        let had: BTreeMap<&Key, &Entry> = before
            .values
            .iter()
            .map(|value| (value.key, value.entry))
            .collect();
        let has: BTreeMap<&Key, &Entry> = now
            .values
            .iter()
            .map(|value| (value.key, value.entry))
            .collect();
        let keys: BTreeSet<&Key> = had.keys().chain(has.keys()).copied().collect();
        let changes: Vec<KeyChange> = keys
            .into_iter()
            .filter(|key| had.get(key).map(|it| it.value()) != has.get(key).map(|it| it.value()))
            .map(|key| KeyChange {
                key: key.clone(),
                had: had.contains_key(key),
                has: has.contains_key(key),
            })
            .collect();
        let mut document = EffectiveDocument::with_capacity(now.values.len());
        for value in &now.values {
            if let EntryValue::Value(found) = value.entry.entry_value() {
                let (kind, bytes) = (found.entry_type(), found.bytes().len());
                document.insert(value.key, kind, to_json(found), bytes);
            }
        }
        report.values += now.values.len();
        for attached in &lineage.attached {
            let place = Place {
                namespace: path,
                attached_by: &attached.namespace,
                environment: lineage.environment.as_deref(),
            };
            let schema = match compiled(inherited, attached) {
                Ok(schema) => schema,
                Err(what) => {
                    report.unknown.push(what);
                    continue;
                }
            };
            applied.insert(attached.schema.clone());
            let mut violations = schema.violations(&document, place);
            violations.extend(schema.change_violations(&changes, place));
            let set = changes.iter().filter(|change| change.has);
            for deprecated in schema.deprecations(set.map(|change| &change.key), place) {
                let warning = line(&deprecated);
                report.validation.warnings.push(warning);
            }
            match lineage.enforcement {
                Some(SchemaEnforcement::Warn) => {
                    report
                        .validation
                        .warnings
                        .extend(violations.iter().map(line));
                }
                _ => report
                    .validation
                    .violations
                    .extend(violations.iter().map(item)),
            }
        }
        Ok(())
    }

    /// What a namespace of the working copy inherits from, and what applies to it.
    fn lineage(
        &self,
        path: &Namespace,
        inherited: &Inherited,
    ) -> Result<Lineage, WorkingCopyError> {
        let mut lineage = Lineage::default();
        for ancestor in path.ancestors() {
            if self.state.namespace(&ancestor).is_err() {
                break;
            }
            let is_root = ancestor == self.state.root;
            let document = self.document(&ancestor)?;
            lineage.inside.push(ancestor.clone());
            if is_root {
                // Of the root the server said what holds, and what it inherits.
                let environment = inherited.environment.clone();
                lineage.environment = lineage.environment.or(environment);
                lineage.enforcement = lineage.enforcement.or(inherited.enforcement);
                lineage.attached.extend(inherited.attached.iter().cloned());
                for above in &inherited.chain {
                    match above.is_readable {
                        true => {
                            let place = (above.namespace.clone(), above.published());
                            lineage.outside.push(place);
                        }
                        false => {
                            lineage.hidden.push(above.namespace.clone());
                            lineage.outside.push((above.namespace.clone(), None));
                        }
                    }
                }
                break;
            }
            let settings = document.settings;
            lineage.environment = lineage.environment.or(settings.environment);
            lineage.enforcement = lineage.enforcement.or(settings.schema_enforcement);
            lineage
                .attached
                .extend(document.schema.map(|schema| Attached {
                    namespace: ancestor.clone(),
                    schema: schema.path.as_str().to_owned(),
                }));
            if !document.inherit {
                break;
            }
        }
        Ok(lineage)
    }

    /// The document of a namespace as it was fetched.
    fn document(&self, path: &Namespace) -> Result<NamespaceDocument, WorkingCopyError> {
        let file = self.document_copy(&self.state.directory(path));
        let text =
            std::fs::read(&file).map_err(|error| WorkingCopyError::io("read", &file, error))?;
        serde_json::from_slice(&text).map_err(|error| WorkingCopyError::Damaged {
            file,
            reason: error.to_string(),
        })
    }

    fn entries_of_files(&self, namespace: &NamespaceState) -> Result<Entries, WorkingCopyError> {
        let directory = self.state.directory(&namespace.path);
        let snapshot = Snapshot::read(&self.root, &directory, &mut Index::load(&self.root))?;
        if !snapshot.conflicts.is_empty() {
            return Err(WorkingCopyError::Conflicts {
                namespace: namespace.path.clone(),
                keys: snapshot.conflicts,
            });
        }
        let mut entries = Entries::new();
        for key in snapshot.file.lines.keys() {
            entries.extend(snapshot.entry(key)?.map(|entry| (key.clone(), entry)));
        }
        Ok(entries)
    }

    fn entries_of(&self, commit: Option<ObjectId>) -> Result<Entries, WorkingCopyError> {
        let leaves = self.leaves_of(commit)?;
        let read = |(name, leaf)| Ok((known_key(name)?, self.stored_entry(leaf)?));
        leaves.iter().map(read).collect()
    }

    /// What entries of a namespace override, or what would hold without them; and which namespaces below
    /// have their own.
    ///
    /// # Errors
    /// The files are not valid, or what was fetched cannot be read.
    pub fn overrides(
        &self,
        namespace: &Namespace,
        keys: &[Key],
    ) -> Result<BTreeMap<Key, Overrides>, WorkingCopyError> {
        let inherited = Inherited::load(&self.root)?;
        let known = inherited.is_some();
        let lineage = self.lineage(namespace, &inherited.unwrap_or_default())?;
        let mut index = Index::load(&self.root);
        let mut inside = Vec::new();
        for path in lineage.inside.iter().filter(|path| *path != namespace) {
            let state = self.state.namespace(path)?;
            inside.push((state, self.file_changes(state, &mut index, Need::Entries)?));
        }
        let mut below = Vec::new();
        for state in &self.state.namespaces {
            let is_below = state.path != *namespace && namespace.contains(&state.path);
            if is_below && self.inherits_from(&state.path, namespace)? {
                below.push((state, self.file_changes(state, &mut index, Need::Entries)?));
            }
        }
        let mut found = BTreeMap::new();
        for key in keys {
            let mut overrides = Overrides {
                is_known: known && lineage.hidden.is_empty(),
                ..Overrides::default()
            };
            for (state, files) in &inside {
                if overrides.above.is_none() {
                    let entry = self.entry_in(state, files, key)?;
                    overrides.above = entry.map(|entry| (state.path.clone(), entry));
                }
            }
            for (path, published) in &lineage.outside {
                if overrides.above.is_none()
                    && let Some(leaf) = self.leaf_at(*published, &layout_key(key)?)?
                {
                    overrides.above = Some((path.clone(), self.stored_entry(&leaf)?));
                }
            }
            for (state, files) in &below {
                if self.entry_in(state, files, key)?.is_some() {
                    overrides.below.push(state.path.clone());
                }
            }
            found.insert(key.clone(), overrides);
        }
        Ok(found)
    }

    /// Whether nothing between a namespace and one further up says that it does not inherit.
    fn inherits_from(&self, path: &Namespace, above: &Namespace) -> Result<bool, WorkingCopyError> {
        for ancestor in path.ancestors().take_while(|ancestor| ancestor != above) {
            let is_here = self.state.namespace(&ancestor).is_ok();
            if !is_here || !self.document(&ancestor)?.inherit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entry that the files of a namespace have under a key.
    fn entry_in(
        &self,
        state: &NamespaceState,
        files: &FileChanges,
        key: &Key,
    ) -> Result<Option<Entry>, WorkingCopyError> {
        match files.keys.contains_key(key) {
            true => files.snapshot.entry(key),
            false => {
                let leaf = self.leaf_at(state.base, &layout_key(key)?)?;
                leaf.map(|leaf| self.stored_entry(&leaf)).transpose()
            }
        }
    }
}

/// What a namespace inherits from, and what applies to it.
#[derive(Debug, Default)]
struct Lineage {
    /// Itself and those above it in the working copy, nearest first.
    inside: Vec<Namespace>,
    /// Those above the working copy, nearest first, and what they have published.
    outside: Vec<(Namespace, Option<ObjectId>)>,
    /// Those of them that may not be read.
    hidden: Vec<Namespace>,
    attached: Vec<Attached>,
    environment: Option<String>,
    enforcement: Option<SchemaEnforcement>,
}

fn layer(namespace: &Namespace, entries: Entries) -> Layer {
    Layer {
        namespace: namespace.clone(),
        entries,
    }
}

/// A schema ready to validate, or why it is not.
fn compiled(inherited: &Inherited, attached: &Attached) -> Result<CompiledSchema, String> {
    let Attached { namespace, schema } = attached;
    let not_known = || format!("schema {schema}, which {namespace} attaches, may not be read");
    let path: SchemaPath = schema.parse().map_err(|_| not_known())?;
    let document = inherited.schema(&path).ok_or_else(not_known)?;
    let lookup = |other: &SchemaPath| Ok::<_, std::convert::Infallible>(inherited.schema(other));
    match CompiledSchema::compile(&path, &document, lookup) {
        Ok(compiled) => Ok(compiled),
        Err(CompileError::Invalid(error)) => Err(format!(
            "schema {schema}, which {namespace} attaches, cannot be applied: {error}"
        )),
        Err(CompileError::Lookup(never)) => match never {},
    }
}

fn line(violation: &Violation) -> String {
    let key = violation.key.as_ref().map(|key| format!(":{key}"));
    let key = key.unwrap_or_default();
    format!("{}{key}: {}", violation.namespace, violation.detail)
}

/// A rule that is broken, as servers say it.
fn item(violation: &Violation) -> ProblemItem {
    ProblemItem {
        detail: violation.detail.clone(),
        key: violation.key.as_ref().map(ToString::to_string),
        pointer: Some(violation.pointer.clone()),
        namespace: Some(violation.namespace.to_string()),
        keyword: Some(violation.keyword.clone()),
        schema: Some(violation.schema.to_string()),
        schema_pointer: Some(violation.schema_pointer.clone()),
        attached_by: Some(violation.attached_by.to_string()),
        ..ProblemItem::default()
    }
}
