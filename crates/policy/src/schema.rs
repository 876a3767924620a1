//! JSON Schema (2020-12) over effective documents, and what Confman adds to it.
//!
//! A [`SchemaDocument`] is one document that was read strictly; a [`CompiledSchema`] is a document
//! with all that it refers to, ready to validate an [`EffectiveDocument`]: the object of all keys
//! that hold in a namespace. Schemas refer to one another by their absolute paths
//! (`"$ref": "/schemas/payments/types#/$defs/port"`), which the caller looks up.
//!
//! INVARIANT: nothing here reaches outside: a reference that no document of the store answers is an
//! error that names its place.
//! INVARIANT: compiling and validating are bounded: by the constants here, by patterns that are
//! matched in linear time, and by refusing schemas that would look at one value very many times.
//! INVARIANT: no violation has a value in it.

mod document;
mod effective;
mod graph;
pub mod infer;
mod keyword;
pub mod narrowing;
mod rules;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confman_model::SchemaPath;
use jsonschema::{PatternOptions, Registry, Resource, Validator};
use serde_json::Value;

pub use document::{SchemaDocument, SchemaError, SchemaProblem};
pub use effective::{EffectiveDocument, to_json};
pub use infer::infer;
pub use narrowing::{Direction, SchemaChange, compare};
pub use rules::{KeyRule, Rule};
pub use validate::{KeyChange, Place};

use graph::Graph;
use rules::Rules;

/// Most bytes of a schema document.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Most documents that one schema is made of: itself and all it refers to.
pub const SCHEMA_DOCUMENTS_MAX: usize = 64;
/// Most subschemas in all documents that one schema is made of.
pub const SUBSCHEMAS_MAX: usize = 10_000;
/// Most values of one `enum`.
pub const ENUM_VALUES_MAX: usize = 4096;
/// Most patterns in all documents that one schema is made of.
pub const PATTERNS_MAX: usize = 512;
/// Most bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Most bytes that one pattern may take compiled.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Most subschemas that may look at one and the same value.
pub const EVALUATIONS_MAX: u64 = 2000;
/// Most violations of one schema that are listed for one document.
pub const VIOLATIONS_MAX: usize = 1000;

/// The dialect that schemas are written in.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What every extension of JSON Schema begins with.
pub const EXTENSION_PREFIX: &str = "x-confman-";

/// What the URIs of schema documents begin with inside the validator.
const STORE: &str = "confman://";

/// Why a schema does not compile.
#[derive(Debug)]
pub enum CompileError<E> {
    /// A document could not be looked up.
    Lookup(E),
    /// The schema is not valid.
    Invalid(SchemaError),
}

/// A schema with all that it refers to, ready to validate.
#[derive(Debug)]
pub struct CompiledSchema {
    path: SchemaPath,
    dependencies: BTreeSet<SchemaPath>,
    validator: Validator,
    rules: Rules,
    /// Where the schemas that have a URI of their own stand.
    resources: BTreeMap<String, (SchemaPath, String)>,
    subschemas: usize,
    evaluations: u64,
}

impl CompiledSchema {
    /// Compiles a document with all that it refers to. `lookup` gives the other documents.
    ///
    /// # Errors
    /// Everything that is wrong, with its place; or what `lookup` says.
    pub fn compile<E>(
        path: &SchemaPath,
        document: &Arc<SchemaDocument>,
        mut lookup: impl FnMut(&SchemaPath) -> Result<Option<Arc<SchemaDocument>>, E>,
    ) -> Result<Self, CompileError<E>> {
        let mut graph = Graph::new(path, Arc::clone(document));
        while let Some(wanted) = graph.next_missing() {
            let found = lookup(&wanted).map_err(CompileError::Lookup)?;
            graph.add(wanted, found);
        }
        Self::of_graph(graph).map_err(CompileError::Invalid)
    }

