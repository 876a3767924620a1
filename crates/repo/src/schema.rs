//! Schema documents: written, versioned and deleted by who governs them.
//!
//! A schema `/schemas/payments/base` is governed by the deepest namespace that contains
//! `/payments/base`. Whoever may read that namespace reads its schemas; writing takes
//! [`Permission::SchemaWrite`] there.
//!
//! INVARIANT: a document that is stored compiles, with all that it refers to, as of its transaction.
//! INVARIANT: a change that breaks what is published takes effect only where that is wanted.

mod breakage;
mod compiled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confman_model::{
    Entry, EntryType, Key, Namespace, NamespaceDocument, SchemaPath, Value, ValueLimits,
};
use confman_object_store::{ObjectId, Record, tree};
use confman_policy::schema::{SchemaChange, SchemaDocument, SchemaError, compare, infer};
use confman_policy::{Permission, Violation};
use confman_refs::Committed;

use crate::draft::ExpectedHead;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::seen::{Found, Seen};
use crate::session::Session;

pub(crate) use breakage::Broken;
pub(crate) use compiled::{CompiledSchemas, Schemas};

/// The key of a schema commit's tree that has the document.
const SCHEMA_KEY: &str = "schema";
/// Most users of a schema that a refusal lists.
const USERS_SHOWN_MAX: usize = 100;

/// A schema document.
#[derive(Clone, Debug)]
pub struct SchemaInfo {
    /// Its path.
    pub path: SchemaPath,
    /// The text as it was written.
    pub text: String,
    /// The commit that has it.
    pub commit: ObjectId,
    /// Which version it is, from 1.
    pub version: u64,
    /// When and by whom it was written.
    pub stamp: Stamp,
    /// Why.
    pub message: String,
    /// The namespace that governs it.
    pub governed_by: Namespace,
    /// The namespaces that attach it.
    pub attached_by: Vec<Namespace>,
}

/// A schema in a list.
#[derive(Clone, Debug)]
pub struct SchemaSummary {
    /// Its path.
    pub path: SchemaPath,
    /// The commit that has it.
    pub commit: ObjectId,
    /// Which version it is.
    pub version: u64,
    /// When and by whom it was written.
    pub stamp: Stamp,
}

/// A page of schemas.
#[derive(Clone, Debug)]
pub struct SchemasPage {
    /// In the order of their paths, those that the actor may read.
    pub schemas: Vec<SchemaSummary>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<SchemaPath>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

/// A version of a schema.
#[derive(Clone, Debug)]
pub struct SchemaVersion {
    /// From 1.
    pub version: u64,
    /// The commit that has it.
    pub commit: ObjectId,
    /// When and by whom it was written.
    pub stamp: Stamp,
    /// Why.
    pub message: String,
    /// The text.
    pub text: String,
}

/// A page of versions of a schema.
#[derive(Clone, Debug)]
pub struct SchemaHistory {
    /// Newest first.
    pub versions: Vec<SchemaVersion>,
    /// Where the next page begins before; `None` on the last.
    pub next: Option<u64>,
    /// Log index that was read at.
    pub index: u64,
}

/// What a schema becomes.
#[derive(Clone, Debug)]
pub struct PutSchema {
    /// The document.
    pub text: String,
    /// The commit that the caller has seen.
    pub expected_head: ExpectedHead,
    /// Why.
    pub message: Option<String>,
    /// Whether it takes effect though what is published breaks it.
    pub force: bool,
}

/// A schema that was written.
#[derive(Clone, Debug)]
pub struct SchemaWritten {
    /// As it is now.
    pub info: SchemaInfo,
    /// The operation.
    pub committed: Committed,
    /// What is published and breaks it where the actor may read, where it was written all the same.
    pub broken: Vec<Violation>,
}

/// What writing a schema would come to.
#[derive(Clone, Debug, Default)]
pub struct SchemaCheck {
    /// What is wrong with the document.
    pub problems: Vec<Problem>,
    /// What is published and would break it, where the actor may read.
    pub violations: Vec<Violation>,
    /// What becomes of what the schema accepts, where there is one already.
    pub change: SchemaChange,
}

impl Session {
    /// Schemas below a path, in the order of their paths. `prefix` is without `/schemas`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn schemas(
        &self,
        prefix: &Namespace,
        after: Option<&SchemaPath>,
        limit: usize,
    ) -> Result<SchemasPage, Error> {
        let seen = self.look()?;
        let mut page = SchemasPage {
            schemas: Vec::new(),
            next: None,
            filtered: false,
            index: seen.index(),
        };
        let mut paths = seen.schema_paths();
        paths.retain(|path| {
            prefix.contains(&path.governed_path()) && after.is_none_or(|after| path > after)
        });
        paths.sort();
        for path in paths {
            if !seen.may(&seen.governing(&path)?, Permission::NamespaceRead)? {
                page.filtered = true;
                continue;
            }
            if page.schemas.len() == limit {
                page.next = page.schemas.last().map(|last| last.path.clone());
                break;
            }
            if let Some(found) = seen.schema_head(&path)? {
                page.schemas.push(SchemaSummary {
                    path,
                    commit: found.id,
                    version: found.commit.generation,
                    stamp: crate::seen::committed(&found.commit),
                });
            }
        }
        Ok(page)
    }

