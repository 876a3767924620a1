//! Compiled schemas, kept, and looked up in one view.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use confman_layout::read_value;
use confman_model::SchemaPath;
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::Violation;
use confman_policy::schema::{CompileError, CompiledSchema, Place, SchemaDocument, SchemaError};

use super::SCHEMA_KEY;
use crate::error::Error;
use crate::names;
use crate::seen::{Found, Seen};

/// Most compiled schemas that are kept.
const COMPILED_MAX: usize = 256;
/// Most subschemas of all that are kept.
const SUBSCHEMAS_KEPT_MAX: usize = 200_000;

/// Compiled schemas by path. What is kept is used where the documents it was made of are still those.
#[derive(Debug, Default)]
pub(crate) struct CompiledSchemas(Mutex<HashMap<SchemaPath, Kept>>);

#[derive(Clone, Debug)]
struct Kept {
    /// The commits of all documents, by path.
    documents: BTreeMap<SchemaPath, ObjectId>,
    compiled: Arc<CompiledSchema>,
}

impl CompiledSchemas {
    fn get(&self, path: &SchemaPath) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(path).cloned()
    }

    fn keep(&self, path: &SchemaPath, kept: Kept) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let subschemas: usize = all.values().map(|kept| kept.compiled.subschemas()).sum();
        let full = all.len() >= COMPILED_MAX
            || subschemas + kept.compiled.subschemas() > SUBSCHEMAS_KEPT_MAX;
        if full && !all.contains_key(path) {
            all.clear();
        }
        all.insert(path.clone(), kept);
    }
}

/// The schemas of one view, or of that view with one document changed.
pub(crate) struct Schemas<'s> {
    seen: &'s Seen<'s>,
    changed: Option<(SchemaPath, Arc<SchemaDocument>)>,
    known: RefCell<BTreeMap<SchemaPath, Result<Arc<CompiledSchema>, SchemaError>>>,
}

impl<'s> Schemas<'s> {
    pub fn new(seen: &'s Seen<'s>) -> Self {
        Self {
            seen,
            changed: None,
            known: RefCell::default(),
        }
    }

    /// As they would be with another document.
    pub fn with(seen: &'s Seen<'s>, path: &SchemaPath, document: Arc<SchemaDocument>) -> Self {
        Self {
            changed: Some((path.clone(), document)),
            ..Self::new(seen)
        }
    }

    /// A schema, compiled; or why it cannot be.
    pub fn compiled(
        &self,
        path: &SchemaPath,
    ) -> Result<Result<Arc<CompiledSchema>, SchemaError>, Error> {
        if let Some(known) = self.known.borrow().get(path) {
            return Ok(known.clone());
        }
        let compiled = self.compile(path)?;
        self.known
            .borrow_mut()
            .insert(path.clone(), compiled.clone());
        Ok(compiled)
    }

    fn compile(
        &self,
        path: &SchemaPath,
    ) -> Result<Result<Arc<CompiledSchema>, SchemaError>, Error> {
        if let Some(kept) = self.seen.repo.schemas.get(path) {
            let mut still = true;
            for (part, commit) in &kept.documents {
                let is_changed = self
                    .changed
                    .as_ref()
                    .is_some_and(|(changed, _)| changed == part);
                let now = self.seen.get(&names::schema(part)?).map(|target| target.id);
                still &= !is_changed && now == Some(*commit);
            }
            if still {
                return Ok(Ok(kept.compiled));
            }
        }
        let Some(document) = self.document(path)? else {
            return Ok(Err(SchemaError::missing(path)));
        };
        let compiled = match CompiledSchema::compile(path, &document, |path| self.document(path)) {
            Ok(compiled) => Arc::new(compiled),
            Err(CompileError::Lookup(error)) => return Err(error),
            Err(CompileError::Invalid(error)) => return Ok(Err(error)),
        };
        let of_changed = |part: &SchemaPath| {
            self.changed
                .as_ref()
                .is_some_and(|(changed, _)| changed == part)
        };
        let mut documents = BTreeMap::new();
        for part in std::iter::once(path).chain(compiled.dependencies()) {
            if let Some(target) = self.seen.get(&names::schema(part)?)
                && !of_changed(part)
            {
                documents.insert(part.clone(), target.id);
            }
        }
        if documents.len() == compiled.dependencies().len() + 1 {
            let compiled = Arc::clone(&compiled);
            let kept = Kept {
                documents,
                compiled,
            };
            self.seen.repo.schemas.keep(path, kept);
        }
        Ok(Ok(compiled))
    }

    fn document(&self, path: &SchemaPath) -> Result<Option<Arc<SchemaDocument>>, Error> {
        if let Some((changed, document)) = &self.changed
            && changed == path
        {
            return Ok(Some(Arc::clone(document)));
        }
        let found = self.seen.schema_head(path)?;
        found
            .map(|found| self.seen.schema_document(path, &found))
            .transpose()
    }

    /// The commits of all documents of a schema.
    pub fn ids(&self, compiled: &CompiledSchema) -> Result<Vec<ObjectId>, Error> {
        let mut ids = Vec::new();
        for part in std::iter::once(compiled.path()).chain(compiled.dependencies()) {
            ids.extend(self.seen.get(&names::schema(part)?).map(|target| target.id));
        }
        Ok(ids)
    }

    /// What a namespace whose schema cannot be applied is told: nothing is let through unchecked.
    pub fn unusable(&self, path: &SchemaPath, place: Place<'_>, error: &SchemaError) -> Violation {
        let why = error
            .problems
            .first()
            .map_or_else(String::new, ToString::to_string);
        Violation {
            namespace: place.namespace.clone(),
            key: None,
            pointer: String::new(),
            keyword: "$ref".to_owned(),
            schema: path.clone(),
            schema_pointer: String::new(),
            attached_by: place.attached_by.clone(),
            detail: format!("the schema cannot be applied: {why}"),
        }
    }
}

impl Seen<'_> {
    /// The commit of a schema's document.
    pub(crate) fn schema_head(&self, path: &SchemaPath) -> Result<Option<Found>, Error> {
        self.head(&names::schema(path)?)
    }

    /// The text that a schema's commit has.
    pub(crate) fn schema_text(&self, path: &SchemaPath, found: &Found) -> Result<String, Error> {
        let malformed =
            |reason: &str| Error::bug(format!("commit {} of `{path}` {reason}", found.id));
        let leaf = tree::get(self.objects(), &found.commit.tree, SCHEMA_KEY.as_bytes())?
            .ok_or_else(|| malformed("has no schema"))?;
        let value = read_value(self.objects() as &dyn ReadObjects, &leaf)?
            .ok_or_else(|| malformed("has a tombstone for a schema"))?;
        let text = value
            .as_str()
            .ok_or_else(|| malformed("has a schema that is no text"))?;
        Ok(text.to_owned())
    }

    /// The document that a schema's commit has.
    pub(crate) fn schema_document(
        &self,
        path: &SchemaPath,
        found: &Found,
    ) -> Result<Arc<SchemaDocument>, Error> {
        let text = self.schema_text(path, found)?;
        let document = SchemaDocument::stored(&text)
            .map_err(|error| Error::bug(format!("commit {} of `{path}`: {error}", found.id)))?;
        Ok(Arc::new(document))
    }
}