    /// Compiles a document that refers to no other.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn alone(path: &SchemaPath, document: &Arc<SchemaDocument>) -> Result<Self, SchemaError> {
        let none = |_: &SchemaPath| Ok::<_, std::convert::Infallible>(None);
        match Self::compile(path, document, none) {
            Ok(compiled) => Ok(compiled),
            Err(CompileError::Invalid(error)) => Err(error),
            Err(CompileError::Lookup(never)) => match never {},
        }
    }

    fn of_graph(graph: Graph) -> Result<Self, SchemaError> {
        let checked = graph.finish()?;
        let validator = build(&checked.documents, &checked.root)?;
        let rules = Rules::collect(&checked)?;
        let dependencies = checked
            .documents
            .iter()
            .map(|(path, _)| path.clone())
            .filter(|path| *path != checked.root)
            .collect();
        Ok(Self {
            path: checked.root,
            dependencies,
            validator,
            rules,
            resources: checked.resources,
            subschemas: checked.nodes.len(),
            evaluations: checked.evaluations,
        })
    }

    /// Which document it begins with.
    #[must_use]
    pub fn path(&self) -> &SchemaPath {
        &self.path
    }

    /// The other documents that it is made of.
    #[must_use]
    pub fn dependencies(&self) -> &BTreeSet<SchemaPath> {
        &self.dependencies
    }

    /// How many subschemas it has, in all documents.
    #[must_use]
    pub fn subschemas(&self) -> usize {
        self.subschemas
    }

    /// How many subschemas may look at one value; at most [`EVALUATIONS_MAX`].
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// What it says about a key beyond JSON Schema.
    pub fn rules_of(&self, key: &str) -> Vec<Arc<KeyRule>> {
        self.rules.of(key)
    }

    /// Whether it says anything beyond JSON Schema.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a value satisfies it, extensions aside.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}

/// How patterns are matched: in linear time, within a limit.
fn pattern_options() -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(PATTERN_COMPILED_BYTES_MAX)
}

/// The URI of a document inside the validator.
fn uri_of(path: &SchemaPath) -> String {
    format!("{STORE}{path}")
}

/// Builds the validator of a schema all of whose documents were found sound.
fn build(
    documents: &[(SchemaPath, Arc<SchemaDocument>)],
    root: &SchemaPath,
) -> Result<Validator, SchemaError> {
    let refused = |reason: String| {
        let document = documents.iter().find(|(path, _)| path == root);
        let text = document.map_or("", |(_, document)| document.text());
        SchemaError::one(root, text, "", reason)
    };
    // The validator knows a document that names itself by that name alone.
    let named: BTreeMap<String, String> = documents
        .iter()
        .filter_map(|(path, document)| Some((uri_of(path), graph::own_name(path, document)?)))
        .collect();
    let name_of = |uri: &str| named.get(uri).cloned().unwrap_or_else(|| uri.to_owned());
    let mut builder = Registry::new().retriever(Offline);
    for (path, document) in documents {
        let mut contents = document.prepared().clone();
        if !named.is_empty() {
            keyword::for_each_mut(&mut contents, &mut |schema| {
                for keyword in ["$ref", "$dynamicRef"] {
                    if let Some(Value::String(target)) = schema.get_mut(keyword) {
                        let (uri, rest) = target.split_at(target.find('#').unwrap_or(target.len()));
                        *target = format!("{}{rest}", name_of(uri));
                    }
                }
            });
        }
        builder = builder
            .add(name_of(&uri_of(path)), Resource::from_contents(contents))
            .map_err(|error| refused(error.to_string()))?;
    }
    let registry = builder
        .prepare()
        .map_err(|error| refused(error.to_string()))?;
    // The documents stay apart and may refer to one another in a circle; this only leads to the first.
    let entrance = serde_json::json!({ "$schema": DIALECT, "$ref": name_of(&uri_of(root)) });
    jsonschema::options()
        .offline()
        .with_registry(&registry)
        .with_base_uri(format!("{STORE}/"))
        .with_pattern_options(pattern_options())
        .build(&entrance)
        .map_err(|error| match document::place_of(&error, documents) {
            Some((path, text, pointer)) => {
                SchemaError::one(&path, text, &pointer, error.to_string())
            }
            None => refused(error.to_string()),
        })
}

/// Retrieves nothing.
struct Offline;

impl jsonschema::Retrieve for Offline {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is not a schema of this store").into())
    }
}

#[cfg(test)]
mod tests;