    /// A schema.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn schema(&self, path: &SchemaPath) -> Result<SchemaInfo, Error> {
        let seen = self.look()?;
        seen.permit_schema(path, Permission::NamespaceRead)?;
        seen.schema_info(path)
    }

    /// The versions of a schema, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn schema_history(
        &self,
        path: &SchemaPath,
        before: Option<u64>,
        limit: usize,
    ) -> Result<SchemaHistory, Error> {
        let seen = self.look()?;
        seen.permit_schema(path, Permission::NamespaceRead)?;
        let mut next = seen.schema_head(path)?;
        let mut history = SchemaHistory {
            versions: Vec::new(),
            next: None,
            index: seen.index(),
        };
        if next.is_none() {
            return Err(Error::not_found(What::Schema, path));
        }
        while let Some(found) = next {
            let version = found.commit.generation;
            if before.is_none_or(|before| version < before) {
                if history.versions.len() == limit {
                    history.next = Some(version + 1);
                    break;
                }
                history.versions.push(SchemaVersion {
                    version,
                    commit: found.id,
                    stamp: crate::seen::committed(&found.commit),
                    message: found.commit.message.clone(),
                    text: seen.schema_text(path, &found)?,
                });
            }
            next = match found.commit.parents.first() {
                Some(parent) => Some(seen.found(*parent)?),
                None => None,
            };
        }
        Ok(history)
    }

    /// Writes a schema. Where it would break what is published, it takes effect only by force.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong with the document, [`Error::Schema`] with what is
    /// published and breaks it, [`Error::Stale`], [`Error::Unchanged`], [`Error::Denied`].
    pub fn put_schema(&self, path: &SchemaPath, put: &PutSchema) -> Result<SchemaWritten, Error> {
        let about = names::schema(path)?;
        let intent = Intent {
            action: "schema.put",
            about: about.clone(),
            digest: Digest::new("schema.put")
                .with(path.as_str())
                .with(&put.text)
                .with(put.expected_head.part())
                .with(put.message.as_deref().unwrap_or("\0"))
                .with([u8::from(put.force)])
                .finish(),
            detail: serde_json::json!({ "schema": path, "force": put.force }),
            session: self,
        };
        let document = SchemaDocument::parse(&put.text).map(Arc::new);
        let mut broken = Broken::default();
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_schema(path, Permission::SchemaWrite)?;
            let head = evaluation.schema_head(path)?;
            put.expected_head
                .check(What::Schema, path, head.as_ref().map(|head| head.id))?;
            let document = document.as_ref().map_err(|error| invalid(path, error))?;
            if let Some(head) = &head
                && evaluation.schema_text(path, head)? == put.text
            {
                return Err(Error::Unchanged {
                    namespace: path.governed_path(),
                    reason: format!("`{path}` says this already"),
                });
            }
            broken = evaluation.broken_by_schema(path, document)?;
            if !broken.is_empty() && !put.force {
                let what = format!("what is published, if `{path}` changes,");
                return Err(std::mem::take(&mut broken).refusal(what));
            }
            let commit = evaluation.put_schema_commit(path, head.as_ref(), put)?;
            evaluation.note("governedBy", evaluation.governing(path)?.to_string());
            evaluation.note("broken", broken.len());
            evaluation.set_commit(about.clone(), commit.id);
            Ok(Outcome {
                commit: Some(commit.id),
                previous: head.map(|head| head.id),
                ..Outcome::default()
            })
        })?;
        Ok(SchemaWritten {
            info: self.look()?.schema_info(path)?,
            committed,
            broken: broken.visible,
        })
    }

    /// What writing a schema would come to; nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn check_schema(&self, path: &SchemaPath, text: &str) -> Result<SchemaCheck, Error> {
        let seen = self.look()?;
        seen.permit_schema(path, Permission::NamespaceRead)?;
        let document = match SchemaDocument::parse(text) {
            Ok(document) => Arc::new(document),
            Err(error) => {
                return Ok(SchemaCheck {
                    problems: problems(&error),
                    ..SchemaCheck::default()
                });
            }
        };
        match seen.broken_by_schema(path, &document) {
            Ok(broken) => {
                let change = match seen.schema_head(path)? {
                    Some(found) => compare(path, &*seen.schema_document(path, &found)?, &document),
                    None => SchemaChange::default(),
                };
                Ok(SchemaCheck {
                    problems: Vec::new(),
                    violations: broken.visible,
                    change,
                })
            }
            Err(Error::Invalid { problems, .. }) => Ok(SchemaCheck {
                problems,
                ..SchemaCheck::default()
            }),
            Err(error) => Err(error),
        }
    }

    /// A schema that accepts what is published in a namespace.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn infer_schema(&self, namespace: &Namespace) -> Result<serde_json::Value, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let links = seen.links(namespace, None)?;
        Ok(infer(&[seen.document_of(&links)?]))
    }

    /// Deletes a schema that nothing uses.
    ///
    /// # Errors
    /// [`Error::SchemaInUse`], [`Error::NotFound`], [`Error::Stale`], [`Error::Denied`].
    pub fn delete_schema(
        &self,
        path: &SchemaPath,
        expected_head: ExpectedHead,
    ) -> Result<Committed, Error> {
        let about = names::schema(path)?;
        let intent = Intent {
            action: "schema.delete",
            about: about.clone(),
            digest: Digest::new("schema.delete")
                .with(path.as_str())
                .with(expected_head.part())
                .finish(),
            detail: serde_json::json!({ "schema": path }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_schema(path, Permission::SchemaWrite)?;
            let head = evaluation
                .schema_head(path)?
                .ok_or_else(|| Error::not_found(What::Schema, path))?;
            expected_head.check(What::Schema, path, Some(head.id))?;
            let users = evaluation.users_of(path)?;
            if !users.is_empty() {
                return Err(Error::SchemaInUse {
                    schema: path.clone(),
                    users,
                });
            }
            evaluation.note("governedBy", evaluation.governing(path)?.to_string());
            evaluation.set(about.clone(), None);
            Ok(Outcome {
                previous: Some(head.id),
                ..Outcome::default()
            })
        })?;
        Ok(committed)
    }
}

impl Evaluation<'_> {
    /// Refuses a document that attaches a schema which does not exist or does not compile, and notes one
    /// that changes which rules hold.
    pub(crate) fn check_attached_schema(
        &mut self,
        document: &NamespaceDocument,
        old: Option<ObjectId>,
    ) -> Result<(), Error> {
        let old = old.map(|id| self.repo.document(&id)).transpose()?;
        if old
            .as_ref()
            .is_none_or(|old| breakage::changes_rules(old, document))
        {
            self.note_rules()?;
        }
        let Some(reference) = &document.schema else {
            return Ok(());
        };
        if old.is_some_and(|old| old.schema.as_ref() == Some(reference)) {
            return Ok(());
        }
        let schemas = Schemas::new(self);
        if let Err(error) = schemas.compiled(&reference.path)? {
            let problems = problems(&error)
                .into_iter()
                .map(|problem| Problem {
                    pointer: Some("/schema/$ref".to_owned()),
                    line: None,
                    column: None,
                    detail: problem.detail,
                    ..Problem::default()
                })
                .collect();
            return Err(Error::Invalid {
                what: format!("document of `{}`", document.path),
                problems,
            });
        }
        Ok(())
    }

    /// Makes everybody look again who looked at all namespaces below one, or at the rules that hold there.
    pub(crate) fn note_rules(&mut self) -> Result<(), Error> {
        let name = names::namespaces()?;
        let previous = self.get(&name).map(|target| target.id);
        let mut body = [0; 16];
        crate::evaluation::fill_random(&mut body)?;
        let record = Record {
            record_type: "namespace-counter".to_owned(),
            previous,
            time_ms: self.now_ms,
            actor: self.actor.principal().to_owned(),
            body: data_encoding::HEXLOWER.encode(&body).into_bytes().into(),
            links: Vec::new(),
            unknown: Vec::new(),
        };
        self.set_record(name, &record)?;
        Ok(())
    }

    /// Stages the next version of a schema.
    fn put_schema_commit(
        &mut self,
        path: &SchemaPath,
        head: Option<&Found>,
        put: &PutSchema,
    ) -> Result<Found, Error> {
        let key: Key = SCHEMA_KEY.parse().map_err(Error::bug)?;
        let value = Value::new(EntryType::Json, put.text.as_str(), &ValueLimits::default())
            .map_err(|error| Error::Invalid {
                what: format!("schema `{path}`"),
                problems: Problem::of_value(&key, &error),
            })?;
        let (leaf, objects) = confman_layout::write_entry(&Entry::of(value))?;
        let old_tree = head.map_or(self.repo.empty_tree, |head| head.commit.tree);
        let replaces = match tree::get(self.objects(), &old_tree, SCHEMA_KEY.as_bytes())? {
            Some(old) => confman_layout::blob(&old),
            None => None,
        };
        for object in objects {
            self.stage.put(object, replaces);
        }
        let edits = BTreeMap::from([(confman_layout::tree_key(&key)?, Some(leaf))]);
        let tree = self.edit_tree(&old_tree, &edits)?;
        let message = put.message.clone().unwrap_or_else(|| match head {
            Some(_) => format!("change {path}"),
            None => format!("create {path}"),
        });
        let label = names::schema(path)?.as_str().to_owned();
        let mut commit = self.new_commit(label, tree, message)?;
        if let Some(head) = head {
            commit.parents = vec![head.id];
            commit.generation = head.commit.generation + 1;
        }
        self.put_commit(commit)
    }
}

impl Seen<'_> {
    /// The deepest namespace that contains the path of a schema.
    pub(crate) fn governing(&self, path: &SchemaPath) -> Result<Namespace, Error> {
        for namespace in path.governed_path().ancestors() {
            if self.get(&names::policy(&namespace)?).is_some() {
                return Ok(namespace);
            }
        }
        Ok(Namespace::root())
    }

    /// Refuses who may not do this with a schema; who may not know of it is told that there is none.
    pub(crate) fn permit_schema(
        &self,
        path: &SchemaPath,
        permission: Permission,
    ) -> Result<(), Error> {
        match self.permit(&self.governing(path)?, permission) {
            Err(Error::NotFound { .. }) => Err(Error::not_found(What::Schema, path)),
            other => other,
        }
    }

    fn schema_info(&self, path: &SchemaPath) -> Result<SchemaInfo, Error> {
        let found = self
            .schema_head(path)?
            .ok_or_else(|| Error::not_found(What::Schema, path))?;
        let mut attached_by = Vec::new();
        for namespace in self.all_namespaces() {
            let attaches = self.document(&namespace)?.is_some_and(|document| {
                document.schema.as_ref().is_some_and(|it| it.path == *path)
            });
            if attaches && self.may(&namespace, Permission::NamespaceRead)? {
                attached_by.push(namespace);
            }
        }
        Ok(SchemaInfo {
            path: path.clone(),
            text: self.schema_text(path, &found)?,
            commit: found.id,
            version: found.commit.generation,
            stamp: crate::seen::committed(&found.commit),
            message: found.commit.message.clone(),
            governed_by: self.governing(path)?,
            attached_by,
        })
    }

    fn schema_paths(&self) -> Vec<SchemaPath> {
        self.view
            .scan("/schemas/")
            .filter_map(|(name, _)| names::schema_of(name.as_str()))
            .collect()
    }

    /// Every namespace that exists, in the order of paths.
    fn all_namespaces(&self) -> BTreeSet<Namespace> {
        let root = Namespace::root();
        let mut all: BTreeSet<Namespace> = self.descendants(&root).into_iter().collect();
        all.insert(root);
        all
    }

    /// The namespaces that attach a schema and the schemas that refer to it, as a refusal names them.
    fn users_of(&self, path: &SchemaPath) -> Result<Vec<String>, Error> {
        let schemas = Schemas::new(self);
        let mut users = Vec::new();
        let mut hidden = false;
        for namespace in self.attaching(&|reference| Ok(reference == path))? {
            match self.may(&namespace, Permission::NamespaceRead)? {
                true => users.push(format!("namespace `{namespace}`")),
                false => hidden = true,
            }
        }
        for other in self.schema_paths() {
            if other != *path
                && let Ok(compiled) = schemas.compiled(&other)?
                && compiled.dependencies().contains(path)
            {
                match self.may(&self.governing(&other)?, Permission::NamespaceRead)? {
                    true => users.push(format!("schema `{other}`")),
                    false => hidden = true,
                }
            }
        }
        users.truncate(USERS_SHOWN_MAX);
        if hidden {
            users.push("something that you may not read".to_owned());
        }
        Ok(users)
    }
}

/// What is wrong with a schema, as problems of what was given.
fn problems(error: &SchemaError) -> Vec<Problem> {
    error
        .problems
        .iter()
        .map(|problem| {
            let found = Problem::of_model(None, &problem.problem);
            match &problem.schema {
                // The place is one in another document.
                Some(schema) => Problem {
                    detail: format!("{} (in `{schema}`)", found.detail),
                    ..found
                },
                None => found,
            }
        })
        .collect()
}

fn invalid(path: &SchemaPath, error: &SchemaError) -> Error {
    Error::Invalid {
        what: format!("schema `{path}`"),
        problems: problems(error),
    }
}
